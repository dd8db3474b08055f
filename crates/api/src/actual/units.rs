//! Figures in the units of the case.
//!
//! *Invariant:* a figure whose unit is not that of its input is left as it is: what a device uses
//! of a priced thing (`[case.use]`) is a bare number there.

use blueprint::ReadingFigure;
use expr::Unit;
use venture::belief::Outcome;
use venture::measure::Measured;

use super::Meeting;

impl Meeting {
    /// How many of the case's unit of an input are one of the figure's: sessions are told by day, a
    /// case counts in months.
    pub(super) fn factor(&self, input: &str, metric: &str) -> f64 {
        let slot = self.case.slot(input);
        let wanted =
            slot.and_then(|slot| self.case.variables.get(slot)).map(|v| v.unit.to_string());
        let wanted = wanted.and_then(|text| Unit::parse(&text).ok());
        let blueprint = &self.found.blueprint;
        let told = match ReadingFigure::parse(metric) {
            Some(figure) => figure.unit(&blueprint.kinds),
            None => {
                let mut all = blueprint::METRICS.iter().chain(blueprint::RECORDED);
                let found = all.find(|known| known.name == metric);
                found.map(|known| known.unit(self.case.currency))
            }
        };
        let factor = told.zip(wanted).and_then(|(told, wanted)| told.convert(1.0, &wanted));
        factor.unwrap_or(1.0)
    }
}

/// The same figure in another unit.
pub(super) fn scaled(found: Measured, by: f64) -> Measured {
    let outcome = match found.outcome {
        Outcome::Mean { mean, error } => Outcome::Mean { mean: mean * by, error: error * by },
        Outcome::Counts { .. } | Outcome::Sample { .. } | Outcome::Ratio(_) => found.outcome,
    };
    let (value, error, sum) = (found.value * by, found.error * by, found.sum * by);
    Measured { value, outcome, error, sum, ..found }
}
