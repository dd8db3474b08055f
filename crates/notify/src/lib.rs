//! From a transition of an alarm to a person: who hears of it, when, by which channel, and what
//! becomes of it until it is there.
//!
//! *Invariant:* the caller never waits; a notification that was taken is told, held, waiting or
//! failed, and each of these is counted and visible. At least once, with the output's key as the
//! message id.
//!
//! Start with [`Policy`] (whom to tell), [`Sender`] (the task) and [`Handle`] (what others hold).
//! Only this crate knows SMTP and makes HTTP requests of its own.

mod address;
mod encoding;
mod error;
#[cfg(test)]
mod example;
mod handle;
mod mail;
mod message;
mod notification;
mod person;
mod policy;
mod queue;
mod quiet;
mod route;
mod sender;
mod signature;
mod state_file;
mod status;
mod text;
mod transport;
mod webhook;

pub use address::Allowed;
pub use error::Error;
pub use handle::Handle;
pub use mail::Smtp;
pub use model::Severity;
pub use notification::{Cause, MessageKey, Notification, Source, Transition, Unknown};
pub use person::{Channel, Person, PersonId, Pierce, Storm, Target};
pub use policy::{Policy, Urgency};
pub use queue::RouteId;
pub use quiet::QuietHours;
pub use route::{Retry, Trouble};
pub use sender::Sender;
pub use signature::Secret;
pub use status::{RouteStatus, Status, Waiting};
pub use transport::{Publish, Transports};
