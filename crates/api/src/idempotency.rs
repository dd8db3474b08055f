//! `Idempotency-Key` on POST: the same key and body get the first answer again.
//!
//! *Invariant:* bounded by [`KEYS_MAX`] and [`WINDOW`]; a key is its caller's, so nobody sees
//! another's answer. Kept in memory: a restart forgets, and then names that are taken still refuse
//! a second device.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::code;
use crate::openapi::BODY_BYTES_MAX;
use crate::problem::Problem;

/// How long an answer is kept.
const WINDOW: Duration = Duration::from_secs(24 * 3600);
/// Answers kept; the oldest makes room.
const KEYS_MAX: usize = 10_000;
/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 255;
/// The largest answer that is kept.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Caller, path and key.
type Key = (String, String, String);

/// The answers of the last day; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answers(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    answers: BTreeMap<Key, Kind>,
    order: VecDeque<(Duration, Key)>,
}

#[derive(Debug, Clone)]
enum Kind {
    /// The first request is still being answered.
    Running,
    Done {
        request: Bytes,
        status: StatusCode,
        headers: HeaderMap,
        body: Bytes,
    },
}

impl Answers {
    /// What is known of a key; marks it as running when nothing is.
    fn begin(&self, key: &Key, now: Duration) -> Option<Kind> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((at, _)) = kept.order.front() {
            let old = now.saturating_sub(*at) >= WINDOW || kept.order.len() > KEYS_MAX;
            match kept.order.pop_front() {
                Some((_, key)) if old => kept.answers.remove(&key),
                Some(young) => {
                    kept.order.push_front(young);
                    break;
                }
                None => break,
            };
        }
        if let Some(known) = kept.answers.get(key) {
            return Some(known.clone());
        }
        kept.answers.insert(key.clone(), Kind::Running);
        kept.order.push_back((now, key.clone()));
        None
    }

    /// Keeps an answer, or forgets the key so that the caller may try again.
    fn end(&self, key: &Key, answer: Option<Kind>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Some(answer) => {
                kept.answers.insert(key.clone(), answer);
            }
            None => {
                kept.answers.remove(key);
                kept.order.retain(|(_, other)| other != key);
            }
        }
    }
}

/// Forgets a key whose request went away before it was answered.
struct Running<'a> {
    answers: &'a Answers,
    key: &'a Key,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let running = {
            let kept = self.answers.0.lock().unwrap_or_else(PoisonError::into_inner);
            matches!(kept.answers.get(self.key), Some(Kind::Running))
        };
        if running {
            self.answers.end(self.key, None);
        }
    }
}

/// The middleware.
pub(crate) async fn once(
    State((app, answers)): State<(App, Answers)>,
    request: Request,
    next: Next,
) -> Response {
    let named = request.headers().get("idempotency-key").cloned();
    let (Some(named), &Method::POST) = (named, request.method()) else {
        return next.run(request).await;
    };
    let text = named.to_str().unwrap_or_default();
    if text.is_empty() || text.len() > KEY_BYTES_MAX {
        let why = format!("use 1 to {KEY_BYTES_MAX} visible characters");
        return Problem::invalid("Idempotency-Key", why).into_response();
    }
    let caller = [header::AUTHORIZATION, header::COOKIE].map(|name| {
        let value = request.headers().get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    });
    let key = (caller.join("\n"), request.uri().path().to_owned(), text.to_owned());
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        let why = format!("the body is larger than {BODY_BYTES_MAX} bytes");
        return Problem::new(code::TOO_LARGE, why).into_response();
    };
    match answers.begin(&key, app.clock.monotonic()) {
        Some(Kind::Done { request, status, headers, body: answer }) if request == body => {
            return (status, headers, answer).into_response();
        }
        Some(Kind::Done { .. }) => {
            let why = "this key was used with another body within 24 h";
            return Problem::invalid("Idempotency-Key", why).into_response();
        }
        Some(Kind::Running) => {
            let why = "a request with this key is being answered; ask again";
            return Problem::new(code::CONFLICT, why).into_response();
        }
        None => {}
    }
    let _forget = Running { answers: &answers, key: &key };
    let response = next.run(Request::from_parts(parts, Body::from(body.clone()))).await;
    keep(&answers, &key, body, response).await
}

/// What succeeded or was refused for good is kept; a failure of ours may be tried again.
async fn keep(answers: &Answers, key: &Key, request: Bytes, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, ANSWER_BYTES_MAX).await else {
        let why = "the answer was too large to be kept; ask without Idempotency-Key";
        return Problem::new(code::TOO_LARGE, why).into_response();
    };
    if !parts.status.is_server_error() && parts.status != StatusCode::UNAUTHORIZED {
        let (status, headers, body) = (parts.status, parts.headers.clone(), body.clone());
        answers.end(key, Some(Kind::Done { request, status, headers, body }));
    }
    Response::from_parts(parts, Body::from(body))
}
