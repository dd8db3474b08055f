//! Points of one property, in as many buckets as the screen has pixels.
//!
//! *Invariant:* min and max of each bucket are told, so zooming out never loses a spike; gaps are
//! told, so no line is drawn over missing data; the source is named.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use identity::Action;
use model::{Name, Offset, Timestamp};
use pipeline::{Bucket, History};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::devices::find;
use crate::extract::Params;
use crate::json::Look;
use crate::kept::{Asked, Kept, KindOf, Unkept, ask};
use crate::problem::Problem;

/// What is shown when nothing is asked.
const RANGE_DEFAULT: Duration = Duration::from_secs(15 * 60);
/// Buckets of an answer.
const PX_DEFAULT: u16 = 800;
/// Buckets of an answer, at most.
const PX_MAX: u16 = 8_192;
/// Intervals that may be missed before it is a gap.
const MISSED_INTERVALS: i64 = 3;
/// The same, where durations are multiplied.
const MISSED_INTERVALS_U32: u32 = 3;
/// Frames that history may be behind before an answer says so.
const BEHIND_TOLD: u64 = 10_000;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct HistoryQuery {
    /// A reading of the device.
    property: String,
    /// RFC 3339; default: 15 minutes before `to`.
    #[param(value_type = Option<String>)]
    from: Option<Timestamp>,
    /// RFC 3339; default: now.
    #[param(value_type = Option<String>)]
    to: Option<Timestamp>,
    /// Width of the picture in pixels.
    px: Option<u16>,
}

/// Buckets and gaps.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct HistoryJson {
    property: String,
    unit: Option<String>,
    #[schema(value_type = String)]
    from: Timestamp,
    #[schema(value_type = String)]
    to: Timestamp,
    /// Points behind the buckets.
    points: usize,
    bucket_ms: i64,
    /// `[t_ms, min, max, first, last, count]`, only buckets with points.
    #[schema(value_type = Vec<Vec<f64>>)]
    buckets: Vec<(i64, f64, f64, f64, f64, u32)>,
    /// `[from_ms, to_ms]` where points were expected and none came.
    gaps: Vec<(i64, i64)>,
    /// `memory`: the newest points; `history`: what is kept for good.
    source: &'static str,
    /// What the source means for this answer.
    note: Option<String>,
}

/// Points of one property, min and max per bucket.
#[utoipa::path(get, path = "/devices/{device}/history", tag = "devices",
    params(("device" = String, Path, description = "id or name"), HistoryQuery),
    responses((status = 200, body = HistoryJson), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(device): Path<String>,
    Params(query): Params<HistoryQuery>,
) -> Result<Json<HistoryJson>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let picture = app.shard.picture();
    let twin = find(&picture, tenant, &device)?;
    let now = app.clock.now();
    let to = query.to.unwrap_or(now);
    let from = query.from.unwrap_or(to - RANGE_DEFAULT);
    if from >= to {
        return Err(Problem::invalid("from", format!("{from} is not before {to}")));
    }
    let px = query.px.unwrap_or(PX_DEFAULT);
    if px == 0 || px > PX_MAX {
        return Err(Problem::invalid("px", format!("{px} is not between 1 and {PX_MAX}")));
    }
    let name = query.property.parse::<Name>();
    let name = name.map_err(|error| Problem::invalid("property", error.to_string()))?;
    let look = Look { picture: &picture, twin: &twin, now };
    let in_force = look.in_force();
    let kind = in_force.and_then(|found| found.blueprint.kinds.get(&twin.kind));
    let Some(property) = kind.and_then(|kind| kind.readings.get(&name)) else {
        let message = format!("device kind {} has no reading {name}", twin.kind);
        return Err(Problem::invalid("property", message));
    };
    let every = property.every;
    let history = app.shard.recent().history((tenant, twin.id), name.as_str(), from..to, px);
    let mut json = HistoryJson {
        unit: look.unit(&name),
        property: query.property,
        from,
        to,
        points: history.points,
        bucket_ms: history.bucket_ms,
        gaps: gaps(&history, every),
        note: None,
        buckets: history.buckets.iter().map(shown).collect(),
        source: "memory",
    };
    // Memory has it all when its oldest point is older than what is asked.
    if history.oldest.is_some_and(|oldest| oldest <= from) {
        return Ok(Json(json));
    }
    let asked = Asked {
        of: KindOf::of(&twin),
        device: twin.id,
        property: name,
        from,
        to,
        px,
        gap: every.map_or(Duration::MAX, |every| every.saturating_mul(MISSED_INTERVALS_U32)),
    };
    let kept = ask(&app, move |history| history.chart(&asked)).await?;
    match kept {
        Ok(kept) => json.take(kept, picture.offset),
        Err(Unkept::Nothing) => {}
        Err(Unkept::Invalid(why) | Unkept::Failed(why)) => {
            json.note = Some(format!("only the newest points, from memory: {why}"));
        }
    }
    Ok(Json(json))
}

fn shown(b: &Bucket) -> (i64, f64, f64, f64, f64, u32) {
    (b.from.as_millis(), b.min, b.max, b.first, b.last, b.count)
}

impl HistoryJson {
    /// What is kept instead of what is in memory.
    fn take(&mut self, kept: Kept, newest: Offset) {
        self.points = kept.points;
        self.bucket_ms = kept.bucket_ms;
        self.buckets = kept.buckets.iter().map(shown).collect();
        self.gaps = kept.gaps;
        self.source = "history";
        let behind = newest.0.saturating_sub(kept.offset.0);
        // A few frames are always on their way.
        let late =
            (behind > BEHIND_TOLD).then(|| format!("the newest {behind} frames are not in it yet"));
        self.note = match (kept.note, late) {
            (Some(note), Some(late)) => Some(format!("{note}; {late}")),
            (note, late) => note.or(late),
        };
    }
}

/// Where neighbours are further apart than three expected intervals, to the bucket.
fn gaps(history: &History, every: Option<Duration>) -> Vec<(i64, i64)> {
    let Some(every) = every.and_then(|every| i64::try_from(every.as_millis()).ok()) else {
        return Vec::new();
    };
    let longest = (every * MISSED_INTERVALS).max(history.bucket_ms * 2);
    history
        .buckets
        .windows(2)
        .filter_map(|pair| {
            let [before, after] = pair else { return None };
            let from = before.from.as_millis() + history.bucket_ms;
            let to = after.from.as_millis();
            (to - from > longest).then_some((from, to))
        })
        .collect()
}
