//! The one-time token of a first run: whoever can read the console becomes the owner.
//!
//! *Invariant:* it opens the door once, for [`SETUP_VALID`], and dies after
//! [`SETUP_ATTEMPTS_MAX`] wrong tries; a restart without an owner makes another.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{Clock, ErrorKind};

use crate::{SecretHash, Token};

/// How long a setup token opens.
pub const SETUP_VALID: Duration = Duration::from_secs(15 * 60);
/// How many wrong tries it survives.
pub const SETUP_ATTEMPTS_MAX: u32 = 10;

/// Waits for the setup token.
#[derive(Debug)]
pub struct Setup {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    secret: Option<SecretHash>,
    until: Duration,
    wrong: u32,
}

/// Why a setup token does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedSetup {
    /// Not the one that was printed.
    #[error("wrong setup token; {left} tries left")]
    Wrong {
        /// Before it dies.
        left: u32,
    },
    /// Used, expired or tried too often.
    #[error("the setup token is spent; restart to get another")]
    Spent,
}

impl RefusedSetup {
    /// What kind of situation it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Wrong { .. } | Self::Spent => ErrorKind::Unauthenticated,
        }
    }
}

impl Setup {
    /// A door, and the token to print.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn new(clock: Arc<dyn Clock>) -> Result<(Self, Token), getrandom::Error> {
        let token = Token::generate()?;
        // The steady clock: turning the wall clock back must not make the token live again.
        let until = clock.monotonic() + SETUP_VALID;
        let state = State { secret: Some(token.hash()), until, wrong: 0 };
        Ok((Self { clock, state: Mutex::new(state) }, token))
    }

    /// Takes the token; the second time it is spent.
    ///
    /// # Errors
    /// It is wrong or spent.
    pub fn redeem(&self, presented: &str) -> Result<(), RefusedSetup> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.clock.monotonic() >= state.until {
            state.secret = None;
        }
        let Some(secret) = state.secret else { return Err(RefusedSetup::Spent) };
        if SecretHash::of(presented.as_bytes()) == secret {
            state.secret = None;
            return Ok(());
        }
        state.wrong += 1;
        if state.wrong >= SETUP_ATTEMPTS_MAX {
            state.secret = None;
        }
        Err(RefusedSetup::Wrong { left: SETUP_ATTEMPTS_MAX - state.wrong })
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::*;

    #[derive(Debug, Default)]
    struct Steady(Mutex<Duration>);

    impl Clock for Steady {
        fn now(&self) -> Timestamp {
            Timestamp::default()
        }
        fn monotonic(&self) -> Duration {
            *self.0.lock().unwrap()
        }
    }

    #[test]
    fn it_opens_once() {
        let (setup, token) = Setup::new(Arc::new(Steady::default())).unwrap();
        assert_eq!(setup.redeem("iot_guess"), Err(RefusedSetup::Wrong { left: 9 }));
        assert_eq!(setup.redeem(token.reveal()), Ok(()));
        assert_eq!(setup.redeem(token.reveal()), Err(RefusedSetup::Spent));
    }

    #[test]
    fn it_dies_after_ten_wrong_tries() {
        let (setup, token) = Setup::new(Arc::new(Steady::default())).unwrap();
        for left in (0..SETUP_ATTEMPTS_MAX).rev() {
            assert_eq!(setup.redeem("no"), Err(RefusedSetup::Wrong { left }));
        }
        assert_eq!(setup.redeem(token.reveal()), Err(RefusedSetup::Spent));
    }

    #[test]
    fn it_dies_after_its_time() {
        let clock = Arc::new(Steady::default());
        let (setup, token) = Setup::new(Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        *clock.0.lock().unwrap() = SETUP_VALID;
        assert_eq!(setup.redeem(token.reveal()), Err(RefusedSetup::Spent));
    }
}
