//! `iotbiz alarm server`: what is wrong with the server itself, and what people do about it.
//!
//! *Invariant:* an id is of one alarm; `alarm ack`, `shelve` and `unshelve` take those of devices
//! and those of the server, and say so when it is neither.

use serde_json::Value;

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::exit::{self, Failure};
use crate::output::{self, text};

/// Lists them.
pub(super) fn list(state: &str, client: &Client, format: Format) -> anyhow::Result<()> {
    let found = client.get(&format!("/api/v1/server/alarms?state={state}"))?;
    if format == Format::Json {
        return output::json(&found);
    }
    table(found["items"].as_array().map(Vec::as_slice).unwrap_or_default())
}

fn table(alarms: &[Value]) -> anyhow::Result<()> {
    let row = |alarm: &Value| {
        let said = match (&alarm["acknowledged"]["by"], &alarm["shelved"]) {
            (Value::Null, Value::Null) => String::new(),
            (Value::Null, until) => format!("shelved until {}", text(until)),
            (by, Value::Null) => format!("{} takes care", text(by)),
            (by, until) => format!("{} takes care, shelved until {}", text(by), text(until)),
        };
        let keys = ["raised", "cleared", "severity", "id", "title", "why", "fix"];
        keys.into_iter().map(|key| text(&alarm[key])).chain([said]).collect()
    };
    output::table(
        &["RAISED", "CLEARED", "SEVERITY", "ID", "WHAT", "WHY", "WHAT TO DO", "SAID"],
        alarms.iter().map(row).collect(),
    )
}

/// Does the same about an alarm of the server; `refused` is why it is none of a device.
pub(super) fn act(
    (alarm, what): (&str, &str),
    body: &Value,
    refused: Failure,
    (client, format): (&Client, Format),
) -> anyhow::Result<()> {
    let of_server = ["acknowledge", "shelve", "unshelve"].contains(&what);
    if refused.code != exit::NOT_FOUND || !of_server {
        return Err(refused.into());
    }
    let path = format!("/api/v1/server/alarms/{}/{what}", encoded(alarm));
    let done = match client.call("POST", &path, Some(body)) {
        Ok(done) => done,
        Err(failure) if failure.code == exit::NOT_FOUND => return Err(refused.into()),
        Err(failure) => return Err(failure.into()),
    };
    if format == Format::Json { output::json(&done) } else { table(&[done]) }
}
