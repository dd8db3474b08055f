//! The catalogue of figures that gates, promises and pages may name.
//!
//! *Invariant:* a gate or promise names only what stands here, so every criterion can be computed
//! and explained.

use std::collections::BTreeMap;
use std::fmt;

use expr::{Scope, Span, Type, Unit};
use model::{Currency, Name};

use crate::plan::Market;
use crate::source::Text;
use crate::{Assumption, Diagnostic, Kind, PropertyKind, codes};

/// A figure with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its path; `CUR` in the unit stands for the blueprint's currency.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What it counts.
    pub says: &'static str,
}

const fn row(name: &'static str, unit: &'static str, says: &'static str) -> Metric {
    Metric { name, unit, says }
}

/// Figures of a fleet, a case and a business; real readings only, except in a demo tenant.
pub const METRICS: &[Metric] = &[
    row("fleet.devices", "1", "devices that joined and did not leave"),
    row("fleet.active", "1", "devices with at least one reading in the window"),
    row(
        "fleet.on_time",
        "1",
        "share of due intervals whose reading was appended within twice its interval",
    ),
    row("fleet.completeness", "1", "share of due intervals with a reading, however late"),
    row("fleet.silent", "1", "share of devices from which nothing came for twice the interval"),
    row("fleet.alarms", "1/device/month", "alarms raised"),
    row("fleet.false_alarms", "1/device/month", "alarms whose verdict is false"),
    row("fleet.unjudged_alarms", "1", "share of alarms without a verdict"),
    row("fleet.returns", "1/month", "share of devices whose board came back"),
    row("fleet.churn", "1/month", "share of devices whose contract ended"),
    row("fleet.data", "MB/device/month", "bytes received; of a radio cost as its tariff bills"),
    row("fleet.sessions", "1/device/day", "radio sessions"),
    row(
        "fleet.energy",
        "kWh/device/month",
        "energy that devices measured, by the one reading of energy or power there is",
    ),
    row("fleet.quarantined", "1", "share of values that could not be decoded"),
    row("economics.revenue", "CUR/device/month", "recurring revenue"),
    row("economics.cost", "CUR/device/month", "recurring cost"),
    row(
        "economics.margin",
        "CUR/device/month",
        "recurring revenue minus recurring cost, once-items apart",
    ),
    row("economics.credits", "1", "share of revenue given back for broken promises"),
    row("case.npv.mean", "CUR", "net present value, mean"),
    row("case.npv.p5", "CUR", "net present value, 5th percentile"),
    row("case.npv.p10", "CUR", "net present value, 10th percentile"),
    row("case.npv.p50", "CUR", "net present value, median"),
    row("case.npv.p90", "CUR", "net present value, 90th percentile"),
    row("case.npv.p95", "CUR", "net present value, 95th percentile"),
    row("case.npv.positive", "1", "probability that the net present value is above 0"),
    row("case.irr.p10", "1/year", "internal rate of return, 10th percentile"),
    row("case.irr.p50", "1/year", "internal rate of return, median"),
    row("case.payback.p50", "month", "discounted payback, median"),
    row("case.payback.p90", "month", "discounted payback, 90th percentile"),
    row("case.trough.p10", "CUR", "lowest cumulated cash, 10th percentile"),
    row("case.trough.p50", "CUR", "lowest cumulated cash, median"),
];

/// Figures that an experiment of kind `measure` and an input of the case may be bound to: each
/// device gives a part of them in a window.
pub const MEASURABLE: &[&str] = &[
    "fleet.on_time",
    "fleet.completeness",
    "fleet.alarms",
    "fleet.false_alarms",
    "fleet.unjudged_alarms",
    "fleet.returns",
    "fleet.churn",
    "fleet.data",
    "fleet.sessions",
    "fleet.energy",
];

/// What people recorded as paid (`iotbiz cost add`), for each device in use and month; inputs and
/// costs of the case may be bound to them.
pub const RECORDED: &[Metric] = &[
    row("recorded.radio", "CUR/device/month", "recorded for data and SIM cards"),
    row("recorded.cloud", "CUR/device/month", "recorded for servers and what runs on them"),
    row("recorded.support", "CUR/device/month", "recorded for people who help"),
    row("recorded.returns", "CUR/device/month", "recorded for what came back"),
    row("recorded.other", "CUR/device/month", "recorded for anything else that comes again"),
];

/// A figure of one reading: `reading.box.energy.growth`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadingFigure {
    /// Of this kind of device.
    pub kind: Name,
    /// This property.
    pub property: Name,
    /// This of it.
    pub what: OfReading,
}

/// What is made of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfReading {
    /// Mean of all values, in the unit of the reading.
    Mean,
    /// What a counter grows by, in its unit for each device and month.
    Growth,
    /// What a level falls by, in its unit for each device and month: a battery, a tank.
    Fall,
    /// Energy in kWh for each device and month: what a counter of energy grows by, or power over
    /// time.
    Energy,
}

/// How a reading tells energy, and how many kWh (or kW) one of its unit is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Told {
    /// A counter in a unit of energy.
    Counter(f64),
    /// Power.
    Power(f64),
}

/// How readings of a unit tell energy; none: they do not.
#[must_use]
pub fn tells_energy(unit: &Unit) -> Option<Told> {
    let of = |code: &str| unit.convert(1.0, &Unit::parse(code).ok()?);
    // A torque in N.m has the dimension of energy and is none.
    let (code, whole) = (unit.shown(), |code: &str| !code.contains(['.', '/', '*']));
    if !whole(&code) {
        return None;
    }
    match of("kWh").filter(|_| code.ends_with("Wh") || code.ends_with('J')) {
        Some(factor) => Some(Told::Counter(factor)),
        None => of("kW").filter(|_| code.ends_with('W')).map(Told::Power),
    }
}

impl ReadingFigure {
    /// The figure of a path, if it has the form of one.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let mut parts = path.split('.');
        let words = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let ["reading", kind, property, what] = words else { return None };
        let what = match what {
            "mean" => OfReading::Mean,
            "growth" => OfReading::Growth,
            "fall" => OfReading::Fall,
            "energy" => OfReading::Energy,
            _ => return None,
        };
        let (kind, property) = (kind.parse().ok()?, property.parse().ok()?);
        parts.next().is_none().then_some(Self { kind, property, what })
    }

    /// Its unit; none where no kind has such a number.
    #[must_use]
    pub fn unit(&self, kinds: &BTreeMap<Name, Kind>) -> Option<Unit> {
        let property = kinds.get(&self.kind)?.readings.get(&self.property)?;
        let PropertyKind::Number { unit, .. } = &property.kind else { return None };
        match self.what {
            OfReading::Mean => Some(unit.clone()),
            OfReading::Growth | OfReading::Fall => {
                let per = Unit::parse("1/device/month").ok()?;
                unit.times(&per, 1)
            }
            OfReading::Energy => {
                tells_energy(unit)?;
                Unit::parse("kWh/device/month").ok()
            }
        }
    }

    /// The reading behind a figure of the catalogue or of a reading.
    #[must_use]
    pub fn of(path: &str, kinds: &BTreeMap<Name, Kind>) -> Option<Self> {
        if path == "fleet.energy" { Self::energy(kinds).ok() } else { Self::parse(path) }
    }

    /// The one reading that tells the energy of a fleet: of the only kind that has any, its counter
    /// before its power.
    ///
    /// # Errors
    /// Those that could be meant, none among them.
    pub fn energy(kinds: &BTreeMap<Name, Kind>) -> Result<Self, Vec<Self>> {
        let (mut counters, mut powers) = (Vec::new(), Vec::new());
        for (kind, body) in kinds {
            for (property, reading) in &body.readings {
                let PropertyKind::Number { unit, .. } = &reading.kind else { continue };
                let (kind, property) = (kind.clone(), property.clone());
                let figure = Self { kind, property, what: OfReading::Energy };
                match tells_energy(unit) {
                    Some(Told::Counter(_)) => counters.push(figure),
                    Some(Told::Power(_)) => powers.push(figure),
                    None => {}
                }
            }
        }
        powers.retain(|power| counters.iter().all(|counter| counter.kind != power.kind));
        counters.append(&mut powers);
        match counters.as_slice() {
            [only] => Ok(only.clone()),
            _ => Err(counters),
        }
    }
}

impl fmt::Display for ReadingFigure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            OfReading::Mean => "mean",
            OfReading::Growth => "growth",
            OfReading::Fall => "fall",
            OfReading::Energy => "energy",
        };
        write!(f, "reading.{}.{}.{what}", self.kind, self.property)
    }
}

/// The unit of a figure that a fleet can be asked for.
///
/// # Errors
/// What to say of a figure that it cannot be asked for.
pub(crate) fn measured_unit(text: &Text, market: &Market<'_>) -> Result<Unit, Diagnostic> {
    let path = text.text.as_str();
    if path == "fleet.energy"
        && let Err(found) = ReadingFigure::energy(market.kinds)
    {
        return Err(which_energy(text.span, &found));
    }
    if let Some(figure) = ReadingFigure::parse(path) {
        return figure.unit(market.kinds).ok_or_else(|| not_measured(text, MEASURABLE.iter()));
    }
    let metric = METRICS.iter().find(|metric| metric.name == path);
    let metric = metric.filter(|metric| MEASURABLE.contains(&metric.name));
    let metric = metric.ok_or_else(|| not_measured(text, MEASURABLE.iter()))?;
    Ok(metric.unit(market.currency.unwrap_or(Currency::EUR)))
}

/// The unit of a figure that says what an input or a cost of the case really is.
///
/// # Errors
/// As for [`measured_unit`].
pub(crate) fn actual_unit(text: &Text, market: &Market<'_>) -> Result<Unit, Diagnostic> {
    if !text.text.starts_with("recorded.") {
        return measured_unit(text, market);
    }
    let metric = RECORDED.iter().find(|metric| metric.name == text.text);
    match metric {
        Some(metric) => Ok(metric.unit(market.currency.unwrap_or(Currency::EUR))),
        None => {
            let names: Vec<&str> = RECORDED.iter().map(|metric| metric.name).collect();
            Err(not_measured(text, names.iter()))
        }
    }
}

/// What to say of a figure that a fleet cannot be asked for.
fn not_measured<'n>(text: &Text, known: impl Iterator<Item = &'n &'static str>) -> Diagnostic {
    let message = format!("{:?} is no figure that a fleet can be asked for", text.text);
    let names: Vec<&str> = known.copied().collect();
    let help = match expr::nearest(&text.text, names.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!(
            "use one of {}; reading.KIND.PROPERTY.mean, growth, fall or energy of a number; a \
             cost of the case may name recorded.radio, cloud, support, returns or other",
            names.join(", ")
        ),
    };
    Diagnostic::error(codes::UNKNOWN_NAME, text.span, message).help(help)
}

/// What to say where no reading, or more than one, tells energy.
fn which_energy(at: Span, found: &[ReadingFigure]) -> Diagnostic {
    let message = match found {
        [] => "no reading tells energy: none is in kWh, J, W or the like".to_owned(),
        _ => format!("{} readings tell energy, of kinds or directions of their own", found.len()),
    };
    let help = match found {
        [] => "add energy = { unit = \"kWh\", counter = true } to a kind of device".to_owned(),
        _ => {
            let names: Vec<String> =
                found.iter().map(|one| format!("{:?}", one.to_string())).collect();
            format!("name the one that is meant: {}", names.join(", "))
        }
    };
    Diagnostic::error(codes::UNKNOWN_NAME, at, message).help(help)
}

/// Figures of one contract in one period, by bare names.
pub const CONTRACT_METRICS: &[Metric] = &[
    row("on_time", "1", "share of due intervals whose reading came within twice its interval"),
    row("completeness", "1", "share of due intervals with a reading, however late"),
    row("availability", "1", "share of time in which the device could be reached"),
];

impl Metric {
    /// The unit, with the currency in place.
    #[must_use]
    pub fn unit(&self, currency: Currency) -> Unit {
        Unit::parse(&self.unit.replace("CUR", currency.as_str())).unwrap_or_else(|_| Unit::one())
    }
}

/// Names of a gate's criteria.
pub(crate) struct GateScope<'a> {
    pub(crate) currency: Currency,
    pub(crate) assumptions: &'a BTreeMap<Name, Assumption>,
}

impl Scope for GateScope<'_> {
    fn resolve(&self, path: &[&str]) -> Option<Type> {
        if let ["assumption", name, figure] = path {
            let assumption = self.assumptions.get(*name)?;
            return match *figure {
                "probability" | "evidence" => Some(Type::Number(Unit::one())),
                "value" => Some(Type::Number(assumption.holds.quantity.unit.clone())),
                _ => None,
            };
        }
        let name = path.join(".");
        let metric = METRICS.iter().find(|metric| metric.name == name)?;
        Some(Type::Number(metric.unit(self.currency)))
    }

    fn names(&self) -> Vec<String> {
        let fixed = METRICS.iter().map(|metric| metric.name.to_owned());
        let assumed = self.assumptions.keys().map(|name| format!("assumption.{name}.probability"));
        fixed.chain(assumed).collect()
    }
}

/// Names of a promise.
pub(crate) struct ContractScope;

impl Scope for ContractScope {
    fn resolve(&self, path: &[&str]) -> Option<Type> {
        let [name] = path else { return None };
        let metric = CONTRACT_METRICS.iter().find(|metric| metric.name == *name)?;
        Some(Type::Number(metric.unit(Currency::EUR)))
    }

    fn names(&self) -> Vec<String> {
        CONTRACT_METRICS.iter().map(|metric| metric.name.to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_measured_stands_in_the_catalogue() {
        for name in MEASURABLE {
            assert!(METRICS.iter().any(|metric| metric.name == *name), "{name}");
        }
    }

    #[test]
    fn energy_is_told_in_its_own_units_and_by_no_torque() {
        let told = |code: &str| tells_energy(&Unit::parse(code).unwrap());
        assert_eq!(told("kWh"), Some(Told::Counter(1.0)));
        assert_eq!(told("Wh"), Some(Told::Counter(0.001)));
        let Some(Told::Counter(megajoule)) = told("MJ") else { panic!() };
        assert!((megajoule - 1.0 / 3.6).abs() < 1e-12, "{megajoule}");
        assert_eq!(told("W"), Some(Told::Power(0.001)));
        assert_eq!(told("kW"), Some(Told::Power(1.0)));
        for code in ["N.m", "Cel", "%", "V", "1"] {
            assert_eq!(told(code), None, "{code}");
        }
    }

    #[test]
    fn every_unit_of_the_catalogue_is_a_unit() {
        for metric in METRICS.iter().chain(CONTRACT_METRICS).chain(RECORDED) {
            let unit = metric.unit.replace("CUR", "EUR");
            assert!(Unit::parse(&unit).is_ok(), "{}", metric.name);
        }
    }
}
