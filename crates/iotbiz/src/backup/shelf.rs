//! The folder that holds backups.
//!
//! *Invariant:* a content is written aside, flushed and renamed to its SHA-256, so a name in
//! `files` is a whole content unless the disk damaged it. A manifest's checksum is written last,
//! after all folders with new names were flushed. Only the holder of `lock` writes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::manifest::Manifest;
use crate::exit::{self, Failure};

/// Bytes copied at once.
const BUFFER_BYTES: usize = 256 << 10;
const BACKUPS: &str = "backups";
const FILES: &str = "files";
const NEW: &str = "new";
/// Whom the server was told to forget.
pub(crate) const ERASED: &str = "erased.jsonl";

/// A folder with backups.
#[derive(Debug)]
pub(crate) struct Shelf {
    root: PathBuf,
    /// Folders with new names that are not durable yet.
    dirty: BTreeSet<PathBuf>,
    written: u64,
    put: u64,
    _lock: Option<File>,
}

/// A backup on a shelf.
#[derive(Debug, Clone)]
pub(crate) struct Shelved {
    pub(crate) name: String,
    pub(crate) manifest: Manifest,
}

/// What was stored of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Copies everything and takes its SHA-256.
pub(crate) fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<Stored> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut bytes = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let part = buffer.get(..read).unwrap_or_default();
        hash.update(part);
        to.write_all(part)?;
        bytes += read as u64;
    }
    Ok(Stored { bytes, sha256: hex(&hash.finalize()) })
}

/// Makes a folder that only its owner can read: backups hold keys and people's names.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path)
}

/// Opens a new file that only its owner can read.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Replaces a small file in one step.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".tmp");
    let aside = PathBuf::from(aside);
    let mut file = private_file(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    sync_folder(path.parent().ok_or(io::ErrorKind::NotFound)?)
}

impl Shelf {
    /// Opens a folder to add a backup; makes it when it is not there.
    pub(crate) fn open(root: &Path) -> anyhow::Result<Self> {
        let make = || format!("make the backup folder {}", root.display());
        let fresh = !root.join(BACKUPS).is_dir();
        if fresh && fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some()) {
            let what = format!("{} holds something else than backups", root.display());
            return Err(Failure::new(exit::CONFLICT, what)
                .fix("name a new folder, or one that `iotbiz backup` made")
                .into());
        }
        for folder in ["", NEW, FILES, BACKUPS] {
            private_folder(&root.join(folder)).with_context(make)?;
        }
        let lock = private_file(&root.join("lock")).with_context(make)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let what = format!("another backup is being written to {}", root.display());
                return Err(Failure::new(exit::CONFLICT, what)
                    .fix("wait until it has ended")
                    .into());
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(make),
        }
        for entry in fs::read_dir(root.join(NEW)).with_context(make)? {
            fs::remove_file(entry?.path()).with_context(make)?;
        }
        let dirty = BTreeSet::from([root.to_owned(), root.join(FILES)]);
        Ok(Self { root: root.to_owned(), dirty, written: 0, put: 0, _lock: Some(lock) })
    }

    /// Opens a folder to read its backups.
    pub(crate) fn look(root: &Path) -> anyhow::Result<Self> {
        if !root.join(BACKUPS).is_dir() {
            let what = format!("{} holds no backup", root.display());
            return Err(Failure::new(exit::NOT_FOUND, what)
                .fix("name the folder or the file that `iotbiz backup` made")
                .into());
        }
        let dirty = BTreeSet::new();
        Ok(Self { root: root.to_owned(), dirty, written: 0, put: 0, _lock: None })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Bytes that were new.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// A free name for a file that is being made.
    pub(crate) fn aside(&mut self) -> PathBuf {
        self.put += 1;
        self.root.join(NEW).join(self.put.to_string())
    }

    /// Where a content lies.
    pub(crate) fn place(&self, sha256: &str) -> PathBuf {
        let (folder, name) = sha256.split_at_checked(2).unwrap_or(("", sha256));
        self.root.join(FILES).join(folder).join(name)
    }

    /// Whether a content is there, by its size.
    pub(crate) fn has(&self, stored: &Stored) -> bool {
        fs::metadata(self.place(&stored.sha256)).is_ok_and(|found| found.len() == stored.bytes)
    }

    /// Stores a content.
    pub(crate) fn put(&mut self, from: &mut dyn Read) -> io::Result<Stored> {
        let aside = self.aside();
        let mut file = private_file(&aside)?;
        let stored = copy(from, &mut file)?;
        if self.has(&stored) {
            fs::remove_file(&aside)?;
            return Ok(stored);
        }
        file.sync_data()?;
        let place = self.place(&stored.sha256);
        if let Some(folder) = place.parent() {
            private_folder(folder)?;
            self.dirty.insert(folder.to_owned());
        }
        fs::rename(&aside, &place)?;
        self.written += stored.bytes;
        Ok(stored)
    }

    /// Makes a backup of what its manifest names; gives its name.
    pub(crate) fn commit(&mut self, manifest: &Manifest) -> anyhow::Result<String> {
        for folder in std::mem::take(&mut self.dirty) {
            let sync = || format!("make {} durable", folder.display());
            sync_folder(&folder).with_context(sync)?;
        }
        let second = manifest.at.as_millis().div_euclid(1000) * 1000;
        let second = model::Timestamp::from_millis(second).to_string().replace(':', "-");
        let millis = manifest.at.as_millis().rem_euclid(1000);
        let name = format!("{}-{millis:03}Z", second.trim_end_matches('Z'));
        let mut bytes = serde_json::to_vec_pretty(manifest).context("write the manifest")?;
        bytes.push(b'\n');
        let folder = self.root.join(BACKUPS);
        let sum = format!("{}  {name}.json\n", hex(&Sha256::digest(&bytes)));
        replace(&folder.join(format!("{name}.json")), &bytes).context("write the manifest")?;
        replace(&folder.join(format!("{name}.sha256")), sum.as_bytes())
            .context("write the checksum of the manifest")?;
        Ok(name)
    }

    /// Names of the backups, oldest first.
    pub(crate) fn names(&self) -> anyhow::Result<Vec<String>> {
        let folder = self.root.join(BACKUPS);
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
            let name = entry?.file_name();
            names.extend(
                name.to_str().and_then(|name| name.strip_suffix(".sha256")).map(str::to_owned),
            );
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The backup of that name, or the newest.
    pub(crate) fn backup(&self, name: Option<&str>) -> anyhow::Result<Shelved> {
        let names = self.names()?;
        let found = match name {
            Some(name) => names.iter().find(|known| *known == name),
            None => names.last(),
        };
        let Some(name) = found.cloned() else {
            let what = match name {
                Some(name) => format!("{} has no backup {name}", self.root.display()),
                None => format!("{} has no finished backup", self.root.display()),
            };
            let failure = Failure::new(exit::NOT_FOUND, what);
            return Err(match names.is_empty() {
                true => failure.fix("take one: iotbiz backup DIR").into(),
                false => failure.fix(format!("name one of: {}", names.join(", "))).into(),
            });
        };
        let file = |end: &str| self.root.join(BACKUPS).join(format!("{name}.{end}"));
        let read =
            |path: PathBuf| fs::read(&path).with_context(|| format!("read {}", path.display()));
        let (bytes, sum) = (read(file("json"))?, read(file("sha256"))?);
        let said = String::from_utf8_lossy(&sum);
        if said.split_whitespace().next() != Some(&*hex(&Sha256::digest(&bytes))) {
            let what = format!("{} does not match its checksum", file("json").display());
            return Err(Failure::new(exit::CHECK_FAILED, what)
                .why("it says what belongs to the backup, so the backup cannot be trusted")
                .fix("use another one: iotbiz backup list DIR")
                .into());
        }
        let manifest = Manifest::decode(&bytes, &name)?;
        Ok(Shelved { name, manifest })
    }

    /// Reads every content of a backup; which ones are missing or damaged, with the files they are.
    pub(crate) fn damaged(
        &self,
        manifest: &Manifest,
        read: &mut dyn FnMut(u64),
    ) -> anyhow::Result<Vec<String>> {
        let mut seen: BTreeMap<&str, bool> = BTreeMap::new();
        let mut damaged = Vec::new();
        for file in &manifest.files {
            let place = self.place(&file.sha256);
            let good = match seen.get(&*file.sha256) {
                Some(good) => *good,
                None => match File::open(&place) {
                    Ok(mut found) => {
                        let stored = copy(&mut found, &mut io::sink())
                            .with_context(|| format!("read {}", place.display()))?;
                        stored.sha256 == file.sha256 && stored.bytes == file.bytes
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                    Err(error) => {
                        return Err(error).with_context(|| format!("open {}", place.display()));
                    }
                },
            };
            seen.insert(&file.sha256, good);
            read(file.bytes);
            if !good {
                damaged.push(format!("{} ({})", file.path, place.display()));
            }
        }
        Ok(damaged)
    }

    /// Removes all backups but the newest `keep`, and what no other needs.
    pub(crate) fn prune(&mut self, keep: usize) -> anyhow::Result<usize> {
        let names = self.names()?;
        let old = names.len().saturating_sub(keep);
        let mut needed = BTreeSet::new();
        for name in names.iter().skip(old) {
            // One that cannot be read keeps everything: nobody knows what it needs.
            let Ok(kept) = self.backup(Some(name)) else { return Ok(0) };
            needed.extend(kept.manifest.files.into_iter().map(|file| file.sha256));
        }
        let folder = self.root.join(BACKUPS);
        for name in names.iter().take(old) {
            for end in ["sha256", "json"] {
                let path = folder.join(format!("{name}.{end}"));
                fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
            }
        }
        for entry in fs::read_dir(&folder).context("list the backups")? {
            let path = entry?.path();
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            // What a kill left of a backup that never came to be.
            if stem.is_none_or(|stem| !names.contains(&stem)) {
                fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
            }
        }
        sync_folder(&folder).context("make the list of backups durable")?;
        let files = self.root.join(FILES);
        for entry in fs::read_dir(&files).context("list the contents")? {
            let folder = entry?.path();
            for entry in fs::read_dir(&folder).context("list the contents")? {
                let path = entry?.path();
                let part = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned());
                let name = part(&folder).zip(part(&path)).map(|(a, b)| a + &b);
                if name.is_none_or(|name| !needed.contains(&name)) {
                    fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
                }
            }
        }
        Ok(old)
    }
}
