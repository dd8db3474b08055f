//! A list of named steps with their times, and one plain line of counts at the end.
//!
//! *Invariant:* every step adds at least one to passed or failed, so a step that was skipped in
//! silence cannot look green.

use std::time::{Duration, Instant};

use anyhow::Result;

/// What was tried and how it went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests or checks that held.
    pub passed: u64,
    /// Tests or checks that did not hold, or could not be run.
    pub failed: u64,
}

impl Tally {
    /// One check that held.
    pub const ONE: Self = Self { passed: 1, failed: 0 };

    /// Adds another tally.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// The steps done so far.
#[derive(Debug, Default)]
pub struct Steps {
    only: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    took: Duration,
    tally: Tally,
    note: String,
}

impl Steps {
    /// Steps of these names alone; all of them when there is no name.
    #[must_use]
    pub fn only(names: &[String]) -> Self {
        Self { only: names.to_vec(), rows: Vec::new() }
    }

    /// Whether nothing was run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Runs a step, shows its time and keeps going when it fails: a person wants the whole list.
    #[expect(clippy::disallowed_methods, reason = "a task measures real time")]
    pub fn step(&mut self, name: &str, work: impl FnOnce() -> Result<Tally>) {
        if !self.only.is_empty() && !self.only.iter().any(|wanted| wanted == name) {
            return;
        }
        println!("\n==> {name}");
        let start = Instant::now();
        let result = work();
        let took = start.elapsed();
        let (tally, note) = match result {
            Ok(Tally { passed: 0, failed: 0 }) => {
                (Tally { passed: 0, failed: 1 }, "nothing was checked".to_owned())
            }
            Ok(tally) => (tally, String::new()),
            Err(error) => (Tally { passed: 0, failed: 1 }, format!("{error:#}")),
        };
        let seconds = took.as_secs_f64();
        println!("<== {name}: {} passed, {} failed, {seconds:.1} s", tally.passed, tally.failed);
        if !note.is_empty() {
            println!("    {note}");
        }
        self.rows.push(Row { name: name.to_owned(), took, tally, note });
    }

    /// The table of all steps; its last line is `N passed, N failed`.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut total = Tally::default();
        let mut took = Duration::ZERO;
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0).max(5);
        let mut text =
            format!("{:width$}  {:>8}  {:>6}  {:>6}\n", "step", "time", "passed", "failed");
        for row in &self.rows {
            total.add(row.tally);
            took += row.took;
            let seconds = format!("{:.1} s", row.took.as_secs_f64());
            let Tally { passed, failed } = row.tally;
            text += &format!("{:width$}  {seconds:>8}  {passed:>6}  {failed:>6}", row.name);
            if !row.note.is_empty() {
                text += &format!("  {}", row.note.replace('\n', " "));
            }
            text.push('\n');
        }
        let seconds = format!("{:.1} s", took.as_secs_f64());
        let Tally { passed, failed } = total;
        text += &format!("{:width$}  {seconds:>8}  {passed:>6}  {failed:>6}\n", "total");
        text += &format!("\n{passed} passed, {failed} failed");
        text
    }

    /// Everything added up.
    #[must_use]
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        for row in &self.rows {
            total.add(row.tally);
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_everything() {
        let mut steps = Steps::default();
        steps.step("one", || Ok(Tally { passed: 3, failed: 1 }));
        steps.step("two", || Err(anyhow::anyhow!("mosquitto is missing")));
        let text = steps.summary();
        assert!(text.ends_with("\n3 passed, 2 failed"), "{text}");
        assert!(text.contains("mosquitto is missing"), "{text}");
    }

    #[test]
    fn a_step_that_is_not_asked_for_is_not_run() {
        let mut steps = Steps::only(&["two".to_owned()]);
        steps.step("one", || Ok(Tally { passed: 0, failed: 1 }));
        steps.step("two", || Ok(Tally::ONE));
        assert_eq!(steps.total(), Tally::ONE);
    }

    #[test]
    fn a_step_that_checked_nothing_fails() {
        let mut steps = Steps::default();
        steps.step("empty", || Ok(Tally::default()));
        assert_eq!(steps.total(), Tally { passed: 0, failed: 1 });
    }
}
