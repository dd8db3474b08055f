//! What was recorded, as if it were said again.
//!
//! *Invariant:* rows come in order of time over all kinds of a venture, a stretch at a time; a
//! stretch holds at most [`ROWS_MAX`] rows in memory and is halved until it does.

use std::ops::ControlFlow;
use std::time::Duration;

use api::{Recording, Said, Take, Unkept};
use lake::{Devices, Selection, Span, TableId};
use model::Timestamp;

use super::History;
use super::answers::unkept;

/// Rows of one stretch.
const ROWS_MAX: usize = 500_000;
/// The longest stretch: files are of days.
const STRETCH_MAX: Duration = Duration::from_secs(86_400);
/// The shortest.
const STRETCH_MIN: Duration = Duration::from_secs(60);

/// Whether a stretch fitted.
enum Fits {
    Yes(Vec<Said>),
    No,
}

impl History {
    pub(super) fn replayed(&self, what: &Recording, take: &mut Take<'_>) -> Result<(), Unkept> {
        let mut stretch = STRETCH_MAX;
        let mut from = what.from;
        while from < what.to {
            let to = day_end(from).min(from + stretch).min(what.to);
            match self.stretch(what, Span { from, to })? {
                Fits::Yes(rows) => {
                    from = to;
                    if !rows.is_empty() && take(rows).is_break() {
                        return Ok(());
                    }
                }
                Fits::No if stretch <= STRETCH_MIN => {
                    let why = format!("more than rows_max = {ROWS_MAX} rows in a minute");
                    return Err(Unkept::Invalid(why));
                }
                Fits::No => stretch /= 2,
            }
        }
        Ok(())
    }

    fn stretch(&self, what: &Recording, span: Span) -> Result<Fits, Unkept> {
        let mut rows = Vec::new();
        for kind in &what.kinds {
            let table =
                TableId { tenant: what.tenant, venture: what.venture.clone(), kind: kind.clone() };
            let selection = Selection { table, devices: Devices::All, span };
            let lake = self.lake().map_err(Unkept::Failed)?;
            let read = lake.replay(&selection, &mut |row| {
                rows.push(Said { time: row.time, device: row.device, values: row.values });
                if rows.len() > ROWS_MAX {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            match read.map_err(unkept) {
                Ok(()) | Err(Unkept::Nothing) => {}
                Err(error) => return Err(error),
            }
            if rows.len() > ROWS_MAX {
                return Ok(Fits::No);
            }
        }
        rows.sort_by_key(|said| (said.time, said.device));
        Ok(Fits::Yes(rows))
    }
}

/// The first instant of the next day (UTC).
fn day_end(from: Timestamp) -> Timestamp {
    let day = i64::try_from(STRETCH_MAX.as_millis()).unwrap_or(i64::MAX);
    let begin = from.as_millis().div_euclid(day).saturating_mul(day);
    Timestamp::from_millis(begin.saturating_add(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_ends_with_its_day() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(day_end(at("2026-11-29T21:03:00Z")), at("2026-11-30T00:00:00Z"));
        assert_eq!(day_end(at("2026-11-30T00:00:00Z")), at("2026-12-01T00:00:00Z"));
    }
}
