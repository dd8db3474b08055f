//! Canonical JSON: one text for equal contents.
//!
//! *Invariant:* keys sorted by code point, no white space, numbers and escapes as `serde_json`
//! writes them; equal values give equal bytes on every machine.
//!
//! The map is sorted here and not left to `serde_json`, whose order depends on a cargo feature that
//! any crate of the build may switch on. Not RFC 8785: that one rewrites integers above 2^53.

use serde_json::Value;

/// Writes `value`, or `None` where it is nested deeper than `depth_max`.
pub(crate) fn text(value: &Value, depth_max: usize) -> Option<String> {
    let mut out = Vec::new();
    put(value, depth_max, &mut out)?;
    String::from_utf8(out).ok()
}

fn put(value: &Value, depth_left: usize, out: &mut Vec<u8>) -> Option<()> {
    let below = || depth_left.checked_sub(1);
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            serde_json::to_writer(out, value).ok()
        }
        Value::Array(items) => {
            let below = below()?;
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                separate(place, out);
                put(item, below, out)?;
            }
            out.push(b']');
            Some(())
        }
        Value::Object(fields) => {
            let below = below()?;
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(key, _)| *key);
            out.push(b'{');
            for (place, (key, item)) in sorted.into_iter().enumerate() {
                separate(place, out);
                serde_json::to_writer(&mut *out, key).ok()?;
                out.push(b':');
                put(item, below, out)?;
            }
            out.push(b'}');
            Some(())
        }
    }
}

fn separate(place: usize, out: &mut Vec<u8>) {
    if place > 0 {
        out.push(b',');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_at_every_level_and_nothing_is_padded() {
        let value = json!({"b": [{"z": 1, "a": null}], "a": "ä\n", "B": 1.5});
        expect_test::expect![[r#"{"B":1.5,"a":"ä\n","b":[{"a":null,"z":1}]}"#]]
            .assert_eq(&text(&value, 8).unwrap());
    }

    #[test]
    fn deeper_than_allowed_is_no_text() {
        assert!(text(&json!([[1]]), 2).is_some());
        assert!(text(&json!([[[1]]]), 2).is_none());
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e300_f64..1e300).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_text_reads_back_to_the_value_and_is_its_own_canonical_form(value in json()) {
            let once = text(&value, 16).unwrap();
            let back: Value = serde_json::from_str(&once).unwrap();
            prop_assert_eq!(&back, &value);
            prop_assert_eq!(text(&back, 16).unwrap(), once);
        }
    }
}
