//! Contracts: customer, plan at a revision, devices, from and to.
//!
//! *Invariant:* a plan revision is frozen: another price is another contract. A filter chooses
//! devices once; the contract lists them. A device is under one contract of a venture at a time.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use identity::Action;
use model::{ContractId, TenantId, Timestamp};
use pipeline::Picture;
use registry::content::{
    CONTRACT_DEVICES_MAX, ContractContent, ContractDevice, CustomerContent, DeviceName,
};
use registry::{Expect, Kind, RecordRow};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::devices::{self, parse_filter, random, venture};
use crate::extract::Body;
use crate::json::Look;
use crate::money::agreed::{NewCoupon, NewPrepaid, NewSwap};
use crate::money::{agreed, customers, rating, shelf};
use crate::page::Page;
use crate::problem::Problem;
use crate::write::{applied, etag, if_match, json, key, put};

/// A contract to make.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewContract {
    /// a-z, 0-9, `-`, `_` and `.`, unique in the tenant; never changed.
    name: String,
    /// Id or name.
    customer: String,
    /// May be left out when there is only one.
    venture: Option<String>,
    /// A plan of its blueprint.
    plan: String,
    /// Revision of the blueprint; the newest if left out. Answers call it `plan_revision`, which
    /// is understood here, too.
    #[serde(alias = "plan_revision")]
    revision: Option<u64>,
    /// Ids or names.
    #[serde(default)]
    devices: Vec<String>,
    /// Chooses devices once: `kind:box site:lyon`.
    filter: Option<String>,
    /// First day in the customer's time zone, or an instant.
    from: String,
    /// First day after it, or an instant; open if left out.
    to: Option<String>,
    /// Who of the customer agreed.
    accepted_by: String,
    /// When they did; now if left out.
    #[schema(value_type = Option<String>)]
    accepted_at: Option<Timestamp>,
    /// What else was agreed, in words.
    terms: Option<String>,
    /// Discounts, in the order in which they apply.
    #[serde(default)]
    coupons: Vec<NewCoupon>,
    /// Prepaid credit.
    #[serde(default)]
    prepaid: Vec<NewPrepaid>,
}

/// A change of a contract; what is left out stays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContractChange {
    /// First day that it does not hold any more.
    to: Option<String>,
    /// Devices that come in, by id or name.
    #[serde(default)]
    add: Vec<String>,
    /// Devices that go out.
    #[serde(default)]
    remove: Vec<String>,
    /// From which day on devices come in or go out; today if left out.
    from: Option<String>,
    /// Discounts that are added.
    #[serde(default)]
    coupons: Vec<NewCoupon>,
    /// Prepaid credit that is added.
    #[serde(default)]
    prepaid: Vec<NewPrepaid>,
    /// Registers that were replaced.
    #[serde(default)]
    swaps: Vec<NewSwap>,
}

/// One contract.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Contract {
    id: String,
    /// Of the contract itself; it is also the ETag.
    revision: u64,
    /// Of the blueprint whose plan it froze.
    plan_revision: u64,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    content: serde_json::Map<String, serde_json::Value>,
    /// Name of the customer.
    customer_name: String,
    /// Promises of the plan that nothing measures, so that they are never broken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unmeasured: Vec<String>,
}

/// Finds a contract by id or name.
pub(crate) async fn find(app: &App, tenant: TenantId, text: &str) -> Result<RecordRow, Problem> {
    shelf::find(app, tenant, (Kind::Contract, "contract"), text)
        .await
        .map_err(|problem| problem.fix("iotbiz contract ls"))
}

async fn contract(app: &App, row: &RecordRow) -> Result<Contract, Problem> {
    let content: ContractContent = row.content()?;
    let id = content.customer.to_string();
    let customer = app.registry.get(key(row.tenant, Kind::Customer, &id)).await?;
    let customer = customer.map(|row| row.content::<CustomerContent>()).transpose()?;
    let customer_name = customer.map_or(id, |customer| customer.name.to_string());
    let plan_revision = content.revision;
    let mut shown = json(&content)?.as_object().cloned().unwrap_or_default();
    // One word for two things would stand in the answer twice.
    shown.remove("revision");
    let (id, revision, content) = (row.id.clone(), row.revision, shown);
    Ok(Contract { id, revision, plan_revision, content, customer_name, unmeasured: Vec::new() })
}

/// A day in a time zone, or an instant.
pub(crate) fn instant(
    zone: &billing::zone::Zone,
    pointer: &str,
    text: &str,
) -> Result<Timestamp, Problem> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let wrong = || {
        Problem::invalid(pointer, format!("{text:?} is no day and no instant"))
            .fix("write 2026-10-01 or 2026-10-01T08:00:00Z")
    };
    let day: jiff::civil::Date = text.parse().map_err(|_| wrong())?;
    zone.start_of(day).map_err(|_| wrong())
}

/// Contracts of the tenant.
#[utoipa::path(get, path = "/contracts", tag = "money",
    responses((status = 200, body = Page<Contract>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Page<Contract>>, Problem> {
    let tenant = caller.may(Action::ReadMoney)?;
    let mut items = Vec::new();
    for row in shelf::all(&app, tenant, Kind::Contract).await? {
        items.push(contract(&app, &row).await?);
    }
    Ok(Json(Page::whole(items)))
}

/// One contract, by id or name.
#[utoipa::path(get, path = "/contracts/{contract}", tag = "money",
    params(("contract" = String, Path, description = "id or name")),
    responses((status = 200, body = Contract), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::ReadMoney)?;
    let row = find(&app, tenant, &text).await?;
    let mut shown = contract(&app, &row).await?;
    let loaded = rating::load(&app, tenant, &row).await?;
    shown.unmeasured = loaded.files()?.unmeasured(loaded.name())?;
    Ok((etag(row.revision), Json(shown)).into_response())
}

/// Makes a contract.
#[utoipa::path(post, path = "/contracts", tag = "money", request_body = NewContract,
    responses((status = 201, body = Contract), (status = "default", body = Problem)))]
pub(crate) async fn add(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewContract>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::ChangeMoney)?;
    let content = content(&app, tenant, &new).await?;
    // What cannot be rated is refused here, not at the end of the month.
    let loaded = rating::of_content(&app, tenant, (ContractId::from_u128(0), &content)).await?;
    let unmeasured = loaded.files()?.unmeasured(loaded.name())?;
    free(&app, tenant, (None, &content)).await?;
    let id = ContractId::new(app.clock.now(), random()?).to_string();
    let record = key(tenant, Kind::Contract, &id);
    let written = put(&app, record, &content, &caller.actor(), Expect::New).await?;
    applied(&app, written.seq).await?;
    let row = find(&app, tenant, &id).await?;
    let made = Contract { unmeasured, ..contract(&app, &row).await? };
    Ok((StatusCode::CREATED, etag(written.revision), Json(made)).into_response())
}

async fn content(
    app: &App,
    tenant: TenantId,
    new: &NewContract,
) -> Result<ContractContent, Problem> {
    let name: DeviceName = new.name.parse().map_err(|e: registry::content::DeviceNameError| {
        Problem::invalid("/name", e.to_string())
    })?;
    let customer = customers::find(app, tenant, &new.customer).await?;
    let payer: CustomerContent = customer.content()?;
    let zone = billing::zone::Zone::named(&payer.timezone)?;
    let picture = app.shard.picture();
    let venture = venture(&picture, tenant, new.venture.as_deref())?;
    let newest = picture.catalog.newest(tenant, &venture).map(|found| found.revision);
    let revision = new.revision.or(newest).unwrap_or_default();
    let plan = new
        .plan
        .parse()
        .map_err(|error: model::NameError| Problem::invalid("/plan", error.to_string()))?;
    let from = instant(&zone, "/from", &new.from)?;
    let to = new.to.as_deref().map(|to| instant(&zone, "/to", to)).transpose()?;
    Ok(ContractContent {
        name,
        customer: customer.id.parse().map_err(|_| Problem::not_found("customer", &customer.id))?,
        venture,
        plan,
        revision,
        devices: chosen(app, tenant, (&picture, new))?,
        filter: new.filter.clone(),
        from,
        to,
        accepted_by: new.accepted_by.clone(),
        accepted_at: new.accepted_at.unwrap_or_else(|| app.clock.now()),
        terms: new.terms.clone(),
        coupons: agreed::coupons(&zone, &new.coupons)?,
        prepaid: agreed::prepaid(&zone, &payer.currency, &new.prepaid)?,
    })
}

fn chosen(
    app: &App,
    tenant: TenantId,
    (picture, new): (&Picture, &NewContract),
) -> Result<Vec<ContractDevice>, Problem> {
    let mut devices = Vec::new();
    for text in &new.devices {
        let twin = devices::find(picture, tenant, text)?;
        devices.push(of_twin(&twin));
    }
    if let Some(filter) = &new.filter {
        let filter = parse_filter(Some(filter))?;
        let now = app.clock.now();
        for twin in picture.twins.devices_by_name(tenant, None) {
            if filter.matches(twin, Look { picture, twin, now }.facts()) {
                devices.push(of_twin(twin));
            }
        }
    }
    devices.sort_by_key(|device| device.device);
    devices.dedup_by_key(|device| device.device);
    if devices.len() > CONTRACT_DEVICES_MAX {
        let (count, max) = (devices.len(), CONTRACT_DEVICES_MAX);
        let detail = format!("{count} devices, CONTRACT_DEVICES_MAX = {max}");
        return Err(Problem::new(code::TOO_LARGE, detail).fix("make several contracts"));
    }
    if devices.is_empty() && new.filter.is_some() {
        return Err(Problem::invalid("/filter", "no device matches").fix("iotbiz device ls"));
    }
    Ok(devices)
}

fn of_twin(twin: &twin::DeviceTwin) -> ContractDevice {
    ContractDevice {
        device: twin.id,
        kind: twin.kind.clone(),
        name: twin.name.clone(),
        from: None,
        to: None,
        swaps: Vec::new(),
    }
}

/// No device is billed twice: its other contracts end before.
async fn free(
    app: &App,
    tenant: TenantId,
    (own, content): (Option<&str>, &ContractContent),
) -> Result<(), Problem> {
    let end = |to: Option<Timestamp>| to.map_or(i64::MAX, Timestamp::as_millis);
    let spans = |content: &ContractContent, device: &ContractDevice| {
        let from = device.from.unwrap_or(content.from).max(content.from).as_millis();
        (from, end(device.to).min(end(content.to)))
    };
    for row in shelf::all(app, tenant, Kind::Contract).await? {
        if own == Some(row.id.as_str()) {
            continue;
        }
        let other: ContractContent = row.content()?;
        if other.venture != content.venture {
            continue;
        }
        for device in &content.devices {
            let (from, to) = spans(content, device);
            let taken = other.devices.iter().filter(|known| known.device == device.device);
            for known in taken {
                let (begins, ends) = spans(&other, known);
                if from < ends && begins < to {
                    let what = format!("device {} is in contract {}", device.name, other.name);
                    return Err(Problem::new(code::CONFLICT, what)
                        .at("/devices", device.name.clone())
                        .fix(format!("iotbiz contract end {} --on DAY", other.name)));
                }
            }
        }
    }
    Ok(())
}

/// Ends a contract, or lets devices come in or go out from a day on. What was agreed stays.
#[utoipa::path(patch, path = "/contracts/{contract}", tag = "money",
    params(("contract" = String, Path, description = "id or name")),
    request_body = ContractChange,
    responses((status = 200, body = Contract), (status = "default", body = Problem)))]
pub(crate) async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(text): Path<String>,
    headers: HeaderMap,
    Body(change): Body<ContractChange>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::ChangeMoney)?;
    let row = find(&app, tenant, &text).await?;
    let mut content: ContractContent = row.content()?;
    let loaded = rating::load(&app, tenant, &row).await?;
    let zone = loaded.files()?.zone(loaded.name())?;
    if let Some(to) = &change.to {
        content.to = Some(instant(&zone, "/to", to)?);
    }
    let from = match &change.from {
        Some(from) => instant(&zone, "/from", from)?,
        None => zone.start_of(zone.day(app.clock.now())?)?,
    };
    let picture = app.shard.picture();
    for text in &change.add {
        let twin = devices::find(&picture, tenant, text)?;
        let open = |known: &ContractDevice| known.device == twin.id && known.to.is_none();
        if content.devices.iter().any(open) {
            return Err(Problem::invalid("/add", format!("{} is in it already", twin.name)));
        }
        content.devices.push(ContractDevice { from: Some(from), ..of_twin(&twin) });
    }
    for text in &change.remove {
        let known = |d: &&mut ContractDevice| {
            (d.name == *text || d.device.to_string() == *text) && d.to.is_none()
        };
        let device = content.devices.iter_mut().find(known);
        let missing = || Problem::invalid("/remove", format!("{text:?} is not in it"));
        device.ok_or_else(missing)?.to = Some(from);
    }
    content.coupons.extend(agreed::coupons(&zone, &change.coupons)?);
    let currency = &loaded.customer.currency;
    content.prepaid.extend(agreed::prepaid(&zone, currency, &change.prepaid)?);
    agreed::swap(&zone, &mut content.devices, &change.swaps)?;
    free(&app, tenant, (Some(&row.id), &content)).await?;
    // What cannot be rated is refused here, not at the end of the month.
    rating::of_content(&app, tenant, (loaded.id, &content)).await?;
    let record = key(tenant, Kind::Contract, &row.id);
    let expect = match if_match(&headers)? {
        Expect::Any => Expect::Revision(row.revision),
        expect @ (Expect::New | Expect::Revision(_)) => expect,
    };
    let written = put(&app, record, &content, &caller.actor(), expect).await?;
    applied(&app, written.seq).await?;
    let row = find(&app, tenant, &row.id).await?;
    Ok((etag(row.revision), Json(contract(&app, &row).await?)).into_response())
}
