//! A dry run: what a blueprint's rules would have done over recorded readings.
//!
//! *Invariant:* it goes through the same fold as live readings, with the readings' own times as log
//! time, so a dry run over what happened says what would have been raised.

use std::collections::BTreeMap;

use blueprint::Blueprint;
use model::{
    AlarmId, Decided, DeviceId, Input, Name, Notice, Offset, Origin, Output, Outputs, Projection,
    Reading, ReadingMark, Step, TenantId, Timestamp, Value,
};

use crate::fold::{Explained, Happening, Rules};

/// Devices of one dry run.
const DRY_DEVICES_MAX: usize = 100_000;

/// Readings of one device at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// When.
    pub time: Timestamp,
    /// The device's own name.
    pub device: String,
    /// Its kind in the blueprint.
    pub kind: Name,
    /// Links, by name, to devices by their own names.
    pub links: BTreeMap<Name, String>,
    /// What it said.
    pub values: Vec<(Name, Value)>,
}

/// One thing that would have happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Happened {
    /// By the log's clock.
    pub time: Timestamp,
    /// The device's own name.
    pub device: String,
    /// What people would have been told.
    pub notice: Notice,
}

/// Why a dry run stops.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DryError {
    /// Readings must come in order of time, as log time never goes back.
    #[error("row {row} at {time} is older than the one before it, at {before}: sort by time")]
    Order {
        /// Counted from 1.
        row: usize,
        /// Its time.
        time: Timestamp,
        /// That of the row before.
        before: Timestamp,
    },
    /// A limit.
    #[error("more than dry_devices_max = {DRY_DEVICES_MAX} devices")]
    Devices,
}

/// A dry run under way.
#[derive(Debug)]
pub struct DryRun {
    rules: Rules,
    venture: Name,
    devices: BTreeMap<String, Known>,
    names: BTreeMap<DeviceId, String>,
    now: Timestamp,
    rows: usize,
    offset: u64,
}

#[derive(Debug)]
struct Known {
    id: DeviceId,
    revision: u64,
    kind: Option<Name>,
    links: BTreeMap<Name, String>,
}

const TENANT: TenantId = TenantId::from_u128(1);

impl DryRun {
    /// Starts with nothing known.
    #[must_use]
    pub fn new(blueprint: &Blueprint) -> Self {
        let mut rules = Rules::default();
        let venture = blueprint.venture.clone();
        let nothing_was_there = rules.blueprint(&(TENANT, venture.clone()), 1, blueprint);
        debug_assert!(nothing_was_there.is_empty());
        Self {
            rules,
            venture,
            devices: BTreeMap::new(),
            names: BTreeMap::new(),
            now: Timestamp::from_millis(i64::MIN),
            rows: 0,
            offset: 0,
        }
    }

    /// Takes in one row and gives what happened until and at its time.
    ///
    /// # Errors
    /// It is out of order, or there are too many devices.
    pub fn row(&mut self, row: &Row) -> Result<Vec<Happened>, DryError> {
        self.rows += 1;
        if row.time < self.now {
            let (time, before) = (row.time, self.now);
            return Err(DryError::Order { row: self.rows, time, before });
        }
        let mut happened = self.until(row.time);
        self.now = row.time;
        let id = self.device(row, &mut happened)?;
        let readings: Vec<Reading> = row
            .values
            .iter()
            .map(|(property, value)| Reading {
                property: property.clone(),
                time: row.time,
                value: value.clone(),
                mark: ReadingMark::DeviceTime,
            })
            .collect();
        let input = Input::Readings {
            tenant: TENANT,
            device: id,
            path: None,
            origin: Origin::Replayed,
            readings: &readings,
        };
        self.step(row.time, input, &mut happened);
        Ok(happened)
    }

    /// Lets time go on; gives what time alone made happen.
    pub fn until(&mut self, time: Timestamp) -> Vec<Happened> {
        let mut happened = Vec::new();
        while let Some(timer) = self.rules.next_timer().filter(|timer| timer.due <= time) {
            self.step(timer.due, Input::Timer(timer), &mut happened);
        }
        happened
    }

    /// Where a rule stands for a device, and why.
    #[must_use]
    pub fn explain(&self, device: &str, rule: &str) -> Option<Explained> {
        self.rules.explain(self.devices.get(device)?.id, rule)
    }

    /// Names of the devices seen.
    pub fn devices(&self) -> impl Iterator<Item = &str> {
        self.devices.keys().map(String::as_str)
    }

    /// The fold itself.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    fn step(&mut self, log_time: Timestamp, input: Input<'_>, happened: &mut Vec<Happened>) {
        self.offset += 1;
        let offset = Offset(self.offset);
        let mut out = Outputs::new(offset);
        self.rules.apply(&Step { offset, log_time, input }, &mut out);
        for (_, _, output) in out.into_list() {
            match output {
                Output::Notify(notice) => {
                    let device = self.names.get(&notice.device).cloned().unwrap_or_default();
                    happened.push(Happened { time: log_time, device, notice: *notice });
                }
                Output::Publish { .. } | Output::Act { .. } => {}
            }
        }
        // What an action wants is in its notice; nobody is there to be set.
        self.rules.take_wanted();
        for held in self.rules.take_happenings() {
            let device = self.names.get(&held.device).cloned().unwrap_or_default();
            happened.push(Happened { time: held.log, device, notice: held_notice(held) });
        }
    }

    fn known(&mut self, name: &str) -> Result<DeviceId, DryError> {
        if let Some(known) = self.devices.get(name) {
            return Ok(known.id);
        }
        if self.devices.len() >= DRY_DEVICES_MAX {
            return Err(DryError::Devices);
        }
        let count = u128::try_from(self.devices.len()).unwrap_or(u128::MAX);
        let id = DeviceId::from_u128(count + 1);
        let known = Known { id, revision: 0, kind: None, links: BTreeMap::new() };
        self.devices.insert(name.to_owned(), known);
        self.names.insert(id, name.to_owned());
        Ok(id)
    }

    /// The device of a row, told to the rules when it is new or linked otherwise.
    fn device(&mut self, row: &Row, happened: &mut Vec<Happened>) -> Result<DeviceId, DryError> {
        let id = self.known(&row.device)?;
        let mut links = BTreeMap::new();
        for (link, target) in &row.links {
            links.insert(link.as_str().to_owned(), self.known(target)?.to_string());
        }
        let Some(known) = self.devices.get_mut(&row.device) else { return Ok(id) };
        let moved = row.links.iter().any(|(link, to)| known.links.get(link) != Some(to));
        if known.kind.as_ref() == Some(&row.kind) && !moved {
            return Ok(id);
        }
        known.kind = Some(row.kind.clone());
        known.links.extend(row.links.clone());
        known.revision += 1;
        let revision = known.revision;
        let content = serde_json::json!({
            "name": row.device, "venture": self.venture.as_str(), "kind": row.kind.as_str(),
            "origin": "replayed", "links": links,
        })
        .to_string();
        let text = id.to_string();
        let decided =
            Decided { tenant: TENANT, kind: "device", id: &text, revision, content: &content };
        self.step(row.time, Input::Decided(decided), happened);
        Ok(id)
    }
}

/// What is held back, as if people were told of it: a dry run says everything.
fn held_notice(held: Happening) -> Notice {
    let (transition, from, to) = match held.begins {
        true => ("held_back", "pending", "held back"),
        false => ("let_go", "held back", "calm"),
    };
    let trace = held.trace.and_then(|trace| serde_json::to_string(&trace).ok());
    Notice {
        device: held.device,
        // There is none.
        alarm: AlarmId::from_u128(0),
        rule: held.rule,
        transition: transition.to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        severity: held.severity.as_str().to_owned(),
        role: None,
        title: String::new(),
        text: held.why,
        trace: trace.unwrap_or_default(),
        event: held.event,
    }
}
