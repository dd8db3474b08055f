//! `iotbiz explain`: what a code means and what to do.

use crate::exit::{self, Failure};
use crate::output;

pub(crate) fn run(code: &str) -> anyhow::Result<()> {
    let wanted = code.to_ascii_uppercase();
    if let Some(found) = api::CODES.iter().find(|known| known.code == wanted) {
        let words = found.explanation.split_whitespace().collect::<Vec<_>>().join(" ");
        return output::line(&format!(
            "{}: {} (HTTP {})\n\n{words}",
            found.code, found.title, found.status
        ));
    }
    if let Some(found) = blueprint::explain(&wanted) {
        return output::line(&format!("{}: {}\n\n{}", found.id, found.title, found.text));
    }
    Err(Failure::new(exit::NOT_FOUND, format!("{code:?} is not a code of this version"))
        .fix("codes are printed in brackets, such as B520 or E0201")
        .into())
}
