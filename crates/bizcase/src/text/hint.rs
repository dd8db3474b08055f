//! What people type who come from a spreadsheet, and how it is written here.
//!
//! *Invariant:* a hint names the right form; it never changes what a text means.

use super::lex::Token;
use crate::unit::word;

/// Names of spreadsheets and what does the same here.
const SPREADSHEET: [(&str, &str); 22] = [
    ("average", "mean"),
    ("stdev", "sd, of the population"),
    ("stdevp", "sd"),
    ("var", "sd, squared"),
    ("percentile", "quantile"),
    ("quartile", "quantile"),
    ("correl", "pearson"),
    ("sum", "a sum written with +"),
    ("sumproduct", "a sum written with + and *"),
    ("log", "ln, or log10"),
    ("power", "^"),
    ("roundup", "ceil"),
    ("rounddown", "floor"),
    ("int", "floor"),
    ("rand", "simulate"),
    ("rands", "simulate"),
    ("pv", "npv"),
    ("fv", "^, as in 100 * (1 + 5 %)^3"),
    ("effect", "rate_per_period"),
    ("nominal", "rate_per_period"),
    ("if", "max and min"),
    ("ltv", "clv"),
];

/// Units a typing slip may have been meant as.
const UNITS: [&str; 15] = [
    "EUR", "USD", "GBP", "device", "customer", "second", "minute", "hour", "day", "week", "month",
    "year", "kB", "MB", "GB",
];

/// What a mark would be, that means nothing here.
pub(super) fn mark(c: char) -> String {
    let fix = match c {
        ';' => "arguments are separated by commas",
        '"' | '\'' | '“' | '”' | '’' | '`' => {
            "names and dates stand without quotation marks, thousands without a mark: 2026-11-25, \
             10000"
        }
        '–' | '—' | '…' | '~' => "a range is written 31 to 38",
        '$' => "write the currency behind the number: 5 USD",
        '¥' => "write the currency behind the number: 5 JPY",
        '<' | '>' => "a formula gives a number, it compares none: use cdf, min or max",
        '{' | '}' => "lists stand in square brackets: [1, 2]",
        _ => return format!("{c:?} has no meaning here"),
    };
    format!("{c:?} has no meaning here: {fix}")
}

/// What is wrong with a number that begins with 0 or is part of a date; `before` stands right
/// before it in the text `head`, `rest` behind it.
pub(super) fn number(
    word: &str,
    (head, rest): (&str, &str),
    before: Option<&Token>,
) -> Option<String> {
    let dated = rest.starts_with('.') || word.matches('.').count() > 1;
    let digits = rest.trim_start_matches('.').starts_with(|c: char| c.is_ascii_digit());
    if dated && digits {
        return Some(format!("{word} begins no number; a date is written 2026-11-25"));
    }
    let leading = word.len() > 1 && word.starts_with('0');
    if !leading || !word.as_bytes().get(1).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    Some(match before {
        Some(Token::Mark(',')) => {
            let head = head.trim_end_matches(',');
            let digits = head.bytes().rev().take_while(u8::is_ascii_digit).count();
            let thousands = head.get(head.len() - digits..).unwrap_or_default();
            format!("a comma separates two numbers, no thousands: write {thousands}{word}")
        }
        Some(Token::Number(_)) => {
            "a space separates no thousands: write 10000 or 10_000".to_owned()
        }
        Some(_) | None => format!("{word} begins with 0; a date is written 2026-11-25"),
    })
}

/// What to do with a token that follows a whole expression.
pub(super) fn left_over(before: Option<&Token>, token: &Token) -> String {
    unread(before, token).unwrap_or_else(|| "the expression is complete before this".to_owned())
}

/// The same inside brackets, if there is something to say.
pub(super) fn unread(before: Option<&Token>, token: &Token) -> Option<String> {
    match (before, token) {
        (Some(Token::Number(_)), Token::Number(_)) => {
            Some("a space separates no thousands: write 10000 or 10_000".to_owned())
        }
        (Some(Token::Number(_)), Token::Mark(',')) => {
            Some("a comma separates no thousands: write 10000 or 10_000".to_owned())
        }
        (Some(Token::Word(unit)), Token::Number(_)) if word(unit).is_some() => {
            Some(format!("the unit stands behind its number: 5 {unit}"))
        }
        (Some(Token::Number(_)), Token::Word(unit)) => Some(unknown_unit(unit)),
        (Some(Token::Word(_) | Token::Mark('%')), Token::Word(per)) if per == "per" => {
            Some("per is written /, as in 5 EUR/device/month".to_owned())
        }
        (Some(Token::Mark(')')), Token::Word(unit)) if word(unit).is_some() => Some(format!(
            "a unit stands behind a number: write it inside the brackets, or * 1 {unit}"
        )),
        _ => None,
    }
}

fn unknown_unit(unit: &str) -> String {
    match unit {
        "percent" | "pct" | "Prozent" => format!("{unit} is written %, as in 5 %"),
        "k" | "K" | "kEUR" | "TEUR" => format!("{unit} is written out: 10_000 or 10e3"),
        "M" | "mio" | "Mio" | "MEUR" | "million" => {
            format!("{unit} is written out: 10_000_000 or 10e6")
        }
        _ => match expr::nearest(unit, UNITS).filter(|_| unit.len() > 2) {
            Some(near) => format!("{unit} is no unit; did you mean {near}?"),
            None => format!(
                "{unit} is no unit; units of money and time are EUR, device, customer, \
                             month, MB and the like"
            ),
        },
    }
}

/// What a name that stands for nothing was meant to be, as the end of a message.
pub(super) fn name<'a>(name: &str, functions: impl Iterator<Item = &'a str>) -> String {
    let lower = name.to_ascii_lowercase();
    let mut functions = functions;
    if functions.any(|known| known == lower) {
        return format!("; the function is called with brackets: {lower}(...)");
    }
    match expr::nearest(name, UNITS) {
        Some(near) => format!("; did you mean {near}?"),
        None => String::new(),
    }
}

/// What a name that is no function was meant to be, as the end of a message.
pub(super) fn function<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let lower = name.to_ascii_lowercase();
    if let Some((_, here)) = SPREADSHEET.iter().find(|(there, _)| *there == lower) {
        return format!("; here it is {here}");
    }
    match expr::nearest(&lower, known) {
        Some(near) => format!("; did you mean {near}?"),
        None => String::new(),
    }
}
