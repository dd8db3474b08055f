//! GETs paths over kept connections, one request under way on each.
//!
//! *Invariant:* an answer other than 200, or one without its length, ends the run.

use std::error::Error;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::histogram::Histogram;
use crate::stopwatch::Stopwatch;

const HEAD_END: &[u8] = b"\r\n\r\n";

/// How much of what.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Address of the server
    #[arg(long)]
    target: SocketAddr,
    /// A file with a path in each line; connections take them in turns
    #[arg(long)]
    paths: PathBuf,
    /// Connections
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Seconds that are measured
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

/// Runs the load; gives what it counted.
pub(crate) fn run(options: &Options) -> Result<Value, Box<dyn Error>> {
    let requests: Vec<Vec<u8>> = fs::read_to_string(&options.paths)?
        .lines()
        .map(|path| format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", options.target).into_bytes())
        .collect();
    if requests.is_empty() {
        return Err(format!("{} holds no path", options.paths.display()).into());
    }
    let mut readers: Vec<Reader> = (0..options.connections)
        .map(|number| Reader::new(options.target, number))
        .collect::<io::Result<_>>()?;
    let mut latencies = Histogram::new();
    let watch = Stopwatch::start();
    let (mut answers, mut bytes) = (0_u64, 0_u64);
    while (watch.micros() as f64) < options.seconds * 1e6 {
        for reader in &mut readers {
            if let Some(answer) = reader.turn(&requests, watch)? {
                answers += 1;
                bytes += answer.bytes as u64;
                latencies.add(answer.micros);
            }
        }
    }
    let seconds = watch.micros() as f64 / 1e6;
    Ok(json!({
        "answers": answers,
        "seconds": seconds,
        "answers_per_s": answers as f64 / seconds,
        "bytes_of_answer": bytes.checked_div(answers).unwrap_or(0),
        "p50_ms": latencies.millis(0.5),
        "p99_ms": latencies.millis(0.99),
    }))
}

/// A connection and what it has read of an answer.
struct Reader {
    stream: TcpStream,
    next: usize,
    asked: Option<u64>,
    input: Vec<u8>,
    filled: usize,
}

struct Answer {
    micros: u64,
    bytes: usize,
}

impl Reader {
    fn new(target: SocketAddr, number: usize) -> io::Result<Self> {
        let stream = TcpStream::connect(target)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, next: number, asked: None, input: vec![0; 256 * 1024], filled: 0 })
    }

    /// Asks when nothing is asked, otherwise listens.
    fn turn(&mut self, requests: &[Vec<u8>], watch: Stopwatch) -> io::Result<Option<Answer>> {
        let Some(asked) = self.asked else {
            let request = requests.get(self.next % requests.len()).map_or(&[][..], Vec::as_slice);
            // A request is small and the socket is empty, so it goes as a whole.
            self.stream.write_all(request)?;
            self.next = self.next.wrapping_add(1);
            self.asked = Some(watch.micros());
            return Ok(None);
        };
        let Some(room) = self.input.get_mut(self.filled..) else { return Ok(None) };
        match self.stream.read(room) {
            Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server hung up")),
            Ok(bytes) => self.filled += bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
        let filled = self.input.get(..self.filled).unwrap_or_default();
        let Some(length) = length(filled)? else { return Ok(None) };
        if self.filled < length {
            return Ok(None);
        }
        self.filled = 0;
        self.asked = None;
        Ok(Some(Answer { micros: watch.micros() - asked, bytes: length }))
    }
}

/// The bytes of a whole answer, once its head is there.
fn length(input: &[u8]) -> io::Result<Option<usize>> {
    let invalid = |text: String| io::Error::new(ErrorKind::InvalidData, text);
    let at = input.windows(HEAD_END.len()).position(|window| window == HEAD_END);
    let Some(head) = at.and_then(|at| input.get(..at)) else { return Ok(None) };
    let head_text = String::from_utf8_lossy(head);
    let mut lines = head_text.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200") {
        return Err(invalid(format!("the server answered `{status}`")));
    }
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .ok_or_else(|| invalid("the answer tells no content-length".to_owned()))?;
    Ok(Some(head.len() + HEAD_END.len() + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_as_long_as_it_says() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(length(text).unwrap(), Some(text.len()));
        assert_eq!(length(b"HTTP/1.1 200 OK\r\nConte").unwrap(), None);
    }

    #[test]
    fn an_answer_that_is_no_success_ends_the_run() {
        let error = length(b"HTTP/1.1 404 Not Found\r\n\r\n").unwrap_err();
        assert!(error.to_string().contains("404"), "{error}");
        assert!(length(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
