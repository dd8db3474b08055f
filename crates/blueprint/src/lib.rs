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
mod consequence;
mod device;
mod diagnostic;
mod diff;
pub mod draft;
mod duration;
mod envelope;
mod evidence;
mod fix;
mod formula;
mod gate;
mod locate;
mod merge;
mod metrics;
mod plan;
mod power;
mod schedule;
mod schema;
mod source;
mod spending;
mod templates;
mod words;
mod zone;

pub use action::{Action, ActionBounds, Effect};
pub use alarm::{Alarm, Escalation, KindScope, WINDOW_READINGS_MAX};
pub use blueprint::{Blueprint, FORMAT, Parsed, SECTIONS, SOURCE_BYTES_MAX, based_on, marked};
pub use case::{Basis, Case, Cost, CostKind};
pub use codes::{CODES, Code};
pub use consequence::{Consequence, PlannedMargin, Side, Touched, consequences, planned_margin};
pub use device::{
    COMMAND_TIMEOUT, Command, Counter, Dated, Event, Kind, Lane, Property, PropertyKind, Setting,
};
pub use diagnostic::{Diagnostic, LineCol, Severity, render};
pub use diff::{Change, ChangeKind, Conflict, Source, conflicts, diff};
pub use duration::human;
pub use envelope::{Act, Driving, Envelope, Interlock, Past, RATE_ACTS_MAX, Rate, Refusal, Safe};
pub use evidence::{Assumption, Counts, Experiment, ExperimentKind, MEASURED_DAYS_MAX, Measures};
pub use fix::{Applied, Edit, FIXES_MAX, Fix, Fixed, fixed};
pub use formula::Formula;
pub use gate::{Criterion, Gate, Stage};
pub use locate::locate;
pub use merge::{Merged, merge};
pub use metrics::{
    CONTRACT_METRICS, MEASURABLE, METRICS, Metric, OfReading, RECORDED, ReadingFigure, Told,
    tells_energy,
};
pub use plan::{Measure, Plan, PlanLine, Usage, price_of};
pub use power::Power;
pub use schedule::{SCHEDULE_SPANS_MAX, Schedule};
pub use schema::schema;
pub use spending::{Priced, RadioTariff, Said, Spending, spending};
pub use templates::{Template, templates};
pub use zone::{Corner, ZONE_CORNERS_MAX, Zone};
