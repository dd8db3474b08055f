//! Revisions in force, as the log decided them.
//!
//! *Invariant:* for each record exactly the newest revision that was decided is kept; a revision
//! not newer than it is ignored by every fold.

use std::collections::BTreeMap;

use model::wire::{Reader, WireError, Writer};
use model::{Decided, TenantId};

/// Identity of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    tenant: TenantId,
    kind: String,
    id: String,
    /// 0 for kinds of which only the newest revision matters; the revision itself for blueprints,
    /// of which a device may be pinned to an old one.
    revision: u64,
}

/// All records in force.
#[derive(Debug, Default)]
pub struct Records {
    contents: BTreeMap<Key, (u64, Box<str>)>,
    newest_blueprint: BTreeMap<(TenantId, String), u64>,
}

/// Whether a decision takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It is newer than what was in force, or it is an event.
    Taken,
    /// It is not newer.
    Ignored,
}

impl Records {
    /// Takes in a decision. Events (revision 0) always take effect and are not kept.
    pub(crate) fn decide(&mut self, decided: &Decided<'_>) -> Effect {
        if decided.revision == 0 {
            return Effect::Taken;
        }
        let blueprint = decided.kind == "blueprint";
        if blueprint {
            let key = (decided.tenant, decided.id.to_owned());
            let newest = self.newest_blueprint.entry(key).or_default();
            if *newest >= decided.revision {
                return Effect::Ignored;
            }
            *newest = decided.revision;
        }
        let key = Key {
            tenant: decided.tenant,
            kind: decided.kind.to_owned(),
            id: decided.id.to_owned(),
            revision: if blueprint { decided.revision } else { 0 },
        };
        match self.contents.get_mut(&key) {
            Some((revision, _)) if *revision >= decided.revision => return Effect::Ignored,
            Some(place) => *place = (decided.revision, decided.content.into()),
            None => {
                self.contents.insert(key, (decided.revision, decided.content.into()));
            }
        }
        Effect::Taken
    }

    /// Every record as the decision that put it in force, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Decided<'_>> {
        self.contents.iter().map(|(key, (revision, content))| Decided {
            tenant: key.tenant,
            kind: &key.kind,
            id: &key.id,
            revision: *revision,
            content,
        })
    }

    pub(crate) fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_count(self.contents.len());
        for decided in self.iter() {
            out.put_u128(decided.tenant.as_u128());
            out.put_text(decided.kind);
            out.put_text(decided.id);
            out.put_u64(decided.revision);
            out.put_text(decided.content);
        }
    }

    pub(crate) fn restore(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut records = Self::default();
        for _ in 0..r.count()? {
            records.decide(&Decided {
                tenant: TenantId::from_u128(r.u128()?),
                kind: r.text()?,
                id: r.text()?,
                revision: r.u64()?,
                content: r.text()?,
            });
        }
        Ok(records)
    }
}
