//! What people want of a device: settings and commands, inside the envelope of the blueprint.
//!
//! *Invariant:* an act that leaves its envelope changes nothing but the record that it was refused.
//! *Invariant:* a command is published once. The same id, or the same key of the same caller, is
//! the same command; what a device says after the expiry is kept, and closes nothing.
//!
//! ```text
//! decided desired {device}   {"by","values":{..}}, of a rule with "steps":{name: largest step}
//! decided command {device}   {"id","name","args","by","key","timeout_ms"}
//! decided delivered {device} {"command"}        by the door: the device acknowledged it
//! me/command/{id}            {"args":{...},"expires":ms,"name":"locate"}
//! me/command/{id}/answer     {"ok":true,...}
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use blueprint::{Act, Driving, Envelope, Kind};
use model::{
    CommandId, Decided, DeviceId, FoldId, Name, Offset, Output, Outputs, Retain, Step, TenantId,
    Timestamp, Value,
};

use super::{Twins, desired_payload, setting_value};
use crate::command::{
    ANSWER_BYTES_MAX, Answer, COMMANDS_MAX, Command, CommandState, Commands, Outcome,
};
use crate::device::{Desired, DeviceTwin};
use crate::guards::{Guard, RefusedChange};
use crate::timers::Due;

/// How long a command may be waited for.
pub const COMMAND_TIMEOUT_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Who wants a safe value when nobody confirmed another.
const WATCHDOG: &str = "watchdog";

/// A change of desired settings: `null` takes one back.
#[derive(serde::Deserialize)]
struct DesiredChange {
    by: String,
    values: BTreeMap<Name, Option<serde_json::Value>>,
    /// How far a value may be from what the device reports, where a rule keeps a step.
    #[serde(default)]
    steps: BTreeMap<Name, f64>,
}

/// A command as it was decided.
#[derive(serde::Deserialize)]
struct CommandAct {
    id: CommandId,
    name: Name,
    #[serde(default)]
    args: serde_json::Map<String, serde_json::Value>,
    by: String,
    #[serde(default)]
    key: String,
    timeout_ms: u64,
}

/// What the door says of a command.
#[derive(serde::Deserialize)]
struct Delivered {
    command: CommandId,
}

/// What a device says to a command.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// Isolation boundary.
    pub tenant: TenantId,
    /// Who says it.
    pub device: DeviceId,
    /// Of the command, as in the topic.
    pub id: &'a str,
    /// The body.
    pub payload: &'a [u8],
    /// The frame.
    pub offset: Offset,
    /// When it came.
    pub at: Timestamp,
}

/// A setting that may be changed as asked.
struct Taken {
    name: Name,
    value: Option<Value>,
    driving: Driving,
    /// When the safe value becomes wanted, and which it is.
    watchdog: Option<(Timestamp, Value)>,
    remembers: bool,
}

impl Twins {
    /// Takes in what a person or a rule wants of a device whose kind in force is `kind`; why it was
    /// refused, when it was.
    pub fn act(
        &mut self,
        step: &Step<'_>,
        decided: &Decided<'_>,
        kind: Option<&Kind>,
        out: &mut Outputs,
    ) -> Option<String> {
        let device = decided.id.parse::<DeviceId>().ok()?;
        self.get(device).filter(|twin| twin.tenant == decided.tenant)?;
        match decided.kind {
            "desired" => self.desired(step, (device, decided.content), kind, out),
            "command" => self.command(step, (device, decided.content), kind, out),
            "delivered" => {
                self.delivered(device, decided.content);
                None
            }
            _ => None,
        }
    }

    fn desired(
        &mut self,
        step: &Step<'_>,
        (device, content): (DeviceId, &str),
        kind: Option<&Kind>,
        out: &mut Outputs,
    ) -> Option<String> {
        let change = serde_json::from_str::<DesiredChange>(content).ok()?;
        let twin = self.get(device)?;
        let steps = &change.steps;
        let judged = change.values.into_iter().map(|(name, value)| {
            let envelope = kind.and_then(|kind| kind.settings.get(&name)).map(|s| &s.envelope);
            if let Some(step) = steps.get(&name) {
                stepped(twin, (&name, value.as_ref()), *step)?;
            }
            judged(twin, (name, value.as_ref()), envelope, step.log_time)
        });
        // All or nothing: half of a change may be worse than none.
        let taken = match judged.collect::<Result<Vec<Taken>, RefusedChange>>() {
            Ok(taken) => taken,
            Err(refused) => {
                let refused = RefusedChange { offset: step.offset, ..refused };
                let why = format!("{}: {}", refused.setting, refused.reason);
                let twin = self.get_mut(device)?;
                Arc::make_mut(&mut twin.guards).refused = Some(refused);
                return Some(why);
            }
        };
        for one in &taken {
            self.remember(device, one, step.log_time);
        }
        let twin = self.get_mut(device)?;
        twin.desired_version += 1;
        let version = twin.desired_version;
        for Taken { name, value, .. } in taken {
            match value {
                Some(value) => {
                    let by = change.by.clone();
                    twin.desired.insert(name, Desired { value, version, at: step.log_time, by });
                }
                None => {
                    twin.desired.remove(&name);
                }
            }
        }
        out.push(FoldId::Twin, twin.tenant, desired_output(twin));
        None
    }

    /// Notes an act that was taken, and sets its watchdog anew.
    fn remember(&mut self, device: DeviceId, taken: &Taken, at: Timestamp) {
        if !taken.remembers {
            return;
        }
        let old = self.get(device).and_then(|twin| twin.guards.settings.get(&taken.name));
        if let Some(timer) = old.and_then(|guard| guard.watchdog) {
            self.timers.take(timer);
        }
        let watchdog = taken.watchdog.clone().map(|(due, safe)| {
            self.timers.set(due, Due::Watchdog { device, setting: taken.name.clone(), safe })
        });
        let Some(twin) = self.get_mut(device) else { return };
        let guards = Arc::make_mut(&mut twin.guards);
        let guard = guards.settings.entry(taken.name.clone()).or_default();
        let act = Act { value: taken.value.as_ref(), at, interlock: None };
        guard.past.note(&act, taken.driving);
        guard.watchdog = watchdog;
    }

    fn command(
        &mut self,
        step: &Step<'_>,
        (device, content): (DeviceId, &str),
        kind: Option<&Kind>,
        out: &mut Outputs,
    ) -> Option<String> {
        let act = serde_json::from_str::<CommandAct>(content).ok()?;
        let twin = self.get(device)?;
        let tenant = twin.tenant;
        if is_known(&twin.commands, &act) {
            return None;
        }
        let envelope = kind.and_then(|kind| kind.commands.get(&act.name)).map(|c| &c.envelope);
        let judged = admitted(twin, (kind.is_some(), envelope, &act.name), step.log_time);
        let timeout = Duration::from_millis(act.timeout_ms).min(COMMAND_TIMEOUT_MAX);
        let mut command = Command {
            id: act.id,
            name: act.name,
            args: serde_json::Value::Object(act.args).to_string().into(),
            by: act.by,
            key: act.key,
            offset: step.offset,
            at: step.log_time,
            expires: step.log_time + timeout,
            timer: 0,
            state: CommandState::Queued,
            answer: None,
        };
        let remembers = envelope.is_some_and(Envelope::remembers);
        let refused = judged.as_ref().err().cloned();
        match judged {
            Err(reason) => command.state = CommandState::Refused { reason },
            Ok(driving) => {
                let due = Due::Expiry { device, command: command.id };
                command.timer = self.timers.set(command.expires, due).id;
                out.push(FoldId::Twin, tenant, command_output(device, &command));
                if let Some(twin) = self.get_mut(device).filter(|_| remembers) {
                    let act = Act { value: None, at: step.log_time, interlock: None };
                    let guards = Arc::make_mut(&mut twin.guards);
                    guards.commands.entry(command.name.clone()).or_default().note(&act, driving);
                }
            }
        }
        if let Some(twin) = self.get_mut(device) {
            Arc::make_mut(&mut twin.commands).push(command);
        }
        refused
    }

    /// The device acknowledged the message that carries a command.
    fn delivered(&mut self, device: DeviceId, content: &str) {
        let Ok(Delivered { command }) = serde_json::from_str(content) else { return };
        let Some(twin) = self.get_mut(device) else { return };
        if twin.commands.get(command).is_none_or(|open| open.state != CommandState::Queued) {
            return;
        }
        if let Some(open) = Arc::make_mut(&mut twin.commands).get_mut(command) {
            open.state = CommandState::Delivered;
        }
    }

    /// Takes in what a device says to a command. One that was not given here is a service's own and
    /// no concern of this fold.
    ///
    /// # Errors
    /// Why the answer is none, for a person.
    pub fn answered(&mut self, said: &Answered<'_>) -> Result<(), String> {
        let Ok(id) = said.id.parse::<CommandId>() else { return Ok(()) };
        let Some(twin) = self.get(said.device).filter(|twin| twin.tenant == said.tenant) else {
            return Ok(());
        };
        let Some(open) = twin.commands.get(id).filter(|command| command.answer.is_none()) else {
            return Ok(());
        };
        let (due, timer) = (open.expires, open.timer);
        let (body, outcome) = understood(said.payload)?;
        self.timers.take(model::Timer { due, id: timer });
        let Some(twin) = self.get_mut(said.device) else { return Ok(()) };
        twin.seen.last = Some(said.at);
        twin.seen.messages += 1;
        let Some(command) = Arc::make_mut(&mut twin.commands).get_mut(id) else { return Ok(()) };
        if !command.state.is_closed() {
            command.state = match outcome {
                Outcome::Done => CommandState::Done,
                Outcome::Failed => CommandState::Failed,
            };
        }
        command.answer = Some(Answer { body, at: said.at, offset: said.offset, outcome });
        Ok(())
    }

    /// A timer is due.
    pub(super) fn fire(&mut self, step: &Step<'_>, timer: model::Timer, out: &mut Outputs) {
        match self.timers.take(timer) {
            Some(Due::Expiry { device, command }) => {
                let Some(twin) = self.get_mut(device) else { return };
                let commands = Arc::make_mut(&mut twin.commands);
                let open = commands.get_mut(command).filter(|open| !open.state.is_closed());
                if let Some(open) = open {
                    open.state = CommandState::Expired;
                }
            }
            Some(Due::Watchdog { device, setting, safe }) => {
                self.make_safe(step, (device, setting, safe), out);
            }
            None => {}
        }
    }

    fn make_safe(
        &mut self,
        step: &Step<'_>,
        (device, name, safe): (DeviceId, Name, Value),
        out: &mut Outputs,
    ) {
        let Some(twin) = self.get_mut(device) else { return };
        twin.desired_version += 1;
        let guards = Arc::make_mut(&mut twin.guards);
        let guard = guards.settings.entry(name.clone()).or_default();
        let act = Act { value: Some(&safe), at: step.log_time, interlock: None };
        guard.past.note(&act, Driving::Driven);
        *guard = Guard { past: std::mem::take(&mut guard.past), watchdog: None };
        let version = twin.desired_version;
        let (at, by) = (step.log_time, WATCHDOG.to_owned());
        twin.desired.insert(name, Desired { value: safe, version, at, by });
        out.push(FoldId::Twin, twin.tenant, desired_output(twin));
    }

    /// Forgets what is due for a device that is gone.
    pub(super) fn forget_timers(&mut self, device: DeviceId) {
        self.timers.due.retain(|_, due| match due {
            Due::Expiry { device: of, .. } | Due::Watchdog { device: of, .. } => *of != device,
        });
    }
}

fn is_known(commands: &Commands, act: &CommandAct) -> bool {
    commands.get(act.id).is_some() || commands.by_key(&act.by, &act.key).is_some()
}

/// Whether an envelope's interlock holds for this device now.
fn interlock(twin: &DeviceTwin, envelope: &Envelope, at: Timestamp) -> Option<bool> {
    envelope.holds(at, |name| twin.readings.get(name).map(|last| (&last.value, last.time)))
}

fn judged(
    twin: &DeviceTwin,
    (name, value): (Name, Option<&serde_json::Value>),
    envelope: Option<&Envelope>,
    at: Timestamp,
) -> Result<Taken, RefusedChange> {
    let value = value.and_then(setting_value);
    let no_driving =
        Taken { name, value, driving: Driving::Driven, watchdog: None, remembers: false };
    let Some(envelope) = envelope.filter(|envelope| **envelope != Envelope::default()) else {
        return Ok(no_driving);
    };
    let refused = |name: &Name, reason: String| {
        Err(RefusedChange { offset: Offset(0), setting: name.clone(), reason })
    };
    let Taken { name, value, .. } = no_driving;
    let Some(wanted) = &value else {
        return match &envelope.safe {
            Some(safe) if safe.watchdog.is_some() => {
                let reason = "it has a watchdog and is always wanted: set its safe value instead";
                refused(&name, reason.to_owned())
            }
            Some(_) | None => Ok(Taken {
                name,
                value,
                driving: Driving::Confirmed,
                watchdog: None,
                remembers: false,
            }),
        };
    };
    let nothing = Guard::default();
    let past = &twin.guards.settings.get(&name).unwrap_or(&nothing).past;
    let act = Act { value: Some(wanted), at, interlock: interlock(twin, envelope, at) };
    match envelope.judge(past, &act) {
        Err(refusal) => refused(&name, refusal.to_string()),
        Ok(driving) => {
            let safe = envelope.safe.as_ref().map(|safe| safe.value.clone());
            let watchdog = envelope.watchdog(wanted, at).zip(safe);
            Ok(Taken { name, value, driving, watchdog, remembers: envelope.remembers() })
        }
    }
}

/// Keeps a step: the value may be so far from what the device says it has.
fn stepped(
    twin: &DeviceTwin,
    (name, value): (&Name, Option<&serde_json::Value>),
    step: f64,
) -> Result<(), RefusedChange> {
    let number = |value: &Value| match value {
        Value::Number(number) => Some(*number),
        Value::Boolean(truth) => Some(f64::from(u8::from(*truth))),
        Value::Text(_) | Value::Position { .. } => None,
    };
    let Some(to) = value.and_then(setting_value).as_ref().and_then(number) else { return Ok(()) };
    let known = twin.reported.get(name).and_then(|last| number(&last.value));
    let reason = match known {
        Some(known) if (to - known).abs() <= step => return Ok(()),
        Some(known) => format!("from {known} to {to} is more than a step of {step}"),
        None => format!("it is not reported, so a step of {step} cannot be kept"),
    };
    Err(RefusedChange { offset: Offset(0), setting: name.clone(), reason })
}

/// Whether a command may be given to a device now.
fn admitted(
    twin: &DeviceTwin,
    (known, envelope, name): (bool, Option<&Envelope>, &Name),
    at: Timestamp,
) -> Result<Driving, String> {
    if twin.retired.is_some() {
        return Err("the device is retired".to_owned());
    }
    if twin.commands.is_full() {
        return Err(format!("{COMMANDS_MAX} commands are open, and no more are kept for a device"));
    }
    let Some(envelope) = envelope else {
        let why = if known { "its kind has no such command" } else { "no blueprint is in force" };
        return Err(format!("{name}: {why}"));
    };
    let nothing = blueprint::Past::default();
    let past = twin.guards.commands.get(name).unwrap_or(&nothing);
    let act = Act { value: None, at, interlock: interlock(twin, envelope, at) };
    envelope.judge(past, &act).map_err(|refusal| refusal.to_string())
}

fn desired_output(twin: &DeviceTwin) -> Output {
    Output::Publish {
        device: twin.id,
        topic: "desired".to_owned(),
        retain: Retain::Keep,
        expires: None,
        payload: desired_payload(twin),
    }
}

fn command_output(device: DeviceId, command: &Command) -> Output {
    let args: serde_json::Value = serde_json::from_str(&command.args).unwrap_or_default();
    let body = serde_json::json!({
        "name": command.name, "args": args, "expires": command.expires.as_millis(),
    });
    Output::Publish {
        device,
        topic: format!("command/{}", command.id),
        retain: Retain::Pass,
        expires: Some(command.expires),
        payload: body.to_string().into_bytes(),
    }
}

fn understood(payload: &[u8]) -> Result<(Box<str>, Outcome), String> {
    const EXPECTED: &str = "an answer is {\"ok\":true} or {\"ok\":false,\"error\":\"why\"}";
    let body: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(payload).map_err(|error| format!("{EXPECTED}: {error}"))?;
    let outcome = match body.get("ok").and_then(serde_json::Value::as_bool) {
        Some(true) => Outcome::Done,
        Some(false) => Outcome::Failed,
        None => return Err(format!("{EXPECTED}: ok is missing")),
    };
    let text = serde_json::Value::Object(body).to_string();
    let kept = if text.len() <= ANSWER_BYTES_MAX { text } else { "{}".to_owned() };
    Ok((kept.into(), outcome))
}
