//! `iotbiz idea score|settings|market|competitor`: how an idea is judged.

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::shown::{number, shown_competitors, shown_market, shown_score};
use super::{path, told};
use crate::cli::Format;
use crate::client::Client;
use crate::exit::{self, Failure};
use crate::output::{self, text};

/// Whether strangers may send ideas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormArg {
    Open,
    Closed,
}

#[derive(Debug, Args)]
pub(crate) struct SettingsArgs {
    /// A formula that people know, with its inputs: rice, ice or wsjf.
    #[arg(long = "use", value_name = "NAME")]
    preset: Option<String>,
    /// Another formula over the inputs.
    #[arg(long, value_name = "TEXT")]
    formula: Option<String>,
    /// An input of the formula: NAME=TITLE, or NAME=TITLE:MIN:MAX; NAME= takes it away.
    #[arg(long = "input", value_name = "NAME=TITLE")]
    inputs: Vec<String>,
    /// The form for strangers.
    #[arg(long, value_enum)]
    form: Option<FormArg>,
    /// How far the two sizes of a market may lie apart.
    #[arg(long, value_name = "FACTOR")]
    mismatch_factor: Option<f64>,
    /// From how many days on a cell of competitors is stale.
    #[arg(long, value_name = "DAYS")]
    stale_days: Option<u32>,
    /// Show which scores would change, change nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MarketArgs {
    /// Its id.
    id: String,
    /// Everybody with the problem: '900000000 EUR/year'.
    #[arg(long)]
    tam: Option<String>,
    /// Those whom the product fits.
    #[arg(long)]
    sam: Option<String>,
    /// Those who can be won.
    #[arg(long)]
    som: Option<String>,
    /// '5000 customers'.
    #[arg(long)]
    customers: Option<String>,
    /// '10 devices/customer'.
    #[arg(long)]
    devices: Option<String>,
    /// What each device earns: '9 EUR/device/month'.
    #[arg(long)]
    price: Option<String>,
    /// The same, from a plan in force.
    #[arg(long, value_name = "VENTURE/PLAN", conflicts_with = "price")]
    plan: Option<String>,
    /// Where the numbers of this call come from.
    #[arg(long)]
    source: Option<String>,
    /// The day they were found; today if left out.
    #[arg(long, value_name = "DAY")]
    on: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CompetitorArgs {
    /// Its id.
    id: String,
    /// Who.
    #[arg(requires = "aspect")]
    competitor: Option<String>,
    /// In what respect: price, alarm, countries.
    aspect: Option<String>,
    /// What is known.
    value: Option<String>,
    /// Where it was seen: an address, a person, a document.
    #[arg(long, default_value = "")]
    source: String,
    /// The day it was seen; today if left out.
    #[arg(long, value_name = "DAY")]
    on: Option<String>,
    /// Take the cell away.
    #[arg(long, conflicts_with = "value")]
    remove: bool,
}

/// `reach=500`
pub(super) fn given(words: &str) -> Result<(String, Option<f64>), String> {
    let (name, number) = words.split_once('=').ok_or("write it as reach=500")?;
    if number.is_empty() {
        return Ok((name.to_owned(), None));
    }
    let value = number.parse().map_err(|_none| format!("{number:?} is no number"))?;
    Ok((name.to_owned(), Some(value)))
}

pub(super) fn score(
    (id, inputs): (&str, &[(String, Option<f64>)]),
    client: &Client,
    format: Format,
) -> anyhow::Result<()> {
    let scores = format!("{}/scores", path(id));
    if inputs.is_empty() {
        let found = client.get(&scores)?;
        if format == Format::Json {
            return output::json(&found);
        }
        let items = found["items"].as_array().into_iter().flatten();
        let rows = items.map(|score| {
            let inputs = score["inputs"].as_object().into_iter().flatten();
            let inputs: Vec<_> = inputs
                .map(|(name, given)| {
                    format!("{name}={} by {}", number(&given["value"]), text(&given["by"]))
                })
                .collect();
            vec![
                text(&score["at"]),
                number(&score["value"]),
                text(&score["formula"]),
                text(&score["formula_revision"]),
                inputs.join(", "),
            ]
        });
        let heads = ["SINCE", "SCORE", "FORMULA", "REVISION", "GIVEN"];
        return output::table(&heads, rows.collect());
    }
    let values: Map<String, Value> =
        inputs.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let found = client.call("PUT", &scores, Some(&json!({ "inputs": values })))?;
    if format == Format::Json {
        return output::json(&found);
    }
    shown_score(&found["score"])
}

/// `reach=Reach:0:100` into the inputs of the settings.
fn input(inputs: &mut Map<String, Value>, words: &str) -> Result<(), Failure> {
    let wrong = |why: &str| {
        Failure::new(exit::USAGE, format!("--input {words:?}: {why}"))
            .fix("write --input reach=Reach or --input 'confidence=How sure:0:1'")
    };
    let (name, rest) = words.split_once('=').ok_or_else(|| wrong("there is no ="))?;
    if rest.is_empty() {
        inputs.remove(name);
        return Ok(());
    }
    let parts: Vec<_> = rest.split(':').collect();
    let end = |text: &str| text.trim().parse::<f64>().map_err(|_none| wrong("no number"));
    let made = match parts.as_slice() {
        [title] => json!({ "title": title }),
        [title, min, max] => json!({ "title": title, "min": end(min)?, "max": end(max)? }),
        _ => return Err(wrong("it is NAME=TITLE or NAME=TITLE:MIN:MAX")),
    };
    inputs.insert(name.to_owned(), made);
    Ok(())
}

/// What the options change in the settings in force; null when they change nothing.
fn changed(args: &SettingsArgs, found: &Value) -> Result<Value, Failure> {
    let mut body = Map::new();
    for key in ["formula", "inputs", "form", "mismatch_factor", "stale_days"] {
        body.insert(key.to_owned(), found[key].clone());
    }
    let before = body.clone();
    if let Some(name) = &args.preset {
        let presets = found["presets"].as_array().into_iter().flatten();
        let preset = presets.clone().find(|preset| preset["name"] == name.as_str());
        let preset = preset.ok_or_else(|| {
            let known: Vec<_> = presets.map(|preset| text(&preset["name"])).collect();
            Failure::new(exit::USAGE, format!("there is no formula {name:?}"))
                .fix(format!("use one of {}", known.join(", ")))
        })?;
        body.insert("formula".to_owned(), preset["formula"].clone());
        body.insert("inputs".to_owned(), preset["inputs"].clone());
    }
    if let Some(formula) = &args.formula {
        body.insert("formula".to_owned(), json!(formula));
    }
    if let Some(inputs) = body.get_mut("inputs").and_then(Value::as_object_mut) {
        for words in &args.inputs {
            input(inputs, words)?;
        }
    }
    if let Some(form) = args.form {
        let word = match form {
            FormArg::Open => "open",
            FormArg::Closed => "closed",
        };
        body.insert("form".to_owned(), json!(word));
    }
    if let Some(factor) = args.mismatch_factor {
        body.insert("mismatch_factor".to_owned(), json!(factor));
    }
    if let Some(days) = args.stale_days {
        body.insert("stale_days".to_owned(), json!(days));
    }
    Ok(if body == before { Value::Null } else { Value::Object(body) })
}

pub(super) fn settings(args: &SettingsArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let mut found = client.get("/api/v1/ideas/settings")?;
    let body = changed(args, &found)?;
    let mut rescored = Value::Null;
    if !body.is_null() {
        let query = if args.dry_run { "?dry_run=true" } else { "" };
        let to = format!("/api/v1/ideas/settings{query}");
        let answer = client.call("PUT", &to, Some(&body))?;
        if format == Format::Json {
            return output::json(&answer);
        }
        found = answer["settings"].clone();
        rescored = answer["rescored"].clone();
    }
    if format == Format::Json {
        return output::json(&found);
    }
    let [formula, revision] = ["formula", "revision"].map(|key| text(&found[key]));
    output::line(&format!("score = {formula} (revision {revision})"))?;
    for (name, input) in found["inputs"].as_object().into_iter().flatten() {
        let range = match (input["min"].is_null(), input["max"].is_null()) {
            (true, true) => String::new(),
            _ => format!(", {} to {}", text(&input["min"]), text(&input["max"])),
        };
        let [title, help] = ["title", "help"].map(|key| text(&input[key]));
        output::line(&format!("  {name}: {title}{range}; {help}"))?;
    }
    let form = match found["form"].as_str() {
        Some("open") => format!("open at {}{}", client.server(), text(&found["form_path"])),
        Some(_) | None => "closed; open it: iotbiz idea settings --form open".to_owned(),
    };
    output::line(&format!("form     {form}"))?;
    output::line(&format!("warning  from a factor of {} on", text(&found["mismatch_factor"])))?;
    output::line(&format!("stale    after {} days", text(&found["stale_days"])))?;
    for idea in rescored.as_array().into_iter().flatten() {
        let (before, after) = (number(&idea["before"]), number(&idea["after"]));
        output::line(&format!("rescored {}: {before} -> {after}", text(&idea["title"])))?;
    }
    if args.dry_run {
        output::talk("nothing was changed");
    }
    Ok(())
}

/// Puts the estimates of the options into the market that is there.
fn market_body(args: &MarketArgs, market: &Value, today: &str) -> Result<Value, Failure> {
    let mut market = if market.is_null() { json!({}) } else { market.clone() };
    let source = args.source.as_deref().unwrap_or_default();
    let on = args.on.as_deref().unwrap_or(today);
    let estimate = |value: &str| json!({ "value": value, "on": on, "source": source });
    for (key, value) in [("tam", &args.tam), ("sam", &args.sam), ("som", &args.som)] {
        if let Some(value) = value {
            market["top_down"][key] = estimate(value);
        }
    }
    for (key, value) in [("customers", &args.customers), ("devices", &args.devices)] {
        if let Some(value) = value {
            market["bottom_up"][key] = estimate(value);
        }
    }
    if let Some(price) = &args.price {
        market["bottom_up"]["price"] = json!({ "typed": estimate(price) });
    }
    if let Some(plan) = &args.plan {
        let (venture, plan) = plan.split_once('/').ok_or_else(|| {
            Failure::new(exit::USAGE, format!("--plan {plan:?} has no /"))
                .fix("write --plan coolbox/care")
        })?;
        market["bottom_up"]["price"] = json!({ "plan": { "venture": venture, "plan": plan } });
    }
    if market["bottom_up"].is_null()
        && let Some(parts) = market.as_object_mut()
    {
        parts.remove("bottom_up");
    }
    Ok(market)
}

fn today() -> String {
    jiff::Timestamp::now().to_string().chars().take(10).collect()
}

pub(super) fn market(args: &MarketArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let found = client.get(&path(&args.id))?;
    let asked = [&args.tam, &args.sam, &args.som, &args.customers, &args.devices, &args.price];
    let says = asked.iter().any(|one| one.is_some()) || args.plan.is_some();
    let found = if says {
        let body = market_body(args, &found["market"], &today())?;
        client.call("PUT", &format!("{}/market", path(&args.id)), Some(&body))?
    } else {
        found
    };
    if format == Format::Json {
        return output::json(&json!({ "market": found["market"], "sizing": found["sizing"] }));
    }
    if found["sizing"].is_null() {
        output::talk("nothing is known of its market; see iotbiz idea market --help");
    }
    shown_market(&found)
}

pub(super) fn competitor(
    args: &CompetitorArgs,
    client: &Client,
    format: Format,
) -> anyhow::Result<()> {
    let (Some(competitor), Some(aspect)) = (&args.competitor, &args.aspect) else {
        let found = client.get(&path(&args.id))?;
        if format == Format::Json {
            return output::json(&found["competitors"]);
        }
        return shown_competitors(&found["competitors"]);
    };
    if args.value.is_none() && !args.remove {
        let what = format!("what is known of {competitor}, {aspect}, is missing");
        let fix = "add a value and --source, or take the cell away: --remove";
        return Err(Failure::new(exit::USAGE, what).fix(fix).into());
    }
    let mut cell = json!({ "competitor": competitor, "aspect": aspect });
    if let Some(value) = &args.value {
        cell["value"] = json!(value);
        cell["source"] = json!(args.source);
        cell["on"] = json!(args.on);
    }
    let to = format!("{}/competitors", path(&args.id));
    let found = client.call("PUT", &to, Some(&json!({ "cells": [cell] })))?;
    told(&found, format, &format!("{competitor}, {aspect}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_market_stays_when_more_is_said() {
        let args = MarketArgs {
            id: "ide_1".to_owned(),
            tam: None,
            sam: None,
            som: Some("6 EUR/year".to_owned()),
            customers: None,
            devices: None,
            price: None,
            plan: None,
            source: Some("a fair".to_owned()),
            on: Some("2026-11-01".to_owned()),
        };
        let known = json!({ "top_down": { "tam": { "value": "9 EUR/year" } } });
        let body = market_body(&args, &known, "2026-11-29").unwrap();
        assert_eq!(body["top_down"]["tam"]["value"], "9 EUR/year");
        assert_eq!(body["top_down"]["som"]["source"], "a fair");
        assert!(body.get("bottom_up").is_none());
    }

    #[test]
    fn an_input_has_a_title_and_perhaps_ends() {
        let mut inputs = Map::new();
        input(&mut inputs, "reach=Reach").unwrap();
        input(&mut inputs, "sure=How sure:0:1").unwrap();
        assert_eq!(inputs["sure"], json!({ "title": "How sure", "min": 0.0, "max": 1.0 }));
        input(&mut inputs, "reach=").unwrap();
        assert_eq!(inputs.len(), 1);
        assert!(input(&mut inputs, "reach").is_err());
        assert!(input(&mut inputs, "reach=R:0").is_err());
    }

    #[test]
    fn a_number_has_no_needless_digits() {
        assert_eq!(number(&json!(200.0)), "200");
        assert_eq!(number(&json!(0.5)), "0.5");
        assert_eq!(number(&Value::Null), "-");
    }
}
