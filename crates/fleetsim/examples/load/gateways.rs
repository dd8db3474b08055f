//! Topics of gateways: each connection speaks for the children of its line.
//!
//! *Invariant:* all topics of a run have the same length, as a window is one ring of equal packets.

use std::error::Error;
use std::fs;
use std::path::Path;

/// The topics of each gateway, in the order of the lines.
pub(crate) fn topics(file: &Path) -> Result<Vec<Vec<String>>, Box<dyn Error>> {
    parse(&fs::read_to_string(file)?).map_err(|why| format!("{}: {why}", file.display()).into())
}

fn parse(text: &str) -> Result<Vec<Vec<String>>, String> {
    let gateways: Vec<Vec<String>> =
        text.lines().map(|line| line.split_whitespace().map(topic).collect()).collect();
    if gateways.is_empty() || gateways.iter().any(Vec::is_empty) {
        return Err("each line needs the ids of a gateway's children".to_owned());
    }
    let mut all = gateways.iter().flatten();
    let length = all.next().map_or(0, String::len);
    match all.find(|topic| topic.len() != length) {
        Some(other) => Err(format!("{other} is not {length} bytes long as the first topic")),
        None => Ok(gateways),
    }
}

fn topic(child: &str) -> String {
    format!("me/c/{child}/telemetry")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_gateway_with_its_children() {
        let gateways = parse("dev_1 dev_2\ndev_3\n").unwrap();
        assert_eq!(gateways[0], ["me/c/dev_1/telemetry", "me/c/dev_2/telemetry"]);
        assert_eq!(gateways[1], ["me/c/dev_3/telemetry"]);
    }

    #[test]
    fn a_gateway_without_children_is_refused() {
        assert!(parse("").is_err());
        assert!(parse("dev_1\n\ndev_2\n").is_err());
    }

    #[test]
    fn topics_of_other_length_are_refused() {
        let why = parse("dev_1 dev_22\n").unwrap_err();
        assert!(why.contains("me/c/dev_22/telemetry"), "{why}");
    }
}
