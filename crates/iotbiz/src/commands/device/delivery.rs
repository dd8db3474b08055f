//! `iotbiz device delivery`: whether what was due came, and in time.
//!
//! *Invariant:* shares are the server's; here they are only rounded, and never up to 100 %.

use serde_json::Value;

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::output::{self, text};

/// A share as percent, rounded down, so that 100 % means all.
fn percent(share: &Value) -> String {
    share.as_f64().map_or_else(
        || "nothing was due".to_owned(),
        |share| format!("{:.2} %", (share * 10_000.0).floor() / 100.0),
    )
}

fn row(name: String, of: &Value) -> Vec<String> {
    let counts = ["due", "on_time", "complete"].map(|key| text(&of[key]));
    let shares = ["on_time_share", "completeness"].map(|key| percent(&of[key]));
    [name].into_iter().chain(counts).chain(shares).collect()
}

pub(super) fn run(
    (filter, days): (&str, u8),
    client: &Client,
    format: Format,
) -> anyhow::Result<()> {
    let path = format!("/api/v1/delivery?days={days}&filter={}", encoded(filter));
    let found = client.get(&path)?;
    if format == Format::Json {
        return output::json(&found);
    }
    let of_days = found["days"].as_array().into_iter().flatten();
    let mut rows: Vec<_> = of_days.map(|day| row(text(&day["day"]), day)).collect();
    rows.push(row("all".to_owned(), &found));
    output::table(&["DAY", "DUE", "ON TIME", "CAME", "ON TIME", "COMPLETE"], rows)?;
    let worst = found["worst"].as_array().into_iter().flatten();
    let worst: Vec<_> = worst.map(|one| row(text(&one["device"]["name"]), one)).collect();
    if worst.is_empty() {
        return Ok(());
    }
    output::table(&["DEVICE", "DUE", "ON TIME", "CAME", "ON TIME", "COMPLETE"], worst)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn almost_all_is_not_all() {
        assert_eq!(percent(&json!(0.999_999)), "99.99 %");
        assert_eq!(percent(&json!(1.0)), "100.00 %");
        assert_eq!(percent(&Value::Null), "nothing was due");
    }
}
