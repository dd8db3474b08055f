//! Readings of the past, from files of others.
//!
//! *Invariant:* what is taken goes through the log like everybody's and is durable when it is
//! answered; what is not taken is told one by one up to [`REFUSED_TOLD_MAX`], and counted.
//! Importing the same rows again changes nothing: a reading with the same time and value is kept
//! once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use expr::{Quantity, Unit};
use identity::Action;
use model::{DeviceId, TenantId, Timestamp, Value};
use pipeline::{FUTURE_MAX, Imported, Lane, Picture, Profile, Rule, Shape};
use serde::{Deserialize, Serialize};
use twin::DeviceTwin;

use crate::app::App;
use crate::caller::Caller;
use crate::devices::find;
use crate::extract::{Body, Params};
use crate::json::{Look, value_json};
use crate::problem::Problem;
use crate::write::DryRun;

/// The largest body: some MB are in flight at once, whatever the size of the file.
pub(crate) const BACKFILL_BYTES_MAX: usize = 8 << 20;
/// Rows of one request.
const ROWS_MAX: usize = 20_000;
/// Refused values told one by one.
const REFUSED_TOLD_MAX: usize = 1_000;
/// Bytes of one frame's payload.
const PAYLOAD_BYTES: usize = 64 << 10;
/// How long the log may have no room.
const PATIENCE: Duration = Duration::from_secs(30);
/// 2000-01-01: as for devices, an earlier time is a mistake of the unit.
const TS_MIN: Timestamp = Timestamp::from_millis(946_684_800_000);

/// Readings of the past.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backfill {
    rows: Vec<PastRow>,
    /// Units of properties that are not written in the blueprint's unit: `{"temperature":"°F"}`.
    #[serde(default)]
    units: BTreeMap<String, String>,
}

/// What a device said at one time.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PastRow {
    /// Id or name.
    device: String,
    /// Milliseconds since 1970.
    ts: i64,
    /// By property; a text is read as its type needs it (`"3.9"`, `"true"`, `"39 °F"`).
    #[schema(value_type = Object)]
    values: serde_json::Map<String, serde_json::Value>,
}

/// What became of the rows.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Backfilled {
    /// Rows with at least one good value.
    rows: usize,
    /// Good values.
    readings: usize,
    /// Values and rows that were not taken, the first thousand.
    refused: Vec<RefusedValue>,
    /// How many there were.
    refused_total: usize,
    /// The last frame of it in the log; null when nothing was written.
    offset: Option<u64>,
}

/// A value that was not taken.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct RefusedValue {
    /// Which row of the request, from 0.
    row: usize,
    /// Null: the whole row.
    property: Option<String>,
    reason: String,
}

/// Takes readings of the past, marked as replayed; `dry_run` only tells what would be refused.
#[utoipa::path(post, path = "/import", tag = "devices", params(DryRun),
    request_body = Backfill,
    responses((status = 200, body = Backfilled), (status = "default", body = Problem)))]
pub(crate) async fn add(
    State(app): State<App>,
    caller: Caller,
    Params(dry): Params<DryRun>,
    Body(asked): Body<Backfill>,
) -> Result<Json<Backfilled>, Problem> {
    let tenant = caller.may(Action::ChangeDevices)?;
    if asked.rows.len() > ROWS_MAX {
        let message = format!("{} rows, at most {ROWS_MAX} are taken at once", asked.rows.len());
        return Err(Problem::invalid("/rows", message).fix("send them in several requests"));
    }
    let units = asked.units.iter().map(|(name, text)| {
        let unit = Unit::parse(text);
        let wrong = |e: expr::Error| Problem::invalid(&format!("/units/{name}"), e.to_string());
        unit.map(|unit| (name.as_str(), unit)).map_err(wrong)
    });
    let picture = app.shard.picture();
    let mut reader = RowReader {
        tenant,
        latest: app.clock.now() + FUTURE_MAX,
        now: app.clock.now(),
        units: units.collect::<Result<_, _>>()?,
        picture: &picture,
        devices: HashMap::new(),
        payloads: BTreeMap::new(),
        told: Backfilled {
            rows: 0,
            readings: 0,
            refused: Vec::new(),
            refused_total: 0,
            offset: None,
        },
    };
    for (number, row) in asked.rows.iter().enumerate() {
        reader.row(number, row);
    }
    let (mut told, imported) = reader.end();
    if !dry.dry_run {
        let last = app.shard.import(tenant, &imported, PATIENCE).await?;
        told.offset = last.map(|offset| offset.0);
    }
    Ok(Json(told))
}

struct RowReader<'a> {
    tenant: TenantId,
    now: Timestamp,
    latest: Timestamp,
    units: HashMap<&'a str, Unit>,
    picture: &'a Picture,
    /// Found once for each name.
    devices: HashMap<&'a str, Option<Found>>,
    payloads: BTreeMap<(DeviceId, Lane), Vec<String>>,
    told: Backfilled,
}

/// A device and how it is read.
#[derive(Clone)]
struct Found {
    twin: Arc<DeviceTwin>,
    profile: Option<Arc<Profile>>,
}

impl<'a> RowReader<'a> {
    fn refuse(&mut self, row: usize, property: Option<&str>, reason: String) {
        self.told.refused_total += 1;
        if self.told.refused.len() < REFUSED_TOLD_MAX {
            let property = property.map(str::to_owned);
            self.told.refused.push(RefusedValue { row, property, reason });
        }
    }

    fn find(&mut self, name: &'a str) -> Option<Found> {
        if let Some(found) = self.devices.get(name) {
            return found.clone();
        }
        let found = find(self.picture, self.tenant, name).ok().map(|twin| {
            let look = Look { picture: self.picture, twin: &twin, now: self.now };
            let in_force = look.in_force();
            let profile = in_force.and_then(|found| found.profiles.get(&twin.kind).map(Arc::clone));
            Found { profile, twin }
        });
        self.devices.insert(name, found.clone());
        found
    }

    fn row(&mut self, number: usize, row: &'a PastRow) {
        let Some(found) = self.find(&row.device) else {
            return self.refuse(number, None, format!("there is no device {:?}", row.device));
        };
        let Some(profile) = found.profile else {
            let reason = format!("no blueprint in force has the kind {}", found.twin.kind);
            return self.refuse(number, None, reason);
        };
        let time = Timestamp::from_millis(row.ts);
        if time < TS_MIN {
            return self.refuse(number, None, format!("{time} is before 2000: is it in seconds?"));
        }
        if time > self.latest {
            return self.refuse(number, None, format!("{time} is in the future"));
        }
        let (mut telemetry, mut urgent) = (serde_json::Map::new(), serde_json::Map::new());
        for (name, value) in &row.values {
            let Some(rule) = profile.readings.get(name.as_str()) else {
                self.refuse(number, Some(name), "no such reading in the blueprint".to_owned());
                continue;
            };
            match read(rule, self.units.get(name.as_str()), value) {
                Ok(value) => {
                    let values = match rule.lane {
                        Lane::Telemetry => &mut telemetry,
                        Lane::Urgent => &mut urgent,
                    };
                    values.insert(name.clone(), value_json(&value));
                }
                Err(reason) => self.refuse(number, Some(name), reason),
            }
        }
        let taken = telemetry.len() + urgent.len();
        self.told.readings += taken;
        self.told.rows += usize::from(taken > 0);
        for (values, lane) in [(telemetry, Lane::Telemetry), (urgent, Lane::Urgent)] {
            if !values.is_empty() {
                self.keep((found.twin.id, lane), row.ts, &values);
            }
        }
    }

    fn keep(
        &mut self,
        of: (DeviceId, Lane),
        ts: i64,
        values: &serde_json::Map<String, serde_json::Value>,
    ) {
        let row = serde_json::json!({ "ts": ts, "values": values }).to_string();
        let payloads = self.payloads.entry(of).or_default();
        match payloads.last_mut() {
            Some(last) if last.len() + row.len() < PAYLOAD_BYTES => {
                last.push(',');
                last.push_str(&row);
            }
            Some(_) | None => payloads.push(format!("[{row}")),
        }
    }

    fn end(self) -> (Backfilled, Vec<Imported>) {
        let all = self.payloads.into_iter().flat_map(|((device, lane), payloads)| {
            payloads.into_iter().map(move |mut payload| {
                payload.push(']');
                Imported { device, lane, payload }
            })
        });
        (self.told, all.collect())
    }
}

/// A value as the blueprint has it: of its type, in its unit, within its bounds.
fn read(rule: &Rule, unit: Option<&Unit>, value: &serde_json::Value) -> Result<Value, String> {
    match (&rule.shape, value) {
        (Shape::Number { unit: stored, .. }, serde_json::Value::String(text)) => {
            let number = number(text.trim(), unit, stored)?;
            rule.check(&number.into())
        }
        (Shape::Number { unit: stored, .. }, serde_json::Value::Number(number)) => {
            let Some(unit) = unit else { return rule.check(value) };
            let number = number.as_f64().ok_or("not a finite number")?;
            rule.check(&converted(number, unit, stored)?.into())
        }
        (Shape::Boolean, serde_json::Value::String(text)) => match text.trim() {
            "true" | "True" | "TRUE" | "1" | "yes" | "on" => Ok(Value::Boolean(true)),
            "false" | "False" | "FALSE" | "0" | "no" | "off" => Ok(Value::Boolean(false)),
            other => Err(format!("{other:?} is neither true nor false")),
        },
        (Shape::Position, serde_json::Value::String(text)) => {
            let pair = text.split([',', ' ', ';']).filter(|part| !part.is_empty());
            let pair: Result<Vec<f64>, _> = pair.map(str::parse).collect();
            let pair = pair.map_err(|_| format!("{text:?} is no latitude and longitude"))?;
            rule.check(&serde_json::json!(pair))
        }
        (Shape::Text, serde_json::Value::Number(number)) => rule.check(&number.to_string().into()),
        (_, value) => rule.check(value),
    }
}

fn number(text: &str, unit: Option<&Unit>, stored: &str) -> Result<f64, String> {
    if let Ok(number) = text.parse::<f64>() {
        return unit.map_or(Ok(number), |unit| converted(number, unit, stored));
    }
    let quantity = Quantity::parse(text).map_err(|_| {
        let comma = if text.contains(',') { "; write decimals with a point" } else { "" };
        format!("{text:?} is no number{comma}")
    })?;
    quantity.in_unit(&in_force(stored)?).ok_or_else(|| format!("{text:?} is not in {stored}"))
}

fn converted(number: f64, unit: &Unit, stored: &str) -> Result<f64, String> {
    let found = unit.convert(number, &in_force(stored)?);
    found.ok_or_else(|| format!("{} cannot be converted to {stored}", unit.shown()))
}

fn in_force(stored: &str) -> Result<Unit, String> {
    let unit = if stored.is_empty() { Ok(Unit::one()) } else { Unit::parse(stored) };
    unit.map_err(|error| error.to_string())
}
