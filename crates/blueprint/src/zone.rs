//! `[zone.<name>]`: a place on the map, as GeoJSON (RFC 7946).
//!
//! *Invariant:* every ring is closed, has at least three corners and no edge spans more than half
//! of the earth. A zone across the antimeridian is cut in two there, as RFC 7946 section 3.1.9
//! asks; an edge that looks as if it went the long way round is refused.
//!
//! A point is judged in the plane of longitude and latitude by the even-odd rule, so a hole is a
//! ring like another. Of two zones that share an edge exactly one holds a point on it.

use std::collections::BTreeMap;

use model::Name;
use serde_json::Value;

use crate::source::{Reader, Section, Text};
use crate::{Diagnostic, codes};

/// The most corners of one zone.
pub const ZONE_CORNERS_MAX: usize = 1_000;
pub(crate) const ZONE_KEYS: &[&str] = &["title", "geojson"];
/// Half of the earth, in degrees of longitude.
const EDGE_DEGREES_MAX: f64 = 180.0;

/// A corner in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Corner {
    /// East of Greenwich.
    pub longitude: f64,
    /// North of the equator.
    pub latitude: f64,
}

/// A place on the map.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    /// For people.
    pub title: Option<String>,
    /// Polygons, each an outer ring and its holes.
    pub polygons: Vec<Vec<Vec<Corner>>>,
}

impl Zone {
    /// Whether a position lies in it.
    #[must_use]
    pub fn contains(&self, latitude: f64, longitude: f64) -> bool {
        let point = Corner { longitude, latitude };
        self.polygons
            .iter()
            .any(|rings| rings.iter().filter(|ring| crosses(ring, point) % 2 == 1).count() % 2 == 1)
    }

    /// Reads the geometry of a GeoJSON text.
    ///
    /// # Errors
    /// What is wrong, for a person.
    pub fn from_geojson(text: &str) -> Result<Self, String> {
        let json: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let geometry = if json["type"] == "Feature" { &json["geometry"] } else { &json };
        let coordinates = &geometry["coordinates"];
        let polygons = match geometry["type"].as_str() {
            Some("Polygon") => vec![polygon(coordinates)?],
            Some("MultiPolygon") => {
                list(coordinates)?.iter().map(polygon).collect::<Result<_, _>>()?
            }
            Some(other) => {
                return Err(format!("a {other} has no inside: use Polygon or MultiPolygon"));
            }
            None => return Err("this is no GeoJSON geometry: it has no type".to_owned()),
        };
        let zone = Self { title: None, polygons };
        let corners: usize = zone.polygons.iter().flatten().map(Vec::len).sum();
        if corners > ZONE_CORNERS_MAX {
            return Err(format!(
                "{corners} corners are more than zone_corners_max = {ZONE_CORNERS_MAX}"
            ));
        }
        Ok(zone)
    }
}

/// How many edges of the ring a ray to the east crosses; an edge holds its lower end only.
fn crosses(ring: &[Corner], point: Corner) -> usize {
    ring.windows(2)
        .filter(|edge| {
            let [a, b] = edge else { return false };
            let spans = (a.latitude > point.latitude) != (b.latitude > point.latitude);
            let share = (point.latitude - a.latitude) / (b.latitude - a.latitude);
            spans && point.longitude < a.longitude + share * (b.longitude - a.longitude)
        })
        .count()
}

fn list(json: &Value) -> Result<&Vec<Value>, String> {
    json.as_array().ok_or_else(|| "coordinates must be lists of lists".to_owned())
}

fn polygon(json: &Value) -> Result<Vec<Vec<Corner>>, String> {
    let rings: Vec<_> = list(json)?.iter().map(ring).collect::<Result<_, _>>()?;
    if rings.is_empty() { Err("a polygon has no ring".to_owned()) } else { Ok(rings) }
}

fn ring(json: &Value) -> Result<Vec<Corner>, String> {
    let ring: Vec<Corner> = list(json)?.iter().map(corner).collect::<Result<_, _>>()?;
    if ring.len() < 4 || ring.first() != ring.last() {
        return Err("a ring needs at least four positions, the last equal to the first".to_owned());
    }
    let long_way = ring
        .windows(2)
        .any(|edge| matches!(edge, [a, b] if (a.longitude - b.longitude).abs() > EDGE_DEGREES_MAX));
    if long_way {
        return Err("an edge spans more than 180 degrees: cut a zone that crosses the \
                    antimeridian in two (a MultiPolygon), as RFC 7946 says"
            .to_owned());
    }
    Ok(ring)
}

fn corner(json: &Value) -> Result<Corner, String> {
    let pair = list(json)?;
    let number = |at: usize| pair.get(at).and_then(Value::as_f64);
    let (Some(longitude), Some(latitude)) = (number(0), number(1)) else {
        return Err("a position is [longitude, latitude]".to_owned());
    };
    if (-180.0..=180.0).contains(&longitude) && (-90.0..=90.0).contains(&latitude) {
        return Ok(Corner { longitude, latitude });
    }
    Err(format!("[{longitude}, {latitude}] is outside the earth: longitude comes first in GeoJSON"))
}

impl<'s> Reader<'s> {
    pub(crate) fn zones(&mut self, root: &Section<'s, '_>) -> BTreeMap<Name, Zone> {
        let mut zones = BTreeMap::new();
        let Some(section) = root.section(self, "zone") else { return zones };
        for (name, _) in section.names(self) {
            let Some(table) = section.section(self, name.as_str()) else { continue };
            table.only(self, ZONE_KEYS);
            let title = table.words(self, "title");
            let Some(Text { text, span, .. }) = table.text(self, "geojson") else {
                if !table.has("geojson") {
                    table.missing(
                        self,
                        "geojson",
                        "'{\"type\":\"Polygon\",\"coordinates\":[...]}'",
                    );
                }
                continue;
            };
            match Zone::from_geojson(&text) {
                Ok(zone) => {
                    zones.insert(name, Zone { title, ..zone });
                }
                Err(why) => {
                    let message = format!("zone {name} cannot be used: {why}");
                    self.report(Diagnostic::error(codes::ZONE, span, message));
                }
            }
        }
        zones
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YARD: &str = r#"{"type":"Polygon","coordinates":[
        [[0,0],[10,0],[10,10],[0,10],[0,0]],[[4,4],[6,4],[6,6],[4,6],[4,4]]]}"#;

    #[test]
    fn a_hole_is_outside_and_a_shared_edge_belongs_to_one() {
        let yard = Zone::from_geojson(YARD).unwrap();
        assert!(yard.contains(1.0, 1.0));
        assert!(!yard.contains(5.0, 5.0));
        assert!(!yard.contains(5.0, 11.0));
        let next = YARD.replace("[10,0],[10,10],[0,10]", "[-10,0],[-10,10],[0,10]");
        let next = Zone::from_geojson(&next).unwrap();
        assert_ne!(yard.contains(2.0, 0.0), next.contains(2.0, 0.0));
    }

    #[test]
    fn the_antimeridian_is_cut_in_two() {
        let across =
            r#"{"type":"Polygon","coordinates":[[[179,0],[-179,0],[-179,1],[179,1],[179,0]]]}"#;
        assert!(Zone::from_geojson(across).unwrap_err().contains("antimeridian"));
        let cut = r#"{"type":"MultiPolygon","coordinates":[
            [[[179,0],[180,0],[180,1],[179,1],[179,0]]],
            [[[-180,0],[-179,0],[-179,1],[-180,1],[-180,0]]]]}"#;
        let cut = Zone::from_geojson(cut).unwrap();
        assert!(cut.contains(0.5, 179.5) && cut.contains(0.5, -179.5) && !cut.contains(0.5, 0.0));
    }
}
