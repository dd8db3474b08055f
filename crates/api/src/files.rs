//! Files that are read whole and replaced whole.
//!
//! *Invariant:* a file has its old content or its new one, whatever happens in between.

use std::io;
use std::path::Path;

use model::{Disk, DiskFile, Open};

/// All bytes of a file.
pub(crate) fn whole(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let length = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    let mut at = 0;
    while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
        let place = u64::try_from(at).map_err(io::Error::other)?;
        match file.read_at(rest, place)? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            read => at += read,
        }
    }
    Ok(bytes)
}

/// Writes a file aside and puts it in its place; its folder must be there. Durable on return.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("new");
    match disk.remove(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let file = disk.open(&aside, Open::CreateNew)?;
    file.write_at(bytes, 0)?;
    file.sync_data()?;
    drop(file);
    disk.rename(&aside, path)?;
    path.parent().map_or(Ok(()), |folder| disk.sync_dir(folder))
}
