//! The program as a stranger uses it: the real binary, a real folder, real sockets.
//!
//! *Invariant:* every server of a test is stopped with it, and listens on free loopback ports.

#[cfg(test)]
mod alarms;
#[cfg(test)]
mod authoring;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod erase;
#[cfg(test)]
mod files;
#[cfg(test)]
mod first_run;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod history;
#[cfg(test)]
mod ideas;
#[cfg(test)]
mod import;
#[cfg(test)]
mod journey;
#[cfg(test)]
mod money;
#[cfg(test)]
mod program;
#[cfg(test)]
mod projects;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod server_alarms;
