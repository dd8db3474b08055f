//! Costs of connected products that founders forget, with source and date.
//!
//! *Invariant:* every entry can be pasted into a case. They are ranges to start from, never truth:
//! whoever has an offer writes the offer.

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
    /// When; empty if the source does not say.
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
        toml: r#"{ probability = "50 %", money = "10000 to 20000 USD", at = "month 1", owner = "hardware", source = "manufacturing-factory.com" }"#,
        says: "half of all products fail their first test of electromagnetic compatibility",
        source: "manufacturing-factory.com",
        as_of: "",
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
        toml: r#"{ each = "0.40 USD/device/month", source = "hologram help page" }"#,
        says: "a SIM that is only kept alive",
        source: "hologram help page",
        as_of: "",
    },
    CostPrior {
        name: "tracker_data",
        place: Place::Input,
        toml: r#""5 to 10 MB/device/month""#,
        says: "data of a wired vehicle tracker",
        source: "digmat.freshdesk.com",
        as_of: "",
    },
    CostPrior {
        name: "sim_step",
        place: Place::Input,
        toml: r#""1 kB""#,
        says: "what a session is rounded up to where the network is kind: the increment of a radio",
        source: "support.emnify.com/hc/articles/115003596085",
        as_of: "",
    },
    CostPrior {
        name: "sim_month_step",
        place: Place::Input,
        toml: r#""100 kB""#,
        says: "what a SIM's month is rounded up to on a roaming plan in the United States",
        source: "developers.soracom.io/en/docs/reference/data-usage-calculation",
        as_of: "",
    },
    CostPrior {
        name: "lorawan_packet",
        place: Place::Input,
        toml: r#""0.00001 USD""#,
        says: "24 bytes on the Helium network of LoRaWAN; repeats and acknowledgements count as well",
        source: "learn.semtech.com, Helium IoT Network Basics",
        as_of: "2022-04",
    },
    CostPrior {
        name: "cloud_message_step",
        place: Place::Input,
        toml: r#""5 kB""#,
        says: "what a message to AWS IoT Core is rounded up to, in both directions",
        source: "aws.amazon.com/iot-core/pricing/additional-details",
        as_of: "",
    },
    CostPrior {
        name: "service_visit",
        place: Place::Input,
        toml: r#""150 to 1000 USD""#,
        says: "a technician drives to a device, to swap a battery or to look",
        source: "multi-link.net/how-much-does-a-service-truck-roll-cost-your-company",
        as_of: "2015-04",
    },
    CostPrior {
        name: "sent_back",
        place: Place::Input,
        toml: r#""11 to 20 %""#,
        says: "share of consumer electronics that is sent back; 5 % of those are broken",
        source: "Accenture, told by gizmodo.com/5012728",
        as_of: "2008-06",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Case;

    #[test]
    fn every_entry_can_be_pasted_into_a_case() {
        for entry in COST_LIBRARY {
            let table = match entry.place {
                Place::Cost => "cost",
                Place::Risk => "risk",
                Place::Input => "input",
            };
            let text = format!(
                "currency = \"USD\"\n[case]\nhorizon = \"5 years\"\ndiscount = \"9 %/year\"\n\
                 adoption = {{ added = \"9 devices/month\" }}\nincome = {{ rent = \
                 \"9 USD/device/month\" }}\n[case.{table}]\n{} = {}\n",
                entry.name, entry.toml
            );
            let case = Case::parse(&text);
            assert!(case.is_ok(), "{}: {case:?}", entry.name);
            assert!(entry.place == Place::Input || entry.toml.contains(entry.source));
        }
    }
}
