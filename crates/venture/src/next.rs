//! Which experiment next: what its information is worth, less its cost, per day.
//!
//! *Invariant:* an experiment is never worth more than knowing for sure, and never less than
//! nothing before its cost.

use bizcase::Explain;
use bizcase::calc::evidence::BetaBelief;
use bizcase::special::ln_beta;
use expr::Comparison;

use crate::Error;
use crate::belief::share_holds;

/// The most people or things an experiment can ask.
pub const ASKED_MAX: u64 = 100_000;

/// What going on brings if a claim holds, and loses if it does not; stopping is worth 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stake {
    /// Money won if it holds.
    pub win: f64,
    /// Money lost if it does not, as a positive number.
    pub lose: f64,
}

/// An experiment about a share.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// What is believed of the share now.
    pub belief: BetaBelief,
    /// On which side of the threshold the claim holds.
    pub comparison: Comparison,
    /// The threshold.
    pub threshold: f64,
    /// What hangs on it.
    pub stake: Stake,
    /// How many are asked.
    pub asked: u64,
    /// How much its evidence counts, 0 to 1.
    pub relevance: f64,
    /// Money.
    pub cost: f64,
    /// Days.
    pub days: f64,
}

/// What an experiment is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Worth {
    /// Its name.
    pub name: String,
    /// Expected value of its information.
    pub evsi: f64,
    /// What knowing for sure would be worth.
    pub evpi: f64,
    /// (evsi - cost) / days.
    pub per_day: f64,
    /// How it came to be.
    pub explain: Explain,
}

impl Stake {
    fn best(self, p: f64) -> f64 {
        (p * self.win - (1.0 - p) * self.lose).max(0.0)
    }
}

/// Probability of `x` successes in `n` trials under a beta belief (beta-binomial).
fn predictive(belief: BetaBelief, x: u64, n: u64) -> f64 {
    let (x, n) = (x as f64, n as f64);
    let choose = -libm::log(n + 1.0) - ln_beta(n - x + 1.0, x + 1.0);
    let ratio = ln_beta(belief.a + x, belief.b + n - x) - ln_beta(belief.a, belief.b);
    libm::exp(choose + ratio)
}

/// What one experiment is worth. Weak evidence is worth as many strong answers as its relevance
/// says: asking 40 with relevance 0.3 counts like measuring 12. Raiffa and Schlaifer, "Applied
/// Statistical Decision Theory" (1961).
///
/// # Errors
/// Nobody or more than [`ASKED_MAX`] asked, or figures without sense.
pub fn worth(candidate: &Candidate) -> Result<Worth, Error> {
    let c = candidate;
    if c.asked == 0 || c.asked > ASKED_MAX {
        let number = usize::try_from(c.asked).unwrap_or(usize::MAX);
        let max = usize::try_from(ASKED_MAX).unwrap_or(usize::MAX);
        return Err(Error::TooMany { what: "asked", number, limit: "ASKED_MAX", max });
    }
    let sound = c.belief.a > 0.0
        && c.belief.b > 0.0
        && (0.0..=1.0).contains(&c.relevance)
        && c.days > 0.0
        && c.stake.win >= 0.0
        && c.stake.lose >= 0.0
        && c.cost.is_finite();
    if !sound {
        let reason = "belief, relevance, days and stakes have to be above 0".to_owned();
        return Err(Error::Unfit { id: c.name.clone(), reason });
    }
    let p = share_holds(c.belief, c.comparison, c.threshold);
    let now = c.stake.best(p);
    let evpi = p * c.stake.win - now;
    let counted = (1..=c.asked).rev().find(|n| *n as f64 <= c.asked as f64 * c.relevance + 1e-9);
    let informed = counted.map_or(now, |n| {
        let after = |x: u64| {
            let b = BetaBelief { a: c.belief.a + x as f64, b: c.belief.b + (n - x) as f64 };
            c.stake.best(share_holds(b, c.comparison, c.threshold))
        };
        (0..=n).map(|x| predictive(c.belief, x, n) * after(x)).sum()
    });
    let evsi = (informed - now).clamp(0.0, evpi.max(0.0));
    let per_day = (evsi - c.cost) / c.days;
    let leaf = |label: &str, value: f64, source: &str| {
        Explain::leaf(label, value, "", bizcase::Basis::Assumed, source)
    };
    let value = Explain::computed(
        "value of the information",
        "sum over results of P(result) x best action - best action now",
        evsi,
        vec![
            leaf("probability now", p, "belief"),
            leaf("won if it holds", c.stake.win, "case"),
            leaf("lost if not", c.stake.lose, "case"),
            leaf("answers that count", counted.unwrap_or(0) as f64, "asked x relevance"),
        ],
    )
    .by("Raiffa and Schlaifer 1961");
    let inputs = vec![value, leaf("cost", c.cost, "blueprint"), leaf("days", c.days, "blueprint")];
    let explain = Explain::computed(&c.name, "(value - cost) / days", per_day, inputs);
    Ok(Worth { name: c.name.clone(), evsi, evpi, per_day, explain })
}

/// All experiments, the one that brings most per day first; none is worth doing if the first is
/// below 0.
///
/// # Errors
/// As [`worth`].
pub fn ranked(candidates: &[Candidate]) -> Result<Vec<Worth>, Error> {
    let mut all = candidates.iter().map(worth).collect::<Result<Vec<Worth>, Error>>()?;
    all.sort_by(|a, b| b.per_day.total_cmp(&a.per_day).then_with(|| a.name.cmp(&b.name)));
    Ok(all)
}
