//! `iotbiz device`: list, add, show, change and remove devices.

mod credential;
mod delivery;

use std::collections::BTreeMap;

use clap::Subcommand;
use model::ReturnReason;
use serde_json::{Value, json};

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::exit::{self, Failure};
use crate::output::{self, text};

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// Devices that a filter chooses.
    #[command(visible_alias = "ls", after_help = "Example: iotbiz device ls 'status:silent fw:<2'")]
    List {
        /// `kind:box status:silent fw:<2.4.1 temperature:>8`
        filter: Vec<String>,
        /// Most rows; all by default.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Add a device; prints its token, once.
    #[command(after_help = "Example: iotbiz device add box-0031 --kind box --tag pilot")]
    Add {
        /// Its name.
        name: String,
        /// Its kind in the blueprint.
        #[arg(long)]
        kind: String,
        /// The venture, when there are several.
        #[arg(long)]
        venture: Option<String>,
        /// Name or id of a site.
        #[arg(long)]
        site: Option<String>,
        /// A label; may be repeated.
        #[arg(long = "tag")]
        tags: Vec<String>,
        /// `link=device`; may be repeated.
        #[arg(long = "link")]
        links: Vec<String>,
        /// real, virtual or replayed; marked for ever.
        #[arg(long, default_value = "real")]
        origin: String,
    },
    /// Everything about a device: its twin, its messages, its credentials' place.
    #[command(after_help = "Example: iotbiz device show box-0001 --at 2026-11-28T12:00:00Z")]
    Show {
        /// Name or id.
        device: String,
        /// As it was at this time, RFC 3339: its readings, from history.
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
    /// Whether what was due came, and in time: of the fleet, or of what a filter chooses.
    #[command(after_help = "Examples:\n  iotbiz device delivery\n  iotbiz device delivery \
                            'kind:box site:berlin' --days 30 --json")]
    Delivery {
        /// `kind:box site:berlin`; default: all.
        filter: Vec<String>,
        /// Days up to today (UTC), at most 64.
        #[arg(long, default_value_t = 7)]
        days: u8,
    },
    /// Change desired settings.
    #[command(after_help = "Examples:\n  iotbiz device set box-0001 interval='15 min'\n  iotbiz \
                            device set --filter 'kind:box status:live' interval='15 min'\n\n\
                            Exit codes with --filter: 0 all took it, 1 some were left as they are")]
    Set {
        /// Name or id of the device (not with --filter), then `setting=value`; `setting=` takes
        /// it back.
        #[arg(required = true, num_args = 1.., value_names = ["DEVICE", "SETTING=VALUE"])]
        settings: Vec<String>,
        /// All devices that this chooses, instead of one.
        #[arg(long)]
        filter: Option<String>,
    },
    /// Issue another token.
    Rotate {
        /// Name or id.
        device: String,
    },
    /// Issue a certificate, for a request of the device or with a key made here.
    #[command(after_help = "Example: iotbiz device certificate box-0001 --csr box.csr --out certs")]
    Certificate(credential::CertificateArgs),
    /// Its tokens and certificates, without their secrets.
    Credentials {
        /// Name or id.
        device: String,
    },
    /// End a token or certificate; its connections are closed at once.
    Revoke {
        /// Name or id.
        device: String,
        /// Id of the credential, as `device credentials` prints it.
        credential: String,
    },
    /// Add the devices of a sheet; existing tokens may come along.
    #[command(after_help = "Example: iotbiz device import fleet.csv --kind box --dry-run")]
    Import(credential::ImportArgs),
    /// Another board for the same device: its history goes on, the old board's credentials end.
    #[command(after_help = "Example: iotbiz device replace box-0001 --serial SN-4711 --reason \
                            battery")]
    Replace {
        /// Name or id.
        device: String,
        /// As on the label of the new board.
        #[arg(long)]
        serial: Option<String>,
        /// Hardware revision of the new board.
        #[arg(long)]
        hardware: Option<String>,
        /// Why the old board left; `fleet.returns` counts by it.
        #[arg(long, default_value_t = ReturnReason::Other)]
        reason: ReturnReason,
    },
    /// Take a device out of service; its history stays.
    #[command(after_help = "Example: iotbiz device retire box-0001 --reason ended")]
    Retire {
        /// Name or id.
        device: String,
        /// Why it goes: defect, damage, battery, upgrade, ended, lost or other.
        #[arg(long, default_value_t = ReturnReason::Other)]
        reason: ReturnReason,
    },
    /// Remove a device.
    #[command(visible_alias = "rm")]
    Remove {
        /// Name or id.
        device: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

pub(crate) fn run(command: &DeviceCommand, client: &Client, format: Format) -> anyhow::Result<()> {
    match command {
        DeviceCommand::List { filter, limit } => list(client, &filter.join(" "), *limit, format),
        DeviceCommand::Add { name, kind, venture, site, tags, links, origin } => {
            let body = json!({
                "name": name, "kind": kind, "venture": venture, "site": site, "tags": tags,
                "links": pairs(links)?, "origin": origin,
            });
            add(client, &body, format)
        }
        DeviceCommand::Show { device, at } => show(client, device, at.as_deref(), format),
        DeviceCommand::Delivery { filter, days } => {
            delivery::run((&filter.join(" "), *days), client, format)
        }
        DeviceCommand::Set { settings, filter: Some(filter) } => {
            set_all(client, filter, settings, format)
        }
        DeviceCommand::Set { settings, filter: None } => match settings.as_slice() {
            [device, settings @ ..] if !settings.is_empty() && !device.contains('=') => {
                set(client, device, settings, format)
            }
            _ => Err(Failure::new(exit::USAGE, "device and setting are both needed")
                .fix("iotbiz device set box-0001 interval='15 min'")
                .into()),
        },
        DeviceCommand::Rotate { device } => {
            let path = format!("/api/v1/devices/{}/credentials", encoded(device));
            let issued = client.call("POST", &path, None)?;
            print_credential(&issued, format)
        }
        DeviceCommand::Certificate(args) => credential::certificate(args, client, format),
        DeviceCommand::Credentials { device } => credential::list(device, client, format),
        DeviceCommand::Revoke { device, credential } => {
            credential::revoke(device, credential, client)
        }
        DeviceCommand::Import(args) => credential::import(args, client, format),
        DeviceCommand::Replace { device, serial, hardware, reason } => {
            let board = json!({ "serial": serial, "hardware": hardware, "reason": reason });
            credential::replace(device, &board, client, format)
        }
        DeviceCommand::Retire { device, reason } => {
            credential::retire(device, *reason, client, format)
        }
        DeviceCommand::Remove { device, yes: true } => remove(client, device),
        DeviceCommand::Remove { device, yes: false } => {
            Err(Failure::new(exit::USAGE, format!("removing {device} needs --yes"))
                .why("its credentials end at once; its readings stay until they expire")
                .into())
        }
    }
}

fn pairs(texts: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
        None => Err(Failure::new(exit::USAGE, format!("{text:?} has no ="))
            .fix("write name=value, for example interval='15 min'")),
    };
    texts.iter().map(pair).collect()
}

/// A reading with its unit.
fn reading(reading: &Value) -> String {
    match reading["unit"].as_str() {
        Some(unit) => format!("{} {}", text(&reading["value"]), unit.replace("Cel", "°C")),
        None => text(&reading["value"]),
    }
}

/// Every device that the filter chooses, page by page.
pub(crate) fn all(
    client: &Client,
    filter: &str,
    limit: Option<usize>,
) -> Result<Vec<Value>, Failure> {
    /// Rows of one request.
    const PAGE: usize = 500;
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/devices?limit={PAGE}&filter={}{cursor}", encoded(filter));
        let page = client.get(&path)?;
        items.extend(page["items"].as_array().cloned().unwrap_or_default());
        if let Some(limit) = limit.filter(|limit| items.len() >= *limit) {
            items.truncate(limit);
            return Ok(items);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(items),
        }
    }
}

fn list(client: &Client, filter: &str, limit: Option<usize>, format: Format) -> anyhow::Result<()> {
    let items = all(client, filter, limit)?;
    if format == Format::Json {
        return output::json(&json!({ "items": items }));
    }
    if items.is_empty() {
        output::talk("no devices match; add one: iotbiz device add NAME --kind KIND");
    }
    let rows = items.iter().map(|device| {
        let readings: Vec<_> = device["readings"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| format!("{name} {}", reading(value)))
            .collect();
        vec![
            text(&device["name"]),
            text(&device["kind"]),
            text(&device["status"]),
            text(&device["origin"]),
            text(&device["firmware"]),
            text(&device["last_seen"]),
            readings.join(", "),
        ]
    });
    let heads = ["NAME", "KIND", "STATUS", "ORIGIN", "FIRMWARE", "LAST SEEN", "READINGS"];
    output::table(&heads, rows.collect())
}

fn add(client: &Client, body: &Value, format: Format) -> anyhow::Result<()> {
    let added = client.call("POST", "/api/v1/devices", Some(body))?;
    if format == Format::Json {
        return output::json(&added);
    }
    output::line(&format!("added {} as {}", text(&body["name"]), text(&added["device"]["id"])))?;
    print_credential(&added["credential"], format)
}

fn print_credential(issued: &Value, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::json(issued);
    }
    output::line(&format!("username {}", text(&issued["username"])))?;
    output::line(&format!("token    {}", text(&issued["token"])))?;
    output::talk("the token is shown once; the device needs it as its MQTT password");
    Ok(())
}

fn show(client: &Client, device: &str, at: Option<&str>, format: Format) -> anyhow::Result<()> {
    let path = format!("/api/v1/devices/{}", encoded(device));
    let mut detail = client.get(&path)?;
    let asked = at.map(|at| format!("?at={}", encoded(at))).unwrap_or_default();
    let twin = client.get(&format!("{path}/twin{asked}"))?;
    if format == Format::Json {
        detail["twin"] = twin;
        return output::json(&detail);
    }
    let fact = |name: &str| vec![name.replace('_', " "), text(&detail[name])];
    let mut rows: Vec<_> = ["id", "name", "kind", "venture", "origin", "status", "last_seen"]
        .iter()
        .map(|name| fact(name))
        .collect();
    for part in ["readings", "reported", "desired"] {
        for (name, value) in twin[part].as_object().into_iter().flatten() {
            let at = text(&value["at"]);
            rows.push(vec![format!("{part} {name}"), format!("{} at {at}", reading(value))]);
        }
    }
    if let Some(at) = at {
        rows.push(vec!["as of".to_owned(), at.to_owned()]);
        rows.push(vec!["note".to_owned(), text(&twin["note"])]);
        return output::table(&["FACT", "VALUE"], rows);
    }
    rows.push(vec!["quarantined".to_owned(), text(&detail["quarantined"])]);
    output::table(&["FACT", "VALUE"], rows)
}

/// `setting=value` as the API takes them.
fn wanted(settings: &[String]) -> Result<Value, Failure> {
    let typed = |value: String| match value.as_str() {
        "" => Value::Null,
        other => serde_json::from_str(other).unwrap_or(Value::String(value)),
    };
    let pairs = pairs(settings)?.into_iter();
    Ok(Value::Object(pairs.map(|(name, value)| (name, typed(value))).collect()))
}

fn set_all(
    client: &Client,
    filter: &str,
    settings: &[String],
    format: Format,
) -> anyhow::Result<()> {
    let body = json!({ "filter": filter, "set": wanted(settings)? });
    let answer = client.call("POST", "/api/v1/desired", Some(&body))?;
    let list = |name: &str| answer[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let (done, failed) = (list("set"), list("failed"));
    if format == Format::Json {
        output::json(&answer)?;
    } else {
        let taken = |one: &Value| {
            let version = format!("desired version {}", text(&one["desired_version"]));
            vec![text(&one["name"]), "set".to_owned(), version]
        };
        let left =
            |one: &Value| vec![text(&one["name"]), "refused".to_owned(), text(&one["reason"])];
        let rows = done.iter().map(taken).chain(failed.iter().map(left)).collect();
        output::table(&["DEVICE", "RESULT", "VERSION OR REASON"], rows)?;
    }
    if failed.is_empty() {
        return Ok(());
    }
    let what = format!("{} of {} devices refused", failed.len(), done.len() + failed.len());
    Err(Failure::new(exit::FAILED, what).into())
}

fn set(client: &Client, device: &str, settings: &[String], format: Format) -> anyhow::Result<()> {
    let body = wanted(settings)?;
    let path = format!("/api/v1/devices/{}/desired", encoded(device));
    let answer = client.call("PATCH", &path, Some(&body))?;
    if format == Format::Json {
        return output::json(&answer);
    }
    output::line(&format!("desired version {}", text(&answer["desired_version"])))
}

fn remove(client: &Client, device: &str) -> anyhow::Result<()> {
    client.call("DELETE", &format!("/api/v1/devices/{}", encoded(device)), None)?;
    output::talk(&format!("removed {device}"));
    Ok(())
}
