//! What people read when something is wrong: all mistakes at once, each with place, reason and fix.

use blueprint::{Blueprint, render};
use expect_test::expect;
use proptest::prelude::*;

const COOLBOX: &str = include_str!("../../../blueprints/coolbox/blueprint.toml");

fn check(source: &str) -> String {
    render(&Blueprint::parse(source).diagnostics, "blueprint.toml", source)
}

/// The finding with this code, or everything when there is none.
fn finding(source: &str, code: &str) -> String {
    let parsed = Blueprint::parse(source);
    let one = parsed.diagnostics.iter().filter(|found| found.code == code);
    let one: Vec<_> = one.cloned().collect();
    if one.is_empty() {
        let all = render(&parsed.diagnostics, "blueprint.toml", source);
        panic!("no {code} among:\n{all}");
    }
    render(&one, "blueprint.toml", source)
}

fn silent_on(source: &str, code: &str) {
    let found = Blueprint::parse(source).diagnostics;
    assert!(!found.iter().any(|found| found.code == code), "{found:?}");
}

#[test]
fn coolbox_is_told_that_its_radio_costs_more_than_it_earns() {
    expect![[r#"
        warning[B520]: the radio costs more than the plan earns
          --> blueprint.toml:11:51
        11 | temperature = { unit = "°C", min = -90, max = 80, every = "1 min" }
           |                                                   ^^^^^^^^^^^^^^^ 43,200 readings in 30 days
           = assumed: readings due together share one radio session, each billed as 10 kB
           = 432 MB x 0.02 EUR + 0.40 EUR = 9.04 EUR per box
           = plan.care earns                9.00 EUR per box
        help: every = "15 min" costs 0.98 EUR, but alarm.too_warm could then take up to 25 min instead of 11

        warning[B504]: plan.care promises more than gate.scale asks for
          --> blueprint.toml:43:37
        43 | promise = { credit = "10 %", when = "on_time < 99.9 %" }
           |                                     ^^^^^^^^^^^^^^^^^^ the gate is passed at 99.5 %
           = gate.scale is passed at on_time = 99.5 %
           = plan.care gives back below on_time = 99.9 %
           = a fleet at 99.5 % passes, and gives back 10 % of its lines
        help: ask for 99.9 % in the gate, or promise 99.5 %
    "#]].assert_eq(&check(COOLBOX));
}

#[test]
fn the_radio_is_judged_by_its_own_figures() {
    let calm = COOLBOX.replace("every = \"1 min\"", "every = \"15 min\"");
    silent_on(&calm, "B520");
    let two = COOLBOX.replace("every = \"1 min\"", "every = \"2 min\"");
    silent_on(&two, "B520");
    let dear = two.replace("0.02 EUR/MB", "0.05 EUR/MB");
    let said = finding(&dear, "B520");
    assert!(said.contains("216 MB x 0.05 EUR + 0.40 EUR = 11.20 EUR per box"), "{said}");
    assert!(said.contains("21,600 readings in 30 days"), "{said}");
    let cheap = COOLBOX.replace("0.30 EUR/device/day", "0.31 EUR/device/day");
    silent_on(&cheap, "B520");
}

#[test]
fn a_margin_that_cannot_be_reached_and_a_plan_that_loses_money_are_told() {
    let two = COOLBOX.replace("every = \"1 min\"", "every = \"2 min\"");
    let near = two.replace("economics.margin >= 4 EUR", "economics.margin >= 5 EUR");
    let said = finding(&near, "B522");
    assert!(said.contains("leaves 4.28 EUR per box"), "{said}");
    let cloud = two.replace("[case.cost]", "[case.cost]\ncloud = \"6 EUR/device/month\"");
    assert!(finding(&cloud, "B521").contains("leaves -1.72 EUR per box"));
}

#[test]
fn alarms_that_cannot_work_are_told() {
    let never = COOLBOX.replace("temperature > 8 °C", "temperature > 90 °C");
    assert!(finding(&never, "B404").contains("temperature has max = 80 °C"));
    let clear = COOLBOX.replace("temperature < 7 °C", "temperature < 9 °C");
    assert!(finding(&clear, "B402").contains("raised and cleared at once"));
    let silent = COOLBOX.replace("silent(30 min)", "silent(30 s)");
    assert!(finding(&silent, "B403").contains("use at least 2 min"));
    let single = COOLBOX.replace("for      = \"10 min\"", "for      = \"20 s\"");
    assert!(finding(&single, "B407").contains("a reading comes every 1 min"));
    let nothing = COOLBOX
        .replace("signal = { unit = \"dBm\", every = \"15 min\" }", "signal = { unit = \"dBm\" }");
    assert!(finding(&nothing, "B406").contains("alarm.lost"));
}

#[test]
fn a_promise_above_the_gate_is_told_and_an_equal_one_is_not() {
    assert!(finding(COOLBOX, "B504").contains("the gate is passed at 99.5 %"));
    silent_on(&COOLBOX.replace("on_time < 99.9 %", "on_time < 99.5 %"), "B504");
}

#[test]
fn a_reading_without_a_clock_is_not_billed_silently() {
    let billed = COOLBOX
        .replace("battery     = { unit = \"%\"", "battery     = { unit = \"%\", ts = false")
        .replace("measure = \"days_with_reading\"", "measure = \"count\"\nproperty = \"battery\"")
        .replace("0.30 EUR/device/day", "0.01 EUR");
    assert!(finding(&billed, "B505").contains("counts a resent battery twice"));
}

#[test]
fn all_mistakes_come_at_once() {
    let source = r#"blueprint = 1
venture = "cold box"
title = "X"
timezone = "Europe/Berln"
[device.box.readings]
temperature = { unit = "celsius", every = "1 min" }
lid = "bool"
humidity = { unti = "%" }
[alarm.warm]
device = "bx"
when = "temperature > 8 kg"
severity = "urgent"
[plan.care]
boxes = { usage = "nothing", price = "0.30 USD/device/day" }
"#;
    expect![[r#"
        error[B104]: "cold box" is not a name
         --> blueprint.toml:2:11
        2 | venture = "cold box"
          |           ^^^^^^^^^^ use a to z, 0 to 9 and _, starting with a letter
        help: write cold_box

        error[B106]: there is no time zone "Europe/Berln"
         --> blueprint.toml:4:12
        4 | timezone = "Europe/Berln"
          |            ^^^^^^^^^^^^^^
        help: did you mean "Europe/Berlin"?

        error[B202]: unknown unit "celsius"
         --> blueprint.toml:6:25
        6 | temperature = { unit = "celsius", every = "1 min" }
          |                         ^^^^^^^ not a known unit
        help: write unit = "°C"

        error[B105]: "bool" is not a type
         --> blueprint.toml:7:7
        7 | lid = "bool"
          |       ^^^^^^
        help: write "boolean"

        error[B102]: [device.box.readings.humidity] has no unit or type
         --> blueprint.toml:8:1
        8 | humidity = { unti = "%" }
          | ^^^^^^^^
        help: add unit or type = "boolean" (or "°C" for unit)

        error[B101]: unknown key "unti" in [device.box.readings.humidity]
         --> blueprint.toml:8:14
        8 | humidity = { unti = "%" }
          |              ^^^^ not known here
        help: did you mean "unit"?

        error[B301]: there is no kind of device "bx"
          --> blueprint.toml:10:10
        10 | device = "bx"
           |          ^^^^
        help: did you mean "box"?

        error[B105]: "urgent" is not a severity known here
          --> blueprint.toml:12:12
        12 | severity = "urgent"
           |            ^^^^^^^^
        help: use one of info, warning, critical

        error[B301]: there is no usage "nothing"
          --> blueprint.toml:14:19
        14 | boxes = { usage = "nothing", price = "0.30 USD/device/day" }
           |                   ^^^^^^^^^
        help: no usage is defined yet

        error[B107]: the price is in USD, but the blueprint has no currency
          --> blueprint.toml:14:38
        14 | boxes = { usage = "nothing", price = "0.30 USD/device/day" }
           |                                      ^^^^^^^^^^^^^^^^^^^^^
        help: add currency = "USD" at the top
    "#]]
    .assert_eq(&check(source));
}

#[test]
fn a_case_that_refers_to_itself_is_refused() {
    let circular =
        COOLBOX.replace("[case.cost]", "[case.input]\na = \"case.b\"\nb = \"case.a\"\n[case.cost]");
    assert!(finding(&circular, "B501").starts_with("error[B501]"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_makes_the_reader_panic(
        at in 0..COOLBOX.len(),
        length in 0_usize..60,
        put in "[\\PC\n]{0,12}",
    ) {
        let mut text: Vec<char> = COOLBOX.chars().collect();
        let at = at.min(text.len());
        let end = (at + length).min(text.len());
        text.splice(at..end, put.chars());
        let text: String = text.into_iter().collect();
        let parsed = Blueprint::parse(&text);
        for found in &parsed.diagnostics {
            prop_assert!(found.span.end <= text.len());
        }
        let shown = render(&parsed.diagnostics, "blueprint.toml", &text);
        prop_assert_eq!(shown.is_empty(), parsed.diagnostics.is_empty());
    }
}

#[test]
fn a_counter_without_a_bound_is_warned_of_where_its_growth_is_judged() {
    let of = |reading: &str, when: &str| {
        format!(
            "blueprint = 1\nventure = \"v\"\ntitle = \"V\"\n[device.meter.readings]\n\
             energy = {{ unit = \"kWh\", counter = true, {reading} }}\n[alarm.much]\n\
             device = \"meter\"\nwhen = \"{when}\"\nseverity = \"info\"\n"
        )
    };
    let growth = "delta(energy, 1 h) > 5 kWh";
    let found = finding(&of("every = \"1 h\"", growth), "B414");
    assert!(found.contains("energy has no step_max"), "{found}");
    silent_on(&of("step_max = 20", growth), "B414");
    silent_on(&of("every = \"1 h\"", "energy > 5 kWh"), "B414");
}

#[test]
fn a_step_that_is_not_above_severity_is_warned_of() {
    let of = |severity: &str| {
        format!(
            "blueprint = 1\nventure = \"v\"\ntitle = \"V\"\n[device.box.readings]\n\
             t = {{ unit = \"°C\" }}\n[alarm.warm]\ndevice = \"box\"\nwhen = \"t > 8 °C\"\n\
             severity = \"{severity}\"\nwarning_when = \"t > 20 °C\"\n"
        )
    };
    let found = finding(&of("critical"), "B413");
    assert!(found.contains("alarm.warm is never less than critical"), "{found}");
    silent_on(&of("info"), "B413");
}
