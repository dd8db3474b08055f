//! Certificates of devices, and the authorities that sign them.
//!
//! *Invariant:* of a request only the key is used; a private key that we made leaves in the answer
//! that made it and is kept nowhere.
//! *Invariant:* one key is one device: a key that another device of the tenant holds is refused.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use identity::certificate::{CertificateRequest, DEVICE_LIFE, Leaf, Serial};
use identity::{Action, Keyring};
use model::{CredentialId, DeviceId, Origin, TenantId, Timestamp};
use registry::content::{CertificateContent, CredentialContent, CredentialOwner};
use registry::{Author, Decision, Expect, Kind, RecordRow};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::devices::{find, random};
use crate::extract::Body;
use crate::page::Page;
use crate::problem::Problem;
use crate::refusals::Refusal;
use crate::write::{applied, json, key};

/// Longest life that may be asked for.
const DAYS_MAX: u32 = 3_650;
/// Credentials that a list shows; the door keeps fewer valid ones.
const LIST_MAX: u32 = 1_000;
const DAY: Duration = Duration::from_secs(86_400);

/// A certificate to issue.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCertificate {
    /// PKCS#10 in PEM, so that the key never leaves the device; without it a key is made here.
    csr: Option<String>,
    /// How long it lives; 365 if left out.
    days: Option<u32>,
    /// The certificates before it end after so many days; left out, they stay until they expire.
    overlap_days: Option<u32>,
}

/// A certificate as it is shown after it was made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct IssuedCertificate {
    /// Id of the credential, to revoke it.
    pub(crate) id: String,
    /// Its number, as in the revocation list.
    pub(crate) serial: String,
    /// PEM.
    pub(crate) certificate: String,
    /// The certificate and those above it, PEM: what the device presents.
    pub(crate) chain: String,
    /// What the device trusts, PEM.
    pub(crate) ca: String,
    /// PKCS#8 in PEM, if it was made here; shown once.
    pub(crate) private_key: Option<String>,
    #[schema(value_type = String)]
    pub(crate) not_before: Timestamp,
    #[schema(value_type = String)]
    pub(crate) not_after: Timestamp,
    /// What the request asked and did not get.
    pub(crate) dropped: Vec<String>,
}

/// A credential without its secret.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct CredentialJson {
    id: String,
    /// `token` or `certificate`.
    kind: &'static str,
    /// Of a certificate.
    serial: Option<String>,
    issued_by: String,
    #[schema(value_type = String)]
    issued_at: Timestamp,
    #[schema(value_type = Option<String>)]
    expires: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    revoked: Option<Timestamp>,
    /// `valid`, `revoked`, `expired` or `not_yet_valid`.
    state: &'static str,
    /// When it should be replaced: at two thirds of a certificate's life.
    #[schema(value_type = Option<String>)]
    rotate_by: Option<Timestamp>,
}

/// The authorities whose certificates devices trust and are given.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct AuthoritiesOfServer {
    /// What a device trusts, PEM.
    root: String,
    /// What signs this tenant's devices, PEM.
    tenant: String,
    #[schema(value_type = String)]
    root_not_after: Timestamp,
    #[schema(value_type = String)]
    tenant_not_after: Timestamp,
}

impl CredentialJson {
    fn of(row: &RecordRow, now: Timestamp) -> Result<Self, Problem> {
        let content: CredentialContent = row.content()?;
        let state = match &content {
            CredentialContent { revoked: Some(_), .. } => "revoked",
            CredentialContent { expires: Some(at), .. } if now >= *at => "expired",
            CredentialContent { not_before: Some(from), .. } if now < *from => "not_yet_valid",
            CredentialContent { .. } => "valid",
        };
        let life = content.not_before.zip(content.expires);
        let rotate_by = content.certificate.as_ref().zip(life).map(|(_, (from, until))| {
            from + Duration::from_millis(
                u64::try_from(until.since(from).as_millis() / 3 * 2).unwrap_or(0),
            )
        });
        Ok(Self {
            id: row.id.clone(),
            kind: if content.certificate.is_some() { "certificate" } else { "token" },
            serial: content.certificate.map(|certificate| certificate.serial),
            issued_by: row.actor.clone(),
            issued_at: row.at,
            expires: content.expires,
            revoked: content.revoked,
            state,
            rotate_by,
        })
    }
}

/// The credentials of a device, without their secrets.
#[utoipa::path(get, path = "/devices/{device}/credentials", tag = "devices",
    params(("device" = String, Path, description = "id or name")),
    responses((status = 200, body = Page<CredentialJson>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(device): Path<String>,
) -> Result<Json<Page<CredentialJson>>, Problem> {
    let tenant = caller.may(Action::ChangeCredentials)?;
    let twin = find(&app.shard.picture(), tenant, &device)?;
    let now = app.clock.now();
    let rows = held(&app, tenant, twin.id).await?;
    let items = rows.iter().map(|row| CredentialJson::of(row, now));
    Ok(Json(Page::whole(items.collect::<Result<_, _>>()?)))
}

/// The credentials of a device, oldest first.
pub(crate) async fn held(
    app: &App,
    tenant: TenantId,
    device: DeviceId,
) -> Result<Vec<RecordRow>, Problem> {
    let owner = device.to_string();
    Ok(app.registry.list_owned(key(tenant, Kind::Credential, &owner), "", LIST_MAX).await?)
}

/// Issues a certificate; the old ones stay valid for `overlap_days`, or until they expire.
#[utoipa::path(post, path = "/devices/{device}/certificates", tag = "devices",
    params(("device" = String, Path, description = "id or name")), request_body = NewCertificate,
    responses((status = 201, body = IssuedCertificate), (status = "default", body = Problem)))]
pub(crate) async fn add(
    State(app): State<App>,
    caller: Caller,
    Path(device): Path<String>,
    Body(new): Body<NewCertificate>,
) -> Result<(StatusCode, Json<IssuedCertificate>), Problem> {
    let tenant = caller.may(Action::ChangeCredentials)?;
    let twin = find(&app.shard.picture(), tenant, &device)?;
    let whose = Whose { tenant, device: twin.id, origin: twin.origin };
    let life = life(new.days)?;
    let request = new.csr.as_deref().map(|csr| parse(csr.as_bytes())).transpose()?;
    let issued = sign(&app, whose, request.as_ref(), life)?;
    let overlap = new.overlap_days.map(|days| DAY * days.min(DAYS_MAX));
    let seq = keep(&app, whose, &issued, (&caller.actor(), overlap)).await?;
    applied(&app, seq).await?;
    Ok((StatusCode::CREATED, Json(issued.shown(&app.keyring))))
}

fn life(days: Option<u32>) -> Result<Duration, Problem> {
    match days {
        None => Ok(DEVICE_LIFE),
        Some(days @ 1..=DAYS_MAX) => Ok(DAY * days),
        Some(days) => {
            let message = format!("{days} days is not 1 to DAYS_MAX = {DAYS_MAX}");
            Err(Problem::invalid("/days", message))
        }
    }
}

pub(crate) fn parse(csr: &[u8]) -> Result<CertificateRequest, Problem> {
    CertificateRequest::parse(csr)
        .map_err(|refusal| Problem::invalid("/csr", refusal.to_string()).fix(refusal.fix()))
}

/// Whose certificate is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whose {
    pub(crate) tenant: TenantId,
    pub(crate) device: DeviceId,
    pub(crate) origin: Origin,
}

/// A certificate that is signed and not yet kept.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) id: CredentialId,
    pub(crate) leaf: Leaf,
    key: Option<identity::certificate::PrivateKey>,
}

impl Signed {
    pub(crate) fn shown(self, keyring: &Keyring) -> IssuedCertificate {
        IssuedCertificate {
            id: self.id.to_string(),
            serial: self.leaf.serial.to_string(),
            certificate: self.leaf.certificate_pem,
            chain: self.leaf.chain_pem,
            ca: keyring.root().certificate_pem(),
            private_key: self.key.map(|key| key.reveal().to_owned()),
            not_before: self.leaf.not_before,
            not_after: self.leaf.not_after,
            dropped: self.leaf.dropped,
        }
    }
}

/// A certificate whose key stays on the device, shown while it is still pending.
pub(crate) fn shown_again(signed: &Signed, keyring: &Keyring) -> IssuedCertificate {
    let (id, leaf) = (signed.id, signed.leaf.clone());
    Signed { id, leaf, key: None }.shown(keyring)
}

/// Signs a certificate for the key of a request, or for one made here.
pub(crate) fn sign(
    app: &App,
    whose: Whose,
    request: Option<&CertificateRequest>,
    life: Duration,
) -> Result<Signed, Problem> {
    let now = app.clock.now();
    let authority = app.keyring.of(whose.tenant, now);
    let authority = authority.map_err(|error| Problem::from_kind(error.kind(), &error))?;
    let life = (now, now + life);
    let refused = |error: identity::certificate::Error| Problem::from_kind(error.kind(), &error);
    let (leaf, key) = match request {
        Some(request) => {
            let issued = authority.issue_device(request, whose.tenant, whose.device, life);
            (issued.map_err(refused)?, None)
        }
        None => {
            let made = authority.issue_device_with_new_key(whose.tenant, whose.device, life);
            let made = made.map_err(refused)?;
            (made.leaf, Some(made.key))
        }
    };
    if !leaf.dropped.is_empty() {
        let device = whose.device;
        tracing::info!(%device, dropped = ?leaf.dropped, "a request asked for more than its key");
    }
    let id = CredentialId::new(now, random()?);
    Ok(Signed { id, leaf, key })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The record of a certificate.
pub(crate) fn content(whose: Whose, leaf: &Leaf) -> CredentialContent {
    CredentialContent {
        owner: CredentialOwner::Device(whose.device),
        secret_sha256: hex(&leaf.fingerprint),
        certificate: Some(CertificateContent {
            serial: leaf.serial.to_string(),
            key_sha256: hex(&leaf.spki_sha256),
        }),
        origin: whose.origin,
        role: None,
        not_before: Some(leaf.not_before),
        expires: Some(leaf.not_after),
        revoked: None,
    }
}

/// Keeps the record, and lets those before it end after the overlap; the place in the outbox.
pub(crate) async fn keep(
    app: &App,
    whose: Whose,
    signed: &Signed,
    (actor, overlap): (&str, Option<Duration>),
) -> Result<u64, Problem> {
    refuse_shared_key(app, whose, &signed.leaf)?;
    crate::credentials::room(app, whose.tenant, whose.device)?;
    let mut records = Vec::new();
    if let Some(overlap) = overlap {
        let until = app.clock.now() + overlap;
        for row in held(app, whose.tenant, whose.device).await? {
            let mut old: CredentialContent = row.content()?;
            let sooner = old.expires.is_none_or(|at| until < at);
            if old.certificate.is_some() && old.revoked.is_none() && sooner {
                old.expires = Some(until);
                records.push((row.id, Expect::Revision(row.revision), json(&old)?));
            }
        }
    }
    let fresh = json(&content(whose, &signed.leaf))?;
    records.push((signed.id.to_string(), Expect::New, fresh));
    let decisions: Vec<_> = records
        .iter()
        .map(|(id, expect, content)| {
            Decision::put(whose.tenant, Kind::Credential, id, content).expecting(*expect)
        })
        .collect();
    let written = app.registry.put_many(&decisions, &Author::new(actor)).await?;
    Ok(written.last().map_or(0, |revision| revision.seq))
}

/// A key that two devices hold proves neither of them.
pub(crate) fn refuse_shared_key(app: &App, whose: Whose, leaf: &Leaf) -> Result<(), Problem> {
    let holder = app.door.key_holder(whose.tenant, &leaf.spki_sha256);
    match holder.filter(|holder| *holder != whose.device) {
        None => Ok(()),
        Some(holder) => {
            tracing::warn!(device = %whose.device, %holder, "a key is used twice");
            let detail = format!("{holder} holds the same key");
            let fix = "make a key on each device; an image with a key in it is on all of them";
            app.refusals.push(Refusal {
                tenant: Some(whose.tenant),
                at: app.clock.now(),
                claimed: whose.device.to_string(),
                device: Some(holder),
                peer: String::new(),
                reason: "shared_key".to_owned(),
                detail: detail.clone(),
                fix: fix.to_owned(),
            });
            Err(Problem::new(code::CONFLICT, detail).fix(fix))
        }
    }
}

/// What a device trusts, and what signs it.
#[utoipa::path(get, path = "/ca", tag = "server",
    responses((status = 200, body = AuthoritiesOfServer), (status = "default", body = Problem)))]
pub(crate) async fn authorities(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<AuthoritiesOfServer>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let of_tenant = app.keyring.of(tenant, app.clock.now());
    let of_tenant = of_tenant.map_err(|error| Problem::from_kind(error.kind(), &error))?;
    Ok(Json(AuthoritiesOfServer {
        root: app.keyring.root().certificate_pem(),
        tenant: of_tenant.certificate_pem(),
        root_not_after: app.keyring.root().not_after(),
        tenant_not_after: of_tenant.not_after(),
    }))
}

/// The revocation list of the tenant's authority, PEM, for others who verify our certificates; this
/// server looks at the records themselves.
#[utoipa::path(get, path = "/ca/crl", tag = "server",
    responses((status = 200, body = String, content_type = "application/x-pem-file"),
        (status = "default", body = Problem)))]
pub(crate) async fn revocation_list(
    State(app): State<App>,
    caller: Caller,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::Read)?;
    let now = app.clock.now();
    let mut revoked = Vec::new();
    let mut after = String::new();
    loop {
        let rows = app.registry.list(tenant, Kind::Credential, &after, LIST_MAX).await?;
        for row in &rows {
            let Ok(content) = row.content::<CredentialContent>() else { continue };
            let ended = content.certificate.zip(content.revoked);
            let serial =
                ended.and_then(|(held, at)| Some((held.serial.parse::<Serial>().ok()?, at)));
            revoked.extend(serial);
        }
        match rows.last() {
            Some(last) => after.clone_from(&last.id),
            None => break,
        }
    }
    let authority = app.keyring.of(tenant, now);
    let authority = authority.map_err(|error| Problem::from_kind(error.kind(), &error))?;
    // A number that grows, also over a restart.
    let number = u64::try_from(now.as_millis()).unwrap_or(0);
    let list = authority.revocation_list(&revoked, number, now);
    let list = list.map_err(|error| Problem::from_kind(error.kind(), &error))?;
    Ok(([(header::CONTENT_TYPE, "application/x-pem-file")], list.pem).into_response())
}
