//! Virtual devices made from a blueprint, speaking the real protocols.
//!
//! *Invariant:* what a virtual device measures is a pure function of (seed, device, property,
//! time); only the runner knows sockets and real time. Whether readings count as virtual is
//! decided by the credential, never here.

mod breakdown;
mod climate;
mod device;
mod episodes;
mod error;
mod fault;
mod kind;
mod noise;
mod past;
mod plan;
mod runner;
mod schedule;
pub mod signal;

pub use error::Error;
pub use fault::Fault;
pub use noise::Seed;
pub use past::{Past, PastMessage, PastSpan};
pub use plan::{Counts, DEVICES_MAX, Plan, Report, SPEED_MAX, VirtualDevice};
pub use runner::run;
pub use schedule::{Sample, Schedule};
