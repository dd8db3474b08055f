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
    let billed_kb = if increment_kb > 0.0 {
        ceil(session_kb / increment_kb).max(1.0) * increment_kb
    } else {
        session_kb
    };
    Ok(sessions * billed_kb / 1000.0)
}
