//! The money-side units: a closed list, so that a typing error is an error.
//!
//! *Invariant:* a unit is reduced to powers of currency, device, customer, month, MB and kWh; a
//! month has 30 days, a year 12 months, kB is 1000 B. Two currencies never mix.

use std::fmt;

use model::Currency;

/// Powers of the base units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unit {
    money: i8,
    currency: Option<Currency>,
    device: i8,
    customer: i8,
    month: i8,
    megabyte: i8,
    energy: i8,
}

/// A unit as written: what it is and how many base units it has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaled {
    /// The reduced unit.
    pub unit: Unit,
    /// Base units in one.
    pub factor: f64,
}

/// Why two units do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clash;

impl Unit {
    /// A bare number.
    pub const ONE: Self =
        Self { money: 0, currency: None, device: 0, customer: 0, month: 0, megabyte: 0, energy: 0 };
    /// Devices.
    pub const DEVICE: Self = Self { device: 1, ..Self::ONE };
    /// Customers.
    pub const CUSTOMER: Self = Self { customer: 1, ..Self::ONE };
    /// Months.
    pub const MONTH: Self = Self { month: 1, ..Self::ONE };
    /// Megabytes.
    pub const MEGABYTE: Self = Self { megabyte: 1, ..Self::ONE };
    /// Kilowatt-hours.
    pub const KILOWATT_HOUR: Self = Self { energy: 1, ..Self::ONE };

    /// An amount of money.
    #[must_use]
    pub const fn money(currency: Currency) -> Self {
        Self { money: 1, currency: Some(currency), ..Self::ONE }
    }

    /// Whether this is a bare number.
    #[must_use]
    pub fn is_one(self) -> bool {
        self == Self::ONE
    }

    /// Whether it is per time, or times it.
    #[must_use]
    pub fn has_time(self) -> bool {
        self.month != 0
    }

    /// The currency, if money is part of it.
    #[must_use]
    pub fn currency(self) -> Option<Currency> {
        self.currency
    }

    /// The product with another, `power` times.
    ///
    /// # Errors
    /// Two currencies, or powers beyond reason.
    pub fn times(self, other: Self, power: i8) -> Result<Self, Clash> {
        let currency = match (self.currency, other.currency) {
            (Some(a), Some(b)) if a != b => return Err(Clash),
            (a, b) => a.or(b),
        };
        let add = |a: i8, b: i8| b.checked_mul(power).and_then(|b| a.checked_add(b)).ok_or(Clash);
        let money = add(self.money, other.money)?;
        Ok(Self {
            money,
            currency: if money == 0 { None } else { currency },
            device: add(self.device, other.device)?,
            customer: add(self.customer, other.customer)?,
            month: add(self.month, other.month)?,
            megabyte: add(self.megabyte, other.megabyte)?,
            energy: add(self.energy, other.energy)?,
        })
    }

    /// This unit per another.
    ///
    /// # Errors
    /// As [`Unit::times`].
    pub fn per(self, other: Self) -> Result<Self, Clash> {
        self.times(other, -1)
    }

    fn powers(self) -> [(String, i8); 6] {
        let currency = self.currency.map_or_else(String::new, |c| c.to_string());
        [
            (currency, self.money),
            ("MB".to_owned(), self.megabyte),
            ("kWh".to_owned(), self.energy),
            ("device".to_owned(), self.device),
            ("customer".to_owned(), self.customer),
            ("month".to_owned(), self.month),
        ]
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_one() {
            return Ok(());
        }
        let powers = self.powers();
        let mut first = true;
        for (name, power) in powers.iter().filter(|(_, power)| *power > 0) {
            write!(f, "{}{name}", if first { "" } else { "*" })?;
            first = false;
            if *power > 1 {
                write!(f, "^{power}")?;
            }
        }
        if first {
            f.write_str("1")?;
        }
        for (name, power) in powers.iter().filter(|(_, power)| *power < 0) {
            write!(f, "/{name}")?;
            if *power < -1 {
                write!(f, "^{}", -power)?;
            }
        }
        Ok(())
    }
}

/// The unit of one word, if it is on the list.
#[must_use]
pub fn word(text: &str) -> Option<Scaled> {
    let scaled = |unit, factor| Some(Scaled { unit, factor });
    match text {
        "device" | "devices" => scaled(Unit::DEVICE, 1.0),
        "customer" | "customers" => scaled(Unit::CUSTOMER, 1.0),
        "year" | "years" => scaled(Unit::MONTH, 12.0),
        "month" | "months" => scaled(Unit::MONTH, 1.0),
        "week" | "weeks" => scaled(Unit::MONTH, 7.0 / 30.0),
        "day" | "days" => scaled(Unit::MONTH, 1.0 / 30.0),
        "hour" | "hours" | "h" => scaled(Unit::MONTH, 1.0 / 720.0),
        "minute" | "minutes" | "min" => scaled(Unit::MONTH, 1.0 / 43_200.0),
        "second" | "seconds" | "s" => scaled(Unit::MONTH, 1.0 / 2_592_000.0),
        "B" => scaled(Unit::MEGABYTE, 1e-6),
        "kB" => scaled(Unit::MEGABYTE, 1e-3),
        "MB" => scaled(Unit::MEGABYTE, 1.0),
        "GB" => scaled(Unit::MEGABYTE, 1e3),
        "Wh" => scaled(Unit::KILOWATT_HOUR, 1e-3),
        "kWh" => scaled(Unit::KILOWATT_HOUR, 1.0),
        "MWh" => scaled(Unit::KILOWATT_HOUR, 1e3),
        _ => {
            let known = ["EUR", "USD", "GBP", "CHF", "SEK", "NOK", "DKK", "PLN", "CZK", "JPY"];
            let code = known.contains(&text).then(|| text.parse().ok()).flatten()?;
            scaled(Unit::money(code), 1.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_reduce_and_print() {
        let eur = word("EUR").unwrap().unit;
        let per_device = eur.per(Unit::DEVICE).unwrap().per(Unit::MONTH).unwrap();
        assert_eq!(per_device.to_string(), "EUR/device/month");
        assert_eq!(per_device.times(Unit::DEVICE, 1).unwrap().to_string(), "EUR/month");
        assert_eq!(Unit::ONE.per(Unit::MONTH).unwrap().to_string(), "1/month");
        assert_eq!(eur.per(word("USD").unwrap().unit), Err(Clash));
        assert_eq!(eur.per(eur).unwrap(), Unit::ONE);
        let kwh = word("kWh").unwrap();
        assert_eq!((word("MWh").unwrap().unit, word("MWh").unwrap().factor), (kwh.unit, 1e3));
        let used = kwh.unit.per(Unit::DEVICE).unwrap().per(Unit::MONTH).unwrap();
        assert_eq!(used.to_string(), "kWh/device/month");
        let price = eur.per(kwh.unit).unwrap();
        assert_eq!(price.times(used, 1).unwrap().to_string(), "EUR/device/month");
    }
}
