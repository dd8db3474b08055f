//! State of devices: what they reported, what we want of them, what they are linked to.
//!
//! *Invariant:* [`Twins`] is a pure fold over the log; equal logs give equal bytes. A [`View`] is
//! an immutable picture of it at one offset, taken without copying devices that did not change.
//!
//! [`Filter`] is the one language that the API, the console and the command line share to choose
//! devices.

mod codec;
mod device;
mod filter;
mod fold;
mod view;

pub use device::{Desired, DeviceTwin, Last, Seen};
pub use filter::{Facts, Filter, FilterError, Status};
pub use fold::{Asked, Twins};
pub use view::View;
