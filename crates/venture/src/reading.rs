//! A blueprint read as a whole: by the language of the blueprint, and by the engine that will
//! compute its case.
//!
//! *Invariant:* what this takes can be computed, and what the case engine would refuse later is
//! refused here, with its place.

use bizcase::case::FindingKind;
use bizcase::{Case, Finding};
use blueprint::{Blueprint, Diagnostic, Parsed};
use expr::Span;

/// Reads and checks a source; all findings come at once. A case that lacks something is a note: it
/// can be applied and finished later.
#[must_use]
pub fn parse(source: &str) -> Parsed {
    let mut parsed = Blueprint::parse(source);
    let has_case = parsed.blueprint.as_ref().is_some_and(|blueprint| blueprint.case.is_some());
    let Err(findings) = (if has_case { Case::parse(source).map(drop) } else { Ok(()) }) else {
        return parsed;
    };
    if findings.iter().any(|finding| finding.kind == FindingKind::Wrong) {
        parsed.blueprint = None;
    }
    parsed.diagnostics.extend(findings.into_iter().map(diagnostic));
    parsed.diagnostics.sort_by_key(|found| (found.severity, found.span.start));
    parsed
}

fn diagnostic(finding: Finding) -> Diagnostic {
    let span = Span { start: finding.span.start, end: finding.span.end };
    let message = format!("{}: {}", finding.key, finding.reason);
    match finding.kind {
        FindingKind::Wrong => Diagnostic::case_refused(span, message, finding.fix),
        FindingKind::Missing => Diagnostic::case_unfinished(span, message, finding.fix),
    }
}

#[cfg(test)]
mod tests {
    use blueprint::{Severity, templates};

    use super::parse;

    fn coolbox() -> String {
        let found = templates().iter().find(|template| template.name == "coolbox");
        found.unwrap().text.to_owned()
    }

    /// Codes and severities of what is found in coolbox with one place changed.
    fn found(from: &str, to: &str) -> Vec<(&'static str, Severity)> {
        let text = coolbox().replacen(from, to, 1);
        assert_ne!(text, coolbox(), "{from}");
        let parsed = parse(&text);
        let errors = parsed.diagnostics.iter().any(|d| d.severity == Severity::Error);
        assert_eq!(parsed.blueprint.is_none(), errors);
        let known = ["B504", "B520"];
        let new = parsed.diagnostics.iter().filter(|d| !known.contains(&d.code));
        new.map(|d| (d.code, d.severity)).collect()
    }

    #[test]
    fn every_template_is_taken_by_both_readers() {
        for template in templates() {
            let parsed = parse(template.text);
            let wrong = parsed.diagnostics.iter().find(|d| d.severity != Severity::Warning);
            assert!(parsed.blueprint.is_some() && wrong.is_none(), "{}: {wrong:?}", template.name);
        }
    }

    #[test]
    fn a_blueprint_may_say_all_that_the_case_engine_knows() {
        let churn = "churn      = { value = \"1.2 to 2.5 %/month\", actual = \"fleet.churn\" }";
        let adoption = "adoption   = { bass_p = \"0.012/year\", bass_q = \"0.31/year\" }";
        let costs = "[case.cost]\n";
        for (from, to) in [
            (churn, "churn = { alpha = \"0.67\", beta = \"3.8\" }"),
            (adoption, "adoption = { added = \"100 devices/month\", launch = \"month 3\" }"),
            (
                churn,
                "survival = { weibull_shape = \"1.5\", weibull_scale = \"8 years\", then = \"lost\" }",
            ),
            (costs, "[case.cost]\nbattery = { each = \"12 EUR/device\", every = \"3 years\" }\n"),
            (
                costs,
                "[case.cost]\nback = { each = \"2 EUR/device\", per = \"left\", as_of = \"2026-01\" }\n",
            ),
            (
                costs,
                "[case.cost]\nparts = { each = \"9 EUR/device\", volume = { \"1000\" = \"8 EUR/device\" } }\n",
            ),
            (
                costs,
                "[case.cost]\nrent = { each = \"2 EUR/month\", from = \"month 3\", until = \"month 20\", growth = \"3 %/year\" }\n",
            ),
            (
                costs,
                "[case.cost]\nads = { each = \"20 EUR/device\", counts = \"acquisition\", source = \"offer\" }\n",
            ),
            (
                costs,
                "[case.cost]\nmap = { fixed = \"0.10 EUR/device/month\", data = \"0.02 EUR/MB\", sessions = \"24/device/day\", payload = \"1 kB\" }\n",
            ),
        ] {
            assert_eq!(found(from, to), [], "{to}");
        }
    }

    #[test]
    fn what_the_case_engine_refuses_is_refused_when_the_blueprint_is_checked() {
        let costs = "[case.cost]\n";
        for to in [
            "[case.income]\nx = \"5 USD/device/month\"\n[case.cost]\n",
            "[case.correlation]\n\"reachable with nope\" = 0.5\n[case.cost]\n",
            "[case.correlation]\n\"reachable with churn\" = 0.9\n\"churn with cost.bom\" = 0.9\n\
             \"reachable with cost.bom\" = -0.9\n[case.cost]\n",
            "[case.cost]\nx = { total = \"5 EUR\", at = \"month 99\" }\n",
        ] {
            assert_eq!(found(costs, to), [("B529", Severity::Error)], "{to}");
        }
    }

    #[test]
    fn a_case_that_lacks_something_can_be_applied_and_finished_later() {
        let without = "adoption   = { bass_p = \"0.012/year\", bass_q = \"0.31/year\" }\n";
        assert_eq!(found(without, ""), [("B530", Severity::Note)]);
    }
}
