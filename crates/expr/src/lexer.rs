//! Text to tokens.
//!
//! *Invariant:* tokens cover the text in order without overlap; whatever is between them is white
//! space.

use crate::{Error, Reason, Span};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token<'a> {
    Number(&'a str),
    /// A name, a keyword or a unit symbol.
    Word(&'a str),
    Text(String),
    Symbol(&'static str),
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spanned<'a> {
    pub(crate) span: Span,
    pub(crate) token: Token<'a>,
}

/// Longest first, so that `<=` is not read as `<`.
const SYMBOLS: &[&str] =
    &["<=", ">=", "==", "!=", "<", ">", "+", "-", "*", "/", "(", ")", ",", "."];

/// What people type, and what the language writes.
const OTHERS: &[(char, &str)] =
    &[('≤', "<="), ('≥', ">="), ('≠', "!="), ('×', "*"), ('·', "."), ('÷', "/"), ('−', "-")];

fn starts_word(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '_' | '°' | '%' | '‰' | '€' | '$' | '£')
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn number_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let digits = |from: usize| {
        let tail = bytes.get(from..).unwrap_or_default();
        from + tail.iter().take_while(|b| b.is_ascii_digit() || **b == b'_').count()
    };
    let digit_at = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') && digit_at(end + 1) {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if digit_at(end + 1 + signed) {
            end = digits(end + 1 + signed);
        }
    }
    end
}

fn symbol(rest: &str, first: char) -> Result<(Token<'static>, usize), Reason> {
    if let Some(found) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
        return Ok((Token::Symbol(found), found.len()));
    }
    if let Some((_, found)) = OTHERS.iter().find(|(typed, _)| *typed == first) {
        return Ok((Token::Symbol(found), first.len_utf8()));
    }
    Err(Reason::Character { found: first })
}

fn fix(found: char) -> Option<&'static str> {
    match found {
        '=' => Some("compare with =="),
        '&' => Some("write and"),
        '|' => Some("write or"),
        '!' => Some("write not"),
        '^' => Some("write pow(x, 2)"),
        '[' | '{' => Some("use parentheses"),
        _ => None,
    }
}

/// One token from the start of `rest`, and its length.
fn token(rest: &str, first: char) -> Result<(Token<'_>, usize), Reason> {
    if first.is_ascii_digit() {
        let length = number_length(rest);
        return Ok((Token::Number(rest.get(..length).unwrap_or_default()), length));
    }
    if starts_word(first) {
        // A sign such as % or ° may be followed by letters (°C), but % stands alone.
        let tail = rest.get(first.len_utf8()..).unwrap_or_default();
        let more = if matches!(first, '%' | '‰' | '€' | '$' | '£') {
            0
        } else {
            tail.chars().take_while(|c| in_word(*c)).map(char::len_utf8).sum()
        };
        let length = first.len_utf8() + more;
        return Ok((Token::Word(rest.get(..length).unwrap_or_default()), length));
    }
    if first == '"' || first == '\'' {
        let tail = rest.get(1..).unwrap_or_default();
        let end = tail.find(first).ok_or(Reason::Unclosed)?;
        let inner = tail.get(..end).unwrap_or_default().to_owned();
        return Ok((Token::Text(inner), end + 2));
    }
    symbol(rest, first)
}

pub(crate) fn lex(text: &str) -> Result<Vec<Spanned<'_>>, Error> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..)
        && let Some(first) = rest.chars().next()
    {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        match token(rest, first) {
            Ok((token, length)) => {
                tokens.push(Spanned { span: Span::new(at, at + length), token });
                at += length;
            }
            Err(reason) => {
                let error = Error::new(Span::new(at, at + first.len_utf8()), reason);
                return Err(match fix(first) {
                    Some(help) => error.help(help),
                    None => error,
                });
            }
        }
    }
    tokens.push(Spanned { span: Span::new(text.len(), text.len()), token: Token::End });
    Ok(tokens)
}
