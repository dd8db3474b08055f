//! What another text of a venture changes, entry by entry, in the author's own words.
//!
//! *Invariant:* texts that differ only in spaces, comments or order give no change. A change that
//! devices in the field would feel is marked as breaking: the type or unit of a reading, or a
//! reading or kind that is gone.

use std::collections::BTreeSet;
use std::fmt;

use toml::{Table, Value};

use crate::Blueprint;

/// The longest value that is shown whole, in characters.
const SHOWN_CHARS_MAX: usize = 120;
/// Sections have entries of their own: `device.box`, `plan.care.boxes`. What is new below this
/// depth is shown as one change.
const SECTION_DEPTH: usize = 3;

/// A blueprint with the text it was read from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// As written.
    pub text: &'a str,
    /// As understood.
    pub blueprint: &'a Blueprint,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has another value.
    Changed,
}

impl ChangeKind {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// Whether devices in the field would feel a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Compatible,
    Breaking,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The entry: `device.box.readings.temperature.every`.
    pub path: String,
    /// What became of it.
    pub kind: ChangeKind,
    /// As written before.
    pub before: Option<String>,
    /// As written now.
    pub after: Option<String>,
    effect: Effect,
}

impl Change {
    /// Whether devices that follow the old text would no longer be understood.
    #[must_use]
    pub const fn is_breaking(&self) -> bool {
        matches!(self.effect, Effect::Breaking)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, before, after, .. } = self;
        match (before, after) {
            (Some(before), Some(after)) => write!(f, "{path}: {before} becomes {after}"),
            (None, Some(after)) => write!(f, "{path} is new: {after}"),
            (Some(before), None) => write!(f, "{path} is gone: {before}"),
            (None, None) => f.write_str(path),
        }
    }
}

/// What `after` changes; a first text has only new entries.
#[must_use]
pub fn diff(before: Option<Source<'_>>, after: Source<'_>) -> Vec<Change> {
    let table = |source: &Source<'_>| source.text.parse::<Table>().unwrap_or_default();
    let old = before.as_ref().map(table).unwrap_or_default();
    let new = table(&after);
    let mut changes = Vec::new();
    walk(&mut Vec::new(), &old, &new, &mut changes);
    if let Some(before) = before {
        let felt = felt_by_devices(before.blueprint, after.blueprint);
        for change in &mut changes {
            if felt.iter().any(|path| is_about(&change.path, path)) {
                change.effect = Effect::Breaking;
            }
        }
    }
    changes
}

/// Whether a change is the entry itself, part of it (its unit or type) or around it.
fn is_about(change: &str, entry: &str) -> bool {
    let part = change.strip_prefix(entry);
    let whole = entry.strip_prefix(change).is_some_and(|rest| rest.starts_with('.'));
    whole || part.is_some_and(|rest| matches!(rest, "" | ".unit" | ".type"))
}

fn walk(path: &mut Vec<String>, old: &Table, new: &Table, changes: &mut Vec<Change>) {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        path.push(key.clone());
        let (before, after) = (old.get(key), new.get(key));
        let empty = Table::new();
        match (before, after) {
            (Some(Value::Table(old)), Some(Value::Table(new))) => walk(path, old, new, changes),
            (None, Some(Value::Table(new))) if path.len() < SECTION_DEPTH => {
                walk(path, &empty, new, changes);
            }
            (Some(Value::Table(old)), None) if path.len() < SECTION_DEPTH => {
                walk(path, old, &empty, changes);
            }
            (before, after) if before != after => changes.push(Change {
                path: path.join("."),
                kind: match (before, after) {
                    (None, _) => ChangeKind::Added,
                    (Some(_), None) => ChangeKind::Removed,
                    (Some(_), Some(_)) => ChangeKind::Changed,
                },
                before: before.map(shown),
                after: after.map(shown),
                effect: Effect::Compatible,
            }),
            (Some(_) | None, _) => {}
        }
        path.pop();
    }
}

/// A value on one line.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= SHOWN_CHARS_MAX {
        return text;
    }
    let start: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    format!("{start} ...")
}

/// Entries whose readings devices send and the new text understands otherwise or not at all.
fn felt_by_devices(before: &Blueprint, after: &Blueprint) -> Vec<String> {
    let mut felt = Vec::new();
    for (name, kind) in &before.kinds {
        let Some(now) = after.kinds.get(name) else {
            felt.push(format!("device.{name}"));
            continue;
        };
        for (reading, property) in &kind.readings {
            let same = now.readings.get(reading).is_some_and(|other| {
                let (old, new) = (&property.kind, &other.kind);
                std::mem::discriminant(old) == std::mem::discriminant(new)
                    && old.unit() == new.unit()
            });
            if !same {
                felt.push(format!("device.{name}.readings.{reading}"));
            }
        }
    }
    felt
}

/// An entry that two people changed, each in another way, from the same text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The entry.
    pub path: String,
    /// What it was before both; none: not there.
    pub base: Option<String>,
    /// What one made of it; none: removed.
    pub mine: Option<String>,
    /// What the other made of it; none: removed.
    pub theirs: Option<String>,
}

/// The entries that both texts change against `base`, and not to the same value.
#[must_use]
pub fn conflicts(base: Source<'_>, mine: Source<'_>, theirs: Source<'_>) -> Vec<Conflict> {
    let table = |source: &Source<'_>| source.text.parse::<Table>().unwrap_or_default();
    let (before, own, others) = (table(&base), table(&mine), table(&theirs));
    let theirs = diff(Some(base), theirs);
    let mut found: Vec<Conflict> = diff(Some(base), mine)
        .into_iter()
        .filter_map(|mine| {
            let other = theirs.iter().find(|other| {
                is_within(&other.path, &mine.path) || is_within(&mine.path, &other.path)
            })?;
            let around = if other.path.len() < mine.path.len() { other } else { &mine };
            let path: Vec<&str> = around.path.split('.').collect();
            let (one, two) = (lookup(&own, &path), lookup(&others, &path));
            let value = |value: Option<&Value>| value.map(shown);
            (one != two).then(|| Conflict {
                path: around.path.clone(),
                base: value(lookup(&before, &path)),
                mine: value(one),
                theirs: value(two),
            })
        })
        .collect();
    found.dedup_by(|one, other| one.path == other.path);
    found
}

/// The value of an entry.
pub(crate) fn lookup<'t>(table: &'t Table, path: &[&str]) -> Option<&'t Value> {
    let (key, rest) = path.split_first()?;
    let value = table.get(*key)?;
    if rest.is_empty() { Some(value) } else { lookup(value.as_table()?, rest) }
}

pub(crate) fn is_within(path: &str, around: &str) -> bool {
    path.strip_prefix(around).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOLBOX: &str = include_str!("../../../blueprints/coolbox/blueprint.toml");

    fn changes(before: &str, after: &str) -> Vec<Change> {
        let (old, new) = (read(before), read(after));
        let old = Source { text: before, blueprint: &old };
        diff(Some(old), Source { text: after, blueprint: &new })
    }

    fn read(text: &str) -> Blueprint {
        let parsed = Blueprint::parse(text);
        parsed.blueprint.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics))
    }

    #[test]
    fn comments_order_and_spaces_are_no_change() {
        let spaced = COOLBOX.replace(" = ", "  =  ") + "\n# a comment\n";
        assert_eq!(changes(COOLBOX, &spaced), []);
        let short = "blueprint = 1\nventure = \"x\"\ntitle = \"X\"\n";
        let turned = "title = \"X\"\nventure = \"x\"\nblueprint = 1\n";
        assert_eq!(changes(short, turned), []);
    }

    #[test]
    fn another_interval_is_one_change_and_breaks_nothing() {
        let found = changes(COOLBOX, &COOLBOX.replacen("1 min", "15 min", 1));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            found[0].to_string(),
            "device.box.readings.temperature.every: \"1 min\" becomes \"15 min\""
        );
        assert!(!found[0].is_breaking());
    }

    #[test]
    fn another_unit_type_or_a_missing_reading_breaks() {
        let unit = COOLBOX.replacen("unit = \"dBm\"", "unit = \"%\"", 1);
        let found = changes(COOLBOX, &unit);
        assert!(found.iter().any(Change::is_breaking), "{found:?}");
        let kind = COOLBOX.replacen("lid_open    = \"boolean\"", "lid_open    = \"text\"", 1);
        assert!(changes(COOLBOX, &kind).iter().all(Change::is_breaking));
        let gone: String = COOLBOX
            .lines()
            .filter(|line| !line.starts_with("position"))
            .map(|line| format!("{line}\n"))
            .collect();
        let found = changes(COOLBOX, &gone);
        assert_eq!((found.len(), found[0].kind), (1, ChangeKind::Removed));
        assert!(found[0].is_breaking());
    }

    #[test]
    fn a_new_reading_is_one_compatible_change() {
        let more = COOLBOX.replacen(
            "lid_open    = \"boolean\"",
            "lid_open    = \"boolean\"\nhumidity = { unit = \"%\", every = \"1 min\" }",
            1,
        );
        let found = changes(COOLBOX, &more);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].path, "device.box.readings.humidity");
        assert!(!found[0].is_breaking());
    }

    #[test]
    fn two_people_conflict_only_where_they_disagree() {
        let mine = COOLBOX.replacen("0.30 EUR", "0.40 EUR", 1);
        let theirs = COOLBOX.replacen("0.30 EUR", "0.35 EUR", 1).replacen("10 min", "5 min", 1);
        let texts = [COOLBOX, &mine, &theirs];
        let blueprints = texts.map(read);
        let [base, mine, theirs] =
            [0, 1, 2].map(|i| Source { text: texts[i], blueprint: &blueprints[i] });
        let found = conflicts(base, mine, theirs);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].path, "plan.care.boxes.price");
        assert_eq!(conflicts(base, mine, mine), []);
    }
}
