//! JSON Schema of the blueprint, for editors that complete and check TOML.
//!
//! *Invariant:* made from the key lists by which the reader itself judges, so an editor never
//! offers a key that is refused. It knows shapes only; units and references are `check`'s.

use serde_json::{Map, Value, json};

use crate::action::ACTION_KEYS;
use crate::alarm::{ALARM_KEYS, ESCALATE_KEYS, SEVERITIES};
use crate::blueprint::SECTIONS;
use crate::case::{ADOPTION_KEYS, CASE_KEYS, SURVIVAL_KEYS};
use crate::device::{COMMAND_KEYS, EVENT_KEYS, KIND_KEYS, READING_KEYS, SETTING_KEYS};
use crate::envelope::{COMMAND_ENVELOPE_KEYS, SETTING_ENVELOPE_KEYS};
use crate::evidence::{ASSUMPTION_KEYS, EXPERIMENT_KEYS};
use crate::gate::{GATE_KEYS, GATES};
use crate::plan::{LINE_KEYS, MEASURES, PLAN_KEYS, USAGE_KEYS};
use crate::power::POWER_KEYS;
use crate::zone::ZONE_KEYS;

/// Pattern of a name.
const NAME: &str = "^[a-z][a-z0-9_]*$";

/// The schema (JSON Schema 2020-12) of version 1 of the format.
#[must_use]
pub fn schema() -> Value {
    let mut document = object(SECTIONS, section);
    document["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    document["title"] = json!("Blueprint of a connected product, version 1");
    document["required"] = json!(["blueprint", "venture", "title"]);
    document
}

/// A table with exactly these keys.
fn object(keys: &[&str], of: impl Fn(&str) -> Value) -> Value {
    let properties: Map<_, _> = keys.iter().map(|key| ((*key).to_owned(), of(key))).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// A table whose keys are names people choose.
fn named(entry: &Value) -> Value {
    json!({
        "type": "object",
        "patternProperties": { NAME: entry },
        "additionalProperties": false,
    })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn number(description: &str) -> Value {
    json!({ "type": ["number", "string"], "description": description })
}

fn one_of(words: impl Iterator<Item = &'static str>, description: &str) -> Value {
    json!({ "enum": words.collect::<Vec<_>>(), "description": description })
}

/// Any value, with what it means.
fn any(description: &str) -> Value {
    json!({ "description": description })
}

fn section(key: &str) -> Value {
    match key {
        "blueprint" => json!({ "const": 1, "description": "Version of the format" }),
        "venture" => json!({ "type": "string", "pattern": NAME, "description": "Its name" }),
        "idea" => text("The idea that it comes from, by its id"),
        "title" => text("What it is, in a line"),
        "problem" => text("Whose pain it ends"),
        "segment" => text("Who buys"),
        "currency" => text("Code of ISO 4217, for example EUR"),
        "timezone" => text("IANA time zone of its days, for example Europe/Berlin"),
        "device" => named(&object(KIND_KEYS, kind)),
        "zone" => named(&object(ZONE_KEYS, |key| match key {
            "geojson" => text("A Polygon or MultiPolygon of GeoJSON"),
            _ => text("For people"),
        })),
        "alarm" => named(&object(ALARM_KEYS, alarm)),
        "usage" => named(&object(USAGE_KEYS, usage)),
        "plan" => plan(),
        "assumption" => named(&object(ASSUMPTION_KEYS, evidence)),
        "experiment" => named(&object(EXPERIMENT_KEYS, evidence)),
        "case" => object(CASE_KEYS, case),
        "gate" => {
            let stages: Vec<_> = GATES.iter().map(|(stage, _)| *stage).collect();
            object(&stages, |_| object(GATE_KEYS, gate))
        }
        _ => any(""),
    }
}

fn kind(key: &str) -> Value {
    let or_word = |keys: &[&str], of: fn(&str) -> Value, words: &str| {
        named(&json!({ "anyOf": [{ "type": "string", "description": words }, object(keys, of)] }))
    };
    let types = "number, boolean, text or position";
    match key {
        "title" => text("For people"),
        "readings" => or_word(READING_KEYS, property, types),
        "settings" => or_word(&[SETTING_KEYS, SETTING_ENVELOPE_KEYS].concat(), property, types),
        "commands" => named(&object(&[COMMAND_KEYS, COMMAND_ENVELOPE_KEYS].concat(), property)),
        "derived" => named(&text("Computed from readings, for example torque * speed")),
        "links" => named(&text("The kind of device it leads to")),
        "events" => named(&object(EVENT_KEYS, property)),
        "power" => object(POWER_KEYS, power),
        _ => any(""),
    }
}

fn power(key: &str) -> Value {
    match key {
        "battery" => text("Charge of a fresh battery, for example 2400 mAh"),
        "usable" => text("The share of it that can be used, 85 % when nothing is said"),
        "sleep" => text("Current between sessions, for example 5 uA"),
        "active" => text("Current during a session, for example 40 mA"),
        "session" => text("How long a radio session takes, for example 1.5 s"),
        _ => text("How long it must last, for example 5 years"),
    }
}

fn property(key: &str) -> Value {
    match key {
        "type" => text("number, boolean, text or position"),
        "unit" => text("UCUM unit, or °C, dBm"),
        "min" => number("Smallest plausible value, in the unit"),
        "max" => number("Largest plausible value, in the unit"),
        "every" => text("How often it is expected, for example 15 min"),
        "urgent" => json!({ "type": "boolean", "description": "Takes me/urgent, and only that" }),
        "counter" => json!({ "type": "boolean", "description": "It only grows, until it wraps" }),
        "rollover" => number("The value at which a counter wraps to 0"),
        "step_max" => number("The most a counter grows in one interval; more is another meter"),
        "ts" => json!({ "type": "boolean", "description": "false: the device has no clock" }),
        "sent_as" => any("What devices call it: temp_c, or [\"lat\", \"lon\"] of a position"),
        "default" => number("What a new device is told"),
        "drives" => text("The interval it sets, for example temperature.every"),
        "rate" => text("How often it may be driven, for example 6 per h"),
        "dwell" => text("How long a value is held before the next, for example 5 min"),
        "interlock" => text("What must hold, for example lid_open == false"),
        "safe" => any("The value in which nothing can go wrong"),
        "watchdog" => text("How long another value stays unconfirmed, for example 10 min"),
        "timeout" => text("How long an answer may take, for example 30 s"),
        "args" | "fields" => named(&any("A property")),
        "title" => text("For people"),
        _ => any(""),
    }
}

fn alarm(key: &str) -> Value {
    match key {
        "device" => text("The kind of device it watches"),
        "when" => text("Condition, for example temperature > 8 °C"),
        "for" => text("How long it must hold first"),
        "within" => text("How soon it is promised to be raised, for example 15 min"),
        "clear" => text("Condition that clears it"),
        "clear_for" => text("How long that must hold first"),
        "warning_when" => text("Condition that makes an info alarm a warning"),
        "critical_when" => text("Condition that makes it critical"),
        "escalate" => object(ESCALATE_KEYS, |key| match key {
            "after" => text("How long nobody may have acknowledged, for example 15 min"),
            _ => text("The role that is told then"),
        }),
        "active" => text("Hours in which it may be raised: Mo-Fr 06:00-22:00; Sa 08:00-12:00"),
        "do" => object(ACTION_KEYS, action),
        "unless" => text("Condition that hides it, because the cause is elsewhere"),
        "severity" => one_of(SEVERITIES.iter().map(|(word, _)| *word), "How bad it is"),
        "notify" => text("The role that is told"),
        _ => text("For people"),
    }
}

fn action(key: &str) -> Value {
    match key {
        "command" => text("The command that is sent when it is raised"),
        "set" => text("The setting that is changed when it is raised"),
        "to" => number("Its value, for example 5 °C"),
        "min" => number("Never below, in the setting's unit"),
        "max" => number("Never above, in the setting's unit"),
        "step" => number("The largest change at once"),
        "dwell" => text("The shortest time between two changes, for example 10 min"),
        "only" => text("Interlock: a condition without which nothing is done"),
        "safe" => number("The safe state: set when the alarm clears or the watchdog barks"),
        _ => text("Watchdog: the longest time before the safe state, for example 1 h"),
    }
}

fn usage(key: &str) -> Value {
    match key {
        "device" => text("The kind of device it counts"),
        "measure" => one_of(MEASURES.iter().map(|(word, _)| *word), "What is computed"),
        "property" => text("Over which reading"),
        "unit" => text("Of what one is"),
        "when" => text("Only while this holds"),
        _ => any("See docs/billing.md"),
    }
}

/// Lines have names; a few keys are the plan's own.
fn plan() -> Value {
    let mut plan = named(&object(LINE_KEYS, line));
    let own = PLAN_KEYS.iter().map(|key| ((*key).to_owned(), any("See docs/billing.md")));
    plan["properties"] = Value::Object(own.collect());
    named(&plan)
}

fn line(key: &str) -> Value {
    match key {
        "usage" => text("The usage it prices"),
        "price" => text("For each unit of it, for example 0.30 EUR/device/day"),
        "once" => text("Once, for example 49 EUR/device"),
        "flat" => text("Recurring, for example 5 EUR/customer/month"),
        "credit" => text("Share of the plan's lines that comes back, for example 10 %"),
        "when" => text("When the promise is broken, for example on_time < 99.9 %"),
        _ => any("See docs/billing.md"),
    }
}

fn evidence(key: &str) -> Value {
    match key {
        "says" => text("A falsifiable sentence with a threshold"),
        "count" => text("Two counted columns, for example signed / asked"),
        "holds" => text("When it is true, for example >= 30 %"),
        "guess" => text("What is believed before any evidence, a 90 % range"),
        "tests" => text("The assumption it tests"),
        "kind" => one_of(
            ["say", "do", "pay", "build", "measure"].into_iter(),
            "How strong its evidence is: say < do < pay < build < measure",
        ),
        "asked" => json!({ "type": "integer", "minimum": 1, "description": "How many are asked" }),
        "cost" => text("What it costs"),
        "takes" => text("How long it takes"),
        "metric" => text("A figure the server takes by itself, for example fleet.on_time"),
        "over" => text("Whole days it looks at, for example 14 days"),
        "pass" => text("The bar that confirms, for example >= 35 %"),
        "kill" => text("The bar that refutes, for example < 10 %"),
        _ => text("For people"),
    }
}

fn case(key: &str) -> Value {
    match key {
        "horizon" => text("How far it looks ahead, for example 60 months"),
        "discount" => text("For example 9 %/year"),
        "reachable" => any("How many customers there are, a 90 % range"),
        "fleet_size" => any("For example 8 to 12 devices/customer"),
        "share" => any("How many of them buy; may name an assumption"),
        "churn" => any(
            "For example 1.2 to 2.5 %/month, or { value, actual = \"fleet.churn\" }, or { alpha, beta }",
        ),
        "adoption" => object(ADOPTION_KEYS, |key| match key {
            "added" => any("For example 100 devices/month, every month"),
            "launch" => text("The first month with devices, for example month 3"),
            _ => any("Bass diffusion, for example 0.012/year"),
        }),
        "survival" => object(SURVIVAL_KEYS, |key| match key {
            "then" => text("What becomes of a failed device: replaced or lost"),
            _ => any("Weibull, for example 1.5 and 8 years"),
        }),
        "revenue" => text("The plan whose lines are its revenue"),
        "risk" => named(&any("probability, money, owner, and at = month 18")),
        "income" => named(&any("An amount of money that is in no plan")),
        "use" => named(&any("How much of a priced thing a device uses")),
        "correlation" => any("\"cost.bom with churn\" = 0.5"),
        "input" => named(&any("A figure, or a table of value, actual, source and as_of")),
        "cost" => named(&any("An amount, or a table of each or total, or a radio tariff")),
        _ => any(""),
    }
}

fn gate(key: &str) -> Value {
    match key {
        "over" => text("The window of its figures, for example 60 days"),
        "fresh" => text("How old a figure may be"),
        "must" => named(&text("Must hold, for example fleet.active >= 25")),
        _ => named(&text("Should hold")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names every place of a TOML table that the schema does not allow. Enough of JSON Schema for
    /// this one: objects with named, patterned and no other keys.
    fn refused(schema: &Value, value: &toml::Value, path: &str, found: &mut Vec<String>) {
        let alternatives = schema["anyOf"].as_array();
        let schema = match (alternatives, value.is_table()) {
            (Some(both), table) => &both[usize::from(table)],
            (None, _) => schema,
        };
        let Some(table) = value.as_table() else { return };
        if schema.get("type").is_none() {
            return;
        }
        for (key, value) in table {
            let path = format!("{path}.{key}");
            let property = schema["properties"].get(key);
            match property.or_else(|| schema["patternProperties"].get(NAME)) {
                Some(inner) => refused(inner, value, &path, found),
                None => found.push(path),
            }
        }
    }

    #[test]
    fn every_template_fits_and_a_slip_does_not() {
        let schema = schema();
        for template in crate::templates() {
            let mut found = Vec::new();
            let table: toml::Table = template.text.parse().unwrap();
            refused(&schema, &table.into(), template.name, &mut found);
            assert_eq!(found, Vec::<String>::new());
        }
        let slip = "[device.box.readings]\ntemperature = { unti = \"°C\" }\n[alarm.x]\nwhenn = 1\n";
        let table: toml::Table = slip.parse().unwrap();
        let mut found = Vec::new();
        refused(&schema, &table.into(), "", &mut found);
        assert_eq!(found, [".alarm.x.whenn", ".device.box.readings.temperature.unti"]);
    }

    #[test]
    fn the_file_beside_the_documentation_is_this_schema() {
        let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        expect_test::expect_file!["../../../docs/formats/blueprint-1.schema.json"].assert_eq(&text);
    }
}
