//! Replacing a small file in one step.
//!
//! *Invariant:* the name leads to the old bytes or to the new ones, never to a part of them.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Writes beside the file, flushes, renames.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".tmp");
    let aside = Path::new(&aside);
    let mut file = fs::File::create(aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(aside, path)?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::File::open(folder)?.sync_all()
}
