//! What an author meets: fixes that have one meaning, drafts that pass `check`, warnings with their
//! sums, and thirty texts that mean harm.

use blueprint::draft::{Message, QUESTIONS, Subject, founder, infer};
use blueprint::{Blueprint, CODES, Severity, fixed, render};
use serde_json::{Value, json};

const COOLBOX: &str = include_str!("../../../blueprints/coolbox/blueprint.toml");

fn errors(source: &str) -> Vec<String> {
    let found = Blueprint::parse(source).diagnostics;
    let errors = found.iter().filter(|one| one.severity == Severity::Error);
    errors.map(|one| format!("{}: {}", one.code, one.message)).collect()
}

fn subject() -> Subject {
    let (venture, kind) = ("fresh".parse().expect("a name"), "box".parse().expect("a name"));
    Subject { venture, kind, from: "a test".to_owned() }
}

fn drafted(bodies: &[Value]) -> String {
    let messages: Vec<_> =
        bodies.iter().map(|body| Message { at: None, body: body.clone(), bytes: None }).collect();
    let draft = infer(&subject(), &messages);
    assert_eq!(errors(&draft.text), Vec::<String>::new(), "{}", draft.text);
    draft.text
}

fn has(text: &str, line: &str) {
    assert!(text.lines().any(|one| one.starts_with(line)), "no {line:?} in\n{text}");
}

#[test]
fn what_can_only_be_meant_in_one_way_is_fixed_and_nothing_else_moves() {
    let wrong = "# mine\n\
        venture = \"Cold Box\"   # a name\n\
        title = \"X\"\n\
        timezone = \"Europe/Berln\"\n\
        [device.box.reading]  # what it sends\n\
        temperature = { unit = \"celsius\", min = 80, max = -90, evry = \"1 min\" } # inside\n\
        lid = \"Bool\"\n\
        strokes = { unit = \"%\", counter = \"true\" }\n\
        [usage.days]\n\
        device = \"Box\"\n\
        measure = \"days_with_readin\"\n\
        [plan.care]\n\
        boxes = { usage = \"days\", price = \"0,30 EUR/device/day\" }\n";
    let done = fixed(wrong);
    let right = "# mine\n\
        blueprint = 1\n\
        currency = \"EUR\"\n\
        venture = \"cold_box\"   # a name\n\
        title = \"X\"\n\
        timezone = \"Europe/Berlin\"\n\
        [device.box.readings]  # what it sends\n\
        temperature = { unit = \"°C\", min = -90, max = 80, every = \"1 min\" } # inside\n\
        lid = \"boolean\"\n\
        strokes = { unit = \"%\", counter = true }\n\
        [usage.days]\n\
        device = \"box\"\n\
        measure = \"days_with_reading\"\n\
        [plan.care]\n\
        boxes = { usage = \"days\", price = \"0.30 EUR/device/day\" }\n";
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&done.text), sorted(right), "{}", done.text);
    assert_eq!(errors(&done.text), Vec::<String>::new());
    assert_eq!(fixed(&done.text).applied, [], "a second time changes nothing");
}

#[test]
fn what_has_two_meanings_is_left_alone() {
    let two = [
        // Another kind may be meant, or another name.
        COOLBOX.replacen("device   = \"box\"", "device   = \"bex\"", 1),
        // Thousands or thousandths.
        COOLBOX.replacen("49 EUR", "1,234 EUR", 1),
        // Two prices in two currencies: which is the blueprint's?
        COOLBOX.replacen("currency  = \"EUR\"\n", "", 1).replacen("49 EUR", "49 USD", 1),
        // A price without what it is for.
        COOLBOX.replacen("0.30 EUR/device/day", "0.30 EUR", 1),
        COOLBOX.replacen("blueprint = 1", "blueprint = 2", 1),
        COOLBOX.replacen("\"critical\"", "\"bad\"", 1),
    ];
    for text in two {
        assert!(!errors(&text).is_empty());
        let done = fixed(&text);
        assert_eq!((done.applied.as_slice(), done.text.as_str()), (&[][..], text.as_str()));
    }
    assert_eq!(fixed(COOLBOX).text, COOLBOX);
}

#[test]
fn typographic_quotes_of_a_text_program_are_straightened() {
    let pasted = COOLBOX.replacen(
        "segment   = \"pharmacies with 2 to 20 branches\"",
        "segment   = “pharmacies”",
        1,
    );
    assert!(!errors(&pasted).is_empty());
    assert_eq!(errors(&fixed(&pasted).text), Vec::<String>::new());
}

#[test]
fn names_and_values_of_a_message_give_quantities_and_units() {
    let text = drafted(&[json!({
        "temp_c": 3.9, "hum_pct": 41, "batt_mv": 3610, "lat": 52.5, "lon": 13.4, "lidOpen": false,
        "pressure": 1013.2, "rssi": -71, "energy_kwh": 12.5, "fw": "1.2.0",
    })]);
    has(&text, "temperature = { unit = \"°C\", sent_as = \"temp_c\" } # guess: ");
    has(&text, "humidity = { unit = \"%\", sent_as = \"hum_pct\" } # guess: ");
    has(&text, "battery_voltage = { unit = \"mV\", sent_as = \"batt_mv\" } # guess: ");
    has(&text, "position = { type = \"position\", sent_as = [\"lat\", \"lon\"] } # guess: ");
    has(&text, "lid_open = { type = \"boolean\", sent_as = \"lidOpen\" } # guess: ");
    has(&text, "pressure = { unit = \"hPa\" } # guess: ");
    has(&text, "signal = { unit = \"dBm\", sent_as = \"rssi\" } # guess: ");
    has(&text, "energy = { unit = \"kWh\", counter = true, sent_as = \"energy_kwh\" } # guess: ");
    has(&text, "fw = \"text\" # guess: ");
}

#[test]
fn values_decide_where_names_say_no_unit() {
    has(&drafted(&[json!({ "temp": 293.2 })]), "temperature = { unit = \"K\"");
    has(&drafted(&[json!({ "humidity": 0.41 })]), "humidity = { unit = \"1\"");
    has(&drafted(&[json!({ "battery": 3.61 })]), "battery_voltage = { unit = \"V\"");
    has(&drafted(&[json!({ "battery": 87 })]), "battery = { unit = \"%\"");
    has(
        &drafted(&[json!({ "door_open": 1 }), json!({ "door_open": 0 })]),
        "door_open = \"boolean\"",
    );
    has(&drafted(&[json!({ "foo": 1 })]), "foo = { unit = \"1\" } # guess: no unit is known");
}

#[test]
fn several_messages_tell_how_often_and_odd_ones_are_told() {
    let at = |minute: i64| 1_795_608_000_000 + minute * 60_000;
    let bodies: Vec<_> = (0..6)
        .map(|n| json!({ "ts": at(n * 15) + 300, "values": { "temperature": 4.0 + n as f64 } }))
        .collect();
    has(&drafted(&bodies), "temperature = { unit = \"°C\", every = \"15 min\" } # guess: ");
    let odd = drafted(&[
        json!({
            "values": 3, "ts": 1, "Größe": 1, "1st": 2, "a b": 3,
        "env": { "temp": 4, "deep": { "x": 1 } },
            "list": [1, 2], "none": null, "gps": [52.5, 13.4], "pos": { "lat": 1, "lon": 2 },
            "temp": 3, "temperature": 4, "": 5, "mixed": "1",
        }),
        json!({ "mixed": 2 }),
        json!(3),
        json!([{ "mixed": 1 }]),
    ]);
    has(&odd, "gps = \"position\"");
    has(&odd, "# list is no reading here: ");
    has(&odd, "# none is no reading here: always null");
    drafted(&[json!({ "x".repeat(5000): "y".repeat(5000), "quote\"": "\u{7}\n# \"" })]);
    let wide: serde_json::Map<_, _> = (0..500).map(|n| (format!("f{n}"), json!(n))).collect();
    drafted(&[Value::Object(wide)]);
}

fn answered(answers: [&str; 5]) -> String {
    let answers = answers.map(str::to_owned);
    let draft = founder(&subject(), &answers).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    assert_eq!(errors(&draft.text), Vec::<String>::new(), "{}", draft.text);
    draft.text
}

#[test]
fn five_answers_are_a_blueprint_with_what_was_said() {
    let examples = QUESTIONS.map(|question| question.example);
    let text = answered(examples);
    has(&text, "temperature = { unit = \"°C\", every = \"15 min\" } # as said");
    has(&text, "segment = \"pharmacies\"");
    has(&text, "fee = { flat = \"9 EUR/device/month\" }");
    has(&text, "battery = \"2400 mAh\"");
    has(&text, "lasts = \"3 years\"");
    has(&text, "holds = \">= 30 %\"");
    has(&text, "asked = 40");
    let case = ["horizon", "discount", "reachable", "fleet_size", "churn", "cloud", "radio"];
    for key in case {
        let line = text.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
        assert!(line.contains("# guess: "), "{line}");
    }
}

#[test]
fn what_nobody_knows_becomes_an_assumption_with_a_wide_range() {
    for unknown in ["don't know", "?", "", "I don’t know.", "no idea"] {
        let text = answered([unknown; 5]);
        for name in ["measurable", "interval", "radio_cost", "power_life", "price", "demand"] {
            has(&text, &format!("[assumption.{name}]"));
        }
        assert!(!text.contains("[plan."), "a price that nobody knows is in no plan:\n{text}");
        assert!(!text.contains("every = "), "{text}");
    }
    let examples = QUESTIONS.map(|question| question.example);
    for unknown in 0..5 {
        let mut answers = examples;
        answers[unknown] = "don't know";
        assert!(answered(answers).contains("nobody knows it yet"), "{unknown}");
    }
}

#[test]
fn prices_of_every_kind_become_a_plan() {
    let with = |price: &str| {
        answered(["temperature", "hourly", "wifi and mains", price, "30 % of 20 sign"])
    };
    has(&with("0,30 €/box/day"), "fee = { usage = \"box_days\", price = \"0.30 EUR/device/day\" }");
    has(&with("farms pay $49 per sensor once"), "fee = { once = \"49 USD/device\" }");
    has(&with("120 EUR per device and year"), "fee = { flat = \"10 EUR/device/month\" } # guess");
    has(
        &with("5 to 9 EUR per customer a month"),
        "fee = { flat = \"5 EUR/customer/month\" } # guess",
    );
}

#[test]
fn an_answer_that_is_not_understood_names_its_question() {
    let answers = ["weight in stones", "often", "magic", "a lot", "love"].map(str::to_owned);
    let wrong = founder(&subject(), &answers).unwrap_err();
    assert_eq!(wrong.iter().map(|one| one.question).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

/// A text for each warning of the business.
fn warned() -> Vec<(&'static str, String)> {
    let box_power = "[device.box.power]\nbattery = \"2400 mAh\"\nsleep = \"5 uA\"\n\
                     active = \"40 mA\"\nsession = \"1.5 s\"\nlasts = \"5 years\"\n[device.box.links]";
    let calm = COOLBOX.replacen("every = \"1 min\"", "every = \"15 min\"", 1);
    let dated = COOLBOX
        .replacen("battery     = { unit = \"%\"", "battery     = { unit = \"%\", ts = false", 1)
        .replacen("\"days_with_reading\"", "\"count\"\nproperty = \"battery\"", 1)
        .replacen("0.30 EUR/device/day", "0.01 EUR", 1);
    let before = |part: &str, more: &str| COOLBOX.replacen(part, &format!("{more}{part}"), 1);
    let free = "[plan.free]\np = { credit = \"1 %\", when = \"on_time < 9 %\" }\n";
    let held = "for      = \"10 min\"";
    let soon = calm.replacen(held, &format!("{held}\nwithin = \"20 min\""), 1);
    let other = "[assumption.other]\nsays = \"x\"\nholds = \">= 1 %\"\n";
    let untested = before("[experiment.preorder]", other);
    let untested = untested.replacen("tests = \"will_pay\"", "tests = \"other\"", 1);
    vec![
        ("B402", COOLBOX.replacen("temperature < 7 °C", "temperature < 9 °C", 1)),
        ("B403", COOLBOX.replacen("silent(30 min)", "silent(30 s)", 1)),
        ("B404", COOLBOX.replacen("temperature > 8 °C", "temperature > 90 °C", 1)),
        ("B406", COOLBOX.replacen("\"dBm\", every = \"15 min\"", "\"dBm\"", 1)),
        ("B407", COOLBOX.replacen("\"10 min\"", "\"20 s\"", 1)),
        ("B408", COOLBOX.replacen("temperature > 8 °C", "avg(temperature, 2 days) > 8 °C", 1)),
        ("B503", COOLBOX.replacen(">= 35 %", ">= 25 %", 1)),
        ("B504", COOLBOX.to_owned()),
        ("B505", dated),
        ("B520", COOLBOX.to_owned()),
        ("B521", calm.replacen("[case.cost]", "[case.cost]\ncloud = \"12 EUR/device/month\"", 1)),
        ("B522", calm.replacen(">= 4 EUR/device/month", ">= 40 EUR/device/month", 1)),
        ("B523", before("[usage.box_days]", free)),
        ("B524", calm.replacen("[device.box.links]", box_power, 1)),
        ("B525", soon),
        ("B526", untested),
        ("B527", before("[usage.box_days]", "[device.spare.readings]\nx = \"text\"\n")),
        ("B528", calm.replacen("31 to 38 EUR/device", "3100 to 3800 EUR/device", 1)),
    ]
}

#[test]
fn every_warning_has_an_explanation_and_shows_its_sums() {
    for (code, source) in warned() {
        let parsed = Blueprint::parse(&source);
        let shown = render(&parsed.diagnostics, "b.toml", &source);
        let found = parsed.diagnostics.iter().find(|one| one.code == code);
        let found = found.unwrap_or_else(|| panic!("no {code} among\n{shown}"));
        assert_eq!(found.severity, Severity::Warning, "{shown}");
        assert!(!found.notes.is_empty() && found.span.end > 0, "{code}:\n{shown}");
        assert!(
            found.notes.iter().any(|note| note.contains(|c: char| c.is_ascii_digit())),
            "{shown}"
        );
        assert!(CODES.iter().any(|known| known.id == code));
    }
}

#[test]
fn sums_are_those_by_hand() {
    let shown = |code: &str| {
        let (_, source) = warned().into_iter().find(|(known, _)| *known == code).unwrap();
        let found = Blueprint::parse(&source).diagnostics;
        let found: Vec<_> = found.into_iter().filter(|one| one.code == code).collect();
        render(&found, "b.toml", &source)
    };
    // 96 sessions x 1.5 s x 40 mA = 1.6 mAh; asleep 23.96 h x 5 uA = 0.1198 mAh; 2040 / 1.7198.
    assert!(
        shown("B524").contains("2400 mAh x 85 % / 1.7198 mAh a day = 1186 days"),
        "{}",
        shown("B524")
    );
    assert!(shown("B525").contains("raised after at most    25 min"), "{}", shown("B525"));
    // 9.00 earned - 0.98 radio - 12.00 cloud.
    assert!(shown("B521").contains("leaves -3.98 EUR per box"), "{}", shown("B521"));
    // 0.01732 churn (the middle of the range), 8.02 a month; 49 once - 3432 for the device.
    assert!(shown("B528").contains("leaves 8.02 EUR per box"), "{}", shown("B528"));
    assert!(shown("B528").contains("plan.care.box once"), "{}", shown("B528"));
}

#[test]
fn what_is_in_order_is_not_warned_of() {
    let calm = COOLBOX
        .replacen("every = \"1 min\"", "every = \"15 min\"", 1)
        .replacen("\"10 min\"", "\"45 min\"", 1)
        .replacen("on_time < 99.9 %", "on_time < 99.5 %", 1);
    let found = Blueprint::parse(&calm).diagnostics;
    assert!(found.is_empty(), "{}", render(&found, "b.toml", &calm));
    for template in blueprint::templates() {
        let new = ["B521", "B522", "B524", "B525", "B526", "B527", "B528"];
        let found = Blueprint::parse(template.text).diagnostics;
        assert!(!found.iter().any(|one| new.contains(&one.code)), "{}: {found:?}", template.name);
    }
}

/// Texts that mean harm, and the code that refuses each.
fn hostile() -> Vec<(&'static str, String)> {
    let with = |from: &str, to: &str| {
        assert!(COOLBOX.contains(from), "{from}");
        COOLBOX.replacen(from, to, 1)
    };
    let input = |lines: &str| with("[case.cost]", &format!("[case.input]\n{lines}\n[case.cost]"));
    let deep = format!("{}1{}", "(".repeat(900), ")".repeat(900));
    vec![
        ("B001", "title = \"x\nblueprint = 1".to_owned()),
        ("B001", "[[[[".to_owned()),
        ("B001", with("venture   =", "venture   = = ")),
        ("B001", format!("{COOLBOX}\nventure = \"twice\"\n[case]\nhorizon = \"1 month\"\n")),
        ("B001", format!("x = {}1{}", "[".repeat(10_000), "]".repeat(10_000))),
        ("B002", format!("# {}\n", "x".repeat(300_000))),
        ("B002", with("60 months", "100000 months")),
        ("B003", with("blueprint = 1", "blueprint = 9")),
        ("B101", format!("{COOLBOX}\n[gate.launch]\n")),
        ("B103", with("[device.box.links]\nbase = \"base\"", "[device.box]\nlinks = 3")),
        ("B103", with("asked = 40", "asked = -40")),
        ("B103", with("\"10 min\"", "\"-10 min\"")),
        ("B103", with("\"10 days\"", "10")),
        (
            "B104",
            with(
                "[device.box.readings]",
                "[device.\"b x\".readings]\na = \"text\"\n[device.box.readings]",
            ),
        ),
        ("B104", with("battery     =", "ts =")),
        ("B105", with("\"critical\"", "\"terrible\"")),
        ("B107", with("currency  = \"EUR\"", "currency  = \"XXQ\"")),
        ("B107", with("31 to 38 EUR", "31 to 38 USD")),
        ("B201", with("temperature > 8 °C", "temperature >> 8 °C")),
        ("B201", with("temperature > 8 °C", &format!("temperature > {deep}"))),
        ("B202", with("0.02 EUR/MB", "0.02 EUR/quux")),
        ("B203", with("temperature > 8 °C", "temperature > 8 kg")),
        ("B205", with("1.2 to 2.5 %/month", "1.2 to 2.5 EUR/month")),
        ("B203", with("guess = \"10 to 45 %\"", "guess = \"10 to 45 EUR\"")),
        ("B204", with("fleet.active >= 25", "fleet.happy >= 25")),
        ("B205", with("temperature > 8 °C", "temperature + 8 K")),
        ("B206", with("temperature > 8 °C", "avg(temperature) > 8 °C")),
        ("B207", with("31 to 38 EUR/device", "38 to 31 EUR/device")),
        ("B207", with("10 to 45 %", "0 to 45 %")),
        ("B207", with("31 to 38 EUR/device", "pert(40 EUR/device, 4 EUR/device, 12 EUR/device)")),
        ("B207", with("31 to 38 EUR/device", "normal(40 EUR/device, -3 EUR/device)")),
        ("B207", with("31 to 38 EUR/device", "beta(-1, 2)")),
        ("B208", input("a = \"1 / 0\"")),
        ("B301", with("tests = \"will_pay\"", "tests = \"nothing\"")),
        ("B401", with("min = -90, max = 80", "min = 80, max = 80")),
        ("B501", input("a = \"case.b\"\nb = \"case.c\"\nc = \"case.a\"")),
        ("B501", input("a = \"case.a\"")),
        ("B502", with("< 10 %", "< 40 %")),
        ("B506", with("credit = \"10 %\"", "credit = \"110 %\"")),
    ]
}

#[test]
fn what_means_harm_is_refused_with_place_and_reason() {
    for (code, source) in hostile() {
        let head: String = source.chars().take(60).collect();
        let parsed = Blueprint::parse(&source);
        assert!(parsed.blueprint.is_none(), "{code} {head}");
        let shown = render(&parsed.diagnostics, "b.toml", &source);
        let found = parsed.diagnostics.iter().find(|one| one.code == code);
        let short: String = shown.chars().take(2_000).collect();
        let found = found.unwrap_or_else(|| panic!("no {code} for {head:?}:\n{short}"));
        assert_eq!(found.severity, Severity::Error, "{short}");
        assert!(found.span.end <= source.len() && !found.message.is_empty(), "{short}");
        assert!(parsed.diagnostics.len() <= 200 + 3, "{code}: {}", parsed.diagnostics.len());
        // Whatever it is, trying to fix it makes nothing worse and ends.
        let done = fixed(&source);
        assert!(errors(&done.text).len() <= errors(&source).len(), "{code} {head}");
    }
}

#[test]
fn a_unit_clash_points_into_the_text() {
    let source = COOLBOX.replacen("temperature > 8 °C", "temperature > 8 kg", 1);
    let found = Blueprint::parse(&source).diagnostics;
    let clash = found.iter().find(|one| one.code == "B203").unwrap();
    assert_eq!(clash.span.text(&source), "8 kg");
}
