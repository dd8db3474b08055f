//! Assumptions of a venture, what was found of them, and what is believed now.
//!
//! *Invariant:* evidence is withdrawn with a reason, never changed; what it says is weighed by
//! `venture`, and every figure carries the tree it came from.

mod pieces;
mod twice;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use blueprint::Blueprint;
use identity::Action;
use model::{EvidenceId, Name, Timestamp};
use registry::content::{EvidenceContent, MeasuredContent, OutcomeContent};
use registry::{Expect, Kind};
use serde::{Deserialize, Serialize};
use venture::belief::kind_word;
use venture::experiment::{assumption_state, state_of, state_of_value, unit_of};

pub(crate) use self::pieces::{Piece, belief, owned, pieces, pieces_at, results, tally};
use self::pieces::{authored, kind_of};
use crate::app::App;
use crate::caller::Caller;
use crate::devices::random;
use crate::extract::Body;
use crate::measure::{MeasureJson, standing};
use crate::page::Page;
use crate::problem::Problem;
use crate::ventures::in_force;
use crate::write::{applied, key, put};

/// A result to record.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEvidence {
    /// An assumption of the blueprint; may be left out with an experiment.
    assumption: Option<String>,
    /// The experiment it is a result of.
    experiment: Option<String>,
    /// `say`, `do`, `pay`, `build` or `measure`; may be left out with an experiment.
    kind: Option<String>,
    /// Who or what it comes from.
    source: String,
    /// When it was found; now if left out.
    #[schema(value_type = Option<String>)]
    at: Option<Timestamp>,
    /// `{"counts":{"of":14,"out_of":40}}`, `{"ratio":3.5}` or `{"mean":{"mean":7,"error":0.5}}`
    /// in the unit of the assumption (5 %/month is 0.05);
    /// may be left out with `csv`.
    #[schema(value_type = Option<Object>)]
    outcome: Option<OutcomeContent>,
    /// Rows with the columns of the assumption's `count`, instead of `outcome`.
    csv: Option<String>,
    note: Option<String>,
}

/// Why a piece of evidence no longer counts.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Withdraw {
    reason: String,
}

/// A piece of evidence.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct EvidenceJson {
    id: String,
    assumption: String,
    experiment: Option<String>,
    kind: String,
    source: String,
    #[schema(value_type = String)]
    at: Timestamp,
    #[schema(value_type = Object)]
    outcome: OutcomeContent,
    note: Option<String>,
    /// Why it no longer counts; null while it does.
    withdrawn: Option<String>,
    recorded_by: String,
    #[schema(value_type = String)]
    recorded_at: Timestamp,
    /// What the server read, when the result is the fleet's: `metric`, `from`, `to`, `offset`,
    /// `revision`, `bar_set`, `devices`, `value`, `counts_as`.
    #[schema(value_type = Option<Object>)]
    measured: Option<MeasuredContent>,
}

/// A test of an assumption.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ExperimentJson {
    name: String,
    title: Option<String>,
    kind: &'static str,
    asked: Option<u64>,
    cost: Option<String>,
    days: Option<f64>,
    pass: String,
    kill: Option<String>,
    /// `planned`, `running`, `passed`, `killed` or `undecided`.
    state: &'static str,
    of: u64,
    out_of: u64,
    /// Bars can no longer be moved.
    locked: bool,
    /// Where it stands, when the server takes its result from the fleet.
    measures: Option<MeasureJson>,
}

/// A falsifiable sentence and what is believed of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct AssumptionJson {
    name: String,
    says: String,
    holds: String,
    guess: Option<String>,
    /// `untested`, `testing`, `open`, `supported` or `refuted`.
    state: &'static str,
    /// Probability that it holds, after the evidence; null when it has no prior.
    probability: Option<f64>,
    /// `measured`, `assumed` or `missing`.
    basis: &'static str,
    /// The share or quantity itself: 10th percentile, median, 90th percentile.
    value: Option<[f64; 3]>,
    /// Why there is no probability.
    missing: Option<String>,
    experiments: Vec<ExperimentJson>,
    evidence: Vec<EvidenceJson>,
    /// How the probability came to be: label, formula, value, inputs.
    explain: Option<serde_json::Value>,
}

impl Piece {
    fn json(&self) -> EvidenceJson {
        let content = EvidenceContent::clone(&self.content);
        EvidenceJson {
            id: self.id.clone(),
            assumption: content.assumption.to_string(),
            experiment: content.experiment.map(|name| name.to_string()),
            kind: content.kind.to_string(),
            source: content.source,
            at: content.at,
            outcome: content.outcome,
            note: content.note,
            withdrawn: content.withdrawn,
            recorded_by: self.actor.clone(),
            recorded_at: self.recorded,
            measured: content.measured,
        }
    }
}

fn experiment_json(
    (name, experiment): (&Name, &blueprint::Experiment),
    assumption: &blueprint::Assumption,
    (pieces, measures): (&[Piece], &[MeasureJson]),
) -> (ExperimentJson, venture::experiment::ExperimentState) {
    let (of, out_of, value) = tally(name, pieces);
    let locked = results(pieces).0.contains_key(name);
    // A value is compared itself; a share of counts is the sum of all results.
    let state = match value {
        Some(value) => state_of_value(experiment, value, &unit_of(assumption)),
        None => state_of(experiment, of, out_of),
    };
    let json = ExperimentJson {
        name: name.to_string(),
        title: experiment.title.clone(),
        kind: kind_word(experiment.kind),
        asked: experiment.asked,
        cost: experiment.cost.as_ref().map(ToString::to_string),
        days: experiment.takes.map(|takes| takes.as_secs_f64() / 86_400.0),
        pass: experiment.pass.to_string(),
        kill: experiment.kill.as_ref().map(ToString::to_string),
        state: state.as_str(),
        of,
        out_of,
        locked,
        measures: measures.iter().find(|one| one.experiment == name.as_str()).cloned(),
    };
    (json, state)
}

fn assumption_json(
    blueprint: &Blueprint,
    name: &Name,
    assumption: &blueprint::Assumption,
    (pieces, measures, now): (&[Piece], &[MeasureJson], Timestamp),
) -> AssumptionJson {
    let tests = blueprint.experiments.iter().filter(|(_, test)| test.tests == *name);
    let (experiments, states): (Vec<_>, Vec<_>) =
        tests.map(|test| experiment_json(test, assumption, (pieces, measures))).unzip();
    let mine = pieces.iter().filter(|piece| piece.content.assumption == *name);
    let believed = belief(blueprint, name, pieces, now);
    let known = believed.as_ref().ok();
    let value = known.and_then(|belief| belief.value.as_ref());
    AssumptionJson {
        name: name.to_string(),
        says: assumption.says.clone(),
        holds: assumption.holds.to_string(),
        guess: assumption.guess.as_ref().map(|guess| guess.describe()),
        state: assumption_state(&states).as_str(),
        probability: known.map(|belief| belief.probability),
        basis: known.map_or("missing", |belief| belief.basis.as_str()),
        value: value.map(|d| [0.1, 0.5, 0.9].map(|p| d.quantile(p))),
        missing: believed.as_ref().err().map(ToString::to_string),
        experiments,
        evidence: mine.map(Piece::json).collect(),
        explain: known.map(|belief| belief.explain.json()),
    }
}

/// Assumptions of a venture, with experiments, evidence and what is believed now.
#[utoipa::path(get, path = "/ventures/{venture}/assumptions", tag = "ventures",
    params(("venture" = String, Path, description = "name")),
    responses((status = 200, body = Page<AssumptionJson>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
) -> Result<Json<Page<AssumptionJson>>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let picture = app.shard.picture();
    let found = in_force(&picture, tenant, &venture)?;
    let pieces = authored(&app, tenant, &found.blueprint.venture).await?;
    let measures = standing(&app, tenant, &found).await?;
    let now = app.clock.now();
    let all = found.blueprint.assumptions.iter();
    let items = all.map(|(name, assumption)| {
        assumption_json(&found.blueprint, name, assumption, (&pieces, &measures, now))
    });
    Ok(Json(Page::whole(items.collect())))
}

/// Records a result.
#[utoipa::path(post, path = "/ventures/{venture}/evidence", tag = "ventures",
    params(("venture" = String, Path, description = "name")), request_body = NewEvidence,
    responses((status = 201, body = EvidenceJson), (status = "default", body = Problem)))]
pub(crate) async fn add(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
    Body(asked): Body<NewEvidence>,
) -> Result<(StatusCode, Json<EvidenceJson>), Problem> {
    let tenant = caller.may(Action::RecordEvidence)?;
    let picture = app.shard.picture();
    let found = in_force(&picture, tenant, &venture)?;
    let now = app.clock.now();
    let dated = asked.at.is_some();
    let content = content(&found.blueprint, asked, now)?;
    if !dated {
        twice::refuse(&pieces(&picture, tenant, &found.blueprint.venture), &content)?;
    }
    let id = EvidenceId::new(now, random()?).to_string();
    let piece = Piece::new(&id, content, &caller.actor(), now);
    // Weighed before it is kept, so that nothing is kept that cannot be weighed.
    belief(&found.blueprint, &piece.content.assumption, std::slice::from_ref(&piece), now)?;
    let record = key(tenant, Kind::Evidence, &piece.id);
    let written = put(&app, record, &*piece.content, &piece.actor, Expect::New).await?;
    applied(&app, written.seq).await?;
    Ok((StatusCode::CREATED, Json(piece.json())))
}

/// Withdraws a piece of evidence: it stays readable and counts no longer.
#[utoipa::path(post, path = "/ventures/{venture}/evidence/{evidence}/withdraw", tag = "ventures",
    params(("venture" = String, Path, description = "name"),
        ("evidence" = String, Path, description = "id")), request_body = Withdraw,
    responses((status = 200, body = EvidenceJson), (status = "default", body = Problem)))]
pub(crate) async fn withdraw(
    State(app): State<App>,
    caller: Caller,
    Path((venture, evidence)): Path<(String, String)>,
    Body(asked): Body<Withdraw>,
) -> Result<Json<EvidenceJson>, Problem> {
    let tenant = caller.may(Action::RecordEvidence)?;
    if asked.reason.trim().is_empty() {
        return Err(Problem::invalid("/reason", "say why it no longer counts"));
    }
    let record = key(tenant, Kind::Evidence, &evidence);
    let row = app.registry.get(record).await?;
    let row = row.ok_or_else(|| Problem::not_found("evidence", &evidence))?;
    let mut piece = Piece::of(&row)?;
    if piece.content.venture.as_str() != venture {
        return Err(Problem::not_found("evidence", &evidence));
    }
    Arc::make_mut(&mut piece.content).withdrawn = Some(asked.reason);
    let expect = Expect::Revision(row.revision);
    let written = put(&app, record, &*piece.content, &caller.actor(), expect).await?;
    applied(&app, written.seq).await?;
    Ok(Json(piece.json()))
}

fn content(
    blueprint: &Blueprint,
    asked: NewEvidence,
    now: Timestamp,
) -> Result<EvidenceContent, Problem> {
    let experiment = match &asked.experiment {
        None => None,
        Some(text) => {
            let found = blueprint.experiments.get_key_value(text.as_str());
            let known: Vec<_> = blueprint.experiments.keys().map(Name::as_str).collect();
            Some(found.ok_or_else(|| unknown("/experiment", text, &known))?)
        }
    };
    if let Some((name, test)) = experiment
        && let Some(measures) = &test.measures
    {
        let message = format!(
            "the result of {name} is {} of the fleet itself, taken when its window is over",
            measures.metric
        );
        return Err(Problem::invalid("/experiment", message)
            .fix(format!("iotbiz evidence measure --venture {}", blueprint.venture)));
    }
    let tested = experiment.map(|(_, test)| test.tests.to_string());
    let Some(wanted) = asked.assumption.or_else(|| tested.clone()) else {
        return Err(Problem::invalid("/assumption", "name an assumption or an experiment"));
    };
    if tested.as_ref().is_some_and(|tested| *tested != wanted) {
        let message = format!("the experiment tests {}, not {wanted}", tested.unwrap_or_default());
        return Err(Problem::invalid("/assumption", message));
    }
    let known: Vec<_> = blueprint.assumptions.keys().map(Name::as_str).collect();
    let found = blueprint.assumptions.get_key_value(wanted.as_str());
    let (assumption, text) = found.ok_or_else(|| unknown("/assumption", &wanted, &known))?;
    let of_experiment = experiment.map(|(_, test)| kind_word(test.kind).to_owned());
    let Some(kind) = asked.kind.or(of_experiment) else {
        return Err(Problem::invalid("/kind", "say, do, pay, build or measure"));
    };
    if kind_of(&kind).is_none() {
        let message = format!("{kind:?} is not say, do, pay, build or measure");
        return Err(Problem::invalid("/kind", message));
    }
    let outcome = match (asked.outcome, asked.csv, &text.count) {
        (Some(outcome), None, _) => outcome,
        (None, Some(csv), Some(counts)) => {
            let tally = venture::results::tally(&csv, counts)?;
            OutcomeContent::Counts { of: tally.of, out_of: tally.out_of }
        }
        (None, Some(_), None) => {
            let message = format!("assumption {assumption} has no count, so no columns are known");
            return Err(Problem::invalid("/csv", message));
        }
        (None, None, _) | (Some(_), Some(_), _) => {
            return Err(Problem::invalid("/outcome", "give either outcome or csv"));
        }
    };
    Ok(EvidenceContent {
        venture: blueprint.venture.clone(),
        assumption: assumption.clone(),
        experiment: experiment.map(|(name, _)| name.clone()),
        kind: kind
            .parse()
            .map_err(|error: model::NameError| Problem::invalid("/kind", error.to_string()))?,
        source: asked.source,
        at: asked.at.unwrap_or(now),
        outcome,
        note: asked.note,
        withdrawn: None,
        measured: None,
    })
}

fn unknown(pointer: &str, asked: &str, known: &[&str]) -> Problem {
    let shown: String = asked.chars().take(80).collect();
    let message = match known {
        [] => format!("{shown:?} is not in the blueprint, which has none"),
        known => format!("{shown:?} is not in the blueprint: use {}", known.join(", ")),
    };
    Problem::invalid(pointer, message)
}
