//! How a new device gets in: its claim opens the door once, its own key from then on.
//!
//! ```text
//! POST csr       claim token, serial, PKCS#10  ->  certificate that opens nothing yet,
//!                                                  ownership token (once, 10 minutes)
//! POST register  ownership token, serial       ->  device, certificate in force
//! POST renew     the device itself, PKCS#10    ->  its next certificate
//! ```
//! *Invariant:* a claim token does nothing else; a serial number is one device for ever, whoever
//! shows it a second time is refused and told to the owner, and the first device notices nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use identity::certificate::{Applicant, Claim, DEVICE_LIFE, Pending, Standing};
use identity::{Action, Actor, Resource, authorize};
use model::{ClaimId, DeviceId, TenantId};
use registry::content::{ClaimContent, DeviceContent, DeviceName, EnrolmentContent};
use registry::{Author, Decision, Expect, Kind};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::app::App;
use crate::caller::Caller;
use crate::certificates::{self, IssuedCertificate, Signed, Whose, keep, parse, sign};
use crate::code;
use crate::devices::random;
use crate::extract::Body;
use crate::problem::Problem;
use crate::refusals::Refusal;
use crate::write::{applied, json, key};

/// How long the former certificate of a device that renewed still opens.
const RENEWAL_OVERLAP: Duration = Duration::from_secs(7 * 86_400);

/// Certificates that wait for the registration of one serial number.
const WAITING_PER_SERIAL_MAX: usize = 8;

/// Devices between their certificate and their registration. Held over a registration, so that two
/// devices never share the last use of a claim.
#[derive(Debug, Default)]
pub struct Provisioning(Mutex<Pending<Waiting>>);

/// A device that got its certificate and has not registered.
#[derive(Debug)]
struct Waiting {
    tenant: TenantId,
    claim: ClaimId,
    serial: String,
    name: DeviceName,
    /// A record that waits for its board, or a new one.
    place: Place,
    signed: Signed,
}

/// Where the device will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    New(DeviceId),
    Prepared(DeviceId),
}

impl Place {
    const fn device(self) -> DeviceId {
        match self {
            Self::New(device) | Self::Prepared(device) => device,
        }
    }
}

/// A device's first request.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CsrRequest {
    /// As on the label.
    serial: String,
    /// PKCS#10 in PEM: the key stays on the device.
    csr: String,
    /// The kind of device, to be refused by the claim of another product.
    kind: Option<String>,
}

/// A certificate that opens nothing until it is registered.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct PendingCertificate {
    #[serde(flatten)]
    certificate: IssuedCertificate,
    /// `pending`.
    state: &'static str,
    /// For `register`, once, within 10 minutes.
    ownership_token: String,
}

/// A device's second request.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registration {
    ownership_token: String,
    serial: String,
}

/// Who the device is now, and where it goes.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Registered {
    /// Its id, and its MQTT user name where one is wanted.
    device: String,
    name: String,
    mqtt_host: String,
    /// MQTT with TLS, where the certificate alone says who it is; none: not offered.
    mqtts_port: Option<u16>,
    http_port: u16,
}

/// A device's request for its next certificate.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Renewal {
    /// PKCS#10 in PEM, better of a new key.
    csr: String,
}

/// Exchanges a claim token and a request for a certificate that waits for its registration.
#[utoipa::path(post, path = "/csr", tag = "provision", request_body = CsrRequest,
    responses((status = 201, body = PendingCertificate), (status = "default", body = Problem)))]
pub(crate) async fn csr(
    State(app): State<App>,
    headers: HeaderMap,
    Body(asked): Body<CsrRequest>,
) -> Result<(StatusCode, Json<PendingCertificate>), Problem> {
    let (tenant, claim, content) = claim_of(&app, &headers).await?;
    let mut pending = app.provisioning.0.lock().await;
    // Whoever holds one claim must not fill the table that all share: what waits counts as used.
    // A device that asks again, because the answer was lost, is not one more of its batch.
    let waiting = pending.waiting(app.clock.now()).filter(|waiting| waiting.claim == claim);
    let serials = waiting.map(|waiting| waiting.serial.as_str());
    let (same, others): (Vec<_>, Vec<_>) = serials.partition(|serial| *serial == asked.serial);
    let others = others.into_iter().collect::<BTreeSet<_>>().len();
    let others = u32::try_from(others).unwrap_or(u32::MAX);
    let (name, place) = admit(&app, (tenant, claim, others), &content, &asked)?;
    if same.len() >= WAITING_PER_SERIAL_MAX {
        let detail = format!(
            "{} certificates wait for this serial number, which is WAITING_PER_SERIAL_MAX",
            same.len()
        );
        return Err(Problem::new(code::UNAVAILABLE, detail)
            .fix("register with the newest one, or ask again in 10 minutes"));
    }
    let request = parse(asked.csr.as_bytes())?;
    let whose = Whose { tenant, device: place.device(), origin: content.origin };
    let signed = sign(&app, whose, Some(&request), DEVICE_LIFE)?;
    certificates::refuse_shared_key(&app, whose, &signed.leaf)?;
    let shown = certificates::shown_again(&signed, &app.keyring);
    let waiting = Waiting { tenant, claim, serial: asked.serial, name, place, signed };
    let token = pending
        .open(waiting, app.clock.now())
        .map_err(|refusal| Problem::from_kind(refusal.kind(), &refusal).fix(refusal.fix()))?;
    let ownership_token = token.reveal().to_owned();
    let answer = PendingCertificate { certificate: shown, state: "pending", ownership_token };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// The claim whose token the request carries.
async fn claim_of(
    app: &App,
    headers: &HeaderMap,
) -> Result<(TenantId, ClaimId, ClaimContent), Problem> {
    let refused = || {
        Problem::new(code::UNAUTHENTICATED, "no valid claim token")
            .fix("send Authorization: Bearer followed by the token of the batch")
    };
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default().trim();
    let (tenant, claim) = app.door.claim(token.as_bytes()).ok_or_else(refused)?;
    let row = app.registry.get(key(tenant, Kind::Claim, &claim.to_string())).await?;
    let content: ClaimContent = row.ok_or_else(refused)?.content()?;
    refuse_revoked(app, tenant, &content)?;
    Ok((tenant, claim, content))
}

/// A revoked claim admits nobody, also who has asked before.
fn refuse_revoked(app: &App, tenant: TenantId, content: &ClaimContent) -> Result<(), Problem> {
    let Some(at) = content.revoked else { return Ok(()) };
    let detail = format!("the claim {} was revoked at {at}", content.name);
    tell(app, Some(tenant), "", ("claim_revoked", &detail, "make a new claim for the batch"));
    Err(Problem::new(code::UNAUTHENTICATED, "no valid claim token")
        .fix("send Authorization: Bearer followed by the token of the batch"))
}

/// Whether the device may come in, and as which record.
fn admit(
    app: &App,
    (tenant, claim, waiting): (TenantId, ClaimId, u32),
    content: &ClaimContent,
    asked: &CsrRequest,
) -> Result<(DeviceName, Place), Problem> {
    let serial = asked.serial.as_str();
    let name = device_name(serial);
    let picture = app.shard.picture();
    let known = name.as_ref().and_then(|name| picture.twins.by_name(tenant, name.as_str()));
    // A record of that name that was prepared for this board and never had a credential that opens.
    let prepared = known.filter(|twin| twin.kind == content.kind && twin.retired.is_none());
    let prepared = prepared.filter(|twin| !app.door.has_credential(tenant, twin.id));
    let taken =
        app.door.enrolled(tenant, serial).is_some() || (known.is_some() && prepared.is_none());
    let rules = Claim {
        uses_max: content.uses_max,
        uses: app.door.claim_uses(claim).saturating_add(waiting),
        expires: content.expires,
        serials: (!content.serials.is_empty())
            .then(|| content.serials.iter().cloned().collect::<BTreeSet<_>>()),
        kind: content.kind.to_string(),
    };
    let standing = if taken { Standing::Taken } else { Standing::Free };
    let applicant = Applicant { serial, kind: asked.kind.as_deref(), standing };
    rules.admit(&applicant, app.clock.now()).map_err(|refusal| {
        tell(app, Some(tenant), serial, (refusal.code(), &refusal.to_string(), refusal.fix()));
        Problem::from_kind(refusal.kind(), &refusal).fix(refusal.fix())
    })?;
    let name = name.ok_or_else(|| {
        Problem::invalid("/serial", format!("{serial:?} cannot be the name of a device"))
            .fix("use letters, digits, -, _ and ., starting with a letter or digit")
    })?;
    let place = match prepared {
        Some(twin) => Place::Prepared(twin.id),
        None => Place::New(DeviceId::new(app.clock.now(), random()?)),
    };
    Ok((name, place))
}

/// A serial number as the name of its device.
fn device_name(serial: &str) -> Option<DeviceName> {
    serial.to_lowercase().parse().ok()
}

/// Tells the owner what the device is not told.
fn tell(
    app: &App,
    tenant: Option<TenantId>,
    serial: &str,
    (reason, detail, fix): (&str, &str, &str),
) {
    app.refusals.push(Refusal {
        tenant,
        at: app.clock.now(),
        claimed: serial.chars().take(128).collect(),
        device: tenant.and_then(|tenant| app.door.enrolled(tenant, serial)),
        peer: String::new(),
        reason: reason.to_owned(),
        detail: detail.to_owned(),
        fix: fix.to_owned(),
    });
}

/// Puts a pending certificate in force and makes the device's record.
#[utoipa::path(post, path = "/register", tag = "provision", request_body = Registration,
    responses((status = 201, body = Registered), (status = "default", body = Problem)))]
pub(crate) async fn register(
    State(app): State<App>,
    Body(asked): Body<Registration>,
) -> Result<(StatusCode, Json<Registered>), Problem> {
    let mut pending = app.provisioning.0.lock().await;
    let now = app.clock.now();
    let waiting = pending.take(&asked.ownership_token, now).map_err(|refusal| {
        // Whose it was is forgotten with it.
        let told = (refusal.code(), &*refusal.to_string(), refusal.fix());
        tell(&app, None, &asked.serial, told);
        Problem::new(code::GONE, refusal.to_string()).fix(refusal.fix())
    })?;
    let tenant = waiting.tenant;
    if waiting.serial != asked.serial {
        let detail = format!("the certificate was asked for serial number {:?}", waiting.serial);
        let told = ("serial_mismatch", &*detail, "look at both devices");
        tell(&app, Some(tenant), &asked.serial, told);
        return Err(Problem::invalid("/serial", "another serial number than in the request"));
    }
    let claim_id = waiting.claim.to_string();
    let row = app.registry.get(key(tenant, Kind::Claim, &claim_id)).await?;
    let row = row.ok_or_else(|| Problem::not_found("claim", &claim_id))?;
    let content: ClaimContent = row.content()?;
    refuse_revoked(&app, tenant, &content)?;
    // Judged again: others may have used it up, or the serial number, since the certificate.
    let again = CsrRequest { serial: asked.serial, csr: String::new(), kind: None };
    let (_, place) = admit(&app, (tenant, waiting.claim, 0), &content, &again)?;
    let same = match (place, waiting.place) {
        (Place::New(_), Place::New(_)) => true,
        (Place::Prepared(now), Place::Prepared(then)) => now == then,
        (Place::New(_), Place::Prepared(_)) | (Place::Prepared(_), Place::New(_)) => false,
    };
    if !same {
        return Err(Problem::new(code::CONFLICT, "the device's record changed meanwhile")
            .fix("ask for a certificate again"));
    }
    let seq = write(&app, &content, &waiting).await?;
    applied(&app, seq).await?;
    drop(pending);
    let answer = Registered {
        device: waiting.place.device().to_string(),
        name: waiting.name.as_str().to_owned(),
        mqtt_host: app.facts.mqtt_host.clone(),
        mqtts_port: app.facts.mqtts_port,
        http_port: app.facts.http_port,
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Device, enrolment and certificate in one transaction; the place in the outbox.
async fn write(app: &App, claim: &ClaimContent, waiting: &Waiting) -> Result<u64, Problem> {
    let device = waiting.place.device();
    let (device_text, credential) = (device.to_string(), waiting.signed.id.to_string());
    let whose = Whose { tenant: waiting.tenant, device, origin: claim.origin };
    let held = json(&certificates::content(whose, &waiting.signed.leaf))?;
    let name = waiting.serial.clone();
    let enrolled = json(&EnrolmentContent { name, claim: waiting.claim })?;
    let record = json(&DeviceContent {
        name: waiting.name.clone(),
        venture: claim.venture.clone(),
        kind: claim.kind.clone(),
        origin: claim.origin,
        site: None,
        tags: Vec::new(),
        links: std::collections::BTreeMap::new(),
        children: Vec::new(),
        hardware: None,
        serial: Some(waiting.serial.clone()),
        profile: None,
        retired: None,
        returns: Vec::new(),
    })?;
    certificates::refuse_shared_key(app, whose, &waiting.signed.leaf)?;
    let tenant = waiting.tenant;
    let mut decisions = Vec::with_capacity(3);
    if matches!(waiting.place, Place::New(_)) {
        decisions.push(
            Decision::put(tenant, Kind::Device, &device_text, &record).expecting(Expect::New),
        );
    }
    decisions.push(Decision::put(tenant, Kind::Enrolment, &device_text, &enrolled));
    decisions
        .push(Decision::put(tenant, Kind::Credential, &credential, &held).expecting(Expect::New));
    let actor = waiting.claim.to_string();
    let written = app.registry.put_many(&decisions, &Author::new(&actor)).await?;
    Ok(written.last().map_or(0, |revision| revision.seq))
}

/// A device's next certificate; the one before opens for another week.
#[utoipa::path(post, path = "/renew", tag = "provision", request_body = Renewal,
    responses((status = 201, body = IssuedCertificate), (status = "default", body = Problem)))]
pub(crate) async fn renew(
    State(app): State<App>,
    caller: Caller,
    Body(asked): Body<Renewal>,
) -> Result<(StatusCode, Json<IssuedCertificate>), Problem> {
    let Caller(identity) = &caller;
    let Actor::Device(device) = identity.actor else {
        let detail = format!("only a device renews its certificate here, not a {}", identity.role);
        return Err(Problem::new(code::FORBIDDEN, detail).fix("iotbiz device certificate NAME"));
    };
    let resource = Resource::Device(identity.tenant, device);
    authorize(identity, Action::RenewCertificate, &resource)?;
    let request = parse(asked.csr.as_bytes())?;
    let whose = Whose { tenant: identity.tenant, device, origin: identity.origin };
    let signed = sign(&app, whose, Some(&request), DEVICE_LIFE)?;
    let seq = keep(&app, whose, &signed, (&caller.actor(), Some(RENEWAL_OVERLAP))).await?;
    applied(&app, seq).await?;
    Ok((StatusCode::CREATED, Json(signed.shown(&app.keyring))))
}
