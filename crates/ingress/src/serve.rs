//! The task of one connection: reads, and writes what others could not.
//!
//! *Invariant:* reading stops while a batch waits for room in the log, too much waits for its acks,
//! or the device sends faster than it may; it goes on by itself.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::conn::{Conn, Work};
use crate::login;
use crate::shared::Shared;

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// A shared buffer that a large packet made larger than this is given back.
const BUFFER_BYTES_KEPT: usize = 256 * 1024;

thread_local! {
    static WORK: RefCell<Work> = RefCell::default();
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    Some,
    End,
}

/// Serves one connection to its end. `writer` writes where [`Conn::socket`] does not.
pub(crate) async fn run<R, W>(
    shared: Arc<Shared>,
    conn: Arc<Conn>,
    mut reader: R,
    mut writer: Option<W>,
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    loop {
        let look = conn.look(&shared);
        if look.writes
            && let Some(writer) = &mut writer
        {
            let out = conn.take_out();
            shared.counters.bytes_out.add(out.len());
            let write =
                async { writer.write_all(&out).await.is_ok() && writer.flush().await.is_ok() };
            if !tokio::time::timeout(shared.limits.packet_timeout, write).await.unwrap_or(false) {
                break;
            }
            continue;
        }
        if look.closing && !look.writes {
            break;
        }
        tokio::select! {
            biased;
            () = conn.wake.notified() => {}
            read = read_some(&shared, &conn, &mut reader), if look.reads => {
                if read == Read::End {
                    break;
                }
            }
            () = conn.writable(), if look.writes => {
                conn.lock().flush(&conn, &shared);
            }
            () = shared.log.room(), if look.parked => {
                retry(&shared, &conn);
            }
            () = look.paused(), if look.pause.is_some() => {}
        }
    }
    if let Some(writer) = &mut writer {
        // The peer may be gone already.
        let _gone = writer.shutdown().await;
    }
    login::finish(&shared, &conn);
}

/// Takes in bytes that were read elsewhere.
pub(crate) fn take(shared: &Shared, conn: &Arc<Conn>, bytes: &[u8]) {
    WORK.with_borrow_mut(|work| {
        let Work { buffer, batch, properties } = work;
        let kept = conn.rest_bytes();
        buffer.resize(buffer.len().max(kept), 0);
        conn.put_rest(buffer);
        buffer.truncate(kept);
        buffer.extend_from_slice(bytes);
        conn.take_in(shared, buffer, bytes.len(), (batch, properties));
        if buffer.len() > BUFFER_BYTES_KEPT {
            *buffer = Vec::new();
        }
    });
}

/// Tries a batch again that the log had no room for.
pub(crate) fn retry(shared: &Shared, conn: &Arc<Conn>) {
    WORK.with_borrow_mut(|work| conn.retry(shared, work));
}

/// Reads once into the thread's buffer and takes it in there, so that no connection owns one.
async fn read_some<R: AsyncRead + Unpin>(
    shared: &Shared,
    conn: &Arc<Conn>,
    reader: &mut R,
) -> Read {
    poll_fn(|cx| {
        WORK.with_borrow_mut(|work| {
            let Work { buffer, batch, properties } = work;
            let room = conn.rest_bytes() + READ_BYTES;
            if buffer.len() < room {
                buffer.resize(room, 0);
            }
            let kept = conn.put_rest(buffer);
            let mut read = ReadBuf::new(buffer.get_mut(..kept + READ_BYTES).unwrap_or_default());
            read.set_filled(kept);
            let polled = Pin::new(&mut *reader).poll_read(cx, &mut read);
            let filled = read.filled();
            let result = match polled {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(_)) => Poll::Ready(Read::End),
                Poll::Ready(Ok(())) if filled.len() == kept => Poll::Ready(Read::End),
                Poll::Ready(Ok(())) => {
                    let fresh = filled.len() - kept;
                    conn.take_in(shared, filled, fresh, (batch, properties));
                    Poll::Ready(Read::Some)
                }
            };
            if buffer.len() > BUFFER_BYTES_KEPT {
                *buffer = Vec::new();
            }
            result
        })
    })
    .await
}
