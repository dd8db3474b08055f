//! Templates: `@name@` is replaced by a word, everything else stays as it is.
//!
//! *Invariant:* what a word holds is never looked at again, so no name of a device or property can
//! name another word.

use std::collections::BTreeMap;

/// Words by their names.
#[derive(Debug, Clone, Default)]
pub(super) struct Words(BTreeMap<&'static str, String>);

impl Words {
    pub(super) fn with(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.0.insert(name, text.into());
        self
    }

    /// The template with its words; an `@` that begins no known word stays.
    pub(super) fn fill(&self, template: &str) -> String {
        let mut out = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('@') {
            out.push_str(before);
            let word =
                after.split_once('@').and_then(|(name, then)| Some((self.0.get(name)?, then)));
            rest = if let Some((word, then)) = word {
                out.push_str(word);
                then
            } else {
                out.push('@');
                after
            };
        }
        out.push_str(rest);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_are_replaced_once_and_everything_else_stays() {
        let words = Words::default().with("a", "@b@").with("b", "no");
        assert_eq!(words.fill("x @a@ y@z @c@ @"), "x @b@ y@z @c@ @");
    }
}
