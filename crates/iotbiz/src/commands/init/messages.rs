//! Messages out of an argument, a file or standard input: JSON, one or several, or CSV.
//!
//! *Invariant:* input is bounded by [`INPUT_BYTES_MAX`]; what is neither JSON nor CSV is refused
//! with the place where reading stopped.

use std::io::Read;

use blueprint::draft::{DRAFT_MESSAGES_MAX, Message};
use serde_json::{Map, Value};

use crate::exit::{self, Failure};

/// The largest input that is read.
const INPUT_BYTES_MAX: u64 = 16 << 20;

/// The messages of all sources, and what they are in words.
pub(super) fn read(sources: &[String]) -> Result<(Vec<Message>, String), Failure> {
    let mut messages = Vec::new();
    let mut files = Vec::new();
    for source in sources {
        let trimmed = source.trim_start();
        if trimmed.starts_with(['{', '[']) {
            messages.extend(of_text("the message", trimmed)?);
        } else {
            let (name, text) = opened(source)?;
            messages.extend(of_text(&name, &text)?);
            files.push(name);
        }
        if messages.len() > DRAFT_MESSAGES_MAX {
            messages.truncate(DRAFT_MESSAGES_MAX);
            break;
        }
    }
    if messages.is_empty() {
        return Err(Failure::new(exit::USAGE, "there is no message in it")
            .fix("paste one: iotbiz init --from-message '{\"temperature\":3.9}'"));
    }
    let count = messages.len();
    let mut told = format!("{count} message{}", if count == 1 { "" } else { "s" });
    if !files.is_empty() {
        told.push_str(&format!(" of {}", files.join(", ")));
    }
    Ok((messages, told))
}

fn opened(source: &str) -> Result<(String, String), Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::new(exit::NOT_FOUND, format!("{source:?} is neither a message nor a file"))
            .why(error.to_string())
            .fix("paste a message: --from-message '{\"temperature\":3.9}', or name a file of them")
    };
    let mut text = String::new();
    if source == "-" {
        let read = std::io::stdin().lock().take(INPUT_BYTES_MAX).read_to_string(&mut text);
        read.map_err(unreadable)?;
        return Ok(("standard input".to_owned(), text));
    }
    let file = std::fs::File::open(source).map_err(unreadable)?;
    file.take(INPUT_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    Ok((source.to_owned(), text))
}

pub(super) fn of_text(name: &str, text: &str) -> Result<Vec<Message>, Failure> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with(['{', '[']) { of_json(name, text) } else { of_csv(name, text) }
}

/// One value after the other, with lines, commas or nothing between.
fn of_json(name: &str, text: &str) -> Result<Vec<Message>, Failure> {
    let mut messages = Vec::new();
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let mut begun = 0;
    while let Some(value) = values.next() {
        let body = value.map_err(|error| {
            let place = format!("{name}:{}:{}", error.line(), error.column());
            Failure::new(exit::USAGE, format!("{place} is no JSON"))
                .why(error.to_string())
                .fix("quote it for the shell: --from-message '{\"temperature\":3.9}'")
        })?;
        let bytes = values.byte_offset() - begun;
        begun = values.byte_offset();
        if messages.len() < DRAFT_MESSAGES_MAX {
            messages.push(Message { at: None, body, bytes: Some(bytes) });
        }
    }
    Ok(messages)
}

fn of_csv(name: &str, text: &str) -> Result<Vec<Message>, Failure> {
    let head = text.lines().next().unwrap_or_default();
    let delimiter = [b';', b'\t', b','].into_iter().max_by_key(|delimiter| {
        let count = head.bytes().filter(|byte| byte == delimiter).count();
        (count, *delimiter == b',')
    });
    let delimiter = delimiter.unwrap_or(b',');
    let wrong = |error: csv::Error| {
        Failure::new(exit::USAGE, format!("{name} is neither JSON nor CSV")).why(error.to_string())
    };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let heads = reader.headers().map_err(wrong)?.clone();
    let mut messages = Vec::new();
    for row in reader.records().take(DRAFT_MESSAGES_MAX) {
        let row = row.map_err(wrong)?;
        let cells = heads
            .iter()
            .zip(row.iter())
            .filter(|(head, cell)| !head.is_empty() && !cell.is_empty());
        let body: Map<String, Value> =
            cells.map(|(head, cell)| (head.to_owned(), value(cell, delimiter))).collect();
        messages.push(Message { at: None, body: Value::Object(body), bytes: None });
    }
    if messages.is_empty() {
        return Err(Failure::new(exit::USAGE, format!("{name} has no row below its header"))
            .why("it does not begin like JSON, so it was read as CSV")
            .fix("the first line names the columns, each other line is a message"));
    }
    Ok(messages)
}

/// What a cell is. Behind a semicolon a comma is a decimal one.
fn value(cell: &str, delimiter: u8) -> Value {
    if let Ok(flag) = cell.to_lowercase().parse::<bool>() {
        return Value::Bool(flag);
    }
    let plain = if delimiter == b';' { cell.replacen(',', ".", 1) } else { cell.to_owned() };
    let number = plain.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
    number.map_or_else(|| Value::String(cell.to_owned()), Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(text: &str) -> Vec<Value> {
        of_text("t", text).unwrap().into_iter().map(|message| message.body).collect()
    }

    #[test]
    fn json_lines_and_tables_are_messages() {
        assert_eq!(bodies("{\"a\":1}\n{\"a\":2}").len(), 2);
        assert_eq!(bodies("[{\"a\":1},{\"a\":2}]").len(), 1);
        let rows =
            bodies("time;temp_c;door\n2026-11-25T12:00:00Z;3,9;true\n2026-11-25T12:01:00Z;4,1;\n");
        assert_eq!(rows[0]["temp_c"], 3.9);
        assert_eq!(rows[0]["door"], true);
        assert!(rows[1].get("door").is_none());
    }

    #[test]
    fn what_is_neither_has_its_place() {
        let failure = of_text("file.json", "{\"a\":1}\n{\"a\":").unwrap_err();
        assert!(failure.what.starts_with("file.json:2:"), "{failure}");
        assert!(of_text("x", "hello").is_err());
    }
}
