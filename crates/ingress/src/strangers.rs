//! Who may try to come in, and how often: connections of an address, failed logins of an address,
//! a device, and a name from an address.
//!
//! *Invariant:* bounded by `strangers_max`: the addresses and names heard of longest ago are
//! forgotten first, so nobody can fill the memory, or lock others out by filling it.
//! *Invariant:* who guesses tokens does not lock devices out: one that was let in from an address
//! before is judged by what is tried as that device from that address, and by nothing else.
//! *Invariant:* the same wrong secret again and again is a broken device and no guess: it slows
//! down that device alone, until another secret is put on it, and never its neighbours behind the
//! same address.
//!
//! The secret is compared in constant time by `identity`, and its hash is taken before anybody is
//! looked for; what is locked out is not looked at, so its timing tells nothing of it.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use crate::Limits;
use crate::budget::{Bucket, Rate};
use crate::shared::lock;

/// The first lockout; each further failure doubles it, up to `login_lockout_max`.
const LOCKOUT_FIRST: Duration = Duration::from_secs(1);

/// Whoever was not heard of for one to two of these is forgotten.
pub(crate) const MEMORY: Duration = Duration::from_secs(15 * 60);

/// Places for (address, name) pairs that were let in; a later pair takes the place of an earlier.
const FAMILIAR_MAX: usize = 1 << 16;

/// An address as far as it belongs to one owner: of IPv6 a whole /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Address(u64);

impl Address {
    pub(crate) fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self(u64::from(ip.to_bits())),
            // Global unicast addresses are far above those of IPv4.
            IpAddr::V6(ip) => Self(u64::try_from(ip.to_bits() >> 64).unwrap_or_default()),
        }
    }
}

/// What is remembered of something for a while: two maps, of which the older is dropped whole.
#[derive(Debug)]
struct Recent<K, V> {
    fresh: HashMap<K, V>,
    stale: HashMap<K, V>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { fresh: HashMap::new(), stale: HashMap::new() }
    }
}

impl<K: Eq + Hash + Copy, V: Default> Recent<K, V> {
    fn age(&mut self) {
        self.stale = std::mem::take(&mut self.fresh);
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.fresh.get(key).or_else(|| self.stale.get(key))
    }

    /// The value of a key, remembered from now on; at most `max` are.
    fn touch(&mut self, key: K, max: usize) -> &mut V {
        if !self.fresh.contains_key(&key) {
            if self.fresh.len() >= max / 2 {
                self.age();
            }
            let value = self.stale.remove(&key).unwrap_or_default();
            self.fresh.insert(key, value);
        }
        self.fresh.entry(key).or_default()
    }

    fn forget(&mut self, key: &K) {
        self.fresh.remove(key);
        self.stale.remove(key);
    }
}

/// Whose failures are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    Address(Address),
    Name(u64),
    Pair(u64),
}

#[derive(Debug, Default)]
struct Failures {
    /// Of an address or a name.
    bucket: Bucket,
    /// Of a pair: different secrets that failed.
    guesses: u32,
    /// The last one, and how often it failed.
    secret: u64,
    repeats: u32,
    locked_until: u64,
}

/// A limit of logins that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Locked {
    pub(crate) limit: &'static str,
    pub(crate) max: u64,
    pub(crate) wait: Duration,
}

/// How a new connection is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Met {
    Welcome,
    /// Its address connects too often.
    TooOften,
    /// The same, and it was said a moment ago.
    Again,
}

#[derive(Debug, Default)]
struct Caller {
    connects: Bucket,
    told: u64,
}

/// Addresses and names that were heard of.
#[derive(Debug)]
pub(crate) struct Strangers {
    hasher: RandomState,
    callers: Mutex<Recent<Address, Caller>>,
    logins: Mutex<Logins>,
}

#[derive(Debug)]
struct Logins {
    failures: Recent<Who, Failures>,
    /// Hashes of pairs that were let in; 0 is none.
    familiar: Box<[u32]>,
}

/// Who tries to log in, as far as can be told before it is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    address: Address,
    name: u64,
    pair: u64,
    secret: u64,
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Default for Strangers {
    fn default() -> Self {
        let familiar = vec![0; FAMILIAR_MAX].into_boxed_slice();
        Self {
            hasher: RandomState::new(),
            callers: Mutex::default(),
            logins: Mutex::new(Logins { failures: Recent::default(), familiar }),
        }
    }
}

impl Strangers {
    /// Counts a new connection.
    pub(crate) fn meet(&self, ip: IpAddr, now: u64, limits: &Limits) -> Met {
        let rate = Rate {
            per_s: limits.connects_per_address_per_s_max,
            burst: limits.connects_per_address_burst,
        };
        if rate.per_s == 0 {
            return Met::Welcome;
        }
        let mut callers = lock(&self.callers);
        let caller = callers.touch(Address::of(ip), limits.strangers_max);
        if caller.connects.try_take(now, rate, 1).is_ok() {
            return Met::Welcome;
        }
        let again = caller.told > 0 && now < caller.told + nanos(LOCKOUT_FIRST);
        if again {
            return Met::Again;
        }
        caller.told = now.max(1);
        Met::TooOften
    }

    /// A login with `secret` as `name`; empty: with a token alone.
    pub(crate) fn attempt(&self, ip: IpAddr, name: &[u8], secret: &[u8]) -> Attempt {
        let address = Address::of(ip);
        let name = self.hasher.hash_one(name);
        let pair = self.hasher.hash_one((address, name));
        Attempt { address, name, pair, secret: self.hasher.hash_one(secret) }
    }

    /// Whether the attempt is not to be looked at.
    pub(crate) fn locked(&self, attempt: Attempt, now: u64, limits: &Limits) -> Option<Locked> {
        let logins = lock(&self.logins);
        let wait = |who: Who, rate: Rate| {
            let failures = logins.failures.get(&who)?;
            let wait = failures.bucket.wait(now, rate);
            (wait > 0).then(|| Duration::from_nanos(wait))
        };
        if let Some(pair) = logins.failures.get(&Who::Pair(attempt.pair))
            && pair.locked_until > now
            && (pair.guesses >= limits.login_failures_max || pair.secret == attempt.secret)
        {
            let wait = Duration::from_nanos(pair.locked_until - now);
            let max = u64::from(limits.login_failures_max);
            return Some(Locked { limit: "login_failures_max", max, wait });
        }
        if logins.familiar.get(attempt.place()) == Some(&attempt.mark()) {
            return None;
        }
        let max = limits.login_failures_per_address_max;
        if let Some(wait) = wait(Who::Address(attempt.address), failure_rate(limits, max)) {
            return Some(Locked { limit: "login_failures_per_address_max", max, wait });
        }
        let max = limits.login_failures_per_device_max;
        let wait = wait(Who::Name(attempt.name), failure_rate(limits, max))?;
        Some(Locked { limit: "login_failures_per_device_max", max, wait })
    }

    /// Counts a failed login; `known` says whether the name is that of a device or service.
    pub(crate) fn failed(&self, attempt: Attempt, known: Known, now: u64, limits: &Limits) {
        let mut logins = lock(&self.logins);
        let max = limits.strangers_max;
        let pair = logins.failures.touch(Who::Pair(attempt.pair), max);
        let is_guess = pair.guesses == 0 || pair.secret != attempt.secret;
        pair.repeats = if is_guess { 1 } else { pair.repeats.saturating_add(1) };
        pair.guesses = pair.guesses.saturating_add(u32::from(is_guess));
        pair.secret = attempt.secret;
        let more = pair.guesses.max(pair.repeats).checked_sub(limits.login_failures_max);
        if let Some(more) = more.filter(|_| limits.login_failures_max > 0) {
            let wait = LOCKOUT_FIRST.saturating_mul(1_u32.checked_shl(more).unwrap_or(u32::MAX));
            pair.locked_until = now.saturating_add(nanos(wait.min(limits.login_lockout_max)));
        }
        if !is_guess {
            return;
        }
        let mut count = |who, of| {
            let failures = logins.failures.touch(who, max);
            failures.bucket.take(now, failure_rate(limits, of), FAILURE);
        };
        count(Who::Address(attempt.address), limits.login_failures_per_address_max);
        if known == Known::Name {
            count(Who::Name(attempt.name), limits.login_failures_per_device_max);
        }
    }

    /// Forgets the failures of a pair that was let in.
    pub(crate) fn passed(&self, attempt: Attempt) {
        let mut logins = lock(&self.logins);
        logins.failures.forget(&Who::Pair(attempt.pair));
        if let Some(place) = logins.familiar.get_mut(attempt.place()) {
            *place = attempt.mark();
        }
    }

    /// Forgets who was not heard of for [`MEMORY`].
    pub(crate) fn age(&self) {
        lock(&self.callers).age();
        lock(&self.logins).failures.age();
    }
}

/// Whether a failed login named somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Name,
    Nobody,
}

/// What one failure takes out of its bucket, so that a rate below one a second can be said.
const FAILURE: u64 = 1000;

fn failure_rate(limits: &Limits, max: u64) -> Rate {
    let forgiven_ms = u64::try_from(limits.login_failure_forgiven.as_millis()).unwrap_or(u64::MAX);
    // FAILURE comes back in `login_failure_forgiven`.
    let per_s = FAILURE.saturating_mul(1000).checked_div(forgiven_ms).unwrap_or_default();
    let per_s = if max == 0 { 0 } else { per_s.max(1) };
    Rate { per_s, burst: max.saturating_sub(1).saturating_mul(FAILURE) }
}

impl Attempt {
    fn place(self) -> usize {
        usize::try_from(self.pair % FAMILIAR_MAX as u64).unwrap_or_default()
    }

    fn mark(self) -> u32 {
        // Never 0, which is an empty place.
        u32::try_from(self.pair >> 32).unwrap_or_default().max(1)
    }
}

#[cfg(test)]
mod tests;
