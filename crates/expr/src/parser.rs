//! Tokens to a tree, by recursive descent.
//!
//! *Invariant:* depth and size are bounded, so no text can exhaust the stack; the first error ends
//! the parse.
//!
//! ```text
//! or      = and ("or" and)*
//! and     = not ("and" not)*
//! not     = "not" not | compare
//! compare = sum (("<"|"<="|">"|">="|"=="|"!=") sum)?
//! sum     = product (("+"|"-") product)*
//! product = unary (("*"|"/") unary)*
//! unary   = "-" unary | primary
//! primary = number unit? ("to" number unit?)? | text | "true" | "false" | path | call | "(" or ")"
//! ```
//! A unit follows its number; its parts are written without spaces (`EUR/device/day`).

use crate::lexer::{Spanned, Token, lex};
use crate::{
    BinaryOp, Comparison, Error, Node, NodeKind, Quantity, Reason, Segment, Span, UnaryOp, Unit,
};

/// The longest expression, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 4096;
const NODES_MAX: usize = 512;
const DEPTH_MAX: usize = 48;
const KEYWORDS: &[&str] = &["and", "or", "not", "to", "true", "false"];

/// Unit symbols with their places and powers.
pub(crate) type Words<'a> = Vec<(Span, &'a str, i8)>;

pub(crate) struct Parser<'a> {
    tokens: Vec<Spanned<'a>>,
    at: usize,
    nodes: usize,
    depth: usize,
}

/// Parses one expression.
///
/// # Errors
/// The first thing that is not in the grammar.
pub fn parse(text: &str) -> Result<Node, Error> {
    let mut parser = Parser::new(text)?;
    let node = parser.or()?;
    parser.end()?;
    Ok(node)
}

/// The words of a unit and their powers, with the span of all.
pub(crate) fn unit_words(text: &str) -> Result<(Words<'_>, Span), Error> {
    let mut parser = Parser::new(text)?;
    let whole = Span::new(0, text.len());
    let words = match parser.tokens.as_slice() {
        [Spanned { token: Token::Number("1"), .. }, Spanned { token: Token::End, .. }] => {
            parser.at += 1;
            Vec::new()
        }
        [Spanned { token: Token::Number("1"), .. }, ..] => {
            parser.at += 1;
            parser.unit_tail()
        }
        _ => parser.unit()?.ok_or_else(|| parser.expected("a unit"))?,
    };
    parser.end()?;
    Ok((words, whole))
}

impl<'a> Parser<'a> {
    pub(crate) fn new(text: &'a str) -> Result<Self, Error> {
        let whole = Span::new(0, text.len());
        if text.len() > EXPRESSION_BYTES_MAX {
            let reason = Reason::TooLong { bytes: text.len(), max: EXPRESSION_BYTES_MAX };
            return Err(Error::new(whole, reason));
        }
        if text.trim().is_empty() {
            return Err(Error::new(whole, Reason::Empty));
        }
        Ok(Self { tokens: lex(text)?, at: 0, nodes: 0, depth: 0 })
    }

    fn peek(&self) -> &Token<'a> {
        self.tokens.get(self.at).map_or(&Token::End, |spanned| &spanned.token)
    }

    fn span(&self) -> Span {
        self.tokens.get(self.at).or_else(|| self.tokens.last()).map(|t| t.span).unwrap_or_default()
    }

    fn last_span(&self) -> Span {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        before.map(|t| t.span).unwrap_or_default()
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(s) if *s == symbol);
        self.at += usize::from(found);
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(w) if *w == word);
        self.at += usize::from(found);
        found
    }

    fn found(&self) -> String {
        match self.peek() {
            Token::Number(text) | Token::Word(text) => format!("{text:?}"),
            Token::Text(text) => format!("the text {text:?}"),
            Token::Symbol(symbol) => format!("{symbol:?}"),
            Token::End => "the end".to_owned(),
        }
    }

    fn expected(&self, what: &str) -> Error {
        let reason = Reason::Expected { expected: what.to_owned(), found: self.found() };
        Error::new(self.span(), reason)
    }

    pub(crate) fn end(&self) -> Result<(), Error> {
        if *self.peek() == Token::End {
            return Ok(());
        }
        let error = self.expected("an operator or the end");
        let decimal_comma = matches!(self.peek(), Token::Symbol(","))
            && matches!(self.tokens.get(self.at + 1).map(|t| &t.token), Some(Token::Number(_)));
        let chained = matches!(self.peek(), Token::Symbol("<" | "<=" | ">" | ">=" | "==" | "!="));
        Err(if decimal_comma {
            error.help("write decimals with a point, and thousands without a separator")
        } else if chained {
            error.help("join two comparisons with and")
        } else {
            error
        })
    }

    fn node(&mut self, span: Span, kind: NodeKind) -> Result<Node, Error> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let reason = Reason::TooComplex { what: "expression_nodes_max", max: NODES_MAX };
            return Err(Error::new(span, reason));
        }
        Ok(Node { span, kind })
    }

    fn deeper<T>(&mut self, f: fn(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth == DEPTH_MAX {
            let reason = Reason::TooComplex { what: "expression_depth_max", max: DEPTH_MAX };
            return Err(Error::new(self.span(), reason));
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }

    fn binary(&mut self, op: BinaryOp, left: Node, right: Node) -> Result<Node, Error> {
        let span = left.span.to(right.span);
        self.node(span, NodeKind::Binary(op, Box::new(left), Box::new(right)))
    }

    fn or(&mut self) -> Result<Node, Error> {
        let mut left = self.and()?;
        while self.eat_word("or") {
            let right = self.and()?;
            left = self.binary(BinaryOp::Or, left, right)?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Node, Error> {
        let mut left = self.not()?;
        while self.eat_word("and") {
            let right = self.not()?;
            left = self.binary(BinaryOp::And, left, right)?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Node, Error> {
        let start = self.span();
        if self.eat_word("not") {
            let inner = self.deeper(Self::not)?;
            let span = start.to(inner.span);
            return self.node(span, NodeKind::Unary(UnaryOp::Not, Box::new(inner)));
        }
        self.compare()
    }

    fn compare(&mut self) -> Result<Node, Error> {
        let left = self.sum()?;
        match self.comparison() {
            Some(comparison) => {
                let right = self.sum()?;
                self.binary(BinaryOp::Compare(comparison), left, right)
            }
            None => Ok(left),
        }
    }

    pub(crate) fn comparison(&mut self) -> Option<Comparison> {
        let comparison = match self.peek() {
            Token::Symbol("<") => Comparison::Less,
            Token::Symbol("<=") => Comparison::AtMost,
            Token::Symbol(">") => Comparison::Greater,
            Token::Symbol(">=") => Comparison::AtLeast,
            Token::Symbol("==") => Comparison::Equal,
            Token::Symbol("!=") => Comparison::Differs,
            Token::Number(_) | Token::Word(_) | Token::Text(_) | Token::Symbol(_) | Token::End => {
                return None;
            }
        };
        self.at += 1;
        Some(comparison)
    }

    fn sum(&mut self) -> Result<Node, Error> {
        let mut left = self.product()?;
        loop {
            let op = if self.eat("+") {
                BinaryOp::Add
            } else if self.eat("-") {
                BinaryOp::Subtract
            } else {
                return Ok(left);
            };
            let right = self.product()?;
            left = self.binary(op, left, right)?;
        }
    }

    fn product(&mut self) -> Result<Node, Error> {
        let mut left = self.unary()?;
        loop {
            let op = if self.eat("*") {
                BinaryOp::Multiply
            } else if self.eat("/") {
                BinaryOp::Divide
            } else {
                return Ok(left);
            };
            let right = self.unary()?;
            left = self.binary(op, left, right)?;
        }
    }

    fn unary(&mut self) -> Result<Node, Error> {
        let start = self.span();
        let next_is_number =
            matches!(self.tokens.get(self.at + 1).map(|t| &t.token), Some(Token::Number(_)));
        if *self.peek() == Token::Symbol("-") && !next_is_number {
            self.at += 1;
            let inner = self.deeper(Self::unary)?;
            let span = start.to(inner.span);
            return self.node(span, NodeKind::Unary(UnaryOp::Negate, Box::new(inner)));
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Node, Error> {
        let start = self.span();
        if let Some(low) = self.quantity()? {
            if !self.eat_word("to") {
                return self.node(low.span, NodeKind::Number(low));
            }
            let high = self.quantity()?.ok_or_else(|| self.expected("a number"))?;
            return self.range(low, high);
        }
        if let Token::Text(text) = self.peek() {
            let text = text.clone();
            self.at += 1;
            return self.node(start, NodeKind::Text(text));
        }
        if self.eat_word("true") {
            return self.node(start, NodeKind::Boolean(true));
        }
        if self.eat_word("false") {
            return self.node(start, NodeKind::Boolean(false));
        }
        if self.eat("(") {
            let inner = self.deeper(Self::or)?;
            if !self.eat(")") {
                return Err(self.expected("\")\""));
            }
            return Ok(inner);
        }
        self.path_or_call()
    }

    fn path_or_call(&mut self) -> Result<Node, Error> {
        let mut path = vec![self.segment()?];
        while self.eat(".") {
            path.push(self.segment()?);
        }
        let start = path.first().map(|s| s.span).unwrap_or_default();
        if path.len() == 1 && self.eat("(") {
            let arguments = self.arguments()?;
            let span = start.to(self.last_span());
            let function = path.swap_remove(0);
            return self.node(span, NodeKind::Call { function, arguments });
        }
        self.node(start.to(self.last_span()), NodeKind::Path(path))
    }

    fn segment(&mut self) -> Result<Segment, Error> {
        let span = self.span();
        let word = match self.peek() {
            Token::Word(word) if !KEYWORDS.contains(word) => *word,
            Token::Word(_) | Token::Number(_) | Token::Text(_) | Token::Symbol(_) | Token::End => {
                return Err(self.expected("a number, a name or a parenthesis"));
            }
        };
        let plain = word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !plain {
            let error = self.expected("a name in snake_case");
            let lower = word.to_lowercase();
            let fixable = lower.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            return Err(if fixable { error.help(format!("write {lower}")) } else { error });
        }
        self.at += 1;
        Ok(Segment { span, name: word.to_owned() })
    }

    fn arguments(&mut self) -> Result<Vec<Node>, Error> {
        let mut arguments = Vec::new();
        if self.eat(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.deeper(Self::or)?);
            if self.eat(")") {
                return Ok(arguments);
            }
            if !self.eat(",") {
                return Err(self.expected("\",\" or \")\""));
            }
        }
    }

    /// A number with sign and unit, when the next token begins one.
    pub(crate) fn quantity(&mut self) -> Result<Option<Quantity>, Error> {
        let start = self.at;
        let span = self.span();
        let negative = self.eat("-");
        let Token::Number(digits) = self.peek() else {
            self.at = start;
            return Ok(None);
        };
        let digits = *digits;
        self.at += 1;
        let number = Span::new(span.start, self.last_span().end);
        let refused = || Error::new(number, Reason::Number { text: digits.to_owned() });
        let plain: String = digits.chars().filter(|c| *c != '_').collect();
        let exact = if plain.contains(['e', 'E']) {
            rust_decimal::Decimal::from_scientific(&plain)
        } else {
            plain.parse()
        };
        let exact = exact.map_err(|_| refused().help("use at most 28 digits"))?;
        let value: f64 = plain.parse().map_err(|_| refused())?;
        let words = self.unit()?;
        let unit = match &words {
            Some(words) => {
                let span = words.iter().map(|(span, ..)| *span).reduce(Span::to);
                Unit::from_words(words, span.unwrap_or(number))?
            }
            None => Unit::one(),
        };
        let (exact, value) = if negative { (-exact, -value) } else { (exact, value) };
        let span = Span::new(span.start, self.last_span().end);
        Ok(Some(Quantity { value, exact, unit, span }))
    }

    /// The unit after a number: words joined by `/` or `.` without spaces.
    fn unit(&mut self) -> Result<Option<Words<'a>>, Error> {
        let first = self.span();
        match self.peek() {
            Token::Word(word) if !KEYWORDS.contains(word) => {
                let mut words = vec![(first, *word, 1)];
                self.at += 1;
                words.append(&mut self.unit_tail());
                Ok(Some(words))
            }
            Token::Symbol("/") => {
                // `0.012/year`, but not `100 / x` and not `1/asked`, where a name follows.
                let known = |p: &Self| {
                    p.joined("/").is_some_and(|(_, word)| {
                        Unit::from_words(&[(first, word, 1)], first).is_ok()
                    })
                };
                if known(self) { Ok(Some(self.unit_tail())) } else { Ok(None) }
            }
            Token::Word(_) | Token::Number(_) | Token::Text(_) | Token::Symbol(_) | Token::End => {
                Ok(None)
            }
        }
    }

    /// The word after `symbol`, when both touch what is before them.
    fn joined(&self, symbol: &str) -> Option<(Span, &'a str)> {
        let before = self.last_span();
        let joint = self.tokens.get(self.at)?;
        let next = self.tokens.get(self.at + 1)?;
        let touching = joint.span.start == before.end && next.span.start == joint.span.end;
        match (&joint.token, &next.token) {
            (Token::Symbol(found), Token::Word(word)) if *found == symbol && touching => {
                Some((next.span, word))
            }
            _ => None,
        }
    }

    fn unit_tail(&mut self) -> Words<'a> {
        let mut words = Vec::new();
        loop {
            let (span, word, power) = if let Some((span, word)) = self.joined("/") {
                (span, word, -1)
            } else if let Some((span, word)) = self.joined(".") {
                (span, word, 1)
            } else {
                return words;
            };
            words.push((span, word, power));
            self.at += 2;
        }
    }

    /// A 90 % interval; a low end without unit takes the unit of the high end.
    fn range(&mut self, mut low: Quantity, high: Quantity) -> Result<Node, Error> {
        let span = low.span.to(high.span);
        if low.unit.is_one() {
            low.unit = high.unit.clone();
        } else if low.unit != high.unit {
            let Some(value) = low.unit.convert(low.value, &high.unit) else {
                let reason = Reason::UnitClash {
                    left: low.unit.shown(),
                    right: high.unit.shown(),
                    action: "the ends of one range",
                };
                return Err(Error::new(high.span, reason));
            };
            low.exact = rust_decimal::Decimal::try_from(value).unwrap_or(low.exact);
            low.value = value;
            low.unit = high.unit.clone();
        }
        if low.value >= high.value {
            let why = format!("{} is not below {}", low.value, high.value);
            let error = Error::new(span, Reason::Impossible { why });
            return Err(if low.value > high.value {
                error.help(format!("write {} to {} {}", high.value, low.value, high.unit.shown()))
            } else {
                error.help(format!("write {} alone if it is certain", high.value))
            });
        }
        self.node(span, NodeKind::Range { low, high })
    }
}
