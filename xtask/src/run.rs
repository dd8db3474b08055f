//! Running other programs: what they print is shown as it comes, and may be counted.
//!
//! *Invariant:* a child never waits for somebody to type: its standard input is empty.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs to the end and shows the output; an exit code other than 0 is an error.
pub fn shown(command: &mut Command) -> Result<()> {
    let name = text(command);
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("start `{name}`"))?;
    if !status.success() {
        bail!("`{name}` ended with {status}");
    }
    Ok(())
}

/// Runs to the end and gives the standard output.
pub fn captured(command: &mut Command) -> Result<String> {
    let name = text(command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("start `{name}`"))?;
    if !output.status.success() {
        bail!("`{name}` ended with {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{name}` printed no UTF-8"))
}

/// Runs to the end, shows each line of the standard output and hands it to `line`. The result says
/// whether the program ended well.
pub fn each_line(command: &mut Command, mut line: impl FnMut(&str)) -> Result<bool> {
    let name = text(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start `{name}`"))?;
    if let Some(stdout) = child.stdout.take() {
        for text in BufReader::new(stdout).lines() {
            let text = text.with_context(|| format!("read what `{name}` prints"))?;
            println!("{text}");
            line(&text);
        }
    }
    Ok(child.wait().with_context(|| format!("wait for `{name}`"))?.success())
}

/// The command as a person would type it.
#[must_use]
pub fn text(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_exit_is_an_error_that_names_the_command() {
        let error = shown(Command::new("sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert!(error.contains("sh -c exit 3") && error.contains('3'), "{error}");
    }

    #[test]
    fn every_line_is_handed_over() {
        let mut lines = Vec::new();
        let ok = each_line(Command::new("sh").args(["-c", "echo a; echo b; exit 1"]), |line| {
            lines.push(line.to_owned());
        })
        .unwrap();
        assert!(!ok);
        assert_eq!(lines, ["a", "b"]);
    }
}
