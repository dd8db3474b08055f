//! The newest messages of a device, with what became of each.
//!
//! *Invariant:* a message is shown as it came, cut to a named length; what is no text is shown in
//! hexadecimal.

use axum::Json;
use axum::extract::{Path, State};
use identity::Action;
use model::Timestamp;
use pipeline::{Direction, Line, Outcome};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::devices::find;
use crate::extract::Params;
use crate::page::{Page, limit};
use crate::problem::Problem;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct MessageQuery {
    limit: Option<usize>,
}

/// One message.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct Message {
    /// Log time.
    #[schema(value_type = String)]
    pub(crate) at: Timestamp,
    /// Place in the log.
    pub(crate) offset: u64,
    /// `up` or `down`.
    pub(crate) direction: &'static str,
    /// Below `me/`.
    pub(crate) topic: String,
    /// Length of the whole payload.
    pub(crate) bytes: usize,
    /// The payload as text, cut to 2 kB; hexadecimal when it is no text.
    pub(crate) text: String,
    /// `ok` or `quarantined`.
    pub(crate) outcome: &'static str,
    /// Why it was quarantined.
    pub(crate) reason: Option<String>,
}

impl Message {
    pub(crate) fn of(line: &Line) -> Self {
        let (outcome, reason) = match &line.outcome {
            Outcome::Ok => ("ok", None),
            Outcome::Quarantined(reason) => ("quarantined", Some(reason.clone())),
        };
        Self {
            at: line.at,
            offset: line.offset.0,
            direction: match line.direction {
                Direction::Up => "up",
                Direction::Down => "down",
            },
            topic: line.topic.clone(),
            bytes: line.bytes,
            text: text(&line.payload),
            outcome,
            reason,
        }
    }
}

pub(crate) fn text(payload: &[u8]) -> String {
    match std::str::from_utf8(payload) {
        Ok(text) => text.to_owned(),
        // A payload cut in the middle of a character is still text.
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(payload.get(..error.valid_up_to()).unwrap_or_default())
                .into_owned()
        }
        Err(_) => payload.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// The newest messages of a device, newest first.
#[utoipa::path(get, path = "/devices/{device}/messages", tag = "devices",
    params(("device" = String, Path, description = "id or name"), MessageQuery),
    responses((status = 200, body = Page<Message>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(device): Path<String>,
    Params(query): Params<MessageQuery>,
) -> Result<Json<Page<Message>>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let twin = find(&app.shard.picture(), tenant, &device)?;
    let lines = app.shard.recent().lines(tenant, twin.id, limit(query.limit)?);
    Ok(Json(Page::whole(lines.iter().map(|line| Message::of(line)).collect())))
}
