//! `GET /ventures/{venture}/economics`: the economics of a month, page by page, worst margin first.
//!
//! *Invariant:* every amount has its currency and says where it comes from: formula, what it was
//! made of, and the revision that defines it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use identity::Action;
use jiff::civil::Date;
use model::{Money, Timestamp};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Asked, Basis, Economics, Months, Recurring, Row, Sum, of_month};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::Params;
use crate::page::{cursor, limit, parse_cursor};
use crate::place::Place;
use crate::problem::Problem;
use crate::ventures::in_force;

/// Digits of device-months.
const MONTHS_DIGITS: u32 = 6;

/// By what a page is listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum By {
    /// Each device of each contract.
    #[default]
    Device,
    /// All devices of a customer.
    Customer,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct EconomicsQuery {
    /// `2026-10`; this month, so far, if left out.
    month: Option<String>,
    /// `device` (default) or `customer`.
    #[param(inline)]
    by: Option<By>,
    /// Items of a page; 50 if left out, at most 1,000.
    limit: Option<usize>,
    /// Where the page begins, as the page before said.
    cursor: Option<String>,
}

/// An amount and where it comes from.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct AmountJson {
    /// Major units, exact.
    amount: String,
    currency: String,
    /// `measured`, `simulated`, `defined`, `assumed` or `recorded`.
    basis: &'static str,
    formula: String,
}

/// One cost, with this device's or customer's part of it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct CostJson {
    name: String,
    /// Whether it comes again; what comes once is not in the margin.
    recurring: bool,
    /// As the blueprint says it.
    as_written: String,
    /// Who says so.
    said_by: Option<String>,
    /// The lines of the blueprint that say how much it is.
    places: Vec<Place>,
    #[serde(flatten)]
    amount: AmountJson,
}

/// What the lines of a document or of a rating say.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct SourceJson {
    contract: String,
    /// The document; its lines open down to readings. None: the month is not closed.
    document: Option<String>,
    number: Option<String>,
    state: String,
    plan: String,
    /// Revision of the blueprint that has the plan.
    revision: u64,
}

/// Sums of a month, a customer or a device.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct SumJson {
    /// What comes again.
    revenue: AmountJson,
    /// What comes again.
    cost: AmountJson,
    /// Revenue minus cost, both recurring.
    margin: AmountJson,
    /// For a device and month.
    margin_per_device_month: Option<String>,
    once_revenue: AmountJson,
    once_cost: AmountJson,
    /// Given back for broken promises; it is taken off revenue already.
    credited: String,
    /// Months that devices were in a contract; a whole calendar month is one.
    device_months: String,
}

/// One device or customer.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct EconomicsItem {
    /// Id of the device.
    device: Option<String>,
    /// Name of the device or customer.
    name: String,
    customer: String,
    /// Its contracts.
    contracts: Vec<String>,
    devices: usize,
    #[serde(flatten)]
    sum: SumJson,
    costs: Vec<CostJson>,
    sources: Vec<SourceJson>,
}

/// A month of a venture.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct EconomicsJson {
    venture: String,
    /// `2026-10`.
    month: String,
    currency: String,
    /// Revision of the blueprint whose case says the costs.
    revision: u64,
    /// Up to which frame of the log.
    offset: u64,
    simulated: bool,
    /// Whether all of it is closed.
    closed: bool,
    /// The end of the last period in it.
    #[schema(value_type = Option<String>)]
    until: Option<Timestamp>,
    #[serde(flatten)]
    total: SumJson,
    /// Over all devices.
    costs: Vec<CostJson>,
    /// What is not in it, in words.
    left_out: Vec<String>,
    items: Vec<EconomicsItem>,
    next_cursor: Option<String>,
    total_matching: usize,
}

/// Revenue, cost and margin of a month by device or customer, worst margin first.
#[utoipa::path(get, path = "/ventures/{venture}/economics", tag = "money",
    params(("venture" = String, Path, description = "name"), EconomicsQuery),
    responses((status = 200, body = EconomicsJson), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
    Params(query): Params<EconomicsQuery>,
) -> Result<Json<EconomicsJson>, Problem> {
    let tenant = caller.may(Action::ReadMoney)?;
    let found = in_force(&app.shard.picture(), tenant, &venture)?;
    let today = billing::zone::Zone::utc().day(app.clock.now())?;
    let month = match &query.month {
        Some(text) => format!("{text}-01").parse::<Date>().map_err(|_| {
            Problem::invalid("month", format!("{text:?} is no month")).fix("write 2026-10")
        })?,
        None => today.first_of_month(),
    };
    let asked = Asked { tenant, found: &found, months: Months::SoFar };
    let economics = of_month(&app, asked, month).await?;
    Ok(Json(json(&economics, &query)?))
}

fn json(economics: &Economics, query: &EconomicsQuery) -> Result<EconomicsJson, Problem> {
    let currency = economics.currency;
    let mut items = economics.items(query.by.unwrap_or_default())?;
    items.sort_by(|(a, left), (b, right)| {
        (a.margin.minor, &left.name).cmp(&(b.margin.minor, &right.name))
    });
    let total_matching = items.len();
    let limit = limit(query.limit)?;
    let after = parse_cursor(query.cursor.as_deref())?;
    let after: usize = match after {
        None => 0,
        Some(text) => {
            text.parse().map_err(|_| Problem::invalid("cursor", "not a cursor of this list"))?
        }
    };
    let next = after.saturating_add(limit);
    let next_cursor = (next < total_matching).then(|| cursor(&next.to_string()));
    let total = Sum::of(economics.rows.iter(), currency)?;
    Ok(EconomicsJson {
        venture: economics.venture.to_string(),
        month: economics.month.strftime("%Y-%m").to_string(),
        currency: currency.to_string(),
        revision: economics.revision,
        offset: economics.offset,
        simulated: economics.revenue_basis == Basis::Simulated,
        closed: !economics.sources.is_empty()
            && economics.sources.iter().all(|source| source.document.is_some()),
        until: economics.until,
        total: economics.sum(&total, &format!("{} devices", economics.rows.len())),
        costs: economics
            .costs
            .iter()
            .enumerate()
            .map(|(at, cost)| economics.cost(at, cost.amount, cost.formula.clone()))
            .collect(),
        left_out: economics.left_out.clone(),
        items: items.into_iter().skip(after).take(limit).map(|(_, item)| item).collect(),
        next_cursor,
        total_matching,
    })
}

impl Economics {
    fn items(&self, by: By) -> Result<Vec<(Sum, EconomicsItem)>, Problem> {
        let mut groups: BTreeMap<(String, usize), Vec<&Row>> = BTreeMap::new();
        for (at, row) in self.rows.iter().enumerate() {
            let key = match by {
                By::Device => (row.name.clone(), at),
                By::Customer => (row.customer.clone(), 0),
            };
            groups.entry(key).or_default().push(row);
        }
        groups.into_iter().map(|((name, _), rows)| self.item(name, &rows, by)).collect()
    }

    fn item(&self, name: String, rows: &[&Row], by: By) -> Result<(Sum, EconomicsItem), Problem> {
        let sum = Sum::of(rows.iter().copied(), self.currency)?;
        let mut costs: BTreeMap<usize, (Money, Vec<&str>)> = BTreeMap::new();
        for part in rows.iter().flat_map(|row| &row.costs) {
            let zero = (Money::zero(self.currency), Vec::new());
            let (amount, formulas) = costs.entry(part.cost).or_insert(zero);
            *amount = amount.plus(part.amount).map_err(billing::Error::from)?;
            formulas.push(&part.formula);
        }
        let costs = costs.into_iter().map(|(at, (amount, formulas))| {
            let formula = match formulas.as_slice() {
                [one] => (*one).to_owned(),
                many => format!("sum over {} devices", many.len()),
            };
            self.cost(at, amount, formula)
        });
        let mut contracts: Vec<_> = rows.iter().map(|row| row.contract.clone()).collect();
        contracts.sort();
        contracts.dedup();
        let mut sources: Vec<_> = rows.iter().map(|row| (row.source, &row.contract)).collect();
        sources.sort();
        sources.dedup();
        let sources = sources.into_iter().filter_map(|(at, contract)| {
            let source = self.sources.get(at)?;
            Some(SourceJson {
                contract: contract.clone(),
                document: source.document.clone(),
                number: source.number.clone(),
                state: source.state.clone(),
                plan: source.plan.clone(),
                revision: source.revision,
            })
        });
        let first = rows.first();
        let item = EconomicsItem {
            device: first
                .filter(|_| by == By::Device)
                .and_then(|row| row.device)
                .map(|d| d.to_string()),
            name,
            customer: first.map(|row| row.customer.clone()).unwrap_or_default(),
            contracts,
            devices: rows.iter().filter(|row| row.device.is_some()).count(),
            sum: self.sum(&sum, &format!("{} devices", rows.len())),
            costs: costs.collect(),
            sources: sources.collect(),
        };
        Ok((sum, item))
    }

    fn cost(&self, at: usize, amount: Money, formula: String) -> CostJson {
        let cost = self.costs.get(at);
        let basis = cost.map_or(Basis::Assumed, |cost| cost.basis);
        CostJson {
            name: cost.map(|cost| cost.name.to_string()).unwrap_or_default(),
            recurring: cost.is_some_and(|cost| cost.recurring == Recurring::Yes),
            as_written: cost.map(|cost| cost.text.clone()).unwrap_or_default(),
            said_by: cost.and_then(|cost| cost.said_by.clone()),
            places: cost.map(|cost| cost.places.clone()).unwrap_or_default(),
            amount: amount_json(amount, basis, formula),
        }
    }

    /// What is recurring is measured only as far as its costs are.
    fn sum(&self, sum: &Sum, over: &str) -> SumJson {
        let of = |recurring| {
            let own = self.costs.iter().filter(move |cost| cost.recurring == recurring);
            let assumed = own.clone().any(|cost| cost.basis == Basis::Assumed);
            let names: Vec<_> = own.map(|cost| cost.name.to_string()).collect();
            (if assumed { Basis::Assumed } else { self.revenue_basis }, names.join(" + "))
        };
        let (cost_basis, costs) = of(Recurring::Yes);
        let (once_basis, once) = of(Recurring::Once);
        let named = |names: String| if names.is_empty() { "nothing".to_owned() } else { names };
        let from = self.revenue_basis;
        let recurring = format!("recurring lines of {over}");
        SumJson {
            revenue: amount_json(sum.revenue, from, recurring),
            cost: amount_json(sum.cost, cost_basis, named(costs)),
            margin: amount_json(
                sum.margin,
                cost_basis,
                format!("{} - {}", sum.revenue.amount(), sum.cost.amount()),
            ),
            margin_per_device_month: per_month(sum.margin, sum.months),
            once_revenue: amount_json(
                sum.once_revenue,
                from,
                format!("lines of {over} charged once"),
            ),
            once_cost: amount_json(sum.once_cost, once_basis, named(once)),
            credited: sum.credited.amount().to_string(),
            device_months: sum.months.round_dp(MONTHS_DIGITS).normalize().to_string(),
        }
    }
}

fn amount_json(money: Money, basis: Basis, formula: String) -> AmountJson {
    AmountJson {
        amount: money.amount().to_string(),
        currency: money.currency.to_string(),
        basis: basis.word(),
        formula,
    }
}

fn per_month(money: Money, months: Decimal) -> Option<String> {
    let share = money.amount().checked_div(months)?;
    Some(share.round_dp(money.currency.minor_digits() + 2).to_string())
}
