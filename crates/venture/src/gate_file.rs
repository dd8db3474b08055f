//! The file a decision leaves: what was asked, on which aggregates, what followed, who decided.
//!
//! Canonical JSON on one line. `hash` is the SHA-256 of the same text without it.
//!
//! *Invariant:* [`verify`] makes the file again from its aggregates, and it comes out byte for
//! byte or the differences are named. A go against the verdict names the person and the reason.

use std::time::Duration;

use bizcase::Basis;
use expr::Comparison;
use model::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::canonical::canonical;
use crate::gate::{
    Aggregates, Counting, Criterion, Evaluation, Figure, Gate, Level, Verdict, evaluate,
};

/// The version of the format.
pub const FORMAT: u64 = 1;
/// The longest gate file.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;

/// What a person decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The next stage begins.
    Go,
    /// Later.
    Hold,
    /// Change it first.
    Rework,
    /// It ends.
    Stop,
}

/// Who decided what, where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minutes {
    /// The venture.
    pub venture: String,
    /// Revision of the blueprint the criteria are from.
    pub revision: u64,
    /// Offset of the log up to which figures were taken.
    pub offset: u64,
    /// What was decided.
    pub decision: Decision,
    /// Who decided.
    pub by: String,
    /// Why a go against the verdict is right.
    pub override_reason: Option<String>,
}

/// A decision with all it was judged on.
#[derive(Debug, Clone, PartialEq)]
pub struct GateFile {
    /// Who decided what.
    pub minutes: Minutes,
    /// The judged gate.
    pub evaluation: Evaluation,
}

/// What making a gate file again gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// The file, made again from its aggregates.
    pub file: GateFile,
    /// Its hash.
    pub hash: String,
    /// What differs from the text; empty if nothing does.
    pub differences: Vec<String>,
}

const DECISIONS: [(Decision, &str); 4] = [
    (Decision::Go, "go"),
    (Decision::Hold, "hold"),
    (Decision::Rework, "rework"),
    (Decision::Stop, "stop"),
];
const COMPARISONS: [Comparison; 6] = [
    Comparison::Less,
    Comparison::AtMost,
    Comparison::Greater,
    Comparison::AtLeast,
    Comparison::Equal,
    Comparison::Differs,
];
const BASES: [Basis; 5] =
    [Basis::Measured, Basis::Assumed, Basis::Simulated, Basis::Computed, Basis::Missing];

impl Decision {
    /// The word in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        DECISIONS.iter().find(|(known, _)| *known == self).map_or("hold", |(_, word)| word)
    }

    /// The decision of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        DECISIONS.iter().find(|(_, known)| *known == word).map(|(decision, _)| *decision)
    }
}

impl GateFile {
    /// Freezes a decision.
    ///
    /// # Errors
    /// A go against the verdict without a reason, or an override where none is needed.
    pub fn decide(evaluation: Evaluation, minutes: Minutes) -> Result<Self, Error> {
        let against = minutes.decision == Decision::Go && evaluation.verdict == Verdict::Hold;
        let reason = minutes.override_reason.as_deref().is_some_and(|r| !r.trim().is_empty());
        if (against && !reason) || (reason && !against) || minutes.by.trim().is_empty() {
            let (verdict, decision) = (evaluation.verdict.as_str(), minutes.decision.as_str());
            return Err(Error::NeedsOverride { verdict, decision });
        }
        Ok(Self { minutes, evaluation })
    }

    /// The file: canonical JSON and a line end.
    #[must_use]
    pub fn text(&self) -> String {
        let mut value = self.value();
        value["hash"] = json!(self.hash());
        canonical(&value) + "\n"
    }

    /// SHA-256 of the canonical text without the hash, as hexadecimal digits.
    #[must_use]
    pub fn hash(&self) -> String {
        let digest = Sha256::digest(canonical(&self.value()).as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn value(&self) -> Value {
        let Self { minutes: m, evaluation: e } = self;
        let seconds = |d: Option<Duration>| d.map_or(Value::Null, |d| json!(d.as_secs()));
        let criteria: Vec<Value> = e
            .judged
            .iter()
            .map(|j| {
                let figure = j.figure.as_ref().map_or(Value::Null, figure_json);
                json!({
                    "name": j.criterion.name, "level": j.criterion.level.as_str(),
                    "text": j.criterion.text, "metric": j.criterion.metric,
                    "comparison": j.criterion.comparison.as_str(), "target": j.criterion.target,
                    "figure": figure, "value": j.value, "state": j.state.as_str(),
                })
            })
            .collect();
        json!({
            "format": FORMAT, "venture": m.venture, "stage": e.gate.stage,
            "revision": m.revision, "offset": m.offset, "decided_at": e.at.to_string(),
            "over_seconds": seconds(e.gate.over), "fresh_seconds": seconds(e.gate.fresh),
            "counting": e.counting.as_str(), "criteria": criteria,
            "verdict": e.verdict.as_str(), "decision": m.decision.as_str(), "by": m.by,
            "override_reason": m.override_reason,
        })
    }
}

fn figure_json(figure: &Figure) -> Value {
    let aggregates = match figure.aggregates {
        Aggregates::Count(count) => json!({ "count": count }),
        Aggregates::Share { of, out_of } => json!({ "of": of, "out_of": out_of }),
        Aggregates::Quotient { of, by } => json!({ "sum": of, "by": by }),
        Aggregates::Belief { a, b, comparison, threshold } => json!({
            "a": a, "b": b, "comparison": comparison.as_str(), "threshold": threshold,
        }),
        Aggregates::Value(value) => json!({ "value": value }),
    };
    json!({
        "aggregates": aggregates, "basis": figure.basis.as_str(), "at": figure.at.to_string(),
        "offset": figure.offset, "revision": figure.revision,
    })
}

/// One object of a gate file.
struct Object<'a> {
    place: String,
    map: &'a Map<String, Value>,
}

fn bad<T>(reason: impl Into<String>) -> Result<T, Error> {
    Err(Error::GateFile { reason: reason.into() })
}

impl<'a> Object<'a> {
    fn of(value: &'a Value, place: &str) -> Result<Self, Error> {
        match value.as_object() {
            Some(map) => Ok(Self { place: place.to_owned(), map }),
            None => bad(format!("{place} is not an object")),
        }
    }

    fn get(&self, key: &str) -> Result<&'a Value, Error> {
        match self.map.get(key) {
            Some(value) => Ok(value),
            None => bad(format!("{} has no {key}", self.place)),
        }
    }

    fn text(&self, key: &str) -> Result<&'a str, Error> {
        match self.get(key)?.as_str() {
            Some(text) => Ok(text),
            None => bad(format!("{}.{key} is not a text", self.place)),
        }
    }

    fn number(&self, key: &str) -> Result<f64, Error> {
        match self.get(key)?.as_f64() {
            Some(number) => Ok(number),
            None => bad(format!("{}.{key} is not a number", self.place)),
        }
    }

    fn whole(&self, key: &str) -> Result<u64, Error> {
        match self.get(key)?.as_u64() {
            Some(number) => Ok(number),
            None => bad(format!("{}.{key} is not a whole number", self.place)),
        }
    }

    fn time(&self, key: &str) -> Result<Timestamp, Error> {
        let text = self.text(key)?;
        match text.parse() {
            Ok(time) => Ok(time),
            Err(_) => bad(format!("{}.{key} is not a time: {text}", self.place)),
        }
    }

    fn word<T: Copy>(&self, key: &str, known: &[(T, &str)]) -> Result<T, Error> {
        let text = self.text(key)?;
        match known.iter().find(|(_, word)| *word == text) {
            Some((value, _)) => Ok(*value),
            None => bad(format!("{}.{key} is {text}, which is unknown", self.place)),
        }
    }

    fn seconds(&self, key: &str) -> Result<Option<Duration>, Error> {
        if self.get(key)?.is_null() {
            return Ok(None);
        }
        self.whole(key).map(|seconds| Some(Duration::from_secs(seconds)))
    }

    fn comparison(&self, key: &str) -> Result<Comparison, Error> {
        self.word(key, &COMPARISONS.map(|c| (c, c.as_str())))
    }
}

fn read_figure(value: &Value, place: &str) -> Result<Option<Figure>, Error> {
    if value.is_null() {
        return Ok(None);
    }
    let figure = Object::of(value, place)?;
    let parts = Object::of(figure.get("aggregates")?, &format!("{place}.aggregates"))?;
    let has = |key: &str| parts.map.contains_key(key);
    let aggregates = if has("count") {
        Aggregates::Count(parts.whole("count")?)
    } else if has("out_of") {
        Aggregates::Share { of: parts.whole("of")?, out_of: parts.whole("out_of")? }
    } else if has("by") {
        Aggregates::Quotient { of: parts.number("sum")?, by: parts.number("by")? }
    } else if has("threshold") {
        Aggregates::Belief {
            a: parts.number("a")?,
            b: parts.number("b")?,
            comparison: parts.comparison("comparison")?,
            threshold: parts.number("threshold")?,
        }
    } else {
        Aggregates::Value(parts.number("value")?)
    };
    Ok(Some(Figure {
        aggregates,
        basis: figure.word("basis", &BASES.map(|b| (b, b.as_str())))?,
        at: figure.time("at")?,
        offset: figure.whole("offset")?,
        revision: figure.whole("revision")?,
    }))
}

fn read_criterion(value: &Value, place: &str) -> Result<(Criterion, Option<Figure>), Error> {
    let object = Object::of(value, place)?;
    let levels = [(Level::Must, "must"), (Level::Should, "should")];
    let criterion = Criterion {
        name: object.text("name")?.to_owned(),
        level: object.word("level", &levels)?,
        text: object.text("text")?.to_owned(),
        metric: object.text("metric")?.to_owned(),
        comparison: object.comparison("comparison")?,
        target: object.number("target")?,
    };
    Ok((criterion, read_figure(object.get("figure")?, &format!("{place}.figure"))?))
}

/// Makes a gate file again from its aggregates and compares it with the text, byte for byte.
///
/// # Errors
/// The text is no gate file of this format, or its decision was never allowed.
pub fn verify(text: &str) -> Result<Verified, Error> {
    if text.len() > FILE_BYTES_MAX {
        return Err(Error::TooMany {
            what: "bytes of a gate file",
            number: text.len(),
            limit: "FILE_BYTES_MAX",
            max: FILE_BYTES_MAX,
        });
    }
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => return bad(format!("not JSON: {error}")),
    };
    let file = Object::of(&value, "file")?;
    let format = file.whole("format")?;
    if format != FORMAT {
        return bad(format!("format {format} is not known, FORMAT = {FORMAT}"));
    }
    let Some(list) = file.get("criteria")?.as_array() else {
        return bad("criteria is not a list");
    };
    let mut criteria = Vec::new();
    let mut figures = std::collections::BTreeMap::new();
    for (i, item) in list.iter().enumerate() {
        let place = format!("criteria[{i}]");
        let (criterion, figure) = read_criterion(item, &place)?;
        if let Some(figure) = figure {
            let known = figures.insert(criterion.metric.clone(), figure.clone());
            if known.is_some_and(|known| known != figure) {
                return bad(format!("{place}: {} has two figures", criterion.metric));
            }
        }
        criteria.push(criterion);
    }
    let gate = Gate {
        stage: file.text("stage")?.to_owned(),
        over: file.seconds("over_seconds")?,
        fresh: file.seconds("fresh_seconds")?,
        criteria,
    };
    let countings = [(Counting::RealOnly, "real"), (Counting::Demo, "demo")];
    let counting = file.word("counting", &countings)?;
    let evaluation = evaluate(&gate, &figures, file.time("decided_at")?, counting)?;
    let minutes = Minutes {
        venture: file.text("venture")?.to_owned(),
        revision: file.whole("revision")?,
        offset: file.whole("offset")?,
        decision: file.word("decision", &DECISIONS)?,
        by: file.text("by")?.to_owned(),
        override_reason: file.get("override_reason")?.as_str().map(str::to_owned),
    };
    // Compared before the decision is judged: a verdict that was touched up should be named.
    let mut again = GateFile { minutes, evaluation };
    let differences = differences(&again, &value, text);
    if differences.is_empty() {
        again = GateFile::decide(again.evaluation, again.minutes)?;
    }
    Ok(Verified { hash: again.hash(), file: again, differences })
}

fn differences(again: &GateFile, value: &Value, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let recorded = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    for (i, judged) in again.evaluation.judged.iter().enumerate() {
        let item = &value["criteria"][i];
        let name = &judged.criterion.name;
        let state = item["state"].as_str().unwrap_or_default();
        if state != judged.state.as_str() {
            found.push(format!("{name} is recorded as {state}, it is {}", judged.state.as_str()));
        }
        if item["value"] != json!(judged.value) {
            found.push(format!(
                "{name} has the value {}, recorded is {}",
                json!(judged.value),
                item["value"]
            ));
        }
    }
    let verdict = again.evaluation.verdict.as_str();
    if recorded("verdict") != verdict {
        found.push(format!("the verdict is {verdict}, recorded is {}", recorded("verdict")));
    }
    if recorded("hash") != again.hash() {
        found.push(format!("the hash is {}, recorded is {}", again.hash(), recorded("hash")));
    }
    if found.is_empty() && again.text() != text {
        found.push("the text is not the canonical one: it was written or changed by hand".into());
    }
    found
}

impl Verified {
    /// Whether the file came out byte for byte.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.differences.is_empty()
    }

    /// What was found, for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = self.file.evaluation.text();
        let minutes = &self.file.minutes;
        out += &format!("decided: {} by {}", minutes.decision.as_str(), minutes.by);
        if let Some(reason) = &minutes.override_reason {
            out += &format!(", against the verdict: {reason}");
        }
        out += &format!("\nhash {}\n", self.hash);
        if self.is_same() {
            out += "the verdict follows from the file, byte for byte\n";
        }
        for difference in &self.differences {
            out += &format!("differs: {difference}\n");
        }
        out
    }

    /// What was found, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "same": self.is_same(), "hash": self.hash, "differences": self.differences,
            "verdict": self.file.evaluation.verdict.as_str(),
            "decision": self.file.minutes.decision.as_str(),
        })
    }
}
