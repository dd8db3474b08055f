//! News of credentials that stopped working, so that live sessions can be closed at once.
//!
//! *Invariant:* a listener that asks for everything after the generation it has seen misses
//! nothing: either it gets each revocation, or it is told to judge every session again.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use model::{CredentialId, TenantId};

use crate::Actor;

/// How many revocations are remembered one by one.
pub const RECENT_REVOCATIONS_MAX: usize = 4_096;

/// A credential, or a whole actor, that stopped working.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Its number; grows by one.
    pub generation: u64,
    /// Whose.
    pub tenant: TenantId,
    /// Whose.
    pub actor: Actor,
    /// Which credential; all of the actor's if none.
    pub credential: Option<CredentialId>,
}

/// What happened since a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocations {
    /// These, in order.
    Each(Vec<Revocation>),
    /// More than are remembered: judge every session by [`crate::Door::still_valid`].
    All,
}

#[derive(Default)]
pub(crate) struct News {
    generation: AtomicU64,
    /// The last one that says: judge every session again.
    all_at: AtomicU64,
    recent: Mutex<VecDeque<Revocation>>,
    listeners: RwLock<Vec<Listener>>,
}

type Listener = Box<dyn Fn() + Send + Sync>;

impl News {
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn listen(&self, listener: Listener) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    pub(crate) fn announce(
        &self,
        tenant: TenantId,
        actor: Actor,
        credential: Option<CredentialId>,
    ) {
        {
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            let generation = self.generation() + 1;
            let news = Revocation { generation, tenant, actor, credential };
            if recent.len() == RECENT_REVOCATIONS_MAX {
                recent.pop_front();
            }
            recent.push_back(news);
            // After the push: whoever sees the new generation finds its entry.
            self.generation.store(generation, Ordering::Release);
        }
        self.tell();
    }

    /// Something ended that many sessions rest on: each has to be judged again.
    pub(crate) fn announce_all(&self) {
        {
            let _recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            let generation = self.generation() + 1;
            self.all_at.store(generation, Ordering::Release);
            self.generation.store(generation, Ordering::Release);
        }
        self.tell();
    }

    fn tell(&self) {
        for listener in &*self.listeners.read().unwrap_or_else(PoisonError::into_inner) {
            listener();
        }
    }

    pub(crate) fn since(&self, generation: u64) -> Revocations {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = recent.front().map_or(generation + 1, |first| first.generation);
        if oldest > generation + 1 || self.all_at.load(Ordering::Acquire) > generation {
            return Revocations::All;
        }
        Revocations::Each(
            recent.iter().filter(|news| news.generation > generation).cloned().collect(),
        )
    }
}

impl fmt::Debug for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("News").field("generation", &self.generation()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_not_seen_the_end_of_an_authority_judges_all() {
        let news = News::default();
        news.announce_all();
        assert_eq!(news.since(0), Revocations::All);
        assert_eq!(news.since(news.generation()), Revocations::Each(Vec::new()));
    }

    #[test]
    fn a_listener_that_fell_too_far_behind_is_told_to_judge_all() {
        let news = News::default();
        let tenant = TenantId::from_u128(1);
        for _ in 0..=RECENT_REVOCATIONS_MAX {
            news.announce(tenant, Actor::Loopback, None);
        }
        assert_eq!(news.since(0), Revocations::All);
        let Revocations::Each(all) = news.since(1) else { panic!("all of them are kept") };
        assert_eq!(all.len(), RECENT_REVOCATIONS_MAX);
        assert_eq!(news.since(news.generation()), Revocations::Each(Vec::new()));
    }
}
