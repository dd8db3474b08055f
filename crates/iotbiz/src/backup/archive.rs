//! A backup as one file: the backup folder as a tar, by the name's end compressed with Zstandard.
//!
//! *Invariant:* the file gets its name when it is whole and durable. What is unpacked stays inside
//! of its folder and is checked like any other backup.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::shelf::{private_file, private_folder, sync_folder};
use crate::exit::{self, Failure};

/// History is compressed already; more effort finds little.
const ZSTD_LEVEL: i32 = 3;

/// How a backup lies on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Folder,
    Tar,
    TarZstd,
}

/// By the name's end.
pub(crate) fn kind(path: &Path) -> Kind {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    match name.unwrap_or_default() {
        name if name.ends_with(".tar.zst") => Kind::TarZstd,
        name if name.ends_with(".tar") => Kind::Tar,
        _ => Kind::Folder,
    }
}

/// The name of a file beside another.
pub(crate) fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(end);
    file.with_file_name(name)
}

/// Packs a backup folder.
pub(crate) fn pack(folder: &Path, file: &Path) -> anyhow::Result<()> {
    let aside = beside(file, ".tmp");
    let write = || format!("write {}", file.display());
    let out = BufWriter::new(private_file(&aside).with_context(write)?);
    let out = match kind(file) {
        Kind::TarZstd => {
            let encoder = zstd::Encoder::new(out, ZSTD_LEVEL).with_context(write)?;
            put(folder, encoder).and_then(zstd::Encoder::finish).with_context(write)?
        }
        Kind::Tar | Kind::Folder => put(folder, out).with_context(write)?,
    };
    let out = out.into_inner().map_err(io::IntoInnerError::into_error).with_context(write)?;
    out.sync_all().with_context(write)?;
    fs::rename(&aside, file).with_context(write)?;
    sync_folder(parent(file)).with_context(write)
}

/// The folder of a name.
pub(crate) fn parent(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

fn put<W: Write>(folder: &Path, out: W) -> io::Result<W> {
    let mut tar = tar::Builder::new(out);
    tar.follow_symlinks(false);
    for part in ["files", "erased.jsonl", "backups"] {
        let path = folder.join(part);
        if path.is_dir() {
            tar.append_dir_all(part, &path)?;
        } else if path.is_file() {
            tar.append_path_with_name(&path, part)?;
        }
    }
    tar.into_inner()
}

/// Unpacks a backup into a folder that is not there yet.
pub(crate) fn unpack(file: &Path, folder: &Path) -> anyhow::Result<()> {
    let read = || format!("read {}", file.display());
    let opened = match File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let what = format!("there is no backup {}", file.display());
            return Err(Failure::new(exit::NOT_FOUND, what).into());
        }
        opened => opened.with_context(read)?,
    };
    private_folder(folder).with_context(|| format!("make {}", folder.display()))?;
    let unpacked = match kind(file) {
        Kind::TarZstd => zstd::Decoder::new(opened).and_then(|decoder| take(decoder, folder)),
        Kind::Tar | Kind::Folder => take(BufReader::new(opened), folder),
    };
    unpacked.map_err(|error| {
        Failure::new(exit::CHECK_FAILED, format!("{} cannot be unpacked", file.display()))
            .why(error.to_string())
            .fix("the file is damaged or the disk is full: try another copy, or --work DIR")
            .into()
    })
}

fn take<R: Read>(from: R, folder: &Path) -> io::Result<()> {
    let mut tar = tar::Archive::new(from);
    tar.set_preserve_permissions(false);
    tar.set_preserve_mtime(false);
    tar.unpack(folder)
}
