//! Mutated input for every parser that reads what strangers send.
//!
//! *Invariant:* a run is decided by its seed and corpus, apart from how far it gets; a panic, a
//! parser slower than [`SLOW_MAX`] and an input that reads back as something else each end it with
//! the input in a file.
//!
//! Not guided by coverage, which stable Rust does not offer: an input is kept when its outcome (the
//! words of the error without figures, or the shape of the result) was not seen before.
//!
//! `cargo xtask test` runs each parser for a minute; `cargo xtask test --fuzz-seconds 600` longer.
#![expect(clippy::print_stdout, reason = "it reports by printing")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

mod mutate;
mod parsers;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser as _;

use mutate::Mutator;
use parsers::Parser;

/// No input may keep a parser longer, on a slow machine and without optimisation.
const SLOW_MAX: Duration = Duration::from_millis(500);
/// The longest input that is tried.
const INPUT_BYTES_MAX: usize = 64 * 1024;
/// Inputs of new outcomes that are kept in memory.
const KEPT_MAX: usize = 4_096;

/// Mutates a corpus and feeds it to a parser.
#[derive(Debug, clap::Parser)]
struct Arguments {
    /// Which parser; all of them, one after the other, by default
    parser: Vec<Parser>,
    /// Seconds for each
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// The same seed tries the same inputs
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder with a folder of inputs for each parser
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))]
    corpus: PathBuf,
    /// Write inputs with new outcomes into the corpus
    #[arg(long)]
    keep: bool,
}

/// What a run did.
struct Report {
    executions: u64,
    outcomes: usize,
    slowest: Duration,
    took: Duration,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let chosen =
        if arguments.parser.is_empty() { Parser::ALL.to_vec() } else { arguments.parser.clone() };
    // A panic is reported with its input, below.
    std::panic::set_hook(Box::new(|_| {}));
    for parser in chosen {
        let report = run(parser, &arguments)?;
        println!(
            "PASS fuzz {}: {:.0} executions/s, {} outcomes, slowest {:.1} ms, {:.0} s",
            parser.as_str(),
            report.executions as f64 / report.took.as_secs_f64(),
            report.outcomes,
            report.slowest.as_secs_f64() * 1e3,
            report.took.as_secs_f64(),
        );
    }
    Ok(())
}

fn run(parser: Parser, arguments: &Arguments) -> Result<Report> {
    let folder = arguments.corpus.join(parser.as_str());
    let mut corpus = read(&folder, parser)?;
    let mut seen = BTreeSet::new();
    let mut mutator = Mutator::new(arguments.seed);
    let target = parser.target();
    let began = Instant::now();
    let until = Duration::from_secs_f64(arguments.seconds);
    let (mut executions, mut slowest) = (0_u64, Duration::ZERO);
    for input in corpus.clone() {
        seen.insert(attempt(&target, &input, parser)?.0);
    }
    while began.elapsed() < until {
        let input = mutator.next(&corpus, INPUT_BYTES_MAX);
        let (outcome, took) = attempt(&target, &input, parser)?;
        executions += 1;
        slowest = slowest.max(took);
        if seen.insert(outcome) && corpus.len() < KEPT_MAX {
            if arguments.keep {
                keep(&folder, &input)?;
            }
            corpus.push(input);
        }
    }
    Ok(Report { executions, outcomes: seen.len(), slowest, took: began.elapsed() })
}

/// One execution: its outcome and how long it took.
fn attempt(
    target: &dyn Fn(&[u8]) -> String,
    input: &[u8],
    parser: Parser,
) -> Result<(String, Duration)> {
    let began = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
    let took = began.elapsed();
    let failed = |what: String| -> Result<(String, Duration)> {
        let file = std::env::temp_dir().join(format!("iotbiz-fuzz-{}.bin", parser.as_str()));
        fs::write(&file, input).context("write the input")?;
        println!("FAIL fuzz {}: {what}; the input is in {}", parser.as_str(), file.display());
        bail!("{}: {what}", parser.as_str())
    };
    match outcome {
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            failed(format!("panic: {}", text.unwrap_or("without words")))
        }
        Ok(_) if took > SLOW_MAX => failed(format!("took {took:?}")),
        Ok(outcome) => Ok((plain(&outcome), took)),
    }
}

/// An outcome without its figures and quoted texts, so that it tells a place and not an input.
fn plain(outcome: &str) -> String {
    let mut quoted = false;
    let mut out = String::new();
    for c in outcome.chars() {
        match c {
            '"' | '`' => quoted = !quoted,
            c if quoted || c.is_ascii_digit() => {}
            c if c.is_ascii() => out.push(c),
            _ => {}
        }
        if out.len() >= 160 {
            break;
        }
    }
    out
}

fn read(folder: &Path, parser: Parser) -> Result<Vec<Vec<u8>>> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .with_context(|| format!("read the corpus {}", folder.display()))?
        .collect::<std::io::Result<Vec<_>>>()?
        .iter()
        .map(fs::DirEntry::path)
        .collect();
    // The order of a folder differs from machine to machine; a seed must not.
    files.sort();
    let mut corpus: Vec<Vec<u8>> = files.iter().map(fs::read).collect::<std::io::Result<_>>()?;
    corpus.extend(parser.own());
    if corpus.is_empty() {
        bail!("the corpus {} is empty", folder.display());
    }
    Ok(corpus)
}

fn keep(folder: &Path, input: &[u8]) -> Result<()> {
    let name = input.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    });
    fs::write(folder.join(format!("{name:016x}.bin")), input).context("keep an input")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_tells_a_place_and_not_an_input() {
        assert_eq!(plain("line 12: \"temprature\" is unknown"), plain("line 7: \"x\" is unknown"));
        assert_ne!(plain("line 1: too long"), plain("line 1: too short"));
    }

    #[test]
    fn every_parser_has_a_corpus_and_takes_it_without_a_panic() {
        for parser in Parser::ALL {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(parser.as_str());
            let target = parser.target();
            for input in read(&folder, parser).unwrap() {
                target(&input);
            }
        }
    }
}
