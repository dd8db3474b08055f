//! Which files make up a lake, for whoever copies them while it is written.
//!
//! *Invariant:* opens files for reading only. For each table the log is read up to one version; the
//! named files are immutable, so a copy of them is that version.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Disk;

use crate::delta;
use crate::lake::Index;
use crate::store::Store;
use crate::{Error, TableId};

/// A table at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFiles {
    /// Which table.
    pub table: TableId,
    /// The last version that was read; none in a table without versions.
    pub version: Option<u64>,
    /// The log up to there, below the folder of the lake.
    pub log: Vec<PathBuf>,
    /// Files of readings and their hourly aggregates, with their bytes.
    pub data: Vec<(PathBuf, u64)>,
    /// Rows in them.
    pub rows: u64,
    /// Frames of the event log up to here are in them.
    pub flushed: u64,
}

/// What a lake holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// Everything up to this offset is in files.
    pub flushed: u64,
    /// The index that says so, to be written under its names.
    pub index: Option<Vec<u8>>,
    /// Its tables.
    pub tables: Vec<TableFiles>,
}

/// Names of the index and its copy, below the folder of the lake.
pub const INDEX_NAMES: [&str; 2] = [crate::lake::INDEX, crate::lake::INDEX_COPY];

/// The format of the lake in a folder, newer ones than this program reads included; nothing when
/// there is none.
#[must_use]
pub fn format_of(root: &Path) -> Option<u64> {
    let bytes = std::fs::read(root.join(crate::lake::INDEX)).ok()?;
    Some(crate::lake::said_format(&bytes))
}

/// Reads what a lake consists of. The index is read first: a table may be further than it says,
/// never behind it.
///
/// # Errors
/// The disk refuses, a version was removed meanwhile, or a log is damaged in both copies.
pub fn inventory(disk: Arc<dyn Disk>, root: &Path, shard: &str) -> Result<Inventory, Error> {
    let store = Store::new(disk, root.to_owned());
    let Some(index) = Index::read(&store)? else {
        return Ok(Inventory { flushed: 0, index: None, tables: Vec::new() });
    };
    let app = format!("iotbiz/{shard}");
    let mut tables = Vec::new();
    for id in &index.tables {
        tables.push(table(&store, id, &app)?);
    }
    Ok(Inventory { flushed: index.flushed.0, index: Some(index.encode()), tables })
}

fn table(lake: &Store, id: &TableId, app: &str) -> Result<TableFiles, Error> {
    let folder = PathBuf::from(id.to_string());
    let found = delta::look(&lake.below(&id.to_string()), app)?;
    let mut data = Vec::new();
    let (mut rows, mut rollups) = (0, BTreeSet::new());
    for file in found.state.files() {
        rows += file.rows;
        data.push((folder.join(&file.path), file.written.bytes));
        if let Some(rollup) = &file.rollup
            && rollups.insert(rollup.path.clone())
        {
            data.push((folder.join(&rollup.path), rollup.written.bytes));
        }
    }
    Ok(TableFiles {
        table: id.clone(),
        version: found.version,
        log: found.names.iter().map(|name| folder.join(name)).collect(),
        data,
        rows,
        flushed: found.state.flushed,
    })
}
