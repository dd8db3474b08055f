//! The tree of an expression: what can stand in one, and where.
//!
//! *Invariant:* every node knows its place in the text.

use crate::dist::Written;
use crate::error::Span;
use crate::unit::Unit;

/// A node and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub node: Node,
    /// Where it stands.
    pub span: Span,
    pub(super) depth: usize,
}

/// Two-sided operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// Sum.
    Add,
    /// Difference.
    Subtract,
    /// Product.
    Multiply,
    /// Quotient.
    Divide,
    /// Power.
    Power,
}

/// An argument of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// The name before `=`, if any.
    pub name: Option<String>,
    /// The value.
    pub value: Expr,
}

/// What a node can be.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A number in base units.
    Number {
        /// In base units.
        value: f64,
        /// The reduced unit.
        unit: Unit,
        /// Base units in one as written.
        scale: f64,
    },
    /// A 90 % interval in base units.
    Range {
        /// 5th percentile.
        low: f64,
        /// 95th percentile.
        high: f64,
        /// The reduced unit.
        unit: Unit,
        /// With or without `%`.
        written: Written,
    },
    /// Days since 1970-01-01.
    Date(i64),
    /// Square brackets.
    List(Vec<Expr>),
    /// A name.
    Name(String),
    /// A call.
    Call {
        /// Of what.
        name: String,
        /// With what.
        arguments: Vec<Argument>,
    },
    /// Unary minus.
    Negate(Box<Expr>),
    /// An operator between two.
    Binary(Operator, Box<Expr>, Box<Expr>),
}

/// The names a tree looks up, with their places, in order.
pub(crate) fn names(expr: &Expr, found: &mut Vec<(String, Span)>) {
    match &expr.node {
        Node::Name(name) => found.push((name.clone(), expr.span)),
        Node::List(items) => items.iter().for_each(|item| names(item, found)),
        Node::Call { arguments, .. } => arguments.iter().for_each(|a| names(&a.value, found)),
        Node::Negate(inner) => names(inner, found),
        Node::Binary(_, left, right) => {
            names(left, found);
            names(right, found);
        }
        Node::Number { .. } | Node::Range { .. } | Node::Date(_) => {}
    }
}
