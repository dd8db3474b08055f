//! A device as it was: what it had said by a time in the past.
//!
//! *Invariant:* the answer comes from history alone and says so; what history does not keep
//! (settings, links) is named as missing, never shown as empty.

use std::time::Duration;

use model::{Name, ReadingMark, Timestamp};
use serde::Deserialize;

use crate::app::App;
use crate::desired::Twin;
use crate::json::{Look, ReadingJson, mark_word, value_json};
use crate::kept::{KindOf, StateAsked, StateKept, TimedBy, Unkept, ValueKept, ask};
use crate::problem::Problem;

/// How far back a value is looked for when nothing is asked.
const LOOKBACK_DAYS: u16 = 31;
/// How far back a value is looked for at most.
const LOOKBACK_DAYS_MAX: u16 = 3_660;
/// What history does not keep.
const NOTE: &str = "readings only: settings and links of the past are not kept in history";

/// When to look at a twin.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct AtQuery {
    /// RFC 3339: the device as it was then, from history; default: as it is.
    #[param(value_type = Option<String>)]
    pub(crate) at: Option<Timestamp>,
    /// With `at`: values at most this much older, 1 to 3660; default: 31.
    lookback_days: Option<u16>,
}

impl AtQuery {
    fn lookback(&self) -> Result<Duration, Problem> {
        let days = self.lookback_days.unwrap_or(LOOKBACK_DAYS);
        if days == 0 || days > LOOKBACK_DAYS_MAX {
            let message = format!("{days} is not between 1 and {LOOKBACK_DAYS_MAX}");
            return Err(Problem::invalid("lookback_days", message));
        }
        Ok(Duration::from_secs(86_400 * u64::from(days)))
    }
}

/// A twin as it was at a time.
pub(crate) async fn twin_at(
    app: &App,
    look: &Look<'_>,
    at: Timestamp,
    query: &AtQuery,
) -> Result<Twin, Problem> {
    let twin = look.twin;
    let (of, lookback) = (KindOf::of(twin), query.lookback()?);
    let asked = StateAsked { of, device: twin.id, at, lookback };
    let kept = match ask(app, move |history| history.state_at(&asked)).await? {
        Ok(kept) => kept,
        // A device that had said nothing by then is an answer.
        Err(Unkept::Nothing) => {
            StateKept { values: Vec::new(), offset: app.facts.history.health().offset }
        }
        Err(unkept) => return Err(unkept.problem(&twin.name)),
    };
    let readings =
        kept.values.iter().map(|(name, kept)| (name.to_string(), json(look, name, kept)));
    Ok(Twin::of_the_past(at, kept.offset, readings.collect(), NOTE))
}

fn json(look: &Look<'_>, name: &Name, kept: &ValueKept) -> ReadingJson {
    let mark = match kept.timed_by {
        TimedBy::Device => ReadingMark::DeviceTime,
        TimedBy::Log => ReadingMark::LogTime,
    };
    ReadingJson {
        value: value_json(&kept.value),
        unit: look.unit(name),
        at: kept.time,
        origin: kept.origin.as_str(),
        mark: mark_word(mark),
        offset: kept.offset.0,
    }
}
