//! A demo with a past, and phones that become its devices.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use blueprint::Blueprint;
use fleetsim::{Fault, Past, PastSpan};
use model::{Clock, Name, SystemClock, Timestamp};
use serde_json::{Value, json};

use crate::program::iotbiz;

const DAY: Duration = Duration::from_secs(86_400);
/// How often a server that starts is asked before it is given up.
const QUESTIONS_MAX: usize = 1_000_000;
/// The seed of every demo.
const SEED: u64 = 7;

struct Demo {
    process: Child,
    url: String,
    said: Value,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// One that may still simulate its past.
fn begin(folder: &Path, arguments: &[&str]) -> Demo {
    let address = format!("127.0.0.1:{}", free_port());
    let process = Command::new(env!("CARGO_BIN_EXE_iotbiz"))
        .args(["demo", "--json", "--data", "data", "--mqtt", "127.0.0.1:0", "--listen", &address])
        .args(arguments)
        .current_dir(folder)
        .env("IOTBIZ_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    Demo { process, url: format!("http://{address}"), said: Value::Null }
}

/// One whose devices go on by themselves.
fn start(folder: &Path, arguments: &[&str]) -> Demo {
    let mut demo = begin(folder, arguments);
    let mut line = String::new();
    BufReader::new(demo.process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    demo.said = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
    demo.url = format!("http://{}", demo.said["http"].as_str().unwrap());
    demo
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Demo {
    fn get(&self, path: &str) -> Value {
        let (status, body) = call("GET", &format!("{}{path}", self.url), &[], None);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    fn until(&self) -> Timestamp {
        self.said["past"]["until"].as_str().unwrap().parse().unwrap()
    }

    /// Points of the temperature, and the values that came twice.
    fn points(&self, device: &str, from: Timestamp, to: Timestamp) -> (u64, u64) {
        let path = format!("/api/v1/devices/{device}");
        let chart = format!("{path}/history?property=temperature&from={from}&to={to}&px=900");
        let twice = self.get(&path)["duplicates"].as_u64().unwrap_or(0);
        (self.get(&chart)["points"].as_u64().unwrap(), twice)
    }
}

fn call(method: &str, url: &str, headers: &[(&str, &str)], body: Option<&Value>) -> (u16, Value) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .build()
        .into();
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = request.header("content-type", "application/json").body(body).unwrap();
    let Ok(mut answer) = agent.run(request) else { return (0, Value::Null) };
    let text = answer.body_mut().read_to_string().unwrap_or_default();
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Temperatures that the fleet's seed has for a device in a span.
fn measured(folder: &Path, device: &str, from: Timestamp, until: Timestamp) -> u64 {
    let text = std::fs::read_to_string(folder.join("blueprint.toml")).unwrap();
    let blueprint = Blueprint::parse(&text).blueprint.unwrap();
    let past = Past::new(&blueprint.kinds, SEED, &[Fault::Breakdown]);
    let kind: Name = "box".parse().unwrap();
    let span = PastSpan { after_ms: from.as_millis(), until_ms: until.as_millis() };
    let messages = past.messages(device, &kind, span);
    let count = messages.iter().map(|message| {
        let text = std::str::from_utf8(&message.payload).unwrap();
        text.matches("\"temperature\"").count() as u64
    });
    count.sum()
}

#[test]
fn a_past_that_was_cut_short_goes_on_without_gap_or_double() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(iotbiz(folder, &["init", "--from", "coolbox"]).status.success());
    let from = SystemClock::new().now() - DAY * 30;
    let (from_text, devices) = (from.to_string(), ["--devices", "4"]);
    let arguments = [devices[0], devices[1], "--from", &from_text];

    let mut cut = begin(folder, &arguments);
    let devices_url = format!("{}/api/v1/devices?limit=1", cut.url);
    let heard = std::iter::repeat_with(|| call("GET", &devices_url, &[], None).1)
        .take(QUESTIONS_MAX)
        .find(|found| found["items"][0]["last_seen"].is_string());
    assert!(heard.is_some(), "no device was heard");
    cut.process.kill().unwrap();
    cut.process.wait().unwrap();

    let mut demo = start(folder, &arguments);
    let rest = demo.said["past"]["messages"].as_u64().unwrap();
    // A message of each of seven devices every minute, had nothing been there before.
    assert!((1..7 * 30 * 1440).contains(&rest), "{rest} messages were left");
    for round in ["after the cut", "after another start"] {
        // Whole days: a device that starts tells everything once more, off its usual minute.
        let day_ms = 86_400_000;
        let midnight = |at: Timestamp| at.as_millis().div_euclid(day_ms) * day_ms;
        let (first, end) = (midnight(from) + day_ms, midnight(demo.until()));
        let (first, end) = (Timestamp::from_millis(first), Timestamp::from_millis(end));
        let before = Duration::from_millis(1);
        for device in ["box-0001", "box-0002", "box-0003", "box-0004"] {
            let wanted = measured(folder, device, first - before, end - before);
            assert!(wanted > 20 * 1440, "{device} measured {wanted}");
            assert_eq!(demo.points(device, first, end), (wanted, 0), "{device} {round}");
        }
        drop(demo);
        demo = start(folder, &arguments);
        let filled = demo.said["past"]["messages"].as_u64().unwrap();
        assert!(filled <= 14, "{filled} messages fill the moments between two starts");
    }
    assert_eq!(demo.get("/api/v1/status")["tenant"]["demo"], true);
}

#[test]
fn a_past_is_on_time_and_its_radio_carries_what_the_blueprint_plans() {
    let folder = tempfile::tempdir().unwrap();
    let demo = start(folder.path(), &["--devices", "4", "--from", "5d"]);
    let venture = "/api/v1/ventures/coolbox";
    let gates = demo.get(&format!("{venture}/gates"));
    let criteria = gates["items"][0]["criteria"].as_array().unwrap();
    let of = |name: &str| criteria.iter().find(|criterion| criterion["name"] == name).unwrap();
    let delivered = of("delivered");
    assert_eq!(delivered["basis"], "simulated", "{delivered}");
    assert!(delivered["value"].as_f64().unwrap() >= 0.99, "{delivered}");
    let actual = demo.get(&format!("{venture}/case/actual?trials=100"));
    let inputs = actual["inputs"].as_array().unwrap();
    let radio = inputs.iter().find(|input| input["input"] == "cost.radio.megabytes").unwrap();
    // A session a minute, each billed as 10 kB: 432 MB a month, less what breakdowns kept silent.
    let megabytes = radio["actual"].as_f64().unwrap();
    assert!((400.0..=440.0).contains(&megabytes), "{radio}");
    assert_eq!((&radio["basis"], &radio["devices"]), (&json!("simulated"), &json!(4)), "{radio}");
}

#[test]
fn a_demo_begins_with_ideas_that_say_so_and_its_venture_with_one_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--devices", "2", "--from", "2d"];
    let mut demo = start(folder.path(), &arguments);
    for round in ["at first", "after another start"] {
        let ideas = demo.get("/api/v1/ideas?status=all");
        let ideas = ideas["items"].as_array().unwrap();
        assert_eq!(ideas.len(), 3, "{round}");
        for idea in ideas {
            let text = idea["text"].as_str().unwrap();
            assert!(text.ends_with("Made for the demo: nobody asked for it."), "{text}");
            assert!(idea["score"]["value"].is_f64(), "{idea}");
        }
        drop(demo);
        demo = start(folder.path(), &arguments);
    }
    let cycle = demo.get("/api/v1/ventures/coolbox/cycle");
    let stages = cycle["stages"].as_array().unwrap();
    let days = |stage: &Value| stage["took_ms"].as_i64().map(|ms| ms / 86_400_000);
    assert_eq!(stages.iter().map(days).collect::<Vec<_>>()[..3], [None, Some(14), Some(10)]);
    assert!(stages[3]["at"].is_string() && stages[4]["at"].is_null(), "{cycle}");
    assert_eq!(cycle["simulated"], true);
    let idea = demo.get(&format!("/api/v1/ideas/{}", cycle["idea"].as_str().unwrap()));
    let warning = idea["sizing"]["warning"].as_str().unwrap();
    assert!(warning.contains("apart by 10.0"), "{warning}");
    let cells = idea["competitors"]["cells"].as_array().unwrap();
    assert!(cells.iter().all(|cell| cell["source"] == "made for the demo"), "{cells:?}");
    // What documents say of a line of the template holds of a demo's.
    let text = demo.get("/api/v1/ventures/coolbox/blueprint")["text"].as_str().unwrap().to_owned();
    assert!(text.lines().nth(10).unwrap().contains("every = \"1 min\""), "{text}");
    assert_eq!(demo.get("/api/v1/status")["clock"], "ok");
}

#[test]
fn a_day_in_the_future_is_no_past() {
    let folder = tempfile::tempdir().unwrap();
    let said = iotbiz(folder.path(), &["demo", "--from", "2999-01-01"]);
    assert_eq!(said.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&said.stderr).contains("future"));
}

/// The address of the page for phones, without its claim, and the claim.
fn door(demo: &Demo) -> (String, Value) {
    let url = demo.said["box"].as_str().unwrap();
    let (address, claim) = url.split_once("/box#claim=").unwrap();
    (address.to_owned(), json!({ "claim": claim }))
}

#[test]
fn a_phone_becomes_a_device_by_the_claim_and_there_is_a_last_one() {
    let folder = tempfile::tempdir().unwrap();
    let lan = ["--from", "now", "--devices", "1", "--lan=127.0.0.1:0"];
    let demo = start(folder.path(), &lan);
    let (address, claim) = door(&demo);
    let phone = &demo.get("/api/v1/status")["phone"];
    assert_eq!((&phone["url"], &phone["phones_max"]), (&demo.said["box"], &json!(50)));
    let shown = iotbiz(folder.path(), &["phone", "--server", &demo.url]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains(demo.said["box"].as_str().unwrap()), "{shown}");
    let join = |said: &Value| call("POST", &format!("{address}/box/claim"), &[], Some(said));
    assert_eq!(join(&json!({ "claim": "0" })).0, 403);
    assert_eq!(join(&json!({})).0, 403);
    let (status, me) = join(&claim);
    assert_eq!((status, me["slider"]["name"].as_str()), (201, Some("temperature")), "{me}");

    let token = format!("Bearer {}", me["token"].as_str().unwrap());
    let url = format!("{address}/ingest/v1/telemetry");
    let body = json!({ "temperature": 11.5 });
    let (status, said) = call("POST", &url, &[("authorization", &token)], Some(&body));
    assert_eq!((status, said["durable"].as_bool()), (200, Some(true)), "{said}");
    let name = me["name"].as_str().unwrap();
    let found = std::iter::repeat_with(|| demo.get(&format!("/api/v1/devices/{name}")))
        .take(QUESTIONS_MAX)
        .find(|device| device["readings"]["temperature"]["value"] == json!(11.5));
    let found = found.unwrap();
    assert_eq!((&found["origin"], &found["kind"]), (&json!("virtual"), &json!("box")));

    let refused = (1..100).map(|_| join(&claim)).find(|(status, _)| *status != 201).unwrap();
    assert_eq!(refused.0, 429);
    assert!(refused.1["detail"].as_str().unwrap().contains("50 phones"), "{}", refused.1);
}

#[test]
fn nothing_but_the_box_page_and_ingest_answers_on_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let lan = ["--from", "now", "--devices", "1", "--lan=127.0.0.1:0"];
    let demo = start(folder.path(), &lan);
    let (address, claim) = door(&demo);
    let document = iotbiz(folder.path(), &["openapi"]);
    let document: Value = serde_json::from_slice(&document.stdout).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let mut walked: Vec<(String, String)> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    assert!(walked.len() > 40, "{} routes", walked.len());
    for path in ["/", "/index.html", "/fleet", "/connect", "/metrics", "/healthz", "/readyz"] {
        walked.push(("GET".to_owned(), path.to_owned()));
    }
    for path in ["/mqtt", "/api/v1/x/telemetry", "/ingest/v1/reported", "/ingest/v1/event/open"] {
        walked.push(("GET".to_owned(), path.to_owned()));
        walked.push(("POST".to_owned(), path.to_owned()));
    }
    for (method, path) in walked.iter().filter(|(_, path)| path != "/ingest/v1/telemetry") {
        let (status, _) = call(method, &format!("{address}{path}"), &[], None);
        assert_eq!(status, 404, "{method} {path}");
    }
    for path in ["/box", "/box/style.css", "/box/script.js"] {
        assert_eq!(call("GET", &format!("{address}{path}"), &[], None).0, 200, "{path}");
    }
    let ingest = format!("{address}/ingest/v1/telemetry");
    assert_eq!(call("POST", &ingest, &[], Some(&json!({ "temperature": 1 }))).0, 401);
    let rebound = [("host", "evil.example:7071")];
    assert_eq!(call("GET", &format!("{address}/box"), &rebound, None).0, 403);
    let foreign = [("origin", "http://evil.example")];
    let url = format!("{address}/box/claim");
    assert_eq!(call("POST", &url, &foreign, Some(&claim)).0, 403);
}
