//! Experiments that ask the fleet: when the window is over, the server itself records the result.
//!
//! *Invariant:* a result is recorded once for each window, with the offset up to which the log was
//! read; its window began after its bar was set. A bar that is changed begins another window.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use bizcase::Basis;
use blueprint::{Blueprint, Experiment, Measures};
use identity::Action;
use model::{EvidenceId, Name, TenantId, Timestamp};
use pipeline::{ByDay, InForce};
use registry::content::{EvidenceContent, MeasuredContent, OutcomeContent};
use registry::{Expect, Kind};
use serde::Serialize;
use tokio::sync::Mutex;
use venture::Outcome;
use venture::experiment::{same_bars, unit_of};
use venture::measure::{Measured, Window};

use crate::app::App;
use crate::caller::Caller;
use crate::devices::random;
use crate::evidence::{Piece, belief, pieces};
use crate::fleet::{Fleet, needed};
use crate::page::Page;
use crate::problem::Problem;
use crate::read::read;
use crate::ventures::in_force;
use crate::write::{applied, key, put};

/// Who records what a fleet said.
pub(crate) const SERVER: &str = "server";
/// Results are recorded one after the other: none twice.
static RECORDING: Mutex<()> = Mutex::const_new(());

/// An experiment that asks the fleet, and where it stands.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct MeasureJson {
    pub(crate) experiment: String,
    /// The figure of the catalogue.
    pub(crate) metric: String,
    pub(crate) over_days: u64,
    /// `waiting` for a first device, `running`, `due`: over and taken within a minute, `recorded`,
    /// or `silent`: no device could say anything.
    pub(crate) state: &'static str,
    /// When its bar was set.
    #[schema(value_type = Option<String>)]
    pub(crate) bar_set: Option<Timestamp>,
    /// First instant of its window.
    #[schema(value_type = Option<String>)]
    pub(crate) from: Option<Timestamp>,
    /// First instant after it.
    #[schema(value_type = Option<String>)]
    pub(crate) to: Option<Timestamp>,
    /// The figure, once it is recorded.
    pub(crate) value: Option<f64>,
    /// The evidence it became.
    pub(crate) evidence: Option<String>,
    /// Whether it was recorded just now.
    pub(crate) new: bool,
}

/// When the bar of an experiment was set, and by which revision.
#[derive(Debug, Clone, Copy)]
struct BarSet {
    at: Timestamp,
    revision: u64,
}

/// What is looked at for one experiment.
struct Asked<'a> {
    tenant: TenantId,
    found: &'a InForce,
    name: &'a Name,
    experiment: &'a Experiment,
    measures: &'a Measures,
}

impl Asked<'_> {
    fn pair<'b>(
        blueprint: &'b Blueprint,
        name: &Name,
    ) -> Option<(&'b Experiment, &'b blueprint::Assumption)> {
        let experiment = blueprint.experiments.get(name)?;
        Some((experiment, blueprint.assumptions.get(&experiment.tests)?))
    }

    /// The oldest revision since which the bar is what it is.
    async fn bar_set(&self, app: &App) -> Result<Option<BarSet>, Problem> {
        let picture = app.shard.picture();
        let venture = &self.found.blueprint.venture;
        let Some(now) = Self::pair(&self.found.blueprint, self.name) else { return Ok(None) };
        let mut oldest = self.found.revision;
        for before in picture.catalog.revisions(self.tenant, venture).rev() {
            if before.revision >= oldest {
                continue;
            }
            let same =
                Self::pair(&before.blueprint, self.name).is_some_and(|old| same_bars(old, now));
            if !same {
                break;
            }
            oldest = before.revision;
        }
        let record = key(self.tenant, Kind::Blueprint, venture.as_str());
        let row = app.registry.at(record, oldest).await?;
        Ok(row.map(|row| BarSet { at: row.at, revision: oldest }))
    }

    fn recorded<'p>(&self, pieces: &'p [Piece], window: Window) -> Option<&'p Piece> {
        pieces.iter().find(|piece| {
            piece.content.experiment.as_ref() == Some(self.name)
                && piece.content.measured.as_ref().is_some_and(|m| m.from == window.from)
        })
    }

    fn json(&self, state: &'static str) -> MeasureJson {
        MeasureJson {
            experiment: self.name.to_string(),
            metric: self.measures.metric.clone(),
            over_days: self.measures.over.as_secs() / 86_400,
            state,
            bar_set: None,
            from: None,
            to: None,
            value: None,
            evidence: None,
            new: false,
        }
    }
}

/// Experiments of a venture that ask the fleet.
fn asked(tenant: TenantId, found: &InForce) -> impl Iterator<Item = Asked<'_>> {
    found.blueprint.experiments.iter().filter_map(move |(name, experiment)| {
        let measures = experiment.measures.as_ref()?;
        Some(Asked { tenant, found, name, experiment, measures })
    })
}

/// Where each of them stands; with [`Take::Record`] what is complete is recorded.
async fn look(
    app: &App,
    (tenant, found): (TenantId, &Arc<InForce>),
    take: Take,
) -> Result<Vec<MeasureJson>, Problem> {
    let mut all = Vec::new();
    if asked(tenant, found).next().is_none() {
        return Ok(all);
    }
    let picture = app.shard.picture();
    let pieces = pieces(&picture, tenant, &found.blueprint.venture);
    let nothing = ByDay::default();
    let began = Fleet::of(&picture, (tenant, found), &nothing).began();
    let now = app.clock.now();
    for asked in asked(tenant, found) {
        let bar = asked.bar_set(app).await?;
        let (Some(bar), Some(began)) = (bar, began) else {
            let json = asked.json("waiting");
            all.push(MeasureJson { bar_set: bar.map(|bar| bar.at), ..json });
            continue;
        };
        let window = Window::after(bar.at, began, asked.measures.over);
        let mut json = asked.json("running");
        (json.bar_set, json.from, json.to) = (Some(bar.at), Some(window.from), Some(window.to));
        if let Some(piece) = asked.recorded(&pieces, window) {
            json.state = "recorded";
            json.value = piece.content.measured.as_ref().map(|m| m.value);
            json.evidence = Some(piece.id.clone());
        } else if window.is_over(now) {
            json.state = if take == Take::Record { "silent" } else { "due" };
            if take == Take::Record
                && let Some((id, value)) = measured(app, &asked, (bar, window)).await?
            {
                (json.state, json.value, json.new) = ("recorded", Some(value), true);
                json.evidence = Some(id);
            }
        }
        all.push(json);
    }
    Ok(all)
}

/// Asks the fleet and records what it says: folds and what was due, both at one offset. None: no
/// device could say anything.
async fn measured(
    app: &App,
    asked: &Asked<'_>,
    (bar, window): (BarSet, Window),
) -> Result<Option<(String, f64)>, Problem> {
    let (metric, now) = (asked.measures.metric.as_str(), app.clock.now());
    let needed = needed(std::iter::once(metric));
    let (picture, by_day) = app.shard.moment(asked.tenant, needed).await?;
    let fleet = Fleet::of(&picture, (asked.tenant, asked.found), &by_day);
    let (devices, basis) = fleet.devices();
    let of = (&asked.found.blueprint.kinds, std::iter::once(metric));
    let read = read(app, (asked.tenant, &devices), of, now).await?;
    let Some(found) = fleet.with(&read).measured(metric, window) else { return Ok(None) };
    let read = (picture.offset.0, basis, now);
    let Some(found) = in_unit(asked, found) else { return Ok(None) };
    let id = record(app, asked, content(asked, (bar, window), (&found, read)), now).await?;
    Ok(Some((id, found.value)))
}

/// A figure in the unit in which its assumption is weighed.
fn in_unit(asked: &Asked<'_>, found: Measured) -> Option<Measured> {
    let blueprint = &asked.found.blueprint;
    let metric = asked.measures.metric.as_str();
    let unit = match blueprint::ReadingFigure::parse(metric) {
        Some(figure) => figure.unit(&blueprint.kinds)?,
        None => blueprint::METRICS
            .iter()
            .find(|known| known.name == metric)?
            .unit(blueprint.currency.unwrap_or(model::Currency::EUR)),
    };
    let wanted = unit_of(blueprint.assumptions.get(&asked.experiment.tests)?);
    let to = |x: f64| unit.convert(x, &wanted);
    let spread = |at: f64, error: f64| Some(to(at + error)? - to(at)?);
    let outcome = match found.outcome {
        Outcome::Mean { mean, error } => {
            Outcome::Mean { mean: to(mean)?, error: spread(mean, error)? }
        }
        Outcome::Counts { .. } | Outcome::Sample { .. } | Outcome::Ratio(_) => found.outcome,
    };
    let error = spread(found.value, found.error)?;
    Some(Measured { value: to(found.value)?, outcome, error, ..found })
}

/// Whether complete windows are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Take {
    Look,
    Record,
}

fn content(
    asked: &Asked<'_>,
    (bar, window): (BarSet, Window),
    (measured, (offset, basis, now)): (&Measured, (u64, Basis, Timestamp)),
) -> EvidenceContent {
    let (outcome, counts_as) = match measured.outcome {
        Outcome::Sample { of, out_of, counts_as } => {
            (OutcomeContent::Counts { of, out_of }, Some(counts_as))
        }
        Outcome::Counts { of, out_of } => (OutcomeContent::Counts { of, out_of }, None),
        Outcome::Mean { mean, error } => (OutcomeContent::Mean { mean, error }, None),
        Outcome::Ratio(ratio) => (OutcomeContent::Ratio(ratio), None),
    };
    let stamp = if basis == Basis::Simulated { "simulated: " } else { "" };
    let note = format!(
        "{stamp}{} from {} to {}, {} devices, read up to offset {offset}",
        asked.measures.metric, window.from, window.to, measured.devices
    );
    EvidenceContent {
        venture: asked.found.blueprint.venture.clone(),
        assumption: asked.experiment.tests.clone(),
        experiment: Some(asked.name.clone()),
        kind: "measure".parse().expect("measure is a name"),
        source: "the fleet".to_owned(),
        at: window.to.min(now),
        outcome,
        note: Some(note),
        withdrawn: None,
        measured: Some(MeasuredContent {
            metric: asked.measures.metric.clone(),
            from: window.from,
            to: window.to,
            offset,
            revision: bar.revision,
            bar_set: bar.at,
            devices: measured.devices,
            value: measured.value,
            counts_as,
        }),
    }
}

async fn record(
    app: &App,
    asked: &Asked<'_>,
    content: EvidenceContent,
    now: Timestamp,
) -> Result<String, Problem> {
    let id = EvidenceId::new(now, random()?).to_string();
    let piece = Piece::new(&id, content, SERVER, now);
    // Weighed before it is kept, so that nothing is kept that cannot be weighed.
    let blueprint = &asked.found.blueprint;
    belief(blueprint, &piece.content.assumption, std::slice::from_ref(&piece), now)?;
    let record = key(asked.tenant, Kind::Evidence, &id);
    let written = put(app, record, &*piece.content, SERVER, Expect::New).await?;
    applied(app, written.seq).await?;
    tracing::info!(venture = %blueprint.venture, experiment = %asked.name, id, "measured");
    Ok(id)
}

/// Where the experiments of a venture that ask the fleet stand.
pub(crate) async fn standing(
    app: &App,
    tenant: TenantId,
    found: &Arc<InForce>,
) -> Result<Vec<MeasureJson>, Problem> {
    look(app, (tenant, found), Take::Look).await
}

/// Records what is complete of one venture.
pub(crate) async fn take(
    app: &App,
    tenant: TenantId,
    found: &Arc<InForce>,
) -> Result<Vec<MeasureJson>, Problem> {
    let _one = RECORDING.lock().await;
    look(app, (tenant, found), Take::Record).await
}

/// Takes the results of experiments that ask the fleet, where their window is over. The server does
/// so by itself; this does it now.
#[utoipa::path(post, path = "/ventures/{venture}/evidence/measure", tag = "ventures",
    params(("venture" = String, Path, description = "name")),
    responses((status = 200, body = Page<MeasureJson>), (status = "default", body = Problem)))]
pub(crate) async fn now(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
) -> Result<Json<Page<MeasureJson>>, Problem> {
    let tenant = caller.may(Action::RecordEvidence)?;
    let found = in_force(&app.shard.picture(), tenant, &venture)?;
    Ok(Json(Page::whole(take(&app, tenant, &found).await?)))
}
