//! Sending a request and reading its answer.
//!
//! *Invariant:* a request that may be repeated is tried at most [`TRIES_MAX`] times, each for
//! [`REQUEST_MAX`] at most. One that must not be done twice is tried once: its caller looks what
//! became of it.

use std::io;
use std::time::Duration;

use model::{Clock as _, SystemClock};
use ureq::Agent;
use ureq::http::{Request, Response};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

use crate::sign::{self, Unsigned};
use crate::{Access, Error, Place, xml};

/// How often a request is tried.
const TRIES_MAX: u32 = 3;
/// The pause after the first try; it doubles.
const PAUSE: Duration = Duration::from_millis(200);
/// How long one try may take: a part of 16 MiB over a slow line.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The largest answer; objects that are larger are read in ranges.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// The longest reason that is told, in characters.
const WHY_CHARS_MAX: usize = 300;

/// Whether a request may be done twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// The result is the same.
    Same,
    /// Only the caller can tell.
    Never,
}

/// A request for an object of the bucket, or for the bucket itself.
#[derive(Debug, Clone)]
pub(crate) struct Ask<'a> {
    pub(crate) method: &'static str,
    /// Empty: the bucket.
    pub(crate) key: &'a str,
    /// Names and values, in order of the names.
    pub(crate) query: &'a [(&'a str, &'a str)],
    /// Besides those that each request has.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
    pub(crate) again: Again,
}

/// What a store said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response<()>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A store and the way to it.
#[derive(Debug)]
pub(crate) struct Wire {
    agent: Agent,
    access: Access,
    /// `https://host:port`.
    base: String,
    host: String,
    /// What stands in the path before the key: `/bucket`, or nothing.
    before: String,
    clock: SystemClock,
}

fn tls(place: &Place, pem: &[u8]) -> Result<TlsConfig, Error> {
    let mut config = TlsConfig::builder();
    if !pem.is_empty() {
        let found: Vec<Certificate<'static>> = ureq::tls::parse_pem(pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                Ok(_) | Err(_) => None,
            })
            .collect();
        if found.is_empty() {
            return Err(Error::Authority { place: place.to_string() });
        }
        config = config.root_certs(RootCerts::new_with_certs(&found));
    }
    Ok(config.build())
}

impl Wire {
    pub(crate) fn new(place: &Place, mut access: Access) -> Result<Self, Error> {
        if access.access_key_id.is_empty() || access.secret_access_key.is_empty() {
            return Err(Error::NoKey { place: place.to_string() });
        }
        if access.region.is_empty() {
            "us-east-1".clone_into(&mut access.region);
        }
        let (base, before) = match access.endpoint.trim_end_matches('/') {
            "" => {
                // A dot in the name would not fit the certificate.
                let at = format!("s3.{}.amazonaws.com", access.region);
                if place.bucket.contains('.') {
                    (format!("https://{at}"), format!("/{}", place.bucket))
                } else {
                    (format!("https://{}.{at}", place.bucket), String::new())
                }
            }
            own => (own.to_owned(), format!("/{}", place.bucket)),
        };
        let host = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"));
        let host = host.filter(|host| !host.is_empty() && !host.contains(['/', '@', '?']));
        let Some(host) = host.map(str::to_owned) else {
            return Err(Error::Endpoint { endpoint: access.endpoint });
        };
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(REQUEST_MAX))
            .timeout_connect(Some(CONNECT_MAX))
            .tls_config(tls(place, &access.authority)?)
            .build()
            .into();
        Ok(Self { agent, access, base, host, before, clock: SystemClock::new() })
    }

    /// Asks until there is an answer that will not change.
    pub(crate) fn ask(&self, ask: &Ask<'_>) -> io::Result<Answer> {
        let tries = match ask.again {
            Again::Same => TRIES_MAX,
            Again::Never => 1,
        };
        for attempt in 1.. {
            let result = self.once(ask);
            let passing = match &result {
                Ok(answer) => {
                    let status = answer.response.status();
                    status.is_server_error() || status.as_u16() == 429
                }
                Err(_) => true,
            };
            if !passing || attempt >= tries {
                return result.and_then(|answer| judged(ask, answer));
            }
            std::thread::sleep(PAUSE * 2_u32.saturating_pow(attempt - 1));
        }
        unreachable!("the last try returns")
    }

    fn once(&self, ask: &Ask<'_>) -> io::Result<Answer> {
        let key = sign::encoded(ask.key, b"/");
        let path = match (self.before.as_str(), key.as_str()) {
            ("", key) => format!("/{key}"),
            (before, "") => before.to_owned(),
            (before, key) => format!("{before}/{key}"),
        };
        let query: Vec<String> = ask
            .query
            .iter()
            .map(|(name, value)| format!("{name}={}", sign::encoded(value, b"")))
            .collect();
        let query = query.join("&");
        let unsigned = Unsigned { method: ask.method, path: &path, query: &query, body: ask.body };
        let mut given = vec![("host", self.host.as_str())];
        given.extend(ask.headers);
        let headers = sign::headers(&self.access, &unsigned, &given, self.clock.now());
        let mark = if query.is_empty() { "" } else { "?" };
        let mut request =
            Request::builder().method(ask.method).uri(format!("{}{path}{mark}{query}", self.base));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let sent = match ask.method {
            "PUT" | "POST" => request.body(ask.body).map(|request| self.agent.run(request)),
            _ => request.body(()).map(|request| self.agent.run(request)),
        };
        let answer = sent.map_err(io::Error::other)?.map_err(ureq::Error::into_io)?;
        let (head, mut body) = answer.into_parts();
        let bytes = body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = bytes.map_err(ureq::Error::into_io)?;
        Ok(Answer { response: Response::from_parts(head, ()), body })
    }
}

/// An answer that is not what was asked for, as an error with its kind.
fn judged(ask: &Ask<'_>, answer: Answer) -> io::Result<Answer> {
    let status = answer.response.status();
    if status.is_success() {
        return Ok(answer);
    }
    let kind = match status.as_u16() {
        404 => io::ErrorKind::NotFound,
        401 | 403 => io::ErrorKind::PermissionDenied,
        412 => io::ErrorKind::AlreadyExists,
        _ => io::ErrorKind::Other,
    };
    let text = answer.text();
    // A bucket that is missing is no object that is missing.
    let code = xml::first(&text, "Code").unwrap_or_default();
    let kind = if code == "NoSuchBucket" { io::ErrorKind::Other } else { kind };
    let said = xml::first(&text, "Message").unwrap_or_default();
    let said = format!("{} answered {status} {code} {said}", ask.method);
    let said: String = said.trim_end().chars().take(WHY_CHARS_MAX).collect();
    Err(io::Error::new(kind, said))
}
