//! `iotbiz demo`: a server with a venture, and virtual devices that speak real MQTT to it.
//!
//! *Invariant:* everything a demo shows came in through the same doors as anybody's: blueprint and
//! devices by the API, readings by MQTT. Its readings are marked as virtual for ever.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::Context;
use blueprint::{Blueprint, Template};
use fleetsim::Plan;
use model::{Clock, Name, SystemClock};
use serde_json::json;
use tokio::sync::Notify;

use crate::cli::{DemoArgs, Format};
use crate::client::Client;
use crate::commands::init::template;
use crate::commands::run::interrupted;
use crate::config::Config;
use crate::output;
use crate::server::{Server, Trust};
use crate::virtual_fleet::{Wanted, settle};

/// The weather of every demo.
const SEED: u64 = 7;
/// File of the virtual devices' tokens, in the data folder.
const TOKENS: &str = "virtual-devices.json";

pub(crate) fn run(args: &DemoArgs, format: Format) -> anyhow::Result<()> {
    let template = template(&args.template)?;
    let mut config = Config { data: args.data.clone(), ..Config::default() };
    config.http.listen = free(args.listen);
    config.mqtt.listen = free(args.mqtt);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("start the runtime")?.block_on(async {
        let server = Server::start(&config, Trust::Demo).await?;
        let stop = Arc::new(Notify::new());
        let played = tokio::spawn(play(Facts {
            url: format!("http://{}", server.ports.http),
            http: server.ports.http,
            mqtt: server.ports.mqtt,
            template,
            devices: args.devices,
            tokens: config.data.join(TOKENS),
            data: config.data.display().to_string(),
            format,
            stop: Arc::clone(&stop),
        }));
        let over = async {
            interrupted().await;
            stop.notify_one();
            // Its own failure is told where it happens; the server stays.
            drop(played.await);
        };
        server.serve_until(over).await
    })
}

/// The address, or a free port of the same machine when somebody has it.
fn free(wanted: SocketAddr) -> SocketAddr {
    match TcpListener::bind(wanted) {
        Ok(_) => wanted,
        Err(_taken) => SocketAddr::new(wanted.ip(), 0),
    }
}

struct Facts {
    url: String,
    http: SocketAddr,
    mqtt: SocketAddr,
    template: &'static Template,
    devices: u16,
    tokens: std::path::PathBuf,
    data: String,
    format: Format,
    stop: Arc<Notify>,
}

async fn play(facts: Facts) {
    if let Err(error) = try_play(facts).await {
        output::talk(&format!("the virtual devices stopped: {error:#}"));
    }
}

async fn try_play(facts: Facts) -> anyhow::Result<()> {
    let facts = Arc::new(facts);
    let preparing = Arc::clone(&facts);
    let plan = tokio::task::spawn_blocking(move || prepare(&preparing))
        .await
        .context("prepare the demo")??;
    let first = plan.devices.iter().find(|device| device.name.ends_with("-0001"));
    let first = first.map(|device| device.name.clone()).unwrap_or_default();
    announce(&facts, &first, plan.devices.len())?;
    fleetsim::run(plan, facts.stop.notified(), |_counts| {}).await?;
    Ok(())
}

/// Blueprint and devices, by the API as anybody would.
fn prepare(facts: &Facts) -> anyhow::Result<Plan> {
    let client = Client::local(&facts.url);
    let text = facts.template.text;
    let blueprint = Blueprint::parse(text).blueprint.context("the template has errors")?;
    let venture = blueprint.venture.as_str();
    let path = format!("/api/v1/ventures/{venture}/blueprint");
    // A demo that was changed by hand keeps the change.
    let blueprint = match client.get(&path) {
        Ok(found) => {
            let kept = found["text"].as_str().unwrap_or_default();
            Blueprint::parse(kept).blueprint.unwrap_or(blueprint)
        }
        Err(_not_there_yet) => {
            client.call("PUT", &path, Some(&json!({ "text": text, "based_on": null })))?;
            blueprint
        }
    };
    let venture = blueprint.venture.as_str().to_owned();
    let sites = sites(&client)?;
    let wanted = wanted(&blueprint, facts.devices, &sites);
    let devices = settle(&client, &venture, &wanted, &facts.tokens)?;
    Ok(Plan {
        server: facts.mqtt,
        kinds: blueprint.kinds,
        devices,
        seed: SEED,
        from: SystemClock::new().now(),
        speed: 1.0,
        faults: vec![fleetsim::Fault::Reconnect],
        duration: None,
    })
}

/// Places of the demo, made when they are missing.
fn sites(client: &Client) -> anyhow::Result<Vec<String>> {
    let places = [("berlin", 52.52, 13.405), ("potsdam", 52.39, 13.06), ("cottbus", 51.76, 14.33)];
    let known = client.get("/api/v1/sites")?;
    let known: Vec<_> = known["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|site| site["name"].as_str().map(str::to_owned))
        .collect();
    for (name, latitude, longitude) in places {
        if known.iter().any(|site| site == name) {
            continue;
        }
        let body = json!({
            "name": name, "timezone": "Europe/Berlin",
            "position": { "latitude": latitude, "longitude": longitude },
        });
        client.call("POST", "/api/v1/sites", Some(&body))?;
    }
    Ok(places.iter().map(|(name, _, _)| (*name).to_owned()).collect())
}

/// The first kind makes up the fleet; a kind that it links to has one device at each site.
fn wanted(blueprint: &Blueprint, devices: u16, sites: &[String]) -> Vec<Wanted> {
    let main = blueprint
        .kinds
        .iter()
        .find(|(_, kind)| !kind.links.is_empty())
        .or_else(|| blueprint.kinds.iter().next());
    let Some((main_name, main_kind)) = main else { return Vec::new() };
    let plain = |name: &Name| name.as_str().replace('_', "-");
    let mut wanted = Vec::new();
    for target in main_kind.links.values() {
        for site in sites {
            wanted.push(Wanted {
                name: format!("{}-{site}", plain(target)),
                kind: target.clone(),
                site: Some(site.clone()),
                tags: Vec::new(),
                links: BTreeMap::new(),
            });
        }
    }
    for (number, site) in (1..=devices).zip(sites.iter().cycle()) {
        let link = |(link, target): (&Name, &Name)| {
            (link.as_str().to_owned(), format!("{}-{site}", plain(target)))
        };
        wanted.push(Wanted {
            name: format!("{}-{number:04}", plain(main_name)),
            kind: main_name.clone(),
            site: Some(site.clone()),
            tags: if number <= 5 { vec!["pilot".to_owned()] } else { Vec::new() },
            links: main_kind.links.iter().map(link).collect(),
        });
    }
    wanted
}

/// What to type to run this program again: its name where the shell finds it, its path otherwise.
fn program() -> String {
    let Ok(path) = std::env::current_exe() else { return "iotbiz".to_owned() };
    let folders = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&folders).any(|folder| folder.join("iotbiz") == path) {
        return "iotbiz".to_owned();
    }
    path.display().to_string()
}

fn announce(facts: &Facts, first: &str, devices: usize) -> anyhow::Result<()> {
    if facts.format == Format::Json {
        let addresses = json!({ "http": facts.http.to_string(), "mqtt": facts.mqtt.to_string() });
        return output::line(&addresses.to_string());
    }
    let server = match facts.http.port() {
        7070 => String::new(),
        _ => format!(" --server {}", facts.url),
    };
    let Facts { url, mqtt, data, .. } = facts;
    let iotbiz = program();
    output::print(&format!(
        "\n  {url}\n\n  \
         {devices} virtual devices speak MQTT to {mqtt}. Their readings are marked as virtual.\n  \
         Whoever sits at this machine owns this demo; nobody else can reach it.\n\n  \
         Try next\n    \
         open a device          {url}/devices/{first}\n    \
         see the fleet          {iotbiz} device ls 'status:live'{server}\n    \
         send as a device       {iotbiz} send {first} temperature=11.5{server}\n    \
         change a setting       {iotbiz} device set {first} interval='30 s'{server}\n    \
         connect your own       {url}/connect\n    \
         check the business     {iotbiz} export{server} > blueprint.toml && {iotbiz} check\n\n  \
         Data is kept in {data}. Ctrl-C stops.\n\n"
    ))
}
