//! Sends what stands on its input, one JSON line each, and says how it goes: what
//! `tests/outsiders/notify.py` drives.
//!
//! *Invariant:* ends at the end of its input, with the state written.
//!
//! ```text
//! send FOLDER PEOPLE.toml MAIL.toml RETRY_MS AGE_S [WEBHOOK_CA.pem]
//! < {"offer":{"offset":1,"notification":{...}}}      > {"status":{...}}
//! < {"replay":{"route":{...},"message":"main-..."}}  > {"answer":"done"}
//! < {"enable":{"route":{...}}}                       > {"published":"t/...","payload":"..."}
//! < {"people":"[person.ada] ..."}
//! ```

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use eventlog::OsDisk;
use model::{Offset, SystemClock, TenantId};
use notify::{Handle, Notification, Policy, Retry, RouteId, Sender, Smtp, Transports};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How many lines of input wait.
const LINES_MAX: usize = 64;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Offer { offset: u64, notification: Box<Notification> },
    Replay { route: RouteId, message: String },
    Enable { route: RouteId },
    People(String),
}

fn say(value: &Value) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}").and_then(|()| out.flush()).map_err(|error| error.to_string())
}

async fn obey(handle: &Handle, tenant: TenantId, line: &str) -> Result<(), Failure> {
    match serde_json::from_str(line)? {
        Line::Offer { offset, notification } => {
            while handle.offer(Offset(offset), (*notification).clone()).is_err() {
                handle.room().await?;
            }
        }
        Line::Replay { route, message } => handle.replay(route, message).await?,
        Line::Enable { route } => handle.enable(route).await?,
        Line::People(text) => handle.set_policy(Policy::from_toml(tenant, &text)?),
    }
    Ok(())
}

fn open(arguments: &[String], tenant: TenantId) -> Result<(Sender, Handle), Failure> {
    let [folder, people, mail, retry_ms, age_s, ca @ ..] = arguments else {
        return Err(
            "usage: send FOLDER PEOPLE.toml MAIL.toml RETRY_MS AGE_S [WEBHOOK_CA.pem]".into()
        );
    };
    let policy = Policy::from_toml(tenant, &std::fs::read_to_string(people)?)?;
    let first = Duration::from_millis(retry_ms.parse()?);
    let age_max = Duration::from_secs(age_s.parse()?);
    let retry = Retry { first, pause_max: first * 8, age_max };
    let mut transports = Transports::default()
        .with_mail(Smtp::from_toml(&std::fs::read_to_string(mail)?)?)
        .with_mqtt(Arc::new(|_tenant, topic, payload| {
            say(&json!({ "published": topic, "payload": String::from_utf8_lossy(&payload) }))
        }));
    if let [ca] = ca {
        transports = transports.with_webhook_roots(&std::fs::read(ca)?)?;
    }
    let clock = Arc::new(SystemClock::new());
    let folder = Path::new(folder);
    Ok(Sender::open(Arc::new(OsDisk), folder, clock, transports, (retry, policy))?)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let tenant = TenantId::from_u128(1);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (sender, handle) = open(&arguments, tenant)?;
    let stop = CancellationToken::new();
    let running = tokio::spawn(sender.run(stop.clone()));
    let (lines, mut input) = mpsc::channel(LINES_MAX);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let mut status = handle.watch();
    say(&json!({ "status": &**status.borrow_and_update() }))?;
    loop {
        tokio::select! {
            line = input.recv() => {
                let Some(line) = line else { break };
                let answer = match obey(&handle, tenant, &line).await {
                    Ok(()) => "done".to_owned(),
                    Err(error) => error.to_string(),
                };
                say(&json!({ "answer": answer }))?;
            }
            Ok(()) = status.changed() => {
                let shown = Arc::clone(&status.borrow_and_update());
                say(&json!({ "status": &*shown }))?;
            }
        }
    }
    stop.cancel();
    running.await?;
    Ok(())
}
