//! The contract on PostgreSQL. Needs a server: `IOTBIZ_TEST_POSTGRES=postgres://user@host/postgres`
//! whose user may create databases; each fact gets a new one, dropped at the end.
#![expect(clippy::unwrap_used, reason = "the tests call these functions")]

#[path = "contract.rs"]
mod contract;

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};

#[expect(clippy::disallowed_methods, reason = "a test has no configuration to be told by")]
fn server() -> String {
    std::env::var("IOTBIZ_TEST_POSTGRES").expect("set IOTBIZ_TEST_POSTGRES to a server's URL")
}

async fn with_a_new_database<F: AsyncFnOnce(&str)>(fact: &str, run: F) {
    sqlx::any::install_default_drivers();
    let server = server();
    let (base, _) = server.rsplit_once('/').unwrap();
    // PostgreSQL cuts names at 63 bytes.
    let name: String = format!("iotbiz_{}_{fact}", std::process::id()).chars().take(63).collect();
    let mut admin = AnyConnection::connect(&server).await.unwrap();
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    run(&format!("{base}/{name}")).await;
    let drop = format!("DROP DATABASE {name} WITH (FORCE)");
    admin.execute(AssertSqlSafe(drop)).await.unwrap();
}

macro_rules! each_in_a_new_database {
    ($($fact:ident)*) => {
        $(
            #[tokio::test]
            async fn $fact() {
                with_a_new_database(stringify!($fact), contract::$fact).await;
            }
        )*
    };
}

each_in_a_new_database! {
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
