//! What a radio line costs: sessions from the readings' intervals, each rounded up to what the
//! network bills.
//!
//! Readings due together share one session; a network bills each session in whole increments, so
//! a heartbeat of 1 kB every hour is 7.2 MB a month where 10 kB is the least (Vodacom), 18 MB where
//! 25 kB is (MTN): digmat.freshdesk.com on both.
//!
//! *Invariant:* the megabytes are a variable of their own, so a fleet's measured value can take
//! their place.

use std::collections::BTreeSet;

use super::load::{Loader, Wanted};
use super::read::{Entry, Section};
use super::{Driver, Line, Slot};
use crate::calc::connectivity::billed_size;
use crate::dist::Distribution;
use crate::text::figure;
use crate::unit::Unit;

use super::load_lines::Frame;

/// Bytes of one session when nobody says: a few readings as JSON in one MQTT packet over TCP.
pub const PAYLOAD_BYTES_ASSUMED: f64 = 400.0;
/// Seconds in a month of the case.
const MONTH_SECONDS: u64 = 30 * 86_400;
/// The most different moments of a month that are counted one by one.
const MOMENTS_MAX: u64 = 3_000_000;
const MEGABYTE: f64 = 1e6;

impl<'a> Loader<'a> {
    pub(super) fn radio(&mut self, section: &Section<'a>, frame: &Frame, lines: &mut Vec<Line>) {
        let unit = |this: &Self, per: &[Unit]| {
            let mut wanted = Wanted::any("\"0.40 EUR/device/month\"");
            wanted.unit = Some(this.money(per));
            wanted
        };
        if section.has("fixed") {
            let wanted = unit(self, &[Unit::DEVICE, Unit::MONTH]);
            let name = format!("{}.fixed", frame.name);
            if let Some(slot) = self.within(section, "fixed", &name, wanted) {
                let line = frame.line(vec![slot], Driver::DeviceMonth);
                lines.push(Line { name, ..line });
            }
        }
        if !section.has("data") {
            return;
        }
        let wanted = Wanted { example: "\"0.02 EUR/MB\"", ..unit(self, &[Unit::MEGABYTE]) };
        let name = format!("{}.data", frame.name);
        let price = self.within(section, "data", &name, wanted);
        let volume = self.megabytes(section, frame);
        if let (Some(price), Some(volume)) = (price, volume) {
            let line = frame.line(vec![price, volume], Driver::DeviceMonth);
            lines.push(Line { name, ..line });
        }
    }

    /// Megabytes billed per device and month.
    fn megabytes(&mut self, section: &Section<'a>, frame: &Frame) -> Option<Slot> {
        let sessions = if section.has("sessions") {
            let entry = self.reader.entry(section, "sessions")?;
            let per = Unit::ONE.per(Unit::DEVICE).and_then(|unit| unit.per(Unit::MONTH)).ok()?;
            self.reader.constant(&entry, per, "\"24/device/day\"")?
        } else {
            self.sessions(section)? as f64
        };
        let bytes = |this: &mut Self, key: &str| -> Option<Option<f64>> {
            if !section.has(key) {
                return Some(None);
            }
            let entry = this.reader.entry(section, key)?;
            let found = this.reader.constant(&entry, Unit::MEGABYTE, "\"10 kB\"")?;
            if found > 0.0 {
                return Some(Some(found * MEGABYTE));
            }
            let fix = format!("write {key} = \"10 kB\"");
            this.reader.refuse(&entry.key, entry.span, format!("{key} is not above 0"), fix);
            None
        };
        let payload = bytes(self, "payload")?.unwrap_or(PAYLOAD_BYTES_ASSUMED);
        let increment = bytes(self, "increment")?;
        let billed = increment.map_or(payload, |step| billed_size(payload, step));
        let megabytes = sessions * billed / MEGABYTE;
        let text = format!(
            "{} sessions a month x {} B, for {} B each",
            figure(sessions),
            figure(billed),
            figure(payload)
        );
        self.reader.notes.push(format!("assumed: {} has {text}", frame.name));
        let unit = Unit::MEGABYTE.per(Unit::DEVICE).and_then(|unit| unit.per(Unit::MONTH)).ok()?;
        let name = format!("{}.megabytes", frame.name);
        Some(self.push(&name, &text, unit, Distribution::from(megabytes)))
    }

    /// Sessions in 30 days: moments at which a reading of the device kind is due.
    fn sessions(&mut self, section: &Section<'a>) -> Option<u64> {
        let root = self.root.clone();
        let kinds = self.reader.section(&root, "device");
        let names: Vec<&str> = kinds.as_ref().map(Section::keys).unwrap_or_default();
        let of = match (self.reader.words(section, "of"), names.as_slice()) {
            (Some(of), _) => of,
            (None, [only]) => (*only).to_owned(),
            (None, _) => {
                self.reader.missing(section, "of", "\"box\", the kind of device");
                return None;
            }
        };
        let kind = kinds.filter(|kinds| kinds.has(&of));
        let Some(kind) = kind.and_then(|kinds| self.reader.section(&kinds, &of)) else {
            let reason = format!("there is no [device.{of}]");
            let fix = match expr::nearest(&of, names) {
                Some(near) => format!("did you mean {near}?"),
                None => "write sessions = \"24/device/day\" instead of of".to_owned(),
            };
            self.reader.refuse(&section.child("of"), section.span, reason, fix);
            return None;
        };
        let mut steps = BTreeSet::new();
        if let Some(readings) = self.reader.section(&kind, "readings") {
            for key in readings.keys() {
                if readings.table.get(key).is_some_and(toml_edit::Item::is_table_like)
                    && let Some(reading) = self.reader.section(&readings, key)
                    && reading.has("every")
                {
                    let entry = self.reader.entry(&reading, "every")?;
                    steps.insert(self.seconds(&entry)?);
                }
            }
        }
        if steps.is_empty() {
            let fix = "give a reading every = \"15 min\", or the line sessions = \"24/device/day\"";
            let reason = format!("no reading of {of} says how often it comes");
            self.reader.refuse(&section.child("of"), section.span, reason, fix);
            return None;
        }
        Some(moments(&steps))
    }

    fn seconds(&mut self, entry: &Entry) -> Option<u64> {
        let months = self.reader.constant(entry, Unit::MONTH, "\"15 min\"")?;
        let seconds = libm::round(months * MONTH_SECONDS as f64);
        if seconds >= 1.0 && seconds <= MONTH_SECONDS as f64 {
            return Some(crate::dist::index_floor(seconds) as u64);
        }
        let reason = format!("an interval of {} s is not within 1 s and 30 days", figure(seconds));
        self.reader.refuse(&entry.key, entry.span, reason, "write every = \"15 min\"");
        None
    }
}

/// How many different multiples of the steps there are in a month. Steps that are multiples of
/// another add nothing.
fn moments(steps: &BTreeSet<u64>) -> u64 {
    let own: Vec<u64> = steps
        .iter()
        .copied()
        .filter(|step| !steps.iter().any(|other| other < step && step % other == 0))
        .collect();
    if let [only] = own.as_slice() {
        return MONTH_SECONDS / only;
    }
    let all: u64 = own.iter().map(|step| MONTH_SECONDS / step).sum();
    if all > MOMENTS_MAX {
        return all.min(MONTH_SECONDS);
    }
    let due: BTreeSet<u64> =
        own.iter().flat_map(|step| (1..=MONTH_SECONDS / step).map(move |n| n * step)).collect();
    due.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_due_together_share_a_session() {
        let moments = |steps: &[u64]| moments(&steps.iter().copied().collect());
        assert_eq!(moments(&[60, 3600]), 43_200);
        assert_eq!(moments(&[900]), 2880);
        // Every 10 and every 15 minutes: 6 + 4 - 2 an hour.
        assert_eq!(moments(&[600, 900]), 720 * 8);
    }
}
