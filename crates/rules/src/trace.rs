//! Why a rule said what it said.
//!
//! *Invariant:* a trace holds every value that the condition looked at, when that was measured, and
//! which of them was missing; at most `TRACE_INPUTS_MAX` of them.

use std::fmt::Write as _;
use std::time::Duration;

use expr::{Slot, WindowFunction};
use model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::evaluate::Seeing;
use crate::plan::Compiled;

/// Values of one trace.
const TRACE_INPUTS_MAX: usize = 32;

/// A value that a condition looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Looked {
    /// As it stands in the condition: `avg(temperature, 10 min)`.
    pub name: String,
    /// What it was, in the unit the blueprint stores; absent when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// What it was, when it is a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// When it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
}

/// What a decision was made on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// The condition, as written.
    pub condition: String,
    /// What it said; absent when something was missing.
    pub holds: Option<bool>,
    /// What it looked at.
    pub inputs: Vec<Looked>,
}

impl Trace {
    pub(crate) fn of(compiled: &Compiled, seeing: &Seeing<'_>) -> Self {
        let slots = compiled.program.slots().iter().enumerate().take(TRACE_INPUTS_MAX);
        let inputs = slots.map(|(at, slot)| {
            let value = expr::Env::number(seeing, at);
            Looked {
                name: slot_text(slot),
                value: value.is_finite().then_some(value),
                text: expr::Env::text(seeing, at).map(str::to_owned),
                time: seeing.time(at),
            }
        });
        Self {
            condition: compiled.text.to_string(),
            holds: compiled.program.truth(seeing),
            inputs: inputs.collect(),
        }
    }

    /// The values, on one line: `temperature = 9.3 at 2026-03-01T08:00:00Z`.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = String::new();
        for input in &self.inputs {
            if !line.is_empty() {
                line.push_str(", ");
            }
            let value = match (&input.text, input.value) {
                (Some(text), _) => format!("{text:?}"),
                (None, Some(value)) if input.name.starts_with("silent") => {
                    if value == 0.0 { "no" } else { "yes" }.to_owned()
                }
                (None, Some(value)) => value.to_string(),
                (None, None) => "missing".to_owned(),
            };
            let _infallible = write!(line, "{} = {value}", input.name);
            if let Some(time) = input.time {
                let _infallible = write!(line, " at {time}");
            }
        }
        line
    }
}

/// A length of time as it is typed.
pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_millis() != 0 {
        return format!("{} s", duration.as_secs_f64());
    }
    let units = [("day", 86_400), ("h", 3_600), ("min", 60)];
    let fits =
        units.into_iter().find(|(_, size)| seconds >= *size && seconds.is_multiple_of(*size));
    fits.map_or_else(|| format!("{seconds} s"), |(unit, size)| format!("{} {unit}", seconds / size))
}

const fn function(function: WindowFunction) -> &'static str {
    match function {
        WindowFunction::Avg => "avg",
        WindowFunction::Min => "min",
        WindowFunction::Max => "max",
        WindowFunction::Sum => "sum",
        WindowFunction::Count => "count",
        WindowFunction::Delta => "delta",
        WindowFunction::Rate => "rate",
        WindowFunction::Stddev => "stddev",
    }
}

fn slot_text(slot: &Slot) -> String {
    match slot {
        Slot::Path(path) => path.to_string(),
        Slot::Window { function: of, path, over } => {
            format!("{}({path}, {})", function(*of), human(*over))
        }
        Slot::Silent { link: None, over } => format!("silent({})", human(*over)),
        Slot::Silent { link: Some(link), over } => format!("silent({link}, {})", human(*over)),
        Slot::Inside { position, zone } => format!("inside({position}, {zone})"),
        Slot::Spread(_) => "a range".to_owned(),
    }
}
