//! `iotbiz claim`: the right of a production batch to enrol its devices.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::ca::read;
use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::output::{self, text};

#[derive(Debug, Subcommand)]
pub(crate) enum ClaimCommand {
    /// List claims, without their tokens.
    #[command(visible_alias = "ls")]
    List,
    /// Make a claim; its token is printed once and goes into the firmware of the batch.
    #[command(
        after_help = "Example: iotbiz claim add 2026-48 --kind box --uses 500 --serials batch.txt"
    )]
    Add {
        /// The batch.
        name: String,
        /// The device kind it makes.
        #[arg(long)]
        kind: String,
        /// The venture, when there are several.
        #[arg(long)]
        venture: Option<String>,
        /// How many devices.
        #[arg(long)]
        uses: u32,
        /// How long it opens.
        #[arg(long, default_value_t = 90)]
        days: u32,
        /// File with the serial numbers of the batch, one a line; without it any will do.
        #[arg(long)]
        serials: Option<PathBuf>,
        /// real or virtual.
        #[arg(long, default_value = "real")]
        origin: String,
    },
    /// End a claim; the devices it enrolled stay.
    Revoke {
        /// Its id, as `claim list` prints it.
        id: String,
    },
}

pub(crate) fn run(command: &ClaimCommand, client: &Client, format: Format) -> anyhow::Result<()> {
    match command {
        ClaimCommand::List => {
            let found = client.get("/api/v1/claims")?;
            if format == Format::Json {
                return output::json(&found);
            }
            let items = found["items"].as_array().into_iter().flatten();
            let rows = items.map(|claim| {
                let used = format!("{} of {}", text(&claim["uses"]), text(&claim["uses_max"]));
                let mut row = ["id", "name", "kind"].map(|key| text(&claim[key])).to_vec();
                row.push(used);
                row.extend(["expires", "revoked"].map(|key| text(&claim[key])));
                row
            });
            output::table(&["ID", "BATCH", "KIND", "USED", "EXPIRES", "REVOKED"], rows.collect())
        }
        ClaimCommand::Add { name, kind, venture, uses, days, serials, origin } => {
            let listed = serials.as_deref().map(read).transpose()?.unwrap_or_default();
            let listed: Vec<&str> =
                listed.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            let body = json!({
                "name": name, "kind": kind, "venture": venture, "uses_max": uses, "days": days,
                "serials": listed, "origin": origin,
            });
            let made = client.call("POST", "/api/v1/claims", Some(&body))?;
            if format == Format::Json {
                return output::json(&made);
            }
            output::line(&text(&made["token"]))?;
            output::talk(&format!(
                "claim {} for {uses} devices until {}; the token is shown once",
                text(&made["id"]),
                text(&made["expires"])
            ));
            Ok(())
        }
        ClaimCommand::Revoke { id } => {
            client.call("DELETE", &format!("/api/v1/claims/{}", encoded(id)), None)?;
            output::talk(&format!("revoked {id}; the devices it enrolled stay"));
            Ok(())
        }
    }
}
