//! Prepaid credit: grants, paid or free, that invoices are drawn from.
//!
//! *Invariant:* a grant never goes below zero and is not drawn from after it expired. What expires
//! first is used first; of grants that expire together the free one goes first, then the name
//! decides, so the order in which they were given does not matter.

use model::{Money, Name, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Where a grant comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// A gift: revenue is reduced when it is used.
    Free,
    /// Paid in advance: owed to the customer until it is used.
    Paid,
}

/// An amount that invoices may be drawn from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its name.
    pub name: Name,
    /// Where it comes from.
    pub kind: GrantKind,
    /// From when it may be used.
    pub from: Timestamp,
    /// First instant at which it may not; `None` is never.
    pub expires: Option<Timestamp>,
    /// What is left of it.
    pub left: Money,
}

/// A part of an invoice paid from a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    /// Which grant.
    pub grant: Name,
    /// Where it came from.
    pub kind: GrantKind,
    /// How much.
    #[serde(with = "crate::serial::money")]
    pub amount: Money,
}

/// Draws up to `due` at an instant, and lowers what is left of the grants.
///
/// # Errors
/// A grant in another currency.
pub fn draw(grants: &mut [Grant], due: Money, at: Timestamp) -> Result<Vec<Draw>, Error> {
    let mut order: Vec<&mut Grant> = grants
        .iter_mut()
        .filter(|grant| grant.from <= at && grant.expires.is_none_or(|end| at < end))
        .filter(|grant| grant.left.minor > 0)
        .collect();
    order.sort_by(|a, b| {
        let end = |grant: &Grant| grant.expires.unwrap_or(Timestamp::MAX);
        (end(a), a.kind, &a.name).cmp(&(end(b), b.kind, &b.name))
    });
    let mut left = due.minor.max(0);
    let mut draws = Vec::new();
    for grant in order {
        if grant.left.currency != due.currency {
            let (left, right) = (due.currency, grant.left.currency);
            return Err(model::MoneyError::Currencies { left, right }.into());
        }
        let minor = grant.left.minor.min(left);
        if minor == 0 {
            break;
        }
        grant.left.minor -= minor;
        left -= minor;
        let amount = Money { minor, currency: due.currency };
        draws.push(Draw { grant: grant.name.clone(), kind: grant.kind, amount });
    }
    Ok(draws)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Currency;

    fn grant(name: &str, kind: GrantKind, expires: Option<i64>, minor: i64) -> Grant {
        Grant {
            name: name.parse().unwrap(),
            kind,
            from: Timestamp::ZERO,
            expires: expires.map(Timestamp::from_millis),
            left: Money { minor, currency: Currency::EUR },
        }
    }

    #[test]
    fn what_expires_first_is_used_first_and_gifts_before_money() {
        let mut grants = [
            grant("forever", GrantKind::Paid, None, 1000),
            grant("paid", GrantKind::Paid, Some(100), 300),
            grant("gift", GrantKind::Free, Some(100), 200),
            grant("gone", GrantKind::Free, Some(10), 5000),
        ];
        let due = Money { minor: 600, currency: Currency::EUR };
        let draws = draw(&mut grants, due, Timestamp::from_millis(50)).unwrap();
        let used: Vec<(&str, i64)> =
            draws.iter().map(|d| (d.grant.as_str(), d.amount.minor)).collect();
        assert_eq!(used, [("gift", 200), ("paid", 300), ("forever", 100)]);
        assert_eq!(grants[0].left.minor, 900);
    }

    #[test]
    fn a_credit_draws_nothing() {
        let mut grants = [grant("forever", GrantKind::Paid, None, 1000)];
        let due = Money { minor: -600, currency: Currency::EUR };
        assert_eq!(draw(&mut grants, due, Timestamp::ZERO).unwrap(), []);
    }
}
