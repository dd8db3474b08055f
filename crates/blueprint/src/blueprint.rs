//! The whole blueprint, and how it is read.
//!
//! *Invariant:* a [`Blueprint`] exists only when no finding is an error, so whoever holds one need
//! not check it again. It says nothing of spaces, comments or order: two texts that mean the same
//! give equal blueprints.

use std::collections::BTreeMap;

use expr::Span;
use model::{Currency, Name};
use toml::de::DeTable;

use crate::alarm::Around;
use crate::case::CaseContext;
use crate::metrics::GateScope;
use crate::plan::Market;
use crate::source::{Reader, Section, quoted, span};
use crate::{
    Alarm, Assumption, Case, Diagnostic, Experiment, Gate, Kind, Plan, Severity, Stage, Usage,
    Zone, codes,
};

/// The longest source, in bytes.
pub const SOURCE_BYTES_MAX: usize = 256 * 1024;
/// The version of the format this program reads.
pub const FORMAT: u64 = 1;

/// A venture as code.
#[derive(Debug, Clone, PartialEq)]
pub struct Blueprint {
    /// Its name.
    pub venture: Name,
    /// The idea that it comes from, by its id.
    pub idea: Option<String>,
    /// For people.
    pub title: String,
    /// Whose pain it ends.
    pub problem: Option<String>,
    /// Who buys.
    pub segment: Option<String>,
    /// The one currency of its prices; absent when nothing has a price.
    pub currency: Option<Currency>,
    /// IANA time zone of its days; UTC when nothing is said.
    pub timezone: String,
    /// Kinds of devices.
    pub kinds: BTreeMap<Name, Kind>,
    /// Places on the map.
    pub zones: BTreeMap<Name, Zone>,
    /// Alarms.
    pub alarms: BTreeMap<Name, Alarm>,
    /// Billable measures.
    pub usages: BTreeMap<Name, Usage>,
    /// Prices.
    pub plans: BTreeMap<Name, Plan>,
    /// What is believed.
    pub assumptions: BTreeMap<Name, Assumption>,
    /// How it is tested.
    pub experiments: BTreeMap<Name, Experiment>,
    /// The business case.
    pub case: Option<Case>,
    /// What must be true before a stage.
    pub gates: BTreeMap<Stage, Gate>,
}

/// What reading a source gave.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The blueprint, when there is no error.
    pub blueprint: Option<Blueprint>,
    /// Every finding, in order of place.
    pub diagnostics: Vec<Diagnostic>,
}

impl Blueprint {
    /// Reads and checks a source; all findings come at once.
    #[must_use]
    pub fn parse(source: &str) -> Parsed {
        let mut reader = Reader::new(source);
        let blueprint = reader.document();
        let mut diagnostics = reader.found;
        diagnostics.sort_by(|a, b| (a.span, a.severity, a.code).cmp(&(b.span, b.severity, b.code)));
        diagnostics.dedup();
        let refused = diagnostics.iter().any(|found| found.severity == Severity::Error);
        Parsed { blueprint: blueprint.filter(|_| !refused), diagnostics }
    }

    /// The currency, or the euro where nothing has a price.
    #[must_use]
    pub fn currency_or_euro(&self) -> Currency {
        self.currency.unwrap_or(Currency::EUR)
    }
}

/// The revision a text says it is based on: `# based on revision 9`.
#[must_use]
pub fn based_on(source: &str) -> Option<u64> {
    source.lines().find_map(|line| line.strip_prefix("# based on revision ")?.trim().parse().ok())
}

impl<'s> Reader<'s> {
    fn document(&mut self) -> Option<Blueprint> {
        if self.source.len() > SOURCE_BYTES_MAX {
            let message = format!(
                "the blueprint has {} bytes, more than source_bytes_max = {SOURCE_BYTES_MAX}",
                self.source.len()
            );
            self.report(Diagnostic::error(codes::TOO_LARGE, Span::new(0, 0), message));
            return None;
        }
        let (table, errors) = DeTable::parse_recoverable(self.source);
        for error in &errors {
            let at = error.span().map(span).unwrap_or_default();
            let message = error.message().lines().next().unwrap_or_default().to_owned();
            self.report(Diagnostic::error(codes::SYNTAX, at, message));
        }
        let root = self.root(table.get_ref());
        self.root_section(&root)
    }

    fn root_section(&mut self, root: &Section<'s, '_>) -> Option<Blueprint> {
        root.only(self, SECTIONS);
        self.version(root);
        let venture = self.venture(root);
        let idea = root.words(self, "idea");
        let title = root.words(self, "title");
        if !root.has("title") {
            root.missing(self, "title", "\"What it is, in a line\"");
        }
        let currency = self.currency(root);
        let timezone = self.timezone(root);
        let problem = root.words(self, "problem");
        let segment = root.words(self, "segment");
        let kinds = self.kinds(root);
        let zones = self.zones(root);
        let around = Around { timezone: &timezone, zones: &zones };
        let alarms = self.alarms(root, &kinds, &around);
        let market = Market { currency, kinds: &kinds };
        let usages = self.usages(root, &market);
        let plans = self.plans(root, &market, &usages);
        let assumptions = self.assumptions(root);
        let experiments = self.experiments(root, &market, &assumptions);
        let context = CaseContext { market, assumptions: &assumptions, plans: &plans };
        let case = self.case(root, &context);
        let scope =
            GateScope { currency: currency.unwrap_or(Currency::EUR), assumptions: &assumptions };
        let gates = self.gates(root, &scope);
        // A stand-in lets the checks of meaning run when only the head is wrong.
        let stand_in: Option<Name> = "unnamed".parse().ok();
        let blueprint = Blueprint {
            venture: venture.or(stand_in)?,
            idea,
            title: title.unwrap_or_default(),
            problem,
            segment,
            currency,
            timezone,
            kinds,
            zones,
            alarms,
            usages,
            plans,
            assumptions,
            experiments,
            case,
            gates,
        };
        self.check(&blueprint);
        Some(blueprint)
    }

    fn version(&mut self, root: &Section<'s, '_>) {
        if !root.has("blueprint") {
            root.missing(self, "blueprint", "1");
            return;
        }
        let Some(version) = root.whole(self, "blueprint") else { return };
        if version != FORMAT {
            let at = self.place("blueprint").value;
            let message = format!("version {version} of the format is not known");
            let found = Diagnostic::error(codes::VERSION, at, message);
            self.report(found.help(format!("write blueprint = {FORMAT}")));
        }
    }

    fn venture(&mut self, root: &Section<'s, '_>) -> Option<Name> {
        if !root.has("venture") {
            root.missing(self, "venture", "\"coolbox\"");
            return None;
        }
        let text = root.text(self, "venture")?;
        self.name(&text.text, text.span)
    }

    fn currency(&mut self, root: &Section<'s, '_>) -> Option<Currency> {
        let text = root.text(self, "currency")?;
        let unit = expr::Unit::parse(&text.text).ok();
        let currency = unit.and_then(|unit| unit.dimension().currency());
        let currency = currency.filter(|currency| currency.as_str() == text.text);
        if currency.is_none() {
            let message = format!("{} is not a currency", quoted(&text.text));
            let found = Diagnostic::error(codes::CURRENCY, text.span, message);
            self.report(found.help("use a code of ISO 4217 such as \"EUR\""));
        }
        currency
    }

    fn timezone(&mut self, root: &Section<'s, '_>) -> String {
        let Some(text) = root.text(self, "timezone") else { return "UTC".to_owned() };
        let known = jiff::tz::TimeZoneDatabase::bundled();
        if known.get(&text.text).is_err() {
            let message = format!("there is no time zone {}", quoted(&text.text));
            let names: Vec<String> = known.available().map(|name| name.to_string()).collect();
            let found = Diagnostic::error(codes::TIME_ZONE, text.span, message);
            let help = match expr::nearest(&text.text, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near:?}?"),
                None => "use a name such as \"Europe/Berlin\"".to_owned(),
            };
            self.report(found.help(help));
        }
        text.text
    }
}

pub(crate) const SECTIONS: &[&str] = &[
    "blueprint",
    "venture",
    "idea",
    "title",
    "problem",
    "segment",
    "currency",
    "timezone",
    "device",
    "zone",
    "alarm",
    "usage",
    "plan",
    "assumption",
    "experiment",
    "case",
    "gate",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coolbox_has_its_kinds() {
        let source = include_str!("../../../blueprints/coolbox/blueprint.toml");
        let parsed = Blueprint::parse(source);
        let shown = crate::render(&parsed.diagnostics, "blueprint.toml", source);
        let blueprint = parsed.blueprint.expect(&shown);
        assert_eq!(blueprint.kinds["box"].readings.len(), 4);
        assert_eq!(blueprint.kinds["box"].links["base"].as_str(), "base");
        assert_eq!(
            blueprint.kinds["box"].settings["interval"].drives.as_ref().unwrap().as_str(),
            "temperature"
        );
    }
}
