//! Devices: list, add, show, change, remove.
//!
//! *Invariant:* a token is shown once, in the answer that made it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use identity::Action;
use model::{DeviceId, Name, Origin, TenantId};
use pipeline::Picture;
use registry::content::{DeviceContent, DeviceName};
use registry::{Author, Decision, Expect, Kind};
use serde::{Deserialize, Serialize};
use twin::{DeviceTwin, Filter};

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::credentials::{Issued, issue};
use crate::extract::{Body, Params};
use crate::json::{Device, Look, Named};
use crate::page::{Page, cursor, limit, parse_cursor};
use crate::problem::Problem;
use crate::write::{Changes, DryRun, applied, conflict, etag, if_match, key, put};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct DeviceQuery {
    /// `kind:box status:silent fw:<2.4.1 temperature:>8`.
    filter: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// A device to add.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDevice {
    /// a-z, 0-9, `-`, `_` and `.`, at most 64, unique in the tenant.
    pub(crate) name: String,
    /// A device kind of the blueprint.
    pub(crate) kind: String,
    /// The venture; may be left out when there is only one.
    pub(crate) venture: Option<String>,
    pub(crate) site: Option<String>,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    /// `real` (default), `virtual` or `replayed`; marked for ever.
    pub(crate) origin: Option<String>,
    /// Ids or names of linked devices, by link name.
    #[serde(default)]
    pub(crate) links: BTreeMap<String, String>,
    /// Ids or names of the devices that this gateway speaks for.
    #[serde(default)]
    pub(crate) children: Vec<String>,
    /// As on the board.
    pub(crate) hardware: Option<String>,
    /// As on the label.
    pub(crate) serial: Option<String>,
}

/// A device and the credential it can use.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Added {
    device: Device,
    credential: Issued,
}

/// One device, whole.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct DeviceDetail {
    #[serde(flatten)]
    device: Device,
    /// The blueprint revision it is read by.
    blueprint_revision: Option<u64>,
    links: BTreeMap<String, Named>,
    /// Devices that link to it or that it speaks for.
    children: Vec<Named>,
    /// The gateway that spoke for it last.
    path: Option<Named>,
    /// Expected interval of each reading, in milliseconds.
    expected_every: BTreeMap<String, u64>,
    /// When it counts as silent.
    silent_after_ms: u64,
    /// Whether it has a connection now.
    connected: bool,
    /// Out of service since.
    #[schema(value_type = Option<String>)]
    retired: Option<model::Timestamp>,
    messages: u64,
    duplicates: u64,
    late: u64,
}

/// A change of a device; what is left out stays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceChange {
    name: Option<String>,
    site: Option<Option<String>>,
    tags: Option<Vec<String>>,
    links: Option<BTreeMap<String, String>>,
    /// The devices that this gateway speaks for; an empty list takes all back.
    children: Option<Vec<String>>,
    hardware: Option<Option<String>>,
    serial: Option<Option<String>>,
}

/// Finds a device of the tenant by id or name.
pub(crate) fn find(
    picture: &Picture,
    tenant: TenantId,
    text: &str,
) -> Result<Arc<DeviceTwin>, Problem> {
    let by_id = text.parse().ok().and_then(|id| picture.twins.get(tenant, id));
    by_id
        .or_else(|| picture.twins.by_name(tenant, text))
        .map(Arc::clone)
        .ok_or_else(|| Problem::not_found("device", text).fix("iotbiz device ls"))
}

pub(crate) fn parse_filter(text: Option<&str>) -> Result<Filter, Problem> {
    text.unwrap_or_default().parse().map_err(|error: twin::FilterError| {
        let message = error.to_string();
        Problem::new(code::BAD_FILTER, message.clone()).at("filter", message)
    })
}

/// Devices of the tenant, by name.
#[utoipa::path(get, path = "/devices", tag = "devices", params(DeviceQuery),
    responses((status = 200, body = Page<Device>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<DeviceQuery>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::Read)?;
    let filter = parse_filter(query.filter.as_deref())?;
    let limit = limit(query.limit)?;
    let after = parse_cursor(query.cursor.as_deref())?;
    let picture = app.shard.picture();
    let now = app.clock.now();
    let mut page = Page { items: Vec::new(), next_cursor: None, total_matching: None };
    let mut total = 0;
    for twin in picture.twins.devices_by_name(tenant, None) {
        let look = Look { picture: &picture, twin, now };
        if !filter.matches(twin, look.facts()) {
            continue;
        }
        total += 1;
        if after.as_deref().is_some_and(|after| twin.name.as_str() <= after) {
            continue;
        }
        if page.items.len() < limit {
            page.items.push(look.device());
        } else if page.next_cursor.is_none() {
            page.next_cursor = page.items.last().map(|last| cursor(&last.name));
        }
    }
    page.total_matching = Some(total);
    Ok((offset_header(&picture), Json(page)).into_response())
}

pub(crate) fn offset_header(picture: &Picture) -> [(&'static str, String); 1] {
    [("iotbiz-offset", picture.offset.to_string())]
}

/// Adds a device and issues its token.
#[utoipa::path(post, path = "/devices", tag = "devices", params(DryRun), request_body = NewDevice,
    responses((status = 201, body = Added), (status = 200, body = Changes),
        (status = "default", body = Problem)))]
pub(crate) async fn add(
    State(app): State<App>,
    caller: Caller,
    Params(dry): Params<DryRun>,
    Body(new): Body<NewDevice>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::ChangeDevices)?;
    let content = content(&app, tenant, &new)?;
    if dry.dry_run {
        let changes = vec![format!("add device {} of kind {}", new.name, content.kind)];
        return Ok(Json(Changes { changes }).into_response());
    }
    let id = DeviceId::new(app.clock.now(), random()?);
    let origin = content.origin;
    let text = id.to_string();
    let record = key(tenant, Kind::Device, &text);
    let put = put(&app, record, &content, &caller.actor(), Expect::New).await?;
    let (credential, seq) = issue(&app, tenant, id, origin, &caller.actor()).await?;
    applied(&app, seq.max(put.seq)).await?;
    let picture = app.shard.picture();
    let twin = find(&picture, tenant, &id.to_string())?;
    let device = Look { picture: &picture, twin: &twin, now: app.clock.now() }.device();
    let location = [("location", format!("/api/v1/devices/{id}"))];
    Ok((StatusCode::CREATED, location, Json(Added { device, credential })).into_response())
}

pub(crate) fn random() -> Result<u128, Problem> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Problem::new(code::UNAVAILABLE, format!("no randomness: {error}")))?;
    Ok(u128::from_le_bytes(bytes))
}

/// The record of a new device.
pub(crate) fn content(
    app: &App,
    tenant: TenantId,
    new: &NewDevice,
) -> Result<DeviceContent, Problem> {
    let picture = app.shard.picture();
    let venture = venture(&picture, tenant, new.venture.as_deref())?;
    let kind = new.kind.parse::<Name>().map_err(|e| Problem::invalid("/kind", e.to_string()))?;
    if let Some(found) = picture.catalog.newest(tenant, &venture)
        && !found.profiles.contains_key(&kind)
    {
        let known: Vec<_> = found.profiles.keys().map(Name::as_str).collect();
        let message = format!("{venture} has no device kind {kind}; it has {}", known.join(", "));
        return Err(Problem::invalid("/kind", message));
    }
    let origin = match new.origin.as_deref() {
        None => Origin::Real,
        Some(text) => text
            .parse()
            .map_err(|e: model::OriginError| Problem::invalid("/origin", e.to_string()))?,
    };
    Ok(DeviceContent {
        name: device_name(&new.name)?,
        venture,
        kind,
        origin,
        site: site(&picture, tenant, new.site.as_deref())?,
        tags: new.tags.clone(),
        links: links(&picture, tenant, &new.links)?,
        children: children(&picture, tenant, &new.children)?,
        hardware: new.hardware.clone(),
        serial: new.serial.clone(),
        profile: None,
        retired: None,
        returns: Vec::new(),
    })
}

fn device_name(text: &str) -> Result<DeviceName, Problem> {
    text.parse().map_err(|error: registry::content::DeviceNameError| {
        Problem::invalid("/name", error.to_string())
    })
}

pub(crate) fn venture(
    picture: &Picture,
    tenant: TenantId,
    asked: Option<&str>,
) -> Result<Name, Problem> {
    if let Some(text) = asked {
        let name = text.parse::<Name>();
        let name = name.map_err(|error| Problem::invalid("/venture", error.to_string()))?;
        if picture.catalog.newest(tenant, &name).is_none() {
            return Err(Problem::invalid("/venture", format!("there is no venture {name}"))
                .fix("iotbiz apply blueprint.toml"));
        }
        return Ok(name);
    }
    let mut ventures = picture.catalog.ventures(tenant);
    match (ventures.next(), ventures.next()) {
        (Some((only, _)), None) => Ok(only.clone()),
        (None, _) => Err(Problem::invalid("/venture", "there is no venture yet")
            .fix("iotbiz init && iotbiz apply blueprint.toml")),
        (Some(_), Some(_)) => {
            Err(Problem::invalid("/venture", "there are several ventures: name one"))
        }
    }
}

fn site(
    picture: &Picture,
    tenant: TenantId,
    asked: Option<&str>,
) -> Result<Option<model::SiteId>, Problem> {
    let Some(text) = asked else { return Ok(None) };
    picture
        .catalog
        .sites(tenant)
        .find(|(id, site)| site.name == text || id.to_string() == text)
        .map(|(id, _)| Some(id))
        .ok_or_else(|| Problem::invalid("/site", format!("there is no site {text:?}")))
}

fn links(
    picture: &Picture,
    tenant: TenantId,
    asked: &BTreeMap<String, String>,
) -> Result<BTreeMap<Name, DeviceId>, Problem> {
    let link = |(name, target): (&String, &String)| {
        let pointer = format!("/links/{name}");
        let name = name
            .parse()
            .map_err(|e: model::NameError| Problem::invalid(&pointer, e.to_string()))?;
        let target = find(picture, tenant, target)
            .map_err(|_| Problem::invalid(&pointer, format!("there is no device {target:?}")))?;
        Ok((name, target.id))
    };
    asked.iter().map(link).collect()
}

fn children(
    picture: &Picture,
    tenant: TenantId,
    asked: &[String],
) -> Result<Vec<DeviceId>, Problem> {
    let child = |text: &String| {
        let found = find(picture, tenant, text);
        found.map(|twin| twin.id).map_err(|_| {
            Problem::invalid("/children", format!("there is no device {text:?}"))
                .fix("add the children first, then name them here")
        })
    };
    asked.iter().map(child).collect()
}

/// One device by id or name.
#[utoipa::path(get, path = "/devices/{device}", tag = "devices",
    params(("device" = String, Path, description = "id or name")),
    responses((status = 200, body = DeviceDetail), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(device): Path<String>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::Read)?;
    let picture = app.shard.picture();
    let twin = find(&picture, tenant, &device)?;
    caller.may_with(Action::Read, twin.id)?;
    let look = Look { picture: &picture, twin: &twin, now: app.clock.now() };
    let mut detail = detail(&look, tenant);
    detail.connected = (app.facts.presence.0)(twin.id);
    Ok((offset_header(&picture), etag(twin.revision), Json(detail)).into_response())
}

fn named(picture: &Picture, tenant: TenantId, id: DeviceId) -> Named {
    let name = picture.twins.get(tenant, id).map_or_else(|| id.to_string(), |t| t.name.clone());
    Named { id: id.to_string(), name }
}

fn detail(look: &Look<'_>, tenant: TenantId) -> DeviceDetail {
    let (picture, twin) = (look.picture, look.twin);
    let in_force = look.in_force();
    let kind = in_force.and_then(|found| found.blueprint.kinds.get(&twin.kind));
    let every = kind.into_iter().flat_map(|kind| &kind.readings).filter_map(|(name, property)| {
        let every = u64::try_from(property.every?.as_millis()).ok()?;
        Some((name.to_string(), every))
    });
    let linked = picture.twins.devices(tenant).filter(|other| {
        other.path == Some(twin.id) || other.links.values().any(|target| *target == twin.id)
    });
    /// Enough for a person; the list has the rest.
    const CHILDREN_MAX: usize = 100;
    let children: BTreeSet<_> = linked.take(CHILDREN_MAX).map(|other| other.id).collect();
    DeviceDetail {
        blueprint_revision: in_force.map(|found| found.revision),
        links: twin
            .links
            .iter()
            .map(|(link, id)| (link.to_string(), named(picture, tenant, *id)))
            .collect(),
        children: children.into_iter().map(|id| named(picture, tenant, id)).collect(),
        path: twin.path.map(|id| named(picture, tenant, id)),
        expected_every: every.collect(),
        connected: false,
        retired: twin.retired,
        silent_after_ms: u64::try_from(look.silent_after().as_millis()).unwrap_or(u64::MAX),
        messages: twin.seen.messages,
        duplicates: twin.seen.duplicates,
        late: twin.seen.late,
        device: look.device(),
    }
}

/// Changes name, site, tags or links of a device.
#[utoipa::path(patch, path = "/devices/{device}", tag = "devices",
    params(("device" = String, Path, description = "id or name"), DryRun),
    request_body = DeviceChange,
    responses((status = 200, body = DeviceDetail), (status = "default", body = Problem)))]
#[expect(clippy::too_many_arguments, reason = "one extractor for each part of a request")]
pub(crate) async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(device): Path<String>,
    Params(dry): Params<DryRun>,
    headers: HeaderMap,
    Body(change): Body<DeviceChange>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::ChangeDevices)?;
    let picture = app.shard.picture();
    let twin = find(&picture, tenant, &device)?;
    let id = twin.id.to_string();
    let expect = if_match(&headers)?;
    let row = app.registry.get(key(tenant, Kind::Device, &id)).await?;
    let row = row.ok_or_else(|| Problem::not_found("device", &device))?;
    let mut content: DeviceContent = row.content()?;
    let mut changes = Vec::new();
    if let Some(name) = change.name {
        changes.push(format!("name: {} -> {name}", content.name.as_str()));
        content.name = device_name(&name)?;
    }
    if let Some(asked) = change.site {
        changes.push(format!("site: {}", asked.as_deref().unwrap_or("none")));
        content.site = site(&picture, tenant, asked.as_deref())?;
    }
    if let Some(tags) = change.tags {
        changes.push(format!("tags: {} -> {}", content.tags.join(" "), tags.join(" ")));
        content.tags = tags;
    }
    if let Some(asked) = change.links {
        changes.push(format!("links: {}", asked.len()));
        content.links = links(&picture, tenant, &asked)?;
    }
    if let Some(asked) = change.children {
        changes.push(format!("children: {} -> {}", content.children.len(), asked.len()));
        content.children = children(&picture, tenant, &asked)?;
    }
    if let Some(hardware) = change.hardware {
        changes.push(format!("hardware: {}", hardware.as_deref().unwrap_or("none")));
        content.hardware = hardware;
    }
    if let Some(serial) = change.serial {
        changes.push(format!("serial: {}", serial.as_deref().unwrap_or("none")));
        content.serial = serial;
    }
    if dry.dry_run {
        return Ok(Json(Changes { changes }).into_response());
    }
    // Without If-Match the change still rests on the revision it was read from.
    let expect = if expect == Expect::Any { Expect::Revision(row.revision) } else { expect };
    let record = key(tenant, Kind::Device, &id);
    let written = put(&app, record, &content, &caller.actor(), expect).await?;
    applied(&app, written.seq).await?;
    show(State(app), caller, Path(id)).await
}

/// Removes a device; its credentials end at once, its readings stay until they expire.
#[utoipa::path(delete, path = "/devices/{device}", tag = "devices",
    params(("device" = String, Path, description = "id or name"), DryRun),
    responses((status = 204), (status = 200, body = Changes),
        (status = "default", body = Problem)))]
pub(crate) async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(device): Path<String>,
    Params(dry): Params<DryRun>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::ChangeDevices)?;
    let twin = find(&app.shard.picture(), tenant, &device)?;
    if dry.dry_run {
        let changes = vec![format!("remove device {}", twin.name)];
        return Ok(Json(Changes { changes }).into_response());
    }
    let expect = if_match(&headers)?;
    let id = twin.id.to_string();
    let decision = Decision::remove(tenant, Kind::Device, &id).expecting(expect);
    let actor = caller.actor();
    let removed = app.registry.put(&decision, &Author::new(&actor)).await;
    let removed = removed.map_err(|error| conflict(error, expect))?;
    applied(&app, removed.seq).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
