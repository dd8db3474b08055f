//! Feeds damaged packets to the codec and to the state of a connection, for as long as it is told:
//! `cargo run -p mqtt --example fuzz -- 60 [seed]`.
//!
//! *Invariant:* a run is a function of its seed and of the files in `corpus/`; a panic ends it with
//! code 1 and the bytes that made it.
//!
//! A file of the corpus is what a client sends on one connection, CONNECT first. There is no
//! feedback of coverage: what `cargo fuzz` would find with it is left to it.
#![expect(clippy::print_stdout, reason = "what was found is what it is for")]
#![expect(clippy::print_stderr, reason = "the bytes of a panic")]

use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs};

use model::{Clock, Offset, Qos, SystemClock};
use mqtt::connection::{Arrival, Granted, Pending, Settings, Source, View};
use mqtt::{Connection, Outgoing, Packet, Reason, Version, decode, encode, packet_length, topic};

const PACKET_BYTES_MAX: u32 = 64 * 1024;

/// Bytes of one input; longer ones are cut.
const INPUT_BYTES_MAX: usize = 16 * 1024;

/// Changes made to one input.
const CHANGES_MAX: u64 = 8;

/// Inputs between two looks at the clock.
const ROUND: u64 = 1000;

/// xorshift64* (Vigna 2016).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % bound).unwrap_or_default()
    }

    fn byte(&mut self) -> u8 {
        const WORTH_TRYING: [u8; 10] = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x23, 0x26, 0x0B, 0xC0];
        let [byte, choice, ..] = self.next().to_le_bytes();
        if choice < 128 { byte } else { WORTH_TRYING[usize::from(byte) % WORTH_TRYING.len()] }
    }
}

/// Changes some bytes of an input, or puts it together of two.
fn damage(chance: &mut Chance, corpus: &[Vec<u8>], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&corpus[chance.below(corpus.len())]);
    for _ in 0..chance.next() % CHANGES_MAX {
        let at = chance.below(out.len() + 1);
        match chance.next() % 8 {
            0..=2 if at < out.len() => out[at] = chance.byte(),
            3 if at < out.len() => out[at] ^= 1 << chance.below(8),
            4 => out.insert(at, chance.byte()),
            5 if at < out.len() => {
                out.remove(at);
            }
            6 => {
                let end = at + chance.below(out.len() - at + 1);
                let piece = out[at..end].to_vec();
                let to = chance.below(out.len() + 1);
                out.splice(to..to, piece);
            }
            _ => {
                let other = &corpus[chance.below(corpus.len())];
                out.truncate(at);
                out.extend_from_slice(&other[chance.below(other.len())..]);
            }
        }
        out.truncate(INPUT_BYTES_MAX);
    }
}

/// What is read of one input.
#[derive(Debug, Default)]
struct Tally {
    inputs: u64,
    packets: u64,
    opened: u64,
}

/// Reads packets as the server does, and lets the connection answer each.
fn feed(input: &[u8], chance: &mut Chance, tally: &mut Tally) {
    let settings =
        Settings { receive_max: 8, in_flight_max: 4, queue_max: 8, ..Settings::default() };
    let mut connection: Option<Connection> = None;
    let (mut out, mut again) = (Vec::new(), Vec::new());
    let mut rest = input;
    loop {
        let version = connection.as_ref().map_or(Version::V5, Connection::version);
        let Ok(Some((packet, length))) = decode(rest, version, PACKET_BYTES_MAX) else { break };
        assert_eq!(packet_length(rest), Ok(Some(length)));
        tally.packets += 1;
        let version = if let Packet::Connect(connect) = packet { connect.version } else { version };
        again.clear();
        encode(&packet, version, &mut again);
        assert_eq!(decode(&again, version, PACKET_BYTES_MAX), Ok(Some((packet, again.len()))));
        rest = &rest[length..];
        let Some(machine) = &mut connection else {
            let Packet::Connect(connect) = packet else { break };
            let Ok(machine) = Connection::open(&connect, &settings) else { break };
            machine.greet(&connect, Granted::default(), &settings, &mut out);
            tally.opened += 1;
            connection = Some(machine);
            continue;
        };
        if !step(machine, &packet, (&settings, chance), &mut out) {
            break;
        }
        converse(machine, chance, &mut out);
    }
    if let Some(machine) = connection {
        let mut snapshot = Vec::new();
        machine.state().snapshot(&mut snapshot);
        machine.disconnect(Reason::ProtocolError, "the end", &mut out);
    }
}

/// One packet; false when it ends the connection.
fn step(
    machine: &mut Connection,
    packet: &Packet<'_>,
    (settings, chance): (&Settings, &mut Chance),
    out: &mut Vec<u8>,
) -> bool {
    match packet {
        Packet::Publish(publish) => match machine.arrive(publish) {
            Ok(Arrival::New) => {
                assert!(topic::is_name(machine.topic(publish)));
                let refused = chance.next().is_multiple_of(4);
                let reason = if refused { Reason::QuotaExceeded } else { Reason::Success };
                machine.answer(publish.qos, publish.packet_id, reason);
            }
            Ok(Arrival::Again) => {}
            Err(violation) => {
                machine.disconnect(violation.reason, violation.what, out);
                return false;
            }
        },
        Packet::PubAck(ack) => {
            machine.acknowledged(ack);
        }
        Packet::PubRec(ack) => {
            machine.received(ack, out);
        }
        Packet::PubComp(ack) => {
            machine.completed(ack);
        }
        Packet::PubRel(ack) => {
            machine.release(ack);
        }
        Packet::Subscribe(subscribe) => {
            for (filter, _) in subscribe.filters.iter() {
                let shared = topic::shared(filter).is_ok();
                assert!(!(shared && topic::is_filter(filter)) || topic::contains(filter, filter));
            }
        }
        Packet::Disconnect(packet) => return machine.leave(packet, settings).is_ok(),
        Packet::Connect(_)
        | Packet::ConnAck(_)
        | Packet::SubAck(_)
        | Packet::Unsubscribe(_)
        | Packet::UnsubAck(_)
        | Packet::PingReq
        | Packet::PingResp
        | Packet::Auth(_) => {}
    }
    true
}

/// What the server does in between: appends, commits, sends messages.
fn converse(machine: &mut Connection, chance: &mut Chance, out: &mut Vec<u8>) {
    let offset = Offset(chance.next() % 16);
    match chance.next() % 4 {
        0 => {
            machine.placed(offset);
        }
        1 => {
            machine.committed(offset, out);
        }
        _ => {}
    }
    let qos = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce][chance.below(3)];
    let name = ["me/desired", "plant/line/1", "a"][chance.below(3)];
    let message = Outgoing {
        topic: [name, "", ""],
        alias: 0,
        dup: false,
        qos,
        retain: false,
        properties: &[],
        ids: &[7],
        payload: b"{}",
    };
    let start = out.len();
    if qos == Qos::AtMostOnce {
        machine.send(&message, out);
    } else {
        let source = Source::Log(offset);
        let pending =
            Pending { source, qos, retain: false, view: View::Whole, ids: Box::default() };
        machine.deliver(pending, &message, out);
        while let Some(next) = machine.next_pending() {
            machine.launch(next, &message, out);
        }
    }
    let mut written = &out[start..];
    while let Some((_, length)) =
        decode(written, machine.version(), PACKET_BYTES_MAX).expect("what we write is readable")
    {
        written = &written[length..];
    }
    assert!(written.is_empty(), "whole packets alone");
    out.clear();
}

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let entries = fs::read_dir(&folder).expect("the corpus is beside the sources");
    let mut paths: Vec<_> = entries.map(|e| e.expect("a file of the corpus").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a file of the corpus")).collect()
}

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(10);
    let seed = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1_u64).max(1);
    let corpus = corpus();
    let clock = SystemClock::new();
    let (mut chance, mut tally, mut input) = (Chance(seed), Tally::default(), Vec::new());
    while clock.monotonic() < Duration::from_secs(seconds) {
        for _ in 0..ROUND {
            damage(&mut chance, &corpus, &mut input);
            tally.inputs += 1;
            let run = AssertUnwindSafe(|| feed(&input, &mut chance, &mut tally));
            if panic::catch_unwind(run).is_err() {
                let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
                eprintln!("input {} of seed {seed} panics: {hex}", tally.inputs);
                return ExitCode::FAILURE;
            }
        }
    }
    let rate = tally.inputs / seconds.max(1);
    println!(
        "{} inputs in {seconds} s ({rate}/s) of seed {seed}: {} connections, {} packets read, no panic",
        tally.inputs, tally.opened, tally.packets
    );
    ExitCode::SUCCESS
}
