//! One line in words, down to its readings; and whether a bill can be made again.
//!
//! *Invariant:* an explanation recomputes what it shows: the receipt over the listed readings is
//! compared with the line's, and the steps with its amount.

use std::fmt::Write as _;

use super::bill::hex;
use super::{Files, Known};
use crate::Error;
use crate::output::RatedDocument;
use crate::rate::{Cutoff, Line, Rated, trace};

/// The most readings that an explanation lists.
const READINGS_SHOWN_MAX: usize = 40;
/// The most differences that a verification lists.
const DIFFERENCES_MAX: usize = 50;

/// Whether the same input gives the same bill again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Byte for byte.
    pub equal: bool,
    /// Where not, as `path: before, now`.
    pub differences: Vec<String>,
}

impl Files {
    /// Explains a line by its id, for example `acme/2026-10-01/3`.
    ///
    /// # Errors
    /// There is no such line.
    pub fn explain(&self, id: &str) -> Result<String, Error> {
        let unknown = || Error::Unknown { kind: "line", name: id.to_owned() };
        let (rest, number) = id.rsplit_once('/').ok_or_else(unknown)?;
        let (name, day) = rest.rsplit_once('/').ok_or_else(unknown)?;
        let index = number.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        let index = index.ok_or_else(unknown)?;
        let (name, known): (&str, &Known) = self.known(Some(name))?;
        let contract = self.contract(name, known)?;
        for (rated, _) in self.documents(&contract, known)? {
            if contract.zone.day(rated.period.from)?.to_string() != day {
                continue;
            }
            let line = self.ordered(&rated).get(index).copied().ok_or_else(unknown)?;
            let traced = trace(&contract, self.sources(), (rated.period, Cutoff::ALL), line)?;
            let mut text = self.told(id, &rated, line);
            if line.explain.receipt.is_some() && !traced.readings.is_empty() {
                self.readings(&mut text, line, &traced);
            }
            return Ok(text);
        }
        Err(unknown())
    }

    fn told(&self, id: &str, rated: &Rated, line: &Line) -> String {
        let explain = &line.explain;
        let mut text = String::new();
        let mut say = |what: &str, value: &str| {
            let _infallible = writeln!(text, "{what:<10} {value}");
        };
        say("line", id);
        let (plan, revision) = (&line.key.plan, line.key.revision);
        say("charge", &format!("{} of plan {plan}, revision {revision}", line.key.charge));
        if let Some(device) = line.key.device {
            say("device", &self.device_name(device));
        }
        if !line.key.group.is_empty() {
            say("group", &line.key.group.join(", "));
        }
        say("period", &format!("{} to {}", line.period.from, line.period.to));
        say("quantity", format!("{} {}", explain.quantity.normalize(), explain.unit).trim_end());
        if !explain.estimated.is_zero() {
            say("estimated", &explain.estimated.normalize().to_string());
        }
        say("formula", &explain.formula);
        for step in &explain.steps {
            let (quantity, price) = (step.quantity.normalize(), step.price.normalize());
            let amount = step.amount.normalize();
            say("", &format!("{}: {quantity} x {price} = {amount}", step.what));
        }
        let exact = explain.exact.normalize();
        say("exact", &format!("{exact} {}", rated.currency));
        say("rounded", &format!("{} to {}", explain.rounding, line.amount));
        if let Some(class) = line.tax {
            say("tax", &class.to_string());
        }
        for note in &explain.notes {
            say("note", note);
        }
        text
    }

    fn readings(&self, text: &mut String, line: &Line, traced: &crate::rate::Trace) {
        let count = traced.readings.len();
        let shown = count.min(READINGS_SHOWN_MAX);
        let _infallible = writeln!(text, "readings   {count}, the first {shown}:");
        for reading in traced.readings.iter().take(READINGS_SHOWN_MAX) {
            let device = self.device_names.get(&reading.device).map_or("-", String::as_str);
            let (time, property) = (reading.time, &reading.property);
            let _infallible = writeln!(
                text,
                "           {time} {device} {property} {} at {}",
                reading.value, reading.offset
            );
        }
        let same = traced.receipt == line.explain.receipt;
        let word = if same { "agrees" } else { "DIFFERS" };
        if let Some(receipt) = line.explain.receipt {
            let _infallible = writeln!(text, "receipt    {} {word}", hex(receipt));
        }
    }

    /// Rates everything again and compares with what was written before, as JSON.
    ///
    /// # Errors
    /// Rating fails, or the text before is no JSON.
    pub fn verify(&self, before: &str) -> Result<Verification, Error> {
        let now = json(&self.rate()?)?;
        let fault = |error: serde_json::Error| Error::Value { text: error.to_string() };
        let before: serde_json::Value = serde_json::from_str(before).map_err(fault)?;
        let mut differences = Vec::new();
        compare("", &before, &now, &mut differences);
        Ok(Verification { equal: differences.is_empty(), differences })
    }
}

fn json(document: &RatedDocument) -> Result<serde_json::Value, Error> {
    serde_json::to_value(document).map_err(|error| Error::Value { text: error.to_string() })
}

fn compare(
    path: &str,
    before: &serde_json::Value,
    now: &serde_json::Value,
    differences: &mut Vec<String>,
) {
    use serde_json::Value::{Array, Object};
    if differences.len() >= DIFFERENCES_MAX || before == now {
        return;
    }
    let none = serde_json::Value::Null;
    if let (Object(a), Object(b)) = (before, now) {
        let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for key in keys {
            let inner = format!("{path}/{key}");
            compare(&inner, a.get(key).unwrap_or(&none), b.get(key).unwrap_or(&none), differences);
        }
        return;
    }
    if let (Array(a), Array(b)) = (before, now) {
        for index in 0..a.len().max(b.len()) {
            let inner = format!("{path}/{index}");
            let one = a.get(index).unwrap_or(&none);
            compare(&inner, one, b.get(index).unwrap_or(&none), differences);
        }
        return;
    }
    let short = |value: &serde_json::Value| value.to_string().chars().take(80).collect::<String>();
    differences.push(format!("{path}: before {}, now {}", short(before), short(now)));
}
