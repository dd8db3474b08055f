//! Two tenants with the same names in one server, A13: ten thousand operations by dice.
//!
//! *Invariant:* whatever a member sees carries its own tenant's mark.

use identity::{Owner, Role};
use model::{DeviceId, Frame, Qos, TenantId};
use mqtt::packet::{FilterBuffer, Publish, Subscribe, SubscribeOptions};
use mqtt::{Packet, Properties, Version, decode};

use crate::harness::{Client, TENANT, World, ack, add_device, admit, publish};

/// Numbers that look random and are the same in each run (xorshift, Marsaglia 2003).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn throw(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(below).unwrap()).unwrap()
    }
}

/// A client of a tenant, which must never see what does not carry its tenant's mark.
struct Member {
    client: Client,
    mark: String,
    seen: usize,
}

impl Member {
    /// Takes in what came, up to the answer to a ping.
    async fn drain(&mut self) {
        self.client.send(&[Packet::PingReq]).await;
        loop {
            let bytes = self.client.next().await;
            let (packet, _) = decode(&bytes, Version::V5, 1 << 24).unwrap().expect("the end");
            match packet {
                Packet::PingResp => return,
                Packet::Publish(p) => {
                    let payload = String::from_utf8_lossy(p.payload).into_owned();
                    assert_eq!(payload, self.mark, "on {}", p.topic);
                    self.seen += 1;
                    if p.packet_id != 0 {
                        let id = p.packet_id;
                        self.client.send(&[Packet::PubAck(ack(id))]).await;
                    }
                }
                _ => {}
            }
        }
    }
}

const ROUNDS: usize = 40;
const OPS_A_ROUND: usize = 42;

#[tokio::test]
async fn a13_two_tenants_with_the_same_names_never_see_each_other_in_ten_thousand_operations() {
    let world = World::new().await;
    let other = TenantId::from_u128(2);
    let mut members = Vec::new();
    for (tenant, base) in [(TENANT, 1000), (other, 2000)] {
        let mark = format!("of {tenant}");
        let owner = Owner::Service { name: "plant".to_owned(), role: Role::Service };
        let program = admit(&world.door, tenant, base, owner);
        let one = add_device(&world.door, tenant, base + 1, "twin-1");
        let two = add_device(&world.door, tenant, base + 2, "twin-2");
        for (name, token) in [("plant", program), ("twin-1", one), ("twin-2", two)] {
            // Tokens tell apart who has the same name, and so the same client id.
            let client = world.client(Version::V5, name, &token, "same").await;
            members.push(Member { client, mark: mark.clone(), seen: 0 });
        }
    }
    let mut topics = vec!["me/telemetry".to_owned(), "plant/1".to_owned(), "note".to_owned()];
    let mut filters: Vec<_> =
        ["#", "+/#", "t/#", "me/#", "plant/+", "$share/g/#", "note"].map(str::to_owned).into();
    for (tenant, base) in [(TENANT, 1000), (other, 2000)] {
        for device in [base + 1, base + 2].map(DeviceId::from_u128) {
            topics.push(format!("t/{tenant}/d/{device}/telemetry"));
            filters.push(format!("t/{tenant}/d/{device}/#"));
        }
        topics.push(format!("t/{tenant}/x"));
        filters.push(format!("t/{tenant}/#"));
    }
    let mut dice = Dice(7);
    let mut operations = 0;
    for _ in 0..ROUNDS {
        for member in &mut members {
            for id in 1..=u16::try_from(OPS_A_ROUND).unwrap() {
                operate(member, &mut dice, id, (&topics, &filters)).await;
                operations += 1;
            }
            member.drain().await;
        }
    }
    world.routed().await;
    for member in &mut members {
        member.drain().await;
        assert!(member.seen > 100, "{} saw {}", member.mark, member.seen);
    }
    assert!(operations >= 10_000);
    let crossed = world
        .frames(1, |f| match f {
            Frame::Raw(raw) => {
                let mark = format!("of {}", raw.tenant);
                (raw.payload != mark.as_bytes()).then(|| raw.topic.to_owned())
            }
            _ => None,
        })
        .await;
    assert_eq!(crossed, Vec::<String>::new());
}

async fn operate(
    member: &mut Member,
    dice: &mut Dice,
    id: u16,
    (topics, filters): (&[String], &[String]),
) {
    let options = SubscribeOptions::plain(Qos::AtLeastOnce);
    match dice.throw(8) {
        0 => {
            let mut buffer = FilterBuffer::default();
            buffer.push(&filters[dice.throw(filters.len())], options);
            let filters = buffer.as_filters();
            let packet = Subscribe { packet_id: id, properties: Properties::NONE, filters };
            member.client.send(&[Packet::Subscribe(packet)]).await;
        }
        choice => {
            let topic = &topics[dice.throw(topics.len())];
            let qos = if choice < 4 { Qos::AtMostOnce } else { Qos::AtLeastOnce };
            let packet_id = if qos == Qos::AtMostOnce { 0 } else { id };
            let retain = choice % 2 == 0;
            let payload = member.mark.as_bytes();
            let message = Publish { retain, payload, ..publish(topic, qos, packet_id) };
            member.client.send(&[Packet::Publish(message)]).await;
        }
    }
}
