//! What was read is in the chart after the process ended, however it ended.

use serde_json::Value;

use crate::program::{End, Server};

/// How often history is asked whether it has followed the log.
const QUESTIONS_MAX: usize = 5_000;
/// Long before the first reading, so that memory never reaches back far enough.
const FROM: &str = "2020-01-01T00:00:00Z";

fn history(server: &Server) -> Value {
    let url = format!(
        "{}/api/v1/devices/box-0001/history?property=temperature&from={FROM}&px=100",
        server.url()
    );
    let text = ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Points and source, once there are so many points.
fn points(server: &Server, wanted: u64) -> Value {
    let asked = std::iter::repeat_with(|| history(server)).take(QUESTIONS_MAX);
    let mut last = Value::Null;
    for history in asked {
        last = history;
        if last["points"].as_u64() == Some(wanted) {
            break;
        }
    }
    last
}

#[test]
fn the_chart_has_what_was_there_before_the_process_ended() {
    let mut server = Server::start(&["--trust-loopback"]);
    server.ok(&["init", "--from", "coolbox"]);
    server.ok(&["apply", "--yes"]);
    server.ok(&["device", "add", "box-0001", "--kind", "box"]);
    let mut sent = 0;
    for (end, value) in [(End::Asked, "3.5"), (End::Killed, "4.5"), (End::Asked, "9.5")] {
        server.ok(&["send", "box-0001", &format!("temperature={value}")]);
        sent += 1;
        let before = points(&server, sent);
        assert_eq!(before["points"], sent, "{before}");
        server.restart(end, &["--trust-loopback"]);
        let after = points(&server, sent);
        assert_eq!(after["points"], sent, "after {end:?}: {after}");
        assert_eq!(after["source"], "history");
    }
    let kept = history(&server);
    let buckets = kept["buckets"].as_array().unwrap();
    let extremes = |column: usize, pick: fn(f64, f64) -> f64| {
        buckets.iter().map(|bucket| bucket[column].as_f64().unwrap()).reduce(pick).unwrap()
    };
    assert_eq!((extremes(1, f64::min), extremes(2, f64::max)), (3.5, 9.5));
}
