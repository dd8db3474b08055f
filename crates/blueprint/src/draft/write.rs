//! The text of a draft.
//!
//! *Invariant:* whatever names and reasons hold, the text is TOML: values are quoted by the TOML
//! library, reasons are one line.

use toml::Value;

use super::{Draft, Guess, Shape, Subject};
use crate::duration::human;

/// The longest reason that stands in a file.
const WHY_CHARS_MAX: usize = 200;

/// A draft as it grows.
pub(super) struct Sheet {
    text: String,
    guesses: Vec<(String, String)>,
    assumptions: Vec<String>,
    section: String,
}

impl Sheet {
    pub(super) fn new() -> Self {
        Self {
            text: String::new(),
            guesses: Vec::new(),
            assumptions: Vec::new(),
            section: String::new(),
        }
    }

    pub(super) fn finish(self) -> Draft {
        Draft { text: self.text, guesses: self.guesses, assumptions: self.assumptions }
    }

    pub(super) fn comment(&mut self, words: &str) {
        self.text.push_str(&format!("# {}\n", one_line(words)));
    }

    pub(super) fn section(&mut self, name: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        name.clone_into(&mut self.section);
        self.text.push_str(&format!("[{name}]\n"));
    }

    /// `key = value`, as it was said or as it always is.
    pub(super) fn line(&mut self, key: &str, value: &str) {
        self.text.push_str(&format!("{key} = {value}\n"));
    }

    pub(super) fn words(&mut self, key: &str, words: &str) {
        self.line(key, &quoted(words));
    }

    /// `key = value # guess: why`
    pub(super) fn guess(&mut self, key: &str, value: &str, why: &str) {
        let why = one_line(why);
        let mark = if why.starts_with("guess") { why } else { format!("guess: {why}") };
        self.text.push_str(&format!("{key} = {value} # {mark}\n"));
        let place = if self.section.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.section)
        };
        let reason = mark.trim_start_matches("guess: ").to_owned();
        self.guesses.push((place, reason));
    }

    /// Something nobody knows, with the range it may lie in.
    pub(super) fn assumption(&mut self, name: &str, keys: &[(&str, &str)]) {
        self.section(&format!("assumption.{name}"));
        self.comment(
            "nobody knows it yet, so this range is wide on purpose; narrow it by an experiment",
        );
        for (key, value) in keys {
            self.words(key, value);
        }
        self.assumptions.push(name.to_owned());
    }

    pub(super) fn head(&mut self, subject: &Subject, title: &str) {
        self.comment(&format!("Drafted by iotbiz init from {}.", subject.from));
        self.comment("Lines marked \"guess\" were not said: read each, then delete its mark.");
        self.line("blueprint", "1");
        self.words("venture", subject.venture.as_str());
        self.guess("title", &quoted(title), "say it in your own words");
    }

    pub(super) fn readings(&mut self, subject: &Subject, guesses: &[Guess]) {
        self.section(&format!("device.{}.readings", subject.kind));
        for guess in guesses {
            let value = reading(guess);
            if guess.why.starts_with("as said") {
                let why = one_line(&guess.why);
                self.text.push_str(&format!("{} = {value} # {why}\n", guess.name));
            } else {
                self.guess(&guess.name, &value, &guess.why);
            }
        }
    }
}

pub(super) fn quoted(words: &str) -> String {
    Value::String(one_line(words)).to_string()
}

/// One line without control characters, no longer than is read.
fn one_line(words: &str) -> String {
    let plain: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let short: String = plain.chars().take(WHY_CHARS_MAX).collect();
    if short.len() < plain.len() { format!("{short} ...") } else { short }
}

fn reading(guess: &Guess) -> String {
    let mut keys = Vec::new();
    let word = match &guess.shape {
        Shape::Number(unit) => {
            keys.push(format!("unit = {}", quoted(unit)));
            None
        }
        Shape::Boolean => Some("boolean"),
        Shape::Text => Some("text"),
        Shape::Position => Some("position"),
    };
    if guess.counter {
        keys.push("counter = true".to_owned());
    }
    if let Some(every) = guess.every {
        keys.push(format!("every = {}", quoted(&human(every))));
    }
    match guess.sent_as.as_slice() {
        [] => {}
        [one] => keys.push(format!("sent_as = {}", quoted(one))),
        several => {
            let names: Vec<_> = several.iter().map(|name| quoted(name)).collect();
            keys.push(format!("sent_as = [{}]", names.join(", ")));
        }
    }
    match word {
        Some(word) if keys.is_empty() => quoted(word),
        Some(word) => format!("{{ type = {}, {} }}", quoted(word), keys.join(", ")),
        None => format!("{{ {} }}", keys.join(", ")),
    }
}

/// `New venture: temperature, humidity`
pub(super) fn title(subject: &Subject, guesses: &[Guess]) -> String {
    let name = subject.venture.as_str().replace('_', " ");
    let mut letters = name.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase().to_string()).unwrap_or_default();
    let what: Vec<_> = guesses.iter().take(3).map(|guess| guess.name.replace('_', " ")).collect();
    format!("{first}{}: {}", letters.as_str(), what.join(", "))
}

/// The draft of a device whose messages were seen.
pub(super) fn of_messages(
    subject: &Subject,
    guesses: &[Guess],
    told: &std::collections::BTreeMap<String, String>,
    size: Option<&str>,
) -> Draft {
    let mut sheet = Sheet::new();
    sheet.head(subject, &title(subject, guesses));
    sheet.readings(subject, guesses);
    if let Some(size) = size {
        sheet.comment(size);
    }
    for (key, why) in told {
        sheet.comment(&format!("{key} is no reading here: {why}"));
    }
    sheet.finish()
}
