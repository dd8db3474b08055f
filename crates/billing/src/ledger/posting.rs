//! Double entry: every amount stands once on each side.
//!
//! *Invariant:* a posting whose debits and credits differ cannot be made; entries are positive and
//! in one currency.

use std::collections::BTreeMap;

use jiff::civil::Date;
use model::Money;

use crate::Error;
use crate::tax::TaxClass;

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// Owed by customers.
    Receivable,
    /// Earned, in a tax class.
    Revenue(TaxClass),
    /// Owed to the tax office, in a tax class.
    TaxPayable(TaxClass),
    /// Paid in advance by customers.
    Prepaid,
    /// Given to customers: free credit that was used.
    Discount,
    /// Received.
    Bank,
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Left.
    Debit,
    /// Right.
    Credit,
}

/// One side of a posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What it is about.
    pub account: Account,
    /// Where it stands.
    pub side: Side,
    /// How much, above zero.
    pub amount: Money,
}

/// A balanced set of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// When.
    pub date: Date,
    /// Number of the document.
    pub document: String,
    /// What for.
    pub text: String,
    entries: Vec<Entry>,
}

/// Numbers of accounts for exports; the defaults are of the German chart SKR 03, all without
/// automatic tax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts {
    /// Revenue and tax of classes that have accounts of their own.
    pub of_class: BTreeMap<TaxClass, (String, String)>,
    /// Owed by customers.
    pub receivable: String,
    /// Earned.
    pub revenue: String,
    /// Owed to the tax office.
    pub tax_payable: String,
    /// Paid in advance.
    pub prepaid: String,
    /// Reductions of revenue.
    pub discount: String,
    /// Received.
    pub bank: String,
}

/// All postings of a legal entity, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journal {
    postings: Vec<Posting>,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            of_class: BTreeMap::new(),
            receivable: "1400".to_owned(),
            revenue: "8200".to_owned(),
            tax_payable: "1776".to_owned(),
            prepaid: "1710".to_owned(),
            discount: "8700".to_owned(),
            bank: "1200".to_owned(),
        }
    }
}

impl Accounts {
    /// The number of an account.
    #[must_use]
    pub fn number(&self, account: Account) -> &str {
        match account {
            Account::Receivable => &self.receivable,
            Account::Revenue(class) => {
                self.of_class.get(&class).map_or(&self.revenue, |(revenue, _)| revenue)
            }
            Account::TaxPayable(class) => {
                self.of_class.get(&class).map_or(&self.tax_payable, |(_, tax)| tax)
            }
            Account::Prepaid => &self.prepaid,
            Account::Discount => &self.discount,
            Account::Bank => &self.bank,
        }
    }
}

impl Side {
    /// The other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Debit => Self::Credit,
            Self::Credit => Self::Debit,
        }
    }

    /// Its name in exports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debit => "debit",
            Self::Credit => "credit",
        }
    }
}

impl Entry {
    /// An entry; a negative amount stands on the other side, a zero one is none.
    #[must_use]
    pub fn new(account: Account, side: Side, amount: Money) -> Option<Self> {
        match amount.minor {
            0 => None,
            minor if minor < 0 => {
                let amount = Money { minor: minor.checked_neg()?, ..amount };
                Some(Self { account, side: side.other(), amount })
            }
            _ => Some(Self { account, side, amount }),
        }
    }
}

impl Posting {
    /// A balanced posting.
    ///
    /// # Errors
    /// Debits and credits differ, or the currencies do.
    pub fn new(date: Date, document: &str, text: &str, entries: Vec<Entry>) -> Result<Self, Error> {
        let (mut debits, mut credits) = (0_i128, 0_i128);
        let currency = entries.first().map(|entry| entry.amount.currency);
        for entry in &entries {
            if let Some(left) = currency.filter(|currency| *currency != entry.amount.currency) {
                let right = entry.amount.currency;
                return Err(model::MoneyError::Currencies { left, right }.into());
            }
            match entry.side {
                Side::Debit => debits += i128::from(entry.amount.minor),
                Side::Credit => credits += i128::from(entry.amount.minor),
            }
        }
        if debits != credits {
            return Err(Error::Unbalanced { debits, credits, difference: debits - credits });
        }
        Ok(Self { date, document: document.to_owned(), text: text.to_owned(), entries })
    }

    /// The entries.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

impl Journal {
    /// Appends a posting.
    pub fn push(&mut self, posting: Posting) {
        self.postings.push(posting);
    }

    /// All postings in order.
    #[must_use]
    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }

    /// Debits minus credits of every account, in minor units.
    #[must_use]
    pub fn balances(&self) -> BTreeMap<Account, i128> {
        let mut balances = BTreeMap::new();
        for entry in self.postings.iter().flat_map(Posting::entries) {
            let amount = i128::from(entry.amount.minor);
            *balances.entry(entry.account).or_default() += match entry.side {
                Side::Debit => amount,
                Side::Credit => -amount,
            };
        }
        balances
    }
}
