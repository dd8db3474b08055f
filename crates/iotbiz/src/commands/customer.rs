//! `iotbiz customer`: who pays.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::ca::read;
use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::output::{self, text};

#[derive(Debug, Subcommand)]
pub(crate) enum CustomerCommand {
    /// List customers.
    #[command(visible_alias = "ls")]
    List,
    /// Show one customer, whole.
    Show {
        /// Id or name.
        customer: String,
    },
    /// Add a customer.
    #[command(after_help = "Example: iotbiz customer add linden --legal-name \"Linden-Apotheke\" \
                      --country DE --city Berlin --street \"Lindenallee 1\" --post-code 10115 \
                      --timezone Europe/Berlin --entity acme")]
    Add(Box<NewCustomer>),
    /// Add the customers of a CSV file: one wrong line and nothing is added.
    #[command(
        after_help = "Columns: name,legal_name,street,post_code,city,country,vat_id,tax_number,\
                      email,contact,phone,electronic,reference,tax,timezone,currency,entity,due_days\n\
                      Example: iotbiz customer import customers.csv --dry-run"
    )]
    Import {
        /// CSV with a header line.
        file: PathBuf,
        /// Say what would be added and add nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewCustomer {
    /// Its short name: a-z, 0-9, -, _ and .
    name: String,
    /// The full name in documents.
    #[arg(long)]
    legal_name: String,
    /// ISO 3166-1 alpha-2.
    #[arg(long)]
    country: String,
    #[arg(long, default_value = "")]
    street: String,
    #[arg(long, default_value = "")]
    post_code: String,
    #[arg(long, default_value = "")]
    city: String,
    #[arg(long)]
    vat_id: Option<String>,
    #[arg(long)]
    email: Option<String>,
    /// Whose days and months count.
    #[arg(long)]
    timezone: String,
    #[arg(long, default_value = "EUR")]
    currency: String,
    /// Which of our legal entities invoices.
    #[arg(long)]
    entity: String,
    /// Days until an invoice is due.
    #[arg(long)]
    due_days: Option<u32>,
    /// Their tax class instead of the plan's: AE (reverse charge), K, G, E, Z, O or "19 %".
    #[arg(long)]
    tax: Option<String>,
    /// How they find an invoice: an order, a cost centre.
    #[arg(long)]
    reference: Option<String>,
}

impl NewCustomer {
    fn body(&self) -> Value {
        let mut identifiers = serde_json::Map::new();
        for (key, value) in [("vat_id", &self.vat_id), ("email", &self.email)] {
            if let Some(value) = value {
                identifiers.insert(key.to_owned(), value.clone().into());
            }
        }
        json!({
            "name": self.name,
            "legal_name": self.legal_name,
            "address": {
                "street": self.street, "post_code": self.post_code,
                "city": self.city, "country": self.country,
            },
            "identifiers": identifiers,
            "timezone": self.timezone,
            "currency": self.currency,
            "entity": self.entity,
            "due_days": self.due_days,
            "reference": self.reference,
            "tax": self.tax,
        })
    }
}

pub(crate) fn run(
    command: &CustomerCommand,
    client: &Client,
    format: Format,
) -> anyhow::Result<()> {
    match command {
        CustomerCommand::List => {
            let found = client.get("/api/v1/customers")?;
            if format == Format::Json {
                return output::json(&found);
            }
            let items = found["items"].as_array().into_iter().flatten();
            let rows = items.map(|customer| {
                ["name", "legal_name", "timezone", "currency", "entity", "id"]
                    .map(|key| text(&customer[key]))
                    .to_vec()
            });
            output::table(
                &["NAME", "LEGAL NAME", "TIME ZONE", "CURRENCY", "ENTITY", "ID"],
                rows.collect(),
            )
        }
        CustomerCommand::Show { customer } => {
            output::json(&client.get(&format!("/api/v1/customers/{}", encoded(customer)))?)
        }
        CustomerCommand::Add(new) => {
            let made = client.call("POST", "/api/v1/customers", Some(&new.body()))?;
            if format == Format::Json {
                return output::json(&made);
            }
            output::line(&text(&made["id"]))?;
            output::talk(&format!("added {}; next: iotbiz contract add", new.name));
            Ok(())
        }
        CustomerCommand::Import { file, dry_run } => {
            let path = format!("/api/v1/customers/import?dry_run={dry_run}");
            let found = client.send_text(&path, "text/csv", &read(file)?)?;
            if format == Format::Json {
                return output::json(&found);
            }
            let word = if *dry_run { "would be added" } else { "added" };
            output::line(&format!("{} customers {word}", text(&found["added"])))
        }
    }
}
