//! How a fleet comes, stays and wears out, and what is measured of that.
//!
//! *Invariant:* no rate is read that would let more leave than there are.

use super::load::{Loader, Wanted};
use super::read::Section;
use super::{Adoption, Binding, Churn, Failed, Hardware, Slot, Source};
use crate::dist::Distribution;
use crate::text;
use crate::unit::Unit;

fn per_month() -> Unit {
    Unit::ONE.per(Unit::MONTH).unwrap_or(Unit::ONE)
}

fn per_customer() -> Unit {
    Unit::DEVICE.per(Unit::CUSTOMER).unwrap_or(Unit::ONE)
}

impl<'a> Loader<'a> {
    pub(super) fn discount(&mut self) -> Option<Slot> {
        let wanted = Wanted::of(per_month(), "\"9 %/year\"", -0.5, 10.0);
        let slot = self.required("discount", wanted)?;
        Some(self.monthly(slot, Source::MonthlyRate))
    }

    pub(super) fn fleet_size(&mut self) -> Option<Slot> {
        let wanted =
            Wanted::of(per_customer(), "\"8 to 12 devices/customer\"", f64::MIN_POSITIVE, 1e9);
        if !self.case.has("fleet_size") {
            self.reader.notes.push("assumed: one device per customer".to_owned());
            let d = Distribution::from(1.0);
            return Some(self.push("fleet_size", "1 device/customer", per_customer(), d));
        }
        self.required("fleet_size", wanted)
    }

    pub(super) fn adoption(&mut self, fleet_size: Option<Slot>) -> Option<Adoption> {
        let case = self.case.clone();
        if !case.has("adoption") {
            let example = "{ bass_p = \"0.012/year\", bass_q = \"0.31/year\" }";
            self.reader.missing(&case, "adoption", example);
            return None;
        }
        let section = self.reader.section(&case, "adoption")?;
        self.reader.only(&section, &["bass_p", "bass_q", "added", "launch"]);
        let launch = self.within_case(&section, "launch").unwrap_or(1).max(1);
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

    pub(super) fn churn(&mut self) -> Option<Churn> {
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
        if text::mentions(&self.variables[slot].text, &["year", "years"]) {
            // All of them in a year is the most, and is a twelfth of them a month in proportion.
            let wanted =
                Wanted { high: 1.0 / 12.0 + 1e-12, example: "\"12 to 20 %/year\"", ..wanted };
            let entry = self.reader.entry(&case, "churn")?;
            if !self.suits(slot, &entry, wanted) {
                return None;
            }
        }
        Some(Churn::Constant(self.monthly(slot, Source::MonthlyShare)))
    }

    pub(super) fn hardware(&mut self) -> Option<Hardware> {
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

    /// Which inputs say what figure of a fleet they are about.
    pub(super) fn bindings(&mut self) -> Vec<Binding> {
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
                    // Of a radio cost it is the data that a fleet can say.
                    "cost" => self.bound_cost(key),
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
                    let fix = "give actual to an input, to a cost with each, or to a radio cost \
                               with data";
                    self.reader.refuse(&inner.child("actual"), inner.span, reason, fix);
                }
            }
        }
        found
    }

    /// The name of what can be measured of a cost.
    fn bound_cost(&self, key: &str) -> String {
        let data = format!("cost.{key}.megabytes");
        if self.known(&data).is_some() { data } else { format!("cost.{key}") }
    }
}
