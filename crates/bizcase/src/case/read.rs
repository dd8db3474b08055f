//! A case file as tables and texts that know their place.
//!
//! *Invariant:* reading never stops at a mistake: it notes it and goes on, so that all mistakes of
//! a file come at once.

use model::Currency;
use toml_edit::{Item, TableLike, Value};

use super::{Finding, FindingKind};
use crate::error::{Error, Span};
use crate::text::{Node, parse};
use crate::unit::Unit;

/// How the source of a price begins that somebody asked for themselves.
pub(super) const OWN_QUOTE: &str = "own quote";

/// Whether a text is one day, `2026-11-20`.
pub(super) fn is_day(text: &str) -> bool {
    parse(text.trim()).is_ok_and(|tree| matches!(tree.node, Node::Date(_)))
}

/// A table and the dotted path it stands under.
#[derive(Clone)]
pub(super) struct Section<'a> {
    pub(super) path: String,
    pub(super) table: &'a dyn TableLike,
    pub(super) span: Span,
}

/// A text of the file.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) text: String,
    pub(super) span: Span,
    /// Where the text itself starts, if no escape stands between the file and the text.
    pub(super) inner: Option<usize>,
}

/// Reads a file and keeps what it finds wrong.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) findings: Vec<Finding>,
    pub(super) notes: Vec<String>,
    pub(super) currency: Currency,
}

impl<'a> Section<'a> {
    pub(super) fn child(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub(super) fn keys(&self) -> Vec<&'a str> {
        self.table.iter().map(|(key, _)| key).collect()
    }

    fn key_span(&self, key: &str) -> Span {
        let at = self.table.get_key_value(key).and_then(|(key, _)| key.span());
        at.map_or(self.span, span)
    }
}

pub(super) fn span(range: std::ops::Range<usize>) -> Span {
    Span { start: range.start, end: range.end }
}

impl<'a> Reader<'a> {
    pub(super) fn refuse(
        &mut self,
        key: &str,
        at: Span,
        reason: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.findings.push(Finding::new(self.text, key, at, reason.into(), fix.into()));
    }

    /// A table inside a table; a finding if it is something else.
    pub(super) fn section(&mut self, from: &Section<'a>, key: &str) -> Option<Section<'a>> {
        let item = from.table.get(key)?;
        let path = from.child(key);
        let at = item.span().map_or_else(|| from.key_span(key), span);
        match item.as_table_like() {
            Some(table) => Some(Section { path, table, span: at }),
            None => {
                let fix = format!("write [{path}] and its keys below");
                self.refuse(&path, at, "this has to be a table", fix);
                None
            }
        }
    }

    /// A text, or a bare number as it is written.
    pub(super) fn entry(&mut self, from: &Section<'a>, key: &str) -> Option<Entry> {
        let item = from.table.get(key)?;
        let path = from.child(key);
        let at = item.span().map_or_else(|| from.key_span(key), span);
        let raw = self.text.get(at.start..at.end).unwrap_or_default();
        let plain = !raw.contains('\\') && !raw.starts_with("\"\"\"") && !raw.starts_with("'''");
        match item {
            // What is measured of an input stands beside its value.
            Item::Value(Value::InlineTable(_)) | Item::Table(_)
                if item.as_table_like().is_some_and(|table| table.contains_key("value")) =>
            {
                let inner = self.section(from, key)?;
                self.only(&inner, &["value", "actual", "source", "as_of"]);
                self.sourced(&inner);
                self.entry(&inner, "value")
            }
            Item::Value(Value::String(text)) => Some(Entry {
                key: path,
                text: text.value().clone(),
                span: at,
                inner: plain.then_some(at.start + 1),
            }),
            Item::Value(Value::Integer(_) | Value::Float(_)) => Some(Entry {
                key: path,
                text: raw.replace('_', ""),
                span: at,
                inner: Some(at.start),
            }),
            Item::Value(_) | Item::None | Item::Table(_) | Item::ArrayOfTables(_) => {
                let fix = format!("write {key} = \"31 to 38 EUR/device\" or the like");
                self.refuse(&path, at, "this has to be a text with a number and its unit", fix);
                None
            }
        }
    }

    /// A few words, such as a source.
    pub(super) fn words(&mut self, from: &Section<'a>, key: &str) -> Option<String> {
        let item = from.table.get(key)?;
        if let Some(text) = item.as_str() {
            return Some(text.to_owned());
        }
        // A TOML date is as good as words.
        let raw = item.span().and_then(|at| self.text.get(at));
        raw.map(str::to_owned)
    }

    /// Who says so, and when. An own quote is worth nothing without its day.
    pub(super) fn sourced(&mut self, from: &Section<'a>) -> Option<String> {
        let (source, as_of) = (self.words(from, "source"), self.words(from, "as_of"));
        let own = source.as_ref().is_some_and(|source| source.trim().starts_with(OWN_QUOTE));
        let dated = as_of.as_ref().is_some_and(|day| is_day(day));
        if own && !dated {
            let reason = match &as_of {
                Some(day) => format!("{day:?} is not the day of an own quote"),
                None => "an own quote has no day".to_owned(),
            };
            let fix = "write as_of = \"2026-11-20\", the day it was made";
            self.refuse(&from.child("as_of"), from.span, reason, fix);
        }
        match (source, as_of) {
            (Some(source), Some(date)) => Some(format!("{source}, {date}")),
            (source, date) => source.or(date),
        }
    }

    pub(super) fn only(&mut self, section: &Section<'a>, known: &[&str]) {
        for key in section.keys() {
            if known.contains(&key) {
                continue;
            }
            let at = section.key_span(key);
            let near = expr::nearest(key, known.iter().copied());
            let fix = match near {
                Some(near) => format!("did you mean {near}?"),
                None => format!("use one of {}", known.join(", ")),
            };
            self.refuse(&section.child(key), at, "nothing here has this name", fix);
        }
    }

    pub(super) fn missing(&mut self, section: &Section<'a>, key: &str, example: &str) {
        let fix = format!("write {key} = {example}");
        let (path, reason) = (section.child(key), format!("{key} is missing"));
        self.lacks(&path, section.span, reason, fix);
    }

    /// Something without which the case cannot run, but which is not wrong.
    pub(super) fn lacks(
        &mut self,
        key: &str,
        at: Span,
        reason: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let found = Finding::new(self.text, key, at, reason.into(), fix.into());
        self.findings.push(Finding { kind: FindingKind::Missing, ..found });
    }

    /// The place of an error inside an entry.
    pub(super) fn at(entry: &Entry, inside: Span) -> Span {
        entry.inner.map_or(entry.span, |start| inside.shifted(start))
    }

    pub(super) fn wrong(&mut self, entry: &Entry, error: &Error, example: &str) {
        let at = error.span().map_or(entry.span, |inside| Self::at(entry, inside));
        let fix = format!("write it like {} = {example}", last(&entry.key));
        self.refuse(&entry.key, at, error.to_string(), fix);
    }

    /// A constant in the wanted unit.
    pub(super) fn constant(&mut self, entry: &Entry, unit: Unit, example: &str) -> Option<f64> {
        // The sign belongs to the number, whatever the language makes of it.
        let (sign, digits) = match entry.text.trim_start().strip_prefix('-') {
            Some(rest) => (-1.0, rest),
            None => (1.0, entry.text.as_str()),
        };
        match parse(digits) {
            Ok(tree) => match tree.node {
                Node::Number { value, unit: found, .. } if found == unit => Some(sign * value),
                Node::Number { unit: found, .. } => {
                    let reason = format!("this is {}, not {}", named(found), named(unit));
                    let fix = format!("write {} = {example}", last(&entry.key));
                    self.refuse(&entry.key, entry.span, reason, fix);
                    None
                }
                Node::Range { .. }
                | Node::Date(_)
                | Node::List(_)
                | Node::Name(_)
                | Node::Call { .. }
                | Node::Negate(_)
                | Node::Binary(..) => {
                    let fix = format!("write {} = {example}", last(&entry.key));
                    self.refuse(&entry.key, entry.span, "this has to be one fixed number", fix);
                    None
                }
            },
            Err(error) => {
                self.wrong(entry, &error, example);
                None
            }
        }
    }

    /// `month 12`, `12 months`, or `1 year`.
    pub(super) fn month(&mut self, from: &Section<'a>, key: &str) -> Option<u32> {
        let entry = self.entry(from, key)?;
        let text = entry.text.trim();
        let years = text.strip_suffix("years").or_else(|| text.strip_suffix("year"));
        let number = text.strip_prefix("month").or_else(|| text.strip_suffix("months"));
        let number = years.or(number).unwrap_or(text).trim().parse::<u32>().ok();
        let number = number.and_then(|n| n.checked_mul(if years.is_some() { 12 } else { 1 }));
        let found = number.filter(|month| *month <= super::HORIZON_MAX);
        if found.is_none() {
            let reason = format!("{:?} is not a month of the case", entry.text);
            let example = if key == "every" { "36 months" } else { "month 12" };
            self.refuse(&entry.key, entry.span, reason, format!("write {key} = \"{example}\""));
        }
        found
    }
}

pub(super) fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

pub(super) fn named(unit: Unit) -> String {
    if unit.is_one() { "a bare number".to_owned() } else { format!("in {unit}") }
}
