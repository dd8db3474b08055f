//! Revisions in force, as the log decided them.
//!
//! *Invariant:* for each record of a kind that a fold reads exactly the newest revision that was
//! decided is kept; a revision not newer than it is ignored by every fold.

use std::collections::BTreeMap;

use model::wire::{Reader, WireError, Writer};
use model::{Decided, TenantId};

/// Kinds that no fold and nobody beside it reads. They grow with every month, 100,000 customers get
/// as many invoices, and each snapshot would carry them. Kinds of a newer program are kept for it.
const UNREAD: [&str; 13] = [
    "assumption",
    "cost",
    "customer",
    "entity",
    "erasure",
    "experiment",
    "forecast",
    "gate_decision",
    "idea",
    "idea_settings",
    "invoice",
    "ledger",
    "plan",
];

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
    /// It is newer than what was in force, or nothing of its kind is kept.
    Taken,
    /// It is not newer.
    Ignored,
}

impl Records {
    /// Takes in a decision. Events (revision 0) always take effect and are not kept, nor is what
    /// nobody reads.
    pub(crate) fn decide(&mut self, decided: &Decided<'_>) -> Effect {
        if decided.revision == 0 || UNREAD.contains(&decided.kind) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(kind: &'static str, revision: u64) -> Decided<'static> {
        Decided { tenant: TenantId::from_u128(1), kind, id: "one", revision, content: "{}" }
    }

    #[test]
    fn the_newest_of_what_is_read_is_kept_and_nothing_else() {
        let mut records = Records::default();
        assert_eq!(records.decide(&decided("contract", 2)), Effect::Taken);
        assert_eq!(records.decide(&decided("contract", 2)), Effect::Ignored);
        for kind in UNREAD {
            assert!(kind.parse::<registry::Kind>().is_ok(), "{kind}");
            assert_eq!(records.decide(&decided(kind, 1)), Effect::Taken);
        }
        let kept: Vec<_> = records.iter().map(|kept| (kept.kind, kept.revision)).collect();
        assert_eq!(kept, [("contract", 2)]);
    }

    #[test]
    fn a_snapshot_that_has_more_is_read_and_forgets_it() {
        let mut bytes = Vec::new();
        bytes.put_count(2);
        for kind in ["invoice", "site"] {
            bytes.put_u128(1);
            bytes.put_text(kind);
            bytes.put_text("one");
            bytes.put_u64(3);
            bytes.put_text("{}");
        }
        let records = Records::restore(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(records.iter().map(|kept| kept.kind).collect::<Vec<_>>(), ["site"]);
    }
}
