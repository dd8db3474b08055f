//! Costs of connected products that founders forget, with source and date.
//!
//! *Invariant:* every entry can be pasted into a case and names its source and date there. They
//! are ranges to start from, never truth: whoever has an offer writes the offer
//! ([`super::COST_PARTS`]).
//!
//! A page that has no date of its own is given with the day it was read.

/// Where an entry belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `[case.cost]`
    Cost,
    /// `[case.risk]`
    Risk,
    /// `[case.input]`
    Input,
}

/// A cost to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CostPrior {
    /// Its key.
    pub name: &'static str,
    /// The table it belongs to.
    pub place: Place,
    /// Its value as TOML, source and date included where the table has them.
    pub toml: &'static str,
    /// What it is.
    pub says: &'static str,
    /// Who says so.
    pub source: &'static str,
    /// When: a year, a month or a day; `read` before it: the source itself has no date.
    pub as_of: &'static str,
}

/// All entries.
pub const COST_LIBRARY: &[CostPrior] = &[
    CostPrior {
        name: "fcc_part_15",
        place: Place::Cost,
        toml: r#"{ total = "10000 to 20000 USD", at = "month 0", source = "electronics.stackexchange.com/q/5196", as_of = "2010" }"#,
        says: "test of a product against FCC Part 15; a pre-certified module spares the FCC ID only",
        source: "electronics.stackexchange.com/q/5196",
        as_of: "2010",
    },
    CostPrior {
        name: "emc_retest",
        place: Place::Risk,
        toml: r#"{ probability = "50 %", money = "10000 to 20000 USD", at = "month 1", owner = "hardware", source = "unit3compliance.co.uk/thoughts-first-time-pass-rate", as_of = "read 2026-11-30" }"#,
        says: "half of all products fail their first test of radiated emissions, a laboratory \
               estimates; the money is that of fcc_part_15 once more",
        source: "unit3compliance.co.uk/thoughts-first-time-pass-rate",
        as_of: "read 2026-11-30",
    },
    CostPrior {
        name: "gcf_membership",
        place: Place::Cost,
        toml: r#"{ each = "5700 to 11400 USD/year", source = "verytechnology.com", as_of = "2022" }"#,
        says: "membership of the Global Certification Forum, wanted by some cellular networks",
        source: "verytechnology.com",
        as_of: "2022",
    },
    CostPrior {
        name: "sim_upkeep",
        place: Place::Cost,
        toml: r#"{ each = "0.40 to 1.50 USD/device/month", source = "hologram.io: blog/hrf_faq/breakdown-data-charges-per-sim, guides/billing-faq", as_of = "read 2026-11-30" }"#,
        says: "a SIM that is only kept alive, as an older and a newer page of one operator say",
        source: "hologram.io: blog/hrf_faq/breakdown-data-charges-per-sim, guides/billing-faq",
        as_of: "read 2026-11-30",
    },
    CostPrior {
        name: "tracker_data",
        place: Place::Input,
        toml: r#"{ value = "5 to 10 MB/device/month", source = "digmat.freshdesk.com/support/solutions/articles/16000130992", as_of = "read 2026-11-30" }"#,
        says: "data of a wired vehicle tracker",
        source: "digmat.freshdesk.com/support/solutions/articles/16000130992",
        as_of: "read 2026-11-30",
    },
    CostPrior {
        name: "sim_step",
        place: Place::Input,
        toml: r#"{ value = "1 kB", source = "support.emnify.com/hc/articles/115003596085", as_of = "read 2026-11-30" }"#,
        says: "what a session is rounded up to where the network is kind: the increment of a radio",
        source: "support.emnify.com/hc/articles/115003596085",
        as_of: "read 2026-11-30",
    },
    CostPrior {
        name: "sim_month_step",
        place: Place::Input,
        toml: r#"{ value = "100 kB", source = "developers.soracom.io/en/docs/reference/data-usage-calculation", as_of = "read 2026-11-30" }"#,
        says: "what a SIM's month is rounded up to on a roaming plan in the United States",
        source: "developers.soracom.io/en/docs/reference/data-usage-calculation",
        as_of: "read 2026-11-30",
    },
    CostPrior {
        name: "lorawan_packet",
        place: Place::Input,
        toml: r#"{ value = "0.00001 USD", source = "learn.semtech.com, Helium IoT Network Basics", as_of = "2022-04" }"#,
        says: "24 bytes on the Helium network of LoRaWAN; repeats and acknowledgements count as well",
        source: "learn.semtech.com, Helium IoT Network Basics",
        as_of: "2022-04",
    },
    CostPrior {
        name: "cloud_message_step",
        place: Place::Input,
        toml: r#"{ value = "5 kB", source = "aws.amazon.com/iot-core/pricing/additional-details", as_of = "read 2026-11-30" }"#,
        says: "what a message to AWS IoT Core is rounded up to, in both directions",
        source: "aws.amazon.com/iot-core/pricing/additional-details",
        as_of: "read 2026-11-30",
    },
    CostPrior {
        name: "service_visit",
        place: Place::Input,
        toml: r#"{ value = "150 to 1000 USD", source = "multi-link.net/how-much-does-a-service-truck-roll-cost-your-company", as_of = "2015-04" }"#,
        says: "a technician drives to a device, to swap a battery or to look",
        source: "multi-link.net/how-much-does-a-service-truck-roll-cost-your-company",
        as_of: "2015-04",
    },
    CostPrior {
        name: "sent_back",
        place: Place::Input,
        toml: r#"{ value = "11 to 20 %", source = "Accenture, told by gizmodo.com/5012728", as_of = "2008-06" }"#,
        says: "share of consumer electronics that is sent back; 5 % of those are broken",
        source: "Accenture, told by gizmodo.com/5012728",
        as_of: "2008-06",
    },
    CostPrior {
        name: "vodacom_step",
        place: Place::Input,
        toml: r#"{ value = "10 kB", source = "digmat.freshdesk.com/support/solutions/articles/16000130992", as_of = "read 2026-11-30" }"#,
        says: "what each data connection is rounded up to at Vodacom, South Africa (MTN: 25 kB)",
        source: "digmat.freshdesk.com/support/solutions/articles/16000130992",
        as_of: "read 2026-11-30",
    },
    CostPrior {
        name: "freight_and_insurance",
        place: Place::Input,
        toml: r#"{ value = "6 to 8.1 %", source = "OECD ITIC, mean of 1995 to 2014 (oecdinsights.org, 2016-11-02); UNCTADstat insights theme 99, for 2021", as_of = "2024-05-22" }"#,
        says: "freight and insurance together, as a share of the goods' value, over all trade of \
               the world: a check of your own quotes, not instead of them",
        source: "OECD ITIC, mean of 1995 to 2014 (oecdinsights.org, 2016-11-02); UNCTADstat insights theme 99, for 2021",
        as_of: "2024-05-22",
    },
    CostPrior {
        name: "weee_register_de",
        place: Place::Cost,
        toml: r#"{ each = "96.40 EUR/year", source = "haendlerbund.de/de/news/aktuelles/rechtliches/4304: ElektroGBattGGebV", as_of = "2023-01-01" }"#,
        says: "the quarterly fee of stiftung ear, 24.10 EUR, which every registered producer of \
               electrical devices pays in Germany; the list in force: ElektroGBattGGebV",
        source: "haendlerbund.de/de/news/aktuelles/rechtliches/4304: ElektroGBattGGebV",
        as_of: "2023-01-01",
    },
    CostPrior {
        name: "weee_registration_de",
        place: Place::Cost,
        toml: r#"{ total = "12.40 EUR", at = "month 0", source = "haendlerbund.de/de/news/aktuelles/rechtliches/4304: ElektroGBattGGebV", as_of = "2023-01-01" }"#,
        says: "registration of one brand and one type of device with stiftung ear, Germany",
        source: "haendlerbund.de/de/news/aktuelles/rechtliches/4304: ElektroGBattGGebV",
        as_of: "2023-01-01",
    },
    CostPrior {
        name: "battery_take_back",
        place: Place::Input,
        toml: r#"{ value = "0.55 EUR", source = "batterie-zurueck.de/de/bewirtschaftungvonaltbatterien", as_of = "read 2026-11-30" }"#,
        says: "taking back a kg of batteries in Germany, over all chemistries, as the take-back \
               systems estimate (Article 56(4) of Regulation (EU) 2023/1542)",
        source: "batterie-zurueck.de/de/bewirtschaftungvonaltbatterien",
        as_of: "read 2026-11-30",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Case;

    #[test]
    fn every_entry_can_be_pasted_into_a_case_with_its_source_and_date() {
        for entry in COST_LIBRARY {
            let table = match entry.place {
                Place::Cost => "cost",
                Place::Risk => "risk",
                Place::Input => "input",
            };
            let currency = if entry.toml.contains("EUR") { "EUR" } else { "USD" };
            let text = format!(
                "currency = \"{currency}\"\n[case]\nhorizon = \"5 years\"\ndiscount = \"9 %/year\"\n\
                 adoption = {{ added = \"9 devices/month\" }}\nincome = {{ rent = \
                 \"9 {currency}/device/month\" }}\n[case.{table}]\n{} = {}\n",
                entry.name, entry.toml
            );
            let case = Case::parse(&text);
            assert!(case.is_ok(), "{}: {case:?}", entry.name);
            for said in [entry.source, entry.as_of] {
                assert!(!said.is_empty() && entry.toml.contains(said), "{}: {said}", entry.name);
            }
            let dated = entry.as_of.strip_prefix("read ").unwrap_or(entry.as_of);
            let parts: Vec<usize> = dated.split('-').map(str::len).collect();
            assert!([4, 2, 2].starts_with(&parts), "{}: {dated}", entry.name);
        }
    }
}
