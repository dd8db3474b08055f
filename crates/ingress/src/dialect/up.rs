//! What a device says in the words of ThingsBoard, and what that is here.
//!
//! *Invariant:* pure: topic and bytes in, topics and bytes out. No text of the device becomes part
//! of a topic, only numbers do.
//!
//! ```text
//! v1/devices/me/telemetry, v2/t                  telemetry                  same bytes
//! v1/devices/me/attributes, v2/a                 reported                   same bytes
//! v1/devices/me/attributes/request/{n}           request/attributes-{n}     {"name":"twin",...}
//! v1/devices/me/rpc/request/{n}                  request/{n}                {"name","args"}
//!   with the method getSessionLimits also        request/{n}/answer         by the door
//! v1/devices/me/rpc/response/{n}                 command/{id}/answer        {"ok":true,"result"}
//! v1/gateway/telemetry, v1/gateway/attributes    of each child: telemetry, reported
//! v1/gateway/rpc                                 of the child: command/{id}/answer
//! v1/gateway/attributes/request                  of the child: request/attributes-{n}
//! v1/gateway/connect, v1/gateway/disconnect      gateway/connect, gateway/disconnect
//! ```

use std::borrow::Cow;

use mqtt::Reason;

use super::body;
use crate::refusal::RefusalReason;
use crate::topics::Denial;

/// Children one publish of a gateway may speak for.
pub(super) const CHILDREN_PER_PUBLISH_MAX: usize = 1_000;

/// One message of ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// By the name or id the gateway uses; none: the caller itself.
    pub(super) child: Option<String>,
    /// A child that the caller tells something about.
    pub(super) about: Option<String>,
    pub(super) below: Below,
    pub(super) body: Vec<u8>,
}

/// Where below the branch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Below {
    Named(Cow<'static, str>),
    /// Of the command with this number.
    Answer(u32),
    /// What the door itself answers to the request with this number.
    Limits(u64),
}

impl Below {
    /// The topic, where the device named it.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::Answer(_) | Self::Limits(_) => "",
        }
    }
}

/// What a topic is called here, when its bytes stay as they are.
#[inline]
pub(crate) fn renamed(topic: &str) -> Option<&'static str> {
    match topic {
        "v1/devices/me/telemetry" | "v2/t" => Some("telemetry"),
        "v1/devices/me/attributes" | "v2/a" => Some("reported"),
        _ => None,
    }
}

/// What a publish says; `None` when the topic is none of ThingsBoard's.
pub(super) fn read(topic: &str, payload: &[u8]) -> Option<Result<Vec<Said>, Denial>> {
    if let Some(below) = topic.strip_prefix("v1/gateway/") {
        return Some(of_gateway(below, payload));
    }
    let one = |below: Below, body: Result<Vec<u8>, body::Malformed>| {
        let body = body.map_err(|why| malformed(topic, &why))?;
        Ok(vec![Said { child: None, about: None, below, body }])
    };
    let long = topic.strip_prefix("v1/devices/me/");
    let prefixed = |word: &str, short: &str| match long {
        Some(below) => below.strip_prefix(word),
        None => topic.strip_prefix(short),
    };
    if let Some(id) = prefixed("attributes/request/", "v2/a/req/") {
        let below = request(topic, "attributes-", id);
        return Some(below.and_then(|below| one(below, body::wanted(payload))));
    }
    if let Some(id) = prefixed("rpc/request/", "v2/r/req/") {
        return Some(called(topic, id, payload));
    }
    if let Some(id) = prefixed("rpc/response/", "v2/r/res/") {
        let number = id.parse().map_err(|_| no_number(topic));
        return Some(number.and_then(|n| one(Below::Answer(n), Ok(body::answer(payload)))));
    }
    (long.is_some() || topic.starts_with("v2/")).then(|| Err(not_offered(topic)))
}

/// What newer clients call once they are connected, and wait for.
const LIMITS: &str = "getSessionLimits";

fn called(topic: &str, id: &str, payload: &[u8]) -> Result<Vec<Said>, Denial> {
    let number: u64 = id.parse().map_err(|_| no_number(topic))?;
    let call = body::call(payload).map_err(|why| malformed(topic, &why))?;
    let said = |below, body| Said { child: None, about: None, below, body };
    let asks = call.method == LIMITS;
    let mut all = vec![said(Below::Named(format!("request/{number}").into()), call.body)];
    if asks {
        all.push(said(Below::Limits(number), Vec::new()));
    }
    Ok(all)
}

fn request(topic: &str, prefix: &str, id: &str) -> Result<Below, Denial> {
    let number: u64 = id.parse().map_err(|_| no_number(topic))?;
    Ok(Below::Named(format!("request/{prefix}{number}").into()))
}

fn of_gateway(below: &str, payload: &[u8]) -> Result<Vec<Said>, Denial> {
    let topic = format!("v1/gateway/{below}");
    let explain = |why: body::Malformed| malformed(&topic, &why);
    match below {
        "telemetry" => each_child(&topic, "telemetry", payload),
        "attributes" => each_child(&topic, "reported", payload),
        "connect" | "disconnect" => {
            let about = Some(body::device(payload).map_err(explain)?);
            let below = if below == "connect" { "gateway/connect" } else { "gateway/disconnect" };
            let below = Below::Named(below.into());
            Ok(vec![Said { child: None, about, below, body: payload.into() }])
        }
        "rpc" => {
            let answer = body::gateway_answer(payload).map_err(explain)?;
            let below = Below::Answer(answer.number);
            Ok(vec![Said { child: Some(answer.child), about: None, below, body: answer.body }])
        }
        "attributes/request" => {
            let wanted = body::gateway_wanted(payload).map_err(explain)?;
            let prefix = if wanted.single { "attribute-" } else { "attributes-" };
            let below = Below::Named(format!("request/{prefix}{}", wanted.number).into());
            Ok(vec![Said { child: Some(wanted.child), about: None, below, body: wanted.body }])
        }
        _ => Err(not_offered(&topic)),
    }
}

/// `{"Device A": body, "Device B": body}` taken apart.
fn each_child(topic: &str, below: &'static str, payload: &[u8]) -> Result<Vec<Said>, Denial> {
    let children = body::object(payload).map_err(|why| malformed(topic, &why))?;
    if children.len() > CHILDREN_PER_PUBLISH_MAX {
        let max = CHILDREN_PER_PUBLISH_MAX;
        return Err(Denial {
            answer: Reason::QuotaExceeded,
            reason: RefusalReason::Limit,
            detail: format!(
                "{topic} speaks for {} children, CHILDREN_PER_PUBLISH_MAX = {max}",
                children.len()
            ),
            fix: "send the children's values in several messages",
        });
    }
    let said = |(child, value): (String, serde_json::Value)| Said {
        child: Some(child),
        about: None,
        below: Below::Named(below.into()),
        body: value.to_string().into_bytes(),
    };
    Ok(children.into_iter().map(said).collect())
}

fn malformed(topic: &str, why: &body::Malformed) -> Denial {
    Denial {
        answer: Reason::PayloadFormatInvalid,
        reason: RefusalReason::Publish,
        detail: format!("the body of {topic} is not what ThingsBoard asks for: {why}"),
        fix: "correct the body; docs/thingsboard.md shows each",
    }
}

/// A gateway's message that speaks for no child.
pub(super) fn nothing_said() -> Denial {
    Denial {
        answer: Reason::PayloadFormatInvalid,
        reason: RefusalReason::Publish,
        detail: "the body names no child".to_owned(),
        fix: "name each child with its values",
    }
}

fn no_number(topic: &str) -> Denial {
    Denial {
        answer: Reason::TopicNameInvalid,
        reason: RefusalReason::Publish,
        detail: format!("{} does not end with a request id", crate::refusal::cut(topic)),
        fix: "end the topic with an integer",
    }
}

fn not_offered(topic: &str) -> Denial {
    Denial {
        answer: Reason::TopicNameInvalid,
        reason: RefusalReason::Publish,
        detail: format!("{} of ThingsBoard has no counterpart here", crate::refusal::cut(topic)),
        fix: "see docs/thingsboard.md for the topics that work",
    }
}
