//! One usage line of a file: our own short form, or a CloudEvents 1.0 envelope.
//!
//! *Invariant:* a line is understood whole or not at all; an unknown key is refused, because it may
//! be a misspelt one. Every digit of a number counts, written as a number or as a text.
//!
//! Short form: `{"contract":"acme","device":"d1","usage":"kwh","time":"2026-11-01T00:00:00Z",
//! "value":1.5,"id":"a1","source":"gw1","dimensions":{"region":"north"}}`; `property` may stand for
//! `usage`, time may be milliseconds, a missing value is 1. In a CloudEvents envelope (CNCF
//! CloudEvents 1.0.2, JSON format) `data` holds the same, and `type`, `subject`, `time` stand in
//! for a missing usage, contract and time.

use std::borrow::Cow;

use model::{Name, Origin, Timestamp};
use serde_json::{Map, Value};

use crate::usage::{Amount, Dimensions, Event};

/// The longest line, in bytes.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// The longest name of a contract, device, id or source.
const NAME_BYTES_MAX: usize = 256;

/// Digits that survive a float whatever they are (IEEE 754, binary64).
const FLOAT_DIGITS: usize = 15;
/// Digits of an exact decimal.
const DECIMAL_DIGITS: usize = 28;

/// The most events of one batch.
const BATCH_MAX: usize = 10_000;

/// A line as understood.
#[derive(Debug, Clone, PartialEq)]
pub struct UsageLine {
    /// Which contract.
    pub contract: Option<String>,
    /// Which device.
    pub device: Option<String>,
    /// Of which usage or property.
    pub property: Name,
    /// Event time.
    pub time: Timestamp,
    /// When it was received, where the line says so.
    pub received: Option<Timestamp>,
    /// Where its reading stands in a server's log, where the line says so.
    pub offset: Option<u64>,
    /// How much.
    pub value: Amount,
    /// Identity of an event from outside.
    pub event: Option<Event>,
    /// Where it comes from; only real usage is billed.
    pub origin: Origin,
    /// Values it can be grouped by.
    pub dimensions: Dimensions,
}

/// Why a line was not understood.
pub type Reason = String;

/// Reads a CloudEvents batch (JSON array), each event by itself: a bad one spoils no other.
///
/// # Errors
/// The text is no JSON array, or has more than 10,000 events.
pub fn batch(text: &str) -> Result<Vec<Result<UsageLine, Reason>>, Reason> {
    let events: Vec<Value> =
        serde_json::from_str(&digits_kept(text)).map_err(|e| format!("no JSON array: {e}"))?;
    if events.len() > BATCH_MAX {
        return Err(format!("batch has {} events, batch_max = {BATCH_MAX}", events.len()));
    }
    Ok(events.into_iter().map(understood).collect())
}

/// Reads one line, or one CloudEvent.
///
/// # Errors
/// Why it cannot be understood, in words for its sender.
pub fn read(line: &str) -> Result<UsageLine, Reason> {
    if line.len() > LINE_BYTES_MAX {
        return Err(format!("line has {} bytes, line_bytes_max = {LINE_BYTES_MAX}", line.len()));
    }
    let value: Value = serde_json::from_str(&digits_kept(line)).map_err(|error| {
        format!("no JSON: {error}; a line is one object such as {LINE_EXAMPLE}")
    })?;
    understood(value)
}

/// What a line looks like.
const LINE_EXAMPLE: &str =
    r#"{"contract":"acme","usage":"kwh","time":"2026-11-01T00:00:00Z","value":1.5}"#;

/// The JSON with numbers too long for a float as texts, which keep their digits.
fn digits_kept(json: &str) -> Cow<'_, str> {
    let digit = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let long = json.as_bytes().windows(FLOAT_DIGITS + 1).any(|run| run.iter().all(digit));
    if !long {
        return Cow::Borrowed(json);
    }
    let of_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E');
    let mut kept = String::with_capacity(json.len() + 16);
    let mut rest = json;
    while let Some(next) = rest.chars().next() {
        let number = next.is_ascii_digit() || next == '-';
        let length = match next {
            '"' => text_length(rest),
            _ if number => rest.find(|c| !of_number(c)).unwrap_or(rest.len()),
            _ => next.len_utf8(),
        };
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        let digits = significant(token);
        // An integer beyond any decimal stays a number, so that it is refused as one.
        let exact = token.contains('.') || digits <= DECIMAL_DIGITS;
        if number && digits > FLOAT_DIGITS && exact {
            kept.extend(["\"", token, "\""]);
        } else {
            kept.push_str(token);
        }
        rest = after;
    }
    Cow::Owned(kept)
}

/// The length of the JSON text at the front, with its quotes.
fn text_length(json: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in json.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    json.len()
}

/// Digits of a number but for zeros in front.
fn significant(number: &str) -> usize {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits = mantissa.trim_start_matches(['-', '0', '.']);
    digits.bytes().filter(u8::is_ascii_digit).count()
}

fn understood(value: Value) -> Result<UsageLine, Reason> {
    let Value::Object(mut object) = value else {
        return Err("no JSON object".to_owned());
    };
    if object.contains_key("specversion") {
        return cloud_event(&mut object);
    }
    let event = match text(&mut object, "id")? {
        Some(id) => Some(Event { source: text(&mut object, "source")?.unwrap_or_default(), id }),
        None => {
            let _without_an_id = object.remove("source");
            None
        }
    };
    body(object, Envelope { event, ..Envelope::default() })
}

/// What an envelope says for a body that does not.
#[derive(Debug, Default)]
struct Envelope {
    event: Option<Event>,
    usage: Option<String>,
    contract: Option<String>,
    time: Option<Timestamp>,
}

fn cloud_event(object: &mut Map<String, Value>) -> Result<UsageLine, Reason> {
    if object.get("specversion").and_then(Value::as_str) != Some("1.0") {
        return Err("specversion is not \"1.0\"".to_owned());
    }
    let need = |object: &mut Map<String, Value>, key: &str| {
        text(object, key)?.ok_or_else(|| format!("a CloudEvent needs {key}"))
    };
    let event = Event { source: need(object, "source")?, id: need(object, "id")? };
    let kind = need(object, "type")?;
    let contract = text(object, "subject")?;
    let time = object.remove("time").map(|value| time(&value)).transpose()?;
    let data = match object.remove("data") {
        Some(Value::Object(data)) => data,
        None if !object.contains_key("data_base64") => Map::new(),
        Some(_) | None => return Err("data is not a JSON object".to_owned()),
    };
    let usage = (!data.contains_key("usage") && !data.contains_key("property")).then_some(kind);
    body(data, Envelope { event: Some(event), usage, contract, time })
}

fn body(mut object: Map<String, Value>, envelope: Envelope) -> Result<UsageLine, Reason> {
    let usage = text(&mut object, "usage")?;
    let property = text(&mut object, "property")?;
    if usage.is_some() && property.is_some() {
        return Err("both usage and property are given".to_owned());
    }
    let named = usage.or(property).or(envelope.usage);
    let named = named.ok_or_else(|| "neither usage nor property is given".to_owned())?;
    let property = named.parse::<Name>().map_err(|error| error.to_string())?;
    let at = object.remove("time").map(|value| time(&value)).transpose()?.or(envelope.time);
    let at = at.ok_or_else(|| "time is missing".to_owned())?;
    let received = object.remove("received").map(|value| time(&value)).transpose()?;
    let offset = match object.remove("offset") {
        None | Some(Value::Null) => None,
        Some(place) => Some(place.as_u64().ok_or_else(|| "offset is no whole number".to_owned())?),
    };
    let value = match object.remove("value") {
        Some(value) => amount(&value)?,
        None => Amount::Number(rust_decimal::Decimal::ONE),
    };
    let origin = match text(&mut object, "origin")? {
        Some(origin) => origin.parse::<Origin>().map_err(|error| error.to_string())?,
        None => Origin::Real,
    };
    let line = UsageLine {
        contract: text(&mut object, "contract")?.or(envelope.contract),
        device: text(&mut object, "device")?,
        property,
        time: at,
        received,
        offset,
        value,
        event: envelope.event,
        origin,
        dimensions: dimensions(object.remove("dimensions"))?,
    };
    match object.keys().next() {
        Some(key) => Err(format!("{:?} is no key of a usage line", shown(key))),
        None => Ok(line),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

fn text(object: &mut Map<String, Value>, key: &str) -> Result<Option<String>, Reason> {
    match object.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() > NAME_BYTES_MAX => {
            Err(format!("{key} has {} bytes, name_bytes_max = {NAME_BYTES_MAX}", text.len()))
        }
        Some(Value::String(text)) if text.is_empty() => Err(format!("{key} is empty")),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{key} is not a text")),
    }
}

fn time(value: &Value) -> Result<Timestamp, Reason> {
    let parsed = match value {
        Value::String(text) => text.parse::<Timestamp>().map_err(|error| error.to_string())?,
        Value::Number(number) => {
            let millis = number.as_i64().ok_or_else(|| format!("time {number} is no whole number"));
            Timestamp::from_millis(millis?)
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err("time is neither RFC 3339 nor milliseconds".to_owned());
        }
    };
    let years = Timestamp::ZERO..crate::contract::FOREVER;
    if years.contains(&parsed) {
        Ok(parsed)
    } else {
        Err(format!("time {} ms is not between 1970 and 9999", parsed.as_millis()))
    }
}

fn amount(value: &Value) -> Result<Amount, Reason> {
    match value {
        Value::Number(number) => {
            let text = number.to_string();
            let exact = Amount::parse(&text);
            exact.map(Amount::Number).ok_or_else(|| format!("value {text} exceeds 28 digits"))
        }
        Value::Bool(truth) => Ok(Amount::Boolean(*truth)),
        // Exact decimals travel as text; any other text is a text.
        Value::String(text) => Ok(match Amount::parse(text) {
            Some(number) => Amount::Number(number),
            None if too_fine(text) => return Err(format!("value {text} exceeds 28 digits")),
            None if text.len() <= NAME_BYTES_MAX => Amount::Text(text.as_str().into()),
            None => return Err(format!("value is a text over {NAME_BYTES_MAX} bytes")),
        }),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err("value is neither a number, a text nor a truth value".to_owned())
        }
    }
}

/// A number with a point and more digits than a decimal has; a long run of digits alone may well be
/// a serial number.
fn too_fine(text: &str) -> bool {
    let plain = text.trim_start_matches(['-', '+']);
    let (whole, part) = plain.split_once('.').unwrap_or((plain, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !part.is_empty() && digits(whole) && digits(part)
}

fn dimensions(value: Option<Value>) -> Result<Dimensions, Reason> {
    let object = match value {
        None | Some(Value::Null) => return Ok(Dimensions::new()),
        Some(Value::Object(object)) => object,
        Some(_) => return Err("dimensions is not an object".to_owned()),
    };
    let mut dimensions = Dimensions::new();
    for (key, value) in object {
        let name = key.parse::<Name>().map_err(|error| error.to_string())?;
        let text = match value {
            Value::String(text) if text.len() <= NAME_BYTES_MAX => text,
            Value::Bool(truth) => truth.to_string(),
            Value::Number(number) => number.to_string(),
            Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => {
                return Err(format!("dimension {name} is no short text"));
            }
        };
        dimensions.insert(name, text);
    }
    Ok(dimensions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cloud_event_is_the_same_usage_as_the_short_form() {
        let short = r#"{"contract":"acme","usage":"kwh","time":"2026-11-01T00:00:00Z",
            "value":1.5,"id":"a1","source":"gw"}"#;
        let long = r#"{"specversion":"1.0","type":"kwh","source":"gw","id":"a1","subject":"acme",
            "time":"2026-11-01T00:00:00Z","datacontenttype":"application/json",
            "data":{"value":"1.50"}}"#;
        assert_eq!(read(short).unwrap(), read(long).unwrap());
    }

    #[test]
    fn a_bad_event_of_a_batch_spoils_no_other() {
        let good = r#"{"specversion":"1.0","type":"kwh","source":"gw","id":"a1","subject":"acme",
            "time":"2026-11-01T00:00:00Z","tenantid":"an extension","data":{"value":2}}"#;
        let wrong = good.replace("1.0", "0.3");
        let read = batch(&format!("[{good},{wrong},7]")).unwrap();
        let kinds: Vec<bool> = read.iter().map(Result::is_ok).collect();
        assert_eq!(kinds, [true, false, false]);
        assert!(batch("{}").is_err());
    }

    #[test]
    fn a_number_keeps_its_digits_or_is_refused() {
        let value = |text: &str| {
            let line = format!(r#"{{"usage":"a","time":1,"value":{text}}}"#);
            read(&line).map(|line| line.value.to_string())
        };
        for exact in ["1234567890.12345678901", "12345678901234567890123", "0.1", "-7.25"] {
            assert_eq!(value(exact).unwrap(), exact);
            assert_eq!(value(&format!("\"{exact}\"")).unwrap(), exact);
        }
        assert_eq!(value("0.500000000000000000000000000000000").unwrap(), "0.5");
        let fine = "0.123456789012345678901234567891";
        for beyond in [fine, &format!("\"{fine}\""), "123456789012345678901234567890123"] {
            assert!(value(beyond).unwrap_err().contains("exceeds 28 digits"), "{beyond}");
        }
        let quoted = r#"{"usage":"a","time":1,"value":"a \" 12345678901234567890.5 b","id":"1"}"#;
        assert_eq!(digits_kept(quoted), quoted);
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        let line = r#"{"usage":"kwh","time":0,"vlaue":3}"#;
        assert_eq!(read(line).unwrap_err(), "\"vlaue\" is no key of a usage line");
    }

    proptest! {
        #[test]
        fn any_text_is_understood_or_refused(text in "\\PC{0,200}") {
            let _refused = read(&text).is_err();
        }

        #[test]
        fn any_object_is_understood_or_refused(
            key in "(contract|device|usage|time|value|id|dimensions|specversion|data)",
            value in "(null|true|-1|1e400|9e99|\"x\"|\\[\\]|\\{\"a\":1\\}|0.1)",
        ) {
            let line = format!("{{\"usage\":\"a\",\"time\":1,\"{key}\":{value}}}");
            let _refused = read(&line).is_err();
        }
    }
}
