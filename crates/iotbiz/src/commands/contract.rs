//! `iotbiz contract`: customer, plan, devices, from and to.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::exit::{self, Failure};
use crate::output::{self, text};

#[derive(Debug, Subcommand)]
pub(crate) enum ContractCommand {
    /// List contracts.
    #[command(visible_alias = "ls")]
    List,
    /// Show one contract, whole.
    Show {
        /// Id or name.
        contract: String,
    },
    /// Make a contract; its plan revision is frozen.
    #[command(
        after_help = "Example: iotbiz contract add linden-2026 --customer linden --plan care \
                      --filter kind:box --from 2026-10-01 --accepted-by \"Dr. Vogt\""
    )]
    Add(NewContract),
    /// End a contract, or let devices come in or go out.
    #[command(after_help = "Examples:\n  iotbiz contract end linden-2026 --on 2027-01-01\n  \
                            iotbiz contract change linden-2026 --add box-0009 --on 2026-11-01")]
    End {
        /// Id or name.
        contract: String,
        /// The first day on which it does not hold any more.
        #[arg(long)]
        on: String,
    },
    /// Let devices come in or go out; add coupons, prepaid credit, replaced registers.
    #[command(after_help = "Examples:\n  iotbiz contract change linden-2026 --add box-0009 --on \
                            2026-11-01\n  iotbiz contract change linden-2026 --coupon 'spring=25 \
                            %' --prepaid 'start=30 EUR,expires=2027-01-01'")]
    Change {
        /// Id or name.
        contract: String,
        /// Devices that come in.
        #[arg(long)]
        add: Vec<String>,
        /// Devices that go out.
        #[arg(long)]
        remove: Vec<String>,
        /// From this day on; today by default.
        #[arg(long)]
        on: Option<String>,
        #[command(flatten)]
        extras: Extras,
        /// A register that was replaced: box-0001=2026-10-15T08:00:00Z,last=150.5,first=0.
        #[arg(long, value_name = "DEVICE=TIME,last=N,first=N[,multiplier=N]")]
        swap: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewContract {
    /// Its name: a-z, 0-9, -, _ and . ; never changed.
    name: String,
    /// Who pays: id or name.
    #[arg(long)]
    customer: String,
    /// A plan of the blueprint.
    #[arg(long)]
    plan: String,
    /// The venture, when there are several.
    #[arg(long)]
    venture: Option<String>,
    /// Revision of the blueprint; the newest by default.
    #[arg(long)]
    revision: Option<u64>,
    /// Devices by id or name.
    #[arg(long)]
    device: Vec<String>,
    /// Chooses devices, once.
    #[arg(long)]
    filter: Option<String>,
    /// First day, in the customer's time zone.
    #[arg(long)]
    from: String,
    /// First day after it; open by default.
    #[arg(long)]
    to: Option<String>,
    /// Who of the customer agreed.
    #[arg(long)]
    accepted_by: String,
    /// What else was agreed, in words.
    #[arg(long)]
    terms: Option<String>,
    #[command(flatten)]
    extras: Extras,
}

/// What a contract may have beside its plan.
#[derive(Debug, Args)]
pub(crate) struct Extras {
    /// A discount: `spring=25 %`, `start=10 EUR,on=service,from=2026-10-01,to=2027-01-01`.
    #[arg(long, value_name = "NAME=OFF[,on=CHARGE][,from=DAY][,to=DAY]")]
    coupon: Vec<String>,
    /// Prepaid credit: `welcome=30 EUR,kind=free,expires=2027-01-01`.
    #[arg(long, value_name = "NAME=AMOUNT[,kind=free][,from=DAY][,expires=DAY]")]
    prepaid: Vec<String>,
}

impl Extras {
    fn json(&self) -> Result<(Vec<Value>, Vec<Value>), Failure> {
        let coupons = self.coupon.iter().map(|text| parts(text, ("name", "off")));
        let prepaid = self.prepaid.iter().map(|text| parts(text, ("name", "amount")));
        Ok((coupons.collect::<Result<_, _>>()?, prepaid.collect::<Result<_, _>>()?))
    }
}

/// `a=b,c=d` as an object whose first two keys have other names.
fn parts(text: &str, (first, second): (&str, &str)) -> Result<Value, Failure> {
    let wrong = || {
        Failure::new(exit::USAGE, format!("{text:?} is no list such as name=value,key=value"))
            .fix("iotbiz contract change --help")
    };
    let mut object = serde_json::Map::new();
    for (place, part) in text.split(',').enumerate() {
        let (key, value) = part.split_once('=').ok_or_else(wrong)?;
        if place == 0 {
            object.insert(first.to_owned(), key.trim().into());
            object.insert(second.to_owned(), value.trim().into());
        } else {
            object.insert(key.trim().to_owned(), value.trim().into());
        }
    }
    Ok(Value::Object(object))
}

pub(crate) fn run(
    command: &ContractCommand,
    client: &Client,
    format: Format,
) -> anyhow::Result<()> {
    match command {
        ContractCommand::List => {
            let found = client.get("/api/v1/contracts")?;
            if format == Format::Json {
                return output::json(&found);
            }
            let items = found["items"].as_array().into_iter().flatten();
            let rows = items.map(|contract| {
                let devices = contract["devices"].as_array().map_or(0, Vec::len);
                let mut row =
                    ["name", "customer_name", "plan"].map(|key| text(&contract[key])).to_vec();
                row.push(devices.to_string());
                row.extend(["from", "to"].map(|key| text(&contract[key])));
                row
            });
            output::table(
                &["CONTRACT", "CUSTOMER", "PLAN", "DEVICES", "FROM", "TO"],
                rows.collect(),
            )
        }
        ContractCommand::Show { contract } => {
            output::json(&client.get(&format!("/api/v1/contracts/{}", encoded(contract)))?)
        }
        ContractCommand::Add(new) => {
            let (coupons, prepaid) = new.extras.json()?;
            let body = json!({
                "coupons": coupons, "prepaid": prepaid,
                "name": new.name, "customer": new.customer, "venture": new.venture,
                "plan": new.plan, "revision": new.revision, "devices": new.device,
                "filter": new.filter, "from": new.from, "to": new.to,
                "accepted_by": new.accepted_by, "terms": new.terms,
            });
            let made = client.call("POST", "/api/v1/contracts", Some(&body))?;
            if format == Format::Json {
                return output::json(&made);
            }
            output::line(&text(&made["id"]))?;
            let devices = made["devices"].as_array().map_or(0, Vec::len);
            output::talk(&format!("contract {} with {devices} devices", new.name));
            for promise in made["unmeasured"].as_array().into_iter().flatten() {
                output::talk(&format!("nothing measures the promise {}", text(promise)));
            }
            Ok(())
        }
        ContractCommand::End { contract, on } => {
            changed(client, format, (contract, &json!({ "to": on })))
        }
        ContractCommand::Change { contract, add, remove, on, extras, swap } => {
            let (coupons, prepaid) = extras.json()?;
            let swaps = swap.iter().map(|text| parts(text, ("device", "time")));
            let swaps: Vec<Value> = swaps.collect::<Result<_, _>>()?;
            let body = json!({
                "add": add, "remove": remove, "from": on,
                "coupons": coupons, "prepaid": prepaid, "swaps": swaps,
            });
            changed(client, format, (contract, &body))
        }
    }
}

fn changed(
    client: &Client,
    format: Format,
    (contract, body): (&str, &Value),
) -> anyhow::Result<()> {
    let path = format!("/api/v1/contracts/{}", encoded(contract));
    let now = client.call("PATCH", &path, Some(body))?;
    if format == Format::Json {
        return output::json(&now);
    }
    output::talk(&format!("{contract} is at revision {}", text(&now["revision"])));
    Ok(())
}
