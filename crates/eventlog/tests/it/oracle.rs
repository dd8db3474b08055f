//! Thousands of lives on a simulated disk against a naive model.
//!
//! What must hold after every power failure: everything that was committed is there; nothing is
//! there that was not appended; the order, offsets and times are those given at append; appending
//! goes on. `SEEDS` in all, the failing one is in the message.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use eventlog::{Batch, Committer, Error, Log, Options, Progress};
use faultsim::{Fault, Op, Rng, SimClock, SimDisk, Syncs};
use model::{Frame, Offset, Timestamp};

use crate::threads::session;

const SEEDS: u64 = 3000;
const DIR: &str = "/log";

/// What was appended, by offset.
#[derive(Default)]
struct Model {
    appended: BTreeMap<u64, (Timestamp, Vec<u8>)>,
    committed: u64,
    trimmed: u64,
    counter: u64,
}

struct World {
    seed: u64,
    rng: Rng,
    disk: SimDisk,
    clock: SimClock,
    model: Model,
    options: Options,
    happened: Happened,
}

/// What happened in all lives: a run in which nothing happens proves nothing.
#[derive(Debug, Default)]
struct Happened {
    commits: u64,
    cuts: u64,
    lost: u64,
    full: u64,
    rotations: u64,
    trims: u64,
}

type Verdict = Result<(), String>;

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let options = Options {
            segment_bytes: rng.between(1500, 8000),
            pending_bytes_max: 3000,
            commit_bytes_max: rng.index(4000),
            frame_bytes_max: 2000,
            hot_bytes_max: rng.index(4000),
            grow_bytes: rng.below(3) * 700,
            committer: Committer::Stepped,
            salt: Some(77),
            ..Options::default()
        };
        let disk = SimDisk::new(rng.next_u64());
        let clock = SimClock::new(Timestamp::from_millis(1_000_000));
        let (model, happened) = (Model::default(), Happened::default());
        Self { seed, rng, disk, clock, model, options, happened }
    }

    fn open(&self) -> Result<Log, Error> {
        let disk = Arc::new(self.disk.clone());
        Log::open(disk, Arc::new(self.clock.clone()), Path::new(DIR), self.options.clone())
    }

    fn append(&mut self, log: &Log) -> Verdict {
        let mut batch = Batch::default();
        let mut contents = Vec::new();
        for _ in 0..self.rng.between(1, 5) {
            // Unique, so that anything misplaced is seen.
            let mut content = self.model.counter.to_le_bytes().to_vec();
            self.model.counter += 1;
            content.resize(8 + self.rng.index(300), 0);
            self.rng.fill(&mut content[8..]);
            batch.push(&session(&content));
            contents.push(content);
        }
        match log.append(&mut batch) {
            Ok(appended) => {
                for (n, content) in contents.into_iter().enumerate() {
                    let offset = appended.first.0 + n as u64;
                    self.model.appended.insert(offset, (appended.log_time, content));
                }
                Ok(())
            }
            Err(Error::Full { .. } | Error::Closed) => Ok(()),
            Err(error) => Err(format!("append: {error}")),
        }
    }

    fn step(&mut self, log: &Log) -> Verdict {
        let before = log.committed().0;
        match log.step() {
            Ok(Progress::Committed(last)) => {
                self.model.committed = last.0;
                self.happened.commits += 1;
                if last == log.committed() { Ok(()) } else { Err("committed differs".into()) }
            }
            progress if log.committed().0 == before => {
                self.happened.full += u64::from(matches!(progress, Ok(Progress::DiskFull)));
                Ok(())
            }
            other => Err(format!("{other:?} but committed moved")),
        }
    }

    /// Reads everything from `from` and compares.
    fn check_from(&self, log: &Log, from: u64, bytes_max: usize) -> Verdict {
        let mut next = from.max(log.first().0);
        let mut time = Timestamp::from_millis(0);
        while next <= log.committed().0 {
            let frames = log.read(Offset(next), bytes_max).map_err(|e| format!("read: {e}"))?;
            for record in frames.iter() {
                let record = record.map_err(|e| e.to_string())?;
                if record.offset.0 != next || record.log_time < time {
                    return Err(format!("{} at {next}, {}", record.offset, record.log_time));
                }
                let Frame::Session(found) = record.frame else { return Err("kind".into()) };
                match self.model.appended.get(&next) {
                    None => return Err(format!("phantom {next}")),
                    Some((at, content)) if *at != record.log_time || content != found.content => {
                        return Err(format!("{next} is not what was appended"));
                    }
                    Some(_) => {}
                }
                time = record.log_time;
                next += 1;
            }
            if frames.is_empty() || frames.next().0 != next {
                return Err(format!("frames end at {next}, next is {}", frames.next()));
            }
        }
        Ok(())
    }

    fn check_recovered(&mut self, log: &Log) -> Verdict {
        let (first, last) = (log.first().0, log.committed().0);
        if last < self.model.committed {
            return Err(format!("lost: {last} of {} committed", self.model.committed));
        }
        if first > self.model.trimmed.max(1) {
            return Err(format!("first is {first}, trimmed below {}", self.model.trimmed));
        }
        if !log.recovery().damage.is_empty() {
            return Err(format!("false alarm: {:?}", log.recovery().damage));
        }
        // What never reached the disk is gone, and its offsets are given again.
        self.happened.lost += self.model.appended.split_off(&(last + 1)).len() as u64;
        self.happened.cuts += u64::from(log.recovery().cut.is_some());
        self.happened.rotations += log.recovery().segments.saturating_sub(1) as u64;
        self.model.committed = last;
        self.check_from(log, 1, 700)
    }

    fn act(&mut self, log: &Log) -> Verdict {
        match self.rng.below(20) {
            0..=8 => self.append(log),
            9..=14 => self.step(log),
            15 => {
                self.clock.advance(Duration::from_millis(self.rng.below(5000)));
                Ok(())
            }
            16 => {
                let back = Duration::from_millis(self.rng.below(100_000));
                self.clock.jump(model::Clock::now(&self.clock) - back);
                Ok(())
            }
            17 => {
                let below = self.rng.below(self.model.committed + 1);
                let trimmed = log.trim(Offset(below));
                self.happened.trims += u64::from(matches!(trimmed, Ok(1..)));
                if trimmed.is_ok() || self.disk.is_off() {
                    self.model.trimmed = self.model.trimmed.max(below);
                }
                Ok(())
            }
            _ if self.disk.is_off() => Ok(()),
            _ => {
                let from = self.rng.between(1, self.model.committed.max(1));
                let max = self.rng.index(3000);
                self.check_from(log, from, max)
            }
        }
    }

    fn misfortune(&mut self) {
        match self.rng.below(6) {
            0..=2 => self.disk.power_off_after(self.rng.below(60)),
            3 => self.disk.fail(Op::Sync, self.rng.below(20), Fault::Io),
            4 => self.disk.fail(Op::Write, self.rng.below(20), Fault::Full),
            _ => {}
        }
    }

    fn life(&mut self) -> Verdict {
        self.misfortune();
        let log = match self.open() {
            Ok(log) => log,
            // Without power, or with a failed sync, opening may fail; the next life tries again.
            Err(Error::Io { .. }) => return Ok(()),
            Err(error) => return Err(format!("open: {error}")),
        };
        self.check_recovered(&log).or_else(|e| if self.disk.is_off() { Ok(()) } else { Err(e) })?;
        for _ in 0..self.rng.between(5, 60) {
            self.act(&log)?;
            if self.disk.is_off() {
                break;
            }
        }
        if self.rng.chance(1, 4) && !self.disk.is_off() {
            let all = self.model.appended.last_key_value().map_or(0, |(last, _)| *last);
            if log.clone().close().is_ok() {
                self.model.committed = self.model.committed.max(all);
            }
        }
        // No handle may write after the crash: those of before are dead.
        self.disk.crash();
        drop(log);
        Ok(())
    }

    fn live(&mut self) -> Verdict {
        for _ in 0..self.rng.between(3, 8) {
            self.life()?;
            self.disk.crash();
        }
        let log = self.open().map_err(|error| format!("last open: {error}"))?;
        self.check_recovered(&log)?;
        self.append(&log)?;
        while log.committed().0 < self.model.appended.last_key_value().map_or(0, |(n, _)| *n) {
            self.step(&log)?;
        }
        self.check_from(&log, 1, 100_000)?;
        let report = eventlog::fsck(&self.disk, Path::new(DIR)).map_err(|e| e.to_string())?;
        if report.is_whole() { Ok(()) } else { Err(format!("{report:?}")) }
    }
}

fn run(seed: u64, syncs: Syncs, happened: &mut Happened) -> Verdict {
    let mut world = World::new(seed);
    world.disk.set_syncs(syncs);
    let verdict = world.live().map_err(|error| format!("seed {}: {error}", world.seed));
    happened.commits += world.happened.commits;
    happened.cuts += world.happened.cuts;
    happened.lost += world.happened.lost;
    happened.full += world.happened.full;
    happened.rotations += world.happened.rotations;
    happened.trims += world.happened.trims;
    verdict
}

#[test]
fn what_was_committed_survives_and_nothing_else_appears() {
    let mut h = Happened::default();
    let failed: Vec<String> =
        (0..SEEDS).filter_map(|seed| run(seed, Syncs::Honest, &mut h).err()).collect();
    let first = &failed[..failed.len().min(5)];
    assert!(failed.is_empty(), "{} of {SEEDS}: {first:#?}", failed.len());
    let rare = h.cuts.min(h.lost).min(h.full).min(h.rotations).min(h.trims);
    assert!(h.commits > 10 * SEEDS && rare > SEEDS / 10, "{h:?}");
}

#[test]
fn the_oracle_notices_a_disk_that_ignores_syncs() {
    let mut h = Happened::default();
    let failed = (0..50).filter(|seed| run(*seed, Syncs::Ignored, &mut h).is_err()).count();
    assert!(failed > 10, "{failed} of 50");
}
