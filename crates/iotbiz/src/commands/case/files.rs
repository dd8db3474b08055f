//! Cases of files, with no server: what two of them differ in, and costs to start from.
//!
//! *Invariant:* both cases are drawn from the same seed, so what differs is the files.

use std::path::Path;

use bizcase::case::{COST_LIBRARY, CostPrior, Place};
use bizcase::text::short;
use bizcase::{Case, Run};
use serde_json::{Value, json};

use super::DiffArgs;
use crate::cli::Format;
use crate::commands::check;
use crate::exit::{self, Failure};
use crate::output;

/// The case of a text; its mistakes are told with their places.
fn parse(name: &str, text: &str) -> Result<Case, Failure> {
    Case::parse(text).map_err(|findings| {
        for finding in &findings {
            output::talk(&finding.render(name, text));
        }
        Failure::new(exit::CHECK_FAILED, format!("{name}: {} mistakes", findings.len()))
    })
}

pub(super) fn diff(args: &DiffArgs, format: Format) -> anyhow::Result<()> {
    let read = |file: &Path| -> anyhow::Result<Case> {
        Ok(parse(&file.display().to_string(), &check::read(file)?)?)
    };
    let (before, after) = (read(&args.before)?, read(&args.after)?);
    let run = Run { trials: args.trials, seed: args.seed, threads: 0 };
    let found =
        before.diff(&after, run).map_err(|error| Failure::new(exit::USAGE, error.to_string()))?;
    if format == Format::Json {
        return output::json(&found.json());
    }
    let mut rows: Vec<Vec<String>> = found
        .changes
        .iter()
        .map(|one| vec![one.name.clone(), one.before.clone(), one.after.clone(), short(one.npv)])
        .collect();
    if found.structure != 0.0 {
        let what = "lines added, removed or made otherwise".to_owned();
        rows.push(vec![what, String::new(), String::new(), short(found.structure)]);
    }
    output::table(&["INPUT", "BEFORE", "AFTER", "ADDS TO MEAN NPV"], rows)?;
    let (from, to) = (short(found.before), short(found.after));
    output::talk(&format!(
        "mean npv {from} becomes {to}; {} trials from seed {} on both",
        args.trials, args.seed
    ));
    Ok(())
}

const fn table(place: Place) -> &'static str {
    match place {
        Place::Cost => "case.cost",
        Place::Risk => "case.risk",
        Place::Input => "case.input",
    }
}

fn as_json(entry: &CostPrior) -> Value {
    json!({
        "name": entry.name, "table": table(entry.place), "toml": entry.toml, "says": entry.says,
        "source": entry.source, "as_of": entry.as_of,
    })
}

pub(super) fn library(name: Option<&str>, format: Format) -> anyhow::Result<()> {
    if let Some(name) = name {
        let entry = COST_LIBRARY.iter().find(|entry| entry.name == name).ok_or_else(|| {
            let known: Vec<_> = COST_LIBRARY.iter().map(|entry| entry.name).collect();
            Failure::new(exit::NOT_FOUND, format!("the library has no {name:?}"))
                .fix(format!("use one of {}", known.join(", ")))
        })?;
        if format == Format::Json {
            return output::json(&as_json(entry));
        }
        let dated = if entry.as_of.is_empty() { "no date" } else { entry.as_of };
        output::line(&format!("# {}; source {}, {dated}", entry.says, entry.source))?;
        output::line(&format!("[{}]", table(entry.place)))?;
        return output::line(&format!("{} = {}", entry.name, entry.toml));
    }
    if format == Format::Json {
        return output::json(&COST_LIBRARY.iter().map(as_json).collect::<Vec<_>>());
    }
    let rows = COST_LIBRARY.iter().map(|entry| {
        [entry.name, table(entry.place), entry.says, entry.source, entry.as_of]
            .map(str::to_owned)
            .to_vec()
    });
    output::table(&["NAME", "TABLE", "WHAT IT IS", "SOURCE", "AS OF"], rows.collect())?;
    output::talk("lines for a blueprint: iotbiz case library NAME");
    Ok(())
}
