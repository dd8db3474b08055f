//! What is read equals the rule, whatever happened to the files in between.

use crate::model_lake::{Fixture, Naive, ever, row, series, table};
use lake::{Aggregate, Column, Point, Row, Series, Shape, Span, Stamp};
use model::{DeviceId, ErrorKind, Name, Offset, Origin, Timestamp, Value};
use proptest::prelude::*;
use std::time::Duration;

const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;
const NOW: i64 = 1_795_608_000_000;
const PROPERTIES: [&str; 4] = ["temperature", "open", "text", "place"];

fn value(property: usize, n: u8) -> Value {
    match property {
        0 => Value::Number(f64::from(n) * 0.1),
        1 => Value::Boolean(n.is_multiple_of(2)),
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
    let time = (0_i64..3, prop_oneof![4 => 0_i64..2, 1 => Just(80_000_000)]);
    let origin = prop_oneof![Just(Origin::Real), Just(Origin::Replayed), Just(Origin::Virtual)];
    let stamp = prop_oneof![3 => Just(Stamp::Device), 1 => Just(Stamp::Log)];
    let values = prop::collection::vec((0_usize..4, 0_u8..2), 1..4);
    (1_u128..3, time, stamp, origin, prop::bool::weighted(0.1), values).prop_map(
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
    Maintain { minutes: u64 },
    Erase { device: u128 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(said(), 1..6).prop_map(Step::Say),
        2 => Just(Step::Flush),
        1 => Just(Step::Kill),
        1 => (1_u128..3).prop_map(|device| Step::Erase { device }),
        3 => prop_oneof![0_u64..100, 0_u64..10_000].prop_map(|minutes| Step::Maintain { minutes }),
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
    let days =
        Span { from: Timestamp::from_millis(NOW - 4 * DAY), to: Timestamp::from_millis(NOW + DAY) };
    for device in 1..3 {
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
            if matches!(property, "temperature" | "open") {
                check_numbers(fixture, naive, &series, [some_time, days]);
            } else {
                let refused = fixture.lake().chart(&series, days, 10, Duration::ZERO);
                assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
            }
        }
        check_state(fixture, naive, device);
    }
}

fn numbers(naive: &Naive, series: &Series, span: Span) -> Vec<(i64, f64)> {
    let number = |point: Point| match point.value {
        Value::Number(number) => (point.time.as_millis(), number),
        Value::Boolean(truth) => (point.time.as_millis(), f64::from(u8::from(truth))),
        Value::Text(_) | Value::Position { .. } => panic!("not a number"),
    };
    naive.points(series, span).into_iter().map(number).collect()
}

/// Aggregates of values by a key of their time, one value after the other.
fn folded(values: &[(i64, f64)], key: impl Fn(i64) -> i64) -> Vec<(i64, Aggregate)> {
    let mut folded: Vec<(i64, Aggregate)> = Vec::new();
    for group in values.chunk_by(|(a, _), (b, _)| key(*a) == key(*b)) {
        // A sum is made hour by hour.
        let hours = group.chunk_by(|(a, _), (b, _)| a.div_euclid(HOUR) == b.div_euclid(HOUR));
        let sum = hours.map(|hour| hour.iter().map(|(_, v)| v).sum::<f64>()).sum();
        let (first, last) = (group[0], group[group.len() - 1]);
        let values = group.iter().map(|(_, value)| *value);
        folded.push((
            key(first.0),
            Aggregate {
                count: group.len() as u64,
                min: values.clone().fold(f64::INFINITY, f64::min),
                max: values.clone().fold(f64::NEG_INFINITY, f64::max),
                first: first.1,
                last: last.1,
                sum,
                first_at: Timestamp::from_millis(first.0),
                last_at: Timestamp::from_millis(last.0),
            },
        ));
    }
    folded
}

fn check_numbers(fixture: &Fixture, naive: &Naive, series: &Series, spans: [Span; 2]) {
    for span in spans {
        for px in [2, 7, 200] {
            let gap = Duration::from_secs(60);
            let chart = fixture.lake().chart(series, span, px, gap).unwrap();
            let width = i64::try_from(chart.width.as_millis()).unwrap();
            let values = numbers(naive, series, chart.span);
            let expected = folded(&values, |time| time.div_euclid(width) * width);
            let told: Vec<(i64, Aggregate)> =
                chart.buckets.iter().map(|b| (b.from.as_millis(), b.values)).collect();
            // Below an hour a bucket adds value by value.
            assert_eq!(told, expected, "{px} pixels");
            let least = width.max(60_000);
            let pairs = values.windows(2).map(|pair| (pair[0].0, pair[1].0));
            let gaps: Vec<(i64, i64)> = pairs.filter(|(a, b)| b - a > least).collect();
            let told: Vec<(i64, i64)> =
                chart.gaps.iter().map(|g| (g.from.as_millis(), g.to.as_millis())).collect();
            assert_eq!(told, gaps);
        }
        let expected = folded(&numbers(naive, series, span), |time| time.div_euclid(DAY) * DAY);
        let told = fixture.lake().day_aggregates(series, span).unwrap();
        let told: Vec<_> = told.iter().map(|day| (day.day.as_millis(), day.values)).collect();
        assert_eq!(told, expected);
        for cut in [HOUR * 5, HOUR * 7 / 2] {
            check_aggregates(fixture, naive, (series, span), cut);
        }
    }
}

/// Stretches that begin on the hour, and such that cut hours in two.
fn check_aggregates(fixture: &Fixture, naive: &Naive, (series, span): (&Series, Span), cut: i64) {
    let ends = (span.from.as_millis(), span.to.as_millis());
    let between = (ends.0.div_euclid(cut) + 1..).map(|n| n * cut).take_while(|time| *time < ends.1);
    let bounds: Vec<i64> = [ends.0].into_iter().chain(between).chain([ends.1]).collect();
    let place = |time: i64| bounds.partition_point(|bound| *bound <= time) - 1;
    let expected = folded(&numbers(naive, series, span), |time| bounds[place(time)]);
    let bounds: Vec<_> = bounds.iter().map(|time| Timestamp::from_millis(*time)).collect();
    let told = fixture.lake().aggregates(series, &bounds).unwrap();
    assert_eq!(told.len(), bounds.len() - 1);
    let told = bounds.iter().zip(&told).filter_map(|(from, values)| Some((from, (*values)?)));
    // Where an hour is cut, values are added one by one, so only the last digits may differ.
    let rounded = |values: Aggregate| Aggregate { sum: (values.sum * 1e6).round(), ..values };
    let told: Vec<_> = told.map(|(from, values)| (from.as_millis(), rounded(values))).collect();
    let expected: Vec<_> =
        expected.iter().map(|(from, values)| (*from, rounded(*values))).collect();
    assert_eq!(told, expected);
}

fn check_state(fixture: &Fixture, naive: &Naive, device: u128) {
    let at = Timestamp::from_millis(NOW - DAY + 2);
    let before =
        Span { from: at - Duration::from_secs(172_800), to: Timestamp::from_millis(NOW - DAY + 3) };
    let mut expected: Vec<(Name, Point)> = Vec::new();
    for property in PROPERTIES {
        let last = naive.points(&series(device, property), before).pop();
        expected.extend(last.map(|point| (property.parse().unwrap(), point)));
    }
    expected.sort_by(|(a, _), (b, _)| a.cmp(b));
    let lookback = Duration::from_secs(172_800);
    let state = fixture.lake().state_at(&table(), DeviceId::from_u128(device), at, lookback);
    match state {
        Ok(state) => assert_eq!(state, expected),
        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn history_is_what_the_rule_says(steps in prop::collection::vec(step(), 1..24)) {
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
                Step::Erase { device } => {
                    naive.forget(device);
                    fixture.erase(device);
                }
                Step::Maintain { minutes } => {
                    fixture.clock.advance(Duration::from_secs(minutes * 60));
                    let done = fixture.lake().maintain();
                    prop_assert!(done.failed.is_empty(), "{done:?}");
                    check(&fixture, &naive);
                }
            }
        }
        check(&fixture, &naive);
    }
}

/// Offsets of a series.
fn offsets(fixture: &Fixture) -> Vec<u64> {
    fixture.points(&series(1, "t"), ever()).iter().map(|point| point.offset.0).collect()
}

#[test]
fn a_value_that_comes_back_in_a_later_file_keeps_the_offset_of_its_return() {
    let mut fixture = Fixture::new(1);
    let t = |offset, value| vec![row(offset, 1, NOW, &[("t", Value::Number(value))])];
    fixture.append(t(1, 1.0));
    fixture.flush();
    fixture.append(t(2, 2.0));
    fixture.append(t(3, 1.0));
    fixture.flush();
    assert_eq!(offsets(&fixture), [3]);
}

#[test]
fn a_run_of_files_forgets_nothing_that_an_older_file_brings_back() {
    let mut fixture = Fixture::new(1);
    for (offset, value) in [(1, 3.0), (2, 1.0), (3, 2.0), (4, 1.0)] {
        fixture.append(vec![row(offset, 1, NOW, &[("t", Value::Number(value))])]);
        fixture.flush();
        if offset % 2 == 0 {
            assert_eq!(fixture.lake().maintain().runs, 1);
        }
    }
    assert_eq!((offsets(&fixture), fixture.lake().sizes(&table()).unwrap().files), (vec![4], 2));
    assert_eq!(fixture.lake().maintain().runs, 1);
    assert_eq!((offsets(&fixture), fixture.lake().sizes(&table()).unwrap().files), (vec![4], 1));
    fixture.clock.advance(Duration::from_secs(2 * 86_400));
    assert_eq!(fixture.lake().maintain().days, 1);
    assert_eq!((offsets(&fixture), fixture.lake().sizes(&table()).unwrap().rows), (vec![4], 1));
}

#[test]
fn late_data_of_a_month_that_is_over_count_once_in_its_rollup() {
    let mut fixture = Fixture::new(1);
    let october = NOW - 40 * DAY;
    for (offset, at) in [(1, october), (2, october + DAY), (3, october + 1), (4, october + 2)] {
        fixture.append(vec![row(offset, 1, at, &[("t", Value::Number(1.0))])]);
        fixture.flush();
        fixture.clock.advance(Duration::from_secs(7200));
        let done = fixture.lake().maintain();
        assert!(done.failed.is_empty() && done.days == 1, "{done:?}");
    }
    let days = fixture.lake().day_aggregates(&series(1, "t"), ever()).unwrap();
    let counts: Vec<u64> = days.iter().map(|day| day.values.count).collect();
    assert_eq!(counts, [3, 1]);
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
