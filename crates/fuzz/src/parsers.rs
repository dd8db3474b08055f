//! The parsers, and what must hold of each result beside not to panic.
//!
//! *Invariant:* a target gives words for its outcome; a law that does not hold is a panic.

use blueprint::Blueprint;
use identity::certificate::{CertificateRequest, PeerCertificate};
use identity::topic;
use model::{Frame, Timestamp};
use mqtt::{Version, decode, encode};
use twin::Filter;

/// What reads bytes or text of strangers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Parser {
    /// MQTT packets, both versions.
    Mqtt,
    /// Topic names and filters.
    Topic,
    /// Bodies of devices, JSON and CBOR.
    Body,
    /// Blueprints, with their check.
    Blueprint,
    /// The expression language.
    Expression,
    /// The filter of the fleet.
    Filter,
    /// Certificates that devices show.
    Certificate,
    /// PKCS#10 requests.
    Request,
    /// Frames of the log.
    Frame,
}

type Target = Box<dyn Fn(&[u8]) -> String>;

impl Parser {
    pub(crate) const ALL: [Self; 9] = [
        Self::Mqtt,
        Self::Topic,
        Self::Body,
        Self::Blueprint,
        Self::Expression,
        Self::Filter,
        Self::Certificate,
        Self::Request,
        Self::Frame,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Topic => "topic",
            Self::Body => "body",
            Self::Blueprint => "blueprint",
            Self::Expression => "expression",
            Self::Filter => "filter",
            Self::Certificate => "certificate",
            Self::Request => "request",
            Self::Frame => "frame",
        }
    }

    /// Inputs that the program itself holds.
    pub(crate) fn own(self) -> Vec<Vec<u8>> {
        match self {
            Self::Blueprint => {
                blueprint::templates().iter().map(|known| known.text.as_bytes().to_vec()).collect()
            }
            Self::Mqtt
            | Self::Topic
            | Self::Body
            | Self::Expression
            | Self::Filter
            | Self::Certificate
            | Self::Request
            | Self::Frame => Vec::new(),
        }
    }

    pub(crate) fn target(self) -> Target {
        match self {
            Self::Mqtt => Box::new(mqtt),
            Self::Topic => Box::new(topic),
            Self::Body => body(),
            Self::Blueprint => Box::new(|input| {
                let parsed = Blueprint::parse(&String::from_utf8_lossy(input));
                parsed.diagnostics.iter().map(|found| found.code.to_string()).collect()
            }),
            Self::Expression => Box::new(|input| {
                words(expr::parse(&String::from_utf8_lossy(input)).map(|_| "read"))
            }),
            Self::Filter => Box::new(|input| {
                words(String::from_utf8_lossy(input).parse::<Filter>().map(|_| "read"))
            }),
            Self::Certificate => Box::new(certificate),
            Self::Request => {
                Box::new(|input| words(CertificateRequest::parse(input).map(|_| "read")))
            }
            Self::Frame => Box::new(frame),
        }
    }
}

fn words<T: std::fmt::Display, E: std::fmt::Display>(result: Result<T, E>) -> String {
    match result {
        Ok(what) => format!("ok {what}"),
        Err(error) => error.to_string(),
    }
}

/// What is read can be written, and what was written reads back as the same.
fn mqtt(input: &[u8]) -> String {
    const PACKET_BYTES_MAX: u32 = 1 << 20;
    let mut outcome = String::new();
    for version in [Version::V311, Version::V5] {
        match decode(input, version, PACKET_BYTES_MAX) {
            Ok(Some((packet, length))) => {
                assert!(length <= input.len(), "a packet is longer than the input");
                let mut written = Vec::new();
                encode(&packet, version, &mut written);
                let again = decode(&written, version, PACKET_BYTES_MAX);
                let shown = format!("{packet:?}");
                match again {
                    Ok(Some((again, _))) => {
                        assert_eq!(format!("{again:?}"), shown, "a packet reads back as another");
                    }
                    other => panic!("{shown} was written as {written:02x?}, which reads {other:?}"),
                }
                outcome.push_str(shown.split(['(', '{', ' ']).next().unwrap_or_default());
            }
            Ok(None) => outcome.push_str("more"),
            Err(error) => outcome.push_str(&error.to_string()),
        }
    }
    outcome
}

/// A filter that is contained in a branch is well-formed and begins in it.
fn topic(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    const BRANCH: &str = "t/a/d/x/";
    let contained = topic::contains(&text, BRANCH);
    if contained {
        let inner = topic::unshared(&text).unwrap_or_default();
        assert!(topic::well_formed(inner), "{text:?} is contained and malformed");
        assert!(inner == "t/a/d/x" || inner.starts_with(BRANCH), "{text:?} leaves its branch");
    }
    let shared = mqtt::topic::shared(&text).is_ok();
    format!(
        "{contained} {} {shared} {}",
        topic::well_formed(&text),
        topic::branch_of(&text).is_some()
    )
}

/// Readings of one message are at most as many as it may carry, and their names are known.
fn body() -> Target {
    const BLUEPRINT: &str = include_str!("../corpus/body.toml");
    let parsed = Blueprint::parse(BLUEPRINT);
    let blueprint = parsed.blueprint.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics));
    let kind =
        blueprint.kinds.values().next().unwrap_or_else(|| panic!("the blueprint has no kind"));
    let profile = pipeline::profile_of(kind);
    let at = Timestamp::from_millis(1_790_000_000_000);
    Box::new(move |input| {
        let (readings, bad) = pipeline::read_telemetry(&profile, input, at);
        assert!(readings.len() <= pipeline::VALUES_MAX, "{} readings", readings.len());
        for reading in &readings {
            assert!(profile.readings.contains_key(&reading.property), "{reading:?}");
        }
        let first = bad.first().map_or("", |bad| bad.reason.as_str());
        format!("{} {} {first}", readings.len().min(3), bad.len().min(3))
    })
}

/// A certificate that is read twice says the same twice, and its judgement is one of ours.
fn certificate(input: &[u8]) -> String {
    match PeerCertificate::parse(input) {
        Ok(certificate) => {
            let again = PeerCertificate::parse(certificate.der());
            assert_eq!(again.as_ref(), Ok(&certificate), "a certificate reads back as another");
            let now = Timestamp::from_millis(1_790_000_000_000);
            words(certificate.judge(&[input], now).map(|()| "judged"))
        }
        Err(refusal) => refusal.to_string(),
    }
}

/// A frame that is read can be written, and reads back as the same.
fn frame(input: &[u8]) -> String {
    match Frame::decode(input) {
        Ok(frame) => {
            let mut written = Vec::new();
            frame.encode(&mut written);
            let shown = format!("{frame:?}");
            let again = Frame::decode(&written).map(|frame| format!("{frame:?}"));
            assert_eq!(
                again.ok().as_deref(),
                Some(shown.as_str()),
                "a frame reads back as another"
            );
            shown.split(['(', '{', ' ']).next().unwrap_or_default().to_owned()
        }
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use model::{
        Channel, Decided, DeviceId, Origin, OutputFrame, OutputKey, Principal, Qos, Raw, Retain,
        TenantId,
    };

    use super::*;

    /// `UPDATE_CORPUS=1 cargo test -p fuzz` writes them.
    #[test]
    fn the_corpus_of_frames_has_one_of_each_common_kind() {
        let (tenant, device) = (TenantId::from_u128(1), DeviceId::from_u128(2));
        let raw = Raw {
            tenant,
            principal: Principal::Device(device),
            device: Some(device),
            origin: Origin::Real,
            channel: Channel::Mqtt,
            qos: Qos::AtLeastOnce,
            retain: Retain::Pass,
            session: 7,
            packet_id: 8,
            topic: "telemetry",
            properties: &[],
            key: "",
            payload: b"{\"temperature\":3.9}",
        };
        let decided = Decided { tenant, kind: "device", id: "dev_1", revision: 3, content: "{}" };
        let key = OutputKey { fold: 1, input: model::Offset(9), n: 0 };
        let output = OutputFrame { tenant, key, content: b"x" };
        let frames = [
            ("raw", Frame::Raw(raw)),
            ("decided", Frame::Decided(decided)),
            ("output", Frame::Output(output)),
            ("tick", Frame::Tick),
        ];
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/frame");
        for (name, frame) in frames {
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            let file = folder.join(name);
            if std::env::var_os("UPDATE_CORPUS").is_some() {
                fs::write(&file, &bytes).unwrap();
            }
            assert_eq!(fs::read(&file).unwrap(), bytes, "{name}: the format of frames changed");
        }
    }
}
