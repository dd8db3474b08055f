//! HTTP with TLS, and what a proxy in front says about its callers.
//!
//! *Invariant:* a slow handshake holds up nobody else: each is a task of its own, and at most
//! [`HANDSHAKES_MAX`] are under way.
//! *Invariant:* `X-Forwarded-*` is believed only from an address of `http.proxies`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use identity::certificate::PeerCertificate;
use ingress::Tls;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// Handshakes under way.
const HANDSHAKES_MAX: usize = 256;
/// How long one may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Tells handlers what the caller's own hop was, whoever wrote it.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// How long to wait after the system refused to accept, for example without descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections whose handshake is done.
#[derive(Debug)]
pub(super) struct Encrypted {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, Peer)>,
    local: SocketAddr,
}

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    address: SocketAddr,
    over: Over,
    certificate: Option<Arc<PeerCertificate>>,
}

/// What a request came over, on its last hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Tcp,
    Tls,
}

impl Encrypted {
    pub(super) fn new(
        listener: TcpListener,
        tls: Arc<Tls>,
        stop: CancellationToken,
    ) -> std::io::Result<Self> {
        let local = listener.local_addr()?;
        let (done, ready) = mpsc::channel(HANDSHAKES_MAX);
        tokio::spawn(accept(listener, tls, done, stop));
        Ok(Self { ready, local })
    }
}

async fn accept(
    listener: TcpListener,
    tls: Arc<Tls>,
    done: mpsc::Sender<(TlsStream<TcpStream>, Peer)>,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let (socket, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (tls, done) = (Arc::clone(&tls), done.clone());
        tokio::spawn(async move {
            let handshake = tokio::time::timeout(HANDSHAKE_MAX, tls.handshake(socket)).await;
            drop(slot);
            match handshake {
                Ok(Ok(ingress::Encrypted { stream, certificate })) => {
                    let certificate = certificate.map(Arc::new);
                    let peer = Peer { address, over: Over::Tls, certificate };
                    // Nobody takes it any more once the server stops.
                    let _taken = done.send((stream, peer)).await;
                }
                Ok(Err(failed)) => tracing::debug!(%address, detail = failed.detail, "no TLS"),
                Err(_) => tracing::debug!(%address, "the TLS handshake took too long"),
            }
        });
    }
}

impl Listener for Encrypted {
    type Io = TlsStream<TcpStream>;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // The server stops; its graceful shutdown ends this wait.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(Peer { address: self.local, over: Over::Tls, certificate: None })
    }
}

impl Connected<IncomingStream<'_, Encrypted>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Encrypted>) -> Self {
        stream.remote_addr().clone()
    }
}

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self { address: *stream.remote_addr(), over: Over::Tcp, certificate: None }
    }
}

/// Puts the caller's address, as the proxy tells it, and certificate where handlers look for them.
pub(super) async fn introduce(
    State(proxies): State<Arc<[IpAddr]>>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<Peer>>().map(|info| info.0.clone());
    if let Some(peer) = peer {
        let mut address = peer.address;
        if proxies.contains(&address.ip()) {
            let told = request.headers().get("x-forwarded-for").and_then(|v| v.to_str().ok());
            // The last entry is the one our own proxy wrote; the others are the caller's word.
            let told = told.and_then(|list| list.rsplit(',').next()?.trim().parse::<IpAddr>().ok());
            address = told.map_or(address, |ip| SocketAddr::new(ip, 0));
        } else {
            request.headers_mut().remove(FORWARDED_PROTO);
        }
        if peer.over == Over::Tls {
            request.headers_mut().insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
        }
        request.extensions_mut().insert(ConnectInfo(address));
        if let Some(certificate) = peer.certificate {
            request.extensions_mut().insert(certificate);
        }
    }
    next.run(request).await
}
