//! A session's messages in a snapshot.
//!
//! *Invariant:* what is read back continues as what was written: the same packet ids, the same
//! steps of QoS 2, the same order. A retained message waits on as the record it was made from.
//!
//! ```text
//! last id u16 | held ids | flights: packet id u16, awaits u8, message | queue: message
//! message: offset u64 | qos u8 | retain u8 | view u8 | ids u32...       (see `model::wire`)
//! ```

use std::collections::VecDeque;

use model::Offset;
use model::wire::{Reader, WireError, Writer};

use super::outbound::{Awaits, Flight, Pending, SessionState, Source};
use crate::packet::qos_bits;
use crate::session::{flag, read_qos, read_view, view_code};

impl Source {
    /// Where in the log.
    #[must_use]
    pub fn offset(&self) -> Offset {
        match self {
            Self::Log(offset) => *offset,
            Self::Kept(kept) => kept.offset,
        }
    }
}

impl SessionState {
    /// Appends it to a snapshot.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u16(self.last_id);
        out.put_count(self.received.len());
        self.received.iter().for_each(|id| out.put_u16(*id));
        out.put_count(self.flights.len());
        for flight in &self.flights {
            out.put_u16(flight.packet_id);
            out.put_u8(match flight.awaits {
                Awaits::Ack => 0,
                Awaits::Rec => 1,
                Awaits::Comp => 2,
            });
            put(&flight.pending, out);
        }
        out.put_count(self.queue.len());
        self.queue.iter().for_each(|pending| put(pending, out));
    }

    /// Reads one back.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn restore(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let last_id = r.u16()?;
        let received = (0..r.count()?).map(|_| r.u16()).collect::<Result<_, _>>()?;
        let mut flights = VecDeque::new();
        for _ in 0..r.count()? {
            let packet_id = r.u16()?;
            let error = r.error();
            let awaits = match r.u8()? {
                0 => Awaits::Ack,
                1 => Awaits::Rec,
                2 => Awaits::Comp,
                _ => return Err(error),
            };
            flights.push_back(Flight { packet_id, awaits, pending: get(r)? });
        }
        let queue = (0..r.count()?).map(|_| get(r)).collect::<Result<_, _>>()?;
        Ok(Self { received, flights, queue, last_id })
    }

    /// Forgets a message that the client answered, by its place in the log.
    pub fn answered(&mut self, offset: Offset) {
        let is_it = |pending: &Pending| pending.source.offset() == offset;
        if let Some(place) = self.flights.iter().position(|f| is_it(&f.pending)) {
            self.flights.remove(place);
        } else if let Some(place) = self.queue.iter().position(is_it) {
            self.queue.remove(place);
        }
    }

    /// The oldest record of the log that it still needs.
    #[must_use]
    pub fn oldest(&self) -> Option<Offset> {
        self.pending().map(|p| p.source.offset()).min()
    }
}

fn put(pending: &Pending, out: &mut Vec<u8>) {
    out.put_u64(pending.source.offset().0);
    out.put_u8(qos_bits(pending.qos));
    out.put_u8(u8::from(pending.retain));
    out.put_u8(view_code(pending.view));
    out.put_count(pending.ids.len());
    pending.ids.iter().for_each(|id| out.put_u32(*id));
}

fn get(r: &mut Reader<'_>) -> Result<Pending, WireError> {
    Ok(Pending {
        source: Source::Log(Offset(r.u64()?)),
        qos: read_qos(r)?,
        retain: flag(r)?,
        view: read_view(r)?,
        ids: (0..r.count()?).map(|_| r.u32()).collect::<Result<_, _>>()?,
    })
}
