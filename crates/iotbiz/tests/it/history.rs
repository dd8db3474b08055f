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

/// A server with one box that has said 3.5.
fn with_a_reading() -> Server {
    let server = Server::start(&["--trust-loopback"]);
    server.ok(&["init", "--from", "coolbox"]);
    server.ok(&["apply", "--yes"]);
    server.ok(&["device", "add", "box-0001", "--kind", "box"]);
    server.ok(&["send", "box-0001", "temperature=3.5"]);
    assert_eq!(points(&server, 1)["points"], 1);
    server
}

#[test]
fn readings_leave_as_a_file_and_the_blueprint_as_before() {
    let server = with_a_reading();
    let text = server.ok(&["export", "--kind", "box"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("# units: ") && lines[0].contains("temperature=Cel"), "{text}");
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[1].starts_with("_device,_ts,") && lines[1].contains("temperature"), "{text}");
    assert!(lines[2].contains("real") && lines[2].contains("3.5"), "{text}");
    for format in ["parquet", "arrow"] {
        let said = server.json(&["export", "--device", "box-0001", "--format", format, "-o", "f"]);
        let file = std::fs::read(server.folder.join("f")).unwrap();
        assert_eq!(said["bytes"], file.len(), "{said}");
        assert_eq!(format == "parquet", file.starts_with(b"PAR1"));
    }
    let later = ["export", "--kind", "box", "--from", "2099-01-01T00:00:00Z"];
    assert_eq!(server.ok(&later).lines().count(), 2, "units and header only");
    assert!(server.ok(&["export", "coolbox"]).starts_with("# based on revision 1"));
    let unknown = server.output(&["export", "--kind", "bax", "-o", "g"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(!server.folder.join("g").exists() && !server.folder.join("g.part").exists());
}

#[test]
fn a_device_is_shown_as_it_was() {
    let server = with_a_reading();
    let before = server.json(&["device", "show", "box-0001", "--at", "2026-01-01T00:00:00Z"]);
    assert_eq!(before["twin"]["readings"], serde_json::json!({}), "{before}");
    assert_eq!(before["twin"]["source"], "history");
    let now = server.json(&["device", "show", "box-0001"])["twin"].clone();
    let at = now["readings"]["temperature"]["at"].as_str().unwrap().to_owned();
    let then = server.json(&["device", "show", "box-0001", "--at", &at]);
    let (then, now) = (&then["twin"]["readings"]["temperature"], &now["readings"]["temperature"]);
    assert_eq!((then["value"].as_f64(), &then["offset"]), (Some(3.5), &now["offset"]));
    assert_eq!(then["unit"], "Cel");
}

#[test]
fn days_are_those_of_the_place() {
    let server = with_a_reading();
    let url = format!("{}/api/v1/devices/box-0001/days?property=temperature", server.url());
    let text = ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap();
    let days: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(days["timezone"], "Europe/Berlin", "{days}");
    assert_eq!(days["days"].as_array().unwrap().len(), 1, "{days}");
    assert_eq!((&days["days"][0]["count"], &days["days"][0]["mean"]), (&1.into(), &3.5.into()));
}
