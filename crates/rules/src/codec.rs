//! Bytes of the rules for snapshots.
//!
//! *Invariant:* equal states give equal bytes, and a restored state goes on exactly like the one
//! that was written. Inputs and rules carry their names, so a newer blueprint finds them again.

use std::sync::Arc;

use model::wire::{Reader, WireError, Writer};
use model::{AlarmId, DeviceId, Name, RestoreError, TenantId, Timestamp};

use crate::alarm::Alarm;
use crate::care::Care;
use crate::counter::Counter;
use crate::delivery::Delivery;
use crate::device::{Device, HeldBack, Input, Moment, RuleState};
use crate::fold::{Rules, timer_id};
use crate::plan::{Need, Spec};
use crate::window::{Sample, Window};

/// Layout version of the snapshot.
const VERSION: u32 = 3;
/// The layout before maintenance could be planned; still read.
const VERSION_WITHOUT_PLANNED: u32 = 2;
/// The layout before it was kept what is held back; still read.
const VERSION_WITHOUT_HELD: u32 = 1;

pub(crate) fn put(rules: &Rules, out: &mut Vec<u8>) {
    out.put_u32(VERSION);
    out.put_u64(rules.serial);
    put_time(out, rules.now);
    out.put_count(rules.devices.list.len());
    for device in &rules.devices.list {
        out.put_option(device.as_deref(), put_device);
    }
    out.put_count(rules.alarms.all().count());
    for alarm in rules.alarms.all() {
        // Ids, times and numbers read back from JSON bit for bit.
        out.put_bytes(&serde_json::to_vec(&**alarm).expect("an alarm has only names as keys"));
    }
}

pub(crate) fn read(bytes: &[u8]) -> Result<Rules, RestoreError> {
    let mut r = Reader::new(bytes);
    let found = r.u32()?;
    if !(VERSION_WITHOUT_HELD..=VERSION).contains(&found) {
        return Err(RestoreError::Version { fold: "rules", found, expected: VERSION });
    }
    let mut rules = Rules::default();
    rules.serial = r.u64()?;
    rules.now = time(&mut r)?;
    for slot in 0..r.count()? {
        let device = r.option(|r| device(r, found))?;
        if let Some(device) = &device {
            rules.devices.slots.insert(device.id, slot);
            for (rule, state) in device.rules.iter().enumerate() {
                if let Some(due) = state.due {
                    rules.timers.insert((due, timer_id(slot, rule)));
                }
            }
        }
        rules.devices.list.push(device.map(Box::new));
    }
    for _ in 0..r.count()? {
        let error = r.error();
        let alarm: Alarm = serde_json::from_slice(r.bytes()?).map_err(|_| error)?;
        rules.alarms.push(alarm);
    }
    r.end()?;
    Ok(rules)
}

fn put_time(out: &mut Vec<u8>, time: Timestamp) {
    out.put_i64(time.as_millis());
}

fn time(r: &mut Reader<'_>) -> Result<Timestamp, WireError> {
    r.i64().map(Timestamp::from_millis)
}

fn name(r: &mut Reader<'_>) -> Result<Name, WireError> {
    let error = r.error();
    r.text()?.parse().map_err(|_| error)
}

fn put_moment(out: &mut Vec<u8>, moment: Moment) {
    put_time(out, moment.event);
    put_time(out, moment.log);
}

fn moment(r: &mut Reader<'_>) -> Result<Moment, WireError> {
    Ok(Moment { event: time(r)?, log: time(r)? })
}

fn put_device(out: &mut Vec<u8>, device: &Device) {
    out.put_u128(device.id.as_u128());
    out.put_u128(device.tenant.as_u128());
    out.put_option(device.heard, put_time);
    out.put_option(device.newest, put_moment);
    out.put_option(device.care.maintenance, put_time);
    out.put_count(device.care.ignored.len());
    for (reading, until) in &device.care.ignored {
        out.put_text(reading.as_str());
        put_time(out, *until);
    }
    device.care.put_planned(out);
    out.put_count(device.settings.len());
    for (setting, value) in &device.settings {
        out.put_text(setting.as_str());
        out.put_f64(*value);
    }
    out.put_count(device.inputs.len());
    for (spec, input) in device.specs.iter().zip(&device.inputs) {
        put_spec(out, spec);
        put_input(out, input);
    }
    out.put_count(device.rules.len());
    for (rule, state) in device.names.iter().zip(&device.rules) {
        out.put_text(rule.as_str());
        put_state(out, state);
    }
    device.delivery.put(out);
}

fn device(r: &mut Reader<'_>, version: u32) -> Result<Device, WireError> {
    let id = DeviceId::from_u128(r.u128()?);
    let mut device = Device::new(id, TenantId::from_u128(r.u128()?));
    device.heard = r.option(time)?;
    device.newest = r.option(moment)?;
    device.care = Care { maintenance: r.option(time)?, ..Care::default() };
    for _ in 0..r.count()? {
        device.care.ignored.insert(name(r)?, time(r)?);
    }
    if version > VERSION_WITHOUT_PLANNED {
        device.care.read_planned(r)?;
    }
    for _ in 0..r.count()? {
        device.settings.insert(name(r)?, r.f64()?);
    }
    let mut specs = Vec::new();
    for _ in 0..r.count()? {
        specs.push(spec(r)?);
        device.inputs.push(input(r)?);
    }
    device.specs = specs.into();
    let mut names = Vec::new();
    for _ in 0..r.count()? {
        names.push(name(r)?);
        device.rules.push(state(r, version)?);
    }
    device.names = names.into();
    device.delivery = Delivery::read(r)?;
    Ok(device)
}

fn put_spec(out: &mut Vec<u8>, spec: &Spec) {
    out.put_text(spec.property.as_str());
    match spec.need {
        Need::Number => out.put_u8(0),
        Need::Text => out.put_u8(1),
        Need::Position => out.put_u8(2),
        Need::Counted => out.put_u8(3),
        Need::Window(over) => {
            out.put_u8(4);
            out.put_u64(over);
        }
        Need::CountedWindow(over) => {
            out.put_u8(5);
            out.put_u64(over);
        }
    }
}

fn spec(r: &mut Reader<'_>) -> Result<Spec, WireError> {
    let property = name(r)?;
    let error = r.error();
    let need = match r.u8()? {
        0 => Need::Number,
        1 => Need::Text,
        2 => Need::Position,
        3 => Need::Counted,
        4 => Need::Window(r.u64()?),
        5 => Need::CountedWindow(r.u64()?),
        _ => return Err(error),
    };
    Ok(Spec { property, need })
}

fn put_input(out: &mut Vec<u8>, input: &Input) {
    match input {
        Input::Empty => out.put_u8(0),
        Input::Number(sample) => {
            out.put_u8(1);
            put_time(out, sample.time);
            out.put_f64(sample.value);
        }
        Input::Text(time, text) => {
            out.put_u8(2);
            put_time(out, *time);
            out.put_text(text);
        }
        Input::Position { time, latitude, longitude } => {
            out.put_u8(3);
            put_time(out, *time);
            out.put_f64(*latitude);
            out.put_f64(*longitude);
        }
        Input::Counted(counter) => {
            out.put_u8(4);
            counter.put(out);
        }
        Input::Window(window) => {
            out.put_u8(5);
            window.put(out);
        }
    }
}

fn input(r: &mut Reader<'_>) -> Result<Input, WireError> {
    let error = r.error();
    Ok(match r.u8()? {
        0 => Input::Empty,
        1 => Input::Number(Sample { time: time(r)?, value: r.f64()? }),
        2 => Input::Text(time(r)?, Arc::from(r.text()?)),
        3 => Input::Position { time: time(r)?, latitude: r.f64()?, longitude: r.f64()? },
        4 => Input::Counted(Box::new(Counter::read(r)?)),
        5 => Input::Window(Box::new(Window::read(r)?)),
        _ => return Err(error),
    })
}

fn put_state(out: &mut Vec<u8>, state: &RuleState) {
    out.put_option(state.pending, put_moment);
    out.put_option(state.calm, put_moment);
    out.put_option(state.alarm, |out, id| out.put_u128(id.as_u128()));
    out.put_option(state.due, put_time);
    out.put_option(state.shelved, put_time);
    out.put_option(state.acted, put_time);
    out.put_option(state.watchdog, put_time);
    out.put_u8(match state.held {
        None => 0,
        Some(HeldBack::Maintenance) => 1,
        Some(HeldBack::Hours) => 2,
        Some(HeldBack::Upstream) => 3,
    });
}

fn held(r: &mut Reader<'_>) -> Result<Option<HeldBack>, WireError> {
    let error = r.error();
    Ok(match r.u8()? {
        0 => None,
        1 => Some(HeldBack::Maintenance),
        2 => Some(HeldBack::Hours),
        3 => Some(HeldBack::Upstream),
        _ => return Err(error),
    })
}

fn state(r: &mut Reader<'_>, version: u32) -> Result<RuleState, WireError> {
    Ok(RuleState {
        pending: r.option(moment)?,
        calm: r.option(moment)?,
        alarm: r.option(|r| r.u128().map(AlarmId::from_u128))?,
        due: r.option(time)?,
        shelved: r.option(time)?,
        acted: r.option(time)?,
        watchdog: r.option(time)?,
        held: if version == VERSION_WITHOUT_HELD { None } else { held(r)? },
    })
}
