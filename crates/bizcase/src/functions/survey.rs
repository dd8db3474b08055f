//! Price and feature research.
//!
//! *Invariant:* nothing is computed here; each entry binds names to a function of `calc`.

use super::{Arguments, Function, Kind, Run, num, of};
use crate::calc::survey::{self, Crossing};
use crate::error::{Error, refuse};
use crate::text::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "psm",
        parameters: &[of(
            Kind::Matrix,
            "answers",
            "one list per person: too cheap, cheap, expensive, too expensive",
        )],
        result: "prices, each the low and high end of where two curves meet",
        summary: "Van Westendorp price sensitivity.",
        formula: "too cheap x not cheap, cheap x expensive, not expensive x too expensive, too cheap x too expensive",
        source: "van Westendorp 1976, as in R pricesensitivitymeter",
        example: "psm([[10, 20, 35, 50], [15, 25, 40, 55], [20, 30, 45, 60], [20, 30, 50, 70], [25, 40, 60, 80]])",
        example_result: "pmc 25, idp 35, pme 50, opp [30, 45], intransitive 0",
        run: Run::Plain(psm),
    },
    Function {
        name: "conjoint",
        parameters: &[
            of(
                Kind::Matrix,
                "profiles",
                "one list per profile: the level of each attribute, from 0",
            ),
            of(Kind::List, "ratings", "one per profile"),
        ],
        result: "intercept, part-worths and importance per attribute",
        summary: "Part-worths from ratings.",
        formula: "least squares with effects coding",
        source: "Green and Srinivasan 1978",
        example: "conjoint([[0, 0], [0, 1], [1, 0], [1, 1]], [6, 10, 2, 6])",
        example_result: "intercept 6, worths [[2, -2], [-2, 2]], importance [0.5, 0.5]",
        run: Run::Plain(|a| {
            let worths = survey::conjoint(&a.matrix(0), &a.list(1))?;
            let rows = worths.worths.into_iter().map(Value::from).collect();
            Ok(Value::Record(vec![
                ("intercept", worths.intercept.into()),
                ("worths", Value::List(rows)),
                ("importance", worths.importance.into()),
            ]))
        }),
    },
    Function {
        name: "logit_shares",
        parameters: &[of(Kind::List, "utilities", "of the choices")],
        result: "fractions",
        summary: "Shares of choice.",
        formula: "e^u / sum e^u",
        source: "McFadden 1974",
        example: "logit_shares(1, 0)",
        example_result: "[0.73105858, 0.26894142]",
        run: Run::Plain(|a| survey::logit_shares(&a.list(0)).map(Value::from)),
    },
    Function {
        name: "kano",
        parameters: &[
            num("attractive", "count"),
            num("one_dimensional", "count"),
            num("must", "count"),
            num("indifferent", "count"),
        ],
        result: "coefficients",
        summary: "How much a feature delights and how much its absence hurts.",
        formula: "(A+O)/(A+O+M+I), -(O+M)/(A+O+M+I)",
        source: "Berger and others 1993",
        example: "kano(12, 8, 4, 6)",
        example_result: "better 0.66666667, worse -0.4",
        run: Run::Plain(|a| {
            survey::kano(a.number(0), a.number(1), a.number(2), a.number(3))
                .map(|(better, worse)| Value::record(&[("better", better), ("worse", worse)]))
        }),
    },
];

fn psm(a: &Arguments) -> Result<Value, Error> {
    let mut answers = Vec::new();
    for row in a.matrix(0) {
        match row.as_slice() {
            [w, x, y, z] => answers.push([*w, *x, *y, *z]),
            _ => return refuse("psm", "every person gives four prices"),
        }
    }
    let psm = survey::price_sensitivity(&answers)?;
    let ends = |c: Crossing| {
        if c.low == c.high { Value::from(c.low) } else { Value::from(vec![c.low, c.high]) }
    };
    Ok(Value::Record(vec![
        ("pmc", ends(psm.marginal_cheapness)),
        ("idp", ends(psm.indifference)),
        ("pme", ends(psm.marginal_expensiveness)),
        ("opp", ends(psm.optimal)),
        ("intransitive", Value::from(psm.intransitive as f64)),
    ]))
}
