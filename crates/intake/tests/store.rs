//! Events are kept once, whatever happens to the process, and found again in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use eventlog::OsDisk;
use intake::{Error, Incoming, Put, Store};

/// Uniform, and the same in every run.
fn hash(n: u64) -> u128 {
    let mut x = u128::from(n) + 0x9E37_79B9_7F4A_7C15;
    for _ in 0..3 {
        x ^= x >> 67;
        x = x.wrapping_mul(0xDA94_2042_E4DD_58B5_94D0_49BB_1331_11EB);
    }
    x ^ (x >> 64)
}

fn event(n: u64, line: &[u8]) -> Incoming<'_> {
    let time = i64::try_from(n % 1_000).expect("below a thousand");
    Incoming { key: hash(n), content: n ^ 7, owner: 1 + n % 3, time, line }
}

fn lines(store: &Store, owner: u64, period: (i64, i64)) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    store
        .each(owner, period, &mut |time, line| {
            found.push((time, String::from_utf8_lossy(line).into_owned()));
        })
        .expect("read what was kept");
    found
}

#[test]
fn the_same_is_a_duplicate_and_another_content_a_conflict_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Store::open(Arc::new(OsDisk), folder.path()).unwrap();
    let mut store = open();
    let first = event(5, b"five");
    let other = Incoming { content: 99, ..event(5, b"other") };
    let puts = store.put(&[first, first, other, event(6, b"six")]).unwrap();
    assert!(
        matches!(puts[..], [Put::New(0), Put::Duplicate, Put::Conflict, Put::New(_)]),
        "{puts:?}"
    );
    drop(store);
    let mut store = open();
    assert_eq!(store.events(), 2);
    assert_eq!(store.put(&[first, other]).unwrap(), [Put::Duplicate, Put::Conflict]);
    assert_eq!(lines(&store, 3, (0, 1_000)), [(5, "five".to_owned())]);
}

#[test]
fn a_torn_end_is_cut_and_what_was_acknowledged_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(Arc::new(OsDisk), folder.path()).unwrap();
    store.put(&[event(1, b"one")]).unwrap();
    drop(store);
    let path = folder.path().join("journal");
    let mut bytes = std::fs::read(&path).unwrap();
    let whole = bytes.len();
    bytes.extend_from_slice(&[60, 0, 0, 0, 1, 2, 3, 4, 9, 9]);
    std::fs::write(&path, &bytes).unwrap();
    let mut store = Store::open(Arc::new(OsDisk), folder.path()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), u64::try_from(whole).unwrap());
    assert_eq!(store.put(&[event(1, b"one"), event(2, b"two")]).unwrap()[0], Put::Duplicate);
    assert_eq!(store.events(), 2);
}

#[test]
fn runs_and_merges_know_every_key_and_find_every_owner_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Store::open(Arc::new(OsDisk), folder.path()).unwrap().keeping(500);
    let mut store = open();
    let mut wanted: BTreeMap<(u64, i64), usize> = BTreeMap::new();
    for batch in 0..100_u64 {
        let numbers: Vec<u64> = (batch * 200..(batch + 1) * 200).collect();
        let events: Vec<_> = numbers.iter().map(|n| event(*n, b"x")).collect();
        for event in &events {
            *wanted.entry((event.owner, event.time)).or_default() += 1;
        }
        let puts = store.put(&events).unwrap();
        assert!(puts.iter().all(|put| matches!(put, Put::New(_))));
        if batch % 17 == 0 {
            drop(store);
            store = open();
        }
    }
    assert_eq!(store.events(), 20_000);
    for n in (0..20_000).step_by(7) {
        assert_eq!(store.put(&[event(n, b"x")]).unwrap(), [Put::Duplicate], "{n}");
    }
    for owner in 1..=3 {
        let found = lines(&store, owner, (100, 900));
        assert!(found.is_sorted_by_key(|(time, _)| *time));
        let count: usize = wanted
            .iter()
            .filter(|((o, t), _)| *o == owner && (100..900).contains(t))
            .map(|(_, n)| n)
            .sum();
        assert_eq!(found.len(), count);
    }
}

#[test]
fn a_lost_or_damaged_run_is_made_again_of_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Store::open(Arc::new(OsDisk), folder.path());
    let mut store = open().unwrap().keeping(100);
    let events: Vec<_> = (0..350).map(|n| event(n, b"line")).collect();
    events.chunks(50).for_each(|some| drop(store.put(some).unwrap()));
    drop(store);
    let names = || std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path());
    let run = names().find(|path| path.to_string_lossy().contains("k-")).unwrap();
    std::fs::remove_file(&run).unwrap();
    let mut store = open().unwrap();
    assert_eq!(store.events(), 350);
    assert_eq!(store.put(&[event(3, b"line")]).unwrap(), [Put::Duplicate]);
    drop(store);
    let mut bytes = std::fs::read(folder.path().join("journal")).unwrap();
    bytes[20] ^= 1;
    std::fs::write(folder.path().join("journal"), bytes).unwrap();
    let store = open().unwrap();
    let told = store.each(1, (0, 1_000), &mut |_, _| {});
    assert!(matches!(told, Err(Error::Damaged { .. })) || store.events() < 350, "{told:?}");
}

#[test]
fn the_newest_are_told_also_behind_runs_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Store::open(Arc::new(OsDisk), folder.path()).unwrap().keeping(40);
    let mut store = open();
    let texts: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let events: Vec<_> = (0..).zip(&texts).map(|(n, text)| event(n, text.as_bytes())).collect();
    events.chunks(20).for_each(|some| drop(store.put(some).unwrap()));
    let told = |store: &Store| {
        let newest = store.newest().unwrap();
        newest.into_iter().map(|(_, line)| String::from_utf8(line).unwrap()).collect::<Vec<_>>()
    };
    let wanted: Vec<String> = (80..100).rev().map(|n| n.to_string()).collect();
    assert_eq!(told(&store), wanted);
    drop(store);
    let mut store = open();
    assert_eq!(told(&store), wanted);
    store.put(&[event(100, b"100"), event(99, b"99")]).unwrap();
    assert_eq!(told(&store).first().map(String::as_str), Some("100"));
    assert_eq!(store.line(hash(7)).unwrap().as_deref(), Some(&b"7"[..]));
    assert_eq!(store.line(hash(500)).unwrap(), None);
}

#[test]
fn what_is_written_again_is_gone_from_the_disk_and_known_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Store::open(Arc::new(OsDisk), folder.path()).unwrap().keeping(100);
    let mut store = open();
    let secret = b"of box-0007";
    let line = |n: u64| if n.is_multiple_of(10) { &secret[..] } else { &b"of another"[..] };
    let events: Vec<_> = (0..450).map(|n| event(n, line(n))).collect();
    events.chunks(50).for_each(|some| drop(store.put(some).unwrap()));
    let mut other = |line: &[u8]| (line == secret).then(|| b"of one".to_vec());
    assert_eq!(store.rewrite(&mut other).unwrap(), 45);
    assert_eq!(store.rewrite(&mut other).unwrap(), 0);
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret));
    }
    let check = |store: &mut Store| {
        assert_eq!(store.events(), 450);
        assert_eq!(store.put(&[event(10, secret)]).unwrap(), [Put::Duplicate]);
        let all: usize = (1..=3).map(|owner| lines(store, owner, (0, 1_000)).len()).sum();
        assert_eq!(all, 450);
        let found = lines(store, 2, (0, 1_000));
        assert!(found.iter().any(|(_, line)| line == "of one"));
    };
    check(&mut store);
    drop(store);
    check(&mut open());
}

#[test]
fn what_is_too_much_is_refused_with_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(Arc::new(OsDisk), folder.path()).unwrap();
    let long = vec![b'x'; intake::LINE_BYTES_MAX + 1];
    assert!(matches!(store.put(&[event(1, &long)]), Err(Error::TooLong { .. })));
    let many = vec![event(1, b"x"); intake::PUT_MAX + 1];
    assert!(store.put(&many).unwrap_err().to_string().contains("10000"));
}
