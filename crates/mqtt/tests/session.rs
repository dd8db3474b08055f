//! Changes of sessions and their messages read back as they were written.

use model::wire::Reader;
use model::{CredentialId, DeviceId, Offset, Origin, Principal, Qos, Timestamp};
use mqtt::connection::{Pending, SessionState, Source, View};
use mqtt::packet::SubscribeOptions;
use mqtt::session::{Change, Filter, Opened, Until, Will};
use proptest::prelude::*;

fn same(change: &Change<'_>) {
    let mut bytes = Vec::new();
    change.encode(77, &mut bytes);
    let mut r = Reader::new(&bytes);
    assert_eq!(Change::decode(&mut r), Ok((77, change.clone())));
    assert!(r.end().is_ok());
    for cut in 0..bytes.len() {
        assert!(Change::decode(&mut Reader::new(&bytes[..cut])).is_err(), "cut at {cut}");
    }
}

#[test]
fn each_change_reads_back_and_a_cut_one_is_refused() {
    let will = Will {
        device: Some(DeviceId::from_u128(3)),
        topic: "event/gone",
        qos: Qos::ExactlyOnce,
        retain: true,
        properties: &[3, 0, 1, b'x'],
        payload: b"{}",
        delay_s: 30,
    };
    let opened = Opened {
        principal: Principal::Device(DeviceId::from_u128(3)),
        origin: Origin::Virtual,
        credential: Some(CredentialId::from_u128(4)),
        client_id: "c",
        clean: true,
        expiry_s: u32::MAX,
        will: Some(will),
    };
    same(&Change::Opened(Opened { will: None, credential: None, ..opened.clone() }));
    let principal = Principal::Service(CredentialId::from_u128(9));
    same(&Change::Opened(Opened { principal, ..opened }));
    let filter = Filter { device: None, topic: "a/+", group: Some("g"), view: View::Whole };
    let options = SubscribeOptions { no_local: true, ..SubscribeOptions::plain(Qos::AtLeastOnce) };
    same(&Change::Subscribed { filter, options, id: 268_435_455 });
    let device = Some(DeviceId::from_u128(1));
    let filter = Filter { device, topic: "desired", group: None, view: View::Child };
    same(&Change::Unsubscribed { filter });
    same(&Change::Released { packet_id: 65_535 });
    same(&Change::Answered { offsets: vec![Offset(1), Offset(u64::MAX)] });
    let will_due = Some(Timestamp::from_millis(-1));
    same(&Change::Closed { until: Until::Time(Timestamp::from_millis(5)), will_due });
    same(&Change::Closed { until: Until::Forever, will_due: None });
    same(&Change::Closed { until: Until::Ended, will_due: None });
}

proptest! {
    #[test]
    fn any_bytes_are_a_change_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = Change::decode(&mut Reader::new(&bytes));
        let _ = SessionState::restore(&mut Reader::new(&bytes));
    }

    #[test]
    fn messages_of_a_session_read_back(
        held in prop::collection::vec(any::<u16>(), 0..9),
        waiting in prop::collection::vec((any::<u64>(), any::<bool>(), any::<u32>()), 0..9),
    ) {
        let mut state = SessionState::default();
        held.iter().for_each(|id| state.hold(*id));
        for (offset, retain, id) in waiting {
            let source = Source::Log(Offset(offset));
            let (qos, view) = (Qos::AtLeastOnce, View::Me);
            state.enqueue(Pending { source, qos, retain, view, ids: [id].into() }, 100);
        }
        let mut bytes = Vec::new();
        state.snapshot(&mut bytes);
        let mut r = Reader::new(&bytes);
        let read = SessionState::restore(&mut r).unwrap();
        prop_assert!(r.end().is_ok());
        let mut again = Vec::new();
        read.snapshot(&mut again);
        prop_assert_eq!(&bytes, &again);
        prop_assert_eq!(read.oldest(), state.oldest());
    }
}
