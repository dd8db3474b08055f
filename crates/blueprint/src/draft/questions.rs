//! The five questions, and how somebody says that nobody knows.
//!
//! *Invariant:* their number and order never change, as answers are piped in by scripts.

/// A question to a founder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Its word, for messages.
    pub key: &'static str,
    /// What is asked.
    pub asks: &'static str,
    /// An answer.
    pub example: &'static str,
}

/// The questions in their order.
pub const QUESTIONS: [Question; 5] = [
    Question {
        key: "measures",
        asks: "What does it measure?",
        example: "temperature in °C, lid open, position",
    },
    Question { key: "every", asks: "How often must that be known?", example: "every 15 min" },
    Question {
        key: "supply",
        asks: "How is it connected, and what does it run on?",
        example: "LTE-M, battery of 2400 mAh for 3 years",
    },
    Question {
        key: "pays",
        asks: "Who pays how much for what?",
        example: "pharmacies pay 9 EUR per device and month",
    },
    Question {
        key: "proof",
        asks: "What would prove that you are right?",
        example: "12 of 40 pharmacies sign",
    },
];

const UNKNOWN: &[&str] = &[
    "",
    "?",
    "-",
    "dont know",
    "do not know",
    "i dont know",
    "i do not know",
    "idk",
    "no idea",
    "unknown",
    "dunno",
    "not sure",
    "na",
    "n/a",
    "skip",
    "weiß nicht",
    "we dont know",
    "none",
    "nobody knows",
    "not yet known",
];

/// Whether an answer says that nobody knows.
#[must_use]
pub fn is_unknown(answer: &str) -> bool {
    let plain: String = answer
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| !matches!(c, '\'' | '’' | '.' | '!'))
        .collect();
    UNKNOWN.contains(&plain.trim())
}
