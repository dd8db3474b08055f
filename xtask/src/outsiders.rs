//! Clients that nobody here wrote: installed when this machine may, then run against the binary.
//!
//! *Invariant:* a client that could not be installed is an error with its name, never a skip.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::place::{Place, Profile, cargo, find_on_path, on_path};
use crate::run;
use crate::steps::Tally;

/// Versions are pinned so that a client's new release cannot turn an old commit red.
const PYPI: [&str; 3] = ["paho-mqtt==2.2.0", "gmqtt==0.8.0", "aiosmtpd==1.4.6"];
/// ThingsBoard's client brings its own copy of paho-mqtt, so it has an environment of its own.
/// It installs mmh3 by itself when that is missing, so it is here too.
const THINGSBOARD: [&str; 3] =
    ["tb-mqtt-client==1.13.14", "tb-paho-mqtt-client==2.1.2", "mmh3==5.3.1"];
/// Judges electronic invoices; its XSLT processor is large, so it has an environment of its own.
const FACTURX: [&str; 2] = ["factur-x==7.8", "saxonche==13.1.1"];
/// Makes requests of the API's own document; it needs half of PyPI.
const SCHEMATHESIS: [&str; 1] = ["schemathesis==4.32.5"];
/// Readers and writers of history, which bring pyarrow, and a store that speaks S3.
const LAKE: [&str; 5] = [
    "deltalake==1.6.6",
    "duckdb==2.0.1",
    "influxdb-client==1.50.0",
    "moto[server]==5.2.5",
    "pyarrow==26.0.1",
];
/// Makes the formulas of the business case again.
const FORMULAS: [&str; 2] = ["numpy==2.4.6", "scipy==1.17.1"];
const NPM: [&str; 1] = ["mqtt@5.16.0"];

/// Runs every script of `tests/outsiders` and counts its `PASS` and `FAIL` lines.
pub fn run(place: &Place, kills: u32) -> Result<Tally> {
    let mut tally = Tally::default();
    let python = prepare(place)?;
    let mut command = Command::new(&python);
    command
        .current_dir(place.root.join("tests/outsiders"))
        .arg("all.py")
        .args(["--kills", &kills.to_string()])
        .env("IOTBIZ", place.binary(Profile::Dev))
        .env("NOTIFY_SEND", notify_send(place)?)
        .env("PROJECTS_TARGET", place.outsiders().join("projects"))
        .env("NODE_PATH", place.outsiders().join("node/node_modules"))
        .env("SCHEMATHESIS", schemathesis(place).join("bin/schemathesis"))
        .env("THINGSBOARD_PYTHON", thingsboard(place).join("bin/python"))
        .env("LAKE_PYTHON", lake(place).join("bin/python"))
        .env("FORMULAS_PYTHON", formulas(place).join("bin/python"))
        .env("FACTURX_PYTHON", facturx(place).join("bin/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1");
    let ok = run::each_line(&mut command, |line| match line.split_once(' ') {
        Some(("PASS", _)) => tally.passed += 1,
        Some(("FAIL", _)) => tally.failed += 1,
        _ => {}
    })?;
    if !ok && tally.failed == 0 {
        bail!("tests/outsiders/all.py ended before it was done");
    }
    Ok(tally)
}

/// The program that stands for a server with alarms; gives its path.
fn notify_send(place: &Place) -> Result<PathBuf> {
    // Of the workspace, so that libraries keep the features that the tests built.
    let arguments = ["build", "--quiet", "--workspace", "--example", "send"];
    run::shown(Command::new(cargo()).current_dir(&place.root).args(arguments))?;
    Ok(place.binary(Profile::Dev).with_file_name("examples").join("send"))
}

/// Everything the scripts need; gives the Python that has it.
fn prepare(place: &Place) -> Result<PathBuf> {
    debian(&[
        ("mosquitto_pub", &["mosquitto-clients"]),
        ("mosquitto", &["mosquitto"]),
        ("python3", &["python3"]),
        ("node", &["nodejs", "npm"]),
        // What the projects of `iotbiz connect` are built with.
        ("gcc", &["gcc"]),
        ("g++", &["g++"]),
        ("make", &["make"]),
        ("openssl", &["openssl"]),
    ])?;
    header("/usr/include/mosquitto.h", "libmosquitto-dev")?;
    // The second reading of bills and rules asks this machine for time zones, not the program.
    header("/usr/share/zoneinfo/Europe/Berlin", "tzdata")?;
    node_clients(&place.outsiders().join("node"))?;
    python_clients(&schemathesis(place), &SCHEMATHESIS)?;
    python_clients(&thingsboard(place), &THINGSBOARD)?;
    python_clients(&lake(place), &LAKE)?;
    python_clients(&facturx(place), &FACTURX)?;
    python_clients(&formulas(place), &FORMULAS)?;
    python_clients(&place.outsiders().join("venv"), &PYPI)
}

fn schemathesis(place: &Place) -> PathBuf {
    place.outsiders().join("venv-schemathesis")
}

fn lake(place: &Place) -> PathBuf {
    place.outsiders().join("venv-lake")
}

fn formulas(place: &Place) -> PathBuf {
    place.outsiders().join("venv-formulas")
}

fn facturx(place: &Place) -> PathBuf {
    place.outsiders().join("venv-facturx")
}

fn thingsboard(place: &Place) -> PathBuf {
    place.outsiders().join("venv-thingsboard")
}

/// Installs Debian packages for the programs that are missing.
pub fn debian(wanted: &[(&str, &[&str])]) -> Result<()> {
    let missing: Vec<_> = wanted.iter().filter(|(program, _)| !on_path(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|(program, _)| *program).collect();
    let packages: Vec<&str> =
        missing.iter().flat_map(|(_, packages)| packages.iter().copied()).collect();
    install(&packages).with_context(|| {
        format!("missing: {}; install {}", names.join(", "), packages.join(" "))
    })?;
    match wanted.iter().find(|(program, _)| !on_path(program)) {
        Some((program, _)) => bail!("`{program}` is missing after its package was installed"),
        None => Ok(()),
    }
}

/// Installs the Debian package of a library that is missing.
fn header(path: &str, package: &str) -> Result<()> {
    if Path::new(path).is_file() {
        return Ok(());
    }
    install(&[package]).with_context(|| format!("missing: {path}; install {package}"))?;
    if Path::new(path).is_file() { Ok(()) } else { bail!("{package} brought no {path}") }
}

fn install(packages: &[&str]) -> Result<()> {
    if !on_path("apt-get") {
        bail!("no apt-get on this machine");
    }
    if run::captured(Command::new("id").arg("-u"))?.trim() != "0" {
        bail!("only root may install");
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        run::captured(&mut command)
    };
    // Old package lists name versions that mirrors no longer have.
    apt(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(packages);
    apt(&arguments)?;
    Ok(())
}

/// Installs clients in an environment of their own; gives its Python.
fn python_clients(venv: &Path, clients: &[&str]) -> Result<PathBuf> {
    let python = venv.join("bin/python");
    let wanted = clients.join("\n");
    if done(venv, &wanted) && python.is_file() {
        return Ok(python);
    }
    let can_make = Command::new("python3").args(["-c", "import ensurepip, venv"]).output();
    if !can_make.is_ok_and(|output| output.status.success()) {
        install(&["python3-venv"]).context("missing: python3-venv")?;
    }
    run::shown(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(clients);
    run::shown(&mut pip).with_context(|| format!("missing: {}", clients.join(", ")))?;
    mark_done(venv, &wanted)?;
    Ok(python)
}

fn node_clients(folder: &Path) -> Result<()> {
    let wanted = NPM.join("\n");
    if done(folder, &wanted) {
        return Ok(());
    }
    fs::create_dir_all(folder).context("make the folder of the node clients")?;
    let mut npm = Command::new("npm");
    npm.current_dir(folder).args(["install", "--no-audit", "--no-fund", "--prefix", "."]).args(NPM);
    run::shown(&mut npm).with_context(|| format!("missing: {}", NPM.join(", ")))?;
    mark_done(folder, &wanted)
}

fn done(folder: &Path, wanted: &str) -> bool {
    fs::read_to_string(folder.join("installed")).is_ok_and(|have| have == wanted)
}

fn mark_done(folder: &Path, wanted: &str) -> Result<()> {
    fs::write(folder.join("installed"), wanted).context("note what was installed")
}

/// The browser for the end-to-end run, by whichever name this system has it.
pub fn chromium() -> Result<OsString> {
    let known = ["chromium", "chromium-browser", "google-chrome"];
    if let Some(found) = known.iter().find_map(|name| find_on_path(name)) {
        return Ok(found.into_os_string());
    }
    debian(&[("chromium", &["chromium"])])?;
    find_on_path("chromium").map(PathBuf::into_os_string).context("missing: chromium")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_there_is_not_installed() {
        debian(&[("sh", &["no-such-package-iotbiz"])]).unwrap();
    }
}
