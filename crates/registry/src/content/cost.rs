//! What was paid in a month: an entry of a person or a file, with its source.
//!
//! *Invariant:* an amount is an integer of minor units; an entry lies on one device, on the devices
//! of one customer, or on all of its venture.

use model::{CustomerId, DeviceId, Name};
use serde::{Deserialize, Serialize};

use super::text;

/// What a cost is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CostKind {
    /// Data, SIM cards, gateways' lines.
    Radio,
    /// Servers and what runs on them.
    Cloud,
    /// People who help.
    Support,
    /// What came back: repair, exchange, freight.
    Returns,
    /// Anything else that comes again.
    Other,
}

impl CostKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Radio, Self::Cloud, Self::Support, Self::Returns, Self::Other];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Radio => "radio",
            Self::Cloud => "cloud",
            Self::Support => "support",
            Self::Returns => "returns",
            Self::Other => "other",
        }
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostContent {
    /// Whose devices.
    pub venture: Name,
    /// `2026-10`.
    pub month: String,
    /// What for.
    pub kind: CostKind,
    /// Minor units; what a supplier gives back is negative.
    pub minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// Only on this customer's devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
    /// Only on this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// Where it stands: an invoice, a bank statement, who said so.
    pub source: String,
}

pub(super) fn check(content: &CostContent) -> Result<(), String> {
    let bytes = content.month.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let month = content.month.get(5..).and_then(|text| text.parse::<u8>().ok());
    let plain = bytes.len() == 7 && digits(0..4) && bytes.get(4) == Some(&b'-') && digits(5..7);
    if !plain || !month.is_some_and(|month| (1..=12).contains(&month)) {
        return Err(format!("month {:?}: write 2026-10", content.month));
    }
    if content.customer.is_some() && content.device.is_some() {
        return Err("customer and device: an entry lies on one of them, or on neither".to_owned());
    }
    text("source", &content.source)
}
