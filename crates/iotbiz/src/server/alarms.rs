//! What is wrong with the server itself becomes an alarm: seen in the console, told to people.
//!
//! *Invariant:* it needs neither log nor disk to be told: a disk that is full is told by mail. What
//! was raised stands in [`BOOK`] as soon as the disk takes it, so a restart goes on with it.

mod book;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::History as _;
use eventlog::{ClockState, Log};
use model::{Clock, Offset, OutputKey, TenantId};
use notify::{Handle, MessageKey, Notification, Severity, Source, Transition};
use registry::{Kind, Registry};
use tokio_util::sync::CancellationToken;

use super::aside;
use super::foundation::Foundation;
use super::history::History;
use super::notices::Notices;
use book::{Book, Change, Condition};

/// Name of the book, below the data folder.
const BOOK: &str = "server-alarms.json";
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Tenants whose people are told.
const TENANTS_MAX: u32 = 10_000;
/// Conditions that only history can tell.
const OF_HISTORY: [&str; 2] = ["history_unwritable", "history_damaged"];
/// Whose people are told.
const ROLE: &str = "operator";

/// What is looked at, and whom to tell.
pub(super) struct Watched {
    pub(super) log: Log,
    /// Of the urgent lane.
    pub(super) urgent: Log,
    pub(super) history: Arc<History>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) registry: Registry,
    pub(super) handle: Handle,
    /// Where people find the console.
    pub(super) public_url: String,
}

impl Watched {
    pub(super) fn new(on: &Foundation, history: &Arc<History>, notices: &Notices) -> Self {
        Self {
            log: on.log.clone(),
            urgent: on.urgent.log.clone(),
            history: Arc::clone(history),
            clock: Arc::clone(&on.clock),
            registry: on.registry.clone(),
            handle: notices.handle(),
            public_url: notices.public_url().to_owned(),
        }
    }
}

/// The alarms, as others see them; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Alarms {
    book: Arc<Mutex<Book>>,
    path: PathBuf,
}

impl Alarms {
    /// Takes up the book of a data folder. One that is damaged is begun anew: what holds is raised
    /// again.
    pub(super) fn open(data: &Path) -> Self {
        let path = data.join(BOOK);
        let book = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(%error, "the book of the server's alarms is begun anew");
                Book::default()
            }),
            Err(_none) => Book::default(),
        };
        Self { book: Arc::new(Mutex::new(book)), path }
    }

    /// For the API. What people say stands in memory at once and on the disk as soon as that takes
    /// it, like the alarms.
    pub(super) fn shown(&self, clock: &Arc<dyn Clock>) -> api::ServerAlarms {
        let (listed, acted, clock) = (self.clone(), self.clone(), Arc::clone(clock));
        api::ServerAlarms {
            list: Arc::new(move |tenant| listed.with(|book| book.alarms(tenant, clock.now()))),
            act: Arc::new(move |tenant, id, said| acted.with(|book| book.act((tenant, id), said))),
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        change(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks until the server stops.
    pub(super) async fn watch(self, watched: Watched, stop: CancellationToken) {
        let mut kept = self.with(|book| book.clone());
        let mut offered = BTreeSet::new();
        loop {
            let now = watched.clock.now();
            let conditions = conditions(&watched);
            // History that its place has not answered for yet may be as it was before the restart.
            let unknown: &[&str] = if watched.history.is_open() { &[] } else { &OF_HISTORY };
            self.with(|book| book.observe(&conditions, unknown, now));
            self.tell(&watched, &mut offered).await;
            let book = self.with(|book| book.clone());
            if book != kept && self.keep(&book).await {
                kept = book;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Hands over what people were not told yet.
    async fn tell(&self, watched: &Watched, offered: &mut BTreeSet<u64>) {
        let rows = watched.registry.scan(Kind::Tenant, None, TENANTS_MAX).await;
        // A registry that cannot be read is asked again at the next look.
        let Ok(rows) = rows else { return };
        let tenants: Vec<TenantId> = rows.iter().map(|row| row.tenant).collect();
        let count = u64::try_from(tenants.len()).unwrap_or(u64::MAX);
        let now = watched.clock.now();
        let changes = self.with(|book| book.untold(count, now));
        for change in &changes {
            if offered.contains(&change.first) {
                continue;
            }
            for (number, tenant) in (change.first..).zip(&tenants) {
                let condition = &change.alarm.condition;
                let shelved = self.with(|book| book.shelved(*tenant, condition, now)).is_some();
                let told = notification(change, *tenant, number, &watched.public_url);
                let (handle, number) = (&watched.handle, Offset(number));
                let taken = if shelved {
                    handle.passed(Source::Server, number)
                } else {
                    handle.offer(number, told)
                };
                if taken.is_err() {
                    // Full: the same again at the next look, and nothing after it before.
                    return;
                }
            }
            offered.insert(change.first);
        }
        let durable = watched.handle.status().durable.get(&Source::Server).copied();
        self.with(|book| book.told(durable.unwrap_or_default().0, count));
        let open: BTreeSet<u64> = changes.iter().map(|change| change.first).collect();
        offered.retain(|first| open.contains(first));
    }

    async fn keep(&self, book: &Book) -> bool {
        let bytes = serde_json::to_vec(book).unwrap_or_default();
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || aside::replace(&path, &bytes)).await;
        // The disk may be what the alarm is about: it is tried again at the next look.
        written.is_ok_and(|written| written.is_ok())
    }
}

/// What is wrong now.
fn conditions(watched: &Watched) -> Vec<Condition> {
    let Watched { log, urgent, history, .. } = watched;
    let mut found = Vec::new();
    let health = history.health();
    if log.disk_full() || urgent.disk_full() {
        found.push(Condition {
            word: "disk_full",
            severity: Severity::Critical,
            title: "The disk is full: devices wait",
            why:
                "the log cannot grow; nothing that was acknowledged is lost, devices keep the rest"
                    .to_owned(),
            fix: "free space on the disk of the data folder; it goes on by itself",
        });
    }
    if log.clock_state() == ClockState::StepHeld {
        found.push(Condition {
            word: "clock_step_held",
            severity: Severity::Warning,
            title: "The clock jumped: timers wait",
            why: "the wall clock stepped forward by more than log.clock_step_max_s".to_owned(),
            fix: "set the clock right, or confirm the step",
        });
    }
    if !health.problem.is_empty() {
        found.push(Condition {
            word: "history_unwritable",
            severity: Severity::Warning,
            title: "History cannot be written",
            why: health.problem,
            fix: "make room on the disk, or bring the store back; readings are safe in the log \
                  while it has room, and are written by themselves as soon as it is possible",
        });
    }
    if let Some(first) = health.damaged.first() {
        found.push(Condition {
            word: "history_damaged",
            severity: Severity::Warning,
            title: "Files of history are damaged",
            why: format!("{} files, first: {first}", health.damaged.len()),
            fix: "bring them back from a backup; charts leave them out, exports and bills refuse \
                  them",
        });
    }
    found
}

fn notification(change: &Change, tenant: TenantId, number: u64, public_url: &str) -> Notification {
    let alarm = &change.alarm;
    let (at, text) = match (change.transition, alarm.cleared) {
        (Transition::Cleared, Some(cleared)) => {
            (cleared, format!("It was: {}. It ended by itself.", alarm.why))
        }
        _ => (alarm.raised, format!("{}. What to do: {}.", alarm.why, alarm.fix)),
    };
    Notification {
        key: MessageKey {
            source: Source::Server,
            output: OutputKey { fold: 0, input: Offset(number), n: 0 },
        },
        tenant,
        alarm: Some(alarm.id),
        device: None,
        idea: None,
        people: BTreeSet::new(),
        transition: change.transition,
        severity: alarm.severity.parse().unwrap_or(Severity::Warning),
        role: ROLE.to_owned(),
        title: alarm.title.clone(),
        text,
        cause: None,
        at,
        link: format!("{}/alarms?state=all", public_url.trim_end_matches('/')),
    }
}
