//! What a session frame of the log says, so that sessions survive the end of the process.
//!
//! *Invariant:* `decode(encode(change)) == change`, and `decode` refuses anything else without
//! panicking. Applying a change twice is the same as applying it once.
//!
//! ```text
//! session u64 | kind u8 | fields in the order of the variant        (see `model::wire`)
//! ```
//! A changed layout gets a new kind.

use model::wire::{Reader, WireError, Writer};
use model::{CredentialId, DeviceId, Offset, Origin, Principal, Qos, Timestamp};

use crate::connection::View;
use crate::packet::{SubscribeOptions, qos, qos_bits};

/// A change of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<'a> {
    /// A client connected.
    Opened(Opened<'a>),
    /// It asked for messages.
    Subscribed {
        /// Which.
        filter: Filter<'a>,
        /// How they are served.
        options: SubscribeOptions,
        /// Subscription identifier, 0 for none.
        id: u32,
    },
    /// It no longer wants them.
    Unsubscribed {
        /// Which.
        filter: Filter<'a>,
    },
    /// PUBREL freed a packet id of a QoS 2 message from the client.
    Released {
        /// Which.
        packet_id: u16,
    },
    /// It answered messages to the end; they need not be sent again.
    Answered {
        /// Where they are in the log.
        offsets: Vec<Offset>,
    },
    /// The connection ended, or what was to happen after that changed.
    Closed {
        /// How long the session is kept.
        until: Until,
        /// When its will is to be published, if it is still to be.
        will_due: Option<Timestamp>,
    },
}

/// Who connected, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened<'a> {
    /// Who.
    pub principal: Principal,
    /// Set by the credential.
    pub origin: Origin,
    /// Which.
    pub credential: Option<CredentialId>,
    /// As the client gave it, or was given it.
    pub client_id: &'a str,
    /// Whatever the session held before is forgotten.
    pub clean: bool,
    /// Seconds that it outlives a connection; `u32::MAX` is for ever.
    pub expiry_s: u32,
    /// To be published when the connection breaks.
    pub will: Option<Will<'a>>,
}

/// A will, its topic resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will<'a> {
    /// Whose branch.
    pub device: Option<DeviceId>,
    /// Below the branch if there is one, otherwise the whole.
    pub topic: &'a str,
    /// As a publish.
    pub qos: Qos,
    /// As a publish.
    pub retain: bool,
    /// To pass on, in wire form without their length.
    pub properties: &'a [u8],
    /// The bytes.
    pub payload: &'a [u8],
    /// Seconds after the connection broke.
    pub delay_s: u32,
}

/// A filter as the router knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter<'a> {
    /// Whose branch.
    pub device: Option<DeviceId>,
    /// Below the branch if there is one, otherwise the whole.
    pub topic: &'a str,
    /// Who shares it.
    pub group: Option<&'a str>,
    /// How topics are shown.
    pub view: View,
}

/// How long a session is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// It is over.
    Ended,
    /// Then it ends unless its client comes back.
    Time(Timestamp),
    /// For ever.
    Forever,
}

const OPENED: u8 = 1;
const SUBSCRIBED: u8 = 2;
const UNSUBSCRIBED: u8 = 3;
const RELEASED: u8 = 4;
const ANSWERED: u8 = 5;
const CLOSED: u8 = 6;

impl Change<'_> {
    /// Appends the change of a session, by its stable hash.
    pub fn encode(&self, session: u64, out: &mut Vec<u8>) {
        out.put_u64(session);
        match self {
            Self::Opened(opened) => {
                out.put_u8(OPENED);
                opened.encode(out);
            }
            Self::Subscribed { filter, options, id } => {
                out.put_u8(SUBSCRIBED);
                filter.encode(out);
                out.put_u8(options.bits());
                out.put_u32(*id);
            }
            Self::Unsubscribed { filter } => {
                out.put_u8(UNSUBSCRIBED);
                filter.encode(out);
            }
            Self::Released { packet_id } => {
                out.put_u8(RELEASED);
                out.put_u16(*packet_id);
            }
            Self::Answered { offsets } => {
                out.put_u8(ANSWERED);
                out.put_count(offsets.len());
                offsets.iter().for_each(|o| out.put_u64(o.0));
            }
            Self::Closed { until, will_due } => {
                out.put_u8(CLOSED);
                match until {
                    Until::Ended => out.put_u8(0),
                    Until::Time(at) => {
                        out.put_u8(1);
                        out.put_i64(at.as_millis());
                    }
                    Until::Forever => out.put_u8(2),
                }
                out.put_option(*will_due, |o, at| o.put_i64(at.as_millis()));
            }
        }
    }
}

impl<'a> Change<'a> {
    /// Reads one change and whose it is.
    ///
    /// # Errors
    /// The bytes are no change of a known kind.
    pub fn decode(r: &mut Reader<'a>) -> Result<(u64, Self), WireError> {
        let session = r.u64()?;
        let error = r.error();
        let change = match r.u8()? {
            OPENED => Self::Opened(Opened::decode(r)?),
            SUBSCRIBED => {
                let filter = Filter::decode(r)?;
                let error = r.error();
                let options = SubscribeOptions::from_bits(r.u8()?).ok_or(error)?;
                Self::Subscribed { filter, options, id: r.u32()? }
            }
            UNSUBSCRIBED => Self::Unsubscribed { filter: Filter::decode(r)? },
            RELEASED => Self::Released { packet_id: r.u16()? },
            ANSWERED => {
                let count = r.count()?;
                let offsets = (0..count).map(|_| r.u64().map(Offset)).collect::<Result<_, _>>()?;
                Self::Answered { offsets }
            }
            CLOSED => {
                let error = r.error();
                let until = match r.u8()? {
                    0 => Until::Ended,
                    1 => Until::Time(Timestamp::from_millis(r.i64()?)),
                    2 => Until::Forever,
                    _ => return Err(error),
                };
                let will_due = r.option(|r| r.i64().map(Timestamp::from_millis))?;
                Self::Closed { until, will_due }
            }
            _ => return Err(error),
        };
        Ok((session, change))
    }
}

impl<'a> Opened<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        let (kind, id) = match self.principal {
            Principal::Device(id) => (0, id.as_u128()),
            Principal::Service(id) => (1, id.as_u128()),
        };
        out.put_u8(kind);
        out.put_u128(id);
        out.put_u8(self.origin as u8);
        out.put_option(self.credential, |o, id| o.put_u128(id.as_u128()));
        out.put_text(self.client_id);
        out.put_u8(u8::from(self.clean));
        out.put_u32(self.expiry_s);
        out.put_option(self.will.as_ref(), |o, will| {
            o.put_option(will.device, |o, id| o.put_u128(id.as_u128()));
            o.put_text(will.topic);
            o.put_u8(qos_bits(will.qos));
            o.put_u8(u8::from(will.retain));
            o.put_bytes(will.properties);
            o.put_bytes(will.payload);
            o.put_u32(will.delay_s);
        });
    }

    fn decode(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let error = r.error();
        let principal = match (r.u8()?, r.u128()?) {
            (0, id) => Principal::Device(DeviceId::from_u128(id)),
            (1, id) => Principal::Service(CredentialId::from_u128(id)),
            _ => return Err(error),
        };
        let error = r.error();
        Ok(Self {
            principal,
            origin: Origin::from_u8(r.u8()?).ok_or(error)?,
            credential: r.option(|r| r.u128().map(CredentialId::from_u128))?,
            client_id: r.text()?,
            clean: flag(r)?,
            expiry_s: r.u32()?,
            will: r.option(|r| {
                Ok(Will {
                    device: r.option(|r| r.u128().map(DeviceId::from_u128))?,
                    topic: r.text()?,
                    qos: read_qos(r)?,
                    retain: flag(r)?,
                    properties: r.bytes()?,
                    payload: r.bytes()?,
                    delay_s: r.u32()?,
                })
            })?,
        })
    }
}

pub(crate) fn flag(r: &mut Reader<'_>) -> Result<bool, WireError> {
    let error = r.error();
    match r.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(error),
    }
}

pub(crate) fn read_qos(r: &mut Reader<'_>) -> Result<Qos, WireError> {
    let error = r.error();
    qos(r.u8()?).ok_or(error)
}

pub(crate) const fn view_code(view: View) -> u8 {
    match view {
        View::Me => 0,
        View::Child => 1,
        View::Whole => 2,
        View::Dialect(number) => DIALECT.saturating_add(number),
    }
}

/// Codes of views from here on are dialects.
const DIALECT: u8 = 16;

pub(crate) fn read_view(r: &mut Reader<'_>) -> Result<View, WireError> {
    let error = r.error();
    match r.u8()? {
        0 => Ok(View::Me),
        1 => Ok(View::Child),
        2 => Ok(View::Whole),
        code @ DIALECT.. => Ok(View::Dialect(code - DIALECT)),
        _ => Err(error),
    }
}

impl<'a> Filter<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_option(self.device, |o, id| o.put_u128(id.as_u128()));
        out.put_text(self.topic);
        out.put_option(self.group, |o, group| o.put_text(group));
        out.put_u8(view_code(self.view));
    }

    fn decode(r: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(Self {
            device: r.option(|r| r.u128().map(DeviceId::from_u128))?,
            topic: r.text()?,
            group: r.option(Reader::text)?,
            view: read_view(r)?,
        })
    }
}
