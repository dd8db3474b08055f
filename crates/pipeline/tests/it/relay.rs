//! From the registry to the log: every decision, in order, across restarts of the relay.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::{DeviceId, Frame, Offset, SystemClock};
use pipeline::{Driver, Options, Relay};
use registry::{Author, Decision, Kind, Registry};
use tokio_util::sync::CancellationToken;

use crate::site::*;

const ME: Author<'static> = Author { actor: "loopback", reason: "because" };
const ROUNDS: u64 = 12;
const PUTS: u64 = 25;

fn decided(log: &eventlog::Log) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    let mut from = Offset(1);
    loop {
        let frames = log.read(from, 1 << 20).unwrap();
        if frames.is_empty() {
            return all;
        }
        for record in frames.iter().map(Result::unwrap) {
            if let Frame::Decided(decided) = record.frame {
                all.push((decided.id.to_owned(), decided.revision));
            }
        }
        from = frames.next();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_take_effect_once_and_in_order_though_the_relay_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", dir.path().join("registry.db").display());
    let registry = Registry::open(&url, Arc::new(SystemClock::new())).await.unwrap();
    let site = Site::new(1);
    let log = site.log().unwrap();
    let effects = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&effects);
    let mut parts = site.parts(&log).unwrap();
    parts.on_decided = Box::new(move |decided| {
        told.lock().unwrap().push((decided.id.to_owned(), decided.revision));
    });
    let (driver, shard) = Driver::start(parts, Options::default()).unwrap();

    let mut expected = Vec::new();
    let mut revisions = BTreeMap::<u128, u64>::new();
    for round in 0..ROUNDS {
        let (_relay, task) = Relay::new(registry.clone(), log.clone());
        let running = tokio::spawn(task.run(CancellationToken::new()));
        for n in 0..PUTS {
            let number = u128::from((round * 7 + n) % 20 + 1);
            let id = DeviceId::from_u128(number).to_string();
            let content = device_record(number);
            let put = Decision::put(TENANT, Kind::Device, &id, &content);
            let written = registry.put(&put, &ME).await.unwrap();
            let revision = revisions.entry(number).or_default();
            *revision += 1;
            assert_eq!(written.revision, *revision);
            expected.push((id, written.revision));
        }
        tokio::time::sleep(Duration::from_millis(round * 3)).await;
        // At whatever it waits for, also between the append and the mark.
        running.abort();
        let _aborted = running.await;
    }
    let (relay, task) = Relay::new(registry.clone(), log.clone());
    let stop = CancellationToken::new();
    let running = tokio::spawn(task.run(stop.clone()));
    let last = registry.last_seq().await.unwrap();
    let id = DeviceId::from_u128(500).to_string();
    let content = device_record(500);
    let put = Decision::put(TENANT, Kind::Device, &id, &content);
    let written = registry.put(&put, &ME).await.unwrap();
    assert!(written.seq > last);
    let offset = relay.durable(written.seq, LONG).await.unwrap();
    shard.applied(offset, LONG).await.unwrap();
    stop.cancel();
    running.await.unwrap();
    // Who waits is told before the mark, and the relay does not end between the two.
    assert_eq!(registry.relayed().await.unwrap(), written.seq);

    expected.push((id, written.revision));
    let effects = effects.lock().unwrap().clone();
    assert!(effects == expected, "took effect: {effects:?}");
    // The log may hold a decision twice, after a kill before the mark; never out of order.
    let mut first = Vec::new();
    for decision in decided(&log) {
        if !first.contains(&decision) {
            first.push(decision);
        }
    }
    assert_eq!(first, expected);
    driver.stop().unwrap();
}
