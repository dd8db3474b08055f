//! Alarms that are there, and the newest of those that were.
//!
//! *Invariant:* alarms are in order of their ids, which is the order in which they were raised. An
//! open alarm is never let go; of the closed ones the oldest go first.
//!
//! They sit in chunks behind `Arc`s, so publishing costs a pointer a chunk. Alarms of the urgent
//! lane stand beside the others and are read as one list with them.

use std::sync::Arc;

use model::{AlarmId, TenantId};

use crate::alarm::Alarm;

/// Alarms that are kept, closed ones among them; the log and the history know all.
pub const ALARMS_KEPT_MAX: usize = 100_000;
const CHUNK_ALARMS: usize = 64;

type Chunk = Vec<Arc<Alarm>>;

/// Alarms as they are at one offset; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct AlarmView {
    chunks: Vec<Arc<Chunk>>,
    count: usize,
    /// Those of another lane; only in what is read, never in a fold.
    beside: Option<Box<AlarmView>>,
}

impl AlarmView {
    fn place(&self, id: AlarmId) -> Option<(usize, usize)> {
        let after =
            self.chunks.partition_point(|chunk| chunk.first().is_some_and(|first| first.id <= id));
        let chunk = after.checked_sub(1)?;
        let at = self.chunks.get(chunk)?.binary_search_by_key(&id, |alarm| alarm.id).ok()?;
        Some((chunk, at))
    }

    /// Both as one; ids of two lanes are never the same.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self { beside: Some(Box::new(other)), ..self }
    }

    /// One alarm of the tenant.
    #[must_use]
    pub fn get(&self, tenant: TenantId, id: AlarmId) -> Option<&Arc<Alarm>> {
        let found = self.any(id).filter(|alarm| alarm.tenant == tenant);
        found.or_else(|| self.beside.as_ref()?.get(tenant, id))
    }

    pub(crate) fn any(&self, id: AlarmId) -> Option<&Arc<Alarm>> {
        let (chunk, at) = self.place(id)?;
        self.chunks.get(chunk)?.get(at)
    }

    /// Alarms of the tenant, newest first.
    pub fn newest_first(&self, tenant: TenantId) -> impl Iterator<Item = &Arc<Alarm>> {
        let beside = self.beside.iter().flat_map(|beside| beside.descending());
        let (mut own, mut beside) = (self.descending().peekable(), beside.peekable());
        let all = std::iter::from_fn(move || match (own.peek(), beside.peek()) {
            (Some(one), Some(other)) if one.id < other.id => beside.next(),
            (Some(_), _) => own.next(),
            (None, _) => beside.next(),
        });
        all.filter(move |alarm| alarm.tenant == tenant)
    }

    fn descending(&self) -> impl Iterator<Item = &Arc<Alarm>> {
        self.chunks.iter().rev().flat_map(|chunk| chunk.iter().rev())
    }

    /// Alarms of the tenant that are not as they were in an older view, oldest first.
    pub fn changed_since<'a>(
        &'a self,
        older: &'a Self,
        tenant: TenantId,
    ) -> impl Iterator<Item = &'a Arc<Alarm>> {
        let beside = self.beside.iter().flat_map(move |beside| match &older.beside {
            Some(older) => beside.changed(older, tenant).collect::<Vec<_>>(),
            None => beside.all().filter(|alarm| alarm.tenant == tenant).collect(),
        });
        self.changed(older, tenant).chain(beside)
    }

    fn changed<'a>(
        &'a self,
        older: &'a Self,
        tenant: TenantId,
    ) -> impl Iterator<Item = &'a Arc<Alarm>> {
        let moved = move |chunk: &&Arc<Chunk>| {
            let place = chunk.first().and_then(|first| older.place(first.id));
            let before = place.and_then(|(chunk, _)| older.chunks.get(chunk));
            before.is_none_or(|before| !Arc::ptr_eq(before, chunk))
        };
        let alarms = self.chunks.iter().filter(moved).flat_map(|chunk| chunk.iter());
        alarms.filter(move |alarm| {
            let before = older.any(alarm.id);
            alarm.tenant == tenant && before.is_none_or(|before| !Arc::ptr_eq(before, alarm))
        })
    }

    /// All alarms, oldest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Alarm>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    pub(crate) fn get_mut(&mut self, id: AlarmId) -> Option<&mut Alarm> {
        let (chunk, at) = self.place(id)?;
        let chunk = Arc::make_mut(self.chunks.get_mut(chunk)?);
        chunk.get_mut(at).map(Arc::make_mut)
    }

    pub(crate) fn push(&mut self, alarm: Alarm) {
        let full = self.chunks.last().is_none_or(|chunk| chunk.len() >= CHUNK_ALARMS);
        if full {
            self.chunks.push(Arc::new(Vec::with_capacity(CHUNK_ALARMS)));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            Arc::make_mut(chunk).push(Arc::new(alarm));
            self.count += 1;
        }
        // An eighth at once, so that letting go is paid for by as many that came.
        if self.count > ALARMS_KEPT_MAX + ALARMS_KEPT_MAX / 8 {
            self.let_go();
        }
    }

    fn let_go(&mut self) {
        let mut surplus = self.count.saturating_sub(ALARMS_KEPT_MAX);
        for chunk in &mut self.chunks {
            if surplus == 0 {
                break;
            }
            Arc::make_mut(chunk).retain(|alarm| {
                let keep = alarm.is_open() || surplus == 0;
                if !keep {
                    surplus -= 1;
                    self.count -= 1;
                }
                keep
            });
        }
        self.chunks.retain(|chunk| !chunk.is_empty());
    }

    pub(crate) fn forget(&mut self, gone: impl Fn(&Alarm) -> bool) {
        for chunk in &mut self.chunks {
            if chunk.iter().any(|alarm| gone(alarm)) {
                Arc::make_mut(chunk).retain(|alarm| !gone(alarm));
            }
        }
        self.chunks.retain(|chunk| !chunk.is_empty());
        self.count = self.chunks.iter().map(|chunk| chunk.len()).sum();
    }
}
