//! Text to tokens.
//!
//! *Invariant:* tokens cover the text in order, and only white space lies between them.

use super::hint;
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
        let before = tokens.last().map(|(token, at): &(Token, Span)| (token, *at));
        let token = token(word, c, (span, text), before)?;
        tokens.push((token, span));
        at = span.end;
    }
    thousands(text, &tokens)?;
    Ok(tokens)
}

/// Refuses `[-10,500, 3,200]`: where some commas have a space behind them and others stand before
/// three digits, nobody can tell a thousand from two numbers.
fn thousands(text: &str, tokens: &[(Token, Span)]) -> Result<(), Error> {
    let mut brackets: Vec<(bool, Option<Span>)> = vec![(true, None)];
    let whole = |span: Span| {
        let word = text.get(span.start..span.end).unwrap_or_default();
        if word.bytes().all(|b| b.is_ascii_digit()) { word.len() } else { 0 }
    };
    for (i, (token, span)) in tokens.iter().enumerate() {
        match token {
            Token::Mark('(' | '[') => brackets.push((false, None)),
            Token::Mark(')' | ']') => check_group(text, brackets.pop())?,
            Token::Mark(',') => {
                let before = i.checked_sub(1).and_then(|i| tokens.get(i)).map(|(_, at)| *at);
                let after = tokens.get(i + 1).map(|(_, at)| *at);
                let (Some(before), Some(after)) = (before, after) else { continue };
                let Some((spaced, group)) = brackets.last_mut() else { continue };
                if after.start > span.end {
                    *spaced = true;
                } else if before.end == span.start
                    && (1..=3).contains(&whole(before))
                    && whole(after) == 3
                {
                    group.get_or_insert(before.to(after));
                }
            }
            Token::Number(_) | Token::Date(_) | Token::Word(_) | Token::Mark(_) => {}
        }
    }
    brackets.into_iter().rev().try_for_each(|open| check_group(text, Some(open)))
}

fn check_group(text: &str, open: Option<(bool, Option<Span>)>) -> Result<(), Error> {
    let Some((true, Some(span))) = open else { return Ok(()) };
    let word = text.get(span.start..span.end).unwrap_or_default();
    let joined = word.replace(',', "");
    misread(
        span,
        format!("{word} is two numbers here: write {joined}, or put a space between them"),
    )
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

fn token(
    word: &str,
    c: char,
    (span, text): (Span, &str),
    before: Option<(&Token, Span)>,
) -> Result<Token, Error> {
    if c.is_ascii_digit() || (c == '.' && word.len() > 1) {
        if date_length(word).is_some() {
            let time: Result<model::Timestamp, _> = format!("{word}T00:00:00Z").parse();
            return match time {
                Ok(time) => Ok(Token::Date(time.as_millis().div_euclid(86_400_000))),
                Err(_) => misread(span, format!("{word} is not a day of the calendar")),
            };
        }
        // A mark counts if it touches, a number wherever it stands.
        let counts =
            |token: &Token, at: Span| at.end == span.start || matches!(token, Token::Number(_));
        let right_before = before.filter(|(token, at)| counts(token, *at)).map(|(token, _)| token);
        let rest = text.get(span.end..).unwrap_or_default();
        let head = text.get(..span.start).unwrap_or_default();
        if let Some(reason) = hint::number(word, (head, rest), right_before) {
            return misread(span, reason);
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
        '€' => Ok(Token::Word("EUR".to_owned())),
        '£' => Ok(Token::Word("GBP".to_owned())),
        _ => misread(span, hint::mark(c)),
    }
}
