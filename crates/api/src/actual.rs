//! The plan against what happened: each input of the case that names a figure of the fleet, the
//! devices in use month by month, and the case run again with what is known in place.
//!
//! *Invariant:* the plan is the case as it is believed without the fleet's word; where an actual
//! fell in it is a percentile of that plan. Months are those of UTC; month 1 is the first with a
//! device that counts.

mod explain;
mod paid;
mod units;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use bizcase::case::{Adoption, Binding};
use bizcase::{Basis, Case, Distribution, Run};
use identity::Action;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use model::{ErrorKind, TenantId, Timestamp};
use pipeline::{ByDay, InForce, Picture};
use serde::Serialize;
use venture::learn::{Learnt, Surprise, learn};
use venture::measure::{Measured, Window};

use crate::app::App;
use crate::caller::Caller;
use crate::case::{Trials, case};
use crate::evidence::pieces;
use crate::extract::Params;
use crate::fleet::{Fleet, Radio, needed};
use crate::problem::Problem;
use crate::read::{Read, read};
use crate::ventures::in_force;

use self::units::scaled;

pub(crate) use self::paid::{Paid, RECORDED, kind_of};

/// Trials when nothing is asked.
const TRIALS_DEFAULT: u32 = 4_000;
/// The most trials of one request.
const TRIALS_MAX: u32 = 20_000;
/// Months that are shown, the newest.
const MONTHS_MAX: usize = 24;

/// One calendar month and its number in the case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CaseMonth {
    pub(crate) first: Date,
    pub(crate) number: u32,
    pub(crate) window: Window,
    /// Whether it is over.
    pub(crate) whole: bool,
}

/// A case, its fleet and the months they have in common.
pub(crate) struct Meeting {
    pub(crate) case: Case,
    pub(crate) found: Arc<InForce>,
    pub(crate) tenant: TenantId,
    pub(crate) picture: Arc<Picture>,
    pub(crate) by_day: ByDay,
    pub(crate) read: Read,
    pub(crate) paid: Paid,
    pub(crate) now: Timestamp,
}

/// An input and what the fleet says of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct InputJson {
    pub(crate) input: String,
    /// The figure of the catalogue.
    pub(crate) metric: String,
    pub(crate) unit: String,
    /// As the plan has it.
    pub(crate) text: String,
    /// 10th percentile, median, 90th percentile of the plan.
    pub(crate) plan: [f64; 3],
    /// What the fleet says since it began; null when it cannot say.
    pub(crate) actual: Option<f64>,
    /// Its standard error.
    pub(crate) error: Option<f64>,
    pub(crate) devices: u64,
    /// Where it fell in the plan, 0 to 1.
    pub(crate) percentile: Option<f64>,
    /// It lay beyond all that the plan held possible, so the plan is no longer used.
    pub(crate) surprise: bool,
    /// The same three figures with plan and fleet together.
    pub(crate) learnt: Option<[f64; 3]>,
    /// `measured`, `simulated` or `missing`.
    pub(crate) basis: &'static str,
    pub(crate) months: Vec<InputMonth>,
    /// How the figure came to be: label, formula, value, inputs.
    #[schema(value_type = Object)]
    pub(crate) explain: serde_json::Value,
}

/// One month of an input.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct InputMonth {
    /// `2026-11`.
    month: String,
    /// Whether the month is over.
    whole: bool,
    actual: Option<f64>,
    percentile: Option<f64>,
}

/// Devices in use at the end of a month, or so far.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct InstalledMonth {
    month: String,
    /// Its number in the case.
    number: u32,
    whole: bool,
    /// 5th percentile, median, 95th percentile of the plan; null beyond the horizon.
    plan: Option<[f64; 3]>,
    actual: f64,
    percentile: Option<f64>,
}

/// What one thing that is known now does to the value of the case.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ChangeJson {
    pub(crate) input: String,
    /// Added to the mean net present value, on top of those before it.
    pub(crate) npv: f64,
}

/// Cash and devices of a month to come.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct AheadMonth {
    month: String,
    number: u32,
    /// 5th percentile, median, 95th percentile of the cash up to then.
    cumulative: [f64; 3],
    /// The same of devices in use.
    installed: [f64; 3],
}

/// The plan against what happened.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ActualJson {
    pub(crate) venture: String,
    pub(crate) revision: u64,
    pub(crate) offset: u64,
    pub(crate) trials: u32,
    pub(crate) seed: u64,
    pub(crate) currency: String,
    /// Calendar month of month 1 of the case; null before the first device.
    pub(crate) month_1: Option<String>,
    pub(crate) inputs: Vec<InputJson>,
    pub(crate) installed: Vec<InstalledMonth>,
    /// 10th percentile, median, 90th percentile of the net present value as it was planned.
    pub(crate) npv_plan: [f64; 3],
    /// The same with everything that is known in place.
    pub(crate) npv_now: [f64; 3],
    /// From the one to the other, in means.
    pub(crate) changes: Vec<ChangeJson>,
    /// The forecast from today on.
    pub(crate) ahead: Vec<AheadMonth>,
    pub(crate) notes: Vec<String>,
}

impl Meeting {
    pub(crate) async fn of(app: &App, tenant: TenantId, venture: &str) -> Result<Self, Problem> {
        let asked = in_force(&app.shard.picture(), tenant, venture)?;
        let bound = asked.blueprint.case.iter().flat_map(|case| case.actuals.values());
        let needed = needed(bound.map(String::as_str));
        let (picture, by_day) = app.shard.moment(tenant, needed).await?;
        let found = in_force(&picture, tenant, venture)?;
        if found.blueprint.case.is_none() {
            return Err(Problem::not_found("case of venture", venture).fix("add [case] to it"));
        }
        let now = app.clock.now();
        let known = pieces(&picture, tenant, &found.blueprint.venture);
        let case = case(&found, &known, now)?;
        let devices = Fleet::of(&picture, (tenant, &found), &by_day).devices().0;
        let metrics = || case.bindings.iter().map(|binding| binding.metric.as_str());
        let asked = (&found.blueprint.kinds, metrics());
        let read = read(app, (tenant, &devices), asked, now).await?;
        let paid = Paid::of(app, (tenant, &found), metrics()).await?;
        Ok(Self { case, found, tenant, picture, by_day, read, paid, now })
    }

    pub(crate) fn fleet(&self) -> Fleet<'_> {
        Fleet::of(&self.picture, (self.tenant, &self.found), &self.by_day).with(&self.read)
    }

    fn launch(&self) -> u32 {
        match self.case.adoption {
            Adoption::Bass { launch, .. } | Adoption::Steady { launch, .. } => launch.max(1),
        }
    }

    /// Calendar months from the first device on, the current one last.
    pub(crate) fn months(&self) -> Vec<CaseMonth> {
        let Some(began) = self.fleet().began() else { return Vec::new() };
        let (Some(start), Some(last)) = (month_of(began), month_of(self.now)) else {
            return Vec::new();
        };
        let launch = self.launch();
        let firsts = start.series(1.month()).take_while(|first| *first <= last);
        let numbered = firsts.zip(launch..).filter_map(|(first, number)| {
            let window = window_of(first)?;
            Some(CaseMonth { first, number, window, whole: window.is_over(self.now) })
        });
        numbered.collect()
    }

    /// What the fleet says of an input since it began.
    pub(crate) fn so_far(&self, input: &str, metric: &str) -> Option<Measured> {
        let from = self.fleet().began()?;
        self.said((input, metric), Window { from, to: self.now })
    }

    /// What the fleet says of an input in a window, in the unit of the case. The data of a radio is
    /// counted as its tariff bills it, or the plan would be compared with something else.
    pub(crate) fn said(&self, (input, metric): (&str, &str), window: Window) -> Option<Measured> {
        let fleet = self.fleet();
        let found = if metric.starts_with(RECORDED) {
            self.paid.measured(metric, &fleet.devices().0, window)
        } else if let Some(radio) = self.radio(input, metric) {
            let parts = radio.megabytes(&fleet.carried(&radio, window));
            fleet.together(&parts, window)
        } else {
            fleet.measured(metric, window)
        };
        let factor = self.factor(input, metric);
        found.map(|found| scaled(found, factor))
    }

    fn radio(&self, input: &str, metric: &str) -> Option<Radio> {
        let of = || Radio::of_input(&self.found.blueprint, input);
        (metric == "fleet.data").then(of).flatten()
    }
}

/// The first day of the month of an instant.
pub(crate) fn month_of(at: Timestamp) -> Option<Date> {
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?;
    Some(TimeZone::UTC.to_datetime(at).date().first_of_month())
}

/// The whole of a month.
pub(crate) fn window_of(first: Date) -> Option<Window> {
    let start = |date: Date| {
        let at = date.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp().as_millisecond();
        Some(Timestamp::from_millis(at))
    };
    Some(Window { from: start(first)?, to: start(first.checked_add(1.month()).ok()?)? })
}

/// `2026-11`.
pub(crate) fn month_text(first: Date) -> String {
    first.strftime("%Y-%m").to_string()
}

fn three(d: &Distribution) -> [f64; 3] {
    [0.1, 0.5, 0.9].map(|p| d.quantile(p))
}

/// Where a value falls among trials: those below, and half of those equal to it.
pub(crate) fn percentile_among(trials: &[f64], value: f64) -> Option<f64> {
    if trials.is_empty() {
        return None;
    }
    let below = trials.iter().filter(|one| **one < value).count();
    let equal = trials.iter().filter(|one| **one == value).count();
    #[expect(clippy::cast_precision_loss, reason = "trials are far below 2^53")]
    let share = (below as f64 + 0.5 * equal as f64) / trials.len() as f64;
    Some(share)
}

fn sorted_at(trials: &mut [f64], p: f64) -> Option<f64> {
    trials.sort_unstable_by(f64::total_cmp);
    Distribution::empirical(trials).ok().map(|d| d.quantile(p))
}

/// One input, and what is learnt of it.
fn input(
    meeting: &Meeting,
    binding: &Binding,
    months: &[CaseMonth],
) -> Option<(InputJson, Option<Learnt>)> {
    let variable = meeting.case.variables.get(binding.slot)?;
    let plan = meeting.case.forecast(binding.slot)?;
    let measured = meeting.so_far(&variable.name, &binding.metric);
    let learnt = measured.as_ref().and_then(|m| learn(&plan, m.outcome).ok());
    let (_, basis) = meeting.fleet().devices();
    let basis = if measured.is_some() { basis } else { Basis::Missing };
    let monthly = months.iter().rev().take(MONTHS_MAX).rev().map(|month| {
        // What is still to come of a month is no time without events.
        let to = month.window.to.min(meeting.now);
        let window = Window { from: month.window.from, to };
        let actual = meeting.said((&variable.name, &binding.metric), window).map(|m| m.value);
        InputMonth {
            month: month_text(month.first),
            whole: month.whole,
            actual,
            percentile: actual.filter(|_| !plan.is_constant()).map(|at| plan.cdf(at)),
        }
    });
    let unit = variable.unit.to_string();
    let explain = explain::explain(meeting, (variable, binding), (measured.as_ref(), basis));
    let json = InputJson {
        input: variable.name.clone(),
        metric: binding.metric.clone(),
        unit,
        text: variable.text.clone(),
        plan: three(&plan),
        actual: measured.as_ref().map(|m| m.value),
        error: measured.as_ref().map(|m| m.error),
        devices: measured.as_ref().map_or(0, |m| m.devices),
        percentile: measured.filter(|_| !plan.is_constant()).map(|m| plan.cdf(m.value)),
        surprise: learnt.as_ref().is_some_and(|l| l.surprise == Surprise::Yes),
        learnt: learnt.as_ref().map(|l| three(&l.value)),
        basis: basis.as_str(),
        months: monthly.collect(),
        explain: explain.json(),
    };
    Some((json, learnt))
}

/// Everything that takes long: trials.
struct Runs {
    installed: Vec<Vec<f64>>,
    npv_plan: [f64; 3],
    npv_now: [f64; 3],
    changes: Vec<ChangeJson>,
    ahead: Vec<bizcase::case::Month>,
}

fn runs(
    case: &Case,
    run: Run,
    (numbers, learnt, came): (&[u32], &[(usize, Distribution)], Vec<f64>),
) -> Result<Runs, bizcase::Error> {
    let spread = |results: &bizcase::Results| [results.npv.p10, results.npv.p50, results.npv.p90];
    let before = case.run(run)?;
    let (mut now, mut last, mut changes) = (case.clone(), before.npv.mean, Vec::new());
    let mut results = None;
    for (slot, value) in learnt {
        now.learn(*slot, value.clone());
        let step = now.run(run)?;
        changes.push(ChangeJson {
            input: case.variables[*slot].name.clone(),
            npv: step.npv.mean - last,
        });
        last = step.npv.mean;
        results = Some(step);
    }
    if !came.is_empty() {
        now.observed = came;
        let step = now.run(run)?;
        let input = "devices that came".to_owned();
        changes.push(ChangeJson { input, npv: step.npv.mean - last });
        results = Some(step);
    }
    let after = results.unwrap_or_else(|| before.clone());
    Ok(Runs {
        installed: case.installed(run, numbers)?,
        npv_plan: spread(&before),
        npv_now: spread(&after),
        changes,
        ahead: after.months,
    })
}

/// The plan against what happened, and the forecast with what is known in place.
#[utoipa::path(get, path = "/ventures/{venture}/case/actual", tag = "ventures",
    params(("venture" = String, Path, description = "name"), Trials),
    responses((status = 200, body = ActualJson), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
    Params(asked): Params<Trials>,
) -> Result<Json<ActualJson>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let run = asked.run((TRIALS_DEFAULT, TRIALS_MAX))?;
    let meeting = Meeting::of(&app, tenant, &venture).await?;
    let mut found = against(Arc::new(meeting), run).await?;
    if caller.may(Action::ReadMoney).is_err() {
        // Who may not see money sees the figure, and not what it is made of.
        for input in found.inputs.iter_mut().filter(|input| input.metric.starts_with(RECORDED)) {
            input.explain["inputs"] = serde_json::Value::Array(Vec::new());
        }
    }
    Ok(Json(found))
}

/// The plan against what happened.
pub(crate) async fn against(meeting: Arc<Meeting>, run: Run) -> Result<ActualJson, Problem> {
    let months = meeting.months();
    let (mut inputs, mut learnt) = (Vec::new(), Vec::new());
    for binding in &meeting.case.bindings {
        let Some((json, found)) = input(&meeting, binding, &months) else { continue };
        inputs.push(json);
        learnt.extend(found.map(|learnt| (binding.slot, learnt.value)));
    }
    let fleet = meeting.fleet();
    let whole: Vec<Window> =
        months.iter().filter(|month| month.whole).map(|month| month.window).collect();
    let mut came = vec![0.0; usize::try_from(meeting.launch() - 1).unwrap_or(0)];
    came.extend(fleet.came(&whole));
    let came = if whole.is_empty() { Vec::new() } else { came };
    let shown: Vec<CaseMonth> = months.iter().rev().take(MONTHS_MAX).rev().copied().collect();
    let numbers: Vec<u32> = shown.iter().map(|month| month.number).collect();
    let of = Arc::clone(&meeting);
    let made =
        tokio::task::spawn_blocking(move || runs(&of.case, run, (&numbers, &learnt, came))).await;
    let made = made.map_err(|error| Problem::from_kind(ErrorKind::Internal, &error))?;
    let made = made.map_err(|error| Problem::from_kind(error.kind(), &error))?;
    let installed = shown.iter().zip(made.installed).map(|(month, mut trials)| {
        let actual = fleet.in_use(month.window.to.min(meeting.now));
        InstalledMonth {
            month: month_text(month.first),
            number: month.number,
            whole: month.whole,
            actual,
            percentile: percentile_among(&trials, actual),
            plan: sorted_at(&mut trials, 0.05).map(|p5| {
                [Some(p5), sorted_at(&mut trials, 0.5), sorted_at(&mut trials, 0.95)]
                    .map(Option::unwrap_or_default)
            }),
        }
    });
    Ok(ActualJson {
        venture: meeting.found.blueprint.venture.to_string(),
        revision: meeting.found.revision,
        offset: meeting.picture.offset.0,
        trials: run.trials,
        seed: run.seed,
        currency: meeting.case.currency.to_string(),
        month_1: months.first().map(|month| month_text(month.first)),
        inputs,
        installed: installed.collect(),
        npv_plan: made.npv_plan,
        npv_now: made.npv_now,
        changes: made.changes,
        ahead: ahead(&months, &made.ahead),
        notes: notes(&meeting, &months),
    })
}

/// Months from the current one on, with their calendar months.
fn ahead(months: &[CaseMonth], fan: &[bizcase::case::Month]) -> Vec<AheadMonth> {
    let Some(current) = months.last() else { return Vec::new() };
    let later = fan.iter().filter(|month| month.month >= current.number);
    let calendar = current.first.series(1.month());
    let month = |(month, first): (&bizcase::case::Month, Date)| AheadMonth {
        month: month_text(first),
        number: month.month,
        cumulative: [month.cumulative.p5, month.cumulative.p50, month.cumulative.p95],
        installed: [month.base.p5, month.base.p50, month.base.p95],
    };
    later.zip(calendar).map(month).collect()
}

fn notes(meeting: &Meeting, months: &[CaseMonth]) -> Vec<String> {
    let mut notes = Vec::new();
    if months.is_empty() {
        notes.push("no device that counts has come yet: there is nothing to compare".to_owned());
    }
    if meeting.case.bindings.is_empty() {
        notes.push(
            "no input names its figure: churn = { value = \"1.2 to 2.5 %/month\", actual = \
             \"fleet.churn\" }"
                .to_owned(),
        );
    }
    notes.extend(meeting.paid.waiting(meeting.now));
    notes.extend(meeting.paid.left_out.iter().cloned());
    if meeting.fleet().devices().1 == Basis::Simulated {
        notes.push("simulated: virtual devices count in this tenant".to_owned());
    }
    notes
}
