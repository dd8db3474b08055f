//! How long a case takes: `cargo run --release -p bizcase --example case_speed -- FILE`.
//!
//! *Invariant:* it prints what was measured, what was asked and on how many threads, as rows that
//! `cargo xtask bench` takes; it judges nothing.

#![expect(clippy::print_stdout, reason = "a measurement is printed")]
#![expect(clippy::disallowed_methods, reason = "a measurement needs the clock of this machine")]

use std::time::Instant;

use bizcase::calc::sensitivity::Plan;
use bizcase::case::{Case, Run, SOBOL_POINTS};

fn main() {
    let path =
        std::env::args().nth(1).unwrap_or_else(|| "blueprints/coolbox/blueprint.toml".into());
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let case = match Case::parse(&text) {
        Ok(case) => case,
        Err(findings) => {
            findings.iter().for_each(|finding| print!("{}", finding.render(&path, &text)));
            return;
        }
    };
    for threads in [1, 2] {
        let start = Instant::now();
        let results = case.run(Run { trials: 100_000, seed: 1, threads });
        let took = start.elapsed().as_secs_f64();
        let mean = results.map_or(f64::NAN, |r| r.npv.mean);
        let months = case.horizon;
        println!(
            "case: 100,000 trials x {months} months, {threads} threads | < 1 s | {took:.2} s, mean \
             npv {mean:.0}"
        );
        let start = Instant::now();
        let plan = Plan { points: SOBOL_POINTS, seed: 1, threads };
        let inputs = case.sobol(plan).map_or(0, |indices| indices.len());
        let took = start.elapsed().as_secs_f64();
        println!(
            "case: Sobol indices, 2^14 points, {inputs} inputs, {threads} threads | < 10 s | \
             {took:.2} s"
        );
    }
}
