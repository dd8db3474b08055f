//! Units: a subset of UCUM plus a short named list, and the closed list of money-side units.
//!
//! *Invariant:* a unit with a zero point of its own (°C, dBm) stands alone; it is never part of a
//! product. A scale is a fraction of two numbers, so `35 %` is 0.35 and not its neighbour.
//!
//! Codes are UCUM 2.1 ("c/s"); `°C` is accepted and `Cel` kept. In checks a month has 30 days and
//! a year 12 months; `kB` is 1000 B.

use std::fmt;
use std::time::Duration;

use model::Currency;

use crate::currency::CURRENCIES;
use crate::dimension::Base::{
    Acidity, Amount, Current, Customer, Cycle, Data, Device, Length, Level, Luminosity, Mass,
    Temperature, Time,
};
use crate::{Base, Dimension, Error, Reason, Span, nearest};

const FACTORS_MAX: usize = 12;

/// Whether differences of the unit are another unit.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Zero {
    /// Nothing is at zero.
    Natural,
    /// The scale has a point of its own; differences are in the named unit.
    Point { offset: f64, difference: &'static str },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Prefixed {
    Metric,
    Never,
}

struct Atom {
    code: &'static str,
    others: &'static [&'static str],
    powers: &'static [(Base, i8)],
    num: f64,
    den: f64,
    prefixed: Prefixed,
    zero: Zero,
}

const fn atom(code: &'static str, powers: &'static [(Base, i8)], num: f64) -> Atom {
    Atom {
        code,
        others: &[],
        powers,
        num,
        den: 1.0,
        prefixed: Prefixed::Never,
        zero: Zero::Natural,
    }
}

const fn metric(code: &'static str, powers: &'static [(Base, i8)], num: f64) -> Atom {
    let mut made = atom(code, powers, num);
    made.prefixed = Prefixed::Metric;
    made
}

impl Atom {
    const fn or(mut self, others: &'static [&'static str]) -> Self {
        self.others = others;
        self
    }

    const fn over(mut self, den: f64) -> Self {
        self.den = den;
        self
    }

    const fn point(mut self, offset: f64, difference: &'static str) -> Self {
        self.zero = Zero::Point { offset, difference };
        self
    }
}

const WATT: &[(Base, i8)] = &[(Mass, 1), (Length, 2), (Time, -3)];
const JOULE: &[(Base, i8)] = &[(Mass, 1), (Length, 2), (Time, -2)];
const VOLT: &[(Base, i8)] = &[(Mass, 1), (Length, 2), (Time, -3), (Current, -1)];
const OHM: &[(Base, i8)] = &[(Mass, 1), (Length, 2), (Time, -3), (Current, -2)];
const SIEMENS: &[(Base, i8)] = &[(Mass, -1), (Length, -2), (Time, 3), (Current, 2)];
const FARAD: &[(Base, i8)] = &[(Mass, -1), (Length, -2), (Time, 4), (Current, 2)];
const HENRY: &[(Base, i8)] = &[(Mass, 1), (Length, 2), (Time, -2), (Current, -2)];
const PASCAL: &[(Base, i8)] = &[(Mass, 1), (Length, -1), (Time, -2)];

static ATOMS: &[Atom] = &[
    atom("%", &[], 1.0).over(100.0),
    atom("‰", &[], 1.0).over(1000.0),
    atom("ppm", &[], 1.0).over(1e6),
    atom("ppb", &[], 1.0).over(1e9),
    metric("m", &[(Length, 1)], 1.0),
    metric("g", &[(Mass, 1)], 1.0).over(1000.0),
    atom("t", &[(Mass, 1)], 1000.0),
    metric("s", &[(Time, 1)], 1.0).or(&["sec", "second", "seconds"]),
    atom("min", &[(Time, 1)], 60.0).or(&["minute", "minutes"]),
    atom("h", &[(Time, 1)], 3600.0).or(&["hour", "hours"]),
    atom("day", &[(Time, 1)], 86_400.0).or(&["days", "d"]),
    atom("week", &[(Time, 1)], 604_800.0).or(&["weeks", "wk"]),
    atom("month", &[(Time, 1)], 2_592_000.0).or(&["months"]),
    atom("year", &[(Time, 1)], 31_104_000.0).or(&["years"]),
    metric("A", &[(Current, 1)], 1.0),
    metric("K", &[(Temperature, 1)], 1.0),
    atom("Cel", &[(Temperature, 1)], 1.0).or(&["°C", "℃", "degC"]).point(273.15, "K"),
    atom("degF", &[(Temperature, 1)], 5.0).or(&["°F", "℉"]).over(9.0).point(459.67, "K"),
    metric("mol", &[(Amount, 1)], 1.0),
    metric("cd", &[(Luminosity, 1)], 1.0),
    metric("lm", &[(Luminosity, 1)], 1.0),
    metric("lx", &[(Luminosity, 1), (Length, -2)], 1.0).or(&["lux"]),
    metric("Hz", &[(Cycle, 1), (Time, -1)], 1.0),
    metric("N", &[(Mass, 1), (Length, 1), (Time, -2)], 1.0),
    metric("Pa", PASCAL, 1.0),
    metric("bar", PASCAL, 100_000.0),
    atom("psi", PASCAL, 6_894.757_293_168),
    metric("J", JOULE, 1.0),
    metric("W", WATT, 1.0),
    metric("Wh", JOULE, 3600.0),
    metric("VA", WATT, 1.0),
    metric("var", WATT, 1.0),
    metric("V", VOLT, 1.0),
    metric("Ah", &[(Current, 1), (Time, 1)], 3600.0),
    metric("C", &[(Current, 1), (Time, 1)], 1.0),
    metric("Ohm", OHM, 1.0).or(&["Ω", "Ω"]),
    metric("S", SIEMENS, 1.0),
    metric("F", FARAD, 1.0),
    metric("H", HENRY, 1.0),
    metric("T", &[(Mass, 1), (Time, -2), (Current, -1)], 1.0),
    metric("Bq", &[(Time, -1)], 1.0),
    metric("Sv", &[(Length, 2), (Time, -2)], 1.0),
    metric("L", &[(Length, 3)], 1.0).or(&["l"]).over(1000.0),
    atom("ha", &[(Length, 2)], 10_000.0),
    atom("rad", &[], 1.0),
    atom("deg", &[], std::f64::consts::PI).or(&["°"]).over(180.0),
    atom("rpm", &[(Time, -1)], std::f64::consts::PI).over(30.0),
    atom("dB", &[(Level, 1)], 1.0),
    atom("dBm", &[(Level, 1)], 1.0).point(0.0, "dB"),
    atom("pH", &[(Acidity, 1)], 1.0),
    metric("B", &[(Data, 1)], 1.0).or(&["byte", "bytes"]),
    metric("bit", &[(Data, 1)], 1.0).over(8.0),
    atom("device", &[(Device, 1)], 1.0).or(&["devices"]),
    atom("customer", &[(Customer, 1)], 1.0).or(&["customers"]),
];

/// Prefixes of UCUM table 1 that occur in this field; `µ` and `μ` are accepted for `u`.
const PREFIXES: &[(&str, f64, f64)] = &[
    ("p", 1.0, 1e12),
    ("n", 1.0, 1e9),
    ("u", 1.0, 1e6),
    ("µ", 1.0, 1e6),
    ("μ", 1.0, 1e6),
    ("m", 1.0, 1e3),
    ("c", 1.0, 100.0),
    ("d", 1.0, 10.0),
    ("h", 100.0, 1.0),
    ("k", 1e3, 1.0),
    ("M", 1e6, 1.0),
    ("G", 1e9, 1.0),
    ("T", 1e12, 1.0),
];

/// One unit symbol to a power.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Factor {
    symbol: String,
    power: i8,
}

/// A unit: what it measures and how large one is.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    factors: Vec<Factor>,
    dimension: Dimension,
    num: f64,
    den: f64,
    zero: Zero,
}

/// The names a person may mean, for suggestions and documentation.
pub fn unit_names() -> impl Iterator<Item = &'static str> {
    const COMMON: [&str; 16] = [
        "kg", "mg", "km", "cm", "mm", "ms", "mV", "kW", "kWh", "mA", "mAh", "hPa", "kPa", "kB",
        "MB", "GB",
    ];
    let atoms =
        ATOMS.iter().flat_map(|atom| std::iter::once(atom.code).chain(atom.others.iter().copied()));
    atoms.chain(COMMON)
}

fn greatest_divisor(mut a: f64, mut b: f64) -> f64 {
    while b > 0.0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The fraction in lowest terms when both parts are exact integers, else as it is.
fn reduce(num: f64, den: f64) -> (f64, f64) {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let whole = |x: f64| (1.0..=EXACT_MAX).contains(&x) && libm::trunc(x) == x;
    if !(whole(num) && whole(den)) {
        return (num, den);
    }
    let common = greatest_divisor(num, den);
    (num / common, den / common)
}

impl Unit {
    /// A pure number.
    #[must_use]
    pub fn one() -> Self {
        Self {
            factors: Vec::new(),
            dimension: Dimension::NONE,
            num: 1.0,
            den: 1.0,
            zero: Zero::Natural,
        }
    }

    /// The unit a text names, for example `°C`, `km/h`, `EUR/device/day`, `1/s`.
    ///
    /// # Errors
    /// The text is not a unit; the span is inside the text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (nodes, span) = crate::parser::unit_words(text)?;
        Self::from_words(&nodes, span)
    }

    /// From words and powers already split; `span` covers them all.
    pub(crate) fn from_words(words: &[(Span, &str, i8)], span: Span) -> Result<Self, Error> {
        let mut unit = Self::one();
        if words.len() > FACTORS_MAX {
            let reason = Reason::TooComplex { what: "unit_factors_max", max: FACTORS_MAX };
            return Err(Error::new(span, reason));
        }
        for (at, word, power) in words {
            let next = Self::symbol(word).ok_or_else(|| unknown(*at, word))?;
            if words.len() > 1 && next.is_point() {
                let help = format!("use {} for differences and rates", next.difference());
                let reason = Reason::UnitClash {
                    left: word.to_string(),
                    right: "other units".to_owned(),
                    action: "combined",
                };
                return Err(Error::new(*at, reason).help(help));
            }
            let clash = || Reason::UnitClash {
                left: unit.to_string(),
                right: word.to_string(),
                action: "combined",
            };
            unit = unit.times(&next, *power).ok_or_else(|| Error::new(*at, clash()))?;
        }
        Ok(unit)
    }

    /// The unit of one word, with an exponent at its end (`m3`, `m²`) or a metric prefix.
    fn symbol(word: &str) -> Option<Self> {
        if let Some(unit) = Self::plain(word) {
            return Some(unit);
        }
        let digit = word.chars().last()?;
        let power = match digit {
            '2' | '²' => 2,
            '3' | '³' => 3,
            '4' => 4,
            _ => return None,
        };
        let base = Self::plain(word.strip_suffix(digit)?).filter(|unit| !unit.is_point())?;
        Self::one().times(&base, power)
    }

    fn plain(word: &str) -> Option<Self> {
        let named = |atom: &&Atom, word: &str| atom.code == word || atom.others.contains(&word);
        if let Some(found) = ATOMS.iter().find(|atom| named(atom, word)) {
            return Some(Self::of_atom(found, found.code.to_owned(), (1.0, 1.0)));
        }
        if CURRENCIES.binary_search(&word).is_ok() {
            let currency: Currency = word.parse().ok()?;
            let factors = vec![Factor { symbol: word.to_owned(), power: 1 }];
            return Some(Self { factors, dimension: Dimension::money(currency), ..Self::one() });
        }
        PREFIXES.iter().find_map(|(prefix, num, den)| {
            let rest = word.strip_prefix(prefix)?;
            let found =
                ATOMS.iter().find(|atom| atom.prefixed == Prefixed::Metric && named(atom, rest))?;
            let ascii = if matches!(*prefix, "µ" | "μ") { "u" } else { prefix };
            Some(Self::of_atom(found, format!("{ascii}{}", found.code), (*num, *den)))
        })
    }

    fn of_atom(atom: &Atom, symbol: String, prefix: (f64, f64)) -> Self {
        let (num, den) = reduce(atom.num * prefix.0, atom.den * prefix.1);
        Self {
            factors: vec![Factor { symbol, power: 1 }],
            dimension: Dimension::from_powers(atom.powers),
            num,
            den,
            zero: atom.zero,
        }
    }

    /// One major unit of `currency`.
    #[must_use]
    pub fn money(currency: Currency) -> Self {
        let factors = vec![Factor { symbol: currency.to_string(), power: 1 }];
        Self { factors, dimension: Dimension::money(currency), ..Self::one() }
    }

    /// `self x other^power`; `None` for two currencies, for a unit with its own zero point, or
    /// beyond the limits.
    #[must_use]
    pub fn times(&self, other: &Self, power: i8) -> Option<Self> {
        if self.factors.is_empty() && power == 1 {
            return Some(other.clone());
        }
        if self.is_point() || other.is_point() {
            return None;
        }
        let dimension = self.dimension.times(&other.dimension, power)?;
        let mut factors = self.factors.clone();
        for Factor { symbol, power: theirs } in &other.factors {
            let theirs = theirs.checked_mul(power)?;
            match factors.iter_mut().find(|mine| mine.symbol == *symbol) {
                Some(mine) => mine.power = mine.power.checked_add(theirs)?,
                None => factors.push(Factor { symbol: symbol.clone(), power: theirs }),
            }
        }
        factors.retain(|factor| factor.power != 0);
        if factors.len() > FACTORS_MAX {
            return None;
        }
        let (mut num, mut den) = (self.num, self.den);
        for _ in 0..power.unsigned_abs() {
            let (up, down) =
                if power > 0 { (other.num, other.den) } else { (other.den, other.num) };
            (num, den) = reduce(num * up, den * down);
        }
        Some(Self { factors, dimension, num, den, zero: Zero::Natural })
    }

    /// The square root, when every power is even.
    #[must_use]
    pub fn root(&self) -> Option<Self> {
        let dimension = self.dimension.root()?;
        let mut factors = self.factors.clone();
        for factor in &mut factors {
            if factor.power % 2 != 0 {
                return None;
            }
            factor.power /= 2;
        }
        let (num, den) = (libm::sqrt(self.num), libm::sqrt(self.den));
        Some(Self { factors, dimension, num, den, zero: self.zero })
    }

    /// What it measures.
    #[must_use]
    pub const fn dimension(&self) -> &Dimension {
        &self.dimension
    }

    /// Whether it is the plain number 1.
    #[must_use]
    pub fn is_one(&self) -> bool {
        self.factors.is_empty()
    }

    /// Whether it has a zero point of its own (°C, dBm), so that differences are another unit.
    #[must_use]
    pub fn is_point(&self) -> bool {
        matches!(self.zero, Zero::Point { .. })
    }

    /// The unit of a difference: K for °C, dB for dBm, else the same.
    #[must_use]
    pub fn difference(&self) -> Self {
        match self.zero {
            Zero::Natural => self.clone(),
            Zero::Point { difference, .. } => {
                let mut unit = Self::plain(difference).unwrap_or_else(Self::one);
                (unit.num, unit.den) = (self.num, self.den);
                if self.num != self.den {
                    // A Fahrenheit degree is five ninths of a kelvin and has no name of its own.
                    unit.factors = vec![Factor { symbol: "deltaF".to_owned(), power: 1 }];
                }
                unit
            }
        }
    }

    /// Whether values in one unit may be compared with and converted to the other.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.dimension == other.dimension && self.is_point() == other.is_point()
    }

    /// (numerator, denominator) of the factor from this unit to `other`, zero points aside.
    #[must_use]
    pub fn ratio(&self, other: &Self) -> (f64, f64) {
        reduce(self.num * other.den, self.den * other.num)
    }

    /// `value` of this unit in `other`; `None` when they are not alike.
    #[must_use]
    pub fn convert(&self, value: f64, other: &Self) -> Option<f64> {
        if !self.is_like(other) {
            return None;
        }
        let (num, den) = self.ratio(other);
        match (self.zero, other.zero) {
            (Zero::Point { offset: from, .. }, Zero::Point { offset: to, .. })
                if (num, den) != (1.0, 1.0) || from.to_bits() != to.to_bits() =>
            {
                Some((value + from) * num / den - to)
            }
            _ => Some(value * num / den),
        }
    }

    /// The length of one in milliseconds, exact, when it is a time.
    #[must_use]
    pub fn duration(&self, amount: f64) -> Option<Duration> {
        let second = Self::plain("s")?;
        let (num, den) = self.ratio(&second);
        let millis =
            self.convert(1.0, &second).map(|_| libm::round(amount * num * 1000.0 / den))?;
        if !(0.0..=9.0e15).contains(&millis) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be a whole number between 0 and 9e15"
        )]
        Some(Duration::from_millis(millis as u64))
    }

    /// As people write it: `°C`, `EUR/device/day`.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.to_string().as_str() {
            "Cel" => "°C".to_owned(),
            "degF" => "°F".to_owned(),
            "deltaF" => "°F (difference)".to_owned(),
            "Ohm" => "Ω".to_owned(),
            "1" => "a plain number".to_owned(),
            other => other.to_owned(),
        }
    }
}

fn unknown(span: Span, word: &str) -> Error {
    let error = Error::new(span, Reason::UnknownUnit { unit: word.to_owned() });
    let upper = word.to_uppercase();
    if CURRENCIES.binary_search(&upper.as_str()).is_ok() {
        return error.help(format!("did you mean {upper:?}?"));
    }
    let by_hand = match word {
        "€" => Some("EUR"),
        "$" => Some("USD"),
        "£" => Some("GBP"),
        "KB" => Some("kB"),
        "Celsius" | "celsius" => Some("°C"),
        "mo" => Some("month"),
        _ => None,
    };
    match by_hand.or_else(|| nearest(word, unit_names())) {
        Some(known) => error.help(format!("did you mean {known:?}?")),
        None => error,
    }
}

impl fmt::Display for Unit {
    /// The UCUM code or money-side name; `1` for a plain number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut above = self.factors.iter().filter(|factor| factor.power > 0).peekable();
        if above.peek().is_none() {
            f.write_str("1")?;
        }
        for (n, Factor { symbol, power }) in above.enumerate() {
            let joint = if n > 0 { "." } else { "" };
            let power = if *power > 1 { power.to_string() } else { String::new() };
            write!(f, "{joint}{symbol}{power}")?;
        }
        for Factor { symbol, power } in self.factors.iter().filter(|factor| factor.power < 0) {
            let power = if *power < -1 { power.unsigned_abs().to_string() } else { String::new() };
            write!(f, "/{symbol}{power}")?;
        }
        Ok(())
    }
}
