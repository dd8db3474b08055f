//! Whether what was due came, and in time: of the fleet, of what a filter chooses, of one device.
//!
//! *Invariant:* the figures are those of the rules' fold, of which gates make `fleet.on_time` and
//! `fleet.completeness`; `on_time <= complete <= due` of each day (UTC), today until now. What was
//! never expected has no share: null, not zero.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use identity::Action;
use model::{DeviceId, Timestamp};
use pipeline::Asked;
use rules::{DELIVERY_DAYS_MAX, Due};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::devices::{find, parse_filter};
use crate::extract::Params;
use crate::json::{Look, Named};
use crate::problem::Problem;

/// Days when nothing is asked.
const DAYS_DEFAULT: usize = 7;
/// Devices that are named, the worst first.
const WORST_MAX: usize = 10;
const DAY_MS: i64 = 86_400_000;

/// What is asked.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct DeliveryQuery {
    /// Which devices: `kind:box site:berlin`; default: all.
    filter: Option<String>,
    /// Name or id of one device, in place of a filter.
    device: Option<String>,
    /// Days up to today, at most 64; default: 7.
    days: Option<usize>,
}

/// Counts and shares.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct DueJson {
    /// Readings that were due by the intervals of the blueprint.
    due: u32,
    /// Of those, that came within twice their interval.
    on_time: u32,
    /// Of those, that came at all.
    complete: u32,
    /// Null when nothing was due.
    on_time_share: Option<f64>,
    /// Null when nothing was due.
    completeness: Option<f64>,
}

/// A day, UTC.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct DeliveryDay {
    /// Such as `2026-11-29`.
    day: String,
    #[serde(flatten)]
    of: DueJson,
}

/// A device that did not deliver all in time.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct DeliveryDevice {
    device: Named,
    #[serde(flatten)]
    of: DueJson,
}

/// What was delivered.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct DeliveryJson {
    /// Devices that were asked about.
    devices: usize,
    #[serde(flatten)]
    of: DueJson,
    /// Oldest first; days without anything due are left out.
    days: Vec<DeliveryDay>,
    /// Devices with the smallest share in time, at most 10; those that delivered all are left out.
    worst: Vec<DeliveryDevice>,
}

fn due_json(due: Due) -> DueJson {
    DueJson {
        due: due.due,
        on_time: due.on_time,
        complete: due.complete,
        on_time_share: due.on_time_share(),
        completeness: due.completeness(),
    }
}

fn day_text(day: i32) -> String {
    let text = Timestamp::from_millis(i64::from(day) * DAY_MS).to_string();
    text.chars().take_while(|letter| *letter != 'T').collect()
}

/// Whether what was due came, and in time.
#[utoipa::path(get, path = "/delivery", tag = "devices", params(DeliveryQuery),
    responses((status = 200, body = DeliveryJson), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<DeliveryQuery>,
) -> Result<Json<DeliveryJson>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let days = query.days.unwrap_or(DAYS_DEFAULT);
    if !(1..=DELIVERY_DAYS_MAX).contains(&days) {
        let why = format!("{days} is not between 1 and {DELIVERY_DAYS_MAX} days");
        return Err(Problem::invalid("days", why));
    }
    let (picture, now) = (app.shard.picture(), app.clock.now());
    let trimmed =
        |text: Option<String>| text.map_or_else(String::new, |text| text.trim().to_owned());
    let (device, filter) = (trimmed(query.device), trimmed(query.filter));
    let names: BTreeMap<DeviceId, String> = if device.is_empty() {
        let filter = parse_filter(Some(&filter))?;
        let matches = |twin: &&std::sync::Arc<twin::DeviceTwin>| {
            filter.matches(twin, Look { picture: &picture, twin, now }.facts())
        };
        let all = picture.twins.devices_by_name(tenant, None).filter(matches);
        all.map(|twin| (twin.id, twin.name.clone())).collect()
    } else {
        let twin = find(&picture, tenant, &device)?;
        caller.may_with(Action::Read, twin.id)?;
        BTreeMap::from([(twin.id, twin.name.clone())])
    };
    let devices: Vec<DeviceId> = names.keys().copied().collect();
    let delivered = app.shard.by_day(devices, Asked::Delivery).await?.delivered;
    let today = i32::try_from(now.as_millis().div_euclid(DAY_MS)).unwrap_or(i32::MAX);
    let first = today.saturating_sub(i32::try_from(days).unwrap_or(i32::MAX) - 1);
    let (mut by_day, mut by_device) = (BTreeMap::<i32, Due>::new(), Vec::new());
    for (device, found) in delivered {
        let mut sum = Due::default();
        for (day, due) in found.into_iter().filter(|(day, _)| *day >= first) {
            sum = sum.plus(due);
            let of_day = by_day.entry(day).or_default();
            *of_day = of_day.plus(due);
        }
        if sum.on_time < sum.due {
            by_device.push((device, sum));
        }
    }
    // In billionths, since floats have no order.
    by_device.sort_by_key(|(device, sum)| {
        let share = u64::from(sum.on_time) * 1_000_000_000 / u64::from(sum.due);
        (share, *device)
    });
    let worst = by_device.into_iter().take(WORST_MAX).filter_map(|(id, sum)| {
        let name = names.get(&id)?.clone();
        Some(DeliveryDevice { device: Named { id: id.to_string(), name }, of: due_json(sum) })
    });
    let all = by_day.values().copied().fold(Due::default(), Due::plus);
    let of_days = by_day.iter().filter(|(_, due)| due.due > 0);
    Ok(Json(DeliveryJson {
        devices: names.len(),
        of: due_json(all),
        worst: worst.collect(),
        days: of_days
            .map(|(day, due)| DeliveryDay { day: day_text(*day), of: due_json(*due) })
            .collect(),
    }))
}
