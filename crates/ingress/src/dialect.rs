//! Firmware made for another platform: its topics and bodies become ours, ours become its.
//!
//! *Invariant:* a dialect only renames. Whose branch a message lies in and whether the caller may
//! reach it is judged after that, by the rules that hold for every device.
//! *Invariant:* the log holds our topics, so nothing behind the door knows of a dialect.
//!
//! ```text
//! v1/devices/me/telemetry          the same bytes          me/telemetry            `renamed`
//! v1/gateway/telemetry             one message a child     me/c/{child}/telemetry  `translated`
//! v1/devices/me/rpc/request/{n}    on delivery             me/command/{id}         `shown`
//! ```
//! Firmware counts requests, our commands have ids that are text. A command's number is its place
//! in the log, so the answer finds the command again, on another connection or after a restart too.

mod body;
mod down;
mod spelling;
mod up;

use std::borrow::Cow;

use identity::{Actor, Identity};
use model::{DeviceId, Offset};
use mqtt::connection::{Source, View};

use crate::follow::Message;
use crate::hub::Who;
use crate::refusal::RefusalReason;
use crate::shared::{Shared, lock};
use crate::topics::{self, Denial};

use spelling::Use;

pub(crate) use spelling::Spellings;
pub(crate) use up::renamed;

/// How a subscriber names what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `v1/devices/me/...`
    Device,
    /// `v2/...`, the same in fewer bytes.
    Short,
    /// `v1/gateway/...`, for the children of a gateway.
    Gateway,
}

/// The numbers are written to the log with subscriptions: they never change.
const NUMBERED: [(u8, Dialect); 3] =
    [(0, Dialect::Device), (1, Dialect::Short), (2, Dialect::Gateway)];

impl Dialect {
    fn view(self) -> View {
        let number = NUMBERED.iter().find(|(_, dialect)| *dialect == self).map(|(n, _)| *n);
        View::Dialect(number.expect("every dialect is numbered"))
    }

    fn of(view: View) -> Option<Self> {
        let View::Dialect(number) = view else { return None };
        NUMBERED.iter().find(|(n, _)| *n == number).map(|(_, dialect)| *dialect)
    }
}

/// One message for the log.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) device: DeviceId,
    pub(crate) topic: Cow<'static, str>,
    pub(crate) payload: Vec<u8>,
}

/// What a publish becomes.
#[derive(Debug, Default)]
pub(crate) struct Translated {
    /// In one batch, acknowledged once.
    pub(crate) parts: Vec<Part>,
    /// What of it was refused, for its owner.
    pub(crate) denied: Vec<Denial>,
}

/// What a publish of a device becomes when its topic is a dialect's and its body is not ours.
///
/// # Errors
/// Nothing of it can be taken.
pub(crate) fn translated(
    shared: &Shared,
    who: &Identity,
    topic: &str,
    payload: &[u8],
) -> Option<Result<Translated, Denial>> {
    if !topic.starts_with("v1/") && !topic.starts_with("v2/") {
        return None;
    }
    let Actor::Device(_) = who.actor else { return None };
    if renamed(topic).is_some() {
        return None;
    }
    Some(up::read(topic, payload)?.and_then(|said| judged(shared, who, said)))
}

fn judged(shared: &Shared, who: &Identity, said: Vec<up::Said>) -> Result<Translated, Denial> {
    let mut all = Translated::default();
    for one in said {
        if let Some(about) = &one.about {
            // Its gateway may connect it before it is listed; its owner shall know.
            all.denied.extend(whose(shared, who, Some((about, Use::Introduces)), "").err());
        }
        let child = one.child.as_deref().map(|child| (child, Use::Speaks));
        match whose(shared, who, child, one.below.name()) {
            Ok(device) => all.parts.push(part(shared, device, one)),
            Err(denial) => all.denied.push(denial),
        }
    }
    if all.parts.is_empty() {
        return Err(refused(all.denied));
    }
    let rest = all.denied.split_off(all.denied.len().min(TOLD_MAX));
    if !rest.is_empty() {
        all.denied.push(refused(rest));
    }
    Ok(all)
}

/// Unlisted children of one message that its owner is told of one by one.
const TOLD_MAX: usize = 16;

/// Whose branch a message lies in, if the caller may speak there.
fn whose(
    shared: &Shared,
    who: &Identity,
    child: Option<(&str, Use)>,
    below: &str,
) -> Result<DeviceId, Denial> {
    let Some((spelled, how)) = child else {
        return topics::branch(&shared.door, who, None, below);
    };
    let name = spelling::here(&shared.door, who, spelled);
    let device = topics::branch(&shared.door, who, Some(&name), below).map_err(|mut denial| {
        // The owner knows it by the name that the gateway uses.
        if denial.reason == RefusalReason::UnknownChild {
            denial = topics::unknown_child(spelled);
        }
        denial
    })?;
    if *name != *spelled || how == Use::Introduces {
        lock(&shared.spellings).note(who, (device, spelled), how)?;
    }
    Ok(device)
}

fn part(shared: &Shared, device: DeviceId, said: up::Said) -> Part {
    let (topic, payload) = match said.below {
        up::Below::Named(name) => (name, said.body),
        up::Below::Answer(number) => {
            let id = command(shared, device, number).unwrap_or_else(|| number.to_string());
            (format!("command/{id}/answer").into(), said.body)
        }
        up::Below::Limits(number) => {
            let limits = &shared.limits;
            let answer = body::limits(limits.packet_bytes_max, limits.receive_max);
            (format!("request/{number}/answer").into(), answer)
        }
    };
    Part { device, topic, payload }
}

/// One refusal for several; without any, there was nothing to take.
fn refused(denied: Vec<Denial>) -> Denial {
    let more = denied.len().saturating_sub(1);
    let first = denied.into_iter().next();
    let mut first = first.unwrap_or_else(up::nothing_said);
    if more > 0 {
        first.detail = format!("{}, and {more} more", first.detail);
    }
    first
}

/// Bits of an offset that make a command's number: request ids are positive 32-bit integers.
const NUMBER_BITS: u32 = 31;

/// Bytes of log read to find one record: its batch comes whole anyway.
const LOOKUP_BYTES: usize = 1;

fn number(source: &Source) -> u32 {
    let offset = match source {
        Source::Log(offset) => *offset,
        Source::Kept(kept) => kept.offset,
    };
    u32::try_from(offset.0 & ((1 << NUMBER_BITS) - 1)).expect("31 bits fit")
}

/// The id of the newest command to `device` with that number, while the log has it.
fn command(shared: &Shared, device: DeviceId, number: u32) -> Option<String> {
    let committed = shared.log.committed().0;
    let newest = (committed >> NUMBER_BITS << NUMBER_BITS) | u64::from(number);
    let offset = if newest > committed { newest.checked_sub(1 << NUMBER_BITS)? } else { newest };
    let frames = shared.log.read(Offset(offset), LOOKUP_BYTES).ok()?;
    let record = frames.iter().next()?.ok().filter(|record| record.offset.0 == offset)?;
    let mut output = None;
    let message = Message::of_record(&record, &mut output)?;
    let id = message.topic.strip_prefix("command/")?;
    (message.device == Some(device) && !id.contains('/')).then(|| id.to_owned())
}

/// A filter of a device, in our words.
pub(crate) struct Asked {
    pub(crate) device: Option<DeviceId>,
    pub(crate) topic: Cow<'static, str>,
    pub(crate) view: View,
}

/// What a filter of a device means when it is a dialect's.
pub(crate) fn subscribed(
    who: &Identity,
    children: impl Fn(DeviceId) -> std::sync::Arc<[DeviceId]>,
    filter: &str,
) -> Option<Vec<Asked>> {
    let Actor::Device(own) = who.actor else { return None };
    let (dialect, topics) = down::asked(filter)?;
    let devices = if dialect == Dialect::Gateway { children(own) } else { [own].into() };
    let each = devices.iter().flat_map(|device| {
        let ask = |topic: &Cow<'static, str>| Asked {
            device: Some(*device),
            topic: topic.clone(),
            view: dialect.view(),
        };
        topics.iter().map(ask).collect::<Vec<_>>()
    });
    Some(each.collect())
}

/// A message as its subscriber knows it.
#[derive(Debug)]
pub(crate) enum Shown {
    /// As it is: the subscriber uses no dialect.
    Plain,
    /// Under another name.
    Translated {
        /// Whole.
        topic: String,
        /// The body.
        payload: Vec<u8>,
    },
    /// Not at all: the dialect has no word for it.
    Nothing,
}

impl Shown {
    /// Topic and body to write; `plain` where no dialect is used, `None` for nothing.
    pub(crate) fn or<'b>(&'b self, plain: Written<'b>) -> Option<Written<'b>> {
        match self {
            Self::Plain => Some(plain),
            Self::Translated { topic, payload } => Some(([topic, "", ""], payload)),
            Self::Nothing => None,
        }
    }
}

/// A topic in pieces, and a body.
type Written<'b> = ([&'b str; 3], &'b [u8]);

/// How a subscriber sees a message.
pub(crate) fn shown(
    shared: &Shared,
    who: &Who,
    message: &Message<'_>,
    (view, source): (View, &Source),
) -> Shown {
    let Some(dialect) = Dialect::of(view) else { return Shown::Plain };
    let name = match (dialect, who.device(), message.device) {
        (Dialect::Gateway, Some(gateway), Some(child)) => {
            let spelled = lock(&shared.spellings).of(gateway, child);
            spelled.or_else(|| shared.door.device_name(child))
        }
        (Dialect::Device | Dialect::Short | Dialect::Gateway, _, _) => None,
    };
    let told = down::Told {
        below: message.topic,
        payload: message.payload,
        number: number(source),
        child: name.as_deref().unwrap_or_default(),
        now: shared.clock.now(),
    };
    match down::show(dialect, &told) {
        Some((topic, payload)) => Shown::Translated { topic, payload },
        None => Shown::Nothing,
    }
}

#[cfg(test)]
mod tests;
