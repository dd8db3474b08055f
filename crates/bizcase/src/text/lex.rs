//! Text to tokens.
//!
//! *Invariant:* tokens cover the text in order, and only white space lies between them.

use crate::error::{Error, Span, misread};

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Number(f64),
    /// Days since 1970-01-01.
    Date(i64),
    /// A name, dots included.
    Word(String),
    Mark(char),
}

/// The longest text.
pub(super) const TEXT_BYTES_MAX: usize = 64 * 1024;

/// A text as tokens with their places.
pub(super) fn lex(text: &str) -> Result<Vec<(Token, Span)>, Error> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Error::TooMany {
            what: "bytes of an expression",
            number: text.len(),
            limit: "TEXT_BYTES_MAX",
            max: TEXT_BYTES_MAX,
        });
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(c) = rest.chars().next() else { break };
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let length = token_length(rest, c);
        let span = Span { start: at, end: at + length };
        let word = rest.get(..length).unwrap_or_default();
        tokens.push((token(word, c, span)?, span));
        at = span.end;
    }
    Ok(tokens)
}

fn date_length(rest: &str) -> Option<usize> {
    let date = rest.get(..10)?;
    let shape = date.bytes().enumerate().all(|(i, b)| match i {
        4 | 7 => b == b'-',
        _ => b.is_ascii_digit(),
    });
    let ends = rest.as_bytes().get(10).is_none_or(|b| !b.is_ascii_digit());
    (shape && ends).then_some(10)
}

fn token_length(rest: &str, c: char) -> usize {
    let bytes = rest.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    if c.is_ascii_digit() || (c == '.' && digit(1)) {
        if let Some(length) = date_length(rest) {
            return length;
        }
        let run = |from: usize| {
            let more = bytes.get(from..).unwrap_or_default();
            from + more.iter().take_while(|b| b.is_ascii_digit() || **b == b'_').count()
        };
        let mut end = run(0);
        if bytes.get(end) == Some(&b'.') && digit(end + 1) {
            end = run(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            if digit(end + 1 + sign) {
                end = run(end + 1 + sign);
            }
        }
        return end;
    }
    if c.is_ascii_alphabetic() || c == '_' {
        let name = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'_';
        let mut end = bytes.iter().take_while(name).count();
        while bytes.get(end) == Some(&b'.')
            && bytes.get(end + 1).is_some_and(u8::is_ascii_alphabetic)
        {
            end += 1 + bytes.get(end + 1..).unwrap_or_default().iter().take_while(name).count();
        }
        return end;
    }
    c.len_utf8()
}

fn token(word: &str, c: char, span: Span) -> Result<Token, Error> {
    if c.is_ascii_digit() || (c == '.' && word.len() > 1) {
        if date_length(word).is_some() {
            let time: Result<model::Timestamp, _> = format!("{word}T00:00:00Z").parse();
            return match time {
                Ok(time) => Ok(Token::Date(time.as_millis().div_euclid(86_400_000))),
                Err(_) => misread(span, format!("{word} is not a day of the calendar")),
            };
        }
        return match word.replace('_', "").parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Token::Number(value)),
            Ok(_) | Err(_) => misread(span, format!("{word} is not a number")),
        };
    }
    if c.is_ascii_alphabetic() || c == '_' {
        return Ok(Token::Word(word.to_owned()));
    }
    match c {
        '(' | ')' | '[' | ']' | ',' | '+' | '-' | '*' | '/' | '^' | '=' | '%' => Ok(Token::Mark(c)),
        '−' => Ok(Token::Mark('-')),
        '×' => Ok(Token::Mark('*')),
        _ => misread(span, format!("{c:?} has no meaning here")),
    }
}
