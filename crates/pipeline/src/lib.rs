//! The folds of a shard behind the event log: decode once, apply in order, publish what they are.
//!
//! *Invariant:* state is a pure function of the log ([`State`]); the driver around it ([`Shard`])
//! is the only part with threads, disk and clock. Same snapshot and same frames give the same
//! state, byte for byte.
//!
//! The way of a record: `driver` reads it, `state` applies it, `decode` turns its bytes into
//! readings by a `profile` of the `catalog`, `twin` keeps them, `quarantine` keeps what could not
//! be understood, `recent` remembers the newest for those who watch.

mod catalog;
mod decode;
mod decoder;
mod driver;
mod error;
mod import;
mod item;
mod profile;
mod quarantine;
mod recent;
mod records;
mod relay;
mod request;
mod state;
mod traffic;
mod translate;

pub use catalog::{Catalog, InForce};
pub use decode::{Bad, FUTURE_MAX, VALUES_MAX, read_telemetry};
pub use decoder::{DECODER_VERSION, Decoder, Meaning, Told};
pub use driver::{
    Asked, Begins, Beside, ByDay, Delivered, Driver, Options, Parts, Picture, REBUILD_BYTES_MAX,
    Rebuilt, RecordsNow, Replay, Sent, Shard,
};
pub use error::Error;
pub use import::{IMPORT_BYTES_MAX, Imported};
pub use profile::{Lane, Profile, Rule, Shape};
pub use quarantine::{Cut, Quarantine, Quarantined};
pub use recent::{Bucket, History, Line, Live, Outcome, Recent};
pub use records::Records;
pub use relay::{Relay, RelayTask};
pub use state::{Direction, STATE_VERSION, Seen, State, Totals, Unwatched, Watch};
pub use traffic::{SESSION_GAP, TRAFFIC_DAYS_MAX, TrafficDay};
pub use translate::{profile_of, rule_of};
