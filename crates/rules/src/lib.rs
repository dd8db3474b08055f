//! Conditions over readings, and the life of the alarms they raise.
//!
//! *Invariant:* one alarm per (device, rule), whatever the race; the same snapshot and the same
//! steps give the same alarms and outputs, byte for byte; time alone is enough to raise, escalate
//! and clear. What is missing is never taken for a value.
//!
//! [`Rules`] is the fold, [`AlarmView`] what others read of it, [`DryRun`] the same fold over
//! recorded readings.

mod alarm;
mod care;
mod codec;
mod counter;
mod delivery;
mod device;
mod dry;
mod evaluate;
mod fold;
mod plan;
mod sheet;
mod store;
mod trace;
mod window;

pub use alarm::{Alarm, Change, Signed, Transition, Verdict};
pub use care::{Care, Maintenance, PLANNED_AHEAD_MAX, PLANNED_MAX, QUIET_MAX};
pub use delivery::{DELIVERY_DAYS_MAX, Due};
pub use dry::{DryError, DryRun, Happened, Row};
pub use fold::{Explained, Happening, Held, Rules, Want, Wanted};
pub use plan::Scope;
pub use sheet::{Sheet, SheetError};
pub use store::{ALARMS_KEPT_MAX, AlarmView};
pub use trace::{Looked, Trace};
