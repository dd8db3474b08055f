//! Cases of files, with no server: what two of them differ in.
//!
//! *Invariant:* both cases are drawn from the same seed, so what differs is the files.

use std::path::Path;

use bizcase::text::short;
use bizcase::{Case, Run};

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
