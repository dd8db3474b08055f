//! What a demo's venture began with: ideas that were judged, one of which became it.
//!
//! *Invariant:* they come in by the API as anybody's, before the past is simulated. In their own
//! words they say that a demo wrote them; no name, number or source of them is of a real company.

use std::time::Duration;

use anyhow::Context;
use blueprint::Blueprint;
use model::Timestamp;
use serde_json::{Value, json};

use crate::client::Client;

const DAY: Duration = Duration::from_secs(86_400);
/// How long before the first device of a demo its first idea was written down.
pub(super) const LEAD: Duration = Duration::from_secs(24 * 86_400);
/// How long before the first device its venture began.
const VENTURE_LEAD: Duration = Duration::from_secs(10 * 86_400);
/// A cell that was seen so long ago has to be looked up again.
const STALE_AGE: Duration = Duration::from_secs(240 * 86_400);
/// What an idea says of itself.
const MARK: &str = "Made for the demo: nobody asked for it.";
/// Where its numbers come from.
const SOURCE: &str = "made for the demo";

/// An idea of a demo, and what it was given for the formula in force at first.
struct Made {
    title: String,
    text: String,
    source: &'static str,
    name: &'static str,
    scores: Value,
}

/// When a demo's time is, and how it moves.
pub(super) struct Times<'a> {
    /// When the first device is added.
    pub(super) begins: Timestamp,
    pub(super) now: &'a dyn Fn() -> Timestamp,
    pub(super) moved: &'a dyn Fn(Timestamp),
}

/// Begins the venture of `text` with an idea, and lets time go on to its first device.
pub(super) fn begin(
    client: &Client,
    (blueprint, text): (&Blueprint, &str),
    times: &Times<'_>,
) -> anyhow::Result<()> {
    let [first, others @ ..] = ideas(blueprint);
    let id = settled(client, &first)?;
    for other in &others {
        (times.moved)((times.now)() + DAY);
        settled(client, other)?;
    }
    (times.moved)((times.now)() + DAY);
    let path = format!("/api/v1/ideas/{id}");
    let on = day((times.now)());
    client.call("PUT", &format!("{path}/market"), Some(&market(blueprint, &on)))?;
    let seen = day((times.now)() - STALE_AGE);
    client.call("PUT", &format!("{path}/competitors"), Some(&competitors(&on, &seen)))?;
    (times.moved)(times.begins - VENTURE_LEAD);
    let body = json!({ "venture": blueprint.venture, "text": named(text, &id) });
    client.call("POST", &format!("{path}/promote"), Some(&body))?;
    (times.moved)(times.begins);
    Ok(())
}

/// The idea as it is kept, scored; made when it is not there. A start that was cut short goes on.
fn settled(client: &Client, idea: &Made) -> anyhow::Result<String> {
    let known = client.get("/api/v1/ideas?status=all&limit=100")?;
    let mut known = known["items"].as_array().into_iter().flatten();
    let found = known.find(|one| one["title"] == idea.title.as_str()).cloned();
    let kept = match found {
        Some(kept) => kept,
        None => {
            let body = json!({
                "title": idea.title, "text": idea.text, "source": idea.source, "name": idea.name,
            });
            client.call("POST", "/api/v1/ideas", Some(&body))?
        }
    };
    let id = kept["id"].as_str().context("learn the id of an idea")?.to_owned();
    let scores = json!({ "inputs": idea.scores });
    client.call("PUT", &format!("/api/v1/ideas/{id}/scores"), Some(&scores))?;
    Ok(id)
}

/// The one that became the venture, and two that wait.
fn ideas(blueprint: &Blueprint) -> [Made; 3] {
    let why = blueprint.problem.as_deref().unwrap_or(&blueprint.title);
    let venture = Made {
        title: blueprint.title.chars().take(ideas::TITLE_CHARS_MAX).collect(),
        text: format!("{why}.\n\n{MARK}"),
        source: "customer",
        name: "a simulated customer",
        scores: json!({ "reach": 600, "impact": 3, "confidence": 0.8, "effort": 4 }),
    };
    let report = Made {
        title: "One page a month that an auditor accepts as it is".to_owned(),
        text: format!("Whoever is audited copies figures by hand into a form.\n\n{MARK}"),
        source: "partner",
        name: "a simulated partner",
        scores: json!({ "reach": 240, "impact": 2, "confidence": 0.5, "effort": 3 }),
    };
    let trial = Made {
        title: "A week to try it before anybody signs".to_owned(),
        text: format!("Who never saw it work asks for a discount instead.\n\n{MARK}"),
        source: "staff",
        name: "a simulated colleague",
        scores: json!({ "reach": 150, "impact": 1, "confidence": 0.6, "effort": 1 }),
    };
    [venture, report, trial]
}

/// A market whose two sizes cannot both be true, so that the warning is seen.
fn market(blueprint: &Blueprint, on: &str) -> Value {
    let currency = blueprint.currency_or_euro();
    let one = |value: String| json!({ "value": value, "on": on, "source": SOURCE });
    json!({
        "top_down": {
            "tam": one(format!("900000000 {currency}/year")),
            "sam": one(format!("120000000 {currency}/year")),
            "som": one(format!("54000000 {currency}/year")),
        },
        "bottom_up": {
            "customers": one("5000 customers".to_owned()),
            "devices": one("10 devices/customer".to_owned()),
            "price": { "typed": one(format!("9 {currency}/device/month")) },
        },
    })
}

/// One of two cells was seen too long ago.
fn competitors(on: &str, seen: &str) -> Value {
    let cell = |aspect: &str, value: &str, on: &str| {
        json!({
            "competitor": "a made-up rival", "aspect": aspect, "value": value, "on": on,
            "source": SOURCE,
        })
    };
    json!({ "cells": [
        cell("price", "199 once, nothing a month", on),
        cell("proof for auditors", "none", seen),
    ] })
}

/// The text with its idea in place of the first empty line, or else below the first one: what
/// documents say of a line of the template holds.
fn named(text: &str, id: &str) -> String {
    let line = format!("idea      = \"{id}\"");
    let mut named = false;
    let mut out = String::with_capacity(text.len() + line.len());
    for own in text.lines() {
        let here = !named && own.is_empty();
        named |= here;
        out.push_str(if here { &line } else { own });
        out.push('\n');
    }
    if named { out } else { text.to_owned() }
}

/// `2026-11-01`
fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use blueprint::templates;

    use super::*;

    #[test]
    fn a_venture_names_its_idea_and_every_line_of_its_template_stays_where_it_was() {
        let id = "ide_00000000000000000000000007";
        for template in templates() {
            let text = named(template.text, id);
            let made = Blueprint::parse(&text).blueprint.unwrap();
            assert_eq!(made.idea.as_deref(), Some(id), "{}", template.name);
            let differ = template.text.lines().zip(text.lines()).filter(|(was, is)| was != is);
            assert_eq!(differ.count(), 1, "{}", template.name);
            assert_eq!(template.text.lines().count(), text.lines().count());
        }
    }

    #[test]
    fn every_idea_of_a_demo_says_that_a_demo_made_it() {
        for template in templates() {
            let blueprint = Blueprint::parse(template.text).blueprint.unwrap();
            for idea in ideas(&blueprint) {
                assert!(idea.text.ends_with(MARK) && idea.name.contains("simulated"));
                assert!(idea.text.chars().count() <= ideas::TEXT_CHARS_MAX);
            }
        }
    }
}
