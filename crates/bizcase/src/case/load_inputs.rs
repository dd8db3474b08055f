//! The inputs of a case: numbers, distributions, and formulas of other inputs.
//!
//! *Invariant:* an input is read once, whoever asks for it, and none needs itself.

use std::collections::BTreeMap;

use super::load::{Loader, Wanted};
use super::read::{Entry, Reader, Section};
use super::{Slot, Source, Variable};
use crate::dist::Distribution;
use crate::error::Span;
use crate::text::{self, Evaluator, Expr, Node, Value, parse};
use crate::unit::Unit;

impl<'a> Loader<'a> {
    /// A yearly figure gets its monthly twin; one that is per month stays.
    pub(super) fn monthly(&mut self, slot: Slot, source: fn(Slot) -> Source) -> Slot {
        let of = &self.variables[slot];
        if !text::mentions(&of.text, &["year", "years"]) {
            return slot;
        }
        let name = format!("{}.monthly", of.name);
        if let Some(Some(known)) = self.known.get(&name) {
            return *known;
        }
        let (text, unit) = (of.text.clone(), of.unit);
        self.variables.push(Variable { name: name.clone(), text, unit, source: source(slot) });
        let twin = self.variables.len() - 1;
        self.known.insert(name, Some(twin));
        twin
    }

    pub(super) fn push(&mut self, name: &str, text: &str, unit: Unit, d: Distribution) -> Slot {
        let source = Source::Drawn(d);
        let (name, text) = (name.to_owned(), text.to_owned());
        self.variables.push(Variable { name: name.clone(), text, unit, source });
        let slot = self.variables.len() - 1;
        self.known.insert(name, Some(slot));
        slot
    }

    /// The slot of `name`, read from `entry` if it is new.
    pub(super) fn define(&mut self, name: &str, entry: &Entry, wanted: Wanted) -> Option<Slot> {
        if let Some(known) = self.known.get(name).copied() {
            let slot = known?;
            return self.suits(slot, entry, wanted).then_some(slot);
        }
        if let Some(start) = self.trail.iter().position(|seen| seen == name) {
            let mut circle: Vec<&str> = self.trail[start..].iter().map(String::as_str).collect();
            circle.push(name);
            let reason = format!("the case refers to itself: {}", circle.join(" needs "));
            self.reader.refuse(&entry.key, entry.span, reason, "give one of them its own value");
            return None;
        }
        self.places.insert(name.to_owned(), (entry.key.clone(), entry.span));
        self.trail.push(name.to_owned());
        let slot = self.compile(name, entry, wanted);
        self.trail.pop();
        self.known.insert(name.to_owned(), slot);
        let slot = slot?;
        self.suits(slot, entry, wanted).then_some(slot)
    }

    fn compile(&mut self, name: &str, entry: &Entry, wanted: Wanted) -> Option<Slot> {
        let tree = match parse(&entry.text) {
            Ok(tree) => tree,
            Err(error) => {
                self.reader.wrong(entry, &error, wanted.example);
                return None;
            }
        };
        if let Node::Name(other) = &tree.node {
            return self.resolve(other, entry, tree.span);
        }
        let mut names = Vec::new();
        text::names(&tree, &mut names);
        if names.is_empty() {
            // Nothing to look up: a number or a distribution of its own.
            match (Evaluator { names: &[] }).eval(&tree) {
                Ok(Value::Number(value, unit)) => {
                    return Some(self.push(name, &entry.text, unit, value.into()));
                }
                Ok(Value::Distribution(d, unit)) => {
                    return Some(self.push(name, &entry.text, unit, d));
                }
                // Arithmetic on ranges is a formula of draws.
                Ok(_) | Err(_) => {}
            }
        }
        let mut slots = BTreeMap::new();
        for (other, at) in names {
            if text::is_constant(&other) {
                continue;
            }
            let slot = self.resolve(&other, entry, at)?;
            slots.insert(other, text::Slot { index: slot, unit: self.variables[slot].unit });
        }
        self.formula((name, entry), &tree, &slots, wanted)
    }

    fn formula(
        &mut self,
        (name, entry): (&str, &Entry),
        tree: &Expr,
        slots: &BTreeMap<String, text::Slot>,
        wanted: Wanted,
    ) -> Option<Slot> {
        let mut drawn: Vec<Distribution> = Vec::new();
        let first = self.variables.len();
        let compiled = text::compile(tree, &mut |name| slots.get(name).copied(), &mut |d| {
            drawn.push(d);
            first + drawn.len() - 1
        });
        let compiled = match compiled {
            Ok(compiled) => compiled,
            Err(error) => {
                self.reader.wrong(entry, &error, wanted.example);
                return None;
            }
        };
        for (i, d) in (1..).zip(drawn) {
            let text = d.describe();
            self.push(&format!("{name}.range_{i}"), &text, Unit::ONE, d);
        }
        let unit = compiled.unit;
        let source = Source::Formula(compiled);
        let (name, text) = (name.to_owned(), entry.text.clone());
        self.variables.push(Variable { name, text, unit, source });
        Some(self.variables.len() - 1)
    }

    /// What a name in a formula means.
    fn resolve(&mut self, name: &str, entry: &Entry, at: Span) -> Option<Slot> {
        let path: Vec<&str> = name.split('.').collect();
        let found = match path.as_slice() {
            ["assumption", which] => return self.assumption(which, entry, at),
            ["plan", plan, line] => return self.plan_price(plan, line, entry, at),
            ["cost", _] => return self.earlier(name, entry, at),
            ["case", key] | [key] => self.find_input(key),
            ["case", section, key] | [section, key] => self.find_in(section, key),
            _ => None,
        };
        let Some((name, entry)) = found else {
            let reason = format!("nothing in this case is called {name}");
            let at = Reader::at(entry, at);
            let known = self.names();
            let near = expr::nearest(name, known.iter().map(String::as_str));
            let fix = match near {
                Some(near) => format!("did you mean {near}?"),
                None => format!("add it: [case.input] {name} = \"5 to 10 EUR/device\""),
            };
            self.reader.refuse(&entry.key, at, reason, fix);
            return None;
        };
        self.define(&name, &entry, Wanted::any("\"5 to 10 EUR/device\""))
    }

    fn earlier(&mut self, name: &str, entry: &Entry, at: Span) -> Option<Slot> {
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        let reason = format!("{name} is not a cost that stands before this one");
        let fix = "write the cost it refers to above it";
        self.reader.refuse(&entry.key, Reader::at(entry, at), reason, fix);
        None
    }

    fn find_input(&mut self, key: &str) -> Option<(String, Entry)> {
        let case = self.case.clone();
        if case.table.get("input").is_some_and(|inputs| inputs.get(key).is_some()) {
            let inputs = self.reader.section(&case, "input")?;
            return Some((key.to_owned(), self.reader.entry(&inputs, key)?));
        }
        let plain = ["discount", "reachable", "fleet_size", "share", "churn"];
        if plain.contains(&key) && case.has(key) {
            return Some((key.to_owned(), self.reader.entry(&case, key)?));
        }
        None
    }

    fn find_in(&mut self, section: &str, key: &str) -> Option<(String, Entry)> {
        let case = self.case.clone();
        if !["adoption", "survival", "churn"].contains(&section) || !case.has(section) {
            return None;
        }
        let inner = self.reader.section(&case, section)?;
        Some((format!("{section}.{key}"), self.reader.entry(&inner, key)?))
    }

    fn names(&self) -> Vec<String> {
        let inside = |from: &Section<'a>, key: &str, prefix: &str| -> Vec<String> {
            let table = from.table.get(key).and_then(toml_edit::Item::as_table_like);
            let keys = table.map(|t| t.iter().map(|(k, _)| format!("{prefix}{k}")).collect());
            keys.unwrap_or_default()
        };
        let mut all = inside(&self.case, "input", "");
        all.extend(inside(&self.root, "assumption", "assumption."));
        let plain = ["discount", "reachable", "fleet_size", "share", "churn"];
        all.extend(plain.iter().filter(|key| self.case.has(key)).map(|key| (*key).to_owned()));
        all
    }

    /// `assumption.will_pay`: what is believed of it, as its `guess` says.
    fn assumption(&mut self, which: &str, entry: &Entry, at: Span) -> Option<Slot> {
        let name = format!("assumption.{which}");
        let root = self.root.clone();
        let all = self.reader.section(&root, "assumption");
        let section =
            all.filter(|all| all.has(which)).and_then(|all| self.reader.section(&all, which));
        let Some(section) = section else {
            let reason = format!("there is no [{name}]");
            let fix = format!("write [{name}] with says, holds and guess");
            self.reader.refuse(&entry.key, Reader::at(entry, at), reason, fix);
            return None;
        };
        if section.has("guess") {
            let guess = self.reader.entry(&section, "guess")?;
            return self.define(&name, &guess, Wanted::any("\"10 to 45 %\""));
        }
        let share = self.reader.entry(&section, "holds").is_some_and(|h| h.text.contains('%'));
        if share || section.has("count") {
            self.reader.notes.push(format!("assumed: {name} may be any share (it has no guess)"));
            let any = Distribution::beta(1.0, 1.0, 0.0, 1.0).ok()?;
            return Some(self.push(&name, "0 to 100 %", Unit::ONE, any));
        }
        self.reader.missing(&section, "guess", "\"10 to 45 %\"");
        None
    }

    fn plan_price(&mut self, plan: &str, line: &str, entry: &Entry, at: Span) -> Option<Slot> {
        let name = format!("plan.{plan}.{line}");
        let root = self.root.clone();
        let plans = self.reader.section(&root, "plan").filter(|plans| plans.has(plan));
        let plan = plans.and_then(|plans| self.reader.section(&plans, plan));
        let line =
            plan.filter(|plan| plan.has(line)).and_then(|plan| self.reader.section(&plan, line));
        let price = line.and_then(|line| {
            let key = ["price", "once", "flat"].into_iter().find(|key| line.has(key))?;
            self.reader.entry(&line, key)
        });
        match price {
            Some(price) => self.define(&name, &price, Wanted::any("\"0.30 EUR/device/day\"")),
            None => {
                let reason = format!("{name} is not a line with one price");
                let fix = format!("write [{name}] with price = \"0.30 EUR/device/day\"");
                self.reader.refuse(&entry.key, Reader::at(entry, at), reason, fix);
                None
            }
        }
    }
}
