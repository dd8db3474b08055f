//! The queue on times of our own choice.
//!
//! *Invariant:* what was taken is told, waiting, held, failed or forgotten: counted once.

use std::time::Duration;

use model::Severity;
use proptest::prelude::*;

use super::*;
use crate::example::{TENANT, notification};
use crate::message::Content;
use crate::notification::Transition;
use crate::state_file::{decode, encode};

const SECOND: Duration = Duration::from_secs(1);
/// A Monday, noon in Berlin.
const NOON: Timestamp = Timestamp::from_millis(1_796_036_400_000);

fn policy(more: &str) -> Policy {
    let text = format!(
        "[person.ada]\nroles = [\"operator\"]\nseverity = \"info\"\nchannels = [\"mqtt\"]\n\
         mqtt = \"ada\"\ntimezone = \"Europe/Berlin\"\n{more}"
    );
    Policy::from_toml(TENANT, &text).unwrap()
}

fn route_id() -> RouteId {
    RouteId { tenant: TENANT, person: "ada".parse().unwrap(), channel: Channel::Mqtt }
}

fn of(number: u64, severity: Severity, transition: Transition) -> Notification {
    Notification { severity, transition, ..notification(number) }
}

/// A queue, its clock and what was sent.
struct Bench {
    queue: Queue,
    policy: Policy,
    retry: Retry,
    now: Timestamp,
    last: u64,
    sent: Vec<(Timestamp, Message)>,
}

impl Bench {
    fn new(more: &str) -> Self {
        let (queue, policy, sent) = (Queue::default(), policy(more), Vec::new());
        Self { queue, policy, retry: Retry::default(), now: NOON, last: 0, sent }
    }

    fn offer(&mut self, severity: Severity, transition: Transition) {
        self.last += 1;
        let one = of(self.last, severity, transition);
        self.queue.accept(&self.policy, (Offset(self.last), one), self.now);
    }

    /// Sends until nothing more is to be sent now.
    fn send(&mut self, mut answer: impl FnMut() -> Outcome) {
        loop {
            self.queue.release(&self.policy, self.now);
            let places = &mut Places::default();
            let attempts = self.queue.attempts(&self.policy, &self.retry, self.now, places);
            if attempts.is_empty() {
                return;
            }
            for attempt in attempts {
                self.sent.push((self.now, attempt.message.clone()));
                self.queue.settle(&attempt, answer(), &self.retry, self.now);
            }
        }
    }

    /// As the task does: sleeps until something is due, up to `end`.
    fn run(&mut self, end: Timestamp, mut answer: impl FnMut() -> Outcome) {
        loop {
            self.send(&mut answer);
            match self.queue.next_due(&self.policy, self.now) {
                Some(due) if due <= end => self.now = due,
                Some(_) | None => break,
            }
        }
        self.now = end;
    }

    fn counted(&self) -> u64 {
        let Some(route) = self.queue.routes.get(&route_id()) else { return 0 };
        let waiting: u64 = route.waiting.iter().map(Message::count).sum();
        let failed: u64 = route.failed.iter().map(|failed| failed.message.count()).sum();
        route.told + waiting + route.held() + failed + route.forgotten
    }

    fn told(&self) -> Vec<u64> {
        self.sent.iter().map(|(_, message)| message.count()).collect()
    }
}

fn later() -> Outcome {
    Outcome::Later { why: "no".to_owned(), after: None }
}

#[test]
fn a_storm_is_told_in_a_burst_and_one_digest_a_window() {
    let mut bench = Bench::new("digest = { burst = 3, window = \"10 min\" }");
    for _ in 0..100 {
        bench.offer(Severity::Warning, Transition::Raised);
        bench.send(|| Outcome::Done);
    }
    assert_eq!(bench.told(), [1, 1, 1]);
    bench.run(NOON + 600 * SECOND, || Outcome::Done);
    assert_eq!(bench.told(), [1, 1, 1, 97]);
}

#[test]
fn a_storm_of_warnings_delays_no_critical_alarm() {
    let mut bench = Bench::new("digest = { burst = 1, window = \"10 min\" }");
    for _ in 0..50 {
        bench.offer(Severity::Warning, Transition::Raised);
    }
    bench.offer(Severity::Critical, Transition::Raised);
    bench.send(|| Outcome::Done);
    assert_eq!(bench.told(), [1, 1]);
}

const NIGHT: &str = "quiet = { from = \"22:00\", to = \"06:00\"";

#[test]
fn what_comes_at_night_is_told_in_the_morning() {
    let mut bench = Bench::new(&format!("{NIGHT} }}"));
    bench.now = NOON + 11 * 3600 * SECOND;
    bench.offer(Severity::Critical, Transition::Raised);
    bench.offer(Severity::Critical, Transition::Cleared);
    bench.run(NOON + 24 * 3600 * SECOND, || Outcome::Done);
    assert_eq!(bench.told(), [2]);
    let (at, _) = &bench.sent[0];
    assert_eq!(at.to_string(), "2026-12-01T05:00:00Z");
}

#[test]
fn a_critical_alarm_overtakes_the_night_when_the_person_said_so() {
    let mut bench = Bench::new(&format!("{NIGHT}, except = \"critical\" }}"));
    bench.now = NOON + 11 * 3600 * SECOND;
    bench.offer(Severity::Critical, Transition::Cleared);
    bench.offer(Severity::Warning, Transition::Raised);
    bench.offer(Severity::Critical, Transition::Raised);
    bench.send(|| Outcome::Done);
    assert_eq!(bench.told(), [1]);
    let Content::One(one) = &bench.sent[0].1.content else { panic!("a digest") };
    assert_eq!(one.transition, Transition::Raised);
}

#[test]
fn a_retry_does_not_wake_anybody() {
    let mut bench = Bench::new(&format!("{NIGHT} }}"));
    bench.now = NOON + 10 * 3600 * SECOND - SECOND;
    bench.offer(Severity::Warning, Transition::Raised);
    bench.send(later);
    let tried = bench.sent.len();
    bench.run(NOON + 24 * 3600 * SECOND, || Outcome::Done);
    let (at, _) = &bench.sent[tried];
    assert_eq!((tried, at.to_string().as_str()), (1, "2026-12-01T05:00:00Z"));
}

#[test]
fn pauses_double_up_to_the_longest_and_age_ends_them() {
    let mut bench = Bench::new("");
    bench.offer(Severity::Warning, Transition::Raised);
    bench.run(NOON + 80 * 3600 * SECOND, later);
    let times: Vec<u64> = bench.sent.iter().map(|(at, _)| at.since(NOON).as_secs()).collect();
    let pauses: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((4..=6).contains(&pauses[0]) && (9..=11).contains(&pauses[1]), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= 3960), "{pauses:?}");
    assert!((72..=74).contains(&(times.last().unwrap() / 3600)), "{times:?}");
    let status = bench.queue.status();
    let [failed] = &*status.routes[0].failed else { panic!("not one failed") };
    assert!(failed.trouble.why.starts_with("given up after"), "{failed:?}");
    let id = failed.id.clone();
    assert_eq!(bench.queue.replay(&route_id(), &id, bench.now), Replay::Queued);
    bench.send(|| Outcome::Done);
    assert_eq!(bench.queue.status().routes[0].told, 1);
}

#[test]
fn a_receiver_may_ask_for_a_longer_pause() {
    let mut bench = Bench::new("");
    bench.offer(Severity::Warning, Transition::Raised);
    bench.send(|| Outcome::Later { why: "busy".to_owned(), after: Some(600 * SECOND) });
    let due = bench.queue.next_due(&bench.policy, bench.now).unwrap();
    assert_eq!(due, NOON + 600 * SECOND);
}

#[test]
fn a_disabled_receiver_gets_nothing_until_its_address_changes() {
    let mut bench = Bench::new("");
    bench.offer(Severity::Warning, Transition::Raised);
    bench.send(|| Outcome::Gone { why: "410".to_owned() });
    bench.offer(Severity::Warning, Transition::Raised);
    bench.send(|| Outcome::Done);
    assert_eq!((bench.sent.len(), bench.counted()), (1, 2));
    bench.policy = policy("");
    let moved = "[person.ada]\nroles = [\"operator\"]\nchannels = [\"mqtt\"]\nmqtt = \"new\"";
    bench.policy = Policy::from_toml(TENANT, moved).unwrap();
    bench.offer(Severity::Warning, Transition::Raised);
    bench.send(|| Outcome::Done);
    assert_eq!(bench.sent.len(), 2);
}

#[test]
fn a_full_route_gathers_instead_of_losing() {
    let mut bench = Bench::new("digest = { burst = 1000, window = \"1 s\" }");
    bench.offer(Severity::Warning, Transition::Raised);
    bench.send(later);
    for _ in 0..500 {
        bench.offer(Severity::Warning, Transition::Raised);
    }
    let route = &bench.queue.status().routes[0];
    assert_eq!((route.waiting, route.held), (crate::route::WAITING_MAX, 501 - 32));
    bench.run(NOON + 60 * SECOND, || Outcome::Done);
    assert_eq!(bench.queue.status().routes[0].told, 501);
}

#[test]
fn known_offsets_and_keys_are_taken_once() {
    let (mut queue, policy) = (Queue::default(), policy(""));
    let mut offer =
        |offset, number| queue.accept(&policy, (Offset(offset), notification(number)), NOON);
    assert_eq!(offer(5, 1), Accepted::Taken);
    assert_eq!(offer(5, 2), Accepted::Double, "the offset is known");
    assert_eq!(offer(6, 1), Accepted::Double, "the key is known");
    assert_eq!(offer(7, 3), Accepted::Taken);
    assert_eq!(queue.status().doubles, 2);
}

#[test]
fn what_nobody_hears_is_said() {
    let (mut queue, policy) = (Queue::default(), policy(""));
    let one = Notification { role: "owner".to_owned(), ..notification(1) };
    queue.accept(&policy, (Offset(1), one), NOON);
    let status = queue.status();
    assert_eq!(status.unheard, 1);
    assert_eq!(status.last_unheard[&TENANT].why, "nobody of role \"owner\" is told of main-2-1-0");
}

#[test]
fn who_leaves_a_channel_is_sent_nothing_more_by_it() {
    let mut bench = Bench::new("");
    bench.offer(Severity::Warning, Transition::Raised);
    bench.send(later);
    bench.policy = Policy::from_toml(TENANT, "[person.ada]\nchannels = [\"none\"]").unwrap();
    bench.run(NOON + 3600 * SECOND, || Outcome::Done);
    assert_eq!(bench.sent.len(), 1);
    let failed = &bench.queue.status().routes[0].failed;
    assert_eq!(failed[0].trouble.why, "ada chose not to be told by mqtt");
}

#[test]
fn one_tenant_leaves_places_for_others() {
    let mut places = Places::default();
    (0..SENDS_TENANT_MAX).for_each(|_| places.take(TENANT));
    assert!(!places.free(TENANT));
    assert!(places.free(TenantId::from_u128(2)));
}

/// What may happen next.
#[derive(Debug, Clone)]
enum Step {
    Offer(Severity, Transition),
    Pass(u64),
    Answer(Outcome),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let transition = prop::sample::select(vec![
        Transition::Raised,
        Transition::SeverityDown,
        Transition::Escalated,
        Transition::Cleared,
    ]);
    let severity = prop::sample::select(Severity::ALL.to_vec());
    let answer = prop::sample::select(vec![
        Outcome::Done,
        Outcome::Done,
        later(),
        Outcome::Refused { why: "no".to_owned() },
        Outcome::Gone { why: "gone".to_owned() },
    ]);
    let step = prop_oneof![
        6 => (severity, transition).prop_map(|(bad, what)| Step::Offer(bad, what)),
        3 => (1_u64..20_000).prop_map(Step::Pass),
        1 => answer.prop_map(Step::Answer),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    /// Nothing is lost or counted twice, whatever receivers answer and whenever we restart.
    #[test]
    fn all_that_was_taken_is_somewhere(steps in steps(), burst in 1_u32..6, quiet: bool) {
        let night = format!("{NIGHT}, except = \"critical\" }}\n");
        let night = if quiet { &*night } else { "" };
        let storm = format!("digest = {{ burst = {burst}, window = \"10 min\" }}");
        let mut bench = Bench::new(&format!("{night}{storm}"));
        let mut answer = Outcome::Done;
        for step in steps {
            match step {
                Step::Offer(severity, transition) => bench.offer(severity, transition),
                Step::Pass(seconds) => {
                    let end = bench.now + Duration::from_secs(seconds);
                    bench.run(end, || answer.clone());
                }
                Step::Answer(next) => {
                    answer = next;
                    bench.queue.enable(&route_id());
                }
                Step::Restart => {
                    let bytes = encode(&bench.queue);
                    bench.queue = decode(std::path::Path::new("state"), &bytes).unwrap();
                    prop_assert_eq!(&encode(&bench.queue), &bytes);
                }
            }
            prop_assert_eq!(bench.counted(), bench.last);
        }
        let ada = bench.policy.person(TENANT, &"ada".parse().unwrap()).unwrap();
        for (at, message) in &bench.sent {
            prop_assert!(ada.quiet_until(message.urgency(), *at).is_none(), "{at} woke ada");
        }
    }

    /// No window holds more than `burst` messages of one severity.
    #[test]
    fn no_window_holds_more_than_its_burst(steps in steps(), burst in 1_u32..6) {
        let mut bench = Bench::new(&format!("digest = {{ burst = {burst}, window = \"10 min\" }}"));
        for step in steps {
            match step {
                Step::Offer(severity, transition) => bench.offer(severity, transition),
                Step::Pass(seconds) => {
                    let end = bench.now + Duration::from_secs(seconds);
                    bench.run(end, || Outcome::Done);
                }
                Step::Answer(_) | Step::Restart => bench.send(|| Outcome::Done),
            }
        }
        let severity_of = |message: &Message| match &message.content {
            Content::One(one) => one.severity,
            Content::Digest(digest) => digest.severity,
        };
        for severity in Severity::ALL {
            let of_it = bench.sent.iter().filter(|(_, message)| severity_of(message) == severity);
            let queued: Vec<Timestamp> = of_it.map(|(_, message)| message.queued_at).collect();
            for (first, over) in queued.iter().zip(queued.iter().skip(burst as usize)) {
                prop_assert!(over.since(*first) >= 600 * SECOND, "{first} {over}");
            }
        }
    }
}
