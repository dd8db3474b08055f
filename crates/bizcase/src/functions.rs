//! The documented library behind `eval`: every function with units, source and an example.
//!
//! *Invariant:* each example is run by a test and gives the result printed beside it.

mod adoption;
mod decision;
mod distributions;
mod evidence;
mod finance;
mod forms;
mod landed;
mod survey;

use crate::dist::Distribution;
use crate::error::{Error, Span};
use crate::text::{Argument, Value};

/// All functions, by group.
pub static FUNCTIONS: [&[Function]; 8] = [
    finance::FUNCTIONS,
    adoption::FUNCTIONS,
    landed::FUNCTIONS,
    evidence::FUNCTIONS,
    decision::FUNCTIONS,
    survey::FUNCTIONS,
    distributions::FUNCTIONS,
    forms::FUNCTIONS,
];

/// One function of `eval`.
#[derive(Debug)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub parameters: &'static [Parameter],
    /// What it gives, with its unit.
    pub result: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// The formula.
    pub formula: &'static str,
    /// Standard, paper or convention the formula is from.
    pub source: &'static str,
    /// A call that can be pasted.
    pub example: &'static str,
    /// What the call gives.
    pub example_result: &'static str,
    /// How it is computed.
    pub run: Run,
}

/// One parameter.
#[derive(Debug)]
pub struct Parameter {
    /// Its name, for `name = value`.
    pub name: &'static str,
    /// Unit or meaning.
    pub unit: &'static str,
    /// What kind of value.
    pub kind: Kind,
    /// Used when it is not given.
    pub default: Option<f64>,
}

/// What a parameter can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A bare number.
    Number,
    /// A list of numbers.
    List,
    /// A list of lists of numbers.
    Matrix,
    /// A list of dates.
    Dates,
    /// A distribution, a number or a list of draws.
    Sample,
    /// A number in the unit of the distribution or list before it.
    Point,
    /// A formula that is run many times.
    Formula,
}

impl Kind {
    /// For messages and help.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Number | Self::Point => "a number",
            Self::List => "a list of numbers",
            Self::Matrix => "a list of lists of numbers",
            Self::Dates => "a list of dates",
            Self::Sample => "a distribution or a list",
            Self::Formula => "a formula",
        }
    }
}

/// How a function is computed.
#[derive(Debug, Clone, Copy)]
pub enum Run {
    /// From its values.
    Plain(fn(&Arguments) -> Result<Value, Error>),
    /// From its unevaluated arguments.
    Form(fn(&[Argument], Span) -> Result<Value, Error>),
}

/// Values in the order of the parameters, their kinds checked.
#[derive(Debug)]
pub struct Arguments {
    values: Vec<Value>,
}

impl Arguments {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self { values }
    }

    pub(crate) fn number(&self, index: usize) -> f64 {
        self.values.get(index).map_or(f64::NAN, number)
    }

    pub(crate) fn list(&self, index: usize) -> Vec<f64> {
        self.values.get(index).map_or_else(Vec::new, list)
    }

    pub(crate) fn matrix(&self, index: usize) -> Vec<Vec<f64>> {
        match self.values.get(index) {
            Some(Value::List(rows)) => rows.iter().map(list).collect(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn value(&self, index: usize) -> Option<&Value> {
        self.values.get(index)
    }

    pub(crate) fn sample(&self, index: usize) -> Result<Distribution, Error> {
        match self.values.get(index) {
            Some(Value::Distribution(d, _)) => Ok(d.clone()),
            Some(other) => Distribution::empirical(&list(other)),
            None => Distribution::empirical(&[]),
        }
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Number(x, _) => *x,
        Value::Date(days) => *days as f64,
        Value::List(_) | Value::Distribution(..) | Value::Record(_) | Value::Missing(_) => f64::NAN,
    }
}

fn list(value: &Value) -> Vec<f64> {
    match value {
        Value::List(items) => items.iter().map(number).collect(),
        Value::Number(..)
        | Value::Date(_)
        | Value::Distribution(..)
        | Value::Record(_)
        | Value::Missing(_) => vec![number(value)],
    }
}

/// The function of that name.
#[must_use]
pub fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().flat_map(|group| group.iter()).find(|f| f.name == name)
}

const fn num(name: &'static str, unit: &'static str) -> Parameter {
    Parameter { name, unit, kind: Kind::Number, default: None }
}

const fn opt(name: &'static str, unit: &'static str, default: f64) -> Parameter {
    Parameter { name, unit, kind: Kind::Number, default: Some(default) }
}

const fn of(kind: Kind, name: &'static str, unit: &'static str) -> Parameter {
    Parameter { name, unit, kind, default: None }
}

/// Every function, in the order of the manual.
pub fn functions() -> impl Iterator<Item = &'static Function> {
    FUNCTIONS.iter().flat_map(|group| group.iter())
}

/// Names of the groups, in the order of [`FUNCTIONS`].
const GROUPS: [&str; 8] = [
    "Money over time",
    "Adoption, retention, hardware, connectivity",
    "What a device costs",
    "From evidence to belief",
    "Decisions and scores",
    "Asking people",
    "Distributions",
    "A formula many times",
];

impl Function {
    /// How it is called: `npv(rate, flows, first = 1)`.
    #[must_use]
    pub fn signature(&self) -> String {
        let parameter = |p: &Parameter| match p.default {
            Some(default) => format!("{} = {}", p.name, crate::text::figure(default)),
            None => p.name.to_owned(),
        };
        let parameters: Vec<String> = self.parameters.iter().map(parameter).collect();
        format!("{}({})", self.name, parameters.join(", "))
    }

    /// The function for programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let parameters: Vec<serde_json::Value> = self
            .parameters
            .iter()
            .map(|p| {
                serde_json::json!({
                    "name": p.name, "kind": p.kind.as_str(), "unit": p.unit, "default": p.default,
                })
            })
            .collect();
        serde_json::json!({
            "name": self.name, "signature": self.signature(), "parameters": parameters,
            "gives": self.result, "summary": self.summary, "formula": self.formula,
            "source": self.source, "example": self.example, "example_result": self.example_result,
        })
    }
}

/// `docs/eval.md`, all of it.
#[must_use]
pub fn manual() -> String {
    let mut text = INTRODUCTION.to_owned();
    for (group, name) in FUNCTIONS.iter().zip(GROUPS) {
        text += &format!("\n## {name}\n");
        for f in *group {
            text += &format!("\n### {}\n\n{}\n\n", f.name, f.summary);
            text += &format!("    {}\n\n", f.signature());
            text += "| parameter | is | unit or meaning |\n|---|---|---|\n";
            for p in f.parameters {
                text += &format!(
                    "| `{}` | {} | {} |\n",
                    p.name,
                    p.kind.as_str(),
                    p.unit.replace('|', "\\|")
                );
            }
            text += &format!("\nGives {}. Formula: `{}`. ", f.result, f.formula);
            text += &format!("Source: {}.\n\n", f.source.trim_end_matches('.'));
            text += &format!("    iotbiz eval '{}'\n    {}\n", f.example, f.example_result);
        }
    }
    text
}

const INTRODUCTION: &str = "# eval

`iotbiz eval EXPR` computes a formula of the library the business case is made of, so that anyone
can check the engine against their own numbers; `--json` prints all digits. This page is made from
the table of functions, and each example is run by a test.

Numbers may have units (`0.30 EUR/device/day`) and percent signs (`9 %`); `5 to 10` is a 90 %
interval (shares are beta, positive ranges lognormal, ranges across zero normal); `[1, 2]` is a list,
`2026-11-25` a date; arguments may be named (`irr(flows = [-1600, 10000, -10000])`). Amounts of money
may carry their currency, all of a call the same; a formula pasted from a spreadsheet (`=NPV(10%, -100, 60)`,
`xirr([[2026-01-01, -100], [2027-01-01, 110]])`) is taken. Functions that give one number can stand
in `simulate` and `sobol`: `simulate(npv(9 %, [-100, a]), a = 90 to 130)`.

Besides the functions below there are `+ - * / ^`, `abs`, `ceil`, `clamp`, `cos`, `exp`, `floor`,
`greatest`, `least`, `ln`, `log10`, `max`, `min`, `pow`, `round`, `sin`, `sqrt`, `pi` and `e`.
";

/// The manual of all functions, for a terminal.
#[must_use]
pub fn help() -> String {
    let mut text = String::new();
    for f in FUNCTIONS.iter().flat_map(|group| group.iter()) {
        text += &format!("{}\n    {}\n", f.signature(), f.summary);
        for p in f.parameters {
            let default = p
                .default
                .map_or_else(String::new, |d| format!(", {} if left out", crate::text::figure(d)));
            text += &format!("    {:<14} {}, {}{default}\n", p.name, p.kind.as_str(), p.unit);
        }
        text += &format!("    gives          {}\n", f.result);
        text += &format!("    formula        {}\n    source         {}\n", f.formula, f.source);
        text += &format!(
            "    example        {}\n                   {}\n\n",
            f.example, f.example_result
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::eval;

    #[test]
    fn every_example_gives_what_is_printed_beside_it() {
        let mut wrong = String::new();
        for f in FUNCTIONS.iter().flat_map(|group| group.iter()) {
            let got =
                eval(f.example).map_or_else(|e| e.render("example", f.example), |e| e.value.text());
            if got != f.example_result {
                wrong +=
                    &format!("{}\n  is      {got}\n  printed {}\n", f.example, f.example_result);
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    }

    #[test]
    fn the_page_is_made_from_the_table() {
        expect_test::expect_file!["../../../docs/eval.md"].assert_eq(&manual());
    }

    #[test]
    fn no_name_is_given_twice_and_each_has_its_source() {
        let all: Vec<&Function> = FUNCTIONS.iter().flat_map(|group| group.iter()).collect();
        for (i, f) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|other| other.name != f.name), "{}", f.name);
            assert!(!f.source.is_empty() && f.example.contains(f.name), "{}", f.name);
            assert!(help().contains(f.summary), "{}", f.name);
        }
    }
}
