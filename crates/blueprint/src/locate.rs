//! Where an entry stands in a text.
//!
//! *Invariant:* a path that is not in the text has no place; nothing is judged here, so a text with
//! mistakes has places too.

use toml::de::{DeTable, DeValue};

use crate::{Diagnostic, LineCol, codes};

/// Line and column of the value of `device.box.readings.temperature.every`.
#[must_use]
pub fn locate(source: &str, path: &str) -> Option<LineCol> {
    let (table, _) = DeTable::parse_recoverable(source);
    let mut table = table.get_ref();
    let mut parts = path.split('.').peekable();
    loop {
        let (key, value) = table.get_key_value(parts.next()?)?;
        if parts.peek().is_none() {
            // A section has no value that could be pointed at.
            let span = match value.get_ref() {
                DeValue::Table(_) => key.span(),
                DeValue::String(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_) => value.span(),
            };
            let at = crate::source::span(span);
            return Some(Diagnostic::error(codes::SYNTAX, at, "").start(source));
        }
        let DeValue::Table(inner) = value.get_ref() else { return None };
        table = inner;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_found_where_it_stands() {
        let source = "a = 1\n[b.c]\nd = { e = \"x\" }\n";
        assert_eq!(locate(source, "b.c.d.e"), Some(LineCol { line: 3, column: 11 }));
        assert_eq!(locate(source, "b.c"), Some(LineCol { line: 2, column: 4 }));
        assert_eq!(locate(source, "b.x"), None);
    }
}
