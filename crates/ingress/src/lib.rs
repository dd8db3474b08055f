//! The device door: every socket a device may use, MQTT over TCP and WebSocket and HTTP ingest.
//!
//! *Invariant:* nothing is acknowledged before the log says it is durable.
//! *Invariant:* a device reads and writes only its own branch and those of the children it lists;
//! a subscription is judged when it is made, and each delivery again.
//! *Invariant:* what a device can make us hold or wait for is bounded by a limit in [`Limits`].
//!
//! ```text
//! socket -> read -> parse all packets -> one batch -> log.append -> keep reading
//!                                          committed -> acks of all connections, in order
//!                                          committed -> fold: retained, sessions -> subscribers
//! ```
//! It knows nothing of properties, prices or people.

mod acks;
mod budget;
mod conn;
mod counters;
mod descriptors;
mod dialect;
mod error;
mod follow;
mod guard;
mod http;
mod hub;
pub mod influx;
mod ingress;
mod judge;
mod limits;
mod listen;
mod login;
mod receipts;
mod refusal;
mod responses;
mod serve;
mod sessions;
mod shared;
mod strangers;
mod tls;
mod topics;
mod urgent;

pub use counters::Figures;
pub use error::Error;
pub use ingress::{Config, Ingress, Parts};
pub use limits::Limits;
pub use refusal::{Refusal, RefusalReason, Refusals};
pub use tls::{Encrypted, Failed, Tls, TlsError};
