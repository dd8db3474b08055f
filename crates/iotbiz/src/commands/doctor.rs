//! `iotbiz doctor`: checks this machine and the server, with a fix for each finding.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use model::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::cli::Format;
use crate::client::Client;
use crate::exit::{self, Failure};
use crate::output;

/// Flushes that are timed.
const FLUSHES: u32 = 20;
/// A flush slower than this is felt by devices.
const FLUSH_SLOW: Duration = Duration::from_millis(20);
/// Ports of a server with nothing said.
const PORTS: [u16; 2] = [7070, 1883];

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Data folder to check the disk of.
    #[arg(long, default_value = ".", value_name = "DIR")]
    data: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    Warn,
    Fail,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

#[derive(Debug)]
struct Finding {
    what: &'static str,
    state: State,
    detail: String,
    fix: String,
}

impl Finding {
    fn ok(what: &'static str, detail: impl Into<String>) -> Self {
        Self { what, state: State::Ok, detail: detail.into(), fix: String::new() }
    }

    fn bad(what: &'static str, state: State, detail: String, fix: impl Into<String>) -> Self {
        Self { what, state, detail, fix: fix.into() }
    }
}

pub(crate) fn run(args: &DoctorArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let mut findings = vec![disk(&args.data)];
    findings.extend(server(client));
    if format == Format::Json {
        let items: Vec<_> = findings
            .iter()
            .map(|f| {
                json!({
                    "what": f.what, "state": f.state.as_str(), "detail": f.detail, "fix": f.fix,
                })
            })
            .collect();
        output::json(&json!({ "items": items }))?;
    } else {
        let rows = findings.iter().map(|finding| {
            vec![
                finding.what.to_owned(),
                finding.state.as_str().to_owned(),
                finding.detail.clone(),
                finding.fix.clone(),
            ]
        });
        output::table(&["CHECK", "STATE", "FOUND", "DO"], rows.collect())?;
    }
    let failed = findings.iter().filter(|finding| finding.state == State::Fail).count();
    if failed > 0 {
        return Err(Failure::new(exit::CHECK_FAILED, format!("{failed} checks failed")).into());
    }
    Ok(())
}

/// How long the disk takes to make bytes durable: the floor of every acknowledgement.
fn disk(folder: &Path) -> Finding {
    let path = folder.join(format!(".iotbiz-doctor-{}", std::process::id()));
    let timed = flushes(&path);
    // Left behind only when the folder itself went away.
    drop(std::fs::remove_file(&path));
    match timed {
        Ok(each) if each > FLUSH_SLOW => Finding::bad(
            "disk",
            State::Warn,
            format!("a flush takes {:.1} ms", each.as_secs_f64() * 1e3),
            "devices wait so long for each answer; use a disk with a write cache that is safe",
        ),
        Ok(each) => {
            Finding::ok("disk", format!("a flush takes {:.2} ms", each.as_secs_f64() * 1e3))
        }
        Err(error) => Finding::bad(
            "disk",
            State::Fail,
            format!("{}: {error}", folder.display()),
            "name a folder that can be written: --data DIR",
        ),
    }
}

fn flushes(path: &Path) -> std::io::Result<Duration> {
    let mut file = std::fs::File::create(path)?;
    let clock = SystemClock::new();
    let begin = clock.monotonic();
    for _ in 0..FLUSHES {
        file.write_all(&[0; 256])?;
        file.sync_data()?;
    }
    Ok(clock.monotonic().saturating_sub(begin) / FLUSHES)
}

fn server(client: &Client) -> Vec<Finding> {
    let status = match client.get("/api/v1/status") {
        Ok(status) => status,
        Err(failure) if failure.code == exit::UNREACHABLE => return not_running(client),
        Err(failure) => {
            let fix = failure.fix.join("; ");
            return vec![Finding::bad("server", State::Fail, failure.what, fix)];
        }
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut findings = Vec::new();
    let theirs = text(&status["version"]);
    let ours = env!("CARGO_PKG_VERSION");
    findings.push(if theirs == ours {
        Finding::ok("server", format!("{} runs version {theirs}", client.server()))
    } else {
        let detail = format!("{} runs version {theirs}, this is {ours}", client.server());
        Finding::bad("server", State::Warn, detail, "use the same version on both sides")
    });
    findings.push(ready(client));
    findings.push(match text(&status["console"]).as_str() {
        "full" => Finding::ok("console", "built in"),
        other => Finding::bad(
            "console",
            State::Warn,
            format!("{other}: this binary was built without npm"),
            "cargo xtask demo builds it",
        ),
    });
    let counts = &status["counts"];
    let devices = counts["devices"].as_u64().unwrap_or_default();
    let silent = counts["silent"].as_u64().unwrap_or_default();
    findings.push(if silent == 0 {
        Finding::ok("devices", format!("{devices}, none silent"))
    } else {
        let fix = "iotbiz device ls status:silent";
        Finding::bad("devices", State::Warn, format!("{silent} of {devices} are silent"), fix)
    });
    let quarantined = counts["quarantined"].as_u64().unwrap_or_default();
    findings.push(if quarantined == 0 {
        Finding::ok("quarantine", "empty")
    } else {
        let detail = format!("{quarantined} values were not understood");
        Finding::bad("quarantine", State::Warn, detail, "iotbiz quarantine list")
    });
    findings
}

fn ready(client: &Client) -> Finding {
    match client.get("/readyz") {
        Ok(_) => Finding::ok("readiness", "ready"),
        Err(failure) => Finding::bad(
            "readiness",
            State::Fail,
            failure.what,
            format!("{}/readyz names the reasons", client.server()),
        ),
    }
}

/// Nobody answers: are the ports free for one to be started?
fn not_running(client: &Client) -> Vec<Finding> {
    let mut findings = vec![Finding::bad(
        "server",
        State::Warn,
        format!("nobody answers at {}", client.server()),
        "iotbiz demo, or iotbiz run",
    )];
    for port in PORTS {
        findings.push(match TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => Finding::ok("port", format!("{port} is free")),
            Err(error) => Finding::bad(
                "port",
                State::Warn,
                format!("{port}: {error}"),
                "another program has it; `iotbiz demo` takes another by itself",
            ),
        });
    }
    findings
}
