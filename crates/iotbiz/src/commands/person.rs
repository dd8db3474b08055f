//! `iotbiz person`: who signs in, and how they are told of alarms.
//!
//! *Invariant:* a token and the secret of a webhook are printed once, alone on standard output.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::exit::{self, Failure};
use crate::output::{self, text};

#[derive(Debug, Subcommand)]
pub(crate) enum PersonCommand {
    /// List people and how they are told.
    #[command(visible_alias = "ls")]
    List,
    /// Add somebody; the token they sign in with is printed once.
    #[command(
        after_help = "Example: iotbiz person add ada --role operator --email ada@example.org"
    )]
    Add {
        /// Unique in the tenant.
        name: String,
        /// viewer, operator, engineer, finance or owner.
        #[arg(long, default_value = "operator")]
        role: String,
        /// Where to write to; not yet where alarms go.
        #[arg(long)]
        email: Option<String>,
    },
    /// Show or change how somebody is told of alarms.
    #[command(after_help = "Examples:\n  iotbiz person notify ada\n  iotbiz person notify ada \
                            --role operator --severity warning --mail ada@example.org\n  iotbiz \
                            person notify ada --quiet 22:00-06:00 --except critical --timezone \
                            Europe/Berlin\n  iotbiz person notify me --channel webhook --webhook \
                            https://hooks.example.org/ada\n  iotbiz person notify ada --channel \
                            none")]
    Notify(Box<NotifyArgs>),
    /// Which channels work, what waits and what failed.
    #[command(visible_alias = "status")]
    Channels,
    /// Send a failed message again, or try a channel at once that was given up.
    #[command(
        after_help = "Example: iotbiz person retry usr_01J... mail --message main-2-17-0-..."
    )]
    Retry {
        /// Id of the person, as `person channels` prints it.
        person: String,
        /// mail, webhook or mqtt.
        channel: String,
        /// Id of a failed message; left out: try the channel itself.
        #[arg(long)]
        message: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NotifyArgs {
    /// Name or id; `me` is whose token this is.
    name: String,
    /// What they answer for, as rules name it; may be repeated.
    #[arg(long = "role")]
    roles: Vec<String>,
    /// The smallest that reaches them: info, warning or critical.
    #[arg(long)]
    severity: Option<String>,
    /// Local hours in which nobody is told, such as 22:00-06:00; `none` takes them back.
    #[arg(long, value_name = "FROM-TO")]
    quiet: Option<String>,
    /// What is told in quiet hours all the same: critical.
    #[arg(long, requires = "quiet")]
    except: Option<String>,
    /// Where they live, such as Europe/Berlin.
    #[arg(long)]
    timezone: Option<String>,
    /// More than so many messages of one severity in a window become one: `5 per 10 min`.
    #[arg(long, value_name = "COUNT per TIME")]
    digest: Option<String>,
    /// mail, webhook or mqtt, may be repeated; `none` alone. Left out: each that gets an address.
    #[arg(long = "channel")]
    channels: Vec<String>,
    /// Mail address for alarms.
    #[arg(long)]
    mail: Option<String>,
    /// Address of a webhook; its secret is printed once.
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// Make another secret for the webhook; the one before stays valid beside it.
    #[arg(long)]
    new_secret: bool,
    /// Topic below t/{tenant}/notify/.
    #[arg(long, value_name = "TOPIC")]
    mqtt: Option<String>,
}

pub(crate) fn run(command: &PersonCommand, client: &Client, format: Format) -> anyhow::Result<()> {
    match command {
        PersonCommand::List => list(client, format),
        PersonCommand::Add { name, role, email } => {
            let body = json!({ "name": name, "role": role, "email": email });
            let added = client.call("POST", "/api/v1/people", Some(&body))?;
            if format == Format::Json {
                return output::json(&added);
            }
            output::line(&text(&added["token"]))?;
            output::talk(&format!("{name} signs in with this token; it is shown once"));
            Ok(())
        }
        PersonCommand::Notify(args) => notify(args, client, format),
        PersonCommand::Channels => channels(client, format),
        PersonCommand::Retry { person, channel, message } => {
            let mut body = json!({ "person": person, "channel": channel });
            let path = match message {
                Some(message) => {
                    body["message"] = message.as_str().into();
                    "/api/v1/notify/retry"
                }
                None => "/api/v1/notify/enable",
            };
            client.call("POST", path, Some(&body))?;
            output::talk("it is tried now; see: iotbiz person channels");
            Ok(())
        }
    }
}

fn joined(value: &Value) -> String {
    let words: Vec<_> = value.as_array().into_iter().flatten().map(text).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

fn list(client: &Client, format: Format) -> anyhow::Result<()> {
    let found = client.get("/api/v1/people")?;
    if format == Format::Json {
        return output::json(&found);
    }
    let rows = found["items"].as_array().into_iter().flatten().map(|person| {
        let told = &person["notify"];
        vec![
            text(&person["id"]),
            text(&person["name"]),
            text(&person["role"]),
            joined(&told["channels"]),
            text(&told["severity"]),
            joined(&told["roles"]),
        ]
    });
    let heads = ["ID", "NAME", "ROLE", "TOLD BY", "FROM", "ANSWERS FOR"];
    output::table(&heads, rows.collect())
}

/// `22:00-06:00`, `5 per 10 min`: two parts of one argument.
fn halves<'a>(
    name: &str,
    given: &'a str,
    by: &str,
    like: &str,
) -> Result<(&'a str, &'a str), Failure> {
    let halves = given.split_once(by).map(|(one, other)| (one.trim(), other.trim()));
    halves.ok_or_else(|| {
        Failure::new(exit::USAGE, format!("--{name} {given:?} cannot be read"))
            .fix(format!("write --{name} '{like}', or --{name} none"))
    })
}

fn change(args: &NotifyArgs) -> Result<Map<String, Value>, Failure> {
    let mut change = Map::new();
    let mut set = |name: &str, value: Value| drop(change.insert(name.to_owned(), value));
    if !args.roles.is_empty() {
        set("roles", json!(args.roles));
    }
    let texts = [
        ("severity", &args.severity),
        ("timezone", &args.timezone),
        ("mail", &args.mail),
        ("webhook", &args.webhook),
        ("mqtt", &args.mqtt),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            set(name, if value == "none" { Value::Null } else { json!(value) });
        }
    }
    match args.quiet.as_deref() {
        None => {}
        Some("none") => set("quiet", Value::Null),
        Some(quiet) => {
            let (from, to) = halves("quiet", quiet, "-", "22:00-06:00")?;
            set("quiet", json!({ "from": from, "to": to, "except": args.except }));
        }
    }
    match args.digest.as_deref() {
        None => {}
        Some("none") => set("digest", Value::Null),
        Some(digest) => {
            let (burst, window) = halves("digest", digest, "per", "5 per 10 min")?;
            let burst: u32 = burst.parse().map_err(|_no_number| {
                Failure::new(exit::USAGE, format!("{burst:?} is no count"))
            })?;
            set("digest", json!({ "burst": burst, "window": window }));
        }
    }
    if args.new_secret {
        set("new_secret", true.into());
    }
    let given = |address: &Option<String>| address.as_deref().is_some_and(|text| text != "none");
    let addressed: Vec<_> =
        [("mail", &args.mail), ("webhook", &args.webhook), ("mqtt", &args.mqtt)]
            .into_iter()
            .filter_map(|(name, address)| given(address).then_some(name))
            .collect();
    if !args.channels.is_empty() {
        set("channels", json!(args.channels));
    } else if !addressed.is_empty() {
        set("channels", json!(addressed));
    }
    Ok(change)
}

fn notify(args: &NotifyArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let path = format!("/api/v1/people/{}/notify", encoded(&args.name));
    let change = change(args)?;
    let told = if change.is_empty() {
        client.get(&path)?
    } else {
        client.call("PATCH", &path, Some(&Value::Object(change)))?
    };
    if format == Format::Json {
        return output::json(&told);
    }
    if let Some(secret) = told["webhook_secret"].as_str() {
        output::line(secret)?;
        output::talk("the webhook is signed with this secret; it is shown once");
        return Ok(());
    }
    let quiet = &told["quiet"];
    let quiet = if quiet.is_null() {
        "-".to_owned()
    } else {
        format!("{}-{}", text(&quiet["from"]), text(&quiet["to"]))
    };
    let rows = [
        ("answers for", joined(&told["roles"])),
        ("from severity", text(&told["severity"])),
        ("channels", joined(&told["channels"])),
        ("mail", text(&told["mail"])),
        ("webhook", text(&told["webhook"])),
        ("mqtt", text(&told["mqtt"])),
        ("quiet", quiet),
        ("except", text(&told["quiet"]["except"])),
        ("time zone", text(&told["timezone"])),
    ];
    let rows = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]);
    output::table(&["WHAT", "VALUE"], rows.collect())
}

fn channels(client: &Client, format: Format) -> anyhow::Result<()> {
    let status = client.get("/api/v1/notify/status")?;
    if format == Format::Json {
        return output::json(&status);
    }
    for (what, why) in [
        ("nothing is sent", &status["closed"]),
        ("the state cannot be written", &status["disk"]["why"]),
        ("told nobody", &status["last_unheard"]["why"]),
    ] {
        if let Some(why) = why.as_str() {
            output::talk(&format!("{what}: {why}"));
        }
    }
    let rows = status["routes"].as_array().into_iter().flatten().map(|route| {
        let failed = route["failed"].as_array().map_or(0, Vec::len);
        vec![
            text(&route["person"]),
            text(&route["channel"]),
            text(&route["state"]),
            text(&route["told"]),
            text(&route["waiting"]),
            text(&route["held"]),
            failed.to_string(),
            text(&route["last_error"]["why"]),
        ]
    });
    let heads = ["PERSON", "CHANNEL", "STATE", "TOLD", "WAITING", "HELD", "FAILED", "LAST ERROR"];
    output::table(&heads, rows.collect())
}
