//! The log as its users see it: one test binary, so that it links once.

mod faults;
mod fixture;
mod oracle;
mod snapshots;
mod threads;
