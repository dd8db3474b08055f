//! The bytes of all folds at one offset.
//!
//! *Invariant:* equal states give equal bytes, and what is read back goes on as if it had never
//! stopped. Layouts of earlier versions are read; what they did not know begins with nothing known.

use std::sync::Arc;

use model::wire::{Reader, Writer};
use model::{Decided, Offset, OutputKey, Projection, RestoreError, TenantId, Timestamp};
use rules::{Rules, Scope};
use twin::Twins;

use super::{State, Totals};
use crate::catalog::{Catalog, Definition};
use crate::quarantine::Quarantine;
use crate::records::Records;
use crate::traffic::Traffic;

/// Layout version of the snapshot.
pub const STATE_VERSION: u32 = 3;

/// The layout before there were rules; still read, and the rules begin with nothing known.
const STATE_VERSION_WITHOUT_RULES: u32 = 1;

/// The layout before traffic was counted; still read, and the count begins with nothing known.
const STATE_VERSION_WITHOUT_TRAFFIC: u32 = 2;

impl State {
    /// Appends the whole state; equal states give equal bytes.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u32(STATE_VERSION);
        out.put_u64(self.offset.0);
        out.put_i64(self.log_time.as_millis());
        out.put_u64(self.totals.messages);
        out.put_u64(self.totals.readings);
        out.put_u64(self.totals.quarantined);
        self.records.snapshot(out);
        let mut twins = Vec::new();
        self.twins.snapshot(&mut twins);
        out.put_bytes(&twins);
        let mut rules = Vec::new();
        self.rules.snapshot(&mut rules);
        out.put_bytes(&rules);
        let mut traffic = Vec::new();
        self.traffic.snapshot(&mut traffic);
        out.put_bytes(&traffic);
        self.quarantine.snapshot(out);
        out.put_count(self.pending.len());
        for output in self.unread() {
            out.put_u128(output.tenant.as_u128());
            out.put_u8(output.key.fold);
            out.put_u64(output.key.input.0);
            out.put_u32(output.key.n);
            out.put_bytes(output.content);
        }
    }

    /// The state that `snapshot` wrote.
    ///
    /// # Errors
    /// Another version, or damage.
    pub fn restore(bytes: &[u8]) -> Result<Self, RestoreError> {
        Self::restore_within(bytes, Scope::All)
    }

    /// The same, to judge the rules of a scope from now on.
    ///
    /// # Errors
    /// As of [`State::restore`].
    pub fn restore_within(bytes: &[u8], scope: Scope) -> Result<Self, RestoreError> {
        let mut r = Reader::new(bytes);
        let found = r.u32()?;
        let known = [STATE_VERSION, STATE_VERSION_WITHOUT_TRAFFIC, STATE_VERSION_WITHOUT_RULES];
        if !known.contains(&found) {
            let expected = STATE_VERSION;
            return Err(RestoreError::Version { fold: "state", found, expected });
        }
        let mut state = Self {
            offset: Offset(r.u64()?),
            log_time: Timestamp::from_millis(r.i64()?),
            totals: Totals { messages: r.u64()?, readings: r.u64()?, quarantined: r.u64()? },
            records: Records::restore(&mut r)?,
            ..Self::within(scope)
        };
        state.twins = Twins::restore(r.bytes()?)?;
        if found != STATE_VERSION_WITHOUT_RULES {
            state.rules = Rules::restore(r.bytes()?)?.within(scope);
        }
        if found == STATE_VERSION {
            state.traffic = Traffic::restore(r.bytes()?)?;
        }
        state.quarantine = Arc::new(Quarantine::restore(&mut r)?);
        for _ in 0..r.count()? {
            let tenant = TenantId::from_u128(r.u128()?);
            let key = OutputKey { fold: r.u8()?, input: Offset(r.u64()?), n: r.u32()? };
            state.pending.insert(key, (tenant, r.bytes()?.to_owned()));
        }
        r.end()?;
        let mut catalog = Catalog::default();
        for decided in state.records.iter() {
            let Decided { kind, id, revision, content, .. } = decided;
            catalog.put(decided.tenant, &Definition { kind, id, revision, content });
            state.rules.define(&decided);
        }
        state.catalog = Arc::new(catalog);
        Ok(state)
    }
}
