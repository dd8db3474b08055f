//! How fast one core folds messages of devices into twins, without disk and network.
//!
//! ```sh
//! cargo run --release -p pipeline --example fold_speed -- 1000000
//! ```
//!
//! *Invariant:* each round decodes the frame's bytes as the driver does; the state at the end is
//! checked, so that nothing is measured that was not done.

use std::time::Duration;

use model::{
    Channel, Clock, Decided, DeviceId, Frame, Offset, Origin, Principal, Qos, Raw, Record, Retain,
    SystemClock, TenantId, Timestamp,
};
use pipeline::{State, Unwatched};

const TENANT: TenantId = TenantId::from_u128(1);
const DEVICES: u32 = 1_000;
const MESSAGES: u32 = 1_000_000;
const BEGIN_MS: i64 = 1_795_608_000_000;
const BLUEPRINT: &str = r#"blueprint = 1
venture = "coolbox"
title = "Coolbox"
[device.box.readings]
temperature = { unit = "°C", min = -90, max = 80, every = "1 min" }
humidity = { unit = "%", min = 0, max = 100 }
battery = { unit = "V", min = 0, max = 5 }
lid_open = "boolean"
"#;

fn record(offset: u32, frame: Frame<'_>) -> Record<'_> {
    let log_time = Timestamp::from_millis(BEGIN_MS) + Duration::from_millis(u64::from(offset) / 50);
    Record { offset: Offset(u64::from(offset)), log_time, frame }
}

fn decide(state: &mut State, offset: u32, kind: &str, id: &str, content: &serde_json::Value) {
    let content = content.to_string();
    let decided = Decided { tenant: TENANT, kind, id, revision: 1, content: &content };
    state.apply(&record(offset, Frame::Decided(decided)), &mut Unwatched);
}

fn message(n: u32) -> Vec<u8> {
    let device = DeviceId::from_u128(u128::from(n % DEVICES) + 1);
    let tenths = n % 400;
    let payload = format!(
        r#"{{"ts":{},"values":{{"temperature":{}.{},"humidity":{},"battery":3.7{},"lid_open":{}}}}}"#,
        BEGIN_MS + i64::from(n / 50),
        tenths / 10,
        tenths % 10,
        n % 100,
        n % 10,
        n.is_multiple_of(2),
    );
    let mut bytes = Vec::new();
    Frame::Raw(Raw {
        tenant: TENANT,
        principal: Principal::Device(device),
        device: Some(device),
        origin: Origin::Real,
        channel: Channel::Mqtt,
        qos: Qos::AtLeastOnce,
        retain: Retain::Pass,
        session: 0,
        packet_id: 1,
        topic: "telemetry",
        properties: &[],
        key: "",
        payload: payload.as_bytes(),
    })
    .encode(&mut bytes);
    bytes
}

#[expect(clippy::print_stdout, reason = "the figure is what the example is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let messages = std::env::args().nth(1).map_or(Ok(MESSAGES), |count| count.parse())?;
    let mut state = State::default();
    let blueprint = serde_json::json!({ "venture": "coolbox", "text": BLUEPRINT });
    decide(&mut state, 1, "blueprint", "coolbox", &blueprint);
    for n in 1..=DEVICES {
        let id = DeviceId::from_u128(u128::from(n)).to_string();
        let name = format!("box-{n}");
        let device = serde_json::json!(
            { "name": name, "venture": "coolbox", "kind": "box", "origin": "real" });
        decide(&mut state, n + 1, "device", &id, &device);
    }
    let frames: Vec<Vec<u8>> = (0..messages).map(message).collect();
    let clock = SystemClock::new();
    let begin = clock.monotonic();
    for (offset, bytes) in (DEVICES + 2..).zip(&frames) {
        state.apply(&record(offset, Frame::decode(bytes)?), &mut Unwatched);
    }
    let took = clock.monotonic() - begin;
    let totals = state.totals();
    if totals.readings != u64::from(messages) * 4 || totals.quarantined != 0 {
        return Err(format!("folded {totals:?}").into());
    }
    let rate = f64::from(messages) / took.as_secs_f64() / 1_000.0;
    println!("{messages} messages of 4 values, {DEVICES} devices: {rate:.0} k/s");
    Ok(())
}
