//! How a fleet grows, shrinks and talks.
//!
//! *Invariant:* nothing is computed here; each entry binds names to a function of `calc`.

use super::{Arguments, Function, Kind, Run, num, of, opt};
use crate::calc::{adoption, connectivity};
use crate::error::{Error, refuse};
use crate::text::Value;

/// The longest series.
const PERIODS_MAX: usize = 1_200;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "bass",
        parameters: &[
            num("p", "innovation, per period"),
            num("q", "imitation, per period"),
            num("m", "market"),
            num("t", "periods"),
        ],
        result: "adopters up to t",
        summary: "Cumulative adopters of a Bass diffusion.",
        formula: "m (1 - e^-(p+q)t) / (1 + (q/p) e^-(p+q)t)",
        source: "Bass 1969",
        example: "bass(0.03, 0.38, 1000, 5)",
        example_result: "331.19864",
        run: Run::Plain(|a| {
            let market = market("bass", a.number(2))?;
            adoption::bass(a.number(0), a.number(1), a.number(3)).map(|f| Value::from(market * f))
        }),
    },
    Function {
        name: "bass_series",
        parameters: &[
            num("p", "innovation, per period"),
            num("q", "imitation, per period"),
            num("m", "market"),
            num("periods", "how many"),
        ],
        result: "list of adopters up to 1, 2, ...",
        summary: "Cumulative adopters period by period.",
        formula: "bass(p, q, m, 1), bass(p, q, m, 2), ...",
        source: "Bass 1969",
        example: "bass_series(0.03, 0.38, 1000, 5)",
        example_result: "[35.758164, 85.056281, 150.50007, 233.15047, 331.19864]",
        run: Run::Plain(bass_series),
    },
    Function {
        name: "bass_peak",
        parameters: &[
            num("p", "innovation, per period"),
            num("q", "imitation, per period"),
            num("m", "market"),
        ],
        result: "periods, adopters per period, adopters up to then",
        summary: "When and how high adoption peaks.",
        formula: "T = ln(q/p) / (p+q); m (p+q)^2 / 4q; m (q-p) / 2q",
        source: "Bass 1969",
        example: "bass_peak(0.03, 0.38, 1000)",
        example_result: "time 6.1926192, rate 110.59211, cumulative 460.52632",
        run: Run::Plain(|a| {
            let market = market("bass_peak", a.number(2))?;
            adoption::bass_peak(a.number(0), a.number(1), market).map(|peak| {
                Value::record(&[
                    ("time", peak.time),
                    ("rate", peak.rate),
                    ("cumulative", peak.cumulative),
                ])
            })
        }),
    },
    Function {
        name: "sbg",
        parameters: &[num("alpha", "above 0"), num("beta", "above 0"), num("t", "renewals")],
        result: "fraction",
        summary: "Share that is still a customer after t renewals, when churn differs between customers.",
        formula: "B(a, b+t) / B(a, b)",
        source: "Fader and Hardie 2007",
        example: "sbg(0.66809, 3.80609, 8)",
        example_result: "0.46043855",
        run: Run::Plain(|a| adoption::sbg(a.number(0), a.number(1), a.number(2)).map(Value::from)),
    },
    Function {
        name: "sbg_fit",
        parameters: &[
            of(Kind::List, "survivors", "fraction left after 1, 2, ... renewals"),
            opt("per", "customers the log-likelihood is for", 1000.0),
        ],
        result: "alpha, beta, log-likelihood",
        summary: "Fits sBG churn to observed survival.",
        formula: "maximum likelihood",
        source: "Fader and Hardie 2007",
        example: "sbg_fit([86.9 %, 74.3 %, 65.3 %, 59.3 %, 55.1 %, 51.7 %, 49.1 %])",
        example_result: "alpha 0.66808834, beta 3.8060949, log_likelihood -1611.1581",
        run: Run::Plain(|a| {
            adoption::sbg_fit(&a.list(0), a.number(1)).map(|fit| {
                Value::record(&[
                    ("alpha", fit.alpha),
                    ("beta", fit.beta),
                    ("log_likelihood", fit.log_likelihood),
                ])
            })
        }),
    },
    Function {
        name: "derl",
        parameters: &[
            num("alpha", "above 0"),
            num("beta", "above 0"),
            num("n", "renewal about to come, 1 for a new customer"),
            num("discount", "fraction per period"),
        ],
        result: "periods",
        summary: "Discounted expected residual lifetime under sBG churn.",
        formula: "(b+n-1)/(a+b+n-1) 2F1(1, b+n; a+b+n; 1/(1+d))",
        source: "Fader and Hardie 2010",
        example: "derl(0.66809, 3.80609, 8, 10 %)",
        example_result: "7.5296209",
        run: Run::Plain(|a| {
            adoption::derl(a.number(0), a.number(1), a.number(2), a.number(3)).map(Value::from)
        }),
    },
    Function {
        name: "weibull",
        parameters: &[
            num("shape", "above 0"),
            num("scale", "periods, 63 % have failed by then"),
            num("age", "periods"),
        ],
        result: "fraction",
        summary: "Share of hardware that still works.",
        formula: "e^-(age/scale)^shape",
        source: "Weibull 1951",
        example: "weibull(1.5, 96, 48)",
        example_result: "0.7021885",
        run: Run::Plain(|a| {
            adoption::weibull_survival(a.number(0), a.number(1), a.number(2)).map(Value::from)
        }),
    },
    Function {
        name: "active",
        parameters: &[
            num("added", "devices per period"),
            num("churn", "fraction per period"),
            num("periods", "how many"),
        ],
        result: "devices",
        summary: "Devices in use when some come and some leave each period.",
        formula: "added (1 - (1-c)^n) / c",
        source: "geometric series",
        example: "active(100, 2 %, 12)",
        example_result: "1076.4164",
        run: Run::Plain(|a| {
            adoption::active(a.number(0), a.number(1), a.number(2)).map(Value::from)
        }),
    },
    Function {
        name: "billed_mb",
        parameters: &[
            num("sessions", "per month"),
            num("session_kb", "kB each"),
            num("increment_kb", "smallest billed step, kB"),
        ],
        result: "MB per month",
        summary: "Data billed when every session is rounded up.",
        formula: "sessions ceil(size / increment) increment / 1000",
        source: "operator price lists",
        example: "billed_mb(720, 1, 10)",
        example_result: "7.2",
        run: Run::Plain(|a| {
            connectivity::billed_mb(a.number(0), a.number(1), a.number(2)).map(Value::from)
        }),
    },
];

fn market(function: &'static str, m: f64) -> Result<f64, Error> {
    if m >= 0.0 { Ok(m) } else { refuse(function, format!("a market of {m} is below 0")) }
}

fn bass_series(a: &Arguments) -> Result<Value, Error> {
    let (market, periods) = (market("bass_series", a.number(2))?, a.number(3));
    let whole = crate::dist::index_floor(periods);
    if periods.fract() != 0.0 || periods < 1.0 || whole > PERIODS_MAX {
        let reason = format!("{periods} periods are no whole number from 1 to {PERIODS_MAX}");
        return refuse("bass_series", reason);
    }
    let at = |t: usize| adoption::bass(a.number(0), a.number(1), t as f64);
    let shares: Result<Vec<f64>, _> = (1..=whole).map(at).collect();
    Ok(Value::from(shares?.iter().map(|f| market * f).collect::<Vec<f64>>()))
}
