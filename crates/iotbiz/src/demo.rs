//! `iotbiz demo`: a server with a venture, and virtual devices that speak real MQTT to it.
//!
//! *Invariant:* everything a demo shows came in as anybody's does: ideas, blueprint and devices by
//! the API, readings through the log, those of today by MQTT. Its readings are marked as virtual
//! for ever.

mod ideas;
mod lan;
mod money;
mod past;
mod since;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::Context;
use api::PhonePage;
use blueprint::{Alarm, Blueprint, Kind, Template};
use fleetsim::Plan;
use indicatif::{ProgressBar, ProgressStyle};
use model::{Clock, Name, SystemClock, TenantId, Timestamp};
use serde_json::json;
use tokio::net::TcpListener as AsyncListener;
use tokio::sync::Notify;

use crate::cli::{DemoArgs, Format};
use crate::client::Client;
use crate::commands::connect::lan_address;
use crate::commands::init::template;
use crate::commands::run::interrupted;
use crate::config::Config;
use crate::exit::{self, Failure};
use crate::server::{Annex, Backfill, PastClock, Server, Time, Trust};
use crate::virtual_fleet::{Wanted, settle};
use crate::{output, qr};

pub(crate) use past::Report as PastReport;
pub(crate) use since::Since;

/// The weather of every demo.
const SEED: u64 = 7;
/// File of the virtual devices' tokens, in the data folder.
const TOKENS: &str = "virtual-devices.json";

/// What becomes of a demo whose past is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// It goes on, until somebody stops it.
    Stay,
    /// It ends.
    Leave,
}

pub(crate) fn run(args: &DemoArgs, then: Then, format: Format) -> anyhow::Result<()> {
    let template = template(&args.template)?;
    let config = config(args);
    let (clock, begins) = clock(&config, args.from)?;
    let clock = Arc::new(clock);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("start the runtime")?.block_on(async {
        let time = Time::Past(Arc::clone(&clock));
        let server = Server::start_in(&config, Trust::Demo, &time).await?;
        let (stop, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let facts = Facts {
            url: format!("http://{}", server.ports.http),
            http: server.ports.http,
            mqtt: server.ports.mqtt,
            template,
            devices: args.devices,
            tokens: config.data.join(TOKENS),
            data: config.data.display().to_string(),
            format,
            backfill: server.backfill(),
            clock,
            begins,
            grown: args.from.grown(SystemClock::new().now()),
            lan: args.lan.map(|wanted| (free(wanted), server.annex())),
            then,
            stop: Arc::clone(&stop),
        };
        let played = tokio::spawn(play(facts, Arc::clone(&done)));
        let mut outcome = Ok(());
        let over = async {
            tokio::select! {
                () = interrupted() => {}
                () = done.notified(), if then == Then::Leave => {}
            }
            stop.notify_one();
            outcome = played.await.context("play the devices").flatten();
        };
        server.serve_until(over).await?;
        match then {
            // Its own failure was told where it happened.
            Then::Stay => Ok(()),
            Then::Leave => outcome,
        }
    })
}

fn config(args: &DemoArgs) -> Config {
    let mut config = Config { data: args.data.clone(), ..Config::default() };
    config.http.listen = free(args.listen);
    config.mqtt.listen = free(args.mqtt);
    // A demo's past is its log: none of it ends by age.
    config.log.retention_days = u32::MAX;
    config
}

/// A clock that stands where a demo's time begins: in a folder that has a log, where that ends. And
/// when its devices begin.
fn clock(config: &Config, from: Since) -> anyhow::Result<(PastClock, Timestamp)> {
    let now = SystemClock::new().now();
    let from = from.before(now).map_err(|why| {
        Failure::new(exit::USAGE, why)
            .fix("use an age such as 90d, a day such as 2026-09-01, or now")
    })?;
    let begun = config.data.join("log").is_dir();
    // People had the idea before there was a device.
    let stands = if begun { Timestamp::ZERO } else { from - ideas::LEAD };
    Ok((PastClock::new(stands), from))
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
    backfill: Backfill,
    clock: Arc<PastClock>,
    /// When its devices are added.
    begins: Timestamp,
    /// Where phones join, and what that listener is made with.
    lan: Option<(SocketAddr, Annex)>,
    /// Since when there are boxes that are no pilots; none: since the beginning.
    grown: Option<Timestamp>,
    then: Then,
    stop: Arc<Notify>,
}

async fn play(facts: Facts, done: Arc<Notify>) -> anyhow::Result<()> {
    let (clock, then) = (Arc::clone(&facts.clock), facts.then);
    let played = try_play(facts).await;
    if then == Then::Stay
        && let Err(error) = &played
    {
        output::talk(&format!("the virtual devices stopped: {error:#}"));
    }
    // Whatever stopped them, people and their own devices live in the present.
    clock.follow();
    done.notify_one();
    played
}

async fn try_play(facts: Facts) -> anyhow::Result<()> {
    let facts = Arc::new(facts);
    let Some((made, plan, caught)) = begin(&facts).await? else { return Ok(()) };
    if facts.then == Then::Leave {
        return match facts.format {
            Format::Json => output::json(&caught.json()),
            Format::Table => output::line(&caught.words()),
        };
    }
    let first = plan.devices.iter().find(|device| device.name.ends_with("-0001"));
    let first = first.map(|device| device.name.clone()).unwrap_or_default();
    let phones = phones(&facts, (&made, &plan)).await?;
    announce(&facts, &first, (plan.devices.len(), &caught, phones.as_deref()))?;
    fleetsim::run(plan, facts.stop.notified(), |_counts| {}).await?;
    Ok(())
}

/// Devices whose past reaches to now; nothing when somebody stopped it before.
async fn begin(facts: &Arc<Facts>) -> anyhow::Result<Option<(Made, Plan, PastReport)>> {
    let preparing = Arc::clone(facts);
    let (made, mut plan) = tokio::task::spawn_blocking(move || prepare(&preparing))
        .await
        .context("prepare the demo")??;
    let tenant = made.tenant;
    let (kinds, devices, grown) = (&plan.kinds, &plan.devices, facts.grown);
    let fleet = past::Fleet { tenant, kinds, devices, seed: SEED, grown };
    let bar = progress_bar();
    let show = |reached: past::Reached| {
        bar.set_length(reached.until.since(reached.from).as_secs());
        bar.set_position(reached.at.since(reached.from).as_secs());
        bar.set_message(reached.at.to_string().chars().take(10).collect::<String>());
    };
    let caught = tokio::select! {
        caught = past::catch_up(&fleet, (&facts.backfill, &facts.clock), show) => caught?,
        () = facts.stop.notified() => return Ok(None),
    };
    bar.finish_and_clear();
    facts.clock.follow();
    // Nothing of the past may have been urgent.
    facts.backfill.urgent.confirm_clock();
    plan.from = caught.until;
    Ok(Some((made, plan, caught)))
}

/// Opens the page for phones; its address with the claim.
async fn phones(facts: &Facts, (made, plan): (&Made, &Plan)) -> anyhow::Result<Option<String>> {
    let Some((wanted, annex)) = &facts.lan else { return Ok(None) };
    let kind = main_kind(&plan.kinds).and_then(|name| plan.kinds.get_key_value(name));
    let kind = kind.context("the venture has no kind of device")?;
    let phones = lan::Phones::of(&made.venture, kind, &made.alarms);
    let phones =
        phones.with_context(|| format!("{} has no number that a phone could send", kind.0))?;
    let claim = lan::Claim::new()?;
    let listener = AsyncListener::bind(wanted).await;
    let listener = listener.with_context(|| format!("listen on {wanted} for phones"))?;
    let bound = listener.local_addr().context("learn the address for phones")?;
    let seen = if bound.ip().is_unspecified() { lan_address() } else { None };
    let url = claim.url(SocketAddr::new(seen.unwrap_or_else(|| bound.ip()), bound.port()));
    let page = PhonePage {
        tenant: made.tenant,
        url: url.clone(),
        code: qr::rows(&url)?,
        phones_max: lan::PHONES_MAX,
    };
    annex.phone.set(page).map_err(|_| anyhow::anyhow!("phones have a page already"))?;
    let (console, ingest) = (facts.url.clone(), annex.ingest.clone());
    annex.serve(listener, lan::router(lan::Parts { claim, phones, console, ingest }));
    Ok(Some(url))
}

fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    let template = "  simulating the past  {wide_bar} {msg} {elapsed}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Where the devices are.
struct Made {
    tenant: TenantId,
    venture: String,
    alarms: BTreeMap<Name, Alarm>,
}

/// Blueprint and devices, by the API as anybody would.
fn prepare(facts: &Facts) -> anyhow::Result<(Made, Plan)> {
    let client = Client::local(&facts.url);
    let status = client.get("/api/v1/status")?;
    let tenant = status["tenant"]["id"].as_str().unwrap_or_default();
    let tenant = tenant.parse().context("learn the tenant")?;
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
            let times = ideas::Times {
                begins: facts.begins,
                now: &|| facts.clock.now(),
                moved: &|to| facts.backfill.moved(&facts.clock, to),
            };
            ideas::begin(&client, (&blueprint, text), &times)?;
            blueprint
        }
    };
    let venture = blueprint.venture.as_str().to_owned();
    let sites = sites(&client)?;
    let wanted = wanted(&blueprint, facts.devices, &sites);
    let devices = settle(&client, &venture, &wanted, &facts.tokens)?;
    if let Some(kind) = main_kind(&blueprint.kinds) {
        let times =
            money::Times { begins: facts.clock.now(), grown: facts.grown, now: facts.clock.wall() };
        let later = devices.iter().filter(|device| !past::pilot(&device.name));
        let later: Vec<_> = later.map(|device| device.name.as_str()).collect();
        money::settle(&client, (&blueprint, kind), (&sites, &later), times)?;
    }
    let plan = Plan {
        server: facts.mqtt,
        kinds: blueprint.kinds,
        devices,
        seed: SEED,
        from: facts.clock.wall(),
        speed: 1.0,
        faults: vec![fleetsim::Fault::Reconnect, fleetsim::Fault::Breakdown],
        duration: None,
    };
    Ok((Made { tenant, venture, alarms: blueprint.alarms }, plan))
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

/// The kind that links to another, or else the first.
fn main_kind(kinds: &BTreeMap<Name, Kind>) -> Option<&Name> {
    let linked = kinds.iter().find(|(_, kind)| !kind.links.is_empty());
    linked.or_else(|| kinds.iter().next()).map(|(name, _)| name)
}

/// The main kind makes up the fleet; a kind that it links to has one device at each site.
fn wanted(blueprint: &Blueprint, devices: u16, sites: &[String]) -> Vec<Wanted> {
    let kinds = &blueprint.kinds;
    let main = main_kind(kinds).and_then(|name| kinds.get_key_value(name));
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
            tags: if number <= past::PILOTS { vec!["pilot".to_owned()] } else { Vec::new() },
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

/// How a phone joins.
fn joined(url: &str) -> anyhow::Result<String> {
    let code = qr::drawn(url)?;
    Ok(format!(
        "  A phone in this network becomes a device, {} of them at most:\n\n{code}\n\n  {url}\n\n",
        lan::PHONES_MAX
    ))
}

fn announce(
    facts: &Facts,
    first: &str,
    (devices, caught, phones): (usize, &PastReport, Option<&str>),
) -> anyhow::Result<()> {
    if facts.format == Format::Json {
        let said = json!({
            "http": facts.http.to_string(), "mqtt": facts.mqtt.to_string(), "past": caught.json(),
            "box": phones,
        });
        return output::line(&said.to_string());
    }
    let server = match facts.http.port() {
        7070 => String::new(),
        _ => format!(" --server {}", facts.url),
    };
    let Facts { url, mqtt, data, .. } = facts;
    let iotbiz = program();
    let simulated = caught.words();
    let phones = match phones {
        Some(url) => joined(url)?,
        None => String::new(),
    };
    output::print(&format!(
        "\n  {url}\n\n  \
         {devices} virtual devices speak MQTT to {mqtt}. Their readings are marked as virtual.\n  \
         {simulated}\n  \
         Whoever sits at this machine owns this demo; nobody else can reach it.\n\n  \
         Try next\n    \
         open a device          {url}/devices/{first}\n    \
         see the fleet          {iotbiz} device ls 'status:live'{server}\n    \
         send as a device       {iotbiz} send {first} temperature=11.5{server}\n    \
         change a setting       {iotbiz} device set {first} interval='30 s'{server}\n    \
         connect your own       {url}/connect\n    \
         check the business     {iotbiz} export{server} > blueprint.toml && {iotbiz} check\n    \
         judge its ideas        {url}/ideas\n    \
         close last month       {iotbiz} bill close --month last{server}\n    \
         what each box leaves   {iotbiz} economics --month last{server}\n\n  \
         Data is kept in {data}. Ctrl-C stops.\n\n{phones}"
    ))
}
