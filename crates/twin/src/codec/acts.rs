//! Bytes of commands, of what envelopes remember, and of timers.
//!
//! *Invariant:* equal states give equal bytes, and `read(write(state)) == state`.

use blueprint::Past;
use model::wire::{Reader, WireError, Writer};
use model::{CommandId, DeviceId, Offset, Timer, Timestamp, Value};

use super::{map, name, put_map};
use crate::command::{Answer, Command, CommandState, Commands, Outcome};
use crate::guards::{Guard, Guards, RefusedChange};
use crate::timers::{Due, Timers};

fn put_time(out: &mut Vec<u8>, at: Timestamp) {
    out.put_i64(at.as_millis());
}

fn time(r: &mut Reader<'_>) -> Result<Timestamp, WireError> {
    r.i64().map(Timestamp::from_millis)
}

fn put_timer(out: &mut Vec<u8>, timer: Timer) {
    put_time(out, timer.due);
    out.put_u64(timer.id);
}

fn timer(r: &mut Reader<'_>) -> Result<Timer, WireError> {
    Ok(Timer { due: time(r)?, id: r.u64()? })
}

pub(super) fn put_commands(out: &mut Vec<u8>, commands: &Commands) {
    out.put_count(commands.len());
    for command in commands.iter() {
        put_command(out, command);
    }
}

fn put_command(out: &mut Vec<u8>, command: &Command) {
    out.put_u128(command.id.as_u128());
    out.put_text(command.name.as_str());
    out.put_text(&command.args);
    out.put_text(&command.by);
    out.put_text(&command.key);
    out.put_u64(command.offset.0);
    put_time(out, command.at);
    put_time(out, command.expires);
    out.put_u64(command.timer);
    match &command.state {
        CommandState::Queued => out.put_u8(0),
        CommandState::Delivered => out.put_u8(5),
        CommandState::Done => out.put_u8(1),
        CommandState::Failed => out.put_u8(2),
        CommandState::Expired => out.put_u8(3),
        CommandState::Refused { reason } => {
            out.put_u8(4);
            out.put_text(reason);
        }
    }
    out.put_option(command.answer.as_ref(), |out, answer| {
        out.put_text(&answer.body);
        put_time(out, answer.at);
        out.put_u64(answer.offset.0);
        out.put_u8(u8::from(answer.outcome == Outcome::Done));
    });
}

pub(super) fn commands(r: &mut Reader<'_>) -> Result<Commands, WireError> {
    (0..r.count()?).map(|_| command(r)).collect::<Result<_, _>>().map(Commands::restored)
}

fn command(r: &mut Reader<'_>) -> Result<Command, WireError> {
    Ok(Command {
        id: CommandId::from_u128(r.u128()?),
        name: name(r)?,
        args: r.text()?.into(),
        by: r.text()?.to_owned(),
        key: r.text()?.to_owned(),
        offset: Offset(r.u64()?),
        at: time(r)?,
        expires: time(r)?,
        timer: r.u64()?,
        state: state(r)?,
        answer: r.option(answer)?,
    })
}

fn state(r: &mut Reader<'_>) -> Result<CommandState, WireError> {
    let error = r.error();
    Ok(match r.u8()? {
        0 => CommandState::Queued,
        1 => CommandState::Done,
        2 => CommandState::Failed,
        3 => CommandState::Expired,
        4 => CommandState::Refused { reason: r.text()?.to_owned() },
        5 => CommandState::Delivered,
        _ => return Err(error),
    })
}

fn answer(r: &mut Reader<'_>) -> Result<Answer, WireError> {
    Ok(Answer {
        body: r.text()?.into(),
        at: time(r)?,
        offset: Offset(r.u64()?),
        outcome: if r.u8()? == 1 { Outcome::Done } else { Outcome::Failed },
    })
}

pub(super) fn put_guards(out: &mut Vec<u8>, guards: &Guards) {
    put_map(out, &guards.settings, |out, guard| {
        guard.past.encode(out);
        out.put_option(guard.watchdog, put_timer);
    });
    put_map(out, &guards.commands, |out, past| past.encode(out));
    out.put_option(guards.refused.as_ref(), |out, refused| {
        out.put_u64(refused.offset.0);
        out.put_text(refused.setting.as_str());
        out.put_text(&refused.reason);
    });
}

pub(super) fn guards(r: &mut Reader<'_>) -> Result<Guards, WireError> {
    let guard =
        |r: &mut Reader<'_>| Ok(Guard { past: Past::decode(r)?, watchdog: r.option(timer)? });
    let refused = |r: &mut Reader<'_>| {
        Ok(RefusedChange {
            offset: Offset(r.u64()?),
            setting: name(r)?,
            reason: r.text()?.to_owned(),
        })
    };
    Ok(Guards {
        settings: map(r, guard)?,
        commands: map(r, Past::decode)?,
        refused: r.option(refused)?,
    })
}

pub(crate) fn put_timers(out: &mut Vec<u8>, timers: &Timers) {
    out.put_u64(timers.last_id);
    out.put_count(timers.due.len());
    for (timer, due) in &timers.due {
        put_timer(out, *timer);
        match due {
            Due::Expiry { device, command } => {
                out.put_u8(0);
                out.put_u128(device.as_u128());
                out.put_u128(command.as_u128());
            }
            Due::Watchdog { device, setting, safe } => {
                out.put_u8(1);
                out.put_u128(device.as_u128());
                out.put_text(setting.as_str());
                safe.put(out);
            }
        }
    }
}

pub(crate) fn timers(r: &mut Reader<'_>) -> Result<Timers, WireError> {
    let mut timers = Timers { last_id: r.u64()?, ..Timers::default() };
    for _ in 0..r.count()? {
        let timer = timer(r)?;
        let error = r.error();
        let due = match r.u8()? {
            0 => Due::Expiry {
                device: DeviceId::from_u128(r.u128()?),
                command: CommandId::from_u128(r.u128()?),
            },
            1 => Due::Watchdog {
                device: DeviceId::from_u128(r.u128()?),
                setting: name(r)?,
                safe: Value::read(r)?,
            },
            _ => return Err(error),
        };
        timers.due.insert(timer, due);
    }
    Ok(timers)
}
