//! The lake from outside, on a simulated disk.
//!
//! *Invariant:* each file tests one promise of the crate.

mod history;
mod model_lake;
