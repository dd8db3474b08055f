//! How a figure came to be: a tree of labels, formulas, values and sources.
//!
//! *Invariant:* the value of a node is what its formula gives for the values of its inputs.

use std::fmt;

/// Where a figure stands between fact and wish; each always looks different.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    /// A fleet, a customer or an invoice said so.
    Measured,
    /// A person said so.
    Assumed,
    /// A virtual device or a random trial said so.
    Simulated,
    /// Follows from its inputs by the formula.
    Computed,
    /// Nobody said so yet.
    Missing,
}

impl Basis {
    /// The word shown beside the figure.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Assumed => "assumed",
            Self::Simulated => "simulated",
            Self::Computed => "computed",
            Self::Missing => "missing",
        }
    }
}

/// A figure and what it was made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Explain {
    /// What the figure is called.
    pub label: String,
    /// How it follows from `inputs`; empty for a leaf.
    pub formula: String,
    /// The figure; `None` when it is missing.
    pub value: Option<f64>,
    /// Its unit; empty for a bare number.
    pub unit: String,
    /// Where it stands between fact and wish.
    pub basis: Basis,
    /// Standard, paper, record or key it comes from.
    pub source: String,
    /// What the formula was given.
    pub inputs: Vec<Explain>,
}

impl Explain {
    /// A figure that a person or a record gave.
    #[must_use]
    pub fn leaf(label: &str, value: f64, unit: &str, basis: Basis, source: &str) -> Self {
        Self {
            label: label.to_owned(),
            formula: String::new(),
            value: Some(value),
            unit: unit.to_owned(),
            basis,
            source: source.to_owned(),
            inputs: Vec::new(),
        }
    }

    /// A figure that follows from others.
    #[must_use]
    pub fn computed(label: &str, formula: &str, value: f64, inputs: Vec<Self>) -> Self {
        Self {
            label: label.to_owned(),
            formula: formula.to_owned(),
            value: Some(value),
            unit: String::new(),
            basis: Basis::Computed,
            source: String::new(),
            inputs,
        }
    }

    /// The same figure with its unit.
    #[must_use]
    pub fn in_unit(mut self, unit: &str) -> Self {
        unit.clone_into(&mut self.unit);
        self
    }

    /// The same figure with the source of its formula.
    #[must_use]
    pub fn by(mut self, source: &str) -> Self {
        source.clone_into(&mut self.source);
        self
    }

    /// The tree for programs; keys in a fixed order.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let inputs: Vec<serde_json::Value> = self.inputs.iter().map(Self::json).collect();
        serde_json::json!({
            "label": self.label, "value": self.value, "unit": self.unit,
            "basis": self.basis.as_str(), "formula": self.formula, "source": self.source,
            "inputs": inputs,
        })
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        write!(f, "{:indent$}{}", "", self.label, indent = depth * 2)?;
        match self.value {
            Some(value) => write!(f, " = {}", crate::text::figure(value))?,
            None => f.write_str(" = missing")?,
        }
        if !self.unit.is_empty() {
            write!(f, " {}", self.unit)?;
        }
        if !self.formula.is_empty() {
            write!(f, "  <- {}", self.formula)?;
        }
        if self.basis != Basis::Computed {
            write!(f, "  ({})", self.basis.as_str())?;
        }
        if !self.source.is_empty() {
            write!(f, "  [{}]", self.source)?;
        }
        f.write_str("\n")?;
        self.inputs.iter().try_for_each(|input| input.write(f, depth + 1))
    }
}

impl fmt::Display for Explain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}
