//! `iotbiz ca`: what devices trust, and the authorities of makers.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::exit::{self, Failure};
use crate::output::{self, text};

#[derive(Debug, Subcommand)]
pub(crate) enum CaCommand {
    /// Print what a device puts into its trust store, PEM.
    #[command(after_help = "Example: iotbiz ca show > ca.crt")]
    Show,
    /// Print the list of revoked certificates, PEM, for others who verify ours.
    #[command(after_help = "Example: iotbiz ca crl | openssl crl -noout -text")]
    Crl,
    /// List the authorities of makers that are registered.
    #[command(visible_alias = "ls")]
    List,
    /// Begin to register an authority: prints what its key has to sign.
    Challenge,
    /// Register an authority: its certificates then open for the devices that their names say.
    #[command(after_help = "Example: iotbiz ca add maker ca.crt --proof proof.crt")]
    Add {
        /// Its name here.
        name: String,
        /// Its certificate, PEM.
        certificate: PathBuf,
        /// A certificate it signed, whose common name is the challenge, PEM.
        #[arg(long)]
        proof: PathBuf,
    },
    /// Remove an authority; the sessions of its devices end at once.
    #[command(visible_alias = "rm")]
    Remove {
        /// Its id, as `ca list` prints it.
        id: String,
    },
}

pub(crate) fn run(command: &CaCommand, client: &Client, format: Format) -> anyhow::Result<()> {
    match command {
        CaCommand::Show => {
            let found = client.get("/api/v1/ca")?;
            if format == Format::Json {
                return output::json(&found);
            }
            output::print(found["root"].as_str().unwrap_or_default())
        }
        CaCommand::Crl => output::print(&client.text("/api/v1/ca/crl")?),
        CaCommand::List => list(client, format),
        CaCommand::Challenge => challenge(client, format),
        CaCommand::Add { name, certificate, proof } => {
            let body = json!({
                "name": name, "certificate": read(certificate)?, "proof": read(proof)?,
            });
            let added = client.call("POST", "/api/v1/authorities", Some(&body))?;
            if format == Format::Json {
                return output::json(&added);
            }
            output::line(&text(&added["id"]))?;
            output::talk(&format!("registered {name}: {}", text(&added["subject"])));
            Ok(())
        }
        CaCommand::Remove { id } => {
            client.call("DELETE", &format!("/api/v1/authorities/{}", encoded(id)), None)?;
            output::talk(&format!("removed {id}"));
            Ok(())
        }
    }
}

/// A PEM file of the caller.
pub(super) fn read(path: &std::path::Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::new(exit::USAGE, format!("cannot read {}", path.display())).why(error.to_string())
    })
}

fn list(client: &Client, format: Format) -> anyhow::Result<()> {
    let found = client.get("/api/v1/authorities")?;
    if format == Format::Json {
        return output::json(&found);
    }
    let items = found["items"].as_array().into_iter().flatten();
    let rows = items.map(|authority| {
        ["id", "name", "subject", "not_after", "problem"].map(|key| text(&authority[key])).to_vec()
    });
    output::table(&["ID", "NAME", "SUBJECT", "ENDS", "PROBLEM"], rows.collect())
}

fn challenge(client: &Client, format: Format) -> anyhow::Result<()> {
    let given = client.call("POST", "/api/v1/authorities/challenge", None)?;
    if format == Format::Json {
        return output::json(&given);
    }
    output::line(&text(&given["challenge"]))?;
    output::talk("sign a certificate with this common name within 15 minutes:");
    for line in given["how"].as_array().into_iter().flatten() {
        output::talk(&format!("  {}", text(line)));
    }
    output::talk("  iotbiz ca add NAME ca.crt --proof proof.crt");
    Ok(())
}
