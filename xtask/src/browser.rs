//! The console end to end: a demo with data of its own, and a real browser that uses it.
//!
//! *Invariant:* the demo is stopped and its data removed, however the run ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::outsiders;
use crate::place::{Place, Profile};
use crate::run;
use crate::steps::Tally;

/// Runs `web/e2e/run.mjs` against a fresh demo.
pub fn run(place: &Place) -> Result<Tally> {
    let script = place.root.join("web/e2e/run.mjs");
    if !script.is_file() {
        bail!("web/e2e/run.mjs is missing");
    }
    let chromium = outsiders::chromium()?;
    let pictures = place.target.join("pictures");
    fs::create_dir_all(&pictures).context("make the folder of the pictures")?;
    let demo = Demo::start(place)?;
    let mut node = Command::new("node");
    node.current_dir(place.root.join("web"))
        .arg(&script)
        .env("IOTBIZ_E2E_URL", &demo.address)
        .env("IOTBIZ_E2E_BOX", &demo.box_page)
        .env("IOTBIZ_E2E_SHOTS", &pictures)
        .env("IOTBIZ_E2E_CHROMIUM", chromium);
    let mut tally = Tally::default();
    let ok = run::each_line(&mut node, |line| match line.split_once(' ') {
        Some(("ok", _)) => tally.passed += 1,
        Some(("FAIL", _)) => tally.failed += 1,
        _ => {}
    })?;
    if !ok && tally.failed == 0 {
        bail!("web/e2e/run.mjs ended before it was done");
    }
    Ok(tally)
}

/// A demo on free ports, in a folder of its own.
#[derive(Debug)]
struct Demo {
    process: Child,
    data: PathBuf,
    address: String,
    /// Where phones join.
    box_page: String,
}

impl Demo {
    fn start(place: &Place) -> Result<Self> {
        let data = place.target.join(format!("e2e-{}", std::process::id()));
        let mut command = Command::new(place.binary(Profile::Dev));
        command
            .args(["demo", "--json", "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--data"])
            .arg(&data)
            // Its own past, which holds the whole of last month: the month is closed here.
            .arg("--lan=127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let process = command.spawn().context("start `iotbiz demo`")?;
        let mut demo = Self { process, data, address: String::new(), box_page: String::new() };
        let stdout = demo.process.stdout.take().context("read what `iotbiz demo` prints")?;
        let mut line = String::new();
        let mut reader = BufReader::new(stdout);
        reader.read_line(&mut line).context("read what `iotbiz demo` prints")?;
        let said: Value = serde_json::from_str(&line)
            .with_context(|| format!("`iotbiz demo --json` printed `{}`", line.trim()))?;
        let http = said["http"].as_str().context("`iotbiz demo --json` names no `http`")?;
        demo.address = format!("http://{}", http.trim_start_matches("http://"));
        said["box"].as_str().unwrap_or_default().clone_into(&mut demo.box_page);
        // The rest is read and dropped, so that the demo never waits for a full pipe.
        std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        Ok(demo)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Both may have happened already: the demo may have ended, the folder may never have been
        // made. Neither changes the verdict of the run.
        drop(self.process.kill());
        drop(self.process.wait());
        drop(fs::remove_dir_all(&self.data));
    }
}
