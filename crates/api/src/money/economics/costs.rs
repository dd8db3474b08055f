//! What a month cost: the case's costs, over what devices sent and how long they were there, and
//! what people recorded instead.
//!
//! *Invariant:* a cost is computed exactly for each device, rounded once for all of them, and its
//! parts add up to it. Data is what the log took in, each session rounded up as the tariff says;
//! where nothing was counted it is what the blueprint plans, and says so.

use std::collections::{BTreeMap, BTreeSet};

use billing::economics::apportion;
use blueprint::{Basis as Per, CostKind, Priced, RadioTariff, Said, Spending, spending};
use model::DeviceId;
use pipeline::{Sent, TrafficDay};
use rust_decimal::Decimal;

use super::recorded::Recorded;
use super::{Asked, Basis, CostPart, CostTotal, Economics, Joined, Recurring, Row};
use crate::app::App;
use crate::place::places_of_cost;
use crate::problem::Problem;

const DAY_MS: i64 = 86_400_000;
const MB: u64 = 1_000_000;
/// Days of a month in the case.
const MONTH_DAYS: u32 = 30;
/// Costs that a connected product has; the case is asked for each.
const EXPECTED: [&str; 3] = ["cloud", "support", "returns"];

/// A cost of each row, exactly, with its formula.
pub(super) struct Shares {
    pub(super) exact: Vec<Decimal>,
    pub(super) formulas: Vec<String>,
    pub(super) recurring: Recurring,
    pub(super) basis: Basis,
    /// Over all rows.
    pub(super) formula: String,
}

impl Economics {
    /// Takes in what the month cost.
    pub(super) async fn spend(&mut self, app: &App, asked: Asked<'_>) -> Result<(), Problem> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let devices: BTreeSet<DeviceId> = self.rows.iter().filter_map(|row| row.device).collect();
        let sent = app.shard.sent(devices.into_iter().collect()).await?;
        let recorded = self.recorded(app, asked).await?;
        for cost in spending(&asked.found.blueprint) {
            let mut shares = match &cost.priced {
                None => {
                    self.left_out.push(format!(
                        "{} ({}) hangs on what only trials draw",
                        cost.name, cost.text
                    ));
                    continue;
                }
                Some(Priced::Total { amount, month }) => {
                    self.left_out.push(format!(
                        "{}: {amount} {} once in month {month} of the case, no device's own",
                        cost.name, self.currency
                    ));
                    continue;
                }
                Some(Priced::Each { amount, basis: Per::Once }) => {
                    self.left_out.push(format!(
                        "{}: {amount} {} once, no device's own",
                        cost.name, self.currency
                    ));
                    continue;
                }
                Some(Priced::Each { amount, basis }) => self.each(*amount, *basis),
                Some(Priced::Radio(tariff)) => self.radio(tariff, &sent),
            };
            let instead = recorded.instead_of(&cost, &mut shares);
            if instead > 0 {
                self.left_out.push(format!(
                    "the case's {} ({}) on {instead} devices: what was recorded stands instead",
                    cost.name, cost.text
                ));
            }
            if instead < self.rows.len() {
                self.charge(asked, (&cost, shares))?;
            }
        }
        self.book(asked, &recorded)?;
        self.unnamed(asked, &recorded);
        for row in &mut self.rows {
            let cost = model::Money { minor: -row.money.cost.minor, ..row.money.cost };
            row.money.margin = row.money.revenue.plus(cost).map_err(billing::Error::from)?;
        }
        Ok(())
    }

    /// Costs that nobody named are told, not taken for nothing in silence.
    fn unnamed(&mut self, asked: Asked<'_>, recorded: &Recorded) {
        let costs = asked.found.blueprint.case.iter().flat_map(|case| &case.costs);
        let costs: Vec<_> = costs.collect();
        let named = |word: &str| costs.iter().any(|(name, _)| name.as_str().contains(word));
        let radio = costs.iter().any(|(_, cost)| matches!(cost.kind, CostKind::Radio { .. }));
        let radio = std::iter::once("radio").filter(|_| !radio);
        let others = EXPECTED.into_iter().filter(|word| !named(word));
        let missing: Vec<_> = radio.chain(others).filter(|word| !recorded.has(word)).collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            self.left_out.push(format!("the case has no cost for {missing}: counted as nothing"));
        }
    }

    /// Books a cost on its rows.
    pub(super) fn charge(
        &mut self,
        asked: Asked<'_>,
        (cost, shares): (&Spending, Shares),
    ) -> Result<(), Problem> {
        let basis = match cost.said {
            Said::Range => Basis::Assumed,
            Said::Amount => shares.basis,
        };
        let parts = apportion(&shares.exact, self.currency)?;
        let total = parts.iter().map(|part| part.minor).sum();
        let place = self.costs.len();
        self.costs.push(CostTotal {
            name: cost.name.clone(),
            text: cost.text.clone(),
            said_by: cost.source.clone(),
            // What was recorded stands in no line of the blueprint.
            places: match cost.priced {
                Some(_) => places_of_cost(asked.found, cost.name.as_str()),
                None => Vec::new(),
            },
            recurring: shares.recurring,
            basis,
            amount: model::Money { minor: total, currency: self.currency },
            formula: shares.formula,
        });
        let each = self.rows.iter_mut().zip(parts).zip(shares.exact.iter().zip(shares.formulas));
        for ((row, amount), (exact, formula)) in each {
            if exact.is_zero() {
                continue;
            }
            let to = match shares.recurring {
                Recurring::Yes => &mut row.money.cost,
                Recurring::Once => &mut row.money.once_cost,
            };
            *to = to.plus(amount).map_err(billing::Error::from)?;
            row.costs.push(CostPart { cost: place, amount, formula });
        }
        Ok(())
    }

    fn each(&self, amount: Decimal, per: Per) -> Shares {
        let currency = self.currency;
        let by = |of: &dyn Fn(&Row) -> (Decimal, String)| -> (Vec<Decimal>, Vec<String>) {
            self.rows.iter().map(of).unzip()
        };
        let months = |row: &Row| row.months.round_dp(6).normalize();
        let all: Decimal = self.rows.iter().map(|row| row.months).sum();
        let (recurring, (exact, formulas)) = match per {
            Per::DeviceMonth => (
                Recurring::Yes,
                by(&|row| {
                    let formula = format!("{amount} {currency} x {} months", months(row));
                    (amount * row.months, formula)
                }),
            ),
            Per::Device => (
                Recurring::Once,
                by(&|row| match (row.joined, row.device) {
                    (Joined::Now, Some(_)) => (amount, format!("{amount} {currency}, it is new")),
                    (Joined::Now | Joined::Before, _) => (Decimal::ZERO, String::new()),
                }),
            ),
            Per::Month | Per::Once => (
                Recurring::Yes,
                by(&|row| {
                    let share = quotient(row.months, all);
                    let formula = format!(
                        "{amount} {currency} x {} of {} device-months",
                        months(row),
                        all.round_dp(6).normalize()
                    );
                    (amount * share, formula)
                }),
            ),
            Per::CustomerMonth | Per::Customer => {
                let recurring = if per == Per::Customer { Recurring::Once } else { Recurring::Yes };
                let shares = by(&|row| self.of_customer(row, amount, recurring));
                (recurring, shares)
            }
        };
        let sum: Decimal = exact.iter().sum();
        let formula = format!(
            "{amount} {currency}{} over {} devices = {}",
            per.per(),
            self.rows.len(),
            sum.round_dp(4).normalize()
        );
        Shares { exact, formulas, recurring, basis: Basis::Defined, formula }
    }

    /// A customer's cost on one of its devices, by the time that each was there.
    fn of_customer(&self, row: &Row, amount: Decimal, recurring: Recurring) -> (Decimal, String) {
        let own = || self.rows.iter().filter(|other| other.customer == row.customer);
        let once = recurring == Recurring::Once;
        if once && own().any(|other| other.joined == Joined::Before) {
            return (Decimal::ZERO, String::new());
        }
        let all: Decimal = own().map(|other| other.months).sum();
        let share = quotient(row.months, all);
        let formula = format!(
            "{amount} {} x {} of the {} device-months of {}",
            self.currency,
            row.months.round_dp(6).normalize(),
            all.round_dp(6).normalize(),
            row.customer
        );
        (amount * share, formula)
    }

    fn radio(&self, tariff: &RadioTariff, sent: &Sent) -> Shares {
        let mut shares = Shares {
            exact: Vec::with_capacity(self.rows.len()),
            formulas: Vec::with_capacity(self.rows.len()),
            recurring: Recurring::Yes,
            basis: self.revenue_basis,
            formula: String::new(),
        };
        let currency = self.currency;
        let (mut messages, mut sessions, mut bytes, mut megabytes) = (0, 0, 0, Decimal::ZERO);
        for row in &self.rows {
            let of = tariff.of.as_ref().is_none_or(|of| row.kind.as_ref() == Some(of));
            let Some(device) = row.device.filter(|_| of) else {
                shares.exact.push(Decimal::ZERO);
                shares.formulas.push(String::new());
                continue;
            };
            let data = match counted(row, sent.get(&device)) {
                Some(day) => {
                    messages += day.messages;
                    sessions += day.sessions();
                    bytes += day.bytes;
                    Decimal::from(day.billed_bytes(tariff.increment)) / Decimal::from(MB)
                }
                None => {
                    shares.basis = Basis::Assumed;
                    planned(row, tariff)
                }
            };
            megabytes += data;
            shares.exact.push(tariff.fixed * row.months + data * tariff.data);
            shares.formulas.push(format!(
                "{} {currency} x {} months + {} MB x {} {currency}/MB",
                tariff.fixed,
                row.months.round_dp(6).normalize(),
                data.normalize(),
                tariff.data
            ));
        }
        let step = tariff.increment.map_or_else(
            || "every byte as it is".to_owned(),
            |step| format!("each session rounded up to {step} B"),
        );
        shares.formula = format!(
            "{messages} messages, {bytes} B in {sessions} sessions; {step}: {} MB x {} \
             {currency}/MB + {} {currency}/device/month",
            megabytes.normalize(),
            tariff.data,
            tariff.fixed
        );
        shares
    }
}

pub(super) fn quotient(part: Decimal, whole: Decimal) -> Decimal {
    part.checked_div(whole).unwrap_or(Decimal::ZERO)
}

/// What the blueprint plans for the time that a device was there.
fn planned(row: &Row, tariff: &RadioTariff) -> Decimal {
    let millis = Decimal::from(row.money.millis);
    let month = Decimal::from(i64::from(MONTH_DAYS) * DAY_MS);
    tariff.planned_megabytes.unwrap_or(Decimal::ZERO) * millis / month
}

/// What a device sent in its period: the days (UTC) whose noon lies in it; none: nothing was
/// counted, as it is older than the count.
fn counted(row: &Row, days: Option<&BTreeMap<i32, TrafficDay>>) -> Option<TrafficDay> {
    let days = days.filter(|days| !days.is_empty())?;
    let noon = |day: i32| {
        let millis = i64::from(day) * DAY_MS + DAY_MS / 2;
        row.period.holds(model::Timestamp::from_millis(millis))
    };
    let first = days.keys().next().copied().unwrap_or_default();
    let begins = row.period.from.as_millis().div_euclid(DAY_MS);
    let inside = days.iter().filter(|(day, _)| noon(**day)).map(|(_, day)| day);
    let sum = inside.fold(TrafficDay::default(), TrafficDay::plus);
    (sum.messages > 0 || i64::from(first) <= begins).then_some(sum)
}
