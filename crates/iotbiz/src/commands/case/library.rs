//! Costs to start a case from: what public sources say, and parts that ask for own quotes.
//!
//! *Invariant:* nothing is printed that could be pasted without a source and a day.

use std::collections::BTreeMap;

use bizcase::case::{COST_LIBRARY, COST_PARTS, CostPart, CostPrior, Place, Quote};
use serde_json::{Value, json};

use super::LibraryArgs;
use crate::cli::Format;
use crate::commands::month::today;
use crate::exit::{self, Failure};
use crate::output;

const fn table(place: Place) -> &'static str {
    match place {
        Place::Cost => "case.cost",
        Place::Risk => "case.risk",
        Place::Input => "case.input",
    }
}

fn prior_json(entry: &CostPrior) -> Value {
    json!({
        "name": entry.name, "table": table(entry.place), "toml": entry.toml, "says": entry.says,
        "source": entry.source, "as_of": entry.as_of,
    })
}

fn part_json(part: &CostPart) -> Value {
    let asks: Vec<Value> = part
        .asks
        .iter()
        .map(|asked| json!({ "name": asked.name, "example": asked.example, "says": asked.says }))
        .collect();
    json!({
        "name": part.name, "table": "case.cost", "says": part.says, "formula": part.shown(),
        "asks": asks, "source": "your own quote, with its day",
    })
}

pub(super) fn library(args: &LibraryArgs, format: Format) -> anyhow::Result<()> {
    let Some(name) = &args.name else { return all(format) };
    if let Some(part) = COST_PARTS.iter().find(|part| part.name == *name) {
        return of_part(part, args, format);
    }
    let entry = COST_LIBRARY.iter().find(|entry| entry.name == *name).ok_or_else(|| {
        let known = COST_LIBRARY.iter().map(|entry| entry.name);
        let known: Vec<_> = known.chain(COST_PARTS.iter().map(|part| part.name)).collect();
        Failure::new(exit::NOT_FOUND, format!("the library has no {name:?}"))
            .fix(format!("use one of {}", known.join(", ")))
    })?;
    if !args.set.is_empty() || args.source.is_some() || args.on.is_some() {
        let what = format!("{name} asks for nothing: it has its own source and date");
        let parts: Vec<_> = COST_PARTS.iter().map(|part| part.name).collect();
        let fix = format!("what asks for your quotes: {}", parts.join(", "));
        return Err(Failure::new(exit::USAGE, what).fix(fix).into());
    }
    if format == Format::Json {
        return output::json(&prior_json(entry));
    }
    output::line(&format!("# {}; source {}, {}", entry.says, entry.source, entry.as_of))?;
    output::line(&format!("[{}]", table(entry.place)))?;
    output::line(&format!("{} = {}", entry.name, entry.toml))
}

fn all(format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        let priors = COST_LIBRARY.iter().map(prior_json);
        return output::json(&priors.chain(COST_PARTS.iter().map(part_json)).collect::<Vec<_>>());
    }
    let row = |row: [&str; 5]| row.map(str::to_owned).to_vec();
    let priors = COST_LIBRARY
        .iter()
        .map(|entry| row([entry.name, table(entry.place), entry.says, entry.source, entry.as_of]));
    let parts = COST_PARTS
        .iter()
        .map(|part| row([part.name, "case.cost", part.says, "your own quote", "its day"]));
    let rows = priors.chain(parts).collect();
    output::table(&["NAME", "TABLE", "WHAT IT IS", "SOURCE", "AS OF"], rows)?;
    output::talk("lines for a blueprint, or what a part asks for: iotbiz case library NAME");
    Ok(())
}

/// A part: what it asks for, or the lines once everything was given.
fn of_part(part: &CostPart, args: &LibraryArgs, format: Format) -> anyhow::Result<()> {
    if args.set.is_empty() && args.source.is_none() && args.on.is_none() {
        return asks(part, format);
    }
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &args.set {
        if values.insert(name.clone(), value.clone()).is_some() {
            return Err(Failure::new(exit::USAGE, format!("{name} is set twice")).into());
        }
    }
    if let Some(day) = args.on.filter(|day| *day > today()) {
        let what = format!("{day} is after today: nobody has quoted that yet");
        return Err(Failure::new(exit::USAGE, what).fix("--on, the day of the quote").into());
    }
    let as_of = args.on.map(|day| day.to_string()).unwrap_or_default();
    let quote = Quote { source: args.source.as_deref().unwrap_or_default(), as_of: &as_of };
    match part.fill(&values, &quote) {
        Ok(lines) if format == Format::Json => {
            let mut filled = part_json(part);
            filled["toml"] = lines.into();
            output::json(&filled)
        }
        Ok(lines) => output::line(lines.trim_end()),
        Err(reasons) => {
            for reason in &reasons {
                output::talk(&format!("  {reason}"));
            }
            let what = format!("{} needs every number, its source and its day", part.name);
            let fix = "--set NAME=VALUE for each, --source 'own quote of ...', --on 2026-11-20";
            Err(Failure::new(exit::USAGE, what).fix(fix).into())
        }
    }
}

fn asks(part: &CostPart, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::json(&part_json(part));
    }
    output::line(&format!("{}: {}", part.name, part.says))?;
    output::line(&format!("{} = {}", part.name, part.shown()))?;
    let rows = part
        .asks
        .iter()
        .map(|asked| [asked.name, asked.says, asked.example].map(str::to_owned).to_vec());
    output::table(&["ASKED", "WHAT IT IS", "WRITTEN LIKE"], rows.collect())?;
    output::talk(&format!(
        "no public source has your numbers: get a quote for each, then iotbiz case library {} \
         --set {}=... --source 'own quote of ...' --on 2026-11-20",
        part.name,
        part.asks.first().map_or("price", |asked| asked.name)
    ));
    Ok(())
}
