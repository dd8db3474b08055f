//! What a device is told, in the words of ThingsBoard.
//!
//! *Invariant:* pure: what a filter asks for and how a message looks depend on nothing else.
//!
//! ```text
//! desired                      v1/devices/me/attributes                {"interval":60}
//! command/{id}                 v1/devices/me/rpc/request/{n}           {"method","params"}
//! request/attributes-{n}/answer  v1/devices/me/attributes/response/{n}   {"client","shared"}
//! request/{n}/answer           v1/devices/me/rpc/response/{n}          the result
//! ```
//! A gateway gets the same in `v1/gateway/attributes`, `v1/gateway/rpc` and
//! `v1/gateway/attributes/response`, with the child's name in the body.

use std::borrow::Cow;

use model::Timestamp;
use serde_json::{Map, Value, json};

use super::{Dialect, body};

const SETTINGS: &str = "desired";
const COMMANDS: &str = "command/+";
const ANSWERS: &str = "request/+/answer";

/// What a filter asks for, in our words; `None` when it is none of ThingsBoard's.
pub(super) fn asked(filter: &str) -> Option<(Dialect, Vec<Cow<'static, str>>)> {
    let all = || vec![SETTINGS.into(), COMMANDS.into(), ANSWERS.into()];
    if let Some(below) = filter.strip_prefix("v1/gateway/") {
        let topics = match below {
            "attributes" => vec![SETTINGS.into()],
            "rpc" => vec![COMMANDS.into()],
            "attributes/response" => vec![ANSWERS.into()],
            "+" => vec![SETTINGS.into(), COMMANDS.into()],
            "#" => all(),
            _ => return None,
        };
        return Some((Dialect::Gateway, topics));
    }
    let (dialect, below) = match filter.strip_prefix("v1/devices/me/") {
        Some(below) => (Dialect::Device, Cow::Borrowed(below)),
        None => (Dialect::Short, long(filter)?),
    };
    let topics = match &*below {
        "attributes" | "+" => vec![SETTINGS.into()],
        "#" => all(),
        // A number names one command, which is not known under it before it is sent.
        "rpc/request/+" | "rpc/request/#" => vec![COMMANDS.into()],
        "rpc/+/+" | "rpc/#" => vec![COMMANDS.into(), ANSWERS.into()],
        "attributes/response/+" | "attributes/#" | "rpc/response/+" => vec![ANSWERS.into()],
        one => {
            let numbered = |prefix: &str, ours: &str| {
                let number: u64 = one.strip_prefix(prefix)?.parse().ok()?;
                Some(vec![format!("request/{ours}{number}/answer").into()])
            };
            numbered("attributes/response/", "attributes-")
                .or_else(|| numbered("rpc/response/", ""))?
        }
    };
    Some((dialect, topics))
}

/// A short filter in full.
fn long(filter: &str) -> Option<Cow<'static, str>> {
    if filter == "v2/a" {
        return Some("attributes".into());
    }
    [
        ("v2/a/res/", "attributes/response/"),
        ("v2/r/req/", "rpc/request/"),
        ("v2/r/res/", "rpc/response/"),
    ]
    .iter()
    .find_map(|(short, long)| Some(format!("{long}{}", filter.strip_prefix(short)?).into()))
}

/// A message to a device.
pub(super) struct Told<'a> {
    /// Below its branch.
    pub(super) below: &'a str,
    pub(super) payload: &'a [u8],
    /// Of a command.
    pub(super) number: u32,
    /// The name its gateway knows it by.
    pub(super) child: &'a str,
    pub(super) now: Timestamp,
}

/// The message as topic and body; `None` when there is no word for it.
pub(super) fn show(dialect: Dialect, told: &Told<'_>) -> Option<(String, Vec<u8>)> {
    let (topic, body) = if told.below == SETTINGS {
        attributes(dialect, told)?
    } else if let Some(id) = told.below.strip_prefix("command/") {
        (!id.contains('/')).then(|| command(dialect, told))??
    } else {
        let id = told.below.strip_prefix("request/")?.strip_suffix("/answer")?;
        answer(dialect, told, id)?
    };
    Some((topic, body.to_string().into_bytes()))
}

fn attributes(dialect: Dialect, told: &Told<'_>) -> Option<(String, Value)> {
    let settings = body::settings(told.payload)?;
    Some(match dialect {
        Dialect::Device => ("v1/devices/me/attributes".to_owned(), settings.into()),
        Dialect::Short => ("v2/a".to_owned(), settings.into()),
        Dialect::Gateway => {
            let body = json!({ "device": told.child, "data": settings });
            ("v1/gateway/attributes".to_owned(), body)
        }
    })
}

fn command(dialect: Dialect, told: &Told<'_>) -> Option<(String, Value)> {
    let (mut call, expires) = body::method(told.payload)?;
    if expires.is_some_and(|at| is_over(&at, told.now)) {
        return None;
    }
    Some(match dialect {
        Dialect::Device => (format!("v1/devices/me/rpc/request/{}", told.number), call.into()),
        Dialect::Short => (format!("v2/r/req/{}", told.number), call.into()),
        Dialect::Gateway => {
            call.insert("id".to_owned(), told.number.into());
            ("v1/gateway/rpc".to_owned(), json!({ "device": told.child, "data": call }))
        }
    })
}

/// Whether a command came too late; firmware of ThingsBoard cannot know.
fn is_over(expires: &Value, now: Timestamp) -> bool {
    let at = match expires {
        Value::Number(ms) => ms.as_i64().map(Timestamp::from_millis),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    at.is_some_and(|at| at <= now)
}

fn answer(dialect: Dialect, told: &Told<'_>, id: &str) -> Option<(String, Value)> {
    let result = body::result(told.payload)?;
    let (number, single) = match (id.strip_prefix("attributes-"), id.strip_prefix("attribute-")) {
        (Some(number), _) => (number, false),
        (None, Some(number)) => (number, true),
        (None, None) => {
            let topic = match dialect {
                Dialect::Device => format!("v1/devices/me/rpc/response/{id}"),
                Dialect::Short => format!("v2/r/res/{id}"),
                Dialect::Gateway => return None,
            };
            return Some((topic, result));
        }
    };
    let values = |name: &str| result.get(name).and_then(Value::as_object).cloned();
    let (client, shared) = (values("reported"), values("desired"));
    if dialect == Dialect::Gateway {
        let mut all = client.unwrap_or_default();
        all.extend(shared.unwrap_or_default());
        let id: u32 = number.parse().ok()?;
        let mut body = json!({ "id": id, "device": told.child });
        match all.values().next() {
            Some(value) if single => body["value"] = value.clone(),
            Some(_) | None => body["values"] = all.into(),
        }
        return Some(("v1/gateway/attributes/response".to_owned(), body));
    }
    let mut body = Map::new();
    for (name, values) in [("client", client), ("shared", shared)] {
        if let Some(values) = values {
            body.insert(name.to_owned(), values.into());
        }
    }
    let topic = match dialect {
        Dialect::Short => format!("v2/a/res/{number}"),
        Dialect::Device | Dialect::Gateway => format!("v1/devices/me/attributes/response/{number}"),
    };
    Some((topic, body.into()))
}
