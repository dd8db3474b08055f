//! Parts of a cost that only a founder's own quotes can fill: the formula, and what it asks for.
//!
//! *Invariant:* no number here is anybody's cost. A part gives no line before each of its numbers
//! was named, with where they are from and their day; the lines it gives pass the checks of a case.
//!
//! What a public source says stands in [`super::COST_LIBRARY`]; where none can be cited (what your
//! maker asks, what your freight costs), the part stands here.

use std::collections::BTreeMap;

use super::Case;
use super::read::is_day;
use crate::text::{Node, parse};

/// How many price breaks one quote may have.
const BREAKS_MAX: usize = 12;

/// A cost made of numbers that have to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CostPart {
    /// Its key.
    pub name: &'static str,
    /// What it is.
    pub says: &'static str,
    /// How it is made of what is asked: each in braces.
    pub formula: &'static str,
    /// What has to be asked.
    pub asks: &'static [Asked],
    /// When it is paid.
    pub arises: Arises,
}

/// One number that has to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Its name.
    pub name: &'static str,
    /// How it is written; an example, nobody's price.
    pub example: &'static str,
    /// What it is.
    pub says: &'static str,
}

/// When a part is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arises {
    /// When a device is placed; `price` may have breaks by quantity.
    Placed,
    /// When a device leaves.
    Left,
    /// For each device each month.
    Monthly,
    /// Whenever a device is so old again: what is asked as `every`.
    Every,
}

/// Where the numbers are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote<'a> {
    /// Who gave them, `own quote` at least.
    pub source: &'a str,
    /// Their day, `2026-11-20`.
    pub as_of: &'a str,
}

const fn asked(name: &'static str, example: &'static str, says: &'static str) -> Asked {
    Asked { name, example, says }
}

const PRICE: Asked = asked(
    "price",
    "500: 9.80 EUR/device, 1000: 8.90 EUR/device",
    "what the maker asks for one, or for each from so many on",
);

/// All parts.
pub const COST_PARTS: &[CostPart] = &[
    CostPart {
        name: "bom_by_volume",
        says: "parts and assembly of a device, by the quantity that is bought",
        formula: "{price}",
        asks: &[PRICE],
        arises: Arises::Placed,
    },
    CostPart {
        name: "landed_cost",
        says: "a device in your own warehouse: freight, insurance, duty, yield and packaging; \
               import VAT is got back and no cost",
        // 100 % and not 1: a blueprint adds shares to shares alone.
        formula: "{price} * (100 % + {freight}) / (100 % - {insurance}) * (100 % + {duty}) / \
                  {yield} + {packaging}",
        asks: &[
            PRICE,
            asked("freight", "4 %", "freight, as a share of the price"),
            asked("insurance", "0.3 %", "insurance, as a share of CIF: price, freight, insurance"),
            asked(
                "duty",
                "2.8 %",
                "customs duty on CIF: of your heading and origin, as TARIC has it today",
            ),
            asked("yield", "97 %", "share of what arrives that works"),
            asked("packaging", "0.45 EUR/device", "box, manual and label of one that works"),
        ],
        arises: Arises::Placed,
    },
    CostPart {
        name: "take_back",
        says: "a device that a customer gives back at the end: carriage, handling, recycling of \
               the device and of its battery (WEEE, batteries)",
        formula: "{share} * ({freight} + {handling} + {weight} * {recycling} + {battery_weight} * \
                  {battery_recycling})",
        asks: &[
            asked("share", "60 %", "share of those that leave which come back to you"),
            asked("freight", "6.50 EUR/device", "the way back"),
            asked("handling", "4 EUR/device", "opening, wiping, sorting"),
            asked("weight", "0.35/device", "kg of a device without its battery"),
            asked("recycling", "0.40 EUR", "what the recycler asks for a kg"),
            asked("battery_weight", "0.05/device", "kg of its battery"),
            asked(
                "battery_recycling",
                "0.60 EUR",
                "what your take-back system asks for a kg (compare battery_take_back)",
            ),
        ],
        arises: Arises::Left,
    },
    CostPart {
        name: "support_time",
        says: "people who answer customers",
        formula: "{contacts} * {time} * {wage}",
        asks: &[
            asked("contacts", "0.05/device/month", "how often somebody asks about a device"),
            asked("time", "12 min", "how long that takes"),
            asked("wage", "45 EUR/h", "what an hour of support costs you"),
        ],
        arises: Arises::Monthly,
    },
    CostPart {
        name: "battery_swap",
        says: "a fresh battery, and the way to the device",
        formula: "{battery} + {visit}",
        asks: &[
            asked("battery", "4 EUR/device", "the battery"),
            asked("visit", "35 EUR/device", "the visit, or the parcel (compare service_visit)"),
            asked("every", "36 months", "how long a battery lasts"),
        ],
        arises: Arises::Every,
    },
];

/// What was named, ready to be written.
struct Filled<'a> {
    part: &'a CostPart,
    values: &'a BTreeMap<String, String>,
    quote: &'a Quote<'a>,
    /// Quantities and their prices, the smallest first; none: one price, or none asked.
    breaks: Vec<(u64, String)>,
}

impl CostPart {
    /// The formula with the names that the lines use.
    #[must_use]
    pub fn shown(&self) -> String {
        self.formula.replace(['{', '}'], "")
    }

    /// Lines of a blueprint: an input for each number, with its source and day, and the cost that
    /// is made of them.
    ///
    /// # Errors
    /// Each reason why there are none: a number that is missing or of another unit, no source, no
    /// day.
    pub fn fill(
        &self,
        values: &BTreeMap<String, String>,
        quote: &Quote<'_>,
    ) -> Result<String, Vec<String>> {
        let mut reasons = self.lacking(values, quote);
        let breaks = match values.get("price").map(|text| price_breaks(text)) {
            Some(Ok(breaks)) => breaks,
            Some(Err(reason)) => {
                reasons.push(reason);
                Vec::new()
            }
            None => Vec::new(),
        };
        if !reasons.is_empty() {
            return Err(reasons);
        }
        let lines = Filled { part: self, values, quote, breaks }.lines();
        self.check(&lines, values)?;
        Ok(lines)
    }

    fn lacking(&self, values: &BTreeMap<String, String>, quote: &Quote<'_>) -> Vec<String> {
        let known = |name: &String| self.asks.iter().any(|asked| asked.name == name);
        let mut reasons: Vec<String> = Vec::new();
        for name in values.keys().filter(|name| !known(name)) {
            let all: Vec<_> = self.asks.iter().map(|asked| asked.name).collect();
            reasons.push(format!("{} asks for no {name}: use {}", self.name, all.join(", ")));
        }
        for asked in self.asks.iter().filter(|asked| !values.contains_key(asked.name)) {
            let Asked { name, example, says } = asked;
            reasons.push(format!("{name} is missing: {says}, like \"{example}\""));
        }
        if quote.source.trim().is_empty() {
            reasons.push("nobody is named as the source: \"own quote of Foxtec\"".to_owned());
        }
        if !is_day(quote.as_of) {
            let what = format!("{:?} is not the day of a quote: \"2026-11-20\"", quote.as_of);
            reasons.push(what);
        }
        reasons
    }

    /// Whether the lines make a case.
    fn check(&self, lines: &str, values: &BTreeMap<String, String>) -> Result<(), Vec<String>> {
        let currency = values.values().find_map(|text| currency_of(text));
        let text = format!(
            "currency = \"{}\"\n[case]\nhorizon = \"60 months\"\ndiscount = \"9 %/year\"\n\
             adoption = {{ added = \"9 devices/month\" }}\n{lines}",
            currency.unwrap_or_else(|| "EUR".to_owned())
        );
        let told = |finding: super::Finding| {
            let key = finding.key.rsplit('.').find(|part| *part != "value");
            let name = key.unwrap_or_default();
            let name = name.strip_prefix(&format!("{}_", self.name)).unwrap_or(name);
            format!("{name}: {}; {}", finding.reason, finding.fix)
        };
        Case::parse(&text).map(drop).map_err(|found| found.into_iter().map(told).collect())
    }
}

/// `500: 9.80 EUR/device, 1000: 8.90 EUR/device`, or one price.
fn price_breaks(text: &str) -> Result<Vec<(u64, String)>, String> {
    if !text.contains(':') {
        return Ok(Vec::new());
    }
    let mut breaks: BTreeMap<u64, String> = BTreeMap::new();
    for part in text.split([',', ';']) {
        let pair = part.split_once(':');
        let quantity = pair.and_then(|(from, _)| from.trim().replace('_', "").parse().ok());
        let (Some(from), Some((_, price))) = (quantity.filter(|from| *from > 0), pair) else {
            return Err(format!("{:?} is no price break: \"1000: 8.90 EUR/device\"", part.trim()));
        };
        if breaks.insert(from, price.trim().to_owned()).is_some() {
            return Err(format!("the price of {from} is given twice"));
        }
    }
    if breaks.len() > BREAKS_MAX {
        return Err(format!("{} price breaks, BREAKS_MAX = {BREAKS_MAX}", breaks.len()));
    }
    Ok(breaks.into_iter().collect())
}

fn currency_of(text: &str) -> Option<String> {
    // Behind the quantity of a price break.
    let amount = text.rsplit(':').next().unwrap_or(text);
    let node = parse(amount.trim()).ok()?.node;
    let unit = match node {
        Node::Number { unit, .. } | Node::Range { unit, .. } => unit,
        Node::Date(_)
        | Node::List(_)
        | Node::Name(_)
        | Node::Call { .. }
        | Node::Negate(_)
        | Node::Binary(..) => return None,
    };
    unit.currency().map(|currency| currency.to_string())
}

fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string().trim().to_owned()
}

impl Filled<'_> {
    /// Source and day, as they stand below every number.
    fn said(&self) -> String {
        let Quote { source, as_of } = self.quote;
        format!("source = {}\nas_of = {}\n", quoted(source.trim()), quoted(as_of.trim()))
    }

    /// The key of an input.
    fn key(&self, name: &str) -> String {
        format!("{}_{name}", self.part.name)
    }

    /// The formula, its price that from a quantity on.
    fn formula(&self, price: &str) -> String {
        let names = self.part.asks.iter().map(|asked| asked.name);
        names.fold(self.part.formula.to_owned(), |text, name| {
            let key = if name == "price" { price.to_owned() } else { self.key(name) };
            text.replace(&format!("{{{name}}}"), &key)
        })
    }

    /// Tables of their own, so that they can stand at the end of any blueprint.
    fn lines(&self) -> String {
        let (part, said) = (self.part, self.said());
        let mut text = format!("\n# {}: {}\n", part.name, part.says);
        for asked in part.asks {
            let Some(value) = self.values.get(asked.name) else { continue };
            if asked.name == "every" {
                continue;
            }
            let mut prices = vec![(self.key(asked.name), value.as_str())];
            if asked.name == "price" && !self.breaks.is_empty() {
                let all = self.breaks.iter();
                prices = all.map(|(from, price)| (self.price_key(*from), &**price)).collect();
            }
            for (key, value) in prices {
                let value = quoted(value);
                text.push_str(&format!("[case.input.{key}]\nvalue = {value}\n{said}"));
            }
        }
        let (each, more) = (self.formula(&self.first_price()), self.arises());
        text.push_str(&format!(
            "[case.cost.{}]\neach = {}\n{more}{said}",
            part.name,
            quoted(&each)
        ));
        text
    }

    fn price_key(&self, from: u64) -> String {
        self.key(&format!("price_{from}"))
    }

    fn first_price(&self) -> String {
        self.breaks.first().map_or_else(|| self.key("price"), |(from, _)| self.price_key(*from))
    }

    fn arises(&self) -> String {
        match self.part.arises {
            Arises::Monthly => String::new(),
            Arises::Left => "per = \"left\"\n".to_owned(),
            Arises::Every => {
                let every = self.values.get("every").map_or("", String::as_str);
                format!("every = {}\n", quoted(every))
            }
            Arises::Placed if self.breaks.len() < 2 => String::new(),
            Arises::Placed => {
                let later = self.breaks.iter().skip(1).map(|(from, _)| {
                    format!("\"{from}\" = {}", quoted(&self.formula(&self.price_key(*from))))
                });
                let later: Vec<String> = later.collect();
                format!("volume = {{ {} }}\n", later.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests;
