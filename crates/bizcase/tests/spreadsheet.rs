//! What people type who come from a spreadsheet: taken where it can mean one thing only, else
//! refused with the form that is right.
//!
//! *Invariant:* no number is ever read as two, and no two as one.

use bizcase::{Value, eval};

#[track_caller]
fn number(text: &str) -> f64 {
    match eval(text).map(|found| found.value) {
        Ok(Value::Number(value, _)) => value,
        other => panic!("{text}: {other:?}"),
    }
}

#[track_caller]
fn shown(text: &str) -> String {
    match eval(text) {
        Ok(found) => found.value.text(),
        Err(error) => panic!("{}", error.render("formula", text)),
    }
}

/// The message, which has a place inside the text.
#[track_caller]
fn refused(text: &str) -> String {
    let error = eval(text).expect_err(text);
    assert!(error.span().is_some_and(|at| at.start <= at.end && at.end <= text.len()), "{text}");
    error.to_string()
}

#[test]
fn a_thousands_separator_is_never_read_as_two_numbers() {
    for text in [
        "npv(10 %, [-10,000, 3,000, 4,200])",
        "npv(10 %, -10,000, 3,000, 4,200)",
        "npv(10 %, [-10,500, 3,200])",
        "npv(10%,-10,000,3,000)",
        "irr([-1 000, 600, 600])",
        "1,035.50",
        "1 000 EUR",
        "1'000",
    ] {
        let reason = refused(text);
        assert!(reason.contains("write 1") || reason.contains("10000"), "{text}: {reason}");
    }
    assert_eq!(number("npv(0, [-100,200,300])"), 400.0);
    assert_eq!(number("npv(0, [-100, 200, 300], 0)"), 400.0);
    assert_eq!(number("npv(0, [-10_000, 30_000])"), 20_000.0);
}

#[test]
fn formulas_pasted_from_a_spreadsheet_are_taken() {
    assert_eq!(
        number("=NPV(10%, -10000, 3000, 4200, 6800)"),
        number("npv(10 %, [-10000, 3000, 4200, 6800])")
    );
    assert_eq!(shown("=IRR([-1600, 10000, -10000])"), "[0.25, 4]");
    assert_eq!(shown("5 € + 3 EUR"), "8 EUR");
    let columns = "xirr([[2008-01-01, -10000], [2008-03-01, 2750], [2008-10-30, 4250], \
                   [2009-02-15, 3250], [2009-04-01, 2750]])";
    assert_eq!(shown(columns), "[0.37336253]");
    assert_eq!(shown("xirr([[-100, 2020-01-01], [110, 2020-12-31]])"), "[0.1]");
    assert_eq!(shown("xnpv(0, [[2020-01-01, -100 EUR], [2020-12-31, 110 EUR]])"), "10 EUR");
}

#[test]
fn money_keeps_its_currency_and_two_never_mix() {
    assert_eq!(shown("npv(10 %, [-100 EUR, 60 EUR, 70 EUR], 0)"), "12.396694 EUR");
    assert_eq!(shown("evpi([[10 EUR, -3 EUR], [0, 0]], [20 %, 80 %])"), "2 EUR");
    assert_eq!(shown("ltv_cac(240 EUR, 80 EUR)"), "3");
    assert_eq!(shown("clv(8 EUR, 98 %, 1 %)"), "261.33333 EUR");
    assert_eq!(shown("irr([-100 EUR, 110 EUR])"), "[0.1]");
    assert_eq!(shown("mean([1 EUR, 2 EUR, 6 EUR])"), "3 EUR");
    assert_eq!(shown("cdf(5 to 10 EUR, 10 EUR)"), "0.95");
    for text in [
        "npv(10 %, [-100 EUR, 60 USD])",
        "npv(10 %, [-100, 60 EUR])",
        "ltv_cac(240 EUR, 80 USD)",
        "mean([1 EUR, 2 USD])",
        "cdf(5 to 10 EUR, 10)",
        "clv(96 EUR/year, 90 %, 5 %)",
        "ecv(25 EUR, 60 %, 2, 80 %, 3 EUR)",
    ] {
        refused(text);
    }
}

#[test]
fn a_refusal_names_the_right_form() {
    for (text, form) in [
        ("npv(9 %/year, [-100, 60, 70])", "rate_per_period(9 %, 12)"),
        ("active(100, 2 %/month, 12)", "write 9 %"),
        ("weibull(1.5, 8 years, 48 months)", "write 96"),
        ("billed_mb(720, 1 kB, 10 kB)", "write 1"),
        ("npv(10 %; -100; 60)", "separated by commas"),
        ("xirr([-100, 110], [\"2020-01-01\", \"2021-01-01\"])", "2026-11-25"),
        ("xirr([-100, 110], [01.01.2020, 01.01.2021])", "2026-11-25"),
        ("xirr([-100, 110], [1/1/2020, 1/1/2021])", "2026-11-25"),
        ("irr([-100, 39, 59], 0.1)", "takes no guess"),
        ("npv(10 %, flow = [-100, 60])", "did you mean flows"),
        ("5 percent", "written %"),
        ("31-38 EUR", "31 to 38 EUR"),
        ("31–38 EUR", "31 to 38"),
        ("35 EUR per device", "written /"),
        ("$5", "5 USD"),
        ("EUR 5", "5 EUR"),
        ("10k", "10_000"),
        ("2 monthes", "month"),
        ("nvp(10 %, [1, 2])", "npv"),
        ("AVERAGE(1, 2)", "mean"),
        ("stdev([1, 2])", "sd"),
        ("npv", "npv(...)"),
        ("beta_update(7, 20, 20)", "20 %"),
        ("rice(500, 2, 80, 4)", "80 %"),
        ("mean(90 to 100 %)", "90 to 99.9 %"),
        ("mean(0 to 10 %)", "uniform(0 %, 10 %)"),
        ("xnpv(9 %, [2750, -10000], [2008-03-01, 2008-01-01])", "earliest first"),
    ] {
        let reason = refused(text);
        assert!(reason.contains(form), "{text}: {reason}");
    }
}

#[test]
fn a_careful_reader_is_warned() {
    let warned = |text: &str| eval(text).unwrap().warnings.join("; ");
    assert!(warned("npv(10, [-100, 60])").contains("10 % is written 10 %"));
    assert!(warned("irr([1000, -3000, 2500])").contains("no rate"));
    assert!(warned("irr([-1600, 10000, -10000])").contains("2 rates"));
    assert_eq!(warned("npv(10 %, [-100, 60])"), "");
}

#[test]
fn what_has_no_value_is_refused_and_not_infinite() {
    for text in [
        "mean(lognormal_log(700, 5))",
        "copula_rho(2)",
        "copula_spearman(-1.5)",
        "bass_series(0.03, 0.38, 1000, 2.5)",
        "bass_series(0.03, 0.38, 1000, 1e9)",
        "bass(0.03, 0.38, -1000, 5)",
        "active(100, 2 %, -3)",
        "weibull(1.5, 96, -1)",
        "kano(-1, 2, 3, 4)",
        "iman_conover([[1, 2], [3, 4]], [[1, 0.5], [0.5, 1]], 1.5)",
        "iman_conover([[1, 2], [3, 4]], [[1, 0.5], [0.4, 1]])",
        "simulate(a, a = 1, a = 2)",
        "derl(0.6, 3, 1, 1e-14)",
        "xirr([-100, 110], [2020-01-01, 2020-01-01])",
    ] {
        refused(text);
    }
}

#[test]
fn ends_of_bounded_distributions_are_their_quantiles() {
    assert_eq!(shown("quantiles([3, 1, 2], [0, 0.5, 1])"), "[1, 2, 3]");
    assert_eq!(shown("quantiles(pert(2, 4, 12), [0, 1])"), "[2, 12]");
    refused("quantile(5 to 10, 1)");
}

#[test]
fn functions_of_the_library_can_be_simulated() {
    // Plain numbers give what the function itself gives.
    let Ok(Value::Record(fields)) =
        eval("simulate(npv(10 %, [-100, a, b]), a = 60, b = 70, n = 10)").map(|found| found.value)
    else {
        panic!()
    };
    assert_eq!(fields[0].1, eval("npv(10 %, [-100, 60, 70])").unwrap().value);
    // E[8 x r / (1 + d - r)] for x with mean 1 is the plain value.
    let spread = shown("simulate(clv(m, 98 %, 1 %), m = uniform(6, 10), n = 100000)");
    let mean: f64 = spread.split([' ', ',']).nth(1).unwrap().parse().unwrap();
    assert!((mean / 261.333_33 - 1.0).abs() < 0.01, "{spread}");
    for text in [
        "simulate(irr([-100, a]), a = 60 to 70)",
        "simulate(npv(10 %, a), a = 60 to 70)",
        "simulate(npv(10 %), a = 60 to 70)",
        "simulate(clv(m, 98 %, 1 %), m = 5 to 10 EUR)",
    ] {
        refused(text);
    }
}
