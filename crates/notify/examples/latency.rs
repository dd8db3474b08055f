//! Measures from the offer of a notification to its arrival at a webhook on this machine.
//! `cargo run --release -p notify --example latency -- 2000 100 10` sends 2,000, 100 a second, to
//! ten people.
//!
//! *Invariant:* each one is measured; a message that does not arrive is an error.

use std::collections::{BTreeSet, HashMap};
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eventlog::OsDisk;
use model::{AlarmId, Clock, DeviceId, Offset, OutputKey, SystemClock, TenantId};
use notify::{
    Cause, MessageKey, Notification, Policy, Retry, Sender, Severity, Source, Transition,
    Transports,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const REQUEST_BYTES_MAX: usize = 64 * 1024;
const WAIT_MAX: Duration = Duration::from_secs(30);

fn people(count: u64, port: u16) -> String {
    let person = |number: u64| {
        format!(
            "[person.p{number}]\nroles = [\"r{number}\"]\nseverity = \"info\"\n\
             channels = [\"webhook\"]\ndigest = {{ burst = 1000, window = \"1 s\" }}\n\
             webhook = {{ url = \"http://127.0.0.1:{port}/\", \
             secrets = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"] }}\n"
        )
    };
    let all: String = (0..count).map(person).collect();
    format!("allow_hosts = [\"127.0.0.1:{port}\"]\n{all}")
}

fn notification(number: u64, people_count: u64, clock: &dyn Clock) -> Notification {
    let output = OutputKey { fold: 2, input: Offset(number), n: 0 };
    Notification {
        key: MessageKey { source: Source::Main, output },
        tenant: TenantId::from_u128(1),
        alarm: Some(AlarmId::from_u128(u128::from(number))),
        device: Some(DeviceId::from_u128(7)),
        idea: None,
        people: BTreeSet::new(),
        transition: Transition::Raised,
        severity: Severity::Critical,
        role: format!("r{}", number % people_count),
        title: "Box 7 is too warm".to_owned(),
        text: "Above 8 °C for 10 minutes.".to_owned(),
        cause: Some(Cause { reading: "temperature".to_owned(), value: "9.4 °C".to_owned() }),
        at: clock.now(),
        link: "http://127.0.0.1:7070/alarms".to_owned(),
    }
}

/// Reads one request, answers it, gives its `webhook-id` and when it was whole.
async fn receive(
    mut stream: TcpStream,
    clock: Arc<dyn Clock>,
) -> Result<(String, Duration), Failure> {
    let mut bytes = vec![0; REQUEST_BYTES_MAX];
    let mut len = 0;
    loop {
        let count = stream.read(bytes.get_mut(len..).unwrap_or_default()).await?;
        len += count;
        let text = String::from_utf8_lossy(bytes.get(..len).unwrap_or_default()).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let field = |name: &str| {
                head.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
            };
            let size: usize = field("content-length: ").ok_or("no content-length")?.parse()?;
            if body.len() >= size {
                let at = clock.monotonic();
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
                return Ok((field("webhook-id: ").ok_or("no webhook-id")?, at));
            }
        }
        if count == 0 {
            return Err("the request is cut short".into());
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let count: u64 = arguments.next().unwrap_or_else(|| "2000".to_owned()).parse()?;
    let rate: u32 = arguments.next().unwrap_or_else(|| "100".to_owned()).parse()?;
    // They share the load: each is told one after the other.
    let people_count: u64 = arguments.next().unwrap_or_else(|| "10".to_owned()).parse()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let text = people(people_count, listener.local_addr()?.port());
    let policy = Policy::from_toml(TenantId::from_u128(1), &text)?;
    let folder = tempfile::tempdir()?;
    let (sender, handle) = Sender::open(
        Arc::new(OsDisk),
        folder.path(),
        Arc::clone(&clock),
        Transports::default(),
        (Retry::default(), policy),
    )?;
    let stop = CancellationToken::new();
    let running = tokio::spawn(sender.run(stop.clone()));
    let (arrived, mut arrivals) = mpsc::channel(1024);
    let receiver_clock = Arc::clone(&clock);
    tokio::spawn(async move {
        while let Ok((stream, _peer)) = listener.accept().await {
            let (arrived, clock) = (arrived.clone(), Arc::clone(&receiver_clock));
            tokio::spawn(async move {
                if let Ok(one) = receive(stream, clock).await {
                    arrived.send(one).await.ok();
                }
            });
        }
    });
    let offered = Arc::new(Mutex::new(HashMap::new()));
    let (offering, offering_clock) = (Arc::clone(&offered), Arc::clone(&clock));
    tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_secs(1) / rate);
        for number in 1..=count {
            pace.tick().await;
            let one = notification(number, people_count, &*offering_clock);
            let key = one.key.to_string();
            let at = offering_clock.monotonic();
            offering.lock().unwrap_or_else(PoisonError::into_inner).insert(key, at);
            while handle.offer(Offset(number), one.clone()).is_err() {
                if handle.room().await.is_err() {
                    return;
                }
            }
        }
    });
    let mut times = Vec::new();
    for _ in 0..count {
        let next = tokio::time::timeout(WAIT_MAX, arrivals.recv()).await;
        let (id, at) = next.map_err(|_elapsed| "a message did not arrive")?.ok_or("closed")?;
        let key = id.split("-p").next().unwrap_or_default();
        let offered = offered.lock().unwrap_or_else(PoisonError::into_inner);
        times.push(at.saturating_sub(*offered.get(key).ok_or("an unknown message arrived")?));
    }
    stop.cancel();
    running.await?;
    times.sort();
    let last = times.len().saturating_sub(1);
    let of = |part: usize| times.get((times.len() * part / 1000).min(last)).copied();
    let line = format!(
        "{count} raised at {rate}/s for {people_count} people, offer to webhook: p50 {:?}, p99 {:?}, p99.9 {:?}, max {:?}",
        of(500).unwrap_or_default(),
        of(990).unwrap_or_default(),
        of(999).unwrap_or_default(),
        times.last().copied().unwrap_or_default()
    );
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
