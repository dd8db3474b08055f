//! Influx line protocol, as Telegraf and Influx clients write it.
//!
//! *Invariant:* a line is read whole or refused with the reason; no input panics. A line that is
//! refused says nothing about its neighbours.
//!
//! ```text
//! measurement,tag=value,tag=value field=1.5,other=3i,text="a \"b\"",on=true 1795608000000000000
//! ```
//! Measurements are left aside: a field is a property, a tag names the device.

use std::borrow::Cow;

/// Tags that name the device, in the order they are looked for.
pub const DEVICE_TAGS: [&str; 3] = ["device", "device_id", "host"];

/// In which unit times are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Nanoseconds: what is meant when nothing is said.
    Nanoseconds,
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
}

impl Precision {
    /// The unit of a parameter such as `precision=ms`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "n" | "ns" => Some(Self::Nanoseconds),
            "u" | "us" => Some(Self::Microseconds),
            "ms" => Some(Self::Milliseconds),
            "s" => Some(Self::Seconds),
            _ => None,
        }
    }

    fn millis(self, time: i64) -> Option<i64> {
        match self {
            Self::Nanoseconds => Some(time.div_euclid(1_000_000)),
            Self::Microseconds => Some(time.div_euclid(1_000)),
            Self::Milliseconds => Some(time),
            Self::Seconds => time.checked_mul(1_000),
        }
    }
}

/// A value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Field<'a> {
    /// A float or an integer.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// A string.
    Text(Cow<'a, str>),
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<'a> {
    /// Tags by name.
    pub tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Fields by name.
    pub fields: Vec<(Cow<'a, str>, Field<'a>)>,
    /// Milliseconds since 1970, when the line says.
    pub time_ms: Option<i64>,
}

impl Line<'_> {
    /// The device that a tag names.
    #[must_use]
    pub fn device(&self) -> Option<&str> {
        let tag = |name: &&str| self.tags.iter().find(|(tag, _)| tag == name);
        DEVICE_TAGS.iter().find_map(tag).map(|(_, value)| value.as_ref())
    }
}

/// Reads a line; `None`: it is empty or a comment.
///
/// # Errors
/// Why it is none.
pub fn line(text: &str, precision: Precision) -> Result<Option<Line<'_>>, String> {
    let text = text.trim_end_matches('\r').trim_start_matches(' ');
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let (series, rest) = split(text, b' ', Quotes::Plain)
        .ok_or("no fields: a line is `measurement,device=NAME field=1 TIME`")?;
    let rest = rest.trim_start_matches(' ');
    let (fields, time) = split(rest, b' ', Quotes::Matter).unwrap_or((rest, ""));
    let mut tags = pieces(series, Quotes::Plain);
    if tags.next().is_none_or(str::is_empty) {
        return Err("no measurement before the tags".to_owned());
    }
    let tags = tags.map(|tag| {
        let (name, value) = split(tag, b'=', Quotes::Plain)
            .ok_or_else(|| format!("tag {tag:?} is not written name=value"))?;
        Ok((plain(name), plain(value)))
    });
    let tags = tags.collect::<Result<_, String>>()?;
    let fields = pieces(fields, Quotes::Matter).map(|piece| {
        let (name, value) = split(piece, b'=', Quotes::Plain)
            .ok_or_else(|| format!("field {piece:?} is not written name=value"))?;
        Ok((plain(name), field(value)?))
    });
    let fields = fields.collect::<Result<_, String>>()?;
    let time_ms = match time.trim() {
        "" => None,
        time => {
            let number = time.parse().ok().and_then(|number| precision.millis(number));
            Some(number.ok_or_else(|| format!("{time:?} is no time: an integer since 1970"))?)
        }
    };
    Ok(Some(Line { tags, fields, time_ms }))
}

/// Whether quotes hold a separator together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Plain,
    Matter,
}

/// Place of the first separator that is neither escaped nor within quotes.
fn find(text: &str, separator: u8, quotes: Quotes) -> Option<usize> {
    let (mut escaped, mut quoted) = (false, false);
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' if quotes == Quotes::Matter => quoted = !quoted,
            byte if byte == separator && !quoted => return Some(place),
            _ => {}
        }
    }
    None
}

fn split(text: &str, separator: u8, quotes: Quotes) -> Option<(&str, &str)> {
    let place = find(text, separator, quotes)?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

/// What commas separate.
fn pieces(text: &str, quotes: Quotes) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (piece, after) = split(text, b',', quotes).map_or((text, None), |(a, b)| (a, Some(b)));
        rest = after;
        Some(piece)
    })
}

/// A name or a tag's value without its escapes.
fn plain(text: &str) -> Cow<'_, str> {
    unescaped(text, |byte| matches!(byte, ',' | '=' | ' ' | '\\'))
}

fn unescaped(text: &str, escapable: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match (char, chars.peek()) {
            ('\\', Some(&next)) if escapable(next) => {
                out.push(next);
                chars.next();
            }
            (char, _) => out.push(char),
        }
    }
    Cow::Owned(out)
}

fn field(text: &str) -> Result<Field<'_>, String> {
    if let Some(inner) = text.strip_prefix('"') {
        let inner =
            inner.strip_suffix('"').ok_or_else(|| format!("{text} has no closing quote"))?;
        return Ok(Field::Text(unescaped(inner, |byte| matches!(byte, '"' | '\\'))));
    }
    match text {
        "t" | "T" | "true" | "True" | "TRUE" => return Ok(Field::Boolean(true)),
        "f" | "F" | "false" | "False" | "FALSE" => return Ok(Field::Boolean(false)),
        _ => {}
    }
    let number = match text.strip_suffix(['i', 'u']) {
        // Beyond 2^53 an integer is rounded, as every number of a device is.
        #[expect(clippy::cast_precision_loss, reason = "readings are floats")]
        Some(integer) => integer.parse::<i128>().ok().map(|number| number as f64),
        None => text.parse::<f64>().ok().filter(|number| number.is_finite()),
    };
    number.map(Field::Number).ok_or_else(|| format!("{text:?} is no number, boolean or \"text\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Line<'_> {
        line(text, Precision::Nanoseconds).unwrap().unwrap()
    }

    #[test]
    fn a_line_has_tags_fields_and_a_time() {
        let line = read(
            r#"air\ box,host=a\,b,device=box-1 t=3.5,n=3i,u=4u,on=T,s="a, \"b\" \\ =c" 1795608000000999999"#,
        );
        assert_eq!(line.device(), Some("box-1"));
        assert_eq!(line.tags[0].1, "a,b");
        assert_eq!(line.time_ms, Some(1_795_608_000_000));
        let fields: Vec<_> = line.fields.iter().map(|(_, field)| field.clone()).collect();
        let text = Field::Text("a, \"b\" \\ =c".into());
        let number = Field::Number;
        assert_eq!(fields, [number(3.5), number(3.0), number(4.0), Field::Boolean(true), text]);
    }

    #[test]
    fn times_come_in_four_units() {
        for (unit, time) in [("s", "2"), ("ms", "2000"), ("us", "2000000"), ("", "2000000000")] {
            let text = format!("m f=1 {time}");
            let line = line(&text, Precision::parse(unit).unwrap()).unwrap().unwrap();
            assert_eq!(line.time_ms, Some(2_000), "{unit}");
        }
        assert_eq!(Precision::parse("h"), None);
    }

    #[test]
    fn a_bad_line_says_why() {
        let why = |text| line(text, Precision::Seconds).unwrap_err();
        assert!(why("m").contains("no fields"));
        assert!(why("m,tag f=1").contains("tag \"tag\""));
        assert!(why("m f").contains("field \"f\""));
        assert!(why("m f=abc").contains("no number"));
        assert!(why("m f=\"open").contains("closing quote"));
        assert!(why("m f=1 soon").contains("no time"));
        assert!(why("m f=1 9223372036854775807").contains("no time"));
        assert!(why(",a=b f=1").contains("no measurement"));
        assert_eq!(line("# comment", Precision::Seconds), Ok(None));
        assert_eq!(line("  ", Precision::Seconds), Ok(None));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _read = line(&text, Precision::Seconds).is_ok();
        }
    }
}
