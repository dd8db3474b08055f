//! The filter language: `kind:box status:silent fw:<2.4.1 temperature:>8 lyon`.
//!
//! *Invariant:* the same text chooses the same devices in the API, the console and the command
//! line. Terms are joined by "and"; `-term` negates; commas inside a term are "or".
//!
//! A bare word is searched in name, id and tags. Fields: `kind venture status fw hw site tag
//! origin name id pending`; any other field is a reading, compared as a number or as text.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use model::{Timestamp, Value};

use crate::DeviceTwin;

/// Terms one filter may have.
const TERMS_MAX: usize = 32;
/// Characters one filter may have.
const FILTER_CHARS_MAX: usize = 1000;

/// Whether a device is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Heard within its expected interval.
    Live,
    /// Heard before, but not lately.
    Silent,
    /// Never heard.
    Never,
    /// Out of service.
    Retired,
}

impl Status {
    /// The word used everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Silent => "silent",
            Self::Never => "never",
            Self::Retired => "retired",
        }
    }

    /// Judges a device heard last at `last`: silent once `silent_after` has passed.
    #[must_use]
    pub fn judge(last: Option<Timestamp>, now: Timestamp, silent_after: Duration) -> Self {
        match last {
            None => Self::Never,
            Some(last) if now.since(last) > silent_after => Self::Silent,
            Some(_) => Self::Live,
        }
    }
}

/// What a filter needs besides the twin.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Whether it is heard.
    pub status: Status,
    /// Name of its site.
    pub site: Option<&'a str>,
}

/// A parsed filter; the empty one matches every device.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    terms: Vec<Term>,
}

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// Too long to be meant.
    #[error("filter has {found} characters or terms, at most {max} are allowed")]
    TooLong {
        /// What it has.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// A quote without its end.
    #[error("quote opened at character {at} is not closed")]
    Quote {
        /// Where, from 1.
        at: usize,
    },
    /// `status:` with an unknown word.
    #[error("{value:?} is no {field}: use {allowed}")]
    Word {
        /// The field.
        field: &'static str,
        /// What was given.
        value: String,
        /// What is understood.
        allowed: &'static str,
    },
    /// `field:` without a value.
    #[error("{field}: needs a value, for example {field}:{example}")]
    Empty {
        /// The field.
        field: String,
        /// An example value.
        example: &'static str,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sense {
    Is,
    Not,
}

#[derive(Debug, Clone, PartialEq)]
struct Term {
    sense: Sense,
    field: Field,
    any_of: Vec<Test>,
}

#[derive(Debug, Clone, PartialEq)]
enum Field {
    Word,
    Kind,
    Venture,
    Status,
    Firmware,
    Hardware,
    Site,
    Tag,
    Origin,
    Name,
    Id,
    Pending,
    Reading(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Equal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Compare {
    const fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterEqual => ordering.is_ge(),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Test {
    compare: Compare,
    text: String,
}

fn words(text: &str) -> Result<Vec<String>, FilterError> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for (at, c) in text.chars().enumerate() {
        match (c, quote) {
            ('"', None) => quote = Some(at + 1),
            ('"', Some(_)) => quote = None,
            (c, None) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (c, _) => word.push(c),
        }
    }
    if let Some(at) = quote {
        return Err(FilterError::Quote { at });
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

fn field(name: &str) -> Field {
    match name {
        "kind" => Field::Kind,
        "venture" => Field::Venture,
        "status" => Field::Status,
        "fw" | "firmware" => Field::Firmware,
        "hw" | "hardware" => Field::Hardware,
        "site" => Field::Site,
        "tag" => Field::Tag,
        "origin" => Field::Origin,
        "name" => Field::Name,
        "id" => Field::Id,
        "pending" => Field::Pending,
        other => Field::Reading(other.to_owned()),
    }
}

fn test(text: &str) -> Test {
    let (compare, rest) = if let Some(rest) = text.strip_prefix("<=") {
        (Compare::LessEqual, rest)
    } else if let Some(rest) = text.strip_prefix(">=") {
        (Compare::GreaterEqual, rest)
    } else if let Some(rest) = text.strip_prefix('<') {
        (Compare::Less, rest)
    } else if let Some(rest) = text.strip_prefix('>') {
        (Compare::Greater, rest)
    } else {
        (Compare::Equal, text.strip_prefix('=').unwrap_or(text))
    };
    Test { compare, text: rest.to_lowercase() }
}

fn known_words(field: &Field) -> Option<(&'static str, &'static [&'static str], &'static str)> {
    match field {
        Field::Status => Some((
            "status",
            &["live", "silent", "never", "retired"],
            "live, silent, never or retired",
        )),
        Field::Origin => {
            Some(("origin", &["real", "replayed", "virtual"], "real, replayed or virtual"))
        }
        Field::Pending => Some(("pending", &["yes", "no"], "yes or no")),
        Field::Word
        | Field::Kind
        | Field::Venture
        | Field::Firmware
        | Field::Hardware
        | Field::Site
        | Field::Tag
        | Field::Name
        | Field::Id
        | Field::Reading(_) => None,
    }
}

fn term(word: &str) -> Result<Term, FilterError> {
    let (sense, word) = match word.strip_prefix('-') {
        Some(rest) if !rest.is_empty() => (Sense::Not, rest),
        _ => (Sense::Is, word),
    };
    let Some((name, value)) = word.split_once(':') else {
        let any_of = vec![Test { compare: Compare::Equal, text: word.to_lowercase() }];
        return Ok(Term { sense, field: Field::Word, any_of });
    };
    let field = field(name);
    let any_of: Vec<Test> = value.split(',').map(test).collect();
    if any_of.iter().any(|test| test.text.is_empty()) {
        let example = known_words(&field).map_or(">8", |(_, words, _)| words[0]);
        return Err(FilterError::Empty { field: name.to_owned(), example });
    }
    if let Some((name, words, allowed)) = known_words(&field)
        && let Some(bad) = any_of.iter().find(|test| !words.contains(&test.text.as_str()))
    {
        return Err(FilterError::Word { field: name, value: bad.text.clone(), allowed });
    }
    Ok(Term { sense, field, any_of })
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let found = text.chars().count();
        if found > FILTER_CHARS_MAX {
            return Err(FilterError::TooLong { found, max: FILTER_CHARS_MAX });
        }
        let words = words(text)?;
        if words.len() > TERMS_MAX {
            return Err(FilterError::TooLong { found: words.len(), max: TERMS_MAX });
        }
        let terms = words.iter().map(|word| term(word)).collect::<Result<_, _>>()?;
        Ok(Self { terms })
    }
}

impl Filter {
    /// Whether the device is chosen.
    #[must_use]
    pub fn matches(&self, twin: &DeviceTwin, facts: Facts<'_>) -> bool {
        self.terms.iter().all(|term| {
            let holds = term.any_of.iter().any(|test| term.field.holds(test, twin, facts));
            holds == (term.sense == Sense::Is)
        })
    }
}

impl Field {
    fn holds(&self, test: &Test, twin: &DeviceTwin, facts: Facts<'_>) -> bool {
        let same = |text: &str| text.to_lowercase() == test.text;
        let part = |text: &str| text.to_lowercase().contains(&test.text);
        let version = |text: Option<&str>| {
            text.is_some_and(|text| test.compare.holds(versions(text, &test.text)))
        };
        match self {
            Self::Word => {
                part(&twin.name)
                    || part(&twin.id.to_string())
                    || twin.tags.iter().any(|tag| part(tag))
                    || facts.site.is_some_and(part)
            }
            Self::Kind => same(twin.kind.as_str()),
            Self::Venture => same(twin.venture.as_str()),
            Self::Status => same(facts.status.as_str()),
            Self::Firmware => version(twin.reported_text("firmware")),
            Self::Hardware => version(twin.reported_text("hardware")),
            Self::Site => facts.site.is_some_and(part),
            Self::Tag => twin.tags.iter().any(|tag| same(tag)),
            Self::Origin => same(twin.origin.as_str()),
            Self::Name => part(&twin.name),
            Self::Id => same(&twin.id.to_string()),
            Self::Pending => (test.text == "yes") == twin.pending().next().is_some(),
            Self::Reading(name) => {
                let last = twin.readings.get(name.as_str());
                let last = last.or_else(|| twin.reported.get(name.as_str()));
                last.is_some_and(|last| reading_holds(&last.value, test))
            }
        }
    }
}

fn reading_holds(value: &Value, test: &Test) -> bool {
    match value {
        Value::Number(number) => test
            .text
            .parse::<f64>()
            .ok()
            .and_then(|bound| number.partial_cmp(&bound))
            .is_some_and(|ordering| test.compare.holds(ordering)),
        Value::Boolean(truth) => match test.text.as_str() {
            "true" | "yes" => *truth,
            "false" | "no" => !*truth,
            _ => false,
        },
        Value::Text(text) => text.to_lowercase() == test.text,
        Value::Position { .. } => false,
    }
}

/// Compares `2.10.1` and `2.9` number by number; what is no number is compared as text.
fn versions(left: &str, right: &str) -> Ordering {
    let mut left = left.trim_start_matches('v').split(['.', '-', '+']);
    let mut right = right.trim_start_matches('v').split(['.', '-', '+']);
    loop {
        let ordering = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(rest)) => rest.parse::<u64>().map_or(Ordering::Greater, |n| 0.cmp(&n)),
            (Some(rest), None) => rest.parse::<u64>().map_or(Ordering::Less, |n| n.cmp(&0)),
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                _ => a.to_lowercase().cmp(&b.to_lowercase()),
            },
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{DeviceId, Offset, Origin, ReadingMark, TenantId};
    use proptest::prelude::*;

    use crate::{Last, Seen};

    fn last(value: Value) -> Last {
        Last {
            value,
            time: Timestamp::ZERO,
            offset: Offset(1),
            origin: Origin::Real,
            mark: ReadingMark::DeviceTime,
        }
    }

    fn twin() -> DeviceTwin {
        let readings = [
            ("temperature".parse().unwrap(), last(Value::Number(9.5))),
            ("lid_open".parse().unwrap(), last(Value::Boolean(true))),
        ];
        let reported = [("firmware".parse().unwrap(), last(Value::Text("2.4.0".into())))];
        DeviceTwin {
            id: DeviceId::from_u128(7),
            tenant: TenantId::from_u128(1),
            revision: 1,
            name: "Box-0007".to_owned(),
            venture: "coolbox".parse().unwrap(),
            kind: "box".parse().unwrap(),
            origin: Origin::Virtual,
            site: None,
            tags: vec!["pilot".to_owned()],
            links: std::collections::BTreeMap::new(),
            profile: None,
            retired: None,
            returns: Vec::new(),
            path: None,
            readings: readings.into(),
            reported: reported.into(),
            desired: std::collections::BTreeMap::new(),
            desired_version: 0,
            commands: std::sync::Arc::default(),
            guards: std::sync::Arc::default(),
            seen: Seen::default(),
        }
    }

    fn chosen(text: &str) -> bool {
        let facts = Facts { status: Status::Silent, site: Some("Lyon Est") };
        text.parse::<Filter>().unwrap().matches(&twin(), facts)
    }

    #[test]
    fn every_field_can_choose_and_refuse() {
        for yes in [
            "",
            "kind:box status:silent fw:<2.4.1 temperature:>8",
            "kind:base,box",
            "-kind:base",
            "fw:>=2.4",
            "fw:2.4.0",
            "site:lyon",
            "site:\"lyon est\"",
            "tag:pilot origin:virtual",
            "0007",
            "lid_open:yes pending:no",
            "temperature:<=9.5",
        ] {
            assert!(chosen(yes), "{yes}");
        }
        for no in [
            "kind:base",
            "status:live",
            "fw:<2.4",
            "fw:>2.10",
            "temperature:>9.5",
            "humidity:>0",
            "-0007",
            "hw:>1",
            "lid_open:no",
            "tag:pil",
        ] {
            assert!(!chosen(no), "{no}");
        }
    }

    #[test]
    fn a_wrong_word_is_told_what_is_understood() {
        let error = |text: &str| text.parse::<Filter>().unwrap_err().to_string();
        assert_eq!(
            error("status:dead"),
            "\"dead\" is no status: use live, silent, never or retired"
        );
        assert_eq!(error("temperature:"), "temperature: needs a value, for example temperature:>8");
        assert_eq!(error("a \"b"), "quote opened at character 3 is not closed");
    }

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(versions("2.10", "2.9"), Ordering::Greater);
        assert_eq!(versions("2.4", "2.4.0"), Ordering::Equal);
        assert_eq!(versions("2.4-rc1", "2.4"), Ordering::Less);
    }

    proptest! {
        #[test]
        fn any_text_is_a_filter_or_is_refused(text in "\\PC{0,80}") {
            if let Ok(filter) = text.parse::<Filter>() {
                let facts = Facts { status: Status::Live, site: None };
                let _chosen = filter.matches(&twin(), facts);
            }
        }
    }
}
