//! Cases from their text to their figures.
//!
//! *Invariant:* a wrong text is refused with place and fix, a right one gives the same bytes on any
//! number of threads.

use bizcase::{Case, Run};
use expect_test::{Expect, expect};

const COOLBOX: &str = include_str!("../../../blueprints/coolbox/blueprint.toml");

fn case(text: &str) -> Case {
    Case::parse(text).unwrap_or_else(|findings| {
        panic!("{}", findings.iter().map(|f| f.render("case.toml", text)).collect::<String>())
    })
}

#[track_caller]
fn refused(text: &str, expected: &Expect) {
    let findings = Case::parse(text).expect_err("the case should be refused");
    expected.assert_eq(
        &findings.iter().map(|f| f.render("case.toml", text)).collect::<Vec<_>>().join("\n"),
    );
}

#[test]
fn coolbox_is_a_case() {
    let case = case(COOLBOX);
    let inputs: String =
        case.variables.iter().map(|v| format!("{} = {} [{}]\n", v.name, v.text, v.unit)).collect();
    expect![[r#"
        discount = 9 %/year [1/month]
        discount.monthly = 9 %/year [1/month]
        fleet_size = 8 to 12 devices/customer [device/customer]
        adoption.bass_p = 0.012/year [1/month]
        adoption.bass_q = 0.31/year [1/month]
        reachable = 4000 to 6000 customers [customer]
        assumption.will_pay = 10 to 45 % []
        churn = 1.2 to 2.5 %/month [1/month]
        plan.care.boxes = 0.30 EUR/device/day [EUR/device/month]
        plan.care.box = 49 EUR/device [EUR/device]
        cost.bom = 31 to 38 EUR/device [EUR/device]
        cost.certification = 18000 to 30000 EUR [EUR]
        cost.radio.fixed = 0.40 EUR/device/month [EUR/device/month]
        cost.radio.data = 0.02 EUR/MB [EUR/MB]
        cost.radio.megabytes = 43200 sessions a month x 10000 B, for 400 B each [MB/device/month]
    "#]]
    .assert_eq(&inputs);
    expect![[r#"
        assumed: hardware outlives the case
        assumed: plan.care.boxes is billed for every day in use
        assumed: plan.care.promise is kept, so it costs nothing
        assumed: cost.radio has 43200 sessions a month x 10000 B, for 400 B each"#]]
    .assert_eq(&case.notes.join("\n"));
    expect![[r#"
        npv = -6666.5617 EUR  <- sum of the lines  [every input at its median]
          plan.care.boxes = 187108.45 EUR  <- present value of amount x device-months
            amount = 9  <- plan.care.boxes
              plan.care.boxes = 9 EUR/device/month  (assumed)  [0.30 EUR/device/day as 9]
          plan.care.box = 58096.737 EUR  <- present value of amount x devices added
            amount = 49  <- plan.care.box
              plan.care.box = 49 EUR/device  (assumed)  [49 EUR/device as 49]
          cost.bom = -40693.806 EUR  <- present value of amount x devices placed
            amount = 34.322005  <- cost.bom
              cost.bom = 34.322005 EUR/device  (assumed)  [31 to 38 EUR/device as lognormal_log(3.5357867, 0.061889688)]
          cost.certification = -23237.9 EUR  <- present value of amount x once in month 0
            amount = 23237.9  <- cost.certification
              cost.certification = 23237.9 EUR  (assumed)  [18000 to 30000 EUR as lognormal_log(10.05354, 0.15527996)]
          cost.radio.fixed = -8315.9311 EUR  <- present value of amount x device-months
            amount = 0.4  <- cost.radio.fixed
              cost.radio.fixed = 0.4 EUR/device/month  (assumed)  [0.40 EUR/device/month as 0.4]
          cost.radio.data = -179624.11 EUR  <- present value of amount x device-months
            amount = 8.64  <- cost.radio.data x cost.radio.megabytes
              cost.radio.data = 0.02 EUR/MB  (assumed)  [0.02 EUR/MB as 0.02]
              cost.radio.megabytes = 432 MB/device/month  (assumed)  [43200 sessions a month x 10000 B, for 400 B each as 432]
    "#]].assert_eq(&case.explain().to_string());
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let case = case(COOLBOX);
    let run =
        |threads| case.run(Run { trials: 3000, seed: 7, threads }).unwrap().json().to_string();
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(3));
    let other = case.run(Run { trials: 3000, seed: 8, threads: 2 }).unwrap().json().to_string();
    assert_ne!(one, other);
}

#[test]
fn every_mistake_comes_at_once_with_place_and_fix() {
    refused(
        MISTAKES,
        &expect![[r#"
            error: case.discount: this has to be in 1/month, it is in EUR
             --> case.toml:7:12
            7 | discount = "9 EUR"
              |            ^^^^^^^
            help: write it like "9 %/year"

            error: case.reachable: this has to be in customer, it is in device
             --> case.toml:8:13
            8 | reachable = "4000 to 6000 devices"
              |             ^^^^^^^^^^^^^^^^^^^^^^
            help: write it like "4000 to 6000 customers"

            error: case.share: there is no [assumption.will_pai]
              --> case.toml:10:10
            10 | share = "assumption.will_pai"
               |          ^^^^^^^^^^^^^^^^^^^
            help: write [assumption.will_pai] with says, holds and guess

            error: case.adoption.bass_q: bass_q is missing
              --> case.toml:11:12
            11 | adoption = { bass_p = "0.012/year", bas_q = "0.31/year" }
               |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            help: write bass_q = "0.31/year"

            error: case.adoption.bas_q: nothing here has this name
              --> case.toml:11:37
            11 | adoption = { bass_p = "0.012/year", bas_q = "0.31/year" }
               |                                     ^^^^^
            help: did you mean bass_q?

            error: case.churn: churn can come above 1: one time in a thousand it is 1.4356596
              --> case.toml:12:9
            12 | churn = "60 to 110 %/month"
               |         ^^^^^^^^^^^^^^^^^^^
            help: choose a range that stays within, such as "1.2 to 2.5 %/month"

            error: case.revenue: there is no [plan.care]
              --> case.toml:13:11
            13 | revenue = "care"
               |           ^^^^^^
            help: write [plan.care] with its lines

            error: case.input.a: the case refers to itself: a needs b needs c needs a
              --> case.toml:15:5
            15 | a = "b * 2"
               |     ^^^^^^^
            help: give one of them its own value

            error: case.cost.hall: m is no unit; units of money and time are EUR, device, customer, month, MB and the like
              --> case.toml:20:11
            20 | hall = "5 m"
               |           ^
            help: write it like hall = "31 to 38 EUR/device"

            error: case.cost.visit: this is in USD, the case in EUR
              --> case.toml:21:9
            21 | visit = "31 to 38 USD/device"
               |         ^^^^^^^^^^^^^^^^^^^^^
            help: use one of EUR/device, EUR/device/month, EUR/month, EUR, EUR/customer, EUR/customer/month
        "#]],
    );
}

const MISTAKES: &str = r#"
[assumption.will_pay]
holds = ">= 30 %"
guess = "45 to 10 %"
[case]
horizon = "60 weeks"
discount = "9 EUR"
reachable = "4000 to 6000 devices"
fleet_size = "8 to 12 devices/customer"
share = "assumption.will_pai"
adoption = { bass_p = "0.012/year", bas_q = "0.31/year" }
churn = "60 to 110 %/month"
revenue = "care"
[case.input]
a = "b * 2"
b = "c + 1"
c = "a / 3"
[case.cost]
bom = "31 to 38 EUR"
hall = "5 m"
visit = "31 to 38 USD/device"
"#;

#[test]
fn a_correlation_has_to_be_possible() {
    let text = COOLBOX.replace(
        "[case.cost]",
        "[case.correlation]\n\"cost.bom with churn\" = 1.5\n\"cost.bom with horizon\" = 0.5\n\
         [case.cost]",
    );
    refused(
        &text,
        &expect![[r#"
        error: case.correlation.cost.bom with churn: this is not a correlation of two uncertain inputs
          --> case.toml:69:25
        69 | "cost.bom with churn" = 1.5
           |                         ^^^
        help: write "cost.bom with churn" = 0.5, within -1 and 1; uncertain here: fleet_size, reachable, assumption.will_pay, churn, cost.bom, cost.certification

        error: case.correlation.cost.bom with horizon: this is not a correlation of two uncertain inputs
          --> case.toml:70:27
        70 | "cost.bom with horizon" = 0.5
           |                           ^^^
        help: write "cost.bom with churn" = 0.5, within -1 and 1; uncertain here: fleet_size, reachable, assumption.will_pay, churn, cost.bom, cost.certification
    "#]],
    );
    let text = COOLBOX.replace(
        "[case.cost]",
        "[case.correlation]\n\"cost.bom with churn\" = 0.9\n\"cost.bom with reachable\" = 0.9\n\
         \"reachable with churn\" = -0.9\n[case.cost]",
    );
    refused(
        &text,
        &expect![[r#"
            error: case.correlation: correlation: these correlations cannot all hold at once (the matrix is not positive definite)
              --> case.toml:68:1
            68 | [case.correlation]
               | ^^^^^^^^^^^^^^^^^^
            help: bring them closer to 0
        "#]],
    );
}

#[test]
fn a_text_that_is_no_toml_is_refused_where_it_breaks() {
    refused(
        "[case]\nhorizon = \"60 months\n",
        &expect![[r#"
        error: file: invalid basic string, expected `"`
         --> case.toml:2:21
        2 | horizon = "60 months
          |                     ^
        help: correct the TOML at this place
    "#]],
    );
    refused(
        "currency = \"EUR\"\n",
        &expect![[r#"
            error: case: there is no [case]
             --> case.toml:1:1
            1 | currency = "EUR"
              | ^
            help: write [case] and below it horizon = "60 months"
        "#]],
    );
}

#[test]
fn a_study_answers_in_one_page() {
    let case = case(COOLBOX);
    let study = case.study(Run { trials: 4000, seed: 1, threads: 2 }, 1 << 10).unwrap();
    expect![[r#"
        4,000 trials, seed 1, simulated

                                                mean           p10           p50           p90
        npv, EUR                              -6,296       -16,938        -7,327         5,520
        irr, %/year                            -3.02         -23.7         -4.01         17.89
        payback, months                        50.53         40.25         52.24         58.64
        cash trough, EUR                     -23,566       -28,433       -23,208       -19,018
        cash trough, month                         0             0             0             0
        margin, EUR/device/month               -0.04         -0.04         -0.04         -0.04
        lifetime value, EUR/device             13.39         10.56         13.47         16.09
        lifetime value / cost to win            none

        chance that npv is above 0: 22.12 %
        chance that it never pays back: 77.88 %
        rates of return of the mean cash, %/year: -1.76; modified: 2.43

        month          cash p5           p50           p95       devices
        0              -30,215       -23,206       -18,013             0
        12             -27,813       -20,772       -15,055         146.8
        24             -25,372       -17,737       -10,221         314.5
        36             -22,911       -13,946        -2,775         512.3
        48             -20,491        -8,998         7,375         748.7
        60             -17,553        -2,719        20,427         1,030

        npv moves with, EUR                   at p10        at p90    alone   in all
        assumption.will_pay                  -14,773         3,836  62.03 %  65.07 %
        cost.certification                    -2,473       -11,783  16.01 %   15.8 %
        cost.bom                              -3,564       -10,026   8.87 %  10.32 %
        reachable                             -9,088        -3,831   5.26 %   6.64 %
        fleet_size                            -9,088        -3,831    5.8 %   6.46 %
        churn                                 -6,723        -6,606  -0.01 %      0 %

        npv is 0, all else at its median, when
          fleet_size                            13.74 instead of 9.798 device/customer
          adoption.bass_p                    0.001461 instead of 0.001 1/month
          adoption.bass_q                     0.03647 instead of 0.02583 1/month
          reachable                              6870 instead of 4899 customer
          assumption.will_pay                  0.3454 instead of 0.2463
          plan.care.boxes                       9.321 instead of 9 EUR/device/month
          plan.care.box                         54.62 instead of 49 EUR/device
          cost.bom                               28.7 instead of 34.32 EUR/device
          cost.certification                    16570 instead of 23240 EUR
          cost.radio.fixed                    0.07934 instead of 0.4 EUR/device/month
          cost.radio.data                     0.01926 instead of 0.02 EUR/MB
          cost.radio.megabytes                    416 instead of 432 MB/device/month
        note: assumed: hardware outlives the case
        note: assumed: plan.care.boxes is billed for every day in use
        note: assumed: plan.care.promise is kept, so it costs nothing
        note: assumed: cost.radio has 43200 sessions a month x 10000 B, for 400 B each
    "#]]
    .assert_eq(&study.text());
    let same = case.study(Run { trials: 4000, seed: 1, threads: 3 }, 1 << 10).unwrap();
    assert_eq!(study.to_json(), same.to_json());
}

#[test]
fn formulas_distributions_and_a_unit_that_counts_for_all() {
    let text = "[case]
horizon = \"1 year\"
discount = \"0 %/year\"
adoption = { added = \"10 devices/month\" }
[case.input]
parts = \"pert(2, 4, 12 EUR/device)\"
yield = \"98 %\"
scrap = \"uniform(1, 3 %)\"
[case.income]
sale = \"parts / yield * (1 + scrap) * clamp(3, 1, 2) + least(1 EUR/device, 2 EUR/device)\"
rent = { each = \"pow(2, 3) * 1 EUR/device/month\", from = \"month 2\", growth = \"12 %/year\" }
";
    let case = case(text);
    let slot = case.slot("income.sale").unwrap();
    let medians = case.medians();
    let parts = medians[case.slot("parts").unwrap()];
    assert!((medians[slot] - (parts / 0.98 * 1.02 * 2.0 + 1.0)).abs() < 1e-12);
    assert!((parts - 4.766_72).abs() < 5e-6, "{parts}");
    assert_eq!(case.variables[slot].unit.to_string(), "EUR/device");
}

#[test]
fn the_case_of_every_blueprint_here_runs() {
    let all = concat!(env!("CARGO_MANIFEST_DIR"), "/../../blueprints");
    let mut run = 0;
    for folder in std::fs::read_dir(all).unwrap() {
        let path = folder.unwrap().path().join("blueprint.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        if text.contains("[case]") {
            let study = case(&text).study(Run { trials: 200, seed: 1, threads: 2 }, 64).unwrap();
            assert!(study.results.npv.mean.is_finite(), "{}", path.display());
            run += 1;
        }
    }
    assert!(run > 0);
}

const FLEET: &str = "[case]
horizon = \"12 months\"
discount = \"1 %/month\"
adoption = { added = \"100 devices/month\" }
churn = \"2 %/month\"
[case.income]
rent = \"10 EUR/device/month\"
[case.cost]
set_up = { total = \"5000 EUR\" }
";

#[test]
fn b5_a_fleet_of_100_more_each_month_with_two_percent_churn() {
    let results = case(FLEET).run(Run { trials: 8, seed: 1, threads: 1 }).unwrap();
    let last = results.months.last().unwrap();
    assert!((last.base.p50 - 1076.4164).abs() < 5e-5, "{}", last.base.p50);
    // The same figures by the library of `eval`.
    let flows: Vec<f64> = results.months.iter().map(|m| m.mean_cash).collect();
    let npv = bizcase::calc::finance::npv(0.01, &flows, 0.0).unwrap();
    assert!((results.npv.mean - npv).abs() < 1e-8);
    let irr = bizcase::calc::finance::irr(&flows).unwrap();
    assert!((results.irr_of_mean[0] - ((1.0 + irr[0]).powi(12) - 1.0)).abs() < 1e-9);
    assert!((results.irr.unwrap().mean - results.irr_of_mean[0]).abs() < 1e-9);
}

/// Devices by cohort and age, one by one: slow, and obviously what the case says.
fn by_hand(months: usize, churn: f64, weibull: (f64, f64), then: &str) -> (f64, f64) {
    let survives = |age: usize| (-(age as f64 / weibull.1).powf(weibull.0)).exp();
    // Working devices by (month the customer came, age of the device).
    let mut fleet: Vec<Vec<f64>> = Vec::new();
    let mut replaced = 0.0;
    for _month in 1..=months {
        for ages in &mut fleet {
            let mut failed = 0.0;
            let mut next = vec![0.0; ages.len() + 1];
            for (age, count) in ages.iter().enumerate() {
                let stay = count * (1.0 - churn);
                let works = survives(age + 1) / survives(age);
                next[age + 1] = stay * works;
                failed += stay * (1.0 - works);
            }
            if then == "replaced" {
                next[0] = failed;
                replaced += failed;
            }
            *ages = next;
        }
        fleet.push(vec![100.0]);
    }
    (fleet.iter().flatten().sum(), replaced)
}

#[test]
fn the_installed_base_is_what_counting_device_by_device_gives() {
    for then in ["lost", "replaced"] {
        let survival = format!(
            "survival = {{ weibull_shape = \"1.7\", weibull_scale = \"9 months\", then = \"{then}\" }}
[case.income]"
        );
        let text = FLEET.replace("[case.income]", &survival).replace(
            "[case.cost]",
            "[case.cost]\nswap = { each = \"1 EUR/device\", per = \"replaced\" }",
        );
        let results = case(&text).run(Run { trials: 2, seed: 1, threads: 1 }).unwrap();
        let (base, replaced) = by_hand(12, 0.02, (1.7, 9.0), then);
        assert!((results.months[12].base.p50 - base).abs() < 1e-9, "{then}");
        let cash: f64 = results.months.iter().map(|m| m.mean_cash).sum();
        let rent: f64 = results.months.iter().map(|m| 10.0 * m.base.p50).sum();
        assert!((rent - 5000.0 - replaced - cash).abs() < 1e-6, "{then}: {replaced}");
    }
}

#[test]
fn b11_the_least_a_network_bills_is_in_the_case() {
    let megabytes = |every: &str, payload: &str, increment: &str| {
        let text = format!(
            "[device.box.readings]\nbeat = {{ unit = \"1\", every = \"{every}\" }}\n{}\n\
             radio = {{ data = \"1 EUR/MB\", payload = \"{payload}\"{increment} }}\n",
            FLEET
        );
        let case = case(&text);
        case.medians()[case.slot("cost.radio.megabytes").unwrap()]
    };
    let close = |left: f64, right: f64| assert!((left - right).abs() < 1e-9, "{left} {right}");
    close(megabytes("1 h", "1 kB", ", increment = \"10 kB\""), 7.2);
    close(megabytes("1 h", "1 kB", ", increment = \"25 kB\""), 18.0);
    close(megabytes("1 h", "1 kB", ""), 0.72);
    close(megabytes("1 min", "11 kB", ", increment = \"10 kB\""), 864.0);
}

#[test]
fn two_scenarios_differ_by_their_changes() {
    let run = Run { trials: 2000, seed: 3, threads: 2 };
    let before = case(COOLBOX);
    let after = case(&COOLBOX.replace("every = \"1 min\"", "every = \"15 min\""));
    let diff = before.diff(&after, run).unwrap();
    let names: Vec<&str> = diff.changes.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["cost.radio.megabytes"]);
    assert!(diff.changes[0].npv > 100_000.0, "{diff:?}");
    assert!((diff.before + diff.changes[0].npv + diff.structure - diff.after).abs() < 1e-6);
}

#[test]
fn measured_values_take_the_place_of_guesses() {
    let mut measured = case(COOLBOX);
    let d = bizcase::Distribution::beta(20.0, 60.0, 0.0, 1.0).unwrap();
    assert!(measured.set("assumption.will_pay", d));
    let run = Run { trials: 4000, seed: 3, threads: 2 };
    let (wide, narrow) = (case(COOLBOX).run(run).unwrap(), measured.run(run).unwrap());
    assert!(narrow.npv.sd < wide.npv.sd);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]
    #[test]
    fn any_damaged_case_is_refused_or_runs(at in 0..3000_usize, cut in 0..40_usize, put in "[\\PC]{0,6}") {
        let mut text = String::new();
        let end = at + cut;
        text.extend(COOLBOX.chars().take(at));
        text += &put;
        text.extend(COOLBOX.chars().skip(end));
        match Case::parse(&text) {
            Ok(case) => drop(case.npv_of(&case.medians())),
            Err(findings) => {
                proptest::prop_assert!(!findings.is_empty());
                for finding in findings {
                    let inside = finding.span.end <= text.len() && finding.line >= 1;
                    proptest::prop_assert!(inside && !finding.fix.is_empty());
                    proptest::prop_assert!(finding.render("x", &text).starts_with("error: "));
                }
            }
        }
    }

}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
    #[test]
    fn the_fan_of_any_month_opens_upward(seed in 0..u64::MAX, trials in 1..400_u32) {
        let results = case(COOLBOX).run(Run { trials, seed, threads: 1 }).unwrap();
        for month in &results.months {
            for fan in [month.cash, month.cumulative, month.base] {
                proptest::prop_assert!(fan.p5 <= fan.p50 && fan.p50 <= fan.p95);
            }
        }
    }
}
