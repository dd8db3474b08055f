//! Evidence, experiments, forecasts and risks against numbers computed elsewhere.
//!
//! *Invariant:* tests named a1 to a5 give the worked numbers of that name.

#![expect(clippy::unwrap_used, reason = "a fixture that does not read is a failed test")]

use std::collections::BTreeMap;

use bizcase::calc::evidence::BetaBelief;
use bizcase::{Basis, Distribution};
use blueprint::{Blueprint, Counts, ExperimentKind};
use expr::Comparison;
use model::Timestamp;
use proptest::prelude::*;
use venture::belief::{Prior, Relevance, all_hold};
use venture::experiment::{
    ExperimentState, assumption_state, claim, moved_bars, moved_thresholds, state_of,
};
use venture::next::{Candidate, Stake, ranked, worth};
use venture::{Belief, Claim, Error, Evidence, Outcome, forecast, register, results};

const COOLBOX: &str = include_str!("../../../blueprints/coolbox/blueprint.toml");
const NOW: Timestamp = Timestamp::from_millis(1_795_600_000_000);

#[track_caller]
fn close(left: f64, right: f64, tolerance: f64) {
    assert!((left - right).abs() <= tolerance, "{left} is not {right}");
}

fn blueprint(text: &str) -> Blueprint {
    let parsed = Blueprint::parse(text);
    let shown = blueprint::render(&parsed.diagnostics, "blueprint.toml", text);
    parsed.blueprint.expect(&shown)
}

fn rate(threshold: f64) -> Claim {
    Claim {
        name: "rate".to_owned(),
        comparison: Comparison::AtLeast,
        threshold,
        prior: Prior::Share(BetaBelief::FLAT),
        prior_source: "none".to_owned(),
    }
}

fn piece(id: &str, source: &str, kind: ExperimentKind, outcome: Outcome) -> Evidence {
    let (id, source) = (id.to_owned(), source.to_owned());
    Evidence { id, source, at: Timestamp::from_millis(1_795_500_000_000), kind, outcome }
}

fn counts(id: &str, kind: ExperimentKind, of: u64, out_of: u64) -> Evidence {
    piece(id, id, kind, Outcome::Counts { of, out_of })
}

fn weigh(claim: &Claim, evidence: &[Evidence]) -> Belief {
    claim.weigh(evidence, &Relevance::default(), NOW).unwrap()
}

#[test]
fn a1_seven_of_twenty_by_kind_of_evidence() {
    let measured = weigh(&rate(0.2), &[counts("pilot", ExperimentKind::Measure, 7, 20)]);
    close(measured.probability, 0.956_947, 5e-7);
    let value = measured.value.unwrap();
    close(value.mean(), 0.363_636, 5e-7);
    close(value.quantile(0.05), 0.205_75, 5e-6);
    close(value.quantile(0.95), 0.535_94, 5e-6);
    assert_eq!(measured.basis, Basis::Measured);
    let done = weigh(&rate(0.2), &[counts("click", ExperimentKind::Do, 7, 20)]);
    close(done.probability, 0.906_441, 5e-7);
    let said = weigh(&rate(0.2), &[counts("ask", ExperimentKind::Say, 7, 20)]);
    close(said.probability, 0.869_877, 5e-7);
    close(said.share.unwrap().a, 3.1, 1e-12);
    close(said.share.unwrap().b, 4.9, 1e-12);
    assert_eq!(said.basis, Basis::Assumed);
}

#[test]
fn a2_a_source_counts_once() {
    let claim = Claim { prior: Prior::YesNo(0.1), ..rate(0.0) };
    let ratio = |id: &str, source: &str, ratio: f64| {
        piece(id, source, ExperimentKind::Do, Outcome::Ratio(ratio))
    };
    let three = [ratio("a", "x", 3.0), ratio("b", "y", 2.5), ratio("c", "z", 4.0)];
    close(weigh(&claim, &three).probability, 0.769_231, 5e-7);
    let two = [ratio("a", "x", 3.0), ratio("b", "x", 2.5), ratio("c", "z", 4.0)];
    let belief = weigh(&claim, &two);
    close(belief.probability, 12.0 / 21.0, 1e-12);
    assert_eq!(belief.evidence, 2);
    // The strongest counts in either direction: a tenth is farther from 1 than 2.
    let torn = [ratio("a", "x", 2.0), ratio("b", "x", 0.1)];
    let even = Claim { prior: Prior::YesNo(0.5), ..claim };
    close(weigh(&even, &torn).probability, 1.0 / 11.0, 1e-12);
}

#[test]
fn a3_all_hold_between_bounds() {
    let beliefs =
        [0.8, 0.7, 0.6].map(|p| weigh(&Claim { prior: Prior::YesNo(p), ..rate(0.0) }, &[]));
    let named: Vec<(&str, &Belief)> = beliefs.iter().map(|b| ("claim", b)).collect();
    let (low, high, explain) = all_hold(&named).unwrap();
    close(low, 0.1, 1e-12);
    close(high, 0.6, 1e-12);
    close(explain.value.unwrap(), 0.336, 1e-12);
    assert_eq!(explain.inputs.len(), 3);
}

fn candidate() -> Candidate {
    Candidate {
        name: "preorder".to_owned(),
        belief: BetaBelief::FLAT,
        comparison: Comparison::AtLeast,
        threshold: 0.8,
        stake: Stake { win: 10.0, lose: 3.0 },
        asked: 40,
        relevance: 1.0,
        cost: 0.2,
        days: 10.0,
    }
}

#[test]
fn a4_the_stakes_give_the_known_value_of_knowing() {
    // P(holds) = 0.2, win 10, lose 3: nothing to gain now, 2.0 by knowing.
    let worth = worth(&candidate()).unwrap();
    close(worth.evpi, 2.0, 1e-9);
    assert!(worth.evsi > 1.12 && worth.evsi < 2.0, "{}", worth.evsi);
    close(worth.per_day, (worth.evsi - 0.2) / 10.0, 1e-12);
    // The test with TPR 0.8 and FPR 0.2.
    let signals = [vec![0.8, 0.2], vec![0.2, 0.8]];
    let payoffs = [vec![10.0, -3.0], vec![0.0, 0.0]];
    let evsi = bizcase::calc::decision::evsi(&payoffs, &[0.2, 0.8], &signals).unwrap();
    close(evsi, 1.12, 1e-12);
}

#[test]
fn a5_scores_show_their_formula() {
    let rice = register::Score::Rice { reach: 500.0, impact: 2.0, confidence: 0.8, effort: 4.0 };
    let rice = rice.explain().unwrap();
    close(rice.value.unwrap(), 200.0, 1e-12);
    assert_eq!(rice.formula, "reach x impact x confidence / effort");
    let wsjf = register::Score::Wsjf { value: 8.0, urgency: 5.0, risk: 3.0, size: 5.0 };
    close(wsjf.explain().unwrap().value.unwrap(), 3.2, 1e-12);
    let mine = register::Score::Weighted(vec![("fit".into(), 4.0, 2.0), ("size".into(), 1.0, 1.0)]);
    close(mine.explain().unwrap().value.unwrap(), 3.0, 1e-12);
}

#[test]
fn asking_weakly_is_worth_less_and_the_best_per_day_comes_first() {
    let strong = candidate();
    let weak = Candidate { name: "survey".into(), relevance: 0.3, ..candidate() };
    let slow = Candidate { name: "pilot".into(), days: 90.0, ..candidate() };
    let order = ranked(&[slow, weak, strong]).unwrap();
    let names: Vec<&str> = order.iter().map(|w| w.name.as_str()).collect();
    assert_eq!(names, ["preorder", "survey", "pilot"]);
    assert!(order[1].evsi < order[0].evsi);
    assert!(worth(&Candidate { asked: 0, ..candidate() }).is_err());
    assert!(worth(&Candidate { asked: 1_000_000, ..candidate() }).is_err());
}

#[test]
fn evidence_from_the_future_is_refused() {
    let later = Evidence {
        at: Timestamp::from_millis(NOW.as_millis() + 1),
        ..counts("pilot", ExperimentKind::Measure, 7, 20)
    };
    let refused = rate(0.2).weigh(&[later], &Relevance::default(), NOW);
    let Err(Error::Future { id, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(id, "pilot");
}

#[test]
fn evidence_of_another_form_is_refused() {
    let ratio = piece("a", "x", ExperimentKind::Do, Outcome::Ratio(3.0));
    assert!(rate(0.2).weigh(&[ratio], &Relevance::default(), NOW).is_err());
    let more = counts("a", ExperimentKind::Do, 21, 20);
    assert!(rate(0.2).weigh(&[more], &Relevance::default(), NOW).is_err());
}

#[test]
fn a_quantity_moves_towards_what_was_measured() {
    let prior = Distribution::lognormal_interval(5.0, 10.0).unwrap();
    let claim = Claim {
        comparison: Comparison::AtMost,
        threshold: 6.0,
        prior: Prior::Quantity(prior.clone()),
        ..rate(0.0)
    };
    let before = weigh(&claim, &[]);
    close(before.probability, prior.cdf(6.0), 1e-12);
    let found =
        piece("pilot", "fleet", ExperimentKind::Measure, Outcome::Mean { mean: 5.0, error: 0.25 });
    let after = weigh(&claim, &[found]);
    assert!(after.probability > 0.99, "{}", after.probability);
    // Precisions add: 1 / sigma^2 = 1 / 0.210702^2 + 1 / 0.05^2.
    let sd = (1.0 / (1.0 / (0.210_702_f64 * 0.210_702) + 400.0)).sqrt();
    let value = after.value.unwrap();
    let bizcase::dist::Family::Lognormal { sigma, .. } = *value.family() else { panic!() };
    close(sigma, sd, 1e-6);
}

#[test]
fn the_blueprints_guess_is_the_prior() {
    let blueprint = blueprint(COOLBOX);
    let name = "will_pay".parse().unwrap();
    let claim = claim(&name, &blueprint.assumptions["will_pay"]).unwrap();
    close(claim.threshold, 0.3, 1e-12);
    let before = weigh(&claim, &[]);
    let value = before.value.clone().unwrap();
    close(value.cdf(0.1), 0.05, 1e-6);
    close(value.cdf(0.45), 0.95, 1e-6);
    assert_eq!(before.basis, Basis::Assumed);
    let after = weigh(&claim, &[counts("preorder", ExperimentKind::Pay, 16, 40)]);
    assert!(after.probability > before.probability);
    expect_test::expect![[r#"
        assumption.will_pay = 0.77398709  <- P(share >= 0.3) of beta(16.820184, 30.83064)  [power prior, Ibrahim and Chen 2000]
          prior a = 4.0201839  (assumed)  [guess: beta, 90 % between 10 and 45 %]
          prior b = 11.63064  (assumed)  [guess: beta, 90 % between 10 and 45 %]
          preorder (pay) = 0.8  <- a + 0.8 x of, b + 0.8 x (out of - of)
            of = 16  (measured)  [preorder]
            out of = 40  (measured)  [preorder]
    "#]].assert_eq(&after.explain.to_string());
}

#[test]
fn bars_with_results_cannot_be_moved() {
    let before = blueprint(COOLBOX);
    let easier = blueprint(
        &COOLBOX
            .replace("pass  = \">= 35 %\"", "pass  = \">= 30 %\"")
            .replace("holds = \">= 30 %\"", "holds = \">= 25 %\""),
    );
    let none = BTreeMap::new();
    assert!(moved_bars(&before.experiments, &easier.experiments, &none).is_empty());
    let some: BTreeMap<model::Name, u64> = [("preorder".parse().unwrap(), 12)].into();
    let moved = moved_bars(&before.experiments, &easier.experiments, &some);
    expect_test::expect!["preorder.pass was >= 35 % and is >= 30 %, but it has 12 results: a bar with results cannot be moved; start another experiment"].assert_eq(&moved[0].to_string());
    assert_eq!(moved.len(), 1);
    let gone = moved_bars(&before.experiments, &BTreeMap::new(), &some);
    assert!(!gone.is_empty(), "an experiment with results cannot vanish");
    let some: BTreeMap<model::Name, u64> = [("will_pay".parse().unwrap(), 12)].into();
    assert_eq!(moved_thresholds(&before.assumptions, &easier.assumptions, &some).len(), 1);
    assert!(moved_thresholds(&before.assumptions, &before.assumptions, &some).is_empty());
}

#[test]
fn an_experiment_is_judged_when_all_results_are_in() {
    let blueprint = blueprint(COOLBOX);
    let preorder = &blueprint.experiments["preorder"];
    assert_eq!(state_of(preorder, 0, 0), ExperimentState::Planned);
    assert_eq!(state_of(preorder, 20, 20), ExperimentState::Running);
    assert_eq!(state_of(preorder, 14, 40), ExperimentState::Passed);
    assert_eq!(state_of(preorder, 13, 40), ExperimentState::Undecided);
    assert_eq!(state_of(preorder, 3, 40), ExperimentState::Killed);
    let stands = |results: &[(u64, u64)]| {
        let states: Vec<_> = results.iter().map(|(x, n)| state_of(preorder, *x, *n)).collect();
        assumption_state(&states).as_str()
    };
    assert_eq!(stands(&[]), "untested");
    assert_eq!(stands(&[(0, 0), (5, 9)]), "testing");
    assert_eq!(stands(&[(13, 40), (0, 0)]), "open");
    assert_eq!(stands(&[(14, 40), (5, 9)]), "supported");
    assert_eq!(stands(&[(14, 40), (3, 40)]), "refuted");
}

fn columns() -> Counts {
    Counts { of: "signed".parse().unwrap(), out_of: "asked".parse().unwrap() }
}

#[test]
fn results_are_read_row_by_row_or_refused_with_their_place() {
    let tally = |csv: &str| results::tally(csv, &columns());
    let each = tally("who,signed\nMeyer,yes\n\"Li; Ho\",no\n\nKaya,1\n").unwrap();
    assert_eq!((each.of, each.out_of, each.rows), (2, 3, 3));
    let sums = tally("city;asked;signed\r\nBonn;20;7\r\nKiel;20;9\r\n").unwrap();
    assert_eq!((sums.of, sums.out_of), (16, 40));
    let wrong = |csv: &str| tally(csv).unwrap_err().to_string();
    let expected = "line 3, column 2: \"maybe\" is neither a whole number nor yes or no";
    assert_eq!(wrong("who,signed\na,1\nb,maybe\n"), expected);
    assert!(wrong("who\na\n").contains("no column is called signed; there is who"));
    assert!(wrong("signed,asked\n5,4\n").contains("5 signed of 4 asked"));
    assert!(wrong("").contains("empty"));
    assert!(wrong("signed\n\"1\n").contains("not closed"));
}

#[test]
fn forecasts_are_scored_by_person_and_kind() {
    let forecast = Distribution::normal(100.0, 10.0).unwrap();
    let closed = |person: &str, actual: f64| forecast::Closed {
        what: "churn".into(),
        person: person.into(),
        kind: "pay".into(),
        forecast: forecast.clone(),
        actual,
    };
    let all = [closed("ana", 100.0), closed("ana", 95.0), closed("bo", 130.0)];
    close(forecast::score(&all[0]).percentile, 0.5, 1e-12);
    close(forecast::score(&closed("x", 114.757_910)).percentile, 0.93, 1e-6);
    let people = forecast::by_person(&all);
    close(people["ana"].coverage, 1.0, 1e-12);
    close(people["bo"].coverage, 0.0, 1e-12);
    close(forecast::by_kind(&all)["pay"].coverage, 2.0 / 3.0, 1e-12);
    let claims = [(0.8, true), (0.3, false), (0.6, true), (0.9, true), (0.4, true)];
    close(forecast::brier_of(&claims).unwrap(), 0.132, 1e-12);
}

#[test]
fn risks_add_up_and_markets_that_do_not_meet_are_named() {
    let risk = |name: &str, probability: f64, money: f64| register::Risk {
        name: name.into(),
        owner: "ana".into(),
        probability,
        money,
    };
    let risks = [risk("recall", 0.05, 100_000.0), risk("emc", 0.5, 15_000.0)];
    let loss = register::expected_loss(&risks, "EUR").unwrap();
    close(loss.value.unwrap(), 12_500.0, 1e-9);
    assert_eq!(loss.inputs[0].label, "emc");
    assert!(register::expected_loss(&[risk("x", 1.5, 1.0)], "EUR").is_err());
    assert!(register::market(9e6, 5e6).unwrap().warning.is_none());
    assert!(register::market(9e6, 3e6).unwrap().warning.unwrap().contains("top-down"));
}

proptest! {
    #[test]
    fn one_more_success_never_lowers_the_probability(
        of in 0..60_u64, more in 1..60_u64, threshold in 0.01..0.99_f64,
    ) {
        let out_of = of + more;
        let at = |of| weigh(&rate(threshold), &[counts("p", ExperimentKind::Pay, of, out_of)]);
        prop_assert!(at(of).probability <= at(of + 1).probability + 1e-12);
    }

    #[test]
    fn order_and_repetition_of_evidence_change_nothing(seed in 0..1000_u64) {
        let one = counts("a", ExperimentKind::Pay, seed % 7, 10);
        let two = counts("b", ExperimentKind::Say, seed % 5, 9);
        let claim = rate(0.4);
        let plain = weigh(&claim, &[one.clone(), two.clone()]);
        let mixed = weigh(&claim, &[two.clone(), one, two]);
        prop_assert_eq!(plain.probability.to_bits(), mixed.probability.to_bits());
    }

    #[test]
    fn information_is_worth_between_nothing_and_knowing(
        a in 0.5..20.0_f64, b in 0.5..20.0_f64, threshold in 0.05..0.95_f64,
        asked in 1..80_u64, relevance in 0.0..=1.0_f64, win in 0.0..1e6_f64, lose in 0.0..1e6_f64,
    ) {
        let stake = Stake { win, lose };
        let belief = BetaBelief { a, b };
        let worth = worth(&Candidate { belief, threshold, asked, relevance, stake, ..candidate() });
        let worth = worth.unwrap();
        prop_assert!(worth.evsi >= 0.0 && worth.evsi <= worth.evpi + 1e-6, "{worth:?}");
    }

    #[test]
    fn any_csv_is_read_or_refused(text in "[a-z0-9,;\"\\n\\r ]{0,80}") {
        match results::tally(&format!("signed,asked\n{text}"), &columns()) {
            Ok(tally) => prop_assert!(tally.of <= tally.out_of),
            Err(error) => prop_assert!(error.to_string().starts_with("line ")),
        }
    }
}
