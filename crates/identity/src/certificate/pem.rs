//! DER as text between two lines (RFC 7468).
//!
//! *Invariant:* lines of 64 characters, as the strict form wants them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const LINE_CHARS: usize = 64;

/// One block of PEM.
pub(super) fn encode(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for (at, character) in STANDARD.encode(der).chars().enumerate() {
        if at > 0 && at % LINE_CHARS == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
    text
}

/// A certificate.
pub(super) fn certificate(der: &[u8]) -> String {
    encode("CERTIFICATE", der)
}
