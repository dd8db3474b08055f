//! Counts for metrics.
//!
//! *Invariant:* counting costs a few relaxed atomics a read, never one a message.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: Count,)* }

        /// What was counted since the start; gauges say so.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Figures { $($(#[$doc])* pub $name: u64,)* }

        impl Counters {
            pub(crate) fn figures(&self) -> Figures {
                Figures { $($name: self.$name.get(),)* }
            }
        }
    };
}

counters! {
    /// Gauge: open connections.
    connections,
    /// Connections accepted.
    accepted,
    /// Gauge: sessions, connected or not.
    sessions,
    /// Gauge: subscriptions.
    subscriptions,
    /// Messages from devices and services.
    messages_in,
    /// Messages to subscribers.
    messages_out,
    /// Bytes from devices and services.
    bytes_in,
    /// Bytes to devices and services.
    bytes_out,
    /// Connections, publishes and subscriptions refused.
    refused,
    /// Messages for subscribers that were dropped: too slow, queue full, too large.
    dropped,
    /// Gauge: answers that wait for the log.
    acks_pending,
    /// Times a connection was not read for a while because its device or tenant sends too fast.
    throttled,
    /// Times a connection was not read because the log or its acks were behind.
    paused,
}

/// One count.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(wide(count), Relaxed);
    }

    pub(crate) fn sub(&self, count: usize) {
        self.0.fetch_sub(wide(count), Relaxed);
    }

    pub(crate) fn set(&self, count: usize) {
        self.0.store(wide(count), Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
