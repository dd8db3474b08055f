//! Whom the server was told to forget, kept beside the backups.
//!
//! *Invariant:* the list only grows, and a restore plays all of it: what was erased after a backup
//! stays erased. It names ids, never what was erased.
//!
//! ```text
//! 8 digits of the SHA-256 of the rest of the line, a space, {"tenant","subject","offset","at"}
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;
use model::{Frame, Record, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::shelf::{hex, replace};
use crate::exit::{self, Failure};

/// Digits of a line's checksum.
const CHECK_DIGITS: usize = 8;

/// One erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Erasure {
    pub(crate) tenant: String,
    pub(crate) subject: String,
    /// In the log that was backed up.
    pub(crate) offset: u64,
    pub(crate) at: Timestamp,
}

/// Erasures by tenant and subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Erasures(BTreeMap<(String, String), Erasure>);

fn check(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes())).chars().take(CHECK_DIGITS).collect()
}

impl Erasures {
    /// Takes a frame, if it is an erasure.
    pub(crate) fn see(&mut self, record: &Record<'_>) {
        if let Frame::Erased(erased) = &record.frame {
            self.add(Erasure {
                tenant: erased.tenant.to_string(),
                subject: erased.subject.to_owned(),
                offset: record.offset.0,
                at: record.log_time,
            });
        }
    }

    fn add(&mut self, erasure: Erasure) {
        let key = (erasure.tenant.clone(), erasure.subject.clone());
        self.0.insert(key, erasure);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Those that `known` does not have.
    pub(crate) fn without(&self, known: &Self) -> Vec<&Erasure> {
        let missing = self.0.iter().filter(|(key, _)| !known.0.contains_key(*key));
        missing.map(|(_, erasure)| erasure).collect()
    }

    /// Reads a list; none is an empty one.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(|| format!("read {}", file.display())),
        };
        let mut all = Self::default();
        for (number, line) in text.lines().enumerate() {
            let erasure = line
                .split_once(' ')
                .filter(|(said, rest)| *said == check(rest))
                .and_then(|(_, rest)| serde_json::from_str::<Erasure>(rest).ok());
            let Some(erasure) = erasure else {
                let what = format!("line {} of {} is damaged", number + 1, file.display());
                return Err(Failure::new(exit::CHECK_FAILED, what)
                    .why("it says who must stay forgotten, and that cannot be guessed")
                    .fix("restore this file from where the backups are copied to")
                    .into());
            };
            all.add(erasure);
        }
        Ok(all)
    }

    /// Replaces the list.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let mut text = String::new();
        for erasure in self.0.values() {
            let line = serde_json::to_string(erasure).context("write an erasure")?;
            text.push_str(&format!("{} {line}\n", check(&line)));
        }
        replace(file, text.as_bytes()).with_context(|| format!("write {}", file.display()))
    }
}
