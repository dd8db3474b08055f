//! Every kind of frame reads back as it was written; damaged bytes are refused.

use super::*;
use proptest::prelude::*;

fn round(frame: &Frame<'_>) {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    assert_eq!(Frame::decode(&bytes), Ok(*frame));
    for cut in 0..bytes.len() {
        assert!(Frame::decode(&bytes[..cut]).is_err(), "a torn frame was accepted");
    }
}

#[test]
fn a_child_behind_a_gateway_keeps_both_names() {
    let raw = Raw {
        tenant: TenantId::from_u128(1),
        principal: Principal::Device(DeviceId::from_u128(2)),
        device: Some(DeviceId::from_u128(3)),
        origin: Origin::Virtual,
        channel: Channel::Http,
        qos: Qos::ExactlyOnce,
        retain: Retain::Keep,
        session: 9,
        packet_id: 7,
        topic: "telemetry",
        properties: &[1, 2],
        key: "k",
        payload: b"{}",
    };
    assert_eq!(raw.path(), Some(DeviceId::from_u128(2)));
    round(&Frame::Raw(raw));
    let alone = Raw { device: Some(DeviceId::from_u128(2)), ..raw };
    assert_eq!(alone.path(), None);
    round(&Frame::Raw(alone));
    round(&Frame::Raw(Raw {
        principal: Principal::Service(CredentialId::from_u128(5)),
        device: None,
        ..raw
    }));
}

#[test]
fn every_other_kind_reads_back() {
    let tenant = TenantId::from_u128(1);
    round(&Frame::Tick);
    round(&Frame::Decided(Decided {
        tenant,
        kind: "device",
        id: "dev_1",
        revision: 3,
        content: "{}",
    }));
    round(&Frame::Session(SessionFrame { tenant, content: b"abc" }));
    let key = OutputKey { fold: 1, input: Offset(5), n: 2 };
    round(&Frame::Output(OutputFrame { tenant, key, content: b"x" }));
    round(&Frame::Erased(Erased { tenant, subject: "dev_1" }));
    round(&Frame::Redecode(Redecode {
        tenant,
        device: DeviceId::from_u128(2),
        origin: Origin::Real,
        source: Offset(4),
        source_time: Timestamp::from_millis(-1),
        topic: "telemetry",
        payload: b"{}",
    }));
}

proptest! {
    #[test]
    fn any_bytes_decode_or_are_refused(bytes: Vec<u8>) {
        if let Ok(frame) = Frame::decode(&bytes) {
            let mut again = Vec::new();
            frame.encode(&mut again);
            prop_assert_eq!(Frame::decode(&again), Ok(frame));
        }
    }
}
