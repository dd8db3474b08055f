//! `iotbiz send`: one message as a device, over real MQTT.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::exit::{self, Failure};
use crate::mqtt_client::MqttClient;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// Name or id of the device.
    device: String,
    /// `reading=value`, several for one message; or one JSON text.
    #[arg(required = true)]
    values: Vec<String>,
    /// Topic below the device.
    #[arg(long, default_value = "telemetry")]
    topic: String,
    /// The device's token; without it one is issued for this message and revoked.
    #[arg(long, env = "IOTBIZ_DEVICE_TOKEN", hide_env_values = true)]
    device_token: Option<String>,
}

/// What is sent, as the device would.
fn payload(values: &[String]) -> Result<String, Failure> {
    if let [one] = values
        && one.trim_start().starts_with(['{', '['])
    {
        return Ok(one.clone());
    }
    let mut object = Map::new();
    for text in values {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            Failure::new(exit::USAGE, format!("{text:?} has no ="))
                .fix("write reading=value, for example temperature=3.9")
        })?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        object.insert(name.to_owned(), value);
    }
    Ok(Value::Object(object).to_string())
}

pub(crate) fn run(args: &SendArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let payload = payload(&args.values)?;
    let path = format!("/api/v1/devices/{}", encoded(&args.device));
    let connect = client.get(&format!("{path}/connect"))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let address = format!("{}:{}", text(&connect["host"]), connect["mqtt_port"]);
    let user = text(&connect["username"]);
    let issued = match &args.device_token {
        Some(_) => None,
        None => Some(client.call("POST", &format!("{path}/credentials"), None)?),
    };
    let token = match (&args.device_token, &issued) {
        (Some(token), _) => token.clone(),
        (None, Some(issued)) => text(&issued["token"]),
        (None, None) => String::new(),
    };
    let topic = format!("me/{}", args.topic);
    let sent = publish(&address, (&user, &token), &topic, &payload);
    if let Some(issued) = issued {
        client.call("DELETE", &format!("{path}/credentials/{}", text(&issued["id"])), None)?;
    }
    sent?;
    if format == Format::Json {
        return output::json(&json!({ "topic": topic, "payload": payload, "acknowledged": true }));
    }
    output::line(&format!("{} acknowledged {topic} {payload}", address))
}

fn publish(
    address: &str,
    (user, token): (&str, &str),
    topic: &str,
    payload: &str,
) -> Result<(), Failure> {
    let mut mqtt = MqttClient::connect(address, user, token)?;
    mqtt.publish(topic, payload.as_bytes())?;
    mqtt.disconnect();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_become_a_message_and_json_stays_as_it_is() {
        let said = |values: &[&str]| {
            let values: Vec<_> = values.iter().map(|text| (*text).to_owned()).collect();
            payload(&values).unwrap()
        };
        let sent = said(&["temperature=3.9", "lid_open=false", "label=a b"]);
        assert_eq!(sent, r#"{"label":"a b","lid_open":false,"temperature":3.9}"#);
        assert_eq!(said(&["[1]"]), "[1]");
        assert_eq!(payload(&["x".to_owned()]).unwrap_err().code, exit::USAGE);
    }
}
