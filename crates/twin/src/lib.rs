//! State of devices: what they reported, what we want of them, what they are linked to.
//!
//! *Invariant:* [`Twins`] is a pure fold over the log; equal logs give equal bytes. A [`View`] is
//! an immutable picture of it at one offset, taken without copying devices that did not change.
//!
//! [`Filter`] is the one language that the API, the console and the command line share to choose
//! devices.

mod codec;
mod command;
mod device;
mod filter;
mod fold;
mod guards;
mod timers;
mod view;

pub use command::{
    ANSWER_BYTES_MAX, Answer, COMMANDS_MAX, Command, CommandState, Commands, Outcome,
};
pub use device::{Desired, DeviceTwin, Last, Seen};
pub use filter::{Facts, Filter, FilterError, Status};
pub use fold::{Answered, Asked, COMMAND_TIMEOUT_MAX, Twins, json_value};
pub use guards::{Guard, Guards, RefusedChange};
pub use view::View;
