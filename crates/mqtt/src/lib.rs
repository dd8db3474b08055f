//! MQTT 3.1.1 and 5 without sockets or clocks: the codec, the server's side of one connection,
//! and the routing of messages to subscriptions.
//!
//! *Invariant:* nothing here does IO, reads a clock or panics on any input; memory is bounded by
//! the limits the caller passes in.
//!
//! [`decode`] borrows packets from a read buffer, [`Connection`] says what the protocol makes of
//! them and queues the answers in order, [`Router`] finds who gets a message.
//! Specifications: OASIS MQTT 3.1.1 (2014) and OASIS MQTT 5.0 (2019); statements are cited by
//! their normative id, such as `[MQTT-4.6.0-2]`.
#![deny(clippy::indexing_slicing)]

pub mod connection;
mod cursor;
mod decode;
mod encode;
pub mod packet;
pub mod properties;
mod reason;
pub mod router;
pub mod session;
pub mod topic;

pub use connection::Connection;
pub use decode::{DecodeError, decode, packet_length};
pub use encode::{Outgoing, encode};
pub use packet::{Packet, Version};
pub use properties::{Properties, Property, PropertyBuffer};
pub use reason::Reason;
pub use router::Router;
