//! The console's build: npm, only when something in `web/` changed.
//!
//! *Invariant:* the stamp is written after the build and removed before it, so a build that was
//! cut short is done again.

use std::fmt;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::place::{Place, on_path};
use crate::run;

/// The variable that tells the console's build where to write.
pub const OUT: &str = "IOTBIZ_WEB_OUT";

/// How the console stands after the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Console {
    /// It was built now.
    Built,
    /// Nothing changed since it was built.
    Unchanged,
    /// It could not be built; the binary carries its fallback page.
    Missing(String),
}

impl fmt::Display for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Built => f.write_str("console: built"),
            Self::Unchanged => f.write_str("console: unchanged since it was built"),
            Self::Missing(why) => {
                write!(f, "console: {why}; the binary serves its fallback page instead")
            }
        }
    }
}

/// Builds the console when it changed and npm is there.
pub fn build(place: &Place) -> Result<Console> {
    let web = place.root.join("web");
    if !web.join("package.json").is_file() {
        return Ok(Console::Missing("web/ holds no package.json".to_owned()));
    }
    let out = place.web_out();
    let stamp = place.target.join("web.stamp");
    let now = stamp_of(&web)?;
    let before = fs::read_to_string(&stamp).unwrap_or_default();
    if before == now && out.join("index.html").is_file() {
        return Ok(Console::Unchanged);
    }
    for tool in ["node", "npm"] {
        if !on_path(tool) {
            return Ok(Console::Missing(format!("`{tool}` is not installed")));
        }
    }
    if stamp.exists() {
        fs::remove_file(&stamp).context("remove the console's stamp")?;
    }
    fs::create_dir_all(&place.target).context("make the target folder")?;
    npm(&web, &out, &["ci", "--no-audit", "--no-fund"])?;
    npm(&web, &out, &["run", "build"])?;
    ensure!(out.join("index.html").is_file(), "`npm run build` wrote no index.html");
    fs::write(&stamp, now).context("write the console's stamp")?;
    Ok(Console::Built)
}

/// The console's packages; a clone may be new although its console was built before.
pub fn packages(place: &Place) -> Result<()> {
    let web = place.root.join("web");
    if web.join("node_modules/.package-lock.json").is_file() {
        return Ok(());
    }
    npm(&web, &place.web_out(), &["ci", "--no-audit", "--no-fund"])
}

/// Runs npm in `web/`.
pub fn npm(web: &Path, out: &Path, arguments: &[&str]) -> Result<()> {
    run::shown(Command::new("npm").current_dir(web).args(arguments).env(OUT, out))
}

/// A fingerprint of names and contents. It guards against stale builds, not against people, so the
/// standard library's hash is enough.
fn stamp_of(web: &Path) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    hash_folder(web, &mut hasher)?;
    Ok(format!("{:016x}\n", hasher.finish()))
}

fn hash_folder(folder: &Path, hasher: &mut DefaultHasher) -> Result<()> {
    let list = || format!("list `{}`", folder.display());
    let mut entries = fs::read_dir(folder)
        .with_context(list)?
        .collect::<Result<Vec<_>, _>>()
        .with_context(list)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        if ["node_modules", "dist", "e2e", "dev"].iter().any(|skipped| name == *skipped) {
            continue;
        }
        name.hash(hasher);
        let path = entry.path();
        if path.is_dir() {
            hash_folder(&path, hasher)?;
        } else {
            let read = || format!("read `{}`", path.display());
            fs::read(&path).with_context(read)?.hash(hasher);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_changes_the_stamp_and_a_module_folder_does_not() {
        let folder = std::env::temp_dir().join(format!("iotbiz-web-{}", std::process::id()));
        fs::create_dir_all(folder.join("node_modules")).unwrap();
        fs::write(folder.join("a.ts"), "1").unwrap();
        let first = stamp_of(&folder).unwrap();
        fs::write(folder.join("node_modules/b.js"), "x").unwrap();
        assert_eq!(stamp_of(&folder).unwrap(), first);
        fs::write(folder.join("a.ts"), "2").unwrap();
        assert_ne!(stamp_of(&folder).unwrap(), first);
        fs::remove_dir_all(&folder).unwrap();
    }
}
