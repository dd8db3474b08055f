//! From the five answers to a blueprint.
//!
//! *Invariant:* an answer that is not understood is refused with an example; one that nobody knows
//! becomes an assumption with a wide range. What the case needs and nobody was asked is a guess
//! with its reason.

use super::parts::{self, Pace, Pays, Per, Proof, Radio, Source, Supply, When};
use super::write::{Sheet, quoted, title};
use super::{Draft, Guess, QUESTIONS, Shape, Subject, is_unknown};

/// An answer that was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Which question, from 0.
    pub question: usize,
    /// Why.
    pub why: String,
}

/// What was understood; `None` is what nobody knows.
#[derive(Default)]
struct Known {
    measures: Option<Vec<Guess>>,
    every: Option<Pace>,
    supply: Option<Supply>,
    pays: Option<Pays>,
    proof: Option<Proof>,
    proof_words: String,
}

/// A blueprint of the answers to [`QUESTIONS`]; fewer answers mean that nobody knows the rest.
///
/// # Errors
/// Every answer that is not understood.
pub fn founder(subject: &Subject, answers: &[String]) -> Result<Draft, Vec<Answered>> {
    let mut known = Known::default();
    let mut wrong = Vec::new();
    for (question, answer) in answers.iter().enumerate().take(QUESTIONS.len()) {
        if is_unknown(answer) {
            continue;
        }
        if let Err(why) = known.take(question, answer, subject) {
            wrong.push(Answered { question, why });
        }
    }
    if wrong.is_empty() { Ok(draft(subject, &known)) } else { Err(wrong) }
}

impl Known {
    fn take(&mut self, question: usize, answer: &str, subject: &Subject) -> Result<(), String> {
        match question {
            0 => self.measures = Some(parts::measures(answer)?),
            1 => self.every = Some(parts::every(answer)?),
            2 => self.supply = Some(parts::supply(answer)?),
            3 => self.pays = Some(parts::pays(answer, subject.kind.as_str())?),
            _ => {
                self.proof = Some(parts::proof(answer)?);
                answer.trim().clone_into(&mut self.proof_words);
            }
        }
        Ok(())
    }
}

fn draft(subject: &Subject, known: &Known) -> Draft {
    let mut guesses = known.measures.clone().unwrap_or_else(|| vec![unknown_reading()]);
    let mut taken: Vec<String> = Vec::new();
    guesses.retain(|guess| {
        let new = !taken.contains(&guess.name);
        taken.push(guess.name.clone());
        new
    });
    let pace = if let Some(Pace::Each(every)) = known.every { Some(every) } else { None };
    for guess in &mut guesses {
        guess.every = pace;
    }
    let mut sheet = Sheet::new();
    head(&mut sheet, subject, known, &guesses);
    sheet.readings(subject, &guesses);
    power(&mut sheet, subject, known.supply.as_ref());
    silence(&mut sheet, subject, pace);
    plan(&mut sheet, subject, known.pays.as_ref());
    unknowns(&mut sheet, known);
    demand(&mut sheet, known);
    case(&mut sheet, known);
    gate(&mut sheet);
    sheet.finish()
}

/// Where nobody knows what is measured, a text is sent until somebody does.
fn unknown_reading() -> Guess {
    Guess {
        name: "note".to_owned(),
        shape: Shape::Text,
        counter: false,
        every: None,
        sent_as: Vec::new(),
        why: "nobody knows yet what is measured, see assumption.measurable".to_owned(),
    }
}

fn head(sheet: &mut Sheet, subject: &Subject, known: &Known, guesses: &[Guess]) {
    sheet.head(subject, &title(subject, guesses));
    if let Some(segment) = known.pays.as_ref().and_then(|pays| pays.segment.as_ref()) {
        sheet.words("segment", segment);
    }
    match &known.pays {
        Some(pays) => sheet.words("currency", &pays.currency),
        None => sheet.guess("currency", "\"EUR\"", "no price was said"),
    }
}

fn power(sheet: &mut Sheet, subject: &Subject, supply: Option<&Supply>) {
    let Some(Source::Battery { mah, lasts }) = supply.and_then(|supply| supply.source.as_ref())
    else {
        return;
    };
    sheet.section(&format!("device.{}.power", subject.kind));
    match mah {
        Some(mah) => sheet.words("battery", &format!("{mah} mAh")),
        None => sheet.guess("battery", "\"2400 mAh\"", "a common AA lithium cell"),
    }
    sheet.guess("sleep", "\"10 uA\"", "measure it: a board asleep takes 2 to 100 uA");
    let (active, session) = match supply.and_then(|supply| supply.radio) {
        Some(Radio::Lora) => ("40 mA", "1.5 s"),
        Some(Radio::Gateway) => ("10 mA", "100 ms"),
        Some(Radio::Satellite) => ("200 mA", "20 s"),
        Some(Radio::Local) => ("120 mA", "3 s"),
        Some(Radio::Cellular) | None => ("100 mA", "6 s"),
    };
    sheet.guess("active", &quoted(active), "measure it: current while the radio is on");
    sheet.guess("session", &quoted(session), "measure it: how long the radio is on");
    match lasts {
        Some(lasts) => sheet.words("lasts", lasts),
        None => sheet.guess("lasts", "\"2 years\"", "how long a battery must last was not said"),
    }
}

/// A device that falls silent is worth knowing as soon as readings are expected.
fn silence(sheet: &mut Sheet, subject: &Subject, pace: Option<std::time::Duration>) {
    let Some(every) = pace else { return };
    sheet.section("alarm.lost");
    sheet.words("device", subject.kind.as_str());
    let window = format!("\"silent({})\"", crate::duration::human(every * 3));
    sheet.guess("when", &window, "three readings that did not come");
    sheet.words("severity", "warning");
}

fn price_unit(pays: &Pays) -> String {
    let per = match pays.per {
        Per::Device => "/device",
        Per::Customer => "/customer",
    };
    let when = match pays.when {
        When::Once => "",
        When::Day => "/day",
        When::Month => "/month",
        When::Year => "/year",
    };
    format!("{}{per}{when}", pays.currency)
}

fn plan(sheet: &mut Sheet, subject: &Subject, pays: Option<&Pays>) {
    let Some(pays) = pays else { return };
    let by_day = pays.when == When::Day && pays.per == Per::Device;
    if by_day {
        sheet.section(&format!("usage.{}_days", subject.kind));
        sheet.words("device", subject.kind.as_str());
        sheet.words("measure", "days_with_reading");
    }
    sheet.section("plan.standard");
    let Some((value, unit)) = billed(pays) else { return };
    let price = quoted(&format!("{value} {unit}"));
    let line = match pays.when {
        When::Once => format!("{{ once = {price} }}"),
        When::Day if by_day => {
            format!("{{ usage = \"{}_days\", price = {price} }}", subject.kind)
        }
        When::Day | When::Month | When::Year => format!("{{ flat = {price} }}"),
    };
    if pays.up_to.is_some() {
        sheet.guess("fee", &line, "the lower end of the range you said");
    } else if !pays.per_was_said {
        sheet.guess("fee", &line, "for each device, as nothing else was said");
    } else if value != pays.amount {
        sheet.guess("fee", &line, "by the month: plans bill by month or by day");
    } else {
        sheet.line("fee", &line);
    }
}

/// The price as a plan can bill it: by device and day, or by month.
fn billed(pays: &Pays) -> Option<(rust_decimal::Decimal, String)> {
    let month = Pays { when: When::Month, ..pays.clone() };
    match (pays.when, pays.per) {
        (When::Once | When::Month, _) | (When::Day, Per::Device) => {
            Some((pays.amount, price_unit(pays)))
        }
        (When::Day, Per::Customer) => {
            Some((pays.amount.checked_mul(30.into())?, price_unit(&month)))
        }
        (When::Year, _) => {
            let each = pays.amount.checked_div(12.into())?;
            Some((each.round_dp(2).normalize(), price_unit(&month)))
        }
    }
}

/// An assumption for each answer that nobody knows.
fn unknowns(sheet: &mut Sheet, known: &Known) {
    if known.measures.is_none() {
        sheet.assumption(
            "measurable",
            &[
                (
                    "says",
                    "At least half of what customers ask to know can be measured by one device",
                ),
                ("count", "measured / asked"),
                ("holds", ">= 50 %"),
                ("guess", "5 to 95 %"),
            ],
        );
    }
    if known.every.is_none() {
        sheet.assumption(
            "interval",
            &[
                ("says", "A reading each hour is often enough"),
                ("holds", "<= 60 min"),
                ("guess", "1 to 1440 min"),
            ],
        );
    }
    if known.supply.as_ref().is_none_or(|supply| supply.radio.is_none()) {
        let currency = known.pays.as_ref().map_or("EUR", |pays| pays.currency.as_str());
        sheet.assumption(
            "radio_cost",
            &[
                ("says", "The connection costs at most one a month for each device"),
                ("holds", &format!("<= 1 {currency}/device/month")),
                ("guess", &format!("0.05 to 10 {currency}/device/month")),
            ],
        );
    }
    if known.supply.as_ref().is_none_or(|supply| supply.source.is_none()) {
        sheet.assumption(
            "power_life",
            &[
                ("says", "A device runs for two years before somebody has to go there"),
                ("holds", ">= 24 months"),
                ("guess", "2 to 120 months"),
            ],
        );
    }
    if known.pays.is_none() {
        sheet.assumption(
            "price",
            &[
                ("says", "Customers pay at least three euros a month for each device"),
                ("holds", ">= 3 EUR/device/month"),
                ("guess", "0.3 to 30 EUR/device/month"),
            ],
        );
    }
}

/// The proof as an assumption with its experiment.
fn demand(sheet: &mut Sheet, known: &Known) {
    let Some(proof) = &known.proof else {
        sheet.assumption(
            "demand",
            &[
                ("says", "Of the customers we ask, at least one in five signs"),
                ("count", "signed / asked"),
                ("holds", ">= 20 %"),
                ("guess", "1 to 90 %"),
            ],
        );
        experiment(sheet, 20.0, None, ("pay", false));
        return;
    };
    sheet.section("assumption.demand");
    sheet.words("says", &known.proof_words);
    sheet.line("count", if proof.kind == "pay" { "\"signed / asked\"" } else { "\"yes / asked\"" });
    sheet.words("holds", &format!(">= {} %", rounded(proof.share)));
    let wide = "nobody has asked yet, so the range is wide";
    sheet.guess("guess", "\"1 to 90 %\"", wide);
    experiment(sheet, proof.share, proof.asked, (proof.kind, proof.kind_was_said));
}

fn rounded(share: f64) -> f64 {
    (share * 10.0).round() / 10.0
}

fn experiment(sheet: &mut Sheet, share: f64, asked: Option<u64>, (kind, said): (&str, bool)) {
    sheet.section("experiment.first");
    sheet.words("tests", "demand");
    let how = "say < do < pay < build < measure: what they do is stronger than what they say";
    if said {
        sheet.words("kind", kind);
    } else {
        sheet.guess("kind", &quoted(kind), how);
    }
    match asked {
        Some(asked) => sheet.line("asked", &asked.to_string()),
        None => sheet.guess("asked", "40", "how many are asked was not said"),
    }
    sheet.words("pass", &format!(">= {} %", rounded(share)));
    let kill = quoted(&format!("< {} %", rounded(share / 3.0).max(0.1)));
    sheet.guess("kill", &kill, "a third of it; set it before you ask, it cannot move afterwards");
}

/// The case, as soon as there is a price; what nobody was asked is wide.
fn case(sheet: &mut Sheet, known: &Known) {
    let Some(pays) = &known.pays else { return };
    let currency = pays.currency.as_str();
    sheet.section("case");
    sheet.guess("horizon", "\"60 months\"", "how far to look ahead");
    sheet.guess("discount", "\"10 %/year\"", "what your money costs");
    sheet.guess("reachable", "\"50 to 5000 customers\"", "count them: who could buy it");
    sheet.guess("fleet_size", "\"2 to 20 devices/customer\"", "ask three customers");
    sheet.line("share", "\"assumption.demand\"");
    let bass = "{ bass_p = \"0.01/year\", bass_q = \"0.3/year\" }";
    sheet.guess("adoption", bass, "as slowly as new equipment is usually taken up (Bass)");
    sheet.guess("churn", "\"0.5 to 5 %/month\"", "how many customers leave");
    sheet.line("revenue", "\"standard\"");
    sheet.section("case.cost");
    let bom = quoted(&format!("15 to 150 {currency}/device"));
    sheet.guess("device", &bom, "parts and assembly; ask for two offers");
    radio(sheet, known, currency);
    let cloud = quoted(&format!("0.02 to 0.5 {currency}/device/month"));
    sheet.guess("cloud", &cloud, "a server shared by many devices");
}

fn radio(sheet: &mut Sheet, known: &Known, currency: &str) {
    let radio = known.supply.as_ref().and_then(|supply| supply.radio);
    let paid_by_data = matches!(radio, Some(Radio::Cellular | Radio::Satellite));
    if paid_by_data && !matches!(known.every, Some(Pace::Each(_))) {
        let line = quoted(&format!("0.2 to 20 {currency}/device/month"));
        sheet.guess("radio", &line, "by data, and how often it sends is not known");
        return;
    }
    let tariff = |fixed: &str, data: &str, increment: &str| {
        format!(
            "{{ fixed = \"{fixed} {currency}/device/month\", data = \"{data} {currency}/MB\", \
             increment = \"{increment}\" }}"
        )
    };
    match radio {
        None => sheet.line("radio", "\"assumption.radio_cost\""),
        Some(Radio::Cellular) => {
            let line = tariff("0.2 to 1.5", "0.01 to 0.3", "1 kB");
            sheet.guess("radio", &line, "ask the operator for the fee, the MB and the increment");
        }
        Some(Radio::Satellite) => {
            let line = tariff("2 to 15", "100 to 1500", "50 B");
            sheet.guess("radio", &line, "ask the operator for the fee, the MB and the increment");
        }
        Some(Radio::Lora) => {
            let line = quoted(&format!("0.05 to 1 {currency}/device/month"));
            sheet.guess("radio", &line, "a network of others, or the share of an own gateway");
        }
        Some(Radio::Local | Radio::Gateway) => {
            let line = quoted(&format!("0.01 to 0.5 {currency}/device/month"));
            sheet.guess("radio", &line, "the customer's own network, or the share of a gateway");
        }
    }
}

fn gate(sheet: &mut Sheet) {
    sheet.section("gate.validate.must");
    let line = "\"assumption.demand.probability >= 80 %\"";
    sheet.guess("demand", line, "how sure you want to be before you build");
}
