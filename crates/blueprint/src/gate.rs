//! `[gate.<stage>]`: what must and should be true before the next stage.
//!
//! *Invariant:* a criterion compares a figure of the catalogue with a target, so it can be shown
//! with its distance, and recomputed.

use std::collections::BTreeMap;
use std::time::Duration;

use expr::{Comparison, Expected, Slot};
use model::Name;

use crate::metrics::GateScope;
use crate::source::{Reader, Section};
use crate::{Diagnostic, Formula, codes};

/// A stage on the way of a venture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// An idea.
    Idea,
    /// Is the problem real, would they pay?
    Validate,
    /// Can it be built?
    Prototype,
    /// Does it work in the field?
    Pilot,
    /// Does it earn?
    Scale,
    /// How does it get better?
    Optimise,
}

impl Stage {
    /// The word in the blueprint.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idea => "idea",
            Self::Validate => "validate",
            Self::Prototype => "prototype",
            Self::Pilot => "pilot",
            Self::Scale => "scale",
            Self::Optimise => "optimise",
        }
    }
}

pub(crate) const GATE_KEYS: &[&str] = &["over", "fresh", "must", "should"];
/// Stages that have a gate before them.
pub(crate) const GATES: &[(&str, Stage)] = &[
    ("validate", Stage::Validate),
    ("prototype", Stage::Prototype),
    ("pilot", Stage::Pilot),
    ("scale", Stage::Scale),
    ("optimise", Stage::Optimise),
];

/// The gate before a stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// The window its figures are taken over.
    pub over: Option<Duration>,
    /// How old evidence may be.
    pub fresh: Option<Duration>,
    /// What decides.
    pub must: BTreeMap<Name, Criterion>,
    /// What is weighed.
    pub should: BTreeMap<Name, Criterion>,
}

/// A figure and its target.
#[derive(Debug, Clone, PartialEq)]
pub struct Criterion {
    /// As written.
    pub formula: Formula,
    /// The figure, when the criterion is one figure against one number.
    pub metric: Option<String>,
    /// The sign.
    pub comparison: Option<Comparison>,
    /// The target, in the unit of the figure.
    pub target: Option<f64>,
}

impl<'s> Reader<'s> {
    pub(crate) fn gates(
        &mut self,
        root: &Section<'s, '_>,
        scope: &GateScope<'_>,
    ) -> BTreeMap<Stage, Gate> {
        let mut gates = BTreeMap::new();
        let Some(section) = root.section(self, "gate") else { return gates };
        let known: Vec<&str> = GATES.iter().map(|(word, _)| *word).collect();
        section.only(self, &known);
        for (word, stage) in GATES {
            let Some(table) = section.section(self, word) else { continue };
            table.only(self, GATE_KEYS);
            if !table.has("must") {
                table.missing(self, "must", "{ devices = \"fleet.active >= 25\" }");
            }
            let gate = Gate {
                over: table.duration(self, "over"),
                fresh: table.duration(self, "fresh"),
                must: self.criteria(&table, "must", scope),
                should: self.criteria(&table, "should", scope),
            };
            gates.insert(*stage, gate);
        }
        gates
    }

    fn criteria(
        &mut self,
        gate: &Section<'s, '_>,
        key: &str,
        scope: &GateScope<'_>,
    ) -> BTreeMap<Name, Criterion> {
        let mut criteria = BTreeMap::new();
        let Some(table) = gate.section(self, key) else { return criteria };
        for (name, _) in table.names(self) {
            let formula = table.formula(self, name.as_str(), scope, &Expected::Condition);
            let Some(formula) = formula else { continue };
            if formula.program.slots().is_empty() {
                let at = self.place(&table.child(name.as_str())).value;
                let message = format!("{name} names no figure, so nothing can change it");
                let found = Diagnostic::error(codes::TYPE, at, message);
                self.report(found.help("compare a figure: fleet.active >= 25"));
                continue;
            }
            let threshold = formula.program.threshold();
            let metric = threshold.as_ref().and_then(|threshold| match threshold.slot {
                Slot::Path(path) => Some(path.to_string()),
                Slot::Window { .. }
                | Slot::Silent { .. }
                | Slot::Inside { .. }
                | Slot::Spread(_) => None,
            });
            let comparison = threshold.as_ref().map(|threshold| threshold.comparison);
            let target = threshold.as_ref().map(|threshold| threshold.limit);
            criteria.insert(name, Criterion { metric, comparison, target, formula });
        }
        criteria
    }
}
