//! The changes of the tables, in order, as they stand in `migrations/`.
//!
//! *Invariant:* a change that was released never changes: the database keeps its checksum and
//! refuses another text under the same number. They are listed here and not by `sqlx::migrate!`,
//! whose macro would build both database drivers a second time, for the compiler's own use.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Number, name and text of each.
const CHANGES: [(i64, &str, &str); 1] =
    [(1, "records", include_str!("../migrations/0001_records.sql"))];

/// All of them, ready to run.
pub(crate) fn migrator() -> Migrator {
    let change = |(number, name, text): (i64, &'static str, &'static str)| {
        Migration::new(number, name.into(), MigrationType::Simple, text.into_sql_str(), false)
    };
    Migrator::with_migrations(CHANGES.map(change).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_listed_under_its_number_and_name() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let listed: Vec<String> =
            CHANGES.iter().map(|(number, name, _)| format!("{number:04}_{name}.sql")).collect();
        assert_eq!(listed, files);
    }
}
