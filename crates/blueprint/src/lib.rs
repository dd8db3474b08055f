//! The venture as code: one TOML text per revision, read, checked, compared and explained.
//!
//! *Invariant:* reading is pure and total: any text gives findings or a blueprint, never a panic.
//!
//! Start with [`Blueprint::parse`]; [`render`] shows its findings to people.

mod blueprint;
mod codes;
mod device;
mod diagnostic;
mod formula;
mod source;

pub use blueprint::{Blueprint, FORMAT, Parsed, SOURCE_BYTES_MAX, based_on};
pub use codes::{CODES, Code, explain};
pub use device::{
    COMMAND_TIMEOUT, Command, Counter, Dated, Event, Kind, Lane, Property, PropertyKind, Setting,
};
pub use diagnostic::{Diagnostic, LineCol, Severity, render};
pub use formula::Formula;
