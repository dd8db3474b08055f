//! A server over a folder on disk, opened again by each child.
//!
//! *Invariant:* an answer that is no success is an error; history is empty, so all usage is events.

use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, header};
use eventlog::{Log, OsDisk};
use model::{Clock, SystemClock};
use serde_json::Value;

use crate::Outcome;
use crate::server::{Parts, Server};

/// Bytes of the longest answer.
const ANSWER_BYTES_MAX: usize = 1 << 28;

pub(crate) struct Site(Server);

impl Site {
    pub(crate) async fn open(folder: &Path) -> Outcome<Self> {
        std::fs::create_dir_all(folder)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let options = eventlog::Options::default();
        let place = folder.join("log");
        let log = Log::open(Arc::new(OsDisk), Arc::clone(&clock), &place, options)?;
        let readings = api::Readings(Arc::new(|_, _| Ok(())));
        let parts = Parts { log_clock: Arc::clone(&clock), clock, log, readings };
        Ok(Self(Server::open(folder, parts).await?))
    }

    pub(crate) const fn server(&self) -> &Server {
        &self.0
    }

    pub(crate) async fn bytes(
        &self,
        (method, path): (&str, &str),
        token: &str,
        body: String,
    ) -> Outcome<Bytes> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))?;
        let answer = self.0.send(request).await;
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await?;
        if status.is_success() {
            return Ok(bytes);
        }
        Err(format!("{method} {path}: {status} {}", String::from_utf8_lossy(&bytes)).into())
    }

    pub(crate) async fn call(
        &self,
        request: (&str, &str),
        token: &str,
        body: &Value,
    ) -> Outcome<Value> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Ok(serde_json::from_slice(&self.bytes(request, token, body).await?)?)
    }

    pub(crate) fn close(self) -> Outcome<()> {
        self.0.close()
    }
}
