//! The blueprint that an idea begins: a template in its name, or a text that names it.
//!
//! *Invariant:* only lines above the first section change; comments and order stay. A text that
//! names the idea already stays as it is. Whether the result is a blueprint is judged by whoever
//! applies it.

use model::{IdeaId, Name};

/// The text with the idea it comes from; with a title, also under another name and title.
#[must_use]
pub fn blueprint_of(text: &str, id: IdeaId, renamed: Option<(&Name, &str)>) -> String {
    if renamed.is_none() && names(text, id) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 64);
    let mut head = true;
    let mut named = false;
    for line in text.lines() {
        head &= !line.trim_start().starts_with('[');
        let key = line.split_once('=').map(|(key, _)| key.trim());
        match (key.filter(|_| head), renamed) {
            (Some("venture"), renamed) if !named => {
                named = true;
                match renamed {
                    Some((name, _)) => out.push_str(&format!("venture = \"{name}\"\n")),
                    None => out.push_str(&format!("{line}\n")),
                }
                out.push_str(&format!("idea = \"{id}\"\n"));
            }
            (Some("title"), Some((_, title))) => {
                out.push_str(&format!("title = {}\n", quoted(title)));
            }
            // The one that names another is replaced by the line above.
            (Some("idea"), _) => {}
            _ => out.push_str(&format!("{line}\n")),
        }
    }
    out
}

/// Whether a line above the first section names the idea.
fn names(text: &str, id: IdeaId) -> bool {
    let head = text.lines().take_while(|line| !line.trim_start().starts_with('['));
    let mut keys = head.filter_map(|line| line.split_once('='));
    let quoted = format!("\"{id}\"");
    keys.any(|(key, value)| key.trim() == "idea" && value.trim() == quoted)
}

/// As TOML writes a basic string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_renamed_and_names_its_idea() {
        let text = "# a template\nblueprint = 1\nventure = \"coolbox\"\ntitle = \"Cool\"\n\n\
                    [device.box]\n\
                    title = \"a box\"\n";
        let (id, name) = (IdeaId::from_u128(7), "lid_alarm".parse().unwrap());
        let made = blueprint_of(text, id, Some((&name, "Alarm at the \"lid\"")));
        expect_test::expect![[r#"
            # a template
            blueprint = 1
            venture = "lid_alarm"
            idea = "ide_00000000000000000000000007"
            title = "Alarm at the \"lid\""

            [device.box]
            title = "a box"
        "#]]
        .assert_eq(&made);
        let again = blueprint_of(&made, IdeaId::from_u128(8), None);
        assert_eq!(again.matches("idea = ").count(), 1);
        assert!(again.contains("title = \"Alarm at"));
    }

    #[test]
    fn a_text_that_names_the_idea_keeps_every_line_where_it_is() {
        let id = IdeaId::from_u128(7);
        let text = format!("venture = \"v\"\ntitle = \"V\"\nidea = \"{id}\"\n\n[a]\n");
        assert_eq!(blueprint_of(&text, id, None), text);
        let other = blueprint_of(&text, IdeaId::from_u128(8), None);
        assert_eq!(other.lines().nth(1), Some("idea = \"ide_00000000000000000000000008\""));
        let below = "venture = \"v\"\n[a]\nidea = \"ide_00000000000000000000000007\"\n";
        assert_eq!(blueprint_of(below, id, None).matches("idea = ").count(), 2);
    }
}
