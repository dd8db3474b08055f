//! What happens now: one feed, as server-sent events or over a WebSocket.
//!
//! *Invariant:* a caller hears only its own tenant. A watcher that falls behind is told so
//! (`behind`) and reads again; nothing is queued without bound for it.

mod feed;

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::ws::{Message as Frame, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use identity::Action;
use serde::Deserialize;

use crate::app::App;
use crate::caller::Caller;
use crate::devices::find;
use crate::extract::Params;
use crate::problem::Problem;
use feed::{Feed, Happening, Interest};

/// Distance of the comments that keep proxies from closing a quiet stream.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Distance of pings on a WebSocket.
const PING: Duration = Duration::from_secs(15);
/// Devices one feed may name.
const DEVICES_MAX: usize = 500;
/// The longest frame a watcher may send.
const FRAME_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
pub(crate) struct StreamQuery {
    /// Ids or names, comma-separated; all when left out.
    devices: Option<String>,
    /// `reading,message,twin,status,refusal,command,alarm`; all when left out.
    kinds: Option<String>,
}

fn interest(app: &App, caller: &Caller, query: &StreamQuery) -> Result<Interest, Problem> {
    let tenant = caller.may(Action::Read)?;
    let mut interest = Interest::new(tenant);
    if let Some(names) = query.devices.as_deref().filter(|names| !names.is_empty()) {
        let picture = app.shard.picture();
        // A device that is gone has nothing to say; those beside it still do.
        let found = |name| find(&picture, tenant, name).ok().map(|twin| twin.id);
        let ids: std::collections::BTreeSet<_> = names.split(',').filter_map(found).collect();
        if ids.len() > DEVICES_MAX {
            let message = format!("{} devices, at most {DEVICES_MAX}", ids.len());
            return Err(Problem::invalid("devices", message));
        }
        interest.devices = Some(ids);
    }
    if let Some(kinds) = query.kinds.as_deref().filter(|kinds| !kinds.is_empty()) {
        interest.kinds = Some(
            kinds
                .split(',')
                .map(|word| {
                    feed::Kind::parse(word).ok_or_else(|| {
                        let known = "reading, message, twin, status, refusal, command or alarm";
                        Problem::invalid("kinds", format!("{word:?} is not {known}"))
                    })
                })
                .collect::<Result<_, _>>()?,
        );
    }
    Ok(interest)
}

/// The live feed: server-sent events, or a WebSocket when the request asks for an upgrade.
#[utoipa::path(get, path = "/stream", tag = "live", params(StreamQuery),
    responses((status = 200, description = "events", content_type = "text/event-stream"),
        (status = "default", body = Problem)))]
pub(crate) async fn stream(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<StreamQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let interest = interest(&app, &caller, &query)?;
    let (mut parts, _body) = request.into_parts();
    let resume = last_event_id(&parts.headers);
    match WebSocketUpgrade::from_request_parts(&mut parts, &app).await {
        Ok(upgrade) => {
            let upgrade = upgrade.max_message_size(FRAME_BYTES_MAX);
            Ok(upgrade.on_upgrade(move |socket| talk(socket, app, caller, interest)))
        }
        Err(_) => Ok(events(Feed::new(app, interest, resume)).into_response()),
    }
}

fn last_event_id(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

fn events(feed: Feed) -> Response {
    let events = stream::unfold(feed, |mut feed| async move {
        let happening = feed.next().await?;
        let event = Event::default()
            .event(happening.kind.as_str())
            .id(happening.offset.to_string())
            .data(happening.data.to_string());
        Some((Ok::<_, Infallible>(event), feed))
    });
    let keep_alive = KeepAlive::new().interval(HEARTBEAT).text("alive");
    ([("x-accel-buffering", "no")], Sse::new(events).keep_alive(keep_alive)).into_response()
}

/// What a watcher may ask over a WebSocket.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Ask {
    Subscribe(Wish),
    /// Everything, until the next subscription.
    Unsubscribe {},
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    devices: Option<Vec<String>>,
    kinds: Option<Vec<String>>,
    /// The newest offset heard before: what these devices said since is repeated.
    after: Option<u64>,
}

/// What was asked, understood.
struct Asked {
    interest: Interest,
    after: Option<u64>,
}

async fn talk(mut socket: WebSocket, app: App, caller: Caller, interest: Interest) {
    let mut feed = Feed::new(app.clone(), interest, None);
    let mut ping = tokio::time::interval(PING);
    let mut sequence = 0_u64;
    loop {
        let sent = tokio::select! {
            asked = socket.recv() => match asked {
                Some(Ok(Frame::Text(text))) => match ask(&app, &caller, &text) {
                    Ok(asked) => {
                        feed.set(asked.interest, asked.after);
                        continue;
                    }
                    Err(problem) => problem_frame(&problem),
                },
                Some(Ok(Frame::Ping(_) | Frame::Pong(_) | Frame::Binary(_))) => continue,
                Some(Ok(Frame::Close(_)) | Err(_)) | None => return,
            },
            happening = feed.next() => match happening {
                None => return,
                Some(happening) => {
                    sequence += 1;
                    frame(&happening, sequence)
                }
            },
            _ = ping.tick() => Frame::Ping(axum::body::Bytes::new()),
        };
        // A watcher that went away is not an error.
        if socket.send(sent).await.is_err() {
            return;
        }
    }
}

fn ask(app: &App, caller: &Caller, text: &str) -> Result<Asked, Problem> {
    let ask: Ask = serde_json::from_str(text)
        .map_err(|error| Problem::new(crate::code::NOT_JSON, error.to_string()))?;
    let wish = match ask {
        Ask::Subscribe(wish) => wish,
        // What is asked last is what is wanted: leaving everything out stops everything.
        Ask::Unsubscribe {} => {
            return Ok(Asked { interest: Interest::none(caller.may(Action::Read)?), after: None });
        }
    };
    let query = StreamQuery {
        devices: wish.devices.map(|names| names.join(",")),
        kinds: wish.kinds.map(|kinds| kinds.join(",")),
    };
    Ok(Asked { interest: interest(app, caller, &query)?, after: wish.after })
}

fn frame(happening: &Happening, sequence: u64) -> Frame {
    let body = serde_json::json!({
        "kind": happening.kind.as_str(),
        "seq": sequence,
        "offset": happening.offset,
        "data": happening.data,
    });
    Frame::Text(body.to_string().into())
}

fn problem_frame(problem: &Problem) -> Frame {
    let body = serde_json::json!({ "kind": "problem", "data": problem });
    Frame::Text(body.to_string().into())
}
