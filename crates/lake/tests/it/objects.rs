//! History in a store of objects that goes away, refuses, and loses answers: late, never wrong.

use std::sync::Arc;
use std::time::Duration;

use faultsim::{Lapse, Reach, Rng, SimClock, SimObjects};
use lake::{Lake, Limits, Settings};
use model::{Clock, ErrorKind, Objects, Offset, Put, Upload, Value};

use crate::model_lake::{Fixture, Naive, ever, row, series};

const NOW: i64 = 1_795_608_000_000;
const DAY: i64 = 86_400_000;

fn number(n: u64) -> Value {
    Value::Number(f64::from(u32::try_from(n).unwrap()))
}

fn reading(offset: u64) -> Vec<lake::Row> {
    let day = i64::try_from(offset % 3).unwrap();
    let at = NOW - day * DAY + i64::try_from(offset).unwrap();
    vec![row(offset, 1, at, &[("t", number(offset))])]
}

fn settings() -> Settings {
    Settings { root: "unused".into(), shard: "0".to_owned(), limits: Limits::default() }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SimClock::new("2026-11-25T12:00:00Z".parse().unwrap()))
}

#[test]
fn what_was_flushed_is_there_after_opening_again() {
    let mut fixture = Fixture::on_objects();
    let mut naive = Naive::default();
    for n in 1..40 {
        naive.append(&reading(n));
        fixture.append(reading(n));
        if n % 4 == 0 {
            fixture.flush();
        }
    }
    fixture.flush();
    let merged = fixture.lake().maintain();
    assert!(merged.failed.is_empty(), "{:?}", merged.failed);
    assert!(merged.runs + merged.days > 0);
    let expected = naive.points(&series(1, "t"), ever());
    assert_eq!(fixture.points(&series(1, "t"), ever()), expected);
    fixture.open().unwrap();
    assert_eq!(fixture.points(&series(1, "t"), ever()), expected);
    assert!(fixture.store().names().iter().all(|name| !name.ends_with(".tmp")));
}

#[test]
fn rows_wait_in_memory_while_the_store_is_away() {
    let mut fixture = Fixture::on_objects();
    fixture.append(reading(1));
    fixture.flush();
    fixture.store().set(Reach::Down);
    fixture.append(reading(2));
    let refused = fixture.lake().flush(Offset(2)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert_eq!(fixture.lake().flushed(), Offset(1));
    fixture.store().set(Reach::Up);
    fixture.flush();
    assert_eq!(fixture.points(&series(1, "t"), ever()).len(), 2);
    assert_eq!(fixture.lake().memory_bytes(), 0);
}

#[test]
fn a_commit_whose_answer_was_lost_is_neither_lost_nor_doubled() {
    for skip in 0..12 {
        for lapse in [Lapse::AnswerLost, Lapse::Refused] {
            let mut fixture = Fixture::on_objects();
            let mut naive = Naive::default();
            for n in 1..4 {
                naive.append(&reading(n));
                fixture.append(reading(n));
            }
            fixture.store().lapse(skip, lapse);
            // It may meet the write or not.
            let _ = fixture.lake().flush(Offset(3));
            naive.append(&reading(4));
            fixture.append(reading(4));
            let expected = naive.points(&series(1, "t"), ever());
            assert_eq!(fixture.points(&series(1, "t"), ever()), expected, "{skip} {lapse:?}");
            // A lapse that was late meets this one.
            if fixture.lake().flush(Offset(4)).is_err() {
                fixture.lake().flush(Offset(4)).unwrap();
            }
            assert_eq!(fixture.points(&series(1, "t"), ever()), expected, "{skip} {lapse:?}");
            assert_eq!(fixture.lake().memory_bytes(), 0, "{skip} {lapse:?}");
            fixture.open().unwrap();
            assert_eq!(fixture.points(&series(1, "t"), ever()), expected, "{skip} {lapse:?}");
        }
    }
}

/// Random readings, flushes, merges, lapses and restarts; what is wrong at the end.
fn lived(seed: u64) -> Result<(), String> {
    let mut chance = Rng::new(seed);
    let mut fixture = Fixture::on_objects();
    let mut naive = Naive::default();
    for offset in 1..120 {
        naive.append(&reading(offset));
        fixture.append(reading(offset));
        match chance.below(12) {
            0 | 1 => drop(fixture.lake().flush(Offset(offset))),
            2 => drop(fixture.lake().maintain()),
            3 => fixture.store().lapse(chance.below(6), Lapse::AnswerLost),
            4 => fixture.store().lapse(chance.below(6), Lapse::Refused),
            5 => fixture.clock.advance(Duration::from_secs(700)),
            // A kill: what waits for an answer never gets it.
            6 => while fixture.open().is_err() {},
            _ => {}
        }
        let expected = naive.points(&series(1, "t"), ever());
        let read = fixture.points(&series(1, "t"), ever());
        if read != expected {
            return Err(format!("after {offset}: {} of {}", read.len(), expected.len()));
        }
    }
    Ok(())
}

#[test]
fn random_lapses_merges_and_kills_equal_the_naive_model() {
    for seed in 0..50 {
        if let Err(error) = lived(seed) {
            panic!("SEED={seed}: {error}");
        }
    }
}

#[test]
fn the_place_of_another_data_folder_is_refused() {
    let objects: Arc<dyn Objects> = Arc::new(SimObjects::default());
    let open = |owner| Lake::open_objects((Arc::clone(&objects), owner), clock(), settings());
    drop(open("one").unwrap());
    assert_eq!(open("other").unwrap_err().kind(), ErrorKind::Conflict);
    assert!(open("one").is_ok());
}

/// A store that overwrites what it was asked to create.
#[derive(Debug)]
struct Careless(SimObjects);

impl Objects for Careless {
    fn place(&self) -> String {
        self.0.place()
    }

    fn size(&self, name: &str) -> std::io::Result<u64> {
        self.0.size(name)
    }

    fn read(&self, name: &str, range: std::ops::Range<u64>) -> std::io::Result<Vec<u8>> {
        self.0.read(name, range)
    }

    fn read_all(&self, name: &str) -> std::io::Result<Vec<u8>> {
        self.0.read_all(name)
    }

    fn put(&self, name: &str, bytes: Vec<u8>, _put: Put) -> std::io::Result<()> {
        self.0.put(name, bytes, Put::Replace)
    }

    fn upload(&self, name: &str) -> std::io::Result<Box<dyn Upload>> {
        self.0.upload(name)
    }

    fn list(&self, folder: &str) -> std::io::Result<Vec<String>> {
        self.0.list(folder)
    }

    fn remove(&self, name: &str) -> std::io::Result<()> {
        self.0.remove(name)
    }
}

#[test]
fn a_store_that_overwrites_is_refused_before_anything_is_written() {
    let objects = SimObjects::default();
    let careless: Arc<dyn Objects> = Arc::new(Careless(objects.clone()));
    let refused = Lake::open_objects((careless, "one"), clock(), settings()).unwrap_err();
    assert!(refused.to_string().contains("If-None-Match"), "{refused}");
    assert!(objects.names().is_empty());
}
