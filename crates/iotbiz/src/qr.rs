//! QR codes of addresses that a phone opens.
//!
//! *Invariant:* a code holds the text as it is, with the least error correction: it is read from a
//! screen, where nothing is torn off, and so it fits a terminal.

use fast_qr::{ECL, QRBuilder, QRCode};

fn build(text: &str) -> anyhow::Result<QRCode> {
    let code = QRBuilder::new(text).ecl(ECL::L).build();
    code.map_err(|error| anyhow::anyhow!("make the QR code: {error}"))
}

/// For a terminal.
pub(crate) fn drawn(text: &str) -> anyhow::Result<String> {
    Ok(build(text)?.to_str())
}

/// A row a line, `1` is dark; without the quiet zone around it.
pub(crate) fn rows(text: &str) -> anyhow::Result<Vec<String>> {
    let code = build(text)?;
    let row = |at: usize| code[at].iter().map(|one| if one.value() { '1' } else { '0' }).collect();
    Ok((0..code.size).map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "http://192.168.100.100:7071/box#claim=0123456789abcdef0123456789abcdef";

    #[test]
    fn the_address_of_a_phone_fits_a_terminal() {
        let drawn = drawn(ADDRESS).unwrap();
        assert!(drawn.lines().all(|line| line.chars().count() <= 80), "{drawn}");
        assert!(drawn.lines().count() <= 24, "{drawn}");
    }

    #[test]
    fn the_rows_are_a_square_with_the_three_finders() {
        let rows = rows(ADDRESS).unwrap();
        assert!(rows.iter().all(|row| row.len() == rows.len()), "{rows:?}");
        let finder = ["1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111"];
        let last = rows.len() - 7;
        for (at, line) in finder.iter().enumerate() {
            assert!(rows[at].starts_with(line) && rows[at].ends_with(line), "{rows:?}");
            assert!(rows[last + at].starts_with(line), "{rows:?}");
        }
    }
}
