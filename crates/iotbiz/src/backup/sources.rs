//! What there is to copy in a data folder besides log, records and history.
//!
//! *Invariant:* a file that this program does not know is copied as it is: a part that a later
//! program adds is never left out in silence.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::server::PLACE;

/// Parts that are copied by their own rules, or not at all: a restored folder must not pass for the
/// owner of what lies in a store of objects, nor answer for records that it does not have.
const APART: [&str; 6] = ["lock", "log", "snapshots", "lake", PLACE, api::Answers::FILE];
/// The records and what SQLite keeps beside them.
const RECORDS: &str = "registry.db";
/// Ends of names that are being written and never read again.
const UNFINISHED: [&str; 2] = ["tmp", "new"];

/// A file as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) path: PathBuf,
    bytes: u64,
    changed: Option<SystemTime>,
}

/// All plain files of a data folder, in order.
pub(super) fn plain(data: &Path) -> io::Result<Vec<Plain>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if APART.contains(&&*name) || name.starts_with(RECORDS) {
            continue;
        }
        walk(&entry.path(), &mut found)?;
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

fn walk(path: &Path, found: &mut Vec<Plain>) -> io::Result<()> {
    // Not followed: a link leads out of the folder, and a restore would not make it again.
    let about = fs::symlink_metadata(path)?;
    if about.is_dir() {
        for entry in fs::read_dir(path)? {
            walk(&entry?.path(), found)?;
        }
    } else if about.is_file() && !unfinished(path) {
        let changed = about.modified().ok();
        found.push(Plain { path: path.to_owned(), bytes: about.len(), changed });
    }
    Ok(())
}

fn unfinished(path: &Path) -> bool {
    path.extension().and_then(|end| end.to_str()).is_some_and(|end| UNFINISHED.contains(&end))
}

/// Snapshots in a folder: name of the projection, offset, file.
pub(crate) fn snapshots(folder: &Path) -> io::Result<Vec<(String, u64, PathBuf)>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let parts = name.strip_suffix(".snap").and_then(|rest| rest.rsplit_once('.'));
        if let Some((name, offset)) = parts
            && let Ok(offset) = offset.parse()
        {
            found.push((name.to_owned(), offset, path.clone()));
        }
    }
    found.sort();
    Ok(found)
}
