//! What a device costs before it is sold and after it was used: price breaks, landed cost, and
//! taking it back.
//!
//! *Invariant:* shares are from 0 to 1; a price below the smallest quantity that was quoted is
//! refused, not guessed.

use crate::error::{Error, refuse};

/// What has to be known of a landed cost besides the price; shares as fractions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Landing {
    /// Freight, of the price.
    pub freight: f64,
    /// Insurance, of CIF: price, freight and insurance.
    pub insurance: f64,
    /// Customs duty, of CIF.
    pub duty: f64,
    /// Share of what arrives that works.
    pub works: f64,
    /// Money for packaging one that works.
    pub packaging: f64,
}

/// The price of one when `quantity` are bought: that of the largest break that is reached.
///
/// # Errors
/// Lists of other lengths, quantities that do not rise, or fewer than the first break.
pub fn price_break(quantity: f64, from: &[f64], prices: &[f64]) -> Result<f64, Error> {
    if from.is_empty() || from.len() != prices.len() {
        let reason = format!("{} quantities and {} prices", from.len(), prices.len());
        return refuse("price_break", reason);
    }
    if from.windows(2).any(|pair| pair[0] >= pair[1]) {
        return refuse("price_break", "the quantities have to rise");
    }
    let reached = from.iter().zip(prices).rev().find(|(least, _)| quantity >= **least);
    match reached {
        Some((_, price)) => Ok(*price),
        None => refuse("price_break", format!("no price is quoted below {}", from[0])),
    }
}

/// What one that works costs in the own warehouse.
///
/// # Errors
/// A share that is none.
pub fn landed_cost(price: f64, landing: Landing) -> Result<f64, Error> {
    let Landing { freight, insurance, duty, works, packaging } = landing;
    if price < 0.0 || freight < 0.0 || duty < 0.0 || packaging < 0.0 {
        return refuse("landed_cost", "price, freight, duty and packaging cannot be negative");
    }
    if !(0.0..1.0).contains(&insurance) {
        return refuse("landed_cost", format!("{insurance} of CIF cannot be insurance"));
    }
    if !(works > 0.0 && works <= 1.0) {
        return refuse("landed_cost", format!("a yield of {works} is not above 0 and up to 1"));
    }
    let cif = price * (1.0 + freight) / (1.0 - insurance);
    Ok(cif * (1.0 + duty) / works + packaging)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_boxes_land_at_what_the_hand_counts() {
        let price = price_break(1_000.0, &[500.0, 1_000.0], &[9.80, 8.90]).unwrap();
        let landing =
            Landing { freight: 0.04, insurance: 0.003, duty: 0.028, works: 0.97, packaging: 0.0 };
        // 8.90 + 0.356 = 9.256; CIF 9.256 / 0.997 = 9.283852 with 0.027852 of insurance;
        // duty 0.259948; together 9.543799; over 0.97.
        let found = landed_cost(price, landing).unwrap();
        assert!((found - 9.838_968_451_746_993).abs() < 1e-12, "{found}");
        let free = landed_cost(price, Landing { duty: 0.0, ..landing }).unwrap();
        assert!((free - 9.570_980_984_189_681).abs() < 1e-12, "{free}");
    }

    #[test]
    fn a_break_counts_from_its_quantity_on_and_nothing_is_quoted_below_the_first() {
        let at = |quantity| price_break(quantity, &[500.0, 1_000.0], &[9.80, 8.90]);
        assert_eq!((at(500.0).unwrap(), at(999.0).unwrap(), at(1e6).unwrap()), (9.80, 9.80, 8.90));
        assert!(at(499.0).unwrap_err().to_string().contains("below 500"));
        assert!(price_break(1.0, &[2.0, 1.0], &[1.0, 2.0]).is_err());
        assert!(price_break(1.0, &[1.0], &[]).is_err());
    }

    #[test]
    fn a_share_that_is_none_is_refused() {
        let good = Landing { freight: 0.0, insurance: 0.0, duty: 0.0, works: 1.0, packaging: 0.0 };
        assert_eq!(landed_cost(5.0, good).unwrap(), 5.0);
        for bad in [
            Landing { works: 0.0, ..good },
            Landing { works: 97.0, ..good },
            Landing { insurance: 1.0, ..good },
            Landing { duty: -0.1, ..good },
        ] {
            assert!(landed_cost(5.0, bad).is_err(), "{bad:?}");
        }
    }
}
