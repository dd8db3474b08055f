//! The Delta log of a table: which files are its history now.
//!
//! *Invariant:* a version exists whole or not at all, and versions have no gaps. The state is a
//! function of the versions alone, so another program that follows the Delta protocol (reader 1,
//! writer 2) sees the same files. Each version carries a checksum and has a copy.
//!
//! There is one writer: the process that holds the lock of the data folder. A version that exists
//! already is a conflict, never overwritten. A commit whose answer was lost is in doubt, and
//! nothing else is committed before [`DeltaLog::settle`] has ended that. Protocol: `PROTOCOL.md` of
//! delta-io/delta.

mod action;
mod checkpoint;
mod look;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

use model::{Put, Timestamp};
use serde_json::{Value, json};

pub(crate) use action::{Action, Changes, FileEntry, Level, Rollup};
pub(crate) use look::look;

use crate::day::Day;
use crate::store::{Naming, Store};
use crate::{Column, Error, TableId};

const DIR: &str = "_delta_log";
const COPIES: &str = "_copy";
const LAST_CHECKPOINT: &str = "_last_checkpoint";
/// Versions after which the whole state is written again.
const CHECKPOINT_VERSIONS: u64 = 100;
/// Who wrote a version, for people who read the log.
const ENGINE: &str = concat!("iotbiz-lake/", env!("CARGO_PKG_VERSION"));

/// What a log says of its table.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// Properties, once the table is described.
    pub(crate) columns: Option<Vec<Column>>,
    /// Rows up to this offset of the event log are in the files.
    pub(crate) flushed: u64,
    /// Live files by day, in the order of their offsets.
    pub(crate) days: BTreeMap<Day, Vec<Arc<FileEntry>>>,
    /// Files that are no longer part of the table, and since when.
    pub(crate) gone: BTreeMap<String, i64>,
}

impl State {
    pub(crate) fn files(&self) -> impl Iterator<Item = &Arc<FileEntry>> {
        self.days.values().flatten()
    }

    /// The state as lines of a log; who reads them has the same state.
    fn actions(&self, now: Timestamp) -> Vec<Action> {
        let mut actions = vec![Action::Protocol];
        if let Some(columns) = &self.columns {
            actions.push(Action::Describe { columns: columns.clone(), created: now });
        }
        actions.push(Action::Flushed { offset: self.flushed, at: now });
        actions.extend(self.files().map(|file| Action::Add(Arc::clone(file), Changes::Layout)));
        actions.extend(self.gone.iter().filter_map(|(path, at)| {
            let day = path.strip_prefix("_day=")?.split('/').next()?.parse().ok()?;
            Some(Action::Remove { path: path.clone(), day, at: *at, changes: Changes::Layout })
        }));
        actions
    }

    pub(crate) fn apply(&mut self, action: Action) {
        match action {
            Action::Protocol => {}
            Action::Describe { columns, .. } => self.columns = Some(columns),
            Action::Flushed { offset, .. } => self.flushed = self.flushed.max(offset),
            Action::Add(file, _) => {
                self.gone.remove(&file.path);
                let files = self.days.entry(file.day).or_default();
                // The same path again replaces what was said of it.
                files.retain(|known| known.path != file.path);
                files.push(file);
                files.sort_by_key(|file| (file.from, file.to));
            }
            Action::Remove { path, at, day, .. } => {
                if let Some(files) = self.days.get_mut(&day) {
                    files.retain(|file| file.path != path);
                    if files.is_empty() {
                        self.days.remove(&day);
                    }
                }
                self.gone.insert(path, at);
            }
        }
    }
}

/// The writing end of a table's log.
#[derive(Debug)]
pub(crate) struct DeltaLog {
    store: Store,
    table: TableId,
    app: Arc<str>,
    next: u64,
    checkpoints: Vec<u64>,
    doubt: Option<Doubt>,
}

/// A version of which nobody knows whether it is part of the log.
#[derive(Debug)]
enum Doubt {
    /// On a disk: its name could not be made durable, nor taken back. It is taken back.
    Undo,
    /// In a store of objects: the answer was lost. The same bytes are put again until the store
    /// says that they are there.
    Push { bytes: Vec<u8>, actions: Vec<Action> },
}

fn file_name(version: u64) -> String {
    format!("{version:020}.json")
}

/// The state at a version, for ourselves: lines like those of a version, with their checksum.
fn state_name(version: u64) -> String {
    format!("{COPIES}/{version:020}.state")
}

/// The same for other programs.
fn checkpoint_name(version: u64) -> String {
    format!("{DIR}/{version:020}.checkpoint.parquet")
}

/// A version as bytes: who wrote it and the checksum of the rest, then the rest.
fn encode(table: &TableId, app: &str, actions: &[Action], now: Timestamp) -> String {
    let mut rest = String::new();
    for action in actions {
        rest.push_str(&action.to_json(table, app).to_string());
        rest.push('\n');
    }
    let info = json!({ "commitInfo": {
        "timestamp": now.as_millis(),
        "operation": "WRITE",
        "engineInfo": ENGINE,
        "crc32c": format!("{:08x}", crc32c::crc32c(rest.as_bytes())),
    }});
    format!("{info}\n{rest}")
}

/// The actions of a version; `None` when the bytes are not those that were written.
fn decode(bytes: &[u8], app: &str) -> Option<Vec<Action>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (info, rest) = text.split_once('\n')?;
    let info: Value = serde_json::from_str(info).ok()?;
    let crc = info.get("commitInfo")?.get("crc32c")?.as_str()?;
    if crc != format!("{:08x}", crc32c::crc32c(rest.as_bytes())) {
        return None;
    }
    rest.lines().map(|line| Action::from_json(&serde_json::from_str(line).ok()?, app)).collect()
}

impl DeltaLog {
    /// Opens the log of a table, or begins one.
    pub(crate) fn open(
        store: Store,
        table: TableId,
        app: Arc<str>,
    ) -> Result<(Self, State), Error> {
        for dir in ["", DIR, COPIES] {
            store.make_dir(dir)?;
        }
        let versions: Vec<u64> = store
            .list(DIR)?
            .iter()
            .filter_map(|name| name.strip_suffix(".json")?.parse().ok())
            .collect();
        let next = versions.iter().max().map_or(0, |version| version + 1);
        let copies = store.list(COPIES)?;
        let states = copies.iter().filter_map(|name| name.strip_suffix(".state")?.parse().ok());
        let mut checkpoints: Vec<u64> = states.filter(|version| *version < next).collect();
        checkpoints.sort_unstable();
        let mut log = Self { store, table, app, next, checkpoints, doubt: None };
        let (mut state, from) = log.newest_checkpoint()?;
        for version in from..next {
            for action in log.read(version)? {
                state.apply(action);
            }
        }
        log.sweep()?;
        Ok((log, state))
    }

    /// The newest state that is whole, and the version after it.
    fn newest_checkpoint(&mut self) -> Result<(State, u64), Error> {
        while let Some(version) = self.checkpoints.last().copied() {
            let bytes = self.store.read(&state_name(version))?;
            if let Some(actions) = bytes.and_then(|bytes| decode(&bytes, &self.app)) {
                let mut state = State::default();
                actions.into_iter().for_each(|action| state.apply(action));
                return Ok((state, version + 1));
            }
            // The versions since the one before are still there.
            self.checkpoints.pop();
        }
        Ok((State::default(), 0))
    }

    /// Writes the whole state, when it is time, and removes versions that two states cover.
    pub(crate) fn checkpoint(&mut self, state: &State, now: Timestamp) -> Result<bool, Error> {
        let last = self.checkpoints.last().copied();
        let since = self.next - last.map_or(0, |version| version + 1);
        if self.doubt.is_some() || since < CHECKPOINT_VERSIONS {
            return Ok(false);
        }
        let version = self.next - 1;
        let actions = state.actions(now);
        let lines: Vec<Value> =
            actions.iter().map(|action| action.to_json(&self.table, &self.app)).collect();
        let size = lines.len();
        let checkpoint = checkpoint::encode(&lines)?;
        let state = encode(&self.table, &self.app, &actions, now);
        for (name, bytes) in
            [(checkpoint_name(version), &*checkpoint), (state_name(version), state.as_bytes())]
        {
            self.store.publish(&name, bytes, Put::Replace)?;
        }
        let last = json!({ "version": version, "size": size }).to_string();
        self.store.publish(&format!("{DIR}/{LAST_CHECKPOINT}"), last.as_bytes(), Put::Replace)?;
        [COPIES, DIR].iter().try_for_each(|dir| self.store.sync_dir(dir))?;
        self.checkpoints.push(version);
        self.trim()?;
        Ok(true)
    }

    /// Removes what the last two checkpoints make superfluous.
    fn trim(&mut self) -> Result<(), Error> {
        let [.., kept, _] = self.checkpoints[..] else { return Ok(()) };
        for version in std::mem::take(&mut self.checkpoints) {
            if version < kept {
                self.store.remove(&checkpoint_name(version))?;
                self.store.remove(&state_name(version))?;
            } else {
                self.checkpoints.push(version);
            }
        }
        for dir in [DIR, COPIES] {
            for name in self.store.list(dir)? {
                let version = name.strip_suffix(".json").and_then(|name| name.parse::<u64>().ok());
                if version.is_some_and(|version| version <= kept) {
                    self.store.remove(&format!("{dir}/{name}"))?;
                }
            }
        }
        Ok(())
    }

    /// Removes what a crash left of a version that was not written to the end.
    fn sweep(&mut self) -> Result<(), Error> {
        if self.store.naming() == Naming::Put {
            return Ok(());
        }
        for name in self.store.list(DIR)? {
            if name.ends_with(".tmp") {
                self.store.remove(&format!("{DIR}/{name}"))?;
            }
        }
        self.store.remove(&format!("{COPIES}/{}", file_name(self.next)))
    }

    /// A version, from its copy when it is damaged.
    fn read(&self, version: u64) -> Result<Vec<Action>, Error> {
        let name = format!("{DIR}/{}", file_name(version));
        let bytes = self.store.read(&name)?;
        if let Some(actions) = bytes.as_deref().and_then(|bytes| decode(bytes, &self.app)) {
            return Ok(actions);
        }
        let copy = self.store.read(&format!("{COPIES}/{}", file_name(version)))?;
        let good = copy.and_then(|bytes| Some((decode(&bytes, &self.app)?, bytes)));
        let Some((actions, bytes)) = good else {
            let what = "the version and its copy do not match their checksums".to_owned();
            return Err(Error::Damaged { path: self.store.path(&name), what });
        };
        self.store.publish(&name, &bytes, Put::Replace)?;
        self.store.sync_dir(DIR)?;
        Ok(actions)
    }

    /// Writes the next version; when it returns without error, the version is durable.
    ///
    /// # Errors
    /// After [`Error::Doubt`] the version may be there: its files must stay, and nothing else is
    /// committed before [`DeltaLog::settle`].
    pub(crate) fn commit(&mut self, actions: &[Action], now: Timestamp) -> Result<(), Error> {
        match self.doubt {
            None => {}
            Some(Doubt::Undo) => drop(self.settle()?),
            Some(Doubt::Push { .. }) => return Err(Error::Unsettled { table: self.table.clone() }),
        }
        let bytes = encode(&self.table, &self.app, actions, now).into_bytes();
        match self.store.naming() {
            Naming::Renamed => self.rename(&bytes),
            Naming::Put => self.push(&bytes).map_err(|error| {
                if matches!(error, Error::Conflict { .. }) {
                    return error;
                }
                self.doubt = Some(Doubt::Push { bytes, actions: actions.to_vec() });
                self.in_doubt(error)
            }),
        }
    }

    pub(crate) fn is_in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    fn in_doubt(&self, source: Error) -> Error {
        Error::Doubt { table: self.table.clone(), source: Box::new(source) }
    }

    fn conflict(&self) -> Error {
        Error::Conflict { table: self.table.clone(), version: self.next }
    }

    /// A version on a disk, with its copy.
    fn rename(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let name = format!("{DIR}/{}", file_name(self.next));
        let copy = format!("{COPIES}/{}", file_name(self.next));
        if self.store.exists(&name)? {
            return Err(self.conflict());
        }
        self.store.remove(&copy)?;
        self.store.write_new(&copy, bytes)?;
        self.store.sync_dir(COPIES)?;
        self.store.publish(&name, bytes, Put::Create)?;
        if let Err(error) = self.store.sync_dir(DIR) {
            // The name may or may not survive: it is taken back, now or by the next commit.
            if self.store.remove(&name).and_then(|()| self.store.sync_dir(DIR)).is_err() {
                self.doubt = Some(Doubt::Undo);
                return Err(self.in_doubt(error));
            }
            return Err(error);
        }
        self.next += 1;
        Ok(())
    }

    /// A version in a store of objects, which keeps copies of its own.
    fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let name = format!("{DIR}/{}", file_name(self.next));
        match self.store.publish(&name, bytes, Put::Create) {
            Ok(()) => {}
            Err(Error::Disk { source, .. }) if source.kind() == ErrorKind::AlreadyExists => {
                // Ours, if the answer to an earlier try was lost.
                if self.store.read(&name)?.as_deref() != Some(bytes) {
                    return Err(self.conflict());
                }
            }
            Err(error) => return Err(error),
        }
        self.next += 1;
        Ok(())
    }

    /// Ends a doubt: the actions of the version that turned out to be part of the log.
    ///
    /// # Errors
    /// It is still in doubt; or another program took its number, and then the log is to be read
    /// again.
    pub(crate) fn settle(&mut self) -> Result<Vec<Action>, Error> {
        match self.doubt.take() {
            None => Ok(Vec::new()),
            Some(Doubt::Undo) => {
                let name = format!("{DIR}/{}", file_name(self.next));
                let undone = self.store.remove(&name).and_then(|()| self.store.sync_dir(DIR));
                undone.map(|()| Vec::new()).inspect_err(|_| self.doubt = Some(Doubt::Undo))
            }
            Some(Doubt::Push { bytes, actions }) => match self.push(&bytes) {
                Ok(()) => Ok(actions),
                Err(conflict @ Error::Conflict { .. }) => Err(conflict),
                Err(lost) => {
                    self.doubt = Some(Doubt::Push { bytes, actions });
                    Err(self.in_doubt(lost))
                }
            },
        }
    }
}

#[cfg(test)]
mod tests;
