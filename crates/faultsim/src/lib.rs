//! A seeded clock, disk, object store and source of chance for tests, so that a failure is a
//! number to type in.
//!
//! *Invariant:* the same seed and the same calls give the same faults, time and bytes.
//!
//! Development only: no product code depends on this crate.

#![warn(missing_docs)]

mod clock;
mod disk;
mod objects;
mod rng;

pub use clock::SimClock;
pub use disk::{Fault, Op, SimDisk, Syncs};
pub use objects::{Lapse, Reach, SimObjects};
pub use rng::Rng;
