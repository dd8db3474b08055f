//! Windows through the whole fold, and what was delivered.
//!
//! *Invariant:* a snapshot in the middle of a window changes nothing.

use rules::Due;

use crate::harness::{Fleet, device};

#[test]
fn a_rate_of_change_is_seen_and_a_restart_in_the_window_changes_nothing() {
    let body = r#"
        [device.box.readings]
        temperature = { unit = "°C", every = "1 min" }
        [alarm.rising]
        device = "box"
        when = "rate(temperature, 10 min) > 1 K/min and avg(temperature, 10 min) > 6 °C"
        severity = "warning"
        "#;
    let run = |restart_at: i64| {
        let mut fleet = Fleet::new(body);
        fleet.join("box", "box", &[]);
        for minute in 0..40_i32 {
            fleet.tick(i64::from(minute) * 60);
            let value = if minute < 20 { 4.0 } else { 4.0 + f64::from(minute - 20) * 1.5 };
            fleet.now("box", "temperature", value);
            if i64::from(minute) == restart_at {
                fleet.restart();
            }
        }
        (fleet.bytes(), fleet.told())
    };
    let (bytes, told) = run(-1);
    assert_eq!(told.len(), 1, "{told:?}");
    for minute in [0, 5, 20, 25, 39] {
        assert_eq!(run(minute), (bytes.clone(), told.clone()));
    }
}

#[test]
fn what_was_due_is_counted_for_each_device() {
    let mut fleet =
        Fleet::new("[device.box.readings]\ntemperature = { unit = \"°C\", every = \"1 min\" }");
    fleet.join("box", "box", &[]);
    for minute in [0, 1, 2, 3, 10] {
        fleet.tick(minute * 60);
        fleet.now("box", "temperature", 4.0);
    }
    let days = fleet.rules.delivery(device("box"));
    assert_eq!(days[&0], Due { due: 10, on_time: 3, complete: 4 });
    assert!((days[&0].on_time_share().unwrap() - 0.3).abs() < 1e-12);
}
