//! `iotbiz simulate`: virtual devices over real MQTT, with progress and a report.

use std::io::IsTerminal;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use blueprint::Blueprint;
use clap::Args;
use fleetsim::{Counts, Fault, Plan, Report};
use indicatif::{ProgressBar, ProgressStyle};
use model::{Clock, Name, SystemClock, Timestamp};
use serde_json::json;

use crate::cli::{DemoArgs, Format};
use crate::client::Client;
use crate::commands::apply::{in_force, venture};
use crate::commands::run::interrupted;
use crate::demo::{self, Since, Then};
use crate::exit::{self, Failure};
use crate::output;
use crate::virtual_fleet::{Wanted, settle};

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Virtual devices; those that are missing are added.
    #[arg(long, default_value_t = 10)]
    devices: usize,
    /// Their kind; the first of the blueprint by default.
    #[arg(long)]
    kind: Option<Name>,
    /// The venture, when there are several.
    #[arg(long)]
    venture: Option<String>,
    /// Decides weather, habits and faults: the same seed, the same readings.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What goes wrong: gap, reconnect, drift, duplicate, stuck, spike, `clock_wrong`,
    /// deaf, breakdown; may be repeated.
    #[arg(long = "fault", value_name = "NAME")]
    faults: Vec<Fault>,
    /// Simulated seconds in a real one; above 1 the run starts in the past.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Seconds after which it ends; Ctrl-C ends it any time.
    #[arg(long, value_name = "SECONDS")]
    duration: Option<u64>,
    /// Write the past of a demo folder from this time to now, and end: an age (90d) or a day.
    /// A folder that has a past gets what is missing since.
    #[arg(
        long,
        value_name = "TIME",
        conflicts_with_all = ["kind", "venture", "seed", "faults", "speed", "duration", "keep"]
    )]
    from: Option<Since>,
    /// With --from: the demo folder; `iotbiz demo` goes on with it.
    #[arg(long, default_value = "iotbiz-demo", value_name = "DIR", requires = "from")]
    data: PathBuf,
    /// File of the virtual devices' tokens.
    #[arg(long, default_value = "iotbiz-virtual.json", value_name = "FILE")]
    keep: PathBuf,
}

pub(crate) fn run(args: &SimulateArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    if let Some(from) = args.from {
        return demo::run(&past(args, from)?, Then::Leave, format);
    }
    let plan = plan(args, client)?;
    let count = plan.devices.len();
    let bar = progress_bar();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let report = runtime
        .context("start the runtime")?
        .block_on(fleetsim::run(plan, interrupted(), |counts| bar.set_message(line(&counts))))
        .map_err(|error| Failure::new(exit::USAGE, error.to_string()))?;
    bar.finish_and_clear();
    print(&report, count, format)
}

/// A demo that only writes its past; nobody needs to reach it.
fn past(args: &SimulateArgs, from: Since) -> anyhow::Result<DemoArgs> {
    let devices = u16::try_from(args.devices).map_err(|_too_many| {
        Failure::new(exit::USAGE, format!("a demo has at most {} devices", u16::MAX))
    })?;
    let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
    Ok(DemoArgs {
        data: args.data.clone(),
        listen: nobody,
        mqtt: nobody,
        from,
        devices,
        lan: None,
        template: "coolbox".to_owned(),
    })
}

fn plan(args: &SimulateArgs, client: &Client) -> anyhow::Result<Plan> {
    let venture = venture(client, args.venture.as_deref())?;
    let (text, _) = in_force(client, &venture)?;
    let parsed = Blueprint::parse(&text);
    let blueprint = parsed.blueprint.context("the blueprint in force has errors")?;
    let kind = match &args.kind {
        Some(kind) => kind.clone(),
        None => blueprint.kinds.keys().next().cloned().ok_or_else(|| {
            Failure::new(exit::NOT_FOUND, format!("{venture} has no kind of device"))
        })?,
    };
    if !blueprint.kinds.contains_key(&kind) {
        let known: Vec<_> = blueprint.kinds.keys().map(Name::as_str).collect();
        return Err(Failure::new(exit::NOT_FOUND, format!("{venture} has no kind {kind}"))
            .fix(format!("use one of {}", known.join(", ")))
            .into());
    }
    let wanted: Vec<_> = (1..=args.devices)
        .map(|number| Wanted {
            name: format!("{}-v{number:04}", kind.as_str().replace('_', "-")),
            kind: kind.clone(),
            site: None,
            tags: vec!["virtual".to_owned()],
            links: std::collections::BTreeMap::new(),
        })
        .collect();
    let devices = settle(client, &venture, &wanted, &args.keep)?;
    Ok(Plan {
        server: door(client)?,
        kinds: blueprint.kinds,
        devices,
        seed: args.seed,
        from: start(args.speed, args.duration),
        speed: args.speed,
        faults: args.faults.clone(),
        duration: args.duration.map(Duration::from_secs),
    })
}

/// A fast run ends at about now, so that no reading lies in the future.
fn start(speed: f64, duration: Option<u64>) -> Timestamp {
    let now = SystemClock::new().now();
    let seconds = duration.unwrap_or(3600);
    let ahead = Duration::from_secs(seconds).mul_f64((speed - 1.0).clamp(0.0, 1e5));
    now - ahead
}

/// Where the server's MQTT is.
pub(crate) fn door(client: &Client) -> anyhow::Result<SocketAddr> {
    let status = client.get("/api/v1/status")?;
    let host = status["mqtt"]["host"].as_str().unwrap_or("127.0.0.1");
    let port = status["mqtt"]["port"].as_u64().and_then(|port| u16::try_from(port).ok());
    let port = port.context("the server names no MQTT port")?;
    let found = (host, port).to_socket_addrs().with_context(|| format!("find {host}"))?.next();
    found.with_context(|| format!("{host} has no address"))
}

fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar
}

fn line(counts: &Counts) -> String {
    format!(
        "{} of {} connected, {} sent, {} acknowledged, {} lost",
        counts.connected, counts.devices, counts.sent, counts.acked, counts.lost
    )
}

fn print(report: &Report, devices: usize, format: Format) -> anyhow::Result<()> {
    let counts = &report.counts;
    if format == Format::Json {
        output::json(&json!({
            "devices": devices, "sent": counts.sent, "acked": counts.acked, "lost": counts.lost,
            "duplicates": counts.duplicates, "broken": counts.broken,
            "unreachable": counts.unreachable, "refused": counts.refused,
            "refusals": report.refusals,
        }))?;
    } else {
        let fact = |name: &str, value: u64| vec![name.to_owned(), value.to_string()];
        let rows = vec![
            fact("sent", counts.sent),
            fact("acknowledged", counts.acked),
            fact("lost", counts.lost),
            fact("sent twice on purpose", counts.duplicates),
            fact("connections that broke", counts.broken),
            fact("devices refused", counts.refused),
        ];
        output::table(&["SAMPLES", "COUNT"], rows)?;
    }
    if counts.refused > 0 {
        let mut failure = Failure::new(
            exit::NOT_ALLOWED,
            format!("{} of {devices} devices were refused", counts.refused),
        );
        for (reason, count) in &report.refusals {
            failure = failure.why(format!("{count} x {reason}"));
        }
        return Err(failure.fix("delete the --keep file to get new tokens").into());
    }
    Ok(())
}
