//! Scores: a declared formula over what people gave, and how they came to be what they are.
//!
//! *Invariant:* a score carries the formula, its revision and each input with who gave it; where
//! one is missing there is no number. A changed formula scores what was given before anew, and what
//! the old one said stays in the history.

use std::collections::BTreeMap;

use expr::{Expected, Program, Scope, Slot, Type, Unit};
use model::{Name, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::settings::{Input, Settings};

/// What somebody gave for an input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// The number.
    pub value: f64,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// A formula, ready to score.
#[derive(Debug, Clone)]
pub struct Formula {
    program: Program,
    inputs: Vec<Name>,
}

/// What a formula says of an idea.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The number; none when something is missing or it cannot be computed.
    pub value: Option<f64>,
    /// Inputs that nobody gave.
    pub missing: Vec<Name>,
}

/// A score at a time of the past.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreAt {
    /// Since when it held.
    pub at: Timestamp,
    /// Revision of the formula; 0 is the one that nobody declared.
    pub formula_revision: u64,
    /// The formula.
    pub formula: String,
    /// What it said.
    pub value: Option<f64>,
    /// The inputs it was computed from.
    pub inputs: BTreeMap<Name, Given>,
}

struct Inputs<'a>(&'a BTreeMap<Name, Input>);

impl Scope for Inputs<'_> {
    fn resolve(&self, path: &[&str]) -> Option<Type> {
        let [name] = path else { return None };
        let known = self.0.keys().any(|input| input.as_str() == *name);
        known.then(|| Type::Number(Unit::one()))
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().map(ToString::to_string).collect()
    }
}

impl Formula {
    /// Reads the formula of the settings.
    ///
    /// # Errors
    /// It does not compile, gives no plain number, or leaves out an input.
    pub fn compile(settings: &Settings) -> Result<Self, Error> {
        let text = settings.formula.as_str();
        let wanted = Expected::In(Unit::one());
        let program = expr::compile(text, &Inputs(&settings.inputs), &wanted);
        let program = program.map_err(|errors| {
            let told = errors.iter().map(|error| {
                let place = text.get(..error.span.start).unwrap_or_default().chars().count() + 1;
                let help = error.help.as_ref().map(|help| format!(" ({help})"));
                format!("column {place}: {error}{}", help.unwrap_or_default())
            });
            Error::field("/formula", told.collect::<Vec<_>>().join("; "))
        })?;
        let mut inputs = Vec::new();
        for slot in program.slots() {
            let Slot::Path(path) = slot else {
                let reason = "a score is computed from its inputs: no windows, no ranges";
                return Err(Error::field("/formula", reason));
            };
            let known = settings.inputs.keys().find(|input| input.as_str() == &**path);
            inputs.extend(known.cloned());
        }
        if let Some(unused) = settings.inputs.keys().find(|input| !inputs.contains(input)) {
            let reason = format!("it does not use the input {unused}: use it or leave it out");
            return Err(Error::field("/formula", reason));
        }
        Ok(Self { program, inputs })
    }

    /// Scores what was given.
    #[must_use]
    pub fn score(&self, given: &BTreeMap<Name, Given>) -> Score {
        let value = |name: &Name| given.get(name).map_or(f64::NAN, |given| given.value);
        let slots: Vec<f64> = self.inputs.iter().map(value).collect();
        let missing = self.inputs.iter().filter(|name| !given.contains_key(*name));
        let missing: Vec<_> = missing.cloned().collect();
        let value = self.program.number(slots.as_slice()).filter(|_| missing.is_empty());
        Score { value, missing }
    }
}

/// Whether `value` may be given for an input.
pub(crate) fn fits(name: &Name, input: &Input, value: f64) -> Result<(), Error> {
    let place = || format!("/inputs/{name}");
    if !value.is_finite() {
        return Err(Error::field(place(), "it is not a number"));
    }
    let below = input.min.is_some_and(|min| value < min);
    let above = input.max.is_some_and(|max| value > max);
    if below || above {
        let end = |end: Option<f64>, open: &str| {
            end.map_or_else(|| open.to_owned(), |end| end.to_string())
        };
        let (min, max) = (end(input.min, "any"), end(input.max, "any"));
        return Err(Error::field(place(), format!("{value} is not between {min} and {max}")));
    }
    Ok(())
}

impl Settings {
    /// Puts what somebody gave into `given`; a null takes it back.
    ///
    /// # Errors
    /// There is no such input, or the number is out of its range.
    pub fn give(
        &self,
        given: &mut BTreeMap<Name, Given>,
        asked: &BTreeMap<String, Option<f64>>,
        (by, at): (&str, Timestamp),
    ) -> Result<(), Error> {
        for (name, value) in asked {
            let known = self.inputs.iter().find(|(input, _)| input.as_str() == name);
            let Some((known, input)) = known else {
                let names: Vec<_> = self.inputs.keys().map(Name::as_str).collect();
                let shown: String = name.chars().take(40).collect();
                let reason = format!("{shown:?} is no input: use {}", names.join(", "));
                return Err(Error::field("/inputs", reason));
            };
            match value {
                None => {
                    given.remove(known);
                }
                Some(value) => {
                    fits(known, input, *value)?;
                    let by = by.to_owned();
                    given.insert(known.clone(), Given { value: *value, by, at });
                }
            }
        }
        Ok(())
    }
}

/// What was decided, its revision and when.
type Decided<T> = (u64, Timestamp, T);

/// Every score an idea had, oldest first: a new one begins when the formula or an input changed.
#[must_use]
pub fn history(
    formulas: &[Decided<Settings>],
    given: &[Decided<BTreeMap<Name, Given>>],
) -> Vec<ScoreAt> {
    let Some((_, born, _)) = given.first() else { return Vec::new() };
    let changes = formulas.iter().map(|change| change.1).chain(given.iter().map(|change| change.1));
    let mut times: Vec<Timestamp> = changes.filter(|at| at >= born).collect();
    times.sort_unstable();
    times.dedup();
    let mut told: Vec<ScoreAt> = Vec::new();
    for at in times {
        let settings = formulas.iter().rev().find(|change| change.1 <= at);
        let inputs = given.iter().rev().find(|change| change.1 <= at);
        let Some((_, _, inputs)) = inputs else { continue };
        let (formula_revision, settings) = match settings {
            Some((revision, _, settings)) => (*revision, settings.clone()),
            None => (0, Settings::default()),
        };
        let value = Formula::compile(&settings).ok().and_then(|f| f.score(inputs).value);
        let formula = settings.formula;
        let next = ScoreAt { at, formula_revision, formula, value, inputs: inputs.clone() };
        let same = told.last().is_some_and(|last| {
            last.formula == next.formula && last.value == next.value && last.inputs == next.inputs
        });
        // Before the first input there is nothing to tell.
        let early = told.is_empty() && next.inputs.is_empty();
        if !same && !early {
            told.push(next);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Preset;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn given(pairs: &[(&str, f64)]) -> BTreeMap<Name, Given> {
        let asked = pairs.iter().map(|(name, value)| ((*name).to_owned(), Some(*value))).collect();
        let mut given = BTreeMap::new();
        Settings::default().give(&mut given, &asked, ("usr_1", at(1))).unwrap();
        given
    }

    const RICE: [(&str, f64); 4] =
        [("reach", 500.0), ("impact", 2.0), ("confidence", 0.8), ("effort", 4.0)];

    #[test]
    fn rice_is_reach_times_impact_times_confidence_by_effort() {
        let formula = Formula::compile(&Settings::default()).unwrap();
        assert_eq!(formula.score(&given(&RICE)).value, Some(200.0));
        let part = formula.score(&given(&RICE[..3]));
        assert_eq!((part.value, part.missing[0].as_str()), (None, "effort"));
    }

    #[test]
    fn a_number_out_of_range_or_for_no_input_is_refused_by_name() {
        let settings = Settings::default();
        let mut given = BTreeMap::new();
        let mut told = |name: &str, value: f64| {
            let asked = BTreeMap::from([(name.to_owned(), Some(value))]);
            settings.give(&mut given, &asked, ("usr_1", at(1))).unwrap_err().to_string()
        };
        assert_eq!(told("confidence", 80.0), "80 is not between 0 and 1");
        assert!(told("reech", 1.0).contains("use confidence, effort, impact, reach"));
        assert!(told("effort", f64::NAN).contains("not a number"));
    }

    #[test]
    fn a_changed_formula_scores_anew_and_the_old_score_stays() {
        let (formula, inputs) = Preset::Ice.parts();
        let ice = Settings { formula, inputs, ..Settings::default() };
        let twice = Settings {
            formula: "2 * reach * impact * confidence / effort".to_owned(),
            ..Settings::default()
        };
        let formulas = [(1, at(50), twice), (2, at(90), ice)];
        let inputs = [(1, at(10), BTreeMap::new()), (2, at(20), given(&RICE))];
        let told = history(&formulas, &inputs);
        let shown: Vec<_> = told.iter().map(|s| (s.at, s.formula_revision, s.value)).collect();
        let expected = [(at(20), 0, Some(200.0)), (at(50), 1, Some(400.0)), (at(90), 2, None)];
        assert_eq!(shown, expected);
    }
}
