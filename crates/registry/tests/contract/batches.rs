//! Many decisions in one transaction, and many records in one answer, are what they would be one by
//! one.

use std::collections::BTreeSet;

use model::TenantId;
use registry::{Author, Decision, Error, Expect, Key, Kind, Registry};
use serde_json::{Value, json};

use super::{HERE, ME, THERE, device, key, open};

pub(crate) async fn many_at_once_are_what_one_by_one_would_have_written(url: &str) {
    let registry = open(url).await;
    let contents: Vec<Value> = (0..200).map(|n| device(&format!("box-{n:04}"))).collect();
    let ids: Vec<String> = (0..200).map(|n| format!("d{n:04}")).collect();
    let put = |at: usize| Decision::put(HERE, Kind::Device, &ids[at], &contents[at]);
    let all: Vec<Decision<'_>> = (0..200).map(put).collect();
    let written = registry.put_many(&all, &ME).await.unwrap();
    assert!(
        written.iter().zip(1..).all(|(written, seq)| (written.revision, written.seq) == (1, seq))
    );
    // A record twice, one removed, names that move on: in the order in which they were decided.
    let renamed = device("other");
    let mut next: Vec<Decision<'_>> = (0..20).map(put).collect();
    next.push(Decision::put(HERE, Kind::Device, &ids[0], &renamed));
    next.push(Decision::remove(HERE, Kind::Device, &ids[1]));
    next.push(put(2).expecting(Expect::Revision(2)));
    let written = registry.put_many(&next, &ME).await.unwrap();
    let last: Vec<u64> = written.iter().rev().take(3).map(|written| written.revision).collect();
    assert_eq!(last, [3, 3, 3]);
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    let found = registry.get_many(HERE, Kind::Device, &names).await.unwrap();
    assert_eq!(found.len(), 199, "one was removed");
    assert!(found.iter().all(|row| row.content != "null"));
    assert_eq!(registry.get(key(&ids[0])).await.unwrap().unwrap().revision, 3);
    let rows = registry.outbox(0, 1_000).await.unwrap();
    assert_eq!(rows.len(), 223);
    assert!(rows.iter().zip(1..).all(|(row, seq)| row.seq == seq));
    // A stale one keeps all others from being written, and is named.
    let mut stale: Vec<Decision<'_>> = (0..20).map(put).collect();
    stale.push(put(7).expecting(Expect::Revision(1)));
    let refused = registry.put_many(&stale, &ME).await.unwrap_err();
    assert!(refused.to_string().contains("d0007 is at revision 3, not 1"), "{refused}");
    // A name that is taken too.
    let mut taken: Vec<Decision<'_>> = (0..20).map(put).collect();
    taken.push(Decision::put(HERE, Kind::Device, "new", &contents[199]));
    let refused = registry.put_many(&taken, &ME).await.unwrap_err();
    assert!(
        matches!(&refused, Error::NameTaken { holder, .. } if *holder == ids[199]),
        "{refused}"
    );
    assert_eq!(registry.outbox(0, 1_000).await.unwrap().len(), 223);
}

/// Owners of credentials.
const OWNERS: [&str; 3] = ["erp", "mes", "bi"];
/// What the names of a device begin with; one that stays is likelier than one that changes.
const NAMES: [&str; 3] = ["a", "b", "b"];
/// Batches that are written both ways.
const BATCHES: u32 = 40;

/// What can be asked of a tenant: records in force by list, by owner and by name.
async fn all_of(registry: &Registry, tenant: TenantId) -> Vec<(String, u64, String)> {
    let mut rows = Vec::new();
    for kind in [Kind::Device, Kind::Credential] {
        rows.extend(registry.list(tenant, kind, "", 100).await.unwrap());
    }
    for id in OWNERS {
        let owner = Key { tenant, kind: Kind::Credential, id };
        rows.extend(registry.list_owned(owner, "", 100).await.unwrap());
    }
    for name in (0..6).flat_map(|at| [format!("a-{at}"), format!("b-{at}")]) {
        rows.extend(registry.find_by_name(tenant, Kind::Device, &name).await.unwrap());
    }
    rows.into_iter().map(|row| (row.id, row.revision, row.content)).collect()
}

/// What becomes of which record; none removes it.
type Step = (Kind, String, Option<Value>);

fn decision(tenant: TenantId, (kind, id, content): &Step) -> Decision<'_> {
    match content {
        Some(content) => Decision::put(tenant, *kind, id, content),
        None => Decision::remove(tenant, *kind, id),
    }
}

/// Names and owners that change and stay, removals and returns, the same record more than once.
pub(crate) async fn any_batch_is_what_one_by_one_would_have_written(url: &str) {
    let registry = open(url).await;
    let mut seed = 7_u64;
    let mut dice = |sides: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % sides
    };
    let mut live = BTreeSet::new();
    for _ in 0..BATCHES {
        let mut steps: Vec<Step> = Vec::new();
        for _ in 0..8 + dice(24) {
            let (at, word) = (dice(6), usize::try_from(dice(3)).unwrap());
            let (kind, content) = if dice(2) == 0 {
                (Kind::Device, device(&format!("{}-{at}", NAMES[word])))
            } else {
                let owner = json!({"service": OWNERS[word]});
                let secret = "0".repeat(64);
                let content = json!({"owner": owner, "secret_sha256": secret, "origin": "real"});
                (Kind::Credential, content)
            };
            let id = format!("x{at}");
            let goes = live.contains(&(kind, at)) && dice(5) == 0;
            if goes {
                live.remove(&(kind, at));
            } else {
                live.insert((kind, at));
            }
            steps.push((kind, id, (!goes).then_some(content)));
        }
        let together: Vec<Decision<'_>> = steps.iter().map(|step| decision(HERE, step)).collect();
        let written = registry.put_many(&together, &ME).await.unwrap();
        let mut alone = Vec::new();
        for step in &steps {
            alone.push(registry.put(&decision(THERE, step), &ME).await.unwrap());
        }
        let revisions = |written: &[registry::Revision]| -> Vec<u64> {
            written.iter().map(|written| written.revision).collect()
        };
        assert_eq!(revisions(&written), revisions(&alone));
        assert_eq!(all_of(&registry, HERE).await, all_of(&registry, THERE).await);
    }
}

pub(crate) async fn contents_of_any_characters_are_listed_as_they_are(url: &str) {
    let registry = open(url).await;
    let texts =
        ["", "\u{1e}", "\u{1f}a\u{1e}b", "line\nbreak\t\"quote\" \\ back", "Grüße, 水 \u{7f}"];
    let contents: Vec<Value> =
        texts.iter().map(|text| json!({ *text: text, "n": [text] })).collect();
    for (at, content) in contents.iter().enumerate() {
        let id = format!("i{at}");
        registry.put(&Decision::put(HERE, Kind::Idea, &id, content), &ME).await.unwrap();
    }
    let rows = registry.list(HERE, Kind::Idea, "", 10).await.unwrap();
    let read: Vec<Value> = rows.iter().map(|row| row.content().unwrap()).collect();
    assert_eq!(read, contents);
    let outbox = registry.outbox(0, 10).await.unwrap();
    assert!(outbox.iter().zip(&rows).all(|(sent, row)| sent.content == row.content));
    for row in &rows {
        let key = Key { tenant: HERE, kind: Kind::Idea, id: &row.id };
        assert_eq!(registry.get(key).await.unwrap().as_ref(), Some(row));
        assert_eq!(registry.history(key, None, 10).await.unwrap(), std::slice::from_ref(row));
    }
    assert_eq!(rows.first().map(|row| row.reason.as_str()), Some("because"));
    for mark in ['\u{1e}', '\u{1f}'] {
        let author = Author { reason: &format!("be{mark}cause"), ..ME };
        let decision = Decision::put(HERE, Kind::Idea, "i0", &contents[0]);
        let refused = registry.put(&decision, &author).await.unwrap_err();
        assert!(refused.to_string().contains("U+001E"), "{refused}");
    }
}
