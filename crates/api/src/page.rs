//! Lists: a page with a cursor, and its hard cap.
//!
//! *Invariant:* no list is answered without a limit; a cursor is opaque text that this module made.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::problem::Problem;

/// Items a page has when nothing is asked.
const LIMIT_DEFAULT: usize = 50;
/// Items a page has at most.
const LIMIT_MAX: usize = 1_000;

/// One page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// Where the next page begins; null at the end.
    pub(crate) next_cursor: Option<String>,
    /// How many match in all, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total_matching: Option<usize>,
}

impl<T> Page<T> {
    /// A list that is bounded elsewhere and always whole.
    pub(crate) const fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None, total_matching: None }
    }
}

pub(crate) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked {
        None => Ok(LIMIT_DEFAULT),
        Some(limit @ 1..=LIMIT_MAX) => Ok(limit),
        Some(other) => {
            Err(Problem::invalid("limit", format!("{other} is not between 1 and {LIMIT_MAX}")))
        }
    }
}

pub(crate) fn cursor(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

pub(crate) fn parse_cursor(text: Option<&str>) -> Result<Option<String>, Problem> {
    let Some(text) = text else { return Ok(None) };
    URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map(Some)
        .ok_or_else(|| Problem::invalid("cursor", "not a cursor of this list"))
}
