//! Words that people use for types and units, and what the format calls them.
//!
//! *Invariant:* a word stands here only when it has one meaning; every unit given is a unit.

/// The type that a word of other languages means.
pub(crate) fn type_word(word: &str) -> Option<&'static str> {
    Some(match word.to_lowercase().as_str() {
        "bool" | "boolean" | "switch" => "boolean",
        "string" | "str" | "text" | "varchar" => "text",
        "int" | "integer" | "float" | "double" | "number" | "numeric" | "real" => "number",
        "gps" | "location" | "latlon" | "position" | "coordinates" => "position",
        _ => return None,
    })
}

/// The unit that a word means wherever it stands.
pub(crate) fn unit_word(word: &str) -> Option<&'static str> {
    Some(match word.trim().to_lowercase().as_str() {
        "celsius" | "degc" | "deg c" | "°c" | "degrees celsius" | "degree celsius" | "grad" => {
            "°C"
        }
        "fahrenheit" | "degf" | "deg f" | "°f" => "°F",
        "kelvin" => "K",
        "percent" | "pct" | "perc" | "prozent" | "%rh" | "rh" => "%",
        "volt" | "volts" => "V",
        "millivolt" | "millivolts" | "mv" => "mV",
        "ampere" | "amperes" | "amps" | "amp" => "A",
        "milliampere" | "milliamps" | "ma" => "mA",
        "watt" | "watts" => "W",
        "kilowatt" | "kw" => "kW",
        "kilowatthour" | "kilowatthours" | "kilowatt hours" | "kwh" => "kWh",
        "watthours" | "wh" => "Wh",
        "hectopascal" | "hpa" => "hPa",
        "kilopascal" | "kpa" => "kPa",
        "pascal" => "Pa",
        "mbar" | "millibar" => "mbar",
        "bar" => "bar",
        "dbm" => "dBm",
        "db" | "decibel" => "dB",
        "ppm" => "ppm",
        "ppb" => "ppb",
        "lux" | "lx" => "lx",
        "hertz" | "hz" => "Hz",
        "rpm" => "rpm",
        "mm" | "millimetre" | "millimeter" | "millimeters" => "mm",
        "cm" | "centimetre" | "centimeter" | "centimeters" => "cm",
        "metre" | "metres" | "meter" | "meters" => "m",
        "km" | "kilometre" | "kilometer" | "kilometers" => "km",
        "mps" | "m/s" => "m/s",
        "mm/s" => "mm/s",
        "kmh" | "km/h" | "kph" => "km/h",
        "gram" | "grams" => "g",
        "kg" | "kilogram" | "kilograms" | "kilo" => "kg",
        "litre" | "litres" | "liter" | "liters" => "L",
        "l/min" | "lpm" => "L/min",
        "m3" => "m3",
        "ug/m3" | "µg/m3" | "ugm3" => "ug/m3",
        "g/m3" => "g/m3",
        "ohm" | "ohms" => "Ohm",
        "seconds" | "second" | "sec" | "secs" => "s",
        "minutes" | "minute" | "mins" => "min",
        "hours" | "hour" | "hrs" => "h",
        "degrees" | "degree" => "deg",
        "ph" => "pH",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use expr::Unit;

    #[test]
    fn every_word_leads_to_a_unit() {
        let words = "celsius fahrenheit kelvin percent volt mv amps ma watt kw kwh wh hpa kpa \
            pascal mbar bar dbm db ppm ppb lux hertz rpm mm cm metre km mps mm/s kmh \
            gram kg litre lpm m3 ugm3 g/m3 ohm seconds minutes hours degrees ph";
        for word in words.split_whitespace() {
            let unit = unit_word(word).unwrap_or_else(|| panic!("{word}"));
            assert!(Unit::parse(unit).is_ok(), "{word} is no {unit}");
        }
        assert_eq!(unit_word("foo"), None);
    }
}
