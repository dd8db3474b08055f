//! `iotbiz explain`: what a code means and what to do; without one, all of them.

use serde_json::json;

use crate::cli::Format;
use crate::exit::{self, Failure};
use crate::output;

pub(crate) fn run(code: Option<&str>, format: Format) -> anyhow::Result<()> {
    let all = all();
    let Some(code) = code else { return list(&all, format) };
    let wanted = code.to_ascii_uppercase();
    let Some(found) = all.iter().find(|known| known.code == wanted) else {
        return Err(Failure::new(
            exit::NOT_FOUND,
            format!("{code:?} is not a code of this version"),
        )
        .fix("list them: iotbiz explain")
        .fix("codes are printed in brackets, such as B520 or E0201")
        .into());
    };
    if format == Format::Json {
        return output::json(&found.json());
    }
    let status = found.status.map_or_else(String::new, |status| format!(" (HTTP {status})"));
    output::line(&format!("{}: {}{status}\n\n{}", found.code, found.title, found.text))
}

/// A code of a finding or of a refusal.
struct Known {
    code: &'static str,
    title: &'static str,
    text: String,
    status: Option<u16>,
}

impl Known {
    fn json(&self) -> serde_json::Value {
        let Self { code, title, text, status } = self;
        json!({ "code": code, "title": title, "text": text, "status": status })
    }
}

fn all() -> Vec<Known> {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let findings = blueprint::CODES.iter().map(|found| Known {
        code: found.id,
        title: found.title,
        text: plain(found.text),
        status: None,
    });
    let refusals = api::CODES.iter().map(|found| Known {
        code: found.code,
        title: found.title,
        text: plain(found.explanation),
        status: Some(found.status),
    });
    findings.chain(refusals).collect()
}

fn list(all: &[Known], format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::json(&all.iter().map(Known::json).collect::<Vec<_>>());
    }
    let rows = all.iter().map(|known| vec![known.code.to_owned(), known.title.to_owned()]);
    output::table(&["CODE", "WHAT IT SAYS"], rows.collect())
}
