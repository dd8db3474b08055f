//! From the logs to people: a thread for each lane that reads what the rules say, and what was
//! decided of ideas, and hands it to the sender, which has a thread of its own so that no load of
//! devices delays it.
//!
//! *Invariant:* everything is offered in log order and again until it was taken; the thread waits
//! and nobody else does. What was taken stands in `notify.state`, so after a restart it is read on
//! from there: at least once, with the id it had. The log is trimmed no further than
//! [`Notices::trim_below`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use api::Audience;
use eventlog::{Batch, Log};
use model::{
    Channel, Clock, CredentialId, Decided, Disk, FoldId, Frame, Notice, Offset, Origin, Output,
    OutputFrame, Principal, Qos, Raw, Retain, TenantId, Timestamp,
};
use notify::{
    Cause, Handle, MessageKey, Notification, Publish, Retry, Sender, Severity, Source, Transition,
    Transports,
};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::foundation::Foundation;
use super::{Trust, news};
use crate::config::Config;

/// Bytes read from the log at once.
const READ_BYTES_MAX: usize = 1 << 20;
/// How long it sleeps at most before it looks whether it shall stop.
const WAIT_MAX: Duration = Duration::from_millis(200);
/// How long it waits for room at the sender, or for a log that cannot be read.
const TRY_AGAIN: Duration = Duration::from_millis(50);
/// How often the sender is told how far the log was read although there was nothing to tell.
const PASS_EVERY: Duration = Duration::from_secs(10);

/// Ideas whose revision is remembered; more are forgotten at once, and one may be told twice.
const IDEAS_MAX: usize = 10_000;

/// The running threads, one for each lane, and the sender behind them.
pub(super) struct Notices {
    handle: Handle,
    public_url: String,
    main: Arc<Shared>,
    urgent: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The last frame that was read.
    offset: AtomicU64,
    /// Outputs of the rules that were not understood.
    unreadable: AtomicU64,
    stop: AtomicBool,
}

/// What the sender stands on.
struct Parts {
    log: Log,
    /// Of the urgent lane.
    urgent: Log,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    audience: Arc<Audience>,
    transports: Transports,
    /// Where people find the console.
    public_url: String,
}

/// Starts to tell people; a demo tells nobody outside.
pub(super) fn open(
    config: &Config,
    on: &Foundation,
    (trust, http): (Trust, SocketAddr),
    running: (&TaskTracker, &CancellationToken),
) -> anyhow::Result<Notices> {
    let transports = match trust {
        Trust::Demo => Transports::closed(api::DEMO_SENDS_NOTHING),
        Trust::Tokens | Trust::Loopback => config.notify.transports()?,
    };
    let scheme = if config.tls.https { "https" } else { "http" };
    let public_url = match config.notify.public_url.as_str() {
        "" => format!("{scheme}://{http}"),
        named => named.to_owned(),
    };
    let parts = Parts {
        log: on.log.clone(),
        urgent: on.urgent.log.clone(),
        disk: Arc::clone(&on.disk),
        clock: Arc::clone(&on.clock),
        audience: Arc::clone(&on.audience),
        transports,
        public_url,
    };
    Notices::start(&config.data, parts, running)
}

impl Notices {
    /// Takes up what waits and follows the log.
    fn start(
        data: &Path,
        parts: Parts,
        (tasks, stop): (&TaskTracker, &CancellationToken),
    ) -> anyhow::Result<Self> {
        let Parts { log, urgent, disk, clock, audience, transports, public_url } = parts;
        let transports = transports.with_mqtt(publish(log.clone()));
        let kept = (Retry::default(), notify::Policy::default());
        let (mut sender, handle) = Sender::open(disk, data, Arc::clone(&clock), transports, kept)
            .context("open what is to be told")?;
        // Before the first is offered it must be known whom to tell.
        audience.connect(handle.clone());
        // A folder whose urgent log was taken away: its offsets begin again.
        if taken(&handle, Source::Urgent) > urgent.committed() {
            sender.begin_again(Source::Urgent);
        }
        let follow = |source, log| {
            let taken = taken(&handle, source);
            let shared = Arc::new(Shared::default());
            shared.offset.store(taken.0, Ordering::Release);
            let mut follower = Follower {
                source,
                passed_at: clock.monotonic(),
                passed: taken,
                offset: taken,
                log,
                clock: Arc::clone(&clock),
                handle: handle.clone(),
                shared: Arc::clone(&shared),
                public_url: public_url.trim_end_matches('/').to_owned(),
                ideas: BTreeMap::new(),
            };
            let thread = tasks.spawn_blocking(move || follower.run());
            let (stop, told) = (stop.clone(), Arc::clone(&shared));
            tasks.spawn(async move {
                stop.cancelled().await;
                told.stop.store(true, Ordering::SeqCst);
                if thread.await.is_err() {
                    tracing::error!("the reader of notices panicked");
                }
            });
            shared
        };
        let (main, urgent) = (follow(Source::Main, log), follow(Source::Urgent, urgent));
        // Tasks of devices fill the other threads; whoever is to be told of smoke waits for none.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start the thread of the sender")?;
        let stop = stop.clone();
        tasks.spawn_blocking(move || runtime.block_on(sender.run(stop)));
        let public_url = public_url.trim_end_matches('/').to_owned();
        Ok(Self { handle, public_url, main, urgent })
    }

    /// For whoever else has something to tell.
    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Where people find the console.
    pub(super) fn public_url(&self) -> &str {
        &self.public_url
    }

    /// The log may be trimmed below this.
    pub(super) fn trim_below(&self, source: Source) -> Offset {
        taken(&self.handle, source)
    }

    /// How telling people is doing, for metrics.
    pub(super) fn metrics(&self, committed: Offset) -> String {
        let status = self.handle.status();
        let sum = |of: fn(&notify::RouteStatus) -> u64| status.routes.iter().map(of).sum::<u64>();
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let read = self.main.offset.load(Ordering::Acquire);
        let unreadable = |lane: &Shared| lane.unreadable.load(Ordering::Relaxed);
        let rows = [
            ("taken_total", "counter", status.taken),
            ("told_total", "counter", sum(|route| route.told)),
            ("unheard_total", "counter", status.unheard),
            ("overflow_total", "counter", status.overflow),
            ("unreadable_total", "counter", unreadable(&self.main) + unreadable(&self.urgent)),
            ("waiting", "gauge", sum(|route| u64::try_from(route.waiting).unwrap_or(u64::MAX))),
            ("held", "gauge", sum(|route| route.held)),
            ("failed", "gauge", sum(|route| u64::try_from(route.failed.len()).unwrap_or(u64::MAX))),
            ("routes", "gauge", count(status.routes.len())),
            ("frames_behind", "gauge", committed.0.saturating_sub(read)),
            ("writable", "gauge", u64::from(status.disk.is_none())),
        ];
        let mut text = String::new();
        for (name, kind, value) in rows {
            // Writing to a String cannot fail.
            let _ok =
                writeln!(text, "# TYPE iotbiz_notify_{name} {kind}\niotbiz_notify_{name} {value}");
        }
        text
    }
}

/// Up to where the notices of a log were taken.
fn taken(handle: &Handle, source: Source) -> Offset {
    handle.status().durable.get(&source).copied().unwrap_or_default()
}

/// Publishes what is told to a topic by the log itself, so that subscribers who are away get it
/// too.
fn publish(log: Log) -> Publish {
    Arc::new(move |tenant: TenantId, topic: &str, payload: Vec<u8>| {
        let mut batch = Batch::default();
        batch.push(&Frame::Raw(Raw {
            tenant,
            // Of no credential: the server's own word.
            principal: Principal::Service(CredentialId::from_u128(0)),
            device: None,
            origin: Origin::Real,
            channel: Channel::Mqtt,
            qos: Qos::AtLeastOnce,
            retain: Retain::Pass,
            session: 0,
            packet_id: 0,
            topic,
            properties: &[],
            key: "",
            payload: &payload,
        }));
        log.append(&mut batch).map(drop).map_err(|error| error.to_string())
    })
}

/// What the thread of a lane works with.
struct Follower {
    source: Source,
    log: Log,
    clock: Arc<dyn Clock>,
    handle: Handle,
    shared: Arc<Shared>,
    public_url: String,
    /// The newest revision of each idea that was looked at.
    ideas: BTreeMap<String, u64>,
    /// The last frame that was read and, if it told something, offered.
    offset: Offset,
    /// The last that the sender was told of although it told nothing.
    passed: Offset,
    passed_at: Duration,
}

impl Follower {
    fn run(&mut self) {
        while !self.shared.stop.load(Ordering::SeqCst) {
            match self.read() {
                Ok(true) => {}
                Ok(false) => {
                    // The next read tells what there is.
                    let _committed = self.log.wait(self.offset, WAIT_MAX);
                }
                Err(error) => {
                    tracing::error!("notices cannot be read: {error:#}");
                    std::thread::sleep(WAIT_MAX);
                }
            }
            self.shared.offset.store(self.offset.0, Ordering::Release);
            self.pass();
        }
    }

    /// Reads and offers what is there, up to one read's worth; tells whether there may be more.
    fn read(&mut self) -> anyhow::Result<bool> {
        let first = self.log.first();
        if self.offset.0 + 1 < first.0 {
            // A folder whose state was taken away, or the first start with a log that was trimmed.
            self.offset = Offset(first.0.saturating_sub(1));
        }
        let from = Offset(self.offset.0 + 1);
        let frames = self.log.read(from, READ_BYTES_MAX).context("read the log")?;
        let mut any = false;
        for record in frames.iter() {
            let record = record.context("read the log")?;
            if record.offset < from {
                continue;
            }
            any = true;
            let at = (record.offset, record.log_time);
            let told = match record.frame {
                Frame::Output(frame) if frame.key.fold == FoldId::Rules as u8 => {
                    self.told(&frame, at)
                }
                Frame::Decided(decided) if decided.kind == news::KIND => {
                    self.heard(&decided, record.offset)
                }
                Frame::Output(_)
                | Frame::Decided(_)
                | Frame::Raw(_)
                | Frame::Tick
                | Frame::Session(_)
                | Frame::Redecode(_)
                | Frame::Erased(_) => Told::Done,
            };
            if told == Told::Stopped {
                return Ok(false);
            }
            self.offset = record.offset;
        }
        Ok(any)
    }

    fn told(&self, frame: &OutputFrame<'_>, (offset, at): (Offset, Timestamp)) -> Told {
        let notice = match Output::decode(frame.content) {
            Ok(Output::Notify(notice)) => notice,
            Ok(Output::Publish { .. } | Output::Act { .. }) => return Told::Done,
            Err(error) => {
                self.shared.unreadable.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%offset, %error, "a notice is not understood");
                return Told::Done;
            }
        };
        let key = MessageKey { source: self.source, output: frame.key };
        let made = notification((key, frame.tenant), &notice, (at, &self.public_url));
        let Some(notification) = made else { return Told::Done };
        self.offer(|| self.handle.offer(offset, notification.clone()))
    }

    /// News of an idea, told once a revision although the relay may bring one twice.
    fn heard(&mut self, decided: &Decided<'_>, offset: Offset) -> Told {
        let known = self.ideas.entry(decided.id.to_owned()).or_default();
        if decided.revision <= *known {
            return Told::Done;
        }
        *known = decided.revision;
        if self.ideas.len() > IDEAS_MAX {
            self.ideas.clear();
        }
        match news::notification(decided, offset, &self.public_url) {
            None => Told::Done,
            Some(news) => self.offer(|| self.handle.offer(offset, news.clone())),
        }
    }

    /// Offers until it is taken; this thread waits for the sender, and nobody for this thread.
    fn offer(&self, mut once: impl FnMut() -> Result<(), notify::Error>) -> Told {
        loop {
            match once() {
                Ok(()) => return Told::Done,
                Err(_) if self.shared.stop.load(Ordering::SeqCst) => return Told::Stopped,
                Err(_full) => std::thread::sleep(TRY_AGAIN),
            }
        }
    }

    fn pass(&mut self) {
        let now = self.clock.monotonic();
        if self.offset > self.passed && now.saturating_sub(self.passed_at) >= PASS_EVERY {
            self.passed_at = now;
            // Full: the next time will do.
            if self.handle.passed(self.source, self.offset).is_ok() {
                self.passed = self.offset;
            }
        }
    }
}

/// What became of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Done,
    Stopped,
}

/// As the sender takes it; none when nobody in particular is told, or not of this.
fn notification(
    (key, tenant): (MessageKey, TenantId),
    notice: &Notice,
    (at, public_url): (Timestamp, &str),
) -> Option<Notification> {
    let role = notice.role.as_ref()?.to_string();
    let unknown = |error: &dyn std::error::Error| {
        tracing::error!(alarm = %notice.alarm, %error, "a notice is not understood");
    };
    let transition = notice.transition.parse::<Transition>().map_err(|e| unknown(&e)).ok()?;
    let severity = notice.severity.parse::<Severity>().map_err(|e| unknown(&e)).ok()?;
    // Whoever was told how bad it was is told that it got better.
    let before = notice.from.rsplit(' ').next().and_then(|word| word.parse::<Severity>().ok());
    let severity = before.map_or(severity, |before| before.max(severity));
    Some(Notification {
        key,
        tenant,
        alarm: Some(notice.alarm),
        device: Some(notice.device),
        idea: None,
        people: BTreeSet::new(),
        transition,
        severity,
        role,
        title: notice.title.clone(),
        text: notice.text.clone(),
        cause: cause(&notice.trace),
        at,
        link: format!("{public_url}/alarms?state=all&alarm={}", notice.alarm),
    })
}

/// The first value that the rule looked at.
fn cause(trace: &str) -> Option<Cause> {
    let trace: serde_json::Value = serde_json::from_str(trace).ok()?;
    let inputs = trace["inputs"].as_array()?;
    let found = inputs.iter().find(|input| input["value"].is_number())?;
    let reading = found["name"].as_str()?.to_owned();
    Some(Cause { reading, value: found["value"].to_string() })
}

#[cfg(test)]
mod tests {
    use model::{AlarmId, DeviceId, OutputKey};

    use super::*;

    fn notice(transition: &str, from: &str, severity: &str) -> Notice {
        Notice {
            device: DeviceId::from_u128(7),
            alarm: AlarmId::from_u128(1),
            rule: "warm".parse().unwrap(),
            transition: transition.to_owned(),
            from: from.to_owned(),
            to: format!("raised {severity}"),
            severity: severity.to_owned(),
            role: Some("operator".parse().unwrap()),
            title: "box-0001 is too warm".to_owned(),
            text: String::new(),
            trace: r#"{"condition":"temperature > 8 °C","holds":true,"inputs":[
                {"name":"temperature","value":9.5,"time":"2026-03-01T08:00:00Z"}]}"#
                .to_owned(),
            event: Timestamp::ZERO,
        }
    }

    fn made(notice: &Notice) -> Option<Notification> {
        let output = OutputKey { fold: 2, input: Offset(17), n: 0 };
        let of = (MessageKey { source: Source::Main, output }, TenantId::from_u128(1));
        notification(of, notice, (Timestamp::ZERO, "https://iot.example"))
    }

    #[test]
    fn a_notice_becomes_what_people_are_told() {
        let told = made(&notice("raised", "calm", "warning")).unwrap();
        assert_eq!(told.key.to_string(), "main-2-17-0");
        assert_eq!((told.transition, told.severity), (Transition::Raised, Severity::Warning));
        assert_eq!(told.cause.unwrap().value, "9.5");
        assert!(
            told.link.starts_with("https://iot.example/alarms?state=all&alarm=alm_"),
            "{}",
            told.link
        );
    }

    #[test]
    fn who_heard_of_the_worst_hears_that_it_got_better() {
        let told = made(&notice("severity_down", "raised critical", "warning")).unwrap();
        assert_eq!(told.severity, Severity::Critical);
    }

    #[test]
    fn a_notice_for_nobody_or_of_another_version_tells_nobody() {
        let mut nobody = notice("raised", "calm", "warning");
        nobody.role = None;
        assert!(made(&nobody).is_none());
        assert!(made(&notice("sang", "calm", "warning")).is_none());
    }
}
