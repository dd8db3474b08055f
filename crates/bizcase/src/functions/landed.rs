//! What a device costs before it is sold.
//!
//! *Invariant:* nothing is computed here; each entry binds names to a function of `calc`.

use super::{Function, Kind, Run, num, of, opt};
use crate::calc::landed::{self, Landing};
use crate::text::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "price_break",
        parameters: &[
            num("quantity", "devices bought at once"),
            of(Kind::List, "from", "devices from which each price holds, rising"),
            of(Kind::List, "prices", "money per device"),
        ],
        result: "money per device",
        summary: "The price of one by the quantity that is bought.",
        formula: "the price of the largest from <= quantity",
        source: "the quote itself; below its smallest quantity there is none",
        example: "price_break(1000, [500, 1000], [9.80, 8.90])",
        example_result: "8.9",
        run: Run::Plain(|a| {
            landed::price_break(a.number(0), &a.list(1), &a.list(2)).map(Value::from)
        }),
    },
    Function {
        name: "landed_cost",
        parameters: &[
            num("price", "money per device"),
            num("freight", "fraction of the price"),
            num("insurance", "fraction of CIF: price, freight, insurance"),
            num("duty", "fraction of CIF"),
            opt("yield", "fraction of what arrives that works", 1.0),
            opt("packaging", "money for one that works", 0.0),
        ],
        result: "money per device",
        summary: "What a device that works costs in your own warehouse, import VAT apart.",
        formula: "price (1 + freight) / (1 - insurance) (1 + duty) / yield + packaging",
        source: "customs value CIF, as the European Union takes it",
        example: "landed_cost(8.90, 4 %, 0.3 %, 2.8 %, 97 %, 0.45)",
        example_result: "10.288968",
        run: Run::Plain(|a| {
            let landing = Landing {
                freight: a.number(1),
                insurance: a.number(2),
                duty: a.number(3),
                works: a.number(4),
                packaging: a.number(5),
            };
            landed::landed_cost(a.number(0), landing).map(Value::from)
        }),
    },
];
