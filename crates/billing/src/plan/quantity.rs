//! Quantities, prices and shares as people write them: `0.30 EUR/device/day`, `100 MB`, `99.9 %`.
//!
//! *Invariant:* decimals are taken digit for digit, never through a float; a text that says more
//! than was understood is refused.

use std::str::FromStr;

use model::Currency;
use rust_decimal::Decimal;

use crate::usage::{Amount, Comparison, Condition};

/// A price as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PriceText {
    pub(super) amount: Decimal,
    pub(super) currency: Currency,
    /// What stands after the slashes.
    pub(super) per: Vec<String>,
}

/// A quantity as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QuantityText {
    pub(super) amount: Decimal,
    /// Empty when there is none.
    pub(super) unit: String,
    /// What stands after the slashes.
    pub(super) per: Vec<String>,
}

/// The number at the front, and the rest.
fn number(text: &str) -> Option<(Decimal, &str)> {
    let text = text.trim();
    let digits = text
        .char_indices()
        .find(|(at, c)| !(c.is_ascii_digit() || matches!(c, '.' | '_') || *at == 0 && *c == '-'))
        .map_or(text.len(), |(at, _)| at);
    let (number, rest) = text.split_at_checked(digits)?;
    let plain: String = number.chars().filter(|c| *c != '_').collect();
    let ends = plain.ends_with('.') || plain.starts_with('.');
    let amount = Decimal::from_str_exact(&plain).ok().filter(|_| !ends)?;
    Some((amount, rest.trim()))
}

fn units(text: &str) -> Option<Vec<String>> {
    text.split('/')
        .map(|unit| {
            let unit = unit.trim();
            let plain = !unit.is_empty() && !unit.contains(char::is_whitespace);
            plain.then(|| unit.to_owned())
        })
        .collect()
}

/// `0.30 EUR/device/day`.
pub(super) fn price(text: &str) -> Option<PriceText> {
    let (amount, rest) = number(text)?;
    let (currency, per) = match rest.split_once('/') {
        Some((currency, per)) => (currency, units(per)?),
        None => (rest, Vec::new()),
    };
    let currency = Currency::from_str(currency.trim()).ok()?;
    Some(PriceText { amount, currency, per })
}

/// The price that was meant by `0,30 EUR`, `0.30 €` or `EUR 0.30`, as it is written.
pub(super) fn meant_price(text: &str) -> Option<String> {
    let pointed = text.replace(',', ".").replace('€', " EUR ");
    let words: Vec<&str> = pointed.split_whitespace().collect();
    let turned = match words.as_slice() {
        [code, amount] if Currency::from_str(code).is_ok() => format!("{amount} {code}"),
        _ => words.join(" ").replace(" /", "/"),
    };
    price(&turned).map(|_| turned)
}

/// `100 MB/device`, or just `100`.
pub(super) fn quantity(text: &str) -> Option<QuantityText> {
    let (amount, rest) = number(text)?;
    let mut parts = if rest.is_empty() { Vec::new() } else { units(rest)? };
    let unit = if parts.is_empty() { String::new() } else { parts.remove(0) };
    Some(QuantityText { amount, unit, per: parts })
}

/// `99.9 %` is 0.999.
pub(super) fn share(text: &str) -> Option<Decimal> {
    let (amount, rest) = number(text)?;
    (rest == "%").then(|| amount * Decimal::new(1, 2))
}

/// `10 min` in milliseconds.
pub(super) fn duration_ms(text: &str) -> Option<i64> {
    let (amount, unit) = number(text)?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _ => return None,
    };
    let millis = amount.checked_mul(Decimal::from(unit_ms))?;
    let whole = millis.fract().is_zero() && millis > Decimal::ZERO;
    i64::try_from(millis.trunc()).ok().filter(|_| whole)
}

/// `temperature > 8 °C`, `on_time < 99.9 %`, `door == true`: the left name, if any, and the test.
pub(super) fn condition(text: &str) -> Option<(&str, Condition)> {
    let at = text.find(['<', '>', '=', '!'])?;
    let (left, rest) = text.split_at_checked(at)?;
    let width = rest.bytes().take(2).take_while(|b| b"<>=!".contains(b)).count();
    let (sign, right) = rest.split_at_checked(width)?;
    let comparison = Comparison::from_str(sign).ok()?;
    let right = right.trim();
    let bound = match right {
        "true" => Amount::Boolean(true),
        "false" => Amount::Boolean(false),
        _ => match right.strip_prefix('"').and_then(|r| r.strip_suffix('"')) {
            Some(text) => Amount::Text(text.into()),
            None => {
                let number = share(right).or_else(|| quantity(right).map(|q| q.amount))?;
                Amount::Number(number)
            }
        },
    };
    Some((left.trim(), Condition { comparison, bound }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prices_and_quantities_are_read_digit_for_digit() {
        let written = price("0.30 EUR/device/day").unwrap();
        assert_eq!(written.amount.to_string(), "0.30");
        assert_eq!(written.per, ["device", "day"]);
        assert_eq!(quantity("1_000 MB/device").unwrap().amount, Decimal::from(1000));
        assert_eq!(share("99.9 %").unwrap(), Decimal::new(999, 3));
        assert_eq!(duration_ms("1.5 h"), Some(5_400_000));
        assert_eq!(condition("on_time <= 99.9 %").unwrap().0, "on_time");
        for wrong in ["", "EUR", "1 EUR/", "1. EUR", "1 eur", "1 EUR extra", "1 2 EUR"] {
            assert_eq!(price(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_price_of_a_spreadsheet_is_known_by_what_was_meant() {
        for meant in ["0,30 EUR", "0.30 €", "€0.30", "EUR 0.30", "EUR 0,30"] {
            assert_eq!(meant_price(meant).as_deref(), Some("0.30 EUR"), "{meant}");
        }
        assert_eq!(meant_price("0,30 €/kWh").as_deref(), Some("0.30 EUR/kWh"));
        assert_eq!(meant_price("1.000,50 EUR"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_understood_or_refused(text in "\\PC{0,40}") {
            let understood = (
                price(&text).is_some(),
                quantity(&text).is_some(),
                share(&text).is_some(),
                duration_ms(&text).is_some(),
                condition(&text).is_some(),
            );
            prop_assert!(!(understood.0 && understood.2));
        }
    }
}
