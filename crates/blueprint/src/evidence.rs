//! `[assumption.<name>]` and `[experiment.<name>]`: a falsifiable sentence, and a test of it with
//! bars set beforehand.
//!
//! *Invariant:* pass and kill never overlap, so a result cannot mean both.

use std::collections::BTreeMap;
use std::time::Duration;

use expr::{Bar, BinaryOp, NodeKind, Quantity, Spread};
use model::Name;

use crate::metrics::measured_unit;
use crate::plan::Market;
use crate::source::{Reader, Section, Text};
use crate::{Diagnostic, codes};

/// A falsifiable sentence with a threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Assumption {
    /// The sentence.
    pub says: String,
    /// The share it is about, when it is one of counted things.
    pub count: Option<Counts>,
    /// When it is true.
    pub holds: Bar,
    /// What the founders believe before any evidence.
    pub guess: Option<Spread>,
}

/// Two counted columns: `signed / asked`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// How many did.
    pub of: Name,
    /// Out of how many.
    pub out_of: Name,
}

/// A test of an assumption.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// For people.
    pub title: Option<String>,
    /// The assumption.
    pub tests: Name,
    /// How strong its evidence is.
    pub kind: ExperimentKind,
    /// How many are asked, or tried.
    pub asked: Option<u64>,
    /// What it costs.
    pub cost: Option<Quantity>,
    /// How long it takes.
    pub takes: Option<Duration>,
    /// The result from which it passes.
    pub pass: Bar,
    /// The result at which the idea is dropped.
    pub kill: Option<Bar>,
    /// What the fleet itself is asked, when the server takes the result.
    pub measures: Option<Measures>,
}

/// A figure of the catalogue over a window: the server records its result as evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measures {
    /// A figure of [`crate::MEASURABLE`], or of a reading ([`crate::ReadingFigure`]).
    pub metric: String,
    /// Whole days that are looked at.
    pub over: Duration,
}

/// What people or things do in an experiment, weakest evidence first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExperimentKind {
    /// They say it.
    Say,
    /// They do something.
    Do,
    /// They pay.
    Pay,
    /// It was built.
    Build,
    /// It was measured.
    Measure,
}

pub(crate) const EXPERIMENT_KINDS: &[(&str, ExperimentKind)] = &[
    ("say", ExperimentKind::Say),
    ("do", ExperimentKind::Do),
    ("pay", ExperimentKind::Pay),
    ("build", ExperimentKind::Build),
    ("measure", ExperimentKind::Measure),
];
pub(crate) const ASSUMPTION_KEYS: &[&str] = &["says", "count", "holds", "guess"];
pub(crate) const EXPERIMENT_KEYS: &[&str] =
    &["title", "tests", "kind", "asked", "cost", "takes", "pass", "kill", "metric", "over"];
/// The longest window of a measurement: the folds know so many days of each device.
pub const MEASURED_DAYS_MAX: u64 = 62;
const DAY_SECONDS: u64 = 86_400;

impl<'s> Reader<'s> {
    pub(crate) fn assumptions(&mut self, root: &Section<'s, '_>) -> BTreeMap<Name, Assumption> {
        let mut assumptions = BTreeMap::new();
        let Some(section) = root.section(self, "assumption") else { return assumptions };
        for (name, _) in section.names(self) {
            let Some(table) = section.section(self, name.as_str()) else { continue };
            if let Some(assumption) = self.assumption(&table) {
                assumptions.insert(name, assumption);
            }
        }
        assumptions
    }

    fn assumption(&mut self, table: &Section<'s, '_>) -> Option<Assumption> {
        table.only(self, ASSUMPTION_KEYS);
        for (key, example) in
            [("says", "\"At least 30 % of the pharmacies we ask sign\""), ("holds", "\">= 30 %\"")]
        {
            if !table.has(key) {
                table.missing(self, key, example);
            }
        }
        let says = table.words(self, "says");
        let count = table.text(self, "count").and_then(|text| self.counts(&text));
        let holds = table.bar(self, "holds");
        let guess = table.spread(self, "guess");
        let holds = holds?;
        if let Some(guess) = &guess
            && !guess.unit.is_like(&holds.quantity.unit)
        {
            let message = format!(
                "the guess is in {}, the threshold in {}",
                guess.unit.shown(),
                holds.quantity.unit.shown()
            );
            let at = self.place(&table.child("guess")).value;
            self.report(Diagnostic::error(codes::UNIT_CLASH, at, message));
        }
        if count.is_some() {
            self.is_share(&table.child("holds"), &holds.quantity);
        }
        Some(Assumption { says: says?, count, holds, guess })
    }

    /// `signed / asked`.
    fn counts(&mut self, text: &Text) -> Option<Counts> {
        let node = match expr::parse(&text.text) {
            Ok(node) => node,
            Err(error) => {
                self.expression(text, &error);
                return None;
            }
        };
        if let NodeKind::Binary(BinaryOp::Divide, of, out_of) = &node.kind
            && let (NodeKind::Path(of), NodeKind::Path(out_of)) = (&of.kind, &out_of.kind)
            && let ([of], [out_of]) = (of.as_slice(), out_of.as_slice())
        {
            let of = self.name(&of.name, text.at(of.span))?;
            return Some(Counts { of, out_of: self.name(&out_of.name, text.at(out_of.span))? });
        }
        let message = "count must be one counted thing out of another";
        let found = Diagnostic::error(codes::EXPRESSION, text.span, message);
        self.report(found.help("write count = \"signed / asked\""));
        None
    }

    fn is_share(&mut self, path: &str, quantity: &Quantity) {
        let share = quantity.in_unit(&expr::Unit::one());
        if share.is_some_and(|share| (0.0..=1.0).contains(&share)) {
            return;
        }
        let at = self.place(path).value;
        let message = format!("{path} must be a share between 0 and 100 %, not {quantity}");
        self.report(Diagnostic::error(codes::NOT_SHARE, at, message));
    }

    pub(crate) fn experiments(
        &mut self,
        root: &Section<'s, '_>,
        market: &Market<'_>,
        assumptions: &BTreeMap<Name, Assumption>,
    ) -> BTreeMap<Name, Experiment> {
        let mut experiments = BTreeMap::new();
        let Some(section) = root.section(self, "experiment") else { return experiments };
        for (name, _) in section.names(self) {
            let Some(table) = section.section(self, name.as_str()) else { continue };
            if let Some(experiment) = self.experiment(&table, market, assumptions) {
                experiments.insert(name, experiment);
            }
        }
        experiments
    }

    fn experiment(
        &mut self,
        table: &Section<'s, '_>,
        market: &Market<'_>,
        assumptions: &BTreeMap<Name, Assumption>,
    ) -> Option<Experiment> {
        table.only(self, EXPERIMENT_KEYS);
        for (key, example) in
            [("tests", "\"will_pay\""), ("kind", "\"pay\""), ("pass", "\">= 35 %\"")]
        {
            if !table.has(key) {
                table.missing(self, key, example);
            }
        }
        let tests = table.reference(self, "tests", "assumption", assumptions.keys());
        let kind = table.choice(self, "kind", EXPERIMENT_KINDS);
        let pass = table.bar(self, "pass");
        let kill = table.bar(self, "kill");
        let cost = if table.has("cost") { self.price(table, "cost", market) } else { None };
        let asked = table.whole(self, "asked");
        let takes = table.duration(self, "takes");
        let (tests, pass) = (tests?, pass?);
        let assumption = assumptions.get(&tests)?;
        for (key, bar) in [("pass", Some(&pass)), ("kill", kill.as_ref())] {
            let Some(bar) = bar else { continue };
            if !bar.quantity.unit.is_like(&assumption.holds.quantity.unit) {
                let wanted = assumption.holds.quantity.unit.shown();
                let message = format!("the assumption {tests} is measured in {wanted}");
                let at = self.place(&table.child(key)).value;
                self.report(Diagnostic::error(codes::UNIT_CLASH, at, message));
                return None;
            }
        }
        self.bars(table, &pass, kill.as_ref(), assumption);
        let title = table.words(self, "title");
        let measures = self.measures(table, (kind, market), assumption);
        Some(Experiment { title, tests, kind: kind?, asked, cost, takes, pass, kill, measures })
    }

    /// `metric = "fleet.on_time"`, `over = "14 days"`.
    fn measures(
        &mut self,
        table: &Section<'s, '_>,
        (kind, market): (Option<ExperimentKind>, &Market<'_>),
        assumption: &Assumption,
    ) -> Option<Measures> {
        if !table.has("metric") {
            if table.has("over") {
                table.missing(self, "metric", "\"fleet.on_time\"");
            }
            return None;
        }
        let metric = self.measured_metric(table, (kind, market), assumption);
        if !table.has("over") {
            table.missing(self, "over", "\"14 days\"");
            return None;
        }
        let over = table.duration(self, "over")?;
        let days = over.as_secs() / DAY_SECONDS;
        if over.as_secs() % DAY_SECONDS != 0 || !(1..=MEASURED_DAYS_MAX).contains(&days) {
            let at = self.place(&table.child("over")).value;
            let message = format!("a window is 1 to {MEASURED_DAYS_MAX} whole days");
            let found = Diagnostic::error(codes::BOUNDS, at, message);
            self.report(found.help("write over = \"14 days\""));
            return None;
        }
        Some(Measures { metric: metric?, over })
    }

    fn measured_metric(
        &mut self,
        table: &Section<'s, '_>,
        (kind, market): (Option<ExperimentKind>, &Market<'_>),
        assumption: &Assumption,
    ) -> Option<String> {
        let text = table.text(self, "metric")?;
        let unit = match measured_unit(&text, market) {
            Ok(unit) => unit,
            Err(found) => {
                self.report(found);
                return None;
            }
        };
        if kind.is_some_and(|kind| kind != ExperimentKind::Measure) {
            let message = "what a fleet says is measured".to_owned();
            let at = self.place(&table.child("kind")).value;
            let found = Diagnostic::error(codes::CHOICE, at, message);
            self.report(found.help("write kind = \"measure\""));
            return None;
        }
        let wanted = &assumption.holds.quantity.unit;
        if !unit.is_like(wanted) {
            let message = format!(
                "{} is in {}, the assumption in {}",
                text.text,
                unit.shown(),
                wanted.shown()
            );
            self.report(Diagnostic::error(codes::UNIT_CLASH, text.span, message));
            return None;
        }
        Some(text.text)
    }

    /// Pass, kill and threshold must leave room for each other.
    fn bars(
        &mut self,
        table: &Section<'s, '_>,
        pass: &Bar,
        kill: Option<&Bar>,
        assumption: &Assumption,
    ) {
        let unit = &pass.quantity.unit;
        let up = pass.comparison.is_upward();
        if let Some(kill) = kill {
            let limit = kill.quantity.in_unit(unit).unwrap_or(f64::NAN);
            let at = self.entry(&table.child("kill"));
            let same = kill.comparison.is_upward() == up;
            let overlap =
                if up { limit > pass.quantity.value } else { limit < pass.quantity.value };
            let touch = limit.to_bits() == pass.quantity.value.to_bits()
                && kill.comparison.holds(limit, limit)
                && pass.comparison.holds(limit, limit);
            if same || overlap || touch {
                let message = format!("the experiment passes at {pass} and is killed at {kill}");
                let found = Diagnostic::error(codes::BARS, at, message);
                let sign = if up { "<" } else { ">" };
                self.report(
                    found
                        .label(if same { "points the same way" } else { "overlaps the pass bar" })
                        .help(format!("kill at {sign} something worse than {}", pass.quantity)),
                );
            }
        }
        let holds = &assumption.holds;
        let limit = holds.quantity.in_unit(unit).unwrap_or(f64::NAN);
        let weak = if up { pass.quantity.value < limit } else { pass.quantity.value > limit };
        if holds.comparison.is_upward() == up && weak {
            let message =
                format!("the experiment passes at {pass}, the assumption holds at {holds}");
            let at = self.entry(&table.child("pass"));
            let found = Diagnostic::warning(codes::PASS_WEAK, at, message).label("proves less");
            let found = found.notes([
                format!("the assumption holds at  {holds}"),
                format!("the experiment passes at {pass}"),
                format!("a result between {} and {} proves nothing", pass.quantity, holds.quantity),
            ]);
            self.report(found.help(format!("pass at {holds} or better")));
        }
    }
}
