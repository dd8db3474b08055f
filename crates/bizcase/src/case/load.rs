//! A case from its TOML text: what it is made of, in the order it can be computed.
//!
//! The text is a blueprint, of which only `[case]` and what it refers to are read here, or a file
//! with nothing else in it. Besides the blueprint's keys a case may have `use`, `income`, `risk`
//! and `correlation` tables.
//!
//! *Invariant:* every input has the unit its place needs, can take no impossible value, and none
//! depends on itself.

use std::collections::BTreeMap;

use model::Currency;
use toml_edit::Document;

use super::read::{Entry, Reader, Section, named, span};
use super::{Case, Finding, HORIZON_MAX, Risk, Slot, Source, Variable};
use crate::error::Span;
use crate::text;
use crate::unit::{Unit, word};

pub(super) const CASE_KEYS: &[&str] = &[
    "horizon",
    "discount",
    "reachable",
    "fleet_size",
    "share",
    "adoption",
    "churn",
    "survival",
    "revenue",
    "use",
    "input",
    "cost",
    "income",
    "risk",
    "correlation",
];

/// What a place asks of its input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) unit: Option<Unit>,
    pub(super) example: &'static str,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Reads inputs; lines are added by the other half.
pub(super) struct Loader<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) root: Section<'a>,
    pub(super) case: Section<'a>,
    pub(super) variables: Vec<Variable>,
    pub(super) risks: Vec<Risk>,
    pub(super) known: BTreeMap<String, Option<Slot>>,
    /// Where each input is written.
    pub(super) places: BTreeMap<String, (String, Span)>,
    pub(super) trail: Vec<String>,
    /// Months after month 0.
    pub(super) end: u32,
}

impl Wanted {
    pub(super) const fn any(example: &'static str) -> Self {
        Self { unit: None, example, low: f64::NEG_INFINITY, high: f64::INFINITY }
    }

    pub(super) const fn of(unit: Unit, example: &'static str, low: f64, high: f64) -> Self {
        Self { unit: Some(unit), example, low, high }
    }
}

impl Case {
    /// Reads a case: a blueprint, or a file with a `[case]`.
    ///
    /// # Errors
    /// Every mistake of the text, each with its place and a fix.
    pub fn parse(text: &str) -> Result<Self, Vec<Finding>> {
        let document = match Document::parse(text) {
            Ok(document) => document,
            Err(error) => {
                let at = error.span().map_or_else(Span::default, span);
                let reason = error.message().trim().to_owned();
                let fix = "correct the TOML at this place".to_owned();
                return Err(vec![Finding::new(text, "file", at, reason, fix)]);
            }
        };
        let whole = Span { start: 0, end: 0 };
        let root = Section { path: String::new(), table: document.as_table(), span: whole };
        let mut reader =
            Reader { text, findings: Vec::new(), notes: Vec::new(), currency: Currency::EUR };
        let Some(case) = reader.section(&root, "case") else {
            if reader.findings.is_empty() {
                let fix = "write [case] and below it horizon = \"60 months\"";
                reader.refuse("case", whole, "there is no [case]", fix);
            }
            return Err(reader.findings);
        };
        let mut loader = Loader {
            reader,
            root,
            case,
            variables: Vec::new(),
            risks: Vec::new(),
            known: BTreeMap::new(),
            places: BTreeMap::new(),
            trail: Vec::new(),
            end: HORIZON_MAX,
        };
        let case = loader.case();
        let mut findings = loader.reader.findings;
        findings.sort_by_key(|finding| (finding.span.start, finding.span.end));
        findings.dedup();
        match case {
            Some(case) if findings.is_empty() => Ok(case),
            Some(_) | None => Err(findings),
        }
    }
}

impl<'a> Loader<'a> {
    fn case(&mut self) -> Option<Case> {
        let case = self.case.clone();
        self.reader.only(&case, CASE_KEYS);
        self.currency();
        let horizon = self.horizon();
        self.end = horizon.unwrap_or(HORIZON_MAX);
        let discount = self.discount();
        let fleet_size = self.fleet_size();
        let adoption = self.adoption(fleet_size);
        let churn = self.churn();
        let hardware = self.hardware();
        self.extra_inputs();
        let lines = self.lines();
        let correlations = self.correlations();
        let bindings = self.bindings();
        if !self.reader.findings.is_empty() {
            return None;
        }
        let case = Case {
            horizon: horizon?,
            currency: self.reader.currency,
            variables: std::mem::take(&mut self.variables),
            adoption: adoption?,
            churn: churn?,
            hardware,
            fleet_size: fleet_size?,
            discount: discount?,
            lines,
            correlations,
            bindings,
            risks: std::mem::take(&mut self.risks),
            observed: Vec::new(),
            notes: std::mem::take(&mut self.reader.notes),
        };
        self.finite(&case).then_some(case)
    }

    /// Formulas can divide by nothing where their inputs cannot tell.
    fn finite(&mut self, case: &Case) -> bool {
        let numbers = case.medians();
        for (variable, number) in case.variables.iter().zip(numbers) {
            if !number.is_finite() {
                let whole = (variable.name.clone(), self.case.span);
                // A yearly figure is written where its monthly twin has no place of its own.
                let written = variable.name.trim_end_matches(".monthly");
                let (key, at) = self.places.get(written).cloned().unwrap_or(whole);
                let reason = format!("{} has no finite value at the median", variable.text);
                let fix = "do not divide by zero, and take no root of what is below it";
                self.reader.refuse(&key, at, reason, fix);
                return false;
            }
        }
        true
    }

    fn currency(&mut self) {
        let root = self.root.clone();
        let Some(entry) = self.reader.entry(&root, "currency") else { return };
        let known = word(&entry.text).and_then(|scaled| scaled.unit.currency());
        match known {
            Some(currency) => self.reader.currency = currency,
            None => {
                let reason = format!("{:?} is not a currency a case can count in", entry.text);
                self.reader.refuse(&entry.key, entry.span, reason, "write currency = \"EUR\"");
            }
        }
    }

    fn horizon(&mut self) -> Option<u32> {
        let case = self.case.clone();
        if !case.has("horizon") {
            self.reader.missing(&case, "horizon", "\"60 months\"");
            return None;
        }
        let entry = self.reader.entry(&case, "horizon")?;
        let months = self.reader.constant(&entry, Unit::MONTH, "\"60 months\"")?;
        let whole = (1..=HORIZON_MAX).find(|n| (f64::from(*n) - months).abs() < 1e-6);
        if whole.is_none() {
            let reason = format!("{} months is no whole number from 1 to {HORIZON_MAX}", months);
            self.reader.refuse(&entry.key, entry.span, reason, "write horizon = \"60 months\"");
        }
        whole
    }

    /// An input of `[case]` that has to be there.
    pub(super) fn required(&mut self, key: &str, wanted: Wanted) -> Option<Slot> {
        let case = self.case.clone();
        self.within(&case, key, key, wanted)
    }

    /// A month of the case, which has to lie before its end.
    pub(super) fn within_case(&mut self, section: &Section<'a>, key: &str) -> Option<u32> {
        let month = self.reader.month(section, key)?;
        if month <= self.end {
            return Some(month);
        }
        let entry = self.reader.entry(section, key)?;
        let end = self.end;
        let reason = format!("month {month} is after the last of the case, {end}");
        let fix = format!("choose a month up to {end}, or a longer horizon");
        self.reader.refuse(&entry.key, entry.span, reason, fix);
        None
    }

    /// An input of a section that has to be there.
    pub(super) fn within(
        &mut self,
        section: &Section<'a>,
        key: &str,
        name: &str,
        wanted: Wanted,
    ) -> Option<Slot> {
        if !section.has(key) {
            self.reader.missing(section, key, wanted.example);
            return None;
        }
        let entry = self.reader.entry(section, key)?;
        self.define(name, &entry, wanted)
    }

    /// Inputs nobody uses still have to be right.
    fn extra_inputs(&mut self) {
        let case = self.case.clone();
        let Some(inputs) = self.reader.section(&case, "input") else { return };
        for key in inputs.keys() {
            if let Some(entry) = self.reader.entry(&inputs, key) {
                self.define(key, &entry, Wanted::any("\"5 to 10 EUR/device\""));
            }
        }
    }

    /// Whether a variable has the unit of its place and cannot take an impossible value.
    pub(super) fn suits(&mut self, slot: Slot, entry: &Entry, wanted: Wanted) -> bool {
        let variable = &self.variables[slot];
        if let Some(unit) = wanted.unit
            && unit != variable.unit
        {
            let reason = format!("this has to be {}, it is {}", named(unit), named(variable.unit));
            let fix = format!("write it like {}", wanted.example);
            self.reader.refuse(&entry.key, entry.span, reason, fix);
            return false;
        }
        let Source::Drawn(d) = &variable.source else { return true };
        // A thousandth at each end is as far as a case of this size looks.
        let (low, high) = (d.quantile(0.001), d.quantile(0.999));
        if low >= wanted.low && high <= wanted.high {
            return true;
        }
        let (bound, worst) = if low < wanted.low { (wanted.low, low) } else { (wanted.high, high) };
        let side = if low < wanted.low { "below" } else { "above" };
        let reason = format!(
            "{} can come {side} {}: one time in a thousand it is {}",
            variable.name,
            text::figure(bound),
            text::figure(worst)
        );
        let fix = format!("choose a range that stays within, such as {}", wanted.example);
        self.reader.refuse(&entry.key, entry.span, reason, fix);
        false
    }

    /// Whether a name has a slot.
    pub(super) fn known(&self, name: &str) -> Option<Slot> {
        self.known.get(name).copied().flatten()
    }
}
