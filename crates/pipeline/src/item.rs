//! A message body before it has a meaning: JSON (RFC 8259) or CBOR (RFC 8949).
//!
//! *Invariant:* parsing is bounded by a number of items and a nesting limit, and never panics.
//! Text borrows from the body where it can.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Levels of nesting that CBOR bodies may have; JSON is bounded by its parser at 128.
const CBOR_DEPTH_MAX: usize = 32;

/// Items of one body: ten thousand positions with their times have fewer.
const ITEMS_MAX: usize = 100_000;

/// A value of a body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item<'a> {
    Null,
    Boolean(bool),
    Number(f64),
    Text(Cow<'a, str>),
    List(Vec<Item<'a>>),
    Object(Vec<(Cow<'a, str>, Item<'a>)>),
}

impl Item<'_> {
    /// The number, if it is one.
    pub(crate) const fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Null | Self::Boolean(_) | Self::Text(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// The word for an error message.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// Reads an item; how many more the body may have.
#[derive(Clone, Copy)]
struct Reading<'c>(&'c Cell<usize>);

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = Item<'de>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        let left = self.0.get().checked_sub(1);
        let left = left.ok_or_else(|| {
            D::Error::custom(format_args!("more than ITEMS_MAX = {ITEMS_MAX} items"))
        })?;
        self.0.set(left);
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Item<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Item::Null)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Item::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_any(self)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Item::Boolean(truth))
    }

    #[expect(clippy::cast_precision_loss, reason = "properties are f64; 2^53 ms is year 287396")]
    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Item::Number(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "properties are f64; 2^53 ms is year 287396")]
    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Item::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Item::Number(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Item::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Item::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Item::Text(Cow::Owned(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Item::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut object = Vec::new();
        while let Some(Key(key)) = map.next_key()? {
            object.push((key, map.next_value_seed(self)?));
        }
        Ok(Item::Object(object))
    }
}

impl<'de> Deserialize<'de> for Item<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Reading(&Cell::new(ITEMS_MAX)).deserialize(d)
    }
}

/// An object's key; `Cow<str>` alone would always copy.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text key")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        d.deserialize_str(KeyVisitor)
    }
}

/// The tag that says "this is CBOR" (RFC 8949, section 3.4.6).
const CBOR_TAG: [u8; 3] = [0xD9, 0xD9, 0xF7];

/// Reads a body: JSON when it starts like JSON, CBOR otherwise. The first byte decides, because
/// no JSON text starts with a byte that opens a CBOR map (0xA0 to 0xBF), an array (0x80 to 0x9F)
/// or the tag that names CBOR (0xD9); a content type can only repeat it.
///
/// # Errors
/// A text for the owner that names the place.
pub(crate) fn parse(body: &[u8]) -> Result<Item<'_>, String> {
    let body = body.strip_prefix(&CBOR_TAG).unwrap_or(body);
    match body.first() {
        None => Err("the body is empty".to_owned()),
        Some(0x80..=0xBF) => {
            ciborium::de::from_reader_with_recursion_limit::<Owned, _>(body, CBOR_DEPTH_MAX)
                .map(|Owned(item)| item)
                .map_err(|error| format!("not CBOR: {error}"))
        }
        Some(_) => serde_json::from_slice(body).map_err(|error| {
            format!("not JSON: {}", error.to_string().replace(" at line 1 column", " at byte"))
        }),
    }
}

/// CBOR is read through a buffer, so nothing can borrow from it.
struct Owned(Item<'static>);

impl<'de> Deserialize<'de> for Owned {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Item::deserialize(d).map(|item| Self(owned(item)))
    }
}

fn owned(item: Item<'_>) -> Item<'static> {
    match item {
        Item::Null => Item::Null,
        Item::Boolean(truth) => Item::Boolean(truth),
        Item::Number(number) => Item::Number(number),
        Item::Text(text) => Item::Text(Cow::Owned(text.into_owned())),
        Item::List(list) => Item::List(list.into_iter().map(owned).collect()),
        Item::Object(object) => Item::Object(
            object
                .into_iter()
                .map(|(key, item)| (Cow::Owned(key.into_owned()), owned(item)))
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn json_and_cbor_of_the_same_body_are_equal() {
        let json = parse(br#"{"temperature":3.5,"lid_open":true,"n":[1,null,"x"]}"#).unwrap();
        let mut cbor = Vec::new();
        let value = serde_json::json!({"temperature":3.5,"lid_open":true,"n":[1,null,"x"]});
        ciborium::into_writer(&value, &mut cbor).unwrap();
        let Item::Object(mut cbor) = parse(&cbor).unwrap() else { panic!("no object") };
        let Item::Object(mut json) = json else { panic!("no object") };
        cbor.sort_by(|a, b| a.0.cmp(&b.0));
        json.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(json, cbor);
    }

    #[test]
    fn an_error_names_the_byte() {
        assert_eq!(parse(b"{\"a\":").unwrap_err(), "not JSON: EOF while parsing a value at byte 5");
        assert_eq!(parse(b"").unwrap_err(), "the body is empty");
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_are_refused(bytes: Vec<u8>) {
            let _refused = parse(&bytes).is_err();
        }
    }
}
