//! Types and units of a tree, and its translation to slots and constants.
//!
//! *Invariant:* a value keeps the unit it came in; the other side of a sum or comparison is
//! converted, constants once and for all. So `temperature > 8 °C` compares what the device sent
//! with exactly 8.

use crate::program::{Binary, Unary};
use crate::{
    BinaryOp, Comparison, Error, Node, NodeKind, Quantity, Reason, Scope, Segment, Slot, Span,
    Spread, Type, UnaryOp, Unit, nearest,
};

pub(crate) enum Ir {
    Constant(f64),
    Slot(u16),
    TextIs { slot: u16, text: u16 },
    Unary(Unary, Box<Ir>),
    Binary(Binary, Box<Ir>, Box<Ir>),
    Choose(Box<Ir>, Box<Ir>, Box<Ir>),
}

pub(crate) struct Typed {
    pub(crate) ir: Ir,
    pub(crate) result: Type,
    pub(crate) span: Span,
    /// The number as typed, when there is no arithmetic around it.
    literal: Option<Quantity>,
}

pub(crate) struct Typer<'a> {
    pub(crate) scope: &'a dyn Scope,
    pub(crate) slots: Vec<Slot>,
    pub(crate) texts: Vec<Box<str>>,
    pub(crate) errors: Vec<Error>,
}

impl Typed {
    /// In `to`; a typed decimal stays one, so that 99.9 % is the double nearest to 0.999.
    pub(crate) fn converted(self, from: &Unit, to: &Unit) -> Ir {
        let exact = self.literal.as_ref().and_then(|typed| typed.exact_in(to));
        match exact.and_then(|exact| exact.to_string().parse().ok()) {
            Some(value) if matches!(self.ir, Ir::Constant(_)) => Ir::Constant(value),
            _ => convert(self.ir, from, to),
        }
    }
}

/// A number and whether it is certain.
#[derive(Clone)]
struct Measure {
    unit: Unit,
    spread: bool,
}

impl Measure {
    fn result(self) -> Type {
        if self.spread { Type::Spread(self.unit) } else { Type::Number(self.unit) }
    }
}

pub(crate) fn constant(value: f64) -> Ir {
    Ir::Constant(value)
}

pub(crate) fn binary_ir(op: Binary, left: Ir, right: Ir) -> Ir {
    Ir::Binary(op, Box::new(left), Box::new(right))
}

/// `ir`, in `from`, as a value in `to`; both alike.
pub(crate) fn convert(ir: Ir, from: &Unit, to: &Unit) -> Ir {
    if let Ir::Constant(value) = ir {
        return Ir::Constant(from.convert(value, to).unwrap_or(f64::NAN));
    }
    let (num, den) = from.ratio(to);
    let zero = from.convert(0.0, to).unwrap_or(f64::NAN);
    let mut ir = ir;
    if num.to_bits() != 1.0_f64.to_bits() {
        ir = binary_ir(Binary::Multiply, ir, Ir::Constant(num));
    }
    if den.to_bits() != 1.0_f64.to_bits() {
        ir = binary_ir(Binary::Divide, ir, Ir::Constant(den));
    }
    if zero == 0.0 { ir } else { binary_ir(Binary::Add, ir, Ir::Constant(zero)) }
}

impl Typer<'_> {
    pub(crate) fn refuse<T>(&mut self, error: Error) -> Option<T> {
        self.errors.push(error);
        None
    }

    pub(crate) fn typed(&self, ir: Ir, result: Type, span: Span) -> Typed {
        Typed { ir, result, span, literal: None }
    }

    pub(crate) fn slot(&mut self, slot: Slot) -> u16 {
        let at = self.slots.iter().position(|known| *known == slot).unwrap_or_else(|| {
            self.slots.push(slot);
            self.slots.len() - 1
        });
        // The parser's limit on nodes keeps this far below 65,536.
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    pub(crate) fn node(&mut self, node: &Node) -> Option<Typed> {
        match &node.kind {
            NodeKind::Number(quantity) => Some(Typed {
                ir: constant(quantity.value),
                result: Type::Number(quantity.unit.clone()),
                span: node.span,
                literal: Some(quantity.clone()),
            }),
            NodeKind::Range { .. } => self.spread(node),
            NodeKind::Boolean(value) => {
                let ir = constant(f64::from(u8::from(*value)));
                Some(self.typed(ir, Type::Boolean, node.span))
            }
            NodeKind::Text(_) => {
                let error = expected(node.span, "a number or a condition", "a text");
                self.refuse(error.help("a text can only be compared: state == \"open\""))
            }
            NodeKind::Path(path) => self.path(path, node.span),
            NodeKind::Call { function, arguments } => self.call(function, arguments, node),
            NodeKind::Unary(op, inner) => self.unary(*op, inner, node.span),
            NodeKind::Binary(op, left, right) => self.binary(*op, left, right, node.span),
        }
    }

    pub(crate) fn spread(&mut self, node: &Node) -> Option<Typed> {
        match Spread::from_node(node) {
            Ok(Some(spread)) => {
                let result = Type::Spread(spread.unit.clone());
                let slot = self.slots.len();
                // Two equal ranges are two unknowns, so they never share a slot.
                self.slots.push(Slot::Spread(spread));
                let slot = u16::try_from(slot).unwrap_or(u16::MAX);
                Some(self.typed(Ir::Slot(slot), result, node.span))
            }
            Ok(None) => self.refuse(expected(node.span, "a distribution", "something else")),
            Err(error) => self.refuse(error),
        }
    }

    pub(crate) fn unknown_name(&mut self, path: &[Segment], span: Span) -> Error {
        let name = join(path);
        let names = self.scope.names();
        let error = Error::new(span, Reason::UnknownName { name: name.clone() });
        if let Some(known) = nearest(&name, names.iter().map(String::as_str)) {
            return error.help(format!("did you mean {known:?}?"));
        }
        if names.is_empty() {
            return error;
        }
        let shown: Vec<&str> = names.iter().take(8).map(String::as_str).collect();
        let more = if names.len() > shown.len() { ", ..." } else { "" };
        error.help(format!("known here: {}{more}", shown.join(", ")))
    }

    fn path(&mut self, path: &[Segment], span: Span) -> Option<Typed> {
        let names: Vec<&str> = path.iter().map(|segment| segment.name.as_str()).collect();
        let Some(result) = self.scope.resolve(&names) else {
            let error = self.unknown_name(path, span);
            return self.refuse(error);
        };
        match result {
            Type::Link => {
                let error = expected(span, "a value", "a linked device");
                self.refuse(error.help(format!("name one of its readings: {}.NAME", join(path))))
            }
            Type::Position => {
                let error = expected(span, "a number or a condition", "a position");
                self.refuse(error.help(format!("write inside({}, ZONE)", join(path))))
            }
            Type::Text | Type::Number(_) | Type::Boolean | Type::Spread(_) => {
                let slot = self.slot(Slot::Path(join(path).into()));
                Some(self.typed(Ir::Slot(slot), result, span))
            }
        }
    }

    /// A truth value, or an error.
    pub(crate) fn condition(&mut self, node: &Node) -> Option<Typed> {
        let typed = self.node(node)?;
        if typed.result == Type::Boolean {
            return Some(typed);
        }
        let error = expected(node.span, "a condition", &typed.result.shown());
        self.refuse(error.help("compare it, for example with > or <"))
    }

    /// A number, or an error.
    pub(crate) fn number(&mut self, node: &Node) -> Option<(Typed, Unit)> {
        let typed = self.node(node)?;
        match self.measure(&typed) {
            Some(measure) => Some((typed, measure.unit)),
            None => self.refuse(expected(node.span, "a number", &typed.result.shown())),
        }
    }

    fn measure(&self, typed: &Typed) -> Option<Measure> {
        match &typed.result {
            Type::Number(unit) => Some(Measure { unit: unit.clone(), spread: false }),
            Type::Spread(unit) => Some(Measure { unit: unit.clone(), spread: true }),
            Type::Boolean | Type::Text | Type::Position | Type::Link => None,
        }
    }

    fn unary(&mut self, op: UnaryOp, inner: &Node, span: Span) -> Option<Typed> {
        match op {
            UnaryOp::Not => {
                let inner = self.condition(inner)?;
                let ir = Ir::Unary(Unary::Not, Box::new(inner.ir));
                Some(self.typed(ir, Type::Boolean, span))
            }
            UnaryOp::Negate => {
                let (inner, unit) = self.number(inner)?;
                if unit.is_point() {
                    let shown = unit.shown();
                    return self.refuse(expected(
                        span,
                        "a difference",
                        &format!("{shown}, which has a zero point of its own"),
                    ));
                }
                let ir = Ir::Unary(Unary::Negate, Box::new(inner.ir));
                Some(self.typed(ir, inner.result, span))
            }
        }
    }

    fn binary(&mut self, op: BinaryOp, left: &Node, right: &Node, span: Span) -> Option<Typed> {
        match op {
            BinaryOp::And | BinaryOp::Or => {
                let left = self.condition(left);
                let right = self.condition(right);
                let op = if op == BinaryOp::And { Binary::And } else { Binary::Or };
                let ir = binary_ir(op, left?.ir, right?.ir);
                Some(self.typed(ir, Type::Boolean, span))
            }
            BinaryOp::Compare(comparison) => self.compare(comparison, left, right, span),
            BinaryOp::Add | BinaryOp::Subtract => self.sum(op, left, right, span),
            BinaryOp::Multiply | BinaryOp::Divide => self.product(op, left, right, span),
        }
    }

    fn compare(
        &mut self,
        comparison: Comparison,
        left: &Node,
        right: &Node,
        span: Span,
    ) -> Option<Typed> {
        if let NodeKind::Text(text) = &right.kind {
            return self.text_is(comparison, left, text, span);
        }
        if let NodeKind::Text(text) = &left.kind {
            return self.text_is(comparison, right, text, span);
        }
        let (left, right) = (self.node(left), self.node(right));
        let (left, right) = (left?, right?);
        let equality = matches!(comparison, Comparison::Equal | Comparison::Differs);
        if left.result == Type::Boolean && right.result == Type::Boolean && equality {
            let ir = binary_ir(Binary::Compare(comparison), left.ir, right.ir);
            return Some(self.typed(ir, Type::Boolean, span));
        }
        let (left, right, _) = self.alike(left, right, "compared")?;
        let ir = match (left, right) {
            (left @ Ir::Constant(_), right) if !matches!(right, Ir::Constant(_)) => {
                binary_ir(Binary::Compare(comparison.swapped()), right, left)
            }
            (left, right) => binary_ir(Binary::Compare(comparison), left, right),
        };
        Some(self.typed(ir, Type::Boolean, span))
    }

    fn text_is(
        &mut self,
        comparison: Comparison,
        node: &Node,
        text: &str,
        span: Span,
    ) -> Option<Typed> {
        let typed = self.node(node)?;
        let (Type::Text, Ir::Slot(slot)) = (&typed.result, &typed.ir) else {
            return self.refuse(expected(node.span, "a text", &typed.result.shown()));
        };
        let at = self.texts.len();
        self.texts.push(text.into());
        let ir = Ir::TextIs { slot: *slot, text: u16::try_from(at).unwrap_or(u16::MAX) };
        let ir = match comparison {
            Comparison::Equal => ir,
            Comparison::Differs => Ir::Unary(Unary::Not, Box::new(ir)),
            Comparison::Less | Comparison::AtMost | Comparison::Greater | Comparison::AtLeast => {
                let error = expected(span, "== or !=", &format!("{comparison}"));
                return self.refuse(error.help("texts have no order"));
            }
        };
        Some(self.typed(ir, Type::Boolean, span))
    }

    /// Both sides as numbers of one unit; constants follow the other side.
    pub(crate) fn alike(
        &mut self,
        left: Typed,
        right: Typed,
        action: &'static str,
    ) -> Option<(Ir, Ir, Type)> {
        let (a, b) = match (self.measure(&left), self.measure(&right)) {
            (Some(a), Some(b)) => (a, b),
            (None, _) => {
                return self.refuse(expected(left.span, "a number", &left.result.shown()));
            }
            (_, None) => {
                return self.refuse(expected(right.span, "a number", &right.result.shown()));
            }
        };
        // A bare number beside a share is a trap: does 20 mean 20 % or 2000 %?
        let bare = |typed: &Typed, own: &Unit, other: &Unit| {
            typed.literal.is_some() && own.is_one() && !other.is_one()
        };
        let clash = !a.unit.is_like(&b.unit)
            || bare(&left, &a.unit, &b.unit)
            || bare(&right, &b.unit, &a.unit);
        if clash {
            let span = if left.literal.is_some() && right.literal.is_none() {
                left.span
            } else {
                right.span
            };
            let error = self.clash(span, &left, &right, action);
            return self.refuse(error);
        }
        let spread = a.spread || b.spread;
        let left_is_constant =
            matches!(left.ir, Ir::Constant(_)) && !matches!(right.ir, Ir::Constant(_));
        let (left, right, unit) = if left_is_constant {
            (left.converted(&a.unit, &b.unit), right.ir, b.unit)
        } else {
            (left.ir, right.converted(&b.unit, &a.unit), a.unit)
        };
        Some((left, right, Measure { unit, spread }.result()))
    }

    fn clash(&self, span: Span, left: &Typed, right: &Typed, action: &'static str) -> Error {
        let unit = |typed: &Typed| self.measure(typed).map_or_else(Unit::one, |m| m.unit);
        let (a, b) = (unit(left), unit(right));
        let reason = Reason::UnitClash { left: a.shown(), right: b.shown(), action };
        let error = Error::new(span, reason);
        let (literal, own, other) =
            if right.literal.is_some() { (right, &b, &a) } else { (left, &a, &b) };
        if literal.literal.is_some()
            && own.is_one()
            && let Ir::Constant(value) = literal.ir
        {
            return error.help(format!("write {value} {}", other.shown()));
        }
        if let (Some(one), Some(two)) = (a.dimension().currency(), b.dimension().currency())
            && one != two
        {
            return error.help(format!("{one} is never converted to {two}: use one currency"));
        }
        if own.dimension() == other.dimension() {
            let point = if own.is_point() { own } else { other };
            let difference = point.difference().shown();
            return error.help(format!(
                "{} has a zero point of its own; differences are in {difference}",
                point.shown()
            ));
        }
        error.help(format!(
            "{} is {}, {} is {}",
            a.shown(),
            a.dimension(),
            b.shown(),
            b.dimension()
        ))
    }

    fn sum(&mut self, op: BinaryOp, left: &Node, right: &Node, span: Span) -> Option<Typed> {
        let (left, right) = (self.number(left), self.number(right));
        let ((left, a), (mut right, b)) = (left?, right?);
        let add = op == BinaryOp::Add;
        let binary = if add { Binary::Add } else { Binary::Subtract };
        let action = if add { "added" } else { "subtracted" };
        match (a.is_point(), b.is_point()) {
            (true, true) if add => {
                let error = self.clash(right.span, &left, &right, "added");
                let help =
                    format!("differences of {} are in {}", a.shown(), a.difference().shown());
                self.refuse(error.help(help))
            }
            (true, true) => {
                let (left, right, _) = self.alike(left, right, action)?;
                let ir = binary_ir(binary, left, right);
                Some(self.typed(ir, Type::Number(a.difference()), span))
            }
            (true, false) if b.is_like(&a.difference()) => {
                right.ir = convert(right.ir, &b, &a.difference());
                let ir = binary_ir(binary, left.ir, right.ir);
                Some(self.typed(ir, Type::Number(a), span))
            }
            (false, true) if add && a.is_like(&b.difference()) => {
                let ir = binary_ir(binary, convert(left.ir, &a, &b.difference()), right.ir);
                Some(self.typed(ir, Type::Number(b), span))
            }
            (false, false) | (true, false) | (false, true) => {
                let (left, right, result) = self.alike(left, right, action)?;
                Some(self.typed(binary_ir(binary, left, right), result, span))
            }
        }
    }

    fn product(&mut self, op: BinaryOp, left: &Node, right: &Node, span: Span) -> Option<Typed> {
        let (left, right) = (self.number(left), self.number(right));
        let ((left, a), (right, b)) = (left?, right?);
        let multiply = op == BinaryOp::Multiply;
        for (unit, typed) in [(&a, &left), (&b, &right)] {
            if unit.is_point() {
                let found = format!("{}, which has a zero point of its own", unit.shown());
                let error = expected(typed.span, "a difference or a plain quantity", &found);
                return self.refuse(error.help(format!(
                    "subtract a reference first; the difference is in {}",
                    unit.difference().shown()
                )));
            }
        }
        let Some(unit) = a.times(&b, if multiply { 1 } else { -1 }) else {
            let action = if multiply { "multiplied" } else { "divided" };
            let reason = Reason::UnitClash { left: a.shown(), right: b.shown(), action };
            return self.refuse(Error::new(right.span, reason));
        };
        let spread =
            matches!(left.result, Type::Spread(_)) || matches!(right.result, Type::Spread(_));
        let binary = if multiply { Binary::Multiply } else { Binary::Divide };
        let ir = binary_ir(binary, left.ir, right.ir);
        Some(self.typed(ir, Measure { unit, spread }.result(), span))
    }
}

pub(crate) fn join(path: &[Segment]) -> String {
    let names: Vec<&str> = path.iter().map(|segment| segment.name.as_str()).collect();
    names.join(".")
}

pub(crate) fn expected(span: Span, expected: &str, found: &str) -> Error {
    let reason = Reason::Type { expected: expected.to_owned(), found: found.to_owned() };
    Error::new(span, reason)
}
