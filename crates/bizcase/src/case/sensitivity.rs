//! What moves the case: tornado, Sobol indices, break-even, and the difference of two scenarios.
//!
//! *Invariant:* inputs are taken as independent here, whatever the case correlates; results say
//! what they were computed from.

use serde_json::{Value, json};

use super::trial::{Scratch, simulate};
use super::{Case, Run, Slot, Source};
use crate::calc::sensitivity::{Plan, Sensitivity, sobol};
use crate::dist::Sampler;
use crate::error::{Error, refuse};

/// One bar of a tornado: the net present value with one input at its P10 and P90, all others at
/// their median.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// The input.
    pub name: String,
    /// With the input at its 10th percentile.
    pub at_p10: f64,
    /// With the input at its 90th percentile.
    pub at_p90: f64,
}

/// Sobol indices of one input.
#[derive(Debug, Clone, PartialEq)]
pub struct Importance {
    /// The input.
    pub name: String,
    /// Its indices on the net present value.
    pub indices: Sensitivity,
}

/// Where the net present value is zero, all other inputs at their median.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakEven {
    /// The input.
    pub name: String,
    /// Its median.
    pub now: f64,
    /// Its value at zero.
    pub at_zero: f64,
    /// Its unit.
    pub unit: String,
}

/// One input that differs between two scenarios.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The input.
    pub name: String,
    /// As it was written.
    pub before: String,
    /// As it is now.
    pub after: String,
    /// What it adds to the mean net present value, on top of the changes listed before it.
    pub npv: f64,
}

/// Two scenarios run on the same draws.
#[derive(Debug, Clone, PartialEq)]
pub struct ScenarioDiff {
    /// Mean net present value before.
    pub before: f64,
    /// Mean net present value after.
    pub after: f64,
    /// Inputs that differ, in the order of the file.
    pub changes: Vec<Change>,
    /// What lines added, removed or rebuilt explain.
    pub structure: f64,
}

impl ScenarioDiff {
    /// The difference for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let changes: Vec<Value> = self
            .changes
            .iter()
            .map(|c| json!({ "input": c.name, "before": c.before, "after": c.after, "npv": c.npv }))
            .collect();
        json!({
            "npv_before": self.before, "npv_after": self.after, "changes": changes,
            "structure": self.structure,
        })
    }
}

impl Case {
    /// The tornado, widest bar first.
    #[must_use]
    pub fn tornado(&self) -> Vec<Bar> {
        let slots = self.uncertain();
        let mut scratch = Scratch::new(self);
        let mut at = |slot: Slot, p: f64| {
            let mut place = vec![0.5; self.variables.len()];
            place[slot] = p;
            simulate(self, &self.at(&place), &mut scratch).npv
        };
        let mut bars: Vec<Bar> = slots
            .iter()
            .map(|slot| Bar {
                name: self.variables[*slot].name.clone(),
                at_p10: at(*slot, 0.1),
                at_p90: at(*slot, 0.9),
            })
            .collect();
        let width = |bar: &Bar| (bar.at_p90 - bar.at_p10).abs();
        bars.sort_by(|a, b| width(b).total_cmp(&width(a)).then_with(|| a.name.cmp(&b.name)));
        bars
    }

    /// First and total Sobol indices of the net present value, most important first.
    ///
    /// # Errors
    /// Nothing is uncertain, or too much is.
    pub fn sobol(&self, plan: Plan) -> Result<Vec<Importance>, Error> {
        let slots = self.uncertain();
        let all = self.samplers();
        let samplers: Vec<(Slot, &Sampler)> =
            slots.iter().filter_map(|s| all[*s].as_ref().map(|sampler| (*s, sampler))).collect();
        let still = self.medians();
        let indices = sobol(slots.len(), plan, |u| {
            let mut numbers = still.clone();
            for ((slot, sampler), u) in samplers.iter().zip(u) {
                numbers[*slot] = sampler.at(*u);
            }
            self.derive(&mut numbers);
            simulate(self, &numbers, &mut Scratch::new(self)).npv
        })?;
        let mut named: Vec<Importance> = slots
            .iter()
            .zip(indices.inputs)
            .map(|(slot, indices)| Importance { name: self.variables[*slot].name.clone(), indices })
            .collect();
        named.sort_by(|a, b| b.indices.total.total_cmp(&a.indices.total));
        Ok(named)
    }

    /// The value of one input at which the net present value is zero, all others at their median.
    /// The search goes from a hundredth to a hundred times the median (or as far below zero);
    /// `None` if there is no zero.
    ///
    /// # Errors
    /// No input has that name.
    pub fn break_even(&self, name: &str) -> Result<Option<BreakEven>, Error> {
        const STEPS: i32 = 400;
        let drawn = |slot: &Slot| matches!(self.variables[*slot].source, Source::Drawn(_));
        let Some(slot) = self.slot(name).filter(drawn) else {
            return refuse("break_even", format!("no input is called {name}"));
        };
        let still = self.medians();
        let now = still[slot];
        let mut scratch = Scratch::new(self);
        let mut npv = |x: f64| {
            let mut numbers = still.clone();
            numbers[slot] = x;
            self.derive(&mut numbers);
            simulate(self, &numbers, &mut scratch).npv
        };
        // Nearest to today first, in both directions.
        let grid = |i: i32| {
            now * libm::exp(f64::from(i) / f64::from(STEPS) * std::f64::consts::LN_10 * 2.0)
        };
        let mut found: Option<(f64, f64)> = None;
        for i in 0..STEPS {
            for (a, b) in [(grid(i), grid(i + 1)), (grid(-i), grid(-i - 1))] {
                if found.is_none() && (npv(a) < 0.0) != (npv(b) < 0.0) {
                    found = Some((a, b));
                }
            }
        }
        let Some((mut low, mut high)) = found else { return Ok(None) };
        let below = npv(low) < 0.0;
        for _halving in 0..100 {
            let middle = 0.5 * (low + high);
            if (npv(middle) < 0.0) == below {
                low = middle;
            } else {
                high = middle;
            }
        }
        let unit = self.variables[slot].unit.to_string();
        Ok(Some(BreakEven { name: name.to_owned(), now, at_zero: 0.5 * (low + high), unit }))
    }

    /// What the step from this case to `after` does to the mean net present value, input by input,
    /// on the same draws.
    ///
    /// # Errors
    /// As [`Case::run`].
    pub fn diff(&self, after: &Self, run: Run) -> Result<ScenarioDiff, Error> {
        let first = self.run(run)?.npv.mean;
        let mut step = self.clone();
        let mut changes = Vec::new();
        let mut last = first;
        for variable in &after.variables {
            let Source::Drawn(new) = &variable.source else { continue };
            let Some(slot) = step.slot(&variable.name) else { continue };
            let Source::Drawn(old) = &step.variables[slot].source else { continue };
            if old == new {
                continue;
            }
            let before = step.variables[slot].text.clone();
            step.variables[slot].source = variable.source.clone();
            step.variables[slot].text.clone_from(&variable.text);
            let now = step.run(run)?.npv.mean;
            changes.push(Change {
                name: variable.name.clone(),
                before,
                after: variable.text.clone(),
                npv: now - last,
            });
            last = now;
        }
        let end = after.run(run)?.npv.mean;
        Ok(ScenarioDiff { before: first, after: end, changes, structure: end - last })
    }
}
