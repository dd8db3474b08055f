//! What to fix next, by what it is worth: experiments, inputs that came out worse than planned,
//! silent devices, open alarms, a margin below its gate or plan, risks.
//!
//! *Invariant:* a figure is money of the venture and opens down to what it was made of; what has no
//! price is not in the list.

mod margin;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use bizcase::{Basis, Case, Distribution, Explain, Run};
use blueprint::Experiment;
use expr::{Comparison, Unit};
use identity::Action;
use model::{DeviceId, ErrorKind, Name};
use serde::Serialize;
use venture::belief::Relevance;
use venture::experiment::ExperimentState;
use venture::fix::{Fix, Matter, ranked};
use venture::next::{Candidate, Stake, worth};

use crate::actual::{ActualJson, Meeting, against};
use crate::app::App;
use crate::caller::Caller;
use crate::case::Trials;
use crate::evidence::{Piece, belief, pieces, tally};
use crate::extract::Params;
use crate::problem::Problem;

/// Trials behind each figure.
const TRIALS_DEFAULT: u32 = 2_000;
const TRIALS_MAX: u32 = 20_000;
/// Intervals after which a device counts as silent.
const SILENT_INTERVALS: u32 = 3;
/// Values that stand for one side of a belief.
const SIDE_POINTS: u32 = 400;
const DAY_S: f64 = 86_400.0;

/// One thing to do.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct FixJson {
    /// `experiment`, `input`, `silent`, `alarm`, `risk` or `margin`.
    matter: &'static str,
    name: String,
    /// What to do.
    says: String,
    /// What it is worth, in the currency of the list.
    money: f64,
    /// What that money means.
    meaning: &'static str,
    /// How it came to be: label, formula, value, inputs.
    #[schema(value_type = Object)]
    explain: serde_json::Value,
}

/// What to fix next, the most money first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct FixesJson {
    currency: String,
    items: Vec<FixJson>,
    /// Sum of the risks: probability x money.
    expected_loss: f64,
    trials: u32,
    seed: u64,
    offset: u64,
}

/// What to fix next, ranked by money. A margin is in it for those who may see money.
#[utoipa::path(get, path = "/ventures/{venture}/next", tag = "ventures",
    params(("venture" = String, Path, description = "name"), Trials),
    responses((status = 200, body = FixesJson), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
    Params(asked): Params<Trials>,
) -> Result<Json<FixesJson>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let run = asked.run((TRIALS_DEFAULT, TRIALS_MAX))?;
    let meeting = Arc::new(Meeting::of(&app, tenant, &venture).await?);
    let actual = against(Arc::clone(&meeting), run).await?;
    let of = Arc::clone(&meeting);
    let made = tokio::task::spawn_blocking(move || experiments(&of, run)).await;
    let made = made.map_err(|error| Problem::from_kind(ErrorKind::Internal, &error))?;
    let mut all = made?;
    all.extend(inputs(&actual));
    all.extend(devices(&meeting));
    all.extend(margin::missing(&app, &caller, &meeting).await?);
    let (risks, expected_loss) = risks(&meeting.case)?;
    all.extend(risks);
    let json = |fix: Fix| FixJson {
        matter: fix.matter.as_str(),
        name: fix.name,
        says: fix.says,
        money: fix.money,
        meaning: fix.matter.meaning(),
        explain: fix.explain.json(),
    };
    Ok(Json(FixesJson {
        currency: meeting.case.currency.to_string(),
        items: ranked(all).into_iter().map(json).collect(),
        expected_loss,
        trials: run.trials,
        seed: run.seed,
        offset: meeting.picture.offset.0,
    }))
}

/// Experiments that are not over: what their information is worth, less their cost.
fn experiments(meeting: &Meeting, run: Run) -> Result<Vec<Fix>, Problem> {
    let blueprint = &meeting.found.blueprint;
    let known = pieces(&meeting.picture, meeting.tenant, &blueprint.venture);
    let mut found = Vec::new();
    for (name, test) in &blueprint.experiments {
        if !is_open(name, test, &known) {
            continue;
        }
        let Some(candidate) = candidate(meeting, (name, test), (&known, run))? else { continue };
        let worth = worth(&candidate)?;
        let money = worth.evsi - candidate.cost;
        let leaf =
            |label: &str, value: f64| Explain::leaf(label, value, "", Basis::Assumed, "blueprint");
        let days = candidate.days;
        let inputs = vec![worth.explain, leaf("cost", candidate.cost), leaf("days", days)];
        let each = per_euro(worth.evsi, candidate.cost);
        let explain = Explain::computed(name.as_str(), "value - cost", money, inputs);
        found.push(Fix {
            matter: Matter::Experiment,
            name: name.to_string(),
            says: format!(
                "run experiment {name}: it asks {} in {days} days, and the answer is worth \
                 {:.0} {} more a day than it costs{each}",
                candidate.asked, worth.per_day, meeting.case.currency
            ),
            money,
            explain: explain.in_unit(meeting.case.currency.as_str()),
        });
    }
    Ok(found)
}

/// `, 31 for each 1 spent`.
fn per_euro(value: f64, cost: f64) -> String {
    if cost <= 0.0 {
        return String::new();
    }
    format!(", {} for each 1 spent", bizcase::text::short(value / cost))
}

fn is_open(name: &Name, test: &Experiment, known: &[Piece]) -> bool {
    let (of, out_of, value) = tally(name, known);
    let state = venture::experiment::state_of(test, of, out_of);
    value.is_none() && matches!(state, ExperimentState::Planned | ExperimentState::Running)
}

/// What hangs on an experiment; none where the case does not use its assumption, or it is about no
/// share.
fn candidate(
    meeting: &Meeting,
    (name, test): (&Name, &Experiment),
    (known, run): (&[Piece], Run),
) -> Result<Option<Candidate>, Problem> {
    let blueprint = &meeting.found.blueprint;
    let Some(assumption) = blueprint.assumptions.get(&test.tests) else { return Ok(None) };
    let Ok(believed) = belief(blueprint, &test.tests, known, meeting.now) else { return Ok(None) };
    let path = format!("assumption.{}", test.tests);
    let (Some(share), Some(slot)) = (believed.share, meeting.case.slot(&path)) else {
        return Ok(None);
    };
    let Some(value) = meeting.case.distribution(slot) else { return Ok(None) };
    let threshold = assumption.holds.quantity.in_unit(&Unit::one()).unwrap_or(f64::NAN);
    let comparison = assumption.holds.comparison;
    let side =
        |holds: bool| mean_npv(&meeting.case, (&path, value), (comparison, threshold, holds), run);
    let (Some(win), Some(lose)) = (side(true)?, side(false)?) else { return Ok(None) };
    let money = Unit::money(meeting.case.currency);
    let cost = test.cost.as_ref().and_then(|cost| cost.in_unit(&money)).unwrap_or(0.0);
    Ok(Some(Candidate {
        name: name.to_string(),
        belief: share,
        comparison,
        threshold,
        stake: Stake { win: win.max(0.0), lose: (-lose).max(0.0) },
        asked: test.asked.unwrap_or(1).max(1),
        relevance: Relevance::default().of(test.kind),
        cost,
        days: test.takes.map_or(1.0, |takes| takes.as_secs_f64() / DAY_S).max(1.0),
    }))
}

/// Mean net present value on one side of an assumption's threshold; none where belief has no such
/// side.
fn mean_npv(
    case: &Case,
    (path, value): (&str, &Distribution),
    (comparison, threshold, holds): (Comparison, f64, bool),
    run: Run,
) -> Result<Option<f64>, Problem> {
    let p = |i: u32| (f64::from(i) + 0.5) / f64::from(SIDE_POINTS);
    let all = (0..SIDE_POINTS).map(|i| value.quantile(p(i)));
    let mine: Vec<f64> = all.filter(|x| comparison.holds(*x, threshold) == holds).collect();
    if mine.is_empty() {
        return Ok(None);
    }
    let wrong = |error: bizcase::Error| Problem::from_kind(error.kind(), &error);
    let mut case = case.clone();
    case.set(path, Distribution::empirical(&mine).map_err(wrong)?);
    Ok(Some(case.run(run).map_err(wrong)?.npv.mean))
}

/// Inputs that came out worse than the case says.
fn inputs(actual: &ActualJson) -> Vec<Fix> {
    let worse = actual.changes.iter().filter(|change| change.npv < 0.0);
    let fix = |change: &crate::actual::ChangeJson| {
        let input = actual.inputs.iter().find(|input| input.input == change.input);
        let number = |label: &str, value: Option<f64>, basis| {
            value.map(|value| Explain::leaf(label, value, "", basis, "case/actual"))
        };
        let inputs = [
            number("plan, median", input.map(|input| input.plan[1]), Basis::Assumed),
            number("actual", input.and_then(|input| input.actual), Basis::Measured),
            number("npv change", Some(change.npv), Basis::Simulated),
        ];
        let formula = "mean npv with it as planned - mean npv with it as known";
        let tree = Explain::computed(
            &change.input,
            formula,
            -change.npv,
            inputs.into_iter().flatten().collect(),
        );
        Fix {
            matter: Matter::Input,
            name: change.input.clone(),
            says: format!("{} came out worse than the case says", change.input),
            money: -change.npv,
            explain: tree.in_unit(&actual.currency),
        }
    };
    worse.map(fix).collect()
}

/// Devices that say nothing, and those with an open alarm: what they bring in a month.
fn devices(meeting: &Meeting) -> Vec<Fix> {
    let income = meeting.case.income_per_device_month();
    let (devices, basis) = meeting.fleet().devices();
    let kinds = &meeting.found.blueprint.kinds;
    let there: Vec<_> = devices.into_iter().filter(|twin| twin.retired.is_none()).collect();
    let silent = there.iter().filter(|twin| {
        let every = kinds
            .get(&twin.kind)
            .and_then(|kind| kind.readings.values().filter_map(|reading| reading.every).min());
        every
            .zip(twin.seen.last)
            .is_some_and(|(every, last)| meeting.now.since(last) > every * SILENT_INTERVALS)
    });
    let silent: BTreeSet<DeviceId> = silent.map(|twin| twin.id).collect();
    let ids: BTreeSet<DeviceId> = there.iter().map(|twin| twin.id).collect();
    let open = meeting.picture.alarms.newest_first(meeting.tenant);
    let open = open.filter(|alarm| alarm.is_open() && ids.contains(&alarm.device));
    let alarmed: BTreeSet<DeviceId> =
        open.map(|alarm| alarm.device).filter(|device| !silent.contains(device)).collect();
    let fix = |matter: Matter, count: usize, name: &str, says: String| {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let money = income * f64::from(count);
        let inputs = vec![
            Explain::leaf("devices", f64::from(count), "device", basis, "twins"),
            Explain::leaf("brings", income, "", Basis::Assumed, "case, all at the median"),
        ];
        let tree = Explain::computed(name, "devices x what one brings in a month", money, inputs);
        let explain = tree.in_unit(meeting.case.currency.as_str());
        Fix { matter, name: name.to_owned(), says, money, explain }
    };
    let (silents, alarms) = (silent.len(), alarmed.len());
    vec![
        fix(
            Matter::Silent,
            silents,
            "silent devices",
            format!("find out why {silents} are silent"),
        ),
        fix(Matter::Alarm, alarms, "open alarms", format!("{alarms} devices have an open alarm")),
    ]
}

/// The risk register as things to do, and its sum.
fn risks(case: &Case) -> Result<(Vec<Fix>, f64), Problem> {
    let register = case.risk_register();
    let line = |risk: &bizcase::case::RiskLine| venture::register::Risk {
        name: risk.name.clone(),
        owner: if risk.owner.is_empty() { "nobody".to_owned() } else { risk.owner.clone() },
        probability: risk.probability,
        money: risk.money,
    };
    let all: Vec<_> = register.iter().map(line).collect();
    let sum = venture::register::expected_loss(&all, case.currency.as_str())?;
    let fixes = sum.inputs.iter().zip(sorted(&all)).map(|(tree, risk)| Fix {
        matter: Matter::Risk,
        name: risk.name.clone(),
        says: format!("{} watches it: make it less likely, or insure it", risk.owner),
        money: tree.value.unwrap_or(0.0),
        explain: tree.clone(),
    });
    Ok((fixes.collect(), sum.value.unwrap_or(0.0)))
}

/// In the order of [`venture::register::expected_loss`].
fn sorted(risks: &[venture::register::Risk]) -> Vec<&venture::register::Risk> {
    let loss = |risk: &venture::register::Risk| risk.probability * risk.money;
    let mut all: Vec<_> = risks.iter().collect();
    all.sort_by(|a, b| loss(b).total_cmp(&loss(a)).then_with(|| a.name.cmp(&b.name)));
    all
}
