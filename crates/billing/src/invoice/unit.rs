//! Units as electronic invoices write them: UN/ECE Recommendation 20 (and 21) codes.
//!
//! *Invariant:* an unknown unit is "one" (C62), and the line says its own unit in words.

/// The code of a unit as plans write it.
pub(super) fn code(unit: &str) -> &'static str {
    match unit {
        "kWh" => "KWH",
        "Wh" => "WHR",
        "MWh" => "MWH",
        "kW" => "KWT",
        "W" => "WTT",
        "h" => "HUR",
        "min" => "MIN",
        "s" => "SEC",
        "day" | "days" | "device/day" => "DAY",
        "month" => "MON",
        "year" => "ANN",
        "kg" => "KGM",
        "g" => "GRM",
        "t" => "TNE",
        "m3" | "m³" => "MTQ",
        "l" | "L" => "LTR",
        "m" => "MTR",
        "km" => "KMT",
        "m2" | "m²" => "MTK",
        "kB" => "2P",
        "MB" => "4L",
        "GB" => "E34",
        "device" => "H87",
        "%" => "P1",
        _ => "C62",
    }
}

/// Whether the code says all of the unit.
pub(super) fn is_whole(unit: &str) -> bool {
    unit.is_empty() || (code(unit) != "C62" && unit != "device/day")
}
