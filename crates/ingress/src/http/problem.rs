//! An error as `application/problem+json` (RFC 9457).
//!
//! *Invariant:* the status follows from the kind by `model`'s table; `code` is stable.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::{ErrorKind, Retry};

/// What went wrong, for programs and people.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: ErrorKind,
    code: &'static str,
    pub(crate) detail: String,
    pub(crate) fix: String,
}

impl Problem {
    pub(crate) fn new(kind: ErrorKind, code: &'static str, detail: String, fix: &str) -> Self {
        Self { kind, code, detail, fix: fix.to_owned() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.kind.http_status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "code": self.code,
            "detail": self.detail,
            "fix": self.fix,
        });
        let mut response = (status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem);
        if self.kind == ErrorKind::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.kind.retry() == Retry::Later {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
