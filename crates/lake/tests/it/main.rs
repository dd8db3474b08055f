//! The lake from outside, on a simulated disk.
//!
//! *Invariant:* each file tests one promise of the crate.

mod erasure;
mod faults;
mod history;
mod model_lake;
