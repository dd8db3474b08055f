//! `iotbiz token`: tokens of programs: list, add, revoke.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// List tokens, without their secrets.
    #[command(visible_alias = "ls")]
    List,
    /// Issue a token; it is printed once.
    #[command(after_help = "Example: iotbiz token add reports --role viewer")]
    Add {
        /// Name of the program; its MQTT user name.
        name: String,
        /// service (topics only), viewer, operator, engineer, finance or owner.
        #[arg(long, default_value = "service")]
        role: String,
    },
    /// End a token; live sessions with it are closed.
    Revoke {
        /// Its id, as `token list` prints it.
        id: String,
    },
}

pub(crate) fn run(command: &TokenCommand, client: &Client, format: Format) -> anyhow::Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    match command {
        TokenCommand::List => {
            let found = client.get("/api/v1/tokens")?;
            if format == Format::Json {
                return output::json(&found);
            }
            let items = found["items"].as_array().into_iter().flatten();
            let rows = items.map(|token| {
                ["id", "name", "role", "issued_at", "revoked"].map(|key| text(&token[key])).to_vec()
            });
            output::table(&["ID", "NAME", "ROLE", "ISSUED", "REVOKED"], rows.collect())
        }
        TokenCommand::Add { name, role } => {
            let body = json!({ "name": name, "role": role });
            let issued = client.call("POST", "/api/v1/tokens", Some(&body))?;
            if format == Format::Json {
                return output::json(&issued);
            }
            output::line(&text(&issued["token"]))?;
            output::talk(&format!(
                "token {} of {name} with role {}; it is shown once",
                text(&issued["id"]),
                text(&issued["role"])
            ));
            Ok(())
        }
        TokenCommand::Revoke { id } => {
            client.call("DELETE", &format!("/api/v1/tokens/{}", encoded(id)), None)?;
            output::talk(&format!("revoked {id}"));
            Ok(())
        }
    }
}
