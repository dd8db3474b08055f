//! The clock of a demo, and what its past is written with.
//!
//! *Invariant:* the clock never shows a time later than the wall's and, once it follows the wall,
//! does so for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use eventlog::Log;
use model::{Clock, Offset, SystemClock, Timestamp};
use pipeline::Shard;

use super::history::{Haste, History};

/// The time a server lives in.
#[derive(Debug, Clone)]
pub(crate) enum Time {
    /// The wall clock's.
    Wall,
    /// A past that is simulated up to now.
    Past(Arc<PastClock>),
}

impl Time {
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        match self {
            Self::Wall => Arc::new(SystemClock::new()),
            Self::Past(clock) => Arc::<PastClock>::clone(clock),
        }
    }

    /// The log's newest time is where a past goes on.
    pub(super) fn begin(&self, newest: Timestamp) {
        match self {
            Self::Wall => {}
            Self::Past(clock) => clock.advance(newest),
        }
    }
}

/// A clock that stands in the past until it is told to follow the wall.
#[derive(Debug)]
pub(crate) struct PastClock {
    wall: SystemClock,
    /// Milliseconds; beyond the wall's time the wall is followed.
    at: AtomicI64,
}

impl PastClock {
    pub(crate) fn new(from: Timestamp) -> Self {
        Self { wall: SystemClock::new(), at: AtomicI64::new(from.as_millis()) }
    }

    /// Moves forward; an earlier time changes nothing.
    pub(crate) fn advance(&self, to: Timestamp) {
        self.at.fetch_max(to.as_millis(), Ordering::SeqCst);
    }

    /// From now on it is the wall clock.
    pub(crate) fn follow(&self) {
        self.advance(Timestamp::MAX);
    }

    /// The wall clock's time.
    pub(crate) fn wall(&self) -> Timestamp {
        self.wall.now()
    }
}

impl Clock for PastClock {
    fn now(&self) -> Timestamp {
        self.wall.now().min(Timestamp::from_millis(self.at.load(Ordering::SeqCst)))
    }

    /// The real one: it paces snapshots and flushes, which cost real time.
    fn monotonic(&self) -> Duration {
        self.wall.monotonic()
    }
}

/// What a simulated past is written with, and read back by.
pub(crate) struct Backfill {
    pub(crate) log: Log,
    /// Of the urgent lane.
    pub(crate) urgent: Log,
    pub(crate) shard: Shard,
    pub(super) history: Arc<History>,
}

impl Backfill {
    /// Moves a demo's time. Both logs follow at once: nobody's clock was set wrong.
    pub(crate) fn moved(&self, clock: &PastClock, to: Timestamp) {
        clock.advance(to);
        self.log.confirm_clock();
        self.urgent.confirm_clock();
    }

    /// Lets history work without rests.
    pub(crate) fn hurry(&self) {
        self.history.pace(Haste::Hurried);
    }

    /// Waits until folds and history hold everything up to `offset`, and history has it in files.
    pub(crate) async fn settled(&self, offset: Offset, patience: Duration) -> anyhow::Result<()> {
        self.shard.applied(offset, patience).await?;
        let written = tokio::time::timeout(patience, self.history.written(offset)).await;
        self.history.pace(Haste::Rested);
        written.map_err(|_late| anyhow::anyhow!("history is not written up to {offset} in time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_until_it_is_moved_and_never_passes_the_wall() {
        let from = Timestamp::from_millis(1_000);
        let clock = PastClock::new(from);
        assert_eq!(clock.now(), from);
        clock.advance(Timestamp::from_millis(2_000));
        clock.advance(from);
        assert_eq!(clock.now(), Timestamp::from_millis(2_000));
        clock.follow();
        let before = clock.wall();
        assert!((before..=before + Duration::from_secs(60)).contains(&clock.now()));
    }
}
