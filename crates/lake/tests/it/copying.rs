//! Who copies the files of an inventory has the lake as it was, while it is written and merged.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::model_lake::{row, table};
use eventlog::OsDisk;
use faultsim::SimClock;
use lake::{Error, INDEX_NAMES, Inventory, Lake, Limits, Settings, inventory};
use model::{Offset, Timestamp, Value};

const DAY: i64 = 86_400_000;
const NOW: i64 = 1_795_608_000_000;
const ROWS: u64 = 400;

fn open(root: &Path, clock: &SimClock) -> Lake {
    let limits = Limits { file_grace: Duration::ZERO, ..Limits::default() };
    let settings = Settings { root: root.to_owned(), shard: "0".to_owned(), limits };
    Lake::open(Arc::new(OsDisk), Arc::new(clock.clone()), settings).unwrap()
}

/// Copies what an inventory names; nothing when a file of it is gone already.
fn copy(from: &Path, to: &Path) -> Option<Inventory> {
    let found = match inventory(Arc::new(OsDisk), from, "0") {
        Ok(found) => found,
        Err(Error::Disk { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    std::fs::create_dir_all(to).unwrap();
    for (name, index) in INDEX_NAMES.iter().zip(std::iter::repeat(found.index.as_ref())) {
        std::fs::write(to.join(name), index?).unwrap();
    }
    for table in &found.tables {
        for path in table.log.iter().chain(table.data.iter().map(|(path, _)| path)) {
            std::fs::create_dir_all(to.join(path).parent().unwrap()).unwrap();
            std::fs::copy(from.join(path), to.join(path)).ok()?;
        }
    }
    Some(found)
}

#[test]
fn a_copy_of_an_inventory_is_whole_and_has_the_rows_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("lake");
    let clock = SimClock::new(Timestamp::from_millis(NOW));
    let lake = open(&root, &clock);
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for n in 1..=ROWS {
                let at = NOW - 3 * DAY + i64::try_from(n).unwrap();
                let value = Value::Number(f64::from(u32::try_from(n).unwrap()));
                lake.append(&table(), vec![row(n, 1, at, &[("t", value)])]).unwrap();
                lake.flush(Offset(n)).unwrap();
                if n.is_multiple_of(10) {
                    clock.advance(Duration::from_secs(7200));
                    assert!(lake.maintain().failed.is_empty());
                }
            }
            over.store(true, Ordering::Release);
        });
        let mut copies = 0;
        for number in 0.. {
            let last = over.load(Ordering::Acquire);
            let to = folder.path().join(format!("copy-{number}"));
            if let Some(found) = copy(&root, &to) {
                let again = open(&to, &clock);
                assert_eq!(again.flushed().0, found.flushed);
                assert!(again.scrub().unwrap().is_empty());
                for said in &found.tables {
                    assert!(said.flushed >= found.flushed, "a table is never behind the index");
                    assert_eq!(again.sizes(&said.table).unwrap().rows, said.rows);
                    assert_eq!(said.rows, said.flushed);
                }
                copies += 1;
                assert!(!last || found.flushed == ROWS);
            }
            std::fs::remove_dir_all(&to).ok();
            if last {
                break;
            }
        }
        assert!(copies > 0, "every copy met a file that had gone");
    });
}
