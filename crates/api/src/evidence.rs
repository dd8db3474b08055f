//! Assumptions of a venture, what was found of them, and what is believed now.
//!
//! *Invariant:* evidence is withdrawn with a reason, never changed; what it says is weighed by
//! `venture`, and every figure carries the tree it came from.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use blueprint::{Blueprint, ExperimentKind};
use identity::Action;
use model::{EvidenceId, Name, TenantId, Timestamp};
use registry::content::{EvidenceContent, OutcomeContent};
use registry::{Expect, Kind, RecordRow};
use serde::{Deserialize, Serialize};
use venture::belief::{Relevance, kind_word};
use venture::experiment::{assumption_state, claim, state_of};
use venture::{Belief, Evidence, Outcome};

use crate::app::App;
use crate::caller::Caller;
use crate::devices::random;
use crate::extract::Body;
use crate::page::Page;
use crate::problem::Problem;
use crate::ventures::in_force;
use crate::write::{applied, key, put};

/// Pieces of evidence that are read of one venture.
const EVIDENCE_MAX: u32 = 10_000;

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
    /// `{"counts":{"of":14,"out_of":40}}`, `{"ratio":3.5}` or `{"mean":{"mean":7,"error":0.5}}`;
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

/// A record as it was kept.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) id: String,
    pub(crate) content: EvidenceContent,
    pub(crate) actor: String,
    pub(crate) recorded: Timestamp,
}

impl Piece {
    fn of(row: &RecordRow) -> Result<Self, Problem> {
        let content = row.content()?;
        // Not `row.at`: that is of the newest revision, such as its withdrawal.
        let recorded = row.id.parse().map_or(row.at, EvidenceId::time);
        Ok(Self { id: row.id.clone(), content, actor: row.actor.clone(), recorded })
    }

    fn json(&self) -> EvidenceJson {
        let content = self.content.clone();
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
        }
    }

    fn evidence(&self) -> Option<Evidence> {
        let content = &self.content;
        let outcome = match content.outcome {
            OutcomeContent::Counts { of, out_of } => Outcome::Counts { of, out_of },
            OutcomeContent::Ratio(ratio) => Outcome::Ratio(ratio),
            OutcomeContent::Mean { mean, error } => Outcome::Mean { mean, error },
        };
        Some(Evidence {
            id: self.id.clone(),
            source: content.source.clone(),
            at: content.at,
            kind: kind_of(content.kind.as_str())?,
            outcome,
        })
    }
}

fn kind_of(word: &str) -> Option<ExperimentKind> {
    use ExperimentKind::{Build, Do, Measure, Pay, Say};
    [Say, Do, Pay, Build, Measure].into_iter().find(|kind| kind_word(*kind) == word)
}

/// All evidence of a venture, withdrawn or not.
pub(crate) async fn pieces(
    app: &App,
    tenant: TenantId,
    venture: &Name,
) -> Result<Vec<Piece>, Problem> {
    let owner = key(tenant, Kind::Evidence, venture.as_str());
    let rows = app.registry.list_owned(owner, "", EVIDENCE_MAX).await?;
    rows.iter().map(Piece::of).collect()
}

/// What is believed of one assumption at `at`; a piece dated later is an error.
pub(crate) fn belief(
    blueprint: &Blueprint,
    name: &Name,
    pieces: &[Piece],
    at: Timestamp,
) -> Result<Belief, venture::Error> {
    let Some(assumption) = blueprint.assumptions.get(name) else {
        let reason = "the blueprint has no such assumption".to_owned();
        return Err(venture::Error::Unfit { id: format!("assumption.{name}"), reason });
    };
    let counts = |piece: &&Piece| {
        let content = &piece.content;
        content.assumption == *name && content.withdrawn.is_none()
    };
    let evidence: Vec<_> = pieces.iter().filter(counts).filter_map(Piece::evidence).collect();
    claim(name, assumption)?.weigh(&evidence, &Relevance::default(), at)
}

/// Results of each experiment and of each assumption that still count: so many out of so many.
pub(crate) fn results(pieces: &[Piece]) -> (BTreeMap<Name, u64>, BTreeMap<Name, u64>) {
    let (mut of_experiment, mut of_assumption) = (BTreeMap::new(), BTreeMap::new());
    for piece in pieces.iter().filter(|piece| piece.content.withdrawn.is_none()) {
        *of_assumption.entry(piece.content.assumption.clone()).or_default() += 1;
        if let Some(experiment) = &piece.content.experiment {
            *of_experiment.entry(experiment.clone()).or_default() += 1;
        }
    }
    (of_experiment, of_assumption)
}

fn experiment_json(
    name: &Name,
    experiment: &blueprint::Experiment,
    pieces: &[Piece],
) -> (ExperimentJson, venture::experiment::ExperimentState) {
    let mine = pieces.iter().filter(|piece| {
        piece.content.withdrawn.is_none() && piece.content.experiment.as_ref() == Some(name)
    });
    let (mut of, mut out_of, mut locked) = (0, 0, false);
    for piece in mine {
        locked = true;
        if let OutcomeContent::Counts { of: did, out_of: asked } = piece.content.outcome {
            of += did;
            out_of += asked;
        }
    }
    let state = state_of(experiment, of, out_of);
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
    };
    (json, state)
}

fn assumption_json(
    blueprint: &Blueprint,
    name: &Name,
    assumption: &blueprint::Assumption,
    (pieces, now): (&[Piece], Timestamp),
) -> AssumptionJson {
    let tests = blueprint.experiments.iter().filter(|(_, test)| test.tests == *name);
    let (experiments, states): (Vec<_>, Vec<_>) =
        tests.map(|(name, test)| experiment_json(name, test, pieces)).unzip();
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
    let pieces = pieces(&app, tenant, &found.blueprint.venture).await?;
    let now = app.clock.now();
    let all = found.blueprint.assumptions.iter();
    let items = all.map(|(name, assumption)| {
        assumption_json(&found.blueprint, name, assumption, (&pieces, now))
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
    let content = content(&found.blueprint, asked, now)?;
    let id = EvidenceId::new(now, random()?).to_string();
    let piece = Piece { id, content, actor: caller.actor(), recorded: now };
    // Weighed before it is kept, so that nothing is kept that cannot be weighed.
    belief(&found.blueprint, &piece.content.assumption, std::slice::from_ref(&piece), now)?;
    let record = key(tenant, Kind::Evidence, &piece.id);
    let written = put(&app, record, &piece.content, &piece.actor, Expect::New).await?;
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
    piece.content.withdrawn = Some(asked.reason);
    let expect = Expect::Revision(row.revision);
    let written = put(&app, record, &piece.content, &caller.actor(), expect).await?;
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
