//! A disk in memory that loses, tears, reorders and refuses writes as POSIX allows.
//!
//! *Invariant:* after [`SimDisk::crash`] a file holds every byte that was synced, and of later
//! writes any part; a name exists if its directory was synced after it was made, otherwise
//! perhaps. Before a crash every write is visible to every reader.
//!
//! The unit of tearing is a sector of 512 bytes, the smallest that disks write in one go.
//! Directories themselves are durable at once: a log makes its directory only once.

mod platter;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Disk, DiskFile, Open};

use self::platter::{Change, Inode, NameChange, SECTOR, write};
use crate::Rng;

/// A kind of call to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Opening an existing file.
    Open,
    /// Making a file.
    Create,
    /// `read_at`
    Read,
    /// `write_at`
    Write,
    /// `sync_data`
    Sync,
    /// `set_len`
    SetLen,
    /// `sync_dir`
    SyncDir,
    /// `rename`
    Rename,
    /// `remove`
    Remove,
}

impl Op {
    const fn mutates(self) -> bool {
        !matches!(self, Self::Open | Self::Read)
    }
}

/// What an injected failure says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// EIO
    Io,
    /// ENOSPC
    Full,
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Self::Io => io::Error::other("simulated EIO"),
            Self::Full => io::ErrorKind::StorageFull.into(),
        }
    }
}

/// Whether the disk honours flushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syncs {
    /// A sync that returned is durable.
    Honest,
    /// A sync does nothing: to prove that a test notices.
    Ignored,
}

#[derive(Debug)]
struct State {
    rng: Rng,
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    name_changes: Vec<NameChange>,
    syncs: Syncs,
    capacity: Option<usize>,
    faults: Vec<(Op, u64, Fault)>,
    // How many mutating calls are left until the power fails.
    power: Option<u64>,
    // Handles from before a crash are dead.
    boot: u64,
    calls: u64,
}

/// The simulated disk; clones share it.
#[derive(Debug, Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct SimFile {
    state: Arc<Mutex<State>>,
    inode: usize,
    boot: u64,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn size(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

impl State {
    /// Counts the call and fails it when its time has come.
    fn enter(&mut self, op: Op) -> io::Result<()> {
        self.calls += 1;
        if let Some(left) = self.power.as_mut() {
            if *left == 0 {
                return Err(io::Error::other("simulated power failure"));
            }
            *left -= u64::from(op.mutates());
        }
        let mut found = None;
        self.faults.retain_mut(|(kind, left, fault)| {
            if *kind == op && found.is_none() {
                if *left == 0 {
                    found = Some(*fault);
                    return false;
                }
                *left -= 1;
            }
            true
        });
        found.map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn used(&self) -> usize {
        self.names.values().map(|inode| self.inodes[*inode].visible.len()).sum()
    }

    fn inode(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change_name(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.name_changes.push(change);
    }
}

impl SimDisk {
    /// An empty disk; faults follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                rng: Rng::new(seed),
                inodes: Vec::new(),
                names: BTreeMap::new(),
                durable_names: BTreeMap::new(),
                name_changes: Vec::new(),
                syncs: Syncs::Honest,
                capacity: None,
                faults: Vec::new(),
                power: None,
                boot: 0,
                calls: 0,
            })),
        }
    }

    /// Whether flushes are honoured from now on.
    pub fn set_syncs(&self, syncs: Syncs) {
        lock(&self.state).syncs = syncs;
    }

    /// Writes that would make the files larger than this in all meet ENOSPC; `None` is no limit.
    pub fn set_capacity(&self, bytes: Option<usize>) {
        lock(&self.state).capacity = bytes;
    }

    /// Lets one call of kind `op` fail, after `skip` that do not.
    pub fn fail(&self, op: Op, skip: u64, fault: Fault) {
        lock(&self.state).faults.push((op, skip, fault));
    }

    /// After `calls` more mutating calls every call fails until [`SimDisk::crash`].
    pub fn power_off_after(&self, calls: u64) {
        lock(&self.state).power = Some(calls);
    }

    /// Whether the power has failed.
    #[must_use]
    pub fn is_off(&self) -> bool {
        lock(&self.state).power == Some(0)
    }

    /// How many calls the disk has had.
    #[must_use]
    pub fn calls(&self) -> u64 {
        lock(&self.state).calls
    }

    /// Power fails and comes back: unsynced changes are kept, lost or torn by chance, open files
    /// are dead, injected faults and the power limit are gone.
    pub fn crash(&self) {
        let state = &mut *lock(&self.state);
        for inode in &mut state.inodes {
            inode.lose(&mut state.rng);
            inode.visible.clone_from(&inode.durable);
        }
        let changes = std::mem::take(&mut state.name_changes);
        let ordered = state.rng.chance(1, 2);
        let kept = state.rng.index(changes.len() + 1);
        for (place, change) in changes.into_iter().enumerate() {
            if if ordered { place < kept } else { state.rng.chance(1, 2) } {
                change.apply(&mut state.durable_names);
            }
        }
        state.names.clone_from(&state.durable_names);
        state.faults.clear();
        state.power = None;
        state.boot += 1;
    }

    /// Flips the bits of `mask` in one byte, on the platter and for readers.
    ///
    /// # Errors
    /// No such file or byte.
    pub fn flip(&self, path: &Path, at: usize, mask: u8) -> io::Result<()> {
        let mut state = lock(&self.state);
        let inode = state.inode(path)?;
        let inode = &mut state.inodes[inode];
        inode.sync();
        for view in [&mut inode.durable, &mut inode.visible] {
            *view.get_mut(at).ok_or(io::ErrorKind::UnexpectedEof)? ^= mask;
        }
        Ok(())
    }

    /// The bytes of a file as a reader sees them.
    ///
    /// # Errors
    /// No such file.
    pub fn bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = lock(&self.state);
        let inode = state.inode(path)?;
        Ok(state.inodes[inode].visible.clone())
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn DiskFile>> {
        let mut state = lock(&self.state);
        state.enter(if open == Open::CreateNew { Op::Create } else { Op::Open })?;
        let inode = match (open, state.inode(path)) {
            (Open::CreateNew, Ok(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Open::CreateNew, Err(_)) => {
                let inode = state.inodes.len();
                state.inodes.push(Inode::default());
                state.change_name(NameChange::Create { path: path.to_owned(), inode });
                inode
            }
            (Open::Read | Open::ReadWrite, found) => found?,
        };
        let boot = state.boot;
        drop(state);
        Ok(Box::new(SimFile { state: Arc::clone(&self.state), inode, boot }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut state = lock(&self.state);
        state.enter(Op::Read)?;
        Ok(state.names.keys().filter(|path| path.parent() == Some(dir)).cloned().collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.enter(Op::Rename)?;
        let inode = state.inode(from)?;
        state.change_name(NameChange::Rename { from: from.to_owned(), to: to.to_owned(), inode });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.enter(Op::Remove)?;
        state.inode(path)?;
        state.change_name(NameChange::Remove { path: path.to_owned() });
        Ok(())
    }

    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let state = &mut *lock(&self.state);
        state.enter(Op::SyncDir)?;
        if state.syncs == Syncs::Ignored {
            return Ok(());
        }
        let (here, elsewhere) = std::mem::take(&mut state.name_changes)
            .into_iter()
            .partition(|change: &NameChange| change.dir() == Some(dir));
        state.name_changes = elsewhere;
        let here: Vec<NameChange> = here;
        here.into_iter().for_each(|change| change.apply(&mut state.durable_names));
        Ok(())
    }
}

impl SimFile {
    fn enter(&self, op: Op) -> io::Result<MutexGuard<'_, State>> {
        let mut state = lock(&self.state);
        if state.boot != self.boot {
            return Err(io::Error::other("file was opened before the crash"));
        }
        state.enter(op)?;
        Ok(state)
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.enter(Op::Read)?;
        let file = &state.inodes[self.inode].visible;
        let from = size(offset)?.min(file.len());
        let count = buffer.len().min(file.len() - from);
        buffer[..count].copy_from_slice(&file[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let at = size(offset)?;
        let state = &mut *self.enter(Op::Write)?;
        let growth = (at + bytes.len()).saturating_sub(state.inodes[self.inode].visible.len());
        let full = state.capacity.is_some_and(|capacity| state.used() + growth > capacity);
        // What does fit is written before the call fails.
        let fits = if full { state.rng.index(bytes.len().min(SECTOR)) } else { bytes.len() };
        let bytes = if growth > bytes.len() && full { &[] } else { &bytes[..fits] };
        let inode = &mut state.inodes[self.inode];
        if !bytes.is_empty() {
            write(&mut inode.visible, at, bytes);
            inode.unsynced.push(Change::Write { at, bytes: bytes.to_vec() });
        }
        if full { Err(Fault::Full.error()) } else { Ok(()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        let state = &mut *lock(&self.state);
        if state.boot != self.boot {
            return Err(io::Error::other("file was opened before the crash"));
        }
        if let Err(error) = state.enter(Op::Sync) {
            // The kernel marks the pages clean whether or not they were written, and says so
            // once; without power nothing happens at all.
            if state.power != Some(0) {
                state.inodes[self.inode].lose(&mut state.rng);
            }
            return Err(error);
        }
        if state.syncs == Syncs::Honest {
            state.inodes[self.inode].sync();
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.enter(Op::Read)?;
        u64::try_from(state.inodes[self.inode].visible.len())
            .map_err(|_| io::ErrorKind::FileTooLarge.into())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = size(len)?;
        let state = &mut *self.enter(Op::SetLen)?;
        let inode = &mut state.inodes[self.inode];
        inode.visible.resize(len, 0);
        inode.unsynced.push(Change::SetLen(len));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
