//! `iotbiz init`: a blueprint to start from.

use std::path::PathBuf;

use anyhow::Context;
use blueprint::{Template, templates};
use clap::Args;
use model::Name;

use crate::exit::{self, Failure};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// File to write.
    #[arg(default_value = "blueprint.toml")]
    file: PathBuf,
    /// Template; without one they are listed.
    #[arg(long, value_name = "TEMPLATE")]
    from: Option<String>,
    /// Name of the venture: a to z, 0 to 9 and _.
    #[arg(long, value_name = "NAME")]
    name: Option<Name>,
    /// Write over a file that is there.
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &InitArgs) -> anyhow::Result<()> {
    let Some(wanted) = &args.from else {
        let rows = templates().iter().map(|t| vec![t.name.to_owned(), t.title.to_owned()]);
        output::table(&["TEMPLATE", "WHAT IT IS"], rows.collect())?;
        output::talk("write one: iotbiz init --from TEMPLATE --name NAME");
        return Ok(());
    };
    let text = match &args.name {
        Some(name) => renamed(template(wanted)?.text, name),
        None => template(wanted)?.text.to_owned(),
    };
    if args.file.exists() && !args.force {
        let what = format!("{} is there already", args.file.display());
        return Err(Failure::new(exit::CONFLICT, what)
            .fix("name another file, or write over it: --force")
            .into());
    }
    std::fs::write(&args.file, text).with_context(|| format!("write {}", args.file.display()))?;
    let file = args.file.display();
    output::line(&format!("wrote {file}"))?;
    output::talk(&format!("next: iotbiz check {file}, then iotbiz apply {file}"));
    Ok(())
}

pub(crate) fn template(name: &str) -> Result<&'static Template, Failure> {
    templates().iter().find(|template| template.name == name).ok_or_else(|| {
        let known: Vec<_> = templates().iter().map(|template| template.name).collect();
        Failure::new(exit::NOT_FOUND, format!("there is no template {name:?}"))
            .fix(format!("use one of {}", known.join(", ")))
    })
}

/// The text with another venture name, everything else as it was.
fn renamed(text: &str, name: &Name) -> String {
    let line = |line: &str| match line.split_once('=') {
        Some((key, _)) if key.trim() == "venture" => format!("{key}= \"{name}\"\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_a_blueprint_under_another_name_too() {
        let name: Name = "other_name".parse().unwrap();
        assert!(!templates().is_empty());
        for template in templates() {
            let parsed = blueprint::Blueprint::parse(&renamed(template.text, &name));
            assert_eq!(parsed.blueprint.unwrap().venture, name, "{}", template.name);
        }
    }
}
