//! One trial: numbers to devices to cash.
//!
//! Devices added in a month count in that month; cohorts shrink by churn and wear; a failed device
//! that is replaced starts a new life (the renewal equation, Cox, "Renewal Theory", 1962).
//!
//! *Invariant:* nothing is allocated per trial, and every month's sum is made in the order of the
//! lines.

use libm::{exp, log, pow};

use super::{Adoption, Case, Churn, Direction, Driver, Failed, Line, Purpose};

/// What one trial comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outcome {
    pub(super) npv: f64,
    /// Per month; not a number when there is none or more than one.
    pub(super) irr: f64,
    /// Months, discounted; infinite when it never pays back.
    pub(super) payback: f64,
    /// Least cumulative cash.
    pub(super) trough: f64,
    pub(super) trough_month: u32,
    /// Recurring money per device-month; not a number without devices.
    pub(super) margin: f64,
    /// Lifetime value of one device.
    pub(super) lifetime_value: f64,
    /// Acquisition cost of one device; not a number without such lines.
    pub(super) acquisition_cost: f64,
}

/// Buffers of one thread.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) cash: Vec<f64>,
    pub(super) base: Vec<f64>,
    added: Vec<f64>,
    replaced: Vec<f64>,
    /// Share of a cohort that is a customer, and whose device works.
    customers: Vec<f64>,
    working: Vec<f64>,
    /// Share of a cohort's places that get a new device at an age.
    renewals: Vec<f64>,
    failures: Vec<f64>,
    drive: Vec<f64>,
    /// Logarithm of each month.
    logs: Vec<f64>,
    recurring: Vec<f64>,
}

impl Scratch {
    pub(super) fn new(case: &Case) -> Self {
        let months = case.horizon as usize + 1;
        let zero = || vec![0.0; months];
        Self {
            cash: zero(),
            base: zero(),
            added: zero(),
            replaced: zero(),
            customers: zero(),
            working: zero(),
            renewals: zero(),
            failures: zero(),
            drive: zero(),
            logs: (0..months).map(|t| log(t as f64)).collect(),
            recurring: zero(),
        }
    }
}

/// Runs one trial; cash and base per month stay in `scratch`.
pub(super) fn simulate(case: &Case, numbers: &[f64], scratch: &mut Scratch) -> Outcome {
    adopt(case, numbers, scratch);
    survive(case, numbers, scratch);
    populate(case, scratch);
    scratch.cash.fill(0.0);
    scratch.recurring.fill(0.0);
    let mut acquisition = 0.0;
    for line in &case.lines {
        drive(case, line, numbers, scratch);
        let sign = if line.direction == Direction::In { 1.0 } else { -1.0 };
        if line.purpose == Purpose::Acquisition {
            acquisition += scratch.drive.iter().sum::<f64>();
        }
        for (cash, amount) in scratch.cash.iter_mut().zip(&scratch.drive) {
            *cash += sign * amount;
        }
        if line.driver.is_recurring() {
            for (cash, amount) in scratch.recurring.iter_mut().zip(&scratch.drive) {
                *cash += sign * amount;
            }
        }
    }
    conclude(case, numbers, scratch, acquisition)
}

/// Present value of each line, costs negative, for the numbers last simulated.
pub(super) fn line_values(case: &Case, numbers: &[f64], scratch: &mut Scratch) -> Vec<f64> {
    let discount = 1.0 / (1.0 + numbers[case.discount]);
    case.lines
        .iter()
        .map(|line| {
            drive(case, line, numbers, scratch);
            let sign = if line.direction == Direction::In { 1.0 } else { -1.0 };
            sign * scratch.drive.iter().rev().fold(0.0, |worth, cash| worth * discount + cash)
        })
        .collect()
}

fn adopt(case: &Case, numbers: &[f64], scratch: &mut Scratch) {
    let added = &mut scratch.added;
    added.fill(0.0);
    match &case.adoption {
        Adoption::Steady { added: slot, launch } => {
            for month in added.iter_mut().skip((*launch).max(1) as usize) {
                *month = numbers[*slot];
            }
        }
        Adoption::Bass { p, q, market, launch } => {
            let (p, q) = (numbers[*p], numbers[*q]);
            let market: f64 = market.iter().map(|slot| numbers[*slot]).product();
            let sells = p > 0.0 && market > 0.0;
            let (step, ratio) = (exp(-(p + q)), q / p);
            let (mut decay, mut before) = (1.0, 0.0);
            let from = if sells { (*launch).max(1) as usize } else { usize::MAX };
            for month in added.iter_mut().skip(from) {
                decay *= step;
                let now = (1.0 - decay) / (1.0 + ratio * decay);
                *month = market * (now - before);
                before = now;
            }
        }
    }
    // What really came takes the place of what was planned; the plan goes on after it.
    for (month, came) in added.iter_mut().skip(1).zip(&case.observed) {
        *month = *came;
    }
}

fn survive(case: &Case, numbers: &[f64], scratch: &mut Scratch) {
    match case.churn {
        Churn::None => scratch.customers.fill(1.0),
        Churn::Constant(slot) => {
            let stay = (1.0 - numbers[slot]).clamp(0.0, 1.0);
            let mut share = 1.0;
            for customers in &mut scratch.customers {
                *customers = share;
                share *= stay;
            }
        }
        Churn::Sbg { alpha, beta } => {
            let (alpha, beta) = (numbers[alpha], numbers[beta]);
            let mut share = 1.0;
            for (age, customers) in scratch.customers.iter_mut().enumerate() {
                *customers = share;
                share *= (beta + age as f64) / (alpha + beta + age as f64);
            }
        }
    }
    scratch.working.fill(1.0);
    let Some(hardware) = &case.hardware else { return };
    let (shape, scale) = (numbers[hardware.shape], log(numbers[hardware.scale]));
    for age in 1..scratch.working.len() {
        scratch.working[age] = exp(-exp(shape * (scratch.logs[age] - scale)));
    }
}

/// Installed base and replacements by month.
fn populate(case: &Case, scratch: &mut Scratch) {
    let months = scratch.added.len();
    let failed = case.hardware.as_ref().map(|h| h.failed);
    if failed == Some(Failed::Lost) {
        for (customers, working) in scratch.customers.iter_mut().zip(&scratch.working) {
            *customers *= working;
        }
    }
    scratch.replaced.fill(0.0);
    if failed == Some(Failed::Replaced) {
        for age in 1..months {
            let fails = scratch.working[age - 1] - scratch.working[age];
            scratch.failures[age] = fails;
            let again: f64 =
                (1..age).map(|k| scratch.failures[k] * scratch.renewals[age - k]).sum();
            scratch.renewals[age] = fails + again;
        }
    }
    for month in 0..months {
        let cohorts = &scratch.added[1..=month.max(1)];
        let ages = scratch.customers[..month.max(1)].iter().rev();
        let base: f64 = cohorts.iter().zip(ages).map(|(added, stay)| added * stay).sum();
        scratch.base[month] = if month == 0 { 0.0 } else { base };
        if failed == Some(Failed::Replaced) && month > 0 {
            scratch.replaced[month] = (1..=month)
                .map(|start| {
                    let age = month - start;
                    scratch.added[start] * scratch.customers[age] * scratch.renewals[age]
                })
                .sum();
        }
    }
}

/// The line's money by month, not yet signed.
fn drive(case: &Case, line: &Line, numbers: &[f64], scratch: &mut Scratch) {
    let amount: f64 = line.factors.iter().map(|slot| numbers[*slot]).product();
    let fleet_size = numbers[case.fleet_size];
    let Scratch { drive, base, added, replaced, customers, .. } = scratch;
    let scaled = |drive: &mut [f64], source: &[f64], by: f64| {
        for (month, value) in drive.iter_mut().zip(source) {
            *month = by * value;
        }
    };
    match &line.driver {
        Driver::DeviceMonth => scaled(drive, base, amount),
        Driver::Added => scaled(drive, added, amount),
        Driver::Replaced => scaled(drive, replaced, amount),
        Driver::CustomerMonth => scaled(drive, base, amount / fleet_size),
        Driver::CustomerAdded => scaled(drive, added, amount / fleet_size),
        Driver::Placed => {
            for (month, value) in drive.iter_mut().enumerate() {
                *value = amount * (added[month] + replaced[month]);
            }
        }
        Driver::Left => {
            drive[0] = 0.0;
            for month in 1..drive.len() {
                drive[month] = amount * (base[month - 1] + added[month] - base[month]);
            }
        }
        Driver::Month => {
            drive.fill(amount);
            drive[0] = 0.0;
        }
        Driver::Once(at) => {
            drive.fill(0.0);
            if let Some(month) = drive.get_mut(*at as usize) {
                *month = amount;
            }
        }
        Driver::Age(every) => {
            let every = *every as usize;
            for (month, value) in drive.iter_mut().enumerate() {
                let ages = (every..month).step_by(every);
                *value = amount * ages.map(|age| added[month - age] * customers[age]).sum::<f64>();
            }
        }
        Driver::Volume(breaks) => {
            let mut total = 0.0;
            for (month, value) in drive.iter_mut().enumerate() {
                let placed = added[month] + replaced[month];
                total += placed;
                let reached = breaks.iter().rev().find(|(from, _)| total >= *from);
                *value = placed * reached.map_or(0.0, |(_, slot)| numbers[*slot]);
            }
        }
    }
    limit(line, numbers, drive);
}

/// Applies the months a line is in force and the growth of its price.
fn limit(line: &Line, numbers: &[f64], drive: &mut [f64]) {
    let from = line.from as usize;
    let until = (line.until as usize).min(drive.len() - 1);
    if from > 0 {
        let cut = from.min(drive.len());
        drive[..cut].fill(0.0);
    }
    if until + 1 < drive.len() {
        drive[until + 1..].fill(0.0);
    }
    if let Some(slot) = line.growth {
        let mut price = 1.0;
        for month in drive {
            *month *= price;
            price *= 1.0 + numbers[slot];
        }
    }
}

fn conclude(case: &Case, numbers: &[f64], scratch: &Scratch, acquisition: f64) -> Outcome {
    let discount = 1.0 / (1.0 + numbers[case.discount]);
    let (mut npv, mut weight, mut sum) = (0.0, 1.0, 0.0);
    let (mut trough, mut trough_month, mut payback) = (0.0_f64, 0, f64::INFINITY);
    for (month, cash) in (0_u32..).zip(&scratch.cash) {
        let (before, worth) = (npv, cash * weight);
        npv += worth;
        weight *= discount;
        sum += cash;
        if sum < trough {
            (trough, trough_month) = (sum, month);
        }
        if npv < 0.0 {
            payback = f64::INFINITY;
        } else if before < 0.0 {
            payback = f64::from(month) - 1.0 - before / worth;
        } else if payback.is_infinite() {
            payback = f64::from(month);
        }
    }
    let device_months: f64 = scratch.base.iter().sum();
    let recurring: f64 = scratch.recurring.iter().sum();
    let added: f64 = scratch.added.iter().sum();
    let spends = case.lines.iter().any(|line| line.purpose == Purpose::Acquisition);
    Outcome {
        npv,
        irr: single_rate(&scratch.cash),
        payback,
        trough,
        trough_month,
        margin: if device_months > 0.0 { recurring / device_months } else { f64::NAN },
        lifetime_value: lifetime_value(case, numbers, scratch, discount),
        acquisition_cost: if spends && added > 0.0 { acquisition / added } else { f64::NAN },
    }
}

/// Discounted money of one device over its life within the horizon, acquisition left out.
fn lifetime_value(case: &Case, numbers: &[f64], scratch: &Scratch, discount: f64) -> f64 {
    let (mut at_start, mut monthly, mut leaving) = (0.0, 0.0, 0.0);
    for line in case.lines.iter().filter(|line| line.purpose == Purpose::Operation) {
        let sign = if line.direction == Direction::In { 1.0 } else { -1.0 };
        let amount: f64 = sign * line.factors.iter().map(|slot| numbers[*slot]).product::<f64>();
        match &line.driver {
            Driver::DeviceMonth => monthly += amount,
            Driver::CustomerMonth => monthly += amount / numbers[case.fleet_size],
            Driver::Added | Driver::Placed => at_start += amount,
            Driver::CustomerAdded => at_start += amount / numbers[case.fleet_size],
            Driver::Left => leaving += amount,
            Driver::Volume(breaks) => {
                let last = breaks.last().map_or(0.0, |(_, slot)| numbers[*slot]);
                at_start += sign * last;
            }
            Driver::Replaced | Driver::Month | Driver::Once(_) | Driver::Age(_) => {}
        }
    }
    let (mut weight, mut sum) = (1.0, at_start);
    for (age, stays) in scratch.customers.iter().enumerate().skip(1) {
        let gone = scratch.customers[age - 1] - stays;
        sum += weight * scratch.customers[age - 1] * monthly + weight * gone * leaving;
        weight *= discount;
    }
    sum
}

/// The only rate of return, when the flows change sign just once: Newton inside a bracket, on the
/// discount factor.
fn single_rate(cash: &[f64]) -> f64 {
    let signs = cash.iter().filter(|c| **c != 0.0).map(|c| c.signum());
    let (mut changes, mut last) = (0, 0.0);
    for sign in signs {
        changes += u32::from(last != 0.0 && sign != last);
        last = sign;
    }
    if changes != 1 {
        return f64::NAN;
    }
    let value = |v: f64| {
        cash.iter().rev().fold((0.0, 0.0), |(sum, slope), c| (sum * v + c, slope * v + sum))
    };
    let (mut low, mut high) = (0.0, 1.0);
    let rising = last > 0.0;
    // Rates below zero have factors above one; beyond this the money is gone for good.
    while (value(high).0 < 0.0) == rising {
        high *= 1.25;
        if high > 2.0 {
            return f64::NAN;
        }
    }
    let mut v = 0.98_f64.min(high);
    for _step in 0..100 {
        let (sum, slope) = value(v);
        if (sum < 0.0) == rising {
            low = v;
        } else {
            high = v;
        }
        let newton = v - sum / slope;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        if (next - v).abs() < 1e-13 {
            return 1.0 / next - 1.0;
        }
        v = next;
    }
    1.0 / v - 1.0
}

/// The yearly rate of a monthly one.
pub(super) fn yearly(monthly: f64) -> f64 {
    pow(1.0 + monthly, 12.0) - 1.0
}
