//! Worked numbers of spreadsheets, papers and books, by the names they have in the reference.
//!
//! *Invariant:* each number here was computed by somebody else.

use bizcase::calc::adoption;
use bizcase::calc::connectivity::billed_mb;
use bizcase::calc::decision::{ecv, evpi, evsi, expected_value, rice, wsjf};
use bizcase::calc::evidence::{BetaBelief, bayes, bayes_by_source, beta_update, brier, frechet};
use bizcase::calc::finance::{clv, irr, mirr, npv, xirr, xnpv};
use bizcase::calc::options::{self, Exercise, OptionTerms, Right};
use bizcase::calc::statistics::kendall_w;
use bizcase::calc::survey::{conjoint, logit_shares, price_sensitivity};
use bizcase::{Value, eval};

#[track_caller]
fn close(left: f64, right: f64, tolerance: f64) {
    assert!((left - right).abs() <= tolerance, "{left} is not {right}");
}

#[test]
fn a1_belief_about_a_rate_after_seven_of_twenty() {
    let belief = beta_update(BetaBelief::FLAT, 7.0, 20.0, 1.0).unwrap();
    close(belief.mean(), 0.363_636, 5e-7);
    close(belief.quantile(0.05), 0.205_75, 5e-6);
    close(belief.quantile(0.95), 0.535_94, 5e-6);
    close(belief.at_least(0.2), 0.956_947, 5e-7);
    let stated = beta_update(BetaBelief::FLAT, 7.0, 20.0, 0.5).unwrap();
    close(stated.at_least(0.2), 0.906_441, 5e-7);
    let weaker = beta_update(BetaBelief::FLAT, 7.0, 20.0, 0.3).unwrap();
    close(weaker.at_least(0.2), 0.869_877, 5e-7);
    close(weaker.mean(), 0.3875, 1e-12);
    close(weaker.a, 3.1, 1e-12);
    close(weaker.b, 4.9, 1e-12);
}

#[test]
fn a2_likelihood_ratios_multiply_odds() {
    close(bayes(0.1, &[3.0, 2.5, 4.0]).unwrap(), 0.769_231, 5e-7);
    // Two ratios of one source: 3 counts, 2.5 does not; odds 1/9 x 3 x 4.
    let sources = [vec![3.0, 2.5], vec![4.0]];
    close(bayes_by_source(0.1, &sources).unwrap(), 12.0 / 21.0, 1e-12);
    // A strong no of the same source outweighs its weak yes.
    close(bayes_by_source(0.5, &[vec![2.0, 0.1]]).unwrap(), 1.0 / 11.0, 1e-12);
}

#[test]
fn a3_joint_probability_and_its_bounds() {
    let joint = frechet(&[0.8, 0.7, 0.6]).unwrap();
    close(joint.low, 0.1, 1e-12);
    close(joint.product, 0.336, 1e-12);
    close(joint.high, 0.6, 1e-12);
}

#[test]
fn a4_value_of_information() {
    let payoffs = [vec![10.0, -3.0], vec![0.0, 0.0]];
    let p = [0.2, 0.8];
    close(expected_value(&payoffs, &p).unwrap(), 0.0, 1e-12);
    close(evpi(&payoffs, &p).unwrap(), 2.0, 1e-12);
    let signals = [vec![0.8, 0.2], vec![0.2, 0.8]];
    close(evsi(&payoffs, &p, &signals).unwrap(), 1.12, 1e-12);
    close(bayes(0.2, &[0.8 / 0.2]).unwrap(), 0.5, 1e-12);
    close(bayes(0.2, &[0.2 / 0.8]).unwrap(), 0.058_823_5, 5e-8);
}

#[test]
fn a5_scores() {
    close(ecv(25.0, 0.6, 2.0, 0.8, 3.0).unwrap(), 7.4, 1e-12);
    close(rice(500.0, 2.0, 0.8, 4.0).unwrap(), 200.0, 1e-12);
    close(wsjf(8.0, 5.0, 3.0, 5.0).unwrap(), 3.2, 1e-12);
}

#[test]
fn a6_price_sensitivity_of_five_people() {
    let too_cheap = [10.0, 15.0, 20.0, 20.0, 25.0];
    let cheap = [20.0, 25.0, 30.0, 30.0, 40.0];
    let expensive = [35.0, 40.0, 45.0, 50.0, 60.0];
    let too_expensive = [50.0, 55.0, 60.0, 70.0, 80.0];
    let mut answers: Vec<[f64; 4]> =
        (0..5).map(|i| [too_cheap[i], cheap[i], expensive[i], too_expensive[i]]).collect();
    answers.push([30.0, 20.0, 40.0, 50.0]);
    let psm = price_sensitivity(&answers).unwrap();
    assert_eq!((psm.marginal_cheapness.low, psm.marginal_cheapness.high), (25.0, 25.0));
    assert_eq!((psm.indifference.low, psm.indifference.high), (35.0, 35.0));
    assert_eq!((psm.marginal_expensiveness.low, psm.marginal_expensiveness.high), (50.0, 50.0));
    assert_eq!((psm.optimal.low, psm.optimal.high), (30.0, 45.0));
    assert_eq!(psm.intransitive, 1);
}

#[test]
fn a7_agreement_and_calibration() {
    let ranks = [vec![1.0, 2.0, 3.0, 4.0], vec![2.0, 1.0, 3.0, 4.0], vec![1.0, 3.0, 2.0, 4.0]];
    close(kendall_w(&ranks).unwrap(), 0.777_778, 5e-7);
    let p = [0.8, 0.3, 0.6, 0.9, 0.4];
    close(brier(&p, &[1.0, 0.0, 1.0, 1.0, 1.0]).unwrap(), 0.132, 1e-12);
}

#[test]
fn a8_part_worths_of_two_attributes() {
    let profiles = [vec![0.0, 0.0], vec![0.0, 1.0], vec![1.0, 0.0], vec![1.0, 1.0]];
    let worths = conjoint(&profiles, &[6.0, 10.0, 2.0, 6.0]).unwrap();
    close(worths.intercept, 6.0, 1e-12);
    for attribute in &worths.worths {
        close(attribute[0].abs(), 2.0, 1e-12);
        close(attribute[0] + attribute[1], 0.0, 1e-12);
    }
    close(worths.importance[0], 0.5, 1e-12);
    close(logit_shares(&[1.0, 0.0]).unwrap()[0], 0.731_059, 5e-7);
}

#[test]
fn b1_spreadsheet_functions() {
    close(npv(0.1, &[-10_000.0, 3000.0, 4200.0, 6800.0], 1.0).unwrap(), 1188.4434, 5e-5);
    let shop = npv(0.08, &[8000.0, 9200.0, 10_000.0, 12_000.0, 14_500.0], 1.0).unwrap();
    close(shop - 40_000.0, 1922.0616, 5e-5);
    let rates = irr(&[-70_000.0, 12_000.0, 15_000.0, 18_000.0, 21_000.0]).unwrap();
    assert_eq!(rates.len(), 1);
    close(rates[0], -0.021_245, 5e-7);
    let flows = [-120_000.0, 39_000.0, 30_000.0, 21_000.0, 37_000.0, 46_000.0];
    close(mirr(&flows, 0.1, 0.12).unwrap(), 0.126_094, 5e-7);
    // 2008-01-01, 03-01, 10-30, 2009-02-15, 04-01 as days after the first.
    let (flows, days) =
        ([-10_000.0, 2750.0, 4250.0, 3250.0, 2750.0], [0.0, 60.0, 303.0, 411.0, 456.0]);
    close(xnpv(0.09, &flows, &days).unwrap(), 2086.6476, 5e-5);
    let rates = xirr(&flows, &days).unwrap();
    assert_eq!(rates.len(), 1);
    close(rates[0], 0.373_362_5, 5e-7);
}

#[test]
fn b1_dates_are_read_as_dates() {
    let text = "xnpv(9 %, [-10000, 2750, 4250, 3250, 2750], \
                [2008-01-01, 2008-03-01, 2008-10-30, 2009-02-15, 2009-04-01])";
    let Value::Number(value, _) = eval(text).unwrap().value else { panic!() };
    close(value, 2086.6476, 5e-5);
}

#[test]
fn b2_both_rates_are_printed_and_neither_is_advised() {
    let answer = eval("irr(-1600, 10000, -10000)").unwrap();
    assert_eq!(answer.value.text(), "[0.25, 4]");
    assert!(answer.warnings[0].contains("use npv or mirr"), "{:?}", answer.warnings);
}

#[test]
fn b3_bass_diffusion() {
    let expected = [35.758, 85.056, 150.5, 233.15, 331.199];
    for (t, expected) in (1..).zip(expected) {
        close(1000.0 * adoption::bass(0.03, 0.38, f64::from(t)).unwrap(), expected, 5e-4);
    }
    let peak = adoption::bass_peak(0.03, 0.38, 1000.0).unwrap();
    close(peak.time, 6.192_619, 5e-7);
    close(peak.rate, 110.592_105, 5e-7);
    close(peak.cumulative, 460.526_316, 5e-7);
    let rows = [
        (0.010_399, 0.418_61, 16_895.0, 8.61, 1857.0),
        (0.017_206, 0.356_88, 15_092.0, 8.11, 1479.5),
    ];
    for (p, q, m, time, rate) in rows {
        let peak = adoption::bass_peak(p, q, m).unwrap();
        close(peak.time, time, 5e-3);
        close(peak.rate, rate, 0.05);
    }
    // Irons and record players: the table has no peak rate for them.
    close(adoption::bass_peak(0.028_632, 0.327_91, 55_696.0).unwrap().time, 6.84, 5e-3);
    close(adoption::bass_peak(0.024_796, 0.654_10, 21_937.0).unwrap().time, 4.82, 5e-3);
}

#[test]
fn b4_shifted_beta_geometric() {
    let survivors = [0.869, 0.743, 0.653, 0.593, 0.551, 0.517, 0.491];
    let fit = adoption::sbg_fit(&survivors, 1000.0).unwrap();
    close(fit.alpha, 0.668_09, 5e-5);
    close(fit.beta, 3.806_09, 5e-4);
    close(fit.log_likelihood, -1611.158, 5e-4);
    for (t, expected) in (8..).zip([0.460, 0.436, 0.414, 0.395, 0.378]) {
        close(adoption::sbg(fit.alpha, fit.beta, f64::from(t)).unwrap(), expected, 5e-4);
    }
    close(adoption::derl(fit.alpha, fit.beta, 8.0, 0.1).unwrap(), 7.530, 5e-4);
}

/// The table calls 400 the undiscounted value, but its own formula m r / (1 + d - r) gives 392 at
/// d = 0: 400 is m / (1 - r), which counts the first margin, certain at the start, as well.
#[test]
fn b5_customer_value_and_active_devices() {
    close(clv(8.0, 0.98, 0.01).unwrap(), 261.3333, 5e-5);
    close(clv(8.0, 0.98, 0.0).unwrap(), 392.0, 1e-9);
    close(clv(8.0, 0.98, 0.0).unwrap() + 8.0, 400.0, 1e-9);
    close(adoption::active(100.0, 0.02, 12.0).unwrap(), 1076.4164, 5e-5);
}

#[test]
fn b6_right_to_wait() {
    let deferral = options::defer(100.0, 180.0, 60.0, 0.08, 104.0).unwrap();
    close(deferral.probability, 0.4, 1e-12);
    close(deferral.invest_now, -4.0, 1e-12);
    close(deferral.wait, 25.0667, 5e-5);
}

#[test]
fn b7_lattice_and_black_scholes() {
    let put =
        OptionTerms { spot: 50.0, strike: 50.0, rate: 0.1, volatility: 0.4, years: 5.0 / 12.0 };
    for (steps, expected) in [(5, 4.488_46), (30, 4.263_43), (500, 4.283_02)] {
        let value = options::lattice(put, Right::Put, Exercise::American, steps).unwrap();
        close(value, expected, 5e-6);
    }
    let terms = OptionTerms { spot: 42.0, strike: 40.0, rate: 0.1, volatility: 0.2, years: 0.5 };
    close(options::black_scholes(terms, Right::Call).unwrap(), 4.759_422, 5e-7);
    close(options::black_scholes(terms, Right::Put).unwrap(), 0.808_599, 5e-7);
    let european = options::lattice(terms, Right::Call, Exercise::European, 4000).unwrap();
    close(european, 4.759_422, 5e-4);
}

#[test]
fn b11_a_heartbeat_is_billed_ten_times() {
    close(billed_mb(720.0, 1.0, 10.0).unwrap(), 7.2, 1e-12);
    close(billed_mb(720.0, 1.0, 25.0).unwrap(), 18.0, 1e-12);
    close(billed_mb(720.0, 1.0, 0.0).unwrap(), 0.72, 1e-12);
}
