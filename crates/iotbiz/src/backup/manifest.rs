//! The manifest of a backup: what it holds, file by file, and what the parts say of themselves.
//!
//! *Invariant:* a manifest of a newer format is refused by its number before anything else in it is
//! read.

use std::collections::BTreeMap;

use anyhow::Context;
use model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exit::{self, Failure};

/// Newest format of backups that this program reads and the one it writes.
pub(crate) const FORMAT: u32 = 1;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    /// The program that took it.
    pub(crate) made_by: String,
    /// When it was begun.
    pub(crate) at: Timestamp,
    pub(crate) took_ms: u64,
    pub(crate) log: LogPart,
    pub(crate) records: RecordsPart,
    pub(crate) history: HistoryPart,
    /// What was damaged in the data folder already, in words.
    pub(crate) damage: Vec<String>,
    pub(crate) files: Vec<FilePart>,
}

/// The event log. Everything acknowledged up to `last` is in the backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogPart {
    /// Which log it is: the number that is in all its batches.
    pub(crate) salt: Option<u32>,
    /// Oldest offset; 0 when there is none.
    pub(crate) first: u64,
    /// Last offset; 0 when there is none.
    pub(crate) last: u64,
    pub(crate) last_time: Option<Timestamp>,
    pub(crate) frames: u64,
}

/// What people decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordsPart {
    pub(crate) migration: u64,
    /// Decisions up to here are in the log for certain; later ones are appended at the next start.
    pub(crate) relayed: u64,
    pub(crate) last_seq: u64,
    /// Live records of each kind.
    pub(crate) live: BTreeMap<String, u64>,
}

/// History in Parquet files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HistoryPart {
    /// The store that it lies in, when that is not the data folder: then it is not in the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<String>,
    pub(crate) flushed: u64,
    pub(crate) tables: u64,
    pub(crate) rows: u64,
}

/// A file of the data folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FilePart {
    /// Below the data folder, with `/`.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    /// Set for what is never written again, so that the next backup need not read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sealed: Option<Sealed>,
}

/// A file that is never written again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sealed {
    /// Its size in the data folder, where space that was written ahead may follow.
    pub(crate) bytes: u64,
    /// When it was last written, in nanoseconds: a folder that was restored or set back has other
    /// files under the same names and of the same sizes.
    pub(crate) changed_ns: u64,
    /// First and last offset, for a segment of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) offsets: Option<(u64, u64)>,
    #[serde(default)]
    pub(crate) frames: u64,
}

impl Manifest {
    pub(crate) fn decode(bytes: &[u8], name: &str) -> anyhow::Result<Self> {
        let bad = || format!("read the manifest of backup {name}");
        let value: Value = serde_json::from_slice(bytes).with_context(bad)?;
        let format = value["format"].as_u64().unwrap_or_default();
        if format > u64::from(FORMAT) {
            let what =
                format!("backup {name} has format {format}, this program reads up to {FORMAT}");
            return Err(Failure::new(exit::USAGE, what)
                .fix("restore it with the program that made it, or a newer one")
                .into());
        }
        serde_json::from_value(value).with_context(bad)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Live devices.
    pub(crate) fn devices(&self) -> u64 {
        self.records.live.get("device").copied().unwrap_or_default()
    }
}
