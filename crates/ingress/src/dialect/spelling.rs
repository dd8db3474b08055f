//! Names of children as their gateway spells them.
//!
//! *Invariant:* here a name is lower case without spaces, so `Device A` is `device-a`; what is told
//! about it, is told under the name the gateway used. No two spellings of a gateway mean one
//! device.
//!
//! It is kept in memory alone: a gateway names its children again whenever it connects.

use std::borrow::Cow;

use identity::{Actor, Door, Identity};
use model::DeviceId;
use mqtt::Reason;
use rustc_hash::FxHashMap;

use crate::refusal::{RefusalReason, cut};
use crate::topics::Denial;

/// Names that are remembered; a child beyond them is told of under the name it has here.
const SPELLINGS_MAX: usize = 100_000;
/// Longest name that is remembered, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// By gateway and child, where the gateway's name is not ours.
#[derive(Debug, Default)]
pub(crate) struct Spellings(FxHashMap<(DeviceId, DeviceId), Box<str>>);

/// What a gateway does with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Says that it is what the child is called from now on.
    Introduces,
    /// Speaks for the child.
    Speaks,
}

impl Spellings {
    /// Takes note of how `who` spells a child.
    pub(super) fn note(
        &mut self,
        who: &Identity,
        (child, spelled): (DeviceId, &str),
        how: Use,
    ) -> Result<(), Denial> {
        let Actor::Device(gateway) = who.actor else { return Ok(()) };
        let room = self.0.len() < SPELLINGS_MAX && spelled.len() <= NAME_BYTES_MAX;
        match self.0.get_mut(&(gateway, child)) {
            Some(known) if **known == *spelled => {}
            Some(known) if how == Use::Introduces && room => *known = spelled.into(),
            Some(known) => return Err(taken(spelled, known)),
            None if room => {
                self.0.insert((gateway, child), spelled.into());
            }
            None => {}
        }
        Ok(())
    }

    /// How `gateway` spells a child, when that is not its name here.
    pub(super) fn of(&self, gateway: DeviceId, child: DeviceId) -> Option<String> {
        self.0.get(&(gateway, child)).map(|spelled| spelled.to_string())
    }
}

fn taken(spelled: &str, known: &str) -> Denial {
    Denial {
        answer: Reason::NotAuthorized,
        reason: RefusalReason::UnknownChild,
        detail: format!("child {:?} would be the same device as {:?}", cut(spelled), cut(known)),
        fix: "give the two devices names that differ in letters and digits",
    }
}

/// The name here of what a gateway calls `spelled`.
pub(super) fn here<'n>(door: &Door, who: &Identity, spelled: &'n str) -> Cow<'n, str> {
    if door.device(who.tenant, spelled).is_some() {
        return Cow::Borrowed(spelled);
    }
    let plain = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9' | '-' | '_' | '.') => c,
        _ => '-',
    };
    Cow::Owned(spelled.chars().map(plain).collect())
}
