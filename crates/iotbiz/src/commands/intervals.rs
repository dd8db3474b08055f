//! `iotbiz intervals`: which devices keep to the intervals of the blueprint; tells the others.
//!
//! *Invariant:* nothing is told to a device without `--tell`.

use clap::Args;
use serde_json::Value;

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::commands::apply;
use crate::exit::{self, Failure};
use crate::output::{self, text};

#[derive(Debug, Args)]
pub(crate) struct IntervalsArgs {
    /// The venture, when there are several.
    venture: Option<String>,
    /// Tell each device that was not told yet.
    #[arg(long)]
    tell: bool,
}

pub(crate) fn run(args: &IntervalsArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let venture = apply::venture(client, args.venture.as_deref())?;
    if args.tell {
        let told = tell(client, &venture)?;
        match format {
            Format::Json => output::json(&told)?,
            Format::Table => say(&told, &venture)?,
        }
        return refused(&told);
    }
    let found = client.get(&path(&venture))?;
    if format == Format::Json {
        return output::json(&found);
    }
    show(&found)
}

fn path(venture: &str) -> String {
    format!("/api/v1/ventures/{}/intervals", encoded(venture))
}

fn list<'a>(found: &'a Value, name: &str) -> &'a [Value] {
    found[name].as_array().map_or(&[], Vec::as_slice)
}

fn show(found: &Value) -> anyhow::Result<()> {
    let items = list(found, "items");
    if items.is_empty() {
        return output::line("no setting drives an interval: drives = \"temperature.every\"");
    }
    let columns = ["kind", "drives", "words", "setting", "devices", "confirmed", "waiting"];
    let row = |one: &Value| {
        let cells = columns.iter().chain(&["untold"]).map(|column| text(&one[*column]));
        cells.collect::<Vec<_>>()
    };
    let heads =
        ["KIND", "INTERVAL", "IS", "SETTING", "DEVICES", "CONFIRMED", "WAITING", "NOT TOLD"];
    output::table(&heads, items.iter().map(row).collect())?;
    let open: Vec<_> = items.iter().flat_map(|one| list(one, "open")).collect();
    if open.is_empty() {
        return output::line("every device keeps to it");
    }
    let columns = ["name", "state", "status", "last_seen", "reported", "next"];
    let rows = open.iter().map(|one| columns.map(|column| text(&one[column])).to_vec());
    let heads = ["DEVICE", "STATE", "STATUS", "LAST SEEN", "REPORTS", "WHAT HAPPENS"];
    output::table(&heads, rows.collect())
}

/// Tells the devices that were not told yet.
pub(crate) fn tell(client: &Client, venture: &str) -> Result<Value, Failure> {
    client.call("POST", &path(venture), None)
}

/// Who was told, and of whom it could not be.
pub(crate) fn say(told: &Value, venture: &str) -> anyhow::Result<()> {
    let see = format!("iotbiz intervals {venture} says who confirmed");
    output::line(&format!("told {}; {see}", devices(list(told, "set").len())))?;
    for one in list(told, "failed") {
        output::line(&format!("{} refused: {}", text(&one["name"]), text(&one["reason"])))?;
    }
    Ok(())
}

/// Fails when a device was left as it is.
pub(crate) fn refused(told: &Value) -> anyhow::Result<()> {
    let (done, failed) = (list(told, "set"), list(told, "failed"));
    if failed.is_empty() {
        return Ok(());
    }
    let what = format!("{} of {} devices refused", failed.len(), done.len() + failed.len());
    Err(Failure::new(exit::FAILED, what).into())
}

fn devices(count: usize) -> String {
    format!("{count} {}", if count == 1 { "device" } else { "devices" })
}

fn counted(one: &Value) -> usize {
    one["devices"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0)
}

/// What an answer of the blueprint says of intervals that it moves.
pub(crate) fn moved(applied: &Value, venture: &str) -> Option<String> {
    let all = list(applied, "intervals");
    if all.is_empty() {
        return None;
    }
    let one = |one: &Value| {
        let (devices, kind) = (devices(counted(one)), text(&one["kind"]));
        let (drives, words) = (text(&one["drives"]), text(&one["words"]));
        format!("until told {drives} = {words}, {devices} of kind {kind} go on as before")
    };
    let all: Vec<_> = all.iter().map(one).collect();
    Some(format!("{}: iotbiz intervals {venture} --tell", all.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn devices_that_have_to_be_told_are_counted_with_the_command_that_does() {
        let applied = json!({ "intervals": [{
            "kind": "box", "setting": "interval", "drives": "temperature.every",
            "words": "15 min", "devices": 30,
        }] });
        let said = "until told temperature.every = 15 min, 30 devices of kind box go on as \
                    before: iotbiz intervals coolbox --tell";
        assert_eq!(moved(&applied, "coolbox").as_deref(), Some(said));
        assert_eq!(moved(&json!({ "intervals": [] }), "coolbox"), None);
    }
}
