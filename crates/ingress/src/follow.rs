//! Follows the committed log in offset order: keeps retained messages, brings messages to their
//! subscribers.
//!
//! *Invariant:* a message is routed only after it is durable, and in the order of the log.
//! *Invariant:* the retained store is a function of the log up to `Hub::offset` alone.

mod deliver;
mod fold;
mod system;

pub(crate) use deliver::{Message, Way, pending, refill, repeat, send_kept};
pub(crate) use fold::{restore, run};
pub(crate) use system::{PREFIX as SYSTEM_PREFIX, System, find as find_system};
