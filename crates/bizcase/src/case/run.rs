//! Many trials, in chunks that do not depend on the number of threads.
//!
//! *Invariant:* draws are made per (seed, input, trial), chunks have a fixed size, and every sum
//! runs over trials in order by one thread.

use super::trial::{Outcome, Scratch, simulate};
use super::{Case, Correlation, Results, Slot, Source};
use crate::correlate::iman_conover;
use crate::error::{Error, refuse};
use crate::rng::{Stream, name_key};

/// The most trials of one run.
pub const TRIALS_MAX: u32 = 500_000;
/// The most trials times months of one run: 16 bytes each are kept until the fan is drawn.
pub const CELLS_MAX: usize = 1 << 25;
const CHUNK: usize = 512;

/// How often, from which seed, on how many threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// How many trials.
    pub trials: u32,
    /// Same seed, same bytes.
    pub seed: u64,
    /// Threads; 0 for as many as the machine has.
    pub threads: usize,
}

impl Default for Run {
    fn default() -> Self {
        Self { trials: 10_000, seed: 1, threads: 0 }
    }
}

/// One chunk of trials: outcomes, and cash and base month after month (month-major).
pub(super) struct Chunk {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) cash: Vec<f64>,
    pub(super) base: Vec<f64>,
}

impl Case {
    /// Runs the case.
    ///
    /// # Errors
    /// No trials, more than [`TRIALS_MAX`] or [`CELLS_MAX`] allow, correlations that cannot all
    /// hold, or trials whose cash is no number.
    pub fn run(&self, run: Run) -> Result<Results, Error> {
        let chunks = self.chunks(run)?;
        self.refuse_endless(run, &chunks)?;
        Ok(Results::gather(self, run, &chunks))
    }

    /// Trials whose cash is no number would otherwise be left out, and the rest look better or
    /// worse than the case is.
    fn refuse_endless(&self, run: Run, chunks: &[Chunk]) -> Result<(), Error> {
        let outcomes = || chunks.iter().flat_map(|chunk| &chunk.outcomes);
        let count = outcomes().filter(|outcome| !outcome.npv.is_finite()).count();
        let Some(first) = outcomes().position(|outcome| !outcome.npv.is_finite()) else {
            return Ok(());
        };
        let columns = self.columns(run)?;
        let mut numbers = self.medians();
        for (slot, column) in self.uncertain().iter().zip(&columns) {
            numbers[*slot] = column[first];
        }
        self.derive(&mut numbers);
        let endless = self.variables.iter().zip(&numbers).find(|(_, number)| !number.is_finite());
        let what = match endless {
            Some((variable, _)) => format!("{} = {}", variable.name, variable.text),
            None => "the sum of its money".to_owned(),
        };
        let reason = format!(
            "{count} of {} trials have no finite cash: {what} is no number in them; keep what is \
             divided by, or under a root, above zero",
            run.trials
        );
        refuse("case", reason)
    }

    /// All trials in chunks, in the order of the trials.
    pub(super) fn chunks(&self, run: Run) -> Result<Vec<Chunk>, Error> {
        if run.trials == 0 || run.trials > TRIALS_MAX {
            return Err(Error::TooMany {
                what: "trials",
                number: run.trials as usize,
                limit: "TRIALS_MAX",
                max: TRIALS_MAX as usize,
            });
        }
        let cells = run.trials as usize * (self.horizon as usize + 1);
        if cells > CELLS_MAX {
            return Err(Error::TooMany {
                what: "trials x months",
                number: cells,
                limit: "CELLS_MAX",
                max: CELLS_MAX,
            });
        }
        let columns = self.columns(run)?;
        let slots = self.uncertain();
        let still = self.medians();
        let trials = run.trials as usize;
        let starts: Vec<usize> = (0..trials).step_by(CHUNK).collect();
        let chunks = crate::parallel::map(&starts, run.threads, |start| {
            let range = *start..(*start + CHUNK).min(trials);
            self.chunk(&slots, &columns, &still, range)
        });
        Ok(chunks)
    }

    /// One column of draws per uncertain input, correlated where the case says so.
    fn columns(&self, run: Run) -> Result<Vec<Vec<f64>>, Error> {
        let slots = self.uncertain();
        let samplers = self.samplers();
        let mut columns = crate::parallel::map(&slots, run.threads, |slot| {
            let stream = Stream::new(run.seed, name_key(&self.variables[*slot].name));
            match &samplers[*slot] {
                Some(sampler) => {
                    (0..u64::from(run.trials)).map(|t| sampler.at(stream.uniform(t))).collect()
                }
                None => Vec::new(),
            }
        });
        let mut tied: Vec<Slot> = self.correlations.iter().flat_map(|c| [c.a, c.b]).collect();
        tied.sort_unstable();
        tied.dedup();
        if tied.len() < 2 {
            return Ok(columns);
        }
        let target = correlation_matrix(&self.correlations, &tied);
        let places: Vec<usize> =
            tied.iter().filter_map(|slot| slots.iter().position(|s| s == slot)).collect();
        let mut picked: Vec<Vec<f64>> =
            places.iter().map(|place| std::mem::take(&mut columns[*place])).collect();
        iman_conover(&mut picked, &target, run.seed)?;
        for (place, column) in places.into_iter().zip(picked) {
            columns[place] = column;
        }
        Ok(columns)
    }

    /// One number of each trial.
    pub(super) fn values(&self, slot: Slot, run: Run) -> Result<Vec<f64>, Error> {
        let (slots, columns) = (self.uncertain(), self.columns(run)?);
        let mut numbers = self.medians();
        let trials = 0..run.trials as usize;
        Ok(trials
            .map(|trial| {
                for (slot, column) in slots.iter().zip(&columns) {
                    numbers[*slot] = column[trial];
                }
                self.derive(&mut numbers);
                numbers[slot]
            })
            .collect())
    }

    fn chunk(
        &self,
        slots: &[Slot],
        columns: &[Vec<f64>],
        still: &[f64],
        range: std::ops::Range<usize>,
    ) -> Chunk {
        let months = self.horizon as usize + 1;
        let count = range.len();
        let mut scratch = Scratch::new(self);
        let mut numbers = still.to_vec();
        let mut chunk = Chunk {
            outcomes: Vec::with_capacity(count),
            cash: vec![0.0; months * count],
            base: vec![0.0; months * count],
        };
        for (at, trial) in range.enumerate() {
            for (slot, column) in slots.iter().zip(columns) {
                numbers[*slot] = column[trial];
            }
            self.derive(&mut numbers);
            chunk.outcomes.push(simulate(self, &numbers, &mut scratch));
            for month in 0..months {
                chunk.cash[month * count + at] = scratch.cash[month];
                chunk.base[month * count + at] = scratch.base[month];
            }
        }
        chunk
    }

    /// The distribution of an input, if it is one.
    #[must_use]
    pub fn distribution(&self, slot: Slot) -> Option<&crate::Distribution> {
        match self.variables.get(slot).map(|v| &v.source) {
            Some(Source::Drawn(d)) => Some(d),
            Some(Source::Formula(_) | Source::MonthlyShare(_) | Source::MonthlyRate(_)) | None => {
                None
            }
        }
    }
}

/// The correlations among `tied` inputs as a matrix.
pub(super) fn correlation_matrix(given: &[Correlation], tied: &[Slot]) -> Vec<Vec<f64>> {
    let entry = |a: Slot, b: Slot| {
        let pair = |c: &&Correlation| (c.a, c.b) == (a, b) || (c.a, c.b) == (b, a);
        if a == b { 1.0 } else { given.iter().find(pair).map_or(0.0, |c| c.rho) }
    };
    tied.iter().map(|a| tied.iter().map(|b| entry(*a, *b)).collect()).collect()
}
