//! What is read equals the rule, whatever happened to the files in between.

use crate::model_lake::{Fixture, Naive, ever, row, series, table};
use lake::{Column, Row, Shape, Span, Stamp};
use model::{DeviceId, ErrorKind, Offset, Origin, Timestamp, Value};
use proptest::prelude::*;

const DAY: i64 = 86_400_000;
const NOW: i64 = 1_795_608_000_000;
const PROPERTIES: [&str; 4] = ["temperature", "open", "text", "place"];

fn value(property: usize, n: u8) -> Value {
    match property {
        0 => Value::Number(f64::from(n) * 0.1),
        1 => Value::Boolean(n % 2 == 0),
        2 => Value::Text(format!("text {n}").into()),
        _ => Value::Position { latitude: f64::from(n), longitude: -f64::from(n) },
    }
}

/// What one row of a random history says, before it has an offset.
#[derive(Debug, Clone)]
struct Said {
    device: u128,
    time: i64,
    stamp: Stamp,
    origin: Origin,
    redecodes: bool,
    values: Vec<(usize, u8)>,
}

fn said() -> impl Strategy<Value = Said> {
    let time = (0_i64..3, prop_oneof![0_i64..4, Just(80_000_000)]);
    let origin = prop_oneof![Just(Origin::Real), Just(Origin::Replayed), Just(Origin::Virtual)];
    let stamp = prop_oneof![3 => Just(Stamp::Device), 1 => Just(Stamp::Log)];
    let values = prop::collection::vec((0_usize..4, 0_u8..3), 1..4);
    (1_u128..4, time, stamp, origin, prop::bool::weighted(0.1), values).prop_map(
        |(device, (day, ms), stamp, origin, redecodes, mut values)| {
            values.sort_unstable();
            values.dedup_by_key(|(property, _)| *property);
            Said { device, time: NOW - day * DAY + ms, stamp, origin, redecodes, values }
        },
    )
}

#[derive(Debug, Clone)]
enum Step {
    Say(Vec<Said>),
    Flush,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(said(), 1..6).prop_map(Step::Say),
        2 => Just(Step::Flush),
        1 => Just(Step::Kill),
    ]
}

fn rows(said: Vec<Said>, offset: u64) -> Vec<Row> {
    let row = |(index, said): (u32, Said)| Row {
        device: DeviceId::from_u128(said.device),
        time: Timestamp::from_millis(said.time),
        stamp: said.stamp,
        offset: Offset(offset),
        index,
        origin: said.origin,
        source: (said.redecodes && offset > 1).then(|| Offset(offset - 1)),
        values: said
            .values
            .into_iter()
            .map(|(p, n)| (PROPERTIES[p].parse().unwrap(), value(p, n)))
            .collect(),
    };
    (0..).zip(said).map(row).collect()
}

fn check(fixture: &Fixture, naive: &Naive) {
    let some_time =
        Span { from: Timestamp::from_millis(NOW - DAY + 2), to: Timestamp::from_millis(NOW + 3) };
    for device in 1..4 {
        for property in PROPERTIES {
            let series = series(device, property);
            if naive.points(&series, ever()).is_empty()
                && fixture.lake().range(&series, ever()).is_err()
            {
                continue;
            }
            for span in [ever(), some_time] {
                assert_eq!(fixture.points(&series, span), naive.points(&series, span));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn history_is_what_the_rule_says(steps in prop::collection::vec(step(), 1..16)) {
        let mut fixture = Fixture::new(1);
        let mut naive = Naive::default();
        for step in steps {
            match step {
                Step::Say(said) => {
                    let rows = rows(said, fixture.last + 1);
                    naive.append(&rows);
                    fixture.append(rows);
                }
                Step::Flush => {
                    fixture.flush();
                }
                Step::Kill => fixture.open().unwrap(),
            }
            check(&fixture, &naive);
        }
    }
}

#[test]
fn nothing_is_written_twice_after_a_restart() {
    let mut fixture = Fixture::new(1);
    fixture.append(vec![row(1, 1, NOW, &[("temperature", Value::Number(1.0))])]);
    assert_eq!(fixture.flush().rows, 1);
    fixture.append(vec![row(2, 1, NOW + 1, &[("temperature", Value::Number(1.0))])]);
    fixture.open().unwrap();
    assert_eq!(fixture.lake().flushed(), Offset(1));
    let again = fixture.lake().append(&table(), fixture.log.clone()).unwrap();
    assert_eq!((again.known, again.rows), (1, 1));
    assert_eq!(fixture.points(&series(1, "temperature"), ever()).len(), 2);
}

#[test]
fn a_value_of_another_type_is_refused_and_told() {
    let mut fixture = Fixture::new(1);
    let unit = "Cel".to_owned();
    let name = "temperature".parse().unwrap();
    let column = Column { name, shape: Shape::Number, unit, definition: "inside".to_owned() };
    fixture.lake().define(&table(), std::slice::from_ref(&column));
    let bad =
        row(1, 1, NOW, &[("temperature", Value::Boolean(true)), ("open", Value::Boolean(true))]);
    let told = fixture.lake().append(&table(), vec![bad.clone()]).unwrap();
    assert_eq!((told.rows, told.refused), (1, 1));
    assert_eq!(told.reason.as_deref(), Some("temperature is number, got boolean"));
    fixture.log.push(bad);
    fixture.last = 1;
    fixture.flush();
    fixture.open().unwrap();
    assert_eq!(fixture.lake().columns(&table()).unwrap()[0], column);
}

#[test]
fn what_was_never_said_is_named() {
    let fixture = Fixture::new(1);
    let missing = fixture.lake().range(&series(1, "temperature"), ever()).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let row = row(1, 1, NOW, &[("open", Value::Boolean(true))]);
    fixture.lake().append(&table(), vec![row]).unwrap();
    let missing = fixture.lake().range(&series(1, "temperature"), ever()).unwrap_err();
    assert_eq!(missing.to_string(), format!("{} has no property temperature", table()));
}
