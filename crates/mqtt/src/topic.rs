//! Topic names and filters (OASIS MQTT 5.0, section 4.7).
//!
//! *Invariant:* topics are compared byte for byte, level by level; filters that begin with a
//! wildcard do not match names that begin with `$` `[MQTT-4.7.2-1]`.

/// The longest topic or filter in bytes that MQTT can say.
pub const TOPIC_BYTES_MAX: usize = 65_535;

/// Whether the text may be published to: not empty, no wildcard, no U+0000.
#[must_use]
#[inline]
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && memchr::memchr3(b'+', b'#', 0, text.as_bytes()).is_none()
}

/// Whether the text may be subscribed to: `+` and `#` stand alone in their level, `#` last
/// (`[MQTT-4.7.1-1]`, `[MQTT-4.7.1-2]`).
#[must_use]
pub fn is_filter(text: &str) -> bool {
    let wildcards_stand_alone = |level: &str| level.len() == 1 || !level.contains(['+', '#']);
    !text.is_empty()
        && !text.contains('\0')
        && text.split('/').all(wildcards_stand_alone)
        && text.find('#').is_none_or(|at| at + 1 == text.len())
}

/// A `$share/{group}/{filter}` taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared<'a> {
    /// Who shares.
    pub group: &'a str,
    /// What is shared.
    pub filter: &'a str,
}

/// Takes a shared subscription apart: `Ok(None)` when the text is none.
///
/// # Errors
/// It begins with `$share/` but group or filter are wrong (`[MQTT-4.8.2-1]`, `[MQTT-4.8.2-2]`).
pub fn shared(text: &str) -> Result<Option<Shared<'_>>, NotAFilter> {
    let Some(rest) = text.strip_prefix("$share/") else {
        return Ok(None);
    };
    let (group, filter) = rest.split_once('/').ok_or(NotAFilter)?;
    if group.is_empty() || group.contains(['+', '#']) || !is_filter(filter) {
        return Err(NotAFilter);
    }
    Ok(Some(Shared { group, filter }))
}

/// The text is not a topic filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a topic filter: + and # stand alone in their level, and # comes last")]
pub struct NotAFilter;

/// Whether a name is one that a filter asks for.
#[must_use]
pub fn matches(filter: &str, name: &str) -> bool {
    if name.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    levels_match(filter, name)
}

/// As [`matches`], for a part of a topic that does not begin it.
#[must_use]
pub fn levels_match(filter: &str, name: &str) -> bool {
    let mut wanted = filter.split('/');
    let mut given = name.split('/');
    loop {
        match (wanted.next(), given.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(w), Some(g)) if w == g => {}
            (Some(_), _) | (None, Some(_)) => return false,
        }
    }
}

/// Whether every name that `inner` asks for is also one that `outer` asks for.
#[must_use]
pub fn contains(outer: &str, inner: &str) -> bool {
    if inner.starts_with('$') && outer.starts_with(['+', '#']) {
        return false;
    }
    let mut outer = outer.split('/');
    let mut inner = inner.split('/');
    loop {
        match (outer.next(), inner.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(level)) if level != "#" => {}
            (Some(o), Some(i)) if o == i => {}
            (Some(_), _) | (None, Some(_)) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wildcards_match_as_the_examples_of_the_standard_say() {
        // Section 4.7.1.2 and 4.7.1.3.
        for name in [
            "sport/tennis/player1",
            "sport/tennis/player1/ranking",
            "sport/tennis/player1/score/wimbledon",
        ] {
            assert!(matches("sport/tennis/player1/#", name), "{name}");
        }
        assert!(matches("sport/#", "sport"));
        assert!(matches("sport/tennis/+", "sport/tennis/player1"));
        assert!(!matches("sport/tennis/+", "sport/tennis/player1/ranking"));
        assert!(!matches("sport/+", "sport"));
        assert!(matches("sport/+", "sport/"));
        assert!(matches("+/+", "/finance"));
        assert!(matches("/+", "/finance"));
        assert!(!matches("+", "/finance"));
    }

    #[test]
    fn dollar_topics_need_to_be_named() {
        assert!(!matches("#", "$SYS/uptime"));
        assert!(!matches("+/uptime", "$SYS/uptime"));
        assert!(matches("$SYS/#", "$SYS/uptime"));
        assert!(!contains("#", "$SYS/uptime"));
    }

    #[test]
    fn filters_with_misplaced_wildcards_are_refused() {
        for text in ["", "a#", "a/#/b", "a+", "+a/b", "#/", "sport/tennis#", "a\0b"] {
            assert!(!is_filter(text), "{text:?}");
        }
        for text in ["#", "+", "/", "a/+/#", "+/a/+", "//"] {
            assert!(is_filter(text), "{text:?}");
        }
    }

    #[test]
    fn shared_filters_need_group_and_filter() {
        assert_eq!(shared("a/b"), Ok(None));
        assert_eq!(shared("$share/g/a/+"), Ok(Some(Shared { group: "g", filter: "a/+" })));
        for text in ["$share/", "$share/g", "$share//a", "$share/g/", "$share/+/a"] {
            assert!(shared(text).is_err(), "{text}");
        }
    }

    fn level() -> impl Strategy<Value = String> {
        prop_oneof![Just("a".to_owned()), Just("b".to_owned()), Just(String::new())]
    }

    fn name() -> impl Strategy<Value = String> {
        prop::collection::vec(level(), 1..4)
            .prop_map(|l| l.join("/"))
            .prop_filter("a name is not empty", |n| !n.is_empty())
    }

    fn filter() -> impl Strategy<Value = String> {
        let level = prop_oneof![level(), Just("+".to_owned())];
        (prop::collection::vec(level, 1..4), any::<bool>())
            .prop_map(|(mut l, open)| {
                if open {
                    l.push("#".to_owned());
                }
                l.join("/")
            })
            .prop_filter("a filter is not empty", |n| !n.is_empty())
    }

    proptest! {
        #[test]
        fn a_contained_filter_never_matches_more(
            outer in filter(), inner in filter(), names in prop::collection::vec(name(), 1..20),
        ) {
            if contains(&outer, &inner) {
                for name in names {
                    prop_assert!(!matches(&inner, &name) || matches(&outer, &name),
                        "{} contains {} but not {}", outer, inner, name);
                }
            }
        }

        #[test]
        fn any_text_is_judged_without_panic(a in "\\PC{0,20}", b in "[a+#/$]{0,8}") {
            let _ = (is_filter(&a), is_name(&a), shared(&a).is_ok());
            let _ = (matches(&b, &a), contains(&b, &a), contains(&a, &b));
        }
    }
}
