//! What a file is on the platter and what its readers see, and what of it survives a power failure.
//!
//! *Invariant:* a byte that was synced is in `durable`; of what was not, any part may reach it, cut
//! at sector borders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::Rng;

/// The smallest that disks write in one go.
pub(super) const SECTOR: usize = 512;

#[derive(Debug, Clone)]
pub(super) enum Change {
    Write { at: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Debug, Default)]
pub(super) struct Inode {
    pub(super) durable: Vec<u8>,
    pub(super) visible: Vec<u8>,
    pub(super) unsynced: Vec<Change>,
}

#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Create { path: PathBuf, inode: usize },
    Rename { from: PathBuf, to: PathBuf, inode: usize },
    Remove { path: PathBuf },
}

impl NameChange {
    pub(super) fn dir(&self) -> Option<&Path> {
        match self {
            Self::Create { path, .. } | Self::Remove { path } => path.parent(),
            Self::Rename { to, .. } => to.parent(),
        }
    }

    pub(super) fn apply(self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Create { path, inode } => {
                names.insert(path, inode);
            }
            Self::Rename { from, to, inode } => {
                names.remove(&from);
                names.insert(to, inode);
            }
            Self::Remove { path } => {
                names.remove(&path);
            }
        }
    }
}

pub(super) fn write(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if file.len() < at + bytes.len() {
        file.resize(at + bytes.len(), 0);
    }
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => write(file, *at, bytes),
            Self::SetLen(len) => file.resize(*len, 0),
        }
    }

    /// The change cut at sector borders; a change of length is one piece.
    fn sectors(&self) -> Vec<Self> {
        match self {
            Self::SetLen(_) => vec![self.clone()],
            Self::Write { at, bytes } => {
                let mut pieces = Vec::new();
                let mut from = 0;
                while from < bytes.len() {
                    let to = bytes.len().min(from + SECTOR - (at + from) % SECTOR);
                    pieces.push(Self::Write { at: at + from, bytes: bytes[from..to].to_vec() });
                    from = to;
                }
                pieces
            }
        }
    }
}

impl Inode {
    pub(super) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// Any part of what was not synced reaches the platter.
    pub(super) fn lose(&mut self, rng: &mut Rng) {
        let changes = std::mem::take(&mut self.unsynced);
        let pieces: Vec<Change> = changes.iter().flat_map(Change::sectors).collect();
        let len = self.visible.len();
        match rng.below(4) {
            0 => {}
            1 => pieces.iter().for_each(|piece| piece.apply(&mut self.durable)),
            2 => {
                let kept = rng.index(pieces.len() + 1);
                pieces.iter().take(kept).for_each(|piece| piece.apply(&mut self.durable));
            }
            _ => {
                let odds = rng.between(1, 9);
                for piece in &pieces {
                    if rng.chance(odds, 10) {
                        piece.apply(&mut self.durable);
                    }
                }
                // The new length may be recorded although the bytes never came.
                if rng.chance(1, 2) && len > self.durable.len() {
                    self.durable.resize(len, 0);
                }
            }
        }
    }
}
