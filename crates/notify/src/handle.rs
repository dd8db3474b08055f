//! What the rest of the program holds of the sender.
//!
//! *Invariant:* `offer` never waits. A refused offer blocks the later ones of its log until it was
//! repeated, so that a log's notifications are taken without a gap.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use model::Offset;
use tokio::sync::{mpsc, oneshot, watch};

use crate::error::Error;
use crate::notification::{Notification, Source};
use crate::policy::Policy;
use crate::queue::RouteId;
use crate::status::Status;

/// How many notifications wait to be taken in.
pub(crate) const OFFERS_MAX: usize = 1024;
/// How many orders of people wait.
pub(crate) const ORDERS_MAX: usize = 16;

/// What a person orders by hand.
#[derive(Debug)]
pub(crate) enum Order {
    Replay { route: RouteId, message: String, answer: oneshot::Sender<Result<(), Error>> },
    Enable { route: RouteId, answer: oneshot::Sender<Result<(), Error>> },
}

/// What the reader of a log hands over.
#[derive(Debug)]
pub(crate) enum Offer {
    /// Tell people.
    Tell(Box<Notification>),
    /// It was read up to there, and there was nothing to tell.
    Passed(Source),
}

/// The sender, as others see it; clones are the same sender.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(crate) offers: mpsc::Sender<(Offset, Offer)>,
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) policy: Arc<watch::Sender<Arc<Policy>>>,
    pub(crate) status: watch::Receiver<Arc<Status>>,
    pub(crate) overflow: Arc<AtomicU64>,
    /// The first offset of each log that was refused and not yet repeated.
    pub(crate) missing: Arc<Mutex<BTreeMap<Source, Offset>>>,
}

impl Handle {
    fn full(&self) -> Error {
        self.overflow.fetch_add(1, Ordering::Relaxed);
        let waiting = OFFERS_MAX - self.offers.capacity();
        Error::Full { what: "notifications", waiting, max: OFFERS_MAX }
    }

    /// Hands over the notification of the output that stands at `offset` of its log. One reader
    /// of a log calls this in the order of offsets.
    ///
    /// # Errors
    /// [`Error::Full`] is counted; offer the same one again later. An earlier one that was refused
    /// comes first.
    pub fn offer(&self, offset: Offset, notification: Notification) -> Result<(), Error> {
        let source = notification.key.source;
        self.hand_over(source, (offset, Offer::Tell(Box::new(notification))))
    }

    /// Says that a log was read up to `offset` and what was to tell was offered before, so that
    /// nobody reads it again after a restart.
    ///
    /// # Errors
    /// As of [`Handle::offer`].
    pub fn passed(&self, source: Source, offset: Offset) -> Result<(), Error> {
        self.hand_over(source, (offset, Offer::Passed(source)))
    }

    fn hand_over(&self, source: Source, (offset, offer): (Offset, Offer)) -> Result<(), Error> {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        if missing.get(&source).is_some_and(|first| *first < offset) {
            return Err(self.full());
        }
        match self.offers.try_send((offset, offer)) {
            Ok(()) => {
                missing.remove(&source);
                Ok(())
            }
            Err(mpsc::error::TrySendError::Full(_)) => {
                missing.insert(source, offset);
                Err(self.full())
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Error::Stopped),
        }
    }

    /// Waits until there is room for another offer.
    ///
    /// # Errors
    /// The sender has stopped.
    pub async fn room(&self) -> Result<(), Error> {
        self.offers.reserve().await.map(drop).map_err(|_closed| Error::Stopped)
    }

    /// Replaces whom to tell, from now on and for what waits.
    pub fn set_policy(&self, policy: Policy) {
        self.policy.send_replace(Arc::new(policy));
    }

    /// How the sender stands, as of its last step.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status.borrow())
    }

    /// Tells of each new status.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Status>> {
        self.status.clone()
    }

    /// Sends a failed message again, with the id it had.
    ///
    /// # Errors
    /// There is no such message, or too many orders wait.
    pub async fn replay(&self, route: RouteId, message: String) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        self.order(Order::Replay { route, message, answer }, answered).await
    }

    /// Tries a channel at once, also one whose receiver wanted no more.
    ///
    /// # Errors
    /// There is no such channel, or too many orders wait.
    pub async fn enable(&self, route: RouteId) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        self.order(Order::Enable { route, answer }, answered).await
    }

    async fn order(
        &self,
        order: Order,
        answered: oneshot::Receiver<Result<(), Error>>,
    ) -> Result<(), Error> {
        self.orders.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Error::Full { what: "orders", waiting: ORDERS_MAX, max: ORDERS_MAX }
            }
            mpsc::error::TrySendError::Closed(_) => Error::Stopped,
        })?;
        answered.await.map_err(|_dropped| Error::Stopped)?
    }
}
