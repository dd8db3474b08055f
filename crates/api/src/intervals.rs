//! Intervals that the blueprint names and a setting drives: which devices keep to them.
//!
//! *Invariant:* a device has confirmed an interval when it reported it, never because it was told;
//! what it is told is a desired setting like any other, inside its envelope and by a name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use blueprint::{Blueprint, human};
use identity::Action;
use model::{Name, TenantId, Timestamp, Value};
use pipeline::Picture;
use serde::Serialize;
use twin::{DeviceTwin, Status};

use crate::app::App;
use crate::caller::Caller;
use crate::chosen::BULK_DEVICES_MAX;
use crate::code;
use crate::desired::{BulkSet, want};
use crate::devices::offset_header;
use crate::json::{Look, value_json};
use crate::problem::Problem;
use crate::ventures::in_force;

/// Devices that are told by name when they have not confirmed.
const OPEN_SHOWN_MAX: usize = 200;

/// The intervals of a venture, and who keeps to them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Intervals {
    /// Revision of the blueprint in force.
    revision: u64,
    items: Vec<IntervalJson>,
}

/// One interval, over the devices of its kind that are in service.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct IntervalJson {
    kind: String,
    /// The setting that drives it.
    setting: String,
    /// Its place in the blueprint: `temperature.every`.
    drives: String,
    /// Seconds, as the blueprint in force has it.
    value: f64,
    /// As people write it: `15 min`.
    words: String,
    devices: usize,
    /// They reported it.
    confirmed: usize,
    /// They were told and have not reported it.
    waiting: usize,
    /// Nobody told them this.
    untold: usize,
    /// Those that have not confirmed it, by name; the first 200.
    open: Vec<UnconfirmedJson>,
}

/// A device that measures otherwise than the blueprint says, as far as is known.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct UnconfirmedJson {
    device: String,
    name: String,
    /// `waiting` or `untold`.
    state: &'static str,
    /// `live`, `silent` or `never`.
    status: &'static str,
    #[schema(value_type = Option<String>)]
    last_seen: Option<Timestamp>,
    /// When it was told; null: it was not.
    #[schema(value_type = Option<String>)]
    told: Option<Timestamp>,
    /// What it reports instead; null: nothing.
    #[schema(value_type = Option<Object>)]
    reported: Option<serde_json::Value>,
    /// What happens with it now.
    next: &'static str,
}

/// An interval that another text changes, while devices keep the one they have.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct MovedInterval {
    kind: String,
    setting: String,
    drives: String,
    /// As people write it: `15 min`.
    words: String,
    /// Devices that would have to be told.
    devices: usize,
}

/// A setting that drives the interval of a reading, and the interval that the blueprint names.
#[derive(Debug, Clone, Copy)]
struct Driven<'a> {
    kind: &'a Name,
    setting: &'a Name,
    reading: &'a Name,
    every: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It reported it.
    Confirmed,
    /// It was told.
    Waiting,
    /// It was told something else, or nothing.
    Untold,
}

impl Standing {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Waiting => "waiting",
            Self::Untold => "untold",
        }
    }

    /// What happens with a device that has not confirmed.
    const fn next(self, status: Status) -> &'static str {
        match (self, status) {
            (Self::Confirmed, _) => "it keeps to it",
            (Self::Untold, _) => "nobody told it: it measures as before",
            (Self::Waiting, Status::Live) => {
                "it is heard and has not reported it: it measures as before until it does"
            }
            (Self::Waiting, Status::Silent | Status::Never | Status::Retired) => {
                "it takes it when it next connects, however late; until then it measures as before"
            }
        }
    }
}

/// Every interval that a setting drives.
fn driven(blueprint: &Blueprint) -> impl Iterator<Item = Driven<'_>> {
    blueprint.kinds.iter().flat_map(|(kind, facts)| {
        facts.settings.iter().filter_map(move |(setting, rule)| {
            let reading = rule.drives.as_ref()?;
            let every = facts.readings.get(reading)?.every?;
            Some(Driven { kind, setting, reading, every })
        })
    })
}

/// Devices of a venture and kind that are in service, by name.
fn fleet<'a>(
    picture: &'a Picture,
    (tenant, venture): (TenantId, &'a Name),
    kind: &'a Name,
) -> impl Iterator<Item = &'a Arc<DeviceTwin>> {
    let all = picture.twins.devices_by_name(tenant, None);
    all.filter(move |twin| twin.venture == *venture && twin.kind == *kind && twin.retired.is_none())
}

impl Driven<'_> {
    fn value(&self) -> Value {
        Value::Number(self.every.as_secs_f64())
    }

    fn drives(&self) -> String {
        format!("{}.every", self.reading)
    }

    /// How a device stands to it. What somebody wants of it otherwise counts as not told.
    fn standing(&self, twin: &DeviceTwin) -> Standing {
        let value = self.value();
        let wanted = twin.desired.get(self.setting).map(|desired| desired.value == value);
        let reported = twin.reported.get(self.setting).is_some_and(|last| last.value == value);
        match (wanted, reported) {
            (Some(true) | None, true) => Standing::Confirmed,
            (Some(true), false) => Standing::Waiting,
            (None, false) | (Some(false), _) => Standing::Untold,
        }
    }

    fn unconfirmed(&self, standing: Standing, look: &Look<'_>) -> UnconfirmedJson {
        let (twin, status) = (look.twin, look.status());
        let told = twin.desired.get(self.setting).filter(|_| standing == Standing::Waiting);
        UnconfirmedJson {
            device: twin.id.to_string(),
            name: twin.name.clone(),
            state: standing.as_str(),
            status: status.as_str(),
            last_seen: twin.seen.last,
            told: told.map(|desired| desired.at),
            reported: twin.reported.get(self.setting).map(|last| value_json(&last.value)),
            next: standing.next(status),
        }
    }

    fn json<'a>(
        &self,
        fleet: impl Iterator<Item = &'a Arc<DeviceTwin>>,
        (picture, now): (&Picture, Timestamp),
    ) -> IntervalJson {
        let mut json = IntervalJson {
            kind: self.kind.to_string(),
            setting: self.setting.to_string(),
            drives: self.drives(),
            value: self.every.as_secs_f64(),
            words: human(self.every),
            devices: 0,
            confirmed: 0,
            waiting: 0,
            untold: 0,
            open: Vec::new(),
        };
        for twin in fleet {
            json.devices += 1;
            let standing = self.standing(twin);
            match standing {
                Standing::Confirmed => json.confirmed += 1,
                Standing::Waiting => json.waiting += 1,
                Standing::Untold => json.untold += 1,
            }
            if standing != Standing::Confirmed && json.open.len() < OPEN_SHOWN_MAX {
                json.open.push(self.unconfirmed(standing, &Look { picture, twin, now }));
            }
        }
        json
    }
}

/// Intervals that `after` changes and that devices have to be told.
pub(crate) fn moved(
    picture: &Picture,
    tenant: TenantId,
    (before, after): (Option<&Blueprint>, &Blueprint),
) -> Vec<MovedInterval> {
    let before: BTreeMap<_, _> = before
        .map(|before| driven(before).map(|one| ((one.kind, one.setting), one.every)).collect())
        .unwrap_or_default();
    let changed =
        driven(after).filter(|one| before.get(&(one.kind, one.setting)) != Some(&one.every));
    let told = changed.map(|one| MovedInterval {
        kind: one.kind.to_string(),
        setting: one.setting.to_string(),
        drives: one.drives(),
        words: human(one.every),
        devices: fleet(picture, (tenant, &after.venture), one.kind).count(),
    });
    told.filter(|one| one.devices > 0).collect()
}

/// Which devices keep to the intervals of the blueprint, where a setting drives them.
#[utoipa::path(get, path = "/ventures/{venture}/intervals", tag = "ventures",
    params(("venture" = String, Path, description = "name")),
    responses((status = 200, body = Intervals), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::Read)?;
    let (picture, now) = (app.shard.picture(), app.clock.now());
    let found = in_force(&picture, tenant, &venture)?;
    let of = (tenant, &found.blueprint.venture);
    let items = driven(&found.blueprint)
        .map(|one| one.json(fleet(&picture, of, one.kind), (&picture, now)))
        .collect();
    let body = Json(Intervals { revision: found.revision, items });
    Ok((offset_header(&picture), body).into_response())
}

/// Tells every device that was not told yet, each judged on its own.
#[utoipa::path(post, path = "/ventures/{venture}/intervals", tag = "ventures",
    params(("venture" = String, Path, description = "name")),
    responses((status = 202, body = BulkSet), (status = "default", body = Problem)))]
pub(crate) async fn tell(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
) -> Result<(StatusCode, Json<BulkSet>), Problem> {
    let tenant = caller.may(Action::Operate)?;
    let picture = app.shard.picture();
    let found = in_force(&picture, tenant, &venture)?;
    let mut all = BulkSet::default();
    for one in driven(&found.blueprint) {
        let untold: Vec<_> = fleet(&picture, (tenant, &found.blueprint.venture), one.kind)
            .filter(|twin| one.standing(twin) == Standing::Untold)
            .map(Arc::clone)
            .collect();
        if untold.len() > BULK_DEVICES_MAX {
            let why = format!("{} devices of kind {} were not told", untold.len(), one.kind);
            let limit = format!("{why}, devices_max = {BULK_DEVICES_MAX} at once");
            let fix =
                format!("iotbiz device set --filter 'kind:{} ...' {}=", one.kind, one.setting);
            return Err(Problem::new(code::TOO_LARGE, limit).fix(fix));
        }
        let set = BTreeMap::from([(one.setting.to_string(), value_json(&one.value()))]);
        want(&app, &caller, (untold, &set), &mut all).await?;
    }
    Ok((StatusCode::ACCEPTED, Json(all)))
}
