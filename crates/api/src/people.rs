//! People: who signs in, and how each of them is told of alarms.
//!
//! *Invariant:* everybody changes how they themselves are told, an owner that of all. A token and
//! the secret of a webhook are shown once, in the answer that made them.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use identity::{Action, Actor, Role, Token};
use model::{CredentialId, Name, Origin, TenantId, UserId};
use registry::content::{
    CredentialContent, CredentialOwner, DigestContent, NotifyContent, QuietContent, UserContent,
    WebhookContent,
};
use registry::{Expect, Kind, RecordRow};
use serde::{Deserialize, Deserializer, Serialize};

use crate::app::App;
use crate::audience;
use crate::caller::Caller;
use crate::code;
use crate::devices::random;
use crate::extract::Body;
use crate::page::Page;
use crate::problem::Problem;
use crate::write::{applied, key, put};

/// People that a list shows.
const PEOPLE_MAX: u32 = 1_000;
/// Bytes of a webhook's secret; the standard asks for 24 to 64.
const SECRET_BYTES: usize = 32;
/// Secrets that are valid while one replaces the other.
const SECRETS_KEPT: usize = 2;

/// Somebody.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct PersonJson {
    id: String,
    name: String,
    email: Option<String>,
    role: String,
    notify: Option<NotifyJson>,
}

/// Somebody to add.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPerson {
    /// Unique in the tenant.
    name: String,
    /// `viewer`, `operator`, `engineer`, `finance` or `owner`.
    role: String,
    email: Option<String>,
}

/// Somebody new, and what they sign in with.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct AddedPerson {
    person: PersonJson,
    /// To sign in with; shown once.
    token: String,
}

/// Local hours in which nobody is told.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuietJson {
    /// `22:00`.
    from: String,
    /// `06:00`.
    to: String,
    /// `critical`: a critical alarm is told all the same.
    #[serde(default)]
    except: Option<String>,
}

/// From when on many messages become one.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DigestJson {
    /// So many of one severity in a window come one by one.
    burst: u32,
    /// `10 min`.
    window: String,
}

/// How somebody is told.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct NotifyJson {
    roles: Vec<String>,
    /// The smallest that reaches them.
    severity: String,
    timezone: Option<String>,
    quiet: Option<QuietJson>,
    digest: Option<DigestJson>,
    channels: Vec<String>,
    mail: Option<String>,
    /// Address of the webhook.
    webhook: Option<String>,
    /// Secrets that are valid now, without themselves.
    webhook_secrets: usize,
    mqtt: Option<String>,
    /// A secret that was made by this request; shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_secret: Option<String>,
}

/// A change of how somebody is told; what is left out stays, null takes back.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NotifyChange {
    /// What they answer for, as rules of the blueprint name it.
    roles: Option<BTreeSet<String>>,
    /// The smallest that reaches them: `info`, `warning` or `critical`.
    severity: Option<String>,
    /// Name in the IANA time zone database.
    #[serde(deserialize_with = "said")]
    timezone: Option<Option<String>>,
    #[serde(deserialize_with = "said")]
    quiet: Option<Option<QuietJson>>,
    #[serde(deserialize_with = "said")]
    digest: Option<Option<DigestJson>>,
    /// `mail`, `webhook` and `mqtt`, or `none` alone.
    channels: Option<Vec<String>>,
    #[serde(deserialize_with = "said")]
    mail: Option<Option<String>>,
    /// Address of a webhook; a secret is made with it.
    #[serde(deserialize_with = "said")]
    webhook: Option<Option<String>>,
    /// Make another secret; the one before stays valid beside it.
    new_secret: Option<bool>,
    /// Topic below `t/{tenant}/notify/`.
    #[serde(deserialize_with = "said")]
    mqtt: Option<Option<String>>,
}

/// Tells null from what was left out.
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    d: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(d).map(Some)
}

fn shown(content: &NotifyContent, webhook_secret: Option<String>) -> NotifyJson {
    let quiet = content.quiet.as_ref().map(|quiet| QuietJson {
        from: quiet.from.clone(),
        to: quiet.to.clone(),
        except: quiet.except.clone(),
    });
    let digest = content
        .digest
        .as_ref()
        .map(|digest| DigestJson { burst: digest.burst, window: digest.window.clone() });
    NotifyJson {
        roles: content.roles.iter().map(ToString::to_string).collect(),
        severity: content.severity.clone().unwrap_or_else(|| "warning".to_owned()),
        timezone: content.timezone.clone(),
        quiet,
        digest,
        channels: content.channels.clone(),
        mail: content.mail.clone(),
        webhook: content.webhook.as_ref().map(|webhook| webhook.url.clone()),
        webhook_secrets: content.webhook.as_ref().map_or(0, |webhook| webhook.secrets.len()),
        mqtt: content.mqtt.clone(),
        webhook_secret,
    }
}

fn person_json(id: &str, content: &UserContent) -> PersonJson {
    PersonJson {
        id: id.to_owned(),
        name: content.name.clone(),
        email: content.email.clone(),
        role: content.role.to_string(),
        notify: content.notify.as_ref().map(|notify| shown(notify, None)),
    }
}

/// Everybody of the tenant.
#[utoipa::path(get, path = "/people", tag = "people",
    responses((status = 200, body = Page<PersonJson>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Page<PersonJson>>, Problem> {
    let tenant = caller.may(Action::ManageTenant)?;
    let rows = app.registry.list(tenant, Kind::User, "", PEOPLE_MAX).await?;
    let json = |row: &RecordRow| Ok(person_json(&row.id, &row.content::<UserContent>()?));
    let items = rows.iter().map(json).collect::<Result<_, registry::Error>>()?;
    Ok(Json(Page::whole(items)))
}

/// Adds somebody and issues the token they sign in with.
#[utoipa::path(post, path = "/people", tag = "people", request_body = NewPerson,
    responses((status = 201, body = AddedPerson), (status = "default", body = Problem)))]
pub(crate) async fn add(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewPerson>,
) -> Result<(StatusCode, Json<AddedPerson>), Problem> {
    let tenant = caller.may(Action::ManageTenant)?;
    let role: Role = new
        .role
        .parse()
        .map_err(|error: identity::RoleError| Problem::invalid("/role", error.to_string()))?;
    if role == Role::Service {
        let fix = "a program gets a token of its own: iotbiz token add NAME";
        return Err(Problem::invalid("/role", "service is no role of a person").fix(fix));
    }
    if new.name == "me" {
        return Err(Problem::invalid("/name", "\"me\" is whoever asks: choose another name"));
    }
    let token = Token::generate()
        .map_err(|error| Problem::new(code::UNAVAILABLE, format!("no randomness: {error}")))?;
    let user = UserId::new(app.clock.now(), random()?);
    let (id, word) = (user.to_string(), role.as_str().parse());
    let role = word.map_err(|e: model::NameError| Problem::invalid("/role", e.to_string()))?;
    let content = UserContent { name: new.name, email: new.email, role, notify: None };
    let actor = caller.actor();
    put(&app, key(tenant, Kind::User, &id), &content, &actor, Expect::New).await?;
    let credential = CredentialContent {
        owner: CredentialOwner::Person(user),
        secret_sha256: token.hash().to_string(),
        certificate: None,
        origin: Origin::Real,
        role: None,
        not_before: None,
        expires: None,
        revoked: None,
    };
    let credential_id = CredentialId::new(app.clock.now(), random()?).to_string();
    let record = key(tenant, Kind::Credential, &credential_id);
    let written = put(&app, record, &credential, &actor, Expect::New).await?;
    applied(&app, written.seq).await?;
    let added =
        AddedPerson { person: person_json(&id, &content), token: token.reveal().to_owned() };
    Ok((StatusCode::CREATED, Json(added)))
}

/// Whom a caller may ask about: themselves as `me`, and, as an owner, everybody.
async fn found(app: &App, caller: &Caller, text: &str) -> Result<(TenantId, RecordRow), Problem> {
    let own = match caller.0.actor {
        Actor::Person(user) => Some(user.to_string()),
        Actor::Device(_) | Actor::Service(_) | Actor::Loopback => None,
    };
    let id = match (text, &own) {
        ("me", Some(own)) => own.clone(),
        ("me", None) => {
            caller.may(Action::Read)?;
            return Err(Problem::invalid("person", "you are no person of the records here")
                .fix("name one: iotbiz person ls"));
        }
        (text, _) => text.to_owned(),
    };
    let action = if own.as_ref() == Some(&id) { Action::Read } else { Action::ManageTenant };
    let tenant = caller.may(action)?;
    if let Some(row) = app.registry.get(key(tenant, Kind::User, &id)).await? {
        return Ok((tenant, row));
    }
    let row = app.registry.find_by_name(tenant, Kind::User, text).await?;
    let row = row.ok_or_else(|| Problem::not_found("person", text).fix("iotbiz person ls"))?;
    Ok((tenant, row))
}

/// How somebody is told of alarms.
#[utoipa::path(get, path = "/people/{person}/notify", tag = "people",
    params(("person" = String, Path, description = "me, id or name")),
    responses((status = 200, body = NotifyJson), (status = "default", body = Problem)))]
pub(crate) async fn notify(
    State(app): State<App>,
    caller: Caller,
    Path(person): Path<String>,
) -> Result<Json<NotifyJson>, Problem> {
    let (_, row) = found(&app, &caller, &person).await?;
    let content: UserContent = row.content()?;
    Ok(Json(shown(&content.notify.unwrap_or_else(nothing), None)))
}

/// What holds for somebody who chose nothing yet.
fn nothing() -> NotifyContent {
    NotifyContent { channels: vec!["none".to_owned()], ..NotifyContent::default() }
}

/// Changes how somebody is told of alarms.
#[utoipa::path(patch, path = "/people/{person}/notify", tag = "people",
    params(("person" = String, Path, description = "me, id or name")),
    request_body = NotifyChange,
    responses((status = 200, body = NotifyJson), (status = "default", body = Problem)))]
pub(crate) async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(person): Path<String>,
    Body(change): Body<NotifyChange>,
) -> Result<Json<NotifyJson>, Problem> {
    let (tenant, row) = found(&app, &caller, &person).await?;
    let mut user: UserContent = row.content()?;
    let mut content = user.notify.take().unwrap_or_else(nothing);
    let secret = merge(&mut content, change)?;
    let open = audience::uncovered(&app.seal, &row.id, content.clone()).map_err(|error| {
        Problem::invalid("/webhook", error.to_string())
            .fix("iotbiz person notify me --webhook none, then --webhook ADDRESS again")
    })?;
    audience::person((tenant, &row.id), &user.name, &open).map_err(|error| refused(&error))?;
    let answer = shown(&content, secret);
    let covered = audience::covered(&app.seal, &row.id, content);
    user.notify =
        Some(covered.map_err(|error| {
            Problem::new(code::UNAVAILABLE, format!("cover the secret: {error}"))
        })?);
    let record = key(tenant, Kind::User, &row.id);
    let expect = Expect::Revision(row.revision);
    let written = put(&app, record, &user, &caller.actor(), expect).await?;
    applied(&app, written.seq).await?;
    Ok(Json(answer))
}

/// A setting that cannot hold, at its own place in the body.
fn refused(error: &notify::Error) -> Problem {
    let notify::Error::Setting { place, why, fix } = error else {
        return Problem::invalid("/", error.to_string());
    };
    // `person.usr_1.quiet.from`: the caller wrote `/quiet/from`.
    let place: Vec<_> = place.split('.').skip(2).collect();
    Problem::invalid(&format!("/{}", place.join("/")), why.clone()).fix(fix.clone())
}

fn merge(content: &mut NotifyContent, change: NotifyChange) -> Result<Option<String>, Problem> {
    if let Some(roles) = change.roles {
        let name = |role: &String| {
            role.parse::<Name>().map_err(|error| Problem::invalid("/roles", error.to_string()))
        };
        content.roles = roles.iter().map(name).collect::<Result<_, _>>()?;
    }
    if let Some(severity) = change.severity {
        if !["info", "warning", "critical"].contains(&severity.as_str()) {
            let why = format!("{severity:?} is not info, warning or critical");
            return Err(Problem::invalid("/severity", why));
        }
        content.severity = Some(severity);
    }
    if let Some(quiet) = change.quiet {
        content.quiet = quiet.map(|quiet| QuietContent {
            from: quiet.from,
            to: quiet.to,
            except: quiet.except,
        });
    }
    if let Some(digest) = change.digest {
        content.digest =
            digest.map(|digest| DigestContent { burst: digest.burst, window: digest.window });
    }
    if let Some(channels) = change.channels {
        content.channels = channels;
    }
    content.timezone = change.timezone.unwrap_or_else(|| content.timezone.take());
    content.mail = change.mail.unwrap_or_else(|| content.mail.take());
    content.mqtt = change.mqtt.unwrap_or_else(|| content.mqtt.take());
    let renewal = match change.new_secret {
        Some(true) => Renewal::Asked,
        Some(false) | None => Renewal::Needless,
    };
    webhook(content, change.webhook, renewal)
}

/// Whether another secret is wanted although there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renewal {
    Asked,
    Needless,
}

/// Another address gets another secret; so does who asks for one.
fn webhook(
    content: &mut NotifyContent,
    asked: Option<Option<String>>,
    renewal: Renewal,
) -> Result<Option<String>, Problem> {
    match asked {
        Some(None) => {
            content.webhook = None;
            return Ok(None);
        }
        Some(Some(url)) if content.webhook.as_ref().is_none_or(|before| before.url != url) => {
            content.webhook = Some(WebhookContent { url, secrets: Vec::new() });
        }
        Some(Some(_)) | None => {}
    }
    let Some(webhook) = &mut content.webhook else { return Ok(None) };
    if !webhook.secrets.is_empty() && renewal == Renewal::Needless {
        return Ok(None);
    }
    let mut bytes = [0_u8; SECRET_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| Problem::new(code::UNAVAILABLE, format!("no randomness: {error}")))?;
    let secret = format!("whsec_{}", STANDARD.encode(bytes));
    webhook.secrets.insert(0, secret.clone());
    webhook.secrets.truncate(SECRETS_KEPT);
    Ok(Some(secret))
}
