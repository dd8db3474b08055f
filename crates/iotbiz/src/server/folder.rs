//! The data folder: one process at a time, readable by its owner only.
//!
//! *Invariant:* the lock is held as long as the returned file is.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::Context;

use crate::exit::{self, Failure};

/// One process for one folder.
pub(super) fn lock(data: &Path) -> anyhow::Result<File> {
    let make = || format!("make the data folder {}", data.display());
    std::fs::create_dir_all(data).with_context(make)?;
    private(data).with_context(make)?;
    let path = data.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let what = format!("{} is in use by another iotbiz", data.display());
            Err(Failure::new(exit::CONFLICT, what)
                .fix("stop the other one, or name another folder: --data DIR")
                .into())
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("lock {}", path.display()))
        }
    }
}

/// Records hold hashes of secrets and people's names: the folder is its owner's only.
#[cfg(unix)]
fn private(data: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(data, std::fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn private(_data: &Path) -> std::io::Result<()> {
    Ok(())
}
