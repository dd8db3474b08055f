//! `iotbiz phone`: how a phone joins a running demo, shown again.
//!
//! *Invariant:* the address is the server's own word: nothing is made here, and it is shown only
//! to whoever could add a device anyway.

use crate::cli::Format;
use crate::client::Client;
use crate::exit::{self, Failure};
use crate::{output, qr};

pub(crate) fn run(client: &Client, format: Format) -> anyhow::Result<()> {
    let status = client.get("/api/v1/status")?;
    let phone = &status["phone"];
    let Some(url) = phone["url"].as_str() else {
        return Err(none(status["mode"].as_str()).into());
    };
    match format {
        Format::Json => output::json(phone),
        Format::Table => {
            let code = qr::drawn(url)?;
            let most = &phone["phones_max"];
            output::print(&format!(
                "  A phone in this network becomes a device, {most} of them at most:\n\n{code}\n\n  \
                 {url}\n"
            ))
        }
    }
}

/// By how the server was started.
fn none(mode: Option<&str>) -> Failure {
    let failure = Failure::new(exit::NOT_FOUND, "this server takes no phones, or not from you");
    if mode == Some("demo") {
        return failure.fix("start the demo with: iotbiz demo --lan");
    }
    let failure = failure.why("phones become devices of a demo only");
    failure.fix("add a device: iotbiz device add NAME --kind KIND, then iotbiz connect NAME")
}
