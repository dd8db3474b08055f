//! Gates: criteria against figures, and decisions that are frozen and sealed. Derived again they
//! are in `rederive`.
//!
//! *Invariant:* a decision is judged at one moment on one picture; its file is written once and
//! never changed.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use blueprint::Stage;
use identity::Action;
use model::{Currency, GateDecisionId, TenantId, Timestamp};
use pipeline::{ByDay, InForce};
use registry::content::GateDecisionContent;
use registry::{Expect, Kind, RecordRow};
use serde::{Deserialize, Serialize};
use venture::gate::{Evaluation, Gate, Judged};
use venture::gate_file::{Decision, Minutes};
use venture::{GateFile, Verified, evaluate};

use crate::app::App;
use crate::caller::Caller;
use crate::case::{Trials, study};
use crate::devices::random;
use crate::evidence::{Piece, pieces};
use crate::extract::Body;
use crate::figures::{Sources, counting};
use crate::fleet::needed;
use crate::money::economics::{Asked, Economics, Months, newest_closed};
use crate::page::Page;
use crate::problem::Problem;
use crate::ventures::in_force;
use crate::write::{applied, key, put};

/// Decisions of one venture that are listed.
const DECISIONS_MAX: u32 = 1_000;

/// One criterion, its figure and where it stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct CriterionJson {
    name: String,
    /// `must` or `should`.
    level: &'static str,
    /// As written.
    text: String,
    metric: String,
    /// What the catalogue says of the metric.
    says: Option<&'static str>,
    comparison: &'static str,
    target: f64,
    unit: Option<String>,
    value: Option<f64>,
    /// `missing`, `assumed`, `simulated`, `pass`, `fail` or `stale`.
    state: &'static str,
    /// Whether the number meets the target, whatever its state.
    meets: Option<bool>,
    /// `measured`, `assumed`, `simulated`, `computed` or `missing`.
    basis: &'static str,
    #[schema(value_type = Option<String>)]
    at: Option<Timestamp>,
    offset: Option<u64>,
    /// How the figure came to be: label, formula, value, inputs.
    explain: serde_json::Value,
}

/// A gate as it stands now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct GateJson {
    /// The stage behind it.
    stage: String,
    /// `go` or `hold`.
    verdict: &'static str,
    /// `real` or `demo`: which origins count.
    counting: &'static str,
    #[schema(value_type = String)]
    at: Timestamp,
    over_days: Option<f64>,
    criteria: Vec<CriterionJson>,
    /// What stands in the way, in words.
    blockers: Vec<String>,
}

/// What a person decides.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decide {
    /// `go`, `hold`, `rework` or `stop`.
    decision: String,
    /// Why a go against the verdict is right.
    override_reason: Option<String>,
}

/// A decision that was made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct DecisionJson {
    id: String,
    venture: String,
    stage: String,
    decision: &'static str,
    verdict: &'static str,
    by: String,
    #[schema(value_type = String)]
    at: Timestamp,
    revision: u64,
    offset: u64,
    override_reason: Option<String>,
    hash: String,
    /// The gate file, byte for byte.
    file: String,
    /// Ed25519 public key, hexadecimal.
    key: String,
    /// Seal over the file's bytes, hexadecimal.
    seal: String,
}

/// What every route of a gate needs.
struct Scene {
    tenant: TenantId,
    found: Arc<InForce>,
    pieces: Vec<Piece>,
    now: Timestamp,
}

/// A gate as it was judged.
struct Standing {
    evaluation: Evaluation,
    /// Up to which frame.
    offset: u64,
    /// What its figures of money were made from.
    economics: Option<Economics>,
}

impl Scene {
    fn of(app: &App, tenant: TenantId, venture: &str) -> Result<Self, Problem> {
        let picture = app.shard.picture();
        let found = in_force(&picture, tenant, venture)?;
        let pieces = pieces(&picture, tenant, &found.blueprint.venture);
        Ok(Self { tenant, found, pieces, now: app.clock.now() })
    }

    /// Judges a gate on the newest picture, evidence as it is kept.
    async fn judge(&self, app: &App, gate: &Gate) -> Result<Standing, Problem> {
        let of_case = gate.criteria.iter().any(|c| c.metric.starts_with("case."));
        let study = if of_case {
            let asked = Trials::default();
            // A case with mistakes leaves its criteria missing; the page of the case says why.
            study(app, self.tenant, &self.found, (&self.pieces, asked)).await.ok()
        } else {
            None
        };
        // Both at one offset, so that the same can be made again from the log.
        let of_fleet = gate.criteria.iter().any(|c| c.metric.starts_with("fleet."));
        let (picture, by_day) = if of_fleet {
            let needed = needed(gate.criteria.iter().map(|c| c.metric.as_str()));
            app.shard.moment(self.tenant, needed).await?
        } else {
            (app.shard.picture(), ByDay::default())
        };
        let economics = self.economics(app, gate).await?;
        let sources = Sources {
            picture: &picture,
            tenant: self.tenant,
            found: &self.found,
            pieces: &self.pieces,
            by_day: &by_day,
            case: study.as_deref().map(|study| &study.results),
            economics: economics.as_ref(),
            now: self.now,
        };
        let figures = sources.of(gate);
        let evaluation = evaluate(gate, &figures, self.now, counting(&picture, self.tenant))?;
        Ok(Standing { evaluation, offset: picture.offset.0, economics })
    }

    /// The newest closed month, when a criterion asks for it.
    async fn economics(&self, app: &App, gate: &Gate) -> Result<Option<Economics>, Problem> {
        if !gate.criteria.iter().any(|c| c.metric.starts_with("economics.")) {
            return Ok(None);
        }
        let asked = Asked { tenant: self.tenant, found: &self.found, months: Months::Closed };
        newest_closed(app, asked, billing::zone::Zone::utc().day(self.now)?).await
    }

    fn gate(&self, stage: &str) -> Result<Gate, Problem> {
        let mut gates = self.found.blueprint.gates.iter();
        let found = gates.find(|(of, _)| of.as_str() == stage);
        let (stage, gate) = found.ok_or_else(|| {
            let known = self.found.blueprint.gates.keys().copied().map(Stage::as_str);
            let known = known.collect::<Vec<_>>().join(", ");
            Problem::not_found("gate", stage).fix(format!("the blueprint has: {known}"))
        })?;
        Ok(Gate::of(*stage, gate))
    }
}

fn criterion_json(judged: &Judged, explain: serde_json::Value, found: &InForce) -> CriterionJson {
    let criterion = &judged.criterion;
    let metric = blueprint::METRICS.iter().find(|metric| metric.name == criterion.metric);
    let currency = found.blueprint.currency.unwrap_or(Currency::EUR);
    let unit = metric.filter(|metric| metric.unit != "1").map(|m| m.unit(currency).shown());
    let figure = judged.figure.as_ref();
    CriterionJson {
        name: criterion.name.clone(),
        level: criterion.level.as_str(),
        text: criterion.text.clone(),
        metric: criterion.metric.clone(),
        says: metric.map(|metric| metric.says),
        comparison: criterion.comparison.as_str(),
        target: criterion.target,
        unit,
        value: judged.value,
        state: judged.state.as_str(),
        meets: judged.meets,
        basis: figure.map_or("missing", |figure| figure.basis.as_str()),
        at: figure.map(|figure| figure.at),
        offset: figure.map(|figure| figure.offset),
        explain,
    }
}

fn gate_json(standing: &Standing, found: &InForce) -> GateJson {
    let Standing { evaluation, economics, .. } = standing;
    let deeper = |judged: &Judged| {
        let what = judged.criterion.metric.strip_prefix("economics.")?;
        economics.as_ref()?.explain(what)
    };
    let explained = evaluation.judged.iter().zip(evaluation.explain());
    let explained = explained.map(|(judged, tree)| deeper(judged).unwrap_or(tree).json());
    let criteria = evaluation.judged.iter().zip(explained);
    GateJson {
        stage: evaluation.gate.stage.clone(),
        verdict: evaluation.verdict.as_str(),
        counting: evaluation.counting.as_str(),
        at: evaluation.at,
        over_days: evaluation.gate.over.map(|over| over.as_secs_f64() / 86_400.0),
        criteria: criteria.map(|(j, tree)| criterion_json(j, tree, found)).collect(),
        blockers: evaluation.blockers(),
    }
}

/// The gates of a venture as they stand now, in the order of the stages.
#[utoipa::path(get, path = "/ventures/{venture}/gates", tag = "ventures",
    params(("venture" = String, Path, description = "name")),
    responses((status = 200, body = Page<GateJson>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
) -> Result<Json<Page<GateJson>>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let scene = Scene::of(&app, tenant, &venture)?;
    let mut items = Vec::new();
    for (stage, gate) in &scene.found.blueprint.gates {
        let mut judged = scene.judge(&app, &Gate::of(*stage, gate)).await?;
        // Who may not see money sees the figure, and not what it is made of.
        judged.economics = judged.economics.filter(|_| caller.may(Action::ReadMoney).is_ok());
        items.push(gate_json(&judged, &scene.found));
    }
    Ok(Json(Page::whole(items)))
}

/// Decides at a gate: the figures are frozen in a file, hashed and sealed.
#[utoipa::path(post, path = "/ventures/{venture}/gates/{stage}/decisions", tag = "ventures",
    params(("venture" = String, Path, description = "name"),
        ("stage" = String, Path, description = "the stage behind the gate")),
    request_body = Decide,
    responses((status = 201, body = DecisionJson), (status = "default", body = Problem)))]
pub(crate) async fn decide(
    State(app): State<App>,
    caller: Caller,
    Path((venture, stage)): Path<(String, String)>,
    Body(asked): Body<Decide>,
) -> Result<(StatusCode, Json<DecisionJson>), Problem> {
    let tenant = caller.may(Action::DecideGate)?;
    let decision = Decision::from_word(&asked.decision)
        .ok_or_else(|| Problem::invalid("/decision", "use go, hold, rework or stop"))?;
    let scene = Scene::of(&app, tenant, &venture)?;
    let gate = scene.gate(&stage)?;
    let Standing { evaluation, offset, .. } = scene.judge(&app, &gate).await?;
    let minutes = Minutes {
        venture: venture.clone(),
        revision: scene.found.revision,
        offset,
        decision,
        by: name_of(&app, tenant, &caller.actor()).await?,
        override_reason: asked.override_reason,
    };
    let file = GateFile::decide(evaluation, minutes)?.text();
    let content = GateDecisionContent {
        venture: scene.found.blueprint.venture.clone(),
        stage: gate.stage.parse().map_err(|error: model::NameError| {
            Problem::from_kind(model::ErrorKind::Internal, &error)
        })?,
        seal: app.seal.seal(file.as_bytes()),
        key: app.seal.public(),
        file,
    };
    let id = GateDecisionId::new(scene.now, random()?).to_string();
    let record = key(tenant, Kind::GateDecision, &id);
    let written = put(&app, record, &content, &caller.actor(), Expect::New).await?;
    applied(&app, written.seq).await?;
    Ok((StatusCode::CREATED, Json(decision_json(&id, &content)?.1)))
}

/// A person by name where there is one: a decision is somebody's.
pub(crate) async fn name_of(app: &App, tenant: TenantId, actor: &str) -> Result<String, Problem> {
    let row = app.registry.get(key(tenant, Kind::User, actor)).await?;
    let user = row.map(|row| row.content::<registry::content::UserContent>()).transpose()?;
    Ok(user.map_or_else(|| actor.to_owned(), |user| format!("{} ({actor})", user.name)))
}

pub(crate) fn decision_json(
    id: &str,
    content: &GateDecisionContent,
) -> Result<(Verified, DecisionJson), Problem> {
    let verified = venture::verify(&content.file)?;
    let minutes = &verified.file.minutes;
    let json = DecisionJson {
        id: id.to_owned(),
        venture: minutes.venture.clone(),
        stage: content.stage.to_string(),
        decision: minutes.decision.as_str(),
        verdict: verified.file.evaluation.verdict.as_str(),
        by: minutes.by.clone(),
        at: verified.file.evaluation.at,
        revision: minutes.revision,
        offset: minutes.offset,
        override_reason: minutes.override_reason.clone(),
        hash: verified.hash.clone(),
        file: content.file.clone(),
        key: content.key.clone(),
        seal: content.seal.clone(),
    };
    Ok((verified, json))
}

fn row_json(row: &RecordRow) -> Result<DecisionJson, Problem> {
    Ok(decision_json(&row.id, &row.content()?)?.1)
}

/// Decisions of a venture, oldest first.
#[utoipa::path(get, path = "/ventures/{venture}/decisions", tag = "ventures",
    params(("venture" = String, Path, description = "name")),
    responses((status = 200, body = Page<DecisionJson>), (status = "default", body = Problem)))]
pub(crate) async fn decisions(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
) -> Result<Json<Page<DecisionJson>>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let owner = key(tenant, Kind::GateDecision, &venture);
    let rows = app.registry.list_owned(owner, "", DECISIONS_MAX).await?;
    Ok(Json(Page::whole(rows.iter().map(row_json).collect::<Result<_, _>>()?)))
}

impl From<venture::Error> for Problem {
    fn from(error: venture::Error) -> Self {
        Self::from_kind(error.kind(), &error)
    }
}
