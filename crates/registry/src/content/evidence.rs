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
    /// What the server read, when the result is the fleet's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<MeasuredContent>,
}

/// What the server read of a fleet, and when the bar of it was set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredContent {
    /// The figure of the catalogue.
    pub metric: String,
    /// First instant of the window.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
    /// The last frame of the log that was read.
    pub offset: u64,
    /// Revision of the blueprint that had set the bar.
    pub revision: u64,
    /// When it was set: before the window began.
    pub bar_set: Timestamp,
    /// Devices that said something.
    pub devices: u64,
    /// The figure itself, which the bars are compared with.
    pub value: f64,
    /// As how many independent answers a share counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_as: Option<f64>,
}

/// What somebody expected of a month before it began, and what came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForecastContent {
    /// Which product line.
    pub venture: Name,
    /// `2026-12`.
    pub month: String,
    /// Whose forecast it is.
    pub by: String,
    /// When it was frozen.
    pub at: Timestamp,
    /// Revision of the blueprint whose case said so.
    pub revision: u64,
    /// How often the case was drawn.
    pub trials: u32,
    /// From which seed.
    pub seed: u64,
    /// The last frame of the log when it was frozen.
    pub offset: u64,
    /// What is forecast.
    pub items: Vec<ForecastItem>,
    /// When its month had closed and it was compared; none: not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<ClosedContent>,
}

/// One figure of a forecast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForecastItem {
    /// An input of the case, `installed`, or an assumption.
    pub what: String,
    /// The figure that will say; none: the state of the assumption does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Its unit; empty for a bare number.
    pub unit: String,
    /// The strongest kind of evidence behind it; `guess` without any.
    pub kind: String,
    /// The 1st to the 99th percentile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub percentiles: Vec<f64>,
    /// That a yes-or-no comes true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
}

/// What came of a forecast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClosedContent {
    /// When it was compared.
    pub at: Timestamp,
    /// The last frame of the log that was read.
    pub offset: u64,
    /// What came, by what was forecast; what nobody could say is left out.
    pub actuals: std::collections::BTreeMap<String, f64>,
}

/// Figures of one forecast.
const FORECAST_ITEMS_MAX: usize = 200;
/// Percentiles of one figure.
const PERCENTILES: usize = 99;

pub(super) fn forecast(content: &ForecastContent) -> Result<(), String> {
    at_most("items", content.items.len(), FORECAST_ITEMS_MAX)?;
    let sound = |item: &ForecastItem| match item.probability {
        Some(p) => item.percentiles.is_empty() && (0.0..=1.0).contains(&p),
        None => {
            item.percentiles.len() == PERCENTILES
                && item.percentiles.iter().all(|value| value.is_finite())
                && item.percentiles.is_sorted()
        }
    };
    let wrong = content.items.iter().find(|item| !sound(item));
    wrong.map_or(Ok(()), |item| {
        Err(format!("items: {} needs {PERCENTILES} percentiles or a probability", item.what))
    })
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
