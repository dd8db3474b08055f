//! A clock that moves only when told to.
//!
//! *Invariant:* the steady counter never goes back; the wall may jump in either direction.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{Clock, Timestamp};

#[derive(Debug)]
struct Hands {
    wall: Timestamp,
    steady: Duration,
}

/// Simulated time; clones share it.
#[derive(Debug, Clone)]
pub struct SimClock {
    hands: Arc<Mutex<Hands>>,
}

impl SimClock {
    /// Starts at `wall`.
    #[must_use]
    pub fn new(wall: Timestamp) -> Self {
        Self { hands: Arc::new(Mutex::new(Hands { wall, steady: Duration::ZERO })) }
    }

    /// Time passes: wall and steady counter move together.
    pub fn advance(&self, by: Duration) {
        let mut hands = self.hands.lock().unwrap_or_else(PoisonError::into_inner);
        hands.wall = hands.wall + by;
        hands.steady += by;
    }

    /// Somebody sets the wall clock; no time passes.
    pub fn jump(&self, to: Timestamp) {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner).wall = to;
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner).wall
    }

    fn monotonic(&self) -> Duration {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner).steady
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_moves_the_wall_alone() {
        let clock = SimClock::new(Timestamp::from_millis(1000));
        clock.advance(Duration::from_millis(5));
        clock.jump(Timestamp::from_millis(10));
        assert_eq!(clock.now(), Timestamp::from_millis(10));
        assert_eq!(clock.monotonic(), Duration::from_millis(5));
    }
}
