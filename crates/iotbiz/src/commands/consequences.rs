//! What a change of a blueprint does to money, gates, alarms and batteries, as people read it.
//!
//! *Invariant:* it prints what the server computed; each figure with how it came to be.

use serde_json::Value;

use crate::output::{self, text};

/// What comes out otherwise; nothing when nothing does.
pub(crate) fn show(found: &Value) -> anyhow::Result<()> {
    let all = found["consequences"].as_array().map_or(&[][..], Vec::as_slice);
    if all.is_empty() {
        return Ok(());
    }
    output::line("what it does:")?;
    for one in all {
        let line = one["line"].as_u64().map(|line| format!(" (line {line})")).unwrap_or_default();
        let per = one["per"].as_str().unwrap_or_default();
        let per = if per.is_empty() { String::new() } else { format!(", {per}") };
        output::line(&format!("> {} {}{line}{per}", text(&one["of"]), text(&one["path"])))?;
        for (word, side) in [("was", &one["before"]), ("now", &one["after"])] {
            output::line(&format!("    {word} {}", told(side)))?;
        }
    }
    Ok(())
}

/// `9.04 EUR = 432 MB x 0.02 EUR + 0.40 EUR`.
fn told(side: &Value) -> String {
    let how = side["how"].as_str().unwrap_or_default();
    let Some(words) = side["words"].as_str() else {
        return "not there, or nobody can know it".to_owned();
    };
    if how.is_empty() { words.to_owned() } else { format!("{words}: {how}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_figure_is_told_with_how_it_came_to_be() {
        let side = json!({ "value": 9.04, "words": "9.04 EUR", "how": "432 MB x 0.02 EUR" });
        assert_eq!(told(&side), "9.04 EUR: 432 MB x 0.02 EUR");
        assert_eq!(told(&json!({ "words": "raised at once", "how": "" })), "raised at once");
        assert_eq!(told(&Value::Null), "not there, or nobody can know it");
    }
}
