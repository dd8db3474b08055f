//! Rules from the outside: the fold, driven like a shard drives it.
//!
//! *Invariant:* tests know only the public surface; each is named by the fact it states.

mod ai4i;
mod blueprints;
mod field;
mod harness;
mod life;
mod planned;
mod race;
mod steps;
mod windows;
