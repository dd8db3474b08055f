//! From messages to readings: names, units, types, rate and size.
//!
//! *Invariant:* every guess says what it was made of; what is sent can be read by the draft under
//! the name it is sent by (`sent_as`), so that no message has to change.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::dictionary::{
    COUNTERS, IDENTITIES, LATITUDES, LONGITUDES, POSITIONS, Quantity, SWITCHES, TIMES, ending,
    measures, quantity_of, words,
};
use super::{DRAFT_MESSAGES_MAX, DRAFT_READINGS_MAX, Draft, Guess, Message, Shape, Subject, write};
use crate::device::SENT_AS_CHARS_MAX;
use crate::duration::human;

/// Values of a field that are shown in a reason.
const SHOWN_MAX: usize = 3;
/// Intervals people choose.
const INTERVALS_S: [u64; 16] =
    [1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];
/// How far a measured interval may lie from one that people choose to be taken for it.
const NEAR: f64 = 0.15;

/// What was seen of one field.
#[derive(Default)]
struct Field {
    values: Vec<Value>,
    times: Vec<i64>,
}

/// What was seen of all of them.
#[derive(Default)]
struct Seen {
    fields: BTreeMap<String, Field>,
    /// Fields that are no readings, and why.
    told: BTreeMap<String, String>,
    sizes: Vec<usize>,
    messages: usize,
}

/// A blueprint of what sends such messages.
#[must_use]
pub fn infer(subject: &Subject, messages: &[Message]) -> Draft {
    let mut seen = Seen::default();
    for message in messages.iter().take(DRAFT_MESSAGES_MAX) {
        seen.message(message);
    }
    let mut guesses = seen.positions();
    for (key, field) in &seen.fields {
        guesses.push(guess(key, field, seen.messages));
    }
    guesses.truncate(DRAFT_READINGS_MAX);
    distinct(&mut guesses);
    let size = size(&seen.sizes);
    write::of_messages(subject, &guesses, &seen.told, size.as_deref())
}

/// Bytes on average and at most.
fn size(sizes: &[usize]) -> Option<String> {
    let largest = sizes.iter().max()?;
    let average = sizes.iter().sum::<usize>() / sizes.len().max(1);
    Some(format!("{average} bytes a message on average, {largest} at most"))
}

impl Seen {
    fn message(&mut self, message: &Message) {
        self.sizes.extend(message.bytes);
        self.body(&message.body, message.at);
    }

    fn body(&mut self, body: &Value, at: Option<i64>) {
        match body {
            Value::Array(list) => {
                for one in list.iter().take(DRAFT_MESSAGES_MAX) {
                    // Those of a buffer came together, but were not measured together.
                    self.body(one, None);
                }
            }
            Value::Object(object) => {
                self.messages += 1;
                let long = object.len() == 2;
                if let (true, Some(ts), Some(Value::Object(values))) =
                    (long, object.get("ts"), object.get("values"))
                {
                    let at = millis(ts).or(at);
                    values.iter().for_each(|(key, value)| self.field(key, value, at));
                    return;
                }
                let own = object.iter().find_map(|(key, value)| {
                    TIMES.contains(&words(key).concat().as_str()).then(|| millis(value)).flatten()
                });
                let at = own.or(at);
                object.iter().for_each(|(key, value)| self.field(key, value, at));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                let said = format!("{body} is no object: devices send {{\"temperature\":3.9}}");
                self.told.insert("message".to_owned(), said);
            }
        }
    }

    fn field(&mut self, key: &str, value: &Value, at: Option<i64>) {
        let joined = words(key).concat();
        if TIMES.contains(&joined.as_str()) {
            let said = "the time; devices send it as {\"ts\":milliseconds,\"values\":{...}}";
            self.told.insert(key.to_owned(), said.to_owned());
            return;
        }
        match value {
            Value::Null => {
                let told = self.told.entry(key.to_owned());
                told.or_insert_with(|| "always null: what it is cannot be seen".to_owned());
                return;
            }
            Value::Object(inner) if !is_position(key, value) => {
                for (name, value) in inner {
                    if let Value::Object(_) | Value::Array(_) = value {
                        let said = "nested twice: devices send readings side by side";
                        self.told.insert(format!("{key}.{name}"), said.to_owned());
                        continue;
                    }
                    let said = format!("nested: let devices send it flat, as {key}_{name}");
                    self.told.insert(format!("{key}.{name}"), said);
                    self.keep(&format!("{key}_{name}"), value, at);
                }
                return;
            }
            Value::Array(_) if !is_position(key, value) => {
                let said = "a list: a reading is one value; send one message for each";
                self.told.insert(key.to_owned(), said.to_owned());
                return;
            }
            Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => {}
        }
        self.told.remove(key);
        self.keep(key, value, at);
    }

    fn keep(&mut self, key: &str, value: &Value, at: Option<i64>) {
        let short = (1..=SENT_AS_CHARS_MAX).contains(&key.chars().count());
        if !short || matches!(key, "ts" | "values") {
            let said =
                format!("a reading is sent by a name of 1 to {SENT_AS_CHARS_MAX} characters");
            let shown: String = key.chars().take(SENT_AS_CHARS_MAX).collect();
            self.told.insert(format!("{shown:?}"), said);
            return;
        }
        if self.fields.len() >= DRAFT_READINGS_MAX && !self.fields.contains_key(key) {
            let said = format!("left out: {DRAFT_READINGS_MAX} readings are the limit of a draft");
            self.told.insert(key.to_owned(), said);
            return;
        }
        let field = self.fields.entry(key.to_owned()).or_default();
        field.values.push(value.clone());
        field.times.extend(at);
    }

    /// Takes pairs of latitude and longitude out of the fields.
    fn positions(&mut self) -> Vec<Guess> {
        let half = |key: &str, names: &[&str]| {
            let mut parts = words(key);
            let last = parts.pop()?;
            names.contains(&last.as_str()).then(|| parts.join("_"))
        };
        let numeric = |field: &Field| field.values.iter().all(Value::is_number);
        let mut found = Vec::new();
        for (key, field) in &self.fields {
            let Some(lead) = half(key, LATITUDES).filter(|_| numeric(field)) else { continue };
            let other = self.fields.iter().find(|(other, field)| {
                half(other, LONGITUDES).is_some_and(|of| of == lead) && numeric(field)
            });
            let Some((other, _)) = other else { continue };
            let name =
                if lead.is_empty() { "position".to_owned() } else { format!("{lead}_position") };
            found.push(Guess {
                name,
                shape: Shape::Position,
                counter: false,
                every: rate(&field.times).map(|(every, _)| every),
                sent_as: vec![key.clone(), other.clone()],
                why: format!("{key} and {other} are latitude and longitude; {}", shown(field)),
            });
        }
        for key in found.iter().flat_map(|guess| guess.sent_as.clone()) {
            self.fields.remove(&key);
        }
        found
    }
}

/// Milliseconds since 1970 of a number of seconds or milliseconds, or of RFC 3339.
fn millis(value: &Value) -> Option<i64> {
    /// 2001-09-09 in milliseconds; smaller numbers are seconds.
    const MILLIS_MIN: f64 = 1e12;
    /// 2001-09-09 in seconds.
    const SECONDS_MIN: f64 = 1e9;
    if let Some(text) = value.as_str() {
        return text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
    }
    let number = value.as_f64().filter(|number| (SECONDS_MIN..1e15).contains(number))?;
    let millis = if number >= MILLIS_MIN { number } else { number * 1000.0 };
    #[expect(clippy::cast_possible_truncation, reason = "bounded just above")]
    Some(millis as i64)
}

fn is_position(key: &str, value: &Value) -> bool {
    match value {
        Value::Object(object) => {
            let has = |names: &[&str]| {
                object.iter().any(|(key, value)| {
                    names.contains(&key.to_lowercase().as_str()) && value.is_number()
                })
            };
            has(&["lat", "latitude"]) && has(&["lon", "longitude"])
        }
        Value::Array(list) => {
            let named = words(key).last().is_some_and(|word| POSITIONS.contains(&word.as_str()));
            named && (2..=3).contains(&list.len()) && list.iter().all(Value::is_number)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// `seen 3.9, 4.1`
fn shown(field: &Field) -> String {
    let mut different: Vec<String> = Vec::new();
    for value in &field.values {
        let text: String = value.to_string().chars().take(24).collect();
        if different.len() < SHOWN_MAX && !different.contains(&text) {
            different.push(text);
        }
    }
    format!("seen {}", different.join(", "))
}

/// The interval in the middle of all, when there are two times at least.
fn rate(times: &[i64]) -> Option<(Duration, Duration)> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut gaps: Vec<i64> = sorted.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    let middle = u64::try_from(*gaps.get(gaps.len() / 2)?).ok().filter(|gap| *gap > 0)?;
    let measured = Duration::from_millis(middle);
    let seconds = measured.as_secs_f64();
    let chosen = INTERVALS_S.iter().copied().min_by(|a, b| {
        let far = |s: u64| (seconds / Duration::from_secs(s).as_secs_f64()).ln().abs();
        far(*a).total_cmp(&far(*b))
    });
    let usual = chosen
        .map(Duration::from_secs)
        .filter(|usual| (seconds - usual.as_secs_f64()).abs() <= NEAR * usual.as_secs_f64());
    let rounded = Duration::from_secs(measured.as_secs().max(1));
    Some((usual.unwrap_or(rounded), measured))
}

fn guess(key: &str, field: &Field, messages: usize) -> Guess {
    let (mut made, mut why) = typed(key, field);
    if made.name != key {
        made.sent_as = vec![key.to_owned()];
    }
    why.push(shown(field));
    if let Some((every, measured)) = rate(&field.times) {
        made.every = Some(every);
        let count = field.times.len();
        why.push(format!("{count} of {messages} messages have it, {} apart", human(measured)));
    }
    made.why = why.join("; ");
    made
}

/// Type, unit and name of a field.
fn typed(key: &str, field: &Field) -> (Guess, Vec<String>) {
    let parts = words(key);
    let plain = |shape: Shape, why: &str| {
        let guess = Guess {
            name: named(&parts),
            shape,
            counter: false,
            every: None,
            sent_as: Vec::new(),
            why: String::new(),
        };
        (guess, vec![why.to_owned()])
    };
    let all = |of: fn(&Value) -> bool| field.values.iter().all(of);
    if field.values.iter().all(|value| is_position(key, value)) {
        return plain(Shape::Position, "latitude and longitude");
    }
    if all(Value::is_boolean) {
        return plain(Shape::Boolean, "true or false");
    }
    if all(Value::is_number) {
        let bits = all(|value| matches!(value.as_f64(), Some(0.0 | 1.0)));
        let switch = parts.iter().any(|part| SWITCHES.contains(&part.as_str()));
        return if bits && switch {
            plain(Shape::Boolean, "0 and 1 of something that is one way or the other")
        } else {
            number(&parts, field)
        };
    }
    let identity = IDENTITIES.contains(&parts.concat().as_str());
    if all(Value::is_string) && identity {
        return plain(Shape::Text, "who sent it; the credential says so already");
    }
    let digits = |value: &Value| value.as_str().is_some_and(|text| text.parse::<f64>().is_ok());
    if all(Value::is_string) && field.values.iter().all(digits) {
        return plain(Shape::Text, "digits in quotes are text: send a number without quotes");
    }
    let mixed = if all(Value::is_string) { "text" } else { "values of several types: text" };
    plain(Shape::Text, mixed)
}

fn named(parts: &[String]) -> String {
    let joined = parts.join("_");
    let ascii: String =
        joined.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let letter = ascii.starts_with(|c: char| c.is_ascii_lowercase());
    let short: String = ascii.chars().take(60).collect();
    let name = if letter { short } else { format!("x_{short}") };
    if matches!(name.as_str(), "ts" | "values") { format!("{name}_of_device") } else { name }
}

/// Numbers: the quantity by its word, the unit by the ending, else by the values.
fn number(parts: &[String], field: &Field) -> (Guess, Vec<String>) {
    let first = parts.iter().position(|part| quantity_of(part).is_some());
    // `energy_kwh`: the last word is the unit of the first.
    let at = parts.iter().enumerate().rposition(|(n, part)| {
        quantity_of(part).is_some() && (Some(n) == first || ending(part).is_none())
    });
    let quantity = at.and_then(|at| quantity_of(&parts[at]));
    let mut why = Vec::new();
    let (unit, taken) = said_unit(parts, at, quantity);
    let kept = parts.len() - taken;
    let mut name_parts: Vec<String> = parts.iter().take(kept).cloned().collect();
    if let (Some(at), Some(quantity)) = (at, quantity) {
        why.push(format!("{:?} is {}", parts[at], quantity.name.replace('_', " ")));
        if let Some(part) = name_parts.get_mut(at) {
            // Which dust it is stands in its word alone.
            if quantity.name != "dust" {
                quantity.name.clone_into(part);
            }
        }
    }
    let unit = match (unit, quantity) {
        (Some(unit), _) => {
            why.push(format!(
                "{:?} is {unit}",
                parts.iter().skip(kept).cloned().collect::<Vec<_>>().join("_")
            ));
            unit
        }
        (None, Some(quantity)) => by_values(quantity, field, &mut why),
        (None, None) => {
            why.push("no unit is known by that name: write one".to_owned());
            "1".to_owned()
        }
    };
    if unit.ends_with('V') && quantity.is_some_and(|quantity| quantity.name == "battery") {
        name_parts.push("voltage".to_owned());
    }
    let counter = grows(parts, quantity, field);
    if counter {
        why.push("it only grows".to_owned());
    }
    let guess = Guess {
        name: named(if name_parts.is_empty() { parts } else { &name_parts }),
        shape: Shape::Number(unit),
        counter,
        every: None,
        sent_as: Vec::new(),
        why: String::new(),
    };
    (guess, why)
}

/// The unit at the end of a name, and of how many words it is made.
fn said_unit(
    parts: &[String],
    at: Option<usize>,
    quantity: Option<&Quantity>,
) -> (Option<String>, usize) {
    for count in [2, 1] {
        let Some(first) = parts.len().checked_sub(count).filter(|first| *first > 0) else {
            continue;
        };
        if at.is_some_and(|at| at >= first) {
            continue;
        }
        let word: String = parts.iter().skip(first).map(String::as_str).collect();
        let Some(unit) = ending(&word) else { continue };
        let fits = match quantity {
            Some(quantity) => measures(quantity, unit),
            None => word.len() > 1 && !matches!(word.as_str(), "ms" | "min" | "ma" | "nm" | "sec"),
        };
        if fits {
            return (Some(unit.to_owned()), count);
        }
    }
    // `kwh`, `lux` and `rpm` say the unit by themselves.
    (None, 0)
}

/// The unit that the values speak for.
fn by_values(quantity: &Quantity, field: &Field, why: &mut Vec<String>) -> String {
    let numbers: Vec<f64> = field.values.iter().filter_map(Value::as_f64).collect();
    let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let broken = numbers.iter().any(|number| number.fract() != 0.0);
    let (unit, reason) = match quantity.name {
        "temperature" if low >= 200.0 && high <= 400.0 => ("K", "200 to 400 is too hot for °C"),
        "humidity" | "moisture" | "level" | "battery" if high <= 1.0 && low >= 0.0 && broken => {
            ("1", "between 0 and 1: a share, not percent")
        }
        "battery" if high > 1000.0 => ("mV", "more than 1000 is no percentage"),
        "battery" if low > 1.5 && high < 5.0 && broken => ("V", "1.5 to 5 looks like volts"),
        "battery_voltage" | "voltage" if low > 1000.0 => ("mV", "more than 1000 looks like mV"),
        "pressure" if low > 20_000.0 => ("Pa", "more than 20000 is Pa"),
        "pressure" if high < 20.0 => ("bar", "less than 20 looks like bar"),
        "pressure" if high < 150.0 => ("kPa", "less than 150 looks like kPa"),
        _ => (quantity.unit, "by habit, its name says no unit"),
    };
    why.push(format!("{unit}: {reason}"));
    unit.to_owned()
}

fn grows(parts: &[String], quantity: Option<&Quantity>, field: &Field) -> bool {
    let word = parts.iter().any(|part| COUNTERS.contains(&part.as_str()));
    let energy = quantity.is_some_and(|quantity| quantity.name == "energy");
    let numbers: Vec<f64> = field.values.iter().filter_map(Value::as_f64).collect();
    (word || energy) && numbers.windows(2).all(|pair| pair[0] <= pair[1])
}

/// Two fields that would get one name keep their own.
fn distinct(guesses: &mut [Guess]) {
    let mut taken: Vec<String> = Vec::new();
    for guess in guesses {
        if taken.contains(&guess.name) {
            let own = guess.sent_as.first().cloned().unwrap_or_else(|| guess.name.clone());
            let mut name = named(&words(&own));
            let mut number = 2;
            while taken.contains(&name) {
                name = format!("{}_{number}", guess.name);
                number += 1;
            }
            guess.name = name;
        }
        if guess.sent_as == [guess.name.clone()] {
            guess.sent_as.clear();
        }
        taken.push(guess.name.clone());
    }
}
