//! Blueprints to start from.
//!
//! *Invariant:* each is read without an error; a test holds it.

/// A blueprint to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    /// Its name, which is also that of its venture.
    pub name: &'static str,
    /// What it is, for a list.
    pub title: &'static str,
    /// The blueprint.
    pub text: &'static str,
}

/// All of them.
#[must_use]
pub const fn templates() -> &'static [Template] {
    &[
        Template {
            name: "coolbox",
            title: "cold chain: boxes that prove their temperature",
            text: include_str!("../../../blueprints/coolbox/blueprint.toml"),
        },
        Template {
            name: "machine",
            title: "factory: machines that are paid by the day they run",
            text: include_str!("../../../blueprints/machine/blueprint.toml"),
        },
        Template {
            name: "soil",
            title: "farm: probes that say when to water",
            text: include_str!("../../../blueprints/soil/blueprint.toml"),
        },
        Template {
            name: "home",
            title: "home: radiator valves that know who is there",
            text: include_str!("../../../blueprints/home/blueprint.toml"),
        },
        Template {
            name: "hearth",
            title: "home: thermostats and smoke sensors (no certified fire alarm)",
            text: include_str!("../../../blueprints/hearth/blueprint.toml"),
        },
        Template {
            name: "presswatch",
            title: "factory: condition, states and maintenance of presses",
            text: include_str!("../../../blueprints/presswatch/blueprint.toml"),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Blueprint, render};

    #[test]
    fn every_template_is_read_without_an_error() {
        for template in templates() {
            let parsed = Blueprint::parse(template.text);
            let shown = render(&parsed.diagnostics, template.name, template.text);
            let blueprint = parsed.blueprint.unwrap_or_else(|| panic!("{shown}"));
            assert_eq!(blueprint.venture.as_str(), template.name);
        }
    }
}
