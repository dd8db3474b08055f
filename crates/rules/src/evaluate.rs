//! A condition over what is kept of a device and of those it is linked to.
//!
//! *Invariant:* evaluation changes nothing and allocates nothing. What was never said is missing
//! (NaN), and so is a reading that somebody told us to ignore.

use expr::Env;
use model::{DeviceId, Name, Timestamp};
use rustc_hash::FxHashMap;

use crate::device::{Device, Input, Moment};
use crate::plan::{Compiled, From, Source};

/// All devices of a shard, by slot.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    /// Only looked up, never iterated, so its order cannot matter.
    pub(crate) slots: FxHashMap<DeviceId, usize>,
    pub(crate) list: Vec<Option<Box<Device>>>,
}

impl Devices {
    pub(crate) fn slot(&self, id: DeviceId) -> Option<usize> {
        self.slots.get(&id).copied()
    }

    pub(crate) fn at(&self, slot: usize) -> Option<&Device> {
        self.list.get(slot)?.as_deref()
    }

    pub(crate) fn at_mut(&mut self, slot: usize) -> Option<&mut Device> {
        self.list.get_mut(slot)?.as_deref_mut()
    }

    pub(crate) fn get(&self, id: DeviceId) -> Option<&Device> {
        self.at(self.slot(id)?)
    }
}

/// A condition's view of the world at one moment.
pub(crate) struct Seeing<'a> {
    pub(crate) devices: &'a Devices,
    pub(crate) device: &'a Device,
    pub(crate) sources: &'a [Source],
    pub(crate) now: Moment,
}

fn truth(holds: Option<bool>) -> f64 {
    holds.map_or(f64::NAN, |holds| f64::from(u8::from(holds)))
}

impl<'a> Seeing<'a> {
    pub(crate) fn truth(
        compiled: &'a Compiled,
        devices: &'a Devices,
        device: &'a Device,
        now: Moment,
    ) -> Option<bool> {
        let seeing = Self { devices, device, sources: &compiled.sources, now };
        compiled.program.truth(&seeing)
    }

    fn linked(&self, link: &Name) -> Option<&'a Device> {
        let target = self.device.facts.as_ref()?.links.get(link)?;
        self.devices.get(*target).filter(|found| found.tenant == self.device.tenant)
    }

    /// The input and the device it belongs to.
    fn input(&self, from: &From) -> Option<(&'a Input, &'a Device)> {
        let (device, at) = match from {
            From::Own(at) => (self.device, *at),
            From::Linked { link, spec } => {
                let device = self.linked(link)?;
                (device, device.plan.input(spec)?)
            }
        };
        let ignored = &device.care.ignored;
        if !ignored.is_empty() {
            let until = ignored.get(&device.specs.get(at)?.property);
            if until.is_some_and(|until| self.now.log < *until) {
                return None;
            }
        }
        Some((device.inputs.get(at)?, device))
    }

    fn event(&self, device: &Device) -> Timestamp {
        if std::ptr::eq(device, self.device) {
            return self.now.event;
        }
        device.moment(self.now.log).event
    }

    fn value(&self, source: &Source) -> f64 {
        match source {
            Source::Value(from) => match self.input(from) {
                Some((Input::Number(sample), _)) => sample.value,
                Some(_) | None => f64::NAN,
            },
            Source::Window { from, function, over } => match self.input(from) {
                Some((Input::Window(window), device)) => {
                    window.value(*function, self.event(device), *over)
                }
                Some(_) | None => f64::NAN,
            },
            Source::Silent { link, over } => {
                let device = match link {
                    None => Some(self.device),
                    Some(link) => self.linked(link),
                };
                let heard = device.and_then(|device| device.heard);
                truth(heard.map(|heard| self.now.log.since(heard) >= *over))
            }
            Source::Inside { from, zone } => match self.input(from) {
                Some((Input::Position { latitude, longitude, .. }, _)) => {
                    truth(Some(zone.contains(*latitude, *longitude)))
                }
                Some(_) | None => f64::NAN,
            },
            Source::Missing => f64::NAN,
        }
    }

    /// Whether a window looks at any reading, so that time alone moves it.
    pub(crate) fn windows_move(&self) -> bool {
        self.sources.iter().any(|source| {
            let Source::Window { from, .. } = source else { return false };
            matches!(self.input(from), Some((Input::Window(window), _)) if !window.is_empty())
        })
    }

    /// When the newest value behind a slot was measured.
    pub(crate) fn time(&self, slot: usize) -> Option<Timestamp> {
        match self.sources.get(slot)? {
            Source::Value(from) | Source::Inside { from, .. } => match self.input(from)?.0 {
                Input::Number(sample) => Some(sample.time),
                Input::Text(time, _) | Input::Position { time, .. } => Some(*time),
                Input::Empty | Input::Counted(_) | Input::Window(_) => None,
            },
            Source::Silent { link: None, .. } => self.device.heard,
            Source::Silent { link: Some(link), .. } => self.linked(link)?.heard,
            Source::Window { .. } | Source::Missing => None,
        }
    }
}

impl Env for Seeing<'_> {
    fn number(&self, slot: usize) -> f64 {
        self.sources.get(slot).map_or(f64::NAN, |source| self.value(source))
    }

    fn text(&self, slot: usize) -> Option<&str> {
        let Source::Value(from) = self.sources.get(slot)? else { return None };
        match self.input(from)?.0 {
            Input::Text(_, text) => Some(text),
            Input::Empty
            | Input::Number(_)
            | Input::Position { .. }
            | Input::Counted(_)
            | Input::Window(_) => None,
        }
    }
}

/// The inputs of a derived reading.
pub(crate) struct Making<'a> {
    pub(crate) device: &'a Device,
    pub(crate) inputs: &'a [usize],
}

impl Making<'_> {
    fn at(&self, slot: usize) -> Option<&Input> {
        self.device.inputs.get(*self.inputs.get(slot)?)
    }
}

impl Env for Making<'_> {
    fn number(&self, slot: usize) -> f64 {
        match self.at(slot) {
            Some(Input::Number(sample)) => sample.value,
            Some(_) | None => f64::NAN,
        }
    }

    fn text(&self, slot: usize) -> Option<&str> {
        match self.at(slot)? {
            Input::Text(_, text) => Some(text),
            Input::Empty
            | Input::Number(_)
            | Input::Position { .. }
            | Input::Counted(_)
            | Input::Window(_) => None,
        }
    }
}
