//! Bodies of ThingsBoard and ours, one into the other.
//!
//! *Invariant:* pure, and bounded by the body's own length and the nesting limit of the JSON
//! parser; what cannot be read is an error in words.

use serde_json::{Map, Value, json};

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// The parser's own words.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// Something else than `{...}`.
    #[error("not an object")]
    NotAnObject,
    /// A key is missing or of another type.
    #[error("{key} is not {expected}")]
    Key {
        /// Which.
        key: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

/// The object a body is.
pub(super) fn object(payload: &[u8]) -> Result<Map<String, Value>, Malformed> {
    let value = serde_json::from_slice(payload);
    match value.map_err(|error| Malformed::NotJson(error.to_string()))? {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Malformed::NotAnObject)
        }
    }
}

fn text(object: &mut Map<String, Value>, key: &'static str) -> Result<String, Malformed> {
    match object.remove(key) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(Malformed::Key { key, expected: "text" }),
    }
}

/// The child in `{"device":"A"}`.
pub(super) fn device(payload: &[u8]) -> Result<String, Malformed> {
    text(&mut object(payload)?, "device")
}

/// Keys as `"a,b"` or `["a","b"]`.
fn keys(value: Option<Value>) -> Option<Vec<Value>> {
    match value? {
        Value::String(list) => {
            let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
            Some(names.map(Value::from).collect())
        }
        Value::Array(list) => Some(list),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// Our request for values of the twin; without any key it asks for all.
fn twin(reported: Option<Vec<Value>>, desired: Option<Vec<Value>>) -> Vec<u8> {
    let mut args = Map::new();
    for (name, keys) in [("reported", reported), ("desired", desired)] {
        if let Some(keys) = keys {
            args.insert(name.to_owned(), keys.into());
        }
    }
    json!({ "name": "twin", "args": args }).to_string().into_bytes()
}

/// `{"clientKeys":"a,b","sharedKeys":"c"}` as a request of ours.
pub(super) fn wanted(payload: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut asked = object(payload)?;
    Ok(twin(keys(asked.remove("clientKeys")), keys(asked.remove("sharedKeys"))))
}

/// A call from the device.
pub(super) struct Call {
    pub(super) method: String,
    /// As a request of ours.
    pub(super) body: Vec<u8>,
}

/// `{"method":"m","params":p}` as a request of ours.
pub(super) fn call(payload: &[u8]) -> Result<Call, Malformed> {
    let mut asked = object(payload)?;
    let method = text(&mut asked, "method")?;
    let args = asked.remove("params").unwrap_or_default();
    let body = json!({ "name": method, "args": args }).to_string().into_bytes();
    Ok(Call { method, body })
}

/// What a client may send. There are no rates to keep to: a client that is too fast is read more
/// slowly, so it needs no bucket of its own.
pub(super) fn limits(packet_bytes_max: u32, receive_max: u16) -> Vec<u8> {
    let none =
        json!({ "messages": "0:0,", "telemetryMessages": "0:0,", "telemetryDataPoints": "0:0," });
    let limits = json!({
        "maxPayloadSize": packet_bytes_max,
        "maxInflightMessages": receive_max,
        "rateLimits": none,
        "gatewayRateLimits": none,
    });
    json!({ "ok": true, "result": limits }).to_string().into_bytes()
}

/// An answer to a command: any body is one, and an object with `error` says that it failed.
pub(super) fn answer(payload: &[u8]) -> Vec<u8> {
    let text = || Value::String(String::from_utf8_lossy(payload).into_owned());
    let said = if payload.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(payload).unwrap_or_else(|_| text())
    };
    answered(&said).to_string().into_bytes()
}

fn answered(said: &Value) -> Value {
    match said.get("error") {
        Some(error) => json!({ "ok": false, "error": error, "result": said }),
        None => json!({ "ok": true, "result": said }),
    }
}

/// What a gateway says of a child, with the number of the request it is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OfChild {
    pub(super) child: String,
    pub(super) number: u32,
    pub(super) body: Vec<u8>,
    /// Asks for one value and not for an object of values.
    pub(super) single: bool,
}

fn request_id(object: &Map<String, Value>) -> Result<u32, Malformed> {
    let number = object.get("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
    number.ok_or(Malformed::Key { key: "id", expected: "a positive 32-bit integer" })
}

/// `{"device":"A","id":7,"data":{...}}` as an answer of ours.
pub(super) fn gateway_answer(payload: &[u8]) -> Result<OfChild, Malformed> {
    let mut said = object(payload)?;
    let number = request_id(&said)?;
    let child = text(&mut said, "device")?;
    let body = answered(&said.remove("data").unwrap_or_default()).to_string().into_bytes();
    Ok(OfChild { child, number, body, single: false })
}

/// `{"id":1,"device":"A","client":true,"keys":["k"]}` as a request of ours; `client` and `shared`
/// may also be lists of keys themselves.
pub(super) fn gateway_wanted(payload: &[u8]) -> Result<OfChild, Malformed> {
    let mut asked = object(payload)?;
    let number = request_id(&asked)?;
    let child = text(&mut asked, "device")?;
    let single = asked.get("key").is_some_and(Value::is_string);
    let listed = keys(asked.remove("key")).or_else(|| keys(asked.remove("keys")));
    let (client, shared) = (asked.remove("client"), asked.remove("shared"));
    let body = match (listed, client) {
        (Some(listed), Some(Value::Bool(true))) => twin(Some(listed), None),
        (Some(listed), _) => twin(None, Some(listed)),
        (None, client) => twin(keys(client), keys(shared)),
    };
    Ok(OfChild { child, number, body, single })
}

/// The settings of `me/desired`, without their version.
pub(super) fn settings(payload: &[u8]) -> Option<Map<String, Value>> {
    match object(payload).ok()?.remove("values")? {
        Value::Object(values) => Some(values),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            None
        }
    }
}

/// `{"name","args","expires"}` as `method` and `params`, and when it is to be forgotten; a body
/// that has a `method` already is taken as it is.
pub(super) fn method(payload: &[u8]) -> Option<(Map<String, Value>, Option<Value>)> {
    let mut command = object(payload).ok()?;
    let expires = command.remove("expires");
    if !command.contains_key("method") {
        let name = command.remove("name")?;
        let args = command.remove("args").unwrap_or_default();
        command = Map::new();
        command.insert("method".to_owned(), name);
        command.insert("params".to_owned(), args);
    }
    Some((command, expires))
}

/// The result in an answer of ours, or its error in an object; another body as it is.
pub(super) fn result(payload: &[u8]) -> Option<Value> {
    let mut answer = object(payload).ok()?;
    Some(match (answer.get("ok").and_then(Value::as_bool), answer.remove("error")) {
        (Some(true), _) => answer.remove("result").unwrap_or_default(),
        (Some(false), error) => json!({ "error": error }),
        (None, _) => Value::Object(answer),
    })
}
