//! How a board gets in: snippets with the device's real names, and a body its blueprint accepts.
//!
//! *Invariant:* a snippet works as it is once `{TOKEN}` is replaced; the token itself is never
//! here, because it is shown only once.

use axum::Json;
use axum::extract::{Path, State};
use identity::Action;
use identity::certificate::fingerprint;
use pipeline::Shape;
use serde::Serialize;

use crate::app::App;
use crate::caller::Caller;
use crate::devices::find;
use crate::json::Look;
use crate::problem::Problem;

/// How to connect one device.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Connect {
    /// MQTT user name.
    username: String,
    host: String,
    mqtt_port: u16,
    /// MQTT with TLS; none: not offered.
    mqtts_port: Option<u16>,
    http_port: u16,
    /// How HTTP addresses begin: `http` or `https`.
    http_scheme: &'static str,
    /// SHA-256 of the certificate that a device trusts, in hexadecimal.
    ca_sha256: String,
    /// A body that the blueprint accepts.
    #[schema(value_type = Object)]
    example_payload: serde_json::Value,
    snippets: Vec<Snippet>,
}

/// One way to send a first reading.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Snippet {
    id: &'static str,
    title: &'static str,
    /// With the placeholder `{TOKEN}`.
    code: String,
}

fn example(shape: &Shape) -> serde_json::Value {
    match shape {
        Shape::Number { min, max, .. } => {
            let middle = min.zip(*max).map_or(1.0, |(min, max)| f64::midpoint(min, max));
            // One decimal is enough for an example.
            ((middle * 10.0).round() / 10.0).into()
        }
        Shape::Boolean => false.into(),
        Shape::Text => "text".into(),
        Shape::Position => serde_json::json!([52.52, 13.405]),
    }
}

/// Snippets for one device.
#[utoipa::path(get, path = "/devices/{device}/connect", tag = "devices",
    params(("device" = String, Path, description = "id or name")),
    responses((status = 200, body = Connect), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(device): Path<String>,
) -> Result<Json<Connect>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let picture = app.shard.picture();
    let twin = find(&picture, tenant, &device)?;
    let look = Look { picture: &picture, twin: &twin, now: app.clock.now() };
    let profile = look.in_force().and_then(|found| found.profiles.get(&twin.kind));
    /// A first message should be short enough to be read.
    const READINGS_SHOWN: usize = 5;
    let payload: serde_json::Map<_, _> = profile
        .into_iter()
        .flat_map(|profile| profile.readings.values())
        .filter(|rule| rule.lane == pipeline::Lane::Telemetry)
        .take(READINGS_SHOWN)
        .map(|rule| (rule.name.to_string(), example(&rule.shape)))
        .collect();
    let place = Place {
        host: &app.facts.mqtt_host,
        mqtt_port: app.facts.mqtt_port,
        http_port: app.facts.http_port,
        scheme: app.facts.http_tls.scheme(),
        username: &twin.id.to_string(),
        name: &twin.name,
        payload: &serde_json::Value::Object(payload.clone()).to_string(),
    };
    Ok(Json(Connect {
        username: twin.id.to_string(),
        host: app.facts.mqtt_host.clone(),
        mqtt_port: app.facts.mqtt_port,
        mqtts_port: app.facts.mqtts_port,
        http_port: app.facts.http_port,
        http_scheme: app.facts.http_tls.scheme(),
        ca_sha256: crate::certificates::hex(&fingerprint(app.keyring.root().certificate_der())),
        snippets: place.snippets(),
        example_payload: payload.into(),
    }))
}

struct Place<'a> {
    host: &'a str,
    mqtt_port: u16,
    http_port: u16,
    scheme: &'a str,
    username: &'a str,
    name: &'a str,
    payload: &'a str,
}

impl Place<'_> {
    fn snippets(&self) -> Vec<Snippet> {
        vec![
            Snippet { id: "mosquitto_pub", title: "mosquitto_pub", code: self.mosquitto() },
            Snippet { id: "curl", title: "curl", code: self.curl() },
            Snippet { id: "python", title: "Python", code: self.python() },
            Snippet { id: "c", title: "C", code: self.c() },
            Snippet { id: "iotbiz", title: "iotbiz", code: self.iotbiz() },
        ]
    }

    fn mosquitto(&self) -> String {
        let Self { host, mqtt_port, username, payload, .. } = self;
        format!(
            "mosquitto_pub -h {host} -p {mqtt_port} -q 1 \\\n  -u {username} \\\n  -P {{TOKEN}} \\\n  \
             -t me/telemetry \\\n  -m '{payload}'"
        )
    }

    fn curl(&self) -> String {
        let Self { host, http_port, scheme, payload, .. } = self;
        format!(
            "curl -sS {scheme}://{host}:{http_port}/ingest/v1/telemetry \\\n  \
             -H 'Authorization: Bearer {{TOKEN}}' \\\n  -H 'Content-Type: application/json' \\\n  \
             -d '{payload}'"
        )
    }

    fn python(&self) -> String {
        let Self { host, mqtt_port, username, payload, .. } = self;
        format!(
            "# pip install paho-mqtt\nimport paho.mqtt.client as mqtt\n\n\
             client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)\n\
             client.username_pw_set(\"{username}\", \"{{TOKEN}}\")\n\
             client.connect(\"{host}\", {mqtt_port})\nclient.loop_start()\n\
             client.publish(\"me/telemetry\", '{payload}', qos=1).wait_for_publish()\n"
        )
    }

    fn c(&self) -> String {
        let Self { host, mqtt_port, username, payload, .. } = self;
        let body = payload.replace('"', "\\\"");
        format!(
            "/* cc send.c -lmosquitto */\n#include <mosquitto.h>\n#include <string.h>\n\n\
             static void done(struct mosquitto *m, void *u, int id) {{ mosquitto_disconnect(m); }}\n\n\
             int main(void) {{\n  const char *body = \"{body}\";\n  mosquitto_lib_init();\n  \
             struct mosquitto *m = mosquitto_new(NULL, true, NULL);\n  \
             mosquitto_username_pw_set(m, \"{username}\", \"{{TOKEN}}\");\n  \
             mosquitto_publish_callback_set(m, done);\n  \
             if (mosquitto_connect(m, \"{host}\", {mqtt_port}, 60)) return 1;\n  \
             mosquitto_publish(m, NULL, \"me/telemetry\", (int)strlen(body), body, 1, false);\n  \
             return mosquitto_loop_forever(m, -1, 1);\n}}\n"
        )
    }

    fn iotbiz(&self) -> String {
        let values =
            serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(self.payload)
                .unwrap_or_default();
        let pairs: Vec<_> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("iotbiz send {} {}", self.name, pairs.join(" "))
    }
}
