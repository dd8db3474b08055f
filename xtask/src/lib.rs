//! The repository's own tasks: `cargo xtask demo`, `test`, `web`, `bench` and `tidy`.
//!
//! *Invariant:* nothing here is linked into the product, and every task works from a clean clone
//! with the tools it names.
//!
//! `tidy` is a library so that `cargo test` holds the house rules without a second command.
#![expect(clippy::print_stdout, reason = "these tasks talk to a person at a terminal")]

pub mod bench;
pub mod browser;
pub mod demo;
pub mod fuzz;
pub mod outsiders;
pub mod place;
pub mod postgres;
pub mod run;
pub mod steps;
pub mod test;
pub mod tidy;
pub mod web;
