//! From the blueprint's `[assumption]` and `[experiment]` to claims, and bars that stay put.
//!
//! *Invariant:* once an experiment has a result, what it tests, its kind, how many are asked, its
//! pass and its kill bar are what they were; only another experiment can have others.

use std::collections::BTreeMap;

use bizcase::calc::evidence::BetaBelief;
use bizcase::dist::Distribution;
use blueprint::{Assumption, Experiment, Measures};
use expr::{Bar, Family, Spread, Unit};
use model::Name;

use crate::Error;
use crate::belief::{Claim, Prior, kind_word, share_prior};

/// Where an experiment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExperimentState {
    /// No results yet.
    Planned,
    /// Fewer results than were to be asked.
    Running,
    /// The pass bar is reached.
    Passed,
    /// The kill bar is reached.
    Killed,
    /// All results are in and reach neither bar.
    Undecided,
}

impl ExperimentState {
    /// The word shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Running => "running",
            Self::Passed => "passed",
            Self::Killed => "killed",
            Self::Undecided => "undecided",
        }
    }
}

/// Where an experiment about a share stands with these results. Until all are in no bar decides:
/// stopping at a lucky moment is no pass.
#[must_use]
pub fn state_of(experiment: &Experiment, of: u64, out_of: u64) -> ExperimentState {
    if out_of == 0 {
        return ExperimentState::Planned;
    }
    if experiment.asked.is_some_and(|asked| out_of < asked) {
        return ExperimentState::Running;
    }
    let share = of as f64 / out_of as f64;
    let reached = |bar: &Bar| {
        let limit = bar.quantity.in_unit(&Unit::one()).unwrap_or(f64::NAN);
        bar.comparison.holds(share, limit)
    };
    if reached(&experiment.pass) {
        ExperimentState::Passed
    } else if experiment.kill.as_ref().is_some_and(reached) {
        ExperimentState::Killed
    } else {
        ExperimentState::Undecided
    }
}

/// Where an experiment stands whose result is one value in `unit`.
#[must_use]
pub fn state_of_value(experiment: &Experiment, value: f64, unit: &Unit) -> ExperimentState {
    let reached = |bar: &Bar| {
        let limit = bar.quantity.in_unit(unit).unwrap_or(f64::NAN);
        bar.comparison.holds(value, limit)
    };
    if reached(&experiment.pass) {
        ExperimentState::Passed
    } else if experiment.kill.as_ref().is_some_and(reached) {
        ExperimentState::Killed
    } else {
        ExperimentState::Undecided
    }
}

/// Whether two revisions of an experiment have the same bars and ask the same, so that the time at
/// which the first was written is when its bar was set.
#[must_use]
pub fn same_bars(
    (before, assumed_before): (&Experiment, &Assumption),
    (after, assumed_after): (&Experiment, &Assumption),
) -> bool {
    before.tests == after.tests
        && before.kind == after.kind
        && before.measures == after.measures
        && before.pass == after.pass
        && before.kill == after.kill
        && assumed_before.holds == assumed_after.holds
}

/// Where an assumption stands, by the experiments that test it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AssumptionState {
    /// No experiment has a result.
    Untested,
    /// Results are coming in.
    Testing,
    /// Results are in and decide nothing.
    Open,
    /// An experiment passed, and none was killed.
    Supported,
    /// An experiment was killed.
    Refuted,
}

impl AssumptionState {
    /// The word shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Untested => "untested",
            Self::Testing => "testing",
            Self::Open => "open",
            Self::Supported => "supported",
            Self::Refuted => "refuted",
        }
    }
}

/// Where an assumption stands. A killed experiment outweighs any that passed: somebody has to
/// start another and say why.
#[must_use]
pub fn assumption_state(experiments: &[ExperimentState]) -> AssumptionState {
    let any = |state| experiments.contains(&state);
    if any(ExperimentState::Killed) {
        AssumptionState::Refuted
    } else if any(ExperimentState::Passed) {
        AssumptionState::Supported
    } else if any(ExperimentState::Running) {
        AssumptionState::Testing
    } else if any(ExperimentState::Undecided) {
        AssumptionState::Open
    } else {
        AssumptionState::Untested
    }
}

/// Every bar that a new revision moves although there are results; empty if none.
///
/// `results` counts the results of each experiment.
#[must_use]
pub fn moved_bars(
    before: &BTreeMap<Name, Experiment>,
    after: &BTreeMap<Name, Experiment>,
    results: &BTreeMap<Name, u64>,
) -> Vec<Error> {
    let mut moved = Vec::new();
    for (name, old) in before {
        let count = results.get(name.as_str()).copied().unwrap_or(0);
        if count == 0 {
            continue;
        }
        let mut compare = |bar: &'static str, before: String, after: Option<String>| {
            let after = after.unwrap_or_else(|| "removed".to_owned());
            if before != after {
                let experiment = name.to_string();
                moved.push(Error::BarMoved { experiment, bar, before, after, results: count });
            }
        };
        let new = after.get(name.as_str());
        let kill =
            |e: &Experiment| e.kill.as_ref().map_or_else(|| "none".to_owned(), Bar::to_string);
        compare("pass", old.pass.to_string(), new.map(|e| e.pass.to_string()));
        compare("kill", kill(old), new.map(kill));
        compare("tests", old.tests.to_string(), new.map(|e| e.tests.to_string()));
        let word = |e: &Experiment| kind_word(e.kind).to_owned();
        compare("kind", word(old), new.map(word));
        // Fewer would end it at a lucky moment, more would go on until there is one.
        let answers =
            |e: &Experiment| e.asked.map_or_else(|| "any number".to_owned(), |n| n.to_string());
        compare("asked", answers(old), new.map(answers));
        let asked = |e: &Experiment| {
            let days = |m: &Measures| m.over.as_secs() / 86_400;
            let words = |m: &Measures| format!("{} over {} days", m.metric, days(m));
            e.measures.as_ref().map_or_else(|| "none".to_owned(), words)
        };
        compare("metric", asked(old), new.map(asked));
    }
    moved
}

/// Every threshold of an assumption that a new revision moves although it has results.
///
/// `results` counts the results that bear on each assumption.
#[must_use]
pub fn moved_thresholds(
    before: &BTreeMap<Name, Assumption>,
    after: &BTreeMap<Name, Assumption>,
    results: &BTreeMap<Name, u64>,
) -> Vec<Error> {
    let mut moved = Vec::new();
    for (name, old) in before {
        let count = results.get(name.as_str()).copied().unwrap_or(0);
        let was = old.holds.to_string();
        let is =
            after.get(name.as_str()).map_or_else(|| "removed".to_owned(), |a| a.holds.to_string());
        if count > 0 && was != is {
            moved.push(Error::BarMoved {
                experiment: name.to_string(),
                bar: "holds",
                before: was,
                after: is,
                results: count,
            });
        }
    }
    moved
}

/// The unit in which an assumption is weighed: its own, shares as plain numbers (5 %/month is 0.05
/// a month).
#[must_use]
pub fn unit_of(assumption: &Assumption) -> Unit {
    let unit = &assumption.holds.quantity.unit;
    if assumption.count.is_some() || unit.is_like(&Unit::one()) {
        return Unit::one();
    }
    let plain = Unit::parse(&unit.to_string().replace('%', "1")).ok();
    plain.filter(|plain| plain.is_like(unit)).unwrap_or_else(|| unit.clone())
}

/// The claim of an assumption, with its guess as prior; a share without a guess may be any.
///
/// # Errors
/// A quantity without a guess, or a guess that fits no distribution.
pub fn claim(name: &Name, assumption: &Assumption) -> Result<Claim, Error> {
    let holds = &assumption.holds;
    let is_share = assumption.count.is_some() || holds.quantity.unit.is_like(&Unit::one());
    let unit = unit_of(assumption);
    let prior = match (&assumption.guess, is_share) {
        (Some(guess), true) => Prior::Share(share_guess(guess)?),
        (None, true) => Prior::Share(BetaBelief::FLAT),
        (Some(guess), false) => Prior::Quantity(distribution(guess, &unit)?),
        (None, false) => {
            let reason = "a quantity needs a guess, such as \"5 to 10 EUR\"".to_owned();
            return Err(Error::Unfit { id: format!("assumption.{name}"), reason });
        }
    };
    let source = assumption.guess.as_ref().map_or_else(
        || "no guess: any share".to_owned(),
        |guess| format!("guess: {}", guess.describe()),
    );
    Ok(Claim {
        name: format!("assumption.{name}"),
        comparison: holds.comparison,
        threshold: holds.quantity.in_unit(&unit).unwrap_or(f64::NAN),
        prior,
        prior_source: source,
    })
}

/// A guess of a share as a beta: exactly where it is one, else the beta of the same mean and
/// spread.
fn share_guess(guess: &Spread) -> Result<BetaBelief, Error> {
    let one = Unit::one();
    let share = |x: f64| guess.unit.convert(x, &one).unwrap_or(x);
    if let Family::BetaInterval { low, high } = guess.family {
        return share_prior(share(low), share(high));
    }
    if let Family::Beta { alpha, beta } = guess.family {
        return Ok(BetaBelief { a: alpha, b: beta });
    }
    let d = distribution(guess, &one)?;
    let (mean, sd) = (d.mean(), d.sd());
    let size = mean * (1.0 - mean) / (sd * sd) - 1.0;
    if size > 0.0 && size.is_finite() && mean > 0.0 && mean < 1.0 {
        return Ok(BetaBelief { a: mean * size, b: (1.0 - mean) * size });
    }
    let reason = format!("{} is no belief about a share", guess.describe());
    Err(Error::Unfit { id: "guess".to_owned(), reason })
}

/// A spread of the blueprint as a distribution in `unit`.
///
/// # Errors
/// Parameters without a distribution.
pub fn distribution(spread: &Spread, unit: &Unit) -> Result<Distribution, Error> {
    let to = |x: f64| spread.unit.convert(x, unit).unwrap_or(x);
    Ok(match spread.family {
        Family::Constant(value) => to(value).into(),
        Family::Lognormal { low, high } => Distribution::lognormal_interval(to(low), to(high))?,
        Family::Normal { low, high } => Distribution::normal_interval(to(low), to(high))?,
        Family::BetaInterval { low, high } => Distribution::beta_interval(to(low), to(high))?,
        Family::Beta { alpha, beta } => Distribution::beta(alpha, beta, 0.0, 1.0)?,
        Family::Pert { min, mode, max } => Distribution::pert(to(min), to(mode), to(max))?,
        Family::Triangular { min, mode, max } => {
            Distribution::triangular(to(min), to(mode), to(max))?
        }
        Family::Uniform { min, max } => Distribution::uniform(to(min), to(max))?,
        Family::Gaussian { mean, sd } => Distribution::normal(to(mean), to(mean + sd) - to(mean))?,
    })
}
