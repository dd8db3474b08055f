//! Bodies made to hurt: each is refused or quarantined at once, on a small stack.

use std::time::Duration;

use model::{Clock, SystemClock};

use super::*;
use crate::Shape;

/// What one message may cost the folds of everybody.
const PATIENCE: Duration = Duration::from_millis(50);
/// Small enough that recursion by the depth of a body would end the test process.
const STACK_BYTES: usize = 256 * 1024;
/// As large as a body may be at the door.
const BODY_BYTES: usize = 1024 * 1024;

fn profile() -> Profile {
    let rule = |n: u32| {
        let name: Name = format!("temperature_of_the_cabinet_{n}").parse().unwrap();
        let shape = Shape::Number { unit: "Cel".to_owned(), min: None, max: None };
        (name.clone(), Rule { name, shape, lane: Lane::Telemetry })
    };
    let readings = (0..100).map(rule).collect();
    Profile { readings, ..Profile::default() }
}

/// Decodes on a small stack; the fastest of three, as other tests run beside it.
fn decoded(body: Vec<u8>) -> Decoded {
    let work = move || {
        let (profile, clock) = (profile(), SystemClock::new());
        let log_time = "2026-11-25T12:00:00Z".parse().unwrap();
        let arrival = Arrival { log_time, again: Again::First };
        let run = |_| {
            let begun = clock.monotonic();
            let decoded = decode(&profile, Door::Telemetry, &body, arrival);
            (clock.monotonic() - begun, decoded)
        };
        let (took, decoded) = (0..3).map(run).min_by_key(|(took, _)| *took).unwrap();
        assert!(took < PATIENCE, "{took:?}");
        decoded
    };
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work).unwrap().join().unwrap()
}

/// Why a body gave nothing.
fn refused(body: impl Into<Vec<u8>>) -> String {
    let decoded = decoded(body.into());
    assert_eq!(decoded.readings, []);
    decoded.bad.first().expect("a reason").reason.clone()
}

fn filled(begin: &str, piece: &str, end: &str) -> String {
    let count = (BODY_BYTES - begin.len() - end.len()) / piece.len();
    format!("{begin}{}{end}", piece.repeat(count))
}

#[test]
fn b11_json_a_hundred_thousand_deep_is_refused() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        assert!(refused(deep).contains("recursion limit exceeded"));
        assert!(refused(open.repeat(100_000)).contains("recursion limit exceeded"));
    }
}

#[test]
fn b11_cbor_a_hundred_thousand_deep_is_refused() {
    // Arrays of one, arrays without end, maps, and tags of tags inside an array.
    for piece in [&[0x81][..], &[0x9F], &[0xA1, 0x61, b'a'], &[0xBF, 0x61, b'a']] {
        assert!(refused(piece.repeat(100_000)).starts_with("not CBOR: "));
    }
    let mut tags = vec![0x81];
    tags.resize(100_000, 0xC1);
    assert!(refused(tags).starts_with("not CBOR: "));
}

#[test]
fn b11_a_length_is_a_claim_and_allocates_nothing() {
    for head in [0x9B_u8, 0xBB] {
        let claim = [&[head][..], &[0xFF; 8], &[0x00]].concat();
        assert!(refused(claim).starts_with("not CBOR: "));
    }
    for head in [0x5B_u8, 0x7B, 0x9B, 0xBB] {
        let claim = [&[0x81, head][..], &[0x7F; 8], b"short"].concat();
        assert!(refused(claim).starts_with("not CBOR: "));
    }
}

#[test]
fn b11_a_body_of_nothing_but_brackets_is_cheap() {
    for (begin, piece, end) in [("[", "[],", "1]"), ("[", "{},", "{}]"), ("[", "1,", "1]")] {
        let decoded = decoded(filled(begin, piece, end).into());
        assert_eq!(decoded.readings, []);
        assert!(decoded.bad.len() <= BAD_MAX + 2);
    }
    let mut flat = vec![0x9F];
    flat.resize(BODY_BYTES, 0x80);
    flat.push(0xFF);
    assert!(refused(flat).contains("more than ITEMS_MAX = 100000 items"));
}

#[test]
fn b11_unknown_names_cost_the_owner_a_hundred_entries_at_most() {
    let reason = refused(filled("{", "\"a\":1,", "\"b\":1}"));
    assert!(reason.contains("more than ITEMS_MAX = 100000 items"), "{reason}");
    for piece in ["\"temperature_of_the_cabinet_x\":1,", "\"a\":1,", "\"\":{},"] {
        let decoded = decoded(format!("{{{}\"b\":1}}", piece.repeat(20_000)).into());
        assert_eq!((decoded.readings.len(), decoded.bad.len()), (0, BAD_MAX + 2));
        let last = decoded.bad.last().unwrap();
        assert!(last.reason.contains("VALUES_MAX = 10000"), "{}", last.reason);
    }
}

#[test]
fn b11_a_name_again_is_not_taken() {
    let twice = "\"temperature_of_the_cabinet_1\":1,".repeat(9_000);
    let decoded = decoded(format!("{{{twice}\"b\":1}}").into());
    assert_eq!(decoded.readings.len(), 1);
    assert!(decoded.bad[0].reason.starts_with("is twice in one object"));
    // {"temperature_of_the_cabinet_1": 1, "temperature_of_the_cabinet_1": 2} in CBOR
    let name = b"temperature_of_the_cabinet_1";
    let key = [&[0x78, 28][..], name].concat();
    let twice = [&[0xA2][..], &key, &[1], &key, &[2]].concat();
    let decoded = self::decoded(twice);
    assert_eq!((decoded.readings.len(), decoded.bad.len()), (1, 1));
}

#[test]
fn b11_numbers_that_are_none_are_told() {
    let name = "temperature_of_the_cabinet_1";
    for number in ["1e400", "-1e400", "NaN", "Infinity", "-Infinity", "01", "1.", "+1"] {
        let reason = refused(format!("{{\"{name}\":{number}}}"));
        assert!(reason.starts_with("not JSON: "), "{number}: {reason}");
    }
    let mut key = vec![0xA1, 0x78, 28];
    key.extend_from_slice(name.as_bytes());
    // NaN and infinity as half, single and double floats.
    for number in [
        &[0xF9, 0x7E, 0x00][..],
        &[0xF9, 0x7C, 0x00],
        &[0xFA, 0x7F, 0xC0, 0, 0],
        &[0xFB, 0x7F, 0xF8, 0, 0, 0, 0, 0, 0],
        &[0xFB, 0xFF, 0xF0, 0, 0, 0, 0, 0, 0],
    ] {
        assert_eq!(refused([&key, number].concat()), "not a finite number");
    }
    let reason = refused(format!("{{\"ts\":1e300,\"values\":{{\"{name}\":1}}}}"));
    assert!(reason.contains("is no time"), "{reason}");
}

#[test]
fn b11_a_number_of_a_million_digits_is_cheap() {
    let name = "temperature_of_the_cabinet_1";
    for (begin, digit, end) in [("", "9", ""), ("0.", "1", ""), ("1e-", "9", ""), ("1", "0", ".5")]
    {
        let begin = format!("{{\"{name}\":{begin}");
        let decoded = decoded(filled(&begin, digit, &format!("{end}}}")).into());
        assert!(
            decoded.readings.iter().all(|r| matches!(r.value, Value::Number(n) if n.is_finite()))
        );
    }
}

#[test]
fn cbor_may_say_that_it_is_cbor() {
    let name = b"temperature_of_the_cabinet_1";
    let body = [&[0xD9, 0xD9, 0xF7, 0xA1, 0x78, 28][..], name, &[0x18, 21]].concat();
    assert_eq!(decoded(body).readings.first().map(|r| r.value.clone()), Some(Value::Number(21.0)));
}
