//! `Idempotency-Key` on POST: the same key and body get the first answer again.
//!
//! *Invariant:* a key is its caller's, so nobody sees another's answer. A request about money runs
//! once for its key, also over a restart: it and its answer are durable beside the records, and one
//! whose end is not known is told so instead of being run again. Other answers are kept in memory:
//! a restart forgets them, and then names that are taken still refuse a second device.
//!
//! `answers` is what is kept, `journal` the file of it.

mod answers;
mod journal;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts as _, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use billing::entry::sha256;
use identity::Action;
use model::{ErrorKind, Timestamp};
use tracing::Instrument as _;
use utoipa::openapi::OpenApi;

pub use self::answers::Answers;
use self::answers::{ANSWER_BYTES_MAX, Answer, End, Known, Stage};
use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::extract;
use crate::problem::Problem;

/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 255;
/// The longest answer of a request with a key.
const READ_BYTES_MAX: usize = 256 << 20;
/// Usage events are known by their own ids, for ever.
const EVENTS: &str = "/api/v1/usage/events";

/// Which answers are kept, and where.
#[derive(Debug, Clone)]
pub(crate) struct Once {
    app: App,
    /// Those that a restart forgets.
    brief: Answers,
    /// POST routes about money, whose answers outlast it.
    money: Arc<BTreeSet<String>>,
}

impl Once {
    pub(crate) fn new(app: App, document: &OpenApi) -> Self {
        let posts = document.paths.paths.iter().filter_map(|(path, item)| {
            let tags = item.post.as_ref()?.tags.as_ref()?;
            tags.iter().any(|tag| tag == "money").then(|| path.clone())
        });
        let money = Arc::new(posts.filter(|path| path != EVENTS).collect());
        Self { app, brief: Answers::in_memory(), money }
    }

    async fn answer(
        &self,
        named: &HeaderValue,
        request: Request,
        next: Next,
    ) -> Result<Response, Problem> {
        let text = named.to_str().unwrap_or_default();
        if text.is_empty() || text.len() > KEY_BYTES_MAX {
            let why = format!("use 1 to {KEY_BYTES_MAX} visible characters");
            return Err(Problem::invalid("Idempotency-Key", why));
        }
        let (mut parts, body) = request.into_parts();
        let route = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
        let mut answers = self.brief.clone();
        if route.is_some_and(|route| self.money.contains(route)) {
            // Who may change nothing makes no disk write, and no room for himself.
            let caller = Caller::from_request_parts(&mut parts, &self.app).await?;
            if caller.may(Action::ChangeMoney).is_ok() {
                answers = self.app.facts.answers.clone();
            }
        }
        let body = extract::bytes(body, extract::largest(&parts.extensions)).await?;
        let (key, asked) = (key(&parts, text), asked(&parts, &body));
        if let Some(known) = begin(&answers, (&key, &asked), self.app.clock.now()).await? {
            return repeated(known, &asked);
        }
        let request = Request::from_parts(parts, Body::from(body));
        // A caller that goes away must not stop it half way: he will ask what became of it.
        let (kept, named) = (answers.clone(), key.clone());
        let running = async move { keep(&kept, named, next.run(request).await).await };
        match tokio::spawn(running.in_current_span()).await {
            Ok(answered) => answered,
            Err(stopped) => {
                end(&answers, key, End::Failed).await;
                Err(Problem::from_kind(ErrorKind::Internal, &stopped))
            }
        }
    }
}

/// The middleware.
pub(crate) async fn once(State(once): State<Once>, request: Request, next: Next) -> Response {
    let named = request.headers().get("idempotency-key").cloned();
    let (Some(named), &Method::POST) = (named, request.method()) else {
        return next.run(request).await;
    };
    once.answer(&named, request, next).await.unwrap_or_else(IntoResponse::into_response)
}

/// Caller, path and key as one; a hash, because tokens are kept nowhere.
fn key(parts: &Parts, text: &str) -> String {
    let [token, cookie] = [header::AUTHORIZATION, header::COOKIE].map(|name| {
        let value = parts.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or_default()
    });
    sha256(serde_json::json!([token, cookie, parts.uri.path(), text]).to_string().as_bytes())
}

/// What was asked under the key.
fn asked(parts: &Parts, body: &[u8]) -> String {
    let query = parts.uri.query().unwrap_or_default();
    sha256(&[query.as_bytes(), b"\n", body].concat())
}

async fn begin(
    answers: &Answers,
    (key, asked): (&str, &str),
    now: Timestamp,
) -> Result<Option<Known>, Problem> {
    let (answers, key, asked) = (answers.clone(), key.to_owned(), asked.to_owned());
    let begun = tokio::task::spawn_blocking(move || answers.begin(&key, &asked, now)).await;
    let begun = begun.map_err(|error| Problem::from_kind(ErrorKind::Internal, &error))?;
    begun.map_err(|error| {
        let why = format!("the request cannot be written down, so it was not run: {error}");
        Problem::new(code::UNAVAILABLE, why)
    })
}

async fn end(answers: &Answers, key: String, end: End) {
    let answers = answers.clone();
    let ended = tokio::task::spawn_blocking(move || answers.end(&key, end)).await;
    if let Ok(Err(error)) = ended {
        let error: &(dyn std::error::Error + 'static) = &error;
        tracing::warn!(
            error,
            "an answer is in memory only; asked again after a restart, it is lost"
        );
    }
}

fn repeated(known: Known, asked: &str) -> Result<Response, Problem> {
    if known.request != asked {
        let why = "this key was used with another body within 24 h";
        return Err(Problem::invalid("Idempotency-Key", why));
    }
    let conflict = |why: &str| Problem::new(code::CONFLICT, why);
    match known.stage {
        Stage::Running => Err(conflict("a request with this key is being answered; ask again")),
        Stage::Unknown => Err(conflict(
            "the server stopped or failed while it answered this key; whether it was done is not \
             known",
        )
        .fix("look whether it was done; if not, ask again with another key")),
        Stage::Done(Answer { body: None, status, .. }) => {
            let why = format!("this was answered with {status}; the answer was too large to keep");
            Err(conflict(&why).fix("look at what it changed"))
        }
        Stage::Done(Answer { status, headers, body: Some(body) }) => {
            Ok((status, headers, body).into_response())
        }
    }
}

/// What succeeded or was refused for good is kept.
async fn keep(answers: &Answers, key: String, response: Response) -> Result<Response, Problem> {
    let (parts, body) = response.into_parts();
    let body = match to_bytes(body, READ_BYTES_MAX).await {
        Ok(body) => body,
        Err(error) => {
            end(answers, key, End::Failed).await;
            return Err(Problem::from_kind(ErrorKind::Internal, &error));
        }
    };
    let failed = parts.status.is_server_error() || parts.status == StatusCode::UNAUTHORIZED;
    let ended = if failed {
        End::Failed
    } else {
        let kept = (body.len() <= ANSWER_BYTES_MAX).then(|| body.clone());
        End::Done(Answer { status: parts.status, headers: parts.headers.clone(), body: kept })
    };
    end(answers, key, ended).await;
    Ok(Response::from_parts(parts, Body::from(body)))
}
