//! The functions of the language, one row each.
//!
//! *Invariant:* the type checker accepts exactly the names in this table.

/// A function and how it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// What it takes, for messages.
    pub takes: &'static str,
    /// What it gives.
    pub gives: &'static str,
    /// An expression that uses it.
    pub example: &'static str,
}

const fn row(
    name: &'static str,
    takes: &'static str,
    gives: &'static str,
    example: &'static str,
) -> Function {
    Function { name, takes, gives, example }
}

/// Every function, sorted by name.
pub const FUNCTIONS: &[Function] = &[
    row("abs", "a number", "its size without sign", "abs(delta(level, 1 h)) > 2 m"),
    row("avg", "a reading and a duration", "time-weighted mean", "avg(temperature, 10 min) > 8 °C"),
    row("beta", "two shapes", "a beta distribution", "beta(2, 5)"),
    row("ceil", "a plain number", "the next whole number up", "ceil(2.1)"),
    row("clamp", "a number, a smallest and a largest", "the number kept between", "clamp(2, 0, 1)"),
    row("count", "a reading and a duration", "how many readings", "count(lid_open, 1 h) > 20"),
    row("delta", "a reading and a duration", "last minus first", "delta(energy, 1 day) > 5 kWh"),
    row("exp", "a plain number", "e to that power", "exp(1)"),
    row("floor", "a plain number", "the next whole number down", "floor(2.9)"),
    row("greatest", "two or more numbers", "the largest", "greatest(1 h, 50 min)"),
    row("if", "a condition and two values", "one of the values", "if(lid_open, 1, 0)"),
    row("inside", "a position and a zone", "whether it lies inside", "inside(position, depot)"),
    row("least", "two or more numbers", "the smallest", "least(1 h, 50 min)"),
    row("ln", "a plain number", "natural logarithm", "ln(2)"),
    row("log10", "a plain number", "decimal logarithm", "log10(100)"),
    row(
        "lognormal",
        "a low and a high end",
        "a lognormal by its 90 % interval",
        "lognormal(5, 10)",
    ),
    row("max", "a reading and a duration", "largest", "max(temperature, 1 h) > 30 °C"),
    row("min", "a reading and a duration", "smallest", "min(battery, 1 day) < 10 %"),
    row("normal", "a mean and a standard deviation", "a normal distribution", "normal(100, 3)"),
    row("pert", "smallest, most likely, largest", "a PERT distribution", "pert(2, 4, 12)"),
    row("pow", "a number and a whole power from -9 to 9", "the power", "pow(3 m, 2)"),
    row("rate", "a reading and a duration", "change per time", "rate(level, 1 h) > 0.1 m/h"),
    row("round", "a plain number", "the nearest whole number", "round(2.5)"),
    row(
        "silent",
        "a duration, or a linked device and a duration",
        "whether nothing came for that long",
        "silent(30 min)",
    ),
    row("sqrt", "a number", "the square root", "sqrt(9 m2)"),
    row("stddev", "a reading and a duration", "standard deviation", "stddev(level, 1 h) > 1 cm"),
    row("sum", "a reading and a duration", "sum of the readings", "sum(drops, 1 day) > 100"),
    row("triangular", "smallest, most likely, largest", "a triangle", "triangular(2, 4, 12)"),
    row("uniform", "smallest and largest", "a uniform distribution", "uniform(2, 12)"),
];

pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}
