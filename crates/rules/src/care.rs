//! What people said about a device: maintenance now or planned, and readings to ignore.
//!
//! *Invariant:* nothing here looks at a clock: what holds is asked for a time. A window begins at
//! `from` and is over at `until`, both instants, so no change of clocks makes it longer or shorter.

use std::collections::BTreeMap;
use std::time::Duration;

use model::wire::{Reader, WireError, Writer};
use model::{MaintenanceId, Name, Timestamp};

/// Windows of maintenance that are planned for one device.
pub const PLANNED_MAX: usize = 32;
/// How far ahead one may begin.
pub const PLANNED_AHEAD_MAX: Duration = Duration::from_secs(366 * 86_400);
/// The longest time an alarm is shelved, a device in maintenance or a reading ignored.
pub const QUIET_MAX: Duration = Duration::from_secs(90 * 86_400);

/// A window in which nothing is raised, planned by a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maintenance {
    /// The same for all devices that were planned together.
    pub id: MaintenanceId,
    /// Nothing is raised from then on ...
    pub from: Timestamp,
    /// ... and before this.
    pub until: Timestamp,
    /// Who planned it.
    pub by: String,
    /// Why.
    pub note: Option<String>,
}

/// What people said about the device.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Care {
    /// Nothing is raised before.
    pub maintenance: Option<Timestamp>,
    /// Readings that count as missing until then.
    pub ignored: BTreeMap<Name, Timestamp>,
    /// Windows that were planned, those that run now among them, in the order of their begins.
    pub planned: Vec<Maintenance>,
}

impl Maintenance {
    fn runs(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

impl Care {
    /// Until when nothing is raised, when that is so now.
    #[must_use]
    pub fn quiet_until(&self, now: Timestamp) -> Option<Timestamp> {
        let said = self.maintenance.filter(|until| now < *until);
        let running = self.planned.iter().filter(|window| window.runs(now));
        running.map(|window| window.until).chain(said).max()
    }

    /// The same without what is over then; a window that runs counts as maintenance.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        self.maintenance = self.quiet_until(now);
        self.ignored.retain(|_, until| *until > now);
        self.forget_over(now);
        self
    }

    /// Forgets windows that are over.
    fn forget_over(&mut self, now: Timestamp) {
        self.planned.retain(|window| window.until > now);
    }

    /// Adds a window, unless it is over, too long, too far away, known or one too many.
    pub(crate) fn plan(&mut self, window: Maintenance, now: Timestamp) {
        self.forget_over(now);
        let Maintenance { id, from, until, .. } = window;
        let sound = from < until
            && until > now
            && until.since(from) <= QUIET_MAX
            && from <= now + PLANNED_AHEAD_MAX
            && self.planned.len() < PLANNED_MAX;
        if !sound || self.planned.iter().any(|known| known.id == id) {
            return;
        }
        let at = self.planned.partition_point(|known| (known.from, known.id) <= (from, id));
        self.planned.insert(at, window);
    }

    /// Takes a window back, whether it has begun or not.
    pub(crate) fn cancel(&mut self, id: MaintenanceId) {
        self.planned.retain(|window| window.id != id);
    }

    /// Ends what holds now; what is planned for later stays.
    pub(crate) fn end(&mut self, now: Timestamp) {
        self.maintenance = None;
        self.planned.retain(|window| window.from > now);
    }

    pub(crate) fn put_planned(&self, out: &mut Vec<u8>) {
        out.put_count(self.planned.len());
        for Maintenance { id, from, until, by, note } in &self.planned {
            out.put_u128(id.as_u128());
            out.put_i64(from.as_millis());
            out.put_i64(until.as_millis());
            out.put_text(by);
            out.put_option(note.as_deref(), |out, note| out.put_text(note));
        }
    }

    pub(crate) fn read_planned(&mut self, r: &mut Reader<'_>) -> Result<(), WireError> {
        for _ in 0..r.count()? {
            self.planned.push(Maintenance {
                id: MaintenanceId::from_u128(r.u128()?),
                from: Timestamp::from_millis(r.i64()?),
                until: Timestamp::from_millis(r.i64()?),
                by: r.text()?.to_owned(),
                note: r.option(|r| r.text().map(str::to_owned))?,
            });
        }
        Ok(())
    }
}
