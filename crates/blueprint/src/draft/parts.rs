//! What a founder's words mean: quantities, intervals, supply, prices and proofs.
//!
//! *Invariant:* what is not understood is said, with an answer that would be; no part of an answer
//! is dropped without a word.

use std::time::Duration;

use expr::{Quantity, Unit};
use rust_decimal::Decimal;

use super::dictionary::{POSITIONS, SWITCHES, quantity_of, words};
use super::{Guess, Shape};
use crate::words::unit_word;

/// The most readings one answer may name.
const READINGS_MAX: usize = 40;
/// Words of an answer that name nothing.
const FILLERS: &[&str] =
    &["the", "its", "a", "an", "of", "how", "whether", "if", "is", "each", "every"];

/// Numbers and words apart, decimals with a point, signs of currencies by their codes.
fn tokens(text: &str) -> Vec<String> {
    let mut spaced = String::new();
    let mut before = ' ';
    let chars: Vec<char> = text.chars().collect();
    for (n, c) in chars.iter().copied().enumerate() {
        let after = chars.get(n + 1).copied().unwrap_or(' ');
        let turns = (before.is_ascii_digit() && (c.is_alphabetic() || c == '%'))
            || (before.is_alphabetic() && c.is_ascii_digit());
        if turns {
            spaced.push(' ');
        }
        match c {
            '€' => spaced.push_str(" EUR "),
            '$' => spaced.push_str(" USD "),
            '£' => spaced.push_str(" GBP "),
            ',' if before.is_ascii_digit() && after.is_ascii_digit() => {
                let digits = chars.iter().skip(n + 1).take_while(|c| c.is_ascii_digit()).count();
                let zero = spaced.ends_with(" 0") || spaced == "0";
                // Three digits behind a comma are thousands: 1,200 EUR.
                if digits != 3 || zero {
                    spaced.push('.');
                }
            }
            '/' => spaced.push_str(" per "),
            '–' | '—' => spaced.push_str(" to "),
            '-' if before.is_ascii_digit() && after.is_ascii_digit() => spaced.push_str(" to "),
            ',' | ';' | '(' | ')' | '"' => spaced.push(' '),
            other => spaced.push(other),
        }
        before = c;
    }
    spaced.split_whitespace().map(|word| word.trim_end_matches(['.', '!']).to_owned()).collect()
}

/// `temperature in °C, lid open and position`
pub(super) fn measures(text: &str) -> Result<Vec<Guess>, String> {
    let parts = text.replace(" and ", ",").replace(" & ", ",");
    let parts = parts.split([',', ';', '\n', '+']).map(str::trim).filter(|part| !part.is_empty());
    let guesses: Result<Vec<_>, _> = parts.take(READINGS_MAX).map(measured).collect();
    let guesses = guesses?;
    if guesses.is_empty() {
        Err("it names nothing that can be measured".to_owned())
    } else {
        Ok(guesses)
    }
}

fn measured(part: &str) -> Result<Guess, String> {
    let (what, unit) = what_and_unit(part)?;
    let parts: Vec<String> =
        words(&what).into_iter().filter(|w| !FILLERS.contains(&w.as_str())).collect();
    let at = parts.iter().rposition(|word| quantity_of(word).is_some());
    let quantity = at.and_then(|at| quantity_of(parts.get(at)?));
    let mut named = parts.clone();
    if let (Some(at), Some(quantity)) = (at, quantity)
        && let Some(word) = named.get_mut(at)
    {
        quantity.name.clone_into(word);
    }
    let has = |known: &[&str]| parts.iter().any(|word| known.contains(&word.as_str()));
    let said = |shape: Shape| (shape, format!("as said: {part}"));
    let (shape, why) = match unit {
        Some(unit) => said(Shape::Number(unit)),
        None if has(POSITIONS) => said(Shape::Position),
        None if quantity.is_none() && has(SWITCHES) => said(Shape::Boolean),
        None if has(&["state", "status", "mode", "text", "message", "name"]) => said(Shape::Text),
        None => match quantity {
            Some(quantity) => {
                let why = format!("guess: {} for {part}, no unit was said", quantity.unit);
                (Shape::Number(quantity.unit.to_owned()), why)
            }
            None => {
                let why = format!("guess: a plain number for {part}, no unit was said");
                (Shape::Number("1".to_owned()), why)
            }
        },
    };
    let name: String = named.join("_").chars().take(60).collect();
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err(format!("{part:?} gives no name: begin with a word"));
    }
    let name = if matches!(name.as_str(), "ts" | "values") { format!("{name}_read") } else { name };
    Ok(Guess { name, shape, counter: false, every: None, sent_as: Vec::new(), why })
}

/// `temperature in °C`, `temperature (°C)`, `temperature °C`, `temperature`.
fn what_and_unit(part: &str) -> Result<(String, Option<String>), String> {
    if let Some((what, rest)) = part.split_once(['(', '[']) {
        let unit = rest.trim_end_matches([')', ']', ' ']);
        return Ok((what.trim().to_owned(), Some(unit_said(unit, part)?)));
    }
    if let Some((what, unit)) = part.split_once(" in ") {
        return Ok((what.trim().to_owned(), Some(unit_said(unit, part)?)));
    }
    if let Some((what, last)) = part.rsplit_once(' ')
        && let Ok(unit) = unit_said(last, part)
    {
        return Ok((what.trim().to_owned(), Some(unit)));
    }
    Ok((part.to_owned(), None))
}

fn unit_said(word: &str, part: &str) -> Result<String, String> {
    let word = word.trim();
    if Unit::parse(word).is_ok_and(|unit| !unit.is_one()) {
        return Ok(word.to_owned());
    }
    let known = unit_word(word).map(str::to_owned);
    known.ok_or_else(|| format!("{word:?} in {part:?} is no unit: °C, %, V, kWh, m/s ..."))
}

/// How often something comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    Each(Duration),
    OnChange,
}

pub(super) fn every(text: &str) -> Result<Pace, String> {
    let lower = text.to_lowercase();
    if lower.contains("change") || lower.contains("event") || lower.contains("when it happens") {
        return Ok(Pace::OnChange);
    }
    let words = tokens(&lower);
    let whole = |unit: &str| -> Option<u32> {
        let second = match unit.trim_end_matches('s') {
            "second" | "sec" => 1,
            "minute" | "min" | "minutely" => 60,
            "hour" | "hourly" | "h" => 3_600,
            "day" | "daily" | "d" => 86_400,
            "week" | "weekly" => 604_800,
            _ => return None,
        };
        Some(second)
    };
    let length = |amount: f64, unit: &str| {
        let quantity = Quantity::parse(&format!("{amount} {unit}")).ok()?;
        quantity.duration().filter(|duration| *duration >= Duration::from_millis(1))
    };
    for (n, word) in words.iter().enumerate() {
        let next = words.get(n + 1).map(String::as_str).unwrap_or_default();
        if let Ok(amount) = word.parse::<f64>() {
            if next.starts_with("time") || next == "x" {
                let unit = words.iter().skip(n + 1).find_map(|word| whole(word));
                if let Some(seconds) = unit.filter(|_| amount > 0.0) {
                    return Ok(Pace::Each(Duration::from_secs_f64(f64::from(seconds) / amount)));
                }
            }
            if let Some(every) = length(amount, next) {
                return Ok(Pace::Each(every));
            }
        }
    }
    let times = if lower.contains("twice") { 2 } else { 1 };
    match words.iter().find_map(|word| whole(word)) {
        Some(seconds) => Ok(Pace::Each(Duration::from_secs(u64::from(seconds / times)))),
        None => Err("it names no length of time".to_owned()),
    }
}

/// How a device reaches us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Radio {
    Cellular,
    Lora,
    Local,
    Gateway,
    Satellite,
}

/// What a device runs on.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    Mains,
    Battery { mah: Option<f64>, lasts: Option<String> },
}

/// The answer about connection and power; `None` is not said.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Supply {
    pub(super) radio: Option<Radio>,
    pub(super) source: Option<Source>,
}

pub(super) fn supply(text: &str) -> Result<Supply, String> {
    let lower = text.to_lowercase();
    let has = |known: &[&str]| known.iter().any(|word| lower.contains(word));
    let radio = if has(&["satellite", "iridium", "starlink"]) {
        Some(Radio::Satellite)
    } else if has(&["lora", "sigfox", "mioty"]) {
        Some(Radio::Lora)
    } else if has(&[
        "lte", "nb-iot", "nbiot", "cat-m", "4g", "5g", "2g", "gsm", "cellular", "sim", "mobile",
    ]) {
        Some(Radio::Cellular)
    } else if has(&["wifi", "wi-fi", "wlan", "ethernet", "lan", "cable"]) {
        Some(Radio::Local)
    } else if has(&["ble", "bluetooth", "zigbee", "thread", "z-wave", "matter", "gateway", "hub"]) {
        Some(Radio::Gateway)
    } else {
        None
    };
    let words = tokens(text);
    let number = |units: &[&'static str]| {
        words.windows(2).find_map(|pair| {
            let unit = units.iter().find(|unit| pair[1].eq_ignore_ascii_case(unit))?;
            let amount: f64 = pair[0].parse().ok().filter(|amount| *amount > 0.0)?;
            Some((amount, *unit))
        })
    };
    let charge = number(&["mAh", "Ah"]).map(|(n, unit)| if unit == "Ah" { n * 1000.0 } else { n });
    let lasts = number(&["years", "year", "months", "month"]);
    let lasts = lasts.map(|(amount, unit)| format!("{amount} {unit}"));
    let source = if charge.is_some() || has(&["batter", "coin cell", "aa cell", "18650", "solar"]) {
        Some(Source::Battery { mah: charge, lasts })
    } else if has(&["mains", "grid", "230 v", "230v", "plug", "usb", "poe", "24 v", "24v", "wired"])
    {
        Some(Source::Mains)
    } else {
        None
    };
    if radio.is_none() && source.is_none() {
        return Err("it names neither a radio or cable nor a source of power".to_owned());
    }
    Ok(Supply { radio, source })
}

/// For what a price is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Per {
    Device,
    Customer,
}

/// How often it is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Once,
    Day,
    Month,
    Year,
}

/// Who pays how much for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pays {
    pub(super) segment: Option<String>,
    /// The lowest and the highest, when a range was said.
    pub(super) amount: Decimal,
    pub(super) up_to: Option<Decimal>,
    pub(super) currency: String,
    pub(super) per: Per,
    pub(super) when: When,
    /// Whether it was said for what.
    pub(super) per_was_said: bool,
}

fn currency(word: &str) -> Option<String> {
    let code = match word.to_lowercase().as_str() {
        "euro" | "euros" => "EUR".to_owned(),
        "dollar" | "dollars" => "USD".to_owned(),
        "pound" | "pounds" => "GBP".to_owned(),
        _ => word.to_uppercase(),
    };
    let found = Unit::parse(&code).ok()?.dimension().currency()?;
    (found.as_str() == code).then_some(code)
}

pub(super) fn pays(text: &str, kind: &str) -> Result<Pays, String> {
    let words = tokens(text);
    let money = words.iter().enumerate().find_map(|(n, word)| Some((n, currency(word)?)));
    let (at, currency) =
        money.ok_or("it has no price with a currency: 9 EUR per device and month")?;
    let number = |n: Option<usize>| -> Option<Decimal> { words.get(n?)?.parse().ok() };
    let before = number(at.checked_sub(1));
    let amount =
        before.or_else(|| number(Some(at + 1))).filter(|amount| !amount.is_sign_negative());
    let amount = amount.ok_or_else(|| format!("no number stands beside {currency}"))?;
    let joins = at.checked_sub(2).and_then(|n| words.get(n)).is_some_and(|word| word == "to");
    let low = if before.is_some() && joins { number(at.checked_sub(3)) } else { None };
    let lower: Vec<String> = words.iter().skip(at).map(|word| word.to_lowercase()).collect();
    let has = |known: &[&str]| lower.iter().any(|w| known.contains(&w.trim_end_matches('s')));
    let when = if has(&["once", "one-off", "one-time", "upfront"]) {
        When::Once
    } else if has(&["month", "monthly", "mo"]) {
        When::Month
    } else if has(&["day", "daily"]) {
        When::Day
    } else if has(&["year", "yearly", "annual", "annually"]) {
        When::Year
    } else {
        When::Once
    };
    let device = has(&[
        "device", "box", "boxe", "sensor", "unit", "probe", "machine", "piece", "each", kind,
    ]);
    let named = lower.iter().zip(lower.iter().skip(1)).any(|(one, next)| {
        matches!(one.as_str(), "per" | "a" | "each" | "every")
            && !["month", "day", "year"].contains(&next.trim_end_matches('s'))
    });
    let per = if device || !named { Per::Device } else { Per::Customer };
    let segment = text.split(" pay").next().filter(|lead| lead.len() < text.len());
    let segment = segment.map(|lead| lead.trim().trim_start_matches("the ").to_owned());
    Ok(Pays {
        segment: segment.filter(|lead| !lead.is_empty()),
        amount: low.unwrap_or(amount),
        up_to: low.map(|_| amount),
        currency,
        per,
        when,
        per_was_said: device || named,
    })
}

/// What would prove it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Proof {
    /// In percent.
    pub(super) share: f64,
    pub(super) asked: Option<u64>,
    pub(super) kind: &'static str,
    /// Whether a word said which kind of evidence it is.
    pub(super) kind_was_said: bool,
}

pub(super) fn proof(text: &str) -> Result<Proof, String> {
    let words = tokens(text);
    let number = |n: usize| words.get(n).and_then(|word| word.parse::<f64>().ok());
    let mut share = None;
    let mut asked = None;
    for (n, word) in words.iter().enumerate() {
        let Some(value) = number(n) else { continue };
        let next = words.get(n + 1).map(String::as_str).unwrap_or_default();
        let of = matches!(next, "of" | "out") || next == "per";
        if next == "%" || next == "percent" {
            share = share.or(Some(value));
        } else if of && share.is_none() {
            let total = words.iter().skip(n + 1).find_map(|word| word.parse::<f64>().ok());
            if let Some(total) = total.filter(|total| *total >= value && *total > 0.0) {
                share = Some(100.0 * value / total);
                asked = whole(total);
            }
        } else if share.is_some() && asked.is_none() && word.parse::<u64>().is_ok() {
            asked = whole(value);
        }
    }
    let share = share.filter(|share| (0.1..=99.9).contains(share)).ok_or(
        "it has no share that could be reached or missed: 12 of 40 pharmacies sign, or 30 % pay",
    )?;
    let lower = text.to_lowercase();
    let kinds = [
        ("pay", &["pay", "sign", "buy", "order", "deposit", "subscri", "bought"][..]),
        ("measure", &["measure", "save", "fewer", "less", "reduce", "detect", "accura"][..]),
        ("build", &["built", "build", "prototype", "works"][..]),
        ("do", &["click", "try", "tried", "join", "install", "use", "agree", "test"][..]),
        ("say", &["say", "want", "interest", "would", "like"][..]),
    ];
    let said = kinds.iter().find(|(_, words)| words.iter().any(|word| lower.contains(word)));
    let kind = said.map_or("do", |(kind, _)| kind);
    Ok(Proof { share, asked, kind, kind_was_said: said.is_some() })
}

fn whole(number: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
    (number.fract() == 0.0 && (1.0..1e9).contains(&number)).then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(text: &str) -> u64 {
        match every(text) {
            Ok(Pace::Each(every)) => every.as_secs() / 60,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn an_interval_is_read_in_the_words_people_use() {
        let said = [
            ("every 15 min", 15),
            ("15min", 15),
            ("hourly", 60),
            ("once a day", 1440),
            ("every minute", 1),
            ("twice a day", 720),
            ("4 times a day", 360),
            ("about every 2 hours", 120),
        ];
        for (text, wanted) in said {
            assert_eq!(minutes(text), wanted, "{text}");
        }
        assert_eq!(every("on change"), Ok(Pace::OnChange));
        assert!(every("often").is_err());
    }

    #[test]
    fn a_price_is_read_in_the_words_people_use() {
        let read = |text: &str| pays(text, "box").unwrap_or_else(|why| panic!("{text}: {why}"));
        let month = read("pharmacies pay 9 EUR per device and month");
        assert_eq!(month.segment.as_deref(), Some("pharmacies"));
        assert_eq!((month.per, month.when), (Per::Device, When::Month));
        let day = read("0,30 €/box/day");
        assert_eq!((day.amount.to_string().as_str(), day.when), ("0.30", When::Day));
        let range = read("farms pay 5-9 EUR a month per farm");
        assert_eq!((range.amount, range.up_to), (5.into(), Some(9.into())));
        assert_eq!(range.per, Per::Customer);
        assert_eq!(read("$49 per device once").when, When::Once);
        assert!(pays("a lot", "box").is_err());
        assert!(pays("EUR per month", "box").is_err());
    }

    #[test]
    fn a_proof_needs_a_share() {
        let read = |text: &str| proof(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        let signed = read("12 of 40 pharmacies sign");
        assert_eq!((signed.share, signed.asked, signed.kind), (30.0, Some(40), "pay"));
        let percent = read("30 % of 25 farms save water");
        assert_eq!((percent.share, percent.asked, percent.kind), (30.0, Some(25), "measure"));
        assert!(proof("people love it").is_err());
        assert!(proof("300 %").is_err());
    }

    #[test]
    fn what_is_measured_is_read_with_and_without_units() {
        assert!(measures("weight in stones").unwrap_err().contains("stones"));
        let read =
            measures("air temp in celsius, humidity, lid open, position and voltage V").unwrap();
        let names: Vec<_> = read.iter().map(|guess| guess.name.as_str()).collect();
        assert_eq!(names, ["air_temperature", "humidity", "lid_open", "position", "voltage"]);
        assert_eq!(read[0].shape, Shape::Number("°C".to_owned()));
        assert!(read[1].why.starts_with("guess: %"));
        assert_eq!(read[2].shape, Shape::Boolean);
        assert_eq!(read[4].shape, Shape::Number("V".to_owned()));
    }
}
