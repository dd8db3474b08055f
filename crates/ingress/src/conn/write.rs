//! Writing to a connection from wherever something is to be said.
//!
//! *Invariant:* bytes leave in the order they were put; what the socket does not take waits in
//! `out` and the task goes on when there is room.

use std::io;

use crate::shared::Shared;

use super::{Conn, State};

impl State {
    /// Writes `bytes` now if nothing waits before them.
    pub(super) fn write(&mut self, conn: &Conn, shared: &Shared, bytes: &[u8]) {
        if self.out.is_empty()
            && let Some(socket) = &conn.socket
        {
            match socket.try_write(bytes) {
                Ok(count) if count == bytes.len() => {
                    shared.counters.bytes_out.add(count);
                    return;
                }
                Ok(count) => {
                    shared.counters.bytes_out.add(count);
                    self.out.extend_from_slice(bytes.get(count..).unwrap_or_default());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.out.extend_from_slice(bytes);
                }
                Err(_) => self.closing = true,
            }
            conn.wake.notify_one();
            return;
        }
        self.out.extend_from_slice(bytes);
        conn.wake.notify_one();
    }

    /// Writes what waits, as far as the socket takes it.
    pub(crate) fn flush(&mut self, conn: &Conn, shared: &Shared) {
        if self.out.is_empty() {
            return;
        }
        let Some(socket) = &conn.socket else {
            conn.wake.notify_one();
            return;
        };
        match socket.try_write(&self.out) {
            Ok(count) if count == self.out.len() => {
                shared.counters.bytes_out.add(count);
                self.out = Vec::new();
            }
            Ok(count) => {
                shared.counters.bytes_out.add(count);
                self.out.drain(..count);
                conn.wake.notify_one();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => conn.wake.notify_one(),
            Err(_) => {
                // The peer is gone; the task finds out by reading, or here.
                self.out = Vec::new();
                self.closing = true;
                conn.wake.notify_one();
            }
        }
    }
}

impl Conn {
    /// Waits until the socket takes more.
    pub(crate) async fn writable(&self) {
        match &self.socket {
            // An error shows itself at the next write.
            Some(socket) => drop(socket.writable().await),
            None => std::future::pending().await,
        }
    }

    /// What the task is to write, when it does so itself.
    pub(crate) fn take_out(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().out)
    }
}
