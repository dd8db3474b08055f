//! What one watcher hears, from the live messages, the refusals and a look at the statuses.
//!
//! *Invariant:* bounded: at most [`WAITING_MAX`] happenings wait, the rest is told as `behind`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use model::{CommandId, DeviceId, Offset, TenantId};
use pipeline::{Direction, Live};
use rules::AlarmView;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use twin::{CommandState, Status};

use crate::alarms::alarm_json;
use crate::app::App;
use crate::commands::CommandJson;
use crate::json::{Look, mark_word, value_json};
use crate::messages::Message;
use crate::refusals::Refusal;

/// How often statuses are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Happenings that one step may make.
const WAITING_MAX: usize = 1_024;
/// Messages of each device that a resumed feed repeats at most.
const RESUME_MAX: usize = 100;

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Reading,
    Message,
    Twin,
    Status,
    Refusal,
    /// A command was given, answered or expired.
    Command,
    /// An alarm was raised or changed.
    Alarm,
    /// The watcher missed something and must read again.
    Behind,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Message => "message",
            Self::Twin => "twin",
            Self::Status => "status",
            Self::Refusal => "refusal",
            Self::Command => "command",
            Self::Alarm => "alarm",
            Self::Behind => "behind",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        let all = [
            Self::Reading,
            Self::Message,
            Self::Twin,
            Self::Status,
            Self::Refusal,
            Self::Command,
            Self::Alarm,
        ];
        all.into_iter().find(|kind| kind.as_str() == word.trim())
    }
}

/// Something that happened.
#[derive(Debug)]
pub(super) struct Happening {
    pub(super) kind: Kind,
    pub(super) offset: u64,
    pub(super) data: serde_json::Value,
}

/// What a watcher wants to hear.
#[derive(Debug, Clone)]
pub(super) struct Interest {
    tenant: TenantId,
    pub(super) devices: Option<BTreeSet<DeviceId>>,
    pub(super) kinds: Option<BTreeSet<Kind>>,
}

impl Interest {
    pub(super) const fn new(tenant: TenantId) -> Self {
        Self { tenant, devices: None, kinds: None }
    }

    pub(super) const fn none(tenant: TenantId) -> Self {
        Self { tenant, devices: None, kinds: Some(BTreeSet::new()) }
    }

    fn wants(&self, kind: Kind) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
    }

    fn of(&self, device: DeviceId) -> bool {
        self.devices.as_ref().is_none_or(|devices| devices.contains(&device))
    }
}

pub(super) struct Feed {
    app: App,
    interest: Interest,
    live: Receiver<Live>,
    refusals: Receiver<Refusal>,
    look: tokio::time::Interval,
    statuses: BTreeMap<DeviceId, Status>,
    /// Commands that were told as open.
    open: BTreeMap<(DeviceId, CommandId), CommandState>,
    /// Alarms as this watcher was told of them last.
    alarms: AlarmView,
    waiting: VecDeque<Happening>,
}

impl Feed {
    pub(super) fn new(app: App, interest: Interest, resume: Option<u64>) -> Self {
        let mut feed = Self {
            live: app.shard.recent().subscribe(),
            refusals: app.refusals.subscribe(),
            look: tokio::time::interval(LOOK_EVERY),
            statuses: BTreeMap::new(),
            open: BTreeMap::new(),
            alarms: app.shard.picture().alarms.clone(),
            waiting: VecDeque::new(),
            app,
            interest,
        };
        if let Some(offset) = resume {
            feed.repeat_after(Offset(offset));
        }
        feed
    }

    pub(super) fn set(&mut self, interest: Interest, resume: Option<u64>) {
        self.interest = interest;
        self.statuses.clear();
        self.open.clear();
        if let Some(offset) = resume {
            self.repeat_after(Offset(offset));
        }
    }

    pub(super) async fn next(&mut self) -> Option<Happening> {
        loop {
            if let Some(happening) = self.waiting.pop_front() {
                return Some(happening);
            }
            tokio::select! {
                live = self.live.recv() => match live {
                    Ok(live) => self.live(&live),
                    Err(RecvError::Lagged(missed)) => self.behind(missed),
                    Err(RecvError::Closed) => return None,
                },
                refusal = self.refusals.recv() => match refusal {
                    Ok(refusal) => self.refusal(&refusal),
                    Err(RecvError::Lagged(missed)) => self.behind(missed),
                    Err(RecvError::Closed) => return None,
                },
                _ = self.look.tick() => {
                    self.look_at_statuses();
                    self.look_at_commands();
                    self.look_at_alarms();
                }
            }
        }
    }

    fn push(&mut self, kind: Kind, offset: u64, data: serde_json::Value) {
        if self.interest.wants(kind) || kind == Kind::Behind {
            self.waiting.push_back(Happening { kind, offset, data });
        }
    }

    fn behind(&mut self, missed: u64) {
        let offset = self.app.shard.picture().offset.0;
        self.push(Kind::Behind, offset, serde_json::json!({ "missed": missed }));
    }

    /// What the watcher missed since `offset`, as far as memory still has it.
    fn repeat_after(&mut self, offset: Offset) {
        let picture = self.app.shard.picture();
        let devices = self.interest.devices.clone().unwrap_or_default();
        for device in devices {
            let recent = self.app.shard.recent();
            let lines = recent.lines(self.interest.tenant, device, RESUME_MAX);
            let missed: Vec<_> = lines.iter().rev().filter(|line| line.offset > offset).collect();
            for line in missed {
                let mut data = serde_json::json!(Message::of(line));
                data["device"] = device.to_string().into();
                self.push(Kind::Message, line.offset.0, data);
            }
            if let Some(twin) = picture.twins.get(self.interest.tenant, device) {
                self.twin(device, picture.offset.0);
                let newer = twin.commands.iter().filter(|command| {
                    let answered = command.answer.as_ref().map(|answer| answer.offset);
                    // An expiry has no offset of its own.
                    command.offset.max(answered.unwrap_or_default()) > offset
                        || command.state == CommandState::Expired
                });
                for command in newer {
                    self.command(device, command.id);
                }
            }
        }
    }

    fn live(&mut self, live: &Live) {
        if live.tenant != self.interest.tenant || !self.interest.of(live.device) {
            return;
        }
        let offset = live.line.offset.0;
        if self.interest.wants(Kind::Reading) && !live.readings.is_empty() {
            let readings: serde_json::Map<_, _> = live
                .readings
                .iter()
                .map(|reading| {
                    let json = serde_json::json!({
                        "value": value_json(&reading.value),
                        "at": reading.time,
                        "mark": mark_word(reading.mark),
                    });
                    (reading.property.to_string(), json)
                })
                .collect();
            let data = serde_json::json!({
                "device": live.device, "offset": offset, "readings": readings,
            });
            self.push(Kind::Reading, offset, data);
        }
        if self.interest.wants(Kind::Message) {
            let mut data = serde_json::json!(Message::of(&live.line));
            data["device"] = live.device.to_string().into();
            self.push(Kind::Message, offset, data);
        }
        if live.line.topic == "reported" || live.line.direction == Direction::Down {
            self.twin(live.device, offset);
        }
        if let Some(id) = command_of(&live.line.topic) {
            self.command(live.device, id);
        }
        self.status(live.device);
    }

    /// Tells what became of a command.
    fn command(&mut self, device: DeviceId, id: CommandId) {
        let picture = self.app.shard.picture();
        let twin = picture.twins.get(self.interest.tenant, device);
        let found = twin.and_then(|twin| Some((twin, twin.commands.get(id)?)));
        let Some((twin, command)) = found else { return };
        if command.state.is_closed() {
            self.open.remove(&(device, id));
        } else if self.open.len() < WAITING_MAX {
            self.open.insert((device, id), command.state.clone());
        }
        let command = CommandJson::of(twin, command);
        let data = serde_json::json!({ "device": device, "command": command });
        self.push(Kind::Command, picture.offset.0, data);
    }

    /// An expiry makes no message, nor does a delivery: what was open is looked at.
    fn look_at_commands(&mut self) {
        let picture = self.app.shard.picture();
        let moved = |((device, id), told): &(&(DeviceId, CommandId), &CommandState)| {
            let twin = picture.twins.get(self.interest.tenant, *device);
            let command = twin.and_then(|twin| twin.commands.get(*id));
            command.is_none_or(|command| command.state != **told)
        };
        let moved: Vec<_> = self.open.iter().filter(moved).map(|(which, _)| *which).collect();
        for (device, id) in moved {
            self.open.remove(&(device, id));
            self.command(device, id);
        }
    }

    /// Tells the alarms that are not as they were.
    fn look_at_alarms(&mut self) {
        let picture = self.app.shard.picture();
        let before = std::mem::replace(&mut self.alarms, picture.alarms.clone());
        if !self.interest.wants(Kind::Alarm) {
            return;
        }
        let changed = picture.alarms.changed_since(&before, self.interest.tenant);
        let changed: Vec<_> =
            changed.filter(|alarm| self.interest.of(alarm.device)).take(WAITING_MAX + 1).collect();
        for alarm in changed.iter().take(WAITING_MAX) {
            let transition = alarm.changes.last().map(|change| change.transition.as_str());
            let data = serde_json::json!({
                "device": alarm.device, "transition": transition, "alarm": alarm_json(alarm),
            });
            self.push(Kind::Alarm, picture.offset.0, data);
        }
        if changed.len() > WAITING_MAX {
            self.behind(1);
        }
    }

    fn twin(&mut self, device: DeviceId, offset: u64) {
        let picture = self.app.shard.picture();
        let Some(twin) = picture.twins.get(self.interest.tenant, device) else { return };
        let pending: Vec<_> = twin.pending().map(ToString::to_string).collect();
        let data = serde_json::json!({
            "device": device, "desired_version": twin.desired_version, "pending": pending,
        });
        self.push(Kind::Twin, offset, data);
    }

    /// Tells a status that is not what this watcher was told last.
    fn status(&mut self, device: DeviceId) {
        if !self.interest.wants(Kind::Status) {
            return;
        }
        let picture = self.app.shard.picture();
        let Some(twin) = picture.twins.get(self.interest.tenant, device) else { return };
        let now = self.app.clock.now();
        let status = Look { picture: &picture, twin, now }.status();
        if self.statuses.insert(device, status) != Some(status) {
            let data = serde_json::json!({
                "device": device, "status": status.as_str(), "last_seen": twin.seen.last,
            });
            self.push(Kind::Status, picture.offset.0, data);
        }
    }

    fn look_at_statuses(&mut self) {
        if !self.interest.wants(Kind::Status) {
            return;
        }
        let picture = self.app.shard.picture();
        let ids: Vec<_> = match &self.interest.devices {
            Some(devices) => devices.iter().copied().collect(),
            None => picture
                .twins
                .devices(self.interest.tenant)
                .take(WAITING_MAX)
                .map(|twin| twin.id)
                .collect(),
        };
        for device in ids {
            self.status(device);
        }
    }

    fn refusal(&mut self, refusal: &Refusal) {
        if refusal.tenant.is_some_and(|tenant| tenant != self.interest.tenant) {
            return;
        }
        let about = refusal.device.is_none_or(|device| self.interest.of(device));
        if about {
            let offset = self.app.shard.picture().offset.0;
            self.push(Kind::Refusal, offset, serde_json::json!(refusal));
        }
    }
}

/// The command that a topic below a device's branch is about.
fn command_of(topic: &str) -> Option<CommandId> {
    let id = topic.strip_prefix("command/")?;
    id.strip_suffix("/answer").unwrap_or(id).parse().ok()
}
