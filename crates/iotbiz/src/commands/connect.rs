//! `iotbiz connect`: from a board to a chart, by a folder that a stranger can build.
//!
//! *Invariant:* a token is issued only when its file can be written, and revoked when that fails;
//! a file that is there is written over only with `--update`, and then never the person's own.

use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};

use anyhow::Context;
use blueprint::Blueprint;
use clap::Args;
use model::Name;
use serde_json::{Value, json};

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::commands::apply;
use crate::exit::{self, Failure};
use crate::output;
use crate::projects::{self, Ca, Door, Language, Owner, Plan};

/// Ports of MQTT when the server names none.
const PLAIN_PORT: u16 = 1883;
const TLS_PORT: u16 = 8883;
/// More than a chain of certificates has.
const CA_BYTES_MAX: u64 = 256 << 10;

#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    /// Name or id of the device.
    device: String,
    /// What the board is programmed in.
    #[arg(long = "for", value_name = "LANGUAGE")]
    language: Language,
    /// Folder to write; DEVICE-LANGUAGE by default.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Address of the server as the device sees it.
    #[arg(long, value_name = "ADDRESS")]
    host: Option<String>,
    /// Port of MQTT as the device sees it.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Connect over TLS.
    #[arg(long)]
    tls: bool,
    /// Certificate (PEM) of the authority that signed the server's; the server's own by default.
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca: Option<PathBuf>,
    /// Write the generated files again after the blueprint changed; your files and the secret stay.
    #[arg(long)]
    update: bool,
}

/// A file as it was written, for `--json`.
struct Written {
    path: PathBuf,
    whose: &'static str,
}

pub(crate) fn run(args: &ConnectArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let path = format!("/api/v1/devices/{}", encoded(&args.device));
    let detail = client.get(&path).map_err(|failure| unknown_device(failure, &args.device))?;
    let said = |name: &str| detail[name].as_str().unwrap_or_default();
    let venture: Name = said("venture").parse().context("read the venture of the device")?;
    let kind_name: Name = said("kind").parse().context("read the kind of the device")?;
    let (text, revision) = apply::in_force(client, venture.as_str())?;
    let blueprint = Blueprint::parse(&text).blueprint.ok_or_else(|| {
        Failure::new(exit::FAILED, format!("the blueprint of {venture} cannot be read"))
            .fix("export it and look: iotbiz export, then iotbiz check")
    })?;
    let kind = blueprint.kinds.get(&kind_name).ok_or_else(|| {
        let known: Vec<_> = blueprint.kinds.keys().map(Name::as_str).collect();
        Failure::new(exit::NOT_FOUND, format!("the blueprint has no kind {kind_name} any more"))
            .why(format!("revision {revision} of {venture} has {}", known.join(", ")))
    })?;
    let door = door(args, client, &client.get(&format!("{path}/connect"))?)?;
    let plan = Plan {
        device: said("name"),
        id: said("id"),
        kind_name: &kind_name,
        kind,
        venture: &venture,
        revision,
        door,
    };
    let default = || PathBuf::from(format!("{}-{}", plan.device, args.language.as_str()));
    let folder = args.out.clone().unwrap_or_else(default);
    let written = if args.update {
        update(&folder, args.language, &plan)?
    } else {
        create(&folder, args.language, &plan, &Issuer { client, path: &path })?
    };
    said_at_the_end(args, &plan, &folder, &written, format)
}

fn unknown_device(failure: Failure, device: &str) -> Failure {
    if failure.code != exit::NOT_FOUND {
        return failure;
    }
    Failure::new(exit::NOT_FOUND, format!("there is no device {device}"))
        .fix(format!("add it: iotbiz device add {device} --kind KIND"))
        .fix("or look which there are: iotbiz device ls")
}

/// The server as the device sees it.
fn door(args: &ConnectArgs, client: &Client, connect: &Value) -> Result<Door, Failure> {
    let said = connect["host"].as_str().unwrap_or_default();
    let host = match &args.host {
        Some(host) => host.clone(),
        None => seen_from_outside(said, client.server()),
    };
    if let Some(wrong) = host.chars().find(|c| !(c.is_ascii_alphanumeric() || ".-:".contains(*c))) {
        return Err(Failure::new(exit::USAGE, format!("{host:?} is no address: {wrong:?}"))
            .fix("write --host with a name or an address, without port"));
    }
    let said = |name: &str| connect[name].as_u64().and_then(|port| u16::try_from(port).ok());
    let port = match (args.port, args.tls) {
        (Some(port), _) => port,
        (None, true) => said("mqtts_port").unwrap_or(TLS_PORT),
        (None, false) => said("mqtt_port").unwrap_or(PLAIN_PORT),
    };
    let ca = if args.tls { Some(ca(args, client)?) } else { None };
    Ok(Door { host, port, ca })
}

/// A server that listens everywhere, or whose machine is this one, is reached by the address of the
/// interface that has the default route. A server that listens on the loopback only keeps that
/// address: no other would be true.
fn seen_from_outside(said: &str, server: &str) -> String {
    let everywhere = said.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
    if !everywhere {
        return said.to_owned();
    }
    let server_host = host_of(server);
    let here =
        server_host.parse::<IpAddr>().map_or(server_host == "localhost", |ip| ip.is_loopback());
    if !here {
        return server_host.to_owned();
    }
    lan_address().map_or_else(|| "127.0.0.1".to_owned(), |address| address.to_string())
}

/// The host of `http://host:port/...`.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

/// The address packets to the internet would leave from; connecting a UDP socket sends none.
pub(crate) fn lan_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // TEST-NET-1 (RFC 5737): nobody's, and routed like anybody's.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified() && !address.is_loopback()).then_some(address)
}

fn ca(args: &ConnectArgs, client: &Client) -> Result<Ca, Failure> {
    let pem = match &args.ca {
        Some(file) => {
            let failure = |error: std::io::Error| {
                Failure::new(exit::NOT_FOUND, format!("cannot read {}", file.display()))
                    .why(error.to_string())
            };
            let bytes = fs::metadata(file).map_err(failure)?.len();
            if bytes > CA_BYTES_MAX {
                let what =
                    format!("{} has {bytes} bytes; {CA_BYTES_MAX} are the limit", file.display());
                return Err(Failure::new(exit::USAGE, what));
            }
            fs::read_to_string(file).map_err(failure)?
        }
        None => {
            let found = client.get("/api/v1/ca").map_err(|failure| {
                failure.fix("name the certificate of the authority: --ca FILE")
            })?;
            found["root"].as_str().unwrap_or_default().to_owned()
        }
    };
    let pem = certificates(&pem);
    if pem.is_empty() {
        return Err(Failure::new(exit::USAGE, "the certificate is not PEM")
            .why("it has no line -----BEGIN CERTIFICATE-----")
            .fix("convert it: openssl x509 -inform der -in FILE -out ca.pem"));
    }
    Ok(Ca(pem))
}

/// The certificates of a PEM text and nothing beside them: what else stands there is no line of a
/// C header.
fn certificates(pem: &str) -> String {
    let mut out = String::new();
    let mut within = false;
    for line in pem.lines().map(str::trim) {
        within |= line == "-----BEGIN CERTIFICATE-----";
        if within {
            out.push_str(line);
            out.push('\n');
        }
        within &= line != "-----END CERTIFICATE-----";
    }
    out
}

/// Where a token comes from, and where it is taken back.
struct Issuer<'a> {
    client: &'a Client,
    /// Of the device.
    path: &'a str,
}

fn create(
    folder: &Path,
    language: Language,
    plan: &Plan<'_>,
    issuer: &Issuer<'_>,
) -> anyhow::Result<Vec<Written>> {
    let files = projects::files(language, plan);
    let secret = language.credential_path();
    let paths = files.iter().map(|file| file.path).chain([secret]);
    if let Some(there) = paths.map(|path| folder.join(path)).find(|path| path.exists()) {
        return Err(Failure::new(exit::CONFLICT, format!("{} is there already", there.display()))
            .fix("name another folder: --out DIR")
            .fix("or write only the generated files again: --update")
            .into());
    }
    let mut written = Vec::new();
    for file in &files {
        written.push(write(folder, file.path, file.owner, &file.text)?);
    }
    let issued = issuer.client.call("POST", &format!("{}/credentials", issuer.path), None)?;
    let token = issued["token"].as_str().unwrap_or_default();
    let path = folder.join(secret);
    if let Err(error) = write_secret(&path, &projects::credential(language, plan, token)) {
        let id = issued["id"].as_str().unwrap_or_default();
        issuer.client.call("DELETE", &format!("{}/credentials/{id}", issuer.path), None)?;
        return Err(error).with_context(|| format!("write {}", path.display()));
    }
    written.push(Written { path, whose: "secret" });
    Ok(written)
}

/// Only what follows the blueprint, and only where somebody connected before.
fn update(folder: &Path, language: Language, plan: &Plan<'_>) -> anyhow::Result<Vec<Written>> {
    let secret = folder.join(language.credential_path());
    if !secret.exists() {
        return Err(Failure::new(exit::NOT_FOUND, format!("{} is not there", secret.display()))
            .fix("name the folder that is to be updated: --out DIR")
            .fix("or write a new one, without --update")
            .into());
    }
    let files = projects::files(language, plan);
    let again = files.iter().filter(|file| file.owner == Owner::Generated);
    again.map(|file| write(folder, file.path, file.owner, &file.text)).collect()
}

fn write(folder: &Path, path: &str, owner: Owner, text: &str) -> anyhow::Result<Written> {
    let path = folder.join(path);
    let parent = path.parent().unwrap_or(folder);
    fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    let whose = match owner {
        Owner::Generated => "generated",
        Owner::Person => "yours",
    };
    Ok(Written { path, whose })
}

/// Nobody else on this machine may read it.
fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

fn said_at_the_end(
    args: &ConnectArgs,
    plan: &Plan<'_>,
    folder: &Path,
    written: &[Written],
    format: Format,
) -> anyhow::Result<()> {
    let Door { host, port, .. } = &plan.door;
    if host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) {
        output::talk(&format!(
            "{host} is this machine only: a board cannot reach it. Start the server with --mqtt \
             0.0.0.0:{port}, or say how the board reaches it: --host ADDRESS"
        ));
    }
    if format == Format::Json {
        let files = written.iter().map(|file| json!({ "path": file.path, "whose": file.whose }));
        return output::json(&json!({
            "folder": folder,
            "device": plan.id,
            "language": args.language.as_str(),
            "host": host,
            "port": port,
            "revision": plan.revision,
            "files": files.collect::<Vec<_>>(),
        }));
    }
    let rows =
        written.iter().map(|file| vec![file.path.display().to_string(), file.whose.to_owned()]);
    output::table(&["FILE", "WHOSE"], rows.collect())?;
    output::talk(&format!("next: cd {}, and do what README.md says", folder.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_address_has_no_port_and_no_brackets() {
        let hosts = ["http://a.b:7070/x", "https://10.0.0.5", "http://[::1]:7070"].map(host_of);
        assert_eq!(hosts, ["a.b", "10.0.0.5", "::1"]);
    }

    #[test]
    fn only_certificates_are_taken_from_a_pem_text() {
        let one = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        let noisy = format!("subject = \"x\"\r\n{one}key \\ of\n{one}");
        assert_eq!(certificates(&noisy), one.repeat(2));
        assert_eq!(certificates("nothing"), "");
    }

    #[test]
    fn a_server_elsewhere_is_reached_where_the_command_line_reaches_it() {
        let seen = |said, server| seen_from_outside(said, server);
        assert_eq!(seen("mqtt.example.org", "http://127.0.0.1:7070"), "mqtt.example.org");
        assert_eq!(seen("0.0.0.0", "http://10.0.0.5:7070"), "10.0.0.5");
        assert_eq!(seen("127.0.0.1", "http://127.0.0.1:7070"), "127.0.0.1");
        let here = seen("0.0.0.0", "http://127.0.0.1:7070");
        assert_eq!(here, lan_address().map_or_else(|| "127.0.0.1".to_owned(), |a| a.to_string()));
    }
}
