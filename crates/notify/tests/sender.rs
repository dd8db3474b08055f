//! The task, its handle and its file, with a way out that is a function.
//!
//! *Invariant:* tests wait for a status, never for a time.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use faultsim::{Fault, Op, SimDisk};
use model::{AlarmId, DeviceId, ErrorKind, Offset, OutputKey, SystemClock, TenantId, Timestamp};
use notify::{
    Channel, Handle, MessageKey, Notification, Policy, Retry, RouteId, Sender, Severity, Source,
    Status, Transition, Transports,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const TENANT: TenantId = TenantId::from_u128(1);
const OFFERS_MAX: u64 = 1024;

type Published = Arc<Mutex<Vec<String>>>;

fn notification(number: u64) -> Notification {
    let output = OutputKey { fold: 2, input: Offset(number), n: 0 };
    Notification {
        key: MessageKey { source: Source::Main, output },
        tenant: TENANT,
        alarm: Some(AlarmId::from_u128(1)),
        device: Some(DeviceId::from_u128(7)),
        idea: None,
        people: BTreeSet::new(),
        transition: Transition::Raised,
        severity: Severity::Warning,
        role: "operator".to_owned(),
        title: format!("{number}"),
        text: String::new(),
        cause: None,
        at: Timestamp::ZERO,
        link: String::new(),
    }
}

fn policy() -> Policy {
    let text = "[person.ada]\nroles = [\"operator\"]\nchannels = [\"mqtt\"]\nmqtt = \"a\"\n\
                digest = { burst = 1000, window = \"1 s\" }";
    Policy::from_toml(TENANT, text).unwrap()
}

/// A sender on `disk` that publishes to a list, or fails as long as the list holds "down".
fn open(disk: &SimDisk, published: &Published) -> (Sender, Handle) {
    let list = Arc::clone(published);
    let transports = Transports::default().with_mqtt(Arc::new(move |_tenant, topic, payload| {
        let mut list = list.lock().unwrap();
        if list.first().is_some_and(|first| first == "down") {
            return Err("the broker is down".to_owned());
        }
        list.push(format!("{topic} {}", String::from_utf8(payload).unwrap()));
        Ok(())
    }));
    let ms = Duration::from_millis;
    let retry = Retry { first: ms(2), pause_max: ms(20), age_max: Duration::from_secs(60) };
    let disk = Arc::new(disk.clone());
    let clock = Arc::new(SystemClock::new());
    Sender::open(disk, Path::new("/data"), clock, transports, (retry, policy())).unwrap()
}

fn start(sender: Sender) -> (CancellationToken, JoinHandle<()>) {
    let stop = CancellationToken::new();
    (stop.clone(), tokio::spawn(sender.run(stop)))
}

async fn until(handle: &Handle, wanted: impl FnMut(&Status) -> bool) -> Status {
    let mut watch = handle.watch();
    let mut wanted = wanted;
    let waited = watch.wait_for(|status| wanted(status));
    let found = tokio::time::timeout(Duration::from_secs(20), waited).await;
    Status::clone(&found.unwrap_or_else(|_| panic!("{:?}", handle.status())).unwrap())
}

fn told(status: &Status) -> u64 {
    status.routes.first().map_or(0, |route| route.told)
}

fn route() -> RouteId {
    RouteId { tenant: TENANT, person: "ada".parse().unwrap(), channel: Channel::Mqtt }
}

#[tokio::test]
async fn a_full_sender_refuses_at_once_and_leaves_no_gap() {
    let published = Published::default();
    let (sender, handle) = open(&SimDisk::new(1), &published);
    // Nobody takes them in yet.
    for number in 1..=OFFERS_MAX {
        handle.offer(Offset(number), notification(number)).unwrap();
    }
    let first = OFFERS_MAX + 1;
    let refused = handle.offer(Offset(first), notification(first)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    let (stop, running) = start(sender);
    handle.room().await.unwrap();
    let skipped = handle.offer(Offset(first + 1), notification(first + 1)).unwrap_err();
    assert_eq!(skipped.kind(), ErrorKind::Overloaded, "the refused one comes first");
    handle.offer(Offset(first), notification(first)).unwrap();
    handle.offer(Offset(first + 1), notification(first + 1)).unwrap();
    let status = until(&handle, |status| told(status) == first + 1).await;
    assert_eq!((status.overflow, status.taken), (2, first + 1));
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_stop_keeps_what_waits_and_a_start_sends_it_once() {
    let disk = SimDisk::new(1);
    let published = Published::new(Mutex::new(vec!["down".to_owned()]));
    let (sender, handle) = open(&disk, &published);
    let (stop, running) = start(sender);
    for number in 1..=3 {
        handle.offer(Offset(number), notification(number)).unwrap();
    }
    let status = until(&handle, |status| {
        status.routes.first().is_some_and(|route| route.waiting == 3 && route.last_error.is_some())
    })
    .await;
    assert_eq!(status.routes[0].last_error.as_ref().unwrap().why, "the broker is down");
    stop.cancel();
    running.await.unwrap();
    assert_eq!(handle.status().durable.get(&Source::Main), Some(&Offset(3)));
    assert_eq!(
        handle.offer(Offset(4), notification(4)).unwrap_err().kind(),
        ErrorKind::Unavailable
    );

    published.lock().unwrap().clear();
    disk.crash();
    let (sender, handle) = open(&disk, &published);
    assert_eq!(handle.status().durable.get(&Source::Main), Some(&Offset(3)));
    let (stop, running) = start(sender);
    // A reader that goes back too far changes nothing.
    handle.offer(Offset(3), notification(3)).unwrap();
    let status = until(&handle, |status| told(status) == 3 && status.doubles == 1).await;
    assert_eq!(status.routes[0].waiting, 0);
    stop.cancel();
    running.await.unwrap();
    let list = published.lock().unwrap().clone();
    assert_eq!(list.len(), 3, "{list:?}");
    assert!(list[0].starts_with(&format!("t/{TENANT}/notify/a {{")), "{list:?}");
}

#[tokio::test]
async fn a_full_disk_is_visible_and_holds_up_nobody() {
    let disk = SimDisk::new(1);
    let published = Published::default();
    let (sender, handle) = open(&disk, &published);
    disk.fail(Op::Write, 0, Fault::Full);
    let (stop, running) = start(sender);
    handle.offer(Offset(1), notification(1)).unwrap();
    let status = until(&handle, |status| status.disk.is_some()).await;
    assert!(status.disk.as_ref().unwrap().why.contains("notify.state"), "{status:?}");
    assert_eq!((told(&status), status.durable.len()), (1, 0), "it was told all the same");
    let status = until(&handle, |status| status.disk.is_none()).await;
    assert_eq!(status.durable.get(&Source::Main), Some(&Offset(1)));
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn orders_for_what_is_not_there_are_refused() {
    let (sender, handle) = open(&SimDisk::new(1), &Published::default());
    let (stop, running) = start(sender);
    let error = handle.replay(route(), "nothing".to_owned()).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no message nothing");
    let error = handle.enable(route()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_panic_of_a_way_out_is_an_error_of_that_route() {
    let transports = Transports::default().with_mqtt(Arc::new(|_, _, _| panic!("on purpose")));
    let disk = Arc::new(SimDisk::new(1));
    let clock = Arc::new(SystemClock::new());
    let with = (Retry::default(), policy());
    let (sender, handle) = Sender::open(disk, Path::new("/data"), clock, transports, with).unwrap();
    let (stop, running) = start(sender);
    handle.offer(Offset(1), notification(1)).unwrap();
    let failed = |status: &Status| status.routes.iter().any(|route| route.last_error.is_some());
    let status = until(&handle, failed).await;
    assert_eq!(status.routes[0].waiting, 1);
    stop.cancel();
    running.await.unwrap();
}
