//! Reading TOML values with their places, so that every fault can point at its text.
//!
//! *Invariant:* a key that nobody takes is a fault, so a typing error never changes a bill
//! silently.

use std::collections::BTreeMap;
use std::ops::Range;

use model::{Currency, Name};
use rust_decimal::Decimal;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::Fault;
use super::super::quantity::{self, PriceText, QuantityText};
use crate::Error;

/// The whole text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    source: Source<'a>,
    path: String,
    key_span: Range<usize>,
    span: Range<usize>,
    value: &'a DeValue<'a>,
}

/// A table whose keys are taken one by one.
#[derive(Debug)]
pub(super) struct Table<'a> {
    source: Source<'a>,
    path: String,
    span: Range<usize>,
    left: Vec<(&'a str, Node<'a>)>,
    known: Vec<&'static str>,
}

impl<'a> Source<'a> {
    pub(super) fn table(self, path: &str, span: Range<usize>, table: &'a DeTable<'a>) -> Table<'a> {
        let mut left: Vec<(&'a str, Node<'a>)> = Vec::with_capacity(table.len());
        for (key, value) in table {
            left.push((key.get_ref().as_ref(), self.node(path, key, value)));
        }
        // The parser sorts keys; what applies in order (charges, slots) applies as it was written.
        left.sort_by_key(|(_, node)| node.key_span.start);
        Table { source: self, path: path.to_owned(), span, left, known: Vec::new() }
    }

    fn node(
        self,
        path: &str,
        key: &Spanned<std::borrow::Cow<'a, str>>,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Node<'a> {
        let dot = if path.is_empty() { "" } else { "." };
        Node {
            source: self,
            path: format!("{path}{dot}{}", key.get_ref()),
            key_span: key.span(),
            span: value.span(),
            value: value.get_ref(),
        }
    }

    pub(super) fn name(self, path: &str, span: &Range<usize>, text: &str) -> Result<Name, Fault> {
        text.parse::<Name>().map_err(|error| Fault::at(self.text, span, path, error.to_string()))
    }
}

impl<'a> Table<'a> {
    /// The value of a key, if it is there.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.known.push(key);
        let at = self.left.iter().position(|(k, _)| *k == key)?;
        Some(self.left.remove(at).1)
    }

    /// Whether a key is there and not yet taken.
    pub(super) fn has(&self, key: &str) -> bool {
        self.left.iter().any(|(k, _)| *k == key)
    }

    /// The value of a key that must be there.
    pub(super) fn need(&mut self, key: &'static str, help: &str) -> Result<Node<'a>, Fault> {
        let missing = self.fault(format!("{key} is missing")).help(help);
        self.take(key).ok_or(missing)
    }

    /// The named tables or values below a key.
    pub(super) fn named(&mut self, key: &'static str) -> Result<Vec<(Name, Node<'a>)>, Fault> {
        let Some(node) = self.take(key) else { return Ok(Vec::new()) };
        let mut list = Vec::new();
        for (name, node) in node.table()?.rest() {
            list.push((node.key_name(&name)?, node));
        }
        Ok(list)
    }

    /// Whether everything that was not taken is a table.
    pub(super) fn of_tables(&self) -> bool {
        self.left.iter().all(|(_, node)| node.value.is_table())
    }

    /// All keys that were not taken.
    pub(super) fn rest(self) -> Vec<(String, Node<'a>)> {
        self.left.into_iter().map(|(key, node)| (key.to_owned(), node)).collect()
    }

    pub(super) fn fault(&self, message: String) -> Fault {
        Fault::at(self.source.text, &self.span, &self.path, message)
    }

    /// Ends the table: nothing may be left.
    pub(super) fn end(self) -> Result<(), Fault> {
        let Some((key, node)) = self.left.first() else { return Ok(()) };
        let message = format!("{key} is not known here");
        let fault = Fault::at(self.source.text, &node.key_span, &node.path, message);
        let near = self.known.iter().filter(|known| distance(known, key) <= 2).min();
        Err(match near {
            Some(known) => fault.help(format!("did you mean {known}?")),
            None => fault.help(format!("known are {}", self.known.join(", "))),
        })
    }
}

/// Edit distance, for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        for (above, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let here = (left + 1).min(*above + 1).min(corner + usize::from(x != y));
            corner = *above;
            *above = here;
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

impl<'a> Node<'a> {
    pub(super) fn fault(&self, message: String) -> Fault {
        Fault::at(self.source.text, &self.span, &self.path, message)
    }

    fn wrong(&self, expected: &str) -> Fault {
        let found = self.source.text.get(self.span.clone()).unwrap_or_default();
        let shown: String = found.chars().take(60).collect();
        self.fault(format!("{shown} is not {expected}"))
    }

    pub(super) fn key_name(&self, key: &str) -> Result<Name, Fault> {
        self.source.name(&self.path, &self.key_span, key)
    }

    pub(super) fn is_text(&self) -> bool {
        self.value.is_str()
    }

    pub(super) fn is_array(&self) -> bool {
        self.value.is_array()
    }

    pub(super) fn table(&self) -> Result<Table<'a>, Fault> {
        let table = self.value.as_table().ok_or_else(|| self.wrong("a table"))?;
        Ok(self.source.table(&self.path, self.span.clone(), table))
    }

    pub(super) fn list(&self) -> Result<Vec<Node<'a>>, Fault> {
        let array = self.value.as_array().ok_or_else(|| self.wrong("a list"))?;
        let mut nodes = Vec::new();
        for (index, value) in array.iter().enumerate() {
            nodes.push(Node {
                source: self.source,
                path: format!("{}[{index}]", self.path),
                key_span: value.span(),
                span: value.span(),
                value: value.get_ref(),
            });
        }
        Ok(nodes)
    }

    /// The text, or what is written in its place.
    pub(super) fn written(&self) -> &'a str {
        self.value.as_str().or_else(|| self.source.text.get(self.span.clone())).unwrap_or_default()
    }

    pub(super) fn text(&self) -> Result<&'a str, Fault> {
        self.value.as_str().ok_or_else(|| self.wrong("a text"))
    }

    pub(super) fn name(&self) -> Result<Name, Fault> {
        self.source.name(&self.path, &self.span, self.text()?)
    }

    pub(super) fn names(&self) -> Result<Vec<Name>, Fault> {
        if self.is_text() {
            return Ok(vec![self.name()?]);
        }
        self.list()?.iter().map(Node::name).collect()
    }

    pub(super) fn parsed<T>(
        &self,
        read: impl Fn(&str) -> Result<T, Error>,
        help: &str,
    ) -> Result<T, Fault> {
        read(self.text()?).map_err(|error| self.fault(error.to_string()).help(help))
    }

    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, Fault> {
        let text = self.text()?;
        let found = choices.iter().find(|(name, _)| *name == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.wrong("possible here").help(format!("use one of {}", names.join(", ")))
        })
    }

    pub(super) fn truth(&self) -> Result<bool, Fault> {
        self.value.as_bool().ok_or_else(|| self.wrong("true or false"))
    }

    /// The digits of a number that is written as one.
    fn digits(&self) -> Option<String> {
        let plain = |text: &str| text.chars().filter(|c| *c != '_').collect();
        if let Some(integer) = self.value.as_integer() {
            return (integer.radix() == 10).then(|| plain(integer.as_str()));
        }
        self.value.as_float().map(|float| plain(float.as_str()))
    }

    /// A number, exact, as a number or a text with an optional unit.
    pub(super) fn quantity(&self) -> Result<QuantityText, Fault> {
        let written = match self.digits() {
            Some(digits) => crate::usage::Amount::parse(&digits).map(|amount| QuantityText {
                amount,
                unit: String::new(),
                per: Vec::new(),
            }),
            None => quantity::quantity(self.text()?),
        };
        written.ok_or_else(|| {
            self.wrong("a quantity").help("write a number, or a text such as \"100 MB\"")
        })
    }

    pub(super) fn number(&self) -> Result<Decimal, Fault> {
        let written = self.quantity()?;
        if written.unit.is_empty() { Ok(written.amount) } else { Err(self.wrong("a plain number")) }
    }

    pub(super) fn positive(&self) -> Result<Decimal, Fault> {
        let number = self.number()?;
        if number > Decimal::ZERO { Ok(number) } else { Err(self.wrong("above 0")) }
    }

    pub(super) fn count(&self) -> Result<u64, Fault> {
        let number = self.number()?;
        let whole = number.fract().is_zero().then(|| u64::try_from(number).ok()).flatten();
        whole.ok_or_else(|| self.wrong("a whole number of at least 0"))
    }

    /// `30 days`, or 30.
    pub(super) fn days(&self) -> Result<u32, Fault> {
        let written = self.quantity()?;
        let unit = matches!(written.unit.as_str(), "" | "day" | "days" | "d");
        let whole = unit && written.amount.fract().is_zero() && written.per.is_empty();
        let days = u32::try_from(written.amount).ok().filter(|days| whole && *days <= 3660);
        days.ok_or_else(|| {
            self.wrong("a number of days").help("write \"30 days\", 3660 is the most")
        })
    }

    pub(super) fn share(&self) -> Result<Decimal, Fault> {
        let text = self.value.as_str().unwrap_or_default();
        let help = "write it in percent and with a point, such as \"1.5 %\"";
        quantity::share(text).ok_or_else(|| self.wrong("a share").help(help))
    }

    pub(super) fn share_or_number(&self) -> Result<Decimal, Fault> {
        if self.is_text() { self.share() } else { self.number() }
    }

    pub(super) fn millis(&self) -> Result<i64, Fault> {
        quantity::duration_ms(self.text()?).ok_or_else(|| {
            self.wrong("a length of time").help("write it with ms, s, min, h or d: \"5 min\"")
        })
    }

    pub(super) fn currency(&self) -> Result<Currency, Fault> {
        let text = self.text()?;
        text.parse().map_err(|error: model::MoneyError| self.fault(error.to_string()))
    }

    pub(super) fn price(&self) -> Result<PriceText, Fault> {
        let text = self.value.as_str().unwrap_or_default();
        quantity::price(text).ok_or_else(|| {
            let help = match quantity::meant_price(text) {
                Some(meant) => format!("write \"{meant}\""),
                None => "write amount, currency and unit, at most 28 digits: \
                         \"0.30 EUR/device/day\""
                    .to_owned(),
            };
            self.wrong("a price").help(help)
        })
    }

    pub(super) fn condition(&self) -> Result<(&'a str, crate::usage::Condition), Fault> {
        let help = "write name, comparison and value: \"temperature > 8 °C\"";
        quantity::condition(self.text()?).ok_or_else(|| self.wrong("a condition").help(help))
    }

    /// An instant: RFC 3339, or a local date, which is its first instant.
    pub(super) fn time(&self, zone: &crate::zone::Zone) -> Result<model::Timestamp, Fault> {
        let text = match self.value.as_datetime() {
            Some(datetime) => datetime.to_string(),
            None => self.text()?.to_owned(),
        };
        let help = "write \"2026-05-11\" or \"2026-05-11T08:00:00Z\"";
        if let Ok(date) = text.parse::<jiff::civil::Date>()
            && text.len() == 10
        {
            return zone.start_of(date).map_err(|e| self.fault(e.to_string()).help(help));
        }
        text.parse().map_err(|_| self.wrong("a date or a time").help(help))
    }

    /// Values by name, as texts.
    pub(super) fn texts(&self) -> Result<BTreeMap<Name, String>, Fault> {
        let mut texts = BTreeMap::new();
        for (key, node) in self.table()?.rest() {
            texts.insert(node.key_name(&key)?, node.text()?.to_owned());
        }
        Ok(texts)
    }
}
