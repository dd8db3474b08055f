//! The inputs of a case, in the order in which they can be compiled.
//!
//! *Invariant:* an input is compiled once all it needs is known, or not at all.

use std::collections::{BTreeMap, BTreeSet};

use expr::{Expected, Node, NodeKind, Scope, Type, Unit};
use model::Name;
use toml::de::DeValue;

use super::{ADOPTION_KEYS, BOUND_KEYS, SBG_KEYS, SURVIVAL_KEYS};
use crate::source::{Reader, Section, Text};
use crate::{Assumption, Diagnostic, Formula, Plan, PlanLine, codes};

/// Sections of inputs, their keys and units.
const INPUTS: &[(&str, &str, &str)] = &[
    ("", "discount", "1/year"),
    ("", "reachable", "customer"),
    ("", "fleet_size", "device/customer"),
    ("", "share", "1"),
    ("", "churn", "1/month"),
    ("adoption", "bass_p", "1/year"),
    ("adoption", "bass_q", "1/year"),
    ("adoption", "added", "device/month"),
    ("survival", "weibull_shape", "1"),
    ("survival", "weibull_scale", "year"),
];
/// An input before it is compiled.
pub(super) struct Pending {
    text: Text,
    wanted: Expected,
    needs: BTreeSet<String>,
    /// The figure that says what it really is, and the path of the input.
    pub(super) actual: Option<(Text, String)>,
}

/// Names inside the case.
pub(super) struct CaseScope<'a> {
    pub(super) known: BTreeMap<String, Type>,
    pub(super) all: Vec<String>,
    pub(super) assumptions: &'a BTreeMap<Name, Assumption>,
    pub(super) plans: &'a BTreeMap<Name, Plan>,
}

impl Scope for CaseScope<'_> {
    fn resolve(&self, path: &[&str]) -> Option<Type> {
        match path {
            ["assumption", name] => {
                let unit = &self.assumptions.get(*name)?.holds.quantity.unit;
                Some(Type::Spread(unit.clone()))
            }
            ["plan", plan, line] => match self.plans.get(*plan)?.lines.get(*line)? {
                PlanLine::Usage { price, .. }
                | PlanLine::Once { price }
                | PlanLine::Flat { price } => Some(Type::Number(price.unit.clone())),
                PlanLine::Credit { .. } | PlanLine::Model { .. } => None,
            },
            ["case", name] | [name] => self.known.get(*name).cloned(),
            _ => None,
        }
    }

    fn names(&self) -> Vec<String> {
        let inputs = self.all.iter().map(|name| format!("case.{name}"));
        let assumed = self.assumptions.keys().map(|name| format!("assumption.{name}"));
        let lines = self.plans.iter().flat_map(|(plan, body)| {
            body.lines.keys().map(move |line| format!("plan.{plan}.{line}"))
        });
        assumed.chain(inputs).chain(lines).collect()
    }
}

/// The names a tree looks up in the case.
fn needs(node: &Node, found: &mut BTreeSet<String>) {
    match &node.kind {
        NodeKind::Path(path) => match path.as_slice() {
            [name] => drop(found.insert(name.name.clone())),
            [root, name] if root.name == "case" => drop(found.insert(name.name.clone())),
            _ => {}
        },
        NodeKind::Call { arguments, .. } => arguments.iter().for_each(|node| needs(node, found)),
        NodeKind::Unary(_, inner) => needs(inner, found),
        NodeKind::Binary(_, left, right) => {
            needs(left, found);
            needs(right, found);
        }
        NodeKind::Number(_) | NodeKind::Text(_) | NodeKind::Boolean(_) | NodeKind::Range { .. } => {
        }
    }
}

/// The order in which inputs can be compiled, or one circle.
fn order(pending: &BTreeMap<String, Pending>) -> Result<Vec<String>, Vec<String>> {
    fn visit(
        name: &str,
        pending: &BTreeMap<String, Pending>,
        trail: &mut Vec<String>,
        done: &mut Vec<String>,
    ) -> Result<(), Vec<String>> {
        let Some(entry) = pending.get(name) else { return Ok(()) };
        if done.iter().any(|known| known == name) {
            return Ok(());
        }
        if let Some(start) = trail.iter().position(|seen| seen == name) {
            let mut circle: Vec<String> = trail.iter().skip(start).cloned().collect();
            circle.push(name.to_owned());
            return Err(circle);
        }
        trail.push(name.to_owned());
        for needed in &entry.needs {
            visit(needed, pending, trail, done)?;
        }
        trail.pop();
        done.push(name.to_owned());
        Ok(())
    }
    let mut done = Vec::new();
    for name in pending.keys() {
        visit(name, pending, &mut Vec::new(), &mut done)?;
    }
    Ok(done)
}

/// Whether this is churn that differs between customers, `{ alpha = "0.67", beta = "3.8" }`.
fn is_sbg<'s>(reader: &mut Reader<'s>, section: &Section<'s, '_>, key: &str) -> bool {
    let Some((DeValue::Table(table), _)) = section.value(reader, key) else { return false };
    key == "churn" && SBG_KEYS.iter().any(|key| table.contains_key(*key))
}

impl<'s> Reader<'s> {
    pub(super) fn pending(&mut self, table: &Section<'s, '_>) -> BTreeMap<String, Pending> {
        let mut pending = BTreeMap::new();
        self.shapes(table);
        for (section, key, unit) in INPUTS {
            let inner = if section.is_empty() {
                Some(table.clone())
            } else if table.has(section) {
                table.section(self, section)
            } else {
                None
            };
            let wanted = Unit::parse(unit).map_or(Expected::Number, Expected::In);
            if let Some(inner) = inner.filter(|inner| !is_sbg(self, inner, key)) {
                self.pend(&inner, key, wanted, &mut pending);
            }
        }
        if let Some(inputs) = table.section(self, "input") {
            for (name, at) in inputs.names(self) {
                if pending.contains_key(name.as_str()) {
                    let message = format!("the case has two inputs called {name}");
                    self.report(Diagnostic::error(codes::NAME, at, message));
                    continue;
                }
                self.pend(&inputs, name.as_str(), Expected::Number, &mut pending);
            }
        }
        pending
    }

    /// The keys of the tables that hold inputs.
    fn shapes(&mut self, table: &Section<'s, '_>) {
        if let Some(adoption) = table.section(self, "adoption") {
            adoption.only(self, ADOPTION_KEYS);
            let needed: &[(&str, &str)] = if adoption.has("added") {
                &[]
            } else {
                &[("bass_p", "\"0.012/year\""), ("bass_q", "\"0.31/year\"")]
            };
            for (key, example) in needed {
                if !adoption.has(key) {
                    adoption.missing(self, key, example);
                }
            }
        }
        if let Some(survival) = table.section(self, "survival") {
            survival.only(self, SURVIVAL_KEYS);
            for (key, example) in [("weibull_shape", "\"1.5\""), ("weibull_scale", "\"8 years\"")] {
                if !survival.has(key) {
                    survival.missing(self, key, example);
                }
            }
        }
        if is_sbg(self, table, "churn")
            && let Some(churn) = table.section(self, "churn")
        {
            churn.only(self, SBG_KEYS);
            for (key, example) in [("alpha", "\"0.67\""), ("beta", "\"3.8\"")] {
                if !churn.has(key) {
                    churn.missing(self, key, example);
                }
            }
        }
    }

    fn pend(
        &mut self,
        section: &Section<'s, '_>,
        key: &str,
        wanted: Expected,
        pending: &mut BTreeMap<String, Pending>,
    ) {
        let is_table =
            section.value(self, key).is_some_and(|(value, _)| matches!(value, DeValue::Table(_)));
        let (text, actual) = if is_table {
            let Some(inner) = section.section(self, key) else { return };
            inner.only(self, BOUND_KEYS);
            if !inner.has("value") {
                inner.missing(self, "value", "\"1.2 to 2.5 %/month\"");
            }
            (inner.text(self, "value"), inner.text(self, "actual"))
        } else {
            (section.text(self, key), None)
        };
        let Some(text) = text else { return };
        let path = section.child(key);
        let path = path.strip_prefix("case.input.").or_else(|| path.strip_prefix("case."));
        let path = path.unwrap_or(key).to_owned();
        let actual = actual.map(|figure| (figure, path));
        let mut found = BTreeSet::new();
        // A text that does not parse is reported when it is compiled.
        if let Ok(node) = expr::parse(&text.text) {
            needs(&node, &mut found);
        }
        pending.insert(key.to_owned(), Pending { text, wanted, needs: found, actual });
    }

    pub(super) fn inputs(
        &mut self,
        pending: &BTreeMap<String, Pending>,
        scope: &mut CaseScope<'_>,
    ) -> Option<BTreeMap<Name, Formula>> {
        let order = match order(pending) {
            Ok(order) => order,
            Err(circle) => {
                let first = circle.first().and_then(|name| pending.get(name));
                let at = first.map(|entry| entry.text.span).unwrap_or_default();
                let shown: Vec<String> = circle.iter().map(|name| format!("case.{name}")).collect();
                let found = Diagnostic::error(codes::CIRCULAR, at, "the case refers to itself");
                self.report(
                    found
                        .label("depends on itself")
                        .note(shown.join(" needs "))
                        .help("give one of them a value of its own"),
                );
                return None;
            }
        };
        let mut inputs = BTreeMap::new();
        for name in order {
            let Some(entry) = pending.get(&name) else { continue };
            match expr::compile(&entry.text.text, scope, &entry.wanted) {
                Ok(program) => {
                    scope.known.insert(name.clone(), program.result().clone());
                    if let Ok(key) = name.parse() {
                        inputs.insert(key, Formula::new(entry.text.text.clone(), program));
                    }
                }
                Err(errors) => {
                    for error in &errors {
                        self.expression(&entry.text, error);
                    }
                    // What needs it is not reported again.
                    let unit = if let Expected::In(unit) = &entry.wanted {
                        unit.clone()
                    } else {
                        Unit::one()
                    };
                    scope.known.insert(name, Type::Spread(unit));
                }
            }
        }
        Some(inputs)
    }
}
