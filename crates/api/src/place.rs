//! Places in the blueprint in force that a figure comes from: path, line and what stands there.
//!
//! *Invariant:* a place is a line of the revision that made the figure; what stands nowhere has
//! none.

use blueprint::{Blueprint, CostKind, locate};
use pipeline::InForce;
use serde::Serialize;

/// A line of the blueprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Place {
    /// `device.box.readings.temperature.every`.
    pub(crate) path: String,
    /// From 1.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
    /// The line itself.
    pub(crate) text: String,
}

impl Place {
    /// Where a path stands; none: nowhere.
    pub(crate) fn of(source: &str, path: &str) -> Option<Self> {
        let at = locate(source, path)?;
        let text = source.lines().nth(at.line.checked_sub(1)?)?.trim_end().to_owned();
        Some(Self { path: path.to_owned(), line: at.line, column: at.column, text })
    }

    /// `line 11: device.box.readings.temperature.every`.
    pub(crate) fn words(&self) -> String {
        format!("line {}: {}", self.line, self.path)
    }
}

/// What says how much a cost of the case is: its own line, and for a radio the intervals of the
/// readings that are sent, the shortest first.
pub(crate) fn places_of_cost(found: &InForce, name: &str) -> Vec<Place> {
    paths_of_cost(&found.blueprint, name)
        .iter()
        .filter_map(|path| Place::of(&found.text, path))
        .collect()
}

fn paths_of_cost(blueprint: &Blueprint, name: &str) -> Vec<String> {
    let mut paths = vec![format!("case.cost.{name}")];
    let costs = blueprint.case.iter().flat_map(|case| &case.costs);
    let mut own = costs.filter(|(of, _)| of.as_str() == name).map(|(_, cost)| &cost.kind);
    let Some(CostKind::Radio { of, .. }) = own.next() else { return paths };
    let kinds = blueprint.kinds.iter().filter(|(kind, _)| of.as_ref().is_none_or(|of| of == *kind));
    let mut readings: Vec<_> = kinds
        .flat_map(|(kind, facts)| facts.readings.iter().map(move |each| (kind, each)))
        .filter_map(|(kind, (reading, facts))| Some((facts.every?, kind, reading)))
        .collect();
    readings.sort();
    let of = |(_, kind, reading)| format!("device.{kind}.readings.{reading}.every");
    paths.extend(readings.into_iter().map(of));
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_radio_stands_in_its_tariff_and_in_every_interval() {
        let template = blueprint::templates().iter().find(|one| one.name == "coolbox").unwrap();
        let parsed = Blueprint::parse(template.text).blueprint.unwrap();
        let paths = paths_of_cost(&parsed, "radio");
        let places: Vec<_> =
            paths.iter().filter_map(|path| Place::of(template.text, path)).collect();
        assert_eq!(places[1].path, "device.box.readings.temperature.every");
        assert_eq!(places[1].line, 11, "the demo says so");
        assert!(places[1].text.contains("every = \"1 min\""), "{}", places[1].text);
        assert!(places[0].text.starts_with("radio "), "{}", places[0].text);
        assert_eq!(places[2].path, "device.box.readings.battery.every");
        assert_eq!(paths_of_cost(&parsed, "bom"), ["case.cost.bom"]);
        assert_eq!(Place::of(template.text, "case.cost.nothing"), None);
    }
}
