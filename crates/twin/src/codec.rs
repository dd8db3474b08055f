//! Bytes of a twin for snapshots.
//!
//! *Invariant:* equal twins give equal bytes, and `read(write(twin)) == twin`.

mod acts;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::wire::{Reader, WireError, Writer};
use model::{
    DeviceId, Name, Offset, Origin, ReadingMark, Returned, SiteId, TenantId, Timestamp, Value,
};

pub(crate) use acts::{put_timers, timers};

use crate::device::{Desired, DeviceTwin, Last, Seen};

pub(crate) fn name(r: &mut Reader<'_>) -> Result<Name, WireError> {
    let error = r.error();
    r.text()?.parse().map_err(|_| error)
}

const fn mark_byte(mark: ReadingMark) -> u8 {
    match mark {
        ReadingMark::DeviceTime => 0,
        ReadingMark::LogTime => 1,
        ReadingMark::FutureClamped => 2,
        ReadingMark::Redecoded => 3,
    }
}

fn mark(r: &mut Reader<'_>) -> Result<ReadingMark, WireError> {
    let error = r.error();
    Ok(match r.u8()? {
        0 => ReadingMark::DeviceTime,
        1 => ReadingMark::LogTime,
        2 => ReadingMark::FutureClamped,
        3 => ReadingMark::Redecoded,
        _ => return Err(error),
    })
}

fn origin(r: &mut Reader<'_>) -> Result<Origin, WireError> {
    let error = r.error();
    Origin::from_u8(r.u8()?).ok_or(error)
}

fn put_last(out: &mut Vec<u8>, last: &Last) {
    last.value.put(out);
    out.put_i64(last.time.as_millis());
    out.put_u64(last.offset.0);
    out.put_u8(last.origin as u8);
    out.put_u8(mark_byte(last.mark));
}

fn last(r: &mut Reader<'_>) -> Result<Last, WireError> {
    Ok(Last {
        value: Value::read(r)?,
        time: Timestamp::from_millis(r.i64()?),
        offset: Offset(r.u64()?),
        origin: origin(r)?,
        mark: mark(r)?,
    })
}

fn put_map<V>(out: &mut Vec<u8>, map: &BTreeMap<Name, V>, mut put: impl FnMut(&mut Vec<u8>, &V)) {
    out.put_count(map.len());
    for (name, item) in map {
        out.put_text(name.as_str());
        put(out, item);
    }
}

fn map<V>(
    r: &mut Reader<'_>,
    mut item: impl FnMut(&mut Reader<'_>) -> Result<V, WireError>,
) -> Result<BTreeMap<Name, V>, WireError> {
    (0..r.count()?).map(|_| Ok((name(r)?, item(r)?))).collect()
}

pub(crate) fn put_device(out: &mut Vec<u8>, twin: &DeviceTwin) {
    out.put_u128(twin.id.as_u128());
    out.put_u128(twin.tenant.as_u128());
    out.put_u64(twin.revision);
    out.put_text(&twin.name);
    out.put_text(twin.venture.as_str());
    out.put_text(twin.kind.as_str());
    out.put_u8(twin.origin as u8);
    out.put_option(twin.site, |out, site| out.put_u128(site.as_u128()));
    out.put_count(twin.tags.len());
    for tag in &twin.tags {
        out.put_text(tag);
    }
    put_map(out, &twin.links, |out, id| out.put_u128(id.as_u128()));
    out.put_option(twin.profile, |out, revision| out.put_u64(revision));
    out.put_option(twin.retired, |out, at| out.put_i64(at.as_millis()));
    out.put_count(twin.returns.len());
    for board in &twin.returns {
        out.put_i64(board.at.as_millis());
        out.put_text(board.reason.as_str());
    }
    out.put_option(twin.path, |out, id| out.put_u128(id.as_u128()));
    put_map(out, &twin.readings, put_last);
    put_map(out, &twin.reported, put_last);
    put_map(out, &twin.desired, |out, desired| {
        desired.value.put(out);
        out.put_u64(desired.version);
        out.put_i64(desired.at.as_millis());
        out.put_text(&desired.by);
    });
    out.put_u64(twin.desired_version);
    acts::put_commands(out, &twin.commands);
    acts::put_guards(out, &twin.guards);
    out.put_option(twin.seen.last, |out, last| out.put_i64(last.as_millis()));
    out.put_u64(twin.seen.messages);
    out.put_u64(twin.seen.duplicates);
    out.put_u64(twin.seen.late);
}

fn returned(r: &mut Reader<'_>) -> Result<Returned, WireError> {
    let error = r.error();
    let at = Timestamp::from_millis(r.i64()?);
    Ok(Returned { at, reason: r.text()?.parse().map_err(|_| error)? })
}

/// Which layout the bytes of a device have, the oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layout {
    WithoutRetired,
    WithoutCommands,
    WithoutReturns,
    Current,
}

impl Layout {
    /// What came with a later layout is empty in an earlier one.
    fn since<T: Default>(
        self,
        first: Self,
        read: impl FnOnce() -> Result<T, WireError>,
    ) -> Result<T, WireError> {
        if self >= first { read() } else { Ok(T::default()) }
    }
}

pub(crate) fn device(r: &mut Reader<'_>, layout: Layout) -> Result<DeviceTwin, WireError> {
    Ok(DeviceTwin {
        id: DeviceId::from_u128(r.u128()?),
        tenant: TenantId::from_u128(r.u128()?),
        revision: r.u64()?,
        name: r.text()?.to_owned(),
        venture: name(r)?,
        kind: name(r)?,
        origin: origin(r)?,
        site: r.option(|r| r.u128().map(SiteId::from_u128))?,
        tags: (0..r.count()?).map(|_| r.text().map(str::to_owned)).collect::<Result<_, _>>()?,
        links: map(r, |r| r.u128().map(DeviceId::from_u128))?,
        profile: r.option(Reader::u64)?,
        retired: layout
            .since(Layout::WithoutCommands, || r.option(|r| r.i64().map(Timestamp::from_millis)))?,
        returns: layout.since(Layout::Current, || {
            (0..r.count()?).map(|_| returned(r)).collect::<Result<_, _>>()
        })?,
        path: r.option(|r| r.u128().map(DeviceId::from_u128))?,
        readings: map(r, last)?,
        reported: map(r, last)?,
        desired: map(r, |r| {
            Ok(Desired {
                value: Value::read(r)?,
                version: r.u64()?,
                at: Timestamp::from_millis(r.i64()?),
                by: r.text()?.to_owned(),
            })
        })?,
        desired_version: r.u64()?,
        commands: layout.since(Layout::WithoutReturns, || acts::commands(r).map(Arc::new))?,
        guards: layout.since(Layout::WithoutReturns, || acts::guards(r).map(Arc::new))?,
        seen: Seen {
            last: r.option(|r| r.i64().map(Timestamp::from_millis))?,
            messages: r.u64()?,
            duplicates: r.u64()?,
            late: r.u64()?,
        },
    })
}
