//! Present value, rates of return, payback, customer value, options.
//!
//! *Invariant:* nothing is computed here; each entry binds names to a function of `calc`.

use super::{Function, Kind, Run, num, of, opt};
use crate::calc::finance;
use crate::calc::options::{self, Exercise, OptionTerms, Right};
use crate::text::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "npv",
        parameters: &[
            num("rate", "fraction per period, 10 % or 0.1"),
            of(Kind::List, "flows", "money per period"),
            opt("first", "period of the first flow; spreadsheets use 1", 1.0),
        ],
        result: "money",
        summary: "Net present value of periodic flows.",
        formula: "sum of flows[i] / (1 + rate)^(first + i)",
        source: "spreadsheet NPV",
        example: "npv(10 %, [-10000, 3000, 4200, 6800])",
        example_result: "1188.4434",
        run: Run::Plain(|a| finance::npv(a.number(0), &a.list(1), a.number(2)).map(Value::from)),
    },
    Function {
        name: "irr",
        parameters: &[of(Kind::List, "flows", "money per period")],
        result: "list of fractions per period",
        summary: "Every internal rate of return, ascending.",
        formula: "all r > -1 with sum of flows[i] / (1 + r)^i = 0",
        source: "Descartes' rule of signs on the derivatives",
        example: "irr([-1600, 10000, -10000])",
        example_result: "[0.25, 4]",
        run: Run::Plain(|a| finance::irr(&a.list(0)).map(Value::from)),
    },
    Function {
        name: "xnpv",
        parameters: &[
            num("rate", "fraction per year"),
            of(Kind::List, "flows", "money"),
            of(Kind::Dates, "dates", "one for each flow"),
        ],
        result: "money",
        summary: "Net present value of dated flows.",
        formula: "sum of flows[i] / (1 + rate)^(days since the first / 365)",
        source: "spreadsheet XNPV",
        example: "xnpv(9 %, [-10000, 2750, 4250, 3250, 2750], [2008-01-01, 2008-03-01, 2008-10-30, 2009-02-15, 2009-04-01])",
        example_result: "2086.6476",
        run: Run::Plain(|a| finance::xnpv(a.number(0), &a.list(1), &a.list(2)).map(Value::from)),
    },
    Function {
        name: "xirr",
        parameters: &[
            of(Kind::List, "flows", "money"),
            of(Kind::Dates, "dates", "one for each flow"),
        ],
        result: "list of fractions per year",
        summary: "Every yearly rate of return of dated flows, ascending.",
        formula: "all r > -1 with xnpv(r) = 0",
        source: "spreadsheet XIRR, all roots; dates in any order",
        example: "xirr([-10000, 2750, 4250, 3250, 2750], [2008-01-01, 2008-03-01, 2008-10-30, 2009-02-15, 2009-04-01])",
        example_result: "[0.37336253]",
        run: Run::Plain(|a| finance::xirr(&a.list(0), &a.list(1)).map(Value::from)),
    },
    Function {
        name: "mirr",
        parameters: &[
            of(Kind::List, "flows", "money per period"),
            num("finance", "fraction per period"),
            num("reinvest", "fraction per period"),
        ],
        result: "fraction per period",
        summary: "Rate of return when outlays are financed and returns reinvested at given rates.",
        formula: "(future value of inflows / present value of outflows)^(1 / periods) - 1",
        source: "spreadsheet MIRR",
        example: "mirr([-120000, 39000, 30000, 21000, 37000, 46000], 10 %, 12 %)",
        example_result: "0.12609413",
        run: Run::Plain(|a| finance::mirr(&a.list(0), a.number(1), a.number(2)).map(Value::from)),
    },
    Function {
        name: "payback",
        parameters: &[
            of(Kind::List, "flows", "money per period, the first at period 0"),
            opt("rate", "fraction per period; 0 is the plain payback", 0.0),
        ],
        result: "periods",
        summary: "Periods until the flows have paid back, discounted if a rate is given.",
        formula: "first t after money was out with sum of flows[i] / (1 + rate)^i >= 0, the last period in part",
        source: "common definition",
        example: "payback([-100, 40, 40, 40], 5 %)",
        example_result: "2.7415625",
        run: Run::Plain(|a| {
            finance::payback(a.number(1), &a.list(0))
                .map(|t| t.map_or(Value::Missing("never"), Value::from))
        }),
    },
    Function {
        name: "clv",
        parameters: &[
            num("margin", "money per period"),
            num("retention", "fraction per period"),
            num("discount", "fraction per period"),
        ],
        result: "money",
        summary: "Value of a customer with constant retention.",
        formula: "m r / (1 + d - r)",
        source: "Gupta and Lehmann 2003",
        example: "clv(8, 98 %, 1 %)",
        example_result: "261.33333",
        run: Run::Plain(|a| finance::clv(a.number(0), a.number(1), a.number(2)).map(Value::from)),
    },
    Function {
        name: "ltv_cac",
        parameters: &[
            num("lifetime_value", "money per customer"),
            num("acquisition_cost", "money per customer"),
        ],
        result: "ratio",
        summary: "Lifetime value against the cost to win a customer.",
        formula: "LTV / CAC",
        source: "common definition",
        example: "ltv_cac(261.3333, 87)",
        example_result: "3.003831",
        run: Run::Plain(|a| finance::ltv_cac(a.number(0), a.number(1)).map(Value::from)),
    },
    Function {
        name: "rate_per_period",
        parameters: &[
            num("rate", "fraction per long period"),
            num("periods", "short periods in a long one"),
        ],
        result: "fraction per short period",
        summary: "A yearly rate as a monthly one, and the like.",
        formula: "(1 + r)^(1 / n) - 1",
        source: "compound interest",
        example: "rate_per_period(9 %, 12)",
        example_result: "0.0072073233",
        run: Run::Plain(|a| finance::rate_per_period(a.number(0), a.number(1)).map(Value::from)),
    },
    Function {
        name: "defer",
        parameters: &[
            num("value", "worth of the project now"),
            num("up", "its worth in the good state"),
            num("down", "its worth in the bad state"),
            num("rate", "riskless, fraction per period"),
            num("outlay", "money now; grows at the riskless rate"),
        ],
        result: "probability, money now, money with the right to wait",
        summary: "Value of the right to invest a period later.",
        formula: "p = ((1 + r) V - down) / (up - down); wait = E_p[max(V' - I (1 + r), 0)] / (1 + r)",
        source: "Trigeorgis 1996",
        example: "defer(100, 180, 60, 8 %, 104)",
        example_result: "p 0.4, invest_now -4, wait 25.066667",
        run: Run::Plain(|a| {
            options::defer(a.number(0), a.number(1), a.number(2), a.number(3), a.number(4)).map(
                |d| {
                    Value::record(&[
                        ("p", d.probability),
                        ("invest_now", d.invest_now),
                        ("wait", d.wait),
                    ])
                },
            )
        }),
    },
    Function {
        name: "american_put",
        parameters: &[
            num("spot", "price"),
            num("strike", "price"),
            num("rate", "continuous, fraction per year"),
            num("volatility", "fraction per square root of a year"),
            num("years", "to expiry"),
            opt("steps", "of the lattice", 500.0),
        ],
        result: "price",
        summary: "American put by a binomial lattice.",
        formula: "u = e^(s sqrt dt), d = 1/u, p = (e^(r dt) - d) / (u - d)",
        source: "Cox, Ross and Rubinstein 1979",
        example: "american_put(50, 50, 10 %, 40 %, 5/12, 30)",
        example_result: "4.2634266",
        run: Run::Plain(|a| {
            let steps = crate::dist::index_floor(a.number(5));
            let steps = u32::try_from(steps).unwrap_or(u32::MAX);
            options::lattice(terms(a), Right::Put, Exercise::American, steps).map(Value::from)
        }),
    },
    Function {
        name: "black_scholes",
        parameters: &[
            num("spot", "price"),
            num("strike", "price"),
            num("rate", "continuous, fraction per year"),
            num("volatility", "fraction per square root of a year"),
            num("years", "to expiry"),
        ],
        result: "call and put price",
        summary: "European call and put without dividends.",
        formula: "S N(d1) - K e^(-rT) N(d2)",
        source: "Black and Scholes 1973",
        example: "black_scholes(42, 40, 10 %, 20 %, 0.5)",
        example_result: "call 4.7594224, put 0.80859937",
        run: Run::Plain(|a| {
            let call = options::black_scholes(terms(a), Right::Call)?;
            let put = options::black_scholes(terms(a), Right::Put)?;
            Ok(Value::record(&[("call", call), ("put", put)]))
        }),
    },
];

fn terms(a: &super::Arguments) -> OptionTerms {
    OptionTerms {
        spot: a.number(0),
        strike: a.number(1),
        rate: a.number(2),
        volatility: a.number(3),
        years: a.number(4),
    }
}
