//! Gates: states, verdicts, and files that are made again byte for byte.
//!
//! *Invariant:* no change of one byte of a gate file goes unnoticed.

#![expect(clippy::unwrap_used, reason = "a fixture that does not read is a failed test")]

use std::collections::BTreeMap;

use bizcase::Basis;
use blueprint::{Blueprint, Stage};
use model::Timestamp;
use proptest::prelude::*;
use venture::gate::{Aggregates, Counting, Gate, Level};
use venture::gate_file::{Decision, Minutes};
use venture::{Evaluation, Figure, GateFile, State, Verdict, evaluate, verify};

const COOLBOX: &str = include_str!("../../../blueprints/coolbox/blueprint.toml");
const NOW: Timestamp = Timestamp::from_millis(1_795_600_000_000);
const DAY: i64 = 86_400_000;

fn gate() -> Gate {
    let text = COOLBOX.replace("over = \"60 days\"", "over = \"60 days\"\nfresh = \"7 days\"");
    let blueprint = Blueprint::parse(&text).blueprint.unwrap();
    Gate::of(Stage::Scale, &blueprint.gates[&Stage::Scale])
}

fn figure(aggregates: Aggregates) -> Figure {
    let at = Timestamp::from_millis(NOW.as_millis() - DAY);
    Figure { aggregates, basis: Basis::Measured, at, offset: 4711, revision: 9 }
}

fn figures() -> BTreeMap<String, Figure> {
    let belief = Aggregates::Belief {
        a: 30.0,
        b: 50.0,
        comparison: expr::Comparison::AtLeast,
        threshold: 0.3,
    };
    [
        ("fleet.active", Aggregates::Count(31)),
        ("fleet.on_time", Aggregates::Share { of: 99_812, out_of: 100_000 }),
        ("fleet.false_alarms", Aggregates::Quotient { of: 12.0, by: 61.37 }),
        ("assumption.will_pay.probability", belief),
        ("economics.margin", Aggregates::Quotient { of: 271.2, by: 61.37 }),
        ("case.npv.p10", Aggregates::Value(-16_938.25)),
    ]
    .map(|(name, aggregates)| (name.to_owned(), figure(aggregates)))
    .into()
}

fn judged(figures: &BTreeMap<String, Figure>, counting: Counting) -> Evaluation {
    evaluate(&gate(), figures, NOW, counting).unwrap()
}

fn state(evaluation: &Evaluation, name: &str) -> State {
    evaluation.judged.iter().find(|j| j.criterion.name == name).unwrap().state
}

fn minutes(decision: Decision, reason: Option<&str>) -> Minutes {
    Minutes {
        venture: "coolbox".into(),
        revision: 9,
        offset: 4711,
        decision,
        by: "ana".into(),
        override_reason: reason.map(str::to_owned),
    }
}

fn file() -> GateFile {
    let evaluation = judged(&figures(), Counting::RealOnly);
    GateFile::decide(evaluation, minutes(Decision::Go, None)).unwrap()
}

#[test]
fn every_must_passes_and_a_should_is_only_weighed() {
    let evaluation = judged(&figures(), Counting::RealOnly);
    expect_test::expect![[r#"
        gate scale: go
          must   delivered            pass             0.99812  fleet.on_time >= 99.5 %
          must   demand               pass          0.92072078  assumption.will_pay.probability >= 80 %
          must   devices              pass                  31  fleet.active >= 25
          must   false_alarms         pass          0.19553528  fleet.false_alarms <= 0.5/device/month
          must   margin               pass           4.4190973  economics.margin >= 4 EUR/device/month
          should npv                  fail           -16938.25  case.npv.p10 > 0 EUR
    "#]].assert_eq(&evaluation.text());
    assert_eq!(evaluation.verdict, Verdict::Go);
    assert_eq!(state(&evaluation, "npv"), State::Fail);
    assert!(evaluation.blockers().is_empty());
    assert_eq!(evaluation.explain().len(), 6);
}

#[test]
fn missing_assumed_simulated_stale_and_failed_figures_do_not_pass() {
    let spoil = |change: fn(&mut Figure)| {
        let mut figures = figures();
        change(figures.get_mut("fleet.active").unwrap());
        let evaluation = judged(&figures, Counting::RealOnly);
        assert_eq!(evaluation.verdict, Verdict::Hold);
        assert_eq!(evaluation.blockers().len(), 1);
        state(&evaluation, "devices")
    };
    assert_eq!(spoil(|f| f.basis = Basis::Assumed), State::Assumed);
    assert_eq!(spoil(|f| f.basis = Basis::Simulated), State::Simulated);
    assert_eq!(spoil(|f| f.aggregates = Aggregates::Count(24)), State::Fail);
    assert_eq!(spoil(|f| f.aggregates = Aggregates::Share { of: 0, out_of: 0 }), State::Missing);
    let old = |f: &mut Figure| f.at = Timestamp::from_millis(NOW.as_millis() - 8 * DAY);
    assert_eq!(spoil(old), State::Stale);
    let mut none = figures();
    none.remove("fleet.active");
    assert_eq!(state(&judged(&none, Counting::RealOnly), "devices"), State::Missing);
}

#[test]
fn a_demo_counts_virtual_devices_and_says_so() {
    let mut figures = figures();
    figures.values_mut().for_each(|f| f.basis = Basis::Simulated);
    assert_eq!(judged(&figures, Counting::RealOnly).verdict, Verdict::Hold);
    let demo = judged(&figures, Counting::Demo);
    assert_eq!(demo.verdict, Verdict::Go);
    let file = GateFile::decide(demo, minutes(Decision::Go, None)).unwrap();
    assert!(file.text().contains("\"counting\":\"demo\""));
    assert!(verify(&file.text()).unwrap().is_same());
}

#[test]
fn a_figure_from_the_future_is_refused() {
    let mut figures = figures();
    figures.get_mut("fleet.active").unwrap().at = Timestamp::from_millis(NOW.as_millis() + 1);
    assert!(evaluate(&gate(), &figures, NOW, Counting::RealOnly).is_err());
}

#[test]
fn a_go_against_the_verdict_needs_a_person_and_a_reason() {
    let mut figures = figures();
    figures.remove("fleet.on_time");
    let evaluation = judged(&figures, Counting::RealOnly);
    let decide = |decision, reason| GateFile::decide(evaluation.clone(), minutes(decision, reason));
    assert!(decide(Decision::Go, None).is_err());
    assert!(decide(Decision::Go, Some("  ")).is_err());
    assert!(decide(Decision::Hold, Some("why not")).is_err());
    assert!(decide(Decision::Hold, None).is_ok());
    let file = decide(Decision::Go, Some("the meter is in the post")).unwrap();
    assert!(verify(&file.text()).unwrap().text().contains("against the verdict"));
    let silent = file.text().replace("\"the meter is in the post\"", "null");
    assert!(verify(&silent).map_or(true, |v| !v.is_same()));
}

#[test]
fn a_gate_file_is_made_again_byte_for_byte() {
    let text = file().text();
    expect_test::expect![[r#"
        {"by":"ana","counting":"real","criteria":[{"comparison":">=","figure":{"aggregates":{"of":99812,"out_of":100000},"at":"2026-11-24T09:46:40Z","basis":"measured","offset":4711,"revision":9},"level":"must","metric":"fleet.on_time","name":"delivered","state":"pass","target":0.995,"text":"fleet.on_time >= 99.5 %","value":0.99812},{"comparison":">=","figure":{"aggregates":{"a":30.0,"b":50.0,"comparison":">=","threshold":0.3},"at":"2026-11-24T09:46:40Z","basis":"measured","offset":4711,"revision":9},"level":"must","metric":"assumption.will_pay.probability","name":"demand","state":"pass","target":0.8,"text":"assumption.will_pay.probability >= 80 %","value":0.9207207761763309},{"comparison":">=","figure":{"aggregates":{"count":31},"at":"2026-11-24T09:46:40Z","basis":"measured","offset":4711,"revision":9},"level":"must","metric":"fleet.active","name":"devices","state":"pass","target":25.0,"text":"fleet.active >= 25","value":31.0},{"comparison":"<=","figure":{"aggregates":{"by":61.37,"sum":12.0},"at":"2026-11-24T09:46:40Z","basis":"measured","offset":4711,"revision":9},"level":"must","metric":"fleet.false_alarms","name":"false_alarms","state":"pass","target":0.5,"text":"fleet.false_alarms <= 0.5/device/month","value":0.1955352778230406},{"comparison":">=","figure":{"aggregates":{"by":61.37,"sum":271.2},"at":"2026-11-24T09:46:40Z","basis":"measured","offset":4711,"revision":9},"level":"must","metric":"economics.margin","name":"margin","state":"pass","target":4.0,"text":"economics.margin >= 4 EUR/device/month","value":4.419097278800717},{"comparison":">","figure":{"aggregates":{"value":-16938.25},"at":"2026-11-24T09:46:40Z","basis":"measured","offset":4711,"revision":9},"level":"should","metric":"case.npv.p10","name":"npv","state":"fail","target":0.0,"text":"case.npv.p10 > 0 EUR","value":-16938.25}],"decided_at":"2026-11-25T09:46:40Z","decision":"go","format":1,"fresh_seconds":604800,"hash":"6a91cc7b930f3e4c6764cda9c5c23022ce81f6edcc96d6985e4fc824aa813fb0","offset":4711,"over_seconds":5184000,"override_reason":null,"revision":9,"stage":"scale","venture":"coolbox","verdict":"go"}
    "#]].assert_eq(&text);
    let verified = verify(&text).unwrap();
    assert!(verified.is_same(), "{}", verified.text());
    assert_eq!(verified.file.text(), text);
}

#[test]
fn a_touched_up_file_is_named_where_it_was_touched() {
    let text = file().text();
    let touched = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        verify(&text.replacen(from, to, 1)).unwrap().differences.join("; ")
    };
    assert!(touched("\"count\":31", "\"count\":24").contains("devices is recorded as pass"));
    assert!(touched("\"verdict\":\"go\"", "\"verdict\":\"hold\"").contains("the verdict is go"));
    assert!(touched("\"by\":\"ana\"", "\"by\":\"bob\"").contains("the hash is"));
    assert!(touched(",\"counting\"", ", \"counting\"").contains("canonical"));
}

#[test]
fn a_gate_without_a_must_opens_for_nobody() {
    let mut gate = gate();
    gate.criteria.retain(|c| c.level == Level::Should);
    let evaluation = evaluate(&gate, &figures(), NOW, Counting::RealOnly).unwrap();
    assert_eq!(evaluation.verdict, Verdict::Hold);
}

proptest! {
    #[test]
    fn no_change_of_a_byte_goes_unnoticed(at in 0..10_000_usize, put in 0x20..0x7f_u8) {
        let text = file().text();
        let at = at % text.len();
        let mut bytes = text.into_bytes();
        prop_assume!(bytes[at] != put);
        bytes[at] = put;
        let changed = String::from_utf8(bytes).unwrap();
        if let Ok(verified) = verify(&changed) {
            prop_assert!(!verified.is_same(), "{changed}");
        }
    }

    #[test]
    fn any_text_is_verified_or_refused(text in "\\PC{0,60}") {
        prop_assert!(verify(&text).is_err());
    }
}
