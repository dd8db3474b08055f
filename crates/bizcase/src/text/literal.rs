//! Numbers with their `%` and unit, and the ranges between two of them.
//!
//! *Invariant:* a unit belongs to the number before it; the ends of a range share one unit.

use super::ast::{Expr, Node};
use super::lex::Token;
use super::parse::Parser;
use crate::dist::Written;
use crate::error::{Error, Span, misread};
use crate::unit::{Scaled, Unit, word};

#[derive(Clone, Copy)]
pub(super) struct Literal {
    value: f64,
    scaled: Scaled,
    written: Written,
    has_unit: bool,
    span: Span,
}

/// Percent is a division, so that 57 % is 0.57 to the last digit.
fn in_base_units(value: f64, written: Written, scaled: Scaled) -> f64 {
    match written {
        Written::Share => value / 100.0 * scaled.factor,
        Written::Number => value * scaled.factor,
    }
}

impl Parser {
    pub(super) fn at_to(&self) -> bool {
        self.peek() == Some(&Token::Word("to".to_owned()))
    }

    pub(super) fn number(&mut self) -> Result<Expr, Error> {
        let literal = self.literal()?;
        if self.at_to() {
            return self.range(literal);
        }
        let value = in_base_units(literal.value, literal.written, literal.scaled);
        let scale = in_base_units(1.0, literal.written, literal.scaled);
        Self::node(Node::Number { value, unit: literal.scaled.unit, scale }, literal.span, 0)
    }

    pub(super) fn range(&mut self, low: Literal) -> Result<Expr, Error> {
        self.at += 1;
        let high = self.literal()?;
        let span = low.span.to(high.span);
        let low_scale = if low.has_unit { low.scaled } else { high.scaled };
        let high_scale = if high.has_unit { high.scaled } else { low.scaled };
        let share = low.written == Written::Share || high.written == Written::Share;
        let written = if share { Written::Share } else { Written::Number };
        if low_scale.unit != high_scale.unit {
            let reason = format!(
                "the ends have different units, {} and {}",
                low_scale.unit, high_scale.unit
            );
            return misread(span, reason);
        }
        let least = in_base_units(low.value, written, low_scale);
        let most = in_base_units(high.value, written, high_scale);
        let node = Node::Range { low: least, high: most, unit: high_scale.unit, written };
        Self::node(node, span, 0)
    }

    /// A number with `%` and unit.
    pub(super) fn literal(&mut self) -> Result<Literal, Error> {
        let start = self.span();
        let negative = self.take('-');
        let Some(Token::Number(value)) = self.peek().cloned() else {
            return misread(self.span(), "a number is missing here");
        };
        let mut span = start.to(self.span());
        self.at += 1;
        let mut scaled = Scaled { unit: Unit::ONE, factor: 1.0 };
        let mut written = Written::Number;
        let mut has_unit = false;
        if self.peek() == Some(&Token::Mark('%')) {
            span = span.to(self.span());
            self.at += 1;
            written = Written::Share;
            has_unit = true;
        } else if let Some(unit) = self.unit_word(0) {
            span = span.to(self.span());
            self.at += 1;
            scaled = unit;
            has_unit = true;
        }
        while self.peek() == Some(&Token::Mark('/')) {
            // `0.012/year` is a rate; but in `100/s` the letter may well be a name.
            let long = matches!(self.ahead(1), Some(Token::Word(word)) if word.len() > 2);
            let Some(below) = self.unit_word(1).filter(|_| has_unit || long) else { break };
            has_unit = true;
            self.at += 1;
            span = span.to(self.span());
            let Ok(unit) = scaled.unit.per(below.unit) else {
                return misread(span, "two currencies cannot be one unit");
            };
            scaled = Scaled { unit, factor: scaled.factor / below.factor };
            self.at += 1;
        }
        let value = if negative { -value } else { value };
        Ok(Literal { value, scaled, written, has_unit, span })
    }

    /// The unit at `by` tokens ahead; a word before `(` is a function, before `=` a name.
    fn unit_word(&self, by: usize) -> Option<Scaled> {
        let Some(Token::Word(text)) = self.ahead(by) else { return None };
        if matches!(self.ahead(by + 1), Some(Token::Mark('(' | '='))) {
            return None;
        }
        word(text)
    }
}
