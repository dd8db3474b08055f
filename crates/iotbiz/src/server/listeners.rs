//! Where the server listens: the door of devices, the console and the API, with TLS or without.
//!
//! *Invariant:* a console that asks for no token is reached from this machine only; what goes over
//! a network in the clear is said loudly.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use identity::Keyring;
use ingress::{Ingress, Tls};
use model::Clock;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Trust, https, tls};
use crate::config::Config;
use crate::exit::{self, Failure};

/// A console that asks for no token must not be reached from elsewhere.
pub(super) fn refuse_open_console(config: &Config, trust: Trust) -> Result<(), Failure> {
    if trust == Trust::Tokens || config.http.listen.ip().is_loopback() {
        return Ok(());
    }
    let what = format!("{} is not a loopback address", config.http.listen);
    Err(Failure::new(exit::USAGE, what)
        .why("without tokens whoever reaches the console owns everything")
        .fix("listen on 127.0.0.1, or start without --trust-loopback"))
}

/// What the console's listener shows.
pub(super) fn speaking_http(tls: &Arc<Tls>) -> Arc<Tls> {
    Arc::new(tls.speaking(&["http/1.1"]))
}

/// What the listeners with TLS show, if there are any.
pub(super) fn certificates(
    config: &Config,
    keyring: &Arc<Keyring>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Option<tls::Certificates>> {
    if !config.tls.https && config.tls.mqtts.is_none() {
        return Ok(None);
    }
    let listeners: Vec<_> = std::iter::once(config.http.listen).chain(config.tls.mqtts).collect();
    tls::Certificates::new(config, keyring, clock, &listeners).map(Some)
}

pub(super) async fn open_door(
    config: &Config,
    parts: ingress::Parts,
) -> anyhow::Result<(Arc<Ingress>, SocketAddr, Option<SocketAddr>)> {
    let listen = config.mqtt.listen;
    let door = ingress::Config {
        mqtt: vec![listen],
        mqtts: config.tls.mqtts.into_iter().collect(),
        origins: config.http.origins.clone(),
        limits: config.door_limits(),
    };
    match Ingress::start(door, parts).await {
        Ok(ingress) => {
            let mqtt = ingress.addresses().first().copied().unwrap_or(listen);
            let mqtts = ingress.addresses().get(1).copied();
            Ok((Arc::new(ingress), mqtt, mqtts))
        }
        Err(ingress::Error::Listen { source, address }) => {
            Err(Failure::new(exit::CONFLICT, format!("cannot listen on {address} for MQTT"))
                .why(source.to_string())
                .fix("name another address: --mqtt 127.0.0.1:0 picks a free port")
                .into())
        }
        Err(error) => Err(anyhow::Error::new(error).context("open the device door")),
    }
}

pub(super) fn serve(
    (listener, tls): (TcpListener, Option<Arc<Tls>>),
    router: axum::Router,
    proxies: &[IpAddr],
    stop: CancellationToken,
) -> JoinHandle<()> {
    let proxies: Arc<[IpAddr]> = proxies.into();
    let router = router.layer(axum::middleware::from_fn_with_state(proxies, https::introduce));
    tokio::spawn(https::serve(listener, tls, router, stop))
}

/// Says loudly what goes over a network in the clear.
pub(super) fn warn_of_plain(config: &Config) {
    if !config.mqtt.listen.ip().is_loopback() {
        tracing::warn!(
            address = %config.mqtt.listen,
            "MQTT without TLS is open to the network: tokens and readings can be read on the way; \
             use --mqtts and keep the plain port on 127.0.0.1"
        );
    }
    if !config.http.listen.ip().is_loopback() && !config.tls.https && config.http.proxies.is_empty()
    {
        tracing::warn!(
            address = %config.http.listen,
            "console and API without TLS are open to the network; use --https, or a proxy and \
             [http] proxies"
        );
    }
}

pub(super) async fn bind(address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::new(exit::CONFLICT, format!("cannot listen on {address}"))
            .why(error.to_string())
            .fix("name another address: --listen 127.0.0.1:0 picks a free port")
    })?;
    let local = listener.local_addr().context("learn the address of the listener")?;
    Ok((listener, local))
}

/// What a snippet on the connect page names as the server.
pub(super) fn public_host(config: &Config, mqtt: SocketAddr) -> String {
    if config.mqtt.host.is_empty() { mqtt.ip().to_string() } else { config.mqtt.host.clone() }
}
