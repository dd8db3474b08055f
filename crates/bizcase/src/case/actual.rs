//! A case that meets its fleet: what was forecast of an input and of the fleet, and the case with
//! what was measured in their place.
//!
//! *Invariant:* the case that was forecast stays as it is; a measured value goes into a copy.

use super::run::Chunk;
use super::{Case, Run, Slot, Source};
use crate::dist::Distribution;
use crate::error::Error;

impl Case {
    /// Devices in use in the given months, one value for each trial; months beyond the horizon
    /// have none.
    ///
    /// # Errors
    /// As [`Case::run`].
    pub fn installed(&self, run: Run, months: &[u32]) -> Result<Vec<Vec<f64>>, Error> {
        let chunks = self.chunks(run)?;
        let of = |month: &u32| {
            if *month > self.horizon {
                return Vec::new();
            }
            let at = |chunk: &Chunk| {
                let count = chunk.outcomes.len();
                let start = *month as usize * count;
                chunk.base.get(start..start + count).unwrap_or_default().to_vec()
            };
            chunks.iter().flat_map(at).collect()
        };
        Ok(months.iter().map(of).collect())
    }

    /// What was forecast of an input, in the unit of its figure: a yearly share is asked as the
    /// monthly one it compounds to.
    #[must_use]
    pub fn forecast(&self, slot: Slot) -> Option<Distribution> {
        const POINTS: u32 = 999;
        let Some(drawn) = self.distribution(slot) else { return self.computed(slot, POINTS) };
        let twin = self.twin(slot);
        if twin.is_none() {
            return Some(drawn.clone());
        }
        let p = |i: u32| f64::from(i) / f64::from(POINTS + 1);
        let values: Vec<f64> =
            (1..=POINTS).map(|i| self.compounded(slot, drawn.quantile(p(i)))).collect();
        Distribution::empirical(&values).ok()
    }

    /// What a formula of uncertain inputs gives.
    fn computed(&self, slot: Slot, points: u32) -> Option<Distribution> {
        let run = Run { trials: points, seed: 1, threads: 1 };
        let values = self.values(slot, run).ok()?;
        let first = *values.first()?;
        if values.iter().all(|value| *value == first) {
            return Some(Distribution::from(first));
        }
        Distribution::empirical(&values).ok()
    }

    /// Puts what is known of an input in its place, in the unit of its figure. A yearly share that
    /// compounds to a monthly one gets the monthly one.
    pub fn learn(&mut self, slot: Slot, value: Distribution) {
        let at = self.twin(slot).unwrap_or(slot);
        if let Some(variable) = self.variables.get_mut(at) {
            variable.text = value.describe();
            variable.source = Source::Drawn(value);
        }
    }

    /// The slot that follows from another by compounding.
    fn twin(&self, slot: Slot) -> Option<Slot> {
        let of = |source: &Source| match source {
            Source::MonthlyShare(of) | Source::MonthlyRate(of) => *of == slot,
            Source::Drawn(_) | Source::Formula(_) => false,
        };
        self.variables.iter().position(|variable| of(&variable.source))
    }

    fn compounded(&self, slot: Slot, value: f64) -> f64 {
        match self.twin(slot).map(|twin| &self.variables[twin].source) {
            Some(Source::MonthlyShare(_)) => {
                1.0 - libm::pow((1.0 - 12.0 * value).clamp(0.0, 1.0), 1.0 / 12.0)
            }
            Some(Source::MonthlyRate(_)) => libm::pow(1.0 + 12.0 * value, 1.0 / 12.0) - 1.0,
            Some(Source::Drawn(_) | Source::Formula(_)) | None => value,
        }
    }

    /// What a device brings in a month by what is sold, all inputs at their median.
    #[must_use]
    pub fn income_per_device_month(&self) -> f64 {
        let numbers = self.medians();
        let fleet_size = numbers[self.fleet_size];
        let lines = self.lines.iter().filter(|line| line.direction == super::Direction::In);
        lines
            .map(|line| {
                let amount: f64 = line.factors.iter().map(|slot| numbers[*slot]).product();
                match line.driver {
                    super::Driver::DeviceMonth => amount,
                    super::Driver::CustomerMonth => amount / fleet_size,
                    super::Driver::Placed
                    | super::Driver::Added
                    | super::Driver::Replaced
                    | super::Driver::Left
                    | super::Driver::CustomerAdded
                    | super::Driver::Month
                    | super::Driver::Once(_)
                    | super::Driver::Age(_)
                    | super::Driver::Volume(_) => 0.0,
                }
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
[case]
horizon = "12 months"
discount = "9 %/year"
fleet_size = "1 device/customer"
adoption = { added = "100 devices/month" }
churn = { value = "20 %/year", actual = "fleet.churn" }
[case.income]
fee = "9 EUR/device/month"
[case.cost.radio]
fixed = "0.40 EUR/device/month"
data = "0.02 EUR/MB"
sessions = "24/device/day"
actual = "fleet.data"
[case.risk.recall]
probability = "5 %"
money = "80000 EUR"
owner = "ann"
"#;

    fn case() -> Case {
        Case::parse(TEXT).unwrap_or_else(|found| panic!("{found:?}"))
    }

    #[test]
    fn an_input_names_the_figure_that_says_what_it_is() {
        let case = case();
        let bound =
            |b: &super::super::Binding| (case.variables[b.slot].name.clone(), b.metric.clone());
        let all: Vec<_> = case.bindings.iter().map(bound).collect();
        let named = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            all,
            [named("churn", "fleet.churn"), named("cost.radio.megabytes", "fleet.data")]
        );
        assert_eq!((case.risks[0].owner.as_str(), case.risks[0].chance), ("ann", 0.05));
    }

    #[test]
    fn a_yearly_share_is_forecast_and_learnt_as_the_monthly_one() {
        let mut case = case();
        let slot = case.bindings[0].slot;
        let monthly = case.forecast(slot).unwrap().quantile(0.5);
        assert!((monthly - 0.018_423_47).abs() < 1e-7, "{monthly}");
        let before = case.installed(Run { trials: 1, seed: 1, threads: 1 }, &[12]).unwrap();
        // 100 a month, each month 1 - 0.2^(..) stay: the sum of a geometric row.
        let stay = 1.0 - monthly;
        let by_hand = 100.0 * (1.0 - libm::pow(stay, 12.0)) / (1.0 - stay);
        assert!((before[0][0] - by_hand).abs() < 1e-6, "{} {by_hand}", before[0][0]);
        case.learn(slot, Distribution::from(0.02));
        let after = case.installed(Run { trials: 1, seed: 1, threads: 1 }, &[12]).unwrap();
        assert!((after[0][0] - 1_076.416_4).abs() < 1e-3 * 1076.0, "{}", after[0][0]);
    }

    #[test]
    fn a_cost_of_a_formula_is_forecast_from_its_inputs_and_learnt_whole() {
        let text = TEXT.replace(
            "[case.cost.radio]",
            "[case.input]\nwage = \"40 to 60 EUR/h\"\n[case.cost.support]\neach = \
             \"0.05/device/month * 12 min * wage\"\nactual = \"recorded.support\"\n\
             [case.cost.radio]",
        );
        let mut case = Case::parse(&text).unwrap_or_else(|found| panic!("{found:?}"));
        let bound = case.bindings.iter().find(|bound| bound.metric == "recorded.support");
        let slot = bound.unwrap().slot;
        assert_eq!(case.variables[slot].name, "cost.support");
        // 0.05 x a fifth of an hour x 40 to 60.
        let plan = case.forecast(slot).unwrap();
        let near = |p: f64, by_hand: f64| {
            let found = plan.quantile(p);
            assert!((found / by_hand - 1.0).abs() < 0.02, "{p}: {found} {by_hand}");
        };
        near(0.05, 0.40);
        near(0.95, 0.60);
        let run = Run { trials: 50, seed: 1, threads: 1 };
        let before = case.run(run).unwrap().npv.mean;
        case.learn(slot, Distribution::from(1.5));
        assert!(case.run(run).unwrap().npv.mean < before, "support costs three times as much");
    }

    #[test]
    fn what_really_came_takes_the_place_of_what_was_planned() {
        let mut case = case();
        let slot = case.bindings[0].slot;
        case.learn(slot, Distribution::from(0.0));
        case.observed = vec![10.0, 0.0, 5.0];
        let run = Run { trials: 1, seed: 1, threads: 1 };
        let base: Vec<f64> = case
            .installed(run, &[1, 2, 3, 4, 99])
            .unwrap()
            .iter()
            .map(|m| m.iter().sum())
            .collect();
        assert_eq!(base, [10.0, 10.0, 15.0, 115.0, 0.0]);
    }
}
