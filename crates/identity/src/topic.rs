//! Topic branches: where a device may publish and subscribe.
//!
//! *Invariant:* [`contains`] says yes only if every topic the filter can match lies in the branch;
//! a filter it cannot read is outside.
//!
//! Reference: OASIS MQTT 5.0, sections 4.7 (wildcards) and 4.8.2 (shared subscriptions).

use std::str::FromStr as _;

use model::{DeviceId, TenantId};

/// MQTT texts are at most this long (OASIS MQTT 5.0, section 1.5.4).
const TOPIC_BYTES_MAX: usize = 65_535;

/// `t/{tenant}/d/{device}/`: what the server puts where a device says `me/`.
#[must_use]
pub fn device_branch(tenant: TenantId, device: DeviceId) -> String {
    format!("t/{tenant}/d/{device}/")
}

/// Whose branch an absolute topic or filter begins in, if it names one literally.
#[must_use]
pub fn branch_of(filter: &str) -> Option<(TenantId, DeviceId)> {
    let mut levels = unshared(filter)?.split('/');
    let named = levels.next()? == "t";
    let tenant = TenantId::from_str(levels.next()?).ok()?;
    let device = (levels.next()? == "d").then(|| levels.next())??;
    let device = DeviceId::from_str(device).ok()?;
    // An id has one spelling in a topic; another case would be another topic for a subscriber.
    let plain = unshared(filter)?.starts_with(device_branch(tenant, device).trim_end_matches('/'));
    (named && plain).then_some((tenant, device))
}

/// Whether all that `filter` can match lies in `branch` (with or without a trailing slash).
#[must_use]
pub fn contains(filter: &str, branch: &str) -> bool {
    let Some(filter) = unshared(filter) else { return false };
    let branch = branch.strip_suffix('/').unwrap_or(branch);
    if branch.is_empty() || !well_formed(filter) {
        return false;
    }
    let mut levels = filter.split('/');
    // Level by level: `dev_1` must not hold `dev_10`, and a wildcard above the branch leaves it.
    branch.split('/').all(|level| levels.next() == Some(level) && !is_wildcard(level))
}

/// Whether a topic filter obeys MQTT: `#` alone and last, `+` alone in its level, no NUL.
#[must_use]
pub fn well_formed(filter: &str) -> bool {
    if filter.is_empty() || filter.len() > TOPIC_BYTES_MAX || filter.contains('\0') {
        return false;
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let wild = level.contains(['#', '+']);
        if (wild && !is_wildcard(level)) || (level == "#" && levels.peek().is_some()) {
            return false;
        }
    }
    true
}

/// The filter behind `$share/{group}/`, or the filter itself; `None` if the group is malformed.
#[must_use]
pub fn unshared(filter: &str) -> Option<&str> {
    let Some(shared) = filter.strip_prefix("$share/") else { return Some(filter) };
    let (group, inner) = shared.split_once('/')?;
    (!group.is_empty() && !group.contains(['#', '+'])).then_some(inner)
}

fn is_wildcard(level: &str) -> bool {
    matches!(level, "#" | "+")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// MQTT matching, written naively from section 4.7 as the oracle.
    fn matches(filter: &[&str], topic: &[&str]) -> bool {
        match (filter.split_first(), topic.split_first()) {
            (Some((&"#", _)), _) | (None, None) => true,
            (Some((f, rest)), Some((t, below))) => (*f == "+" || f == t) && matches(rest, below),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    #[test]
    fn a_device_holds_its_branch_and_nothing_beside_it() {
        let branch = "t/a/d/dev_1/";
        for inside in ["t/a/d/dev_1/telemetry", "t/a/d/dev_1/#", "t/a/d/dev_1/+/x", "t/a/d/dev_1"] {
            assert!(contains(inside, branch), "{inside}");
        }
        let outside = [
            "#",
            "+/#",
            "t/#",
            "t/a/d/#",
            "t/a/d/+/telemetry",
            "t/a/d/dev_10/telemetry",
            "t/b/d/dev_1/x",
            "t/+/d/dev_1/x",
            "t/a/d/dev_",
            "/t/a/d/dev_1/x",
            "",
            "$SYS/#",
            "t/a/d/dev_1/#/x",
            "t/a/d/dev_1/a+",
            "t/a/d/dev_1/\0",
            "T/a/d/dev_1/x",
        ];
        for outside in outside {
            assert!(!contains(outside, branch), "{outside}");
        }
    }

    #[test]
    fn a_shared_subscription_is_judged_by_its_inner_filter() {
        assert!(contains("$share/g/t/a/d/dev_1/#", "t/a/d/dev_1"));
        for outside in [
            "$share/g/#",
            "$share/g/t/a/d/+/x",
            "$share//t/a/d/dev_1/#",
            "$share/g",
            "$share/+/t/a/d/dev_1/#",
        ] {
            assert!(!contains(outside, "t/a/d/dev_1"), "{outside}");
        }
    }

    #[test]
    fn the_owner_of_a_branch_is_read_from_its_one_spelling() {
        let (tenant, device) = (TenantId::from_u128(10), DeviceId::from_u128(11));
        let branch = device_branch(tenant, device);
        assert_eq!(branch_of(&format!("{branch}telemetry")), Some((tenant, device)));
        assert_eq!(branch_of(&format!("$share/g/{branch}#")), Some((tenant, device)));
        assert_eq!(branch_of(&branch.replace('A', "a").replace('B', "b")), None);
        assert_eq!(branch_of("t/+/d/+/telemetry"), None);
    }

    proptest! {
        #[test]
        fn whatever_a_contained_filter_matches_is_in_the_branch(
            filter in prop::collection::vec(prop::sample::select(vec!["t", "a", "d", "x", "+", "#"]), 1..6),
            topic in prop::collection::vec(prop::sample::select(vec!["t", "a", "d", "x"]), 1..6),
        ) {
            let text = filter.join("/");
            if contains(&text, "t/a/d/x/") && matches(&filter, &topic) {
                prop_assert!(topic.starts_with(&["t", "a", "d", "x"]), "{} matches {:?}", text, topic);
            }
        }

        #[test]
        fn any_text_is_judged_without_a_panic(
            filter in any::<String>(),
            branch in any::<String>(),
        ) {
            let _ = (contains(&filter, &branch), branch_of(&filter), well_formed(&filter));
        }
    }
}
