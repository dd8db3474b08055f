//! A drill: restoring a backup for a trial and looking whether a server can live on it.
//!
//! *Invariant:* the drill works in a folder of its own, which is removed; the server listens on
//! free ports of the loopback address, lets nobody in, and is stopped. Nothing is said to be good
//! that was not read.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use eventlog::OsDisk;
use lake::{Lake, Limits, Settings};
use model::{Clock, Disk, SystemClock};

use super::manifest::Manifest;
use super::restore::{Restored, check, restore};
use super::shelf::{Shelf, Shelved};
use crate::config::Config;
use crate::server::{SHARD, Server, Standing, Trust};

/// One line of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) what: &'static str,
    pub(crate) found: String,
    /// What the manifest says.
    pub(crate) expected: String,
    pub(crate) verdict: Verdict,
}

/// Whether a finding is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    Bad,
}

impl From<bool> for Verdict {
    fn from(good: bool) -> Self {
        if good { Self::Good } else { Self::Bad }
    }
}

impl Verdict {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Bad => "WRONG",
        }
    }
}

/// What a drill found.
#[derive(Debug)]
pub(crate) struct Receipt {
    pub(crate) backup: String,
    pub(crate) findings: Vec<Finding>,
    /// Reading all of it, restoring, starting.
    pub(crate) verify: Duration,
    pub(crate) restore: Duration,
    pub(crate) start: Duration,
    pub(crate) total: Duration,
}

impl Receipt {
    pub(crate) fn good(&self) -> bool {
        self.findings.iter().all(|finding| finding.verdict == Verdict::Good)
    }
}

/// History as it lies in a restored folder.
struct HistoryFound {
    rows: u64,
    tables: u64,
    damaged: Vec<String>,
}

/// Restores a backup below `work`, starts a server on it and compares.
pub(crate) fn drill(
    shelf: &Shelf,
    backup: &Shelved,
    work: &Path,
    progress: &mut dyn FnMut(u64),
) -> anyhow::Result<Receipt> {
    let clock = SystemClock::new();
    let began = clock.monotonic();
    let manifest = &backup.manifest;
    check(shelf, &backup.name, manifest, progress)?;
    let verify = clock.monotonic() - began;
    let folder = work.join("data");
    let restored = restore((shelf, manifest), &folder, &[], progress)?;
    let restore_took = clock.monotonic() - began - verify;
    // Before the first start, which merges files and writes new ones.
    let history = history(&folder)?;
    let log = eventlog::fsck(&OsDisk, &folder.join("log")).context("check the log")?;
    let starting = clock.monotonic();
    let (standing, started) = start(&folder, &clock)?;
    let damaged_log = log
        .segments
        .iter()
        .filter(|segment| matches!(segment.health, eventlog::Health::Damaged(_)))
        .count()
        + log.missing.len();
    let findings = compare(manifest, restored, &history, (damaged_log, standing));
    Ok(Receipt {
        backup: backup.name.clone(),
        findings,
        verify,
        restore: restore_took,
        start: started - starting,
        total: clock.monotonic() - began,
    })
}

fn history(folder: &Path) -> anyhow::Result<HistoryFound> {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let root = folder.join("lake");
    let settings = Settings { root, shard: SHARD.to_owned(), limits: Limits::default() };
    let lake = Lake::open(disk, clock, settings).context("open the history")?;
    let damaged = lake.scrub().context("read the history")?;
    let tables = lake.tables();
    let mut rows = 0;
    for table in &tables {
        rows += lake.sizes(table).context("count the history")?.rows;
    }
    let damaged = damaged.iter().map(ToString::to_string).collect();
    Ok(HistoryFound { rows, tables: tables.len() as u64, damaged })
}

/// Starts a server and stops it; what it held, and when it had caught up.
fn start(folder: &Path, clock: &SystemClock) -> anyhow::Result<(Standing, Duration)> {
    let mut config = Config { data: folder.to_owned(), ..Config::default() };
    config.http.listen.set_port(0);
    config.mqtt.listen.set_port(0);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("start the runtime")?.block_on(async {
        let server = Server::start(&config, Trust::Tokens).await.context("start the server")?;
        let standing = server.standing().await?;
        let started = clock.monotonic();
        server.serve_until(std::future::ready(())).await.context("stop the server")?;
        Ok((standing, started))
    })
}

fn compare(
    manifest: &Manifest,
    restored: Restored,
    history: &HistoryFound,
    (damaged_log, standing): (usize, Standing),
) -> Vec<Finding> {
    let devices = manifest.devices();
    let forgotten = u64::try_from(restored.erased).unwrap_or(u64::MAX);
    let line = |what, found: String, expected: String, good| Finding {
        what,
        found,
        expected,
        verdict: Verdict::from(good),
    };
    let equal = |what, found: u64, expected: u64| {
        line(what, found.to_string(), expected.to_string(), found == expected)
    };
    let last = restored.last.saturating_sub(forgotten);
    vec![
        equal("last offset", last, manifest.log.last),
        line(
            "offset after the start",
            standing.committed.to_string(),
            format!("at least {}", restored.last),
            standing.committed.0 >= restored.last,
        ),
        line(
            "twins",
            standing.twins.to_string(),
            match forgotten {
                0 => devices.to_string(),
                erased => format!("{devices}, less up to {erased} erased"),
            },
            (devices.saturating_sub(forgotten)..=devices).contains(&standing.twins),
        ),
        equal("tables of history", history.tables, manifest.history.tables),
        equal("rows of history", history.rows, manifest.history.rows),
        line(
            "damaged files of history",
            history.damaged.len().to_string(),
            "0".to_owned(),
            history.damaged.is_empty(),
        ),
        line("damaged segments", damaged_log.to_string(), "0".to_owned(), damaged_log == 0),
    ]
}
