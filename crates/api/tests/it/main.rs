//! The API as its callers meet it: every route of the document, with a real log, real records and
//! real folds behind it.
//!
//! *Invariant:* a route that is new in the document fails here until somebody says who may use it.

#[cfg(test)]
mod alarms;
#[cfg(test)]
mod authorization;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod claims;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod economics;
#[cfg(test)]
mod events;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod gates;
#[cfg(test)]
mod ideas;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod import;
#[cfg(test)]
mod intervals;
#[cfg(test)]
mod money;
#[cfg(test)]
mod paid;
#[cfg(test)]
mod people;
#[cfg(test)]
mod provision;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod revisions;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod server;
#[cfg(test)]
mod service_life;
#[cfg(test)]
mod shop;
#[cfg(test)]
mod site;
