//! Ideas as public JSON.
//!
//! *Invariant:* a score stands beside its formula, the revision of that formula and what each input
//! was given by whom; a cell of competitors beside its day, its source and whether it is stale.

use std::collections::BTreeMap;

use expr::Quantity;
use ideas::{Cell, Context, Formula, Freshness, Idea, PlanPrice, Price, Settings, Sizing};
use identity::Action;
use model::{Name, TenantId, Timestamp};
use pipeline::Picture;
use serde::Serialize;

use super::{Found, born, names, settings};
use crate::app::App;
use crate::caller::Caller;
use crate::problem::Problem;

/// Names and channels of users, by id.
#[derive(Debug)]
pub(crate) struct Names(pub(crate) BTreeMap<String, (String, Vec<String>)>);

impl Names {
    /// A user's name; another actor as it is.
    pub(crate) fn of(&self, actor: &str) -> String {
        match self.0.get(actor) {
            Some((name, _)) => name.clone(),
            None if actor == "loopback" => "the person at this machine".to_owned(),
            None if actor == Idea::FORM => "the public form".to_owned(),
            None => actor.to_owned(),
        }
    }

    /// How somebody is told: channels of a person, nothing for others.
    fn channels(&self, actor: &str) -> Vec<String> {
        let chosen = self.0.get(actor).map(|(_, channels)| channels.as_slice());
        chosen.unwrap_or_default().iter().filter(|one| *one != "none").cloned().collect()
    }
}

/// An input of the formula, and what it was given.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct InputJson {
    name: String,
    title: String,
    help: String,
    min: Option<f64>,
    max: Option<f64>,
    /// Null when nobody gave one.
    value: Option<f64>,
    /// Who gave it.
    by: Option<String>,
    #[schema(value_type = Option<String>)]
    at: Option<Timestamp>,
}

/// A score and how it came to be.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct ScoreJson {
    /// Null when an input is missing or the formula has no answer.
    pub(crate) value: Option<f64>,
    formula: String,
    /// 0 is the formula that holds when nobody declared one.
    formula_revision: u64,
    inputs: Vec<InputJson>,
    /// Inputs that nobody gave.
    missing: Vec<String>,
}

/// One change of status.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct StepJson {
    #[schema(value_type = String)]
    at: Timestamp,
    status: &'static str,
    reason: String,
    by: String,
}

/// An idea in a list.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct IdeaJson {
    pub(crate) id: String,
    title: String,
    /// Plain text.
    text: String,
    /// `staff`, `partner`, `customer` or `public`.
    source: &'static str,
    /// Who wrote it down.
    by: String,
    /// What somebody without an account calls themselves.
    name: Option<String>,
    #[schema(value_type = String)]
    at: Timestamp,
    /// `waiting`, `open`, `planned`, `in_progress`, `done`, `declined` or `merged`.
    status: &'static str,
    steps: Vec<StepJson>,
    /// People and forms that asked for it, those of merged ideas included.
    pub(crate) votes: usize,
    /// Whether the caller follows it.
    followed: bool,
    pub(crate) score: ScoreJson,
    /// The device it is about, as it was then.
    #[schema(value_type = Option<Object>)]
    context: Option<Context>,
    merged_into: Option<String>,
    merged: Vec<String>,
    /// The venture that it began.
    venture: Option<String>,
    revision: u64,
}

/// Who follows an idea.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct FollowerJson {
    id: String,
    name: String,
    /// How they are told; empty: they look at the page.
    channels: Vec<String>,
}

/// Both sizes of a market, money a year.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct SizingJson {
    currency: Option<String>,
    tam: Option<f64>,
    sam: Option<f64>,
    som: Option<f64>,
    bottom_up: Option<f64>,
    /// How the last one was computed.
    calculation: Option<String>,
    /// The larger by the smaller, of `bottom_up` and `som`.
    ratio: Option<f64>,
    /// The declared factor.
    factor: f64,
    /// Why they cannot both be right, with the calculation.
    warning: Option<String>,
    /// What would have to be known.
    missing: Vec<String>,
}

/// What is known of a competitor in one respect.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct CellJson {
    competitor: String,
    aspect: String,
    value: String,
    /// The day it was seen.
    on: String,
    source: String,
    by: String,
    /// Older than the declared number of days.
    stale: bool,
}

/// The table of competitors.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct CompetitorsJson {
    competitors: Vec<String>,
    aspects: Vec<String>,
    cells: Vec<CellJson>,
    /// How many cells are stale.
    stale: usize,
    /// From how many days on.
    stale_days: u32,
}

/// One idea with all that is known of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct IdeaDetail {
    #[serde(flatten)]
    idea: IdeaJson,
    followers: Vec<FollowerJson>,
    /// As it was given.
    #[schema(value_type = Option<Object>)]
    market: Option<ideas::Market>,
    sizing: Option<SizingJson>,
    /// Why the market cannot be sized any more.
    sizing_problem: Option<String>,
    competitors: CompetitorsJson,
    /// Whether the caller may move it on, score it and merge it.
    may_judge: bool,
    /// Whether the caller may let in what waits.
    may_moderate: bool,
    /// Whether the caller may begin a venture.
    may_start: bool,
}

/// What ideas are shown with.
pub(crate) struct Shown<'a> {
    caller: &'a Caller,
    tenant: TenantId,
    names: Names,
    revision: u64,
    settings: Settings,
    formula: Option<Formula>,
    picture: std::sync::Arc<Picture>,
    now: Timestamp,
}

impl<'a> Shown<'a> {
    pub(crate) async fn open(
        app: &App,
        caller: &'a Caller,
        tenant: TenantId,
    ) -> Result<Self, Problem> {
        let (revision, settings) = settings(app, tenant).await?;
        // What was kept compiled; an older program may not know a newer word.
        let formula = Formula::compile(&settings).ok();
        let names = names(app, tenant).await?;
        let picture = app.shard.picture();
        let now = app.clock.now();
        Ok(Self { caller, tenant, names, revision, settings, formula, picture, now })
    }

    fn score(&self, idea: &Idea) -> ScoreJson {
        let score = self.formula.as_ref().map(|formula| formula.score(&idea.scores));
        let inputs = self.settings.inputs.iter().map(|(name, input)| {
            let given = idea.scores.get(name);
            InputJson {
                name: name.to_string(),
                title: input.title.clone(),
                help: input.help.clone(),
                min: input.min,
                max: input.max,
                value: given.map(|given| given.value),
                by: given.map(|given| self.names.of(&given.by)),
                at: given.map(|given| given.at),
            }
        });
        let missing = score.as_ref().map(|score| score.missing.as_slice()).unwrap_or_default();
        ScoreJson {
            value: score.as_ref().and_then(|score| score.value),
            formula: self.settings.formula.clone(),
            formula_revision: self.revision,
            inputs: inputs.collect(),
            missing: missing.iter().map(ToString::to_string).collect(),
        }
    }

    pub(crate) fn idea(&self, found: &Found) -> IdeaJson {
        let idea = &found.idea;
        let steps = idea.steps.iter().map(|step| StepJson {
            at: step.at,
            status: step.status.as_str(),
            reason: step.reason.clone(),
            by: self.names.of(&step.by),
        });
        IdeaJson {
            id: found.id.to_string(),
            title: idea.title.clone(),
            text: idea.text.clone(),
            source: idea.source.as_str(),
            by: self.names.of(&idea.by),
            name: idea.name.clone(),
            at: born(found),
            status: idea.status.as_str(),
            steps: steps.collect(),
            votes: idea.votes(),
            followed: idea.followers.contains(&self.caller.actor()),
            score: self.score(idea),
            context: idea.context.clone(),
            merged_into: idea.merged_into.map(|id| id.to_string()),
            merged: idea.merged.iter().map(ToString::to_string).collect(),
            venture: idea.venture.as_ref().map(ToString::to_string),
            revision: found.revision,
        }
    }

    fn competitors(&self, idea: &Idea) -> CompetitorsJson {
        let days = self.settings.stale_days;
        let cell = |competitor: &str, aspect: &str, cell: &Cell| CellJson {
            competitor: competitor.to_owned(),
            aspect: aspect.to_owned(),
            value: cell.value.clone(),
            on: cell.on.clone(),
            source: cell.source.clone(),
            by: self.names.of(&cell.by),
            stale: cell.freshness(days, self.now) == Freshness::Stale,
        };
        let rows = idea.competitors.0.iter();
        let cells: Vec<_> = rows
            .flat_map(|(competitor, row)| {
                row.iter().map(move |(aspect, found)| cell(competitor, aspect, found))
            })
            .collect();
        CompetitorsJson {
            competitors: idea.competitors.0.keys().cloned().collect(),
            aspects: idea.competitors.aspects().into_iter().map(str::to_owned).collect(),
            stale: cells.iter().filter(|cell| cell.stale).count(),
            cells,
            stale_days: days,
        }
    }

    /// What the plan of a market earns for a device now.
    fn plan(&self, market: &ideas::Market) -> Option<PlanPrice> {
        let Price::Plan { venture, plan } = &market.bottom_up.as_ref()?.price else { return None };
        plan_price(&self.picture, self.tenant, (venture, plan))
    }

    pub(crate) fn detail(&self, found: &Found) -> IdeaDetail {
        let idea = &found.idea;
        let factor = self.settings.mismatch_factor;
        let sized = idea
            .market
            .as_ref()
            .map(|market| market.size(self.plan(market).as_ref(), (factor, self.now)));
        let (sizing, sizing_problem) = match sized {
            None => (None, None),
            Some(Ok(sizing)) => (Some(sizing_json(sizing, factor)), None),
            Some(Err(error)) => (None, Some(error.to_string())),
        };
        let followers = idea.followers.iter().map(|actor| FollowerJson {
            id: actor.clone(),
            name: self.names.of(actor),
            channels: self.names.channels(actor),
        });
        IdeaDetail {
            idea: self.idea(found),
            followers: followers.collect(),
            market: idea.market.clone(),
            sizing,
            sizing_problem,
            competitors: self.competitors(idea),
            may_judge: self.caller.may(Action::RecordEvidence).is_ok(),
            may_moderate: self.caller.may(Action::ManageTenant).is_ok(),
            may_start: self.caller.may(Action::ChangeBlueprint).is_ok(),
        }
    }
}

fn sizing_json(sizing: Sizing, factor: f64) -> SizingJson {
    SizingJson {
        currency: sizing.currency.map(|currency| currency.to_string()),
        tam: sizing.tam,
        sam: sizing.sam,
        som: sizing.som,
        bottom_up: sizing.bottom_up,
        calculation: sizing.calculation,
        ratio: sizing.ratio,
        factor,
        warning: sizing.warning,
        missing: sizing.missing.into_iter().map(str::to_owned).collect(),
    }
}

/// The lines of a plan that recur with every device, as money for a device and a year; what does
/// not is named.
pub(crate) fn plan_price(
    picture: &Picture,
    tenant: TenantId,
    (venture, plan): (&Name, &Name),
) -> Option<PlanPrice> {
    let found = picture.catalog.newest(tenant, venture)?;
    let currency = found.blueprint.currency_or_euro();
    let yearly = expr::Unit::parse(&format!("{currency}/device/year")).ok()?;
    let (mut total, mut counted, mut left_out) = (0.0, Vec::new(), Vec::new());
    for (name, line) in &found.blueprint.plans.get(plan)?.lines {
        let price = match line {
            blueprint::PlanLine::Flat { price } => Some(price),
            blueprint::PlanLine::Usage { usage, price } => {
                let usage = found.blueprint.usages.get(usage);
                let daily =
                    usage.is_some_and(|usage| usage.measure == blueprint::Measure::DaysWithReading);
                daily.then_some(price)
            }
            blueprint::PlanLine::Once { .. }
            | blueprint::PlanLine::Credit { .. }
            | blueprint::PlanLine::Model { .. } => None,
        };
        match price.and_then(|price| Some((price, price.in_unit(&yearly)?))) {
            Some((price, value)) => {
                total += value;
                counted.push(format!("{name} {price}"));
            }
            None => left_out.push(name.to_string()),
        }
    }
    if counted.is_empty() {
        return None;
    }
    let mut calculation =
        format!("plan.{plan} of {venture}, revision {}: {}", found.revision, counted.join(" + "));
    if !left_out.is_empty() {
        calculation = format!("{calculation}; not counted: {}", left_out.join(", "));
    }
    let quantity = Quantity::parse(&format!("{total:.4} {currency}/device/year")).ok()?;
    Some(PlanPrice { quantity, calculation })
}
