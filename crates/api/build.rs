//! Tells the compiler where the built console is: the folder `web` of the target folder, which
//! `cargo xtask web` fills.
//!
//! *Invariant:* without a console the crate builds all the same, and serves its plain page.

use std::path::Path;

#[expect(clippy::disallowed_methods, reason = "cargo talks to a build script by environment")]
fn main() {
    let out = std::env::var("OUT_DIR").unwrap_or_default();
    // <target>/<profile>/build/<crate>/out
    let target = Path::new(&out).ancestors().nth(4).unwrap_or_else(|| Path::new("target"));
    let console = target.join("web");
    // A folder that is missing would make cargo run this again at every build.
    if let Err(error) = std::fs::create_dir_all(&console) {
        println!("cargo::warning=cannot make {}: {error}", console.display());
    }
    println!("cargo::rustc-env=IOTBIZ_CONSOLE={}", console.display());
    println!("cargo::rerun-if-changed={}", console.display());
}
