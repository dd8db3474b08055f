//! What a tenant declared about ideas: the formula and its inputs, the form, limits of warnings.
//!
//! *Invariant:* settings that pass [`Settings::check`] have a formula that compiles over exactly
//! their inputs.

use std::collections::BTreeMap;

use model::Name;
use serde::{Deserialize, Serialize};

use crate::error::{Error, at_most, count, line};
use crate::score::Formula;

/// Inputs of a formula.
const INPUTS_MAX: usize = 16;
/// The longest title of an input, in characters.
const TITLE_CHARS_MAX: usize = 120;
/// The longest help of an input, in characters.
const HELP_CHARS_MAX: usize = 300;
/// After so many days a cell of competitors is stale.
const STALE_DAYS: u32 = 180;
/// How far top-down and bottom-up may lie apart.
const MISMATCH_FACTOR: f64 = 3.0;

/// Whether strangers may send ideas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// The form does not exist for anybody.
    #[default]
    Closed,
    /// Whoever has the address may send one; a person lets it in.
    Open,
}

/// One input of the formula.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// For people.
    pub title: String,
    /// What the numbers mean.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// Smallest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Largest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

/// What a tenant declared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Over the names of `inputs`, in the language of blueprints.
    pub formula: String,
    /// What is asked of each idea.
    pub inputs: BTreeMap<Name, Input>,
    /// Whether strangers may send ideas.
    #[serde(default)]
    pub form: Form,
    /// How far the two sizes of a market may lie apart before there is a warning; above 1.
    #[serde(default = "mismatch_factor")]
    pub mismatch_factor: f64,
    /// From how many days on a cell of competitors is stale.
    #[serde(default = "stale_days")]
    pub stale_days: u32,
}

const fn mismatch_factor() -> f64 {
    MISMATCH_FACTOR
}

const fn stale_days() -> u32 {
    STALE_DAYS
}

/// A formula that people know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Reach, impact, confidence, effort.
    Rice,
    /// Impact, confidence, ease.
    Ice,
    /// Cost of delay by size of the job.
    Wsjf,
}

type Row = (&'static str, &'static str, &'static str, f64, f64);

const RICE: [Row; 4] = [
    ("reach", "Reach", "devices or customers it touches in a quarter", 0.0, 1e9),
    ("impact", "Impact", "0.25 minimal, 0.5 low, 1 medium, 2 high, 3 massive", 0.0, 3.0),
    ("confidence", "Confidence", "0 to 1; evidence says 1, a hunch 0.2", 0.0, 1.0),
    ("effort", "Effort", "person-months until the first device has it", 0.1, 1_000.0),
];
const ICE: [Row; 3] = [
    ("impact", "Impact", "1 to 10", 1.0, 10.0),
    ("confidence", "Confidence", "1 to 10", 1.0, 10.0),
    ("ease", "Ease", "1 to 10; 10 is done tomorrow", 1.0, 10.0),
];
const WSJF: [Row; 4] = [
    ("value", "Value", "for the user, 1 to 21", 1.0, 21.0),
    ("urgency", "Urgency", "what is lost by waiting, 1 to 21", 1.0, 21.0),
    ("risk", "Risk reduced", "or opportunity opened, 1 to 21", 1.0, 21.0),
    ("size", "Size of the job", "1 to 21", 1.0, 21.0),
];

impl Preset {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rice, Self::Ice, Self::Wsjf];

    /// The word on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rice => "rice",
            Self::Ice => "ice",
            Self::Wsjf => "wsjf",
        }
    }

    /// Its formula and inputs.
    #[must_use]
    pub fn parts(self) -> (String, BTreeMap<Name, Input>) {
        let (formula, rows): (_, &[Row]) = match self {
            Self::Rice => ("reach * impact * confidence / effort", &RICE),
            Self::Ice => ("impact * confidence * ease", &ICE),
            Self::Wsjf => ("(value + urgency + risk) / size", &WSJF),
        };
        let input = |(name, title, help, min, max): &Row| {
            let name = name.parse().expect("the names of this table are names");
            let (title, help) = ((*title).to_owned(), (*help).to_owned());
            (name, Input { title, help, min: Some(*min), max: Some(*max) })
        };
        (formula.to_owned(), rows.iter().map(input).collect())
    }
}

impl Default for Settings {
    fn default() -> Self {
        let (formula, inputs) = Preset::Rice.parts();
        Self {
            formula,
            inputs,
            form: Form::Closed,
            mismatch_factor: MISMATCH_FACTOR,
            stale_days: STALE_DAYS,
        }
    }
}

impl Settings {
    /// Whether they may be kept.
    ///
    /// # Errors
    /// The place, the reason and the limit.
    pub fn check(&self) -> Result<(), Error> {
        count("/inputs", ("inputs_max", INPUTS_MAX), self.inputs.len())?;
        for (name, input) in &self.inputs {
            line(&format!("/inputs/{name}/title"), &input.title, TITLE_CHARS_MAX)?;
            at_most(&format!("/inputs/{name}/help"), &input.help, HELP_CHARS_MAX)?;
            let ends = [input.min, input.max];
            let finite = ends.iter().flatten().all(|end| end.is_finite());
            let ordered = input.min.zip(input.max).is_none_or(|(min, max)| min < max);
            if !finite || !ordered {
                let place = format!("/inputs/{name}");
                return Err(Error::field(place, "min and max are numbers, and min is the smaller"));
            }
        }
        if !(self.mismatch_factor.is_finite() && self.mismatch_factor > 1.0) {
            return Err(Error::field("/mismatch_factor", "use a number above 1, such as 3"));
        }
        if self.stale_days == 0 {
            return Err(Error::field("/stale_days", "use a number of days above 0, such as 180"));
        }
        Formula::compile(self).map(|_formula| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_accepted() {
        for preset in Preset::ALL {
            let (formula, inputs) = preset.parts();
            Settings { formula, inputs, ..Settings::default() }.check().unwrap();
        }
    }

    #[test]
    fn a_formula_that_does_not_hold_is_refused_with_its_place() {
        let told = |formula: &str| {
            let settings = Settings { formula: formula.to_owned(), ..Settings::default() };
            let refused = settings.check().unwrap_err();
            format!("{}: {refused}", refused.place())
        };
        let all = [
            "reach * impakt",
            "reach *",
            "reach > 3",
            "",
            "reach + 3 EUR",
            "reach * impact * confidence",
        ];
        let told: Vec<_> = all.into_iter().map(told).collect();
        for (text, told) in all.iter().zip(&told) {
            assert!(told.starts_with("/formula: "), "{text}: {told}");
        }
        assert!(told[0].contains("impact"), "{}", told[0]);
        assert!(told[5].contains("effort"), "{}", told[5]);
    }
}
