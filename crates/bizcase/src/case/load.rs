//! A case from its TOML text: the inputs, in the order they can be computed.
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
use super::{
    Adoption, Binding, Case, Churn, Failed, Finding, HORIZON_MAX, Hardware, Risk, Slot, Source,
    Variable,
};
use crate::dist::Distribution;
use crate::error::Span;
use crate::text::{self, Evaluator, Expr, Node, Value, parse};
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
    known: BTreeMap<String, Option<Slot>>,
    trail: Vec<String>,
}

impl Wanted {
    pub(super) const fn any(example: &'static str) -> Self {
        Self { unit: None, example, low: f64::NEG_INFINITY, high: f64::INFINITY }
    }

    const fn of(unit: Unit, example: &'static str, low: f64, high: f64) -> Self {
        Self { unit: Some(unit), example, low, high }
    }
}

fn per_month() -> Unit {
    Unit::ONE.per(Unit::MONTH).unwrap_or(Unit::ONE)
}

fn per_customer() -> Unit {
    Unit::DEVICE.per(Unit::CUSTOMER).unwrap_or(Unit::ONE)
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
            trail: Vec::new(),
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
        let discount = self.discount();
        let fleet_size = self.fleet_size();
        let adoption = self.adoption(fleet_size);
        let churn = self.churn();
        let hardware = self.hardware();
        self.extra_inputs();
        let lines = self.lines(horizon.unwrap_or(HORIZON_MAX));
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
                let at = self.case.span;
                let reason = format!("{} has no finite value at the median", variable.text);
                self.reader.refuse(&variable.name, at, reason, "do not divide by zero here");
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

    fn discount(&mut self) -> Option<Slot> {
        let wanted = Wanted::of(per_month(), "\"9 %/year\"", -0.5, 10.0);
        let slot = self.required("discount", wanted)?;
        Some(self.monthly(slot, Source::MonthlyRate))
    }

    fn fleet_size(&mut self) -> Option<Slot> {
        let wanted =
            Wanted::of(per_customer(), "\"8 to 12 devices/customer\"", f64::MIN_POSITIVE, 1e9);
        if !self.case.has("fleet_size") {
            self.reader.notes.push("assumed: one device per customer".to_owned());
            let d = Distribution::from(1.0);
            return Some(self.push("fleet_size", "1 device/customer", per_customer(), d));
        }
        self.required("fleet_size", wanted)
    }

    /// An input of `[case]` that has to be there.
    fn required(&mut self, key: &str, wanted: Wanted) -> Option<Slot> {
        let case = self.case.clone();
        self.within(&case, key, key, wanted)
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

    fn adoption(&mut self, fleet_size: Option<Slot>) -> Option<Adoption> {
        let case = self.case.clone();
        if !case.has("adoption") {
            let example = "{ bass_p = \"0.012/year\", bass_q = \"0.31/year\" }";
            self.reader.missing(&case, "adoption", example);
            return None;
        }
        let section = self.reader.section(&case, "adoption")?;
        self.reader.only(&section, &["bass_p", "bass_q", "added", "launch"]);
        let launch = self.reader.month(&section, "launch").unwrap_or(1).max(1);
        if section.has("added") {
            let unit = Unit::DEVICE.per(Unit::MONTH).unwrap_or(Unit::ONE);
            let wanted = Wanted::of(unit, "\"100 devices/month\"", 0.0, 1e12);
            let added = self.within(&section, "added", "adoption.added", wanted)?;
            return Some(Adoption::Steady { added, launch });
        }
        let rate = |example| Wanted::of(per_month(), example, 0.0, 100.0);
        let p = self.within(&section, "bass_p", "adoption.bass_p", rate("\"0.012/year\""));
        let q = self.within(&section, "bass_q", "adoption.bass_q", rate("\"0.31/year\""));
        let wanted = Wanted::of(Unit::CUSTOMER, "\"4000 to 6000 customers\"", 0.0, 1e12);
        let reachable = self.required("reachable", wanted);
        let mut market = vec![reachable];
        if case.has("share") {
            let wanted = Wanted::of(Unit::ONE, "\"10 to 30 %\"", 0.0, 1.0);
            market.push(self.required("share", wanted));
        } else {
            self.reader.notes.push("assumed: everybody reachable buys in the end".to_owned());
        }
        market.push(fleet_size);
        let market: Option<Vec<Slot>> = market.into_iter().collect();
        Some(Adoption::Bass { p: p?, q: q?, market: market?, launch })
    }

    fn churn(&mut self) -> Option<Churn> {
        let case = self.case.clone();
        let Some(item) = case.table.get("churn") else {
            self.reader.notes.push("assumed: nobody leaves (no churn is given)".to_owned());
            return Some(Churn::None);
        };
        if item.as_table_like().is_some_and(|table| !table.contains_key("value")) {
            let section = self.reader.section(&case, "churn")?;
            self.reader.only(&section, &["alpha", "beta"]);
            let wanted = |example| Wanted::of(Unit::ONE, example, f64::MIN_POSITIVE, 1e9);
            let alpha = self.within(&section, "alpha", "churn.alpha", wanted("\"0.67\""));
            let beta = self.within(&section, "beta", "churn.beta", wanted("\"3.8\""));
            return Some(Churn::Sbg { alpha: alpha?, beta: beta? });
        }
        let wanted = Wanted::of(per_month(), "\"1.2 to 2.5 %/month\"", 0.0, 1.0);
        let slot = self.required("churn", wanted)?;
        Some(Churn::Constant(self.monthly(slot, Source::MonthlyShare)))
    }

    fn hardware(&mut self) -> Option<Hardware> {
        let case = self.case.clone();
        if !case.has("survival") {
            self.reader.notes.push("assumed: hardware outlives the case".to_owned());
            return None;
        }
        let section = self.reader.section(&case, "survival")?;
        self.reader.only(&section, &["weibull_shape", "weibull_scale", "then"]);
        let wanted = Wanted::of(Unit::ONE, "\"1.5\"", 1e-3, 1e3);
        let shape = self.within(&section, "weibull_shape", "survival.weibull_shape", wanted);
        let wanted = Wanted::of(Unit::MONTH, "\"7 to 9 years\"", 1e-6, 1e9);
        let scale = self.within(&section, "weibull_scale", "survival.weibull_scale", wanted);
        let failed = match self.reader.words(&section, "then").as_deref() {
            Some("lost") => Failed::Lost,
            Some("replaced") | None => Failed::Replaced,
            Some(other) => {
                let reason = format!("{other:?} is not what can happen to a failed device");
                let fix = "write then = \"replaced\" or \"lost\"";
                self.reader.refuse("case.survival.then", section.span, reason, fix);
                return None;
            }
        };
        Some(Hardware { shape: shape?, scale: scale?, failed })
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

    /// Which inputs say what figure of a fleet they are about.
    fn bindings(&mut self) -> Vec<Binding> {
        let case = self.case.clone();
        let mut places: Vec<(Section<'a>, String, String)> = Vec::new();
        for key in ["discount", "reachable", "fleet_size", "share", "churn"] {
            places.push((case.clone(), key.to_owned(), key.to_owned()));
        }
        for section in ["adoption", "survival", "input", "use", "cost"] {
            let Some(inner) = self.reader.section(&case, section) else { continue };
            for key in inner.keys() {
                let name = match section {
                    "input" => key.to_owned(),
                    // The data of a radio cost is what a fleet can say.
                    "cost" => format!("cost.{key}.megabytes"),
                    _ => format!("{section}.{key}"),
                };
                places.push((inner.clone(), key.to_owned(), name));
            }
        }
        let mut found = Vec::new();
        for (section, key, name) in places {
            let is_bound = |item: &toml_edit::Item| {
                item.as_table_like().is_some_and(|table| table.contains_key("actual"))
            };
            if !section.table.get(&key).is_some_and(is_bound) {
                continue;
            }
            let Some(inner) = self.reader.section(&section, &key) else { continue };
            let Some(metric) = self.reader.words(&inner, "actual") else { continue };
            match self.known(&name) {
                Some(slot) => found.push(Binding { slot, metric }),
                None => {
                    let reason = format!("nothing of {key} can be measured");
                    let fix = "give actual to an input, or to a radio cost with data";
                    self.reader.refuse(&inner.child("actual"), inner.span, reason, fix);
                }
            }
        }
        found
    }

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

    /// Whether a variable has the unit of its place and cannot take an impossible value.
    fn suits(&mut self, slot: Slot, entry: &Entry, wanted: Wanted) -> bool {
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
