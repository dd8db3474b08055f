//! What decoding needs of one device kind at one blueprint revision.
//!
//! *Invariant:* a profile is a pure function of the blueprint text; types and units never change
//! within a venture, so a value stored under one revision reads the same under another.

use std::collections::BTreeMap;

use model::{Name, Value};

use crate::item::Item;

/// The longest text value, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;

/// How one property or setting is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name, shared by all its readings.
    pub name: Name,
    /// Its type and bounds.
    pub shape: Shape,
    /// Which lane it must use.
    pub lane: Lane,
}

/// Type and bounds of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A finite number in the stored unit.
    Number {
        /// UCUM code of the stored unit; empty is none.
        unit: String,
        /// Smallest plausible value.
        min: Option<f64>,
        /// Largest plausible value.
        max: Option<f64>,
    },
    /// True or false.
    Boolean,
    /// Text up to [`TEXT_BYTES_MAX`].
    Text,
    /// WGS 84 latitude and longitude.
    Position,
}

/// The lane a property must use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// `me/telemetry`.
    Telemetry,
    /// `me/urgent`.
    Urgent,
}

/// Readings and settings of one kind.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile {
    /// What it measures.
    pub readings: BTreeMap<Name, Rule>,
    /// What can be set, `firmware` and `hardware` not among them.
    pub settings: BTreeMap<Name, Rule>,
    /// Other names by which devices send readings.
    pub aliases: BTreeMap<String, Name>,
    /// Positions that come as two numbers: latitude, longitude, reading.
    pub pairs: Vec<(String, String, Name)>,
}

impl Profile {
    /// How a reading is read, by its name or by what devices call it.
    pub(crate) fn reading(&self, key: &str) -> Option<&Rule> {
        let own = self.readings.get(key);
        own.or_else(|| self.readings.get(self.aliases.get(key)?))
    }

    /// The pair of which `key` is one half.
    pub(crate) fn pair(&self, key: &str) -> Option<&(String, String, Name)> {
        let mut pairs = self.pairs.iter();
        pairs.find(|(latitude, longitude, _)| key == latitude || key == longitude)
    }
}

impl Rule {
    /// The value of a JSON text, as a device would have sent it.
    ///
    /// # Errors
    /// Why it is none, for a person.
    pub fn check(&self, json: &serde_json::Value) -> Result<Value, String> {
        let text = json.to_string();
        self.read(&crate::item::parse(text.as_bytes())?)
    }

    /// The value of an item, or why it is none.
    pub(crate) fn read(&self, item: &Item<'_>) -> Result<Value, String> {
        match (&self.shape, item) {
            (Shape::Number { unit, min, max }, Item::Number(number)) => {
                in_bounds(*number, unit, *min, *max).map(Value::Number)
            }
            (Shape::Boolean, Item::Boolean(truth)) => Ok(Value::Boolean(*truth)),
            // Many boards print 0 and 1 for a switch, and the meaning is not in doubt.
            (Shape::Boolean, Item::Number(0.0)) => Ok(Value::Boolean(false)),
            (Shape::Boolean, Item::Number(1.0)) => Ok(Value::Boolean(true)),
            (Shape::Text, Item::Text(text)) if text.len() <= TEXT_BYTES_MAX => {
                Ok(Value::Text(text.as_ref().into()))
            }
            (Shape::Text, Item::Text(text)) => {
                Err(format!("{} bytes of text, at most {TEXT_BYTES_MAX} are kept", text.len()))
            }
            (Shape::Position, item) => position(item),
            (shape, item) => Err(format!("expected {}, got {}", shape.words(), item.kind())),
        }
    }
}

impl Shape {
    const fn words(&self) -> &'static str {
        match self {
            Self::Number { .. } => "a number",
            Self::Boolean => "true or false",
            Self::Text => "text",
            Self::Position => "a position such as [52.52, 13.40]",
        }
    }
}

fn in_bounds(number: f64, unit: &str, min: Option<f64>, max: Option<f64>) -> Result<f64, String> {
    if !number.is_finite() {
        return Err("not a finite number".to_owned());
    }
    if min.is_some_and(|min| number < min) || max.is_some_and(|max| number > max) {
        let low = min.map_or_else(|| "-inf".to_owned(), |min| min.to_string());
        let high = max.map_or_else(|| "inf".to_owned(), |max| max.to_string());
        let gap = if unit.is_empty() { "" } else { " " };
        return Err(format!("{number}{gap}{unit} is outside {low} to {high}{gap}{unit}"));
    }
    Ok(number)
}

/// `[latitude, longitude]`, or an object with `lat`/`lon` or the whole words: what most device
/// payloads use (GeoJSON's order is the other way round and is not guessed).
fn position(item: &Item<'_>) -> Result<Value, String> {
    let pair = match item {
        Item::List(list) => match list.as_slice() {
            [latitude, longitude, ..] => latitude.number().zip(longitude.number()),
            [] | [_] => None,
        },
        Item::Object(object) => {
            let get = |names: [&str; 2]| {
                let named = object.iter().find(|(key, _)| names.contains(&key.as_ref()));
                named.and_then(|(_, item)| item.number())
            };
            get(["lat", "latitude"]).zip(get(["lon", "longitude"]))
        }
        Item::Null | Item::Boolean(_) | Item::Number(_) | Item::Text(_) => None,
    };
    let Some((latitude, longitude)) = pair else {
        return Err(format!("expected {}, got {}", Shape::Position.words(), item.kind()));
    };
    if (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude) {
        Ok(Value::Position { latitude, longitude })
    } else {
        Err(format!("{latitude}, {longitude} is no latitude and longitude in degrees"))
    }
}
