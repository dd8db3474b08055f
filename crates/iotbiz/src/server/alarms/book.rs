//! The server's own alarms: raised, cleared, and whether people were told.
//!
//! *Invariant:* one alarm for each condition that holds, however often it is looked at; a change is
//! told until it stands in the state of the sender, with the numbers that it got first. What people
//! say is of their tenant alone. Pure: time and conditions are handed in.

use std::collections::BTreeMap;

use api::{ServerAct, ServerAlarm, ServerSigned};
use model::{AlarmId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

/// Alarms that are kept; the oldest that are over go first.
const ALARMS_MAX: usize = 200;

/// Something that is wrong with the server now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    /// As `/readyz` says it.
    pub(super) word: &'static str,
    pub(super) severity: notify::Severity,
    pub(super) title: &'static str,
    pub(super) why: String,
    pub(super) fix: &'static str,
}

/// How far telling of a change got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    /// It has no numbers yet.
    Due,
    /// The first of its numbers, one for each tenant.
    Numbered(u64),
    /// The sender has it on disk.
    Told,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    alarm: ServerAlarm,
    raised: Step,
    cleared: Step,
    /// Who takes care of it, by tenant.
    #[serde(default)]
    acknowledged: BTreeMap<TenantId, ServerSigned>,
}

/// Nobody of a tenant is told of a condition until then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Shelf {
    tenant: TenantId,
    condition: String,
    until: Timestamp,
    said: ServerSigned,
}

/// What there is to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) alarm: ServerAlarm,
    pub(super) transition: notify::Transition,
    /// The first of its numbers.
    pub(super) first: u64,
}

/// All of them, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Book {
    entries: Vec<Entry>,
    /// The last number that was given.
    last: u64,
    /// One for each tenant and condition at most.
    #[serde(default)]
    shelves: Vec<Shelf>,
}

fn id(at: Timestamp, nth: usize) -> AlarmId {
    // Sorted by time, as ids are.
    let millis = u128::try_from(at.as_millis()).unwrap_or_default();
    AlarmId::from_u128((millis << 80) | (nth as u128 & 0xFFFF))
}

impl Book {
    /// Newest first, as a tenant sees them.
    pub(super) fn alarms(&self, tenant: TenantId, now: Timestamp) -> Vec<ServerAlarm> {
        self.entries.iter().rev().map(|entry| self.seen(entry, tenant, now)).collect()
    }

    fn seen(&self, entry: &Entry, tenant: TenantId, now: Timestamp) -> ServerAlarm {
        ServerAlarm {
            acknowledged: entry.acknowledged.get(&tenant).cloned(),
            shelved: self.shelved(tenant, &entry.alarm.condition, now),
            ..entry.alarm.clone()
        }
    }

    /// Until when nobody of the tenant is told of a condition.
    pub(super) fn shelved(
        &self,
        tenant: TenantId,
        condition: &str,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let of = |shelf: &&Shelf| shelf.tenant == tenant && shelf.condition == condition;
        self.shelves.iter().find(of).map(|shelf| shelf.until).filter(|until| *until > now)
    }

    /// What a person of a tenant does about an alarm; none when there is no such alarm.
    pub(super) fn act(
        &mut self,
        (tenant, id): (TenantId, AlarmId),
        (act, said): (ServerAct, ServerSigned),
    ) -> Option<ServerAlarm> {
        let now = said.at;
        let at = self.entries.iter().position(|entry| entry.alarm.id == id)?;
        let entry = self.entries.get_mut(at)?;
        let condition = entry.alarm.condition.clone();
        match act {
            // Who was first stays.
            ServerAct::Acknowledge => {
                entry.acknowledged.entry(tenant).or_insert(said);
            }
            ServerAct::Shelve(_) | ServerAct::Unshelve => {
                let other = |shelf: &Shelf| shelf.tenant != tenant || shelf.condition != condition;
                self.shelves.retain(|shelf| shelf.until > now && other(shelf));
                if let ServerAct::Shelve(until) = act {
                    self.shelves.push(Shelf { tenant, condition, until, said });
                }
            }
        }
        self.entries.get(at).map(|entry| self.seen(entry, tenant, now))
    }

    /// Takes in what holds now. Whether a condition whose word is among `unknown` holds cannot be
    /// told yet: its alarm stays as it is.
    pub(super) fn observe(&mut self, conditions: &[Condition], unknown: &[&str], now: Timestamp) {
        for entry in self.entries.iter_mut().filter(|entry| entry.alarm.cleared.is_none()) {
            match conditions.iter().find(|found| found.word == entry.alarm.condition) {
                Some(found) => found.why.clone_into(&mut entry.alarm.why),
                None if unknown.contains(&entry.alarm.condition.as_str()) => {}
                None => entry.alarm.cleared = Some(now),
            }
        }
        for (nth, found) in conditions.iter().enumerate() {
            let open = |entry: &Entry| {
                entry.alarm.cleared.is_none() && entry.alarm.condition == found.word
            };
            if !self.entries.iter().any(open) {
                self.entries.push(Entry {
                    alarm: ServerAlarm {
                        id: id(now, nth),
                        condition: found.word.to_owned(),
                        severity: found.severity.as_str().to_owned(),
                        title: found.title.to_owned(),
                        why: found.why.clone(),
                        fix: found.fix.to_owned(),
                        raised: now,
                        cleared: None,
                        acknowledged: None,
                        shelved: None,
                    },
                    raised: Step::Due,
                    cleared: Step::Due,
                    acknowledged: BTreeMap::new(),
                });
            }
        }
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.entries.len() > ALARMS_MAX {
            let over = self.entries.iter().position(|entry| entry.alarm.cleared.is_some());
            let Some(oldest) = over else { return };
            self.entries.remove(oldest);
        }
    }

    /// Changes that the sender does not have on disk, with numbers for so many tenants. Numbers
    /// are of the clock, so that they grow even if this book is lost.
    pub(super) fn untold(&mut self, tenants: u64, now: Timestamp) -> Vec<Change> {
        let mut last = self.last;
        let mut changes = Vec::new();
        for Entry { alarm, raised, cleared, .. } in &mut self.entries {
            let is_over = alarm.cleared.is_some();
            let steps = [
                (Some(raised), notify::Transition::Raised),
                (Some(cleared).filter(|_| is_over), notify::Transition::Cleared),
            ];
            for (step, transition) in steps {
                let Some(step) = step else { continue };
                if *step == Step::Due {
                    let first = (last + 1).max(now.as_millis().unsigned_abs());
                    last = first + tenants.saturating_sub(1);
                    *step = Step::Numbered(first);
                }
                if let Step::Numbered(first) = *step {
                    changes.push(Change { alarm: alarm.clone(), transition, first });
                }
            }
        }
        self.last = last;
        changes
    }

    /// The sender has everything up to this number on disk.
    pub(super) fn told(&mut self, durable: u64, tenants: u64) {
        for entry in &mut self.entries {
            for step in [&mut entry.raised, &mut entry.cleared] {
                if let Step::Numbered(first) = *step
                    && first + tenants.saturating_sub(1) <= durable
                {
                    *step = Step::Told;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(why: &str) -> Condition {
        Condition {
            word: "disk_full",
            severity: notify::Severity::Critical,
            title: "The disk is full",
            why: why.to_owned(),
            fix: "free space",
        }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    const OURS: TenantId = TenantId::from_u128(1);
    const THEIRS: TenantId = TenantId::from_u128(2);

    fn seen(book: &Book) -> Vec<ServerAlarm> {
        book.alarms(OURS, Timestamp::ZERO)
    }

    fn said(by: &str, millis: i64) -> ServerSigned {
        ServerSigned { by: by.to_owned(), at: at(millis), note: None }
    }

    #[test]
    fn who_takes_care_of_it_is_named_to_his_own_tenant_and_the_first_one_stays() {
        let mut book = Book::default();
        book.observe(&[full("one")], &[], at(1_000));
        let id = seen(&book)[0].id;
        for by in ["usr_ada", "usr_bob"] {
            let done = book.act((OURS, id), (ServerAct::Acknowledge, said(by, 2_000))).unwrap();
            assert_eq!(done.acknowledged.unwrap().by, "usr_ada");
        }
        assert_eq!(book.alarms(THEIRS, at(2_000))[0].acknowledged, None);
        let other = AlarmId::from_u128(7);
        assert_eq!(book.act((OURS, other), (ServerAct::Acknowledge, said("usr_ada", 2_000))), None);
        let text = serde_json::to_string(&book).unwrap();
        assert_eq!(serde_json::from_str::<Book>(&text).unwrap(), book);
    }

    #[test]
    fn a_shelf_is_of_a_condition_and_a_tenant_and_outlives_the_alarm() {
        let mut book = Book::default();
        book.observe(&[full("one")], &[], at(1_000));
        let id = seen(&book)[0].id;
        let shelve = (ServerAct::Shelve(at(9_000)), said("usr_ada", 2_000));
        assert_eq!(book.act((OURS, id), shelve).unwrap().shelved, Some(at(9_000)));
        book.observe(&[], &[], at(3_000));
        book.observe(&[full("again")], &[], at(4_000));
        assert_eq!(book.alarms(OURS, at(4_000))[0].shelved, Some(at(9_000)));
        assert_eq!(book.shelved(THEIRS, "disk_full", at(4_000)), None);
        assert_eq!(book.shelved(OURS, "disk_full", at(9_000)), None);
        let unshelved = book.act((OURS, id), (ServerAct::Unshelve, said("usr_ada", 5_000)));
        assert_eq!(unshelved.unwrap().shelved, None);
        assert_eq!(book.shelved(OURS, "disk_full", at(5_000)), None);
    }

    #[test]
    fn a_book_that_knows_of_no_acts_is_read() {
        let old = r#"{"entries":[{"alarm":{"id":"alm_00000000000000000000000001",
            "condition":"disk_full","severity":"critical","title":"t","why":"w","fix":"f",
            "raised":"2026-01-01T00:00:00Z","cleared":null},"raised":"told","cleared":"due"}],
            "last":3}"#;
        let book: Book = serde_json::from_str(old).unwrap();
        assert_eq!(seen(&book)[0].acknowledged, None);
    }

    #[test]
    fn a_condition_that_holds_is_one_alarm_and_clears_by_itself() {
        let mut book = Book::default();
        book.observe(&[full("one")], &[], at(1_000));
        book.observe(&[full("two")], &[], at(2_000));
        let [alarm] = &seen(&book)[..] else { panic!("{book:?}") };
        assert_eq!((alarm.raised, alarm.cleared, &*alarm.why), (at(1_000), None, "two"));
        book.observe(&[], &[], at(3_000));
        assert_eq!(seen(&book)[0].cleared, Some(at(3_000)));
        book.observe(&[full("again")], &[], at(4_000));
        assert_eq!(seen(&book).len(), 2);
    }

    #[test]
    fn an_alarm_stays_while_nobody_can_tell_whether_it_is_over() {
        let mut book = Book::default();
        book.observe(&[full("one")], &[], at(1_000));
        book.observe(&[], &["disk_full"], at(2_000));
        assert_eq!(seen(&book)[0].cleared, None);
        book.observe(&[], &[], at(3_000));
        assert_eq!(seen(&book)[0].cleared, Some(at(3_000)));
    }

    #[test]
    fn a_change_keeps_its_numbers_until_the_sender_has_it_on_disk() {
        let mut book = Book::default();
        book.observe(&[full("one")], &[], at(1_000));
        let first = book.untold(3, at(1_000));
        assert_eq!(first[0].first, 1_000);
        let text = serde_json::to_string(&book).unwrap();
        let mut again: Book = serde_json::from_str(&text).unwrap();
        assert_eq!(again.untold(3, at(9_000)), first);
        book.told(1_001, 3);
        assert_eq!(book.untold(3, at(1_000)), first);
        book.told(1_002, 3);
        assert!(book.untold(3, at(1_000)).is_empty());
        book.observe(&[], &[], at(1_001));
        let over = book.untold(3, at(1_001));
        assert_eq!((over[0].transition, over[0].first), (notify::Transition::Cleared, 1_003));
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_open_stays() {
        let mut book = Book::default();
        book.observe(&[full("one")], &[], at(0));
        let other = Condition { word: "clock_step_held", ..full("x") };
        for n in 1..500 {
            book.observe(&[full("one"), other.clone()], &[], at(2 * n));
            book.observe(&[full("one")], &[], at(2 * n + 1));
        }
        assert_eq!(seen(&book).len(), ALARMS_MAX);
        assert!(seen(&book).iter().any(|alarm| alarm.raised == at(0)));
    }
}
