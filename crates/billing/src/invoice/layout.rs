//! Where everything stands on the pages of a document, in tenths of a point.
//!
//! *Invariant:* integers only; nothing leaves the page, a line that does not fit starts the next
//! one with the table's head, and every page says its number and how many there are.

use jiff::civil::Date;
use model::{Currency, Money};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use super::{Document, DocumentLine};
use crate::Error;
use crate::ledger::InvoiceKind;

/// Width of A4.
pub(super) const PAGE_WIDTH: i32 = 5953;
/// Height of A4.
pub(super) const PAGE_HEIGHT: i32 = 8419;
const LEFT: i32 = 600;
const RIGHT: i32 = 5353;
const TEXT_RIGHT: i32 = 3150;
const QUANTITY_RIGHT: i32 = 3750;
const TAX_RIGHT: i32 = 4600;
const BOTTOM: i32 = 7700;
const CHART_HEIGHT: i32 = 170;
/// The most pages of a document.
const PAGES_MAX: usize = 2000;
/// The most days of a chart; more would be thinner than a hair.
const CHART_DAYS_MAX: usize = 370;

/// How a text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Bold,
}

/// Colours of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Black,
    Grey,
    Pale,
    Accent,
    Warning,
}

/// Something on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    /// A text with its left end on a base line.
    Text { x: i32, y: i32, size: i32, weight: Weight, ink: Ink, text: String },
    /// A filled rectangle.
    Bar { x: i32, y: i32, width: i32, height: i32, ink: Ink },
}

/// Widths of texts.
pub(super) struct Widths<'a> {
    pub(super) regular: ttf_parser::Face<'a>,
    pub(super) bold: ttf_parser::Face<'a>,
}

impl Widths<'_> {
    fn of(&self, text: &str, size: i32, weight: Weight) -> i32 {
        let face = match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        };
        let advance = |c: char| {
            let glyph = face.glyph_index(c).unwrap_or(ttf_parser::GlyphId(0));
            i32::from(face.glyph_hor_advance(glyph).unwrap_or_default())
        };
        let units: i32 = text.chars().map(advance).sum();
        units.saturating_mul(size) / i32::from(face.units_per_em().max(1))
    }

    /// Signs that the fonts lack become a question mark; the electronic form keeps them.
    fn drawable(&self, text: &str) -> String {
        let known =
            |c: char| self.regular.glyph_index(c).is_some() && self.bold.glyph_index(c).is_some();
        text.chars().map(|c| if known(c) { c } else { '?' }).collect()
    }
}

/// A page in the making.
struct Sheet<'w, 'f> {
    widths: &'w Widths<'f>,
    pages: Vec<Vec<Mark>>,
    y: i32,
}

impl Sheet<'_, '_> {
    fn put(&mut self, mark: Mark) {
        if let Some(page) = self.pages.last_mut() {
            page.push(mark);
        }
    }

    fn text(&mut self, x: i32, size: i32, (weight, ink): (Weight, Ink), text: &str) {
        let text = self.widths.drawable(text);
        let y = self.y;
        self.put(Mark::Text { x, y, size, weight, ink, text });
    }

    fn right(&mut self, right: i32, size: i32, look: (Weight, Ink), text: &str) {
        let width = self.widths.of(text, size, look.0);
        self.text(right - width, size, look, text);
    }

    fn rule(&mut self, ink: Ink) {
        let y = self.y;
        self.put(Mark::Bar { x: LEFT, y, width: RIGHT - LEFT, height: 6, ink });
    }

    /// The text in lines no wider than `width`; a word that is too long is cut.
    fn wrapped(&self, text: &str, size: i32, width: i32) -> Vec<String> {
        let fits = |text: &str| self.widths.of(text, size, Weight::Regular) <= width;
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in text.split_whitespace() {
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if fits(&longer) {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for c in word.chars() {
                line.push(c);
                if !fits(&line) {
                    let last = line.pop();
                    lines.push(std::mem::take(&mut line));
                    line.extend(last);
                }
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
        lines
    }

    fn paragraph(&mut self, x: i32, size: i32, look: (Weight, Ink), (text, width): (&str, i32)) {
        for line in self.wrapped(text, size, width) {
            self.text(x, size, look, &line);
            self.y += size + 35;
        }
    }
}

const PLAIN: (Weight, Ink) = (Weight::Regular, Ink::Black);
const STRONG: (Weight, Ink) = (Weight::Bold, Ink::Black);
const QUIET: (Weight, Ink) = (Weight::Regular, Ink::Grey);

/// Lays a document out.
///
/// # Errors
/// More than 2,000 pages.
pub(super) fn pages(document: &Document, widths: &Widths<'_>) -> Result<Vec<Vec<Mark>>, Error> {
    let mut sheet = Sheet { widths, pages: vec![Vec::new()], y: 700 };
    head(&mut sheet, document);
    table_head(&mut sheet);
    for line in &document.lines {
        let space = needed(&sheet, line);
        room(&mut sheet, space, document)?;
        row(&mut sheet, line);
    }
    room(
        &mut sheet,
        900 + 150 * i32::try_from(document.totals.taxes.len()).unwrap_or(0),
        document,
    )?;
    sums(&mut sheet, document);
    foot(&mut sheet, document);
    Ok(sheet.pages)
}

fn day(date: Date) -> String {
    date.to_string()
}

/// An amount with thousands apart.
fn amount(money: Money) -> String {
    let text = money.amount().abs().to_string();
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if money.minor < 0 { "-" } else { "" };
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{grouped}{point}{rest}")
}

fn head(sheet: &mut Sheet<'_, '_>, document: &Document) {
    let title = match document.kind {
        InvoiceKind::Invoice => "Invoice",
        InvoiceKind::CreditNote => "Credit note",
    };
    sheet.text(LEFT, 130, STRONG, &document.seller.name);
    sheet.right(RIGHT, 240, STRONG, title);
    if let Some(stamp) = &document.stamp {
        sheet.y += 190;
        sheet.right(RIGHT, 130, (Weight::Bold, Ink::Warning), &stamp.to_uppercase());
        sheet.y -= 190;
    }
    let seller = &document.seller;
    sheet.y += 140;
    let address =
        format!("{}, {} {}, {}", seller.street, seller.post_code, seller.city, seller.country);
    sheet.text(LEFT, 80, QUIET, &address);
    sheet.y = 1500;
    let buyer = &document.buyer;
    let town = format!("{} {}", buyer.post_code, buyer.city);
    for text in [&buyer.name, &buyer.street, &town, &buyer.country] {
        sheet.text(LEFT, 100, PLAIN, text);
        sheet.y += 140;
    }
    if let Some(id) = &buyer.vat_id {
        sheet.text(LEFT, 80, QUIET, &format!("VAT id {id}"));
    }
    sheet.y = 1500;
    for (name, value) in facts(document) {
        sheet.text(3500, 85, QUIET, name);
        sheet.right(RIGHT, 85, PLAIN, &value);
        sheet.y += 130;
    }
    sheet.y = sheet.y.max(2250) + 100;
    for note in &document.notes {
        sheet.paragraph(LEFT, 85, PLAIN, (note, RIGHT - LEFT));
    }
    sheet.y += 150;
}

fn facts(document: &Document) -> Vec<(&'static str, String)> {
    let mut facts = vec![("Number", document.number.clone()), ("Date", day(document.date))];
    facts.extend(document.due.map(|due| ("Due", day(due))));
    facts.extend(document.days.map(|(from, to)| ("Period", format!("{from} to {to}"))));
    facts.extend(document.contract.clone().map(|contract| ("Contract", contract)));
    facts.extend(document.buyer_reference.clone().map(|text| ("Your reference", text)));
    for original in &document.originals {
        let date = original.date.map_or_else(String::new, |date| format!(" of {date}"));
        facts.push(("Corrects", format!("{}{date}", original.number)));
    }
    facts
}

fn table_head(sheet: &mut Sheet<'_, '_>) {
    sheet.text(LEFT, 80, QUIET, "Description");
    sheet.right(QUANTITY_RIGHT, 80, QUIET, "Quantity");
    sheet.right(TAX_RIGHT, 80, QUIET, "Tax");
    sheet.right(RIGHT, 80, QUIET, "Amount");
    sheet.y += 50;
    sheet.rule(Ink::Black);
    sheet.y += 150;
}

/// Starts the next page when less than `height` is left on this one.
fn room(sheet: &mut Sheet<'_, '_>, height: i32, document: &Document) -> Result<(), Error> {
    if sheet.y + height <= BOTTOM {
        return Ok(());
    }
    if sheet.pages.len() >= PAGES_MAX {
        let what = "pages of one document";
        return Err(Error::Limit { what, limit: "pages_max", max: PAGES_MAX });
    }
    sheet.pages.push(Vec::new());
    sheet.y = 700;
    sheet.text(LEFT, 85, QUIET, &format!("{} {}", document.seller.name, document.number));
    sheet.y += 200;
    table_head(sheet);
    Ok(())
}

fn has_chart(line: &DocumentLine) -> bool {
    let days = line.chart.len();
    (2..=CHART_DAYS_MAX).contains(&days) && line.chart.iter().any(|(_, used)| *used > Decimal::ZERO)
}

fn needed(sheet: &Sheet<'_, '_>, line: &DocumentLine) -> i32 {
    let width = TEXT_RIGHT - LEFT;
    let details =
        line.detail.iter().map(|text| sheet.wrapped(text, 75, width).len()).sum::<usize>();
    let names = sheet.wrapped(&line.name, 90, width).len();
    let text = i32::try_from(details * 110 + names * 125).unwrap_or(i32::MAX / 2);
    // A line of more than a page starts on the page it is on.
    let text = text.min(BOTTOM - 1200);
    text + if has_chart(line) { CHART_HEIGHT + 230 } else { 60 }
}

fn row(sheet: &mut Sheet<'_, '_>, line: &DocumentLine) {
    let top = sheet.y;
    let quantity = line.quantity.round_dp(6).normalize();
    let counted = format!("{quantity} {}", line.unit);
    sheet.right(QUANTITY_RIGHT, 90, PLAIN, counted.trim_end());
    let tax = line.tax.map_or_else(String::new, |class| class.to_string());
    sheet.right(TAX_RIGHT, 90, QUIET, &tax);
    sheet.right(RIGHT, 90, PLAIN, &amount(line.amount));
    sheet.paragraph(LEFT, 90, STRONG, (&line.name, TEXT_RIGHT - LEFT));
    for detail in &line.detail {
        if sheet.y > BOTTOM {
            break;
        }
        sheet.paragraph(LEFT, 75, QUIET, (detail, TEXT_RIGHT - LEFT));
    }
    if has_chart(line) {
        chart(sheet, line);
    }
    sheet.y = sheet.y.max(top + 125) + 10;
    sheet.rule(Ink::Pale);
    sheet.y += 140;
}

/// Bars of a day each, the highest as high as the chart.
fn chart(sheet: &mut Sheet<'_, '_>, line: &DocumentLine) {
    let Some(highest) = line.chart.iter().map(|(_, used)| *used).max() else { return };
    let days = i32::try_from(line.chart.len()).unwrap_or(1).max(1);
    let width = TEXT_RIGHT - LEFT;
    let base = sheet.y + CHART_HEIGHT;
    for (index, (_, used)) in line.chart.iter().enumerate() {
        let index = i32::try_from(index).unwrap_or(0);
        let share = used.max(&Decimal::ZERO).checked_div(highest).unwrap_or_default();
        let height = (share * Decimal::from(CHART_HEIGHT)).round().to_i32().unwrap_or(0);
        let (from, to) = (width * index / days, width * (index + 1) / days);
        let bar = (to - from - 8).max(4);
        let (x, y) = (LEFT + from, base - height);
        sheet.put(Mark::Bar { x, y, width: bar, height, ink: Ink::Accent });
    }
    sheet.put(Mark::Bar { x: LEFT, y: base, width, height: 4, ink: Ink::Grey });
    sheet.y = base + 85;
    let (first, last) = (line.chart.first(), line.chart.last());
    if let (Some((first, _)), Some((last, _))) = (first, last) {
        let (highest, unit) = (highest.round_dp(3).normalize(), &line.unit);
        let text = format!("{first} to {last}, by day, at most {highest} {unit}");
        sheet.text(LEFT, 65, QUIET, text.trim_end());
    }
    sheet.y += 70;
}

fn sums(sheet: &mut Sheet<'_, '_>, document: &Document) {
    let totals = &document.totals;
    let currency: Currency = document.currency;
    let mut rows = vec![("Net".to_owned(), totals.net, PLAIN)];
    for tax in &totals.taxes {
        let taxable = amount(tax.taxable);
        rows.push((format!("Tax {} on {taxable}", tax.class), tax.tax, PLAIN));
    }
    rows.push(("Total".to_owned(), totals.gross, STRONG));
    if totals.credited.minor != 0 {
        let minus = Money { minor: -totals.credited.minor, ..totals.credited };
        rows.push(("Credit notes set off".to_owned(), minus, PLAIN));
    }
    for draw in &totals.draws {
        let minus = Money { minor: -draw.amount.minor, ..draw.amount };
        rows.push((format!("Prepaid {}", draw.grant), minus, PLAIN));
    }
    rows.push((format!("Due in {currency}"), totals.due, STRONG));
    for (name, money, look) in rows {
        sheet.text(3250, 95, look, &name);
        sheet.right(RIGHT, 95, look, &amount(money));
        sheet.y += 145;
    }
    sheet.y += 100;
    let payment = &document.payment;
    let words = [
        payment.terms.clone(),
        payment.iban.as_ref().map(|iban| format!("IBAN {iban}")),
        payment.bic.as_ref().map(|bic| format!("BIC {bic}")),
        payment.iban.as_ref().map(|_| format!("Reference {}", document.number)),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    sheet.paragraph(LEFT, 85, PLAIN, (&words.join(", "), RIGHT - LEFT));
    for (category, reason) in &document.exemptions {
        let text = format!("{}: {reason}", category.code());
        sheet.paragraph(LEFT, 85, PLAIN, (&text, RIGHT - LEFT));
    }
}

fn foot(sheet: &mut Sheet<'_, '_>, document: &Document) {
    let seller = &document.seller;
    let known = [
        Some(seller.name.clone()),
        seller.register.clone(),
        seller.vat_id.as_ref().map(|id| format!("VAT id {id}")),
        seller.tax_number.as_ref().map(|number| format!("Tax number {number}")),
        seller.email.clone(),
        seller.phone.clone(),
    ];
    let known: Vec<String> = known.into_iter().flatten().collect();
    let text = known.join("  ");
    let count = sheet.pages.len();
    for index in 0..count {
        let page_number = format!("Page {} of {count}", index + 1);
        let width = sheet.widths.of(&page_number, 70, Weight::Regular);
        let (y, size, weight, ink) = (8050, 70, Weight::Regular, Ink::Grey);
        let line = sheet.wrapped(&text, size, RIGHT - LEFT - width - 100).into_iter().next();
        let left = sheet.widths.drawable(&line.unwrap_or_default());
        if let Some(page) = sheet.pages.get_mut(index) {
            page.push(Mark::Text { x: LEFT, y, size, weight, ink, text: left });
            page.push(Mark::Text { x: RIGHT - width, y, size, weight, ink, text: page_number });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_their_thousands_apart() {
        let eur = |minor| amount(Money { minor, currency: Currency::EUR });
        assert_eq!(eur(123_456_789), "1,234,567.89");
        assert_eq!(eur(-99), "-0.99");
        assert_eq!(eur(100_000), "1,000.00");
        let yen = Money { minor: 1_234_567, currency: "JPY".parse().unwrap() };
        assert_eq!(amount(yen), "1,234,567");
    }
}
