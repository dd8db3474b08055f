//! Ideas: what people would like to exist, how it is judged, and how long it took to earn.
//!
//! *Invariant:* pure. No clock, no file, no lock: an idea, the settings and a time give the same
//! score, the same size of a market and the same news on every machine.
//!
//! Start with [`Idea`] (what is kept of one) and [`Settings`] (what a tenant declared). What it
//! does not do: keep records or send anything; `api` and `iotbiz` do.

mod competitors;
mod cycle;
mod error;
mod idea;
mod market;
mod score;
mod settings;
mod start;

pub use competitors::{Cell, CellChange, Competitors, Freshness};
pub use cycle::{Cycle, Leg, Milestones, Stage};
pub use error::Error;
pub use idea::{
    Context, ContextReading, Follow, Idea, News, Source, Status, Step, TEXT_CHARS_MAX,
    TITLE_CHARS_MAX,
};
pub use market::{BottomUp, Estimate, Market, PlanPrice, Price, Sizing, TopDown};
pub use score::{Formula, Given, Score, ScoreAt, history};
pub use settings::{Form, Input, Preset, Settings};
pub use start::blueprint_of;
