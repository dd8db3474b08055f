//! The binary, and a server of it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// Runs the binary to its end.
pub(crate) fn iotbiz(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_iotbiz"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("IOTBIZ_URL")
        .env_remove("IOTBIZ_TOKEN")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A server and the folder it works in.
pub(crate) struct Server {
    process: Child,
    pub(crate) folder: PathBuf,
    pub(crate) said: Value,
    _temporary: tempfile::TempDir,
}

/// How a server is ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// SIGTERM: it stops in order.
    Asked,
    /// SIGKILL: it has no chance to do anything.
    Killed,
}

fn spawn(folder: &Path, arguments: &[&str]) -> (Child, Value) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_iotbiz"))
        .args(["run", "--json", "--data", "data", "--listen", "127.0.0.1:0"])
        .args(["--mqtt", "127.0.0.1:0"])
        .args(arguments)
        .current_dir(folder)
        .env("IOTBIZ_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
    (process, said)
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::on(tempfile::tempdir().unwrap(), arguments)
    }

    /// On a folder that holds `data` already.
    pub(crate) fn on(temporary: tempfile::TempDir, arguments: &[&str]) -> Self {
        let folder = temporary.path().to_owned();
        let (process, said) = spawn(&folder, arguments);
        Self { process, folder, said, _temporary: temporary }
    }

    pub(crate) fn restart(&mut self, end: End, arguments: &[&str]) {
        self.end(end);
        (self.process, self.said) = spawn(&self.folder, arguments);
    }

    /// Ends it; whether it ended well.
    pub(crate) fn end(&mut self, end: End) -> bool {
        match end {
            End::Killed => self.process.kill().unwrap(),
            End::Asked => {
                let pid = self.process.id().to_string();
                Command::new("kill").args(["-TERM", &pid]).status().unwrap();
            }
        }
        self.process.wait().unwrap().success()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.said["http"].as_str().unwrap())
    }

    /// A command against this server that must go well; gives its standard output.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "iotbiz {}: {out}{err}", arguments.join(" "));
        out
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let out = self.ok(&[arguments, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
    }

    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        iotbiz(&self.folder, &[arguments, &["--server", &self.url()]].concat())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
