//! `iotbiz gate`: how a venture stands at its gates, what was decided there, and on what.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::commands::{apply, check, tree};
use crate::exit::{self, Failure};
use crate::output::{self, text};

#[derive(Debug, Subcommand)]
pub(crate) enum GateCommand {
    /// Each gate of a venture as it stands now, and the decisions made.
    #[command(after_help = "Example: iotbiz gate show coolbox")]
    Show(VentureArgs),
    /// What a decision would be judged on, criterion by criterion; decides nothing.
    #[command(after_help = "Examples:\n  iotbiz gate preview scale\n  iotbiz gate preview scale \
                            --explain margin")]
    Preview {
        #[command(flatten)]
        of: StageArgs,
        /// Where the figure of one criterion comes from.
        #[arg(long, value_name = "CRITERION")]
        explain: Option<String>,
    },
    /// Decide at a gate: go, hold, rework or stop. The figures are frozen, hashed and sealed.
    #[command(after_help = "Examples:\n  iotbiz gate decide scale hold\n  iotbiz gate decide \
                            scale go --override 'the pilot customer pays for the delay'")]
    Decide {
        #[command(flatten)]
        of: StageArgs,
        /// go, hold, rework or stop.
        decision: String,
        /// Why a go against the verdict is right; named and visible for ever.
        #[arg(long = "override", value_name = "REASON")]
        override_reason: Option<String>,
        /// Where the gate file goes; its seal goes beside it, with `.seal`.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Compute the verdict of a gate file again, from the figures frozen in it.
    #[command(after_help = "Example: iotbiz gate verify scale-2026-11-25.gate.json")]
    Verify {
        /// The gate file.
        file: PathBuf,
        /// The public key that its seal shall be by; without it the key beside the seal is used.
        #[arg(long, value_name = "HEX")]
        key: Option<String>,
    },
    /// Make a decision again from the bytes of the log and with what is known today, each
    /// difference with its cause; fails when the log does not give what was sealed.
    #[command(after_help = "Example: iotbiz gate rederive gat_01KB...")]
    Rederive {
        /// The decision, as `gate show` prints it.
        decision: String,
        #[command(flatten)]
        of: VentureArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct VentureArgs {
    /// The venture, when there are several.
    #[arg(long)]
    venture: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StageArgs {
    /// The stage behind the gate.
    stage: String,
    #[command(flatten)]
    of: VentureArgs,
}

impl VentureArgs {
    fn path(&self, client: &Client) -> anyhow::Result<String> {
        let venture = apply::venture(client, self.venture.as_deref())?;
        Ok(format!("/api/v1/ventures/{}", encoded(&venture)))
    }
}

pub(crate) fn run(
    command: &GateCommand,
    client: impl FnOnce() -> Client,
    format: Format,
) -> anyhow::Result<()> {
    match command {
        GateCommand::Show(of) => show(of, &client(), format),
        GateCommand::Preview { of, explain } => {
            preview(of, explain.as_deref(), (&client(), format))
        }
        GateCommand::Decide { of, decision, override_reason, out } => {
            let body = json!({ "decision": decision, "override_reason": override_reason });
            decide(of, &body, out.as_deref(), (&client(), format))
        }
        GateCommand::Verify { file, key } => verify(file, key.as_deref(), format),
        GateCommand::Rederive { decision, of } => rederive(decision, of, &client(), format),
    }
}

fn show(of: &VentureArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let path = of.path(client)?;
    let gates = client.get(&format!("{path}/gates"))?;
    let decisions = client.get(&format!("{path}/decisions"))?;
    if format == Format::Json {
        let both = json!({ "gates": gates["items"], "decisions": decisions["items"] });
        return output::json(&both);
    }
    let rows = gates["items"].as_array().into_iter().flatten().map(|gate| {
        let criteria = gate["criteria"].as_array().into_iter().flatten();
        let passing = criteria.clone().filter(|criterion| criterion["state"] == "pass").count();
        let counted = format!("{passing} of {} pass", criteria.count());
        let blockers = gate["blockers"].as_array().map_or(0, Vec::len);
        vec![text(&gate["stage"]), text(&gate["verdict"]), counted, blockers.to_string()]
    });
    output::table(&["GATE", "VERDICT", "CRITERIA", "IN THE WAY"], rows.collect())?;
    let made = decisions["items"].as_array().into_iter().flatten().map(|decision| {
        ["id", "stage", "decision", "verdict", "by", "at", "override_reason"]
            .map(|key| text(&decision[key]))
            .to_vec()
    });
    let rows: Vec<_> = made.collect();
    if rows.is_empty() {
        output::talk("nothing was decided yet: iotbiz gate decide STAGE hold");
        return Ok(());
    }
    output::line("")?;
    output::table(&["DECISION", "GATE", "DECIDED", "VERDICT", "BY", "AT", "OVERRIDE"], rows)
}

/// Where the figure of a criterion comes from.
fn criterion(gate: &Value, name: &str, format: Format) -> anyhow::Result<()> {
    let all = || gate["criteria"].as_array().into_iter().flatten();
    let Some(found) = all().find(|criterion| criterion["name"] == name) else {
        let known: Vec<_> = all().map(|criterion| text(&criterion["name"])).collect();
        return Err(Failure::new(exit::NOT_FOUND, format!("there is no criterion {name:?}"))
            .fix(format!("use one of {}", known.join(", ")))
            .into());
    };
    match format {
        Format::Json => output::json(&found["explain"]),
        Format::Table => tree::show(&found["explain"]),
    }
}

fn preview(
    of: &StageArgs,
    explain: Option<&str>,
    (client, format): (&Client, Format),
) -> anyhow::Result<()> {
    let gates = client.get(&format!("{}/gates", of.of.path(client)?))?;
    let all = gates["items"].as_array().cloned().unwrap_or_default();
    let Some(gate) = all.iter().find(|gate| gate["stage"] == of.stage.as_str()) else {
        let known: Vec<_> = all.iter().map(|gate| text(&gate["stage"])).collect();
        return Err(Failure::new(exit::NOT_FOUND, format!("there is no gate {}", of.stage))
            .fix(format!("use one of {}", known.join(", ")))
            .into());
    };
    if let Some(name) = explain {
        return criterion(gate, name, format);
    }
    if format == Format::Json {
        return output::json(gate);
    }
    let rows = gate["criteria"].as_array().into_iter().flatten().map(|criterion| {
        let unit = criterion["unit"].as_str().unwrap_or_default();
        let value = criterion["value"].as_f64().map_or_else(
            || "-".to_owned(),
            |value| format!("{} {unit}", bizcase::text::figure(value)).trim_end().to_owned(),
        );
        let mut row = ["level", "name", "state"].map(|key| text(&criterion[key])).to_vec();
        row.extend([value, text(&criterion["text"]), text(&criterion["basis"])]);
        row
    });
    output::table(&["LEVEL", "CRITERION", "STATE", "VALUE", "TARGET", "BASIS"], rows.collect())?;
    output::talk(&format!("verdict: {}", text(&gate["verdict"])));
    for blocker in gate["blockers"].as_array().into_iter().flatten() {
        output::talk(&format!("  {}", text(blocker)));
    }
    Ok(())
}

fn decide(
    of: &StageArgs,
    body: &Value,
    out: Option<&Path>,
    (client, format): (&Client, Format),
) -> anyhow::Result<()> {
    let path = format!("{}/gates/{}/decisions", of.of.path(client)?, encoded(&of.stage));
    let made = client.call("POST", &path, Some(body))?;
    if let Some(file) = out {
        check::write(file, &text(&made["file"]))?;
        let seal = format!("{} {}\n", text(&made["key"]), text(&made["seal"]));
        check::write(&seal_of(file), &seal)?;
        output::talk(&format!("wrote {} and its seal", file.display()));
    }
    if format == Format::Json {
        return output::json(&made);
    }
    output::line(&text(&made["id"]))?;
    output::talk(&format!(
        "{}: {} by {}; the verdict is {}",
        text(&made["stage"]),
        text(&made["decision"]),
        text(&made["by"]),
        text(&made["verdict"])
    ));
    Ok(())
}

fn seal_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".seal");
    PathBuf::from(name)
}

fn verify(file: &Path, key: Option<&str>, format: Format) -> anyhow::Result<()> {
    let content = check::read(file)?;
    let verified = venture::verify(&content)
        .map_err(|error| Failure::new(exit::USAGE, format!("{}: {error}", file.display())))?;
    let sealed = sealed(file, &content, key)?;
    match format {
        Format::Json => {
            let mut found = verified.json();
            found["sealed_by"] = json!(sealed);
            output::json(&found)?;
        }
        Format::Table => {
            output::print(&verified.text())?;
            match &sealed {
                Some(key) => output::line(&format!("sealed by {key}"))?,
                None => output::talk("no seal beside it: the file alone says who decided"),
            }
        }
    }
    if verified.is_same() {
        return Ok(());
    }
    Err(Failure::new(exit::CHECK_FAILED, format!("{} does not verify", file.display())).into())
}

/// The key of the seal beside a file, if there is one and it is good.
fn sealed(file: &Path, content: &str, wanted: Option<&str>) -> anyhow::Result<Option<String>> {
    let beside = seal_of(file);
    if !beside.exists() {
        return match wanted {
            None => Ok(None),
            Some(_) => {
                let missing = format!("{} is not there", beside.display());
                Err(Failure::new(exit::CHECK_FAILED, missing).into())
            }
        };
    }
    let written = check::read(&beside)?;
    let written = written.trim();
    let (key, seal) = written.split_once(' ').unwrap_or((written, ""));
    let key = wanted.unwrap_or(key);
    identity::seal::verify(key, content.as_bytes(), seal).map_err(|error| {
        Failure::new(exit::CHECK_FAILED, format!("{}: {error}", beside.display()))
    })?;
    Ok(Some(key.to_owned()))
}

fn rederive(
    decision: &str,
    of: &VentureArgs,
    client: &Client,
    format: Format,
) -> anyhow::Result<()> {
    let path = format!("{}/decisions/{}/rederive", of.path(client)?, encoded(decision));
    let found = client.get(&path)?;
    if format == Format::Json {
        return output::json(&found);
    }
    let rows = found["criteria"].as_array().into_iter().flatten().map(|criterion| {
        let keys = [
            "name",
            "decided_state",
            "decided_value",
            "rebuilt",
            "rebuilt_value",
            "value",
            "cause",
            "words",
        ];
        keys.map(|key| text(&criterion[key])).to_vec()
    });
    let heads = ["CRITERION", "WAS", "VALUE", "FROM LOG", "VALUE", "TODAY", "CAUSE", "WHY"];
    output::table(&heads, rows.collect())?;
    let log = &found["log"];
    let whole =
        if log["whole"] == true { "from the first frame on" } else { "as far as it is left" };
    output::talk(&format!(
        "{} frames up to offset {} were folded again, {whole}; the log begins at offset {}",
        text(&log["frames"]),
        text(&log["offset"]),
        text(&log["first"])
    ));
    for gone in found["gone"].as_array().into_iter().flatten() {
        output::talk(&format!("cannot be made again: {}", text(gone)));
    }
    let [then, log, now] =
        ["decided_verdict", "rebuilt_verdict", "verdict"].map(|key| text(&found[key]));
    output::talk(&format!("the verdict was {then}, from the log it is {log}, today it is {now}"));
    let differs = found["criteria"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|criterion| criterion["rebuilt"] == "differs");
    if found["sealed"] != true || differs {
        let what = if differs {
            "the log does not give what was decided on"
        } else {
            "the seal is not good"
        };
        return Err(Failure::new(exit::CHECK_FAILED, what).into());
    }
    Ok(())
}
