//! `iotbiz export`: the blueprint in force, or readings as a file for other programs.
//!
//! *Invariant:* a file under its name is whole: it is written aside and renamed, and what broke off
//! is removed.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::commands::apply;
use crate::output;

/// How readings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileFormat {
    /// Text; the units stand in a comment before the header.
    Csv,
    /// One Parquet file; units are metadata of its columns.
    Parquet,
    /// An Arrow IPC stream; units are metadata of its columns.
    Arrow,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The venture; may be left out when there is only one.
    venture: Option<String>,
    /// Readings of all devices of this kind instead of the blueprint.
    #[arg(long)]
    kind: Option<String>,
    /// Readings of this device instead of the blueprint.
    #[arg(long)]
    device: Option<String>,
    /// Readings from this time on, RFC 3339; default: all.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Readings before this time, RFC 3339; default: all.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// How readings are written.
    #[arg(long, value_enum, default_value = "csv", value_name = "FORMAT")]
    format: FileFormat,
    /// File to write; default: standard output.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl FileFormat {
    const fn word(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }
}

pub(crate) fn run(args: &ExportArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    if args.kind.is_none() && args.device.is_none() {
        let text = apply::export(args.venture.as_deref(), client)?;
        return match &args.out {
            None => output::print(&text),
            Some(file) => whole(file, |out| Ok(out.write_all(text.as_bytes())?)),
        };
    }
    let path = path(args);
    let Some(file) = &args.out else {
        let mut out = io::stdout().lock();
        return match copy(&mut client.bytes(&path)?, &mut out, &ProgressBar::hidden()) {
            // Whoever read it has enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            copied => copied.map(|_| ()).context("read the export to its end"),
        };
    };
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {bytes} {bytes_per_sec}") {
        bar.set_style(style);
    }
    let mut bytes = 0;
    whole(file, |out| {
        bytes = copy(&mut client.bytes(&path)?, out, &bar).context("read the export to its end")?;
        Ok(())
    })?;
    bar.finish_and_clear();
    if format == Format::Json {
        return output::json(
            &json!({ "file": file, "bytes": bytes, "format": args.format.word() }),
        );
    }
    output::line(&format!("{} bytes in {}", bytes, file.display()))
}

fn path(args: &ExportArgs) -> String {
    let pairs = [
        ("venture", &args.venture),
        ("kind", &args.kind),
        ("device", &args.device),
        ("from", &args.from),
        ("to", &args.to),
    ];
    let asked = pairs.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let asked: String = asked.map(|(name, value)| format!("&{name}={}", encoded(value))).collect();
    format!("/api/v1/export?format={}{asked}", args.format.word())
}

/// Copies to the end; an answer that breaks off is an error.
fn copy(from: &mut dyn io::Read, to: &mut dyn Write, bar: &ProgressBar) -> io::Result<u64> {
    /// Bytes copied at once.
    const AT_ONCE: usize = 64 << 10;
    let mut buffer = vec![0; AT_ONCE];
    let mut bytes = 0;
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            to.flush()?;
            return Ok(bytes);
        }
        to.write_all(buffer.get(..read).unwrap_or_default())?;
        bytes += read as u64;
        bar.set_position(bytes);
    }
}

/// Writes a file aside, and under its name when it is whole.
fn whole(
    file: &Path,
    write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut aside = file.as_os_str().to_owned();
    aside.push(".part");
    let aside = PathBuf::from(aside);
    let place = || format!("write {}", file.display());
    let mut out = BufWriter::new(File::create(&aside).with_context(place)?);
    let written = write(&mut out).and_then(|()| {
        out.flush()?;
        out.get_ref().sync_all()?;
        std::fs::rename(&aside, file)?;
        Ok(())
    });
    if written.is_err() {
        // What is told is why it broke off; the part is of no use to anybody.
        let _left = std::fs::remove_file(&aside).is_err();
    }
    written.with_context(place)
}
