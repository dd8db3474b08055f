//! The folds as they were at an offset, made again from the bytes of the log.
//!
//! *Invariant:* nothing that runs is touched: another state is folded beside it from the frames
//! that are still there, and it says where they begin. Where the beginning of the log is gone,
//! records are taken as they are now, and what devices said before is missing. The main log has
//! urgent messages too, so both lanes are judged on it.

use std::sync::Arc;

use model::wire::Reader;
use model::{DeviceId, Offset, TenantId, Timestamp};

use super::ask::{Asked, ByDay};
use super::run::picture;
use super::{Picture, READ_BYTES_MAX, Shard};
use crate::error::Error;
use crate::records::Records;
use crate::state::{State, Unwatched};

/// The most bytes of log that are read again for one answer.
pub const REBUILD_BYTES_MAX: u64 = 8 << 30;

/// Records as they are in force, for [`Shard::rebuild`].
#[derive(Debug, Clone)]
pub struct RecordsNow(Vec<u8>);

/// From where the frames were there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begins {
    /// From the first frame on: the state is the one of that moment.
    Whole,
    /// From this frame on, of this log time; before it is what retention took.
    At(Offset, Timestamp),
}

/// The folds of a past moment.
#[derive(Debug, Clone)]
pub struct Rebuilt {
    /// What they were.
    pub picture: Picture,
    /// What was due of each device, and what it sent.
    pub by_day: ByDay,
    /// From where the frames were there.
    pub begins: Begins,
    /// Frames that were read.
    pub frames: u64,
}

impl Shard {
    /// The records in force, to seed a rebuild where the log no longer begins at its first frame.
    ///
    /// # Errors
    /// As of [`Shard::explain`].
    pub async fn records_now(&self) -> Result<RecordsNow, Error> {
        self.ask(|state| {
            let mut bytes = Vec::new();
            state.records.snapshot(&mut bytes);
            RecordsNow(bytes)
        })
        .await
    }

    /// The folds and what they know of a tenant's devices by day, both at one offset: what is
    /// judged on them can be judged again.
    ///
    /// # Errors
    /// As of [`Shard::explain`].
    pub async fn moment(
        &self,
        tenant: TenantId,
        asked: Asked,
    ) -> Result<(Arc<Picture>, ByDay), Error> {
        let urgent = self.urgent.clone();
        self.ask(move |state| {
            let picture = picture(state, urgent.as_deref());
            let devices: Vec<DeviceId> =
                picture.twins.devices(tenant).map(|twin| twin.id).collect();
            let by_day = ByDay::of(state, &devices, asked);
            (Arc::new(picture), by_day)
        })
        .await
    }

    /// Folds the log again up to `offset`; reads files, so it belongs on a thread that may wait.
    /// None: no frame up to there is left.
    ///
    /// # Errors
    /// The log cannot be read, or holds more than [`REBUILD_BYTES_MAX`].
    pub fn rebuild(&self, offset: Offset, now: &RecordsNow) -> Result<Option<Rebuilt>, Error> {
        let first = self.log().first();
        if first > offset {
            return Ok(None);
        }
        let bytes = self.log().bytes();
        if bytes > REBUILD_BYTES_MAX {
            return Err(Error::TooMuchLog { bytes, max: REBUILD_BYTES_MAX });
        }
        let whole = first <= Offset(1);
        let mut state = if whole {
            State::default()
        } else {
            let records = Records::restore(&mut Reader::new(&now.0)).map_err(|_| Error::Stopped)?;
            State::seeded(&records, first)
        };
        let (mut frames, mut began) = (0, None);
        while state.offset < offset {
            let from = Offset(state.offset.0 + 1);
            let read = self.log().read(from, READ_BYTES_MAX)?;
            let mut any = false;
            for record in read.iter() {
                let record = record?;
                if record.offset < from || record.offset > offset {
                    continue;
                }
                began.get_or_insert((record.offset, record.log_time));
                state.apply(&record, &mut Unwatched);
                frames += 1;
                any = true;
            }
            if !any {
                break;
            }
        }
        let begins = match began {
            Some((at, time)) if !whole => Begins::At(at, time),
            Some(_) | None => Begins::Whole,
        };
        Ok(Some(Rebuilt { by_day: by_day(&state), picture: picture(&state, None), begins, frames }))
    }
}

fn by_day(state: &State) -> ByDay {
    let view = state.twins.view(state.offset, state.log_time);
    let ids = state.records.iter().filter(|decided| decided.kind == "device");
    let known = ids.filter_map(|decided| {
        let device: DeviceId = decided.id.parse().ok()?;
        view.get(decided.tenant, device).map(|_| device)
    });
    ByDay::of(state, &known.collect::<Vec<_>>(), Asked::DeliveryAndTraffic)
}
