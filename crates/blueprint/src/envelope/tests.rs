//! Whatever is asked, the envelope holds.

use proptest::prelude::*;

use super::*;
use crate::Blueprint;

const VALVE: &str = r#"blueprint = 1
venture = "valve"
title = "Valve"
[device.valve.readings]
pressure = { unit = "bar", min = 0, max = 20, every = "1 min" }
lid_open = "boolean"
[device.valve.settings.opening]
unit = "%"
min = 0
max = 80
rate = "3 per h"
dwell = "5 min"
interlock = "pressure < 10 bar and lid_open == false"
safe = 0
watchdog = "10 min"
[device.valve.commands.purge]
rate = "1 per 10 min"
interlock = "lid_open == false"
"#;

fn envelope(text: &str) -> Envelope {
    let parsed = Blueprint::parse(text);
    let blueprint = parsed.blueprint.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics));
    blueprint.kinds["valve"].settings["opening"].envelope.clone()
}

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(minutes * 60_000)
}

/// Judges, and notes what was taken.
fn act(
    envelope: &Envelope,
    past: &mut Past,
    (value, at, interlock): (f64, Timestamp, Option<bool>),
) -> Result<Driving, String> {
    let value = Value::Number(value);
    let act = Act { value: Some(&value), at, interlock };
    let change = envelope.judge(past, &act).map_err(|refusal| refusal.to_string())?;
    past.note(&act, change);
    Ok(change)
}

#[test]
fn the_keys_are_read() {
    let envelope = envelope(VALVE);
    assert_eq!(envelope.rate, Some(Rate { acts: 3, over: Duration::from_secs(3600) }));
    assert_eq!(envelope.dwell, Some(Duration::from_secs(300)));
    assert_eq!((envelope.min, envelope.max), (Some(0.0), Some(80.0)));
    let watchdog = Some(Duration::from_secs(600));
    assert_eq!(envelope.safe, Some(Safe { value: Value::Number(0.0), watchdog }));
    let reads: Vec<_> = envelope.interlock.unwrap().reads;
    assert_eq!(reads[0].1, Some(Duration::from_secs(180)));
    assert_eq!(reads[1].1, None);
}

#[test]
fn what_cannot_be_kept_is_found_when_it_is_written() {
    for (from, to, found) in [
        ("\"3 per h\"", "\"3/h\"", "is not a rate"),
        ("\"3 per h\"", "\"61 per h\"", "1 to 60"),
        ("safe = 0", "safe = 90", "not between min and max"),
        ("safe = 0\n", "", "safe"),
        ("pressure < 10 bar and", "avg(pressure, 5 min) < 10 bar and", "newest readings"),
        ("pressure < 10 bar and", "force < 10 bar and", "force"),
        ("dwell = \"5 min\"", "dwell = \"5 bar\"", "duration"),
    ] {
        let text = VALVE.replace(from, to);
        assert_ne!(text, VALVE);
        let shown = format!("{:?}", Blueprint::parse(&text).diagnostics);
        assert!(shown.contains(found), "{from} -> {to}: {shown}");
    }
}

#[test]
fn a_refusal_says_the_number() {
    let (envelope, mut past) = (envelope(VALVE), Past::default());
    let ok = Some(true);
    assert_eq!(act(&envelope, &mut past, (90.0, at(0), ok)).unwrap_err(), "90 is outside 0 to 80");
    assert_eq!(
        act(&envelope, &mut past, (10.0, at(0), Some(false))).unwrap_err(),
        "interlock: pressure < 10 bar and lid_open == false does not hold"
    );
    assert!(act(&envelope, &mut past, (10.0, at(0), None)).unwrap_err().contains("nobody knows"));
    assert_eq!(act(&envelope, &mut past, (10.0, at(0), ok)), Ok(Driving::Driven));
    assert_eq!(
        act(&envelope, &mut past, (20.0, at(4), ok)).unwrap_err(),
        "dwell is 5 min, and the next change may follow at 1970-01-01T00:05:00Z"
    );
    assert_eq!(act(&envelope, &mut past, (10.0, at(4), None)), Ok(Driving::Confirmed));
    assert_eq!(act(&envelope, &mut past, (20.0, at(5), ok)), Ok(Driving::Driven));
    assert_eq!(act(&envelope, &mut past, (30.0, at(10), ok)), Ok(Driving::Driven));
    assert_eq!(
        act(&envelope, &mut past, (40.0, at(20), ok)).unwrap_err(),
        "rate is 3 per 1 h, and the next may follow at 1970-01-01T01:00:00Z"
    );
    assert_eq!(act(&envelope, &mut past, (0.0, at(20), None)), Ok(Driving::Driven), "safety");
}

#[test]
fn an_old_reading_holds_no_interlock() {
    let envelope = envelope(VALVE);
    let (pressure, shut) = (Value::Number(5.0), Value::Boolean(false));
    let truth = |age_min: i64| {
        envelope.holds(at(100), |name| match name.as_str() {
            "pressure" => Some((&pressure, at(100 - age_min))),
            _ => Some((&shut, at(0))),
        })
    };
    assert_eq!((truth(0), truth(3), truth(4)), (Some(true), Some(true), None));
    assert_eq!(envelope.holds(at(100), |_| None), None);
}

proptest! {
    #[test]
    fn no_sequence_of_acts_drives_the_value_out(
        acts in prop::collection::vec((-20_i32..120, 0_i64..15, 0_u8..3, any::<bool>()), 0..200),
    ) {
        let (envelope, mut past) = (envelope(VALVE), Past::default());
        let mut now = Timestamp::from_millis(0);
        let mut driven: Vec<(Timestamp, f64)> = Vec::new();
        for (value, wait, interlock, restart) in acts {
            now = now + Duration::from_secs(u64::try_from(wait).unwrap() * 60);
            let interlock = [Some(true), Some(false), None][usize::from(interlock)];
            if restart {
                let mut bytes = Vec::new();
                past.encode(&mut bytes);
                past = Past::decode(&mut model::wire::Reader::new(&bytes)).unwrap();
            }
            let value = f64::from(value);
            if act(&envelope, &mut past, (value, now, interlock)) != Ok(Driving::Driven) {
                continue;
            }
            prop_assert!((0.0..=80.0).contains(&value));
            if value != 0.0 {
                prop_assert_eq!(interlock, Some(true));
                if let Some((before, _)) = driven.last() {
                    prop_assert!(now.since(*before) >= Duration::from_secs(300));
                }
                let hour = |at: &Timestamp| now.since(*at) < Duration::from_secs(3600);
                prop_assert!(driven.iter().filter(|(at, _)| hour(at)).count() < 3);
            }
            driven.push((now, value));
        }
    }
}
