//! The five questions, on a terminal or with the answers piped in.
//!
//! *Invariant:* a line is an answer, an empty line means "don't know"; a piped answer that is not
//! understood ends the command, on a terminal it is asked again, [`TRIES_MAX`] times.

use std::io::{BufRead, Read};

use anyhow::Context;
use blueprint::draft::{Answered, Draft, QUESTIONS, Subject, founder};

use crate::exit::{self, Failure};
use crate::output;

/// How often a question is asked again.
const TRIES_MAX: usize = 3;
/// All answers together.
const ANSWERS_BYTES_MAX: u64 = 64 * 1024;

/// The lines of standard input.
pub(super) fn piped() -> anyhow::Result<Vec<String>> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(ANSWERS_BYTES_MAX).read_to_string(&mut text);
    read.context("read the answers from standard input")?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn failure(wrong: &[Answered]) -> Failure {
    let what = match wrong.len() {
        1 => "an answer was not understood".to_owned(),
        count => format!("{count} answers were not understood"),
    };
    let mut failure = Failure::new(exit::USAGE, what);
    for Answered { question, why } in wrong {
        let Some(asked) = QUESTIONS.get(*question) else { continue };
        failure = failure.why(format!("line {}: {} {why}", question + 1, asked.asks));
        failure = failure.fix(format!("write for example {:?}, or \"don't know\"", asked.example));
    }
    failure
}

pub(super) fn of_answers(subject: &Subject, answers: &[String]) -> Result<Draft, Failure> {
    let more = answers.iter().skip(QUESTIONS.len()).filter(|line| !line.trim().is_empty()).count();
    if more > 0 {
        let what = format!("{more} lines more than {} questions", QUESTIONS.len());
        return Err(Failure::new(exit::USAGE, what)
            .fix("write one answer a line, in the order of the questions: iotbiz init --help"));
    }
    founder(subject, answers).map_err(|wrong| failure(&wrong))
}

pub(super) fn on_terminal(subject: &Subject) -> anyhow::Result<Draft> {
    output::talk("Five questions. Leave a line empty where nobody knows.");
    let mut answers = Vec::new();
    for (number, question) in QUESTIONS.iter().enumerate() {
        output::talk(&format!("\n{}. {}", number + 1, question.asks));
        output::talk(&format!("   for example: {}", question.example));
        answers.push(one(subject, &answers)?);
    }
    Ok(founder(subject, &answers).map_err(|wrong| failure(&wrong))?)
}

/// Asks until the answer is understood.
fn one(subject: &Subject, before: &[String]) -> anyhow::Result<String> {
    for _ in 0..TRIES_MAX {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line).context("read the answer")?;
        if read == 0 {
            return Err(Failure::new(exit::USAGE, "the answers ended before the questions").into());
        }
        let mut answers = before.to_vec();
        answers.push(line.trim().to_owned());
        match founder(subject, &answers) {
            Ok(_) => return Ok(line.trim().to_owned()),
            Err(wrong) => {
                for Answered { why, .. } in wrong {
                    output::talk(&format!("   not understood: {why}"));
                }
            }
        }
    }
    output::talk("   it stands as something nobody knows; write it into the file yourself");
    Ok(String::new())
}
