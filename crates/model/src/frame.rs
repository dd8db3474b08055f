//! What the event log holds: one frame per thing that happened, and its bytes.
//!
//! *Invariant:* `decode(encode(frame)) == frame`, and `decode` refuses anything else without
//! panicking or allocating; a decoded frame borrows from the log's bytes.
//!
//! ```text
//! kind u8 | fields in the order of the struct, little-endian (see `wire`)
//! ```
//! The first byte doubles as the version of that kind's layout: a changed layout gets a new kind.

use std::fmt;

use crate::wire::{Reader, WireError, Writer};
use crate::{CredentialId, DeviceId, Origin, TenantId, Timestamp};

/// Position of a record in the one order of a shard. The first record has offset 1, so that 0 can
/// mean "before everything". Offsets grow but need not be contiguous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(pub u64);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A frame with its place and time in the log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record<'a> {
    /// Place in the order.
    pub offset: Offset,
    /// The folds' only clock.
    pub log_time: Timestamp,
    /// What happened.
    pub frame: Frame<'a>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Frame<'a> {
    /// Bytes from a device or service.
    Raw(Raw<'a>),
    /// A person's decision.
    Decided(Decided<'a>),
    /// Nothing happened, but time passed.
    Tick,
    /// MQTT session state; only `mqtt` reads its content.
    Session(SessionFrame<'a>),
    /// What a fold produced; folds never read it.
    Output(OutputFrame<'a>),
    /// Bytes to decode again after a fix.
    Redecode(Redecode<'a>),
    /// A subject to forget.
    Erased(Erased<'a>),
}

/// Who sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Principal {
    /// A device, by its credential.
    Device(DeviceId),
    /// A program of the tenant, by its credential.
    Service(CredentialId),
}

/// The door it came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// MQTT 3.1.1 or 5.
    Mqtt,
    /// `POST /ingest`.
    Http,
    /// Copied from the urgent shard: feeds twin, billing and lake, raises no second alarm.
    Urgent,
}

/// MQTT quality of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Qos {
    /// Unacknowledged.
    AtMostOnce,
    /// PUBACK when durable.
    AtLeastOnce,
    /// PUBREC when durable, PUBREL durable before PUBCOMP.
    ExactlyOnce,
}

/// MQTT's retain flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retain {
    /// The last value for later subscribers.
    Keep,
    /// An ordinary message.
    Pass,
}

/// Bytes from a device or service, as they came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Raw<'a> {
    /// Isolation boundary.
    pub tenant: TenantId,
    /// Who sent it: for a child behind a gateway, the gateway.
    pub principal: Principal,
    /// Whose branch it was published on, if a device's.
    pub device: Option<DeviceId>,
    /// Set by the credential.
    pub origin: Origin,
    /// The door.
    pub channel: Channel,
    /// As published.
    pub qos: Qos,
    /// As published.
    pub retain: Retain,
    /// Stable hash of (tenant, principal, client id), for no-local and QoS 2; 0 is none.
    pub session: u64,
    /// MQTT packet id of a QoS 1 or 2 publish; 0 is none.
    pub packet_id: u16,
    /// Below the device's branch (`telemetry`) when `device` is set, otherwise the whole topic.
    pub topic: &'a str,
    /// MQTT 5 properties to pass on, in wire form without their length.
    pub properties: &'a [u8],
    /// `Idempotency-Key` of an HTTP request; empty is none.
    pub key: &'a str,
    /// The payload.
    pub payload: &'a [u8],
}

/// A person's decision. A record of the registry has a revision; an act on a device or an alarm
/// (desired, command, acknowledge) is only an event and has revision 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decided<'a> {
    /// Isolation boundary.
    pub tenant: TenantId,
    /// Which table or act, snake_case: `device`, `blueprint`, `desired` ...
    pub kind: &'a str,
    /// Which record.
    pub id: &'a str,
    /// Revision of the record; one not newer than the one in force is ignored.
    pub revision: u64,
    /// Canonical JSON; `null` removes the record.
    pub content: &'a str,
}

/// MQTT session state; layout owned by `mqtt`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SessionFrame<'a> {
    /// Isolation boundary.
    pub tenant: TenantId,
    /// Opaque here.
    pub content: &'a [u8],
}

/// Identity of an output: the same input gives the same outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputKey {
    /// Which fold made it, by its number.
    pub fold: u8,
    /// The frame that caused it.
    pub input: Offset,
    /// Its place among the outputs of that fold for that frame.
    pub n: u32,
}

/// What a fold produced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutputFrame<'a> {
    /// Isolation boundary.
    pub tenant: TenantId,
    /// Identity.
    pub key: OutputKey,
    /// An encoded [`crate::Output`].
    pub content: &'a [u8],
}

/// Quarantined bytes to decode again after a fix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Redecode<'a> {
    /// Isolation boundary.
    pub tenant: TenantId,
    /// Whose bytes.
    pub device: DeviceId,
    /// As it was.
    pub origin: Origin,
    /// Offset of the original frame.
    pub source: Offset,
    /// Log time of the original frame.
    pub source_time: Timestamp,
    /// Below the device's branch.
    pub topic: &'a str,
    /// The payload.
    pub payload: &'a [u8],
}

/// A subject to forget: a device, user or customer by its id text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Erased<'a> {
    /// Isolation boundary.
    pub tenant: TenantId,
    /// Id text of the subject.
    pub subject: &'a str,
}

/// The bytes are no frame of a known kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A kind of a newer version, or damage.
    #[error("unknown frame kind {0}")]
    Kind(u8),
    /// Damage.
    #[error("frame is malformed")]
    Malformed(#[from] WireError),
}

const RAW: u8 = 1;
const DECIDED: u8 = 2;
const TICK: u8 = 3;
const SESSION: u8 = 4;
const OUTPUT: u8 = 5;
const REDECODE: u8 = 6;
const ERASED: u8 = 7;

impl Frame<'_> {
    /// Appends the frame's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Raw(raw) => raw.encode(out),
            Self::Decided(decided) => {
                out.put_u8(DECIDED);
                out.put_u128(decided.tenant.as_u128());
                out.put_text(decided.kind);
                out.put_text(decided.id);
                out.put_u64(decided.revision);
                out.put_text(decided.content);
            }
            Self::Tick => out.put_u8(TICK),
            Self::Session(session) => {
                out.put_u8(SESSION);
                out.put_u128(session.tenant.as_u128());
                out.put_bytes(session.content);
            }
            Self::Output(output) => {
                out.put_u8(OUTPUT);
                out.put_u128(output.tenant.as_u128());
                out.put_u8(output.key.fold);
                out.put_u64(output.key.input.0);
                out.put_u32(output.key.n);
                out.put_bytes(output.content);
            }
            Self::Redecode(again) => {
                out.put_u8(REDECODE);
                out.put_u128(again.tenant.as_u128());
                out.put_u128(again.device.as_u128());
                out.put_u8(again.origin as u8);
                out.put_u64(again.source.0);
                out.put_i64(again.source_time.as_millis());
                out.put_text(again.topic);
                out.put_bytes(again.payload);
            }
            Self::Erased(erased) => {
                out.put_u8(ERASED);
                out.put_u128(erased.tenant.as_u128());
                out.put_text(erased.subject);
            }
        }
    }
}

impl<'a> Frame<'a> {
    /// Reads exactly one frame.
    ///
    /// # Errors
    /// An unknown kind, or bytes that are not exactly one frame.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let mut r = Reader::new(bytes);
        let frame = match r.u8()? {
            RAW => Self::Raw(Raw::decode(&mut r)?),
            DECIDED => Self::Decided(Decided {
                tenant: TenantId::from_u128(r.u128()?),
                kind: r.text()?,
                id: r.text()?,
                revision: r.u64()?,
                content: r.text()?,
            }),
            TICK => Self::Tick,
            SESSION => Self::Session(SessionFrame {
                tenant: TenantId::from_u128(r.u128()?),
                content: r.bytes()?,
            }),
            OUTPUT => Self::Output(OutputFrame {
                tenant: TenantId::from_u128(r.u128()?),
                key: OutputKey { fold: r.u8()?, input: Offset(r.u64()?), n: r.u32()? },
                content: r.bytes()?,
            }),
            REDECODE => Self::Redecode(Redecode {
                tenant: TenantId::from_u128(r.u128()?),
                device: DeviceId::from_u128(r.u128()?),
                origin: origin(&mut r)?,
                source: Offset(r.u64()?),
                source_time: Timestamp::from_millis(r.i64()?),
                topic: r.text()?,
                payload: r.bytes()?,
            }),
            ERASED => {
                Self::Erased(Erased { tenant: TenantId::from_u128(r.u128()?), subject: r.text()? })
            }
            kind => return Err(FrameError::Kind(kind)),
        };
        r.end()?;
        Ok(frame)
    }
}

fn origin(r: &mut Reader<'_>) -> Result<Origin, WireError> {
    let error = r.error();
    Origin::from_u8(r.u8()?).ok_or(error)
}

// Bits of Raw's flag byte pair.
const HAS_DEVICE: u16 = 1;
const DEVICE_IS_PRINCIPAL: u16 = 1 << 1;
const SERVICE: u16 = 1 << 2;
const RETAINED: u16 = 1 << 3;
const QOS_SHIFT: u32 = 4;
const CHANNEL_SHIFT: u32 = 6;
const ORIGIN_SHIFT: u32 = 8;

impl Raw<'_> {
    fn flags(&self) -> u16 {
        let mut flags = 0;
        if let Some(device) = self.device {
            flags |= HAS_DEVICE;
            if self.principal == Principal::Device(device) {
                flags |= DEVICE_IS_PRINCIPAL;
            }
        }
        if matches!(self.principal, Principal::Service(_)) {
            flags |= SERVICE;
        }
        if self.retain == Retain::Keep {
            flags |= RETAINED;
        }
        let qos = match self.qos {
            Qos::AtMostOnce => 0,
            Qos::AtLeastOnce => 1,
            Qos::ExactlyOnce => 2,
        };
        let channel = match self.channel {
            Channel::Mqtt => 0,
            Channel::Http => 1,
            Channel::Urgent => 2,
        };
        flags
            | qos << QOS_SHIFT
            | channel << CHANNEL_SHIFT
            | u16::from(self.origin as u8) << ORIGIN_SHIFT
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let flags = self.flags();
        out.put_u8(RAW);
        out.put_u16(flags);
        out.put_u128(self.tenant.as_u128());
        match self.principal {
            Principal::Device(id) => out.put_u128(id.as_u128()),
            Principal::Service(id) => out.put_u128(id.as_u128()),
        }
        if let Some(device) = self.device
            && flags & DEVICE_IS_PRINCIPAL == 0
        {
            out.put_u128(device.as_u128());
        }
        out.put_u64(self.session);
        out.put_u16(self.packet_id);
        out.put_text(self.topic);
        out.put_bytes(self.properties);
        out.put_text(self.key);
        out.put_bytes(self.payload);
    }
}

impl<'a> Raw<'a> {
    fn decode(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let error = r.error();
        let flags = r.u16()?;
        let tenant = TenantId::from_u128(r.u128()?);
        let id = r.u128()?;
        let device = match (flags & HAS_DEVICE != 0, flags & DEVICE_IS_PRINCIPAL != 0) {
            (false, _) => None,
            (true, true) => Some(DeviceId::from_u128(id)),
            (true, false) => Some(DeviceId::from_u128(r.u128()?)),
        };
        let principal = if flags & SERVICE == 0 {
            Principal::Device(DeviceId::from_u128(id))
        } else {
            Principal::Service(CredentialId::from_u128(id))
        };
        let qos = match flags >> QOS_SHIFT & 3 {
            0 => Qos::AtMostOnce,
            1 => Qos::AtLeastOnce,
            2 => Qos::ExactlyOnce,
            _ => return Err(error),
        };
        let channel = match flags >> CHANNEL_SHIFT & 3 {
            0 => Channel::Mqtt,
            1 => Channel::Http,
            2 => Channel::Urgent,
            _ => return Err(error),
        };
        let origin = u8::try_from(flags >> ORIGIN_SHIFT).ok().and_then(Origin::from_u8);
        Ok(Self {
            tenant,
            principal,
            device,
            origin: origin.ok_or(error)?,
            channel,
            qos,
            retain: if flags & RETAINED == 0 { Retain::Pass } else { Retain::Keep },
            session: r.u64()?,
            packet_id: r.u16()?,
            topic: r.text()?,
            properties: r.bytes()?,
            key: r.text()?,
            payload: r.bytes()?,
        })
    }

    /// The gateway that spoke for a child device, if one did.
    #[must_use]
    pub fn path(&self) -> Option<DeviceId> {
        match self.principal {
            Principal::Device(sender) => self.device.filter(|d| *d != sender).map(|_| sender),
            Principal::Service(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
