//! What can go wrong between a reading and an invoice line.
//!
//! *Invariant:* every variant names the situation with its ids and numbers; the text is lower-case
//! and says the limit where there is one. What a person typed wrong carries place and fix.

use model::{ErrorKind, MoneyError, Name, Timestamp};

use crate::plan::Fault;

/// Why usage could not be taken in, or money not be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A plan text that cannot be used.
    #[error("{0}")]
    Plan(Box<Fault>),
    /// Money of two currencies, or too much of it.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// A decimal of more than 28 digits.
    #[error("{what} exceeds 28 decimal digits")]
    Overflow {
        /// Which quantity or amount.
        what: &'static str,
    },
    /// Not in the bundled time zone database.
    #[error("{name:?} is no time zone of the bundled database, for example Europe/Berlin")]
    Zone {
        /// What was given.
        name: String,
    },
    /// A formula of a usage cannot be computed.
    #[error("a formula of a usage is divided by 0: write max(..., 1) below the line")]
    Zero,
    /// Something in a contract, a period or a charge.
    #[error("{place}: {error}")]
    At {
        /// Where, in words.
        place: String,
        /// What.
        error: Box<Self>,
    },
    /// A point in time outside the calendar.
    #[error("{time:?} ms is outside the years -9999 to 9999")]
    Time {
        /// The point in time.
        time: i64,
    },
    /// The same event id with another content: the first one stands.
    #[error("event {id:?} was taken before with another content")]
    Conflict {
        /// Source and id.
        id: String,
    },
    /// One reading was corrected too often.
    #[error("reading at {time} has {max} versions, versions_max = {max}")]
    Versions {
        /// Event time.
        time: Timestamp,
        /// The limit.
        max: usize,
    },
    /// A value that has no exact decimal in range.
    #[error("value {text:?} is no decimal of at most 28 digits")]
    Value {
        /// What was given.
        text: String,
    },
    /// A measure of numbers met a text or a truth value.
    #[error("usage {usage} needs numbers, the reading at {time} is none")]
    NotANumber {
        /// Which usage.
        usage: Name,
        /// Event time of the reading.
        time: Timestamp,
    },
    /// A plan names something that does not exist.
    #[error("{kind} {name:?} is not defined")]
    Unknown {
        /// What it should be.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A step that the document's state does not allow.
    #[error("invoice {id} is {state}, {step} needs {needs}")]
    State {
        /// Which document.
        id: String,
        /// Where it is.
        state: &'static str,
        /// What was tried.
        step: &'static str,
        /// Where it should be.
        needs: &'static str,
    },
    /// The same person drafted and approved.
    #[error("invoice {id} was drafted by {user}, a second person approves")]
    SamePerson {
        /// Which document.
        id: String,
        /// Who.
        user: String,
    },
    /// Shadow mode sends nothing.
    #[error("legal entity {entity} is in shadow mode, nothing is finalised or sent")]
    Shadow {
        /// Which legal entity.
        entity: Name,
    },
    /// A closed accounting period.
    #[error("accounting is locked through {through}, {date} cannot be posted")]
    Locked {
        /// Last locked day.
        through: String,
        /// The day that was tried.
        date: String,
    },
    /// Debits and credits differ.
    #[error("debits {debits} and credits {credits} differ by {difference} minor units")]
    Unbalanced {
        /// Sum of debits in minor units.
        debits: i128,
        /// Sum of credits in minor units.
        credits: i128,
        /// Debits minus credits.
        difference: i128,
    },
    /// A limit was reached.
    #[error("{what} exceeds {limit} = {max}")]
    Limit {
        /// What is too many or too long.
        what: &'static str,
        /// Name of the limit.
        limit: &'static str,
        /// Its value.
        max: usize,
    },
    /// An electronic invoice that its rules refuse.
    #[error("invoice {number} breaks {rules}")]
    Rules {
        /// Number of the document.
        number: String,
        /// The rules, separated by commas.
        rules: String,
    },
}

impl Error {
    /// The same, with the place where it happened in front.
    pub(crate) fn at(self, place: impl std::fmt::Display) -> Self {
        Self::At { place: place.to_string(), error: Box::new(self) }
    }

    /// The situation.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::At { error, .. } => error.kind(),
            Self::Plan(_)
            | Self::Money(_)
            | Self::Overflow { .. }
            | Self::Zero
            | Self::Zone { .. }
            | Self::Time { .. }
            | Self::Value { .. }
            | Self::NotANumber { .. }
            | Self::Rules { .. } => ErrorKind::Invalid,
            Self::Conflict { .. } | Self::State { .. } | Self::Locked { .. } => ErrorKind::Conflict,
            Self::SamePerson { .. } | Self::Shadow { .. } => ErrorKind::Forbidden,
            Self::Versions { .. } | Self::Limit { .. } => ErrorKind::TooLarge,
            Self::Unknown { .. } => ErrorKind::NotFound,
            Self::Unbalanced { .. } => ErrorKind::Internal,
        }
    }
}

/// A product that fits, or the overflow of `what`.
pub(crate) fn product(
    a: rust_decimal::Decimal,
    b: rust_decimal::Decimal,
    what: &'static str,
) -> Result<rust_decimal::Decimal, Error> {
    a.checked_mul(b).ok_or(Error::Overflow { what })
}

/// A sum that fits, or the overflow of `what`.
pub(crate) fn sum(
    a: rust_decimal::Decimal,
    b: rust_decimal::Decimal,
    what: &'static str,
) -> Result<rust_decimal::Decimal, Error> {
    a.checked_add(b).ok_or(Error::Overflow { what })
}

/// A difference that fits, or the overflow of `what`.
pub(crate) fn difference(
    a: rust_decimal::Decimal,
    b: rust_decimal::Decimal,
    what: &'static str,
) -> Result<rust_decimal::Decimal, Error> {
    a.checked_sub(b).ok_or(Error::Overflow { what })
}

/// A quotient, or the overflow of `what`; a zero divisor counts as overflow.
pub(crate) fn quotient(
    a: rust_decimal::Decimal,
    b: rust_decimal::Decimal,
    what: &'static str,
) -> Result<rust_decimal::Decimal, Error> {
    a.checked_div(b).ok_or(Error::Overflow { what })
}
