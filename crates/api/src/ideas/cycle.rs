//! How long it took from an idea to the first money.
//!
//! *Invariant:* every time is that of a record or of a kept reading. Readings of real devices count
//! alone and documents that were made to be sent, except in a demo tenant, which says so.

use std::ops::ControlFlow;

use axum::Json;
use axum::extract::{Path, State};
use ideas::{Milestones, Stage};
use identity::Action;
use model::{DeviceId, IdeaId, Name, Origin, TenantId, Timestamp};
use pipeline::Picture;
use registry::Kind;
use registry::content::{ContractContent, InvoiceContent, Mode};
use serde::Serialize;

use super::{Eyes, Found, born, found};
use crate::alarms::Recording;
use crate::app::App;
use crate::caller::Caller;
use crate::kept::{Unkept, ask};
use crate::problem::Problem;
use crate::ventures::in_force;
use crate::write::key;

/// Contracts of a tenant, and documents of one, that are looked at.
const RECORDS_MAX: u32 = 1_000;

/// One stage on the way.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct LegJson {
    /// `idea`, `venture`, `first_device`, `first_reading` or `first_invoice`.
    stage: &'static str,
    /// When it was reached; null: not yet.
    #[schema(value_type = Option<String>)]
    at: Option<Timestamp>,
    /// Milliseconds since the stage before; null for the first, and for what was there already.
    took_ms: Option<i64>,
    /// Milliseconds since the first stage.
    since_start_ms: Option<i64>,
    /// What it was: an id or a name.
    what: Option<String>,
}

/// The whole way.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct CycleJson {
    /// Id of the idea; null when the venture did not begin with one.
    idea: Option<String>,
    venture: Option<String>,
    stages: Vec<LegJson>,
    /// From the first stage to the first invoice; null: no money yet.
    to_revenue_ms: Option<i64>,
    /// A demo tenant: devices and money are simulated.
    simulated: bool,
    /// What the figures do not contain.
    notes: Vec<String>,
}

/// What each stage was, beside when.
#[derive(Debug, Default)]
struct Reached {
    times: Milestones,
    device: Option<String>,
    reading: Option<String>,
    invoice: Option<String>,
    notes: Vec<String>,
}

/// Which devices and documents count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counting {
    RealOnly,
    All,
}

impl Counting {
    fn of(picture: &Picture, tenant: TenantId) -> Self {
        let demo = picture.catalog.tenant(tenant).is_some_and(|tenant| tenant.demo);
        if demo { Self::All } else { Self::RealOnly }
    }

    fn counts(self, origin: Origin) -> bool {
        match (self, origin) {
            (Self::All, _) | (_, Origin::Real) => true,
            (Self::RealOnly, Origin::Virtual | Origin::Replayed) => false,
        }
    }
}

/// How long an idea took to become a venture, to have a device and to earn.
#[utoipa::path(get, path = "/ideas/{idea}/cycle", tag = "ideas",
    params(("idea" = String, Path, description = "id")),
    responses((status = 200, body = CycleJson), (status = "default", body = Problem)))]
pub(crate) async fn of_idea(
    State(app): State<App>,
    caller: Caller,
    Path(idea): Path<String>,
) -> Result<Json<CycleJson>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let found = found(&app, (tenant, Eyes::of(&caller)), &idea).await?;
    let venture = found.idea.venture.clone();
    Ok(Json(cycle(&app, tenant, (Some(&found), venture.as_ref())).await?))
}

/// The same of a venture; without an idea it begins with the first blueprint.
#[utoipa::path(get, path = "/ventures/{venture}/cycle", tag = "ideas",
    params(("venture" = String, Path, description = "name")),
    responses((status = 200, body = CycleJson), (status = "default", body = Problem)))]
pub(crate) async fn of_venture(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
) -> Result<Json<CycleJson>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let blueprint = in_force(&app.shard.picture(), tenant, &venture)?;
    let named = blueprint.blueprint.idea.as_ref().filter(|id| id.parse::<IdeaId>().is_ok());
    let begun = match named {
        None => None,
        // Named in the text and not there: the way begins with the venture.
        Some(id) => found(&app, (tenant, Eyes::Moderator), id).await.ok(),
    };
    let name = &blueprint.blueprint.venture;
    Ok(Json(cycle(&app, tenant, (begun.as_ref(), Some(name))).await?))
}

async fn cycle(
    app: &App,
    tenant: TenantId,
    (idea, venture): (Option<&Found>, Option<&Name>),
) -> Result<CycleJson, Problem> {
    let picture = app.shard.picture();
    let counting = Counting::of(&picture, tenant);
    let mut reached = Reached::default();
    reached.times.idea = idea.map(born);
    if let Some(venture) = venture {
        let first = app.registry.at(key(tenant, Kind::Blueprint, venture.as_str()), 1).await?;
        reached.times.venture = first.map(|row| row.at);
        let devices = devices(&picture, tenant, (venture, counting));
        if let Some((device, name)) = devices.iter().min() {
            reached.times.device = Some(device.time());
            reached.device = Some(name.clone());
            let asked = Asked { tenant, venture, devices: &devices, from: device.time() };
            reading(app, &picture, asked, &mut reached).await?;
        }
        invoice(app, tenant, (venture, counting), &mut reached).await?;
    }
    let cycle = reached.times.cycle();
    let what = |stage| match stage {
        Stage::Idea => idea.map(|found| found.id.to_string()),
        Stage::Venture => venture.map(ToString::to_string),
        Stage::FirstDevice => reached.device.clone(),
        Stage::FirstReading => reached.reading.clone(),
        Stage::FirstInvoice => reached.invoice.clone(),
    };
    let stages = cycle.legs.iter().map(|leg| LegJson {
        stage: leg.stage.as_str(),
        at: leg.at,
        took_ms: leg.took_ms,
        since_start_ms: leg.since_start_ms,
        what: what(leg.stage).filter(|_| leg.at.is_some()),
    });
    Ok(CycleJson {
        idea: idea.map(|found| found.id.to_string()),
        venture: venture.map(ToString::to_string),
        stages: stages.collect(),
        to_revenue_ms: cycle.to_revenue_ms,
        simulated: counting == Counting::All,
        notes: reached.notes,
    })
}

/// Devices that count, with their names.
fn devices(
    picture: &Picture,
    tenant: TenantId,
    (venture, counting): (&Name, Counting),
) -> Vec<(DeviceId, String)> {
    let all = picture.twins.devices(tenant).filter(|twin| twin.venture == *venture);
    let counted = all.filter(|twin| counting.counts(twin.origin));
    counted.map(|twin| (twin.id, twin.name.clone())).collect()
}

#[derive(Clone, Copy)]
struct Asked<'a> {
    tenant: TenantId,
    venture: &'a Name,
    devices: &'a [(DeviceId, String)],
    from: Timestamp,
}

/// The first reading that was kept of one of the devices.
async fn reading(
    app: &App,
    picture: &Picture,
    asked: Asked<'_>,
    reached: &mut Reached,
) -> Result<(), Problem> {
    let heard = |id: &DeviceId| {
        picture.twins.get(asked.tenant, *id).is_some_and(|twin| twin.seen.messages > 0)
    };
    if !asked.devices.iter().any(|(id, _)| heard(id)) {
        return Ok(());
    }
    let kinds = picture.catalog.newest(asked.tenant, asked.venture);
    let kinds = kinds.map(|found| found.blueprint.kinds.keys().cloned().collect());
    let what = Recording {
        tenant: asked.tenant,
        venture: asked.venture.clone(),
        kinds: kinds.unwrap_or_default(),
        from: asked.from,
        to: app.clock.now(),
    };
    let counted: std::collections::BTreeMap<_, _> = asked.devices.iter().cloned().collect();
    let first = ask(app, move |history| {
        let mut first = None;
        history.replay(&what, &mut |rows| {
            let own = rows.iter().find(|said| counted.contains_key(&said.device));
            first = own.map(|said| (said.time, counted.get(&said.device).cloned()));
            if first.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(first)
    })
    .await?;
    match first {
        Ok(Some((time, device))) => {
            reached.times.reading = Some(time);
            reached.reading = device;
        }
        Ok(None) | Err(Unkept::Nothing) => {
            let note = "readings came; the history has none from after the first device was added";
            reached.notes.push(note.to_owned());
        }
        Err(Unkept::Invalid(why) | Unkept::Failed(why)) => {
            reached.notes.push(format!("the first reading is not known: {why}"));
        }
    }
    Ok(())
}

/// The first document that got a number.
async fn invoice(
    app: &App,
    tenant: TenantId,
    (venture, counting): (&Name, Counting),
    reached: &mut Reached,
) -> Result<(), Problem> {
    let contracts = app.registry.list(tenant, Kind::Contract, "", RECORDS_MAX).await?;
    for contract in contracts {
        if contract.content::<ContractContent>()?.venture != *venture {
            continue;
        }
        let owner = key(tenant, Kind::Invoice, &contract.id);
        for row in app.registry.list_owned(owner, "", RECORDS_MAX).await? {
            let content: InvoiceContent = row.content()?;
            let sent = content.mode == Mode::Live && !content.simulated;
            let counts = counting == Counting::All || sent;
            let Some(at) = content.numbered_at.filter(|_| counts) else { continue };
            if reached.times.invoice.is_none_or(|known| at < known) {
                reached.times.invoice = Some(at);
                reached.invoice = Some(row.id.clone());
            }
        }
    }
    Ok(())
}
