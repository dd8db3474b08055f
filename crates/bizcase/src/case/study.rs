//! A case and everything that is asked of it at once: figures, fan, what moves it, where it breaks
//! even, and how the figure came to be.
//!
//! *Invariant:* the text and the JSON of a study are functions of (case, trials, seed, points).

use std::fmt::Write as _;

use serde_json::json;

use super::report::Spread;
use super::{Bar, BreakEven, Case, Importance, Results, Risk, Run, Source};
use crate::calc::sensitivity::Plan;
use crate::error::Error;
use crate::explain::Explain;
use crate::text::figure;

/// Base points of the Sobol indices.
pub const SOBOL_POINTS: u32 = 1 << 14;

/// The whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// What the trials say.
    pub results: Results,
    /// Inputs one at a time, widest first.
    pub tornado: Vec<Bar>,
    /// Inputs alone and with others, most important first; empty if nothing is uncertain.
    pub importance: Vec<Importance>,
    /// Where the net present value is zero; inputs that cannot bring it there are left out.
    pub break_even: Vec<BreakEven>,
    /// The value at the medians, down to its inputs.
    pub explain: Explain,
    /// What was assumed where the file is silent.
    pub notes: Vec<String>,
    /// What may go wrong, the costliest first.
    pub risks: Vec<RiskLine>,
}

/// One line of the risk register; every trial draws whether it happens.
#[derive(Debug, Clone, PartialEq)]
pub struct RiskLine {
    /// Its name.
    pub name: String,
    /// Who watches it; empty: nobody.
    pub owner: String,
    /// What it is.
    pub says: String,
    /// Probability within the horizon.
    pub probability: f64,
    /// What it costs, at the median.
    pub money: f64,
    /// In which month.
    pub month: u32,
}

impl RiskLine {
    /// Probability x money.
    #[must_use]
    pub fn expected(&self) -> f64 {
        self.probability * self.money
    }
}

impl Case {
    /// The risk register, the costliest first.
    #[must_use]
    pub fn risk_register(&self) -> Vec<RiskLine> {
        let numbers = self.medians();
        let line = |risk: &Risk| RiskLine {
            name: risk.name.clone(),
            owner: risk.owner.clone(),
            says: risk.says.clone(),
            probability: risk.chance,
            money: numbers[risk.money],
            month: risk.month,
        };
        let mut all: Vec<RiskLine> = self.risks.iter().map(line).collect();
        all.sort_by(|a, b| b.expected().total_cmp(&a.expected()).then_with(|| a.name.cmp(&b.name)));
        all
    }
}

impl Case {
    /// Runs the case and asks everything of it.
    ///
    /// # Errors
    /// As [`Case::run`] and [`Case::sobol`].
    pub fn study(&self, run: Run, points: u32) -> Result<Study, Error> {
        let plan = Plan { points, seed: run.seed, threads: run.threads };
        let importance = if self.uncertain().is_empty() { Vec::new() } else { self.sobol(plan)? };
        let mut break_even = Vec::new();
        for variable in &self.variables {
            if matches!(variable.source, Source::Drawn(_)) {
                break_even.extend(self.break_even(&variable.name)?);
            }
        }
        Ok(Study {
            results: self.run(run)?,
            tornado: self.tornado(),
            importance,
            break_even,
            explain: self.explain(),
            notes: self.study_notes(),
            risks: self.risk_register(),
        })
    }
}

impl Case {
    fn study_notes(&self) -> Vec<String> {
        let mut notes = self.notes.clone();
        if !self.correlations.is_empty() {
            let note = "assumed: tornado, Sobol and break-even move one input by itself; the \
                        correlations are in all other figures";
            notes.push(note.to_owned());
        }
        notes
    }
}

impl Study {
    /// Everything for programs; one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        let tornado = self.tornado.iter().map(
            |bar| json!({ "input": bar.name, "npv_at_p10": bar.at_p10, "npv_at_p90": bar.at_p90 }),
        );
        let sobol = self.importance.iter().map(|input| {
            json!({
                "input": input.name, "first": input.indices.first, "total": input.indices.total,
            })
        });
        let break_even = self.break_even.iter().map(|zero| {
            json!({
                "input": zero.name, "median": zero.now, "npv_zero_at": zero.at_zero,
                "unit": zero.unit,
            })
        });
        let risks = self.risks.iter().map(|risk| {
            json!({
                "name": risk.name, "owner": risk.owner, "says": risk.says,
                "probability": risk.probability, "money": risk.money,
                "expected": risk.expected(), "month": risk.month,
            })
        });
        let mut json = self.results.json();
        json["risks"] = risks.collect();
        json["tornado"] = tornado.collect();
        json["sobol"] = sobol.collect();
        json["break_even"] = break_even.collect();
        json["assumed"] = json!(self.notes);
        json["explain"] = self.explain.json();
        json.to_string()
    }

    /// Everything for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let r = &self.results;
        let money = r.currency.as_str();
        writeln!(out, "{} trials, seed {}, simulated", amount(f64::from(r.trials)), r.seed)?;
        writeln!(out, "\n{:<30}{:>14}{:>14}{:>14}{:>14}", "", "mean", "p10", "p50", "p90")?;
        let mut row = |name: &str, spread: Option<&Spread>| -> std::fmt::Result {
            match spread {
                Some(s) => writeln!(
                    out,
                    "{name:<30}{:>14}{:>14}{:>14}{:>14}",
                    amount(s.mean),
                    amount(s.p10),
                    amount(s.p50),
                    amount(s.p90)
                ),
                None => writeln!(out, "{name:<30}{:>14}", "none"),
            }
        };
        row(&format!("npv, {money}"), Some(&r.npv))?;
        row("irr, %/year", r.irr.map(percent).as_ref())?;
        row("payback, months", r.payback.as_ref())?;
        row(&format!("cash trough, {money}"), Some(&r.trough))?;
        row("cash trough, month", Some(&r.trough_month))?;
        row(&format!("margin, {money}/device/month"), r.margin.as_ref())?;
        row(&format!("lifetime value, {money}/device"), Some(&r.lifetime_value))?;
        row("lifetime value / cost to win", r.ltv_cac.as_ref())?;
        self.write_rest(out)
    }

    fn write_risks(&self, out: &mut String, money: &str) -> std::fmt::Result {
        if !self.risks.is_empty() {
            writeln!(out, "\n{:<30}{:>14}{money:>14}{:>14}  owner", "risk", "chance", "expected")?;
        }
        for risk in &self.risks {
            let owner = if risk.owner.is_empty() { "nobody" } else { &risk.owner };
            writeln!(
                out,
                "{:<30}{:>12} %{:>14}{:>14}  {owner}",
                risk.name,
                amount(100.0 * risk.probability),
                amount(risk.money),
                amount(risk.expected())
            )?;
        }
        Ok(())
    }

    fn write_rest(&self, out: &mut String) -> std::fmt::Result {
        let r = &self.results;
        let money = r.currency.as_str();
        let share = |x: f64| amount(100.0 * x);
        writeln!(out, "\nchance that npv is above 0: {} %", share(r.npv_above_zero))?;
        writeln!(out, "chance that it never pays back: {} %", share(r.never_pays_back))?;
        let rates: Vec<String> = r.irr_of_mean.iter().map(|x| share(*x)).collect();
        let rates = if rates.is_empty() { "none".to_owned() } else { rates.join(", ") };
        write!(out, "rates of return of the mean cash, %/year: {rates}")?;
        if let Some(mirr) = r.mirr_of_mean {
            write!(out, "; modified: {}", share(mirr))?;
        }
        writeln!(
            out,
            "\n\n{:<8}{:>14}{:>14}{:>14}{:>14}",
            "month", "cash p5", "p50", "p95", "devices"
        )?;
        for m in r.months.iter().filter(|m| m.month % 12 == 0) {
            let (c, b) = (m.cumulative, m.base.p50);
            let cash = [c.p5, c.p50, c.p95].map(amount);
            let [low, middle, high] = cash;
            writeln!(out, "{:<8}{low:>14}{middle:>14}{high:>14}{:>14}", m.month, amount(b))?;
        }
        if !self.tornado.is_empty() {
            writeln!(
                out,
                "\n{:<30}{:>14}{:>14}{:>9}{:>9}",
                format!("npv moves with, {money}"),
                "at p10",
                "at p90",
                "alone",
                "in all"
            )?;
        }
        for bar in &self.tornado {
            let index = self.importance.iter().find(|i| i.name == bar.name).map(|i| i.indices);
            let (alone, all) = index.map_or((0.0, 0.0), |i| (i.first, i.total));
            writeln!(
                out,
                "{:<30}{:>14}{:>14}{:>7} %{:>7} %",
                bar.name,
                amount(bar.at_p10),
                amount(bar.at_p90),
                amount(100.0 * alone),
                amount(100.0 * all)
            )?;
        }
        if !self.break_even.is_empty() {
            writeln!(out, "\nnpv is 0, all else at its median, when")?;
        }
        for zero in &self.break_even {
            let (zero_at, now) = (figure(rounded(zero.at_zero)), figure(rounded(zero.now)));
            let line = format!("  {:<28} {zero_at:>14} instead of {now} {}", zero.name, zero.unit);
            writeln!(out, "{}", line.trim_end())?;
        }
        self.write_risks(out, money)?;
        for line in r.warnings().iter().chain(&self.notes) {
            writeln!(out, "note: {line}")?;
        }
        Ok(())
    }
}

fn percent(s: Spread) -> Spread {
    let p = |x: f64| 100.0 * x;
    Spread {
        mean: p(s.mean),
        sd: p(s.sd),
        p5: p(s.p5),
        p10: p(s.p10),
        p50: p(s.p50),
        p90: p(s.p90),
        p95: p(s.p95),
        count: s.count,
    }
}

/// Four significant digits.
fn rounded(x: f64) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let scale = libm::pow(10.0, 3.0 - libm::floor(libm::log10(x.abs())));
    libm::round(x * scale) / scale
}

/// A number for people: no decimals from a thousand on, thousands apart.
fn amount(x: f64) -> String {
    let decimals = match x.abs() {
        a if a >= 999.5 => 0,
        a if a >= 99.95 => 1,
        _ => 2,
    };
    let text = format!("{:.decimals$}", x.abs());
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let mut out = String::new();
    if x < 0.0 && text.bytes().any(|b| b.is_ascii_digit() && b != b'0') {
        out.push('-');
    }
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    let part = part.trim_end_matches('0');
    if !part.is_empty() {
        out.push('.');
        out += part;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_like_amounts() {
        let shown = [0.0, -0.001, 4.25, 12.0, -1234.5, 1_234_567.8, 123.45].map(amount);
        assert_eq!(shown, ["0", "0", "4.25", "12", "-1,234", "1,234,568", "123.5"]);
        assert_eq!(rounded(123_456.0), 123_500.0);
        assert_eq!(rounded(-0.001_234_56), -0.001_235);
    }
}
