//! What the language accepts, what it computes and how it refuses.

use crate::{Bar, Expected, Family, Quantity, Scope, Slot, Spread, Type, Unit, compile};
use expect_test::{Expect, expect};
use proptest::prelude::*;

mod messages;

/// A box with a few readings, a link and some metrics.
struct Box;

impl Scope for Box {
    fn resolve(&self, path: &[&str]) -> Option<Type> {
        let unit = |text| Type::Number(Unit::parse(text).unwrap());
        match path {
            ["temperature"] => Some(unit("°C")),
            ["process" | "air"] => Some(unit("K")),
            ["torque"] => Some(unit("N.m")),
            ["speed"] => Some(unit("rpm")),
            ["battery"] => Some(unit("%")),
            ["energy"] => Some(unit("kWh")),
            ["signal"] | ["base", "signal"] => Some(unit("dBm")),
            ["lid_open"] => Some(Type::Boolean),
            ["state"] => Some(Type::Text),
            ["position"] => Some(Type::Position),
            ["base"] => Some(Type::Link),
            ["fleet", "on_time"] => Some(unit("1")),
            ["economics", "margin"] => Some(unit("EUR/device/month")),
            _ => None,
        }
    }

    fn names(&self) -> Vec<String> {
        ["temperature", "battery", "lid_open", "fleet.on_time", "base.signal"]
            .map(str::to_owned)
            .to_vec()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "reads best at the call")]
fn refused(text: &str, expected: Expect) {
    let mut shown = String::new();
    for error in compile(text, &Box, &Expected::Any).unwrap_err() {
        let at = text.get(..error.span.start).unwrap().chars().count();
        let wide = error.span.text(text).chars().count().max(1);
        shown +=
            &format!("{text}\n{}{} {}\n{error}\n", " ".repeat(at), "^".repeat(wide), error.label());
        if let Some(help) = error.help {
            shown += &format!("help: {help}\n");
        }
    }
    expected.assert_eq(&shown);
}

fn value(text: &str) -> f64 {
    compile(text, &(), &Expected::Any).unwrap().constant().unwrap()
}

fn truth(text: &str, slots: &[f64]) -> Option<bool> {
    compile(text, &Box, &Expected::Condition).unwrap().truth(slots)
}

#[test]
fn a_reading_is_compared_with_the_number_as_typed() {
    assert_eq!(truth("temperature > 8 °C", &[8.0]), Some(false));
    assert_eq!(truth("temperature > 8 °C", &[8.000_000_000_000_002]), Some(true));
    assert_eq!(truth("8 °C < temperature", &[9.0]), Some(true));
    assert_eq!(truth("temperature > 46.4 °F", &[8.1]), Some(true));
    let program = compile("temperature > 8 °C", &Box, &Expected::Condition).unwrap();
    assert_eq!(program.threshold().unwrap().limit, 8.0);
    assert_eq!(program.slots(), [Slot::Path("temperature".into())]);
}

#[test]
fn percent_keeps_its_decimals() {
    assert_eq!(truth("fleet.on_time >= 99.5 %", &[0.995]), Some(true));
    assert_eq!(truth("fleet.on_time < 99.9 %", &[0.999]), Some(false));
    assert_eq!(truth("battery < 35 %", &[35.0]), Some(false));
}

#[test]
fn machine_rules_of_ai4i_keep_their_units() {
    // HDF and PWF of the AI4I 2020 data set: differences in K, power from torque and speed.
    let heat = "process - air < 8.6 K and speed < 1380 rpm";
    assert_eq!(truth(heat, &[308.5, 300.0, 1379.0]), Some(true));
    assert_eq!(truth(heat, &[308.6, 300.0, 1379.0]), Some(308.6_f64 - 300.0 < 8.6));
    let power = "torque * speed < 3500 W or torque * speed > 9000 W";
    assert_eq!(truth(power, &[20.0, 1500.0]), Some(true));
    assert_eq!(truth(power, &[40.0, 1500.0]), Some(false));
}

#[test]
fn missing_values_follow_kleene() {
    let text = "temperature > 8 °C and battery < 5 %";
    assert_eq!(truth(text, &[f64::NAN, 50.0]), Some(false));
    assert_eq!(truth(text, &[9.0, f64::NAN]), None);
    let text = "temperature > 8 °C or battery < 5 %";
    assert_eq!(truth(text, &[9.0, f64::NAN]), Some(true));
    assert_eq!(truth("not temperature > 8 °C", &[f64::NAN]), None);
}

#[test]
fn arithmetic_and_functions_give_known_values() {
    assert_eq!(value("1 + 2 * 3 - 4 / 2"), 5.0);
    assert_eq!(value("-(2 - 5)"), 3.0);
    assert_eq!(value("35 %"), 35.0);
    assert_eq!(value("pow(3, 2) + sqrt(16) + abs(-1)"), 14.0);
    assert_eq!(value("least(1 h, 50 min) / 1 min"), 50.0 / 60.0);
    assert_eq!(value("if(1 kWh > 3 MJ, 1, 2)"), 1.0);
    assert_eq!(value("clamp(5, 0, 1)"), 1.0);
    assert!((value("432 MB * 0.02 EUR/MB + 0.40 EUR") - 9.04).abs() < 1e-12);
}

#[test]
fn windows_silence_and_zones_are_slots() {
    let text =
        "avg(temperature, 10 min) > 8 °C and silent(base, 20 min) and inside(position, depot)
        and rate(temperature, 1 h) > 2 K/min and count(lid_open, 1 h) > 3";
    let program = compile(text, &Box, &Expected::Condition).unwrap();
    assert_eq!(program.slots().len(), 5);
    // Two K a minute are a thirtieth of a K per second.
    let rate = 2.0 / 60.0;
    assert_eq!(program.truth(&[9.0, 1.0, 1.0, rate, 4.0][..]), Some(false));
    assert_eq!(program.truth(&[9.0, 1.0, 1.0, rate + 1e-9, 4.0][..]), Some(true));
}

#[test]
fn every_function_has_an_example_that_compiles() {
    struct Any;
    impl Scope for Any {
        fn resolve(&self, path: &[&str]) -> Option<Type> {
            match path {
                ["level"] => Some(Type::Number(Unit::parse("m").unwrap())),
                ["drops"] => Some(Type::Number(Unit::one())),
                _ => Box.resolve(path),
            }
        }
        fn names(&self) -> Vec<String> {
            Vec::new()
        }
    }
    for function in crate::FUNCTIONS {
        let compiled = compile(function.example, &Any, &Expected::Any);
        assert!(compiled.is_ok(), "{}: {compiled:?}", function.example);
    }
}

#[test]
fn ranges_choose_their_distribution() {
    let described = |text| Spread::parse(text).unwrap().describe();
    let all = [
        "31 to 38 EUR/device",
        "10 to 45 %",
        "1.2 to 2.5 %/month",
        "-5 to 10 %",
        "pert(2, 4, 12)",
        "0.012/year",
        "4000 to 6000 customers",
    ];
    expect![[r#"
        lognormal, 90 % between 31 and 38 EUR/device
        beta, 90 % between 10 and 45 %
        beta, 90 % between 1.2 and 2.5 %/month
        normal, 90 % between -5 and 10 %
        PERT, 2 to 12, most likely 4
        exactly 0.012 1/year
        lognormal, 90 % between 4000 and 6000 customer"#]]
    .assert_eq(&all.map(described).join("\n"));
    let uncertain = compile("(31 to 38 EUR/device) * 1.2", &(), &Expected::Number).unwrap();
    assert!(matches!(
        uncertain.slots(),
        [Slot::Spread(Spread { family: Family::Lognormal { .. }, .. })]
    ));
    assert_eq!(uncertain.number(&[100.0][..]), Some(120.0));
}

#[test]
fn quantities_keep_decimals_and_durations_are_exact() {
    let price = Quantity::parse("0.30 EUR/device/day").unwrap();
    assert_eq!(price.exact.to_string(), "0.30");
    let monthly = price.exact_in(&Unit::parse("EUR/device/month").unwrap()).unwrap();
    assert_eq!(monthly.normalize().to_string(), "9");
    assert_eq!(Quantity::parse("10 min").unwrap().duration().unwrap().as_secs(), 600);
    assert_eq!(Quantity::parse("60 months").unwrap().duration().unwrap().as_secs(), 155_520_000);
    assert_eq!(Unit::parse("°C").unwrap().to_string(), "Cel");
    assert_eq!(Bar::parse("≥ 30 %").unwrap().to_string(), ">= 30 %");
}

#[test]
fn units_print_and_read_back() {
    for text in
        ["Cel", "%", "km/h", "1/s", "EUR/device/month", "kW.h", "m3", "m/s2", "ug/m3", "dBm"]
    {
        assert_eq!(Unit::parse(text).unwrap().to_string(), text);
    }
    assert!(Unit::parse("kDevice").is_err());
    assert!(Unit::parse("EUR/USD").is_err());
    assert!(Unit::parse("°C/min").is_err());
}

#[test]
fn all_errors_come_at_once() {
    let errors = compile("temprature > 8 °C and batery < 5 %", &Box, &Expected::Any).unwrap_err();
    assert_eq!(errors.len(), 2);
}

#[test]
fn size_and_depth_are_bounded() {
    let deep = format!("{}1{}", "(".repeat(2000), ")".repeat(2000));
    assert!(compile(&deep, &(), &Expected::Any).is_err());
    assert!(compile(&"-x".repeat(2000), &(), &Expected::Any).is_err());
    assert!(compile(&"1+".repeat(2047), &(), &Expected::Any).is_err());
    assert!(compile(&"a".repeat(5000), &(), &Expected::Any).is_err());
    let wide = vec!["temperature > 8 °C"; 100].join(" or ");
    assert!(compile(&wide, &Box, &Expected::Any).is_ok());
}

#[test]
fn a_million_simple_evaluations_take_less_than_a_second_in_a_test_build() {
    let program = compile("temperature > 8 °C and battery < 5 %", &Box, &Expected::Any).unwrap();
    let mut env = [7.0, 4.0];
    let clock = model::SystemClock::default();
    let before = model::Clock::monotonic(&clock);
    let mut fired = 0_u32;
    for n in 0..1_000_000_u32 {
        env[0] = f64::from(n % 16);
        fired += u32::from(program.truth(&env[..]) == Some(true));
    }
    let took = model::Clock::monotonic(&clock) - before;
    assert_eq!(fired, 1_000_000 / 16 * 7);
    assert!(took.as_millis() < 1000, "{took:?}");
}

proptest! {
    #[test]
    fn any_text_compiles_or_is_refused_inside_itself(text in "\\PC{0,60}") {
        if let Err(errors) = compile(&text, &Box, &Expected::Any) {
            prop_assert!(!errors.is_empty());
            for error in errors {
                prop_assert!(text.get(error.span.start..error.span.end).is_some(), "{:?}", error);
            }
        }
        let _ = Unit::parse(&text).is_ok();
        let _ = Spread::parse(&text).is_ok();
        let _ = Bar::parse(&text).is_ok();
    }

    #[test]
    fn any_words_compile_or_are_refused(words in prop::collection::vec(prop::sample::select(vec![
        "temperature", "battery", "8", "°C", "%", ">", "<", "and", "or", "not", "(", ")", "to",
        "silent", "avg", ",", "10 min", "-", "+", "*", "/", ".", "base", "signal", "EUR", "/day",
        "pow", "pert", "if", "state", "\"x\"", "==", "inside", "position", "1e300", "0",
    ]), 0..24)) {
        let text = words.join(" ");
        if let Ok(program) = compile(&text, &Box, &Expected::Any) {
            let slots = vec![1.5; program.slots().len()];
            let once = program.number(&slots[..]);
            prop_assert_eq!(once, program.number(&slots[..]));
        }
    }

    #[test]
    fn conversion_there_and_back_is_close(value in -1e6..1e6_f64, pair in prop::sample::select(vec![
        ("°C", "°F"), ("km/h", "m/s"), ("kWh", "J"), ("EUR/device/day", "EUR/device/month"), ("%", "ppm"),
    ])) {
        let (a, b) = (Unit::parse(pair.0).unwrap(), Unit::parse(pair.1).unwrap());
        let back = b.convert(a.convert(value, &b).unwrap(), &a).unwrap();
        prop_assert!((back - value).abs() <= 1e-9 * value.abs().max(1000.0));
    }
}
