//! Bodies and parameters, with a problem instead of plain text when they are wrong.
//!
//! *Invariant:* a request that cannot be read names the place and the reason.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::code;
use crate::problem::Problem;

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

/// Parameters of the query.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<S, T> FromRequest<S> for Body<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(JsonRejection::JsonDataError(error)) => {
                Err(Problem::invalid("/", error.body_text()))
            }
            Err(JsonRejection::MissingJsonContentType(_)) => {
                let problem = Problem::new(code::NOT_JSON, "the body is not marked as JSON");
                Err(problem.fix("send the header Content-Type: application/json"))
            }
            Err(other) if other.status().as_u16() == code::TOO_LARGE.status => {
                Err(Problem::new(code::TOO_LARGE, other.body_text()))
            }
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
