//! `iotbiz entity`: our companies that invoice.

use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::output::{self, text};

#[derive(Debug, Subcommand)]
pub(crate) enum EntityCommand {
    /// List legal entities.
    #[command(visible_alias = "ls")]
    List,
    /// Make or change a legal entity. A new one is in shadow mode: it rates and sends nothing.
    #[command(after_help = "Examples:\n  iotbiz entity set acme --legal-name \"Acme GmbH\" \
                            --country DE --city Berlin --vat-id DE123456789\n  iotbiz entity set \
                            acme --live\n  iotbiz entity set acme --lock-through 2026-09-30")]
    Set(Box<EntitySet>),
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("mode").args(["live", "shadow"])))]
pub(crate) struct EntitySet {
    /// Its short name.
    name: String,
    /// The full name in documents.
    #[arg(long)]
    legal_name: Option<String>,
    #[arg(long, default_value = "")]
    street: String,
    #[arg(long, default_value = "")]
    post_code: String,
    #[arg(long, default_value = "")]
    city: String,
    /// ISO 3166-1 alpha-2; writes the whole address.
    #[arg(long)]
    country: Option<String>,
    /// Writes VAT id and mail.
    #[arg(long)]
    vat_id: Option<String>,
    #[arg(long)]
    email: Option<String>,
    #[arg(long)]
    iban: Option<String>,
    #[arg(long)]
    bic: Option<String>,
    /// Said about payment on every document.
    #[arg(long)]
    terms: Option<String>,
    #[arg(long)]
    due_days: Option<u32>,
    /// Days after a period in which late readings are waited for.
    #[arg(long)]
    grace_days: Option<u32>,
    #[arg(long)]
    invoice_prefix: Option<String>,
    #[arg(long)]
    credit_prefix: Option<String>,
    /// core, xrechnung or peppol.
    #[arg(long)]
    profile: Option<String>,
    /// Bills: drafts may become invoices.
    #[arg(long)]
    live: bool,
    /// Rates everything, sends nothing.
    #[arg(long)]
    shadow: bool,
    /// Closes all days up to this one, for ever.
    #[arg(long)]
    lock_through: Option<String>,
}

impl EntitySet {
    fn body(&self) -> Value {
        let mut body = serde_json::Map::new();
        let texts = [
            ("legal_name", &self.legal_name),
            ("iban", &self.iban),
            ("bic", &self.bic),
            ("terms", &self.terms),
            ("invoice_prefix", &self.invoice_prefix),
            ("credit_prefix", &self.credit_prefix),
            ("profile", &self.profile),
            ("locked_through", &self.lock_through),
        ];
        for (key, value) in texts {
            if let Some(value) = value {
                body.insert(key.to_owned(), value.clone().into());
            }
        }
        for (key, value) in [("due_days", self.due_days), ("grace_days", self.grace_days)] {
            if let Some(value) = value {
                body.insert(key.to_owned(), value.into());
            }
        }
        if let Some(country) = &self.country {
            let address = json!({
                "street": self.street, "post_code": self.post_code,
                "city": self.city, "country": country,
            });
            body.insert("address".to_owned(), address);
        }
        if self.vat_id.is_some() || self.email.is_some() {
            let mut known = serde_json::Map::new();
            for (key, value) in [("vat_id", &self.vat_id), ("email", &self.email)] {
                if let Some(value) = value {
                    known.insert(key.to_owned(), value.clone().into());
                }
            }
            body.insert("identifiers".to_owned(), known.into());
        }
        if self.live || self.shadow {
            let mode = if self.live { "live" } else { "shadow" };
            body.insert("mode".to_owned(), mode.into());
        }
        body.into()
    }
}

pub(crate) fn run(command: &EntityCommand, client: &Client, format: Format) -> anyhow::Result<()> {
    match command {
        EntityCommand::List => {
            let found = client.get("/api/v1/entities")?;
            if format == Format::Json {
                return output::json(&found);
            }
            let items = found["items"].as_array().into_iter().flatten();
            let keys = ["name", "legal_name", "mode", "invoices", "credits", "locked_through"];
            let rows = items.map(|entity| keys.map(|key| text(&entity[key])).to_vec());
            let heads = ["NAME", "LEGAL NAME", "MODE", "INVOICES", "CREDIT NOTES", "LOCKED"];
            output::table(&heads, rows.collect())
        }
        EntityCommand::Set(set) => {
            let path = format!("/api/v1/entities/{}", encoded(&set.name));
            let now = client.call("PUT", &path, Some(&set.body()))?;
            if format == Format::Json {
                return output::json(&now);
            }
            output::talk(&format!("{} is in {} mode", set.name, text(&now["mode"])));
            Ok(())
        }
    }
}
