//! `iotbiz demo --lan`: a phone in the same network becomes a device of the demo.
//!
//! *Invariant:* this listener answers the box page, its claim and `/ingest/v1/telemetry`, and
//! nothing else: console and API stay on loopback. It answers to an address and never to a name, so
//! that a page of the internet cannot reach it by a name of its own.
//!
//! ```text
//! GET  /box                    the page; the claim stands behind the # and is never sent
//! POST /box/claim              the claim -> a virtual device, and its token
//! POST /ingest/v1/telemetry    readings, with that token
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use blueprint::{Alarm, Kind, PropertyKind};
use model::Name;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tower::ServiceExt as _;

use crate::client::Client;

/// Phones of one demo; the next is told so.
pub(super) const PHONES_MAX: usize = 50;
/// Bytes of a claim's request.
const CLAIM_BYTES_MAX: usize = 1_024;
/// What a phone's device is tagged with, and counted by.
const TAG: &str = "phone";

const PAGE: &str = include_str!("page/box.html");
const STYLE: &str = include_str!("page/box.css");
const SCRIPT: &str = include_str!("page/box.js");
/// Nothing from elsewhere, and nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The right to become a device, for as long as the program runs.
#[derive(Clone)]
pub(super) struct Claim(Arc<str>);

impl Claim {
    pub(super) fn new() -> anyhow::Result<Self> {
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random).context("the system gives no randomness")?;
        let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self(text.into()))
    }

    /// In a time that does not tell how much of it was right.
    fn opens_with(&self, said: &str) -> bool {
        let both = self.0.bytes().zip(said.bytes());
        let differing = both.fold(0, |differing, (a, b)| differing | (a ^ b));
        differing == 0 && self.0.len() == said.len()
    }

    /// The address behind the QR code.
    pub(super) fn url(&self, address: SocketAddr) -> String {
        format!("http://{address}/box#claim={}", self.0)
    }
}

/// What phones become.
#[derive(Debug, Clone)]
pub(super) struct Phones {
    pub(super) venture: String,
    pub(super) kind: Name,
    pub(super) shape: Value,
}

impl Phones {
    /// What the page shows of a kind of device; nothing when it has no number to slide.
    pub(super) fn of(
        venture: &str,
        (kind, facts): (&Name, &Kind),
        alarms: &BTreeMap<Name, Alarm>,
    ) -> Option<Self> {
        let mut shape = shape(facts)?;
        let slider = shape["slider"]["name"].as_str().unwrap_or_default();
        let watching = alarms
            .iter()
            .filter(|(_, alarm)| alarm.device == *kind && alarm.when.text.contains(slider));
        shape["watched"] = watching.map(watched).collect();
        Some(Self { venture: venture.to_owned(), kind: kind.clone(), shape })
    }
}

/// What raises an alarm on this device, in words: whoever warms it knows what to wait for.
fn watched((name, alarm): (&Name, &Alarm)) -> Value {
    let hold = match alarm.hold.as_secs() {
        0 => String::new(),
        whole if whole % 60 == 0 => format!(" for {} min", whole / 60),
        seconds => format!(" for {seconds} s"),
    };
    format!("{}{hold} raises {name}", alarm.when.text).into()
}

/// The reading of the slider, that of the switch and that of the battery.
fn shape(kind: &Kind) -> Option<Value> {
    let says = |name: &Name, word: &str| name.as_str().contains(word);
    let numbers = || {
        kind.readings.iter().filter_map(|(name, property)| match &property.kind {
            PropertyKind::Number { min, max, .. } => Some((name, property, *min, *max)),
            PropertyKind::Boolean | PropertyKind::Position | PropertyKind::Text => None,
        })
    };
    let battery = numbers().map(|(name, ..)| name).find(|name| says(name, "batt"));
    let warm = numbers().find(|(name, ..)| says(name, "temp"));
    let (name, property, min, max) =
        warm.or_else(|| numbers().find(|(name, ..)| Some(*name) != battery))?;
    let unit = property.kind.unit().map(ToString::to_string).unwrap_or_default();
    let (low, high, start, shown): (f64, f64, f64, String) = match unit.as_str() {
        // What a cooled box and a hand can do.
        "Cel" => (-5.0, 35.0, 5.0, "°C".to_owned()),
        _ => (0.0, 100.0, 20.0, unit),
    };
    let (from, to) = (min.unwrap_or(low).max(low), max.unwrap_or(high).min(high));
    let (from, to) = if from < to { (from, to) } else { (low, high) };
    let booleans = kind.readings.iter().filter(|(_, p)| matches!(p.kind, PropertyKind::Boolean));
    Some(json!({
        "slider": {
            "name": name, "from": from, "to": to, "start": start.clamp(from, to), "shown": shown,
        },
        "switch": booleans.map(|(name, _)| name).next(),
        "battery": battery,
    }))
}

/// What the listener works with.
pub(super) struct Parts {
    pub(super) claim: Claim,
    pub(super) phones: Phones,
    /// Console and API, on loopback.
    pub(super) console: String,
    /// The routes of the device door; one of them is let through.
    pub(super) ingest: Router,
}

struct Lan {
    parts: Parts,
    /// Held over a registration, so that two phones never share the last place.
    joining: Mutex<()>,
}

type Shared = State<Arc<Lan>>;

pub(super) fn router(parts: Parts) -> Router {
    let file = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], text) })
    };
    Router::new()
        .route("/box", file("text/html; charset=utf-8", PAGE))
        .route("/box/style.css", file("text/css; charset=utf-8", STYLE))
        .route("/box/script.js", file("text/javascript; charset=utf-8", SCRIPT))
        .route("/box/claim", post(claim).layer(DefaultBodyLimit::max(CLAIM_BYTES_MAX)))
        .route("/ingest/v1/telemetry", post(telemetry))
        .with_state(Arc::new(Lan { parts, joining: Mutex::new(()) }))
        .layer(axum::middleware::from_fn(guard))
}

async fn telemetry(State(lan): Shared, request: Request) -> Response {
    match lan.parts.ingest.clone().oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}

async fn claim(State(lan): Shared, Json(said): Json<Value>) -> Response {
    if !lan.parts.claim.opens_with(said["claim"].as_str().unwrap_or_default()) {
        let what = "This code is no longer good: the demo was started again.";
        return problem(StatusCode::FORBIDDEN, what, "Scan the new code.");
    }
    let _joining = lan.joining.lock().await;
    let shared = Arc::clone(&lan);
    let made = tokio::task::spawn_blocking(move || join(&shared.parts)).await;
    match made {
        Ok(Ok(Some(device))) => (StatusCode::CREATED, Json(device)).into_response(),
        Ok(Ok(None)) => {
            let what = format!("This demo has {PHONES_MAX} phones, and takes no more.");
            let fix = "Remove one in the console: Fleet, tag phone.";
            problem(StatusCode::TOO_MANY_REQUESTS, &what, fix)
        }
        Ok(Err(error)) => {
            tracing::warn!("a phone could not join: {error:#}");
            problem(StatusCode::SERVICE_UNAVAILABLE, "The server is busy.", "Try again.")
        }
        Err(error) => {
            tracing::error!(%error, "a phone could not join");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "The server is at fault.", "Try again.")
        }
    }
}

/// A new device for a phone, with its token; nothing when there are enough.
fn join(parts: &Parts) -> anyhow::Result<Option<Value>> {
    let client = Client::local(&parts.console);
    let limit = PHONES_MAX + 1;
    let found = client.get(&format!("/api/v1/devices?filter=tag:{TAG}&limit={limit}"))?;
    let count = found["items"].as_array().map_or(0, Vec::len);
    if count >= PHONES_MAX {
        return Ok(None);
    }
    let mut random = [0_u8; 4];
    getrandom::fill(&mut random).context("the system gives no randomness")?;
    let name = format!("phone-{:08x}", u32::from_be_bytes(random));
    let Phones { venture, kind, shape } = &parts.phones;
    let body = json!({
        "name": name, "kind": kind, "venture": venture, "tags": [TAG], "origin": "virtual",
    });
    let added = client.call("POST", "/api/v1/devices", Some(&body))?;
    let mut told = shape.clone();
    told["name"] = json!(name);
    told["token"] = added["credential"]["token"].clone();
    Ok(Some(told))
}

fn problem(status: StatusCode, detail: &str, fix: &str) -> Response {
    let body = json!({ "status": status.as_u16(), "detail": detail, "fix": fix });
    (status, Json(body)).into_response()
}

/// Who asked for what, before anything is answered; and what a browser may do with the answer.
async fn guard(request: Request, next: Next) -> Response {
    let mut answer = if is_own(request.headers()) {
        next.run(request).await
    } else {
        let what = "This page answers to its own address only.";
        problem(StatusCode::FORBIDDEN, what, "Open the address behind the QR code.")
    };
    let said: [(HeaderName, &str); 4] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in said {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// `Host` is an address, and a browser's `Origin` is the same.
fn is_own(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some(host) = text(header::HOST) else { return false };
    let address = host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok();
    let same = |origin: &str| origin.strip_prefix("http://") == Some(host);
    address && text(header::ORIGIN).is_none_or(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(HeaderName, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn it_answers_to_its_address_and_to_no_name_or_foreign_page() {
        use header::{HOST, ORIGIN};
        assert!(is_own(&headers(&[(HOST, "192.168.1.10:7071")])));
        assert!(is_own(&headers(&[(HOST, "[fd00::1]:7071"), (ORIGIN, "http://[fd00::1]:7071")])));
        assert!(!is_own(&headers(&[(HOST, "evil.example:7071")])), "a rebound name");
        assert!(!is_own(&headers(&[(HOST, "10.0.0.1:7071"), (ORIGIN, "http://evil.example")])));
        assert!(!is_own(&headers(&[(HOST, "10.0.0.1:7071"), (ORIGIN, "null")])));
        assert!(!is_own(&headers(&[])));
    }

    #[test]
    fn a_claim_opens_with_the_whole_of_itself() {
        let claim = Claim::new().unwrap();
        let own = claim.0.to_string();
        assert!(claim.opens_with(&own));
        let wrong = [
            "",
            own.strip_prefix(|_: char| true).unwrap(),
            &own.to_uppercase().replace('0', "1"),
            &format!("{own}0"),
        ];
        assert!(wrong.iter().all(|said| !claim.opens_with(said)));
        assert!(!Claim::new().unwrap().opens_with(&own));
    }

    #[test]
    fn a_box_slides_its_temperature_and_switches_its_lid() {
        let text = crate::commands::init::template("coolbox").unwrap().text;
        let blueprint = blueprint::Blueprint::parse(text).blueprint.unwrap();
        let kind = blueprint.kinds.get_key_value(&"box".parse::<Name>().unwrap()).unwrap();
        let phones = Phones::of("coolbox", kind, &blueprint.alarms).unwrap();
        assert_eq!(phones.shape["slider"]["name"], "temperature");
        assert_eq!(phones.shape["slider"]["shown"], "°C");
        assert_eq!(phones.shape["switch"], "lid_open");
        assert_eq!(phones.shape["battery"], "battery");
        let watched = json!(["temperature > 8 °C for 10 min raises too_warm"]);
        assert_eq!(phones.shape["watched"], watched);
    }

    #[test]
    fn the_page_asks_nothing_of_a_foreign_host() {
        for text in [PAGE, STYLE, SCRIPT] {
            assert!(
                !text.contains("//cdn") && !text.contains("http://") && !text.contains("https://")
            );
        }
    }
}
