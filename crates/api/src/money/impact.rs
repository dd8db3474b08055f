//! The impact of a corrected reading, before anybody accepts it: lines, documents, gates, forecasts
//! and alarms that move.
//!
//! *Invariant:* nothing is written. What is shown is the difference of two ratings of the same
//! readings, one of them with the correction; it is what closing again would bill or give back.

mod around;

use axum::Json;
use axum::extract::State;
use billing::ledger::{Delta, InvoiceState};
use billing::zone::Period;
use identity::Action;
use jiff::civil::Date;
use model::{Name, Origin, TenantId, Timestamp, Value};
use registry::Kind;
use registry::content::ContractContent;
use serde::{Deserialize, Serialize};
use venture::gate::Gate;

use self::around::{Around, MovedAlarm, MovedForecast};
use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::devices;
use crate::extract::Body;
use crate::money::economics::{Asked, Months, newest_closed};
use crate::money::rating::{Corrected, Loaded, load, rate, rate_corrected};
use crate::money::shelf::{Kept, documents_of};
use crate::money::{KeptReading, Wanted, shelf};
use crate::problem::Problem;
use crate::ventures::in_force;

/// A reading as it shall be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Correction {
    /// Id or name.
    device: String,
    /// One of its readings.
    property: String,
    /// Event time.
    #[schema(value_type = String)]
    time: Timestamp,
    /// Number, boolean or text; null: it was none.
    #[schema(value_type = Object)]
    value: serde_json::Value,
}

/// One line that moves.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct MovedLine {
    charge: String,
    part: &'static str,
    /// Quantity after, minus quantity before.
    quantity: String,
    /// Amount before.
    before: String,
    /// What would be billed more, or given back.
    difference: String,
}

/// One period of a contract that moves.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct MovedPeriod {
    contract: String,
    #[schema(value_type = String)]
    from: Timestamp,
    #[schema(value_type = String)]
    to: Timestamp,
    currency: String,
    /// Net.
    difference: String,
    /// The newest document of the period, by number or id.
    document: Option<String>,
    /// What closing again would do.
    follows: String,
    lines: Vec<MovedLine>,
}

/// One criterion of a gate that moves.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct MovedCriterion {
    venture: String,
    stage: String,
    criterion: String,
    metric: String,
    before: Option<f64>,
    after: Option<f64>,
    /// Whether the target is met.
    meets_before: bool,
    meets_after: bool,
}

/// What a correction moves.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Impact {
    device: String,
    property: String,
    #[schema(value_type = String)]
    time: Timestamp,
    /// The value in force; null: there is none.
    #[schema(value_type = Object)]
    before: serde_json::Value,
    #[schema(value_type = Object)]
    after: serde_json::Value,
    periods: Vec<MovedPeriod>,
    gates: Vec<MovedCriterion>,
    /// Open forecasts of its month whose figure is made of this reading.
    forecasts: Vec<MovedForecast>,
    /// Alarms within two days of it that there would be, or would not.
    alarms: Vec<MovedAlarm>,
    /// In words, when no money moves.
    why_nothing: Option<String>,
}

fn read(value: &serde_json::Value) -> Result<Option<Value>, Problem> {
    match value {
        serde_json::Value::Null => Ok(None),
        serde_json::Value::Bool(truth) => Ok(Some(Value::Boolean(*truth))),
        serde_json::Value::Number(number) => {
            let wrong = || Problem::invalid("/value", "the number is too large");
            Ok(Some(Value::Number(number.as_f64().ok_or_else(wrong)?)))
        }
        serde_json::Value::String(text) => Ok(Some(Value::Text(text.as_str().into()))),
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
            Err(Problem::invalid("/value", "it is neither number, boolean, text nor null"))
        }
    }
}

fn shown(value: &Value) -> serde_json::Value {
    match value {
        Value::Number(number) => serde_json::json!(number),
        Value::Boolean(truth) => serde_json::json!(truth),
        Value::Text(text) => serde_json::json!(&**text),
        Value::Position { latitude, longitude } => serde_json::json!([latitude, longitude]),
    }
}

/// What a corrected reading would move. Nothing is written.
#[utoipa::path(post, path = "/billing/impact", tag = "money", request_body = Correction,
    responses((status = 200, body = Impact), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Body(asked): Body<Correction>,
) -> Result<Json<Impact>, Problem> {
    let tenant = caller.may(Action::ReadMoney)?;
    let twin = devices::find(&app.shard.picture(), tenant, &asked.device)?;
    let property: Name = asked
        .property
        .parse()
        .map_err(|error: model::NameError| Problem::invalid("/property", error.to_string()))?;
    let value = read(&asked.value)?;
    let corrected = Corrected { device: twin.id, property, time: asked.time, value };
    let wanted = Wanted {
        tenant,
        venture: twin.venture.clone(),
        kind: twin.kind.clone(),
        device: twin.id,
        property: Some(corrected.property.clone()),
        from: asked.time,
        to: Timestamp::from_millis(asked.time.as_millis() + 1),
    };
    let before = known(&app, wanted).await?;
    let mut impact = Impact {
        device: twin.name.clone(),
        property: asked.property,
        time: asked.time,
        before: before.as_ref().map_or(serde_json::Value::Null, |known| shown(&known.value)),
        after: asked.value,
        periods: Vec::new(),
        gates: Vec::new(),
        forecasts: Vec::new(),
        alarms: Vec::new(),
        why_nothing: None,
    };
    let around = Around { app: &app, tenant, twin: &twin, corrected: &corrected };
    impact.forecasts = around.forecasts().await?;
    impact.alarms = around.alarms().await?;
    let mut billed = 0;
    for row in shelf::all(&app, tenant, Kind::Contract).await? {
        let content: ContractContent = row.content()?;
        if content.devices.iter().all(|device| device.device != corrected.device) {
            continue;
        }
        billed += 1;
        let loaded = load(&app, tenant, &row).await?;
        let documents = documents_of(&app, tenant, &row.id).await?;
        let looking = Looking { app: &app, tenant, loaded: &loaded, documents: &documents };
        looking.contract(&corrected, &mut impact).await?;
    }
    if impact.periods.is_empty() {
        impact.why_nothing = Some(match (billed, before.map(|known| known.origin)) {
            (0, _) => "no contract bills this device".to_owned(),
            (_, Some(origin)) if origin != Origin::Real => {
                "the reading is not of a real device: it is no money".to_owned()
            }
            (_, _) => "no line counts this reading, or it counts the same".to_owned(),
        });
    }
    Ok(Json(impact))
}

async fn known(app: &App, wanted: Wanted) -> Result<Option<KeptReading>, Problem> {
    let readings = app.facts.readings.clone();
    let work = move || {
        let mut found = None;
        (readings.0)(&wanted, &mut |reading| found = Some(reading)).map(|()| found)
    };
    let done = tokio::task::spawn_blocking(work).await;
    let told = done.map_err(|error| Problem::from_kind(model::ErrorKind::Internal, &error))?;
    told.map_err(|why| Problem::new(code::UNAVAILABLE, format!("readings: {why}")))
}

/// A contract that is looked at.
struct Looking<'a> {
    app: &'a App,
    tenant: TenantId,
    loaded: &'a Loaded,
    documents: &'a [Kept],
}

impl Looking<'_> {
    /// The periods that the reading lies in or at whose edges it may stand.
    fn periods(&self, time: Timestamp) -> Result<Vec<Period>, Problem> {
        let files = self.loaded.files()?;
        let zone = files.zone(self.loaded.name())?;
        let month = zone.day(time)?.first_of_month();
        let before = month.yesterday().map_or(month, Date::first_of_month);
        let after = |day: Date| day.last_of_month().tomorrow().unwrap_or(day);
        let window =
            Period { from: zone.start_of(before)?, to: zone.start_of(after(after(month)))? };
        let mut periods = files.periods_ending(self.loaded.name(), window)?;
        let now = self.app.clock.now();
        periods.retain(|period| period.from <= now);
        Ok(periods)
    }

    async fn contract(&self, corrected: &Corrected, impact: &mut Impact) -> Result<(), Problem> {
        for period in self.periods(corrected.time)? {
            let of = (self.loaded, period);
            let now = rate(self.app, self.tenant, of).await?.bill;
            let then = rate_corrected(self.app, self.tenant, of, corrected.clone()).await?.bill;
            let (Some(now), Some(then)) = (now, then) else { continue };
            let delta = Delta::between(&now.rated, &then.rated)?;
            if delta.is_settled() {
                continue;
            }
            impact.periods.push(self.moved(period, &delta));
            self.gates((period, &delta), impact).await?;
        }
        impact.periods.sort_by(|a, b| (&a.contract, a.from).cmp(&(&b.contract, b.from)));
        Ok(())
    }

    fn moved(&self, period: Period, delta: &Delta) -> MovedPeriod {
        let of_period = |kept: &&Kept| {
            kept.invoice.state != InvoiceState::Discarded
                && kept.content.parts.iter().any(|part| part.from == period.from)
        };
        let numbered = self.documents.iter().filter(|kept| kept.invoice.number.is_some());
        let newest = numbered.rev().find(of_period);
        let draft = self.documents.iter().rfind(of_period);
        let more = if delta.total.minor < 0 { "a credit note" } else { "another document" };
        let (document, follows) = match (newest, draft) {
            (Some(kept), _) => {
                let number = kept.invoice.number.clone().unwrap_or_else(|| kept.id.clone());
                let follows = format!("{number} stays; {more} names it and bills the difference");
                (Some(number), follows)
            }
            (None, Some(kept)) => (Some(kept.id.clone()), "the draft is replaced".to_owned()),
            (None, None) => (None, "nothing is closed yet: it is billed so at once".to_owned()),
        };
        let line = |line: &billing::ledger::DeltaLine| MovedLine {
            charge: line.key.charge.to_string(),
            part: line.key.part.as_str(),
            quantity: line.quantity.normalize().to_string(),
            before: line.billed.amount().to_string(),
            difference: line.amount.amount().to_string(),
        };
        MovedPeriod {
            contract: self.loaded.name().to_owned(),
            from: period.from,
            to: period.to,
            currency: delta.total.currency.to_string(),
            difference: delta.total.amount().to_string(),
            document,
            follows,
            lines: delta.lines.iter().filter(|l| l.amount.minor != 0).map(line).collect(),
        }
    }

    /// Gates that judge the margin of the month that the period is in.
    async fn gates(
        &self,
        (period, delta): (Period, &Delta),
        impact: &mut Impact,
    ) -> Result<(), Problem> {
        let venture = self.loaded.content.venture.as_str();
        let found = in_force(&self.app.shard.picture(), self.tenant, venture)?;
        let named = |gate: &Gate| gate.criteria.iter().any(|c| c.metric.starts_with("economics."));
        let gates: Vec<Gate> = found.blueprint.gates.iter().map(|(s, g)| Gate::of(*s, g)).collect();
        if !gates.iter().any(named) {
            return Ok(());
        }
        let asked = Asked { tenant: self.tenant, found: &found, months: Months::Closed };
        let today = billing::zone::Zone::utc().day(self.app.clock.now())?;
        let Some(mut economics) = newest_closed(self.app, asked, today).await? else {
            return Ok(());
        };
        let own = self.loaded.name();
        if !economics.rows.iter().any(|row| row.contract == own && row.period == period) {
            return Ok(());
        }
        let value = |economics: &crate::money::economics::Economics, metric: &str| {
            economics.figure(metric.strip_prefix("economics.")?)?.aggregates.value()
        };
        let criteria: Vec<_> =
            gates.iter().flat_map(|g| g.criteria.iter().map(move |c| (g, c))).collect();
        let before: Vec<_> = criteria.iter().map(|(_, c)| value(&economics, &c.metric)).collect();
        // Sums are all that a gate looks at, so one row may take the whole difference.
        if let Some(row) = economics.rows.iter_mut().find(|row| row.contract == own) {
            let plus = |a: model::Money| a.plus(delta.total).map_err(billing::Error::from);
            row.money.revenue = plus(row.money.revenue)?;
            row.money.margin = plus(row.money.margin)?;
        }
        for ((gate, criterion), before) in criteria.into_iter().zip(before) {
            let after = value(&economics, &criterion.metric);
            if before == after {
                continue;
            }
            let meets = |value: Option<f64>| {
                value.is_some_and(|value| criterion.comparison.holds(value, criterion.target))
            };
            impact.gates.push(MovedCriterion {
                venture: venture.to_owned(),
                stage: gate.stage.clone(),
                criterion: criterion.name.clone(),
                metric: criterion.metric.clone(),
                before,
                after,
                meets_before: meets(before),
                meets_after: meets(after),
            });
        }
        Ok(())
    }
}
