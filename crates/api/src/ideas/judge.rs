//! How an idea is judged: the declared formula, what people gave, the market, the competitors.
//!
//! *Invariant:* a formula is a revision like any other record; what an older one said stays in the
//! history of scores.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use ideas::{Cell, CellChange, Formula, Given, Market, Preset, Settings, history};
use identity::Action;
use model::{Name, TenantId, Timestamp};
use registry::{Kind, RecordRow};
use serde::{Deserialize, Serialize};

use super::shown::{IdeaDetail, Shown};
use super::{Eyes, Found, SETTINGS, all, change, found, settings};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::{Body, Params};
use crate::page::Page;
use crate::problem::Problem;
use crate::write::{DryRun, applied, etag, if_match, key, put};

/// Revisions of a record that a history of scores is made of.
const REVISIONS_MAX: u32 = 500;

/// What a tenant declared about ideas.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct SettingsJson {
    /// 0: nothing was declared, this is what holds then.
    revision: u64,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    settings: Settings,
    /// Formulas that people know, to start from.
    presets: Vec<PresetJson>,
    /// Where strangers send ideas, once the form is open.
    form_path: String,
}

/// A formula to start from.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct PresetJson {
    name: &'static str,
    formula: String,
    #[schema(value_type = Object)]
    inputs: BTreeMap<Name, ideas::Input>,
}

/// What would change with another formula.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Rescored {
    settings: SettingsJson,
    /// Ideas whose score changed, or would.
    rescored: Vec<RescoredIdea>,
}

/// One idea under both formulas.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct RescoredIdea {
    id: String,
    title: String,
    before: Option<f64>,
    after: Option<f64>,
}

/// What somebody gives for inputs; null takes one back.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewScore {
    inputs: BTreeMap<String, Option<f64>>,
}

/// A score that an idea had.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ScoreAtJson {
    /// Since when.
    #[schema(value_type = String)]
    at: Timestamp,
    value: Option<f64>,
    formula: String,
    formula_revision: u64,
    /// What it was computed from, and who gave it.
    #[schema(value_type = Object)]
    inputs: BTreeMap<Name, Given>,
}

/// Cells of the table of competitors.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCells {
    cells: Vec<NewCell>,
}

/// One cell; without `value` it is taken away.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCell {
    competitor: String,
    aspect: String,
    value: Option<String>,
    /// The day it was seen: `2026-11-01`; today if left out.
    on: Option<String>,
    /// Where: an address, a person, a document.
    source: Option<String>,
}

fn settings_json(tenant: TenantId, revision: u64, settings: Settings) -> SettingsJson {
    let preset = |preset: Preset| {
        let (formula, inputs) = preset.parts();
        PresetJson { name: preset.as_str(), formula, inputs }
    };
    let form_path = format!("/suggest/{tenant}");
    SettingsJson { revision, settings, presets: Preset::ALL.map(preset).into(), form_path }
}

/// The formula in force, and what else was declared about ideas.
#[utoipa::path(get, path = "/ideas/settings", tag = "ideas",
    responses((status = 200, body = SettingsJson), (status = "default", body = Problem)))]
pub(crate) async fn declared(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    let tenant = caller.may(Action::Read)?;
    let (revision, settings) = settings(&app, tenant).await?;
    Ok((etag(revision), Json(settings_json(tenant, revision, settings))).into_response())
}

/// Declares another formula, opens or closes the form; ideas are scored anew.
#[utoipa::path(put, path = "/ideas/settings", tag = "ideas", params(DryRun),
    request_body = serde_json::Value,
    responses((status = 200, body = Rescored), (status = "default", body = Problem)))]
pub(crate) async fn declare(
    State(app): State<App>,
    caller: Caller,
    Params(dry): Params<DryRun>,
    headers: HeaderMap,
    Body(asked): Body<Settings>,
) -> Result<Json<Rescored>, Problem> {
    let tenant = caller.may(Action::ManageTenant)?;
    asked.check()?;
    let (mut revision, before) = settings(&app, tenant).await?;
    let formulas = (Formula::compile(&before).ok(), Formula::compile(&asked)?);
    let score = |found: Found| {
        let before = formulas.0.as_ref().and_then(|old| old.score(&found.idea.scores).value);
        let after = formulas.1.score(&found.idea.scores).value;
        let (id, title) = (found.id.to_string(), found.idea.title);
        (before != after).then_some(RescoredIdea { id, title, before, after })
    };
    let rescored = all(&app, tenant).await?.into_iter().filter_map(score).collect();
    if !dry.dry_run && before != asked {
        let record = key(tenant, Kind::IdeaSettings, SETTINGS);
        let written = put(&app, record, &asked, &caller.actor(), if_match(&headers)?).await?;
        applied(&app, written.seq).await?;
        revision = written.revision;
    }
    Ok(Json(Rescored { settings: settings_json(tenant, revision, asked), rescored }))
}

/// Gives inputs of the formula for an idea.
#[utoipa::path(put, path = "/ideas/{idea}/scores", tag = "ideas",
    params(("idea" = String, Path, description = "id")), request_body = NewScore,
    responses((status = 200, body = IdeaDetail), (status = "default", body = Problem)))]
pub(crate) async fn score(
    State(app): State<App>,
    caller: Caller,
    Path(idea): Path<String>,
    Body(asked): Body<NewScore>,
) -> Result<Json<IdeaDetail>, Problem> {
    let tenant = caller.may(Action::RecordEvidence)?;
    let (_, settings) = settings(&app, tenant).await?;
    let (by, at) = (caller.actor(), app.clock.now());
    let found = change(&app, (&caller, tenant), &idea, |idea| {
        Ok(settings.give(&mut idea.scores, &asked.inputs, (&by, at))?)
    })
    .await?;
    Ok(Json(Shown::open(&app, &caller, tenant).await?.detail(&found)))
}

/// When each revision holds since, oldest first.
fn revisions<T>(
    rows: &[RecordRow],
    read: impl Fn(&RecordRow) -> Result<T, registry::Error>,
) -> Result<Vec<(u64, Timestamp, T)>, Problem> {
    let kept = rows.iter().rev().filter(|row| !row.removes());
    kept.map(|row| Ok((row.revision, row.at, read(row)?))).collect()
}

/// Every score an idea had, oldest first: with the formula of the time and who gave what.
#[utoipa::path(get, path = "/ideas/{idea}/scores", tag = "ideas",
    params(("idea" = String, Path, description = "id")),
    responses((status = 200, body = Page<ScoreAtJson>), (status = "default", body = Problem)))]
pub(crate) async fn scores(
    State(app): State<App>,
    caller: Caller,
    Path(idea): Path<String>,
) -> Result<Json<Page<ScoreAtJson>>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let found = found(&app, (tenant, Eyes::of(&caller)), &idea).await?;
    let id = found.id.to_string();
    let of_idea = app.registry.history(key(tenant, Kind::Idea, &id), None, REVISIONS_MAX).await?;
    let of_formula = key(tenant, Kind::IdeaSettings, SETTINGS);
    let of_formula = app.registry.history(of_formula, None, REVISIONS_MAX).await?;
    let given = revisions(&of_idea, |row| Ok(row.content::<ideas::Idea>()?.scores))?;
    let formulas = revisions(&of_formula, RecordRow::content::<Settings>)?;
    let names = super::names(&app, tenant).await?;
    let json = |mut score: ideas::ScoreAt| {
        score.inputs.values_mut().for_each(|given| given.by = names.of(&given.by));
        ScoreAtJson {
            at: score.at,
            value: score.value,
            formula: score.formula,
            formula_revision: score.formula_revision,
            inputs: score.inputs,
        }
    };
    Ok(Json(Page::whole(history(&formulas, &given).into_iter().map(json).collect())))
}

/// Says how large the market is, from the top and from the bottom.
#[utoipa::path(put, path = "/ideas/{idea}/market", tag = "ideas",
    params(("idea" = String, Path, description = "id")), request_body = serde_json::Value,
    responses((status = 200, body = IdeaDetail), (status = "default", body = Problem)))]
pub(crate) async fn market(
    State(app): State<App>,
    caller: Caller,
    Path(idea): Path<String>,
    Body(asked): Body<Market>,
) -> Result<Json<IdeaDetail>, Problem> {
    let tenant = caller.may(Action::RecordEvidence)?;
    plan_exists(&app, tenant, &asked)?;
    let found = change(&app, (&caller, tenant), &idea, |idea| {
        idea.market = Some(asked.clone());
        Ok(())
    })
    .await?;
    Ok(Json(Shown::open(&app, &caller, tenant).await?.detail(&found)))
}

/// Refuses a plan that is not there, or that earns nothing for a device and a time.
fn plan_exists(app: &App, tenant: TenantId, asked: &Market) -> Result<(), Problem> {
    let price = asked.bottom_up.as_ref().map(|bottom_up| &bottom_up.price);
    let Some(ideas::Price::Plan { venture, plan }) = price else { return Ok(()) };
    let place = "/bottom_up/price/plan";
    let picture = app.shard.picture();
    let found = picture.catalog.newest(tenant, venture);
    let found = found.ok_or_else(|| {
        let message = format!("there is no venture {venture}");
        Problem::invalid(place, message).fix("write the price: 9 EUR/device/month")
    })?;
    if !found.blueprint.plans.contains_key(plan) {
        let known: Vec<_> = found.blueprint.plans.keys().map(Name::as_str).collect();
        let message = format!("{venture} has no plan {plan}: it has {}", known.join(", "));
        return Err(Problem::invalid(place, message));
    }
    if super::shown::plan_price(&picture, tenant, (venture, plan)).is_none() {
        let message = format!("plan.{plan} of {venture} has no line for a device and a time");
        return Err(Problem::invalid(place, message).fix("write the price: 9 EUR/device/month"));
    }
    Ok(())
}

/// Writes cells of the table of competitors; each has a value, a day and a source.
#[utoipa::path(put, path = "/ideas/{idea}/competitors", tag = "ideas",
    params(("idea" = String, Path, description = "id")), request_body = NewCells,
    responses((status = 200, body = IdeaDetail), (status = "default", body = Problem)))]
pub(crate) async fn competitors(
    State(app): State<App>,
    caller: Caller,
    Path(idea): Path<String>,
    Body(asked): Body<NewCells>,
) -> Result<Json<IdeaDetail>, Problem> {
    let tenant = caller.may(Action::RecordEvidence)?;
    let today = app.clock.now().to_string();
    let today = today.get(..10).unwrap_or_default();
    let by = caller.actor();
    let change_of = |cell: &NewCell| CellChange {
        competitor: cell.competitor.trim().to_owned(),
        aspect: cell.aspect.trim().to_owned(),
        cell: cell.value.as_ref().map(|value| Cell {
            value: value.trim().to_owned(),
            on: cell.on.clone().unwrap_or_else(|| today.to_owned()),
            source: cell.source.clone().unwrap_or_default(),
            by: by.clone(),
        }),
    };
    let found = change(&app, (&caller, tenant), &idea, |idea| {
        idea.competitors.change(asked.cells.iter().map(change_of).collect());
        Ok(())
    })
    .await?;
    Ok(Json(Shown::open(&app, &caller, tenant).await?.detail(&found)))
}
