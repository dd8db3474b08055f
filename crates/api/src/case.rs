//! The business case of a venture, with what is believed of its assumptions now.
//!
//! *Invariant:* the same blueprint revision, evidence, trials and seed give the same bytes; a run
//! is bounded by [`TRIALS_MAX`] and kept for the next who asks the same.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bizcase::{Case, Run, Study};
use blueprint::Source;
use identity::Action;
use model::{Name, TenantId, Timestamp};
use pipeline::InForce;
use serde::Deserialize;

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::evidence::{Piece, belief, pieces};
use crate::extract::Params;
use crate::problem::Problem;
use crate::ventures::in_force;

/// Trials of a run when nothing is asked.
const TRIALS_DEFAULT: u32 = 10_000;
/// The most trials of one request.
const TRIALS_MAX: u32 = 100_000;
/// Base points of the Sobol indices of one request; `iotbiz case run` takes four times as many.
const POINTS: u32 = 1 << 12;
/// Studies that are kept; the oldest goes first.
const KEPT_MAX: usize = 16;
/// Threads of one run: another core is left to everybody else.
const THREADS: usize = 1;

/// What makes two studies the same.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Same {
    tenant: TenantId,
    venture: Name,
    revision: u64,
    /// Ids of the evidence that counted.
    evidence: Vec<String>,
    trials: u32,
    seed: u64,
}

/// Studies that were made before.
#[derive(Debug, Default)]
pub struct Studies(Mutex<Vec<(Same, Arc<Study>)>>);

/// How often and from which seed.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::IntoParams)]
pub(crate) struct Trials {
    /// How often the case is drawn; 10,000 if left out, at most 100,000.
    trials: Option<u32>,
    /// The same seed gives the same bytes; 1 if left out.
    seed: Option<u64>,
}

impl Trials {
    /// As a run on one thread.
    pub(crate) fn run(self, (default, max): (u32, u32)) -> Result<Run, Problem> {
        let trials = self.trials.unwrap_or(default);
        if trials == 0 || trials > max {
            let message = format!("{trials} is not between 1 and {max}");
            return Err(Problem::invalid("trials", message));
        }
        Ok(Run { trials, seed: self.seed.unwrap_or(1), threads: THREADS })
    }
}

/// A study of a venture's case, made or remembered.
pub(crate) async fn study(
    app: &App,
    tenant: TenantId,
    found: &Arc<InForce>,
    (known, asked): (&[Piece], Trials),
) -> Result<Arc<Study>, Problem> {
    let trials = asked.trials.unwrap_or(TRIALS_DEFAULT);
    if trials == 0 || trials > TRIALS_MAX {
        let message = format!("{trials} is not between 1 and {TRIALS_MAX}");
        return Err(Problem::invalid("trials", message));
    }
    let counted = known.iter().filter(|piece| piece.content.withdrawn.is_none());
    let same = Same {
        tenant,
        venture: found.blueprint.venture.clone(),
        revision: found.revision,
        evidence: counted.map(|piece| piece.id.clone()).collect(),
        trials,
        seed: asked.seed.unwrap_or(1),
    };
    if let Some(kept) = app.studies.find(&same) {
        return Ok(kept);
    }
    let case = case(found, known, app.clock.now())?;
    let run = Run { trials, seed: same.seed, threads: THREADS };
    let made = tokio::task::spawn_blocking(move || case.study(run, POINTS)).await;
    let made = made.map_err(|error| Problem::from_kind(model::ErrorKind::Internal, &error))?;
    let study = Arc::new(made.map_err(|error| Problem::from_kind(error.kind(), &error))?);
    app.studies.keep(same, Arc::clone(&study));
    Ok(study)
}

impl Studies {
    fn find(&self, same: &Same) -> Option<Arc<Study>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(of, _)| of == same).map(|(_, study)| Arc::clone(study))
    }

    fn keep(&self, same: Same, study: Arc<Study>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.remove(0);
        }
        kept.push((same, study));
    }
}

/// The case in force, each assumption as it is believed at `at`.
pub(crate) fn case(found: &InForce, pieces: &[Piece], at: Timestamp) -> Result<Case, Problem> {
    case_of(Source { text: &found.text, blueprint: &found.blueprint }, pieces, at)
}

/// The case of a text, each assumption as it is believed at `at`.
pub(crate) fn case_of(
    source: Source<'_>,
    pieces: &[Piece],
    at: Timestamp,
) -> Result<Case, Problem> {
    let mut case = Case::parse(source.text).map_err(|findings| {
        let mut problem = Problem::new(code::BLUEPRINT_ERRORS, "the case has mistakes");
        for finding in &findings {
            problem = problem.at("/text", finding.render("blueprint.toml", source.text));
        }
        problem
    })?;
    for name in source.blueprint.assumptions.keys() {
        let counts = pieces
            .iter()
            .any(|piece| piece.content.assumption == *name && piece.content.withdrawn.is_none());
        let believed = belief(source.blueprint, name, pieces, at).ok();
        if let Some(value) = believed.filter(|_| counts).and_then(|belief| belief.value) {
            // An assumption that the case does not use changes nothing.
            case.set(&format!("assumption.{name}"), value);
        }
    }
    Ok(case)
}

/// The business case: figures, fan by month, what moves it, where it breaks even, and why.
#[utoipa::path(get, path = "/ventures/{venture}/case", tag = "ventures",
    params(("venture" = String, Path, description = "name"), Trials),
    responses((status = 200, body = serde_json::Value), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
    Params(asked): Params<Trials>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::Read)?;
    let picture = app.shard.picture();
    let found = in_force(&picture, tenant, &venture)?;
    if found.blueprint.case.is_none() {
        return Err(Problem::not_found("case of venture", &venture).fix("add [case] to it"));
    }
    let known = pieces(&picture, tenant, &found.blueprint.venture);
    let study = study(&app, tenant, &found, (&known, asked)).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], study.to_json()).into_response())
}
