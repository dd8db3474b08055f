//! What is asked of the registry: a decision, who made it, and what it was based on.
//!
//! *Invariant:* a decision that passed [`prepare`] fits in one frame of the log and its content
//! reads back as the type of its kind.

use std::borrow::Cow;
use std::collections::BTreeMap;

use model::TenantId;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::kind::NameScope;
use crate::{Error, Kind, canonical, content, lines};

/// The longest id, in bytes.
pub(crate) const ID_BYTES_MAX: usize = 128;
/// The longest actor, in bytes.
const ACTOR_BYTES_MAX: usize = 128;
/// The longest reason, in bytes.
const REASON_BYTES_MAX: usize = 1_024;
/// The longest content, in bytes of canonical JSON; a frame of the log must hold it.
pub(crate) const CONTENT_BYTES_MAX: usize = 512 * 1024;
/// How deep a content may be nested.
pub(crate) const CONTENT_DEPTH_MAX: usize = 32;

/// Content of a removed record.
pub(crate) const REMOVED: &str = "null";

/// Names one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<'a> {
    /// Isolation boundary.
    pub tenant: TenantId,
    /// What it is.
    pub kind: Kind,
    /// Which one.
    pub id: &'a str,
}

/// What the decision was based on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Whatever is in force.
    Any,
    /// That it does not exist, or was removed.
    New,
    /// This revision.
    Revision(u64),
}

/// One record to write or remove.
#[derive(Debug, Clone, Copy)]
pub struct Decision<'a> {
    /// Which record.
    pub key: Key<'a>,
    /// A JSON object; none removes the record.
    pub content: Option<Content<'a>>,
    /// What it was based on.
    pub expect: Expect,
}

impl<'a> Decision<'a> {
    /// Writes `content`, whatever is in force.
    #[must_use]
    pub const fn put(tenant: TenantId, kind: Kind, id: &'a str, content: &'a Value) -> Self {
        let content = Some(Content::Tree(content));
        Self { key: Key { tenant, kind, id }, content, expect: Expect::Any }
    }

    /// Writes what was made canonical before, whatever is in force.
    #[must_use]
    pub fn put_text(content: &'a Canonical) -> Self {
        Self { key: content.key(), content: Some(Content::Text(content)), expect: Expect::Any }
    }

    /// Removes the record, whatever is in force.
    #[must_use]
    pub const fn remove(tenant: TenantId, kind: Kind, id: &'a str) -> Self {
        Self { key: Key { tenant, kind, id }, content: None, expect: Expect::Any }
    }

    /// The same, based on something.
    #[must_use]
    pub const fn expecting(self, expect: Expect) -> Self {
        Self { expect, ..self }
    }
}

/// What a record will hold.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// Not yet in the order of its keys.
    Tree(&'a Value),
    /// As it is stored.
    Text(&'a Canonical),
}

/// A record's content as it is stored, written from its type without a tree between and checked, so
/// that many are made beside each other before one transaction takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical {
    tenant: TenantId,
    kind: Kind,
    id: String,
    text: String,
    name: Option<String>,
    owner: Option<String>,
}

impl Canonical {
    /// Writes a content.
    ///
    /// # Errors
    /// It is nested too deep or too long, or is no content of this record.
    pub fn of<T: Serialize>(key: Key<'_>, content: &T) -> Result<Self, Error> {
        let text = written(key, content)?;
        content::check_text(key, &text)?;
        let fields: BTreeMap<Cow<'_, str>, &RawValue> =
            serde_json::from_str(&text).unwrap_or_default();
        let field = |field: &str| serde_json::from_str(fields.get(field)?.get()).ok();
        let (name, owner) = found(key, field);
        Ok(Self { tenant: key.tenant, kind: key.kind, id: key.id.to_owned(), text, name, owner })
    }

    /// The record it was written for.
    #[must_use]
    pub fn key(&self) -> Key<'_> {
        Key { tenant: self.tenant, kind: self.kind, id: &self.id }
    }
}

/// Who decides, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Author<'a> {
    /// The text of an actor: `usr_...`, `cre_...`, `loopback`.
    pub actor: &'a str,
    /// In the person's words; may be empty.
    pub reason: &'a str,
}

impl<'a> Author<'a> {
    /// Without a reason.
    #[must_use]
    pub const fn new(actor: &'a str) -> Self {
        Self { actor, reason: "" }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Which record.
    pub id: String,
    /// Its new revision; the first is 1.
    pub revision: u64,
    /// Place in the outbox.
    pub seq: u64,
}

/// A decision in the form of the tables.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    pub(crate) key: Key<'a>,
    pub(crate) expect: Expect,
    pub(crate) content: Cow<'a, str>,
    pub(crate) name: Option<Cow<'a, str>>,
    pub(crate) owner: Option<Cow<'a, str>>,
}

impl Prepared<'_> {
    pub(crate) fn removes(&self) -> bool {
        self.content == REMOVED
    }

    pub(crate) fn unique_name(&self) -> Option<String> {
        self.name.as_deref().and_then(|name| unique_name(self.key.tenant, self.key.kind, name))
    }
}

/// What is stored to keep a name unique.
pub(crate) fn unique_name(tenant: TenantId, kind: Kind, name: &str) -> Option<String> {
    match kind.name_scope() {
        NameScope::Everywhere => Some(name.to_owned()),
        NameScope::Tenant => Some(format!("{tenant}/{name}")),
        NameScope::None => None,
    }
}

pub(crate) fn check_author(author: &Author<'_>) -> Result<(), Error> {
    let plain = author.actor.bytes().all(|b| b.is_ascii_graphic());
    if author.actor.is_empty() || author.actor.len() > ACTOR_BYTES_MAX || !plain {
        return Err(Error::Actor { max: ACTOR_BYTES_MAX });
    }
    let bytes = author.reason.len();
    // PostgreSQL refuses NUL in text, and rows are read as lines.
    if bytes > REASON_BYTES_MAX || author.reason.contains(['\0', lines::FIELD, lines::LINE]) {
        return Err(Error::Reason { bytes, max: REASON_BYTES_MAX });
    }
    Ok(())
}

pub(crate) fn prepare<'a>(decision: &Decision<'a>) -> Result<Prepared<'a>, Error> {
    let Decision { key, expect, content } = *decision;
    let plain = key.id.bytes().all(|b| b.is_ascii_graphic());
    if key.id.is_empty() || key.id.len() > ID_BYTES_MAX || !plain {
        let id = key.id.chars().take(ID_BYTES_MAX).collect();
        return Err(Error::Id { kind: key.kind, id, max: ID_BYTES_MAX });
    }
    let (content, name, owner) = match content {
        None => (Cow::Borrowed(REMOVED), None, None),
        Some(Content::Text(made)) => {
            let part = |part: &'a Option<String>| part.as_deref().map(Cow::Borrowed);
            (Cow::Borrowed(made.text.as_str()), part(&made.name), part(&made.owner))
        }
        Some(Content::Tree(value)) => {
            let text = written(key, value)?;
            content::check(key, value)?;
            let (name, owner) = found(key, |field| value.get(field).cloned());
            (Cow::Owned(text), name.map(Cow::Owned), owner.map(Cow::Owned))
        }
    };
    Ok(Prepared { key, expect, content, name, owner })
}

fn written<T: Serialize + ?Sized>(key: Key<'_>, content: &T) -> Result<String, Error> {
    let (kind, id) = (key.kind, || key.id.to_owned());
    let text = canonical::text(content, CONTENT_DEPTH_MAX).ok_or_else(|| Error::TooDeep {
        kind,
        id: id(),
        max: CONTENT_DEPTH_MAX,
    })?;
    let bytes = text.len();
    if bytes > CONTENT_BYTES_MAX {
        return Err(Error::TooLarge { kind, id: id(), bytes, max: CONTENT_BYTES_MAX });
    }
    Ok(text)
}

/// Name and owner, from the fields that have them.
fn found(key: Key<'_>, field: impl Fn(&str) -> Option<Value>) -> (Option<String>, Option<String>) {
    let name = field("name").as_ref().and_then(Value::as_str).map(str::to_owned);
    let owner = key.kind.owner_field().and_then(field).as_ref().and_then(owner_text);
    (name, owner)
}

/// The id in an owner field: a text, or the one value of `{"device": "dev_..."}`.
fn owner_text(field: &Value) -> Option<String> {
    let inner = field.as_object().and_then(|tagged| tagged.values().next());
    inner.unwrap_or(field).as_str().map(str::to_owned)
}
