//! What was found of an assumption, and what was decided at a gate.
//!
//! *Invariant:* evidence is never changed into other evidence: it is withdrawn with a reason, and
//! stays readable. A gate decision is written once.

use model::{Name, Timestamp};
use serde::{Deserialize, Serialize};

use super::{at_most, text};

/// The longest note or reason, in characters.
const NOTE_CHARS_MAX: usize = 2_000;
/// The longest gate file, in bytes.
const GATE_FILE_BYTES_MAX: usize = 1 << 20;

/// A dated result that bears on an assumption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceContent {
    /// Which product line.
    pub venture: Name,
    /// Which assumption of its blueprint.
    pub assumption: Name,
    /// The experiment it is a result of, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<Name>,
    /// What people or things did: `say`, `do`, `pay`, `build` or `measure`.
    pub kind: Name,
    /// Who or what it comes from.
    pub source: String,
    /// When it was found.
    pub at: Timestamp,
    /// What was found.
    pub outcome: OutcomeContent,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Why it no longer counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OutcomeContent {
    /// So many out of so many.
    Counts {
        /// How many did.
        of: u64,
        /// Out of how many.
        out_of: u64,
    },
    /// How much likelier the finding is if the claim holds than if not.
    Ratio(f64),
    /// A mean and its standard error, in the unit of the assumption.
    Mean {
        /// The mean.
        mean: f64,
        /// Its standard error.
        error: f64,
    },
}

/// A decision at a gate, with all it was judged on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateDecisionContent {
    /// Which product line.
    pub venture: Name,
    /// The stage behind the gate.
    pub stage: Name,
    /// The gate file: canonical JSON with its hash.
    pub file: String,
    /// The key that sealed it, as hexadecimal digits.
    pub key: String,
    /// The seal over the file's bytes (Ed25519), as hexadecimal digits.
    pub seal: String,
}

pub(super) fn evidence(content: &EvidenceContent) -> Result<(), String> {
    text("source", &content.source)?;
    for (field, value) in [("note", &content.note), ("withdrawn", &content.withdrawn)] {
        if let Some(value) = value {
            at_most(field, value.chars().count(), NOTE_CHARS_MAX)?;
        }
    }
    let sound = match content.outcome {
        OutcomeContent::Counts { of, out_of } => of <= out_of && out_of > 0,
        OutcomeContent::Ratio(ratio) => ratio > 0.0 && ratio.is_finite(),
        OutcomeContent::Mean { mean, error } => mean.is_finite() && error > 0.0,
    };
    sound.then_some(()).ok_or_else(|| {
        "outcome: use of <= out_of with out_of above 0, a ratio above 0, or a mean with an error \
         above 0"
            .to_owned()
    })
}

pub(super) fn gate_decision(content: &GateDecisionContent) -> Result<(), String> {
    at_most("file", content.file.len(), GATE_FILE_BYTES_MAX)
}
