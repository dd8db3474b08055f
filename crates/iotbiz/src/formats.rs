//! Formats of a data folder: which its parts have, and which this program reads.
//!
//! *Invariant:* a folder with a part of a newer format is refused before anything in it is changed,
//! with the part and both numbers. An older one opens; what that converts is said beforehand by
//! `iotbiz upgrade --check`.
//!
//! `format.json` in the folder names them all; each part also says its own in its files, except for
//! certificates and keys, which are PEM and have the number of the folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;
use eventlog::OsDisk;
use serde::{Deserialize, Serialize};

use crate::backup::shelf::replace;
use crate::exit::{self, Failure};

/// Format of the folder as a whole: which parts there are, and how keys lie in it.
pub(crate) const FOLDER: u64 = 1;
const FILE: &str = "format.json";
/// The part that is the records, whose number is that of their newest migration.
const RECORDS: &str = "records";

/// What `format.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Formats {
    /// The program that wrote it last.
    pub(crate) written_by: String,
    pub(crate) parts: BTreeMap<String, u64>,
}

impl Formats {
    /// What this program writes.
    pub(crate) fn current() -> Self {
        let parts = [
            ("folder", FOLDER),
            ("log", u64::from(eventlog::LOG_FORMAT)),
            ("snapshots", u64::from(eventlog::SNAPSHOT_FORMAT)),
            ("folds", u64::from(pipeline::STATE_VERSION)),
            ("history", lake::FORMAT),
            ("history_decoder", u64::from(pipeline::DECODER_VERSION)),
            (RECORDS, registry::newest_migration()),
        ];
        Self {
            written_by: concat!("iotbiz ", env!("CARGO_PKG_VERSION")).to_owned(),
            parts: parts.into_iter().map(|(part, number)| (part.to_owned(), number)).collect(),
        }
    }

    fn read(data: &Path) -> anyhow::Result<Option<Self>> {
        let path = data.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(
                serde_json::from_slice(&bytes)
                    .with_context(|| format!("read {}", path.display()))?,
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }
}

/// A part of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) found: u64,
    /// The newest that this program reads; 0 when it does not know the part.
    pub(crate) known: u64,
}

impl Part {
    /// What opening it does.
    pub(crate) fn says(&self) -> &'static str {
        match (self.found.cmp(&self.known), &*self.name) {
            (std::cmp::Ordering::Equal, _) => "as this program writes it",
            (std::cmp::Ordering::Greater, _) => "NEWER than this program: it refuses the folder",
            (std::cmp::Ordering::Less, RECORDS) => "older: tables are changed at the first start",
            (std::cmp::Ordering::Less, "folds") => {
                "older: made anew from the log when it is not read"
            }
            (std::cmp::Ordering::Less, _) => "older: read as it is, new files are written anew",
        }
    }
}

/// The parts of a folder as its files say, and as `format.json` does where they do not.
pub(crate) fn look(data: &Path) -> anyhow::Result<Vec<Part>> {
    let current = Formats::current();
    let mut found = Formats::read(data)?.map(|said| said.parts).unwrap_or_default();
    // A folder from before this file: what it had then.
    for part in current.parts.keys() {
        found.entry(part.clone()).or_insert(1);
    }
    let mut note = |part: &str, number: u64| {
        found.insert(part.to_owned(), number);
    };
    if let Some(number) =
        eventlog::log_format(&OsDisk, &data.join("log")).context("read the log")?
    {
        note("log", u64::from(number));
    }
    if let Some(number) = lake::format_of(&data.join("lake")) {
        note("history", number);
    }
    for (name, path) in snapshots(&data.join("snapshots"))? {
        let Some((format, content)) = eventlog::snapshot_versions(&OsDisk, &path)? else {
            continue;
        };
        note("snapshots", u64::from(format));
        match &*name {
            "pipeline" => note("folds", u64::from(content)),
            "lake" => note("history_decoder", u64::from(content)),
            _ => {}
        }
    }
    let database = data.join("registry.db");
    if database.is_file() {
        note(RECORDS, migration(&database)?);
    }
    let known = |part: &str| current.parts.get(part).copied().unwrap_or_default();
    let parts = found.into_iter().map(|(name, found)| Part { known: known(&name), name, found });
    Ok(parts.collect())
}

fn migration(database: &Path) -> anyhow::Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    // Asked from a thread of its own: the caller may be in a runtime already.
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            runtime.context("start the runtime")?.block_on(async {
                registry::migration_of(database).await.context("read the records")
            })
        });
        asked.join().map_err(|_panicked| anyhow::anyhow!("reading the records panicked"))?
    })
}

/// The newest snapshot of each projection.
fn snapshots(folder: &Path) -> anyhow::Result<BTreeMap<String, std::path::PathBuf>> {
    let found = crate::backup::sources::snapshots(folder).context("list the snapshots")?;
    Ok(found.into_iter().map(|(name, _, path)| (name, path)).collect())
}

/// Refuses a folder with a part that is newer than this program.
pub(crate) fn refuse_newer(data: &Path) -> anyhow::Result<()> {
    let parts = look(data)?;
    let newer: Vec<_> = parts.iter().filter(|part| part.found > part.known).collect();
    if newer.is_empty() {
        return Ok(());
    }
    let what = format!("{} was written by a newer iotbiz", data.display());
    let failure = newer.iter().fold(Failure::new(exit::CONFLICT, what), |failure, part| {
        failure.why(format!(
            "{} has format {}, this program reads up to {}",
            part.name, part.found, part.known
        ))
    });
    Err(failure
        .fix("start the newer program again, or restore a backup that the older one took")
        .into())
}

/// Refuses a newer folder, and writes down what this program writes.
pub(crate) fn admit(data: &Path) -> anyhow::Result<()> {
    refuse_newer(data)?;
    let current = Formats::current();
    if Formats::read(data)?.as_ref() == Some(&current) {
        return Ok(());
    }
    let mut text = serde_json::to_vec_pretty(&current).context("write the formats")?;
    text.push(b'\n');
    replace(&data.join(FILE), &text).with_context(|| format!("write {FILE}"))
}
