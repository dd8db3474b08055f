//! `cargo xtask demo`: from a clone to a running demo.
//!
//! *Invariant:* the demo's process replaces this one, so Ctrl-C reaches it and it stops in order.

use std::process::Command;

use anyhow::{Context, Result};

use crate::place::{Place, Profile, cargo};
use crate::run;
use crate::web::{self, Console};

/// Builds the console and the binary, then becomes `iotbiz demo`.
pub fn run(place: &Place, arguments: &[String]) -> Result<()> {
    let console = match web::build(place) {
        Ok(console) => console,
        // A newcomer behind a closed network still gets the demo; the reason is on the screen.
        Err(error) => Console::Missing(format!("the build failed: {error:#}")),
    };
    println!("{console}");
    build(place, Profile::Dev)?;
    let mut demo = Command::new(place.binary(Profile::Dev));
    demo.arg("demo").args(arguments);
    become_it(demo)
}

/// Builds the binary with the console that lies in the target folder.
pub fn build(place: &Place, profile: Profile) -> Result<()> {
    let mut command = Command::new(cargo());
    command.current_dir(&place.root).args(["build", "--workspace", "--bin", "iotbiz"]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    run::shown(command.env(web::OUT, place.web_out()))
}

#[cfg(unix)]
fn become_it(mut command: Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let name = run::text(&command);
    Err(command.exec()).with_context(|| format!("start `{name}`"))
}

#[cfg(not(unix))]
fn become_it(mut command: Command) -> Result<()> {
    let name = run::text(&command);
    let status = command.status().with_context(|| format!("start `{name}`"))?;
    if !status.success() {
        anyhow::bail!("`{name}` ended with {status}");
    }
    Ok(())
}
