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
    Alarm, Assumption, Case, Diagnostic, Edit, Experiment, Fix, Gate, Kind, Plan, Severity, Stage,
    Usage, Zone, codes,
};

/// The longest source, in bytes.
pub const SOURCE_BYTES_MAX: usize = 256 * 1024;
/// The version of the format this program reads.
pub const FORMAT: u64 = 1;
/// Begins the line that says which revision a text was written from.
const BASED_ON: &str = "# based on revision ";

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
    /// Every finding: what is no TOML, other errors, warnings; each in order of place.
    pub diagnostics: Vec<Diagnostic>,
}

impl Blueprint {
    /// Reads and checks a source; all findings come at once.
    #[must_use]
    pub fn parse(source: &str) -> Parsed {
        let mut reader = Reader::new(source);
        let blueprint = reader.document();
        let mut diagnostics = reader.found;
        // A text that is no TOML causes most of what follows; what only warns can wait.
        let rank = |found: &Diagnostic| (found.severity, found.code != codes::SYNTAX);
        diagnostics.sort_by(|a, b| (rank(a), a.span, a.code).cmp(&(rank(b), b.span, b.code)));
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
    source.lines().find_map(|line| line.strip_prefix(BASED_ON)?.trim().parse().ok())
}

/// The text with the revision it is based on in its first line.
#[must_use]
pub fn marked(source: &str, revision: u64) -> String {
    let rest = source.split_inclusive('\n').filter(|line| !line.starts_with(BASED_ON));
    [format!("{BASED_ON}{revision}\n")].into_iter().chain(rest.map(str::to_owned)).collect()
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
            let found = Diagnostic::error(codes::SYNTAX, at, message);
            self.report(match straight(self.source, at) {
                Some(fix) => {
                    found.help("these quotes are typographic: write \" instead").certain(fix)
                }
                None => found,
            });
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
        let name = self.name(&text.text, text.span);
        // Nothing else in the text says this name, so there is one way to write it. A name in the
        // text that devices send is not ours to change.
        if name.is_none()
            && let Some(found) = self.found.last_mut()
            && let Some(plain) = found.help.as_deref().and_then(|help| help.strip_prefix("write "))
        {
            let text_now = format!("{plain:?}");
            found.fix = Some(Fix { edits: vec![Edit { span: text.span, text: text_now }] });
        }
        name
    }

    fn currency(&mut self, root: &Section<'s, '_>) -> Option<Currency> {
        let text = root.text(self, "currency")?;
        let unit = expr::Unit::parse(&text.text).ok();
        let currency = unit.and_then(|unit| unit.dimension().currency());
        let currency = currency.filter(|currency| currency.as_str() == text.text);
        if currency.is_none() {
            let message = format!("{} is not a currency", quoted(&text.text));
            let found = Diagnostic::error(codes::CURRENCY, text.span, message);
            let found = found.help("use a code of ISO 4217 such as \"EUR\"");
            self.report(match currency_meant(&text.text) {
                Some(code) => found.put(text.span, format!("{code:?}")),
                None => found,
            });
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
            let found = found.help(help);
            self.report(match expr::slip(&text.text, names.iter().map(String::as_str)) {
                Some(name) => found.put(text.span, format!("{name:?}")),
                None => found,
            });
        }
        text.text
    }
}

/// A code of ISO 4217 in small letters, or a sign that only one currency has.
fn currency_meant(text: &str) -> Option<String> {
    let upper = match text.trim() {
        "€" => "EUR".to_owned(),
        "£" => "GBP".to_owned(),
        other => other.to_uppercase(),
    };
    let unit = expr::Unit::parse(&upper).ok()?;
    unit.dimension().currency().filter(|code| code.as_str() == upper).map(|code| code.to_string())
}

/// Straight quotes for typographic ones in the line of a mistake that has no others.
fn straight(source: &str, at: Span) -> Option<Fix> {
    const CURLY: [char; 3] = ['\u{201c}', '\u{201d}', '\u{201e}'];
    let start = source.get(..at.start)?.rfind('\n').map_or(0, |newline| newline + 1);
    let line = source.get(start..)?.split('\n').next()?;
    let code = line.split('#').next()?;
    if code.contains('"') {
        return None;
    }
    let edits: Vec<Edit> = code
        .char_indices()
        .filter(|(_, c)| CURLY.contains(c))
        .map(|(n, c)| Edit {
            span: Span::new(start + n, start + n + c.len_utf8()),
            text: "\"".to_owned(),
        })
        .collect();
    (!edits.is_empty() && edits.len().is_multiple_of(2)).then_some(Fix { edits })
}

/// The tables and keys at the top of a blueprint.
pub const SECTIONS: &[&str] = &[
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
