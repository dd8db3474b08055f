//! Canonical JSON: one text for equal contents.
//!
//! *Invariant:* keys sorted by code point, no white space, numbers and escapes as `serde_json`
//! writes them; equal values give equal bytes on every machine, whether they are written from a
//! tree or from a type.
//!
//! Keys are sorted here and not left to `serde_json`, whose order depends on a cargo feature that
//! any crate of the build may switch on. Not RFC 8785: that one rewrites integers above 2^53.

use std::fmt;
use std::ops::Range;

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::Value;

/// Writes `value`, or `None` where it is nested deeper than `depth_max` or cannot be JSON.
pub(crate) fn text<T: Serialize + ?Sized>(value: &T, depth_max: usize) -> Option<String> {
    let mut out = Vec::new();
    value.serialize(Writer { out: &mut out, depth_left: depth_max }).ok()?;
    String::from_utf8(out).ok()
}

type Written = Result<(), fmt::Error>;

/// Writes one value.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    depth_left: usize,
}

impl<'a> Writer<'a> {
    /// What `serde_json` writes of it.
    fn plain<T: Serialize + ?Sized>(self, value: &T) -> Written {
        serde_json::to_writer(self.out, value).map_err(|_| fmt::Error)
    }

    fn below(self) -> Result<Self, fmt::Error> {
        let depth_left = self.depth_left.checked_sub(1).ok_or(fmt::Error)?;
        Ok(Self { out: self.out, depth_left })
    }

    /// The key of a variant, and a writer behind it.
    fn tagged(self, variant: &str) -> Result<Self, fmt::Error> {
        let inner = self.below()?;
        inner.out.push(b'{');
        serde_json::to_writer(&mut *inner.out, variant).map_err(|_| fmt::Error)?;
        inner.out.push(b':');
        Ok(inner)
    }

    fn items(self, close: &'static [u8]) -> Result<Items<'a>, fmt::Error> {
        let Self { out, depth_left } = self.below()?;
        out.push(b'[');
        Ok(Items { out, depth_left, empty: true, close })
    }

    fn fields(self, close: &'static [u8]) -> Result<Fields<'a>, fmt::Error> {
        let Self { out, depth_left } = self.below()?;
        let begin = out.len();
        Ok(Fields { out, depth_left, begin, key: String::new(), fields: Vec::new(), close })
    }
}

/// Writes an array.
struct Items<'a> {
    out: &'a mut Vec<u8>,
    depth_left: usize,
    empty: bool,
    close: &'static [u8],
}

impl Items<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        value.serialize(Writer { out: self.out, depth_left: self.depth_left })
    }

    fn close(self) {
        self.out.extend_from_slice(self.close);
    }
}

/// Writes the values of an object, then puts them in the order of their keys.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
    depth_left: usize,
    /// Where the first value stands.
    begin: usize,
    /// Of the value to come.
    key: String,
    /// Places of the values, from `begin`.
    fields: Vec<(String, Range<usize>)>,
    close: &'static [u8],
}

impl Fields<'_> {
    fn field<T: Serialize + ?Sized>(&mut self, key: String, value: &T) -> Written {
        let start = self.out.len() - self.begin;
        value.serialize(Writer { out: self.out, depth_left: self.depth_left })?;
        self.fields.push((key, start..self.out.len() - self.begin));
        Ok(())
    }

    fn close(mut self) -> Written {
        let values = self.out.split_off(self.begin);
        self.fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.out.push(b'{');
        let mut fields = self.fields.iter().peekable();
        let mut empty = true;
        while let Some((key, place)) = fields.next() {
            // Of two with one key the last counts, as in a tree.
            if fields.peek().is_some_and(|(next, _)| next == key) {
                continue;
            }
            if !std::mem::take(&mut empty) {
                self.out.push(b',');
            }
            serde_json::to_writer(&mut *self.out, key).map_err(|_| fmt::Error)?;
            self.out.push(b':');
            self.out.extend_from_slice(values.get(place.clone()).unwrap_or_default());
        }
        self.out.extend_from_slice(self.close);
        Ok(())
    }
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Items<'a>;
    type SerializeMap = Fields<'a>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Fields<'a>;

    fn serialize_bool(self, value: bool) -> Written {
        self.plain(&value)
    }
    fn serialize_i8(self, value: i8) -> Written {
        self.plain(&value)
    }
    fn serialize_i16(self, value: i16) -> Written {
        self.plain(&value)
    }
    fn serialize_i32(self, value: i32) -> Written {
        self.plain(&value)
    }
    fn serialize_i64(self, value: i64) -> Written {
        self.plain(&value)
    }
    fn serialize_u8(self, value: u8) -> Written {
        self.plain(&value)
    }
    fn serialize_u16(self, value: u16) -> Written {
        self.plain(&value)
    }
    fn serialize_u32(self, value: u32) -> Written {
        self.plain(&value)
    }
    fn serialize_u64(self, value: u64) -> Written {
        self.plain(&value)
    }
    fn serialize_f32(self, value: f32) -> Written {
        // A tree holds no other numbers.
        self.plain(&f64::from(value))
    }
    fn serialize_f64(self, value: f64) -> Written {
        self.plain(&value)
    }
    fn serialize_char(self, value: char) -> Written {
        self.plain(&value)
    }
    fn serialize_str(self, value: &str) -> Written {
        self.plain(value)
    }
    fn serialize_bytes(self, value: &[u8]) -> Written {
        self.collect_seq(value)
    }
    fn serialize_none(self) -> Written {
        self.serialize_unit()
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Written {
        self.out.extend_from_slice(b"null");
        Ok(())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Written {
        self.serialize_unit()
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written {
        self.plain(variant)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Written {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Written {
        let inner = self.tagged(variant)?;
        value.serialize(Writer { out: &mut *inner.out, depth_left: inner.depth_left })?;
        inner.out.push(b'}');
        Ok(())
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'a>, fmt::Error> {
        self.items(b"]")
    }
    fn serialize_tuple(self, _: usize) -> Result<Items<'a>, fmt::Error> {
        self.items(b"]")
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items<'a>, fmt::Error> {
        self.items(b"]")
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'a>, fmt::Error> {
        self.tagged(variant)?.items(b"]}")
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Fields<'a>, fmt::Error> {
        self.fields(b"}")
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'a>, fmt::Error> {
        self.fields(b"}")
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Fields<'a>, fmt::Error> {
        self.tagged(variant)?.fields(b"}}")
    }
}

macro_rules! as_items {
    ($($of:ident $item:ident),*) => {$(
        impl $of for Items<'_> {
            type Ok = ();
            type Error = fmt::Error;
            fn $item<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
                self.item(value)
            }
            fn end(self) -> Written {
                self.close();
                Ok(())
            }
        }
    )*};
}

as_items!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

macro_rules! as_fields {
    ($($of:ident),*) => {$(
        impl $of for Fields<'_> {
            type Ok = ();
            type Error = fmt::Error;
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Written {
                self.field(key.to_owned(), value)
            }
            fn end(self) -> Written {
                self.close()
            }
        }
    )*};
}

as_fields!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Fields<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        self.key = match serde_json::to_value(key).map_err(|_| fmt::Error)? {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(yes) => yes.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return Err(fmt::Error),
        };
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        let key = std::mem::take(&mut self.key);
        self.field(key, value)
    }

    fn end(self) -> Written {
        self.close()
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

    #[test]
    fn a_type_is_written_as_its_tree_is() {
        #[derive(Serialize)]
        enum Kind {
            Unit,
            New(u8),
            Pair(i64, f32),
            Named { z: Option<char>, a: bool },
        }
        #[derive(Serialize)]
        struct Whole {
            zeta: Vec<Kind>,
            #[serde(flatten)]
            rest: std::collections::BTreeMap<String, (u64, f64)>,
            alpha: std::collections::BTreeMap<u16, &'static str>,
        }
        let kinds = vec![
            Kind::Unit,
            Kind::New(3),
            Kind::Pair(-4, 0.1),
            Kind::Named { z: Some('ä'), a: true },
            Kind::Named { z: None, a: false },
        ];
        let rest = [("mu".to_owned(), (u64::MAX, 1e21)), ("beta".to_owned(), (0, f64::NAN))];
        let alpha = [(10, "x\n\"y\""), (9, "")];
        let whole = Whole { zeta: kinds, rest: rest.into(), alpha: alpha.into() };
        let tree = serde_json::to_value(&whole).unwrap();
        assert_eq!(text(&whole, 8), text(&tree, 8));
        // What serde_json writes of the tree has the same order, as its map is sorted.
        assert_eq!(text(&whole, 8).unwrap(), tree.to_string());
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
