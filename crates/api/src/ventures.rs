//! Ventures and their blueprints: read, check, apply.
//!
//! *Invariant:* a blueprint that has errors, that breaks a property which devices still send, or
//! that was written on an older revision than the one in force is never applied silently.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::IF_MATCH;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use blueprint::{
    Blueprint, Change, Diagnostic, Severity, Source, diff, schema as blueprint_schema,
};
use identity::Action;
use model::{Name, TenantId};
use pipeline::{InForce, Picture};
use registry::content::BlueprintContent;
use registry::{Expect, Kind};
use serde::{Deserialize, Serialize};
use venture::experiment::{moved_bars, moved_thresholds};

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::commands::shape;
use crate::consequences::{ConsequenceJson, consequences};
use crate::evidence;
use crate::extract::{Body, Params};
use crate::intervals::{MovedInterval, moved};
use crate::json::Counts;
use crate::page::Page;
use crate::problem::Problem;
use crate::revisions::{Texts, three_way};
use crate::write::{DryRun, applied, etag, if_match, key, put};

/// One product line.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Venture {
    venture: String,
    title: String,
    problem: Option<String>,
    segment: Option<String>,
    /// The idea that it began with, by its id.
    idea: Option<String>,
    blueprint_revision: u64,
    kinds: Vec<KindCount>,
    #[serde(flatten)]
    counts: Counts,
}

/// Devices of one kind.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct KindCount {
    name: String,
    devices: usize,
    live: usize,
    /// What may be wanted of them.
    settings: Vec<SettingJson>,
}

/// A setting of the blueprint, with its bounds.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct SettingJson {
    name: String,
    title: Option<String>,
    /// `number`, `boolean`, `text` or `position`.
    #[serde(rename = "type")]
    kind: &'static str,
    unit: Option<String>,
    min: Option<f64>,
    max: Option<f64>,
    /// What a new device is told.
    default: Option<f64>,
    /// The reading whose interval it sets.
    drives: Option<String>,
    /// How often and when it may be changed, in words.
    limits: Vec<String>,
}

impl SettingJson {
    fn of((name, setting): (&Name, &blueprint::Setting)) -> Self {
        let (kind, unit, min, max) = shape(&setting.kind);
        Self {
            name: name.to_string(),
            title: setting.title.clone(),
            kind,
            unit,
            min,
            max,
            default: setting.default,
            drives: setting.drives.as_ref().map(ToString::to_string),
            limits: setting.envelope.words(),
        }
    }
}

/// A finding of `check`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct DiagnosticJson {
    code: String,
    severity: &'static str,
    message: String,
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    end_column: usize,
    label: String,
    notes: Vec<String>,
    help: Option<String>,
    /// The line it is about.
    source_line: String,
}

/// One difference between two blueprints.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ChangeJson {
    path: String,
    /// `added`, `removed` or `changed`.
    kind: &'static str,
    before: Option<String>,
    after: Option<String>,
    /// Devices in the field would no longer be understood.
    breaking: bool,
    /// The change in a sentence.
    words: String,
}

/// The blueprint in force.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct BlueprintJson {
    venture: String,
    revision: u64,
    /// As it was written, comments kept.
    text: String,
    diagnostics: Vec<DiagnosticJson>,
}

/// A text to apply.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Apply {
    text: String,
    /// The revision it was written on; `# based on revision N` in the text says the same.
    based_on: Option<u64>,
}

/// What an apply changes, or changed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Applied {
    diff: Vec<ChangeJson>,
    /// What it does to costs, gates, alarms and batteries; only of a dry run.
    consequences: Vec<ConsequenceJson>,
    diagnostics: Vec<DiagnosticJson>,
    /// Intervals it changes that a setting drives: devices keep theirs until they are told.
    intervals: Vec<MovedInterval>,
    /// The new revision; null when nothing was written.
    revision: Option<u64>,
}

pub(crate) fn diagnostic_json(found: &Diagnostic, source: &str) -> DiagnosticJson {
    let (start, end) = (found.start(source), found.end(source));
    DiagnosticJson {
        code: found.code.to_owned(),
        severity: found.severity.as_str(),
        message: found.message.clone(),
        line: start.line,
        column: start.column,
        end_column: if end.line == start.line { end.column } else { start.column + 1 },
        label: found.label.clone(),
        notes: found.notes.clone(),
        help: found.help.clone(),
        source_line: source.lines().nth(start.line - 1).unwrap_or_default().to_owned(),
    }
}

pub(crate) fn change_json(change: &Change) -> ChangeJson {
    ChangeJson {
        path: change.path.clone(),
        kind: change.kind.as_str(),
        before: change.before.clone(),
        after: change.after.clone(),
        breaking: change.is_breaking(),
        words: change.to_string(),
    }
}

fn venture_json(picture: &Picture, tenant: TenantId, found: &InForce, app: &App) -> Venture {
    let now = app.clock.now();
    let blueprint = &found.blueprint;
    let of_venture = || {
        let all = picture.twins.devices(tenant).map(AsRef::as_ref);
        all.filter(|twin: &&twin::DeviceTwin| twin.venture == blueprint.venture)
    };
    let kinds = blueprint.kinds.iter().map(|(kind, facts)| {
        let counts = Counts::of(picture, of_venture().filter(|twin| twin.kind == *kind), now);
        let settings = facts.settings.iter().map(SettingJson::of).collect();
        KindCount { name: kind.to_string(), devices: counts.devices, live: counts.live, settings }
    });
    Venture {
        venture: blueprint.venture.to_string(),
        title: blueprint.title.clone(),
        problem: blueprint.problem.clone(),
        segment: blueprint.segment.clone(),
        idea: blueprint.idea.clone(),
        blueprint_revision: found.revision,
        kinds: kinds.collect(),
        counts: Counts::of(picture, of_venture(), now),
    }
}

/// Ventures of the tenant, by name.
#[utoipa::path(get, path = "/ventures", tag = "ventures",
    responses((status = 200, body = Page<Venture>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Page<Venture>>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let picture = app.shard.picture();
    let ventures = picture.catalog.ventures(tenant);
    let items = ventures.map(|(_, found)| venture_json(&picture, tenant, found, &app)).collect();
    Ok(Json(Page::whole(items)))
}

/// The blueprint in force of a venture.
pub(crate) fn in_force(
    picture: &Picture,
    tenant: TenantId,
    venture: &str,
) -> Result<Arc<InForce>, Problem> {
    let name = venture.parse::<Name>();
    let found = name.ok().and_then(|name| picture.catalog.newest(tenant, &name));
    found.map(Arc::clone).ok_or_else(|| Problem::not_found("venture", venture))
}

/// The blueprint in force, with what `check` says of it.
#[utoipa::path(get, path = "/ventures/{venture}/blueprint", tag = "ventures",
    params(("venture" = String, Path, description = "name")),
    responses((status = 200, body = BlueprintJson), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::Read)?;
    let picture = app.shard.picture();
    let found = in_force(&picture, tenant, &venture)?;
    let parsed = venture::parse(&found.text);
    let json = BlueprintJson {
        venture,
        revision: found.revision,
        diagnostics: parsed.diagnostics.iter().map(|d| diagnostic_json(d, &found.text)).collect(),
        text: found.text.clone(),
    };
    Ok((etag(found.revision), Json(json)).into_response())
}

/// Applies a blueprint: the first one makes the venture.
#[utoipa::path(put, path = "/ventures/{venture}/blueprint", tag = "ventures",
    params(("venture" = String, Path, description = "name"), DryRun), request_body = Apply,
    responses((status = 200, body = Applied), (status = 201, body = Applied),
        (status = "default", body = Problem)))]
#[expect(clippy::too_many_arguments, reason = "one extractor for each part of a request")]
pub(crate) async fn apply(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
    Params(dry): Params<DryRun>,
    headers: HeaderMap,
    Body(asked): Body<Apply>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::ChangeBlueprint)?;
    let picture = app.shard.picture();
    let (new, diagnostics) = checked(&asked.text)?;
    if new.venture.as_str() != venture {
        let message = format!("the text is of venture {}, not {venture}", new.venture);
        return Err(Problem::invalid("/text", message));
    }
    let found = picture.catalog.newest(tenant, &new.venture);
    let before = found.map(|found| Source { text: &found.text, blueprint: &found.blueprint });
    let after = Source { text: &asked.text, blueprint: &new };
    let changes = diff(before, after);
    let revision = found.map_or(0, |found| found.revision);
    let answer = |revision, consequences| Applied {
        diff: changes.iter().map(change_json).collect(),
        consequences,
        diagnostics: diagnostics.iter().map(|d| diagnostic_json(d, &asked.text)).collect(),
        intervals: moved(&picture, tenant, (found.map(|found| &found.blueprint), &new)),
        revision,
    };
    if dry.dry_run {
        let consequences = consequences(&app, tenant, (before, after)).await?;
        return Ok(Json(answer(None, consequences)).into_response());
    }
    refuse_breaking(&picture, tenant, &new, &changes)?;
    if let Some(found) = found {
        refuse_moved_bars(&picture, tenant, &found.blueprint, &new)?;
    }
    if found.is_some_and(|found| found.text == asked.text) {
        return Ok(Json(answer(Some(revision), Vec::new())).into_response());
    }
    let based_on = asked.based_on.or_else(|| blueprint::based_on(&asked.text));
    let expect = match (if_match(&headers)?, based_on) {
        // What another server called a revision means nothing to a venture that is new here.
        (Expect::Any, _) if revision == 0 && asked.based_on.is_none() => Expect::New,
        (Expect::Any, None) => Expect::Revision(revision),
        (Expect::Any, Some(base)) => Expect::Revision(base),
        (expect, _) => expect,
    };
    if let Expect::Revision(base) = expect
        && base != revision
    {
        return Err(refuse_stale(&app, tenant, &asked, (base, revision), &headers).await);
    }
    let content =
        BlueprintContent { venture: new.venture.clone(), text: asked.text.clone(), based_on };
    let record = key(tenant, Kind::Blueprint, new.venture.as_str());
    let written = put(&app, record, &content, &caller.actor(), expect).await?;
    applied(&app, written.seq).await?;
    let status = if revision == 0 { StatusCode::CREATED } else { StatusCode::OK };
    let body = Json(answer(Some(written.revision), Vec::new()));
    Ok((status, etag(written.revision), body).into_response())
}

pub(crate) fn checked(text: &str) -> Result<(Blueprint, Vec<Diagnostic>), Problem> {
    let parsed = venture::parse(text);
    if let Some(blueprint) = parsed.blueprint {
        return Ok((blueprint, parsed.diagnostics));
    }
    let errors = parsed.diagnostics.iter().filter(|found| found.severity == Severity::Error);
    let said = match errors.clone().count() {
        1 => "1 error".to_owned(),
        count => format!("{count} errors"),
    };
    let mut problem = Problem::new(code::BLUEPRINT_ERRORS, said);
    for found in errors {
        let start = found.start(text);
        problem = problem.at(format!("{}:{}", start.line, start.column), found.message.clone());
    }
    problem.diagnostics = parsed
        .diagnostics
        .iter()
        .map(|found| serde_json::json!(diagnostic_json(found, text)))
        .collect();
    Err(problem.fix("iotbiz check blueprint.toml"))
}

/// The text rests on another revision than the one in force: both diffs, so that nobody is undone.
async fn refuse_stale(
    app: &App,
    tenant: TenantId,
    asked: &Apply,
    (base, revision): (u64, u64),
    headers: &HeaderMap,
) -> Problem {
    let code = if headers.contains_key(IF_MATCH) { code::STALE } else { code::CONFLICT };
    let message = format!("written on revision {base}, but revision {revision} is in force");
    let texts = Texts { mine: &asked.text, base: Some(base), theirs: None };
    match three_way(app, tenant, &texts).await {
        Ok(found) => {
            let mut problem = Problem::new(code, message);
            for conflict in &found.conflicts {
                problem = problem.at(conflict.path.clone(), conflict.words());
            }
            problem.merge = serde_json::to_value(&found).ok();
            let fix = if found.conflicts.is_empty() {
                "nothing conflicts: iotbiz apply --merge takes both"
            } else {
                "choose for each place, then apply on the new revision: iotbiz diff shows both"
            };
            problem.fix(fix)
        }
        // A base that nobody has: what is wrong with it is the better answer.
        Err(problem) => problem,
    }
}

/// A type or unit never changes while devices still send it: another type is another property.
fn refuse_breaking(
    picture: &Picture,
    tenant: TenantId,
    new: &Blueprint,
    changes: &[Change],
) -> Result<(), Problem> {
    let breaking: Vec<_> = changes.iter().filter(|change| change.is_breaking()).collect();
    if breaking.is_empty() {
        return Ok(());
    }
    let devices = picture
        .twins
        .devices(tenant)
        .filter(|twin| twin.venture == new.venture && twin.profile.is_none())
        .count();
    if devices == 0 {
        return Ok(());
    }
    let mut problem = Problem::new(
        code::BREAKING,
        format!("{} breaking changes while {devices} devices use the old form", breaking.len()),
    );
    for change in breaking {
        problem = problem.at(change.path.clone(), change.to_string());
    }
    Err(problem.fix("add a property with another name instead"))
}

/// A bar that has results stays where it is; another experiment can have another.
fn refuse_moved_bars(
    picture: &Picture,
    tenant: TenantId,
    before: &Blueprint,
    after: &Blueprint,
) -> Result<(), Problem> {
    let pieces = evidence::pieces(picture, tenant, &before.venture);
    let (of_experiment, of_assumption) = evidence::results(&pieces);
    let mut moved = moved_bars(&before.experiments, &after.experiments, &of_experiment);
    moved.extend(moved_thresholds(&before.assumptions, &after.assumptions, &of_assumption));
    let Some(first) = moved.first() else { return Ok(()) };
    let mut problem = Problem::new(code::CONFLICT, first.to_string());
    for error in &moved {
        problem = problem.at("/text", error.to_string());
    }
    Err(problem.fix("add another experiment with the new bar"))
}

/// JSON Schema of blueprints, for editors.
#[utoipa::path(get, path = "/schemas/blueprint-1.json", tag = "ventures",
    responses((status = 200, body = serde_json::Value)))]
pub(crate) async fn schema() -> Json<serde_json::Value> {
    Json(blueprint_schema())
}
