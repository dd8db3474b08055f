//! Reading a table's log that another process may be writing.
//!
//! *Invariant:* nothing is written, swept or mended here. What is found is the table at the newest
//! version there was when the folder was listed.

use super::{Action, COPIES, DIR, State, decode, file_name, state_name};
use crate::Error;
use crate::store::Store;

/// A table as its log tells it.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) state: State,
    /// The newest version.
    pub(crate) version: Option<u64>,
    /// Files of the log that make up this version, below the table's folder. `_last_checkpoint` is
    /// not among them: it may name a later one by the time it is copied, and every reader of the
    /// protocol does without it.
    pub(crate) names: Vec<String>,
}

fn version_of(name: &str) -> Option<u64> {
    name.split_once('.')?.0.parse().ok()
}

/// Reads the log of a table.
///
/// # Errors
/// The disk refuses, a version was removed meanwhile, or one is damaged in both copies.
pub(crate) fn look(store: &Store, app: &str) -> Result<Look, Error> {
    let (log, copies) = (store.list(DIR)?, store.list(COPIES)?);
    let whole = |name: &&String| !name.ends_with(".tmp");
    let versions = log.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok());
    let Some(newest) = versions.max() else {
        return Ok(Look { state: State::default(), version: None, names: Vec::new() });
    };
    let upto = |name: &&String| version_of(name).is_some_and(|version: u64| version <= newest);
    let names: Vec<String> = log
        .iter()
        .filter(whole)
        .filter(upto)
        .map(|name| format!("{DIR}/{name}"))
        .chain(copies.iter().filter(whole).filter(upto).map(|name| format!("{COPIES}/{name}")))
        .collect();
    let mut states: Vec<u64> = copies
        .iter()
        .filter_map(|name| name.strip_suffix(".state")?.parse().ok())
        .filter(|version| *version <= newest)
        .collect();
    states.sort_unstable();
    let (mut state, from) = start(store, app, &states)?;
    for version in from..=newest {
        actions(store, app, version)?.into_iter().for_each(|action| state.apply(action));
    }
    Ok(Look { state, version: Some(newest), names })
}

/// The newest state that is whole, and the version after it.
fn start(store: &Store, app: &str, states: &[u64]) -> Result<(State, u64), Error> {
    for version in states.iter().rev() {
        let bytes = store.read(&state_name(*version))?;
        if let Some(actions) = bytes.and_then(|bytes| decode(&bytes, app)) {
            let mut state = State::default();
            actions.into_iter().for_each(|action| state.apply(action));
            return Ok((state, version + 1));
        }
    }
    Ok((State::default(), 0))
}

fn actions(store: &Store, app: &str, version: u64) -> Result<Vec<Action>, Error> {
    let name = format!("{DIR}/{}", file_name(version));
    let mut there = false;
    for name in [name.clone(), format!("{COPIES}/{}", file_name(version))] {
        let Some(bytes) = store.read(&name)? else { continue };
        there = true;
        if let Some(actions) = decode(&bytes, app) {
            return Ok(actions);
        }
    }
    let path = store.path(&name);
    if there {
        let what = "the version and its copy do not match their checksums".to_owned();
        return Err(Error::Damaged { path, what });
    }
    Err(Error::Disk { verb: "read", path, source: std::io::ErrorKind::NotFound.into() })
}
