//! Who gets what: subscriptions, retained messages, and what is kept.

use super::*;
use model::{Offset, Timestamp};
use proptest::prelude::*;

const TENANT: TenantId = TenantId::from_u128(7);

fn plain(subscriber: u32) -> Subscription {
    Subscription {
        subscriber: Subscriber(subscriber),
        qos: Qos::AtLeastOnce,
        no_local: false,
        retain_as_published: false,
        id: 0,
        view: View::Whole,
    }
}

fn whole(topic: &str) -> Address<'_> {
    Address::parse(TENANT, topic).unwrap()
}

fn readers(router: &mut Router, topic: &str, publisher: Option<u32>) -> Vec<u32> {
    let mut out = Vec::new();
    let sent = Sent { address: whole(topic), publisher: publisher.map(Subscriber) };
    router.route(TENANT, &sent, |_| true, &mut out);
    out.iter().map(|m| m.subscriber.0).collect()
}

#[test]
fn another_tenants_topic_has_no_address() {
    let other = TenantId::from_u128(8);
    let device = DeviceId::from_u128(1);
    let text = format!("{}telemetry", branch(TENANT, device));
    assert_eq!(
        Address::parse(TENANT, &text),
        Some(Address { device: Some(device), topic: "telemetry" })
    );
    assert_eq!(Address::parse(other, &text), None);
    assert_eq!(Address::parse(other, "t/x/y"), None);
    assert!(Address::parse(other, "t/+/d/#").is_some());
}

#[test]
fn a_wildcard_over_devices_sees_every_branch() {
    let mut router = Router::default();
    let device = DeviceId::from_u128(1);
    let filter = format!("t/{TENANT}/d/+/telemetry");
    router.subscribe(TENANT, whole(&filter), None, plain(1));
    let own = Address { device: Some(device), topic: "+" };
    router.subscribe(TENANT, own, None, Subscription { view: View::Me, ..plain(2) });
    let text = format!("{}telemetry", branch(TENANT, device));
    assert_eq!(readers(&mut router, &text, None), [1, 2]);
    let text = format!("{}telemetry", branch(TENANT, DeviceId::from_u128(2)));
    assert_eq!(readers(&mut router, &text, None), [1]);
    assert!(router.unsubscribe(TENANT, own, None, Subscriber(2)));
    assert!(router.unsubscribe(TENANT, whole(&filter), None, Subscriber(1)));
    assert!(router.is_empty());
}

#[test]
fn overlapping_subscriptions_give_one_copy_with_the_highest_qos_and_all_ids() {
    let mut router = Router::default();
    router.subscribe(TENANT, whole("a/#"), None, Subscription { id: 5, ..plain(1) });
    let twice = Subscription { qos: Qos::ExactlyOnce, id: 6, ..plain(1) };
    router.subscribe(TENANT, whole("a/+"), None, twice);
    let mut out = Vec::new();
    router.route(TENANT, &Sent { address: whole("a/b"), publisher: None }, |_| true, &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!((out[0].qos, out[0].ids.clone()), (Qos::ExactlyOnce, vec![5, 6]));
}

#[test]
fn no_local_keeps_a_message_from_its_publisher() {
    let mut router = Router::default();
    router.subscribe(TENANT, whole("a"), None, Subscription { no_local: true, ..plain(1) });
    assert_eq!(readers(&mut router, "a", Some(1)), Vec::<u32>::new());
    assert_eq!(readers(&mut router, "a", Some(2)), [1]);
}

#[test]
fn a_shared_subscription_takes_turns_among_those_online() {
    let mut router = Router::default();
    for subscriber in 1..=3 {
        router.subscribe(TENANT, whole("a/+"), Some("g"), plain(subscriber));
    }
    let mut counts = [0; 4];
    let mut out = Vec::new();
    for _ in 0..30 {
        let sent = Sent { address: whole("a/b"), publisher: None };
        router.route(TENANT, &sent, |s| s.0 != 2, &mut out);
        assert_eq!(out.len(), 1);
        counts[usize::try_from(out[0].subscriber.0).unwrap()] += 1;
    }
    assert_eq!(counts, [0, 15, 0, 15]);
}

#[test]
fn retained_messages_are_replaced_deleted_and_bounded() {
    let mut kept = Retained::default();
    let message = |topic: &str, payload: &[u8]| Kept {
        device: None,
        topic: topic.into(),
        qos: Qos::AtLeastOnce,
        offset: Offset(1),
        log_time: Timestamp::ZERO,
        expires: None,
        properties: Box::default(),
        payload: payload.into(),
    };
    kept.put(TENANT, message("a/b", b"1"), 1000).unwrap();
    kept.put(TENANT, message("a/b", b"2"), 1000).unwrap();
    kept.put(TENANT, message("a", b"3"), 1000).unwrap();
    let found = |kept: &Retained, filter: &str| -> Vec<Box<[u8]>> {
        let found = kept.find(TENANT, whole(filter), Timestamp::ZERO);
        found.iter().map(|k| k.payload.clone()).collect()
    };
    assert_eq!(found(&kept, "a/+"), [Box::from(&b"2"[..])]);
    assert_eq!(found(&kept, "a/#").len(), 2);
    let refused = kept.put(TENANT, message("b", &[0; 900]), 1000).unwrap_err();
    assert_eq!(refused.max, 1000);
    let mut bytes = Vec::new();
    kept.snapshot(&mut bytes);
    let again = Retained::restore(&mut model::wire::Reader::new(&bytes)).unwrap();
    assert_eq!(again, kept);
    kept.remove(TENANT, whole("a/b"));
    kept.remove(TENANT, whole("a"));
    assert_eq!(kept, Retained::default());
    assert_eq!(kept.bytes(TENANT), 0);
}

fn text(levels: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(levels), 1..4).prop_map(|l| l.join("/"))
}

proptest! {
    /// The router against the definition: whoever has a filter that matches gets one copy.
    #[test]
    fn a_message_reaches_exactly_whoever_asked(
        filters in prop::collection::vec((text(&["a", "b", "+", "$s", ""]), 0..9_u32), 1..40),
        open in prop::collection::vec((text(&["a", "+", "$s"]), 0..9_u32), 0..5),
        gone in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        names in prop::collection::vec(text(&["a", "b", "$s", ""]), 1..20),
    ) {
        let open = open.into_iter().map(|(f, who)| (f + "/#", who));
        let mut all: Vec<(String, u32)> =
            filters.into_iter().chain(open).filter(|(f, _)| !f.is_empty()).collect();
        all.sort();
        all.dedup();
        prop_assume!(!all.is_empty());
        let mut router = Router::default();
        for (filter, who) in &all {
            prop_assert!(!router.subscribe(TENANT, whole(filter), None, plain(*who)));
        }
        for index in gone {
            if all.is_empty() { break; }
            let (filter, who) = all.swap_remove(index.index(all.len()));
            prop_assert!(router.unsubscribe(TENANT, whole(&filter), None, Subscriber(who)));
        }
        prop_assert_eq!(router.len(), all.len());
        for name in names.iter().filter(|n| !n.is_empty()) {
            let mut wanted: Vec<u32> = all.iter()
                .filter(|(f, _)| topic::matches(f, name)).map(|(_, who)| *who).collect();
            wanted.sort_unstable();
            wanted.dedup();
            prop_assert_eq!(readers(&mut router, name, None), wanted, "{}", name);
        }
    }
}
