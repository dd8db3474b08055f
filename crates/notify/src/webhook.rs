//! Webhooks: Standard Webhooks 1.0 over HTTP/1.1, one connection for each request.
//!
//! *Invariant:* the address that was judged is the one that is connected to; no redirect is
//! followed; of the answer only status and `Retry-After` are read, within a named size and time.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use model::Timestamp;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use url::{Host, Position, Url};

use crate::address::{Allowed, Listed, refusal};
use crate::route::Outcome;
use crate::signature::{Secret, signatures};
use crate::text::Letter;

/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The largest head of an answer.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How many addresses of a name are tried.
const ADDRESSES_MAX: usize = 3;

/// Makes the requests.
#[derive(Clone)]
pub(crate) struct Client {
    tls: TlsConnector,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

/// What a request needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Post<'a> {
    pub(crate) url: &'a Url,
    pub(crate) secrets: &'a [Secret],
    pub(crate) allowed: &'a Allowed,
}

/// Where to connect to, judged.
async fn addresses(url: &Url, listed: Listed) -> Result<Vec<SocketAddr>, String> {
    let port = url.port_or_known_default().unwrap_or(443);
    let found: Vec<SocketAddr> = match url.host() {
        Some(Host::Ipv4(address)) => vec![SocketAddr::new(IpAddr::V4(address), port)],
        Some(Host::Ipv6(address)) => vec![SocketAddr::new(IpAddr::V6(address), port)],
        Some(Host::Domain(name)) => tokio::net::lookup_host((name, port))
            .await
            .map_err(|error| format!("{name} cannot be resolved: {error}"))?
            .collect(),
        None => Vec::new(),
    };
    let mut why = "it has no address";
    let mut open = Vec::new();
    for address in found {
        match refusal(address.ip(), listed) {
            None => open.push(address),
            Some(reason) => why = reason,
        }
    }
    if open.is_empty() {
        // The address itself is not told: names of the own network are nobody's business.
        let host = url.host_str().unwrap_or_default();
        return Err(format!(
            "{host} is not connected to: its address is {why}; the owner of the tenant can list \
             hosts of the own network under allow_hosts"
        ));
    }
    open.truncate(ADDRESSES_MAX);
    Ok(open)
}

async fn connect(addresses: &[SocketAddr], url: &Url) -> Result<TcpStream, String> {
    let host = url.host_str().unwrap_or_default();
    let mut why = format!("{host} cannot be reached");
    for address in addresses {
        match tokio::time::timeout(CONNECT_MAX, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => why = format!("{host} cannot be reached: {error}"),
            Err(_elapsed) => {
                why = format!("{host} does not answer within {} s", CONNECT_MAX.as_secs());
            }
        }
    }
    Err(why)
}

fn judge(status: StatusCode, after: Option<Duration>) -> Outcome {
    let words = status.canonical_reason().unwrap_or_default();
    let why = format!("the receiver answers {} {words}", status.as_u16());
    if status.is_success() {
        Outcome::Done
    } else if status == StatusCode::GONE {
        Outcome::Gone { why: format!("{why}: it wants no more messages") }
    } else if status.is_redirection() {
        let why = format!("{why}: redirects are not followed, give the address it leads to");
        Outcome::Later { why, after: None }
    } else {
        Outcome::Later { why, after }
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Outcome, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(ANSWER_BYTES_MAX);
    let words = |error: hyper::Error| format!("the receiver speaks no proper HTTP: {error}");
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(words)?;
    // Ends with this function, whatever happens.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(request).await.map_err(words)?;
    let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let after = after.and_then(|value| value.parse().ok()).map(Duration::from_secs);
    Ok(judge(answer.status(), after))
}

impl Client {
    pub(crate) fn new(extra_roots: &RootCertStore) -> Self {
        let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        roots.extend(extra_roots.roots.iter().cloned());
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { tls: TlsConnector::from(Arc::new(config)) }
    }

    fn request(
        post: &Post<'_>,
        letter: &Letter,
        now: Timestamp,
    ) -> Result<Request<Full<Bytes>>, String> {
        let Post { url, secrets, .. } = post;
        let seconds = now.as_millis().div_euclid(1000);
        let path = &url[Position::BeforePath..Position::AfterQuery];
        Request::post(if path.is_empty() { "/" } else { path })
            .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
            .header(USER_AGENT, concat!("iotbiz/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &letter.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signatures(secrets, &letter.id, seconds, &letter.json))
            .body(Full::new(Bytes::from(letter.json.clone())))
            .map_err(|error| format!("no request can be made: {error}"))
    }

    async fn tried(
        &self,
        post: &Post<'_>,
        letter: &Letter,
        now: Timestamp,
    ) -> Result<Outcome, String> {
        let url = post.url;
        let host = url.host_str().unwrap_or_default();
        let listed = post.allowed.lists(host, url.port_or_known_default().unwrap_or(443));
        if url.scheme() != "https" && listed == Listed::No {
            return Err("http is spoken only to hosts listed under allow_hosts; use https".into());
        }
        let request = Self::request(post, letter, now)?;
        let stream = connect(&addresses(url, listed).await?, url).await?;
        // Small requests shall not wait for the acks of smaller ones.
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        if url.scheme() != "https" {
            return exchange(stream, request).await;
        }
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|error| format!("{host} cannot have a certificate: {error}"))?;
        let stream = self.tls.connect(name, stream).await;
        exchange(stream.map_err(|error| format!("no TLS with {host}: {error}"))?, request).await
    }

    /// Posts a letter.
    pub(crate) async fn send(&self, post: Post<'_>, letter: &Letter, now: Timestamp) -> Outcome {
        let tried = self.tried(&post, letter, now).await;
        tried.unwrap_or_else(|why| Outcome::Later { why, after: None })
    }
}
