//! What names of fields mean: quantities by their words, units by their endings.
//!
//! *Invariant:* a unit is taken from an ending only when it measures what the name says; a single
//! letter counts only behind a known quantity.

use expr::Unit;

/// A quantity that devices measure.
pub(super) struct Quantity {
    pub(super) words: &'static [&'static str],
    pub(super) name: &'static str,
    /// The unit when nothing is said.
    pub(super) unit: &'static str,
}

const fn quantity(
    words: &'static [&'static str],
    name: &'static str,
    unit: &'static str,
) -> Quantity {
    Quantity { words, name, unit }
}

pub(super) const QUANTITIES: &[Quantity] = &[
    quantity(&["temperature", "temp", "tmp", "tempr"], "temperature", "°C"),
    quantity(&["humidity", "hum", "rh", "humid"], "humidity", "%"),
    quantity(&["moisture", "vwc"], "moisture", "%"),
    quantity(&["vbat", "vbatt", "vbattery"], "battery_voltage", "V"),
    quantity(&["battery", "batt", "bat", "soc"], "battery", "%"),
    quantity(&["pressure", "press", "baro"], "pressure", "hPa"),
    quantity(&["co2"], "co2", "ppm"),
    quantity(&["tvoc", "voc"], "voc", "ppb"),
    quantity(&["pm1", "pm2", "pm25", "pm10"], "dust", "ug/m3"),
    quantity(&["light", "illuminance", "lux", "brightness"], "light", "lx"),
    quantity(&["speed", "velocity"], "speed", "m/s"),
    quantity(&["rpm"], "speed", "rpm"),
    quantity(&["voltage", "volt", "volts"], "voltage", "V"),
    quantity(&["current", "amp", "amps"], "current", "A"),
    quantity(&["power", "watt", "watts"], "power", "W"),
    quantity(&["energy", "consumption", "kwh"], "energy", "kWh"),
    quantity(&["rssi", "signal", "rsrp"], "signal", "dBm"),
    quantity(&["snr", "noise", "loudness"], "noise", "dB"),
    quantity(&["distance", "dist", "range"], "distance", "m"),
    quantity(&["level", "depth", "fill"], "level", "%"),
    quantity(&["altitude", "alt", "height"], "altitude", "m"),
    quantity(&["weight", "mass"], "weight", "kg"),
    quantity(&["vibration", "vib"], "vibration", "mm/s"),
    quantity(&["acceleration", "accel", "acc"], "acceleration", "m/s2"),
    quantity(&["flow"], "flow", "L/min"),
    quantity(&["volume"], "volume", "L"),
    quantity(&["rain", "rainfall", "precipitation"], "rain", "mm"),
    quantity(&["wind"], "wind", "m/s"),
    quantity(&["frequency", "freq"], "frequency", "Hz"),
    quantity(&["uptime", "runtime"], "uptime", "s"),
    quantity(&["ph"], "ph", "pH"),
    quantity(&["conductivity"], "conductivity", "uS/cm"),
    quantity(&["torque"], "torque", "N.m"),
    quantity(&["angle", "heading", "course"], "angle", "deg"),
];

/// Words of things that are one way or the other.
pub(super) const SWITCHES: &[&str] = &[
    "open",
    "opened",
    "closed",
    "on",
    "off",
    "active",
    "running",
    "occupied",
    "occupancy",
    "motion",
    "presence",
    "leak",
    "door",
    "window",
    "lid",
    "alarm",
    "button",
    "pressed",
    "enabled",
    "charging",
    "online",
    "fault",
    "tamper",
    "moving",
    "light_on",
    "valve",
];
/// Words of things that only grow.
pub(super) const COUNTERS: &[&str] =
    &["total", "count", "counter", "cnt", "pulses", "pulse", "strokes", "cycles", "counts"];
/// Words that say who sent it.
pub(super) const IDENTITIES: &[&str] =
    &["id", "device", "deviceid", "deveui", "eui", "serial", "sn", "imei", "mac", "name"];
/// Words that say when it was.
pub(super) const TIMES: &[&str] =
    &["ts", "time", "timestamp", "datetime", "date", "at", "measuredat", "createdat"];
pub(super) const LATITUDES: &[&str] = &["lat", "latitude"];
pub(super) const LONGITUDES: &[&str] = &["lon", "lng", "long", "longitude"];
pub(super) const POSITIONS: &[&str] =
    &["position", "pos", "gps", "location", "loc", "coordinates", "coords", "latlon"];

/// Endings that are units, in small letters.
const ENDINGS: &[(&str, &str)] = &[
    ("c", "°C"),
    ("degc", "°C"),
    ("celsius", "°C"),
    ("f", "°F"),
    ("degf", "°F"),
    ("fahrenheit", "°F"),
    ("k", "K"),
    ("pct", "%"),
    ("percent", "%"),
    ("perc", "%"),
    ("mv", "mV"),
    ("v", "V"),
    ("volt", "V"),
    ("volts", "V"),
    ("ma", "mA"),
    ("ua", "uA"),
    ("a", "A"),
    ("mw", "mW"),
    ("w", "W"),
    ("kw", "kW"),
    ("wh", "Wh"),
    ("kwh", "kWh"),
    ("mwh", "MWh"),
    ("pa", "Pa"),
    ("hpa", "hPa"),
    ("kpa", "kPa"),
    ("mbar", "mbar"),
    ("bar", "bar"),
    ("psi", "psi"),
    ("ppm", "ppm"),
    ("ppb", "ppb"),
    ("dbm", "dBm"),
    ("db", "dB"),
    ("lx", "lx"),
    ("lux", "lx"),
    ("mm", "mm"),
    ("cm", "cm"),
    ("m", "m"),
    ("km", "km"),
    ("mps", "m/s"),
    ("ms", "m/s"),
    ("mms", "mm/s"),
    ("kmh", "km/h"),
    ("kph", "km/h"),
    ("g", "g"),
    ("kg", "kg"),
    ("l", "L"),
    ("lpm", "L/min"),
    ("lmin", "L/min"),
    ("m3", "m3"),
    ("m3h", "m3/h"),
    ("ugm3", "ug/m3"),
    ("s", "s"),
    ("sec", "s"),
    ("min", "min"),
    ("h", "h"),
    ("hz", "Hz"),
    ("rpm", "rpm"),
    ("deg", "deg"),
    ("ohm", "Ohm"),
    ("nm", "N.m"),
    ("uscm", "uS/cm"),
];

/// The quantity that a word means.
pub(super) fn quantity_of(word: &str) -> Option<&'static Quantity> {
    QUANTITIES.iter().find(|quantity| quantity.words.contains(&word))
}

/// The unit that an ending means, whatever is measured.
pub(super) fn ending(word: &str) -> Option<&'static str> {
    ENDINGS.iter().find(|(known, _)| *known == word).map(|(_, unit)| *unit)
}

/// Whether a unit can measure a quantity; a battery is told in percent or in volts.
pub(super) fn measures(quantity: &Quantity, unit: &str) -> bool {
    let same = |other: &str| {
        let units = Unit::parse(unit).ok().zip(Unit::parse(other).ok());
        units.is_some_and(|(one, two)| one.dimension() == two.dimension())
    };
    same(quantity.unit)
        || (quantity.name == "battery" && same("V"))
        || (quantity.name == "level" && same("m"))
        || (quantity.name == "moisture" && same("kPa"))
        || (quantity.name == "light" && same("%"))
}

/// The words of a name in small letters: `batteryMv`, `battery-mv` and `battery_mv` are two.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut before = '_';
    for c in name.chars() {
        if !c.is_alphanumeric() {
            before = '_';
            continue;
        }
        let begins = !before.is_alphanumeric() || (before.is_lowercase() && c.is_uppercase());
        let small = c.to_lowercase();
        match out.last_mut().filter(|_| !begins) {
            Some(word) => word.extend(small),
            None => out.push(small.collect()),
        }
        before = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_of_the_dictionary_is_a_unit() {
        let units = QUANTITIES.iter().map(|quantity| quantity.unit);
        for unit in units.chain(ENDINGS.iter().map(|(_, unit)| *unit)) {
            assert!(Unit::parse(unit).is_ok(), "{unit}");
        }
    }

    #[test]
    fn a_name_is_cut_into_its_words() {
        assert_eq!(words("batteryMv"), ["battery", "mv"]);
        assert_eq!(words("Temp-C"), ["temp", "c"]);
        assert_eq!(words("soil.moisture_pct"), ["soil", "moisture", "pct"]);
        assert_eq!(words("co2"), ["co2"]);
    }
}
