//! Lengths of time as a blueprint writes them.
//!
//! *Invariant:* what is written here reads back as the same length.

use std::time::Duration;

/// `15 min`: in the largest unit that divides it.
#[must_use]
pub fn human(duration: Duration) -> String {
    const UNITS: [(u128, &str); 3] = [(3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    const DAY: u128 = 86_400_000;
    let millis = duration.as_millis();
    if millis > 0 && millis.is_multiple_of(DAY) {
        let days = millis / DAY;
        return format!("{days} {}", if days == 1 { "day" } else { "days" });
    }
    let unit = UNITS.iter().find(|(size, _)| millis > 0 && millis.is_multiple_of(*size));
    match unit {
        Some((size, unit)) => format!("{} {unit}", millis / size),
        None => format!("{millis} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_reads_back() {
        for text in ["1 s", "90 s", "15 min", "90 min", "1 h", "36 h", "1 day", "10 days", "5 ms"] {
            let duration = expr::Quantity::parse(text).unwrap().duration().unwrap();
            assert_eq!(human(duration), text);
        }
    }
}
