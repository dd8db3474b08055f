//! Odd numbers, odd days and odd files: what a finance officer tries first.

use billing::output::{Bill, RatedDocument};
use billing::{Error, rate_files};

const LINE: &str = r#"{"contract":"a","usage":"u","time":"2026-10-15T12:00:00Z","value":"#;

fn rated(plan: &str, lines: &[&str]) -> Result<RatedDocument, Error> {
    rate_files(plan, lines)
}

fn bills(plan: &str, lines: &[&str]) -> Vec<Bill> {
    let mut rated = rated(plan, lines).expect("the plan is valid");
    assert_eq!(rated.quarantine, []);
    rated.contracts.remove(0).bills
}

/// `charge part amount` of every line of every bill.
fn amounts(bills: &[Bill]) -> Vec<String> {
    let lines = bills.iter().flat_map(|bill| &bill.lines);
    lines.map(|line| format!("{} {} {}", line.charge, line.part, line.amount)).collect()
}

/// The charge `c` for one value of usage `u`.
fn charged(charge: &str, value: &str) -> String {
    let plan = format!("currency = \"EUR\"\n[plan.p]\nc = {{ usage = \"u\", {charge} }}\n");
    bills(&plan, &[&format!("{LINE}{value}}}")]).remove(0).net
}

fn refused(plan: &str) -> String {
    rated(plan, &[]).expect_err("it is refused").to_string()
}

#[test]
fn a_step_has_its_price_whether_it_is_called_flat_or_price() {
    let flat = r#"stairstep = [{ up_to = 5, flat = "10 EUR" }, { flat = "30 EUR" }]"#;
    for steps in [flat.to_owned(), flat.replace("flat", "price")] {
        assert_eq!(charged(&steps, "5"), "10.00");
        assert_eq!(charged(&steps, "5.000001"), "30.00");
    }
    let both = r#"[plan.p]
        c = { usage = "u", stairstep = [{ price = "1 EUR", flat = "2 EUR" }] }"#;
    assert!(refused(both).contains("price is not known here"), "{}", refused(both));
}

#[test]
fn a_twelfth_of_a_yearly_fee_is_exact_before_it_is_rounded() {
    let plan = r#"
        [plan.p]
        fee = { flat = "100.02 EUR/year" }
        [contract.a]
        from = "2026-10-01"
        to = "2026-11-01"
    "#;
    assert_eq!(amounts(&bills(plan, &[])), ["fee charge 8.34"]);
}

#[test]
fn a_monthly_fee_of_a_quarter_is_due_for_each_month_by_itself() {
    let plan = r#"
        period = "quarter"
        [plan.p]
        fee = { flat = "10 EUR/month" }
        [contract.a]
        from = "2026-02-01"
        to = "2026-07-01"
    "#;
    assert_eq!(amounts(&bills(plan, &[])), ["fee charge 20.00", "fee charge 30.00"]);
}

#[test]
fn a_fee_for_a_day_is_due_for_days_also_without_proration() {
    let plan = r#"
        prorate = "none"
        [plan.p]
        fee = { flat = "1 EUR/device/day" }
        [contract.a]
        from = "2026-10-01"
        to = "2026-11-01"
        devices = { x = { from = "2026-10-30" } }
    "#;
    assert_eq!(amounts(&bills(plan, &[])), ["fee charge 2.00"]);
}

#[test]
fn a_trial_costs_no_minimum() {
    let plan = r#"
        [plan.p]
        trial = "30 days"
        c = { usage = "u", price = "1 EUR" }
        least = { minimum = "31 EUR" }
        [contract.a]
        from = "2026-10-01"
        to = "2026-11-01"
    "#;
    // One day of October is left.
    assert_eq!(amounts(&bills(plan, &[])), ["least minimum 1.00"]);
}

#[test]
fn three_times_ten_minutes_are_half_an_hour() {
    let plan = r#"
        [usage.u]
        measure  = "duration"
        when     = "u == true"
        [plan.p]
        c = { usage = "u", package = { size = 0.5, price = "5 EUR" } }
        d = { usage = "u", price = "0.01 EUR/h" }
        [contract.a]
        from = "2026-10-01"
        to = "2026-11-01"
        devices = ["x", "y", "z"]
    "#;
    let line = |device: &str, minute: u32, value: bool| {
        format!(
            r#"{{"device":"{device}","usage":"u","time":"2026-10-02T00:{minute:02}:00Z","value":{value}}}"#
        )
    };
    let lines: Vec<String> =
        ["x", "y", "z"].iter().flat_map(|d| [line(d, 0, true), line(d, 10, false)]).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    // Half a cent is rounded up because it is one.
    assert_eq!(amounts(&bills(plan, &lines)), ["c charge 5.00", "d charge 0.01"]);
}

#[test]
fn charges_bounds_and_slots_apply_in_the_order_of_the_text() {
    let plan = r#"
        [calendar.grid]
        default = "other"
        peak    = { hours = "09:00-11:00" }
        night   = { hours = "00:00-24:00" }
        [plan.p]
        z = { usage = "u", time_of_use = { calendar = "grid", other = "1 EUR", night = "2 EUR", peak = "3 EUR" } }
        b_least = { minimum = "10 EUR" }
        a_most = { maximum = "8 EUR" }
    "#;
    let line = r#"{"contract":"a","usage":"u","time":"2026-10-15T10:00:00Z","value":1}"#;
    let wanted = ["z charge 3.00", "b_least minimum 7.00", "a_most maximum -2.00"];
    assert_eq!(amounts(&bills(plan, &[line])), wanted);
}

#[test]
fn a_coupon_is_rounded_like_a_line() {
    let plan = r#"
        rounding = "down"
        [plan.p]
        c = { usage = "u", price = "1 EUR" }
        [coupon.half]
        off = "50 %"
    "#;
    let bills = bills(plan, &[&format!("{LINE}0.03}}")]);
    assert_eq!(amounts(&bills), ["c charge 0.03", "half coupon -0.01"]);
}

/// Heating at 2 kW from midnight, the tariff changes at six: 12 kWh before, 36 after.
#[test]
fn a_value_holds_in_its_group_until_the_next_of_any_group() {
    let plan = r#"
        [usage.u]
        measure = "integral"
        [usage.counted]
        property = "r"
        measure  = "register"
        [plan.p]
        held = { usage = "u", matrix = { by = ["tariff"], prices = { low = "1 EUR", high = "10 EUR" } } }
        read = { usage = "counted", matrix = { by = ["tariff"], prices = { low = "1 EUR", high = "10 EUR" } } }
        [contract.a]
        from = "2026-10-01"
        to = "2026-10-02"
        devices = ["x"]
    "#;
    let line = |property: &str, hour: u32, value: u32, tariff: &str| {
        format!(
            r#"{{"device":"x","usage":"{property}","time":"2026-10-01T{hour:02}:00:00Z","value":{value},"dimensions":{{"tariff":"{tariff}"}}}}"#
        )
    };
    let lines = [
        line("u", 0, 2, "low"),
        line("u", 6, 2, "high"),
        line("r", 0, 100, "low"),
        line("r", 6, 112, "low"),
        line("r", 23, 146, "high"),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let wanted =
        ["held charge 360.00", "held charge 12.00", "read charge 340.00", "read charge 12.00"];
    assert_eq!(amounts(&bills(plan, &lines)), wanted);
}

/// 100, 99, 101: jitter at the end of a month is not counted twice.
#[test]
fn jitter_at_the_edge_of_a_month_is_counted_once() {
    let plan = r#"
        [usage.u]
        measure = "register"
        backstep_max = 2
        [plan.p]
        c = { usage = "u", price = "1 EUR" }
        [contract.a]
        from = "2026-10-01"
        to = "2026-12-01"
    "#;
    let line = |day: &str, value: u32| {
        format!(r#"{{"contract":"a","usage":"u","time":"2026-{day}:00:00Z","value":{value}}}"#)
    };
    let lines =
        [line("10-01T00", 90), line("10-31T22", 100), line("10-31T23", 99), line("11-05T00", 101)];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(amounts(&bills(plan, &lines)), ["c charge 10.00", "c charge 1.00"]);
}

#[test]
fn a_usage_may_be_a_formula_over_others() {
    let plan = r#"
        [usage.energy]
        property = "e"
        measure = "register"
        [usage.own]
        property = "o"
        measure = "sum"
        [usage.billed]
        measure = "expression"
        formula = "max(energy - own, 0) * 110 %"
        unit = "kWh"
        [plan.p]
        c = { usage = "billed", price = "1 EUR/kWh", per = "device" }
        [contract.a]
        from = "2026-10-01"
        to = "2026-11-01"
        devices = ["x", "y"]
    "#;
    let line = |device: &str, property: &str, day: u32, value: u32| {
        format!(
            r#"{{"device":"{device}","usage":"{property}","time":"2026-10-{day:02}T00:00:00Z","value":{value}}}"#
        )
    };
    let lines = [
        line("x", "e", 1, 100),
        line("x", "e", 9, 150),
        line("x", "o", 5, 20),
        line("y", "e", 1, 0),
        line("y", "e", 9, 10),
        line("y", "o", 5, 30),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let bills = bills(plan, &lines);
    assert_eq!(amounts(&bills), ["c charge 33.00", "c charge 0.00"]);
    assert_eq!(bills[0].lines[0].readings, 3);
    let unknown = plan.replace("energy - own", "energy - owned");
    assert!(refused(&unknown).contains("usage owned is not defined"), "{}", refused(&unknown));
}

#[test]
fn numbers_that_do_not_fit_are_an_error_with_their_place() {
    let plan = r#"
        [usage.u]
        measure = "register"
        [plan.p]
        c = { usage = "u", price = "1 EUR" }
    "#;
    let huge = "79228162514264337593543950335";
    let first = r#"{"contract":"a","usage":"u","time":"2026-10-02T00:00:00Z","value":"-HUGE"}"#;
    let lines = [first.replace("HUGE", huge), format!("{LINE}\"{huge}\"}}")];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let error = rated(plan, &lines).unwrap_err().to_string();
    assert_eq!(error, "contract a: period from 2026-10-01: c: register exceeds 28 decimal digits");
    for charge in [
        r#"price = "79228162514264337593543950335 EUR""#,
        r#"price = "1 EUR", minimum = "79228162514264337593543950335 EUR""#,
        r#"price = "-1 EUR", commitment = { amount = "-79228162514264337593543950335 EUR" }"#,
        r#"graduated = [{ price = "7922816251426433759354395033 EUR" }]"#,
        r#"percent = "79228162514264337593543950335 %""#,
    ] {
        let plan = format!("[plan.p]\nc = {{ usage = \"u\", {charge} }}\n");
        let error = rated(&plan, &[&format!("{LINE}1e15}}")]).unwrap_err().to_string();
        assert!(error.starts_with("contract a: period from 2026-10-01: c: "), "{charge}: {error}");
    }
}

#[test]
fn a_line_that_cannot_be_counted_spoils_no_other() {
    let plan = "[plan.p]\nc = { usage = \"u\", price = \"1 EUR\" }\n";
    let fine = format!("{LINE}\"0.1234567890123456789012345678901\"}}");
    let lines = ["\u{feff}", "", &format!("{LINE}2}}"), "[1]", &fine];
    let rated = rated(plan, &lines).unwrap();
    let held: Vec<(u64, u16)> = rated.quarantine.iter().map(|q| (q.line, q.status)).collect();
    assert_eq!(held, [(4, 422), (5, 422)]);
    assert_eq!(rated.contracts[0].due, "2.00");
}

#[test]
fn what_would_bill_otherwise_than_it_reads_is_refused_with_the_right_form() {
    let contract =
        "[plan.p]\nc = { flat = \"1 EUR/device\" }\n[contract.a]\nfrom = \"2026-10-01\"\n";
    let usage = "[usage.u]\nmeasure = \"sum\"\nunit = \"kWh\"\n[plan.p]\n";
    for (plan, words) in [
        (format!("{contract}devices = [\"x\", \"x\"]"), "listed twice"),
        (format!("{contract}to = \"2026-10-01\""), "ends before it begins"),
        (format!("{contract}coupons = [\"k\"]\n[coupon.k]\noff = \"10 USD\""), "is in USD"),
        (format!("{contract}coupons = [\"k\"]\n[coupon.k]\noff = \"0 %\""), "takes nothing off"),
        (format!("{contract}coupons = [\"k\"]\n[coupon.k]\noff = \"1 EUR/day\""), "off per day"),
        (format!("{contract}prepaid.g = {{ amount = \"1 USD\" }}"), "prepaid credit in USD"),
        (
            format!("{usage}c = {{ usage = \"u\", price = \"1 EUR\", free = \"5 MB\" }}"),
            "MB of u, which is in kWh",
        ),
        (
            format!("{usage}c = {{ usage = \"u\", volume = [{{ up_to = \"5 MWh\" }}, {{}}] }}"),
            "MWh of u, which is in kWh",
        ),
        (format!("{usage}c = {{ usage = \"u\", price = \"1 EUR\", free = -5 }}"), "-5 is below 0"),
        (
            format!(
                "{usage}c = {{ usage = \"u\", package = {{ size = 5, price = \"1 EUR/kWh\" }} }}"
            ),
            "the price is for one package",
        ),
        ("[plan.p]\nc = { flat = \"0,30 €\" }".to_owned(), "write \"0.30 EUR\""),
        ("[plan.p]\nc = { flat = 0.30 }".to_owned(), "amount, currency and unit"),
        ("[plan.p]\nc = { flat = \"1 EUR\", tax = 19 }".to_owned(), "write \"19 %\""),
        ("[plan.p]\nc = { usage = \"u\", percent = 1.5 }".to_owned(), "\"1.5 %\""),
    ] {
        let error = refused(&plan);
        assert!(error.contains(words), "{plan}: {error}");
    }
}
