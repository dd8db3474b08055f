//! What a registry promises, on any database. Each function gets an empty one.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "the tests call these functions")]

#[path = "contract/batches.rs"]
mod batches;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use model::{Clock, ErrorKind, SystemClock, TenantId, Timestamp};
use registry::content::{DeviceContent, UserContent};
use registry::{Author, Decision, Error, Expect, Key, Kind, Registry};
use serde_json::{Value, json};

pub(crate) use batches::{
    any_batch_is_what_one_by_one_would_have_written,
    contents_of_any_characters_are_listed_as_they_are,
    many_at_once_are_what_one_by_one_would_have_written,
};

pub(crate) const HERE: TenantId = TenantId::from_u128(1);
const THERE: TenantId = TenantId::from_u128(2);
pub(crate) const ME: Author<'static> = Author { actor: "loopback", reason: "because" };

/// Advances by a second at each look.
#[derive(Debug, Default)]
pub(crate) struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.fetch_add(1_000, Relaxed))
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

pub(crate) async fn open(url: &str) -> Registry {
    Registry::open(url, Arc::new(Ticking::default())).await.unwrap()
}

pub(crate) fn device(name: &str) -> Value {
    json!({"name": name, "venture": "coolbox", "kind": "box", "origin": "virtual"})
}

pub(crate) fn key(id: &str) -> Key<'_> {
    Key { tenant: HERE, kind: Kind::Device, id }
}

pub(crate) async fn revisions_are_kept_and_the_last_is_in_force(url: &str) {
    let registry = open(url).await;
    for (number, name) in [(1, "first"), (2, "second")] {
        let content = device(name);
        let written =
            registry.put(&Decision::put(HERE, Kind::Device, "a", &content), &ME).await.unwrap();
        assert_eq!((written.id.as_str(), written.revision, written.seq), ("a", number, number));
    }
    let in_force = registry.get(key("a")).await.unwrap().unwrap();
    assert_eq!((in_force.revision, in_force.actor.as_str()), (2, "loopback"));
    assert_eq!((in_force.reason.as_str(), in_force.at.as_millis()), ("because", 1_000));
    assert_eq!(
        in_force.content,
        r#"{"kind":"box","name":"second","origin":"virtual","venture":"coolbox"}"#
    );
    assert_eq!(in_force.content::<DeviceContent>().unwrap().name.as_str(), "second");
    let first = registry.at(key("a"), 1).await.unwrap().unwrap();
    assert_eq!(first.content::<DeviceContent>().unwrap().name.as_str(), "first");
    let history = registry.history(key("a"), None, 10).await.unwrap();
    assert_eq!(history, [in_force, first.clone()]);
    assert_eq!(registry.history(key("a"), Some(2), 10).await.unwrap(), [first]);
    assert_eq!(registry.at(key("a"), 3).await.unwrap(), None);
    assert_eq!(registry.get(Key { tenant: THERE, ..key("a") }).await.unwrap(), None);
}

pub(crate) async fn a_decision_on_an_old_revision_is_refused_by_name(url: &str) {
    let registry = open(url).await;
    let content = device("a");
    let put = Decision::put(HERE, Kind::Device, "a", &content);
    let refused = async |decision: Decision<'_>| {
        let error = registry.put(&decision, &ME).await.unwrap_err();
        format!("{:?}: {error}", error.kind())
    };
    assert_eq!(
        refused(put.expecting(Expect::Revision(3))).await,
        "Conflict: device a is at revision 0, not 3"
    );
    registry.put(&put.expecting(Expect::New), &ME).await.unwrap();
    assert_eq!(
        refused(put.expecting(Expect::New)).await,
        "Conflict: device a already exists at revision 1"
    );
    registry.put(&put.expecting(Expect::Revision(1)), &ME).await.unwrap();
    assert_eq!(
        refused(put.expecting(Expect::Revision(1))).await,
        "Conflict: device a is at revision 2, not 1"
    );
    assert_eq!(registry.last_seq().await.unwrap(), 2, "a refused decision takes no place");
}

pub(crate) async fn a_removed_record_is_gone_but_its_history_stays(url: &str) {
    let registry = open(url).await;
    let content = device("a");
    let put = Decision::put(HERE, Kind::Device, "a", &content);
    let remove = Decision::remove(HERE, Kind::Device, "a");
    assert_eq!(registry.put(&remove, &ME).await.unwrap_err().kind(), ErrorKind::NotFound);
    registry.put(&put, &ME).await.unwrap();
    let stale = remove.expecting(Expect::Revision(7));
    assert_eq!(registry.put(&stale, &ME).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(registry.put(&remove, &ME).await.unwrap().revision, 2);
    assert_eq!(registry.get(key("a")).await.unwrap(), None);
    assert_eq!(registry.list(HERE, Kind::Device, "", 9).await.unwrap(), []);
    assert_eq!(registry.find_by_name(HERE, Kind::Device, "a").await.unwrap(), None);
    assert!(registry.at(key("a"), 2).await.unwrap().unwrap().removes());
    let error = registry.put(&put.expecting(Expect::Revision(2)), &ME).await.unwrap_err();
    assert_eq!(error.to_string(), "device a was removed by revision 2");
    let again = registry.put(&put.expecting(Expect::New), &ME).await.unwrap();
    assert_eq!(again.revision, 3, "revisions go on, so that none ever means two contents");
    assert_eq!(registry.outbox(1, 1).await.unwrap()[0].content, "null");
}

pub(crate) async fn a_name_is_unique_in_its_tenant_and_kind(url: &str) {
    let registry = open(url).await;
    let content = device("box-1");
    let put = |tenant, kind, id| Decision::put(tenant, kind, id, &content);
    registry.put(&put(HERE, Kind::Device, "a"), &ME).await.unwrap();
    let error = registry.put(&put(HERE, Kind::Device, "b"), &ME).await.unwrap_err();
    assert_eq!(error.to_string(), r#"device name "box-1" is taken by a"#);
    registry.put(&put(THERE, Kind::Device, "b"), &ME).await.unwrap();
    let found = registry.find_by_name(THERE, Kind::Device, "box-1").await.unwrap().unwrap();
    assert_eq!(found.id, "b");
    let twice = [put(HERE, Kind::Plan, "c"), put(HERE, Kind::Plan, "d")];
    let error = registry.put_many(&twice, &ME).await.unwrap_err();
    assert_eq!(error.to_string(), r#"plan name "box-1" is taken by the same batch"#);
    let renamed = device("box-2");
    registry.put(&Decision::put(HERE, Kind::Device, "a", &renamed), &ME).await.unwrap();
    registry.put(&put(HERE, Kind::Device, "b"), &ME).await.unwrap();
}

pub(crate) async fn a_tenant_name_is_unique_everywhere(url: &str) {
    let registry = open(url).await;
    let content = json!({"name": "acme", "demo": false});
    for (tenant, fits) in [(HERE, true), (THERE, false)] {
        let id = tenant.to_string();
        let written = registry.put(&Decision::put(tenant, Kind::Tenant, &id, &content), &ME).await;
        assert_eq!(written.is_ok(), fits, "{tenant}");
    }
    let found = registry.find_by_name(THERE, Kind::Tenant, "acme").await.unwrap().unwrap();
    assert_eq!(found.tenant, HERE);
}

pub(crate) async fn a_batch_is_written_whole_or_not_at_all(url: &str) {
    let registry = open(url).await;
    let content = device("a");
    let misfit = json!({"name": "b", "venture": "coolbox", "kind": "box"});
    let good = Decision::put(HERE, Kind::Device, "a", &content);
    let late = Decision::put(HERE, Kind::Device, "c", &content).expecting(Expect::Revision(1));
    for bad in [Decision::put(HERE, Kind::Device, "b", &misfit), late] {
        assert!(registry.put_many(&[good, bad], &ME).await.is_err());
        assert_eq!(registry.get(key("a")).await.unwrap(), None);
        assert_eq!(registry.last_seq().await.unwrap(), 0);
    }
    let twice = registry.put_many(&[good, good], &ME).await.unwrap();
    assert_eq!(twice.iter().map(|r| (r.revision, r.seq)).collect::<Vec<_>>(), [(1, 1), (2, 2)]);
    assert_eq!(registry.put_many(&[], &ME).await.unwrap(), []);
}

#[expect(clippy::too_many_lines, reason = "one table of what is refused")]
pub(crate) async fn malformed_decisions_are_refused_with_place_and_rule(url: &str) {
    let registry = open(url).await;
    let mut deep = json!(1);
    for _ in 0..40 {
        deep = json!([deep]);
    }
    let large = json!({"venture": "coolbox", "text": "x".repeat(600_000)});
    let long = json!({"venture": "coolbox", "text": "x".repeat(300_000)});
    let mut text = String::new();
    for (kind, id, content) in [
        (Kind::Device, "a", json!({"name": "Box", "venture": "v", "kind": "k", "origin": "real"})),
        (Kind::Device, "a", json!({"name": "b", "venture": "v", "kind": "k", "origin": "fake"})),
        (
            Kind::Device,
            "a",
            json!({"name": "b", "venture": "v", "kind": "k", "origin": "real", "tag": 1}),
        ),
        (
            Kind::Site,
            "a",
            json!({"name": "b", "timezone": "Europe/Berlin", "position": {"latitude": 91, "longitude": 0}}),
        ),
        (Kind::User, "a", json!({"name": " b", "role": "owner"})),
        (
            Kind::Credential,
            "a",
            json!({"owner": {"device": "dev_1"}, "secret_sha256": "", "origin": "real"}),
        ),
        (
            Kind::Credential,
            "a",
            json!({"owner": {"service": "erp"}, "secret_sha256": "iot_x", "origin": "real"}),
        ),
        (Kind::Blueprint, "icebox", json!({"venture": "coolbox", "text": ""})),
        (Kind::Blueprint, "coolbox", long),
        (Kind::Blueprint, "coolbox", large),
        (Kind::Plan, "a", json!([])),
        (Kind::Plan, "a", deep),
        (Kind::Plan, "a b", json!({})),
        (Kind::Plan, "", json!({})),
    ] {
        let decision = Decision::put(HERE, kind, id, &content);
        let error = registry.put(&decision, &ME).await.unwrap_err();
        text.push_str(&format!("{:?} {error}\n", error.kind()));
    }
    for actor in ["", "a b"] {
        let content = json!({});
        let decision = Decision::put(HERE, Kind::Plan, "a", &content);
        let error = registry.put(&decision, &Author::new(actor)).await.unwrap_err();
        text.push_str(&format!("{:?} {error}\n", error.kind()));
    }
    expect_test::expect![[r#"
        Invalid device a: "Box" is not a device name: use a to z, 0 to 9, -, _ and ., starting with a letter or digit, at most 64 characters, and not the form of an id
        Invalid device a: "fake" is not an origin: use real, replayed or virtual
        Invalid device a: unknown field `tag`, expected one of `name`, `venture`, `kind`, `origin`, `site`, `tags`, `links`, `children`, `hardware`, `serial`, `profile`, `retired`, `returns`
        Invalid site a: position 91, 0 is not on Earth
        Invalid user a: name " b": use one line without spaces around it
        Invalid credential a: id "dev_1" is not dev_ and 26 characters of Crockford base32
        Invalid credential a: secret_sha256: use 64 lower-case hexadecimal digits
        Invalid blueprint icebox: venture coolbox is not the id of the record
        Invalid blueprint coolbox: text: 300000 exceeds the limit of 262144
        TooLarge blueprint coolbox of 600031 bytes exceeds content_bytes_max = 524288
        Invalid plan a: a content is a JSON object
        Invalid plan a is nested deeper than content_depth_max = 32
        Invalid plan id "a b": use 1 to 128 printable ASCII characters without spaces
        Invalid plan id "": use 1 to 128 printable ASCII characters without spaces
        Invalid an actor has 1 to 128 printable ASCII characters without spaces
        Invalid an actor has 1 to 128 printable ASCII characters without spaces
    "#]].assert_eq(&text);
    assert_eq!(registry.last_seq().await.unwrap(), 0);
}

pub(crate) async fn lists_go_on_where_the_page_ended(url: &str) {
    let registry = open(url).await;
    let contents: Vec<_> =
        (0..25).map(|n| (format!("dev-{n:02}"), device(&format!("n{n}")))).collect();
    let puts: Vec<_> =
        contents.iter().map(|(id, c)| Decision::put(HERE, Kind::Device, id, c)).collect();
    registry.put_many(&puts, &ME).await.unwrap();
    let elsewhere = device("n0");
    registry.put(&Decision::put(THERE, Kind::Device, "x", &elsewhere), &ME).await.unwrap();
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = registry.list(HERE, Kind::Device, &after, 10).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.id.clone();
        seen.extend(page.into_iter().map(|row| row.id));
    }
    assert_eq!(seen, contents.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>());
    let (mut count, mut last) = (0, None);
    loop {
        let page = registry.scan(Kind::Device, last.as_ref(), 10).await.unwrap();
        let Some(end) = page.last() else { break };
        count += page.len();
        last = Some(end.clone());
    }
    assert_eq!((count, last.map(|row| row.tenant)), (26, Some(THERE)));
}

pub(crate) async fn credentials_are_listed_by_their_owner(url: &str) {
    let registry = open(url).await;
    let device = "dev_00000000000000000000000001";
    let credential =
        |owner: Value| json!({"owner": owner, "secret_sha256": "0".repeat(64), "origin": "real"});
    let of_device = credential(json!({"device": device}));
    let of_service = credential(json!({"service": "erp"}));
    for (id, content) in [("cre-1", &of_device), ("cre-2", &of_service), ("cre-3", &of_device)] {
        registry.put(&Decision::put(HERE, Kind::Credential, id, content), &ME).await.unwrap();
    }
    let owned = async |owner: &str| {
        let key = Key { tenant: HERE, kind: Kind::Credential, id: owner };
        let rows = registry.list_owned(key, "", 10).await.unwrap();
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(owned(device).await, ["cre-1", "cre-3"]);
    assert_eq!(owned("erp").await, ["cre-2"]);
    registry.put(&Decision::remove(HERE, Kind::Credential, "cre-1"), &ME).await.unwrap();
    assert_eq!(owned(device).await, ["cre-3"]);
}

pub(crate) async fn of_two_writers_on_one_revision_exactly_one_wins(url: &str) {
    let first = open(url).await;
    let second = open(url).await;
    let content = device("a");
    first.put(&Decision::put(HERE, Kind::Device, "a", &content), &ME).await.unwrap();
    for revision in 1..=10 {
        let decision =
            Decision::put(HERE, Kind::Device, "a", &content).expecting(Expect::Revision(revision));
        let (one, two) = tokio::join!(first.put(&decision, &ME), second.put(&decision, &ME));
        let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
        assert_eq!(won.unwrap().revision, revision + 1);
        let lost = lost.unwrap_err();
        let Error::Conflict { expected, in_force, .. } = lost else { panic!("{lost}") };
        assert_eq!((expected, in_force), (revision, revision + 1));
    }
}

pub(crate) async fn outbox_order_is_commit_order_without_gaps(url: &str) {
    let registry = open(url).await;
    let other = open(url).await;
    let writers = (0..8_u64).map(|writer| {
        let registry = if writer % 2 == 0 { registry.clone() } else { other.clone() };
        tokio::spawn(async move {
            for turn in 0..10_u64 {
                let (id, content) = (format!("w{writer}"), json!({"turn": turn}));
                let decision = Decision::put(HERE, Kind::Assumption, &id, &content);
                registry.put(&decision, &ME).await.unwrap();
                // A refused one in between leaves no hole.
                let stale = decision.expecting(Expect::New);
                registry.put(&stale, &ME).await.unwrap_err();
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    // A reader that follows while they write must never see a row before an earlier one.
    let mut seen = 0;
    while seen < 80 {
        for row in registry.outbox(seen, 7).await.unwrap() {
            assert_eq!(row.seq, seen + 1);
            seen = row.seq;
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let rows = registry.outbox(0, 1_000).await.unwrap();
    assert_eq!(rows.len(), 80);
    for writer in 0..8 {
        let own: Vec<_> = rows.iter().filter(|row| row.id == format!("w{writer}")).collect();
        assert_eq!(
            own.iter().map(|row| row.revision).collect::<Vec<_>>(),
            (1..=10).collect::<Vec<_>>()
        );
        assert_eq!(own[9].content, r#"{"turn":9}"#);
    }
}

pub(crate) async fn the_relay_mark_moves_forward_only(url: &str) {
    let registry = open(url).await;
    let mut committed = registry.committed();
    assert_eq!((*committed.borrow_and_update(), registry.relayed().await.unwrap()), (0, 0));
    let content = device("a");
    for _ in 0..3 {
        registry.put(&Decision::put(HERE, Kind::Device, "a", &content), &ME).await.unwrap();
    }
    committed.changed().await.unwrap();
    assert_eq!(*committed.borrow(), 3);
    let rows = registry.outbox(1, 1).await.unwrap();
    let decided = rows[0].decided();
    assert_eq!((rows[0].seq, decided.kind, decided.id, decided.revision), (2, "device", "a", 2));
    registry.set_relayed(2).await.unwrap();
    registry.set_relayed(1).await.unwrap();
    assert_eq!(registry.relayed().await.unwrap(), 2);
    let error = registry.set_relayed(4).await.unwrap_err();
    assert_eq!(error.to_string(), "outbox ends at 3, cannot mark 4 as relayed");
}

pub(crate) async fn everything_is_there_after_reopening(url: &str) {
    let content = json!({"name": "ann", "role": "owner"});
    let registry = open(url).await;
    registry.put(&Decision::put(HERE, Kind::User, "usr", &content), &ME).await.unwrap();
    registry.set_relayed(1).await.unwrap();
    registry.close().await;
    let again = open(url).await;
    assert_eq!(*again.committed().borrow(), 1);
    assert_eq!((again.relayed().await.unwrap(), again.last_seq().await.unwrap()), (1, 1));
    let row = again.get(Key { tenant: HERE, kind: Kind::User, id: "usr" }).await.unwrap().unwrap();
    assert_eq!(row.content::<UserContent>().unwrap().role.as_str(), "owner");
}

/// Returns puts per second.
pub(crate) async fn a_thousand_at_a_time_are_quick(url: &str) {
    let registry = open(url).await;
    let clock = SystemClock::new();
    let mut best = 0;
    for round in 0..3 {
        let contents: Vec<_> = (0..1_000)
            .map(|n| (format!("dev-{round}-{n}"), device(&format!("box-{round}-{n}"))))
            .collect();
        let puts: Vec<_> =
            contents.iter().map(|(id, c)| Decision::put(HERE, Kind::Device, id, c)).collect();
        let start = clock.monotonic();
        registry.put_many(&puts, &ME).await.unwrap();
        let spent = (clock.monotonic() - start).as_micros().max(1);
        best = best.max(1_000_000_000 / spent);
    }
    println!("{best} puts/s in batches of 1,000");
    assert!(best >= 2_000, "{best} puts/s");
}
