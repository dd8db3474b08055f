//! What a number measures, as powers of base dimensions.
//!
//! *Invariant:* money has a currency if and only if its power is not zero; two currencies never
//! meet in one dimension.
//!
//! The physical bases are those of the SI brochure (9th edition, table 2). Added are what this
//! field counts: data, devices, customers, money, cycles (so that hertz and rpm are not taken for
//! each other), signal level (dBm against dB) and acidity.

use std::fmt;

use model::Currency;

/// A base dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Base {
    /// Metre.
    Length,
    /// Kilogram.
    Mass,
    /// Second.
    Time,
    /// Ampere.
    Current,
    /// Kelvin.
    Temperature,
    /// Mole.
    Amount,
    /// Candela.
    Luminosity,
    /// Byte.
    Data,
    /// One connected device.
    Device,
    /// One customer.
    Customer,
    /// A currency's major unit.
    Money,
    /// One period of something that repeats.
    Cycle,
    /// Decibel.
    Level,
    /// The pH scale.
    Acidity,
}

const BASES: usize = 14;
const NAMES: [&str; BASES] = [
    "length",
    "mass",
    "time",
    "current",
    "temperature",
    "amount of substance",
    "luminous intensity",
    "data",
    "devices",
    "customers",
    "money",
    "cycles",
    "signal level",
    "acidity",
];

/// Powers of the base dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Dimension {
    powers: [i8; BASES],
    currency: Option<Currency>,
}

impl Dimension {
    /// A pure number.
    pub const NONE: Self = Self { powers: [0; BASES], currency: None };

    /// One base to the first power.
    #[must_use]
    pub const fn of(base: Base) -> Self {
        let mut powers = [0; BASES];
        powers[base as usize] = 1;
        Self { powers, currency: None }
    }

    /// An amount of one currency.
    #[must_use]
    pub const fn money(currency: Currency) -> Self {
        let mut dimension = Self::of(Base::Money);
        dimension.currency = Some(currency);
        dimension
    }

    /// From (base, power) pairs.
    pub(crate) fn from_powers(pairs: &[(Base, i8)]) -> Self {
        let mut powers = [0; BASES];
        for (base, power) in pairs {
            powers[*base as usize] += power;
        }
        Self { powers, currency: None }
    }

    /// The power of `base`.
    #[must_use]
    pub const fn power(&self, base: Base) -> i8 {
        self.powers[base as usize]
    }

    /// The currency, when money is part of it.
    #[must_use]
    pub const fn currency(&self) -> Option<Currency> {
        self.currency
    }

    /// Whether it is a pure number.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// `self x other^power`; `None` when two currencies meet or a power leaves -100 to 100.
    #[must_use]
    pub fn times(&self, other: &Self, power: i8) -> Option<Self> {
        if let (Some(left), Some(right)) = (self.currency, other.currency)
            && left != right
        {
            return None;
        }
        let mut powers = self.powers;
        for (mine, theirs) in powers.iter_mut().zip(other.powers) {
            let sum = i16::from(*mine) + i16::from(theirs) * i16::from(power);
            *mine = i8::try_from(sum).ok().filter(|p| (-100..=100).contains(p))?;
        }
        let has_money = powers[Base::Money as usize] != 0;
        let currency = self.currency.or(other.currency).filter(|_| has_money);
        Some(Self { powers, currency })
    }

    /// Every power halved, when all are even.
    #[must_use]
    pub fn root(&self) -> Option<Self> {
        let mut powers = self.powers;
        for power in &mut powers {
            if *power % 2 != 0 {
                return None;
            }
            *power /= 2;
        }
        Some(Self { powers, currency: self.currency })
    }
}

impl fmt::Display for Dimension {
    /// In words, for example `money per devices per time`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |power: i8, name: &str| match power.unsigned_abs() {
            1 => name.to_owned(),
            n => format!("{name}^{n}"),
        };
        let named = || self.powers.iter().zip(NAMES);
        let above: Vec<_> =
            named().filter(|(p, _)| **p > 0).map(|(p, name)| part(*p, name)).collect();
        let below: Vec<_> =
            named().filter(|(p, _)| **p < 0).map(|(p, name)| part(*p, name)).collect();
        if above.is_empty() {
            f.write_str("a number")?;
        } else {
            f.write_str(&above.join(" x "))?;
        }
        below.iter().try_for_each(|name| write!(f, " per {name}"))
    }
}
