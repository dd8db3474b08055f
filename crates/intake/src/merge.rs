//! One run of several.
//!
//! *Invariant:* it has every row of its sources, in order; the sources are removed by who merges,
//! after the new one is named in the manifest.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::Error;
use crate::run::{Row, Rows, Run};

/// Rows of several runs, in order.
pub(crate) struct Merged<'a> {
    sources: Vec<Rows<'a>>,
    heads: BinaryHeap<Reverse<(Row, usize)>>,
    failed: Option<Error>,
}

impl<'a> Merged<'a> {
    pub(crate) fn of(runs: &'a [Run]) -> Self {
        let sources: Vec<_> = runs.iter().map(Run::all).collect();
        let heads = BinaryHeap::with_capacity(sources.len());
        let mut merged = Self { sources, heads, failed: None };
        for source in 0..merged.sources.len() {
            merged.refill(source);
        }
        merged
    }

    fn refill(&mut self, source: usize) {
        match self.sources.get_mut(source).and_then(Iterator::next) {
            Some(Ok(row)) => self.heads.push(Reverse((row, source))),
            Some(Err(error)) => self.failed = Some(error),
            None => {}
        }
    }
}

impl Iterator for Merged<'_> {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            self.heads.clear();
            return Some(Err(error));
        }
        let Reverse((row, source)) = self.heads.pop()?;
        self.refill(source);
        Some(Ok(row))
    }
}
