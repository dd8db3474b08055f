//! The readable form: PDF/A-3, with its fonts inside.
//!
//! *Invariant:* equal documents are equal files, byte for byte: the only date is the document's.

use krilla::color::rgb;
use krilla::configure::{Archival, ConfigurationBuilder};
use krilla::geom::{PathBuilder, Point, Rect, Transform};
use krilla::metadata::{DateTime, Metadata};
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, FillRule};
use krilla::text::{Font, TextDirection};
use krilla::{Document as Pdf, SerializeSettings};

use super::Document;
use super::layout::{Ink, Mark, PAGE_HEIGHT, PAGE_WIDTH, Weight, Widths, pages};
use crate::Error;

static REGULAR: &[u8] = include_bytes!("../../fonts/Roboto-Regular.ttf");
static BOLD: &[u8] = include_bytes!("../../fonts/Roboto-Bold.ttf");

/// A document as PDF/A-3, readable without the electronic form.
///
/// # Errors
/// Lines and totals differ, or the document is too long.
pub fn pdf(document: &Document) -> Result<Vec<u8>, Error> {
    document.check()?;
    let fault = |what: String| Error::Rules { number: document.number.clone(), rules: what };
    let face = |bytes| ttf_parser::Face::parse(bytes, 0).map_err(|e| fault(e.to_string()));
    let widths = Widths { regular: face(REGULAR)?, bold: face(BOLD)? };
    let configuration = ConfigurationBuilder::new()
        .with_archival_validator(Archival::A3_B)
        .finish()
        .map_err(|error| fault(format!("{error:?}")))?;
    let mut pdf =
        Pdf::new_with(SerializeSettings { configuration, ..SerializeSettings::default() });
    pdf.set_metadata(metadata(document));
    let font = |bytes: &'static [u8]| Font::new(bytes.into(), 0);
    let (Some(regular), Some(bold)) = (font(REGULAR), font(BOLD)) else {
        return Err(fault("the fonts cannot be read".to_owned()));
    };
    for marks in pages(document, &widths)? {
        let size = PageSettings::from_wh(595.3, 841.9);
        let size = size.ok_or_else(|| fault("the page has no size".to_owned()))?;
        let mut page = pdf.start_page_with(size);
        let mut surface = page.surface();
        // Everything is laid out in tenths of a point.
        surface.push_transform(&Transform::from_scale(0.1, 0.1));
        for mark in marks {
            match mark {
                Mark::Text { x, y, size, weight, ink, text } => {
                    let font = match weight {
                        Weight::Regular => regular.clone(),
                        Weight::Bold => bold.clone(),
                    };
                    surface.set_fill(Some(fill(ink)));
                    let point = Point::from_xy(across(x), down(y));
                    surface.draw_text(point, font, across(size), &text, false, TextDirection::Auto);
                }
                Mark::Bar { x, y, width, height, ink } => {
                    let area = Rect::from_xywh(across(x), down(y), across(width), down(height));
                    let mut path = PathBuilder::new();
                    let Some(area) = area.filter(|_| height > 0) else { continue };
                    path.push_rect(area);
                    if let Some(path) = path.finish() {
                        surface.set_fill(Some(fill(ink)));
                        surface.draw_path(&path);
                    }
                }
            }
        }
        surface.pop();
        surface.finish();
        page.finish();
    }
    pdf.finish().map_err(|error| fault(format!("{error:?}")))
}

fn metadata(document: &Document) -> Metadata {
    let date = document.date;
    let day = u8::try_from(date.day()).unwrap_or(1);
    let month = u8::try_from(date.month()).unwrap_or(1);
    let created = DateTime::new(u16::try_from(date.year()).unwrap_or_default())
        .month(month)
        .day(day)
        .hour(0)
        .minute(0)
        .second(0)
        .utc_offset_hour(0)
        .utc_offset_minute(0);
    Metadata::new()
        .title(format!("{} {}", document.seller.name, document.number))
        .language("en".to_owned())
        .creator("IoT Biz Factory".to_owned())
        .authors(vec![document.seller.name.clone()])
        .document_id(document.number.clone())
        .creation_date(created)
}

fn fill(ink: Ink) -> Fill {
    let colour = match ink {
        Ink::Black => rgb::Color::new(24, 24, 27),
        Ink::Grey => rgb::Color::new(96, 96, 104),
        Ink::Pale => rgb::Color::new(220, 220, 226),
        Ink::Accent => rgb::Color::new(37, 99, 175),
        Ink::Warning => rgb::Color::new(185, 28, 28),
    };
    Fill { paint: colour.into(), opacity: NormalizedF32::ONE, rule: FillRule::NonZero }
}

/// Nothing stands outside the page, whatever was computed.
fn across(tenths: i32) -> f32 {
    f32::from(i16::try_from(tenths.clamp(0, PAGE_WIDTH)).unwrap_or_default())
}

fn down(tenths: i32) -> f32 {
    f32::from(i16::try_from(tenths.clamp(0, PAGE_HEIGHT)).unwrap_or_default())
}
