//! A formula over usages: `max(energy - own_use, 0) * 1.05`.
//!
//! *Invariant:* it is read in the language of blueprints and computed in exact decimals, so a bill
//! has no float in it. It knows usages, numbers, `+ - * /`, `min`, `max`, `abs`, `ceil`, `floor`
//! and `round`; whatever else the language has is refused when the plan is read.

use std::collections::BTreeSet;

use expr::{BinaryOp, Node, NodeKind, UnaryOp};
use model::Name;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::Error;
use crate::error::{difference, product, quotient, sum};

const WHAT: &str = "formula of a usage";

/// A formula, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formula {
    text: String,
    term: Term,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    Number(Decimal),
    Usage(Name),
    Negate(Box<Term>),
    Pair(Pair, Box<Term>, Box<Term>),
    Call(Function, Vec<Term>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pair {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Min,
    Max,
    Abs,
    Ceil,
    Floor,
    /// Half away from zero.
    Round,
}

impl Formula {
    /// Reads a formula.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let node = expr::parse(text).map_err(|error| match error.help {
            Some(help) => format!("{}: {help}", error.reason),
            None => error.reason.to_string(),
        })?;
        Ok(Self { text: text.to_owned(), term: term(&node)? })
    }

    /// As written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The usages it names.
    #[must_use]
    pub fn usages(&self) -> BTreeSet<Name> {
        let mut names = BTreeSet::new();
        collect(&self.term, &mut names);
        names
    }

    /// Its value, where `of` gives the quantity of a usage.
    ///
    /// # Errors
    /// More than 28 digits, or a division by zero.
    pub fn value(&self, of: &dyn Fn(&Name) -> Decimal) -> Result<Decimal, Error> {
        value(&self.term, of)
    }
}

fn term(node: &Node) -> Result<Term, String> {
    Ok(match &node.kind {
        NodeKind::Number(quantity) => match quantity.unit.to_string().as_str() {
            "1" | "" => Term::Number(quantity.exact),
            "%" => Term::Number(quantity.exact * Decimal::new(1, 2)),
            unit => return Err(format!("{unit}: numbers of a formula are plain or in %")),
        },
        NodeKind::Path(segments) => {
            let name = segments.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(".");
            Term::Usage(name.parse().map_err(|_| format!("{name:?} is no name of a usage"))?)
        }
        NodeKind::Unary(UnaryOp::Negate, of) => Term::Negate(Box::new(term(of)?)),
        NodeKind::Binary(op, left, right) => {
            let pair = match op {
                BinaryOp::Add => Pair::Add,
                BinaryOp::Subtract => Pair::Subtract,
                BinaryOp::Multiply => Pair::Multiply,
                BinaryOp::Divide => Pair::Divide,
                BinaryOp::Or | BinaryOp::And | BinaryOp::Compare(_) => return Err(possible()),
            };
            Term::Pair(pair, Box::new(term(left)?), Box::new(term(right)?))
        }
        NodeKind::Call { function, arguments } => {
            let (function, counts) = match function.name.as_str() {
                "min" => (Function::Min, 1..=16),
                "max" => (Function::Max, 1..=16),
                "abs" => (Function::Abs, 1..=1),
                "ceil" => (Function::Ceil, 1..=1),
                "floor" => (Function::Floor, 1..=1),
                "round" => (Function::Round, 1..=1),
                _ => return Err(possible()),
            };
            if !counts.contains(&arguments.len()) {
                return Err(format!("{} arguments are not possible here", arguments.len()));
            }
            Term::Call(function, arguments.iter().map(term).collect::<Result<_, _>>()?)
        }
        NodeKind::Text(_)
        | NodeKind::Boolean(_)
        | NodeKind::Range { .. }
        | NodeKind::Unary(UnaryOp::Not, _) => return Err(possible()),
    })
}

fn possible() -> String {
    "a formula has usages, numbers, + - * /, min, max, abs, ceil, floor and round".to_owned()
}

fn collect(term: &Term, names: &mut BTreeSet<Name>) {
    match term {
        Term::Number(_) => {}
        Term::Usage(name) => {
            names.insert(name.clone());
        }
        Term::Negate(of) => collect(of, names),
        Term::Pair(_, left, right) => {
            collect(left, names);
            collect(right, names);
        }
        Term::Call(_, arguments) => arguments.iter().for_each(|of| collect(of, names)),
    }
}

fn value(term: &Term, of: &dyn Fn(&Name) -> Decimal) -> Result<Decimal, Error> {
    Ok(match term {
        Term::Number(number) => *number,
        Term::Usage(name) => of(name),
        Term::Negate(inner) => -value(inner, of)?,
        Term::Pair(pair, left, right) => {
            let (left, right) = (value(left, of)?, value(right, of)?);
            match pair {
                Pair::Add => sum(left, right, WHAT)?,
                Pair::Subtract => difference(left, right, WHAT)?,
                Pair::Multiply => product(left, right, WHAT)?,
                Pair::Divide if right.is_zero() => return Err(Error::Zero),
                Pair::Divide => quotient(left, right, WHAT)?,
            }
        }
        Term::Call(function, arguments) => {
            let values: Vec<Decimal> =
                arguments.iter().map(|term| value(term, of)).collect::<Result<_, _>>()?;
            let first = values.first().copied().unwrap_or_default();
            match function {
                Function::Min => values.into_iter().fold(first, Decimal::min),
                Function::Max => values.into_iter().fold(first, Decimal::max),
                Function::Abs => first.abs(),
                Function::Ceil => first.ceil(),
                Function::Floor => first.floor(),
                Function::Round => {
                    first.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero)
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn computed(text: &str) -> Result<String, String> {
        let of = |name: &Name| match name.as_str() {
            "energy" => Decimal::new(1255, 1),
            "idle" => Decimal::from(3),
            _ => Decimal::ZERO,
        };
        let value = Formula::parse(text)?.value(&of);
        value.map(|value| value.normalize().to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_formula_is_computed_in_exact_decimals() {
        for (text, wanted) in [
            ("energy - 0.5 * idle", "124"),
            ("max(energy - 200, 0) * 1.05", "0"),
            ("(energy + idle) / 2", "64.25"),
            ("min(energy, idle, 2.5)", "2.5"),
            ("-idle + 10 %", "-2.9"),
            ("0.1 + 0.2", "0.3"),
            ("ceil(energy) + floor(energy) + round(energy) + abs(-1)", "378"),
        ] {
            assert_eq!(computed(text).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_formula_of_usages_is_refused_in_words() {
        for (text, word) in [
            ("energy >", "expected"),
            ("energy > 3", "a formula has"),
            ("energy + 3 kWh", "plain or in %"),
            ("sqrt(energy)", "a formula has"),
            ("energy / nothing", "divided by 0"),
        ] {
            let error = computed(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
