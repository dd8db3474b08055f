//! Values that stand alone in a blueprint: quantities, spreads and bars.
//!
//! *Invariant:* `exact` is the decimal as typed, so money never passes through a float. A spread is
//! possible: its ends are in order and inside what its family can reach.

use std::fmt;
use std::time::Duration;

use rust_decimal::Decimal;

use crate::parser::Parser;
use crate::{Comparison, Error, Node, NodeKind, Reason, Span, Unit, parse};

/// A number with a unit, as typed.
#[derive(Debug, Clone)]
pub struct Quantity {
    /// The number.
    pub value: f64,
    /// The number, exact.
    pub exact: Decimal,
    /// Its unit, 1 when none was written.
    pub unit: Unit,
    /// Where it stands.
    pub span: Span,
}

impl PartialEq for Quantity {
    /// Same value in the same unit, wherever it stands.
    fn eq(&self, other: &Self) -> bool {
        self.exact == other.exact && self.unit == other.unit
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unit.is_one() {
            return write!(f, "{}", self.exact);
        }
        write!(f, "{} {}", self.exact, self.unit.shown())
    }
}

/// A threshold: `>= 30 %`.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// On which side.
    pub comparison: Comparison,
    /// Of what.
    pub quantity: Quantity,
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.comparison, self.quantity)
    }
}

/// How a value that is not known exactly is distributed, in the unit of its [`Spread`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Family {
    /// Known.
    Constant(f64),
    /// Positive; 5 % lie below `low`, 5 % above `high`.
    Lognormal {
        /// 5th percentile.
        low: f64,
        /// 95th percentile.
        high: f64,
    },
    /// A range across zero; 5 % lie below `low`, 5 % above `high`.
    Normal {
        /// 5th percentile.
        low: f64,
        /// 95th percentile.
        high: f64,
    },
    /// A share between 0 and 1; 5 % lie below `low`, 5 % above `high` (in the unit typed).
    BetaInterval {
        /// 5th percentile.
        low: f64,
        /// 95th percentile.
        high: f64,
    },
    /// Beta with shape parameters, on 0 to 1.
    Beta {
        /// First shape.
        alpha: f64,
        /// Second shape.
        beta: f64,
    },
    /// PERT: alpha = 1 + 4(mode-min)/(max-min), beta = 1 + 4(max-mode)/(max-min).
    Pert {
        /// Smallest.
        min: f64,
        /// Most likely.
        mode: f64,
        /// Largest.
        max: f64,
    },
    /// Triangular.
    Triangular {
        /// Smallest.
        min: f64,
        /// Most likely.
        mode: f64,
        /// Largest.
        max: f64,
    },
    /// Every value between is as likely.
    Uniform {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// Normal with moments.
    Gaussian {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        sd: f64,
    },
}

/// A value that may not be known exactly, with its unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// How it is distributed.
    pub family: Family,
    /// In which unit.
    pub unit: Unit,
}

impl Quantity {
    /// Reads `8 °C`.
    ///
    /// # Errors
    /// Anything but one number with its unit.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut parser = Parser::new(text)?;
        let Some(quantity) = parser.quantity()? else {
            return Err(not_a(text, "a number with a unit"));
        };
        parser.end()?;
        Ok(quantity)
    }

    /// The value in `unit`, when they are alike.
    #[must_use]
    pub fn in_unit(&self, unit: &Unit) -> Option<f64> {
        self.unit.convert(self.value, unit)
    }

    /// The exact value in `unit`, when they are alike and no decimal overflows.
    #[must_use]
    pub fn exact_in(&self, unit: &Unit) -> Option<Decimal> {
        if !self.unit.is_like(unit) {
            return None;
        }
        if self.unit.is_point() {
            return (self.unit == *unit).then_some(self.exact);
        }
        let (num, den) = self.unit.ratio(unit);
        let scaled = self.exact.checked_mul(Decimal::try_from(num).ok()?)?;
        scaled.checked_div(Decimal::try_from(den).ok()?)
    }

    /// As a length of time, when it is one.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.unit.duration(self.value)
    }
}

impl Bar {
    /// Reads `>= 30 %`.
    ///
    /// # Errors
    /// Anything but a comparison and a number with its unit.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut parser = Parser::new(text)?;
        let Some(comparison) = parser.comparison() else {
            return Err(not_a(text, "a bar such as \">= 30 %\""));
        };
        let quantity = parser.quantity()?.ok_or_else(|| not_a(text, "a number after the sign"))?;
        parser.end()?;
        Ok(Self { comparison, quantity })
    }
}

fn not_a(text: &str, expected: &str) -> Error {
    let reason = Reason::Expected { expected: expected.to_owned(), found: format!("{text:?}") };
    Error::new(Span::new(0, text.len()), reason)
}

fn impossible(span: Span, why: String) -> Error {
    Error::new(span, Reason::Impossible { why })
}

impl Spread {
    /// Reads `31 to 38 EUR/device`, `pert(2, 4, 12)` or a plain quantity.
    ///
    /// # Errors
    /// Anything else, and distributions that cannot be.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::from_node(&parse(text)?)?
            .ok_or_else(|| not_a(text, "a number, a range or a distribution"))
    }

    /// From a parsed part; `None` when it is something else.
    pub(crate) fn from_node(node: &Node) -> Result<Option<Self>, Error> {
        match &node.kind {
            NodeKind::Number(quantity) => Ok(Some(Self {
                family: Family::Constant(quantity.value),
                unit: quantity.unit.clone(),
            })),
            NodeKind::Range { low, high } => Self::interval(low, high, node.span).map(Some),
            NodeKind::Call { function, arguments } => {
                Self::call(&function.name, arguments, node.span)
            }
            NodeKind::Text(_)
            | NodeKind::Boolean(_)
            | NodeKind::Path(_)
            | NodeKind::Unary(..)
            | NodeKind::Binary(..) => Ok(None),
        }
    }

    /// A typed range: shares become beta, positive ranges lognormal, ranges across zero normal.
    fn interval(low: &Quantity, high: &Quantity, span: Span) -> Result<Self, Error> {
        let unit = high.unit.clone();
        let (low, high) = (low.value, high.value);
        if low == 0.0 || high == 0.0 {
            let why = "5 % of a range cannot lie below 0 when it ends there".to_owned();
            let help = format!("write uniform({low} {unit}, {high} {unit}), or an end off zero");
            return Err(impossible(span, why).help(help));
        }
        let share = unit.shown().starts_with('%') && low > 0.0 && high < 100.0;
        let family = if share {
            Family::BetaInterval { low, high }
        } else if low > 0.0 {
            Family::Lognormal { low, high }
        } else {
            Family::Normal { low, high }
        };
        Ok(Self { family, unit })
    }

    fn call(name: &str, arguments: &[Node], span: Span) -> Result<Option<Self>, Error> {
        let takes = match name {
            "pert" | "triangular" => 3,
            "uniform" | "normal" | "lognormal" | "beta" => 2,
            _ => return Ok(None),
        };
        let mut quantities = Vec::new();
        for argument in arguments {
            let NodeKind::Number(quantity) = &argument.kind else {
                let reason = Reason::Expected {
                    expected: "a number".to_owned(),
                    found: "an expression".to_owned(),
                };
                return Err(Error::new(argument.span, reason));
            };
            quantities.push(quantity.clone());
        }
        if quantities.len() != takes {
            let takes = format!("{takes} numbers");
            let reason = Reason::Arguments { function: name.to_owned(), takes };
            return Err(Error::new(span, reason));
        }
        let unit = quantities.last().map_or_else(Unit::one, |last| last.unit.clone());
        let mut numbers = [0.0; 3];
        for (number, quantity) in numbers.iter_mut().zip(&quantities) {
            // The last unit counts for all that have none, as in a range.
            *number = if quantity.unit.is_one() {
                quantity.value
            } else {
                quantity.in_unit(&unit).ok_or_else(|| {
                    let reason = Reason::UnitClash {
                        left: quantity.unit.shown(),
                        right: unit.shown(),
                        action: "used in one distribution",
                    };
                    Error::new(quantity.span, reason)
                })?
            };
        }
        let family = family(name, numbers, span)?;
        Ok(Some(Self { family, unit }))
    }

    /// Its median for constants, lognormal and normal; its mode or the middle of it otherwise.
    #[must_use]
    pub fn central(&self) -> f64 {
        match self.family {
            Family::Constant(value) => value,
            Family::Lognormal { low, high } => libm::sqrt(low * high),
            Family::Normal { low, high } | Family::BetaInterval { low, high } => {
                f64::midpoint(low, high)
            }
            Family::Beta { alpha, beta } => alpha / (alpha + beta),
            Family::Pert { mode, .. } | Family::Triangular { mode, .. } => mode,
            Family::Uniform { min, max } => f64::midpoint(min, max),
            Family::Gaussian { mean, .. } => mean,
        }
    }

    /// Which distribution was chosen, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        let unit =
            if self.unit.is_one() { String::new() } else { format!(" {}", self.unit.shown()) };
        match self.family {
            Family::Constant(value) => format!("exactly {value}{unit}"),
            Family::Lognormal { low, high } => {
                format!("lognormal, 90 % between {low} and {high}{unit}")
            }
            Family::Normal { low, high } => format!("normal, 90 % between {low} and {high}{unit}"),
            Family::BetaInterval { low, high } => {
                format!("beta, 90 % between {low} and {high}{unit}")
            }
            Family::Beta { alpha, beta } => format!("beta({alpha}, {beta})"),
            Family::Pert { min, mode, max } => {
                format!("PERT, {min} to {max}{unit}, most likely {mode}")
            }
            Family::Triangular { min, mode, max } => {
                format!("triangular, {min} to {max}{unit}, most likely {mode}")
            }
            Family::Uniform { min, max } => format!("uniform between {min} and {max}{unit}"),
            Family::Gaussian { mean, sd } => {
                format!("normal, mean {mean}{unit}, standard deviation {sd}")
            }
        }
    }
}

fn family(name: &str, [a, b, c]: [f64; 3], span: Span) -> Result<Family, Error> {
    let refuse = |why: String| Err(impossible(span, why));
    match name {
        "pert" | "triangular" => {
            if a >= c || b < a || b > c {
                return refuse(format!("{b} must lie between {a} and {c}, and {a} below {c}"));
            }
            Ok(if name == "pert" {
                Family::Pert { min: a, mode: b, max: c }
            } else {
                Family::Triangular { min: a, mode: b, max: c }
            })
        }
        "uniform" if a >= b => refuse(format!("{a} is not below {b}")),
        "uniform" => Ok(Family::Uniform { min: a, max: b }),
        "normal" if b <= 0.0 => refuse(format!("the standard deviation {b} is not above 0")),
        "normal" => Ok(Family::Gaussian { mean: a, sd: b }),
        "lognormal" if a <= 0.0 || a >= b => {
            refuse(format!("a lognormal needs 0 < low < high, not {a} and {b}"))
        }
        "lognormal" => Ok(Family::Lognormal { low: a, high: b }),
        _ if a <= 0.0 || b <= 0.0 => refuse(format!("beta({a}, {b}) needs shapes above 0")),
        _ => Ok(Family::Beta { alpha: a, beta: b }),
    }
}
