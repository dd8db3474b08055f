//! The journal for other programs: CSV for anyone, and a DATEV booking batch.
//!
//! *Invariant:* an export changes no cent: per document, debits and credits of the file are those
//! of the postings. Fields are quoted (RFC 4180), so no text can open a column of its own.
//!
//! DATEV: format version 700, category 21 "Buchungsstapel", field list 13, Windows-1252, CRLF. Only
//! the first 14 of its columns are written; the rest is optional. An account that computes tax by
//! itself (such as 8400) must not be used with it, because the tax has an entry of its own.

use std::fmt::Write as _;

use jiff::civil::Date;
use model::{Currency, Timestamp};
use rust_decimal::Decimal;

use super::posting::{Account, Accounts, Entry, Journal, Posting, Side};
use crate::Error;
use crate::zone::Zone;

/// Longest text of a DATEV booking, in characters.
const DATEV_TEXT_CHARS_MAX: usize = 60;
/// Longest document number of a DATEV booking, in characters.
const DATEV_DOCUMENT_CHARS_MAX: usize = 36;

const DATEV_COLUMNS: [&str; 14] = [
    "Umsatz (ohne Soll/Haben-Kz)",
    "Soll/Haben-Kennzeichen",
    "WKZ Umsatz",
    "Kurs",
    "Basis-Umsatz",
    "WKZ Basis-Umsatz",
    "Konto",
    "Gegenkonto (ohne BU-Schlüssel)",
    "BU-Schlüssel",
    "Belegdatum",
    "Belegfeld 1",
    "Belegfeld 2",
    "Skonto",
    "Buchungstext",
];

/// What the first line of a DATEV file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatevBatch {
    /// Number of the tax consultant.
    pub consultant: u32,
    /// Number of the client.
    pub client: u32,
    /// First day of the fiscal year.
    pub year_from: Date,
    /// Digits of an account number, 4 to 8.
    pub account_digits: u8,
    /// First day of the batch.
    pub from: Date,
    /// Last day of the batch.
    pub to: Date,
    /// Shown to the consultant.
    pub title: String,
    /// When the file is made.
    pub created: Timestamp,
    /// Currency of the books.
    pub currency: Currency,
}

impl Account {
    /// Its name in exports.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Receivable => "receivable",
            Self::Revenue(_) => "revenue",
            Self::TaxPayable(_) => "tax_payable",
            Self::Prepaid => "prepaid",
            Self::Discount => "discount",
            Self::Bank => "bank",
        }
    }
}

fn quoted(text: &str) -> String {
    // Line breaks would be legal inside quotes, but few readers of the file agree.
    let plain = text.replace('"', "\"\"").replace(['\r', '\n'], " ");
    format!("\"{plain}\"")
}

/// All entries, one a row: `date,document,text,account,name,class,debit,credit,currency`.
#[must_use]
pub fn csv(journal: &Journal, accounts: &Accounts) -> String {
    let mut out = "date,document,text,account,name,class,debit,credit,currency\n".to_owned();
    for posting in journal.postings() {
        for entry in posting.entries() {
            let amount = entry.amount.amount().to_string();
            let (debit, credit) = match entry.side {
                Side::Debit => (amount.as_str(), ""),
                Side::Credit => ("", amount.as_str()),
            };
            let class = match entry.account {
                Account::Revenue(class) | Account::TaxPayable(class) => class.to_string(),
                Account::Receivable | Account::Prepaid | Account::Discount | Account::Bank => {
                    String::new()
                }
            };
            let row = [
                posting.date.to_string(),
                quoted(&posting.document),
                quoted(&posting.text),
                quoted(accounts.number(entry.account)),
                entry.account.as_str().to_owned(),
                quoted(&class),
                debit.to_owned(),
                credit.to_owned(),
                entry.amount.currency.to_string(),
            ];
            out.push_str(&row.join(","));
            out.push('\n');
        }
    }
    out
}

/// A part of a posting that has one account on each side.
struct Pair {
    amount: i64,
    debit: Account,
    credit: Account,
}

/// Takes a posting apart into pairs; their sums per account are those of the posting.
fn pairs(entries: &[Entry]) -> Vec<Pair> {
    let side = |side: Side| {
        let of_side = entries.iter().filter(move |entry| entry.side == side);
        of_side.map(|entry| (entry.account, entry.amount.minor)).collect::<Vec<_>>()
    };
    let mut pairs = Vec::new();
    let mut credits = side(Side::Credit).into_iter();
    let mut open: Option<(Account, i64)> = None;
    for (debit, mut left) in side(Side::Debit) {
        while left > 0 {
            let Some((credit, rest)) = open.take().or_else(|| credits.next()) else { break };
            let amount = left.min(rest);
            pairs.push(Pair { amount, debit, credit });
            left -= amount;
            open = Some((credit, rest - amount)).filter(|(_, rest)| *rest > 0);
        }
    }
    pairs
}

/// The postings of the batch's days as a DATEV file.
///
/// # Errors
/// Days outside the fiscal year, an account number that does not fit, or a character that
/// Windows-1252 lacks.
pub fn datev(journal: &Journal, accounts: &Accounts, batch: &DatevBatch) -> Result<Vec<u8>, Error> {
    let year_to = batch.year_from.saturating_add(jiff::Span::new().years(1));
    if batch.from < batch.year_from || batch.to >= year_to || batch.to < batch.from {
        let text = format!("{} to {}", batch.from, batch.to);
        return Err(Error::Unknown { kind: "stretch inside the fiscal year", name: text });
    }
    let mut text = header(batch)?;
    let columns: Vec<String> = DATEV_COLUMNS.iter().map(|column| quoted(column)).collect();
    text.push_str(&columns.join(";"));
    text.push_str("\r\n");
    let of_batch = |posting: &&Posting| batch.from <= posting.date && posting.date <= batch.to;
    for posting in journal.postings().iter().filter(of_batch) {
        for pair in pairs(posting.entries()) {
            text.push_str(&row(posting, &pair, accounts, batch)?);
        }
    }
    windows_1252(&text)
}

fn header(batch: &DatevBatch) -> Result<String, Error> {
    let day = |date: Date| date.strftime("%Y%m%d").to_string();
    let created = Zone::utc().local(batch.created)?.strftime("%Y%m%d%H%M%S").to_string();
    let millis = batch.created.as_millis().rem_euclid(1000);
    let title: String = batch.title.chars().take(30).collect();
    let mut line = String::new();
    let _infallible = write!(
        line,
        "\"EXTF\";700;21;\"Buchungsstapel\";13;{created}{millis:03};;\"IB\";\"\";\"\";{};{};{};{};{};{};{};\"\";1;0;0;{};;\"\";;;\"\";;;\"\";\"\"\r\n",
        batch.consultant,
        batch.client,
        day(batch.year_from),
        batch.account_digits,
        day(batch.from),
        day(batch.to),
        quoted(&title),
        quoted(batch.currency.as_str()),
    );
    Ok(line)
}

fn row(
    posting: &Posting,
    pair: &Pair,
    accounts: &Accounts,
    batch: &DatevBatch,
) -> Result<String, Error> {
    let number = |account: Account| {
        let number = accounts.number(account);
        // One more digit is a personal account, of a customer.
        let fits = number.len() == usize::from(batch.account_digits)
            || number.len() == usize::from(batch.account_digits) + 1;
        let valid = fits && number.bytes().all(|byte| byte.is_ascii_digit());
        let unknown = || Error::Unknown { kind: "DATEV account", name: number.to_owned() };
        valid.then_some(number).ok_or_else(unknown)
    };
    let currency = posting.entries().first().map_or(batch.currency, |entry| entry.amount.currency);
    let amount = Decimal::new(pair.amount, currency.minor_digits());
    let document: String = posting.document.chars().take(DATEV_DOCUMENT_CHARS_MAX).collect();
    let text: String = posting.text.chars().take(DATEV_TEXT_CHARS_MAX).collect();
    Ok(format!(
        "{};\"S\";{};;;\"\";{};{};\"\";{};{};\"\";;{}\r\n",
        amount.to_string().replace('.', ","),
        quoted(currency.as_str()),
        number(pair.debit)?,
        number(pair.credit)?,
        posting.date.strftime("%d%m"),
        quoted(&document),
        quoted(&text),
    ))
}

fn windows_1252(text: &str) -> Result<Vec<u8>, Error> {
    let byte = |c: char| match c {
        '\u{20ac}' => Some(0x80),
        '\0'..='\u{7f}' | '\u{a0}'..='\u{ff}' => u8::try_from(u32::from(c)).ok(),
        _ => None,
    };
    let fault = |c: char| Error::Unknown { kind: "Windows-1252 character", name: c.to_string() };
    text.chars().map(|c| byte(c).ok_or_else(|| fault(c))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tax::{TaxCategory, TaxClass};
    use expect_test::expect;
    use jiff::civil::date;
    use model::Money;

    fn journal() -> Journal {
        let eur = |minor| Money { minor, currency: Currency::EUR };
        let class = TaxClass { category: TaxCategory::S, percent: Decimal::from(19) };
        let entries = [
            Entry::new(Account::Receivable, Side::Debit, eur(356_750)),
            Entry::new(Account::Revenue(class), Side::Credit, eur(301_000)),
            Entry::new(Account::TaxPayable(class), Side::Credit, eur(55_750)),
        ];
        let entries = entries.into_iter().flatten().collect();
        let mut journal = Journal::default();
        let text = "invoice \"October\"; \n=1+1";
        journal.push(Posting::new(date(2026, 11, 3), "RE-000001", text, entries).unwrap());
        journal
    }

    #[test]
    fn a_csv_row_is_one_entry() {
        let text = csv(&journal(), &Accounts::default());
        expect![[r#"
            date,document,text,account,name,class,debit,credit,currency
            2026-11-03,"RE-000001","invoice ""October"";  =1+1","1400",receivable,"",3567.50,,EUR
            2026-11-03,"RE-000001","invoice ""October"";  =1+1","8200",revenue,"S 19 %",,3010.00,EUR
            2026-11-03,"RE-000001","invoice ""October"";  =1+1","1776",tax_payable,"S 19 %",,557.50,EUR
        "#]]
        .assert_eq(&text);
    }

    fn batch() -> DatevBatch {
        DatevBatch {
            consultant: 1_234_567,
            client: 1001,
            year_from: date(2026, 1, 1),
            account_digits: 4,
            from: date(2026, 11, 1),
            to: date(2026, 11, 30),
            title: "November".to_owned(),
            created: Timestamp::from_millis(1_796_083_200_123),
            currency: Currency::EUR,
        }
    }

    #[test]
    fn a_datev_row_has_one_account_on_each_side() {
        let bytes = datev(&journal(), &Accounts::default(), &batch()).unwrap();
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines[0].split(';').count(), 31);
        expect![[
            r#""EXTF";700;21;"Buchungsstapel";13;20261201000000123;;"IB";"";"";1234567;1001;20260101;4;20261101;20261130;"November";"";1;0;0;"EUR";;"";;;"";;;"";"""#
        ]]
        .assert_eq(lines[0]);
        expect![[r#"
            3010,00;"S";"EUR";;;"";1400;8200;"";0311;"RE-000001";"";;"invoice ""October"";  =1+1"
            557,50;"S";"EUR";;;"";1400;1776;"";0311;"RE-000001";"";;"invoice ""October"";  =1+1"
        "#]]
        .assert_eq(&format!("{}\n{}\n", lines[2], lines[3]));
    }

    #[test]
    fn a_batch_over_two_fiscal_years_is_refused() {
        let batch = DatevBatch { to: date(2027, 1, 1), ..batch() };
        assert!(datev(&journal(), &Accounts::default(), &batch).is_err());
    }

    #[test]
    fn a_sign_that_the_file_cannot_hold_is_refused_not_replaced() {
        assert!(windows_1252("Łódź").is_err());
        assert_eq!(windows_1252("ü€").unwrap(), [0xfc, 0x80]);
    }
}
