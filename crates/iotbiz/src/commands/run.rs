//! `iotbiz run`: a server in the foreground.

use anyhow::Context;
use api::HttpTls;
use serde_json::json;

use crate::cli::{Format, RunArgs};
use crate::config::Config;
use crate::output;
use crate::server::{Server, Trust};

pub(crate) fn run(args: &RunArgs, format: Format) -> anyhow::Result<()> {
    let config = Config::load(args)?;
    let trust = if args.trust_loopback { Trust::Loopback } else { Trust::Tokens };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("start the runtime")?.block_on(async {
        let server = Server::start(&config, trust).await?;
        announce(&server, format)?;
        server.serve_until(interrupted()).await
    })
}

fn announce(server: &Server, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        let said = json!({
            "http": server.ports.http.to_string(), "mqtt": server.ports.mqtt.to_string(),
            "mqtts": server.ports.mqtts.map(|address| address.to_string()),
            "https": server.ports.http_tls == HttpTls::On, "setup_token": server.setup_token,
        });
        return output::line(&said.to_string());
    }
    let scheme = server.ports.http_tls.scheme();
    output::line(&format!("console and API  {scheme}://{}", server.ports.http))?;
    output::line(&format!("MQTT             {}", server.ports.mqtt))?;
    if let Some(mqtts) = server.ports.mqtts {
        output::line(&format!("MQTT with TLS    {mqtts}"))?;
    }
    if let Some(token) = &server.setup_token {
        output::line(&format!("setup token      {token}"))?;
        output::talk(
            "No owner yet: open the console within 15 minutes and give it the setup token.\n\
             It works once; a restart prints another.",
        );
    }
    Ok(())
}

/// Ready at Ctrl-C or SIGTERM.
pub(crate) async fn interrupted() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without a signal to wait for, the process ends by being killed, which loses nothing.
    if interrupt.await.is_err() {
        std::future::pending::<()>().await;
    }
}
