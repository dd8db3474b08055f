//! The venture as code: one TOML text per revision, read, checked, compared and explained.
//!
//! *Invariant:* reading is pure and total: any text gives findings or a blueprint, never a panic.
//!
//! Start with [`Blueprint::parse`]; [`render`] shows its findings to people, [`diff`] says what
//! another revision changes.

mod action;
mod alarm;
mod blueprint;
mod case;
mod check;
mod codes;
mod device;
mod diagnostic;
mod diff;
mod duration;
mod envelope;
mod evidence;
mod formula;
mod gate;
mod metrics;
mod plan;
mod schedule;
mod schema;
mod source;
mod templates;
mod zone;

pub use action::{Action, ActionBounds, Effect};
pub use alarm::{Alarm, AlarmSeverity, Escalation, KindScope, WINDOW_READINGS_MAX};
pub use blueprint::{Blueprint, FORMAT, Parsed, SOURCE_BYTES_MAX, based_on};
pub use case::{Basis, Case, Cost, CostKind};
pub use codes::{CODES, Code, explain};
pub use device::{
    COMMAND_TIMEOUT, Command, Counter, Dated, Event, Kind, Lane, Property, PropertyKind, Setting,
};
pub use diagnostic::{Diagnostic, LineCol, Severity, render};
pub use diff::{Change, ChangeKind, Conflict, Source, conflicts, diff};
pub use envelope::{Act, Driving, Envelope, Interlock, Past, RATE_ACTS_MAX, Rate, Refusal, Safe};
pub use evidence::{Assumption, Counts, Experiment, ExperimentKind};
pub use formula::Formula;
pub use gate::{Criterion, Gate, Stage};
pub use metrics::{CONTRACT_METRICS, METRICS, Metric};
pub use plan::{Measure, Plan, PlanLine, Usage, price_of};
pub use schedule::{SCHEDULE_SPANS_MAX, Schedule};
pub use schema::schema;
pub use templates::{Template, templates};
pub use zone::{Corner, ZONE_CORNERS_MAX, Zone};
