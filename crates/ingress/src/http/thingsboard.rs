//! The device API that ThingsBoard has over HTTP: the token is part of the path.
//!
//! *Invariant:* the same door, rules and answers as `/ingest/v1`; the path only says the token in
//! another place, and is never logged.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;

use crate::shared::Shared;

use super::{Whose, answer};

type Call = (State<Arc<Shared>>, Path<String>, Request);

pub(super) async fn telemetry((shared, token, request): Call) -> Response {
    answer(shared.0, "telemetry", OWN, bearing(&token, request)).await
}

pub(super) async fn attributes((shared, token, request): Call) -> Response {
    answer(shared.0, "reported", OWN, bearing(&token, request)).await
}

const OWN: Whose = Whose { device: None };

/// The request with its token where ours is.
fn bearing(token: &str, mut request: Request) -> Request {
    // A token that no header can carry is nobody's.
    let value = HeaderValue::try_from(format!("Bearer {token}"));
    let mut value = value.unwrap_or(HeaderValue::from_static("Bearer"));
    value.set_sensitive(true);
    request.headers_mut().insert(header::AUTHORIZATION, value);
    request
}
