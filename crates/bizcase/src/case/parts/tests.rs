//! Parts of the library filled by hand: what they cost, and what they refuse.
//!
//! *Invariant:* each number was counted on paper first, beside its test.

use super::*;
use crate::case::Run;

fn part(name: &str) -> &'static CostPart {
    COST_PARTS.iter().find(|part| part.name == name).unwrap()
}

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const QUOTE: Quote<'_> = Quote { source: "own quote of Foxtec", as_of: "2026-11-20" };
const LANDED: [(&str, &str); 6] = [
    ("price", "1000: 8.90 EUR/device, 500: 9.80 EUR/device"),
    ("freight", "4 %"),
    ("insurance", "0.3 %"),
    ("duty", "2.8 %"),
    ("yield", "97 %"),
    ("packaging", "0.45 EUR/device"),
];

/// The case of some lines, a hundred devices a month for a year.
fn case(lines: &str) -> Case {
    let text = format!(
        "currency = \"EUR\"\n[case]\nhorizon = \"12 months\"\ndiscount = \"0 %/year\"\n\
         adoption = {{ added = \"100 devices/month\" }}\n{lines}"
    );
    Case::parse(&text).unwrap_or_else(|found| panic!("{found:?}\n{text}"))
}

fn median(case: &Case, name: &str) -> f64 {
    case.medians()[case.slot(name).unwrap_or_else(|| panic!("{name}"))]
}

#[test]
fn every_part_gives_lines_for_the_examples_it_shows() {
    for part in COST_PARTS {
        let examples = part.asks.iter().map(|asked| (asked.name, asked.example));
        let lines = part.fill(&values(&examples.collect::<Vec<_>>()), &QUOTE);
        let lines = lines.unwrap_or_else(|reasons| panic!("{}: {reasons:?}", part.name));
        // They can stand behind tables of the same name.
        case(&format!("[case.input]\nown = \"3 %\"\n[case.cost]\nbox = \"1 EUR/device\"\n{lines}"));
        for asked in part.asks {
            assert!(part.formula.contains(&format!("{{{}}}", asked.name)) || asked.name == "every");
        }
        // Each number but the rhythm, and the cost itself; a price has two, one for each break.
        let said = "source = \"own quote of Foxtec\"\nas_of = \"2026-11-20\"";
        let prices = usize::from(part.asks.iter().any(|asked| asked.name == "price"));
        let rhythm = usize::from(part.arises == Arises::Every);
        let wanted = part.asks.len() + 1 + prices - rhythm;
        assert_eq!(lines.matches(said).count(), wanted, "{lines}");
    }
}

#[test]
fn a_landed_cost_is_what_the_hand_counts() {
    let lines = part("landed_cost").fill(&values(&LANDED), &QUOTE).unwrap();
    let case = case(&lines);
    // 8.90 and 4 % freight are 9.256; 0.3 % of CIF is insured, so CIF is 9.256 / 0.997 = 9.28385;
    // 2.8 % duty make 9.54380; 97 of 100 work: 9.83897; 0.45 of packaging.
    assert!((median(&case, "cost.landed_cost.from_1000") - 10.288_968_451_746_992).abs() < 1e-12);
    assert!((median(&case, "landed_cost_price_500") - 9.80).abs() < 1e-12, "an input");
}

#[test]
fn the_price_falls_once_a_quantity_was_bought() {
    let price = [("price", "500: 9.80 EUR/device, 1000: 8.90 EUR/device")];
    let lines = part("bom_by_volume").fill(&values(&price), &QUOTE).unwrap();
    let run = Run { trials: 1, seed: 1, threads: 1 };
    let results = case(&lines).run(run).unwrap();
    // 900 devices in nine months at 9.80, the thousandth comes in month 10: 300 at 8.90.
    let by_hand = -(900.0 * 9.80 + 300.0 * 8.90);
    assert!((results.npv.mean - by_hand).abs() < 1e-9, "{} {by_hand}", results.npv.mean);
}

#[test]
fn a_device_taken_back_costs_what_the_hand_counts() {
    let asked = [
        ("share", "60 %"),
        ("freight", "6.50 EUR/device"),
        ("handling", "4 EUR/device"),
        ("weight", "0.35/device"),
        ("recycling", "0.40 EUR"),
        ("battery_weight", "0.05/device"),
        ("battery_recycling", "0.60 EUR"),
    ];
    let lines = part("take_back").fill(&values(&asked), &QUOTE).unwrap();
    // 60 % of 6.50 + 4 + 0.35 x 0.40 + 0.05 x 0.60.
    assert!((median(&case(&lines), "cost.take_back") - 6.402).abs() < 1e-12);
    assert!(lines.contains("per = \"left\""), "{lines}");
}

#[test]
fn nothing_is_given_without_numbers_source_and_day() {
    let reasons = |values: &BTreeMap<String, String>, quote: &Quote<'_>| {
        part("landed_cost").fill(values, quote).unwrap_err().join("\n")
    };
    let said = reasons(&values(&[("duty", "2.8 %"), ("tax", "19 %")]), &QUOTE);
    assert!(said.contains("landed_cost asks for no tax"), "{said}");
    assert!(said.contains("price is missing: what the maker asks"), "{said}");
    assert!(!said.contains("duty is missing"), "{said}");
    let all = values(&LANDED);
    let said = reasons(&all, &Quote { source: " ", ..QUOTE });
    assert!(said.contains("nobody is named as the source"), "{said}");
    for as_of in ["", "2026-11", "soon"] {
        let said = reasons(&all, &Quote { as_of, ..QUOTE });
        assert!(said.contains("is not the day of a quote"), "{said}");
    }
}

#[test]
fn a_number_of_another_unit_is_refused_by_its_name() {
    let with = |name: &str, value: &str| {
        let mut all = values(&LANDED);
        all.insert(name.to_owned(), value.to_owned());
        part("landed_cost").fill(&all, &QUOTE).unwrap_err().join("\n")
    };
    assert!(with("packaging", "0.45 EUR").contains("cannot be added"), "packaging");
    assert!(with("price", "many: 3 EUR/device").contains("is no price break"), "quantity");
    assert!(with("price", "9: 3 EUR/device, 9: 2 EUR/device").contains("given twice"), "twice");
    assert!(with("price", "9.80 USD/device").contains("USD"), "two currencies");
}

#[test]
fn an_own_quote_in_a_file_needs_its_day_too() {
    let text = |more: &str| {
        format!(
            "currency = \"EUR\"\n[case]\nhorizon = \"12 months\"\ndiscount = \"9 %/year\"\n\
             adoption = {{ added = \"9 devices/month\" }}\n{more}"
        )
    };
    for (place, dated) in [
        ("[case.cost]\nbom = { each = \"9 EUR/device\", source = \"own quote\"DAY }\n", "as_of"),
        (
            "[case.input]\nquote = { value = \"9 EUR/device\", source = \"own quote\"DAY }\n\
             [case.cost]\nbom = \"quote\"\n",
            "as_of",
        ),
    ] {
        let without = Case::parse(&text(&place.replace("DAY", ""))).unwrap_err();
        assert!(without[0].reason.contains("an own quote has no day"), "{without:?}");
        let vague = Case::parse(&text(&place.replace("DAY", ", as_of = \"2026\""))).unwrap_err();
        assert!(vague[0].reason.contains("is not the day of an own quote"), "{vague:?}");
        let day = format!(", {dated} = \"2026-11-20\"");
        assert!(Case::parse(&text(&place.replace("DAY", &day))).is_ok());
        // A date of TOML is as good.
        let day = format!(", {dated} = 2026-11-20");
        assert!(Case::parse(&text(&place.replace("DAY", &day))).is_ok());
    }
}
