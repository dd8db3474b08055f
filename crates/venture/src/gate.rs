//! Gates: criteria against figures, and what follows.
//!
//! *Invariant:* the verdict is a function of the recorded aggregates, the criteria and the time of
//! the decision alone. An assumed or simulated figure never passes, and neither does an old one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use bizcase::calc::evidence::BetaBelief;
use bizcase::{Basis, Explain};
use blueprint::Stage;
use expr::Comparison;
use model::Timestamp;

use crate::Error;
use crate::belief::{Belief, share_holds};

/// Whether a criterion decides or is weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// It decides.
    Must,
    /// It is weighed.
    Should,
}

/// A figure against its target.
#[derive(Debug, Clone, PartialEq)]
pub struct Criterion {
    /// Its name in the blueprint.
    pub name: String,
    /// Whether it decides.
    pub level: Level,
    /// As written.
    pub text: String,
    /// The figure; empty when the criterion is not one figure against one number.
    pub metric: String,
    /// The sign.
    pub comparison: Comparison,
    /// The target, in the unit of the figure.
    pub target: f64,
}

/// A gate's criteria and limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// The stage behind it.
    pub stage: String,
    /// The window figures are taken over.
    pub over: Option<Duration>,
    /// How old a figure may be.
    pub fresh: Option<Duration>,
    /// All criteria, by level and name.
    pub criteria: Vec<Criterion>,
}

/// What a figure was made of: enough to make it again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aggregates {
    /// So many.
    Count(u64),
    /// So many of so many.
    Share {
        /// Numerator.
        of: u64,
        /// Denominator.
        out_of: u64,
    },
    /// One sum by another, each summed in offset order.
    Quotient {
        /// Numerator.
        of: f64,
        /// Denominator.
        by: f64,
    },
    /// Probability that a share stands so to a threshold.
    Belief {
        /// First shape.
        a: f64,
        /// Second shape.
        b: f64,
        /// The sign.
        comparison: Comparison,
        /// The threshold.
        threshold: f64,
    },
    /// A number with nothing behind it that could be made again here.
    Value(f64),
}

/// A figure as it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What it was made of.
    pub aggregates: Aggregates,
    /// Whether it was measured, assumed or simulated.
    pub basis: Basis,
    /// When.
    pub at: Timestamp,
    /// Up to which offset of the log.
    pub offset: u64,
    /// By which revision of its definition.
    pub revision: u64,
}

/// Which origins count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// Real readings alone.
    RealOnly,
    /// All: a demo tenant, whose figures are stamped simulated.
    Demo,
}

/// Where a criterion stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nobody knows the figure.
    Missing,
    /// Somebody believes it.
    Assumed,
    /// Virtual devices say so.
    Simulated,
    /// The target is met.
    Pass,
    /// It is not.
    Fail,
    /// The figure is too old.
    Stale,
}

/// What the criteria say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every must passes.
    Go,
    /// One does not.
    Hold,
}

/// A criterion with its figure and state.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The criterion.
    pub criterion: Criterion,
    /// Its figure.
    pub figure: Option<Figure>,
    /// The number compared.
    pub value: Option<f64>,
    /// Where it stands.
    pub state: State,
    /// Whether the number meets the target, whatever its state.
    pub meets: Option<bool>,
}

/// A judged gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The gate.
    pub gate: Gate,
    /// When.
    pub at: Timestamp,
    /// Which origins counted.
    pub counting: Counting,
    /// Criteria in the gate's order.
    pub judged: Vec<Judged>,
    /// What follows.
    pub verdict: Verdict,
}

impl Level {
    /// The word in the blueprint.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Should => "should",
        }
    }
}

impl Counting {
    /// The word in a gate file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RealOnly => "real",
            Self::Demo => "demo",
        }
    }
}

impl State {
    /// The word shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Assumed => "assumed",
            Self::Simulated => "simulated",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Stale => "stale",
        }
    }
}

impl Verdict {
    /// The word shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Hold => "hold",
        }
    }
}

impl Aggregates {
    /// The figure they make; `None` if it has no value.
    #[must_use]
    pub fn value(self) -> Option<f64> {
        let value = match self {
            Self::Count(n) => n as f64,
            Self::Share { of, out_of } => of as f64 / out_of as f64,
            Self::Quotient { of, by } => of / by,
            Self::Belief { a, b, comparison, threshold } if a > 0.0 && b > 0.0 => {
                share_holds(BetaBelief { a, b }, comparison, threshold)
            }
            Self::Belief { .. } => return None,
            Self::Value(value) => value,
        };
        value.is_finite().then_some(value)
    }

    fn explain(self, label: &str, value: Option<f64>, basis: Basis) -> Explain {
        let leaf = |label: &str, value: f64| Explain::leaf(label, value, "", basis, "");
        let (formula, inputs) = match self {
            Self::Count(n) => ("count", vec![leaf("count", n as f64)]),
            Self::Share { of, out_of } => {
                ("of / out of", vec![leaf("of", of as f64), leaf("out of", out_of as f64)])
            }
            Self::Quotient { of, by } => ("of / by", vec![leaf("of", of), leaf("by", by)]),
            Self::Belief { a, b, threshold, .. } => (
                "P(share against threshold) of beta(a, b)",
                vec![leaf("a", a), leaf("b", b), leaf("threshold", threshold)],
            ),
            Self::Value(value) => ("as given", vec![leaf("value", value)]),
        };
        let mut tree = Explain::computed(label, formula, value.unwrap_or(0.0), inputs);
        tree.value = value;
        tree
    }
}

impl Figure {
    /// The figure of an assumption's probability.
    #[must_use]
    pub fn of_belief(
        belief: &Belief,
        (comparison, threshold): (Comparison, f64),
        at: Timestamp,
        (offset, revision): (u64, u64),
    ) -> Self {
        let aggregates = match belief.share {
            Some(share) => Aggregates::Belief { a: share.a, b: share.b, comparison, threshold },
            None => Aggregates::Value(belief.probability),
        };
        Self { aggregates, basis: belief.basis, at, offset, revision }
    }
}

impl Gate {
    /// The gate of a blueprint.
    #[must_use]
    pub fn of(stage: Stage, gate: &blueprint::Gate) -> Self {
        let mut criteria = Vec::new();
        for (level, from) in [(Level::Must, &gate.must), (Level::Should, &gate.should)] {
            for (name, criterion) in from {
                criteria.push(Criterion {
                    name: name.to_string(),
                    level,
                    text: criterion.formula.to_string(),
                    metric: criterion.metric.clone().unwrap_or_default(),
                    comparison: criterion.comparison.unwrap_or(Comparison::Equal),
                    target: criterion.target.unwrap_or(0.0),
                });
            }
        }
        Self { stage: stage.as_str().to_owned(), over: gate.over, fresh: gate.fresh, criteria }
    }
}

fn state_of(
    figure: &Figure,
    (value, criterion): (f64, &Criterion),
    fresh: Option<Duration>,
    (at, counting): (Timestamp, Counting),
) -> State {
    match (figure.basis, counting) {
        (Basis::Missing, _) => return State::Missing,
        (Basis::Assumed, _) => return State::Assumed,
        (Basis::Simulated, Counting::RealOnly) => return State::Simulated,
        (Basis::Simulated, Counting::Demo) | (Basis::Measured | Basis::Computed, _) => {}
    }
    if fresh.is_some_and(|fresh| at.since(figure.at) > fresh) {
        return State::Stale;
    }
    if criterion.comparison.holds(value, criterion.target) { State::Pass } else { State::Fail }
}

/// Judges a gate at a moment: `figures` by metric.
///
/// # Errors
/// A figure is of after that moment.
pub fn evaluate(
    gate: &Gate,
    figures: &BTreeMap<String, Figure>,
    at: Timestamp,
    counting: Counting,
) -> Result<Evaluation, Error> {
    let mut judged = Vec::with_capacity(gate.criteria.len());
    for criterion in &gate.criteria {
        let figure = figures.get(&criterion.metric).filter(|_| !criterion.metric.is_empty());
        if let Some(figure) = figure
            && figure.at > at
        {
            let id = criterion.metric.clone();
            return Err(Error::Future { id, at: figure.at, now: at });
        }
        let value = figure.and_then(|figure| figure.aggregates.value());
        let state = match (figure, value) {
            (Some(figure), Some(value)) => {
                state_of(figure, (value, criterion), gate.fresh, (at, counting))
            }
            _ => State::Missing,
        };
        let meets = value.map(|value| criterion.comparison.holds(value, criterion.target));
        let (criterion, figure) = (criterion.clone(), figure.cloned());
        judged.push(Judged { criterion, figure, value, state, meets });
    }
    let must = |j: &&Judged| j.criterion.level == Level::Must;
    let passes = judged.iter().filter(must).all(|j| j.state == State::Pass);
    let decides = judged.iter().any(|j| j.criterion.level == Level::Must);
    // A gate without a must opens for nobody.
    let verdict = if passes && decides { Verdict::Go } else { Verdict::Hold };
    Ok(Evaluation { gate: gate.clone(), at, counting, judged, verdict })
}

impl Evaluation {
    /// What stands in the way, in words.
    #[must_use]
    pub fn blockers(&self) -> Vec<String> {
        let open = |j: &&Judged| j.criterion.level == Level::Must && j.state != State::Pass;
        let say = |j: &Judged| {
            format!("{} is {}: {}", j.criterion.name, j.state.as_str(), j.criterion.text)
        };
        self.judged.iter().filter(open).map(say).collect()
    }

    /// How every figure came to be.
    #[must_use]
    pub fn explain(&self) -> Vec<Explain> {
        let tree = |j: &Judged| match &j.figure {
            Some(figure) => figure.aggregates.explain(&j.criterion.metric, j.value, figure.basis),
            None => {
                let name = &j.criterion.metric;
                let mut tree = Explain::leaf(name, 0.0, "", Basis::Missing, "");
                tree.value = None;
                tree
            }
        };
        self.judged.iter().map(tree).collect()
    }

    /// A table for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "gate {}: {}", self.gate.stage, self.verdict.as_str());
        for j in &self.judged {
            let value = j.value.map_or_else(|| "-".to_owned(), bizcase::text::figure);
            let _ = writeln!(
                out,
                "  {:<6} {:<20} {:<9} {:>14}  {}",
                j.criterion.level.as_str(),
                j.criterion.name,
                j.state.as_str(),
                value,
                j.criterion.text
            );
        }
        out
    }
}
