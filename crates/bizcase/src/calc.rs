//! The formulas of a business case as plain functions; `eval` exposes each of them.
//!
//! *Invariant:* a function that has no answer says why, it never returns NaN or infinity for
//! figures that a person could type.

pub mod adoption;
pub mod connectivity;
pub mod decision;
pub mod evidence;
pub mod finance;
pub mod landed;
pub mod options;
pub mod roots;
pub mod sensitivity;
pub mod statistics;
pub mod survey;
