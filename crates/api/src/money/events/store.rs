//! Usage events on disk: for each tenant those that are kept, and those that were put aside.
//!
//! *Invariant:* a kept line is canonical: equal events give equal bytes, whatever their form was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use billing::entry::sha256;
use billing::usage::Amount;
use billing::usage_line::{self, UsageLine};
use intake::{Error, Incoming, Put, Store};
use model::{ContractId, DeviceId, Disk, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

/// Whose what was put aside is: everybody's.
const HELD: u64 = 0;

/// An event of a contract.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) contract: ContractId,
    /// Name of the contract.
    pub(crate) name: String,
    pub(crate) device: Option<DeviceId>,
    pub(crate) line: UsageLine,
}

/// What came, understood or not.
#[derive(Debug, Clone)]
pub(crate) struct Came {
    /// As it came.
    pub(crate) raw: String,
    pub(crate) id: Option<String>,
    pub(crate) event: Result<Event, String>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It counts.
    New,
    /// It was there.
    Duplicate,
    /// Its id is known with another content.
    Conflict,
    /// It was not understood.
    Refused,
}

/// What was put aside.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Held {
    #[schema(value_type = String)]
    at: Timestamp,
    /// 409 or 422.
    status: u16,
    reason: String,
    /// The event as it came.
    event: String,
}

/// What stands where bytes of a forgotten device stood.
const ERASED: &str = "erased";

/// How many events there are, and the last of them as they are kept.
#[derive(Debug)]
pub(crate) struct Newest {
    pub(crate) kept: u64,
    pub(crate) held: u64,
    pub(crate) lines: Vec<serde_json::Value>,
}

/// How a device is named.
#[derive(Debug, Clone, Copy)]
struct Named<'a> {
    id: &'a str,
    name: Option<&'a str>,
}

impl Named<'_> {
    /// Whether JSON or words in quotes name it. A name that another one begins with is not meant.
    fn in_text(self, text: &str) -> bool {
        text.contains(self.id)
            || self.name.is_some_and(|name| text.contains(&format!("\"{name}\"")))
    }

    fn is(self, value: &serde_json::Value) -> bool {
        let text = value.as_str().unwrap_or_default();
        text.contains(self.id) || self.name == Some(text)
    }

    /// A line without it; none: the line does not name it.
    fn taken_out_of(self, line: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(line).ok().filter(|text| self.in_text(text))?;
        let mut object: serde_json::Value = serde_json::from_str(text).ok()?;
        let mut own = ["device", "source", "id"].into_iter().any(|key| self.is(&object[key]));
        if let Some(dimensions) = object.get("dimensions").and_then(|all| all.as_object()) {
            own |= dimensions.values().any(|value| self.is(value));
        }
        if !own {
            return None;
        }
        let both = serde_json::json!([object["source"], object["id"]]).to_string();
        let hash = sha256(both.as_bytes());
        let fields = object.as_object_mut()?;
        fields.remove("device");
        fields.remove("source");
        let id = format!("erased-{}", hash.get(..32).unwrap_or(&hash));
        fields.insert("id".to_owned(), id.into());
        if let Some(dimensions) = fields.get_mut("dimensions").and_then(|d| d.as_object_mut()) {
            dimensions.retain(|_, value| !self.is(value));
        }
        serde_json::to_vec(&object).ok()
    }
}

#[derive(Debug)]
struct Shelves {
    kept: Store,
    held: Store,
}

type Open = BTreeMap<TenantId, Arc<Mutex<Shelves>>>;

/// Usage events of all tenants.
#[derive(Debug, Clone)]
pub struct UsageEvents {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    open: Arc<Mutex<Open>>,
}

/// 16 bytes of SHA-256 over parts that cannot run into each other.
fn key(parts: &[&str]) -> u128 {
    let text = serde_json::json!(parts).to_string();
    let hash = sha256(text.as_bytes());
    u128::from_str_radix(hash.get(..32).unwrap_or("0"), 16).unwrap_or_default()
}

fn half(key: u128) -> u64 {
    u64::try_from(key >> 64).unwrap_or_default()
}

fn owner(contract: ContractId) -> u64 {
    // Zero is what was put aside.
    half(key(&["contract", &contract.to_string()])).max(1)
}

impl Event {
    /// The line that is kept and rated.
    fn canonical(&self) -> String {
        let line = &self.line;
        let value = match &line.value {
            Amount::Number(number) => number.normalize().to_string().into(),
            Amount::Boolean(truth) => serde_json::Value::Bool(*truth),
            Amount::Text(text) => text.as_ref().into(),
        };
        let event = line.event.as_ref();
        let mut object = serde_json::json!({
            "contract": self.name, "usage": line.property.as_str(), "time": line.time,
            "value": value, "id": event.map(|event| &event.id),
        });
        if let Some(source) = event.map(|event| &event.source).filter(|s| !s.is_empty()) {
            object["source"] = source.as_str().into();
        }
        if let Some(device) = self.device {
            object["device"] = device.to_string().into();
        }
        if !line.dimensions.is_empty() {
            let pairs = line.dimensions.iter();
            object["dimensions"] = pairs.map(|(k, v)| (k.to_string(), v.as_str())).collect();
        }
        object.to_string()
    }

    fn key(&self) -> u128 {
        let event = self.line.event.as_ref();
        let part = |of: fn(&billing::usage::Event) -> &str| event.map_or("", of);
        key(&[part(|event| &event.source), part(|event| &event.id)])
    }
}

impl UsageEvents {
    /// Events under `folder`, which is made with the first of them.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, folder: &Path) -> Self {
        Self { disk, folder: folder.to_owned(), open: Arc::default() }
    }

    fn shelves(&self, tenant: TenantId) -> Result<Arc<Mutex<Shelves>>, Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = open.get(&tenant) {
            return Ok(Arc::clone(known));
        }
        let folder = self.folder.join(tenant.to_string());
        let store = |name: &str| Store::open(Arc::clone(&self.disk), &folder.join(name));
        let shelves = Shelves { kept: store("kept")?, held: store("quarantine")? };
        let shelves = Arc::new(Mutex::new(shelves));
        open.insert(tenant, Arc::clone(&shelves));
        Ok(shelves)
    }

    /// Keeps what is new, puts aside what cannot be taken; durable when it returns.
    pub(crate) fn put(
        &self,
        tenant: TenantId,
        now: Timestamp,
        came: &[Came],
    ) -> Result<Vec<Kept>, Error> {
        let shelves = self.shelves(tenant)?;
        let mut shelves = shelves.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<Option<String>> =
            came.iter().map(|came| came.event.as_ref().ok().map(Event::canonical)).collect();
        let incoming: Vec<Incoming<'_>> = came
            .iter()
            .zip(&lines)
            .filter_map(|(came, line)| {
                let (event, line) = (came.event.as_ref().ok()?, line.as_ref()?);
                Some(Incoming {
                    key: event.key(),
                    content: half(key(&[line])),
                    owner: owner(event.contract),
                    time: event.line.time.as_millis(),
                    line: line.as_bytes(),
                })
            })
            .collect();
        let mut puts = shelves.kept.put(&incoming)?.into_iter();
        let kept: Vec<Kept> = lines
            .iter()
            .map(|line| match line.as_ref().and_then(|_| puts.next()) {
                Some(Put::New(_)) => Kept::New,
                Some(Put::Duplicate) => Kept::Duplicate,
                Some(Put::Conflict) => Kept::Conflict,
                None => Kept::Refused,
            })
            .collect();
        aside(&mut shelves.held, now, came.iter().zip(&kept))?;
        Ok(kept)
    }

    /// Events of a contract in `from..to`, in order of time.
    pub(crate) fn each(
        &self,
        (tenant, contract): (TenantId, ContractId),
        (from, to): (Timestamp, Timestamp),
        each: &mut dyn FnMut(&UsageLine),
    ) -> Result<(), Error> {
        self.lines((tenant, contract), (from, to), &mut |line| {
            // What was written canonical is understood.
            if let Ok(line) = usage_line::read(line) {
                each(&line);
            }
        })
    }

    /// The same as the lines that are rated.
    pub(crate) fn lines(
        &self,
        (tenant, contract): (TenantId, ContractId),
        (from, to): (Timestamp, Timestamp),
        each: &mut dyn FnMut(&str),
    ) -> Result<(), Error> {
        let shelves = self.shelves(tenant)?;
        let shelves = shelves.lock().unwrap_or_else(PoisonError::into_inner);
        let period = (from.as_millis(), to.as_millis());
        shelves.kept.each(owner(contract), period, &mut |_, line| {
            each(std::str::from_utf8(line).unwrap_or_default());
        })
    }

    /// How many are kept and put aside, and the kept ones that came last, newest first.
    pub(crate) fn newest(&self, tenant: TenantId) -> Result<Newest, Error> {
        let shelves = self.shelves(tenant)?;
        let shelves = shelves.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = shelves.kept.newest()?.into_iter();
        let lines = lines.filter_map(|(_, line)| serde_json::from_slice(&line).ok()).collect();
        let (kept, held) = (shelves.kept.events(), shelves.held.events());
        Ok(Newest { kept, held, lines })
    }

    /// Takes a device out of all events: those that are kept count on for their contract, without
    /// the device and with an id and a source that name nobody; what was put aside loses its
    /// bytes. Gives how many were changed; the disk has the old ones no more. `name` is what people
    /// called it, where that is known.
    ///
    /// # Errors
    /// The disk says no, or a file is damaged.
    pub fn forget(
        &self,
        tenant: TenantId,
        device: DeviceId,
        name: Option<&str>,
    ) -> Result<u64, Error> {
        // Nobody sent anything: no file is made for saying so.
        if !self.folder_is_there(tenant)? {
            return Ok(0);
        }
        let shelves = self.shelves(tenant)?;
        let mut shelves = shelves.lock().unwrap_or_else(PoisonError::into_inner);
        let id = device.to_string();
        let named = Named { id: &id, name };
        let kept = shelves.kept.rewrite(&mut |line| named.taken_out_of(line))?;
        let held = shelves.held.rewrite(&mut |line| {
            let mut held = serde_json::from_slice::<Held>(line).ok()?;
            let in_reason = named.in_text(&held.reason);
            if !in_reason && !named.in_text(&held.event) {
                return None;
            }
            ERASED.clone_into(&mut held.event);
            if in_reason {
                ERASED.clone_into(&mut held.reason);
            }
            serde_json::to_vec(&held).ok()
        })?;
        Ok(kept + held)
    }

    fn folder_is_there(&self, tenant: TenantId) -> Result<bool, Error> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.contains_key(&tenant) {
            return Ok(true);
        }
        let folder = self.folder.join(tenant.to_string()).join("kept");
        match self.disk.list(&folder) {
            Ok(files) => Ok(!files.is_empty()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(Error::Disk { path: folder, source }),
        }
    }

    /// The newest that were put aside.
    pub(crate) fn held(&self, tenant: TenantId, count: usize) -> Result<Vec<Held>, Error> {
        let shelves = self.shelves(tenant)?;
        let shelves = shelves.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = std::collections::VecDeque::with_capacity(count);
        shelves.held.each(HELD, (i64::MIN, i64::MAX), &mut |_, line| {
            if let Ok(held) = serde_json::from_slice::<Held>(line) {
                if found.len() == count {
                    found.pop_front();
                }
                found.push_back(held);
            }
        })?;
        Ok(found.into_iter().rev().collect())
    }
}

/// Puts aside what was not taken; the same bytes for the same reason once.
fn aside<'a>(
    held: &mut Store,
    now: Timestamp,
    came: impl Iterator<Item = (&'a Came, &'a Kept)>,
) -> Result<(), Error> {
    let mut lines = Vec::new();
    for (came, kept) in came {
        let (status, reason) = match (kept, &came.event) {
            (Kept::New | Kept::Duplicate, _) => continue,
            (Kept::Conflict, _) => (409, "its id is known with another content".to_owned()),
            (Kept::Refused, event) => (422, event.as_ref().err().cloned().unwrap_or_default()),
        };
        let key = key(&[&came.raw, &reason]);
        let shown = Held { at: now, status, reason, event: came.raw.clone() };
        let line = serde_json::to_string(&shown).unwrap_or_default();
        lines.push((key, line));
    }
    let incoming: Vec<Incoming<'_>> = lines
        .iter()
        .filter(|(_, line)| line.len() <= intake::LINE_BYTES_MAX)
        .map(|(key, line)| Incoming {
            key: *key,
            content: half(*key),
            owner: HELD,
            time: now.as_millis(),
            line: line.as_bytes(),
        })
        .collect();
    held.put(&incoming)?;
    Ok(())
}
