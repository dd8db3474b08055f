//! Calls, folding of constants and the way from a typed tree to operations.
//!
//! *Invariant:* a program that compiles never needs more than `STACK_MAX` values at once.

use std::time::Duration;

use crate::functions::find;
use crate::program::{Binary, Op, STACK_MAX, Unary};
use crate::typing::{Ir, Typed, Typer, binary_ir, expected, join};
use crate::{
    Error, FUNCTIONS, Node, NodeKind, Program, Reason, Scope, Segment, Slot, Span, Type, Unit,
    WindowFunction, nearest, parse,
};

/// What an expression has to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// Anything.
    Any,
    /// True or false.
    Condition,
    /// A number in any unit, certain or not.
    Number,
    /// A number, certain or not, given in this unit.
    In(Unit),
}

/// Parses, checks and compiles one expression.
///
/// # Errors
/// Everything that is wrong with it, in order of place.
pub fn compile(text: &str, scope: &dyn Scope, wanted: &Expected) -> Result<Program, Vec<Error>> {
    let node = parse(text).map_err(|error| vec![error])?;
    let mut typer = Typer { scope, slots: Vec::new(), texts: Vec::new(), errors: Vec::new() };
    let typed = typer.node(&node).and_then(|typed| fit(&mut typer, typed, wanted));
    let Some(typed) = typed.filter(|_| typer.errors.is_empty()) else {
        typer.errors.sort_by_key(|error| error.span);
        return Err(typer.errors);
    };
    let folded = fold(typed.ir);
    if let Ir::Constant(value) = folded
        && !value.is_finite()
    {
        return Err(vec![Error::new(node.span, Reason::NotFinite)]);
    }
    let mut ops = Vec::new();
    if flatten(&folded, &mut ops) > STACK_MAX {
        let reason = Reason::TooComplex { what: "expression_stack_max", max: STACK_MAX };
        return Err(vec![Error::new(node.span, reason)]);
    }
    Ok(Program {
        ops: ops.into(),
        slots: typer.slots.into(),
        texts: typer.texts.into(),
        result: typed.result,
    })
}

/// The value as what was wanted.
fn fit(typer: &mut Typer<'_>, typed: Typed, wanted: &Expected) -> Option<Typed> {
    let span = typed.span;
    match (wanted, &typed.result) {
        (Expected::Any, _)
        | (Expected::Condition, Type::Boolean)
        | (Expected::Number, Type::Number(_) | Type::Spread(_)) => Some(typed),
        (Expected::In(unit), Type::Number(found) | Type::Spread(found)) => {
            let spread = matches!(typed.result, Type::Spread(_));
            let bare_share = found.is_one() && unit.dimension().is_none();
            if !found.is_like(unit) && !bare_share {
                let error =
                    expected(span, &format!("a value in {}", unit.shown()), &typed.result.shown());
                return typer.refuse(error.help(format!(
                    "{} is {}, {} is {}",
                    unit.shown(),
                    unit.dimension(),
                    found.shown(),
                    found.dimension()
                )));
            }
            let result =
                if spread { Type::Spread(unit.clone()) } else { Type::Number(unit.clone()) };
            let from = found.clone();
            let ir = typed.converted(&from, unit);
            Some(typer.typed(ir, result, span))
        }
        (Expected::Condition, _) => {
            let error = expected(span, "a condition", &typed.result.shown());
            typer.refuse(error.help("compare it, for example with > or <"))
        }
        (Expected::Number | Expected::In(_), _) => {
            typer.refuse(expected(span, "a number", &typed.result.shown()))
        }
    }
}

impl Typer<'_> {
    pub(crate) fn call(
        &mut self,
        function: &Segment,
        arguments: &[Node],
        node: &Node,
    ) -> Option<Typed> {
        let Some(row) = find(&function.name) else {
            let reason = Reason::UnknownFunction { name: function.name.clone() };
            let error = Error::new(function.span, reason);
            let known = nearest(&function.name, FUNCTIONS.iter().map(|row| row.name));
            return self.refuse(match known {
                Some(known) => error.help(format!("did you mean {known:?}?")),
                None => error,
            });
        };
        let made = if let Some(window) = WindowFunction::from_name(row.name) {
            self.window(window, arguments, node.span)
        } else {
            match row.name {
                "silent" => self.silent(arguments, node.span),
                "inside" => self.inside(arguments, node.span),
                "pert" | "triangular" | "uniform" | "normal" | "lognormal" | "beta" => {
                    return self.spread(node);
                }
                name => self.arithmetic(name, arguments, node.span),
            }
        };
        let Some(made) = made else {
            let reason =
                Reason::Arguments { function: row.name.to_owned(), takes: row.takes.to_owned() };
            let error = Error::new(node.span, reason);
            return self.refuse(error.help(format!("for example {}", row.example)));
        };
        made.ok()
    }

    /// A duration typed as such.
    fn duration(&mut self, node: &Node) -> Result<Duration, ()> {
        let duration = match &node.kind {
            NodeKind::Number(quantity) => quantity.duration().filter(|d| !d.is_zero()),
            NodeKind::Text(_)
            | NodeKind::Boolean(_)
            | NodeKind::Range { .. }
            | NodeKind::Path(_)
            | NodeKind::Call { .. }
            | NodeKind::Unary(..)
            | NodeKind::Binary(..) => None,
        };
        duration.ok_or_else(|| {
            let error = expected(node.span, "a duration above 0", "something else");
            self.errors.push(error.help("write for example 10 min"));
        })
    }

    /// `None` means: wrong shape, say what the function takes. `Some(Err)`: already said.
    fn window(
        &mut self,
        function: WindowFunction,
        arguments: &[Node],
        span: Span,
    ) -> Option<Result<Typed, ()>> {
        let [reading, over] = arguments else { return None };
        let NodeKind::Path(path) = &reading.kind else { return None };
        Some(self.window_of(function, path, over, span))
    }

    fn window_of(
        &mut self,
        function: WindowFunction,
        path: &[Segment],
        over: &Node,
        span: Span,
    ) -> Result<Typed, ()> {
        let over = self.duration(over);
        let names: Vec<&str> = path.iter().map(|segment| segment.name.as_str()).collect();
        let at = path.iter().map(|s| s.span).reduce(Span::to).unwrap_or(span);
        let Some(found) = self.scope.resolve(&names) else {
            let error = self.unknown_name(path, at);
            self.errors.push(error);
            return Err(());
        };
        let unit = match (&found, function) {
            (_, WindowFunction::Count) => Unit::one(),
            (
                Type::Number(unit),
                WindowFunction::Avg | WindowFunction::Min | WindowFunction::Max,
            ) => unit.clone(),
            (Type::Number(unit), WindowFunction::Delta | WindowFunction::Stddev) => {
                unit.difference()
            }
            (Type::Number(unit), WindowFunction::Rate) => {
                Unit::parse("s").ok().and_then(|s| unit.difference().times(&s, -1)).ok_or(())?
            }
            (Type::Number(unit), WindowFunction::Sum) if !unit.is_point() => unit.clone(),
            (_, _) => {
                self.errors.push(expected(at, "a number that can be summed up", &found.shown()));
                return Err(());
            }
        };
        let slot = self.slot(Slot::Window { function, path: join(path).into(), over: over? });
        Ok(self.typed(Ir::Slot(slot), Type::Number(unit), span))
    }

    fn silent(&mut self, arguments: &[Node], span: Span) -> Option<Result<Typed, ()>> {
        let (link, over) = match arguments {
            [over] => (None, over),
            [Node { kind: NodeKind::Path(path), span }, over] => (Some((path, *span)), over),
            _ => return None,
        };
        let mut name = None;
        if let Some((path, at)) = link {
            let names: Vec<&str> = path.iter().map(|segment| segment.name.as_str()).collect();
            match self.scope.resolve(&names) {
                Some(Type::Link) => name = Some(join(path).into()),
                Some(found) => {
                    let error = expected(at, "a linked device", &found.shown());
                    self.errors.push(error.help("silent(30 min) is about the device itself"));
                    return Some(Err(()));
                }
                None => {
                    let error = self.unknown_name(path, at);
                    self.errors.push(error);
                    return Some(Err(()));
                }
            }
        }
        let Ok(over) = self.duration(over) else { return Some(Err(())) };
        let slot = self.slot(Slot::Silent { link: name, over });
        Some(Ok(self.typed(Ir::Slot(slot), Type::Boolean, span)))
    }

    fn inside(&mut self, arguments: &[Node], span: Span) -> Option<Result<Typed, ()>> {
        let [position, zone] = arguments else { return None };
        let (NodeKind::Path(path), NodeKind::Path(zone)) = (&position.kind, &zone.kind) else {
            return None;
        };
        let names: Vec<&str> = path.iter().map(|segment| segment.name.as_str()).collect();
        let error = match self.scope.resolve(&names) {
            Some(Type::Position) => {
                let slot = self
                    .slot(Slot::Inside { position: join(path).into(), zone: join(zone).into() });
                return Some(Ok(self.typed(Ir::Slot(slot), Type::Boolean, span)));
            }
            Some(found) => expected(position.span, "a position", &found.shown()),
            None => self.unknown_name(path, position.span),
        };
        self.errors.push(error);
        Some(Err(()))
    }

    fn arithmetic(
        &mut self,
        name: &str,
        arguments: &[Node],
        span: Span,
    ) -> Option<Result<Typed, ()>> {
        let made = match (name, arguments) {
            ("abs" | "sqrt" | "exp" | "ln" | "log10" | "round" | "floor" | "ceil", [x]) => {
                self.of_one(name, x, span)
            }
            ("pow", [x, power]) => self.power(x, power, span),
            ("least", [_, _, ..]) => self.best(Binary::Least, arguments, span),
            ("greatest", [_, _, ..]) => self.best(Binary::Greatest, arguments, span),
            ("clamp", [_, _, _]) => self.clamp(arguments, span),
            ("if", [condition, then, otherwise]) => self.choose(condition, then, otherwise, span),
            _ => return None,
        };
        Some(made.ok_or(()))
    }

    fn of_one(&mut self, name: &str, x: &Node, span: Span) -> Option<Typed> {
        let (x, unit) = self.number(x)?;
        let op = match name {
            "abs" => Unary::Abs,
            "sqrt" => Unary::Sqrt,
            "exp" => Unary::Exp,
            "ln" => Unary::Ln,
            "log10" => Unary::Log10,
            "round" => Unary::Round,
            "floor" => Unary::Floor,
            _ => Unary::Ceil,
        };
        let result = match op {
            Unary::Abs if !unit.is_point() => Some(unit.clone()),
            Unary::Sqrt if !unit.is_point() => unit.root(),
            Unary::Abs
            | Unary::Sqrt
            | Unary::Negate
            | Unary::Not
            | Unary::Exp
            | Unary::Ln
            | Unary::Log10
            | Unary::Round
            | Unary::Floor
            | Unary::Ceil
            | Unary::Power(_) => unit.is_one().then(Unit::one),
        };
        let Some(result) = result else {
            let wanted = if op == Unary::Sqrt { "a square" } else { "a plain number" };
            let help = format!("divide by 1 {} first", unit.shown());
            return self.refuse(expected(x.span, wanted, &x.result.shown()).help(help));
        };
        let spread = matches!(x.result, Type::Spread(_));
        let result = if spread { Type::Spread(result) } else { Type::Number(result) };
        Some(self.typed(Ir::Unary(op, Box::new(x.ir)), result, span))
    }

    fn power(&mut self, x: &Node, power: &Node, span: Span) -> Option<Typed> {
        let whole = match &power.kind {
            NodeKind::Number(n) if n.unit.is_one() => {
                (-9_i8..=9).find(|whole| f64::from(*whole).to_bits() == n.value.to_bits())
            }
            NodeKind::Number(_)
            | NodeKind::Text(_)
            | NodeKind::Boolean(_)
            | NodeKind::Range { .. }
            | NodeKind::Path(_)
            | NodeKind::Call { .. }
            | NodeKind::Unary(..)
            | NodeKind::Binary(..) => None,
        };
        let Some(whole) = whole else {
            return self.refuse(expected(power.span, "a whole power from -9 to 9", "another"));
        };
        let (x, unit) = self.number(x)?;
        let Some(raised) = Unit::one().times(&unit, whole).filter(|_| !unit.is_point()) else {
            return self.refuse(expected(x.span, "a unit that can be raised", &x.result.shown()));
        };
        let spread = matches!(x.result, Type::Spread(_));
        let result = if spread { Type::Spread(raised) } else { Type::Number(raised) };
        Some(self.typed(Ir::Unary(Unary::Power(whole), Box::new(x.ir)), result, span))
    }

    fn best(&mut self, op: Binary, arguments: &[Node], span: Span) -> Option<Typed> {
        let mut best: Option<Typed> = None;
        for argument in arguments {
            let next = self.node(argument)?;
            best = Some(match best {
                None => next,
                Some(best) => {
                    let (left, right, result) = self.alike(best, next, "compared")?;
                    self.typed(binary_ir(op, left, right), result, span)
                }
            });
        }
        best
    }

    fn clamp(&mut self, arguments: &[Node], span: Span) -> Option<Typed> {
        let [x, low, high] = arguments else { return None };
        let (x, low, high) = (self.node(x)?, self.node(low)?, self.node(high)?);
        let (left, right, result) = self.alike(x, low, "compared")?;
        let above = self.typed(binary_ir(Binary::Greatest, left, right), result, span);
        let (left, right, result) = self.alike(above, high, "compared")?;
        Some(self.typed(binary_ir(Binary::Least, left, right), result, span))
    }

    fn choose(
        &mut self,
        condition: &Node,
        then: &Node,
        otherwise: &Node,
        span: Span,
    ) -> Option<Typed> {
        let condition = self.condition(condition);
        let (then, otherwise) = (self.node(then)?, self.node(otherwise)?);
        let condition = condition?;
        let (then, otherwise, result) =
            if then.result == Type::Boolean && otherwise.result == Type::Boolean {
                (then.ir, otherwise.ir, Type::Boolean)
            } else {
                self.alike(then, otherwise, "used for one value")?
            };
        let ir = Ir::Choose(Box::new(condition.ir), Box::new(then), Box::new(otherwise));
        Some(self.typed(ir, result, span))
    }
}

fn is_constant(ir: &Ir) -> bool {
    matches!(ir, Ir::Constant(_))
}

/// Everything that needs no slot, computed once.
fn fold(ir: Ir) -> Ir {
    let folded = match ir {
        Ir::Constant(_) | Ir::Slot(_) | Ir::TextIs { .. } => return ir,
        Ir::Unary(op, x) => Ir::Unary(op, Box::new(fold(*x))),
        Ir::Binary(op, a, b) => binary_ir(op, fold(*a), fold(*b)),
        Ir::Choose(c, a, b) => {
            Ir::Choose(Box::new(fold(*c)), Box::new(fold(*a)), Box::new(fold(*b)))
        }
    };
    let known = match &folded {
        Ir::Constant(_) | Ir::Slot(_) | Ir::TextIs { .. } => false,
        Ir::Unary(_, x) => is_constant(x),
        Ir::Binary(_, a, b) => is_constant(a) && is_constant(b),
        Ir::Choose(c, a, b) => is_constant(c) && is_constant(a) && is_constant(b),
    };
    if !known {
        return folded;
    }
    let mut ops = Vec::new();
    flatten(&folded, &mut ops);
    let program = Program {
        ops: ops.into(),
        slots: Box::default(),
        texts: Box::default(),
        result: Type::Boolean,
    };
    program.number(&[][..]).map_or(Ir::Constant(f64::NAN), Ir::Constant)
}

/// Appends the operations; returns how many values they need at once.
fn flatten(ir: &Ir, ops: &mut Vec<Op>) -> usize {
    match ir {
        Ir::Constant(value) => {
            ops.push(Op::Push(*value));
            1
        }
        Ir::Slot(slot) => {
            ops.push(Op::Load(*slot));
            1
        }
        Ir::TextIs { slot, text } => {
            ops.push(Op::TextIs { slot: *slot, text: *text });
            1
        }
        Ir::Unary(op, x) => {
            let depth = flatten(x, ops);
            ops.push(Op::Unary(*op));
            depth
        }
        Ir::Binary(Binary::Compare(comparison), a, b)
            if matches!((&**a, &**b), (Ir::Slot(_), Ir::Constant(_))) =>
        {
            if let (Ir::Slot(slot), Ir::Constant(limit)) = (&**a, &**b) {
                ops.push(Op::Threshold { slot: *slot, comparison: *comparison, limit: *limit });
            }
            1
        }
        Ir::Binary(op, a, b) => {
            let depth = flatten(a, ops).max(1 + flatten(b, ops));
            ops.push(Op::Binary(*op));
            depth
        }
        Ir::Choose(c, a, b) => {
            let depth = flatten(c, ops).max(1 + flatten(a, ops)).max(2 + flatten(b, ops));
            ops.push(Op::Choose);
            depth
        }
    }
}
