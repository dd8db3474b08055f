//! Bodies and parameters, with a problem instead of plain text when they are wrong.
//!
//! *Invariant:* a request that cannot be read names the place and the reason.

use axum::Json;
use axum::body::{Bytes, to_bytes};
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, MatchedPath, Query, Request};
use axum::http::Extensions;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use serde::de::DeserializeOwned;

use crate::code;
use crate::openapi::body_bytes_max;
use crate::problem::Problem;

/// A body that is no JSON document: CSV, lines.
#[derive(Debug)]
pub(crate) struct Raw(pub(crate) Bytes);

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

/// Parameters of the query.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

/// The largest body of the route that a request met.
pub(crate) fn largest(extensions: &Extensions) -> usize {
    body_bytes_max(extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str))
}

/// The middleware that sets it.
pub(crate) async fn sized(mut request: Request, next: Next) -> Response {
    DefaultBodyLimit::max(largest(request.extensions())).apply(&mut request);
    next.run(request).await
}

/// All bytes of a body of at most `max`.
pub(crate) async fn bytes(body: axum::body::Body, max: usize) -> Result<Bytes, Problem> {
    to_bytes(body, max).await.map_err(|_| too_large(max))
}

fn too_large(max: usize) -> Problem {
    let why = format!("the body is larger than {max} bytes, the most that this route takes");
    Problem::new(code::TOO_LARGE, why).fix("send it in parts")
}

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let max = largest(request.extensions());
        bytes(request.into_body(), max).await.map(Self)
    }
}

impl<S, T> FromRequest<S> for Body<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let max = largest(request.extensions());
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(JsonRejection::JsonDataError(error)) => {
                Err(Problem::invalid("/", error.body_text()))
            }
            Err(JsonRejection::MissingJsonContentType(_)) => {
                let problem = Problem::new(code::NOT_JSON, "the body is not marked as JSON");
                Err(problem.fix("send the header Content-Type: application/json"))
            }
            Err(other) if other.status().as_u16() == code::TOO_LARGE.status => Err(too_large(max)),
            Err(other) => Err(Problem::new(code::NOT_JSON, other.body_text())),
        }
    }
}

impl<S, T> FromRequestParts<S> for Params<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        match read {
            Ok(Query(params)) => Ok(Self(params)),
            Err(error) => Err(Problem::invalid("query", error.body_text())),
        }
    }
}
