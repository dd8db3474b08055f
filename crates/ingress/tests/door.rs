//! The device door over real sockets, on a simulated disk.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test names what it expects")]

#[path = "door/absence.rs"]
mod absence;
#[path = "door/abuse.rs"]
mod abuse;
#[path = "door/aliases.rs"]
mod aliases;
#[path = "door/borders.rs"]
mod borders;
#[path = "door/durable.rs"]
mod durable;
#[path = "door/guesses.rs"]
mod guesses;
#[path = "door/harness.rs"]
mod harness;
#[path = "door/histories.rs"]
mod histories;
#[path = "door/hoards.rs"]
mod hoards;
#[path = "door/http.rs"]
mod http;
#[path = "door/isolation.rs"]
mod isolation;
#[path = "door/limits.rs"]
mod limits;
#[path = "door/login.rs"]
mod login;
#[path = "door/messages.rs"]
mod messages;
#[path = "door/secure.rs"]
mod secure;
#[path = "door/sessions.rs"]
mod sessions;
#[path = "door/statements.rs"]
mod statements;
#[path = "door/system.rs"]
mod system;
#[path = "door/tenants.rs"]
mod tenants;
#[path = "door/thingsboard.rs"]
mod thingsboard;
#[path = "door/tls.rs"]
mod tls;
#[path = "door/urgent.rs"]
mod urgent;
#[path = "door/websocket.rs"]
mod websocket;
