//! The task between the queue and the world.
//!
//! *Invariant:* sending waits for no disk and the disk for no sending: a state that was not yet
//! written means a message more after a crash, with the id it had, never one less. No tenant keeps
//! all places busy.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::{Clock, Disk, Offset, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::handle::{Handle, OFFERS_MAX, ORDERS_MAX, Offer, Order};
use crate::notification::Source;
use crate::policy::Policy;
use crate::queue::{Attempt, Places, Queue};
use crate::route::{Outcome, Replay, Retry, Trouble};
use crate::state_file::{StateFile, encode};
use crate::status::Status;
use crate::transport::Transports;

/// How long changes gather before they are written.
const WRITE_PAUSE: Duration = Duration::from_millis(50);
/// Writing takes at most the eleventh part of the time, however large the state is.
const WRITE_REST: u32 = 10;
/// How old the shown status may be.
const STATUS_PAUSE: Duration = Duration::from_millis(50);
/// How long to wait after the disk refused.
const DISK_PAUSE: Duration = Duration::from_secs(1);
/// The longest sleep: the wall clock may be set meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// How many offers are taken in one step.
const OFFERS_STEP_MAX: usize = 256;

/// What wakes the task.
#[derive(Debug)]
enum Event {
    Stop,
    Offers,
    Order(Order),
    Policy,
    Sent(Result<(Id, Outcome), JoinError>),
    Written(Result<Result<(), Error>, JoinError>),
    Due,
}

/// Sends until it is stopped.
#[derive(Debug)]
pub struct Sender {
    clock: Arc<dyn Clock>,
    transports: Transports,
    retry: Retry,
    queue: Queue,
    file: StateFile,
    handle: Handle,
    offers: mpsc::Receiver<(Offset, Offer)>,
    taken: Vec<(Offset, Offer)>,
    orders: mpsc::Receiver<Order>,
    policy: watch::Receiver<Arc<Policy>>,
    status: watch::Sender<Arc<Status>>,
    sends: JoinSet<Outcome>,
    on_the_way: HashMap<Id, Attempt>,
    writes: JoinSet<Result<(), Error>>,
    /// What is being written.
    writing: BTreeMap<Source, Offset>,
    durable: BTreeMap<Source, Offset>,
    /// When the state is to be written, by the steady counter.
    write_due: Option<Duration>,
    write_began: Duration,
    write_took: Duration,
    /// When the status is to be shown, by the steady counter.
    status_due: Option<Duration>,
    disk_trouble: Option<Trouble>,
}

impl Sender {
    /// Takes up what `notify.state` in `dir` holds. The [`Handle`] tells up to where each log was
    /// taken (`status().durable`): read on after it.
    ///
    /// # Errors
    /// The file cannot be read, is damaged or newer.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        clock: Arc<dyn Clock>,
        transports: Transports,
        (retry, policy): (Retry, Policy),
    ) -> Result<(Self, Handle), Error> {
        let file = StateFile::new(disk, dir);
        let queue = file.read()?;
        let durable = queue.offsets();
        let (offers, offers_taken) = mpsc::channel(OFFERS_MAX);
        let (orders, orders_taken) = mpsc::channel(ORDERS_MAX);
        let (policy, policy_taken) = watch::channel(Arc::new(policy));
        let first = Status { durable: durable.clone(), ..queue.status() };
        let (status_sent, status) = watch::channel(Arc::new(first));
        let handle = Handle {
            offers,
            orders,
            policy: Arc::new(policy),
            status,
            overflow: Arc::new(AtomicU64::new(0)),
            missing: Arc::new(Mutex::new(BTreeMap::new())),
        };
        let sender = Self {
            clock,
            transports,
            retry,
            queue,
            file,
            handle: handle.clone(),
            offers: offers_taken,
            taken: Vec::new(),
            orders: orders_taken,
            policy: policy_taken,
            status: status_sent,
            sends: JoinSet::new(),
            on_the_way: HashMap::new(),
            writes: JoinSet::new(),
            writing: BTreeMap::new(),
            durable,
            write_due: None,
            write_began: Duration::ZERO,
            write_took: Duration::ZERO,
            status_due: None,
            disk_trouble: None,
        };
        Ok((sender, handle))
    }

    /// Says that a log was made anew, so that nothing of it is taken for a double; before
    /// [`Sender::run`].
    pub fn begin_again(&mut self, source: Source) {
        self.queue.begin_again(source);
        self.durable.remove(&source);
        self.write_due = Some(self.clock.monotonic());
        self.publish();
    }

    /// Runs until `stop`; what is under way then is sent again after the next start.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let now = self.clock.now();
            self.start_sends(now);
            self.start_write();
            self.publish_when_due();
            match self.event(now, &stop).await {
                Event::Stop => break,
                Event::Offers => self.take_in(),
                Event::Order(order) => self.obey(order),
                // Who waits may wait no longer: the next step looks.
                Event::Policy => self.changed(),
                Event::Sent(sent) => self.all_sent(sent),
                Event::Written(written) => self.written(written),
                Event::Due => {}
            }
        }
        self.last_write().await;
    }

    async fn event(&mut self, now: Timestamp, stop: &CancellationToken) -> Event {
        let sleep = self.sleep(now);
        tokio::select! {
            biased;
            () = stop.cancelled() => Event::Stop,
            Some(order) = self.orders.recv() => Event::Order(order),
            Ok(()) = self.policy.changed() => Event::Policy,
            Some(sent) = self.sends.join_next_with_id() => Event::Sent(sent),
            Some(written) = self.writes.join_next() => Event::Written(written),
            _count = self.offers.recv_many(&mut self.taken, OFFERS_STEP_MAX) => Event::Offers,
            () = tokio::time::sleep(sleep) => Event::Due,
        }
    }

    /// Until the next thing to do.
    fn sleep(&self, now: Timestamp) -> Duration {
        let policy = self.policy.borrow();
        let due = self.queue.next_due(&policy, now).map(|due| due.since(now));
        let write = self.write_due.filter(|_| self.writes.is_empty());
        let steady = self.clock.monotonic();
        let own = write.into_iter().chain(self.status_due);
        let own = own.map(|due| due.saturating_sub(steady));
        due.into_iter().chain(own).min().unwrap_or(SLEEP_MAX).min(SLEEP_MAX)
    }

    fn changed(&mut self) {
        let now = self.clock.monotonic();
        let pause = WRITE_PAUSE.max(self.write_took * WRITE_REST);
        self.write_due.get_or_insert(now + pause);
        self.status_due.get_or_insert(now + STATUS_PAUSE);
    }

    fn take_in(&mut self) {
        let now = self.clock.now();
        let policy = Arc::clone(&self.policy.borrow());
        for (offset, offer) in std::mem::take(&mut self.taken) {
            match offer {
                Offer::Tell(notification) => {
                    self.queue.accept(&policy, (offset, *notification), now);
                }
                Offer::Passed(source) => self.queue.pass(source, offset),
            }
        }
        self.changed();
    }

    fn start_sends(&mut self, now: Timestamp) {
        let policy = Arc::clone(&self.policy.borrow_and_update());
        self.queue.release(&policy, now);
        let mut places = Places::default();
        for attempt in self.on_the_way.values() {
            places.take(attempt.route.tenant);
        }
        let attempts = self.queue.attempts(&policy, &self.retry, now, &mut places);
        for attempt in attempts {
            let transports = self.transports.clone();
            let allowed = policy.allowed(attempt.route.tenant);
            let sent = attempt.clone();
            let send = async move { transports.send(&sent, &allowed, now).await };
            let id = self.sends.spawn(send).id();
            self.on_the_way.insert(id, attempt);
        }
    }

    /// One and whatever else has ended by now.
    fn all_sent(&mut self, first: Result<(Id, Outcome), JoinError>) {
        self.sent(first);
        while let Some(next) = self.sends.try_join_next_with_id() {
            self.sent(next);
        }
    }

    fn sent(&mut self, sent: Result<(Id, Outcome), JoinError>) {
        let (id, outcome) = match sent {
            Ok(sent) => sent,
            Err(error) => {
                let why = "a mistake of this program ended the send".to_owned();
                (error.id(), Outcome::Later { why, after: None })
            }
        };
        if let Some(attempt) = self.on_the_way.remove(&id) {
            if let Outcome::Later { why, .. } | Outcome::Refused { why } | Outcome::Gone { why } =
                &outcome
            {
                tracing::warn!(route = %attempt.route, id = attempt.message.id, "{why}");
            }
            self.queue.settle(&attempt, outcome, &self.retry, self.clock.now());
            self.changed();
        }
    }

    fn obey(&mut self, order: Order) {
        let unknown = |what, id: String| Error::Unknown { what, id };
        let (answer, result) = match order {
            Order::Replay { route, message, answer } => {
                let found = self.queue.replay(&route, &message, self.clock.now());
                let missing = || unknown("message", message);
                (answer, if found == Replay::Queued { Ok(()) } else { Err(missing()) })
            }
            Order::Enable { route, answer } => {
                let found = self.queue.enable(&route);
                let missing = || unknown("channel", route.to_string());
                (answer, if found == Replay::Queued { Ok(()) } else { Err(missing()) })
            }
        };
        self.changed();
        // Whoever asked may be gone; the order is done all the same.
        let _gone = answer.send(result).is_err();
    }

    fn start_write(&mut self) {
        let due = self.write_due.is_some_and(|due| due <= self.clock.monotonic());
        if due && self.writes.is_empty() {
            self.write_due = None;
            self.write();
        }
    }

    fn write(&mut self) {
        self.write_began = self.clock.monotonic();
        self.writing = self.queue.offsets();
        let (file, queue) = (self.file.clone(), self.queue.clone());
        self.writes.spawn_blocking(move || file.write(&encode(&queue)));
    }

    fn written(&mut self, written: Result<Result<(), Error>, JoinError>) {
        self.write_took = self.clock.monotonic().saturating_sub(self.write_began);
        self.status_due.get_or_insert_with(|| self.clock.monotonic());
        let why = match written {
            Ok(Ok(())) => {
                self.durable = std::mem::take(&mut self.writing);
                self.disk_trouble = None;
                return;
            }
            Ok(Err(error)) => {
                let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
                format!("{error}{}", source.unwrap_or_default())
            }
            Err(error) => error.to_string(),
        };
        tracing::error!("the state of notifications is not on disk: {why}");
        let trouble = Trouble::new(self.clock.now(), &why);
        self.disk_trouble.get_or_insert(trouble);
        self.write_due = Some(self.clock.monotonic() + DISK_PAUSE);
    }

    fn publish_when_due(&mut self) {
        if self.status_due.is_some_and(|due| due <= self.clock.monotonic()) {
            self.status_due = None;
            self.publish();
        }
    }

    fn publish(&self) {
        let status = Status {
            overflow: self.handle.overflow.load(Ordering::Relaxed),
            durable: self.durable.clone(),
            disk: self.disk_trouble.clone(),
            ..self.queue.status()
        };
        if **self.status.borrow() != status {
            self.status.send_replace(Arc::new(status));
        }
    }

    /// Keeps what the last moments changed.
    async fn last_write(&mut self) {
        self.sends.abort_all();
        while let Some(written) = self.writes.join_next().await {
            self.written(written);
        }
        self.write();
        if let Some(written) = self.writes.join_next().await {
            self.written(written);
        }
        self.publish();
    }
}
