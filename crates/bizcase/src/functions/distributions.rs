//! Distributions and what can be asked of them; `5 to 10` is a distribution too.
//!
//! *Invariant:* nothing is computed here; each entry binds names to a function of `calc`.

use super::{Function, Kind, Run, num, of, opt};
use crate::correlate;
use crate::dist::Distribution;
use crate::error::{Error, refuse};
use crate::text::Value;
use crate::unit::Unit;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "normal",
        parameters: &[num("mean", "any"), num("sd", "above 0")],
        result: "distribution",
        summary: "Normal distribution.",
        formula: "mean + sd z",
        source: "Gauss",
        example: "normal(100, 3)",
        example_result: "normal(100, 3)",
        run: Run::Plain(|a| {
            Distribution::normal(a.number(0), a.number(1))
                .map(|d| Value::Distribution(d, Unit::ONE))
        }),
    },
    Function {
        name: "lognormal",
        parameters: &[num("low", "5th percentile, above 0"), num("high", "95th percentile")],
        result: "distribution",
        summary: "Lognormal distribution by its 90 % interval; `5 to 10` is the same.",
        formula: "mu = (ln low + ln high) / 2, sigma = (ln high - ln low) / (2 z), z = 1.644854",
        source: "Galton 1879; z of NIST/SEMATECH e-Handbook 1.3.6.7.1",
        example: "lognormal(5, 10)",
        example_result: "lognormal_log(1.9560115, 0.21070178)",
        run: Run::Plain(|a| {
            Distribution::lognormal_interval(a.number(0), a.number(1))
                .map(|d| Value::Distribution(d, Unit::ONE))
        }),
    },
    Function {
        name: "lognormal_log",
        parameters: &[
            num("mu", "mean of the logarithm"),
            num("sigma", "standard deviation of the logarithm"),
        ],
        result: "distribution",
        summary: "Lognormal distribution by the moments of the logarithm.",
        formula: "e^(mu + sigma z)",
        source: "Galton 1879",
        example: "mean(lognormal_log(1.956012, 0.210702))",
        example_result: "7.2297877",
        run: Run::Plain(|a| {
            Distribution::lognormal(a.number(0), a.number(1))
                .map(|d| Value::Distribution(d, Unit::ONE))
        }),
    },
    Function {
        name: "beta",
        parameters: &[num("a", "above 0"), num("b", "above 0")],
        result: "distribution",
        summary: "Beta distribution of a share.",
        formula: "x^(a-1) (1-x)^(b-1) / B(a, b)",
        source: "NIST DLMF 8.17",
        example: "beta(8, 14)",
        example_result: "beta(8, 14)",
        run: Run::Plain(|a| {
            Distribution::beta(a.number(0), a.number(1), 0.0, 1.0)
                .map(|d| Value::Distribution(d, Unit::ONE))
        }),
    },
    Function {
        name: "pert",
        parameters: &[num("low", "least"), num("mode", "likeliest"), num("high", "most")],
        result: "distribution",
        summary: "PERT distribution.",
        formula: "beta with 1 + 4 (mode-low)/(high-low), 1 + 4 (high-mode)/(high-low)",
        source: "Malcolm and others 1959",
        example: "pert(2, 4, 12)",
        example_result: "beta(1.8, 4.2) on 2..12",
        run: Run::Plain(|a| {
            Distribution::pert(a.number(0), a.number(1), a.number(2))
                .map(|d| Value::Distribution(d, Unit::ONE))
        }),
    },
    Function {
        name: "triangular",
        parameters: &[num("low", "least"), num("mode", "likeliest"), num("high", "most")],
        result: "distribution",
        summary: "Triangular distribution.",
        formula: "density rises to the mode and falls",
        source: "common definition",
        example: "triangular(2, 4, 12)",
        example_result: "triangular(2, 4, 12)",
        run: Run::Plain(|a| {
            Distribution::triangular(a.number(0), a.number(1), a.number(2))
                .map(|d| Value::Distribution(d, Unit::ONE))
        }),
    },
    Function {
        name: "uniform",
        parameters: &[num("low", "least"), num("high", "most")],
        result: "distribution",
        summary: "Every value between two is as likely.",
        formula: "low + (high - low) u",
        source: "common definition",
        example: "uniform(0, 10)",
        example_result: "uniform(0, 10)",
        run: Run::Plain(|a| {
            Distribution::uniform(a.number(0), a.number(1))
                .map(|d| Value::Distribution(d, Unit::ONE))
        }),
    },
    Function {
        name: "empirical",
        parameters: &[of(Kind::List, "values", "measured")],
        result: "distribution",
        summary: "The distribution of measured values.",
        formula: "quantiles interpolate the sorted values",
        source: "Hyndman and Fan 1996, type 7",
        example: "empirical(3, 1, 2, 5)",
        example_result: "empirical, 4 values",
        run: Run::Plain(|a| {
            Distribution::empirical(&a.list(0)).map(|d| Value::Distribution(d, Unit::ONE))
        }),
    },
    Function {
        name: "mean",
        parameters: &[of(Kind::Sample, "x", "any")],
        result: "as x",
        summary: "Mean of a distribution or a list.",
        formula: "E[x]",
        source: "common definition",
        example: "mean(5 to 10)",
        example_result: "7.2297837",
        run: Run::Plain(|a| finite("mean", a.sample(0)?.mean(), unit(a))),
    },
    Function {
        name: "sd",
        parameters: &[of(Kind::Sample, "x", "any")],
        result: "as x",
        summary: "Standard deviation of a distribution; of a list the population's.",
        formula: "sqrt E[(x - E x)^2]",
        source: "common definition",
        example: "sd(pert(2, 4, 12))",
        example_result: "1.7320508",
        run: Run::Plain(|a| finite("sd", a.sample(0)?.sd(), unit(a))),
    },
    Function {
        name: "median",
        parameters: &[of(Kind::Sample, "x", "any")],
        result: "as x",
        summary: "Median of a distribution or a list.",
        formula: "quantile(x, 0.5)",
        source: "common definition",
        example: "median(5 to 10)",
        example_result: "7.0710678",
        run: Run::Plain(|a| Ok(Value::Number(a.sample(0)?.quantile(0.5), unit(a)))),
    },
    Function {
        name: "quantile",
        parameters: &[of(Kind::Sample, "x", "any"), num("p", "probability")],
        result: "as x",
        summary: "The value that x stays below with probability p.",
        formula: "least q with P(x <= q) >= p; lists are interpolated",
        source: "Hyndman and Fan 1996, type 7",
        example: "quantile(pert(2, 4, 12), 90 %)",
        example_result: "7.4533405",
        run: Run::Plain(|a| {
            let p = a.number(1);
            if !(0.0..=1.0).contains(&p) {
                return refuse("quantile", format!("p {p} is not between 0 and 1"));
            }
            finite("quantile", a.sample(0)?.quantile(p), unit(a))
        }),
    },
    Function {
        name: "quantiles",
        parameters: &[of(Kind::Sample, "x", "any"), of(Kind::List, "p", "probabilities")],
        result: "list",
        summary: "Several quantiles at once.",
        formula: "quantile(x, p) for each p",
        source: "Hyndman and Fan 1996, type 7",
        example: "quantiles(pert(2, 4, 12), [0.1, 0.5, 0.9])",
        example_result: "[2.8990213, 4.7667226, 7.4533405]",
        run: Run::Plain(|a| {
            let (sample, p) = (a.sample(0)?, a.list(1));
            if p.iter().any(|p| !(0.0..=1.0).contains(p)) {
                return refuse("quantiles", "probabilities lie between 0 and 1");
            }
            let at = |p: &f64| finite("quantiles", sample.quantile(*p), unit(a));
            p.iter().map(at).collect::<Result<_, _>>().map(Value::List)
        }),
    },
    Function {
        name: "cdf",
        parameters: &[of(Kind::Sample, "x", "any"), of(Kind::Point, "value", "asked about")],
        result: "probability",
        summary: "Probability of staying at or below a value.",
        formula: "P(x <= value)",
        source: "common definition",
        example: "cdf(5 to 10, 10)",
        example_result: "0.95",
        run: Run::Plain(|a| Ok(Value::from(a.sample(0)?.cdf(a.number(1))))),
    },
    Function {
        name: "pearson",
        parameters: &[of(Kind::List, "x", "numbers"), of(Kind::List, "y", "numbers")],
        result: "-1 to 1",
        summary: "Linear correlation.",
        formula: "cov(x, y) / (sd x sd y)",
        source: "Pearson 1895",
        example: "pearson([1, 2, 3, 4], [1, 3, 2, 4])",
        example_result: "0.8",
        run: Run::Plain(|a| correlate::pearson(&a.list(0), &a.list(1)).map(Value::from)),
    },
    Function {
        name: "spearman",
        parameters: &[of(Kind::List, "x", "numbers"), of(Kind::List, "y", "numbers")],
        result: "-1 to 1",
        summary: "Rank correlation.",
        formula: "pearson of the ranks",
        source: "Spearman 1904",
        example: "spearman([1, 2, 3, 4], [10, 300, 20, 4000])",
        example_result: "0.8",
        run: Run::Plain(|a| correlate::spearman(&a.list(0), &a.list(1)).map(Value::from)),
    },
    Function {
        name: "copula_spearman",
        parameters: &[num("rho", "of the Gaussian copula")],
        result: "-1 to 1",
        summary: "Spearman correlation of a Gaussian copula.",
        formula: "(6 / pi) asin(rho / 2)",
        source: "Pearson 1907",
        example: "copula_spearman(0.5)",
        example_result: "0.48258374",
        run: Run::Plain(|a| {
            correlation("copula_spearman", a.number(0))
                .map(|rho| Value::from(correlate::copula_spearman(rho)))
        }),
    },
    Function {
        name: "copula_rho",
        parameters: &[num("spearman", "wanted")],
        result: "-1 to 1",
        summary: "The rho of a Gaussian copula for a wanted Spearman correlation.",
        formula: "2 sin(pi s / 6)",
        source: "Pearson 1907",
        example: "copula_rho(0.5)",
        example_result: "0.51763809",
        run: Run::Plain(|a| {
            correlation("copula_rho", a.number(0)).map(|s| Value::from(correlate::copula_rho(s)))
        }),
    },
    Function {
        name: "iman_conover",
        parameters: &[
            of(Kind::Matrix, "columns", "one list of draws per variable"),
            of(
                Kind::Matrix,
                "target",
                "correlations of the normal scores, 1 on the diagonal; ranks then correlate as \
                 copula_spearman says",
            ),
            opt("seed", "whole number", 1.0),
        ],
        result: "the same columns, reordered",
        summary: "Correlates draws without changing any of them.",
        formula: "reorder by correlated normal scores",
        source: "Iman and Conover 1982",
        example: "iman_conover([[3, 1, 2, 4], [10, 20, 30, 40]], [[1, 0.9], [0.9, 1]])",
        example_result: "[[2, 4, 3, 1], [10, 40, 30, 20]]",
        run: Run::Plain(|a| {
            let mut columns = a.matrix(0);
            let seed = a.number(2);
            if seed < 0.0 || seed.fract() != 0.0 {
                return refuse("iman_conover", format!("the seed {seed} is no whole number"));
            }
            let seed = crate::dist::index_floor(seed) as u64;
            correlate::iman_conover(&mut columns, &a.matrix(1), seed)?;
            Ok(Value::List(columns.into_iter().map(Value::from).collect()))
        }),
    },
];

fn unit(a: &super::Arguments) -> Unit {
    match a.value(0) {
        Some(Value::Distribution(_, unit)) => *unit,
        Some(_) | None => Unit::ONE,
    }
}

fn correlation(function: &'static str, value: f64) -> Result<f64, Error> {
    if (-1.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        refuse(function, format!("{value} is no correlation: it lies between -1 and 1"))
    }
}

fn finite(function: &'static str, value: f64, unit: Unit) -> Result<Value, Error> {
    if value.is_finite() {
        Ok(Value::Number(value, unit))
    } else {
        refuse(function, "it has no finite value here")
    }
}
