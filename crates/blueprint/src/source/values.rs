//! The value under a key, by its type: text, number, quantity, formula, one of some words, a name.
//!
//! *Invariant:* a value of another type is reported once, with its place, and left out.

use std::time::Duration;

use expr::{Bar, Expected, Quantity, Scope, Span, Spread, Unit, nearest, slip};
use model::Name;
use toml::Spanned;
use toml::de::DeValue;

use super::{Reader, Section, Text, quoted, span};
use crate::codes;
use crate::{Diagnostic, Edit, Fix, Formula};

/// The longest text of one value.
const TEXT_CHARS_MAX: usize = 2000;

impl<'s> Section<'s, '_> {
    /// As [`Self::wrong`]; a right value that stands in quotes loses them.
    fn unquote(
        &self,
        reader: &mut Reader<'s>,
        key: &str,
        wanted: &str,
        value: &Spanned<DeValue<'s>>,
    ) {
        self.wrong(reader, key, wanted, value);
        let DeValue::String(text) = value.get_ref() else { return };
        let flag = wanted == "true or false";
        let fits = if flag { text.parse::<bool>().is_ok() } else { text.parse::<u32>().is_ok() };
        if fits && let Some(found) = reader.found.last_mut() {
            let at = span(value.span());
            let words = text.to_string();
            found.help = Some(format!("write {key} = {words}"));
            found.fix = Some(Fix { edits: vec![Edit { span: at, text: words }] });
        }
    }

    pub(crate) fn text(&self, reader: &mut Reader<'s>, key: &str) -> Option<Text> {
        let value = self.raw(reader, key)?;
        let DeValue::String(text) = value.get_ref() else {
            self.wrong(reader, key, "a text", value);
            return None;
        };
        let whole = span(value.span());
        if text.chars().count() > TEXT_CHARS_MAX {
            let message =
                format!("{} is longer than text_chars_max = {TEXT_CHARS_MAX}", self.child(key));
            reader.report(Diagnostic::error(codes::TOO_LARGE, whole, message));
            return None;
        }
        let raw = whole.text(reader.source);
        let quoted = |quote: usize| {
            let inner = raw.get(quote..raw.len().checked_sub(quote)?)?;
            (inner == text.as_ref()).then_some(whole.start + quote)
        };
        let inner = quoted(1).or_else(|| quoted(3));
        Some(Text { text: text.to_string(), span: whole, inner })
    }

    pub(crate) fn words(&self, reader: &mut Reader<'s>, key: &str) -> Option<String> {
        self.text(reader, key).map(|text| text.text)
    }

    pub(crate) fn whole(&self, reader: &mut Reader<'s>, key: &str) -> Option<u64> {
        let value = self.raw(reader, key)?;
        if let DeValue::Integer(number) = value.get_ref()
            && let Ok(whole) = u64::from_str_radix(number.as_str(), number.radix())
        {
            return Some(whole);
        }
        self.unquote(reader, key, "a whole number from 0", value);
        None
    }

    pub(crate) fn flag(&self, reader: &mut Reader<'s>, key: &str) -> Option<bool> {
        let value = self.raw(reader, key)?;
        if let DeValue::Boolean(flag) = value.get_ref() {
            return Some(*flag);
        }
        self.unquote(reader, key, "true or false", value);
        None
    }

    /// A number as a TOML number, or a text with a unit.
    pub(crate) fn quantity(&self, reader: &mut Reader<'s>, key: &str) -> Option<(Quantity, Span)> {
        let value = self.raw(reader, key)?;
        let at = span(value.span());
        match value.get_ref() {
            DeValue::Integer(_) | DeValue::Float(_) => {
                let digits = at.text(reader.source).trim_start_matches('+');
                match Quantity::parse(digits) {
                    Ok(quantity) => Some((quantity, at)),
                    Err(_) => {
                        self.wrong(reader, key, "a decimal number", value);
                        None
                    }
                }
            }
            DeValue::String(_) => {
                let text = self.text(reader, key)?;
                match Quantity::parse(&text.text) {
                    Ok(quantity) => Some((quantity, at)),
                    Err(error) => {
                        reader.expression(&text, &error);
                        None
                    }
                }
            }
            DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                self.wrong(reader, key, "a number", value);
                None
            }
        }
    }

    pub(crate) fn duration(&self, reader: &mut Reader<'s>, key: &str) -> Option<Duration> {
        let (quantity, at) = self.quantity(reader, key)?;
        let duration = quantity.duration().filter(|duration| !duration.is_zero());
        if duration.is_none() {
            let message = format!("{} must be a duration above 0, not {quantity}", self.child(key));
            let found = Diagnostic::error(codes::WRONG_TYPE, at, message);
            reader.report(found.help(format!("write for example {key} = \"10 min\"")));
        }
        duration
    }

    /// A quantity in the dimension of `unit`; the unit typed is kept.
    pub(crate) fn quantity_like(
        &self,
        reader: &mut Reader<'s>,
        key: &str,
        unit: &Unit,
    ) -> Option<Quantity> {
        let (quantity, at) = self.quantity(reader, key)?;
        if quantity.unit.is_like(unit) {
            return Some(quantity);
        }
        let message = format!(
            "{} must be in {}, not in {}",
            self.child(key),
            unit.shown(),
            quantity.unit.shown()
        );
        let found = Diagnostic::error(codes::UNIT_CLASH, at, message);
        reader.report(found.help(format!("write for example {key} = \"1 {}\"", unit.shown())));
        None
    }

    pub(crate) fn spread(&self, reader: &mut Reader<'s>, key: &str) -> Option<Spread> {
        let text = self.text(reader, key)?;
        match Spread::parse(&text.text) {
            Ok(spread) => Some(spread),
            Err(error) => {
                reader.expression(&text, &error);
                None
            }
        }
    }

    pub(crate) fn bar(&self, reader: &mut Reader<'s>, key: &str) -> Option<Bar> {
        let text = self.text(reader, key)?;
        match Bar::parse(&text.text) {
            Ok(bar) => Some(bar),
            Err(error) => {
                reader.expression(&text, &error);
                None
            }
        }
    }

    pub(crate) fn formula(
        &self,
        reader: &mut Reader<'s>,
        key: &str,
        scope: &dyn Scope,
        wanted: &Expected,
    ) -> Option<Formula> {
        let text = self.text(reader, key)?;
        match expr::compile(&text.text, scope, wanted) {
            Ok(program) => Some(Formula::new(text.text, program)),
            Err(errors) => {
                for error in &errors {
                    reader.expression(&text, error);
                }
                None
            }
        }
    }

    /// One of a closed list of words.
    pub(crate) fn choice<T: Copy>(
        &self,
        reader: &mut Reader<'s>,
        key: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(reader, key)?;
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text.text) {
            return Some(*choice);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let message = format!("{} is not a {key} known here", quoted(&text.text));
        let help = match nearest(&text.text, words.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("use one of {}", words.join(", ")),
        };
        let found = Diagnostic::error(codes::CHOICE, text.span, message).help(help);
        reader.report(match slip(&text.text, words) {
            Some(word) => found.put(text.span, format!("{word:?}")),
            None => found,
        });
        None
    }

    /// The name of something in `known`.
    pub(crate) fn reference<'k>(
        &self,
        reader: &mut Reader<'s>,
        key: &str,
        what: &str,
        known: impl IntoIterator<Item = &'k Name>,
    ) -> Option<Name> {
        let text = self.text(reader, key)?;
        let known: Vec<&str> = known.into_iter().map(Name::as_str).collect();
        if known.contains(&text.text.as_str()) {
            return text.text.parse().ok();
        }
        let message = format!("there is no {what} {}", quoted(&text.text));
        let help = match nearest(&text.text, known.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None if known.is_empty() => format!("no {what} is defined yet"),
            None => format!("known: {}", known.join(", ")),
        };
        let found = Diagnostic::error(codes::REFERENCE, text.span, message).help(help);
        // Names are the author's own: only another way of writing the same one is certain.
        let mut same = known.iter().filter(|name| plain(name) == plain(&text.text));
        reader.report(match (same.next(), same.next()) {
            (Some(name), None) => found.put(text.span, format!("{name:?}")),
            _ => found,
        });
        None
    }
}

/// Letters and digits alone.
fn plain(name: &str) -> String {
    name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect()
}
