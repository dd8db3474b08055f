//! Load for measurements: as many messages or requests as a server takes, or a fixed rate of them.
//!
//! *Invariant:* only what the server answered is counted, and a latency starts when the message was
//! due, so a server that stalls cannot hide it.
//!
//! One thread asks its sockets in turns and never sleeps while it measures: give it a core of its
//! own. Packets are encoded beforehand; answers are looked at no further than counting needs.
//!
//! `cargo xtask bench` runs it. By hand:
//! `cargo run --release -p fleetsim --example load -- mqtt --target 127.0.0.1:1883 --anonymous`
#![expect(clippy::print_stdout, reason = "it reports by printing")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

mod fanout;
mod gateways;
mod histogram;
mod http;
mod idle;
mod logins;
mod mqtt;
mod publisher;
mod stopwatch;
mod subscriber;
mod tls;
mod users;

use std::error::Error;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "Load for measurements")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Publish over MQTT 3.1.1
    Mqtt(mqtt::Options),
    /// Publish on one connection, count at all others
    Fanout(fanout::Options),
    /// Connect, log in and leave, over and over
    Logins(logins::Options),
    /// Hold connections open until the standard input ends
    Idle(idle::Options),
    /// GET paths over connections that are kept
    Http(http::Options),
}

fn main() -> Result<(), Box<dyn Error>> {
    let report = match Arguments::parse().what {
        What::Mqtt(options) => mqtt::run(&options)?,
        What::Fanout(options) => fanout::run(&options)?,
        What::Logins(options) => logins::run(&options)?,
        What::Idle(options) => idle::run(&options)?,
        What::Http(options) => http::run(&options)?,
    };
    println!("{report}");
    Ok(())
}
