//! A lake of every format that was released opens for ever.

use crate::model_lake::{Naive, ever, row, series, table};
use eventlog::OsDisk;
use faultsim::SimClock;
use lake::{Lake, Limits, Row, Settings, Span, Stamp};
use model::{Offset, Timestamp, Value};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const DAY: i64 = 86_400_000;
const NOW: i64 = 1_795_608_000_000;

/// What the lake in `testdata/format-1` was filled with.
fn history() -> Vec<Row> {
    let text = |text: &str| Value::Text(text.into());
    let place = Value::Position { latitude: 52.5, longitude: -13.25 };
    let mut rows = vec![
        row(1, 1, NOW - DAY, &[("t", Value::Number(1.5)), ("note", text("a"))]),
        row(2, 2, NOW - DAY + 7, &[("t", Value::Number(-3.25)), ("open", Value::Boolean(true))]),
        row(3, 1, NOW - DAY, &[("t", Value::Number(2.5)), ("note", text("a"))]),
        row(4, 2, NOW, &[("place", place), ("open", Value::Boolean(false))]),
        row(5, 1, NOW + 1, &[("t", Value::Number(4.0))]),
    ];
    rows[1].stamp = Stamp::Log;
    rows[3].source = Some(Offset(2));
    rows
}

fn open(root: &Path) -> Lake {
    let clock = SimClock::new(Timestamp::from_millis(NOW));
    let settings =
        Settings { root: root.to_owned(), shard: "0".to_owned(), limits: Limits::default() };
    Lake::open(Arc::new(OsDisk), Arc::new(clock), settings).unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

#[test]
fn format_1_is_read() {
    let dir = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/format-1"), dir.path());
    let lake = open(dir.path());
    assert_eq!(lake.flushed(), Offset(5));
    assert_eq!(lake.sizes(&table()).unwrap().files, 2);
    let mut naive = Naive::default();
    naive.append(&history());
    for device in [1, 2] {
        for property in ["t", "note", "open", "place"] {
            let series = series(device, property);
            let points: Result<Vec<_>, _> = lake.range(&series, ever()).unwrap().collect();
            assert_eq!(points.unwrap(), naive.points(&series, ever()), "{device} {property}");
        }
    }
    let span =
        Span { from: Timestamp::from_millis(NOW - 2 * DAY), to: Timestamp::from_millis(NOW + DAY) };
    let days = lake.day_aggregates(&series(1, "t"), span).unwrap();
    let sums: Vec<f64> = days.iter().map(|day| day.values.sum).collect();
    assert_eq!(sums, [2.5, 4.0]);
    assert!(lake.scrub().unwrap().is_empty());
    let chart = lake.chart(&series(1, "t"), span, 100, Duration::from_secs(3600)).unwrap();
    assert_eq!((chart.buckets.len(), chart.gaps.len()), (2, 1));
}
