//! Connections that do nothing, for whoever measures what they cost.
//!
//! *Invariant:* it says that all stand before it waits.

use std::error::Error;
use std::io::{self, Read};

use clap::Args;
use serde_json::{Value, json};

use crate::users::Door;

/// How many, and where.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    door: Door,
}

/// Connects, says so, and holds until nobody holds the standard input any more.
pub(crate) fn run(options: &Options) -> Result<Value, Box<dyn Error>> {
    let links = options.door.open()?;
    println!("{}", json!({ "connected": links.len() }));
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(json!({ "closed": links.len() }))
}
