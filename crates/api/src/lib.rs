//! HTTP: the API under `/api/v1`, the live stream, the OpenAPI document and the embedded console.
//!
//! *Invariant:* only this crate knows public JSON, and every route asks [`identity::authorize`]
//! before it looks at anything. An answer carries the log offset it was read at.
//!
//! One file a subject: its JSON types at the top, its handlers below. A handler parses, calls the
//! crate that knows, and maps.

mod actual;
mod admission;
mod alarms;
mod app;
mod audience;
mod authorities;
mod backfill;
mod caller;
mod case;
mod certificates;
mod chosen;
mod claims;
mod code;
mod commands;
mod connect;
mod consequences;
mod console;
mod credentials;
mod days;
mod delivery;
mod desired;
mod devices;
mod erase;
mod evidence;
mod expiry;
mod export;
mod extract;
mod figures;
mod files;
mod fixes;
mod fleet;
mod forecasts;
mod gates;
mod health;
mod history;
mod ideas;
mod idempotency;
mod import;
mod intervals;
mod joint;
mod json;
mod kept;
mod measure;
mod messages;
mod money;
mod notices;
mod openapi;
mod page;
mod past;
mod people;
mod place;
mod problem;
mod provision;
mod quarantine;
mod read;
mod rederive;
mod refusals;
mod revisions;
mod service_life;
mod session;
mod settle;
mod sites;
mod status;
mod stream;
mod tokens;
mod ventures;
mod write;

pub use admission::admit;
pub use alarms::{
    ActOnServerAlarm, ListServerAlarms, Recording, Said, ServerAct, ServerAlarm, ServerAlarms,
    ServerSigned, Take,
};
pub use app::{Access, App, Facts, HttpTls, Metrics, Mode, PhonePage, Presence};
pub use audience::Audience;
pub use authorities::Challenges;
pub use case::Studies;
pub use code::{CODES, Code};
pub use idempotency::Answers;
pub use kept::{
    Asked, DayKept, DaysAsked, ExportFormat, Exported, Forgotten, Health, History, Kept, KindOf,
    StateAsked, StateKept, TimedBy, Unkept, ValueKept,
};
pub use money::{KeptReading, ReadAll, Readings, UsageEvents, UsageLedger, Wanted};
pub use notices::DEMO_SENDS_NOTHING;
pub use openapi::{document, router};
pub use provision::Provisioning;
pub use refusals::{Refusal, Refusals};
pub use settle::{Settled, settle};
