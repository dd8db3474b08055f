//! The devices and programs of a measurement, registered as a person would: by the command line.
//!
//! *Invariant:* whoever connects has a credential that the server issued.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::bench::load::Users;
use crate::bench::server::Server;
use crate::place::Place;

/// Devices of one file; the server takes 50,000, but a request of the command line has 60 s.
const IMPORT_ROWS: u32 = 10_000;
/// Gateways that get their children at the same time.
const ADOPTIONS_AT_ONCE: usize = 8;

/// What devices are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// Of which venture.
    pub venture: &'static str,
    /// Which of its kinds.
    pub kind: &'static str,
}

/// What the load plays.
pub const PROBE: Sort = Sort { venture: "outsiders", kind: "probe" };

/// A device that was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Id and user name.
    pub id: String,
    token: String,
}

impl Device {
    /// Its password.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// A data folder's server with the blueprint of the foreign clients' tests in force.
pub fn server(place: &Place, folder: &Path, more: &[&str]) -> Result<Server> {
    fs::create_dir_all(folder).context("make the folder of a measurement")?;
    let server = Server::iotbiz(place, &folder.join("data"), more)?;
    apply(place, &server)?;
    Ok(server)
}

/// Puts the blueprint in force.
pub fn apply(place: &Place, server: &Server) -> Result<()> {
    let blueprint: PathBuf = place.root.join("tests/outsiders/blueprint.toml");
    server.command(place, &["apply", &blueprint.to_string_lossy(), "--yes"])?;
    Ok(())
}

/// Registers so many devices by CSV files.
pub fn import(
    place: &Place,
    server: &Server,
    folder: &Path,
    (prefix, sort, count): (&str, &Sort, u32),
) -> Result<Vec<Device>> {
    let sheet = folder.join("devices.csv");
    let credentials = folder.join("credentials.csv");
    let (sheet_name, credentials_name) = (sheet.to_string_lossy(), credentials.to_string_lossy());
    let arguments =
        ["device", "import", &sheet_name, "--kind", sort.kind, "--venture", sort.venture];
    let mut devices = Vec::new();
    for from in (0..count).step_by(IMPORT_ROWS as usize) {
        fs::write(&sheet, rows(prefix, from..count.min(from + IMPORT_ROWS)))?;
        server.command(place, &[&arguments[..], &["--credentials", &credentials_name]].concat())?;
        let made = fs::read_to_string(&credentials).context("read the credentials")?;
        // The command overwrites no credentials.
        fs::remove_file(&credentials).context("remove the credentials")?;
        devices.extend(read_credentials(&made)?);
    }
    ensure!(devices.len() == count as usize, "{} of {count} devices added", devices.len());
    Ok(devices)
}

fn rows(prefix: &str, numbers: std::ops::Range<u32>) -> String {
    let names = numbers.map(|number| format!("{prefix}-{number}\n"));
    std::iter::once("name\n".to_owned()).chain(names).collect()
}

/// Reads `name,username,token` with a head line.
fn read_credentials(sheet: &str) -> Result<Vec<Device>> {
    let device = |line: &str| {
        let mut fields = line.split(',').skip(1).map(str::to_owned);
        let (id, token) = (fields.next(), fields.next());
        id.zip(token).map(|(id, token)| Device { id, token })
    };
    let devices = sheet
        .lines()
        .skip(1)
        .map(|line| device(line).with_context(|| format!("`{line}` is not `name,username,token`")));
    devices.collect()
}

/// As whom the load connects: these devices.
pub fn users(devices: &[Device], file: PathBuf) -> Result<Users> {
    let lines: Vec<String> =
        devices.iter().map(|device| format!("{} {}", device.id, device.token)).collect();
    fs::write(&file, lines.join("\n")).context("write the users of the load")?;
    Ok(Users::File(file))
}

/// A program that may use the tenant's topics, and a topic of that tenant.
pub fn service(place: &Place, server: &Server, folder: &Path) -> Result<(Users, String)> {
    const NAME: &str = "bench";
    let said = server.command(place, &["token", "add", NAME, "--json"])?;
    let issued: Value = serde_json::from_str(&said)
        .with_context(|| format!("`iotbiz token add --json` printed `{said}`"))?;
    let token = issued["token"].as_str().context("a new token has no secret")?;
    let file = folder.join("service");
    fs::write(&file, format!("{NAME} {token}")).context("write the user of the load")?;
    let status = server.json("/api/v1/status")?;
    let tenant = status["tenant"]["id"].as_str().context("the status names no tenant")?;
    Ok((Users::File(file), format!("t/{tenant}/bench")))
}

/// Gives each gateway its share of the children; the file names them for the load.
pub fn adopt(
    server: &Server,
    (gateways, children): (&[Device], &[Device]),
    file: PathBuf,
) -> Result<PathBuf> {
    let share = children.len().div_ceil(gateways.len().max(1)).max(1);
    let ids: Vec<Vec<&str>> =
        children.chunks(share).map(|c| c.iter().map(|child| child.id.as_str()).collect()).collect();
    ensure!(ids.len() == gateways.len(), "{} shares of children are too few", ids.len());
    let next = AtomicUsize::new(0);
    let adopt = || -> Result<()> {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some((gateway, ids)) = gateways.get(at).zip(ids.get(at)) else { return Ok(()) };
            let path = format!("/api/v1/devices/{}", gateway.id);
            server.call("PATCH", &path, &json!({ "children": ids }).to_string())?;
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..ADOPTIONS_AT_ONCE).map(|_| scope.spawn(adopt)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    let lines: Vec<String> = ids.iter().map(|ids| ids.join(" ")).collect();
    fs::write(&file, lines.join("\n")).context("write the children of the gateways")?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_has_a_head_and_a_line_for_each_device() {
        assert_eq!(rows("probe", 0..2), "name\nprobe-0\nprobe-1\n");
    }

    #[test]
    fn credentials_are_read_as_the_command_line_writes_them() {
        let devices = read_credentials("name,username,token\nprobe-0,dev_1,secret\n").unwrap();
        assert_eq!(devices, [Device { id: "dev_1".to_owned(), token: "secret".to_owned() }]);
        let why = read_credentials("name,username,token\nprobe-0\n").unwrap_err().to_string();
        assert!(why.contains("`probe-0`"), "{why}");
    }
}
