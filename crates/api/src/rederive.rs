//! A decision made again: from the bytes of the log as they were then, and with what is known of
//! that moment today.
//!
//! *Invariant:* a figure is made again by the same functions that made it, on folds that were
//! folded anew up to the offset of the decision. What retention took is named and never guessed.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use identity::Action;
use model::{ErrorKind, Name, Offset, TenantId, Timestamp};
use pipeline::{Begins, ByDay, InForce, Picture, Rebuilt};
use registry::Kind;
use registry::content::GateDecisionContent;
use serde::Serialize;
use venture::evaluate;
use venture::gate::{Evaluation, Judged, State as Standing};

use crate::app::App;
use crate::caller::Caller;
use crate::case::{Trials, study};
use crate::evidence::{Piece, pieces, pieces_at};
use crate::figures::{Sources, WINDOW_DEFAULT, counting};
use crate::fleet::{by_day, needed};
use crate::gates::decision_json;
use crate::money::economics::{Asked, Economics, Months, newest_closed};
use crate::problem::Problem;
use crate::ventures::in_force;
use crate::write::key;

/// One criterion of a decision, made again.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct AgainJson {
    name: String,
    metric: String,
    decided_value: Option<f64>,
    decided_state: &'static str,
    /// Made again from the log up to the offset of the decision.
    rebuilt_value: Option<f64>,
    rebuilt_state: &'static str,
    /// `same`, `differs`, or `gone`: it cannot be made again, `why` says what is missing.
    rebuilt: &'static str,
    why: String,
    /// The same moment with what is known of it today.
    value: Option<f64>,
    state: &'static str,
    /// `same`, `late`, `corrected`, `expired` or `redefined`.
    cause: &'static str,
    words: String,
}

/// The bytes a decision was made again from.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct LogJson {
    /// Up to which offset.
    offset: u64,
    /// The oldest frame that is still there.
    first: u64,
    /// Log time of the first frame that was read; null when none was left.
    #[schema(value_type = Option<String>)]
    from: Option<Timestamp>,
    /// Frames that were folded again.
    frames: u64,
    /// Whether it begins with the first frame there ever was.
    whole: bool,
}

/// A decision made again.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Rederived {
    id: String,
    decided_verdict: &'static str,
    /// From the log up to the offset of the decision.
    rebuilt_verdict: &'static str,
    /// With what is known of that moment today.
    verdict: &'static str,
    /// Whether the seal is by its key over these bytes, and the file follows from its aggregates.
    sealed: bool,
    log: LogJson,
    /// What cannot be made again, and why, in words.
    gone: Vec<String>,
    criteria: Vec<AgainJson>,
}

/// Where figures are taken from.
struct Ground<'a> {
    picture: &'a Picture,
    by_day: &'a ByDay,
    pieces: &'a [Piece],
}

/// What is judged again.
struct Scene<'a> {
    tenant: TenantId,
    found: &'a Arc<InForce>,
    decided: &'a Evaluation,
}

impl Scene<'_> {
    async fn judge(&self, app: &App, on: &Ground<'_>) -> Result<Evaluation, Problem> {
        let of_case = self.decided.gate.criteria.iter().any(|c| c.metric.starts_with("case."));
        let study = if of_case {
            let asked = Trials::default();
            study(app, self.tenant, self.found, (on.pieces, asked)).await.ok()
        } else {
            None
        };
        let economics = self.economics(app).await?;
        let sources = Sources {
            picture: on.picture,
            tenant: self.tenant,
            found: self.found,
            pieces: on.pieces,
            by_day: on.by_day,
            case: study.as_deref().map(|study| &study.results),
            economics: economics.as_ref(),
            now: self.decided.at,
        };
        let figures = sources.of(&self.decided.gate);
        let counting = counting(on.picture, self.tenant);
        Ok(evaluate(&self.decided.gate, &figures, self.decided.at, counting)?)
    }

    /// The month that was the newest closed one, when a criterion asks for it.
    async fn economics(&self, app: &App) -> Result<Option<Economics>, Problem> {
        if !self.decided.gate.criteria.iter().any(|c| c.metric.starts_with("economics.")) {
            return Ok(None);
        }
        let asked = Asked { tenant: self.tenant, found: self.found, months: Months::Closed };
        newest_closed(app, asked, billing::zone::Zone::utc().day(self.decided.at)?).await
    }

    /// What of a figure the log no longer tells; empty: nothing is missing.
    fn gone(&self, metric: &str, rebuilt: Option<&Rebuilt>, first: Offset) -> String {
        let heard = [
            "fleet.active",
            "fleet.silent",
            "fleet.on_time",
            "fleet.completeness",
            "fleet.data",
            "fleet.sessions",
        ];
        let raised = ["fleet.alarms", "fleet.false_alarms", "fleet.unjudged_alarms"];
        if !heard.contains(&metric) && !raised.contains(&metric) {
            return String::new();
        }
        let since = self.decided.at - self.decided.gate.over.unwrap_or(WINDOW_DEFAULT);
        match rebuilt.map(|rebuilt| rebuilt.begins) {
            Some(Begins::Whole) => String::new(),
            Some(Begins::At(_, time)) if time <= since => String::new(),
            Some(Begins::At(offset, time)) => format!(
                "{metric} was taken from {since} on; retention took the log before {time} \
                 (offset {offset}), so that part cannot be made again"
            ),
            None => format!(
                "{metric}: retention took every frame up to the decision; the log begins at \
                 offset {first}"
            ),
        }
    }
}

/// A decision made again: from the log as it was then, and with what is known today, each
/// difference with its cause.
#[utoipa::path(get, path = "/ventures/{venture}/decisions/{decision}/rederive", tag = "ventures",
    params(("venture" = String, Path, description = "name"),
        ("decision" = String, Path, description = "id")),
    responses((status = 200, body = Rederived), (status = "default", body = Problem)))]
pub(crate) async fn rederive(
    State(app): State<App>,
    caller: Caller,
    Path((venture, decision)): Path<(String, String)>,
) -> Result<Json<Rederived>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let row = app.registry.get(key(tenant, Kind::GateDecision, &decision)).await?;
    let row = row.ok_or_else(|| Problem::not_found("decision", &decision))?;
    let content: GateDecisionContent = row.content()?;
    if content.venture.as_str() != venture {
        return Err(Problem::not_found("decision", &decision));
    }
    let (verified, _) = decision_json(&row.id, &content)?;
    let (decided, minutes) = (&verified.file.evaluation, &verified.file.minutes);
    let sealed = verified.is_same()
        && identity::seal::verify(&content.key, content.file.as_bytes(), &content.seal).is_ok();
    let today = app.shard.picture();
    let newest = in_force(&today, tenant, &venture)?;
    let known = today.catalog.blueprint(tenant, &content.venture, Some(minutes.revision));
    let found = known.unwrap_or(&newest);
    let scene = Scene { tenant, found, decided };

    let rebuilt = rebuilt(&app, Offset(minutes.offset)).await?;
    let then = pieces_at(&app, tenant, (&content.venture, decided.at)).await?;
    let none = ByDay::default();
    let ground = Ground {
        picture: rebuilt.as_ref().map_or(&today, |rebuilt| &rebuilt.picture),
        by_day: rebuilt.as_ref().map_or(&none, |rebuilt| &rebuilt.by_day),
        pieces: &then,
    };
    let from_log = scene.judge(&app, &ground).await?;
    let now = with_today(&app, &scene, (&today, &content.venture)).await?;

    let first = app.shard.log().first();
    let mut criteria = Vec::new();
    let triples = decided.judged.iter().zip(&from_log.judged).zip(&now.judged);
    for ((before, log), now) in triples {
        let gone = scene.gone(&before.criterion.metric, rebuilt.as_ref(), first);
        let later = (now, &pieces(&today, tenant, &content.venture)[..]);
        criteria.push(again_json((before, log, gone), later, (decided.at, found, &newest)));
    }
    let gone = criteria.iter().filter(|one| one.rebuilt == "gone").map(|one| one.why.clone());
    Ok(Json(Rederived {
        id: row.id.clone(),
        decided_verdict: decided.verdict.as_str(),
        rebuilt_verdict: from_log.verdict.as_str(),
        verdict: now.verdict.as_str(),
        sealed,
        log: log_json(minutes.offset, first, rebuilt.as_ref()),
        gone: gone.collect(),
        criteria,
    }))
}

async fn rebuilt(app: &App, offset: Offset) -> Result<Option<Rebuilt>, Problem> {
    let records = app.shard.records_now().await?;
    let shard = app.shard.clone();
    let made = tokio::task::spawn_blocking(move || shard.rebuild(offset, &records)).await;
    let made = made.map_err(|error| Problem::from_kind(ErrorKind::Internal, &error))?;
    match made {
        Ok(rebuilt) => Ok(rebuilt),
        // Retention may take a segment while it is read: then it is gone.
        Err(pipeline::Error::Log(eventlog::Error::Trimmed { .. })) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The moment of the decision with what is known of it today.
async fn with_today(
    app: &App,
    scene: &Scene<'_>,
    (today, venture): (&Arc<Picture>, &Name),
) -> Result<Evaluation, Problem> {
    let needed = needed(scene.decided.gate.criteria.iter().map(|c| c.metric.as_str()));
    let by_day = by_day(app, scene.tenant, needed).await?;
    let of_then = |piece: &Piece| piece.content.at <= scene.decided.at;
    let pieces: Vec<Piece> =
        pieces(today, scene.tenant, venture).into_iter().filter(of_then).collect();
    scene.judge(app, &Ground { picture: today, by_day: &by_day, pieces: &pieces }).await
}

fn log_json(offset: u64, first: Offset, rebuilt: Option<&Rebuilt>) -> LogJson {
    let begins = rebuilt.map(|rebuilt| rebuilt.begins);
    LogJson {
        offset,
        first: first.0,
        from: match begins {
            Some(Begins::At(_, time)) => Some(time),
            Some(Begins::Whole) | None => None,
        },
        frames: rebuilt.map_or(0, |rebuilt| rebuilt.frames),
        whole: begins == Some(Begins::Whole),
    }
}

fn again_json(
    (before, log, gone): (&Judged, &Judged, String),
    (now, pieces): (&Judged, &[Piece]),
    (decided, found, newest): (Timestamp, &InForce, &InForce),
) -> AgainJson {
    let same = before.value == log.value && before.state == log.state;
    let rebuilt = match (gone.is_empty(), same) {
        (true, true) => "same",
        (true, false) => "differs",
        (false, _) => "gone",
    };
    // A count of that moment cannot be asked of the folds of today: the log has said it.
    let of_moment = ["fleet.active", "fleet.silent", "fleet.devices"];
    let moment = of_moment.contains(&before.criterion.metric.as_str());
    let now = if moment && rebuilt != "gone" { log } else { now };
    let (cause, words) = cause((before, now), pieces, (decided, found, newest));
    AgainJson {
        name: before.criterion.name.clone(),
        metric: before.criterion.metric.clone(),
        decided_value: before.value,
        decided_state: before.state.as_str(),
        rebuilt_value: log.value.filter(|_| rebuilt != "gone"),
        rebuilt_state: if rebuilt == "gone" { Standing::Missing } else { log.state }.as_str(),
        rebuilt,
        why: gone,
        value: now.value,
        state: now.state.as_str(),
        cause,
        words,
    }
}

/// Why a figure differs from the one that was decided on.
fn cause(
    (then, now): (&Judged, &Judged),
    pieces: &[Piece],
    (decided, found, newest): (Timestamp, &InForce, &InForce),
) -> (&'static str, String) {
    if then.value == now.value && then.state == now.state {
        return ("same", "nothing that is known today changes it".to_owned());
    }
    if now.value.is_none() {
        return ("expired", "nobody can say it any more".to_owned());
    }
    let metric = then.criterion.metric.as_str();
    if let Some(name) = metric.strip_prefix("assumption.").and_then(|rest| rest.split('.').next()) {
        return evidence_cause(name, pieces, decided);
    }
    if metric.starts_with("case.") {
        let words = "what is believed of its assumptions has changed";
        return ("corrected", words.to_owned());
    }
    if found.revision != newest.revision && metric.starts_with("economics.") {
        return ("redefined", "the blueprint has another revision".to_owned());
    }
    ("late", "more is known of that window today: readings came late, or verdicts did".to_owned())
}

fn evidence_cause(name: &str, pieces: &[Piece], decided: Timestamp) -> (&'static str, String) {
    let of = |piece: &&Piece| piece.content.assumption.as_str() == name;
    let mine = || pieces.iter().filter(of);
    let known = |piece: &&Piece| piece.recorded <= decided;
    if let Some(gone) = mine().filter(known).find(|piece| piece.content.withdrawn.is_some()) {
        let reason = gone.content.withdrawn.as_deref().unwrap_or_default();
        return ("corrected", format!("{} was withdrawn: {reason}", gone.id));
    }
    let late = |piece: &&Piece| piece.recorded > decided && piece.content.at <= decided;
    let newer = mine().filter(late).count();
    if newer > 0 {
        return ("late", format!("{newer} results of before were recorded after the decision"));
    }
    ("redefined", "the assumption or its weights have changed".to_owned())
}
