//! What to fix next: everything that costs or could save money, the most first, each with its
//! calculation.
//!
//! *Invariant:* a figure in the list is money of the venture's currency and carries the tree it
//! came from; what nobody can put a price on is not in it.

use bizcase::Explain;

/// What kind of thing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Matter {
    /// An input that came out worse than the case says: what that takes from its value.
    Input,
    /// An experiment: what its information is worth, less its cost.
    Experiment,
    /// Devices that say nothing: what they bring in a month.
    Silent,
    /// Devices with an open alarm: what they bring in a month.
    Alarm,
    /// A risk: probability times money.
    Risk,
    /// A margin below its target.
    Margin,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Fix {
    /// What kind of thing it is.
    pub matter: Matter,
    /// Its name.
    pub name: String,
    /// What to do, for people.
    pub says: String,
    /// What it is worth.
    pub money: f64,
    /// How that comes about.
    pub explain: Explain,
}

impl Matter {
    /// The word shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Experiment => "experiment",
            Self::Silent => "silent",
            Self::Alarm => "alarm",
            Self::Risk => "risk",
            Self::Margin => "margin",
        }
    }

    /// What its money means.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Input => "value lost against the case, over its horizon",
            Self::Experiment => "value of the information less its cost",
            Self::Silent | Self::Alarm => "revenue of a month that hangs on it",
            Self::Risk => "expected loss within the horizon",
            Self::Margin => "missing in a month",
        }
    }
}

/// What is worth something, the most first.
#[must_use]
pub fn ranked(all: Vec<Fix>) -> Vec<Fix> {
    let mut worth: Vec<Fix> =
        all.into_iter().filter(|fix| fix.money.is_finite() && fix.money > 0.0).collect();
    worth.sort_by(|a, b| b.money.total_cmp(&a.money).then_with(|| a.name.cmp(&b.name)));
    worth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_money_comes_first_and_what_is_worth_nothing_is_left_out() {
        let fix = |name: &str, money| Fix {
            matter: Matter::Risk,
            name: name.to_owned(),
            says: String::new(),
            money,
            explain: Explain::computed(name, "", money, Vec::new()),
        };
        let all = ranked(vec![fix("a", 5.0), fix("b", f64::NAN), fix("c", 9.0), fix("d", -1.0)]);
        let names: Vec<&str> = all.iter().map(|fix| fix.name.as_str()).collect();
        assert_eq!(names, ["c", "a"]);
    }
}
