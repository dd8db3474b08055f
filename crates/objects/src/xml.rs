//! The few elements of answers that are looked at.
//!
//! *Invariant:* no element is looked for that may stand inside of one of the same name, so plain
//! text search is exact; entities are those of XML itself.

/// Contents of all elements of a name, in order.
pub(crate) fn all<'a>(text: &'a str, name: &str) -> impl Iterator<Item = String> + use<'a> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(open.as_str())?;
        let (inside, after) = after.split_once(close.as_str())?;
        rest = after;
        Some(plain(inside))
    })
}

/// Content of the first element of a name.
pub(crate) fn first(text: &str, name: &str) -> Option<String> {
    all(text, name).next()
}

fn plain(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&#34;", "\"")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_in_order_and_entities_are_read() {
        let text = "<R><Contents><Key>a&amp;b</Key></Contents><Contents><Key>c</Key></Contents>\
                    <IsTruncated>false</IsTruncated></R>";
        assert_eq!(all(text, "Key").collect::<Vec<_>>(), ["a&b", "c"]);
        assert_eq!(first(text, "IsTruncated").as_deref(), Some("false"));
        assert_eq!(first(text, "Code"), None);
    }
}
