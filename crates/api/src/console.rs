//! The console, embedded at build time; without a built one, a plain page that says so.
//!
//! *Invariant:* no answer refers to a foreign host, and the content security policy forbids it.

use axum::extract::Path;
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "$IOTBIZ_CONSOLE"]
#[allow_missing = true]
struct Built;

const FALLBACK: &str = include_str!("console/fallback.html");
const POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; \
                      object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/// `full` when a built console is embedded.
pub(crate) fn kind() -> &'static str {
    if Built::get("index.html").is_some() { "full" } else { "fallback" }
}

/// The page; every address that is no file is an address within it.
pub(crate) async fn page(uri: Uri) -> Response {
    // An unknown API address must not look like a page.
    if uri.path().starts_with("/api/") {
        return crate::problem::Problem::not_found("route", uri.path()).into_response();
    }
    let file = uri.path().trim_start_matches('/');
    if let Some(response) = asset_response(file) {
        return response;
    }
    let html = Built::get("index.html").map(|file| file.data.into_owned());
    let html = html.unwrap_or_else(|| FALLBACK.as_bytes().to_vec());
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-cache")];
    (headers, Html(html)).into_response()
}

/// One built file; its name carries its hash, so it may be kept for ever.
pub(crate) async fn asset(Path(path): Path<String>) -> Response {
    let found = asset_response(&format!("assets/{path}"));
    found.unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
}

fn asset_response(path: &str) -> Option<Response> {
    if path.is_empty() || path == "index.html" {
        return None;
    }
    let file = Built::get(path)?;
    let kind = file.metadata.mimetype().to_owned();
    let keep = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let headers = [(header::CONTENT_TYPE, kind.as_str()), (header::CACHE_CONTROL, keep)];
    Some((headers, file.data.into_owned()).into_response())
}

/// The script of the plain page.
pub(crate) async fn fallback_script() -> Response {
    let script = include_str!("console/fallback.js");
    ([(header::CONTENT_TYPE, "text/javascript")], script).into_response()
}
