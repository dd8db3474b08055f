//! From data to belief.
//!
//! *Invariant:* nothing is computed here; each entry binds names to a function of `calc`.

use super::{Function, Kind, Run, num, of, opt};
use crate::calc::evidence::{self, BetaBelief};
use crate::calc::statistics;
use crate::error::refuse;
use crate::text::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "beta_update",
        parameters: &[
            num("successes", "count"),
            num("trials", "count"),
            opt("threshold", "rate asked about", 0.5),
            opt("weight", "relevance, 0 to 1", 1.0),
            opt("a", "prior", 1.0),
            opt("b", "prior", 1.0),
        ],
        result: "a, b, mean, 5th and 95th percentile, probability",
        summary: "Belief about a rate after a trial, stated evidence weighted down.",
        formula: "Beta(a + w x, b + w (n - x)); P(rate >= threshold)",
        source: "power prior, Ibrahim and Chen 2000",
        example: "beta_update(7, 20, 0.2)",
        example_result: "a 8, b 14, mean 0.36363636, p5 0.2057499, p95 0.53593591, probability 0.95694737",
        run: Run::Plain(|a| {
            let asked = a.number(2);
            if !(0.0..=1.0).contains(&asked) {
                let reason = format!("the threshold {asked} is no rate: 20 % is 0.2 or 20 %");
                return refuse("beta_update", reason);
            }
            let prior = BetaBelief { a: a.number(4), b: a.number(5) };
            let belief = evidence::beta_update(prior, a.number(0), a.number(1), a.number(3))?;
            Ok(Value::record(&[
                ("a", belief.a),
                ("b", belief.b),
                ("mean", belief.mean()),
                ("p5", belief.quantile(0.05)),
                ("p95", belief.quantile(0.95)),
                ("probability", belief.at_least(asked)),
            ]))
        }),
    },
    Function {
        name: "bayes",
        parameters: &[
            num("prior", "probability"),
            of(Kind::List, "ratios", "likelihood ratios of independent sources"),
        ],
        result: "probability",
        summary: "Probability after likelihood ratios.",
        formula: "logit(p) = logit(prior) + sum ln LR",
        source: "Bayes' rule",
        example: "bayes(10 %, [3, 2.5, 4])",
        example_result: "0.76923077",
        run: Run::Plain(|a| evidence::bayes(a.number(0), &a.list(1)).map(Value::from)),
    },
    Function {
        name: "bayes_by_source",
        parameters: &[
            num("prior", "probability"),
            of(Kind::Matrix, "sources", "one list of likelihood ratios per source"),
        ],
        result: "probability",
        summary: "Probability after likelihood ratios, each source counted once by its strongest.",
        formula: "logit(p) = logit(prior) + sum over sources of the ln LR that is farthest from 0",
        source: "Bayes' rule; ratios of one source are not independent",
        example: "bayes_by_source(10 %, [[3, 2.5], [4]])",
        example_result: "0.57142857",
        run: Run::Plain(|a| evidence::bayes_by_source(a.number(0), &a.matrix(1)).map(Value::from)),
    },
    Function {
        name: "frechet",
        parameters: &[of(Kind::List, "p", "probabilities")],
        result: "bounds and product",
        summary: "Probability that all hold: bounds, and the product if independent.",
        formula: "max(0, sum p - (n-1)) <= P <= min p",
        source: "Frechet 1935",
        example: "frechet(0.8, 0.7, 0.6)",
        example_result: "low 0.1, product 0.336, high 0.6",
        run: Run::Plain(|a| {
            evidence::frechet(&a.list(0))
                .map(|j| Value::record(&[("low", j.low), ("product", j.product), ("high", j.high)]))
        }),
    },
    Function {
        name: "sample_size",
        parameters: &[
            num("bar", "rate to be told from"),
            num("good", "rate expected"),
            opt("confidence", "one-sided", 0.9),
            opt("power", "chance to see it", 0.8),
        ],
        result: "trials",
        summary: "Trials needed to tell a rate from a bar.",
        formula: "((z_c sqrt(b(1-b)) + z_p sqrt(g(1-g))) / (g - b))^2, rounded up",
        source: "Fleiss, Levin and Paik 2003",
        example: "sample_size(30 %, 45 %)",
        example_result: "45",
        run: Run::Plain(|a| {
            evidence::sample_size(a.number(0), a.number(1), a.number(2), a.number(3))
                .map(Value::from)
        }),
    },
    Function {
        name: "brier",
        parameters: &[
            of(Kind::List, "p", "probabilities"),
            of(Kind::List, "outcomes", "1 happened, 0 did not"),
        ],
        result: "0 perfect to 1",
        summary: "How good probabilities were.",
        formula: "mean of (p - o)^2",
        source: "Brier 1950",
        example: "brier([0.8, 0.3, 0.6, 0.9, 0.4], [1, 0, 1, 1, 1])",
        example_result: "0.132",
        run: Run::Plain(|a| evidence::brier(&a.list(0), &a.list(1)).map(Value::from)),
    },
    Function {
        name: "brier_parts",
        parameters: &[
            of(Kind::List, "p", "probabilities"),
            of(Kind::List, "outcomes", "1 happened, 0 did not"),
        ],
        result: "reliability (0 is calibrated), resolution (more is better), uncertainty",
        summary: "Why probabilities were as good as they were, equal ones as one group.",
        formula: "brier = reliability - resolution + uncertainty",
        source: "Murphy 1973",
        example: "brier_parts([0.8, 0.8, 0.2, 0.2], [1, 0, 0, 0])",
        example_result: "reliability 0.065, resolution 0.0625, uncertainty 0.1875",
        run: Run::Plain(|a| {
            evidence::brier_parts(&a.list(0), &a.list(1)).map(|parts| {
                Value::record(&[
                    ("reliability", parts.reliability),
                    ("resolution", parts.resolution),
                    ("uncertainty", parts.uncertainty),
                ])
            })
        }),
    },
    Function {
        name: "kendall_w",
        parameters: &[of(Kind::Matrix, "judges", "one list of ranks or scores per judge")],
        result: "0 none to 1 full",
        summary: "Agreement of judges.",
        formula: "12 S / (m^2 (n^3 - n) - m T)",
        source: "Kendall and Babington Smith 1939",
        example: "kendall_w([[1, 2, 3, 4], [2, 1, 3, 4], [1, 3, 2, 4]])",
        example_result: "0.77777778",
        run: Run::Plain(|a| statistics::kendall_w(&a.matrix(0)).map(Value::from)),
    },
];
