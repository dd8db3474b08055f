//! Errors as `application/problem+json` (RFC 9457).
//!
//! *Invariant:* an error that is the caller's names place, reason and fix; one that is ours names
//! only a trace id, and the cause goes to the log once.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::ErrorKind;
use serde::Serialize;

use crate::code::{self, Code};

/// One wrong place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Wrong {
    /// JSON pointer (RFC 6901) or parameter name.
    pub(crate) pointer: String,
    /// Why.
    pub(crate) message: String,
}

/// A problem as the caller gets it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct Problem {
    /// Where the code is explained.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) status: u16,
    pub(crate) detail: String,
    /// Stable code; see `iotbiz explain`.
    pub(crate) code: String,
    /// Each wrong place.
    pub(crate) errors: Vec<Wrong>,
    /// What to do.
    pub(crate) fix: Vec<String>,
    /// The same id stands in the server's log.
    pub(crate) trace_id: String,
    /// Blueprint diagnostics, when those are the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) diagnostics: Vec<serde_json::Value>,
    /// What mine and theirs change of the base, when somebody else's revision is the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) merge: Option<serde_json::Value>,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("https://iotbiz.invalid/problems/{}", code.code),
            title: code.title.to_owned(),
            status: code.status,
            detail: detail.into(),
            code: code.code.to_owned(),
            errors: Vec::new(),
            fix: Vec::new(),
            trace_id: trace_id(),
            diagnostics: Vec::new(),
            merge: None,
        }
    }

    pub(crate) fn at(mut self, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        self.errors.push(Wrong { pointer: pointer.into(), message: message.into() });
        self
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix.push(fix.into());
        self
    }

    pub(crate) fn not_found(what: &str, name: &str) -> Self {
        /// Enough of a wrong name to recognise it.
        const SHOWN: usize = 80;
        let name: String = name.chars().take(SHOWN).collect();
        Self::new(code::NOT_FOUND, format!("there is no {what} {name:?}"))
    }

    pub(crate) fn invalid(pointer: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::new(code::INVALID, message.clone()).at(pointer, message)
    }

    fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let problem = Self::new(code::INTERNAL, "the cause is in the server's log");
        tracing::error!(trace_id = problem.trace_id, error, "request failed");
        problem
    }

    /// For an error of a crate below: its kind decides.
    pub(crate) fn from_kind(kind: ErrorKind, error: &(dyn std::error::Error + 'static)) -> Self {
        let code = match kind {
            ErrorKind::Invalid => code::INVALID,
            ErrorKind::Unauthenticated => code::UNAUTHENTICATED,
            ErrorKind::Forbidden => code::FORBIDDEN,
            ErrorKind::NotFound => code::NOT_FOUND,
            ErrorKind::Conflict => code::CONFLICT,
            ErrorKind::TooLarge => code::TOO_LARGE,
            ErrorKind::Overloaded | ErrorKind::Unavailable => code::UNAVAILABLE,
            ErrorKind::Corrupt | ErrorKind::Internal => return Self::internal(error),
        };
        Self::new(code, error.to_string())
    }
}

/// Short, random, only to find the log line again.
fn trace_id() -> String {
    let mut bytes = [0_u8; 6];
    // Without randomness the problem is still told; only the log line is harder to find.
    if getrandom::fill(&mut bytes).is_err() {
        return "000000000000".to_owned();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl From<registry::Error> for Problem {
    fn from(error: registry::Error) -> Self {
        Self::from_kind(error.kind(), &error)
    }
}

impl From<pipeline::Error> for Problem {
    fn from(error: pipeline::Error) -> Self {
        Self::from_kind(error.kind(), &error)
    }
}

impl From<identity::Denied> for Problem {
    fn from(denied: identity::Denied) -> Self {
        Self::from_kind(denied.kind(), &denied)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
