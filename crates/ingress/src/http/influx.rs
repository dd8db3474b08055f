//! `POST /api/v2/write`: what Telegraf and Influx clients send, as telemetry of our devices.
//!
//! *Invariant:* the same door and rules as `/ingest/v1`, durable before the answer. A line that
//! cannot be taken is told with its number and reason, and does not hold up the others; sending
//! all of them again is harmless, as the same reading is kept once.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use eventlog::{Appended, Batch};
use flate2::read::MultiGzDecoder;
use identity::{Actor, Identity};
use model::{Channel, ErrorKind, Frame, Offset, Qos, Raw, Retain};
use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::{Branch, Whose, caller, durable, late, peer, target, tell};
use crate::budget::{self, Over};
use crate::influx::{self, Field, Line, Precision};
use crate::refusal::RefusalReason;
use crate::shared::Shared;

/// Bytes of one frame's payload: a device's lines are cut into several.
const PAYLOAD_BYTES: usize = 64 << 10;
/// Refused lines that an answer names; the others are counted.
const TOLD_MAX: usize = 10;

#[derive(Debug, serde::Deserialize)]
pub(super) struct WriteQuery {
    #[serde(default)]
    precision: String,
}

type Call = (State<Arc<Shared>>, Query<WriteQuery>, Request);

pub(super) async fn write((shared, query, request): Call) -> Response {
    let peer = peer(&request);
    let (mut parts, body) = request.into_parts();
    bearing(&mut parts);
    match take(&shared.0, &query.0, (&parts, peer), body).await {
        Ok(refused) if refused.count == 0 => StatusCode::NO_CONTENT.into_response(),
        Ok(refused) => {
            let message = format!(
                "partial write: {} lines refused, the others are durable: {}",
                refused.count,
                refused.told.join("; ")
            );
            let body = json!({ "code": "invalid", "message": message });
            (StatusCode::BAD_REQUEST, Json(body)).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

/// Influx says `Token` where others say `Bearer`.
fn bearing(parts: &mut Parts) {
    let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("token").then_some(token.trim())
    });
    if let Some(Ok(mut value)) = token.map(|token| HeaderValue::try_from(format!("Bearer {token}")))
    {
        value.set_sensitive(true);
        parts.headers.insert(header::AUTHORIZATION, value);
    }
}

/// Lines that were not taken.
#[derive(Debug, Default)]
struct Refused {
    count: usize,
    told: Vec<String>,
}

impl Refused {
    fn add(&mut self, line: usize, reason: &str) {
        self.count += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(format!("line {line}: {reason}"));
        }
    }
}

/// Rows of one device, as its telemetry says them, cut to frames.
#[derive(Debug, Default)]
struct Rows {
    payloads: Vec<String>,
    first_line: usize,
}

impl Rows {
    fn push(&mut self, row: &Value) {
        let row = row.to_string();
        match self.payloads.last_mut() {
            Some(last) if last.len() + row.len() < PAYLOAD_BYTES => {
                last.push(',');
                last.push_str(&row);
            }
            Some(_) | None => self.payloads.push(format!("[{row}")),
        }
    }
}

async fn take(
    shared: &Shared,
    query: &WriteQuery,
    (parts, peer): (&Parts, SocketAddr),
    body: Body,
) -> Result<Refused, Problem> {
    let identity = caller(shared, parts, peer)?;
    let told = |problem: Problem| {
        tell(shared, (&identity, peer), RefusalReason::Request, &problem);
        problem
    };
    let precision = Precision::parse(&query.precision).ok_or_else(|| {
        let detail = format!("precision {:?} is none of ns, us, ms, s", query.precision);
        let fix = "write precision=ms, or leave it out for nanoseconds";
        told(Problem::new(ErrorKind::Invalid, "bad_precision", detail, fix))
    })?;
    let body = lines(shared, parts, body).await.map_err(told)?;
    let text = std::str::from_utf8(&body).map_err(|error| {
        let detail = format!("the body is no UTF-8 text: {error}");
        let fix = "send line protocol as text, or gzip with content-encoding: gzip";
        told(Problem::new(ErrorKind::Invalid, "not_text", detail, fix))
    })?;
    let mut refused = Refused::default();
    let by_device = by_device(text, precision, &mut refused);
    let mut ready = Vec::new();
    for (device, rows) in by_device {
        let whose =
            Whose { device: device.clone().filter(|name| !is_own(shared, &identity, name)) };
        match target(shared, &identity, "telemetry", &whose) {
            Ok(branch) => ready.push((branch, rows)),
            Err(denied) => {
                let (problem, reason) = *denied;
                tell(shared, (&identity, peer), reason, &problem);
                let name = device.as_deref().unwrap_or("no device tag");
                refused
                    .add(rows.first_line, &format!("{name}: {} ({})", problem.detail, problem.fix));
            }
        }
    }
    if !ready.is_empty() {
        admit(shared, &identity, body.len())?;
        let last = append(shared, &identity, &ready).await?;
        shared.counters.bytes_in.add(body.len());
        durable(shared, last).await?;
    }
    Ok(refused)
}

/// Whether a tag names the caller itself: Telegraf always says its host.
fn is_own(shared: &Shared, identity: &Identity, name: &str) -> bool {
    match identity.actor {
        Actor::Device(own) => {
            own.to_string() == name || shared.door.device(identity.tenant, name) == Some(own)
        }
        Actor::Service(_) | Actor::Person(_) | Actor::Loopback => false,
    }
}

/// The body, unpacked where it is packed; both are bounded by the same limit.
async fn lines(shared: &Shared, parts: &Parts, body: Body) -> Result<Bytes, Problem> {
    let max = usize::try_from(shared.limits.packet_bytes_max).unwrap_or(usize::MAX);
    let too_large = || {
        let detail = format!("the lines are larger than packet_bytes_max = {max}, or broke off");
        let fix = "send fewer lines at once: metric_batch_size of Telegraf";
        Problem::new(ErrorKind::TooLarge, "body_too_large", detail, fix)
    };
    let body = to_bytes(body, max).await.map_err(|_| too_large())?;
    match parts.headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(body),
        Some(b"gzip") => {
            let mut unpacked = Vec::new();
            let bound = u64::from(shared.limits.packet_bytes_max) + 1;
            let read = MultiGzDecoder::new(&body[..]).take(bound).read_to_end(&mut unpacked);
            match read {
                Ok(bytes) if bytes > max => Err(too_large()),
                Ok(_) => Ok(unpacked.into()),
                Err(error) => {
                    let detail = format!("the body is no gzip: {error}");
                    let fix = "leave content-encoding out, or pack the body with gzip";
                    Err(Problem::new(ErrorKind::Invalid, "not_gzip", detail, fix))
                }
            }
        }
        Some(other) => {
            let detail = format!("content-encoding {:?}", String::from_utf8_lossy(other));
            let fix = "send lines plain or with gzip";
            Err(Problem::new(ErrorKind::Invalid, "bad_encoding", detail, fix))
        }
    }
}

/// Good lines by the device that a tag names; without a tag it is the caller.
fn by_device(
    text: &str,
    precision: Precision,
    refused: &mut Refused,
) -> BTreeMap<Option<String>, Rows> {
    let mut rows: BTreeMap<Option<String>, Rows> = BTreeMap::new();
    for (number, text) in (1..).zip(text.split('\n')) {
        match influx::line(text, precision) {
            Ok(None) => {}
            Ok(Some(line)) => {
                let of = rows.entry(line.device().map(str::to_owned)).or_default();
                if of.payloads.is_empty() {
                    of.first_line = number;
                }
                of.push(&row(&line));
            }
            Err(reason) => refused.add(number, &reason),
        }
    }
    rows
}

fn row(line: &Line<'_>) -> Value {
    let values = line.fields.iter().map(|(name, field)| {
        let value = match field {
            Field::Number(number) => Value::from(*number),
            Field::Boolean(truth) => Value::from(*truth),
            Field::Text(text) => Value::from(text.as_ref()),
        };
        (name.clone().into_owned(), value)
    });
    let values: Map<_, _> = values.collect();
    match line.time_ms {
        Some(ts) => json!({ "ts": ts, "values": values }),
        None => Value::Object(values),
    }
}

fn admit(shared: &Shared, identity: &Identity, bytes: usize) -> Result<(), Problem> {
    let Some(principal) = identity.actor.principal() else { return Ok(()) };
    let meter = shared.meters.of(identity.tenant, principal);
    let limits = (&shared.limits, budget::Caller::of(identity));
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    meter.admit(limits, shared.now_ns(), bytes).map_err(|Over { limit, max, wait }| {
        shared.counters.throttled.add(1);
        let detail = format!("more than {limit} = {max}; try again in {} ms", wait.as_millis());
        let fix = "send more lines in one request, or less often";
        Problem::new(ErrorKind::Overloaded, "too_fast", detail, fix)
    })
}

/// Appends all rows as one batch.
async fn append(
    shared: &Shared,
    identity: &Identity,
    ready: &[(Branch, Rows)],
) -> Result<Offset, Problem> {
    let mut batch = Batch::default();
    for (branch, rows) in ready {
        for payload in &rows.payloads {
            let payload = format!("{payload}]");
            batch.push(&Frame::Raw(Raw {
                tenant: identity.tenant,
                principal: branch.principal,
                device: branch.device,
                origin: identity.origin,
                channel: Channel::Http,
                qos: Qos::AtLeastOnce,
                retain: Retain::Pass,
                session: 0,
                packet_id: 0,
                topic: &branch.below,
                properties: &[],
                key: "",
                payload: payload.as_bytes(),
            }));
        }
    }
    let messages = batch.len();
    loop {
        match shared.append(&mut batch) {
            Ok(Appended { last, .. }) => {
                shared.counters.messages_in.add(messages);
                return Ok(last);
            }
            Err(eventlog::Error::Full { .. }) => {
                let room = tokio::time::timeout(shared.limits.http_timeout, shared.log.room());
                room.await.map_err(|_| late(shared.limits.http_timeout))?;
            }
            Err(error) => {
                let fix = "try again later; the operator sees why in the server's readiness";
                let (kind, detail) = (error.kind(), error.to_string());
                return Err(Problem::new(kind, "log_unavailable", detail, fix));
            }
        }
    }
}
