//! The identity of a reading, and what follows from it when pieces of history meet.
//!
//! *Invariant:* of the values of one identity the one with the greatest (offset, index) is in
//! force, with the place where it first followed another value. Reducing pieces and then their
//! whole gives the same as reducing the whole, whichever neighbouring pieces came first.
//!
//! The identity is (device, property, event time), and for readings with the log's time also their
//! place in the message. [`Keep::Changes`] drops only values equal to the one before, because
//! older files may hold one that this repetition brings back; [`Keep::InForce`] may be used only
//! when nothing older exists elsewhere.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use model::{DeviceId, Origin, Value};

use crate::{Error, Stamp};

/// A row as it lies in memory: values by number of the column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) device: DeviceId,
    pub(crate) time: i64,
    pub(crate) offset: u64,
    pub(crate) index: u32,
    pub(crate) stamp: Stamp,
    pub(crate) origin: Origin,
    pub(crate) source: Option<u64>,
    /// Ascending by column.
    pub(crate) cells: Vec<(u16, Value)>,
}

impl Stored {
    /// The order of rows in every file.
    pub(crate) fn order(&self) -> (DeviceId, i64, u64, u32) {
        (self.device, self.time, self.offset, self.index)
    }

    /// What besides device, time and property makes it the same reading.
    fn identity(&self) -> Identity {
        match self.stamp {
            Stamp::Device => None,
            Stamp::Log => Some((self.source.unwrap_or(self.offset), self.index)),
        }
    }
}

/// Place in a message, when that is part of what a reading is.
type Identity = Option<(u64, u32)>;

/// Which values of one identity stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// All that differ from the one before.
    Changes,
    /// The one in force.
    InForce,
}

/// Drops what the identity rule drops from rows of one device and time, in order of offset.
/// Returns how many values were repetitions.
pub(crate) fn reduce(rows: &mut Vec<Stored>, keep: Keep) -> u64 {
    if rows.len() < 2 {
        return 0;
    }
    let mut repeated = 0;
    // The row that holds what is in force, by identity and column.
    let mut last: Vec<(Identity, u16, usize)> = Vec::new();
    for at in 0..rows.len() {
        let Some(row) = rows.get_mut(at) else { continue };
        let identity = row.identity();
        for (column, value) in std::mem::take(&mut row.cells) {
            let known = last.iter_mut().find(|(id, c, _)| *id == identity && *c == column);
            let Some((_, _, holder)) = known else {
                last.push((identity, column, at));
                push(rows, at, (column, value));
                continue;
            };
            let before = rows.get(*holder).and_then(|row| cell(row, column));
            if before == Some(&value) {
                repeated += 1;
                continue;
            }
            if keep == Keep::InForce
                && let Some(row) = rows.get_mut(*holder)
            {
                row.cells.retain(|(c, _)| *c != column);
            }
            *holder = at;
            push(rows, at, (column, value));
        }
    }
    rows.retain(|row| !row.cells.is_empty());
    repeated
}

fn push(rows: &mut [Stored], at: usize, cell: (u16, Value)) {
    if let Some(row) = rows.get_mut(at) {
        row.cells.push(cell);
    }
}

/// The value of a column.
pub(crate) fn cell(row: &Stored, column: u16) -> Option<&Value> {
    row.cells.iter().find(|(c, _)| *c == column).map(|(_, value)| value)
}

/// Reduces rows in file order.
pub(crate) fn reduce_all(rows: Vec<Stored>, keep: Keep) -> (Vec<Stored>, u64) {
    let mut out = Vec::with_capacity(rows.len());
    let mut repeated = 0;
    let mut group: Vec<Stored> = Vec::new();
    for row in rows {
        if group.first().is_some_and(|first| (first.device, first.time) != (row.device, row.time)) {
            repeated += reduce(&mut group, keep);
            out.append(&mut group);
        }
        group.push(row);
    }
    repeated += reduce(&mut group, keep);
    out.append(&mut group);
    (out, repeated)
}

/// Rows from somewhere, in file order.
pub(crate) type Rows<'a> = Box<dyn Iterator<Item = Result<Stored, Error>> + Send + 'a>;

struct Head {
    row: Stored,
    from: usize,
}

impl Head {
    fn order(&self) -> (DeviceId, i64, u64, u32, usize) {
        let (device, time, offset, index) = self.row.order();
        (device, time, offset, index, self.from)
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}
impl Eq for Head {}
impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives the greatest first, and the smallest is wanted.
        other.order().cmp(&self.order())
    }
}

/// Several pieces as one, in file order and reduced.
pub(crate) struct Merged<'a> {
    sources: Vec<Rows<'a>>,
    heads: BinaryHeap<Head>,
    group: Vec<Stored>,
    ready: std::vec::IntoIter<Stored>,
    keep: Keep,
    started: bool,
    /// How many values were repetitions so far.
    pub(crate) repeated: u64,
}

impl<'a> Merged<'a> {
    pub(crate) fn new(sources: Vec<Rows<'a>>, keep: Keep) -> Self {
        Self {
            sources,
            heads: BinaryHeap::new(),
            group: Vec::new(),
            ready: Vec::new().into_iter(),
            keep,
            started: false,
            repeated: 0,
        }
    }

    fn advance(&mut self, from: usize) -> Result<(), Error> {
        if let Some(row) = self.sources.get_mut(from).and_then(Iterator::next).transpose()? {
            self.heads.push(Head { row, from });
        }
        Ok(())
    }

    /// Takes the next device and time from all pieces.
    fn fill(&mut self) -> Result<(), Error> {
        if !self.started {
            self.started = true;
            (0..self.sources.len()).try_for_each(|from| self.advance(from))?;
        }
        while let Some(head) = self.heads.peek() {
            let same = self
                .group
                .first()
                .is_none_or(|first| (first.device, first.time) == (head.row.device, head.row.time));
            if !same {
                break;
            }
            let Some(head) = self.heads.pop() else { break };
            self.group.push(head.row);
            self.advance(head.from)?;
        }
        self.repeated += reduce(&mut self.group, self.keep);
        self.ready = std::mem::take(&mut self.group).into_iter();
        Ok(())
    }
}

impl Iterator for Merged<'_> {
    type Item = Result<Stored, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.ready.next() {
                return Some(Ok(row));
            }
            if let Err(error) = self.fill() {
                // A piece that broke off can't be merged any further.
                self.sources.clear();
                self.heads.clear();
                self.group.clear();
                return Some(Err(error));
            }
            if self.ready.as_slice().is_empty() && self.heads.is_empty() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(time: i64, offset: u64, stamp: Stamp, cells: &[(u16, i8)]) -> Stored {
        let cells = cells.iter().map(|(c, v)| (*c, Value::Number(f64::from(*v)))).collect();
        Stored {
            device: DeviceId::from_u128(1),
            time,
            offset,
            index: 0,
            stamp,
            origin: Origin::Real,
            source: None,
            cells,
        }
    }

    #[test]
    fn a_later_value_replaces_only_its_own_column() {
        let rows = vec![
            row(1, 10, Stamp::Device, &[(0, 1), (1, 5)]),
            row(1, 20, Stamp::Device, &[(0, 2), (1, 5)]),
        ];
        let (kept, repeated) = reduce_all(rows, Keep::InForce);
        assert_eq!(repeated, 1);
        assert_eq!(
            kept,
            [row(1, 10, Stamp::Device, &[(1, 5)]), row(1, 20, Stamp::Device, &[(0, 2)])]
        );
    }

    #[test]
    fn readings_with_the_logs_time_are_never_one() {
        let rows = vec![row(1, 10, Stamp::Log, &[(0, 1)]), row(1, 20, Stamp::Log, &[(0, 1)])];
        assert_eq!(reduce_all(rows.clone(), Keep::InForce), (rows, 0));
    }

    #[test]
    fn a_value_that_comes_back_keeps_the_offset_of_its_return() {
        let rows: Vec<Stored> = [(10, 1), (15, 2), (20, 1), (30, 1)]
            .map(|(offset, value)| row(1, offset, Stamp::Device, &[(0, value)]))
            .into();
        let (kept, _) = reduce_all(rows, Keep::InForce);
        assert_eq!(kept, [row(1, 20, Stamp::Device, &[(0, 1)])]);
    }

    proptest! {
        #[test]
        fn pieces_reduce_to_the_same_as_the_whole(
            told in prop::collection::vec((0_i64..3, any::<bool>(), 0_u16..2, 0_i8..3), 0..24),
            cuts in prop::collection::vec(0_usize..24, 0..4),
        ) {
            let rows: Vec<Stored> = told
                .iter()
                .zip(1..)
                .map(|((time, log, column, value), offset)| {
                    let stamp = if *log { Stamp::Log } else { Stamp::Device };
                    row(*time, offset, stamp, &[(*column, *value)])
                })
                .collect();
            let sorted = |mut rows: Vec<Stored>| { rows.sort_by_key(Stored::order); rows };
            let (whole, _) = reduce_all(sorted(rows.clone()), Keep::InForce);
            let mut pieces: Vec<Vec<Stored>> = Vec::new();
            let mut from = 0;
            let mut cuts = cuts;
            cuts.sort_unstable();
            for cut in cuts.into_iter().chain([rows.len()]) {
                let cut = cut.clamp(from, rows.len());
                pieces.push(sorted(rows[from..cut].to_vec()));
                from = cut;
            }
            // The oldest piece may be reduced further: nothing is older than it.
            let sources = pieces.into_iter().enumerate().map(|(n, piece)| {
                let keep = if n == 0 { Keep::InForce } else { Keep::Changes };
                let rows: Rows<'_> = Box::new(reduce_all(piece, keep).0.into_iter().map(Ok));
                rows
            });
            let merged = Merged::new(sources.collect(), Keep::InForce);
            let merged: Vec<Stored> = merged.map(Result::unwrap).collect();
            prop_assert_eq!(merged, whole);
        }
    }
}
