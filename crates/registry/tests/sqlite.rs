//! The contract on SQLite, and what only files can show.

#[path = "contract.rs"]
mod contract;

use std::fs;

use contract::{HERE, ME, device, key};
use model::ErrorKind;
use registry::{Decision, Kind};

macro_rules! each_on_a_new_file {
    ($($fact:ident)*) => {
        $(
            #[tokio::test]
            async fn $fact() {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("registry.db");
                contract::$fact(&format!("sqlite://{}", path.display())).await;
            }
        )*
    };
}

each_on_a_new_file! {
    revisions_are_kept_and_the_last_is_in_force
    a_decision_on_an_old_revision_is_refused_by_name
    a_removed_record_is_gone_but_its_history_stays
    a_name_is_unique_in_its_tenant_and_kind
    a_tenant_name_is_unique_everywhere
    a_batch_is_written_whole_or_not_at_all
    many_at_once_are_what_one_by_one_would_have_written
    any_batch_is_what_one_by_one_would_have_written
    contents_of_any_characters_are_listed_as_they_are
    malformed_decisions_are_refused_with_place_and_rule
    lists_go_on_where_the_page_ended
    credentials_are_listed_by_their_owner
    of_two_writers_on_one_revision_exactly_one_wins
    outbox_order_is_commit_order_without_gaps
    the_relay_mark_moves_forward_only
    everything_is_there_after_reopening
    a_thousand_at_a_time_are_quick
}

#[tokio::test]
async fn a_copy_is_one_state_and_has_the_relay_append_again_what_the_log_may_lack() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let registry = contract::open(&format!("sqlite://{}", path.display())).await;
    for number in 1..=5_u64 {
        let (id, content) = (format!("d{number}"), device(&format!("n{number}")));
        registry.put(&Decision::put(HERE, Kind::Device, &id, &content), &ME).await.unwrap();
    }
    registry.set_relayed(3).await.unwrap();
    let mark = registry::relayed_in(&path).await.unwrap();
    assert_eq!(mark, 3);
    // The relay goes on while the log is copied.
    registry.set_relayed(5).await.unwrap();
    registry.put(&Decision::put(HERE, Kind::Device, "d6", &device("n6")), &ME).await.unwrap();
    let copy = folder.path().join("copy.db");
    let said = registry::copy_to(&path, &copy, mark).await.unwrap();
    assert_eq!((said.records["device"], said.last_seq), (6, 6));
    assert_eq!(said.migration, registry::newest_migration());
    assert_eq!(registry.relayed().await.unwrap(), 5, "the original is left as it is");
    let again = contract::open(&format!("sqlite://{}", copy.display())).await;
    assert_eq!(again.relayed().await.unwrap(), 3);
    let waiting = again.outbox(3, 100).await.unwrap();
    assert_eq!(waiting.iter().map(|row| row.seq).collect::<Vec<_>>(), [4, 5, 6]);
    assert!(again.get(key("d6")).await.unwrap().is_some());
    assert!(registry::relayed_in(&folder.path().join("none.db")).await.is_err());
}

/// What a kill leaves: the files as they are, without the closing of the last connection.
#[tokio::test]
async fn a_copy_taken_while_open_has_everything_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let registry = contract::open(&format!("sqlite://{}", path.display())).await;
    for number in 1..=20_u64 {
        let (id, content) = (format!("d{number}"), device(&format!("n{number}")));
        registry.put(&Decision::put(HERE, Kind::Device, &id, &content), &ME).await.unwrap();
        let killed = tempfile::tempdir().unwrap();
        for name in ["registry.db", "registry.db-wal"] {
            fs::copy(folder.path().join(name), killed.path().join(name)).unwrap();
        }
        let url = format!("sqlite://{}", killed.path().join("registry.db").display());
        let found = contract::open(&url).await;
        assert!(found.get(key(&id)).await.unwrap().is_some(), "{id}");
        assert_eq!(found.last_seq().await.unwrap(), number);
        assert_eq!(found.outbox(0, 100).await.unwrap().len() as u64, number);
    }
}

/// A torn write at the end of the log takes the last transaction with it, whole.
#[tokio::test]
async fn a_torn_commit_is_not_there_in_any_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let registry = contract::open(&format!("sqlite://{}", path.display())).await;
    let (first, second) = (device("first"), device("second"));
    registry.put(&Decision::put(HERE, Kind::Device, "a", &first), &ME).await.unwrap();
    let wal = folder.path().join("registry.db-wal");
    let kept = fs::metadata(&wal).unwrap().len();
    registry.put(&Decision::put(HERE, Kind::Device, "b", &second), &ME).await.unwrap();
    let bytes = fs::read(&wal).unwrap();
    let whole = u64::try_from(bytes.len()).unwrap();
    assert!(whole > kept);
    for length in [kept, kept + (whole - kept) / 2, whole - 1] {
        let torn = tempfile::tempdir().unwrap();
        fs::copy(&path, torn.path().join("registry.db")).unwrap();
        let length = usize::try_from(length).unwrap();
        fs::write(torn.path().join("registry.db-wal"), &bytes[..length]).unwrap();
        let url = format!("sqlite://{}", torn.path().join("registry.db").display());
        let found = contract::open(&url).await;
        assert!(found.get(key("a")).await.unwrap().is_some());
        assert_eq!(found.get(key("b")).await.unwrap(), None);
        assert_eq!(found.at(key("b"), 1).await.unwrap(), None);
        assert_eq!(found.last_seq().await.unwrap(), 1);
        let written = found.put(&Decision::put(HERE, Kind::Device, "b", &second), &ME).await;
        assert_eq!(written.unwrap().seq, 2);
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    fs::write(&path, "this is a shopping list, and a long one, ".repeat(100)).unwrap();
    let url = format!("sqlite://{}", path.display());
    let clock = std::sync::Arc::new(contract::Ticking::default());
    let error = registry::Registry::open(&url, clock).await.unwrap_err();
    assert_eq!(
        (error.to_string(), error.kind()),
        (format!("open registry at {url}"), ErrorKind::Corrupt)
    );
    assert!(fs::read_to_string(&path).unwrap().starts_with("this is a shopping list"));
}
