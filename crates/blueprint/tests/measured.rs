//! Experiments that ask the fleet, and inputs of the case that name what they really are.
//!
//! *Invariant:* a figure in another unit, or one that no device can give, is refused with its
//! place.

use std::time::Duration;

use blueprint::{Blueprint, ReadingFigure, render};

const BASE: &str = r#"
blueprint = 1
venture = "coolbox"
title = "Coolbox"
currency = "EUR"
[device.box.readings]
temperature = { unit = "°C", min = -90, max = 80, every = "1 min" }
[plan.care]
boxes = { flat = "9 EUR/device/month" }
[assumption.delivers]
says = "99.5 % of what is due arrives in time"
holds = ">= 99.5 %"
guess = "95 to 99.9 %"
[experiment.pilot]
tests = "delivers"
kind = "measure"
metric = "fleet.on_time"
over = "14 days"
pass = ">= 99.5 %"
kill = "< 97 %"
[case]
horizon = "24 months"
discount = "9 %/year"
reachable = "4000 to 6000 customers"
fleet_size = "8 to 12 devices/customer"
share = "10 to 45 %"
adoption = { bass_p = "0.012/year", bass_q = "0.31/year" }
churn = { value = "1.2 to 2.5 %/month", actual = "fleet.churn" }
revenue = "care"
[case.cost]
radio = { fixed = "0.40 EUR/device/month", data = "0.02 EUR/MB", of = "box", actual = "fleet.data" }
[case.risk.recall]
probability = "5 %"
money = "80000 to 200000 EUR"
owner = "ann"
at = "month 18"
"#;

fn found(from: &str, to: &str) -> String {
    assert!(BASE.contains(from), "{from}");
    let text = BASE.replacen(from, to, 1);
    render(&Blueprint::parse(&text).diagnostics, "blueprint.toml", &text)
}

#[test]
fn an_experiment_and_two_inputs_name_their_figures() {
    let parsed = Blueprint::parse(BASE);
    let said = render(&parsed.diagnostics, "blueprint.toml", BASE);
    let blueprint = parsed.blueprint.unwrap_or_else(|| panic!("{said}"));
    let measures = blueprint.experiments["pilot"].measures.as_ref().unwrap();
    assert_eq!(
        (&*measures.metric, measures.over),
        ("fleet.on_time", Duration::from_secs(1_209_600))
    );
    let actuals = &blueprint.case.unwrap().actuals;
    let named: Vec<_> = actuals.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(named, [("churn", "fleet.churn"), ("cost.radio.megabytes", "fleet.data")]);
}

#[test]
fn an_input_may_name_a_reading() {
    let text = BASE
        .replace("temperature = {", "energy = { unit = \"kWh\", every = \"1 h\" }\ntemperature = {")
        .replace(
            "[case.cost]",
            "[case.use]\nboxes = { value = \"30 to 50/device/month\", actual = \
             \"reading.box.energy.growth\" }\n[case.cost]",
        );
    let parsed = Blueprint::parse(&text);
    let said = render(&parsed.diagnostics, "blueprint.toml", &text);
    let case = parsed.blueprint.unwrap_or_else(|| panic!("{said}")).case.unwrap();
    assert_eq!(case.actuals["use.boxes"], "reading.box.energy.growth");
    let typo = text.replace("box.energy", "box.energie");
    let said = render(&Blueprint::parse(&typo).diagnostics, "blueprint.toml", &typo);
    assert!(said.contains("\"reading.box.energie.growth\" is no figure"), "{said}");
}

#[test]
fn a_figure_that_cannot_be_measured_or_has_another_unit_is_refused() {
    let cases = [
        ("\"fleet.on_time\"", "\"fleet.ontime\"", "did you mean \"fleet.on_time\"?"),
        ("\"fleet.on_time\"", "\"fleet.devices\"", "is no figure that a fleet can be asked for"),
        ("\"fleet.on_time\"", "\"fleet.data\"", "fleet.data is in"),
        ("kind = \"measure\"", "kind = \"pay\"", "what a fleet says is measured"),
        ("over = \"14 days\"", "over = \"36 h\"", "a window is 1 to 62 whole days"),
        ("over = \"14 days\"\n", "", "has no over"),
        ("metric = \"fleet.on_time\"\n", "", "has no metric"),
        ("actual = \"fleet.churn\"", "actual = \"fleet.data\"", "fleet.data is in"),
        ("value = \"1.2 to 2.5 %/month\", ", "", "has no value"),
        ("probability = \"5 %\"", "probability = \"105 %\"", "is not within 0 and 100 %"),
        ("owner = \"ann\"\n", "", "has no owner"),
    ];
    for (from, to, says) in cases {
        let said = found(from, to);
        assert!(said.contains(says), "{from} -> {to}: {said}");
        assert!(said.contains("--> blueprint.toml:"), "{said}");
    }
}

/// The base with this reading, and these lines before its costs.
fn energetic(readings: &str, lines: &str) -> String {
    BASE.replace("temperature = {", &format!("{readings}\ntemperature = {{"))
        .replace("[case.cost]", &format!("{lines}\n[case.cost]"))
}

const USED: &str =
    "[case.input]\nused = { value = \"20 to 30 kWh/device/month\", actual = \"fleet.energy\" }";

#[test]
fn the_energy_of_a_fleet_is_that_of_its_one_reading_of_energy() {
    let parse = |readings: &str| {
        let text = energetic(readings, USED);
        let parsed = Blueprint::parse(&text);
        let said = render(&parsed.diagnostics, "blueprint.toml", &text);
        (parsed.blueprint, said)
    };
    let counter = "meter = { unit = \"Wh\", counter = true, every = \"1 h\" }";
    let power = "load = { unit = \"W\", every = \"1 min\" }";
    let torque = "torque = { unit = \"N.m\", every = \"1 min\" }";
    for (readings, name) in [
        (counter.to_owned(), "reading.box.meter.energy"),
        (power.to_owned(), "reading.box.load.energy"),
        // What is counted is surer than what is looked at now and then.
        (format!("{counter}\n{power}\n{torque}"), "reading.box.meter.energy"),
    ] {
        let (blueprint, said) = parse(&readings);
        let blueprint = blueprint.unwrap_or_else(|| panic!("{said}"));
        let figure = ReadingFigure::of("fleet.energy", &blueprint.kinds).unwrap();
        assert_eq!(figure.to_string(), name);
        assert_eq!(blueprint.case.unwrap().actuals["used"], "fleet.energy");
    }
    let (_, none) = parse(torque);
    assert!(none.contains("no reading tells energy"), "{none}");
    let two = format!("{counter}\n{}", counter.replace("meter", "fed_in"));
    let (_, two) = parse(&two);
    assert!(two.contains("2 readings tell energy"), "{two}");
    assert!(two.contains("\"reading.box.fed_in.energy\", \"reading.box.meter.energy\""), "{two}");
}

#[test]
fn a_cost_may_name_what_was_recorded_as_paid() {
    let costs = |line: &str| {
        let text = format!("{BASE}[case.cost.support]\n{line}\n");
        let parsed = Blueprint::parse(&text);
        (parsed.blueprint, render(&parsed.diagnostics, "blueprint.toml", &text))
    };
    let (blueprint, said) =
        costs("each = \"1 to 3 EUR/device/month\"\nactual = \"recorded.support\"");
    let case = blueprint.unwrap_or_else(|| panic!("{said}")).case.unwrap();
    assert_eq!(case.actuals["cost.support"], "recorded.support");
    for (line, says) in [
        (
            "each = \"3 EUR/device\"\nactual = \"recorded.support\"",
            "recorded.support is in EUR/device/month, the input in EUR/device",
        ),
        (
            "each = \"1 EUR/device/month\"\nactual = \"recorded.suport\"",
            "did you mean \"recorded.support\"?",
        ),
        ("total = \"9 EUR\"\nactual = \"recorded.support\"", "actual"),
    ] {
        let (_, said) = costs(line);
        assert!(said.contains(says) && said.contains("error"), "{line}: {said}");
    }
    // No device gives a part of it, so no experiment can ask for it.
    let said = found("\"fleet.on_time\"", "\"recorded.support\"");
    assert!(said.contains("is no figure that a fleet can be asked for"), "{said}");
}

#[test]
fn an_input_may_say_who_says_so_and_when() {
    let value = "value = \"1.2 to 2.5 %/month\"";
    let said = found(value, &format!("{value}, source = \"own quote\", as_of = \"2026-11-20\""));
    assert!(!said.contains("error"), "{said}");
}
