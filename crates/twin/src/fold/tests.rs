//! What the fold keeps, and that a snapshot is the whole of it.

mod acts;

use std::time::Duration;

use model::{
    Decided, DeviceId, Input, Offset, Origin, Output, Outputs, Projection, Reading, ReadingMark,
    Step, TenantId, Timestamp, Value,
};
use proptest::prelude::*;

use super::{Asked, Of, Twins};

const TENANT: TenantId = TenantId::from_u128(1);

fn device(n: u128) -> DeviceId {
    DeviceId::from_u128(n)
}

fn record(name: &str, revision: u64) -> String {
    format!(
        r#"{{"name":"{name}","venture":"coolbox","kind":"box","origin":"real","site":null,
            "tags":["r{revision}"],"links":{{}},"profile":null}}"#
    )
}

fn step(offset: u64, input: Input<'_>) -> Step<'_> {
    let log_time = Timestamp::from_millis(1_000_000) + Duration::from_millis(offset);
    Step { offset: Offset(offset), log_time, input }
}

fn decide(twins: &mut Twins, at: u64, kind: &str, id: DeviceId, content: &str) -> Vec<Output> {
    let id = id.to_string();
    let decided = Decided { tenant: TENANT, kind, id: &id, revision: at, content };
    let mut out = Outputs::new(Offset(at));
    twins.apply(&step(at, Input::Decided(decided)), &mut out);
    out.into_list().into_iter().map(|(_, _, output)| output).collect()
}

fn reading(property: &str, time: i64, value: f64) -> Reading {
    Reading {
        property: property.parse().unwrap(),
        time: Timestamp::from_millis(time),
        value: Value::Number(value),
        mark: ReadingMark::DeviceTime,
    }
}

fn hear(twins: &mut Twins, at: u64, of: DeviceId, what: Of, readings: &[Reading]) {
    let input = if matches!(what, Of::Settings) {
        Input::Reported { tenant: TENANT, device: of, values: readings }
    } else {
        Input::Readings { tenant: TENANT, device: of, path: None, origin: Origin::Real, readings }
    };
    twins.apply(&step(at, input), &mut Outputs::new(Offset(at)));
}

fn one_device() -> Twins {
    let mut twins = Twins::default();
    decide(&mut twins, 1, "device", device(7), &record("box-7", 1));
    twins
}

#[test]
fn the_greatest_event_time_wins_whatever_the_order() {
    let mut twins = one_device();
    hear(&mut twins, 2, device(7), Of::Readings, &[reading("temperature", 20, 4.0)]);
    hear(&mut twins, 3, device(7), Of::Readings, &[reading("temperature", 10, 9.0)]);
    hear(&mut twins, 4, device(7), Of::Readings, &[reading("temperature", 20, 4.0)]);
    let twin = twins.get(device(7)).unwrap();
    assert_eq!(twin.readings["temperature"].value, Value::Number(4.0));
    assert_eq!((twin.seen.late, twin.seen.duplicates, twin.seen.messages), (1, 1, 3));
    hear(&mut twins, 5, device(7), Of::Readings, &[reading("temperature", 20, 5.0)]);
    let twin = twins.get(device(7)).unwrap();
    assert_eq!(twin.readings["temperature"].value, Value::Number(5.0), "a correction wins");
}

#[test]
fn desired_is_published_whole_and_pending_until_reported() {
    let mut twins = one_device();
    let content = r#"{"by":"usr_1","values":{"interval":900,"beep":true}}"#;
    let outputs = decide(&mut twins, 2, "desired", device(7), content);
    let Output::Publish { topic, payload, .. } = &outputs[0] else { panic!("{outputs:?}") };
    assert_eq!(topic, "desired");
    assert_eq!(
        std::str::from_utf8(payload).unwrap(),
        r#"{"values":{"beep":true,"interval":900},"version":1}"#
    );
    hear(&mut twins, 3, device(7), Of::Settings, &[reading("interval", 5, 900.0)]);
    let twin = twins.get(device(7)).unwrap();
    let pending: Vec<_> = twin.pending().map(model::Name::as_str).collect();
    assert_eq!(pending, ["beep"]);
    decide(&mut twins, 4, "desired", device(7), r#"{"by":"usr_1","values":{"beep":null}}"#);
    let twin = twins.get(device(7)).unwrap();
    assert_eq!((twin.pending().count(), twin.desired_version), (0, 2));
}

fn ask(twins: &Twins, tenant: TenantId, of: DeviceId, asked: &str) -> Vec<(String, String)> {
    let asked: Asked = serde_json::from_str(asked).unwrap();
    let mut out = Outputs::new(Offset(9));
    twins.answer((tenant, of, "q1"), &asked, &mut out);
    let shown = |output| match output {
        Output::Publish { topic, payload, .. } => (topic, String::from_utf8(payload).unwrap()),
        other @ (Output::Notify(_) | Output::Act { .. }) => panic!("{other:?}"),
    };
    out.into_list().into_iter().map(|(_, _, output)| shown(output)).collect()
}

#[test]
fn a_device_that_asks_is_told_its_own_twin() {
    let mut twins = one_device();
    let content = r#"{"by":"usr_1","values":{"interval":900,"beep":true}}"#;
    decide(&mut twins, 2, "desired", device(7), content);
    hear(&mut twins, 3, device(7), Of::Settings, &[reading("interval", 5, 60.0)]);
    for (asked, result) in [
        (
            "{}",
            r#"{"desired":{"beep":true,"interval":900},"reported":{"interval":60},"version":1}"#,
        ),
        (r#"{"desired":["interval","no_such"]}"#, r#"{"desired":{"interval":900},"version":1}"#),
        (r#"{"reported":[]}"#, r#"{"reported":{},"version":1}"#),
    ] {
        let answer = format!(r#"{{"ok":true,"result":{result}}}"#);
        let expected = [("request/q1/answer".to_owned(), answer)];
        assert_eq!(ask(&twins, TENANT, device(7), asked), expected);
    }
    assert_eq!(ask(&twins, TenantId::from_u128(2), device(7), "{}"), []);
    assert_eq!(ask(&twins, TENANT, device(8), "{}"), []);
}

#[test]
fn an_older_revision_changes_nothing() {
    let mut twins = Twins::default();
    decide(&mut twins, 5, "device", device(7), &record("new", 5));
    decide(&mut twins, 4, "device", device(7), &record("old", 4));
    assert_eq!(twins.get(device(7)).unwrap().name, "new");
}

#[test]
fn a_renamed_device_is_found_by_its_new_name_only() {
    let mut twins = one_device();
    decide(&mut twins, 2, "device", device(7), &record("box-seven", 2));
    let view = twins.view(Offset(2), Timestamp::ZERO);
    assert_eq!(view.by_name(TENANT, "box-seven").unwrap().id, device(7));
    assert!(view.by_name(TENANT, "box-7").is_none());
}

#[test]
fn a_view_does_not_see_what_comes_after_it() {
    let mut twins = one_device();
    hear(&mut twins, 2, device(7), Of::Readings, &[reading("temperature", 1, 1.0)]);
    let before = twins.view(Offset(2), Timestamp::ZERO);
    hear(&mut twins, 3, device(7), Of::Readings, &[reading("temperature", 2, 2.0)]);
    decide(&mut twins, 4, "device", device(8), &record("box-8", 4));
    let old = before.get(TENANT, device(7)).unwrap();
    assert_eq!(old.readings["temperature"].value, Value::Number(1.0));
    assert_eq!(before.devices(TENANT).count(), 1);
    assert_eq!(twins.view(Offset(4), Timestamp::ZERO).devices(TENANT).count(), 2);
}

#[test]
fn another_tenant_sees_nothing() {
    let view = one_device().view(Offset(1), Timestamp::ZERO);
    assert!(view.get(TenantId::from_u128(2), device(7)).is_none());
    assert_eq!(view.devices(TenantId::from_u128(2)).count(), 0);
}

fn happen(twins: &mut Twins, at: u64, what: (u8, u8, i8)) {
    let (kind, which, value) = what;
    let id = device(u128::from(which % 5));
    match kind % 5 {
        0 => {
            decide(twins, at, "device", id, &record(&format!("d{which}"), at));
        }
        1 if which.is_multiple_of(7) => {
            decide(twins, at, "device", id, "null");
        }
        2 => {
            let content = format!(r#"{{"by":"u","values":{{"interval":{value}}}}}"#);
            decide(twins, at, "desired", id, &content);
        }
        3 => hear(twins, at, id, Of::Settings, &[reading("interval", i64::from(value), 1.0)]),
        _ => hear(twins, at, id, Of::Readings, &[reading("t", i64::from(value), f64::from(value))]),
    }
}

proptest! {
    #[test]
    fn same_snapshot_and_same_steps_give_the_same_bytes(
        steps in prop::collection::vec(any::<(u8, u8, i8)>(), 0..120),
        cut in 0_usize..120,
    ) {
        let mut whole = Twins::default();
        let mut resumed = Twins::default();
        for (at, what) in (1_u64..).zip(&steps) {
            if usize::try_from(at).unwrap() == cut {
                let mut bytes = Vec::new();
                resumed.snapshot(&mut bytes);
                resumed = Twins::restore(&bytes).unwrap();
            }
            happen(&mut whole, at, *what);
            happen(&mut resumed, at, *what);
        }
        let (mut a, mut b) = (Vec::new(), Vec::new());
        whole.snapshot(&mut a);
        resumed.snapshot(&mut b);
        prop_assert_eq!(a, b);
    }

    #[test]
    fn restore_refuses_what_is_no_snapshot(bytes: Vec<u8>) {
        let _refused = Twins::restore(&bytes).is_err();
    }
}
