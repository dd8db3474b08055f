//! Latencies, counted in steps of equal width.
//!
//! *Invariant:* a share of the values is read off to one step; what is beyond the last step counts
//! as the last.

const STEP_MICROS: u64 = 10;
/// 4 s.
const STEPS: usize = 400_000;

/// How many values fell into each step.
#[derive(Debug)]
pub(crate) struct Histogram {
    steps: Vec<u32>,
    count: u64,
}

impl Histogram {
    /// Nothing counted yet.
    pub(crate) fn new() -> Self {
        Self { steps: vec![0; STEPS], count: 0 }
    }

    /// Counts one value.
    pub(crate) fn add(&mut self, micros: u64) {
        let step = usize::try_from(micros / STEP_MICROS).unwrap_or(STEPS).min(STEPS - 1);
        if let Some(count) = self.steps.get_mut(step) {
            *count = count.saturating_add(1);
            self.count += 1;
        }
    }

    /// The time within which this share of the values lies, in milliseconds.
    pub(crate) fn millis(&self, share: f64) -> f64 {
        let wanted = share * self.count as f64;
        let mut seen = 0_u64;
        for (step, count) in self.steps.iter().enumerate() {
            seen += u64::from(*count);
            if seen > 0 && seen as f64 >= wanted {
                return (step + 1) as f64 * STEP_MICROS as f64 / 1000.0;
            }
        }
        0.0
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.steps.fill(0);
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_values_lie_within_the_median() {
        let mut histogram = Histogram::new();
        for micros in 1..=1000 {
            histogram.add(micros);
        }
        assert!((histogram.millis(0.5) - 0.5).abs() <= 0.02, "{}", histogram.millis(0.5));
        assert!((histogram.millis(0.99) - 0.99).abs() <= 0.02, "{}", histogram.millis(0.99));
    }

    #[test]
    fn what_takes_for_ever_counts_as_the_last_step() {
        let mut histogram = Histogram::new();
        histogram.add(u64::MAX);
        assert_eq!(histogram.millis(0.5), 4_000.0);
        histogram.clear();
        assert_eq!(histogram.millis(0.5), 0.0);
    }
}
