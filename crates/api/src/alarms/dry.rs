//! A dry run over what was recorded: how often rules would have fired.
//!
//! *Invariant:* it goes through the fold that judges live readings and changes nothing. It is
//! bounded in rows and time; an answer that stopped early says where and by which limit.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use blueprint::Blueprint;
use identity::Action;
use model::{Clock, DeviceId, Name, TenantId, Timestamp, Value};
use pipeline::Picture;
use rules::{Happened, Row};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::extract::Body;
use crate::kept::{History, Unkept};
use crate::problem::Problem;
use crate::ventures::checked;

/// What is looked at when nothing is asked.
const SPAN_DEFAULT: Duration = Duration::from_secs(30 * 86_400);
/// What is looked at, at most.
const SPAN_MAX: Duration = Duration::from_secs(366 * 86_400);
/// Rows of one dry run.
const DRY_ROWS_MAX: usize = 5_000_000;
/// How long one may take.
const DRY_TIME_MAX: Duration = Duration::from_secs(30);
/// Devices and examples that are named of one rule.
const SHOWN_MAX: usize = 20;
/// Dry runs at once: one keeps a core busy.
static RUNNING: Semaphore = Semaphore::const_new(1);

/// What was recorded of a venture.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Isolation boundary.
    pub tenant: TenantId,
    /// Which product line.
    pub venture: Name,
    /// Kinds of devices.
    pub kinds: Vec<Name>,
    /// First instant.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
}

/// What one message said.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// Event time.
    pub time: Timestamp,
    /// Who.
    pub device: DeviceId,
    /// What.
    pub values: Vec<(Name, Value)>,
}

/// Takes the rows of a day, in order of time; tells whether it wants more.
pub type Take<'t> = dyn FnMut(Vec<Said>) -> ControlFlow<()> + 't;

/// Rules to try, and on what.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NewDryRun {
    /// A blueprint; the one in force when left out.
    text: Option<String>,
    /// One rule of it; all when left out.
    rule: Option<String>,
    /// RFC 3339; default: 30 days before `to`.
    #[schema(value_type = Option<String>)]
    from: Option<Timestamp>,
    /// RFC 3339; default: now.
    #[schema(value_type = Option<String>)]
    to: Option<Timestamp>,
}

/// How often a rule would have fired on one device.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct FiredOn {
    device: String,
    count: usize,
}

/// One time that a rule would have fired.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Example {
    #[schema(value_type = String)]
    time: Timestamp,
    device: String,
    why: String,
}

/// What a rule would have done.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct RuleFired {
    rule: String,
    /// How often it would have been raised.
    fired: usize,
    /// The devices on which it would have fired, most often first; at most 20.
    devices: Vec<FiredOn>,
    /// The first times; at most 20.
    examples: Vec<Example>,
    /// In words.
    summary: String,
}

/// What rules would have done.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct DryRunJson {
    #[schema(value_type = String)]
    from: Timestamp,
    /// Up to where it looked.
    #[schema(value_type = String)]
    to: Timestamp,
    /// Why it stopped before the end; null when it did not.
    limit: Option<String>,
    /// Messages looked at.
    rows: usize,
    rules: Vec<RuleFired>,
}

/// Tries rules on what was recorded, and changes nothing.
#[utoipa::path(post, path = "/ventures/{venture}/rules/dry-run", tag = "alarms",
    params(("venture" = String, Path, description = "name")), request_body = NewDryRun,
    responses((status = 200, body = DryRunJson), (status = "default", body = Problem)))]
pub(crate) async fn dry_run(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
    Body(asked): Body<NewDryRun>,
) -> Result<Json<DryRunJson>, Problem> {
    let tenant = caller.may(Action::Operate)?;
    let missing = || Problem::not_found("venture", &venture);
    let name: Name = venture.parse().map_err(|_no_name| missing())?;
    let picture = app.shard.picture();
    let found = picture.catalog.newest(tenant, &name).ok_or_else(missing)?;
    let text = asked.text.as_deref().unwrap_or(&found.text);
    let (blueprint, _warnings) = checked(text)?;
    if let Some(rule) = asked.rule.as_deref()
        && !blueprint.alarms.contains_key(rule)
    {
        let known: Vec<_> = blueprint.alarms.keys().map(Name::as_str).collect();
        let why = format!("there is no alarm {rule:?}; there is {}", known.join(", "));
        return Err(Problem::invalid("/rule", why));
    }
    let (from, to) = span(&asked, app.clock.now())?;
    let kinds = blueprint.kinds.keys().cloned().collect();
    let recording = Recording { tenant, venture: name, kinds, from, to };
    let Ok(place) = RUNNING.try_acquire() else {
        let why = "another dry run is under way: wait for it to end";
        return Err(Problem::new(code::UNAVAILABLE, why));
    };
    let run = Run::new(blueprint, (picture, tenant), Arc::clone(&app.clock));
    let history = Arc::clone(&app.facts.history);
    let ran = tokio::task::spawn_blocking(move || {
        let _place = place;
        run.over(&recording, &*history)
    });
    let (run, limit) = ran
        .await
        .map_err(|error| Problem::from_kind(model::ErrorKind::Internal, &error))?
        .map_err(|why| Problem::new(code::UNAVAILABLE, why))?;
    Ok(Json(run.told((from, to), limit, asked.rule.as_deref())))
}

fn span(asked: &NewDryRun, now: Timestamp) -> Result<(Timestamp, Timestamp), Problem> {
    let to = asked.to.unwrap_or(now);
    let from = asked.from.unwrap_or(to - SPAN_DEFAULT);
    if from >= to {
        return Err(Problem::invalid("/from", format!("{from} is not before {to}")));
    }
    if to.since(from) > SPAN_MAX {
        let days = SPAN_MAX.as_secs() / 86_400;
        return Err(Problem::invalid("/from", format!("more than {days} days before {to}")));
    }
    Ok((from, to))
}

/// One alarm that rows raise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raised {
    pub(crate) rule: Name,
    pub(crate) device: String,
    pub(crate) time: Timestamp,
    pub(crate) why: String,
}

/// All alarms that rows raise, in order of time, up to an instant.
pub(crate) fn raised_by(
    (blueprint, picture, tenant): (Blueprint, Arc<Picture>, TenantId),
    rows: Vec<Said>,
    (until, clock): (Timestamp, &Arc<dyn Clock>),
) -> Result<Vec<Raised>, String> {
    let mut run = Run::new(blueprint, (picture, tenant), Arc::clone(clock));
    let mut raised = Vec::new();
    let mut take = |happened: Vec<Happened>| {
        for step in happened.into_iter().filter(|step| step.notice.transition == "raised") {
            let Happened { time, device, notice, .. } = step;
            raised.push(Raised { rule: notice.rule, device, time, why: notice.text });
        }
    };
    for said in rows {
        take(run.judged(said)?);
    }
    take(run.dry.until(until));
    Ok(raised)
}

/// A dry run under way.
struct Run {
    dry: rules::DryRun,
    rules: Vec<Name>,
    picture: Arc<Picture>,
    tenant: TenantId,
    clock: Arc<dyn Clock>,
    rows: usize,
    /// The time of the newest row.
    now: Option<Timestamp>,
    fired: BTreeMap<Name, Fired>,
}

#[derive(Default)]
struct Fired {
    devices: BTreeMap<String, usize>,
    examples: Vec<Example>,
}

impl Run {
    fn new(
        blueprint: Blueprint,
        (picture, tenant): (Arc<Picture>, TenantId),
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            dry: rules::DryRun::new(&blueprint),
            rules: blueprint.alarms.into_keys().collect(),
            picture,
            tenant,
            clock,
            rows: 0,
            now: None,
            fired: BTreeMap::new(),
        }
    }

    /// Goes through all that was recorded; gives why it stopped before the end.
    fn over(
        mut self,
        what: &Recording,
        history: &dyn History,
    ) -> Result<(Self, Option<String>), String> {
        let began = self.clock.monotonic();
        let mut limit = None;
        let mut day = |rows: Vec<Said>| {
            for said in rows {
                limit = self.row(said).err();
                let spent = self.clock.monotonic().saturating_sub(began);
                if self.rows >= DRY_ROWS_MAX {
                    limit = Some(format!("dry_rows_max = {DRY_ROWS_MAX}"));
                } else if self.rows.is_multiple_of(1024) && spent > DRY_TIME_MAX {
                    limit = Some(format!("dry_time_max = {} s", DRY_TIME_MAX.as_secs()));
                }
                if limit.is_some() {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        };
        match history.replay(what, &mut day) {
            Ok(()) | Err(Unkept::Nothing) => {}
            Err(Unkept::Invalid(why) | Unkept::Failed(why)) => return Err(why),
        }
        if limit.is_none() {
            let happened = self.dry.until(what.to);
            self.count(happened);
        }
        Ok((self, limit))
    }

    /// Takes in one message; devices that are gone are left out.
    fn row(&mut self, said: Said) -> Result<(), String> {
        self.rows += 1;
        let happened = self.judged(said)?;
        self.count(happened);
        Ok(())
    }

    fn judged(&mut self, said: Said) -> Result<Vec<Happened>, String> {
        let Some(twin) = self.picture.twins.get(self.tenant, said.device) else {
            return Ok(Vec::new());
        };
        let link = |(link, target): (&Name, &DeviceId)| {
            let name = self.picture.twins.get(self.tenant, *target)?.name.clone();
            Some((link.clone(), name))
        };
        let row = Row {
            time: said.time,
            device: twin.name.clone(),
            kind: twin.kind.clone(),
            links: twin.links.iter().filter_map(link).collect(),
            values: said.values,
        };
        self.now = Some(row.time);
        self.dry.row(&row).map_err(|error| error.to_string())
    }

    fn count(&mut self, happened: Vec<Happened>) {
        for step in happened.into_iter().filter(|step| step.notice.transition == "raised") {
            let fired = self.fired.entry(step.notice.rule.clone()).or_default();
            *fired.devices.entry(step.device.clone()).or_default() += 1;
            if fired.examples.len() < SHOWN_MAX {
                let (time, device, why) = (step.time, step.device, step.notice.text);
                fired.examples.push(Example { time, device, why });
            }
        }
    }

    fn told(
        mut self,
        (from, to): (Timestamp, Timestamp),
        limit: Option<String>,
        only: Option<&str>,
    ) -> DryRunJson {
        let chosen = std::mem::take(&mut self.rules).into_iter();
        let chosen = chosen.filter(|rule| only.is_none_or(|only| rule.as_str() == only));
        let rules = chosen.map(|rule| {
            let fired = self.fired.remove(&rule).unwrap_or_default();
            told(&rule, fired)
        });
        let rules = rules.collect();
        let to = if limit.is_some() { self.now.unwrap_or(from) } else { to };
        DryRunJson { from, to, limit, rows: self.rows, rules }
    }
}

fn told(rule: &Name, fired: Fired) -> RuleFired {
    let total = fired.devices.values().sum();
    let devices = fired.devices.into_iter().map(|(device, count)| FiredOn { device, count });
    let mut devices: Vec<_> = devices.collect();
    devices.sort_by_key(|one| std::cmp::Reverse(one.count));
    devices.truncate(SHOWN_MAX);
    let times = |count: usize| if count == 1 { "once".into() } else { format!("{count} times") };
    let on = match devices.first() {
        Some(most) if most.count < total => format!(", {} on {}", times(most.count), most.device),
        Some(most) => format!(", on {}", most.device),
        None => String::new(),
    };
    let summary = match total {
        0 => format!("{rule} would not have fired"),
        total => format!("{rule} would have fired {}{on}", times(total)),
    };
    RuleFired { rule: rule.to_string(), fired: total, devices, examples: fired.examples, summary }
}
