//! The parsed expression, each part with its place.
//!
//! *Invariant:* a tree holds at most `expression_nodes_max` nodes, so walking it cannot exhaust the
//! stack.

use crate::{Quantity, Span};

/// A part of an expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub kind: NodeKind,
}

/// What a part can be.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeKind {
    /// `8 °C`
    Number(Quantity),
    /// `"open"`
    Text(String),
    /// `true`
    Boolean(bool),
    /// `31 to 38 EUR/device`: a 90 % interval.
    Range {
        /// The lower end, in the unit of the upper.
        low: Quantity,
        /// The upper end.
        high: Quantity,
    },
    /// `fleet.on_time`
    Path(Vec<Segment>),
    /// `avg(temperature, 10 min)`
    Call {
        /// The function's name.
        function: Segment,
        /// What stands in the parentheses.
        arguments: Vec<Node>,
    },
    /// `not x`, `-x`
    Unary(UnaryOp, Box<Node>),
    /// `a + b`
    Binary(BinaryOp, Box<Node>, Box<Node>),
}

/// One name of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Where it stands.
    pub span: Span,
    /// The name.
    pub name: String,
}

/// Operators with one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-`
    Negate,
    /// `not`
    Not,
}

/// Operators with two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryOp {
    /// `or`
    Or,
    /// `and`
    And,
    /// One of `<`, `<=`, `>`, `>=`, `==`, `!=`.
    Compare(crate::Comparison),
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
}
