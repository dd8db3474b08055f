//! An entry of the usage ledger: everything that a period of a contract was rated from.
//!
//! ```text
//! {"format":"iotbiz-usage-1","contract":"linden","from":...,"to":...,"origins":"real","plan":...}
//! {"device":"dev_...","offset":4711,"property":"temperature","time":"...","value":"3.9"}
//! {"contract":"linden","id":"t-3","source":"desk","time":"...","usage":"tickets","value":"2"}
//! ```
//!
//! *Invariant:* an entry alone gives its bill again, byte for byte, on any machine and without a
//! server; its lines are sorted, so equal readings give equal bytes, in whatever order they came.

use std::fmt::Write as _;

use model::{DeviceId, Name, Offset, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::usage::Amount;
use crate::zone::Period;
use crate::{Billable, Error, Files};

/// Readings of one entry.
const READINGS_MAX: usize = 1_000_000;

/// One reading that counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryReading {
    /// Whose.
    pub device: DeviceId,
    /// Of what.
    pub property: Name,
    /// Event time.
    pub time: Timestamp,
    /// Where it stands in the log.
    pub offset: Offset,
    /// How much.
    pub value: Amount,
}

/// What a period was rated from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name of the contract in the plan text.
    pub contract: String,
    /// The period.
    pub period: Period,
    /// Whose readings count.
    pub billable: Billable,
    /// The plan text.
    pub plan: String,
    readings: Vec<EntryReading>,
    /// Lines of events from outside, canonical and sorted.
    events: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    contract: String,
    from: Timestamp,
    to: Timestamp,
    origins: Origins,
    plan: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Origins {
    Real,
    All,
}

const FORMAT: &str = "iotbiz-usage-1";

/// SHA-256 in lower-case hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

impl Entry {
    /// An entry of these readings, in any order; the same one twice counts once.
    ///
    /// # Errors
    /// More than 1,000,000 readings.
    pub fn new(
        (contract, plan): (String, String),
        (period, billable): (Period, Billable),
        mut readings: Vec<EntryReading>,
    ) -> Result<Self, Error> {
        readings.sort();
        readings.dedup();
        if readings.len() > READINGS_MAX {
            let what = "readings of one contract and period";
            return Err(Error::Limit { what, limit: "readings_max", max: READINGS_MAX });
        }
        Ok(Self { contract, period, billable, plan, readings, events: Vec::new() })
    }

    /// The same with usage lines of events from outside, in any order.
    ///
    /// # Errors
    /// More than 1,000,000 readings and events.
    pub fn with_events(self, mut events: Vec<String>) -> Result<Self, Error> {
        events.sort();
        events.dedup();
        if self.readings.len() + events.len() > READINGS_MAX {
            let what = "readings and events of one contract and period";
            return Err(Error::Limit { what, limit: "readings_max", max: READINGS_MAX });
        }
        Ok(Self { events, ..self })
    }

    /// Its bytes.
    ///
    /// # Errors
    /// JSON cannot be written.
    pub fn to_text(&self) -> Result<String, Error> {
        let origins = match self.billable {
            Billable::Real => Origins::Real,
            Billable::All => Origins::All,
        };
        let head = Head {
            format: FORMAT.to_owned(),
            contract: self.contract.clone(),
            from: self.period.from,
            to: self.period.to,
            origins,
            plan: self.plan.clone(),
        };
        let fault = |error: serde_json::Error| Error::Value { text: error.to_string() };
        let mut text = serde_json::to_string(&head).map_err(fault)?;
        text.push('\n');
        for reading in &self.readings {
            text.push_str(&reading.line());
            text.push('\n');
        }
        for event in &self.events {
            text.push_str(event);
            text.push('\n');
        }
        Ok(text)
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// It is none, or of another version.
    pub fn read(text: &str) -> Result<(EntryOf, Files), Error> {
        let (head, lines) = text.split_once('\n').unwrap_or((text, ""));
        let fault = |error: serde_json::Error| Error::Value { text: error.to_string() };
        let head: Head = serde_json::from_str(head).map_err(fault)?;
        if head.format != FORMAT {
            return Err(Error::Unknown { kind: "format of the usage ledger", name: head.format });
        }
        let billable = match head.origins {
            Origins::Real => Billable::Real,
            Origins::All => Billable::All,
        };
        let period = Period { from: head.from, to: head.to };
        let mut files = Files::new(&head.plan)?.counting(billable).within(period);
        for line in lines.lines() {
            files.add(line);
        }
        Ok((EntryOf { contract: head.contract, period }, files))
    }

    /// The same, ready to be rated.
    ///
    /// # Errors
    /// The plan text cannot be used.
    pub fn files(&self) -> Result<Files, Error> {
        Ok(self.fill(Files::new(&self.plan)?))
    }

    /// The same where the plan text was read before.
    #[must_use]
    pub fn fill(&self, read: Files) -> Files {
        let mut files = read.counting(self.billable).within(self.period);
        for reading in &self.readings {
            files.add(&reading.line());
        }
        self.events.iter().for_each(|event| files.add(event));
        files
    }

    /// How many readings it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.readings.len() + self.events.len()
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.readings.is_empty() && self.events.is_empty()
    }
}

/// Which contract and period an entry is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryOf {
    /// Name of the contract in the plan text.
    pub contract: String,
    /// The period.
    pub period: Period,
}

impl EntryReading {
    fn line(&self) -> String {
        let value = match &self.value {
            Amount::Number(number) => number.normalize().to_string().into(),
            Amount::Boolean(truth) => serde_json::Value::Bool(*truth),
            Amount::Text(text) => text.as_ref().into(),
        };
        serde_json::json!({
            "device": self.device, "offset": self.offset.0, "property": self.property,
            "time": self.time, "value": value,
        })
        .to_string()
    }
}
