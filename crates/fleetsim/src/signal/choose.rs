//! Which signal fits a property, by its type, unit and name.
//!
//! *Invariant:* every number and boolean gets a signal within its bounds; only texts get none,
//! because a made-up text means nothing.

use super::Signal;

/// The type of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A number with a unit.
    Number,
    /// True or false.
    Boolean,
    /// A place on earth.
    Position,
    /// Words.
    Text,
}

/// What the blueprint says of a property.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub shape: Shape,
    /// Its unit as it is stored, UCUM; empty when it has none.
    pub unit: &'a str,
    /// The least value allowed.
    pub min: Option<f64>,
    /// The greatest value allowed.
    pub max: Option<f64>,
}

/// The signal of a property; `siblings` are the names of all properties of its kind.
#[must_use]
pub fn choose(facts: &Facts<'_>, siblings: &[&str]) -> Option<Signal> {
    match facts.shape {
        Shape::Number => Some(number(facts, siblings)),
        Shape::Boolean => Some(boolean(facts.name)),
        Shape::Position => Some(Signal::Route),
        Shape::Text => None,
    }
}

fn says(name: &str, words: &[&str]) -> bool {
    words.iter().any(|word| name.split('_').any(|part| part.starts_with(word)))
}

const OPENING: [&str; 6] = ["lid", "door", "open", "gate", "window", "hatch"];
const BATTERY: [&str; 4] = ["batt", "charge", "soc", "accu"];

fn boolean(name: &str) -> Signal {
    if says(name, &OPENING) {
        Signal::Opening
    } else if says(name, &["presen", "occup", "motion", "moving", "person", "running", "on"]) {
        Signal::Presence
    } else {
        Signal::Trouble
    }
}

fn number(facts: &Facts<'_>, siblings: &[&str]) -> Signal {
    let name = facts.name;
    match facts.unit {
        "Cel" | "°C" => temperature(name, siblings),
        "%" if says(name, &BATTERY) => Signal::Battery,
        "%" if says(name, &["humid", "rh", "moist"]) => Signal::Humidity,
        "%" if says(name, &["level", "fill", "tank", "remain"]) => Signal::Level,
        "V" if says(name, &["batt", "cell", "accu"]) => Signal::BatteryVoltage,
        "dBm" => Signal::Radio,
        "m/s" => Signal::Speed { per_m_s: 1.0 },
        "km/h" => Signal::Speed { per_m_s: 3.6 },
        "W" => Signal::Power { per_w: 1.0 },
        "kW" => Signal::Power { per_w: 0.001 },
        "kWh" | "kW.h" => Signal::Counter { per_day: 8.0 },
        "Wh" | "W.h" => Signal::Counter { per_day: 8_000.0 },
        "m3" => Signal::Counter { per_day: 0.35 },
        "L" | "l" => Signal::Counter { per_day: 350.0 },
        "hPa" | "mbar" => Signal::Pressure { per_hpa: 1.0 },
        "Pa" => Signal::Pressure { per_hpa: 100.0 },
        "lx" => Signal::Light,
        "ppm" | "[ppm]" => Signal::CarbonDioxide,
        _ => wander(facts),
    }
}

fn temperature(name: &str, siblings: &[&str]) -> Signal {
    let opened = siblings.iter().any(|sibling| says(sibling, &["lid", "door", "hatch"]));
    if says(name, &["out", "ambient", "weather", "soil"]) {
        Signal::Outdoor
    } else if says(name, &["freez", "frozen"]) {
        Signal::Cooled { aim: -20.0 }
    } else if opened || says(name, &["cool", "fridge", "cold", "chill"]) {
        // The middle of 2 to 8 °C, at which medicines are kept (WHO, cold chain).
        Signal::Cooled { aim: 4.5 }
    } else {
        Signal::Room
    }
}

fn wander(facts: &Facts<'_>) -> Signal {
    let (low, high) = match (facts.min, facts.max) {
        (Some(low), Some(high)) if low < high => (low, high),
        (Some(low), _) => (low, low + 100.0),
        (None, Some(high)) => (high - 100.0, high),
        (None, None) => (0.0, 100.0),
    };
    Signal::Wander { low, high }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(name: &str, unit: &str, siblings: &[&str]) -> Signal {
        let facts = Facts { name, shape: Shape::Number, unit, min: None, max: None };
        choose(&facts, siblings).unwrap()
    }

    #[test]
    fn a_thermometer_beside_a_lid_is_in_a_cooled_box() {
        assert_eq!(chosen("temperature", "Cel", &["lid_open"]), Signal::Cooled { aim: 4.5 });
        assert_eq!(chosen("temperature", "Cel", &["humidity"]), Signal::Room);
        assert_eq!(chosen("outdoor_temperature", "Cel", &["lid_open"]), Signal::Outdoor);
    }

    #[test]
    fn the_name_decides_where_the_unit_does_not() {
        assert_eq!(chosen("battery", "%", &[]), Signal::Battery);
        assert_eq!(chosen("humidity", "%", &[]), Signal::Humidity);
        assert_eq!(chosen("yield", "%", &[]), Signal::Wander { low: 0.0, high: 100.0 });
    }

    #[test]
    fn a_text_has_no_signal() {
        let facts = Facts { name: "note", shape: Shape::Text, unit: "", min: None, max: None };
        assert_eq!(choose(&facts, &[]), None);
    }
}
