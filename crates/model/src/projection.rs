//! Pure folds over the log: what they are given, what they may produce, how they are kept.
//!
//! *Invariant:* the same snapshot and the same steps give the same state and outputs, byte for
//! byte. A fold has no clock, IO, lock or randomness; its containers are ordered; transcendental
//! functions come from `libm`.

use crate::wire::{Reader, WireError, Writer};
use crate::{
    AlarmId, Decided, DeviceId, Erased, Name, Offset, Origin, OutputKey, Reading, Retain, TenantId,
    Timestamp,
};

/// The folds, in the order in which one step passes through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FoldId {
    /// State of devices.
    Twin = 1,
    /// Conditions and alarms.
    Rules = 2,
    /// Usage and money.
    Billing = 3,
}

/// One thing for the folds to take in, decoded once for all of them.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// The frame it came from.
    pub offset: Offset,
    /// The folds' only clock.
    pub log_time: Timestamp,
    /// What it is.
    pub input: Input<'a>,
}

/// What a step is.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// Readings of one device, in the order of the message.
    Readings {
        /// Isolation boundary.
        tenant: TenantId,
        /// Whose.
        device: DeviceId,
        /// The gateway that spoke for it.
        path: Option<DeviceId>,
        /// Set by the credential.
        origin: Origin,
        /// Good readings; bad ones are in quarantine.
        readings: &'a [Reading],
    },
    /// Settings as they are: firmware, hardware revision and settings of one device.
    Reported {
        /// Isolation boundary.
        tenant: TenantId,
        /// Whose.
        device: DeviceId,
        /// Good values, by setting name (`firmware` and `hardware` among them).
        values: &'a [Reading],
    },
    /// Something that happened on a device.
    Event {
        /// Isolation boundary.
        tenant: TenantId,
        /// Whose.
        device: DeviceId,
        /// The event's name.
        name: &'a str,
        /// The body, a JSON object.
        content: &'a str,
    },
    /// A person's decision.
    Decided(Decided<'a>),
    /// A timer of this fold is due.
    Timer(Timer),
    /// A subject to forget.
    Erased(Erased<'a>),
}

/// Something due at a time; fires in the order of (due, id).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timer {
    /// When, in log time.
    pub due: Timestamp,
    /// Unique within its fold.
    pub id: u64,
}

/// Something the outside world shall see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A message to a device, on its branch.
    Publish {
        /// To whom.
        device: DeviceId,
        /// Below the device's branch, for example `desired`.
        topic: String,
        /// Whether later subscribers get it too.
        retain: Retain,
        /// When it is not to be delivered any more.
        expires: Option<Timestamp>,
        /// The payload.
        payload: Vec<u8>,
    },
    /// Something happened to an alarm, and people may want to know.
    Notify(Box<Notice>),
    /// A decision for the log of the other lane: what an urgent rule wants of a device, whose twin
    /// is in the main one; that the twin refused it, which the alarm in the urgent one says.
    Act {
        /// As of [`Decided::kind`].
        kind: String,
        /// As of [`Decided::id`].
        id: String,
        /// As of [`Decided::content`].
        content: String,
    },
}

/// What people are told of an alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// On which device.
    pub device: DeviceId,
    /// Which alarm.
    pub alarm: AlarmId,
    /// The rule's name in the blueprint.
    pub rule: Name,
    /// What happened: `raised`, `severity_up`, `severity_down`, `escalated`, `unshelved`, `acted`,
    /// `refused` or `cleared`.
    pub transition: String,
    /// Where it stood: `calm`, or a state and a severity such as `raised warning`.
    pub from: String,
    /// Where it stands: `cleared`, or a state and a severity.
    pub to: String,
    /// `info`, `warning` or `critical`.
    pub severity: String,
    /// The role that is told; nobody in particular when absent.
    pub role: Option<Name>,
    /// A line for people: the device and what it is about.
    pub title: String,
    /// Why, with the values it was decided on.
    pub text: String,
    /// What it was decided on, as JSON; empty when nothing was looked at.
    pub trace: String,
    /// By the device's clock.
    pub event: Timestamp,
}

impl Notice {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u128(self.device.as_u128());
        out.put_u128(self.alarm.as_u128());
        let words = [
            self.rule.as_str(),
            &self.transition,
            &self.from,
            &self.to,
            &self.severity,
            &self.title,
            &self.text,
            &self.trace,
        ];
        for word in words {
            out.put_text(word);
        }
        out.put_option(self.role.as_ref(), |out, role| out.put_text(role.as_str()));
        out.put_i64(self.event.as_millis());
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let name = |r: &mut Reader<'_>| {
            let error = r.error();
            r.text()?.parse::<Name>().map_err(|_| error)
        };
        Ok(Self {
            device: DeviceId::from_u128(r.u128()?),
            alarm: AlarmId::from_u128(r.u128()?),
            rule: name(r)?,
            transition: r.text()?.to_owned(),
            from: r.text()?.to_owned(),
            to: r.text()?.to_owned(),
            severity: r.text()?.to_owned(),
            title: r.text()?.to_owned(),
            text: r.text()?.to_owned(),
            trace: r.text()?.to_owned(),
            role: r.option(name)?,
            event: Timestamp::from_millis(r.i64()?),
        })
    }
}

// First byte of an output. 2 is left to what is no message to a device.
const PUBLISH: u8 = 1;
const PUBLISH_UNTIL: u8 = 3;
const ACT: u8 = 4;

impl Output {
    /// Appends the output's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Publish { device, topic, retain, expires, payload } => {
                out.put_u8(if expires.is_some() { PUBLISH_UNTIL } else { PUBLISH });
                out.put_u128(device.as_u128());
                out.put_text(topic);
                out.put_u8(u8::from(*retain == Retain::Keep));
                if let Some(expires) = expires {
                    out.put_i64(expires.as_millis());
                }
                out.put_bytes(payload);
            }
            Self::Notify(notice) => {
                out.put_u8(2);
                notice.encode(out);
            }
            Self::Act { kind, id, content } => {
                out.put_u8(ACT);
                for text in [kind, id, content] {
                    out.put_text(text);
                }
            }
        }
    }

    /// Reads exactly one output.
    ///
    /// # Errors
    /// The bytes are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let error = r.error();
        let output = match r.u8()? {
            kind @ (PUBLISH | PUBLISH_UNTIL) => Self::Publish {
                device: DeviceId::from_u128(r.u128()?),
                topic: r.text()?.to_owned(),
                retain: if r.u8()? == 1 { Retain::Keep } else { Retain::Pass },
                expires: match kind {
                    PUBLISH_UNTIL => Some(Timestamp::from_millis(r.i64()?)),
                    _ => None,
                },
                payload: r.bytes()?.to_owned(),
            },
            2 => Self::Notify(Box::new(Notice::decode(&mut r)?)),
            ACT => Self::Act {
                kind: r.text()?.to_owned(),
                id: r.text()?.to_owned(),
                content: r.text()?.to_owned(),
            },
            _ => return Err(error),
        };
        r.end()?;
        Ok(output)
    }
}

/// Collects what the folds produce for one frame, keyed (fold, input offset, n).
#[derive(Debug, Default)]
pub struct Outputs {
    input: Offset,
    counts: [u32; 4],
    list: Vec<(OutputKey, TenantId, Output)>,
}

impl Outputs {
    /// For the frame at `input`.
    #[must_use]
    pub const fn new(input: Offset) -> Self {
        Self { input, counts: [0; 4], list: Vec::new() }
    }

    /// Adds one output of `fold`.
    pub fn push(&mut self, fold: FoldId, tenant: TenantId, output: Output) {
        let count = &mut self.counts[usize::from(fold as u8)];
        let key = OutputKey { fold: fold as u8, input: self.input, n: *count };
        *count += 1;
        self.list.push((key, tenant, output));
    }

    /// What was produced, in the order of production.
    #[must_use]
    pub fn into_list(self) -> Vec<(OutputKey, TenantId, Output)> {
        self.list
    }
}

/// A snapshot that this version cannot take up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Written by another version of the fold.
    #[error("snapshot of {fold} has version {found}, this program reads {expected}")]
    Version {
        /// Which fold.
        fold: &'static str,
        /// What the snapshot says.
        found: u32,
        /// What we read.
        expected: u32,
    },
    /// Damage.
    #[error("snapshot is malformed")]
    Malformed(#[from] WireError),
}

/// A pure fold.
pub trait Projection: Sized {
    /// Which one it is.
    const ID: FoldId;

    /// Takes in one step; what the world shall see goes to `out`.
    fn apply(&mut self, step: &Step<'_>, out: &mut Outputs);

    /// The earliest timer, if any. It must be gone or later once `apply` got it.
    fn next_timer(&self) -> Option<Timer>;

    /// Appends the whole state; equal states give equal bytes.
    fn snapshot(&self, out: &mut Vec<u8>);

    /// The state that `snapshot` wrote.
    ///
    /// # Errors
    /// Another version, or damage.
    fn restore(bytes: &[u8]) -> Result<Self, RestoreError>;
}
