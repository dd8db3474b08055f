//! What information is worth, and the scores people know.
//!
//! *Invariant:* nothing is computed here; each entry binds names to a function of `calc`.

use super::{Function, Kind, Run, num, of};
use crate::calc::decision;
use crate::text::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "evpi",
        parameters: &[
            of(Kind::Matrix, "payoffs", "money: one list per action, one payoff per state"),
            of(Kind::List, "p", "probability of each state"),
        ],
        result: "money",
        summary: "Expected value of perfect information.",
        formula: "E[max U] - max E[U]",
        source: "Raiffa and Schlaifer 1961",
        example: "evpi([[10, -3], [0, 0]], [0.2, 0.8])",
        example_result: "2",
        run: Run::Plain(|a| decision::evpi(&a.matrix(0), &a.list(1)).map(Value::from)),
    },
    Function {
        name: "evsi",
        parameters: &[
            of(Kind::Matrix, "payoffs", "money: one list per action, one payoff per state"),
            of(Kind::List, "p", "probability of each state"),
            of(Kind::Matrix, "likelihood", "one list per signal: P(signal | state)"),
        ],
        result: "money",
        summary: "Expected value of a test.",
        formula: "sum over signals of max over actions - max E[U]",
        source: "Raiffa and Schlaifer 1961",
        example: "evsi([[10, -3], [0, 0]], [0.2, 0.8], [[0.8, 0.2], [0.2, 0.8]])",
        example_result: "1.12",
        run: Run::Plain(|a| {
            decision::evsi(&a.matrix(0), &a.list(1), &a.matrix(2)).map(Value::from)
        }),
    },
    Function {
        name: "ecv",
        parameters: &[
            num("present_value", "money"),
            num("commercial", "probability of commercial success"),
            num("launch_cost", "money"),
            num("technical", "probability of technical success"),
            num("development_cost", "money"),
        ],
        result: "money",
        summary: "Expected commercial value of a project.",
        formula: "((PV Pcs - C) Pts) - D",
        source: "Cooper, Edgett and Kleinschmidt 2001",
        example: "ecv(25, 0.6, 2, 0.8, 3)",
        example_result: "7.4",
        run: Run::Plain(|a| {
            decision::ecv(a.number(0), a.number(1), a.number(2), a.number(3), a.number(4))
                .map(Value::from)
        }),
    },
    Function {
        name: "rice",
        parameters: &[
            num("reach", "people per period"),
            num("impact", "0.25 to 3"),
            num("confidence", "fraction"),
            num("effort", "person-months"),
        ],
        result: "score",
        summary: "Reach, impact, confidence, effort.",
        formula: "R I C / E",
        source: "Intercom",
        example: "rice(500, 2, 80 %, 4)",
        example_result: "200",
        run: Run::Plain(|a| {
            decision::rice(a.number(0), a.number(1), a.number(2), a.number(3)).map(Value::from)
        }),
    },
    Function {
        name: "wsjf",
        parameters: &[
            num("value", "business value, points"),
            num("time_criticality", "points"),
            num("risk_reduction", "points"),
            num("size", "points"),
        ],
        result: "score",
        summary: "Weighted shortest job first.",
        formula: "(BV + TC + RR) / size",
        source: "Scaled Agile Framework",
        example: "wsjf(8, 5, 3, 5)",
        example_result: "3.2",
        run: Run::Plain(|a| {
            decision::wsjf(a.number(0), a.number(1), a.number(2), a.number(3)).map(Value::from)
        }),
    },
    Function {
        name: "weighted",
        parameters: &[
            of(Kind::List, "scores", "points"),
            of(Kind::List, "weights", "not negative"),
        ],
        result: "points",
        summary: "Weighted mean of scores.",
        formula: "sum s w / sum w",
        source: "common definition",
        example: "weighted([4, 2, 5], [3, 1, 2])",
        example_result: "4",
        run: Run::Plain(|a| decision::weighted(&a.list(0), &a.list(1)).map(Value::from)),
    },
];
