//! The HTTP client of the command line.
//!
//! *Invariant:* a problem of the server becomes three lines (what, why, do this) and the exit code
//! of its kind; a server that cannot be reached is code 6.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{RootCerts, TlsConfig};

use crate::cli::Global;
use crate::exit::{self, Failure};

/// How long a request may take; a stream has none.
const REQUEST_MAX: Duration = Duration::from_secs(60);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// A server to talk to.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    server: String,
    token: Option<String>,
}

/// What makes requests; a server with TLS is verified against `ca` alone.
fn agent(ca: Option<&Path>) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(5)))
        .user_agent(concat!("iotbiz/", env!("CARGO_PKG_VERSION")));
    let roots = ca.and_then(|file| std::fs::read(file).ok()).map(|pem| {
        let found = ureq::tls::parse_pem(&pem).filter_map(|item| match item {
            Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
            Ok(_) | Err(_) => None,
        });
        RootCerts::new_with_certs(&found.collect::<Vec<_>>())
    });
    match roots {
        None => config.build().into(),
        Some(roots) => {
            let tls = TlsConfig::builder().root_certs(roots).build();
            config.tls_config(tls).build().into()
        }
    }
}

/// The bytes of a stream, as they come.
pub(crate) type Stream = Box<dyn std::io::Read + Send>;

impl Client {
    pub(crate) fn new(global: &Global) -> Self {
        let mut client = Self { token: global.token.clone(), ..Self::local(&global.server) };
        if let Some(file) = &global.ca {
            client.agent = agent(Some(file));
        }
        client
    }

    /// For a server that asks this machine for no token.
    pub(crate) fn local(server: &str) -> Self {
        Self { agent: agent(None), server: server.trim_end_matches('/').to_owned(), token: None }
    }

    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.call("GET", path, None)
    }

    /// A text, such as PEM, as it is.
    pub(crate) fn text(&self, path: &str) -> Result<String, Failure> {
        let mut answer = self.ask("GET", path, ("", ""))?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        let text = body.read_to_string().map_err(|error| self.unreachable(&error))?;
        if status >= 400 { Err(problem(status, &text)) } else { Ok(text) }
    }

    /// A document, as it is.
    pub(crate) fn document(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let mut answer = self.ask("GET", path, ("", ""))?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        let bytes = body.read_to_vec().map_err(|error| self.unreachable(&error))?;
        let words = || String::from_utf8_lossy(&bytes).into_owned();
        if status >= 400 { Err(problem(status, &words())) } else { Ok(bytes) }
    }

    /// Posts a text of another kind than JSON.
    pub(crate) fn send_text(&self, path: &str, kind: &str, text: &str) -> Result<Value, Failure> {
        self.read(self.ask("POST", path, (kind, text))?)
    }

    /// Posts usage events; what was not taken is part of the answer, not a failure of the call.
    pub(crate) fn send_events(&self, path: &str, lines: &str) -> Result<Value, Failure> {
        let mut answer = self.ask("POST", path, ("application/x-ndjson", lines))?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        let text = body.read_to_string().map_err(|error| self.unreachable(&error))?;
        let read = serde_json::from_str::<Value>(&text).ok();
        read.filter(|read| read["accepted"].is_u64()).ok_or_else(|| problem(status, &text))
    }

    /// One call; an empty answer is null.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let text = body.map(ToString::to_string).unwrap_or_default();
        let kind = if body.is_some() { "application/json" } else { "" };
        self.read(self.ask(method, path, (kind, &text))?)
    }

    /// Sends a request; an empty kind is no body.
    fn ask(
        &self,
        method: &str,
        path: &str,
        (kind, text): (&str, &str),
    ) -> Result<Response<ureq::Body>, Failure> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.server))
            .header("accept", "application/json");
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(text.to_owned()).map_err(|error| {
            Failure::new(exit::USAGE, format!("{} is no address", self.server))
                .why(error.to_string())
        })?;
        let agent = &self.agent;
        let request = agent.configure_request(request).timeout_global(Some(REQUEST_MAX)).build();
        agent.run(request).map_err(|error| self.unreachable(&error))
    }

    fn read(&self, mut answer: Response<ureq::Body>) -> Result<Value, Failure> {
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        let text = body.read_to_string().map_err(|error| self.unreachable(&error))?;
        if status >= 400 {
            return Err(problem(status, &text));
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).map_err(|error| {
            Failure::new(
                exit::FAILED,
                format!("{} answered something that is no JSON", self.server),
            )
            .why(error.to_string())
            .fix("check that --server names an iotbiz server")
        })
    }

    /// Opens a stream of server-sent events.
    pub(crate) fn stream(&self, path: &str) -> Result<Stream, Failure> {
        self.open(path, "text/event-stream")
    }

    /// Opens a file of any size.
    pub(crate) fn bytes(&self, path: &str) -> Result<Stream, Failure> {
        self.open(path, "*/*")
    }

    fn open(&self, path: &str, accept: &str) -> Result<Stream, Failure> {
        let url = format!("{}{path}", self.server);
        let mut request = self.agent.get(&url).header("accept", accept);
        if let Some(token) = &self.token {
            request = request.header("authorization", &format!("Bearer {token}"));
        }
        let answer = request.call().map_err(|error| self.unreachable(&error))?;
        let status = answer.status().as_u16();
        if status >= 400 {
            let text = answer.into_body().read_to_string().unwrap_or_default();
            return Err(problem(status, &text));
        }
        Ok(Box::new(answer.into_body().into_reader()))
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        Failure::new(exit::UNREACHABLE, format!("cannot reach {}", self.server))
            .why(error.to_string())
            .fix("start one: iotbiz demo, or name another: --server URL")
    }
}

fn problem(status: u16, text: &str) -> Failure {
    let problem: Value = serde_json::from_str(text).unwrap_or_default();
    let code = match status {
        401 | 403 => exit::NOT_ALLOWED,
        404 => exit::NOT_FOUND,
        409 | 412 => exit::CONFLICT,
        400 | 413 | 422 => exit::USAGE,
        429 | 502..=504 => exit::UNREACHABLE,
        _ => exit::FAILED,
    };
    let said = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    let what = match (said("code"), said("detail")) {
        (_, detail) if detail.is_empty() => format!("the server answered {status}"),
        (code, detail) => format!("[{code}] {detail}"),
    };
    let mut failure = Failure::new(code, what);
    for wrong in problem["errors"].as_array().into_iter().flatten() {
        let text = |name: &str| wrong[name].as_str().unwrap_or_default();
        failure = failure.why(format!("{}: {}", text("pointer"), text("message")));
    }
    for fix in problem["fix"].as_array().into_iter().flatten() {
        failure = failure.fix(fix.as_str().unwrap_or_default());
    }
    failure
}

/// Text made safe for a place in a path or query.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
