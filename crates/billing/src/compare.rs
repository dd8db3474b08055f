//! Shadow comparison: what we rated against the invoices that were really sent, with the cause of
//! every difference.
//!
//! *Invariant:* the causes of a line add up to its difference, to the cent; a line that only one
//! side has is a difference of its own.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;

use crate::usage::Amount;

/// What a side says of one charge of one contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SideLine {
    /// How much was counted, where it says so.
    pub quantity: Option<Decimal>,
    /// Net amount in major units.
    pub amount: Decimal,
    /// Part of the quantity that no reading confirms.
    pub estimated: Decimal,
}

/// By contract and charge.
pub type Side = BTreeMap<(String, String), SideLine>;

/// Why two amounts differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// `missing_here`, `missing_there`, `quantity`, `estimated`, `price` or `rounding`.
    pub kind: &'static str,
    /// Ours minus theirs, in major units.
    pub amount: String,
    /// In words.
    pub words: String,
}

/// One charge of one contract on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Whose.
    pub contract: String,
    /// For what.
    pub charge: String,
    /// Ours; none: we have no such line.
    pub ours: Option<String>,
    /// Theirs.
    pub theirs: Option<String>,
    /// Ours minus theirs.
    pub difference: String,
    /// Why.
    pub causes: Vec<Cause>,
}

/// Both sides line by line, equal lines included.
#[must_use]
pub fn compare(ours: &Side, theirs: &Side) -> Vec<Compared> {
    let mut keys: Vec<_> = ours.keys().chain(theirs.keys()).collect();
    keys.sort();
    keys.dedup();
    let line = |key: &(String, String)| {
        let (our, their) = (ours.get(key), theirs.get(key));
        let amount = |side: Option<&SideLine>| side.map_or(Decimal::ZERO, |line| line.amount);
        let difference = amount(our) - amount(their);
        Compared {
            contract: key.0.clone(),
            charge: key.1.clone(),
            ours: our.map(|line| shown(line.amount)),
            theirs: their.map(|line| shown(line.amount)),
            difference: shown(difference),
            causes: causes(our, their),
        }
    };
    keys.into_iter().map(line).collect()
}

fn cause(kind: &'static str, amount: Decimal, words: String) -> Cause {
    Cause { kind, amount: shown(amount), words }
}

/// An amount with its cents, and with more digits where it has them.
fn shown(mut amount: Decimal) -> String {
    if amount.scale() < 2 {
        amount.rescale(2);
    }
    amount.to_string()
}

fn causes(ours: Option<&SideLine>, theirs: Option<&SideLine>) -> Vec<Cause> {
    let (our, their) = match (ours, theirs) {
        (Some(our), Some(their)) => (our, their),
        (Some(our), None) => {
            let words = "we rate it, the invoice does not have it".to_owned();
            return vec![cause("missing_there", our.amount, words)];
        }
        (None, Some(their)) => {
            let words = "the invoice has it, the contract here does not".to_owned();
            return vec![cause("missing_here", -their.amount, words)];
        }
        (None, None) => return Vec::new(),
    };
    let difference = our.amount - their.amount;
    if difference.is_zero() {
        return Vec::new();
    }
    let cent = Decimal::new(1, 2);
    let counted = our.quantity.zip(their.quantity).filter(|(_, theirs)| !theirs.is_zero());
    let Some((ours, theirs)) = counted else {
        return vec![if difference.abs() <= cent {
            cause("rounding", difference, "at most one cent".to_owned())
        } else {
            let words = "the invoice tells no quantity, so quantity and price stay together";
            cause("price", difference, words.to_owned())
        }];
    };
    let mut causes = Vec::new();
    let mut left = difference;
    // What the other count costs at their price; the rest is the price itself.
    let share = (ours - theirs).checked_mul(their.amount).and_then(|x| x.checked_div(theirs));
    let of_quantity = share.unwrap_or(difference).round_dp(2);
    if ours != theirs {
        let plain = (ours - theirs).normalize();
        let words =
            format!("{} counted, {} invoiced: {plain} more", ours.normalize(), theirs.normalize());
        let kind = if our.estimated.is_zero() { "quantity" } else { "estimated" };
        let note = match our.estimated.is_zero() {
            true => String::new(),
            false => format!("; {} of ours is estimated", our.estimated.normalize()),
        };
        causes.push(cause(kind, of_quantity, words + &note));
        left -= of_quantity;
    }
    if left.abs() > cent {
        let each = |amount: Decimal, quantity: Decimal| {
            amount
                .checked_div(quantity)
                .map_or_else(|| "-".to_owned(), |p| p.round_dp(6).normalize().to_string())
        };
        let words =
            format!("{} each here, {} there", each(our.amount, ours), each(their.amount, theirs));
        causes.push(cause("price", left, words));
    } else if !left.is_zero() {
        causes.push(cause("rounding", left, "at most one cent".to_owned()));
    }
    causes
}

/// A number of a file: `1234.50` or `1.234,50`.
#[must_use]
pub fn figure(text: &str) -> Option<Decimal> {
    let text = text.trim().replace(['\u{a0}', ' ', '\''], "");
    let comma = text.rfind(',');
    let plain = match (comma, text.rfind('.')) {
        (Some(comma), Some(point)) if comma > point => text.replace('.', "").replace(',', "."),
        (Some(_), Some(_)) => text.replace(',', ""),
        (Some(_), None) => text.replace(',', "."),
        (None, _) => text,
    };
    Amount::parse(&plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(quantity: &str, amount: &str) -> SideLine {
        SideLine {
            quantity: figure(quantity),
            amount: figure(amount).unwrap(),
            estimated: Decimal::ZERO,
        }
    }

    fn kinds(ours: SideLine, theirs: SideLine) -> Vec<(&'static str, String)> {
        let key = ("linden".to_owned(), "boxes".to_owned());
        let (ours, theirs) = ([(key.clone(), ours)].into(), [(key, theirs)].into());
        let compared = compare(&ours, &theirs).remove(0);
        let sum: Decimal = compared.causes.iter().map(|c| figure(&c.amount).unwrap()).sum();
        assert_eq!(sum, figure(&compared.difference).unwrap(), "causes add up");
        compared.causes.into_iter().map(|cause| (cause.kind, cause.amount)).collect()
    }

    #[test]
    fn causes_are_told_apart_and_add_up() {
        let none: [(&str, String); 0] = [];
        assert_eq!(kinds(side("930", "279.00"), side("930", "279,00")), none);
        let quantity = kinds(side("928", "278.40"), side("930", "279.00"));
        assert_eq!(quantity, [("quantity", "-0.60".to_owned())]);
        let price = kinds(side("930", "279.00"), side("930", "297.60"));
        assert_eq!(price, [("price", "-18.60".to_owned())]);
        let both = kinds(side("920", "276.00"), side("930", "297.60"));
        assert_eq!(both, [("quantity", "-3.20".to_owned()), ("price", "-18.40".to_owned())]);
        let cent = kinds(side("930", "279.00"), side("930", "279.01"));
        assert_eq!(cent, [("rounding", "-0.01".to_owned())]);
        let silent = kinds(side("930", "279.00"), side("", "300"));
        assert_eq!(silent, [("price", "-21.00".to_owned())]);
    }

    #[test]
    fn german_and_english_figures_are_read() {
        for text in ["1234.5", "1.234,50", "1,234.50", "1 234,5", "1'234.50"] {
            assert_eq!(figure(text), Some(Decimal::new(12345, 1)), "{text}");
        }
        assert_eq!(figure("much"), None);
    }
}
