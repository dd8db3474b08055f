//! What a device's data costs when every session is billed in steps.
//!
//! *Invariant:* billed bytes are never less than sent bytes; kB is 1000 B.

use libm::ceil;

use crate::error::{Error, refuse};

/// MB billed a month for `sessions` of `session_kb` each, rounded up to `increment_kb` one by one.
/// Operators publish steps of 10 kB and 25 kB (Vodacom, MTN: digmat support pages).
///
/// # Errors
/// A negative figure.
pub fn billed_mb(sessions: f64, session_kb: f64, increment_kb: f64) -> Result<f64, Error> {
    if sessions < 0.0 || session_kb < 0.0 || increment_kb < 0.0 {
        return refuse("billed_mb", "sessions, size and increment cannot be negative");
    }
    Ok(sessions * billed_size(session_kb, increment_kb) / 1000.0)
}

/// What is billed for one session, in the unit of both: whole increments, or the size itself where
/// there is no increment.
#[must_use]
pub fn billed_size(size: f64, increment: f64) -> f64 {
    // 1.1 / 0.1 is a hair above 11 in binary: a hair is no further increment.
    const HAIR: f64 = 1e-9;
    if increment > 0.0 { ceil(size / increment * (1.0 - HAIR)) * increment } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_of_exactly_so_many_increments_is_not_billed_one_more() {
        for steps in 1..200_u32 {
            let billed = billed_size(f64::from(steps) * 0.1, 0.1);
            assert!((billed - f64::from(steps) * 0.1).abs() < 1e-9, "{steps}: {billed}");
        }
        assert_eq!(billed_size(10.01, 10.0), 20.0);
        assert_eq!(billed_size(0.0, 10.0), 0.0);
    }
}
