//! How a change becomes true: registry, outbox, log, folds; then the answer.
//!
//! *Invariant:* an answer of 200 or 201 means that the folds have applied the change; when they
//! have not within [`PATIENCE`] the answer is an error that says it is durable but not applied.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use model::{Offset, TenantId};
use registry::{Author, Content, Decision, Expect, Key, Kind, Revision};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::code;
use crate::problem::Problem;

/// How long a caller waits for its change to be applied.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// `?dry_run=true`: say what would change, change nothing.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::IntoParams)]
pub(crate) struct DryRun {
    /// Say what would change and change nothing.
    #[serde(default)]
    pub(crate) dry_run: bool,
}

/// The changes that a dry run found.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Changes {
    pub(crate) changes: Vec<String>,
}

/// Names a record of the tenant.
pub(crate) const fn key(tenant: TenantId, kind: Kind, id: &str) -> Key<'_> {
    Key { tenant, kind, id }
}

/// The content of a record as it is stored.
pub(crate) fn json<T: Serialize>(content: &T) -> Result<serde_json::Value, Problem> {
    serde_json::to_value(content)
        .map_err(|error| Problem::from_kind(model::ErrorKind::Internal, &error))
}

/// Writes a record that rests on `expect`.
pub(crate) async fn put<T: Serialize + Sync>(
    app: &App,
    key: Key<'_>,
    content: &T,
    actor: &str,
    expect: Expect,
) -> Result<Revision, Problem> {
    let json = json(content)?;
    let decision = Decision { key, content: Some(Content::Tree(&json)), expect };
    let written = app.registry.put(&decision, &Author::new(actor)).await;
    written.map_err(|error| conflict(error, expect))
}

/// Waits until the outbox row is relayed and applied.
pub(crate) async fn applied(app: &App, seq: u64) -> Result<Offset, Problem> {
    let offset = app.relay.durable(seq, PATIENCE).await?;
    app.shard.applied(offset, PATIENCE).await?;
    Ok(offset)
}

/// Waits for many transactions one after another, so that the newest is written while the one
/// before it is applied.
#[derive(Debug, Default)]
pub(crate) struct Applying(Option<u64>);

impl Applying {
    /// Takes the newest transaction and waits for the one before it.
    pub(crate) async fn next(&mut self, app: &App, newest: Option<u64>) -> Result<(), Problem> {
        let Some(newest) = newest else { return Ok(()) };
        match self.0.replace(newest) {
            Some(before) => applied(app, before).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// Waits for the last one.
    pub(crate) async fn end(self, app: &App) -> Result<(), Problem> {
        match self.0 {
            Some(last) => applied(app, last).await.map(|_| ()),
            None => Ok(()),
        }
    }
}

/// What `If-Match` expects; without it any revision will do.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Expect, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(Expect::Any) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(Expect::Any);
    }
    let number = text.strip_prefix("W/").unwrap_or(text).trim_matches('"').parse();
    number.map(Expect::Revision).map_err(|_| {
        Problem::invalid("If-Match", format!("{text:?} is not an ETag that this server gave"))
    })
}

/// A conflict under `If-Match` is a failed precondition (RFC 9110, section 13.1.1).
pub(crate) fn conflict(error: registry::Error, expect: Expect) -> Problem {
    let stale = matches!(expect, Expect::Revision(_)) && error.kind() == model::ErrorKind::Conflict;
    if stale { Problem::new(code::STALE, error.to_string()) } else { error.into() }
}

pub(crate) fn etag(revision: u64) -> [(header::HeaderName, String); 1] {
    [(header::ETAG, format!("\"{revision}\""))]
}
