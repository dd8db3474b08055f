//! Virtual devices on a server: adds those that are missing and keeps their tokens in a file.
//!
//! *Invariant:* the file is its owner's only, and is written before the first device is used, so
//! that a run that was cut short finds its devices again.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use fleetsim::VirtualDevice;
use model::Name;
use serde_json::{Value, json};

use crate::client::{Client, encoded};
use crate::exit;

/// One device that there shall be.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) kind: Name,
    pub(crate) site: Option<String>,
    pub(crate) tags: Vec<String>,
    /// Link name to device name; those are listed before.
    pub(crate) links: BTreeMap<String, String>,
}

/// Tokens by device name, and their ids.
type Kept = BTreeMap<String, (String, String)>;

/// The devices, ready to be played.
pub(crate) fn settle(
    client: &Client,
    venture: &str,
    wanted: &[Wanted],
    file: &Path,
) -> anyhow::Result<Vec<VirtualDevice>> {
    let status = client.get("/api/v1/status")?;
    let tenant = status["tenant"]["id"].as_str().unwrap_or_default().to_owned();
    let mut all = read(file)?;
    let kept = all.entry(tenant).or_default();
    let mut fleet = Vec::with_capacity(wanted.len());
    let mut changed = false;
    for device in wanted {
        let (id, token) = match kept.get(&device.name) {
            Some((id, token)) if exists(client, id)? => (id.clone(), token.clone()),
            _ => {
                changed = true;
                let login = add(client, venture, device)?;
                kept.insert(device.name.clone(), login.clone());
                login
            }
        };
        fleet.push(VirtualDevice {
            id,
            token,
            kind: device.kind.clone(),
            name: device.name.clone(),
        });
    }
    if changed {
        write(file, &all)?;
    }
    Ok(fleet)
}

fn exists(client: &Client, id: &str) -> anyhow::Result<bool> {
    match client.get(&format!("/api/v1/devices/{id}")) {
        Ok(_) => Ok(true),
        Err(failure) if failure.code == exit::NOT_FOUND => Ok(false),
        Err(failure) => Err(failure.into()),
    }
}

/// A new device, or another token for one whose token is not known here.
fn add(client: &Client, venture: &str, device: &Wanted) -> anyhow::Result<(String, String)> {
    let body = json!({
        "name": device.name, "kind": device.kind.as_str(), "venture": venture,
        "site": device.site, "tags": device.tags, "links": device.links, "origin": "virtual",
    });
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let issued = match client.call("POST", "/api/v1/devices", Some(&body)) {
        Ok(added) => added["credential"].clone(),
        Err(failure) if failure.code == exit::CONFLICT => {
            let found = client.get(&format!("/api/v1/devices/{}", encoded(&device.name)))?;
            if found["origin"] != "virtual" {
                return Err(failure.into());
            }
            let path = format!("/api/v1/devices/{}/credentials", encoded(&device.name));
            client.call("POST", &path, None)?
        }
        Err(failure) => return Err(failure.into()),
    };
    Ok((text(&issued["username"]), text(&issued["token"])))
}

fn read(file: &Path) -> anyhow::Result<BTreeMap<String, Kept>> {
    match std::fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("{} does not hold virtual devices", file.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error).with_context(|| format!("read {}", file.display())),
    }
}

fn write(file: &Path, all: &BTreeMap<String, Kept>) -> anyhow::Result<()> {
    let mut options = std::fs::File::options();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut text = serde_json::to_vec_pretty(all)?;
    text.push(b'\n');
    let written = options.open(file).and_then(|mut file| file.write_all(&text));
    written.with_context(|| format!("write {}", file.display()))
}
