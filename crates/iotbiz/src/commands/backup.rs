//! `iotbiz backup` and `iotbiz restore`: copies of a data folder, checked, drilled, brought back.
//!
//! *Invariant:* they talk to no server: they read the folder, so they work beside a running server,
//! after a crash, and when nobody knows a token. Whoever may read the folder may copy it.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::backup::archive::{self, Kind};
use crate::backup::drill::{Receipt, drill};
use crate::backup::manifest::Manifest;
use crate::backup::restore::{check, refuse_taken, restore};
use crate::backup::shelf::{ERASED, Shelf};
use crate::backup::take::take;
use crate::cli::Format;
use crate::exit::{self, Failure};
use crate::output;

/// Backups that a folder keeps unless told otherwise.
const KEEP: usize = 14;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct BackupArgs {
    #[command(subcommand)]
    command: Option<BackupCommand>,
    #[command(flatten)]
    take: Option<TakeArgs>,
}

#[derive(Debug, Args)]
pub(crate) struct TakeArgs {
    /// Folder that holds backups, or FILE.tar or FILE.tar.zst for a single one.
    #[arg(value_name = "DIR|FILE")]
    to: PathBuf,
    /// Data folder of the server, which may be running.
    #[arg(long, default_value = "iotbiz-data", value_name = "DIR")]
    data: PathBuf,
    /// Backups to keep in the folder; older ones are removed.
    #[arg(long, default_value_t = KEEP, value_name = "N", value_parser = keep)]
    keep: usize,
}

fn keep(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a number of backups from 1 on".to_owned()),
        Ok(keep) => Ok(keep),
    }
}

#[derive(Debug, Args)]
pub(crate) struct FromArgs {
    /// Folder or file that `iotbiz backup` made.
    #[arg(value_name = "BACKUP")]
    from: PathBuf,
    /// Which backup of the folder; `iotbiz backup list` names them. Default: the newest.
    #[arg(long, value_name = "NAME")]
    at: Option<String>,
    /// Folder for what has to be unpacked or tried. Default: where the backup is.
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// List the backups of a folder.
    #[command(after_help = "Example: iotbiz backup list /backups/iotbiz")]
    List(FromArgs),
    /// Read every byte of a backup and compare it with its checksum.
    #[command(after_help = "Example: iotbiz backup verify /backups/iotbiz")]
    Verify(FromArgs),
    /// Restore a backup for a trial, start a server on it, compare, and print a receipt.
    #[command(after_help = "Example: iotbiz backup drill /backups/iotbiz")]
    Drill(FromArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    backup: FromArgs,
    /// Data folder to make; it must not be there, or be empty.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// A newer list of erasures than the one beside the backup (erased.jsonl); may be repeated.
    #[arg(long, value_name = "FILE")]
    erased: Vec<PathBuf>,
}

/// A backup that can be read; what was unpacked goes with it.
struct Opened {
    shelf: Shelf,
    /// The folder of what was unpacked, which goes away with this.
    unpacked: Option<tempfile::TempDir>,
}

fn open(args: &FromArgs) -> anyhow::Result<Opened> {
    if archive::kind(&args.from) == Kind::Folder || args.from.is_dir() {
        return Ok(Opened { shelf: Shelf::look(&args.from)?, unpacked: None });
    }
    let work = work(args)?;
    let folder = work.path().join("backup");
    archive::unpack(&args.from, &folder)?;
    Ok(Opened { shelf: Shelf::look(&folder)?, unpacked: Some(work) })
}

/// A folder that goes away with its value.
fn work(args: &FromArgs) -> anyhow::Result<tempfile::TempDir> {
    let parent = args.work.clone().unwrap_or_else(|| archive::parent(&args.from).to_owned());
    tempfile::Builder::new()
        .prefix(".iotbiz-work-")
        .tempdir_in(&parent)
        .with_context(|| format!("make a folder in {}", parent.display()))
}

fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::no_length();
    let style = "{spinner} {elapsed} {bytes} {binary_bytes_per_sec} {msg}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}

pub(crate) fn run(args: &BackupArgs, format: Format) -> anyhow::Result<()> {
    match (&args.command, &args.take) {
        (Some(BackupCommand::List(from)), _) => list(from, format),
        (Some(BackupCommand::Verify(from)), _) => verify(from, format),
        (Some(BackupCommand::Drill(from)), _) => try_out(from, format),
        (None, Some(args)) => save(args, format),
        (None, None) => Err(Failure::new(exit::USAGE, "no place for the backup is named")
            .fix("name a folder or a file: iotbiz backup DIR")
            .into()),
    }
}

fn save(args: &TakeArgs, format: Format) -> anyhow::Result<()> {
    let into_file = archive::kind(&args.to) != Kind::Folder && !args.to.is_dir();
    let root = if into_file { archive::beside(&args.to, ".making") } else { args.to.clone() };
    refuse_inside(&root, &args.data)?;
    let mut shelf = Shelf::open(&root)?;
    let bar = bar();
    let (name, manifest) = take(&args.data, &mut shelf, &mut |path, bytes| {
        bar.inc(bytes);
        bar.set_message(path.to_owned());
    })?;
    let written = shelf.written();
    // A file holds one; an older one may be left of a run that was killed.
    let removed = shelf.prune(if into_file { 1 } else { args.keep })?;
    drop(shelf);
    if into_file {
        bar.set_message("packing");
        archive::pack(&root, &args.to)?;
        std::fs::remove_dir_all(&root).with_context(|| format!("remove {}", root.display()))?;
    }
    bar.finish_and_clear();
    told(&name, &manifest, (written, removed), format)?;
    if manifest.files.iter().any(|file| file.path.ends_with(".key")) {
        output::talk(
            "The backup holds the private keys of your authorities and hashes of passwords and \
             tokens:\nwhoever reads it can pose as your server. Its files are readable by their \
             owner only.",
        );
    }
    elsewhere(&manifest);
    if manifest.damage.is_empty() {
        return Ok(());
    }
    let what = format!("backup {name} was taken of a data folder that is damaged");
    let failure = Failure::new(exit::CHECK_FAILED, what);
    let failure = manifest.damage.iter().fold(failure, |failure, damage| failure.why(damage));
    Err(failure.fix("keep the older backups, and look at it: iotbiz fsck DIR").into())
}

/// Says what is not in a backup.
fn elsewhere(manifest: &Manifest) {
    if let Some(place) = &manifest.history.place {
        output::talk(&format!(
            "History is not in the backup: it lies in {place}, and a restored server does not \
             write there.\nName a new prefix in history.url for it: what the log still has is \
             written there again, and the\nold files stay readable where they are."
        ));
    }
}

/// A backup inside of the data folder would be lost with it, and copy itself.
fn refuse_inside(root: &Path, data: &Path) -> anyhow::Result<()> {
    let full = |path: &Path| std::path::absolute(path).context("find the working folder");
    if !full(root)?.starts_with(full(data)?) {
        return Ok(());
    }
    Err(Failure::new(exit::USAGE, format!("{} is inside of the data folder", root.display()))
        .fix("name a folder elsewhere, best on another disk")
        .into())
}

fn told(
    name: &str,
    manifest: &Manifest,
    (written, removed): (u64, usize),
    format: Format,
) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::json(&json!({
            "backup": name, "offset": manifest.log.last, "bytes": manifest.bytes(),
            "new_bytes": written, "files": manifest.files.len(), "took_ms": manifest.took_ms,
            "devices": manifest.devices(), "history_rows": manifest.history.rows,
            "history_place": manifest.history.place,
            "damage": manifest.damage, "removed_backups": removed,
        }));
    }
    let rows = [
        ("backup", name.to_owned()),
        ("offset", format!("{} (everything acknowledged up to here)", manifest.log.last)),
        ("files", manifest.files.len().to_string()),
        ("bytes", format!("{}, {written} of them new", manifest.bytes())),
        ("devices", manifest.devices().to_string()),
        ("rows of history", manifest.history.rows.to_string()),
        ("took", format!("{} ms", manifest.took_ms)),
    ];
    let rows = rows.into_iter().map(|(what, value)| vec![what.to_owned(), value]);
    output::table(&["WHAT", "VALUE"], rows.collect())
}

fn list(args: &FromArgs, format: Format) -> anyhow::Result<()> {
    let opened = open(args)?;
    let mut backups = Vec::new();
    for name in opened.shelf.names()? {
        backups.push(opened.shelf.backup(Some(&name))?);
    }
    if format == Format::Json {
        let all = backups.iter().map(|backup| {
            let manifest = &backup.manifest;
            json!({
                "backup": backup.name, "at": manifest.at, "offset": manifest.log.last,
                "bytes": manifest.bytes(), "files": manifest.files.len(),
                "damage": manifest.damage, "made_by": manifest.made_by,
            })
        });
        return output::json(&all.collect::<Vec<_>>());
    }
    let rows = backups.iter().map(|backup| {
        let manifest = &backup.manifest;
        let health = match manifest.damage.len() {
            0 => "ok".to_owned(),
            count => format!("{count} damaged places in the data folder"),
        };
        vec![
            backup.name.clone(),
            manifest.log.last.to_string(),
            manifest.bytes().to_string(),
            manifest.files.len().to_string(),
            health,
        ]
    });
    output::table(&["BACKUP", "OFFSET", "BYTES", "FILES", "WHEN TAKEN"], rows.collect())
}

fn verify(args: &FromArgs, format: Format) -> anyhow::Result<()> {
    let opened = open(args)?;
    let backup = opened.shelf.backup(args.at.as_deref())?;
    let bar = bar();
    check(&opened.shelf, &backup.name, &backup.manifest, &mut |bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    let (files, bytes) = (backup.manifest.files.len(), backup.manifest.bytes());
    if format == Format::Json {
        return output::json(&json!({
            "backup": backup.name, "whole": true, "files": files, "bytes": bytes,
        }));
    }
    output::line(&format!("{} is whole: {files} files, {bytes} bytes", backup.name))
}

fn try_out(args: &FromArgs, format: Format) -> anyhow::Result<()> {
    let opened = open(args)?;
    let backup = opened.shelf.backup(args.at.as_deref())?;
    let folder = work(args)?;
    let bar = bar();
    let receipt = drill(&opened.shelf, &backup, folder.path(), &mut |bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    print_receipt(&receipt, format)?;
    if receipt.good() {
        return Ok(());
    }
    Err(Failure::new(exit::CHECK_FAILED, format!("backup {} failed its drill", receipt.backup))
        .fix("take another backup and drill it; keep the older ones until one is good")
        .into())
}

fn print_receipt(receipt: &Receipt, format: Format) -> anyhow::Result<()> {
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let times = [
        ("verify", receipt.verify),
        ("restore", receipt.restore),
        ("start", receipt.start),
        ("all", receipt.total),
    ];
    if format == Format::Json {
        let findings = receipt.findings.iter().map(|finding| {
            json!({
                "what": finding.what, "found": finding.found, "expected": finding.expected,
                "verdict": finding.verdict.word(),
            })
        });
        return output::json(&json!({
            "backup": receipt.backup, "good": receipt.good(),
            "findings": findings.collect::<Vec<_>>(),
            "verify_ms": millis(receipt.verify), "restore_ms": millis(receipt.restore),
            "start_ms": millis(receipt.start), "total_ms": millis(receipt.total),
        }));
    }
    let findings = receipt.findings.iter().map(|finding| {
        vec![
            finding.what.to_owned(),
            finding.found.clone(),
            finding.expected.clone(),
            finding.verdict.word().to_owned(),
        ]
    });
    let times = times.iter().map(|(what, time)| {
        vec![
            format!("time to {what}"),
            format!("{} ms", millis(*time)),
            String::new(),
            String::new(),
        ]
    });
    output::table(&["DRILL", "FOUND", "MANIFEST", "VERDICT"], findings.chain(times).collect())
}

pub(crate) fn bring_back(args: &RestoreArgs, format: Format) -> anyhow::Result<()> {
    // Before anything is unpacked or read.
    refuse_taken(&args.into)?;
    let opened = open(&args.backup)?;
    let backup = opened.shelf.backup(args.backup.at.as_deref())?;
    let mut lists = args.erased.clone();
    // Beside a file may lie a newer list than the one inside.
    let beside = archive::parent(&args.backup.from).join(ERASED);
    if opened.unpacked.is_some() && beside.is_file() {
        lists.push(beside);
    }
    let bar = bar();
    let (shelf, manifest) = (&opened.shelf, &backup.manifest);
    check(shelf, &backup.name, manifest, &mut |bytes| bar.inc(bytes))?;
    let restored = restore((shelf, manifest), &args.into, &lists, &mut |bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    let into = args.into.display().to_string();
    if format == Format::Json {
        return output::json(&json!({
            "backup": backup.name, "into": into, "offset": manifest.log.last,
            "files": manifest.files.len(), "bytes": manifest.bytes(),
            "erased_again": restored.erased, "damage": manifest.damage,
            "history_place": manifest.history.place,
        }));
    }
    output::line(&format!(
        "{into} holds backup {}: everything acknowledged up to offset {}",
        backup.name, manifest.log.last
    ))?;
    if restored.erased > 0 {
        output::line(&format!("{} erasures were played again", restored.erased))?;
    }
    elsewhere(manifest);
    output::talk(&format!("Start it: iotbiz run --data {into}"));
    Ok(())
}
