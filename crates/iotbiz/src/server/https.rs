//! HTTP, with TLS or without, and what a proxy in front says about its callers.
//!
//! *Invariant:* a slow caller holds up nobody else: each connection is a task of its own, there are
//! at most [`CONNECTIONS_MAX`], and a head that drips in ends its connection after [`HEAD_MAX`].
//! *Invariant:* `X-Forwarded-*` is believed only from an address of `http.proxies`.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use identity::certificate::PeerCertificate;
use ingress::Tls;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// Open connections; one more waits in the system's queue.
const CONNECTIONS_MAX: usize = 10_000;
/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long the head of a request may take, the wait between two requests included.
const HEAD_MAX: Duration = Duration::from_secs(30);
/// How long to wait after the system refused to accept, for example without descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Tells handlers what the caller's own hop was, whoever wrote it.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

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

/// Accepts until `stop`, then lets what is being answered end.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let connections = TaskTracker::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (socket, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (tls, router, stop) = (tls.clone(), router.clone(), stop.clone());
        connections.spawn(async move {
            let _slot = slot;
            // Answers are small and must not wait for more.
            let _hint = socket.set_nodelay(true);
            let Some(tls) = tls else {
                let peer = Peer { address, over: Over::Tcp, certificate: None };
                return answer(socket, router, peer, stop).await;
            };
            if let Some((stream, peer)) = shaken(&tls, socket, address).await {
                answer(stream, router, peer, stop).await;
            }
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// The handshake of TLS.
async fn shaken(
    tls: &Tls,
    socket: TcpStream,
    address: SocketAddr,
) -> Option<(tokio_rustls::server::TlsStream<TcpStream>, Peer)> {
    match tokio::time::timeout(HANDSHAKE_MAX, tls.handshake(socket)).await {
        Ok(Ok(ingress::Encrypted { stream, certificate })) => {
            let certificate = certificate.map(Arc::new);
            Some((stream, Peer { address, over: Over::Tls, certificate }))
        }
        Ok(Err(failed)) => {
            tracing::debug!(%address, detail = failed.detail, "no TLS");
            None
        }
        Err(_) => {
            tracing::debug!(%address, "the TLS handshake took too long");
            None
        }
    }
}

/// Answers the requests of one connection.
async fn answer<S>(stream: S, router: Router, peer: Peer, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer.clone()));
        router.clone().oneshot(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // The caller may be gone, or speak something else; nobody else is concerned.
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Whom the last proxy that is not ours, or the first that is, heard: what stands further left in
/// `X-Forwarded-For` is the caller's word.
fn client(request: &Request, proxies: &[IpAddr]) -> Option<IpAddr> {
    let hops = request.headers().get_all("x-forwarded-for").iter();
    let hops: Vec<_> = hops.filter_map(|h| h.to_str().ok()).flat_map(|h| h.split(',')).collect();
    let mut addresses = hops.iter().rev().map_while(|hop| hop.trim().parse::<IpAddr>().ok());
    addresses.find(|address| !proxies.contains(address))
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
            address = client(&request, &proxies).map_or(address, |ip| SocketAddr::new(ip, 0));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(hops: &[&str]) -> Option<IpAddr> {
        let proxies = ["10.0.0.1", "10.0.0.2"].map(|text| text.parse().unwrap());
        let mut request = Request::new(Body::empty());
        for hop in hops {
            request.headers_mut().append("x-forwarded-for", hop.parse().unwrap());
        }
        client(&request, &proxies)
    }

    #[test]
    fn what_stands_left_of_the_first_stranger_is_not_believed() {
        assert_eq!(heard(&["203.0.113.7"]), "203.0.113.7".parse().ok());
        assert_eq!(heard(&["1.2.3.4, 203.0.113.7, 10.0.0.2"]), "203.0.113.7".parse().ok());
        assert_eq!(heard(&["1.2.3.4", "203.0.113.7"]), "203.0.113.7".parse().ok());
        assert_eq!(heard(&["nonsense"]), None);
        assert_eq!(heard(&[]), None);
    }
}
