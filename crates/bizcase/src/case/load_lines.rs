//! The lines of a case: what plans bring in, what costs take out, what may go wrong.
//!
//! *Invariant:* a line's driver follows from the unit of its amount, so a cost that does not say
//! what it is for is refused.

use super::load::{Loader, Wanted};
use super::read::{Entry, Section};
use super::{Correlation, Direction, Driver, LINES_MAX, Line, Purpose, Risk, Slot, Source};
use crate::correlate::cholesky;
use crate::dist::Distribution;
use crate::unit::Unit;

const COMMON: [&str; 6] = ["from", "until", "growth", "counts", "source", "as_of"];
/// Keys of a line by its form.
const TOTAL: &[&str] = &["total", "at"];
const EACH: &[&str] = &["each", "every", "per", "volume", "actual"];
const RADIO: &[&str] = &["fixed", "data", "increment", "of", "payload", "sessions", "actual"];
const RISK: &[&str] = &["probability", "money", "at", "owner", "says"];

/// What a line has besides its amount.
pub(super) struct Frame {
    pub(super) name: String,
    direction: Direction,
    from: u32,
    until: u32,
    growth: Option<Slot>,
    purpose: Purpose,
    source: Option<String>,
}

impl Frame {
    pub(super) fn line(&self, factors: Vec<Slot>, driver: Driver) -> Line {
        Line {
            name: self.name.clone(),
            direction: self.direction,
            factors,
            driver,
            from: self.from,
            until: self.until,
            growth: self.growth,
            purpose: self.purpose,
            source: self.source.clone(),
        }
    }
}

impl<'a> Loader<'a> {
    pub(super) fn lines(&mut self) -> Vec<Line> {
        let (mut lines, horizon) = (Vec::new(), self.end);
        self.revenue(horizon, &mut lines);
        let case = self.case.clone();
        for (table, direction) in [("income", Direction::In), ("cost", Direction::Out)] {
            let Some(section) = self.reader.section(&case, table) else { continue };
            for key in section.keys() {
                self.line(&section, key, (table, direction, horizon), &mut lines);
            }
        }
        if let Some(risks) = self.reader.section(&case, "risk") {
            for key in risks.keys() {
                lines.extend(self.risk(&risks, key, horizon));
            }
        }
        if lines.len() > LINES_MAX {
            let reason = format!("{} lines, LINES_MAX = {LINES_MAX}", lines.len());
            self.reader.refuse("case", case.span, reason, "put small lines together");
        }
        if lines.is_empty() && self.reader.findings.is_empty() {
            let fix = "write revenue = \"care\" and [case.cost] bom = \"31 to 38 EUR/device\"";
            self.reader.lacks("case", case.span, "no money moves in this case", fix);
        }
        lines
    }

    pub(super) fn money(&self, per: &[Unit]) -> Unit {
        let money = Unit::money(self.reader.currency);
        per.iter().try_fold(money, |unit, by| unit.per(*by)).unwrap_or(money)
    }

    /// What an amount is multiplied with, by its unit.
    pub(super) fn driver_of(&self, unit: Unit) -> Option<Driver> {
        let forms = [
            (self.money(&[Unit::DEVICE]), Driver::Placed),
            (self.money(&[Unit::DEVICE, Unit::MONTH]), Driver::DeviceMonth),
            (self.money(&[Unit::MONTH]), Driver::Month),
            (self.money(&[]), Driver::Once(0)),
            (self.money(&[Unit::CUSTOMER]), Driver::CustomerAdded),
            (self.money(&[Unit::CUSTOMER, Unit::MONTH]), Driver::CustomerMonth),
        ];
        forms.into_iter().find(|(known, _)| *known == unit).map(|(_, driver)| driver)
    }

    fn driver(&mut self, slot: Slot, entry: &Entry) -> Option<Driver> {
        let unit = self.variables[slot].unit;
        let driver = self.driver_of(unit);
        if driver.is_none() {
            let money = self.reader.currency;
            let fix = format!(
                "use one of {money}/device, {money}/device/month, {money}/month, {money}, \
                 {money}/customer, {money}/customer/month"
            );
            let reason = match unit.currency() {
                Some(other) if other != money => {
                    format!("this is in {other}, the case in {money}")
                }
                Some(_) | None => format!("an amount in {unit} does not say what it is for"),
            };
            self.reader.refuse(&entry.key, entry.span, reason, fix);
        }
        driver
    }

    fn frame(
        &mut self,
        section: &Section<'a>,
        (name, direction): (&str, Direction),
        horizon: u32,
    ) -> Frame {
        let growth = section.has("growth").then(|| {
            let mut wanted = Wanted::any("\"2 %/year\"");
            wanted.unit = Unit::ONE.per(Unit::MONTH).ok();
            wanted.low = -1.0;
            let slot = self.within(section, "growth", &format!("{name}.growth"), wanted)?;
            Some(self.monthly(slot, Source::MonthlyRate))
        });
        let purpose = match self.reader.words(section, "counts").as_deref() {
            Some("acquisition") => Purpose::Acquisition,
            Some("operation") | None => Purpose::Operation,
            Some(other) => {
                let key = section.child("counts");
                let reason = format!("{other:?} is not what a line can count as");
                let fix = "write counts = \"acquisition\" or \"operation\"";
                self.reader.refuse(&key, section.span, reason, fix);
                Purpose::Operation
            }
        };
        let source = self.reader.sourced(section);
        let from = self.within_case(section, "from").unwrap_or(0);
        let until = self.reader.month(section, "until").unwrap_or(horizon);
        if until < from {
            let reason = format!("from month {from} until month {until} is no time at all");
            let fix = format!("write until = \"month {}\" or later", from + 1);
            self.reader.refuse(&section.child("until"), section.span, reason, fix);
        }
        let name = name.to_owned();
        Frame { name, direction, from, until, growth: growth.flatten(), purpose, source }
    }

    pub(super) fn plain_frame(name: &str, direction: Direction, horizon: u32) -> Frame {
        Frame {
            name: name.to_owned(),
            direction,
            from: 0,
            until: horizon,
            growth: None,
            purpose: Purpose::Operation,
            source: None,
        }
    }

    fn line(
        &mut self,
        from: &Section<'a>,
        key: &str,
        (table, direction, horizon): (&str, Direction, u32),
        lines: &mut Vec<Line>,
    ) {
        let name = format!("{table}.{key}");
        let any = Wanted::any("\"31 to 38 EUR/device\"");
        if !from.table.get(key).is_some_and(toml_edit::Item::is_table_like) {
            let Some(entry) = self.reader.entry(from, key) else { return };
            let Some(slot) = self.define(&name, &entry, any) else { return };
            let Some(driver) = self.driver(slot, &entry) else { return };
            let frame = Self::plain_frame(&name, direction, horizon);
            lines.push(frame.line(vec![slot], driver));
            return;
        }
        let Some(section) = self.reader.section(from, key) else { return };
        let frame = self.frame(&section, (&name, direction), horizon);
        let (form, known) = if section.has("total") {
            ("total", TOTAL)
        } else if section.has("data") || section.has("fixed") {
            ("radio", RADIO)
        } else if section.has("each") {
            ("each", EACH)
        } else {
            let example = "\"31 to 38 EUR/device\"";
            self.reader.missing(&section, "each (or total, or fixed and data)", example);
            return;
        };
        let allowed: Vec<&str> = known.iter().chain(&COMMON).copied().collect();
        self.reader.only(&section, &allowed);
        match form {
            "total" => lines.extend(self.total(&section, &frame)),
            "radio" => self.radio(&section, &frame, lines),
            _ => lines.extend(self.each(&section, &frame)),
        }
    }

    /// `{ total = "18000 to 30000 EUR", at = "month 0" }`
    fn total(&mut self, section: &Section<'a>, frame: &Frame) -> Option<Line> {
        let mut wanted = Wanted::any("\"18000 to 30000 EUR\"");
        wanted.unit = Some(self.money(&[]));
        let slot = self.within(section, "total", &frame.name, wanted)?;
        let at = self.within_case(section, "at").unwrap_or(0);
        Some(frame.line(vec![slot], Driver::Once(at)))
    }

    /// `{ each = "12 EUR/device", every = "36 months" }`, `per = "replaced"`, volume prices.
    fn each(&mut self, section: &Section<'a>, frame: &Frame) -> Option<Line> {
        let entry = self.reader.entry(section, "each")?;
        let any = Wanted::any("\"31 to 38 EUR/device\"");
        let slot = self.define(&frame.name, &entry, any)?;
        let mut driver = self.driver(slot, &entry)?;
        let special = ["every", "per", "volume"].into_iter().filter(|key| section.has(key));
        let special: Vec<&str> = special.collect();
        if special.len() > 1 || (special.len() == 1 && driver != Driver::Placed) {
            let reason = format!("{} goes with an amount per device alone", special.join(" and "));
            let fix = "write each = \"12 EUR/device\" and one of every, per, volume";
            self.reader.refuse(&section.path, section.span, reason, fix);
            return None;
        }
        match special.first() {
            Some(&"every") => {
                let every = self.reader.month(section, "every")?;
                if every == 0 {
                    let fix = "write every = \"36 months\"";
                    self.reader.refuse(
                        &entry.key,
                        section.span,
                        "every 0 months is no rhythm",
                        fix,
                    );
                    return None;
                }
                driver = Driver::Age(every);
            }
            Some(&"per") => {
                driver = match self.reader.words(section, "per").as_deref() {
                    Some("placed") => Driver::Placed,
                    Some("added") => Driver::Added,
                    Some("replaced") => Driver::Replaced,
                    Some("left") => Driver::Left,
                    other => {
                        let reason = format!("{other:?} is nothing a device can be");
                        let fix = "write per = \"placed\", \"added\", \"replaced\" or \"left\"";
                        self.reader.refuse(&section.path, section.span, reason, fix);
                        return None;
                    }
                };
            }
            Some(_) => driver = Driver::Volume(self.volume(section, frame, slot)?),
            None => {}
        }
        let factors = if matches!(driver, Driver::Volume(_)) { Vec::new() } else { vec![slot] };
        Some(frame.line(factors, driver))
    }

    /// `volume = { "1000" = "36 EUR/device", "10000" = "31 EUR/device" }`: the price of a device
    /// once so many were placed.
    fn volume(
        &mut self,
        section: &Section<'a>,
        frame: &Frame,
        first: Slot,
    ) -> Option<Vec<(f64, Slot)>> {
        let table = self.reader.section(section, "volume")?;
        let mut breaks = vec![(0.0, first)];
        for key in table.keys() {
            let from = key.replace('_', "").parse::<f64>().ok().filter(|from| *from > 0.0);
            let Some(from) = from else {
                let reason = format!("{key} is not a number of devices");
                let fix = "write volume = { \"1000\" = \"36 EUR/device\" }";
                self.reader.refuse(&table.path, table.span, reason, fix);
                return None;
            };
            let mut wanted = Wanted::any("\"36 EUR/device\"");
            wanted.unit = Some(self.money(&[Unit::DEVICE]));
            let slot = self.within(&table, key, &format!("{}.from_{key}", frame.name), wanted)?;
            breaks.push((from, slot));
        }
        breaks.sort_by(|a, b| a.0.total_cmp(&b.0));
        Some(breaks)
    }

    /// `{ probability = "5 %", money = "80000 to 200000 EUR", at = "month 18", owner = "..." }`
    fn risk(&mut self, from: &Section<'a>, key: &str, horizon: u32) -> Option<Line> {
        let section = self.reader.section(from, key)?;
        let allowed: Vec<&str> = RISK.iter().chain(&COMMON).copied().collect();
        self.reader.only(&section, &allowed);
        for (key, example) in [("probability", "\"5 %\""), ("money", "\"80000 EUR\"")] {
            if !section.has(key) {
                self.reader.missing(&section, key, example);
            }
        }
        let name = format!("risk.{key}");
        let entry = self.reader.entry(&section, "probability")?;
        let chance = self.reader.constant(&entry, Unit::ONE, "\"5 %\"")?;
        let drawn = match Distribution::bernoulli(chance) {
            Ok(drawn) => drawn,
            Err(error) => {
                self.reader.wrong(&entry, &error, "\"5 %\"");
                return None;
            }
        };
        let happens = self.push(&format!("{name}.happens"), &entry.text, Unit::ONE, drawn);
        let mut wanted = Wanted::any("\"80000 to 200000 EUR\"");
        wanted.unit = Some(self.money(&[]));
        let money = self.within(&section, "money", &format!("{name}.money"), wanted)?;
        let at = self.within_case(&section, "at").unwrap_or_else(|| horizon.div_ceil(2));
        let owner = self.reader.words(&section, "owner").unwrap_or_default();
        let says = self.reader.words(&section, "says").unwrap_or_default();
        let (key, month) = (key.to_owned(), at);
        self.risks.push(Risk { name: key, owner, says, chance, happens, money, month });
        let frame = self.frame(&section, (&name, Direction::Out), horizon);
        Some(frame.line(vec![happens, money], Driver::Once(at)))
    }

    /// `[case.correlation]`, `"cost.bom with churn" = 0.5`: rank correlations.
    pub(super) fn correlations(&mut self) -> Vec<Correlation> {
        let case = self.case.clone();
        let mut found: Vec<Correlation> = Vec::new();
        let Some(section) = self.reader.section(&case, "correlation") else { return found };
        for key in section.keys() {
            let Some(entry) = self.reader.entry(&section, key) else { continue };
            let Some(rho) = self.reader.constant(&entry, Unit::ONE, "0.5") else { continue };
            let pair = key.split_once(" with ");
            let slots = pair.and_then(|(a, b)| {
                let drawn = |name: &str| {
                    let slot = self.known(name.trim())?;
                    let varies = matches!(&self.variables[slot].source,
                        Source::Drawn(d) if !d.is_constant());
                    varies.then_some(slot)
                };
                Some((drawn(a)?, drawn(b)?))
            });
            let same = |a: Slot, b: Slot| {
                found.iter().any(|c| (c.a, c.b) == (a, b) || (c.a, c.b) == (b, a))
            };
            match slots {
                Some((a, b)) if same(a, b) => {
                    let reason = "these two are correlated twice";
                    self.reader.refuse(&entry.key, entry.span, reason, "leave one of them out");
                }
                Some((a, b)) if a != b && rho.abs() < 1.0 => found.push(Correlation { a, b, rho }),
                Some(_) | None => {
                    let names: Vec<&str> = self
                        .variables
                        .iter()
                        .filter(|v| matches!(&v.source, Source::Drawn(d) if !d.is_constant()))
                        .map(|v| v.name.as_str())
                        .collect();
                    let names =
                        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
                    let fix = format!(
                        "write \"cost.bom with churn\" = 0.5, within -1 and 1; uncertain here: \
                         {names}"
                    );
                    let reason = "this is not a correlation of two uncertain inputs";
                    self.reader.refuse(&entry.key, entry.span, reason, fix);
                }
            }
        }
        let mut tied: Vec<Slot> = found.iter().flat_map(|c| [c.a, c.b]).collect();
        tied.sort_unstable();
        tied.dedup();
        if let Err(error) = cholesky(&super::run::correlation_matrix(&found, &tied)) {
            let fix = "bring them closer to 0";
            self.reader.refuse(&section.path, section.span, error.to_string(), fix);
        }
        found
    }
}
