//! The Delta log of a table: which files are its history now.
//!
//! *Invariant:* a version exists whole or not at all, and versions have no gaps. The state is a
//! function of the versions alone, so another program that follows the Delta protocol (reader 1,
//! writer 2) sees the same files. Each version carries a checksum and has a copy.
//!
//! There is one writer: the process that holds the lock of the data folder. A version that exists
//! already is a conflict, never overwritten. Protocol: `PROTOCOL.md` of delta-io/delta.

mod action;
mod checkpoint;
mod look;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Timestamp;
use serde_json::{Value, json};

pub(crate) use action::{Action, Changes, FileEntry, Level, Rollup};
pub(crate) use look::look;

use crate::day::Day;
use crate::store::Store;
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
    doubt: bool,
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
        let mut log = Self { store, table, app, next, checkpoints, doubt: false };
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
        if self.doubt || since < CHECKPOINT_VERSIONS {
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
            let aside = format!("{name}.tmp");
            self.store.remove(&aside)?;
            self.store.write_new(&aside, bytes)?;
            self.store.rename(&aside, &name)?;
        }
        let last = json!({ "version": version, "size": size }).to_string();
        let (name, aside) =
            (format!("{DIR}/{LAST_CHECKPOINT}"), format!("{DIR}/{LAST_CHECKPOINT}.tmp"));
        self.store.remove(&aside)?;
        self.store.write_new(&aside, last.as_bytes())?;
        self.store.rename(&aside, &name)?;
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
        let aside = format!("{name}.tmp");
        self.store.remove(&aside)?;
        self.store.write_new(&aside, &bytes)?;
        self.store.rename(&aside, &name)?;
        self.store.sync_dir(DIR)?;
        Ok(actions)
    }

    /// Writes the next version; when it returns without error, the version is durable.
    pub(crate) fn commit(&mut self, actions: &[Action], now: Timestamp) -> Result<(), Error> {
        if self.doubt {
            return Err(Error::Doubt { table: self.table.clone() });
        }
        let bytes = encode(&self.table, &self.app, actions, now).into_bytes();
        let name = format!("{DIR}/{}", file_name(self.next));
        let copy = format!("{COPIES}/{}", file_name(self.next));
        if self.store.exists(&name)? {
            let version = self.next;
            return Err(Error::Conflict { table: self.table.clone(), version });
        }
        self.store.remove(&copy)?;
        self.store.write_new(&copy, &bytes)?;
        self.store.sync_dir(COPIES)?;
        let aside = format!("{name}.tmp");
        self.store.remove(&aside)?;
        self.store.write_new(&aside, &bytes)?;
        self.store.rename(&aside, &name)?;
        if let Err(error) = self.store.sync_dir(DIR) {
            // The name may or may not survive. If it can't be taken back, only a restart can tell.
            let undone = self.store.remove(&name).and_then(|()| self.store.sync_dir(DIR));
            self.doubt = undone.is_err();
            return Err(error);
        }
        self.next += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shape;
    use crate::store::Written;
    use faultsim::{Fault, Op, SimDisk};
    use std::path::PathBuf;

    fn table() -> TableId {
        TableId {
            tenant: model::TenantId::from_u128(1),
            venture: "coolbox".parse().unwrap(),
            kind: "box".parse().unwrap(),
        }
    }

    fn open(disk: &SimDisk) -> Result<(DeltaLog, State), Error> {
        let store = Store::new(Arc::new(disk.clone()), PathBuf::from("t"));
        DeltaLog::open(store, table(), "iotbiz/0".into())
    }

    fn file(path: &str, from: u64) -> Action {
        let written = Written { bytes: 10, blocks: [7].into() };
        let entry = FileEntry {
            path: path.to_owned(),
            day: "2026-11-25".parse().unwrap(),
            written,
            rows: 3,
            first: 1_795_608_000_000,
            last: 1_795_608_000_123,
            from,
            to: from + 5,
            level: Level::Flushed,
            at: 5,
            rollup: None,
        };
        Action::Add(Arc::new(entry), Changes::Data)
    }

    fn first() -> Vec<Action> {
        let columns = vec![Column {
            name: "temperature".parse().unwrap(),
            shape: Shape::Number,
            unit: "Cel".to_owned(),
            definition: "inside the lid".to_owned(),
        }];
        let at = Timestamp::from_millis(5);
        vec![
            Action::Protocol,
            Action::Describe { columns, created: at },
            Action::Flushed { offset: 9, at },
            file("a", 1),
        ]
    }

    #[test]
    fn the_state_is_the_same_after_opening_again() {
        let disk = SimDisk::new(1);
        let (mut log, state) = open(&disk).unwrap();
        assert!(state.columns.is_none());
        let mut expected = State::default();
        let day = "2026-11-25".parse().unwrap();
        let remove = Action::Remove { path: "a".to_owned(), day, at: 7, changes: Changes::Layout };
        for actions in [first(), vec![file("b", 6), remove]] {
            log.commit(&actions, Timestamp::from_millis(7)).unwrap();
            actions.into_iter().for_each(|action| expected.apply(action));
        }
        let (_, state) = open(&disk).unwrap();
        assert_eq!(format!("{state:?}"), format!("{expected:?}"));
        assert_eq!(state.flushed, 9);
        assert_eq!(state.files().count(), 1);
    }

    #[test]
    fn a_flipped_bit_in_any_byte_of_a_version_is_mended_from_its_copy() {
        let disk = SimDisk::new(1);
        let (mut log, _) = open(&disk).unwrap();
        log.commit(&first(), Timestamp::from_millis(7)).unwrap();
        let path = PathBuf::from("t/_delta_log/00000000000000000000.json");
        let good = disk.bytes(&path).unwrap();
        for at in 0..good.len() {
            disk.flip(&path, at, 1).unwrap();
            let (_, state) = open(&disk).unwrap();
            assert_eq!((state.flushed, state.files().count()), (9, 1), "byte {at}");
            // A bit of who wrote it changes nothing and need not be mended.
            if disk.bytes(&path).unwrap() != good {
                disk.flip(&path, at, 1).unwrap();
            }
        }
        disk.flip(&path, 200, 1).unwrap();
        disk.flip(&PathBuf::from("t/_copy/00000000000000000000.json"), 200, 1).unwrap();
        assert_eq!(open(&disk).unwrap_err().kind(), model::ErrorKind::Corrupt);
    }

    #[test]
    fn a_commit_that_failed_is_tried_again_with_the_same_number() {
        for op in [Op::Create, Op::Write, Op::Sync, Op::SyncDir, Op::Rename] {
            for skip in 0..2 {
                let disk = SimDisk::new(1);
                let (mut log, _) = open(&disk).unwrap();
                disk.fail(op, skip, Fault::Full);
                let mut tries = 0;
                while log.commit(&first(), Timestamp::from_millis(7)).is_err() {
                    tries += 1;
                    assert!(tries < 3);
                }
                let (_, state) = open(&disk).unwrap();
                assert_eq!((state.flushed, log.next), (9, 1), "{op:?}");
            }
        }
    }

    #[test]
    fn a_commit_that_returned_survives_the_loss_of_power() {
        for seed in 0..200 {
            let disk = SimDisk::new(seed);
            let (mut log, _) = open(&disk).unwrap();
            disk.power_off_after(seed % 20);
            let mut done = 0;
            while log.commit(&first(), Timestamp::from_millis(7)).is_ok() {
                done += 1;
            }
            drop(log);
            disk.crash();
            let (log, _) = open(&disk).unwrap();
            assert!(log.next == done || log.next == done + 1, "seed {seed}");
        }
    }

    #[test]
    fn the_state_is_the_same_after_checkpoints_and_a_bad_one_is_done_without() {
        let disk = SimDisk::new(1);
        let (mut log, mut state) = open(&disk).unwrap();
        let day: Day = "2026-11-25".parse().unwrap();
        let mut commit = |log: &mut DeltaLog, actions: Vec<Action>| {
            log.commit(&actions, Timestamp::from_millis(7)).unwrap();
            actions.into_iter().for_each(|action| state.apply(action));
            log.checkpoint(&state, Timestamp::from_millis(8)).unwrap();
            format!("{state:?}")
        };
        commit(&mut log, first());
        let mut expected = String::new();
        for n in 0..350 {
            let path = format!("_day=2026-11-25/{n}");
            let remove =
                Action::Remove { path: path.clone(), day, at: 7, changes: Changes::Layout };
            let last = n % 10 == 0;
            let add = vec![file(&path, n)];
            expected = commit(&mut log, if last { add } else { [add, vec![remove]].concat() });
        }
        assert_eq!(log.checkpoints, [199, 299]);
        let names = disk_names(&disk);
        assert_eq!(names.iter().filter(|name| name.ends_with(".json")).count(), 151);
        assert!(names.iter().any(|name| name.ends_with("299.checkpoint.parquet")));
        for damage in ["", "t/_copy/00000000000000000299.state"] {
            if !damage.is_empty() {
                disk.flip(&PathBuf::from(damage), 300, 1).unwrap();
            }
            let (log, state) = open(&disk).unwrap();
            assert_eq!(format!("{state:?}"), expected);
            assert_eq!(log.next, 351);
        }
    }

    fn disk_names(disk: &SimDisk) -> Vec<String> {
        let paths = model::Disk::list(disk, &PathBuf::from("t/_delta_log")).unwrap();
        paths.iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn another_writers_version_is_a_conflict() {
        let disk = SimDisk::new(1);
        let (mut one, _) = open(&disk).unwrap();
        let (mut other, _) = open(&disk).unwrap();
        one.commit(&first(), Timestamp::from_millis(7)).unwrap();
        let refused = other.commit(&first(), Timestamp::from_millis(7)).unwrap_err();
        assert_eq!(refused.kind(), model::ErrorKind::Conflict);
    }
}
