//! Usage events from outside: kept once, for ever, and found again by whose they are and when.
//!
//! *Invariant:* an event is durable when [`Store::put`] returns. Its key is known for ever: the
//! same content again is a duplicate, another content a conflict, and neither is kept. Memory does
//! not grow with what is kept, but for some bits a key.
//!
//! `store` is the journal and what is not in a run yet (`record` is a line of it, `rewrite` how it
//! forgets); `run` a sorted file that never changes; `merge` makes one run of several; `bloom` says
//! which runs need not be asked.
//!
//! What it deliberately does not do: it knows no prices, no JSON and no clock.

mod bloom;
mod error;
mod merge;
mod run;
mod store;

pub use error::Error;
pub use store::{Incoming, KEYS_IN_MEMORY_MAX, LINE_BYTES_MAX, NEWEST_MAX, PUT_MAX, Put, Store};
