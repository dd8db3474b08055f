//! What an expression is worth.
//!
//! *Invariant:* the JSON of a value has a fixed order of keys, so equal values have equal text.

use model::Timestamp;
use serde_json::json;

use super::figure;
use crate::dist::Distribution;
use crate::unit::Unit;

/// A result.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number in base units.
    Number(f64, Unit),
    /// Days since 1970-01-01.
    Date(i64),
    /// Several.
    List(Vec<Value>),
    /// A distribution in base units.
    Distribution(Distribution, Unit),
    /// Named figures, in their order.
    Record(Vec<(&'static str, Value)>),
    /// There is no such number; the text says why.
    Missing(&'static str),
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Number(value, Unit::ONE)
    }
}

impl From<Vec<f64>> for Value {
    fn from(values: Vec<f64>) -> Self {
        Self::List(values.into_iter().map(Self::from).collect())
    }
}

impl Value {
    /// Named figures.
    #[must_use]
    pub fn record(fields: &[(&'static str, f64)]) -> Self {
        Self::Record(fields.iter().map(|(name, value)| (*name, Self::from(*value))).collect())
    }

    /// Whether every number in it is one.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        match self {
            Self::Number(value, _) => value.is_finite(),
            Self::List(items) => items.iter().all(Self::is_finite),
            Self::Record(fields) => fields.iter().all(|(_, value)| value.is_finite()),
            Self::Distribution(d, _) => d.mean().is_finite() && d.sd().is_finite(),
            Self::Date(_) | Self::Missing(_) => true,
        }
    }

    /// What it is, for messages.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Number(..) => "a number",
            Self::Date(_) => "a date",
            Self::List(_) => "a list",
            Self::Distribution(..) => "a distribution",
            Self::Record(_) => "several named figures",
            Self::Missing(_) => "missing",
        }
    }

    /// The value for people.
    #[must_use]
    pub fn text(&self) -> String {
        let with_unit = |text: String, unit: &Unit| {
            if unit.is_one() { text } else { format!("{text} {unit}") }
        };
        match self {
            Self::Number(value, unit) => with_unit(figure(*value), unit),
            Self::Date(days) => date_text(*days),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::text).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Distribution(d, unit) => with_unit(d.describe(), unit),
            Self::Record(fields) => {
                let fields: Vec<String> =
                    fields.iter().map(|(name, value)| format!("{name} {}", value.text())).collect();
                fields.join(", ")
            }
            Self::Missing(why) => (*why).to_owned(),
        }
    }

    /// The value for programs, all digits kept.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Number(value, unit) if unit.is_one() => json!(value),
            Self::Number(value, unit) => json!({ "value": value, "unit": unit.to_string() }),
            Self::Date(days) => json!(date_text(*days)),
            Self::List(items) => items.iter().map(Self::json).collect(),
            Self::Distribution(d, unit) => json!({
                "distribution": d.describe(), "unit": unit.to_string(), "mean": d.mean(),
                "sd": d.sd(), "p5": d.quantile(0.05), "p50": d.quantile(0.5),
                "p95": d.quantile(0.95),
            }),
            Self::Record(fields) => {
                let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.json()));
                serde_json::Value::Object(fields.collect())
            }
            Self::Missing(_) => serde_json::Value::Null,
        }
    }
}

fn date_text(days: i64) -> String {
    let text = Timestamp::from_millis(days.saturating_mul(86_400_000)).to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}
