//! One channel of one person: what waits, what was held back, what failed and when to try again.
//!
//! *Invariant:* every notification taken is in exactly one place (held in a digest, waiting, sent,
//! failed) and all of them are counted; messages of one severity are queued at most `burst` times
//! in any window; one message of a route is on its way at a time, and they go in order.

use std::collections::VecDeque;
use std::time::Duration;

use model::{Severity, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::message::{Digest, Message};
use crate::notification::{Notification, cut};
use crate::person::{Person, Target};
use crate::policy::Urgency;

/// How many messages of one route wait; what comes then is gathered in a digest.
pub(crate) const WAITING_MAX: usize = 32;
/// How many failed messages of one route are kept for a replay; older ones are counted only.
pub(crate) const FAILED_KEPT_MAX: usize = 20;
/// The longest reason that is kept, in characters.
const WHY_CHARS_MAX: usize = 300;

/// When to try again, and when to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// After the first failure; doubles with each further one.
    pub first: Duration,
    /// The longest pause.
    pub pause_max: Duration,
    /// How old a message may get while its channel fails.
    pub age_max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            pause_max: Duration::from_secs(3600),
            age_max: Duration::from_secs(72 * 3600),
        }
    }
}

impl Retry {
    /// The pause after that many failures, a tenth more or less so that many do not come at once.
    fn pause(&self, failures: u32, seed: &str) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).filter(|factor| *factor > 0);
        let pause = self.first.saturating_mul(doubled.unwrap_or(u32::MAX)).min(self.pause_max);
        let hash = Sha256::digest(format!("{seed} {failures}"));
        let tenth = hash.first().copied().map_or(0, u32::from);
        pause * (230 + tenth / 5) / 256
    }
}

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is there.
    Done,
    /// It may work later, not before `after` if that is said.
    Later { why: String, after: Option<Duration> },
    /// This message will never be taken.
    Refused { why: String },
    /// Nothing will ever be taken there.
    Gone { why: String },
}

/// A reason and its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// When.
    pub at: Timestamp,
    /// In words.
    pub why: String,
}

impl Trouble {
    pub(crate) fn new(at: Timestamp, why: &str) -> Self {
        Self { at, why: cut(why, WHY_CHARS_MAX) }
    }
}

/// A message that was given up, kept for a replay by hand.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub(crate) message: Message,
    pub(crate) trouble: Trouble,
}

/// What was told lately of one severity, and what is gathered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Gather {
    recent: VecDeque<Timestamp>,
    open: Option<Digest>,
    release: Timestamp,
}

impl Gather {
    /// Forgets what left the window; gives when the next single message may be queued.
    fn free_at(&mut self, person: &Person, now: Timestamp) -> Option<Timestamp> {
        let window = person.storm.window;
        // A stamp of the future is from before the wall clock was set back.
        self.recent.retain(|sent| *sent <= now && now.since(*sent) < window);
        let burst = usize::try_from(person.storm.burst).unwrap_or(usize::MAX).max(1);
        // The burst may have become smaller since.
        let over = self.recent.len().checked_sub(burst)?;
        self.recent.get(over).map(|sent| *sent + window)
    }
}

/// The state of a route.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Route {
    /// Where it led when last used: another place is a new beginning.
    place: String,
    pub(crate) waiting: VecDeque<Message>,
    gathers: [Gather; 3],
    failures: u32,
    pub(crate) next_try: Option<Timestamp>,
    pub(crate) last_success: Option<Timestamp>,
    pub(crate) last_error: Option<Trouble>,
    pub(crate) disabled: Option<Trouble>,
    pub(crate) failed: VecDeque<Failed>,
    /// Failed notifications that are no longer kept.
    pub(crate) forgotten: u64,
    /// Notifications that arrived.
    pub(crate) told: u64,
    #[serde(skip)]
    pub(crate) in_flight: Option<String>,
}

impl Route {
    /// A changed address starts afresh.
    fn lead_to(&mut self, target: &Target) {
        let place = target.place();
        if self.place != place {
            self.place = place;
            self.enable();
        }
    }

    /// Tries at once, whatever was before.
    pub(crate) fn enable(&mut self) {
        self.disabled = None;
        self.failures = 0;
        self.next_try = None;
    }

    /// Whether there is nothing to do, now or later.
    pub(crate) fn is_idle(&self) -> bool {
        let open = self.gathers.iter().any(|gather| gather.open.is_some());
        self.waiting.is_empty() && !open && self.in_flight.is_none()
    }

    /// Notifications that are held back for a digest or the end of quiet hours.
    pub(crate) fn held(&self) -> u64 {
        self.gathers.iter().filter_map(|gather| gather.open.as_ref()).map(|open| open.count).sum()
    }

    pub(crate) fn accept(
        &mut self,
        (person, target): (&Person, &Target),
        notification: &Notification,
        now: Timestamp,
    ) {
        self.lead_to(target);
        let who = (person.tenant, &person.id);
        if let Some(disabled) = self.disabled.clone() {
            let message = Message::one(notification.clone(), who, now);
            return self.fail(message, Trouble::new(now, &disabled.why));
        }
        let urgency = Urgency::of(notification.severity, notification.transition);
        let full = self.waiting.len() >= WAITING_MAX;
        let gather = &mut self.gathers[notification.severity as usize];
        let free_at = gather.free_at(person, now);
        let hold = match person.quiet_until(urgency, now) {
            Some(end) => Some(end),
            None if full => Some(now),
            None => free_at,
        };
        // What is urgent overtakes a digest that waits for the morning; all else stays in order.
        let behind = (gather.open.is_some() && urgency == Urgency::Ordinary).then_some(now);
        match hold.or(behind) {
            Some(until) => {
                // Too early does no harm: the release looks at the night and the storm again.
                let until = if gather.open.is_some() { gather.release.min(until) } else { until };
                gather.release = until;
                let fresh = || Digest::new(notification.severity);
                gather.open.get_or_insert_with(fresh).add(notification);
            }
            None => {
                gather.recent.push_back(now);
                self.waiting.push_back(Message::one(notification.clone(), who, now));
            }
        }
    }

    /// Queues the digests whose time has come.
    pub(crate) fn release(&mut self, person: &Person, now: Timestamp) {
        // Critical first.
        for severity in Severity::ALL.into_iter().rev() {
            if self.waiting.len() >= WAITING_MAX {
                return;
            }
            let gather = &mut self.gathers[severity as usize];
            let Some(digest) = gather.open.take_if(|_| gather.release <= now) else { continue };
            let quiet = person.quiet_until(digest.urgency(), now);
            if let Some(until) = quiet.or_else(|| gather.free_at(person, now)) {
                gather.release = until;
                gather.open = Some(digest);
                continue;
            }
            gather.recent.push_back(now);
            let message = Message::digest(digest, (person.tenant, &person.id), now);
            self.waiting.push_back(message);
        }
    }

    /// The message to try now; it is on its way until [`Route::settle`].
    pub(crate) fn next(
        &mut self,
        (person, target): (&Person, &Target),
        retry: &Retry,
        now: Timestamp,
    ) -> Option<Message> {
        self.lead_to(target);
        if self.disabled.is_some() || self.in_flight.is_some() {
            return None;
        }
        // The wall clock may have been set back since.
        let latest = now + retry.pause_max + retry.pause_max;
        self.next_try = self.next_try.map(|due| due.min(latest));
        if self.next_try.is_some_and(|due| due > now) {
            return None;
        }
        let awake = |message: &&Message| person.quiet_until(message.urgency(), now).is_none();
        let message = self.waiting.iter().find(awake)?.clone();
        self.in_flight = Some(message.id.clone());
        Some(message)
    }

    /// When something is to be done, if nothing happens before.
    pub(crate) fn due(&self, person: &Person, now: Timestamp) -> Option<Timestamp> {
        if self.disabled.is_some() || self.in_flight.is_some() {
            return None;
        }
        let tries = self.waiting.iter().map(|message| {
            let quiet = person.quiet_until(message.urgency(), now);
            self.next_try.max(quiet).unwrap_or(now)
        });
        let room = self.waiting.len() < WAITING_MAX;
        let open = self.gathers.iter().filter(|gather| room && gather.open.is_some());
        tries.chain(open.map(|gather| gather.release)).min()
    }

    fn take(&mut self, id: &str) -> Option<Message> {
        let place = self.waiting.iter().position(|message| message.id == id)?;
        self.waiting.remove(place)
    }

    fn fail(&mut self, message: Message, trouble: Trouble) {
        self.failed.push_back(Failed { message, trouble });
        while self.failed.len() > FAILED_KEPT_MAX {
            let oldest = self.failed.pop_front();
            self.forgotten += oldest.map_or(0, |failed| failed.message.count());
        }
    }

    /// Gives up all that waits or is held.
    pub(crate) fn fail_all(&mut self, person: &Person, why: &str, now: Timestamp) {
        let opens = self.gathers.iter_mut().filter_map(|gather| gather.open.take());
        let who = (person.tenant, &person.id);
        let held: Vec<Message> = opens.map(|open| Message::digest(open, who, now)).collect();
        let waiting: Vec<Message> = self.waiting.drain(..).chain(held).collect();
        for message in waiting {
            self.fail(message, Trouble::new(now, why));
        }
    }

    /// What became of the message on its way.
    pub(crate) fn settle(
        &mut self,
        (person, id): (&Person, &str),
        outcome: Outcome,
        retry: &Retry,
        now: Timestamp,
    ) {
        self.in_flight = None;
        match outcome {
            Outcome::Done => {
                self.enable();
                self.last_success = Some(now);
                self.told += self.take(id).map_or(0, |message| message.count());
            }
            Outcome::Later { why, after } => {
                self.failures = self.failures.saturating_add(1);
                let after = after.unwrap_or_default().min(retry.pause_max);
                let pause = retry.pause(self.failures, id).max(after);
                self.next_try = Some(now + pause);
                self.last_error = Some(Trouble::new(now, &why));
                let tried = self.waiting.iter_mut().find(|message| message.id == id);
                if let Some(tried) = tried {
                    tried.attempts = tried.attempts.saturating_add(1);
                }
                self.give_up_old(&why, retry, now);
            }
            Outcome::Refused { why } => {
                let trouble = Trouble::new(now, &why);
                self.last_error = Some(trouble.clone());
                if let Some(message) = self.take(id) {
                    self.fail(message, trouble);
                }
            }
            Outcome::Gone { why } => {
                let trouble = Trouble::new(now, &why);
                self.last_error = Some(trouble.clone());
                self.disabled = Some(trouble);
                self.fail_all(person, &why, now);
            }
        }
    }

    fn give_up_old(&mut self, why: &str, retry: &Retry, now: Timestamp) {
        let old = |message: &Message| now.since(message.queued_at) >= retry.age_max;
        while let Some(place) = self.waiting.iter().position(old) {
            let Some(message) = self.waiting.remove(place) else { return };
            let hours = retry.age_max.as_secs() / 3600;
            let why = format!("given up after {} tries in {hours} h: {why}", message.attempts);
            self.fail(message, Trouble::new(now, &why));
        }
    }

    /// Queues a failed message again, before all others.
    pub(crate) fn replay(&mut self, id: &str, now: Timestamp) -> Replay {
        if self.waiting.iter().any(|message| message.id == id) {
            self.next_try = None;
            return Replay::Queued;
        }
        let place = self.failed.iter().position(|failed| failed.message.id == id);
        let Some(Failed { mut message, .. }) = place.and_then(|place| self.failed.remove(place))
        else {
            return Replay::Unknown;
        };
        message.queued_at = now;
        message.attempts = 0;
        self.waiting.push_front(message);
        self.enable();
        Replay::Queued
    }
}

/// Whether there was something to replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replay {
    Queued,
    Unknown,
}
