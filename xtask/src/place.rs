//! Where the clone and its build output are.
//!
//! *Invariant:* everything a task makes lies below the target folder, and `CARGO_TARGET_DIR` moves
//! all of it.

use std::ffi::OsString;
use std::path::PathBuf;

/// The folders a task works with.
#[derive(Debug, Clone)]
pub struct Place {
    /// The clone.
    pub root: PathBuf,
    /// Build output, also the console's and the foreign clients'.
    pub target: PathBuf,
}

impl Place {
    /// The clone this program was started in.
    #[must_use]
    pub fn here() -> Self {
        // Clones may share a target folder, and with it this program: cargo says at the start in
        // which of them it runs, the build only knows which one built it.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().unwrap_or(&manifest).to_path_buf();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => root.join(dir),
            None => root.join("target"),
        };
        Self { root, target }
    }

    /// Where the built console goes, and where the binary's build looks for it.
    #[must_use]
    pub fn web_out(&self) -> PathBuf {
        self.target.join("web")
    }

    /// Clients of other people, for the tests that use them.
    #[must_use]
    pub fn outsiders(&self) -> PathBuf {
        self.target.join("outsiders")
    }

    /// The binary of the dev or the release profile.
    #[must_use]
    pub fn binary(&self, profile: Profile) -> PathBuf {
        let folder = match profile {
            Profile::Dev => "debug",
            Profile::Release => "release",
        };
        self.target.join(folder).join(format!("iotbiz{}", std::env::consts::EXE_SUFFIX))
    }
}

/// Which build of the binary is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Tests, demo and end to end.
    Dev,
    /// Measurements.
    Release,
}

/// The cargo that runs this task, so that a chosen toolchain stays chosen.
#[must_use]
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"))
}

/// Whether a program of this name is on the path.
#[must_use]
pub fn on_path(program: &str) -> bool {
    find_on_path(program).is_some()
}

/// The first program of this name on the path. Debian keeps daemons where only root's path looks.
#[must_use]
pub fn find_on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|dir| dir.join(program))
        .find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_holds_the_workspace_manifest() {
        assert!(Place::here().root.join("Cargo.lock").is_file());
    }

    #[test]
    fn a_missing_program_is_missing() {
        assert!(!on_path("no-such-program-iotbiz"));
    }
}
