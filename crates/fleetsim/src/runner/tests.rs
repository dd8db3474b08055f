//! A fleet against a server of a few lines, over real sockets.

use std::collections::BTreeMap;
use std::sync::Mutex;

use blueprint::Blueprint;
use model::{Qos, Timestamp};
use mqtt::packet::{Ack, ConnAck};
use mqtt::{Properties, Reason};
use tokio::net::TcpListener;

use super::*;
use crate::fault::Fault;
use crate::plan::VirtualDevice;
use crate::schedule::tests::COOLBOX;

const START: i64 = 1_784_073_600_000;
const PATIENCE: Duration = Duration::from_secs(20);

/// Acknowledges everything, closes the first connection of every device after `close_after`
/// messages, refuses the device `stranger`.
#[derive(Debug, Default)]
struct Server {
    close_after: usize,
    payloads: Mutex<BTreeMap<String, Vec<String>>>,
}

impl Server {
    async fn listen(self: &Arc<Self>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = Arc::clone(&server);
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        address
    }

    async fn an_array_arrives(&self) {
        let arrived = || {
            let all = self.payloads.lock().unwrap();
            all.values().flatten().any(|payload| payload.starts_with('['))
        };
        while !arrived() {
            sleep(Duration::from_millis(5)).await;
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "it answers two packets and drops the rest")]
    async fn serve(&self, mut stream: TcpStream) {
        let (mut input, mut out, mut user) = (Vec::new(), Vec::new(), String::new());
        let mut messages = 0;
        while stream.read_buf(&mut input).await.is_ok_and(|bytes| bytes > 0) {
            let mut taken = 0;
            while let Ok(Some((packet, bytes))) = decode(&input[taken..], Version::V311, 1 << 20) {
                taken += bytes;
                match packet {
                    Packet::Connect(connect) => {
                        user = connect.user_name.unwrap().to_owned();
                        let known = user != "stranger";
                        let reason =
                            if known { Reason::Success } else { Reason::BadUserNameOrPassword };
                        let properties = Properties::NONE;
                        let ack = ConnAck { session_present: false, reason, properties };
                        encode(&Packet::ConnAck(ack), Version::V311, &mut out);
                    }
                    Packet::Publish(publish) if publish.qos == Qos::AtLeastOnce => {
                        messages += 1;
                        let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
                        let mut all = self.payloads.lock().unwrap();
                        let of_device = all.entry(user.clone()).or_default();
                        if self.close_after > 0
                            && of_device.len() < self.close_after
                            && messages >= self.close_after
                        {
                            return;
                        }
                        if publish.topic == "me/telemetry" {
                            of_device.push(payload);
                        }
                        let ack = Ack {
                            packet_id: publish.packet_id,
                            reason: Reason::Success,
                            properties: Properties::NONE,
                        };
                        encode(&Packet::PubAck(ack), Version::V311, &mut out);
                    }
                    _ => {}
                }
            }
            input.drain(..taken);
            stream.write_all(&out).await.unwrap();
            out.clear();
        }
    }
}

fn plan(server: SocketAddr, ids: &[&str], faults: &[Fault]) -> Plan {
    let kind = || "box".parse().unwrap();
    Plan {
        server,
        kinds: Blueprint::parse(COOLBOX).blueprint.unwrap().kinds,
        devices: ids
            .iter()
            .map(|id| VirtualDevice {
                id: (*id).to_owned(),
                token: "t".to_owned(),
                kind: kind(),
                name: (*id).to_owned(),
            })
            .collect(),
        seed: 1,
        from: Timestamp::from_millis(START),
        speed: 3_600.0,
        faults: faults.to_vec(),
        duration: Some(Duration::from_millis(400)),
    }
}

async fn play(server: &Arc<Server>, ids: &[&str], faults: &[Fault]) -> Report {
    let address = server.listen().await;
    run(plan(address, ids, faults), std::future::pending(), |_| {}).await.unwrap()
}

#[tokio::test]
async fn everything_sent_is_acknowledged_when_the_server_lives() {
    let server = Arc::new(Server::default());
    let report = play(&server, &["a", "b", "c"], &[]).await;
    assert!(report.counts.sent > 30, "{report:?}");
    assert_eq!((report.counts.acked, report.counts.lost), (report.counts.sent, 0));
    assert_eq!(server.payloads.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_broken_connection_loses_nothing() {
    let server = Arc::new(Server { close_after: 3, ..Server::default() });
    let report = play(&server, &["a"], &[]).await;
    assert!(report.counts.broken >= 1, "{report:?}");
    assert_eq!((report.counts.acked, report.counts.lost), (report.counts.sent, 0), "{report:?}");
}

#[tokio::test]
async fn a_pulled_plug_is_followed_by_an_array() {
    let server = Arc::new(Server::default());
    let address = server.listen().await;
    // It ends with the first array, not after a time that a busy machine may not keep.
    let patient = Plan { duration: Some(PATIENCE), ..plan(address, &["a"], &[Fault::Reconnect]) };
    let report = run(patient, server.an_array_arrives(), |_| {}).await.unwrap();
    assert!(report.counts.broken >= 1, "{report:?}");
    assert_eq!(report.counts.acked, report.counts.sent);
    let all = server.payloads.lock().unwrap();
    assert!(all["a"].iter().any(|payload| payload.starts_with('[')), "{all:?}");
}

#[tokio::test]
async fn a_stranger_is_counted_with_the_reason_and_does_not_try_again() {
    let server = Arc::new(Server::default());
    let report = play(&server, &["stranger", "a"], &[]).await;
    assert_eq!(report.counts.refused, 1);
    assert_eq!(report.refusals, [("bad user name or password".to_owned(), 1)].into());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_counted_and_the_run_ends() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = unused.local_addr().unwrap();
    drop(unused);
    let report = run(plan(address, &["a"], &[]), std::future::pending(), |_| {}).await.unwrap();
    assert!(report.counts.unreachable > 0);
    assert_eq!(report.counts.sent, 0);
}

#[tokio::test]
async fn a_plan_that_makes_no_sense_is_refused_with_the_reason() {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut wrong = plan(nowhere, &["a"], &[]);
    wrong.speed = 0.0;
    let error = run(wrong, std::future::pending(), |_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "speed 0 is not a number above 0 and at most 100000");
    let mut wrong = plan(nowhere, &["a"], &[]);
    wrong.devices[0].kind = "boat".parse().unwrap();
    let error = run(wrong, std::future::pending(), |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("boat"), "{error}");
}
