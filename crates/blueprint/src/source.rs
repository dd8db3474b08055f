//! TOML with places: sections, typed keys and everything that can be wrong with them.
//!
//! *Invariant:* reading never stops at the first mistake; a value that cannot be read is reported
//! once and left out. Unknown keys are errors, so a typing slip never passes as a wish.
//! The types of values are in `values`.

mod values;

use std::collections::BTreeMap;

use expr::{Reason, Span, nearest, slip};
use model::Name;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::Diagnostic;
use crate::codes;

/// The most entries of one table.
pub(crate) const ENTRIES_MAX: usize = 512;
const DIAGNOSTICS_MAX: usize = 200;

/// Where a key and its value stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) key: Span,
    pub(crate) value: Span,
}

impl Place {
    /// From the key to the end of the value.
    pub(crate) fn entry(self) -> Span {
        if self.value.start >= self.key.end { self.key.to(self.value) } else { self.key }
    }
}

/// Collects findings while a source is read.
#[derive(Debug)]
pub(crate) struct Reader<'s> {
    pub(crate) source: &'s str,
    pub(crate) found: Vec<Diagnostic>,
    places: BTreeMap<String, Place>,
}

/// One table and its path.
#[derive(Debug, Clone)]
pub(crate) struct Section<'s, 't> {
    pub(crate) path: String,
    pub(crate) span: Span,
    table: &'t DeTable<'s>,
}

/// A text value and where its first character stands in the source.
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) span: Span,
    /// Where the text itself starts, when it stands in the source as it is.
    inner: Option<usize>,
}

impl Text {
    /// The place of a span inside the text.
    pub(crate) fn at(&self, span: Span) -> Span {
        self.inner.map_or(self.span, |start| span.shift(start))
    }
}

pub(crate) fn span(range: std::ops::Range<usize>) -> Span {
    Span::new(range.start, range.end)
}

fn value_word(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl<'s> Reader<'s> {
    pub(crate) fn new(source: &'s str) -> Self {
        Self { source, found: Vec::new(), places: BTreeMap::new() }
    }

    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        if self.found.len() < DIAGNOSTICS_MAX {
            self.found.push(diagnostic);
        }
    }

    /// Where `path` stands, the start of the file when nowhere.
    pub(crate) fn place(&self, path: &str) -> Place {
        let start = Place { key: Span::new(0, 0), value: Span::new(0, 0) };
        self.places.get(path).copied().unwrap_or(start)
    }

    /// The span of `key = value` of `path`.
    pub(crate) fn entry(&self, path: &str) -> Span {
        self.place(path).entry()
    }

    pub(crate) fn root<'t>(&self, table: &'t DeTable<'s>) -> Section<'s, 't> {
        Section { path: String::new(), span: Span::new(0, 0), table }
    }

    pub(crate) fn expression(&mut self, text: &Text, error: &expr::Error) {
        let code = match &error.reason {
            Reason::UnknownUnit { .. } => codes::UNKNOWN_UNIT,
            Reason::UnitClash { .. } => codes::UNIT_CLASH,
            Reason::UnknownName { .. } => codes::UNKNOWN_NAME,
            Reason::Type { .. } => codes::TYPE,
            Reason::UnknownFunction { .. } | Reason::Arguments { .. } => codes::CALL,
            Reason::Impossible { .. } => codes::IMPOSSIBLE,
            Reason::NotFinite => codes::NOT_FINITE,
            Reason::Empty
            | Reason::TooLong { .. }
            | Reason::TooComplex { .. }
            | Reason::Character { .. }
            | Reason::Unclosed
            | Reason::Number { .. }
            | Reason::Expected { .. }
            | _ => codes::EXPRESSION,
        };
        let mut diagnostic = Diagnostic::error(code, text.at(error.span), error.to_string());
        diagnostic.label = error.label();
        diagnostic.help.clone_from(&error.help);
        if let Some(point) = with_point(&text.text) {
            diagnostic.help = Some(format!("decimals have a point: {point:?}"));
            diagnostic = diagnostic.put(text.span, format!("{point:?}"));
        }
        self.report(diagnostic);
    }

    pub(crate) fn name(&mut self, text: &str, span: Span) -> Option<Name> {
        match text.parse() {
            Ok(name) => Some(name),
            Err(_) => {
                let message = format!("{text:?} is not a name");
                let plain: String = text
                    .to_lowercase()
                    .chars()
                    .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
                    .collect();
                let mut found = Diagnostic::error(codes::NAME, span, message)
                    .label("use a to z, 0 to 9 and _, starting with a letter");
                if plain.parse::<Name>().is_ok() {
                    found = found.help(format!("write {plain}"));
                }
                self.report(found);
                None
            }
        }
    }
}

impl<'s, 't> Section<'s, 't> {
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub(crate) fn child(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The keys as they stand.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&'t str, Span)> {
        self.table.keys().map(|key| (key.get_ref().as_ref(), span(key.span())))
    }

    fn raw(&self, reader: &mut Reader<'s>, key: &str) -> Option<&'t Spanned<DeValue<'s>>> {
        let (found, value) = self.table.get_key_value(key)?;
        let place = Place { key: span(found.span()), value: span(value.span()) };
        reader.places.insert(self.child(key), place);
        Some(value)
    }

    /// The value under `key`, whatever it is.
    pub(crate) fn value(
        &self,
        reader: &mut Reader<'s>,
        key: &str,
    ) -> Option<(&'t DeValue<'s>, Span)> {
        self.raw(reader, key).map(|value| (value.get_ref(), span(value.span())))
    }

    fn wrong(
        &self,
        reader: &mut Reader<'s>,
        key: &str,
        wanted: &str,
        value: &Spanned<DeValue<'s>>,
    ) {
        let found = value_word(value.get_ref());
        let message = format!("{} must be {wanted}, not {found}", self.child(key));
        let at = reader.place(&self.child(key));
        let at = if matches!(value.get_ref(), DeValue::Table(_)) { at.key } else { at.value };
        reader.report(
            Diagnostic::error(codes::WRONG_TYPE, at, message).label(format!("this is {found}")),
        );
    }

    /// Reports every key that is not in `known`.
    pub(crate) fn only(&self, reader: &mut Reader<'s>, known: &[&str]) {
        for (key, at) in self.keys() {
            if known.contains(&key) {
                continue;
            }
            let what = if self.path.is_empty() { "section or key" } else { "key" };
            let place =
                if self.path.is_empty() { String::new() } else { format!(" in [{}]", self.path) };
            let message = format!("unknown {what} {key:?}{place}");
            let found = Diagnostic::error(codes::UNKNOWN_KEY, at, message);
            let help = match nearest(key, known.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("known here: {}", known.join(", ")),
            };
            let found = found.label("not known here").help(help);
            let meant = slip(key, known.iter().copied()).filter(|word| !self.has(word));
            reader.report(match meant {
                Some(word) => found.put(at, word),
                None => found,
            });
        }
    }

    /// Reports that `key` is missing.
    pub(crate) fn missing(&self, reader: &mut Reader<'s>, key: &str, example: &str) {
        let place = if self.path.is_empty() {
            "the blueprint has no".to_owned()
        } else {
            format!("[{}] has no", self.path)
        };
        let found = Diagnostic::error(codes::MISSING_KEY, self.span, format!("{place} {key}"));
        let found = found.help(format!("add {key} = {example}"));
        // The version is the only key that has but one value.
        let version = self.path.is_empty() && key == "blueprint";
        reader.report(if version {
            found.put(top(reader.source), format!("{key} = {example}\n"))
        } else {
            found
        });
    }

    /// The table under `key`.
    pub(crate) fn section(&self, reader: &mut Reader<'s>, key: &str) -> Option<Section<'s, 't>> {
        let value = self.raw(reader, key)?;
        let place = reader.place(&self.child(key));
        match value.get_ref() {
            DeValue::Table(table) => {
                Some(Section { path: self.child(key), span: place.key, table })
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => {
                self.wrong(reader, key, "a table", value);
                None
            }
        }
    }

    /// The names under this table, in order of name; wrong ones are reported.
    pub(crate) fn names(&self, reader: &mut Reader<'s>) -> Vec<(Name, Span)> {
        if self.table.len() > ENTRIES_MAX {
            let message =
                format!("[{}] has more than entries_max = {ENTRIES_MAX} entries", self.path);
            reader.report(Diagnostic::error(codes::TOO_LARGE, self.span, message));
        }
        let keys = self.keys().take(ENTRIES_MAX);
        keys.filter_map(|(key, at)| Some((reader.name(key, at)?, at))).collect()
    }
}

/// A text in which every comma stands before decimals, with points instead. Three digits behind a
/// comma may be thousands, so that is no certain thing; nor is a comma between arguments.
fn with_point(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes.iter().skip(from).take_while(|b| b.is_ascii_digit()).count();
    let mut commas = bytes.iter().enumerate().filter(|(_, byte)| **byte == b',').peekable();
    commas.peek()?;
    let decimals = commas.all(|(at, _)| {
        let before = at.checked_sub(1).and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
        before && !matches!(digits(at + 1), 0 | 3)
    });
    (decimals && !text.contains('(')).then(|| text.replace(',', "."))
}

/// Where a first key can be put: behind the comments at the top.
pub(crate) fn top(source: &str) -> Span {
    let mut at = 0;
    for line in source.split_inclusive('\n') {
        if !line.trim_start().starts_with('#') || !line.ends_with('\n') {
            break;
        }
        at += line.len();
    }
    Span::new(at, at)
}

/// A text cut to a readable length, in quotes.
pub(crate) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    if short.len() < text.len() { format!("{:?}...", short) } else { format!("{short:?}") }
}
