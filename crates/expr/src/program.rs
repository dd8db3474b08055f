//! A compiled expression: a short list of operations over numbered slots.
//!
//! *Invariant:* evaluation allocates nothing, cannot fail and cannot loop; its stack depth is known
//! when it is compiled.
//!
//! A missing value is NaN and spreads: a comparison with it is missing, `and` and `or` follow
//! Kleene's three-valued logic, so `false and missing` is false. Booleans are 1 and 0.
//!
//! Windows, silence and zones are slots too: whoever runs the program keeps their state.

use std::fmt;
use std::time::Duration;

use crate::{Spread, Type};

pub(crate) const STACK_MAX: usize = 32;

/// A sign between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
    /// `!=`
    Differs,
}

impl Comparison {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::Equal => "==",
            Self::Differs => "!=",
        }
    }

    /// The sign when both sides change places.
    #[must_use]
    pub const fn swapped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::AtMost => Self::AtLeast,
            Self::Greater => Self::Less,
            Self::AtLeast => Self::AtMost,
            Self::Equal => Self::Equal,
            Self::Differs => Self::Differs,
        }
    }

    /// Whether it holds for larger values.
    #[must_use]
    pub const fn is_upward(self) -> bool {
        matches!(self, Self::Greater | Self::AtLeast)
    }

    /// Whether it holds for smaller values.
    #[must_use]
    pub const fn is_downward(self) -> bool {
        matches!(self, Self::Less | Self::AtMost)
    }

    /// Whether `left` and `right` stand so; NaN on either side never does.
    #[must_use]
    #[expect(clippy::float_cmp, reason = "== of the language is exact, as its page says")]
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::Greater => left > right,
            Self::AtLeast => left >= right,
            Self::Equal => left == right,
            Self::Differs => left != right,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is computed over the readings of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WindowFunction {
    /// Time-weighted mean.
    Avg,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Sum of the readings.
    Sum,
    /// How many.
    Count,
    /// Last minus first.
    Delta,
    /// Change per second.
    Rate,
    /// Standard deviation.
    Stddev,
}

impl WindowFunction {
    /// By its name in the language.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "avg" => Some(Self::Avg),
            "min" => Some(Self::Min),
            "max" => Some(Self::Max),
            "sum" => Some(Self::Sum),
            "count" => Some(Self::Count),
            "delta" => Some(Self::Delta),
            "rate" => Some(Self::Rate),
            "stddev" => Some(Self::Stddev),
            _ => None,
        }
    }
}

/// Something whoever evaluates fills in.
#[derive(Debug, Clone, PartialEq)]
pub enum Slot {
    /// The value of a name such as `temperature` or `base.signal`, in the unit its scope gave.
    Path(Box<str>),
    /// A window over a reading.
    Window {
        /// What is computed.
        function: WindowFunction,
        /// The reading.
        path: Box<str>,
        /// How far back.
        over: Duration,
    },
    /// Whether nothing came for `over`.
    Silent {
        /// From the device behind this link; from the device itself when absent.
        link: Option<Box<str>>,
        /// For how long.
        over: Duration,
    },
    /// Whether a position lies in a zone.
    Inside {
        /// The reading.
        position: Box<str>,
        /// The zone's name.
        zone: Box<str>,
    },
    /// A drawn value of a spread; the engine that simulates draws it.
    Spread(Spread),
}

/// The values of slots, now.
pub trait Env {
    /// The number in `slot`, 1 or 0 for true or false, NaN when missing.
    fn number(&self, slot: usize) -> f64;

    /// The text in `slot`, if it is one.
    fn text(&self, slot: usize) -> Option<&str> {
        let _ = slot;
        None
    }
}

impl Env for [f64] {
    fn number(&self, slot: usize) -> f64 {
        self.get(slot).copied().unwrap_or(f64::NAN)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Unary {
    Negate,
    Not,
    Abs,
    Sqrt,
    Exp,
    Ln,
    Log10,
    Round,
    Floor,
    Ceil,
    Power(i8),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    And,
    Or,
    Least,
    Greatest,
    Compare(Comparison),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Op {
    Push(f64),
    Load(u16),
    /// The common alarm: one slot against one number.
    Threshold {
        slot: u16,
        comparison: Comparison,
        limit: f64,
    },
    TextIs {
        slot: u16,
        text: u16,
    },
    Unary(Unary),
    Binary(Binary),
    /// condition, then, otherwise -> one of them
    Choose,
}

/// A comparison of one slot with one number, in the slot's unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold<'a> {
    /// What is compared.
    pub slot: &'a Slot,
    /// How.
    pub comparison: Comparison,
    /// With what.
    pub limit: f64,
}

/// A compiled expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    pub(crate) ops: Box<[Op]>,
    pub(crate) slots: Box<[Slot]>,
    pub(crate) texts: Box<[Box<str>]>,
    pub(crate) result: Type,
}

#[expect(clippy::fn_params_excessive_bools, reason = "the truth value is the subject")]
fn truth(condition: bool) -> f64 {
    f64::from(u8::from(condition))
}

fn compare(comparison: Comparison, left: f64, right: f64) -> f64 {
    if left.is_nan() || right.is_nan() { f64::NAN } else { truth(comparison.holds(left, right)) }
}

fn unary(op: Unary, x: f64) -> f64 {
    match op {
        Unary::Negate => -x,
        Unary::Not => 1.0 - x,
        Unary::Abs => libm::fabs(x),
        Unary::Sqrt => libm::sqrt(x),
        Unary::Exp => libm::exp(x),
        Unary::Ln => libm::log(x),
        Unary::Log10 => libm::log10(x),
        Unary::Round => libm::round(x),
        Unary::Floor => libm::floor(x),
        Unary::Ceil => libm::ceil(x),
        Unary::Power(power) => {
            let raised = (0..power.unsigned_abs()).fold(1.0, |product, _| product * x);
            if power < 0 { 1.0 / raised } else { raised }
        }
    }
}

fn binary(op: Binary, left: f64, right: f64) -> f64 {
    let missing = left.is_nan() || right.is_nan();
    match op {
        Binary::Add => left + right,
        Binary::Subtract => left - right,
        Binary::Multiply => left * right,
        Binary::Divide => left / right,
        Binary::And if left == 0.0 || right == 0.0 => 0.0,
        Binary::And => left * right,
        Binary::Or if left == 1.0 || right == 1.0 => 1.0,
        Binary::Or => left + right,
        Binary::Least | Binary::Greatest if missing => f64::NAN,
        Binary::Least => left.min(right),
        Binary::Greatest => left.max(right),
        Binary::Compare(comparison) => compare(comparison, left, right),
    }
}

/// The stack of one evaluation. Indices are masked: `STACK_MAX` is a power of two and the depth was
/// checked when the program was compiled.
struct Stack {
    values: [f64; STACK_MAX],
    depth: usize,
}

impl Stack {
    fn push(&mut self, value: f64) {
        self.values[self.depth % STACK_MAX] = value;
        self.depth += 1;
    }

    fn pop(&mut self) -> f64 {
        self.depth = self.depth.wrapping_sub(1);
        self.values[self.depth % STACK_MAX]
    }
}

impl Program {
    /// What the slots are, in order of their numbers.
    #[must_use]
    pub const fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The type of the result.
    #[must_use]
    pub const fn result(&self) -> &Type {
        &self.result
    }

    /// The value when nothing has to be filled in.
    #[must_use]
    pub fn constant(&self) -> Option<f64> {
        if self.slots.is_empty() { self.number(&[][..]) } else { None }
    }

    /// The whole program as one comparison of a slot with a number, if it is one.
    #[must_use]
    pub fn threshold(&self) -> Option<Threshold<'_>> {
        let [Op::Threshold { slot, comparison, limit }] = *self.ops else { return None };
        let slot = self.slots.get(usize::from(slot))?;
        Some(Threshold { slot, comparison, limit })
    }

    /// The value as a number; `None` when something is missing or it is not finite.
    pub fn number<E: Env + ?Sized>(&self, env: &E) -> Option<f64> {
        Some(self.run(env)).filter(|value| value.is_finite())
    }

    /// The value as true or false; `None` when something is missing.
    pub fn truth<E: Env + ?Sized>(&self, env: &E) -> Option<bool> {
        let value = self.run(env);
        (!value.is_nan()).then_some(value != 0.0)
    }

    fn run<E: Env + ?Sized>(&self, env: &E) -> f64 {
        if let [Op::Threshold { slot, comparison, limit }] = *self.ops {
            return compare(comparison, env.number(usize::from(slot)), limit);
        }
        let mut stack = Stack { values: [0.0; STACK_MAX], depth: 0 };
        for op in &self.ops {
            let value = match *op {
                Op::Push(value) => value,
                Op::Load(slot) => env.number(usize::from(slot)),
                Op::Threshold { slot, comparison, limit } => {
                    compare(comparison, env.number(usize::from(slot)), limit)
                }
                Op::TextIs { slot, text } => self.text_is(env, slot, text),
                Op::Unary(op) => unary(op, stack.pop()),
                Op::Binary(op) => {
                    let right = stack.pop();
                    binary(op, stack.pop(), right)
                }
                Op::Choose => {
                    let (otherwise, then) = (stack.pop(), stack.pop());
                    let condition = stack.pop();
                    if condition.is_nan() {
                        f64::NAN
                    } else if condition != 0.0 {
                        then
                    } else {
                        otherwise
                    }
                }
            };
            stack.push(value);
        }
        stack.pop()
    }

    fn text_is<E: Env + ?Sized>(&self, env: &E, slot: u16, text: u16) -> f64 {
        let wanted = self.texts.get(usize::from(text));
        env.text(usize::from(slot))
            .zip(wanted)
            .map_or(f64::NAN, |(found, wanted)| truth(*found == **wanted))
    }
}
