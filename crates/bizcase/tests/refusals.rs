//! Cases that would give a wrong figure silently, and are refused with place and reason instead.
//!
//! *Invariant:* every refusal names its key, and a limit or a form that is right.

use bizcase::case::FindingKind;
use bizcase::{Case, Finding, Run};

const BASE: &str = r#"[case]
horizon = "24 months"
discount = "9 %/year"
fleet_size = "4 devices/customer"
adoption = { added = "100 devices/month" }
churn = "2 %/month"
[case.income]
fee = "9 EUR/device/month"
[case.cost]
bom = "35 EUR/device"
"#;

#[track_caller]
fn finding(text: &str) -> Finding {
    let mut findings = Case::parse(text).expect_err(text);
    assert_eq!(findings.len(), 1, "{findings:?}");
    findings.remove(0)
}

#[track_caller]
fn refused(from: &str, to: &str, key: &str, reason: &str) {
    let text = BASE.replacen(from, to, 1);
    assert_ne!(text, BASE);
    let found = finding(&text);
    assert!(found.key == key && found.reason.contains(reason), "{found:?}");
    assert!(found.span.end > found.span.start && !found.fix.is_empty(), "{found:?}");
}

fn run(text: &str, trials: u32) -> Result<bizcase::Results, bizcase::Error> {
    let case = Case::parse(text).unwrap_or_else(|findings| panic!("{findings:?}"));
    case.run(Run { trials, seed: 1, threads: 1 })
}

#[test]
fn more_than_all_customers_cannot_leave_in_a_year() {
    refused("2 %/month", "120 %/year", "case.churn", "above");
    refused("2 %/month", "60 to 140 %/year", "case.churn", "above");
    assert!(Case::parse(&BASE.replace("2 %/month", "95 %/year")).is_ok());
}

#[test]
fn money_after_the_last_month_is_not_lost_silently() {
    let cost = "[case.cost]\n";
    let at = |month: &str| format!("{cost}x = {{ total = \"5000 EUR\", at = \"{month}\" }}\n");
    refused(cost, &at("month 25"), "case.cost.x.at", "after the last");
    refused(cost, &at("3 years"), "case.cost.x.at", "after the last");
    assert!(Case::parse(&BASE.replacen(cost, &at("2 years"), 1)).is_ok());
    let launch = "added = \"100 devices/month\", launch = \"month 30\"";
    refused("added = \"100 devices/month\"", launch, "case.adoption.launch", "after the last");
    let never =
        "[case.cost]\nx = { each = \"5 EUR/month\", from = \"month 9\", until = \"month 4\" }\n";
    refused(cost, never, "case.cost.x.until", "no time");
}

#[test]
fn two_inputs_have_one_correlation() {
    let uncertain = BASE.replace("2 %/month", "1 to 3 %/month").replace("35 EUR", "31 to 38 EUR");
    let twice = format!(
        "{uncertain}[case.correlation]\n\"cost.bom with churn\" = 0.5\n\"churn with cost.bom\" = -0.5\n"
    );
    assert!(finding(&twice).reason.contains("twice"));
    let once = format!("{uncertain}[case.correlation]\n\"cost.bom with churn\" = 0.5\n");
    for trials in [1, 2, 3, 5] {
        assert_eq!(run(&once, trials).unwrap().npv.count, trials as usize);
    }
}

#[test]
fn trials_without_a_finite_result_are_counted_and_never_left_out() {
    let root = BASE.replace("35 EUR/device", "35 EUR/device * sqrt(q)")
        + "[case.input]\nq = \"normal(1, 1)\"\n";
    let reason = run(&root, 1_000).unwrap_err().to_string();
    assert!(reason.contains("of 1000 trials") && reason.contains("cost.bom"), "{reason}");
    let endless = BASE.replace("35 EUR/device", "1e308 EUR/device");
    assert!(run(&endless, 10).unwrap_err().to_string().contains("10 of 10 trials"));
}

#[test]
fn a_division_by_zero_is_marked_where_it_is_written() {
    let text = format!("{BASE}[case.input]\nz = \"0\"\na = \"1 / z\"\n");
    let found = finding(&text);
    assert_eq!(
        (found.key.as_str(), text.get(found.span.start..found.span.end).unwrap()),
        ("case.input.a", "\"1 / z\"")
    );
}

#[test]
fn what_is_missing_is_told_apart_from_what_is_wrong() {
    let without = BASE.replace("adoption = { added = \"100 devices/month\" }\n", "");
    assert_eq!(finding(&without).kind, FindingKind::Missing);
    assert_eq!(finding(&BASE.replace("churn", "chrun")).kind, FindingKind::Wrong);
}

#[test]
fn money_typed_as_in_a_spreadsheet_gets_the_right_form() {
    for (to, form) in [
        ("1,035 EUR/device", "write 1035"),
        ("35 EUR per device", "written /"),
        ("31-38 EUR/device", "31 to 38 EUR/device"),
        ("pert(31, 35, 38) EUR/device", "inside the brackets"),
    ] {
        refused("35 EUR/device", to, "case.cost.bom", form);
    }
    assert!(Case::parse(&BASE.replace("35 EUR/device", "31 to 38 €/device")).is_ok());
}
