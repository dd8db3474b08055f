//! Usage events from outside: CloudEvents 1.0, or usage lines, for contracts.
//!
//! *Invariant:* an event is durable before the answer. The same source and id with the same content
//! is a duplicate, with another content a conflict (409); a conflict and what cannot be understood
//! is put aside with its bytes and the reason, and the first one stands.

mod store;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use billing::usage::Amount;
use billing::usage_line::{self, UsageLine};
use identity::Action;
use model::{ContractId, TenantId, Timestamp};
use registry::content::ContractContent;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::extract::{Params, Raw};
use crate::money::contracts::{self, instant};
use crate::page::{Page, limit};
use crate::problem::Problem;

pub use store::UsageEvents;
pub(crate) use store::{Came, Event, Held, Kept};

/// Events of one request.
const EVENTS_MAX: usize = 10_000;
/// Bytes of one request: [`EVENTS_MAX`] of some 800 bytes, twice what one needs.
pub(crate) const EVENTS_BYTES_MAX: usize = 8 << 20;
/// Events that an answer names because they were not taken.
const NAMED_MAX: usize = 100;
/// Events that one query looks at.
const LOOKED_AT_MAX: usize = 1_000_000;

/// An event that was not taken.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct NotTaken {
    /// Counted from 1.
    event: usize,
    id: Option<String>,
    /// 409: its id is known with another content. 422: it was not understood.
    status: u16,
    reason: String,
}

/// What became of events.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub(crate) struct Taken {
    /// Those that count from now on.
    accepted: usize,
    /// Those that were there.
    duplicates: usize,
    /// Those whose id is known with another content.
    conflicts: usize,
    /// Those that were not understood.
    refused: usize,
    /// At most the first 100 that were not taken; all are in the quarantine.
    items: Vec<NotTaken>,
}

/// Takes usage events: one CloudEvent, a JSON array of them, or one usage line a line.
#[utoipa::path(post, path = "/usage/events", tag = "money",
    request_body(content = String, content_type = "application/cloudevents+json"),
    responses((status = 200, body = Taken, description = "all are kept"),
        (status = 409, body = Taken, description = "some ids are known with another content"),
        (status = 422, body = Taken, description = "some were not understood"),
        (status = "default", body = Problem)))]
pub(crate) async fn take(
    State(app): State<App>,
    caller: Caller,
    Raw(body): Raw,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::ChangeMoney)?;
    let text = std::str::from_utf8(&body).map_err(|_| Problem::invalid("body", "no UTF-8"))?;
    let read = events(text)?;
    let mut known = BTreeMap::new();
    let mut came = Vec::with_capacity(read.len());
    for event in read {
        came.push(resolve(&app, tenant, (event, &mut known)).await?);
    }
    let now = app.clock.now();
    let store = app.facts.usage_events.clone();
    let (came, kept) = tokio::task::spawn_blocking(move || {
        let kept = store.put(tenant, now, &came);
        (came, kept)
    })
    .await
    .map_err(|error| Problem::from_kind(model::ErrorKind::Internal, &error))?;
    let kept = kept.map_err(|error| Problem::from_kind(error.kind(), &error))?;
    let taken = told(&came, &kept);
    let status = match (taken.conflicts, taken.refused) {
        (0, 0) => StatusCode::OK,
        (0, _) => StatusCode::UNPROCESSABLE_ENTITY,
        (_, _) => StatusCode::CONFLICT,
    };
    Ok((status, Json(taken)).into_response())
}

/// An event's bytes, and what they say or why they say nothing.
type Read = (String, Result<UsageLine, String>);

/// Each event by itself, with its bytes.
fn events(text: &str) -> Result<Vec<Read>, Problem> {
    let raw: Vec<String> = if text.trim_start().starts_with('[') {
        let array: Vec<serde_json::Value> = serde_json::from_str(text)
            .map_err(|error| Problem::invalid("body", format!("no JSON array: {error}")))?;
        array.iter().map(serde_json::Value::to_string).collect()
    } else if serde_json::from_str::<serde_json::Value>(text).is_ok() {
        vec![text.trim().to_owned()]
    } else {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    if raw.is_empty() || raw.len() > EVENTS_MAX {
        let what = format!("{} events, EVENTS_MAX = {EVENTS_MAX}", raw.len());
        let fix = format!("send 1 to {EVENTS_MAX} events at once");
        return Err(Problem::invalid("body", what).fix(fix));
    }
    Ok(raw
        .into_iter()
        .map(|raw| {
            let read = usage_line::read(&raw);
            (raw, read)
        })
        .collect())
}

type Known = BTreeMap<String, Option<(ContractId, ContractContent)>>;

/// The event of its contract, or why it has none.
async fn resolve(
    app: &App,
    tenant: TenantId,
    ((raw, read), known): ((String, Result<UsageLine, String>), &mut Known),
) -> Result<Came, Problem> {
    let refused =
        |id: Option<String>, reason: String| Came { raw: raw.clone(), id, event: Err(reason) };
    let line = match read {
        Ok(line) => line,
        Err(reason) => return Ok(refused(None, reason)),
    };
    let Some(event) = line.event.clone() else {
        return Ok(refused(None, "an event from outside needs an id".to_owned()));
    };
    let id = Some(event.id.clone());
    let Some(name) = line.contract.clone() else {
        return Ok(refused(id, "contract (subject of a CloudEvent) is missing".to_owned()));
    };
    if !known.contains_key(&name) {
        let found = contracts::find(app, tenant, &name).await;
        let found = match found {
            Ok(row) => Some((row.id.parse().ok(), row.content::<ContractContent>()?)),
            Err(problem) if problem.code == code::NOT_FOUND.code => None,
            Err(problem) => return Err(problem),
        };
        let found = found.and_then(|(id, content)| Some((id?, content)));
        known.insert(name.clone(), found);
    }
    let Some((contract, content)) = known.get(&name).and_then(Option::as_ref) else {
        return Ok(refused(id, format!("there is no contract {name:?}")));
    };
    let device = match &line.device {
        None => None,
        Some(text) => {
            let mut devices = content.devices.iter();
            let found = devices.find(|d| d.name == *text || d.device.to_string() == *text);
            let Some(found) = found else {
                return Ok(refused(id, format!("contract {name} has no device {text:?}")));
            };
            Some(found.device)
        }
    };
    let event = Event { contract: *contract, name: content.name.to_string(), device, line };
    Ok(Came { raw, id, event: Ok(event) })
}

fn told(came: &[Came], kept: &[Kept]) -> Taken {
    let mut taken = Taken::default();
    for (number, (came, kept)) in (1..).zip(came.iter().zip(kept)) {
        let (status, reason) = match (kept, &came.event) {
            (Kept::New, _) => {
                taken.accepted += 1;
                continue;
            }
            (Kept::Duplicate, _) => {
                taken.duplicates += 1;
                continue;
            }
            (Kept::Conflict, _) => {
                taken.conflicts += 1;
                (409, "its source and id are known with another content; that one stays".to_owned())
            }
            (Kept::Refused, event) => {
                taken.refused += 1;
                (422, event.as_ref().err().cloned().unwrap_or_default())
            }
        };
        if taken.items.len() < NAMED_MAX {
            taken.items.push(NotTaken { event: number, id: came.id.clone(), status, reason });
        }
    }
    taken
}

/// An event that came lately.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct LateEvent {
    contract: String,
    usage: String,
    /// Id of the device; null: of the contract as a whole.
    device: Option<String>,
    time: String,
    value: String,
    id: String,
    source: Option<String>,
}

/// How usage events stand.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct EventsJson {
    /// Those that are kept.
    kept: u64,
    /// Those that were put aside; `GET /usage/quarantine` tells why.
    quarantined: u64,
    /// Those that came last, newest first, at most 20.
    newest: Vec<LateEvent>,
}

/// How many usage events there are, and the last of them.
#[utoipa::path(get, path = "/usage/events", tag = "money",
    responses((status = 200, body = EventsJson), (status = "default", body = Problem)))]
pub(crate) async fn standing(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<EventsJson>, Problem> {
    let tenant = caller.may(Action::ReadMoney)?;
    let store = app.facts.usage_events.clone();
    let found = tokio::task::spawn_blocking(move || store.newest(tenant)).await;
    let found = found.map_err(|error| Problem::from_kind(model::ErrorKind::Internal, &error))?;
    let found = found.map_err(|error| Problem::from_kind(error.kind(), &error))?;
    let text = |line: &serde_json::Value, key: &str| {
        line[key].as_str().map_or_else(|| line[key].to_string(), str::to_owned)
    };
    let optional = |line: &serde_json::Value, key: &str| line[key].as_str().map(str::to_owned);
    let event = |line: &serde_json::Value| LateEvent {
        contract: text(line, "contract"),
        usage: text(line, "usage"),
        device: optional(line, "device"),
        time: text(line, "time"),
        value: text(line, "value"),
        id: text(line, "id"),
        source: optional(line, "source"),
    };
    let newest = found.lines.iter().map(event).collect();
    Ok(Json(EventsJson { kept: found.kept, quarantined: found.held, newest }))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct HeldQuery {
    /// Items of a page; 50 if left out, at most 1,000.
    limit: Option<usize>,
}

/// Events that were put aside, newest first.
#[utoipa::path(get, path = "/usage/quarantine", tag = "money", params(HeldQuery),
    responses((status = 200, body = Page<Held>), (status = "default", body = Problem)))]
pub(crate) async fn held(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<HeldQuery>,
) -> Result<Json<Page<Held>>, Problem> {
    let tenant = caller.may(Action::ReadMoney)?;
    let count = limit(query.limit)?;
    let store = app.facts.usage_events.clone();
    let found = tokio::task::spawn_blocking(move || store.held(tenant, count)).await;
    let found = found.map_err(|error| Problem::from_kind(model::ErrorKind::Internal, &error))?;
    let found = found.map_err(|error| Problem::from_kind(error.kind(), &error))?;
    Ok(Json(Page::whole(found)))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct UsageQuery {
    /// Id or name.
    contract: String,
    /// First day in the customer's time zone, or an instant.
    from: String,
    /// First day after it, or an instant.
    to: String,
    /// Only this usage.
    usage: Option<String>,
    /// A dimension to group by.
    by: Option<String>,
}

/// Usage of one group.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct UsageGroup {
    usage: String,
    /// Value of the dimension; null: it has none.
    group: Option<String>,
    events: u64,
    /// Sum of the values that are numbers.
    sum: String,
    #[schema(value_type = String)]
    first: Timestamp,
    #[schema(value_type = String)]
    last: Timestamp,
}

/// Usage that was sent from outside, by usage and dimension.
#[utoipa::path(get, path = "/usage", tag = "money", params(UsageQuery),
    responses((status = 200, body = Page<UsageGroup>), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<UsageQuery>,
) -> Result<Json<Page<UsageGroup>>, Problem> {
    let tenant = caller.may(Action::ReadMoney)?;
    let row = contracts::find(&app, tenant, &query.contract).await?;
    let content: ContractContent = row.content()?;
    let customer =
        crate::money::customers::find(&app, tenant, &content.customer.to_string()).await?;
    let customer: registry::content::CustomerContent = customer.content()?;
    let zone = billing::zone::Zone::named(&customer.timezone)?;
    let period = (instant(&zone, "from", &query.from)?, instant(&zone, "to", &query.to)?);
    let id = row.id.parse().map_err(|_| Problem::not_found("contract", &row.id))?;
    let store = app.facts.usage_events.clone();
    let work = move || {
        let mut groups: BTreeMap<(String, Option<String>), UsageGroup> = BTreeMap::new();
        let mut count = 0_usize;
        store.each((tenant, id), period, &mut |line| {
            count += 1;
            if count <= LOOKED_AT_MAX {
                sum(&mut groups, line, &query);
            }
        })?;
        Ok::<_, intake::Error>((groups, count))
    };
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| Problem::from_kind(model::ErrorKind::Internal, &error))?;
    let (groups, count) = done.map_err(|error| Problem::from_kind(error.kind(), &error))?;
    if count > LOOKED_AT_MAX {
        let what = format!("{count} events, LOOKED_AT_MAX = {LOOKED_AT_MAX}");
        return Err(Problem::new(code::TOO_LARGE, what).fix("ask for a shorter time"));
    }
    Ok(Json(Page::whole(groups.into_values().collect())))
}

fn sum(
    groups: &mut BTreeMap<(String, Option<String>), UsageGroup>,
    line: &UsageLine,
    query: &UsageQuery,
) {
    let usage = line.property.as_str();
    if query.usage.as_deref().is_some_and(|wanted| wanted != usage) {
        return;
    }
    let named = |by: &String| line.dimensions.iter().find(|(name, _)| name.as_str() == by);
    let group = query.by.as_ref().and_then(named).map(|(_, value)| value.clone());
    let of = groups.entry((usage.to_owned(), group.clone())).or_insert_with(|| UsageGroup {
        usage: usage.to_owned(),
        group,
        events: 0,
        sum: "0".to_owned(),
        first: line.time,
        last: line.time,
    });
    of.events += 1;
    of.first = of.first.min(line.time);
    of.last = of.last.max(line.time);
    if let Amount::Number(number) = &line.value {
        let before: Decimal = of.sum.parse().unwrap_or_default();
        of.sum = before.checked_add(*number).unwrap_or(Decimal::MAX).normalize().to_string();
    }
}
