//! A PostgreSQL of its own for the tests that need one.
//!
//! *Invariant:* it is stopped and its files are removed, however the tests end; no server that was
//! there before is touched.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::outsiders;
use crate::place::{Place, cargo, find_on_path};
use crate::run;
use crate::steps::Tally;
use crate::test::counted;

/// Where Debian keeps the programs of each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Runs the registry's contract on PostgreSQL.
pub fn run(place: &Place) -> Result<Tally> {
    let server = Server::start()?;
    let mut command = Command::new(cargo());
    command
        .current_dir(&place.root)
        // Of the workspace, so that libraries keep the features that the tests built.
        .args(["test", "--workspace", "--features", "registry/postgres-tests"])
        .args(["--test", "postgres", "--quiet"])
        .env("IOTBIZ_TEST_POSTGRES", &server.url);
    counted(&mut command, "the tests on PostgreSQL")
}

fn program(name: &str) -> Result<PathBuf> {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let newest = versions.map(|version| version.path().join("bin").join(name)).max();
    let found = newest.filter(|path| path.is_file()).or_else(|| find_on_path(name));
    found.with_context(|| format!("missing: {name} of PostgreSQL"))
}

/// PostgreSQL refuses to be root; Debian made a user for it.
fn as_user(program: &Path) -> Result<Command> {
    if run::captured(Command::new("id").arg("-u"))?.trim() != "0" {
        return Ok(Command::new(program));
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    Ok(command)
}

#[derive(Debug)]
struct Server {
    data: PathBuf,
    url: String,
}

impl Server {
    fn start() -> Result<Self> {
        if program("initdb").is_err() {
            outsiders::debian(&[("initdb", &["postgresql"])]).or_else(|error| {
                // Debian puts its programs where nobody's path looks.
                if program("initdb").is_ok() { Ok(()) } else { Err(error) }
            })?;
        }
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
            listener.local_addr().context("find a free port")?.port()
        };
        let data = std::env::temp_dir().join(format!("iotbiz-postgres-{}", std::process::id()));
        let server = Self { data, url: format!("postgres://postgres@127.0.0.1:{port}/postgres") };
        let folder = server.data.display().to_string();
        let initdb = &program("initdb")?;
        run::captured(as_user(initdb)?.args([
            "--auth=trust",
            "--username=postgres",
            "-D",
            &folder,
        ]))?;
        // What a crash would lose does not matter here.
        let options = format!(
            "-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='{folder}' \
             -c fsync=off"
        );
        let log = format!("{folder}/log");
        let start = ["-D", &folder, "-w", "-l", &log, "-o", &options, "start"];
        let mut command = as_user(&program("pg_ctl")?)?;
        // The server keeps what it inherits, so it must not inherit a pipe that somebody reads.
        command.args(start).stdin(Stdio::null()).stdout(Stdio::null());
        run::shown(&mut command)?;
        Ok(server)
    }

    fn stop(&self) -> Result<()> {
        let mut command = as_user(&program("pg_ctl")?)?;
        command.arg("-D").arg(&self.data).args(["-m", "immediate", "stop"]).stdout(Stdio::null());
        run::shown(&mut command)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may not have started; then there is nothing to stop, and the start said why.
        drop(self.stop());
        drop(fs::remove_dir_all(&self.data));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_missing_is_named() {
        let error = program("no-such-program-iotbiz").unwrap_err();
        assert!(error.to_string().contains("no-such-program-iotbiz"), "{error}");
    }
}
