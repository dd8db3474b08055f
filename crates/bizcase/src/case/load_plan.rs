//! What plans bring in: each line of the plan that a case sells, by what it is billed for.
//!
//! *Invariant:* a line whose use nobody can tell is refused, never taken for nothing; a promise
//! that is kept costs nothing and says so.

use super::load::{Loader, Wanted};
use super::load_lines::Frame;
use super::read::{Entry, Section, last};
use super::{Direction, Driver, Line};
use crate::text::{Node, parse};
use crate::unit::Unit;

impl<'a> Loader<'a> {
    /// `revenue = "care"`: the lines of a plan.
    pub(super) fn revenue(&mut self, horizon: u32, lines: &mut Vec<Line>) {
        let case = self.case.clone();
        if !case.has("revenue") {
            return;
        }
        let Some(entry) = self.reader.entry(&case, "revenue") else { return };
        let root = self.root.clone();
        let plans = self.reader.section(&root, "plan");
        let names: Vec<&str> = plans.as_ref().map(Section::keys).unwrap_or_default();
        let plan = plans.filter(|plans| plans.has(&entry.text));
        let Some(plan) = plan.and_then(|plans| self.reader.section(&plans, &entry.text)) else {
            let reason = format!("there is no [plan.{}]", entry.text);
            let fix = match expr::nearest(&entry.text, names) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("write [plan.{}] with its lines", entry.text),
            };
            self.reader.refuse(&entry.key, entry.span, reason, fix);
            return;
        };
        for key in plan.keys() {
            if plan.table.get(key).is_some_and(toml_edit::Item::is_table_like) {
                lines.extend(self.plan_line(&plan, key, horizon));
            }
        }
    }

    fn plan_line(&mut self, plan: &Section<'a>, key: &str, horizon: u32) -> Option<Line> {
        let section = self.reader.section(plan, key)?;
        let name = section.path.clone();
        let frame = Self::plain_frame(&name, Direction::In, horizon);
        let case = self.case.clone();
        let uses = self.reader.section(&case, "use").filter(|uses| uses.has(key));
        if let Some(uses) = uses {
            return self.used(&uses, &section, key, &frame);
        }
        if section.has("credit") {
            self.reader.notes.push(format!("assumed: {name} is kept, so it costs nothing"));
            return None;
        }
        let any = Wanted::any("\"0.30 EUR/device/day\"");
        for (form, once) in [("price", false), ("once", true), ("flat", false)] {
            if !section.has(form) {
                continue;
            }
            let entry = self.reader.entry(&section, form)?;
            let slot = self.define(&name, &entry, any)?;
            let unit = self.variables[slot].unit;
            let driver = match self.driver_of(unit) {
                Some(Driver::Placed) if once => Driver::Added,
                // A plan is signed by a customer: money alone is once, or each month, for each.
                Some(Driver::Once(_)) if once => Driver::CustomerAdded,
                Some(Driver::Month) => Driver::CustomerMonth,
                Some(Driver::DeviceMonth) if !once => Driver::DeviceMonth,
                Some(Driver::CustomerMonth) if !once => Driver::CustomerMonth,
                Some(Driver::CustomerAdded) if once => Driver::CustomerAdded,
                Some(_) | None => return self.unused(&entry, key),
            };
            if form == "price" && driver == Driver::DeviceMonth {
                self.reader.notes.push(format!("assumed: {name} is billed for every day in use"));
            }
            return Some(frame.line(vec![slot], driver));
        }
        let at = section.span;
        let entry = Entry { key: name, text: String::new(), span: at, inner: None };
        self.unused(&entry, key)
    }

    fn unused(&mut self, entry: &Entry, key: &str) -> Option<Line> {
        let reason = "the case cannot tell how much of this a device uses";
        let fix = format!(
            "write [case.use] {key} = \"2 EUR/device/month\", or \"40/device/month\" of what is \
             priced"
        );
        self.reader.refuse(&entry.key, entry.span, reason, fix);
        None
    }

    /// What is priced (km, orders) is often no unit of a case, and the kWh may be left out of what
    /// is used: then the amount before it counts.
    fn price_of(&self, price: Entry, used: Unit) -> Entry {
        let known = match parse(&price.text).map(|tree| tree.node) {
            Ok(Node::Number { unit, .. }) => {
                let drives = |unit: Unit| self.driver_of(unit).is_some();
                let product = unit.times(used, 1).ok();
                let silent = product.and_then(|unit| unit.times(Unit::KILOWATT_HOUR, 1).ok());
                !silent.is_some_and(drives)
            }
            Ok(_) => true,
            Err(_) => false,
        };
        if known {
            return price;
        }
        let words = price.text.split('/').next().unwrap_or_default().trim().to_owned();
        Entry { text: words, ..price }
    }

    /// `[case.use] charging = "30 to 50/device/month"`: how much of a priced thing is used, or what
    /// that brings.
    fn used(
        &mut self,
        uses: &Section<'a>,
        line: &Section<'a>,
        key: &str,
        frame: &Frame,
    ) -> Option<Line> {
        let entry = self.reader.entry(uses, key)?;
        let any = Wanted::any("\"30 to 50/device/month\"");
        let used = self.define(&format!("use.{key}"), &entry, any)?;
        let unit = self.variables[used].unit;
        if let Some(driver) = self.driver_of(unit) {
            return Some(frame.line(vec![used], driver));
        }
        let Some(price) = self.reader.entry(line, "price") else {
            let reason = format!("{} has no single price to multiply with", line.path);
            let fix = format!("write {key} = \"2 EUR/device/month\", what it brings on average");
            self.reader.refuse(&entry.key, entry.span, reason, fix);
            return None;
        };
        let name = frame.name.clone();
        let price = self.price_of(price, unit);
        let price_slot = self.define(&name, &price, any)?;
        let product = self.variables[price_slot].unit.times(unit, 1).ok();
        match product.and_then(|unit| self.driver_of(unit)) {
            Some(driver) => Some(frame.line(vec![price_slot, used], driver)),
            None => {
                let reason = format!(
                    "{} times {} is no money per device or customer and month",
                    self.variables[price_slot].unit, unit
                );
                let fix = format!("write {} = \"30 to 50/device/month\"", last(&entry.key));
                self.reader.refuse(&entry.key, entry.span, reason, fix);
                None
            }
        }
    }
}
