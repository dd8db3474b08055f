//! `iotbiz idea show`: an idea, its score, its market and its competitors as people read them.
//!
//! *Invariant:* a score stands with its formula and what each input was given by whom; a size with
//! where it was found.

use serde_json::Value;

use crate::cli::Format;
use crate::output::{self, text};

/// A number without needless digits.
pub(super) fn number(value: &Value) -> String {
    match value.as_f64() {
        None => "-".to_owned(),
        Some(number) => {
            let text = format!("{number:.2}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

/// What a device said when an idea came.
pub(super) fn context(context: &Value) -> anyhow::Result<()> {
    if context.is_null() {
        return Ok(());
    }
    let [name, kind, venture, at] =
        ["name", "kind", "venture", "at"].map(|key| text(&context[key]));
    output::line(&format!("device {name}: {kind} of {venture}, as of {at}"))?;
    for reading in context["readings"].as_array().into_iter().flatten() {
        let unit = reading["unit"].as_str().map(|unit| format!(" {unit}")).unwrap_or_default();
        let [name, value, at, origin] =
            ["name", "value", "at", "origin"].map(|key| text(&reading[key]));
        output::line(&format!("  {name} = {value}{unit}, {at}, {origin}"))?;
    }
    Ok(())
}

pub(super) fn shown_score(score: &Value) -> anyhow::Result<()> {
    let [formula, revision] = ["formula", "formula_revision"].map(|key| text(&score[key]));
    let value = number(&score["value"]);
    output::line(&format!("score    {value} = {formula} (revision {revision})"))?;
    for input in score["inputs"].as_array().into_iter().flatten() {
        let line = match input["value"].is_null() {
            true => format!("  {} is missing: {}", text(&input["name"]), text(&input["help"])),
            false => format!(
                "  {} = {}, given by {}, {}",
                text(&input["name"]),
                number(&input["value"]),
                text(&input["by"]),
                text(&input["at"])
            ),
        };
        output::line(&line)?;
    }
    Ok(())
}

pub(super) fn shown_market(found: &Value) -> anyhow::Result<()> {
    let sizing = &found["sizing"];
    if sizing.is_null() {
        return Ok(());
    }
    let currency = text(&sizing["currency"]);
    for (key, words) in [
        ("tam", "everybody (TAM)"),
        ("sam", "whom it fits (SAM)"),
        ("som", "who can be won (SOM)"),
        ("bottom_up", "counted from the bottom"),
    ] {
        if !sizing[key].is_null() {
            let given = &found["market"]["top_down"][key];
            let from = match given["source"].as_str() {
                Some(source) => format!(" ({source}, {})", text(&given["on"])),
                None => String::new(),
            };
            output::line(&format!("{words}: {} {currency}/year{from}", number(&sizing[key])))?;
        }
    }
    if let Some(calculation) = sizing["calculation"].as_str() {
        output::line(&format!("  {calculation}"))?;
    }
    for missing in sizing["missing"].as_array().into_iter().flatten() {
        output::line(&format!("  missing: {}", text(missing)))?;
    }
    if let Some(warning) = sizing["warning"].as_str() {
        output::line(&format!("warning: {warning}"))?;
    }
    Ok(())
}

pub(super) fn shown_competitors(table: &Value) -> anyhow::Result<()> {
    let cells = table["cells"].as_array().into_iter().flatten();
    let rows: Vec<_> = cells
        .map(|cell| {
            let mut row =
                ["competitor", "aspect", "value", "on", "source"].map(|key| text(&cell[key]));
            if cell["stale"] == true {
                row[3] = format!("{} (stale)", row[3]);
            }
            row.to_vec()
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    output::table(&["COMPETITOR", "ASPECT", "VALUE", "SEEN", "SOURCE"], rows)?;
    if table["stale"].as_u64().unwrap_or_default() > 0 {
        let (stale, days) = (text(&table["stale"]), text(&table["stale_days"]));
        output::talk(&format!("{stale} older than {days} days: look them up again"));
    }
    Ok(())
}

/// One idea, as people read it.
pub(super) fn show(found: &Value, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::json(found);
    }
    let [title, words, status, source, by, at] =
        ["title", "text", "status", "source", "by", "at"].map(|key| text(&found[key]));
    output::line(&title)?;
    if !words.is_empty() {
        output::line(&words)?;
    }
    let name = found["name"].as_str().map(|name| format!(" of {name}")).unwrap_or_default();
    output::line(&format!("{status}, {source}{name}, by {by}, {at}"))?;
    for step in found["steps"].as_array().into_iter().flatten() {
        let [at, status, by, reason] = ["at", "status", "by", "reason"].map(|key| text(&step[key]));
        output::line(format!("  {at} {status} by {by} {reason}").trim_end())?;
    }
    if !found["venture"].is_null() {
        output::line(&format!("venture  {}", text(&found["venture"])))?;
    }
    context(&found["context"])?;
    shown_score(&found["score"])?;
    shown_market(found)?;
    shown_competitors(&found["competitors"])?;
    let followers = found["followers"].as_array().into_iter().flatten();
    let names: Vec<_> = followers.map(|one| text(&one["name"])).collect();
    output::line(&format!("{} asked for it: {}", text(&found["votes"]), names.join(", ")))
}
