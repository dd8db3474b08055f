//! How large a market is: from the top by what others published, from the bottom by counting.
//!
//! *Invariant:* every number has a day and a source; both ways end in the same unit, money a year,
//! and where they lie further apart than the declared factor the warning says the whole
//! calculation.

use std::fmt::Write as _;

use expr::{Expected, Quantity, Scope, Slot, Type, Unit};
use model::{Currency, Name, Timestamp};
use serde::{Deserialize, Serialize};

use crate::competitors::dated;
use crate::error::Error;

/// A number with its unit, its day and its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// A number with its unit: `2400000 EUR/year`, `5200 customers`.
    pub value: String,
    /// The day it was found: `2026-11-01`.
    pub on: String,
    /// Where.
    pub source: String,
}

/// By what others published, each part of the one before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopDown {
    /// Total: everybody with the problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tam: Option<Estimate>,
    /// Serviceable: those whom the product fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sam: Option<Estimate>,
    /// Obtainable: those who can be won.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub som: Option<Estimate>,
}

/// What a device earns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Price {
    /// As somebody typed it: `9 EUR/device/month`.
    Typed(Estimate),
    /// As a plan in force says.
    Plan {
        /// Whose blueprint.
        venture: Name,
        /// Which plan of it.
        plan: Name,
    },
}

/// By counting: customers x devices x price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BottomUp {
    /// `5200 customers`.
    pub customers: Estimate,
    /// `10 devices/customer`.
    pub devices: Estimate,
    /// What each device earns.
    pub price: Price,
}

/// Both ways.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Market {
    /// By what others published.
    #[serde(default)]
    pub top_down: TopDown,
    /// By counting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bottom_up: Option<BottomUp>,
}

/// What a plan in force earns for a device.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanPrice {
    /// In money for a device and a year.
    pub quantity: Quantity,
    /// How it was computed, and from which revision.
    pub calculation: String,
}

/// Both sizes and how they compare.
#[derive(Debug, Clone, PartialEq)]
pub struct Sizing {
    /// The currency of all amounts; none when nothing is known.
    pub currency: Option<Currency>,
    /// Total, money a year.
    pub tam: Option<f64>,
    /// Serviceable, money a year.
    pub sam: Option<f64>,
    /// Obtainable, money a year.
    pub som: Option<f64>,
    /// Counted, money a year.
    pub bottom_up: Option<f64>,
    /// How the counted one was computed.
    pub calculation: Option<String>,
    /// The larger by the smaller, of what was counted and what was published.
    pub ratio: Option<f64>,
    /// Why they cannot both be right.
    pub warning: Option<String>,
    /// What would have to be known.
    pub missing: Vec<&'static str>,
}

/// `5,400,000`
fn grouped(number: f64) -> String {
    let text = if number.abs() < 1_000.0 { format!("{number:.2}") } else { format!("{number:.0}") };
    let text = text.strip_suffix(".00").unwrap_or(&text);
    let (whole, rest) = text.split_once('.').map_or((text, None), |(w, r)| (w, Some(r)));
    let mut out = String::new();
    let digits = whole.trim_start_matches('-').len();
    for (place, digit) in whole.chars().enumerate() {
        let left = whole.len() - place;
        if digit != '-' && left < digits && left.is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(rest) = rest {
        write!(out, ".{rest}").expect("a String takes everything");
    }
    out
}

/// A quantity as it was typed, its number in groups of three.
fn shown(quantity: &Quantity) -> String {
    if quantity.unit.is_one() {
        return grouped(quantity.value);
    }
    format!("{} {}", grouped(quantity.value), quantity.unit.shown())
}

fn yearly(currency: Currency) -> Option<Unit> {
    Unit::parse(&format!("{currency}/year")).ok()
}

impl Estimate {
    fn read(&self, place: &str, now: Timestamp) -> Result<Quantity, Error> {
        dated(place, (&self.on, &self.source), now)?;
        let quantity = Quantity::parse(&self.value).map_err(|error| {
            Error::field(format!("{place}/value"), format!("{:?}: {error}", self.value))
        })?;
        if quantity.value < 0.0 {
            return Err(Error::field(format!("{place}/value"), "it is below zero"));
        }
        Ok(quantity)
    }

    /// Money a year.
    fn money(&self, place: &str, now: Timestamp) -> Result<(Currency, f64), Error> {
        let quantity = self.read(place, now)?;
        let currency = quantity.unit.dimension().currency();
        let found = currency.and_then(|c| Some((c, quantity.in_unit(&yearly(c)?)?)));
        found.ok_or_else(|| {
            let reason = format!("{:?} is not money a year: write 2400000 EUR/year", self.value);
            Error::field(format!("{place}/value"), reason)
        })
    }
}

/// The three names of a calculation from the bottom.
struct Counted<'a>([(&'static str, &'a Quantity); 3]);

impl Scope for Counted<'_> {
    fn resolve(&self, path: &[&str]) -> Option<Type> {
        let [name] = path else { return None };
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, quantity)| Type::Number(quantity.unit.clone()))
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| (*name).to_owned()).collect()
    }
}

/// Name, and money a year.
type Published = (&'static str, (Currency, f64));

/// How many devices, and what each brings.
const FORMULA: &str = "customers * devices * price";

/// Money a year, and how it was computed.
fn counted(
    customers: &Quantity,
    devices: &Quantity,
    price: (&Quantity, &str),
) -> Result<(Currency, f64, String), Error> {
    let place = "/bottom_up";
    let currency = price.0.unit.dimension().currency().ok_or_else(|| {
        Error::field(format!("{place}/price"), "it is no money: write 9 EUR/device/month")
    })?;
    let unit = yearly(currency)
        .ok_or_else(|| Error::field(format!("{place}/price"), "its currency is not known"))?;
    let parts = [("customers", customers), ("devices", devices), ("price", price.0)];
    let program = expr::compile(FORMULA, &Counted(parts), &Expected::In(unit));
    let program = program.map_err(|errors| {
        let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
        let reason = format!(
            "{} x {} x {} is not money a year ({}): write customers as \"5200 customers\", devices \
             as \"10 devices/customer\" and the price as \"9 EUR/device/month\"",
            shown(customers),
            shown(devices),
            shown(price.0),
            told.join("; ")
        );
        Error::field(place, reason)
    })?;
    let slot = |slot: &Slot| match slot {
        Slot::Path(path) => parts.iter().find(|(name, _)| *name == &**path).map(|(_, q)| q.value),
        Slot::Window { .. } | Slot::Silent { .. } | Slot::Inside { .. } | Slot::Spread(_) => None,
    };
    let slots: Vec<f64> = program.slots().iter().map(|s| slot(s).unwrap_or(f64::NAN)).collect();
    let value = program.number(slots.as_slice());
    let value = value.ok_or_else(|| Error::field(place, "the product is too large"))?;
    let mut words = format!("{} x {} x {}", shown(customers), shown(devices), shown(price.0));
    if !price.1.is_empty() {
        write!(words, " ({})", price.1).expect("a String takes everything");
    }
    write!(words, " = {} {currency}/year", grouped(value)).expect("a String takes everything");
    Ok((currency, value, words))
}

impl Market {
    /// Whether it may be kept: units, days and sources, and each part within the one before.
    ///
    /// # Errors
    /// The place and the reason.
    pub fn check(&self, now: Timestamp) -> Result<(), Error> {
        let sizes = self.published(now)?;
        for pair in sizes.windows(2) {
            let [(_, (whole, is)), (place, (part, size))] = pair else { continue };
            if whole != part || size > is {
                let place = format!("/top_down/{place}/value");
                let reason = if whole == part {
                    format!("{} is more than the {} it is a part of", grouped(*size), grouped(*is))
                } else {
                    format!("it is in {part}, and what it is a part of in {whole}")
                };
                return Err(Error::field(place, reason));
            }
        }
        let Some(bottom_up) = &self.bottom_up else { return Ok(()) };
        let customers = bottom_up.customers.read("/bottom_up/customers", now)?;
        let devices = bottom_up.devices.read("/bottom_up/devices", now)?;
        match &bottom_up.price {
            Price::Plan { .. } => Ok(()),
            Price::Typed(price) => {
                let price = price.read("/bottom_up/price/typed", now)?;
                counted(&customers, &devices, (&price, "")).map(|_money| ())
            }
        }
    }

    /// Name, currency and size of what was published, the largest first.
    fn published(&self, now: Timestamp) -> Result<Vec<Published>, Error> {
        let TopDown { tam, sam, som } = &self.top_down;
        let mut found = Vec::new();
        for (name, estimate) in [("tam", tam), ("sam", sam), ("som", som)] {
            let Some(estimate) = estimate else { continue };
            let (currency, size) = estimate.money(&format!("/top_down/{name}"), now)?;
            found.push((name, (currency, size)));
        }
        Ok(found)
    }

    /// Both sizes, and whether they fit together. `plan` is what the plan named in it earns now.
    ///
    /// # Errors
    /// The place and the reason: what was kept before cannot be read any more, or the plan earns in
    /// another currency.
    pub fn size(
        &self,
        plan: Option<&PlanPrice>,
        (factor, now): (f64, Timestamp),
    ) -> Result<Sizing, Error> {
        let published = self.published(now)?;
        let of = |wanted: &str| {
            published.iter().find(|(name, _)| *name == wanted).map(|(_, (_, size))| *size)
        };
        let mut sizing = Sizing {
            currency: published.first().map(|(_, (currency, _))| *currency),
            tam: of("tam"),
            sam: of("sam"),
            som: of("som"),
            bottom_up: None,
            calculation: None,
            ratio: None,
            warning: None,
            missing: Vec::new(),
        };
        if let Some(bottom_up) = &self.bottom_up {
            let customers = bottom_up.customers.read("/bottom_up/customers", now)?;
            let devices = bottom_up.devices.read("/bottom_up/devices", now)?;
            let price = match (&bottom_up.price, plan) {
                (Price::Typed(price), _) => {
                    Some((price.read("/bottom_up/price/typed", now)?, String::new()))
                }
                (Price::Plan { .. }, Some(plan)) => {
                    Some((plan.quantity.clone(), plan.calculation.clone()))
                }
                (Price::Plan { .. }, None) => None,
            };
            match price {
                None => sizing.missing.push("what the plan earns for a device"),
                Some((price, how)) => {
                    let (currency, value, words) = counted(&customers, &devices, (&price, &how))?;
                    (sizing.bottom_up, sizing.calculation) = (Some(value), Some(words));
                    compare(&mut sizing, currency, factor);
                }
            }
        } else {
            sizing.missing.push("the size from the bottom: customers, devices, price");
        }
        if sizing.som.is_none() {
            sizing.missing.push("what can be obtained, from the top: som");
        }
        Ok(sizing)
    }
}

/// Holds what was counted against what was published as obtainable.
fn compare(sizing: &mut Sizing, currency: Currency, factor: f64) {
    let known = *sizing.currency.get_or_insert(currency);
    let words = sizing.calculation.clone().unwrap_or_default();
    if known != currency {
        sizing.warning = Some(format!(
            "from the top it is in {known}, from the bottom in {currency}: {words}; they cannot be \
             compared"
        ));
        return;
    }
    let (Some(counted), Some(som)) = (sizing.bottom_up, sizing.som) else { return };
    if counted == 0.0 && som == 0.0 {
        return;
    }
    let (large, small) = (counted.max(som), counted.min(som));
    let ratio = if small > 0.0 { Some(large / small) } else { None };
    sizing.ratio = ratio;
    if ratio.is_some_and(|ratio| ratio <= factor) {
        return;
    }
    let by = ratio.map_or_else(|| "without end".to_owned(), |ratio| format!("by {ratio:.1}"));
    let side = if counted > som { "more" } else { "less" };
    sizing.warning = Some(format!(
        "from the bottom it is {words}; from the top {} {currency}/year can be obtained. Counted \
         is {side}, apart {by}; the declared factor is {factor}. One of the two is wrong",
        grouped(som)
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-29T12:00:00Z".parse().unwrap()
    }

    fn estimate(value: &str) -> Estimate {
        let (on, source) = ("2026-11-01".to_owned(), "ABDA, Zahlen 2026".to_owned());
        Estimate { value: value.to_owned(), on, source }
    }

    fn market(som: &str, price: &str) -> Market {
        Market {
            top_down: TopDown {
                tam: Some(estimate("900000000 EUR/year")),
                sam: Some(estimate("60000000 EUR/year")),
                som: Some(estimate(som)),
            },
            bottom_up: Some(BottomUp {
                customers: estimate("5000 customers"),
                devices: estimate("10 devices/customer"),
                price: Price::Typed(estimate(price)),
            }),
        }
    }

    #[test]
    fn customers_times_devices_times_price_is_money_a_year() {
        let market = market("6000000 EUR/year", "9 EUR/device/month");
        market.check(now()).unwrap();
        let sizing = market.size(None, (3.0, now())).unwrap();
        assert!((sizing.bottom_up.unwrap() - 5_400_000.0).abs() < 80_000.0, "{sizing:?}");
        assert_eq!(sizing.warning, None);
        assert!((sizing.ratio.unwrap() - 1.11).abs() < 0.02);
    }

    #[test]
    fn sizes_too_far_apart_are_warned_of_with_the_calculation() {
        let sizing = market("54000000 EUR/year", "30 EUR/device/year").size(None, (3.0, now()));
        let warning = sizing.unwrap().warning.unwrap().replace("; ", ";\n").replace(". ", ".\n");
        expect_test::expect![[r#"
            from the bottom it is 5,000 customer x 10 device/customer x 30 EUR/device/year
            = 1,500,000 EUR/year;
            from the top 54,000,000 EUR/year can be obtained.
            Counted is less, apart by 36.0;
            the declared factor is 3.
            One of the two is wrong"#]]
        .assert_eq(&warning.replace("device/year = ", "device/year\n= "));
    }

    #[test]
    fn a_part_is_not_more_than_the_whole_and_units_must_fit() {
        let told = |som: &str, price: &str| {
            let refused = market(som, price).check(now()).unwrap_err();
            format!("{}: {refused}", refused.place())
        };
        assert!(told("70000000 EUR/year", "9 EUR/device/month").starts_with("/top_down/som/value"));
        assert!(told("7 customers", "9 EUR/device/month").starts_with("/top_down/som/value"));
        assert!(told("7 USD/year", "9 EUR/device/month").contains("it is in USD"));
        assert!(told("7 EUR/year", "9 EUR/customer/month").starts_with("/bottom_up: "));
        assert!(told("7 EUR/year", "9 apples").starts_with("/bottom_up/price/typed/value"));
    }

    #[test]
    fn a_plan_that_is_not_known_leaves_the_size_open() {
        let mut market = market("6000000 EUR/year", "9 EUR/device/month");
        let (venture, plan) = ("coolbox".parse().unwrap(), "care".parse().unwrap());
        market.bottom_up.as_mut().unwrap().price = Price::Plan { venture, plan };
        let open = market.size(None, (3.0, now())).unwrap();
        assert_eq!((open.bottom_up, open.missing.len()), (None, 1));
        let quantity = Quantity::parse("109.57 EUR/device/year").unwrap();
        let plan = PlanPrice { quantity, calculation: "plan.care, revision 3".to_owned() };
        let known = market.size(Some(&plan), (3.0, now())).unwrap();
        assert!((known.bottom_up.unwrap() - 5_478_500.0).abs() < 1.0);
        assert!(known.calculation.unwrap().contains("plan.care, revision 3"));
    }
}
