//! Two texts that were written from the same one, made into one.
//!
//! *Invariant:* an entry that both changed, not to the same value, is a conflict and stays as mine;
//! of the others nothing is lost. The merged text is mine with theirs put in, comments and order
//! kept, and always means what the two changes together mean.

use toml::{Table, Value};
use toml_edit::{DocumentMut, Item, TableLike};

use crate::diff::{Change, Conflict, Source, conflicts, diff, is_within, lookup};

/// What became of two texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// Mine, with what theirs changes and mine does not.
    pub text: String,
    /// What mine changes of the base.
    pub mine: Vec<Change>,
    /// What theirs changes of the base.
    pub theirs: Vec<Change>,
    /// Where they disagree.
    pub conflicts: Vec<Conflict>,
}

/// Merges what does not conflict.
#[must_use]
pub fn merge(base: Source<'_>, mine: Source<'_>, theirs: Source<'_>) -> Merged {
    let conflicts = conflicts(base, mine, theirs);
    let (own, others) = (diff(Some(base), mine), diff(Some(base), theirs));
    let disputed = |change: &&Change| {
        let path = &change.path;
        !conflicts.iter().any(|one| is_within(&one.path, path) || is_within(path, &one.path))
    };
    let wanted: Vec<&Change> = others.iter().filter(disputed).collect();
    let text = together(mine.text, theirs.text, &wanted);
    Merged { text, mine: own, theirs: others, conflicts }
}

/// `mine` with these entries as they are in `theirs`.
fn together(mine: &str, theirs: &str, changes: &[&Change]) -> String {
    let (mut meant, from) = (table(mine), table(theirs));
    for change in changes {
        let path: Vec<&str> = change.path.split('.').collect();
        set(&mut meant, &path, lookup(&from, &path));
    }
    let edited = edited(mine, theirs, changes);
    match edited.filter(|text| text.parse::<Table>().is_ok_and(|table| table == meant)) {
        Some(text) => text,
        // Better without comments than with another meaning.
        None => toml::to_string(&meant).unwrap_or_else(|_| mine.to_owned()),
    }
}

fn table(text: &str) -> Table {
    text.parse().unwrap_or_default()
}

fn set(table: &mut Table, path: &[&str], value: Option<&Value>) {
    match (path, value) {
        ([], _) => {}
        ([key], Some(value)) => drop(table.insert((*key).to_owned(), value.clone())),
        ([key], None) => drop(table.remove(*key)),
        ([key, rest @ ..], _) => {
            let empty = || Value::Table(Table::new());
            let inner = table.entry((*key).to_owned()).or_insert_with(empty);
            if let Value::Table(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

fn edited(mine: &str, theirs: &str, changes: &[&Change]) -> Option<String> {
    let mut document: DocumentMut = mine.parse().ok()?;
    let others: DocumentMut = theirs.parse().ok()?;
    for change in changes {
        let path: Vec<&str> = change.path.split('.').collect();
        put(document.as_table_mut(), others.as_table(), &path)?;
    }
    Some(document.to_string())
}

/// Makes the entry at `path` what it is in `from`.
fn put(into: &mut dyn TableLike, from: &dyn TableLike, path: &[&str]) -> Option<()> {
    let (key, rest) = path.split_first()?;
    let Some((own_key, theirs)) = from.get_key_value(key) else {
        into.remove(key);
        return Some(());
    };
    if rest.is_empty() {
        let mut item = theirs.clone();
        unplaced(&mut item);
        match into.get_mut(key) {
            Some(old) => replace(old, item),
            None => {
                into.entry_format(own_key).or_insert(item);
            }
        }
        return Some(());
    }
    if into.get(key).is_none() {
        let mut made = toml_edit::Table::new();
        made.set_implicit(true);
        into.entry_format(own_key).or_insert(Item::Table(made));
    }
    let inner = into.get_mut(key)?.as_table_like_mut()?;
    put(inner, theirs.as_table_like()?, rest)
}

/// Where it stood in the other text means nothing here: it follows its neighbours.
fn unplaced(item: &mut Item) {
    let Item::Table(table) = item else { return };
    table.set_position(None);
    for (_, inner) in table.iter_mut() {
        unplaced(inner);
    }
}

/// Another value in the same place, with the comment that mine has behind it.
fn replace(old: &mut Item, mut new: Item) {
    if let (Item::Value(before), Item::Value(after)) = (&*old, &mut new) {
        *after.decor_mut() = before.decor().clone();
    }
    *old = new;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Blueprint;

    const COOLBOX: &str = include_str!("../../../blueprints/coolbox/blueprint.toml");

    fn merged(base: &str, mine: &str, theirs: &str) -> Merged {
        let blueprints = [base, mine, theirs].map(|text| {
            let parsed = Blueprint::parse(text);
            parsed.blueprint.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics))
        });
        let source = |n: usize| Source { text: [base, mine, theirs][n], blueprint: &blueprints[n] };
        merge(source(0), source(1), source(2))
    }

    fn means_the_same(left: &str, right: &str) {
        assert_eq!(table(left), table(right), "{left}");
    }

    #[test]
    fn changes_of_two_people_stand_side_by_side_with_their_comments() {
        let mine =
            COOLBOX.replacen("0.30 EUR/device/day\" }", "0.40 EUR/device/day\" } # dearer", 1);
        let theirs = COOLBOX
            .replacen("every = \"1 min\"", "every = \"15 min\"", 1)
            .replacen("lid_open", "# from inside\nhumidity = { unit = \"%\" } # new\nlid_open", 1)
            .replace("takes = \"10 days\"\n", "")
            + "[gate.pilot.must]\nmore = \"fleet.active >= 5\"\n";
        let merged = merged(COOLBOX, &mine, &theirs);
        assert_eq!(merged.conflicts, []);
        assert_eq!((merged.mine.len(), merged.theirs.len()), (1, 4));
        let both = theirs.replacen("0.30 EUR/device/day", "0.40 EUR/device/day", 1);
        means_the_same(&merged.text, &both);
        for kept in ["# dearer", "# from inside", "# new", "# one table per kind", "say < do"] {
            assert!(merged.text.contains(kept), "{kept}: {}", merged.text);
        }
        assert!(Blueprint::parse(&merged.text).blueprint.is_some());
    }

    #[test]
    fn what_both_changed_stays_mine_and_is_told_with_all_three() {
        let mine = COOLBOX.replacen("0.30 EUR", "0.40 EUR", 1).replacen("10 min", "7 min", 1);
        let theirs = COOLBOX.replacen("0.30 EUR", "0.35 EUR", 1).replacen("10 min", "7 min", 1);
        let merged = merged(COOLBOX, &mine, &theirs);
        let [conflict] = merged.conflicts.as_slice() else { panic!("{:?}", merged.conflicts) };
        assert_eq!(conflict.path, "plan.care.boxes.price");
        assert_eq!(conflict.base.as_deref(), Some("\"0.30 EUR/device/day\""));
        assert_eq!(conflict.mine.as_deref(), Some("\"0.40 EUR/device/day\""));
        assert_eq!(conflict.theirs.as_deref(), Some("\"0.35 EUR/device/day\""));
        means_the_same(&merged.text, &mine);
    }

    #[test]
    fn one_removes_what_the_other_changes_is_a_conflict() {
        let mine: String = COOLBOX
            .lines()
            .filter(|line| !line.starts_with("battery"))
            .map(|line| format!("{line}\n"))
            .collect();
        let theirs = COOLBOX.replacen("\"1 h\" }\nposition", "\"2 h\" }\nposition", 1);
        let merged = merged(COOLBOX, &mine, &theirs);
        assert_eq!(merged.conflicts.len(), 1, "{:?}", merged.conflicts);
        assert_eq!(merged.conflicts[0].mine, None);
        means_the_same(&merged.text, &mine);
    }

    #[test]
    fn a_long_text_that_differs_only_far_behind_is_a_conflict() {
        let long = |end: &str| format!("problem = \"{}{end}\"", "because ".repeat(40));
        let with = |end: &str| {
            let first = COOLBOX.lines().find(|line| line.starts_with("problem")).unwrap();
            COOLBOX.replacen(first, &long(end), 1)
        };
        let merged = merged(COOLBOX, &with("one"), &with("two"));
        assert_eq!(merged.conflicts.len(), 1);
    }
}
