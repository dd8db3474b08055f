//! The folds of a past moment, made again from the bytes of the log.
//!
//! *Invariant:* what is made again is what was, as long as the bytes are there; where they are gone
//! it says from which frame on it knows.

use std::time::Duration;

use eventlog::Log;
use model::Offset;
use pipeline::{Asked, Begins, Options, Picture};

use crate::site::*;

fn block<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(work)
}

/// What device 7 said last, and how often it was heard.
fn heard(picture: &Picture) -> (String, u64) {
    let twin = picture.twins.get(TENANT, device(7)).unwrap();
    (format!("{:?}", twin.readings), twin.seen.messages)
}

fn says(log: &Log, temperature: usize) -> Offset {
    let payload = format!(r#"{{"temperature":{temperature}}}"#);
    append(log, &raw(device(7), "telemetry", &payload)).unwrap()
}

#[test]
fn the_folds_of_a_past_offset_are_what_they_were() {
    let site = Site::new(11);
    let log = site.log().unwrap();
    let (driver, shard) = site.start(&log, Options::default()).unwrap();
    prepare(&log);
    let evidence = serde_json::json!({
        "venture": "coolbox", "assumption": "will_pay", "kind": "pay", "source": "letters",
        "at": "2026-11-25T00:00:00Z", "outcome": { "counts": { "of": 3, "out_of": 9 } },
    });
    for n in 0..20 {
        site.clock.advance(Duration::from_secs(60));
        says(&log, n % 8);
    }
    let then = decide(&log, "evidence", "evi_1", 1, &evidence.to_string());
    let before = picture(&shard, then);
    let (moment, by_day) = block(shard.moment(TENANT, Asked::DeliveryAndTraffic)).unwrap();
    assert_eq!(moment.offset, then);
    for n in 0..20 {
        site.clock.advance(Duration::from_secs(60));
        says(&log, n % 5);
    }
    let mut gone = evidence;
    gone["withdrawn"] = "asked twice".into();
    let last = decide(&log, "evidence", "evi_1", 2, &gone.to_string());
    let now = picture(&shard, last);
    let records = block(shard.records_now()).unwrap();
    let again = shard.rebuild(then, &records).unwrap().unwrap();
    assert_eq!((again.begins, again.picture.offset), (Begins::Whole, then));
    assert_eq!(heard(&again.picture), heard(&before));
    assert_ne!(heard(&again.picture), heard(&now));
    assert_eq!(again.by_day.delivered, by_day.delivered);
    assert_eq!(again.by_day.sent, by_day.sent);
    let sent = by_day.sent[&device(7)].values().map(|day| day.messages).sum::<u32>();
    assert_eq!(sent, 20, "each message is counted once");
    let (_, cheap) = block(shard.moment(TENANT, Asked::Delivery)).unwrap();
    assert!(cheap.sent.is_empty(), "nobody asked for traffic");
    let withdrawn = |picture: &Picture| {
        let venture = "coolbox".parse().unwrap();
        let mut all = picture.catalog.evidence(TENANT, &venture);
        all.next().map(|(_, content)| content.withdrawn.clone())
    };
    assert_eq!(withdrawn(&again.picture), Some(None), "it was not withdrawn yet");
    assert_eq!(withdrawn(&now), Some(Some("asked twice".to_owned())));
    driver.stop().unwrap();
}

#[test]
fn where_retention_took_the_beginning_it_says_from_where_it_knows() {
    let site = Site::new(12);
    let log = site.log().unwrap();
    let (driver, shard) = site.start(&log, Options::default()).unwrap();
    prepare(&log);
    let mut last = Offset(0);
    for n in 0..400 {
        site.clock.advance(Duration::from_secs(60));
        last = says(&log, n % 8);
        // A commit is never split over segments, so they must not all be one.
        if n % 20 == 0 {
            picture(&shard, last);
        }
    }
    let whole = picture(&shard, last);
    assert!(log.trim(Offset(last.0 / 2)).unwrap() > 0);
    let first = log.first();
    assert!(first > Offset(1), "segments are small here");
    let records = block(shard.records_now()).unwrap();
    let again = shard.rebuild(last, &records).unwrap().unwrap();
    assert!(matches!(again.begins, Begins::At(at, _) if at == first), "{:?}", again.begins);
    let (newest, messages) = heard(&again.picture);
    assert_eq!(newest, heard(&whole).0, "what is left of the bytes says the same");
    assert_eq!(messages, last.0 - first.0 + 1, "and no more than what is left");
    let before = Offset(first.0 - 1);
    assert!(shard.rebuild(before, &records).unwrap().is_none(), "nothing of it is left");
    driver.stop().unwrap();
}
