//! Where history lies, and the note of it in the data folder.
//!
//! *Invariant:* a store of objects is owned by one data folder, whose name of chance stands in
//! [`PLACE`]. A backup leaves that note out, so a restored folder is another one: it cannot go on
//! writing over what the folder wrote that it was copied from.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use model::Objects;
use objects::S3;
use serde::{Deserialize, Serialize};

use crate::config::HistoryConfig;
use crate::server::aside;

/// Name of the note, below the data folder.
pub(crate) const PLACE: &str = "history.json";
/// Bytes of chance in the name of a folder.
const OWNER_BYTES: usize = 16;

/// Where history lies.
#[derive(Debug)]
pub(crate) enum Place {
    /// In a folder of the disk.
    Folder(PathBuf),
    /// In a store of objects, as one of this data folder.
    Objects { objects: Arc<dyn Objects>, owner: String },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Objects { objects, .. } => f.write_str(&objects.place()),
        }
    }
}

/// What stands in the note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Noted {
    /// The name of this data folder.
    owner: String,
    /// Where its history is; empty: in the folder itself.
    pub(crate) url: String,
}

impl Noted {
    /// The note of a data folder, if it ever had its history elsewhere.
    pub(crate) fn read(data: &Path) -> anyhow::Result<Option<Self>> {
        let path = data.join(PLACE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        let noted = serde_json::from_slice(&text);
        noted.map(Some).with_context(|| format!("read {}", path.display()))
    }

    /// Half a note would be another owner.
    fn write(&self, data: &Path) -> anyhow::Result<()> {
        let path = data.join(PLACE);
        let write = || format!("write {}", path.display());
        let text = serde_json::to_vec(self).with_context(write)?;
        aside::replace(&path, &text).with_context(write)
    }

    fn keep(data: &Path, url: String) -> anyhow::Result<Option<Self>> {
        let before = Self::read(data)?;
        if before.is_none() && url.is_empty() {
            return Ok(None);
        }
        let owner = match &before {
            Some(before) => before.owner.clone(),
            None => chance()?,
        };
        let now = Self { owner, url };
        if before.as_ref() != Some(&now) {
            now.write(data)?;
        }
        Ok(Some(now))
    }
}

fn chance() -> anyhow::Result<String> {
    let mut bytes = [0; OWNER_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("draw a name: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Place {
    /// Where the configuration says, noted in the data folder.
    pub(crate) fn of(data: &Path, config: &HistoryConfig) -> anyhow::Result<Self> {
        let Some((place, access)) = config.place()? else {
            Noted::keep(data, String::new())?;
            return Ok(Self::Folder(data.join("lake")));
        };
        let noted = Noted::keep(data, place.to_string())?;
        let owner = noted.map(|noted| noted.owner).context("note the place of history")?;
        let store = S3::new(place, access).context("open the place of history")?;
        Ok(Self::Objects { objects: Arc::new(store), owner })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_name_when_its_history_moves() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(Noted::keep(data.path(), String::new()).unwrap(), None);
        let first = Noted::keep(data.path(), "s3://a".to_owned()).unwrap().unwrap();
        let next = Noted::keep(data.path(), "s3://b".to_owned()).unwrap().unwrap();
        assert_eq!((next.owner, next.url.as_str()), (first.owner, "s3://b"));
    }

    #[test]
    fn a_note_that_is_damaged_is_told_and_not_replaced() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join(PLACE), "{").unwrap();
        assert!(Noted::keep(data.path(), "s3://a".to_owned()).is_err());
    }
}
