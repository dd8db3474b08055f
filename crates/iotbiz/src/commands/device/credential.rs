//! Credentials of a device: certificates, their list, their end; devices out of a sheet; another
//! board for the same device.
//!
//! *Invariant:* a secret is written to a file of its owner's only, or printed once.

use std::path::{Path, PathBuf};

use clap::Args;
use model::ReturnReason;
use serde_json::{Value, json};

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::commands::ca::read;
use crate::exit::{self, Failure};
use crate::output::{self, text};

/// A certificate to issue.
#[derive(Debug, Args)]
pub(crate) struct CertificateArgs {
    /// Name or id.
    device: String,
    /// PKCS#10 request of the device, PEM; without it a key is made here.
    #[arg(long, value_name = "FILE")]
    csr: Option<PathBuf>,
    /// Days it lives.
    #[arg(long, default_value_t = 365)]
    days: u32,
    /// The certificates before it end after so many days; without it they live on.
    #[arg(long)]
    overlap_days: Option<u32>,
    /// Folder for device.crt, device.key and ca.crt.
    #[arg(long, default_value = ".", value_name = "DIR")]
    out: PathBuf,
}

/// A sheet of devices.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// CSV with a head line: name,kind,venture,site,tags,serial,hardware,origin,token,link:NAME.
    file: PathBuf,
    /// The kind of lines that name none.
    #[arg(long)]
    kind: Option<String>,
    /// The venture of lines that name none.
    #[arg(long)]
    venture: Option<String>,
    /// Where the tokens go that were made; they are shown nowhere else.
    #[arg(long, value_name = "FILE", default_value = "credentials.csv")]
    credentials: PathBuf,
    /// Say what would be added and add nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn certificate(
    args: &CertificateArgs,
    client: &Client,
    format: Format,
) -> anyhow::Result<()> {
    let csr = args.csr.as_deref().map(read).transpose()?;
    let body = json!({ "csr": csr, "days": args.days, "overlap_days": args.overlap_days });
    let path = format!("/api/v1/devices/{}/certificates", encoded(&args.device));
    let issued = client.call("POST", &path, Some(&body))?;
    if format == Format::Json {
        return output::json(&issued);
    }
    let file = |name: &str| args.out.join(name);
    std::fs::create_dir_all(&args.out)?;
    // The key first: a certificate without its key is worth nothing.
    if let Some(key) = issued["private_key"].as_str() {
        keep(&file("device.key"), key)?;
    }
    keep(&file("device.crt"), issued["chain"].as_str().unwrap_or_default())?;
    keep(&file("ca.crt"), issued["ca"].as_str().unwrap_or_default())?;
    output::line(&format!(
        "certificate {} until {}",
        text(&issued["serial"]),
        text(&issued["not_after"])
    ))?;
    output::line(&format!("written to {}", args.out.display()))?;
    for dropped in issued["dropped"].as_array().into_iter().flatten() {
        output::talk(&format!("the request asked for {}, which it did not get", text(dropped)));
    }
    Ok(())
}

/// Writes a file that only its owner can read.
fn keep(path: &Path, content: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let mut options = std::fs::File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let written = options.open(path).and_then(|mut file| file.write_all(content.as_bytes()));
    written.map_err(|error| {
        Failure::new(exit::FAILED, format!("cannot write {}", path.display()))
            .why(error.to_string())
    })
}

pub(super) fn list(device: &str, client: &Client, format: Format) -> anyhow::Result<()> {
    let found = client.get(&format!("/api/v1/devices/{}/credentials", encoded(device)))?;
    if format == Format::Json {
        return output::json(&found);
    }
    let items = found["items"].as_array().into_iter().flatten();
    let rows = items.map(|held| {
        ["id", "kind", "state", "issued_at", "expires", "rotate_by", "serial"]
            .map(|key| text(&held[key]))
            .to_vec()
    });
    let heads = ["ID", "KIND", "STATE", "ISSUED", "EXPIRES", "ROTATE BY", "SERIAL"];
    output::table(&heads, rows.collect())
}

pub(super) fn revoke(device: &str, credential: &str, client: &Client) -> anyhow::Result<()> {
    let (device, id) = (encoded(device), encoded(credential));
    client.call("DELETE", &format!("/api/v1/devices/{device}/credentials/{id}"), None)?;
    output::talk(&format!("revoked {credential}; its connections are closed"));
    Ok(())
}

pub(super) fn import(args: &ImportArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let sheet = read(&args.file)?;
    if !args.dry_run && args.credentials.exists() {
        let what = format!("{} is already there", args.credentials.display());
        return Err(Failure::new(exit::CONFLICT, what)
            .why("it may hold tokens that nobody can show again")
            .fix("name another file: --credentials FILE")
            .into());
    }
    let mut path = format!("/api/v1/devices/import?dry_run={}", args.dry_run);
    for (name, value) in [("kind", &args.kind), ("venture", &args.venture)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", encoded(value)));
        }
    }
    let done = client.send_text(&path, "text/csv", &sheet)?;
    if args.dry_run {
        return output::line(&format!("{} devices would be added", text(&done["added"])));
    }
    let devices = done["devices"].as_array().map(Vec::as_slice).unwrap_or_default();
    let made: Vec<&Value> = devices.iter().filter(|device| device["token"].is_string()).collect();
    if !made.is_empty() {
        let lines = made.iter().map(|device| {
            // Names, ids and tokens hold no comma, quote or line end.
            format!(
                "{},{},{}\n",
                text(&device["name"]),
                text(&device["id"]),
                text(&device["token"])
            )
        });
        let sheet: String =
            std::iter::once("name,username,token\n".to_owned()).chain(lines).collect();
        keep(&args.credentials, &sheet)?;
    }
    if format == Format::Json {
        return output::json(&done);
    }
    output::line(&format!("added {} devices", text(&done["added"])))?;
    if !made.is_empty() {
        let file = args.credentials.display();
        output::talk(&format!("{} tokens are in {file}, and nowhere else", made.len()));
    }
    Ok(())
}

pub(super) fn replace(
    device: &str,
    board: &Value,
    client: &Client,
    format: Format,
) -> anyhow::Result<()> {
    let path = format!("/api/v1/devices/{}/replace", encoded(device));
    let done = client.call("POST", &path, Some(board))?;
    if format == Format::Json {
        return output::json(&done);
    }
    output::talk(&format!("{} credentials of the old board ended", text(&done["revoked"])));
    super::print_credential(&done["credential"], format)
}

pub(super) fn retire(
    device: &str,
    reason: ReturnReason,
    client: &Client,
    format: Format,
) -> anyhow::Result<()> {
    let path = format!("/api/v1/devices/{}/retire?reason={reason}", encoded(device));
    let done = client.call("POST", &path, None)?;
    if format == Format::Json {
        return output::json(&done);
    }
    let ended = text(&done["revoked"]);
    output::talk(&format!(
        "{device} is out of service; {ended} credentials ended, its history stays"
    ));
    Ok(())
}
