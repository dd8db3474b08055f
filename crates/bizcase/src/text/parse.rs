//! Tokens to a tree.
//!
//! Loosest to tightest: `+ -`, `* /`, unary `-`, `^` (to the right), literals and calls. A unit
//! belongs to the number before it.
//!
//! *Invariant:* every node knows its place, and no tree is deeper than [`DEPTH_MAX`].

use super::ast::{Argument, Expr, Node, Operator};
use super::hint;
use super::lex::{Token, lex};
use crate::error::{Error, Span, misread};

/// The deepest tree.
pub(super) const DEPTH_MAX: usize = 128;

pub(super) struct Parser {
    tokens: Vec<(Token, Span)>,
    pub(super) at: usize,
    nesting: usize,
    end: Span,
}

/// Reads a whole text as one expression.
///
/// # Errors
/// The text is not one, with the place where it stops making sense.
pub fn parse(text: &str) -> Result<Expr, Error> {
    let tokens = lex(text)?;
    let end = Span { start: text.len(), end: text.len() };
    let mut parser = Parser { tokens, at: 0, nesting: 0, end };
    // A formula pasted from a spreadsheet begins with its sign.
    parser.take('=');
    let expr = parser.sum()?;
    match parser.tokens.get(parser.at) {
        None => Ok(expr),
        Some((token, span)) => {
            let before = parser.at.checked_sub(1).and_then(|i| parser.tokens.get(i));
            misread(*span, hint::left_over(before.map(|(token, _)| token), token))
        }
    }
}

/// Whether a text uses one of these words.
pub(crate) fn mentions(text: &str, words: &[&str]) -> bool {
    let is_one =
        |token: &Token| matches!(token, Token::Word(word) if words.contains(&word.as_str()));
    lex(text).is_ok_and(|tokens| tokens.iter().any(|(token, _)| is_one(token)))
}

impl Parser {
    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    pub(super) fn ahead(&self, by: usize) -> Option<&Token> {
        self.tokens.get(self.at + by).map(|(token, _)| token)
    }

    pub(super) fn span(&self) -> Span {
        self.tokens.get(self.at).map_or(self.end, |(_, span)| *span)
    }

    pub(super) fn take(&mut self, mark: char) -> bool {
        let found = self.peek() == Some(&Token::Mark(mark));
        self.at += usize::from(found);
        found
    }

    fn close(&mut self, mark: char, after: &str) -> Result<(), Error> {
        if self.take(mark) {
            return Ok(());
        }
        let before = self.at.checked_sub(1).and_then(|i| self.tokens.get(i));
        let reason = match self.peek().and_then(|token| hint::unread(before.map(|b| &b.0), token)) {
            Some(reason) => reason,
            None => format!("{mark:?} is missing {after}"),
        };
        misread(self.span(), reason)
    }

    pub(super) fn node(node: Node, span: Span, below: usize) -> Result<Expr, Error> {
        if below >= DEPTH_MAX {
            return misread(span, format!("nested deeper than DEPTH_MAX = {DEPTH_MAX}"));
        }
        Ok(Expr { node, span, depth: below + 1 })
    }

    fn binary(operator: Operator, left: Expr, right: Expr) -> Result<Expr, Error> {
        let span = left.span.to(right.span);
        let below = left.depth.max(right.depth);
        Self::node(Node::Binary(operator, Box::new(left), Box::new(right)), span, below)
    }

    fn sum(&mut self) -> Result<Expr, Error> {
        let mut left = self.product()?;
        loop {
            let operator = match self.peek() {
                Some(Token::Mark('+')) => Operator::Add,
                Some(Token::Mark('-')) => Operator::Subtract,
                Some(_) | None => return Ok(left),
            };
            self.at += 1;
            left = Self::binary(operator, left, self.product()?)?;
        }
    }

    fn product(&mut self) -> Result<Expr, Error> {
        let mut left = self.unary()?;
        loop {
            let operator = match self.peek() {
                Some(Token::Mark('*')) => Operator::Multiply,
                Some(Token::Mark('/')) => Operator::Divide,
                Some(_) | None => return Ok(left),
            };
            self.at += 1;
            left = Self::binary(operator, left, self.unary()?)?;
        }
    }

    fn unary(&mut self) -> Result<Expr, Error> {
        if self.peek() != Some(&Token::Mark('-')) {
            return self.power();
        }
        let start = self.span();
        if let Some(range) = self.negative_range()? {
            return Ok(range);
        }
        self.at += 1;
        self.enter(start)?;
        let inner = self.unary()?;
        self.nesting -= 1;
        let (span, below) = (start.to(inner.span), inner.depth);
        Self::node(Node::Negate(Box::new(inner)), span, below)
    }

    /// `-5 to 10`: the sign belongs to the lower end, not to the range.
    fn negative_range(&mut self) -> Result<Option<Expr>, Error> {
        let saved = self.at;
        if matches!(self.ahead(1), Some(Token::Number(_))) {
            let low = self.literal()?;
            if self.at_to() {
                return self.range(low).map(Some);
            }
        }
        self.at = saved;
        Ok(None)
    }

    fn enter(&mut self, span: Span) -> Result<(), Error> {
        self.nesting += 1;
        if self.nesting > DEPTH_MAX / 2 {
            return misread(span, format!("nested deeper than DEPTH_MAX / 2 = {}", DEPTH_MAX / 2));
        }
        Ok(())
    }

    fn power(&mut self) -> Result<Expr, Error> {
        let base = self.primary()?;
        if !self.take('^') {
            return Ok(base);
        }
        self.enter(base.span)?;
        let exponent = self.unary()?;
        self.nesting -= 1;
        Self::binary(Operator::Power, base, exponent)
    }

    fn primary(&mut self) -> Result<Expr, Error> {
        let span = self.span();
        let Some(token) = self.peek().cloned() else {
            return misread(span, "a number, a name or a call is missing here");
        };
        match token {
            Token::Number(_) => self.number(),
            Token::Date(days) => {
                self.at += 1;
                Self::node(Node::Date(days), span, 0)
            }
            Token::Word(name) => {
                self.at += 1;
                if self.take('(') {
                    self.call(name, span)
                } else {
                    Self::node(Node::Name(name), span, 0)
                }
            }
            Token::Mark('(') => {
                self.at += 1;
                self.enter(span)?;
                let inner = self.sum()?;
                self.nesting -= 1;
                self.close(')', "after this")?;
                Ok(inner)
            }
            Token::Mark('[') => {
                self.at += 1;
                self.enter(span)?;
                let list = self.list(span);
                self.nesting -= 1;
                list
            }
            Token::Mark(mark) => misread(span, format!("{mark:?} cannot stand here")),
        }
    }

    fn list(&mut self, start: Span) -> Result<Expr, Error> {
        let mut items = Vec::new();
        while self.peek() != Some(&Token::Mark(']')) {
            items.push(self.sum()?);
            if !self.take(',') {
                break;
            }
        }
        let end = self.span();
        self.close(']', "at the end of the list")?;
        let below = items.iter().map(|item| item.depth).max().unwrap_or(0);
        Self::node(Node::List(items), start.to(end), below)
    }

    fn call(&mut self, name: String, start: Span) -> Result<Expr, Error> {
        self.enter(start)?;
        // Spreadsheets shout: NPV is npv.
        let shouted = !name.chars().any(|c| c.is_ascii_lowercase());
        let name = if shouted { name.to_ascii_lowercase() } else { name };
        let mut arguments = Vec::new();
        while self.peek() != Some(&Token::Mark(')')) {
            let named = match (self.peek(), self.ahead(1)) {
                (Some(Token::Word(word)), Some(Token::Mark('='))) => Some(word.clone()),
                (Some(_) | None, _) => None,
            };
            self.at += if named.is_some() { 2 } else { 0 };
            arguments.push(Argument { name: named, value: self.sum()? });
            if !self.take(',') {
                break;
            }
        }
        self.nesting -= 1;
        let end = self.span();
        self.close(')', "at the end of the arguments")?;
        let below = arguments.iter().map(|a| a.value.depth).max().unwrap_or(0);
        let span = start.to(end);
        match name.as_str() {
            "pow" if arguments.len() == 2 => {
                let exponent = arguments.pop().map(|a| a.value);
                let base = arguments.pop().map(|a| a.value);
                match base.zip(exponent) {
                    Some((base, exponent)) => Self::binary(Operator::Power, base, exponent),
                    None => misread(span, "pow takes two numbers"),
                }
            }
            "clamp" if arguments.len() == 3 => {
                let high = arguments.split_off(2);
                let max = Node::Call { name: "max".to_owned(), arguments };
                let inner = Argument { name: None, value: Self::node(max, span, below)? };
                let arguments = vec![inner].into_iter().chain(high).collect();
                Self::node(Node::Call { name: "min".to_owned(), arguments }, span, below + 1)
            }
            _ => Self::node(Node::Call { name, arguments }, span, below),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::Written;
    use proptest::prelude::*;

    fn number(text: &str) -> (f64, String) {
        let Node::Number { value, unit, .. } = parse(text).unwrap().node else { panic!("{text}") };
        (value, unit.to_string())
    }

    #[test]
    fn a_unit_belongs_to_its_number() {
        assert_eq!(number("9 %/year"), (0.09 * (1.0 / 12.0), "1/month".to_owned()));
        assert_eq!(number("57 %").0, 0.57);
        assert_eq!(number("0.30 EUR/device/day").1, "EUR/device/month");
        assert!((number("0.30 EUR/device/day").0 - 9.0).abs() < 1e-12);
        assert_eq!(number("0.012/year"), (0.012 * (1.0 / 12.0), "1/month".to_owned()));
        assert_eq!(number("10 kB"), (0.01, "MB".to_owned()));
    }

    #[test]
    fn a_range_shares_the_unit_behind_it_and_keeps_its_sign() {
        let Node::Range { low, high, written, .. } = parse("10 to 45 %").unwrap().node else {
            panic!()
        };
        assert_eq!((low, high, written), (0.1, 0.45, Written::Share));
        let Node::Range { low, high, .. } = parse("-5 to 10 EUR").unwrap().node else { panic!() };
        assert_eq!((low, high), (-5.0, 10.0));
        assert!(matches!(parse("-5^2").unwrap().node, Node::Negate(_)));
    }

    #[test]
    fn mistakes_are_marked_where_they_are() {
        let text = "npv(10 %, [1, 2)";
        let error = parse(text).unwrap_err();
        expect_test::expect![[r#"
            error: ']' is missing at the end of the list
             --> input:1:16
            1 | npv(10 %, [1, 2)
              |                ^
        "#]]
        .assert_eq(&error.render("input", text));
        assert!(parse("5 EUR to 6 device").is_err());
        assert!(parse("2026-02-30").is_err());
        assert!(parse(&"(".repeat(5000)).is_err());
        assert!(parse(&"1+".repeat(5000)).is_err());
        assert!(parse(&"-".repeat(5000)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused_with_a_place(text in "\\PC{0,60}") {
            if let Err(error) = parse(&text) {
                prop_assert!(error.span().is_some_and(|s| s.start <= s.end && s.end <= text.len()));
                prop_assert!(error.render("input", &text).starts_with("error: "));
            }
        }

        #[test]
        fn any_likely_text_is_parsed_or_refused(
            words in prop::collection::vec(
                prop::sample::select(vec![
                    "1", "2.5e3", "%", "/", "EUR", "month", "to", "(", ")", "[", "]", ",", "-",
                    "^", "npv", "=", "2026-01-01", "x.y", "*",
                ]),
                0..24,
            ),
        ) {
            let text = words.join(" ");
            let _refused = parse(&text).is_err();
        }
    }
}
