//! One text for one value: JSON with sorted keys and no spaces.
//!
//! *Invariant:* equal values have equal bytes. Numbers are written as `serde_json` writes them
//! (integers in full, floats by their shortest form); this differs from RFC 8785 only for floats
//! of 1e16 and more, and of less than 1e-5.

use serde_json::Value;

/// The canonical text.
pub(crate) fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            out.push('{');
            for (i, key) in keys.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                *out += &Value::from(key.as_str()).to_string();
                out.push(':');
                write(&map[key], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            *out += &value.to_string();
        }
    }
}
