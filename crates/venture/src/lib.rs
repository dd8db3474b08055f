//! From what is believed to what is decided: evidence, experiments, gates, forecasts, risks.
//!
//! *Invariant:* pure. Every function is a function of its arguments; time comes in as an argument,
//! and every figure can say how it came to be.
//!
//! Start with [`belief::Claim`] (an assumption and its evidence), [`experiment`] (bars, results,
//! what to test next) and [`gate`] (criteria, verdict, gate file). What it does not do: measure,
//! store or sign.

pub mod belief;
mod canonical;
mod error;
pub mod experiment;
pub mod fix;
pub mod forecast;
pub mod gate;
pub mod gate_file;
pub mod learn;
pub mod measure;
pub mod next;
mod reading;
pub mod register;
pub mod results;

pub use belief::{Belief, Claim, Evidence, Outcome};
pub use error::Error;
pub use gate::{Evaluation, Figure, State, Verdict, evaluate};
pub use gate_file::{GateFile, Verified, verify};
pub use reading::parse;
