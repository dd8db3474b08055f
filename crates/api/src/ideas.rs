//! Ideas: what people would like to exist, judged, followed, and begun as ventures.
//!
//! *Invariant:* what waits to be read is seen by who may let it in and by nobody else; every change
//! rests on the revision it was read at, and is tried again when somebody was faster.
//!
//! `kept` reads and writes the records; `shown` is the public JSON; `form` the way in for
//! strangers; `judge` scores, sizes and compares; `cycle` tells how long it took; `start` begins a
//! venture.

pub(crate) mod cycle;
pub(crate) mod form;
pub(crate) mod judge;
mod kept;
mod shown;
pub(crate) mod start;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ideas::{Context, ContextReading, Follow, Idea, Source, Status, Step};
use identity::Action;
use model::{IdeaId, TenantId};
use registry::{Author, Decision, Expect, Kind};
use serde::Deserialize;

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::devices::{find, random};
use crate::extract::{Body, Params};
use crate::json::Look;
use crate::page::{Page, cursor, limit, parse_cursor};
use crate::problem::Problem;
use crate::write::{DryRun, applied, json};

pub(crate) use self::kept::{
    Eyes, Found, all, born, change, found, names, settings, standing, write,
};
use self::shown::{IdeaDetail, IdeaJson, Shown};

/// Ideas of a tenant.
const IDEAS_MAX: usize = 5_000;
/// The id of the one record of settings.
const SETTINGS: &str = "ideas";

impl From<ideas::Error> for Problem {
    fn from(error: ideas::Error) -> Self {
        let message = error.to_string();
        Self::from_kind(error.kind(), &error).at(error.place(), message)
    }
}

/// An idea to write down.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewIdea {
    /// What, in a line.
    title: String,
    /// Why and for whom; plain text.
    #[serde(default)]
    text: String,
    /// Whose it is: `staff` (default), `partner`, `customer` or `public`.
    source: Option<String>,
    /// Who said it, when that is not who writes it down.
    name: Option<String>,
    /// Id or name of the device it is about: its kind, time and last readings are kept with it.
    device: Option<String>,
}

/// A change of status.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewStatus {
    /// `open`, `planned`, `in_progress`, `done` or `declined`.
    status: String,
    /// Why; told to those who asked.
    #[serde(default)]
    reason: String,
}

/// Which idea stands for this one.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Merge {
    /// Its id.
    into: String,
    #[serde(default)]
    reason: String,
}

/// Which ideas.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct IdeaQuery {
    /// A status, or `active` (default: all but declined, done and merged), or `all`.
    status: Option<String>,
    /// `staff`, `partner`, `customer` or `public`.
    source: Option<String>,
    /// Words of title or text.
    q: Option<String>,
    /// `score` (default), `newest` or `votes`.
    sort: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// The device somebody stands before, as it is now.
fn context(app: &App, tenant: TenantId, device: &str) -> Result<Context, Problem> {
    let picture = app.shard.picture();
    let twin = find(&picture, tenant, device)?;
    let now = app.clock.now();
    let look = Look { picture: &picture, twin: &twin, now };
    let reading = |(name, last)| {
        let shown = look.reading(name, last);
        ContextReading {
            name: name.to_string(),
            value: shown.value,
            unit: shown.unit,
            at: shown.at,
            origin: shown.origin.to_owned(),
        }
    };
    let mut context = Context {
        device: twin.id.to_string(),
        name: twin.name.clone(),
        kind: twin.kind.to_string(),
        venture: twin.venture.to_string(),
        at: now,
        readings: twin.readings.iter().map(reading).collect(),
    };
    context.bound();
    Ok(context)
}

fn source(text: Option<&str>) -> Result<Option<Source>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let found = Source::ALL.into_iter().find(|source| source.as_str() == text);
    found.map(Some).ok_or_else(|| {
        let shown: String = text.chars().take(32).collect();
        let why = format!("{shown:?} is not staff, partner, customer or public");
        Problem::invalid("/source", why)
    })
}

/// Refuses one more than a tenant can have.
pub(crate) fn room(ideas: &[Found]) -> Result<(), Problem> {
    if ideas.len() < IDEAS_MAX {
        return Ok(());
    }
    let message = format!("there are {} ideas, ideas_max = {IDEAS_MAX}", ideas.len());
    Err(Problem::new(code::TOO_LARGE, message))
}

/// Writes an idea down; whoever does follows it.
#[utoipa::path(post, path = "/ideas", tag = "ideas", params(DryRun), request_body = NewIdea,
    responses((status = 200, body = IdeaJson, description = "dry run: what would be kept"),
        (status = 201, body = IdeaJson), (status = "default", body = Problem)))]
pub(crate) async fn add(
    State(app): State<App>,
    caller: Caller,
    Params(dry): Params<DryRun>,
    Body(asked): Body<NewIdea>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::Suggest)?;
    let source = source(asked.source.as_deref())?.unwrap_or(Source::Staff);
    let mut idea = Idea::new((asked.title, asked.text), source, &caller.actor());
    idea.name = asked.name;
    if let Some(device) = &asked.device {
        // What a device says is for those who may read it.
        caller.may(Action::Read)?;
        idea.context = Some(context(&app, tenant, device)?);
    }
    let now = app.clock.now();
    idea.check(now)?;
    let mut found = Found { id: IdeaId::new(now, random()?), idea, revision: 0 };
    let status = if dry.dry_run {
        StatusCode::OK
    } else {
        room(&all(&app, tenant).await?)?;
        write(&app, (tenant, &caller.actor()), &mut found, Expect::New).await?;
        StatusCode::CREATED
    };
    let shown = Shown::open(&app, &caller, tenant).await?;
    Ok((status, Json(shown.idea(&found))).into_response())
}

fn chosen(query: &IdeaQuery, found: &Found) -> Result<bool, Problem> {
    let idea = &found.idea;
    let active = !matches!(idea.status, Status::Declined | Status::Done | Status::Merged);
    let status = match query.status.as_deref() {
        None | Some("active") => active,
        Some("all") => true,
        Some(one) => one.parse::<Status>()? == idea.status,
    };
    let source = source(query.source.as_deref())?.is_none_or(|source| source == idea.source);
    let words = query.q.as_deref().unwrap_or_default().to_lowercase();
    let text = format!("{} {}", idea.title, idea.text).to_lowercase();
    Ok(status && source && words.split_whitespace().all(|word| text.contains(word)))
}

/// The best, the newest or the most wanted first.
fn sort(ideas: &mut [(IdeaJson, Found)], by: Option<&str>) -> Result<(), Problem> {
    let newest = |a: &Found, b: &Found| b.id.cmp(&a.id);
    match by {
        None | Some("score") => ideas.sort_by(|(a, of_a), (b, of_b)| {
            let value = |idea: &IdeaJson| idea.score.value.unwrap_or(f64::NEG_INFINITY);
            value(b).total_cmp(&value(a)).then_with(|| newest(of_a, of_b))
        }),
        Some("newest") => ideas.sort_by(|(_, a), (_, b)| newest(a, b)),
        Some("votes") => ideas
            .sort_by(|(a, of_a), (b, of_b)| b.votes.cmp(&a.votes).then_with(|| newest(of_a, of_b))),
        Some(other) => {
            let shown: String = other.chars().take(32).collect();
            let why = format!("{shown:?} is not score, newest or votes");
            return Err(Problem::invalid("sort", why));
        }
    }
    Ok(())
}

/// Ideas, the best first.
#[utoipa::path(get, path = "/ideas", tag = "ideas", params(IdeaQuery),
    responses((status = 200, body = Page<IdeaJson>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<IdeaQuery>,
) -> Result<Json<Page<IdeaJson>>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let limit = limit(query.limit)?;
    let after = parse_cursor(query.cursor.as_deref())?;
    let eyes = Eyes::of(&caller);
    let shown = Shown::open(&app, &caller, tenant).await?;
    let mut ideas = Vec::new();
    for found in all(&app, tenant).await? {
        if eyes.sees(&found.idea) && chosen(&query, &found)? {
            ideas.push((shown.idea(&found), found));
        }
    }
    sort(&mut ideas, query.sort.as_deref())?;
    let total = ideas.len();
    let start = match &after {
        None => 0,
        Some(id) => ideas.iter().position(|(idea, _)| idea.id == *id).map_or(total, |at| at + 1),
    };
    let items: Vec<_> = ideas.into_iter().skip(start).take(limit).map(|(idea, _)| idea).collect();
    let more = start + items.len() < total;
    let next_cursor = items.last().filter(|_| more).map(|idea| cursor(&idea.id));
    Ok(Json(Page { items, next_cursor, total_matching: Some(total) }))
}

/// One idea with its market, its competitors and who follows it.
#[utoipa::path(get, path = "/ideas/{idea}", tag = "ideas",
    params(("idea" = String, Path, description = "id")),
    responses((status = 200, body = IdeaDetail), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(idea): Path<String>,
) -> Result<Json<IdeaDetail>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let found = found(&app, (tenant, Eyes::of(&caller)), &idea).await?;
    Ok(Json(Shown::open(&app, &caller, tenant).await?.detail(&found)))
}

/// Moves an idea on, and tells those who asked. What waits is let in by the owner.
#[utoipa::path(post, path = "/ideas/{idea}/status", tag = "ideas",
    params(("idea" = String, Path, description = "id")), request_body = NewStatus,
    responses((status = 200, body = IdeaDetail), (status = "default", body = Problem)))]
pub(crate) async fn status(
    State(app): State<App>,
    caller: Caller,
    Path(idea): Path<String>,
    Body(asked): Body<NewStatus>,
) -> Result<Json<IdeaDetail>, Problem> {
    let tenant = caller.may(Action::RecordEvidence)?;
    let status: Status = asked.status.parse()?;
    let step = step(&app, &caller, (status, &asked.reason));
    let found = change(&app, (&caller, tenant), &idea, |idea| {
        if idea.status == Status::Waiting {
            caller.may(Action::ManageTenant)?;
        }
        Ok(idea.step(step.clone())?)
    })
    .await?;
    Ok(Json(Shown::open(&app, &caller, tenant).await?.detail(&found)))
}

fn step(app: &App, caller: &Caller, (status, reason): (Status, &str)) -> Step {
    let reason = reason.trim().to_owned();
    Step { at: app.clock.now(), status, reason, by: caller.actor() }
}

/// Follows an idea: its changes of status are told by the channels of whoever follows.
#[utoipa::path(put, path = "/ideas/{idea}/follow", tag = "ideas",
    params(("idea" = String, Path, description = "id")),
    responses((status = 200, body = IdeaDetail), (status = "default", body = Problem)))]
pub(crate) async fn follow(
    State(app): State<App>,
    caller: Caller,
    Path(idea): Path<String>,
) -> Result<Json<IdeaDetail>, Problem> {
    followed(&app, &caller, &idea, Follow::Begin).await
}

/// Follows an idea no more.
#[utoipa::path(delete, path = "/ideas/{idea}/follow", tag = "ideas",
    params(("idea" = String, Path, description = "id")),
    responses((status = 200, body = IdeaDetail), (status = "default", body = Problem)))]
pub(crate) async fn unfollow(
    State(app): State<App>,
    caller: Caller,
    Path(idea): Path<String>,
) -> Result<Json<IdeaDetail>, Problem> {
    followed(&app, &caller, &idea, Follow::End).await
}

async fn followed(
    app: &App,
    caller: &Caller,
    idea: &str,
    follow: Follow,
) -> Result<Json<IdeaDetail>, Problem> {
    caller.may(Action::Suggest)?;
    let tenant = caller.may(Action::Read)?;
    let who = caller.actor();
    let found = change(app, (caller, tenant), idea, |idea| {
        idea.follow(&who, follow);
        Ok(())
    })
    .await?;
    Ok(Json(Shown::open(app, caller, tenant).await?.detail(&found)))
}

/// Lets another idea stand for this one: its followers hear of that one from now on.
#[utoipa::path(post, path = "/ideas/{idea}/merge", tag = "ideas",
    params(("idea" = String, Path, description = "id")), request_body = Merge,
    responses((status = 200, body = IdeaDetail), (status = "default", body = Problem)))]
pub(crate) async fn merge(
    State(app): State<App>,
    caller: Caller,
    Path(idea): Path<String>,
    Body(asked): Body<Merge>,
) -> Result<Json<IdeaDetail>, Problem> {
    let tenant = caller.may(Action::RecordEvidence)?;
    let eyes = (tenant, Eyes::of(&caller));
    let mut own = found(&app, eyes, &idea).await?;
    let mut into = found(&app, eyes, &asked.into).await?;
    let reason = match asked.reason.trim() {
        "" => format!("the same as \"{}\"", into.idea.title),
        reason => reason.to_owned(),
    };
    let step = step(&app, &caller, (Status::Merged, &reason));
    own.idea.merge_into((own.id, step), (into.id, &mut into.idea))?;
    let now = app.clock.now();
    own.idea.check(now)?;
    into.idea.check(now)?;
    let (own_id, into_id) = (own.id.to_string(), into.id.to_string());
    let (own_json, into_json) = (json(&own.idea)?, json(&into.idea)?);
    let decisions = [
        Decision::put(tenant, Kind::Idea, &own_id, &own_json)
            .expecting(Expect::Revision(own.revision)),
        Decision::put(tenant, Kind::Idea, &into_id, &into_json)
            .expecting(Expect::Revision(into.revision)),
    ];
    let actor = caller.actor();
    let written = app.registry.put_many(&decisions, &Author::new(&actor)).await?;
    if let Some(last) = written.last() {
        applied(&app, last.seq).await?;
        into.revision = last.revision;
    }
    Ok(Json(Shown::open(&app, &caller, tenant).await?.detail(&into)))
}
