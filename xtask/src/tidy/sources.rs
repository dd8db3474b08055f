//! Rules about single files: size, length, header, names, markers and paths of one machine.
//!
//! *Invariant:* no rule needs more than a path and the text.

use super::Finding;

/// One idea fits in so many lines of Rust; what is longer is split by subject.
const RUST_LINES_MAX: usize = 500;
const FILE_LINES_MAX: usize = 900;
const LINE_CHARS_MAX: usize = 100;
const FILE_BYTES_MAX: usize = 200_000;

const CODE: [&str; 11] =
    ["rs", "ts", "js", "mjs", "svelte", "py", "css", "sql", "sh", "html", "toml"];

/// Text files are held to all rules that fit their ending.
pub fn check(path: &str, text: &str, out: &mut Vec<Finding>) {
    if in_testdata(path) || is_lock(path) {
        return;
    }
    if CODE.contains(&extension(path)) || path.starts_with(".ci/") {
        length(path, text, out);
        markers(path, text, out);
    }
    if extension(path) == "rs" {
        line_length(path, text, out);
        header(path, text, out);
        names(path, text, out);
    }
    machine_paths(path, text, out);
}

/// Big files make every clone slow; data for tests lies in `testdata/`.
pub fn size(path: &str, bytes: usize, out: &mut Vec<Finding>) {
    // The API's document is written by the program and grows with its routes.
    let made = ["docs/images/", "docs/api/"].iter().any(|folder| path.starts_with(folder));
    let free = in_testdata(path) || is_lock(path) || made;
    if bytes > FILE_BYTES_MAX && !free {
        let text = format!("{bytes} bytes; {FILE_BYTES_MAX} are the limit outside testdata/");
        out.push(Finding::file(path, "file_size", text));
    }
}

fn length(path: &str, text: &str, out: &mut Vec<Finding>) {
    let lines = text.lines().count();
    // What is generated for boards is one file there.
    let free = path.starts_with("crates/iotbiz/projects/");
    let max = if extension(path) == "rs" && !free { RUST_LINES_MAX } else { FILE_LINES_MAX };
    if lines > max {
        let text = format!("{lines} lines; {max} are the limit: split by subject");
        out.push(Finding::file(path, "file_length", text));
    }
}

fn line_length(path: &str, text: &str, out: &mut Vec<Finding>) {
    let mut within = Within::Code;
    for (number, line) in numbered(text) {
        let chars = line.chars().count();
        let code = if within == Within::Code { chars - literal_chars(line) } else { 0 };
        within = within.after(line);
        // Neither an address nor a text that is compared as a whole can be broken.
        if code > LINE_CHARS_MAX && !line.contains("://") {
            let text = format!("{chars} characters; {LINE_CHARS_MAX} are the limit");
            out.push(Finding::line(path, number, "line_length", text));
        }
    }
}

/// Where a line of a source begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Code,
    Literal,
    RawLiteral,
}

impl Within {
    /// Where the next line begins. No lexer: good enough to leave literals alone.
    fn after(self, line: &str) -> Self {
        let raw = line.rsplit_once("r#\"").is_some_and(|(_, after)| !after.contains("\"#"));
        let quotes = line.replace("\\\\", "").replace("\\\"", "").replace("'\"'", "");
        let odd = quotes.matches('"').count() % 2 == 1;
        match self {
            Self::RawLiteral if line.contains("\"#") => Self::Code,
            Self::RawLiteral => Self::RawLiteral,
            Self::Code if raw => Self::RawLiteral,
            Self::Code if odd && !line.trim_start().starts_with("//") => Self::Literal,
            Self::Literal if !odd => Self::Literal,
            Self::Code | Self::Literal => Self::Code,
        }
    }
}

/// Characters between the first and the last quotation mark of a line of code.
fn literal_chars(line: &str) -> usize {
    if line.trim_start().starts_with("//") {
        return 0;
    }
    // One that goes on in the next line ends here with this line.
    let end = if Within::Code.after(line) == Within::Code { line.rfind('"') } else { None };
    let between = line.find('"').and_then(|first| line.get(first..end.unwrap_or(line.len())));
    between.map_or(0, |text| text.chars().count())
}

fn header(path: &str, text: &str, out: &mut Vec<Finding>) {
    let ours = path.starts_with("xtask/src/")
        || (path.starts_with("crates/") && path.split('/').nth(2) == Some("src"));
    if ours && !text.starts_with("//! ") {
        out.push(Finding::line(path, 1, "header", "the file must open with `//!`: what it is"));
    }
}

/// Names that say nothing about what a thing is.
fn names(path: &str, text: &str, out: &mut Vec<Finding>) {
    let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
    if says_nothing(stem, Naming::Module) {
        out.push(Finding::file(path, "banned_name", format!("`{stem}` says nothing")));
    }
    for (number, line) in numbered(text) {
        let Some((naming, name)) = declared(line) else { continue };
        if says_nothing(name, naming) {
            let text = format!("`{name}` says nothing; name what it is or does");
            out.push(Finding::line(path, number, "banned_name", text));
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    Module,
    Type,
    Function,
}

/// The name a line declares, when it declares one.
fn declared(line: &str) -> Option<(Naming, &str)> {
    let mut words = line.split_whitespace();
    while let Some(word) = words.next() {
        let naming = match word {
            "mod" => Naming::Module,
            "struct" | "enum" | "trait" | "type" => Naming::Type,
            "fn" => Naming::Function,
            "pub" | "async" | "const" | "unsafe" | "extern" | "default" => continue,
            _ if word.starts_with("pub(") || word.ends_with(')') && !word.contains('(') => continue,
            _ => return None,
        };
        let name = words.next()?;
        let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
        return name.get(..end).map(|name| (naming, name));
    }
    None
}

/// `common_prefix` is the field's word for a function; a module or type called common is a drawer.
fn says_nothing(name: &str, naming: Naming) -> bool {
    parts(name).iter().any(|part| match part.as_str() {
        "util" | "utils" | "manager" | "helper" | "helpers" => true,
        "common" => naming != Naming::Function,
        _ => false,
    })
}

/// `FooBar` and `foo_bar` are both foo, bar.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut before_lower = false;
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && before_lower) {
            parts.push(String::new());
        }
        before_lower = c.is_lowercase();
        if let Some(last) = parts.last_mut()
            && c != '_'
        {
            last.extend(c.to_lowercase());
        }
    }
    parts
}

/// Markers of unfinished work name the issue that finishes it.
fn markers(path: &str, text: &str, out: &mut Vec<Finding>) {
    let (later, broken) = (["TO", "DO"].concat(), ["FIX", "ME"].concat());
    for (number, line) in numbered(text) {
        if let Some(at) = word_at(line, &later) {
            let after = line.get(at + later.len()..).unwrap_or_default();
            let issue = after.strip_prefix("(#").and_then(|rest| rest.split(')').next());
            let named = issue.is_some_and(|id| !id.is_empty() && id.bytes().all(is_digit));
            if !named {
                let text = format!("{later} needs the id of an issue: {later}(#12)");
                out.push(Finding::line(path, number, "marker", text));
            }
        }
        if word_at(line, &broken).is_some() {
            let text = format!("{broken} is not left in: fix it or open an issue");
            out.push(Finding::line(path, number, "marker", text));
        }
    }
}

/// A path of somebody's machine works on that machine alone.
fn machine_paths(path: &str, text: &str, out: &mut Vec<Finding>) {
    let roots = ["root", "home", "work", "Users"].map(|folder| format!("/{folder}/"));
    let scratch = ["/tmp", "/brief"].concat();
    for (number, line) in numbered(text) {
        let found = roots
            .iter()
            .filter(|root| starts_a_path(line, root))
            .chain(line.contains(&scratch).then_some(&scratch))
            .next();
        if let Some(found) = found {
            let text = format!("`{found}` is a path of one machine");
            out.push(Finding::line(path, number, "machine_path", text));
        }
    }
}

/// Whether a path begins here, rather than being the middle of another or of an address.
fn starts_a_path(line: &str, root: &str) -> bool {
    line.match_indices(root).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        let after = line.get(at + root.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(|c| c.is_alphanumeric() || "./_-}>*$".contains(c))
            && after.is_some_and(char::is_alphanumeric)
    })
}

fn word_at(line: &str, word: &str) -> Option<usize> {
    line.match_indices(word).map(|(at, _)| at).find(|&at| {
        let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|after| after.chars().next());
        !letter(before) && !letter(after)
    })
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

/// Lines with their numbers from 1.
pub(super) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

fn extension(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path).rsplit_once('.').map_or("", |(_, ending)| ending)
}

fn in_testdata(path: &str) -> bool {
    path.split('/').any(|part| part == "testdata")
}

fn is_lock(path: &str) -> bool {
    path.ends_with("Cargo.lock") || path.ends_with("package-lock.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        let mut out = Vec::new();
        check(path, text, &mut out);
        out.iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn a_good_file_has_no_findings() {
        let text = "//! Rates usage.\n\n// See https://example.org/x\npub(crate) fn rate() {}\n";
        assert_eq!(rules("crates/billing/src/rate.rs", text), [""; 0]);
    }

    #[test]
    fn a_file_of_too_many_lines_is_found() {
        let long = |lines: usize| format!("//! Long.{}", "\n".repeat(lines));
        assert_eq!(rules("crates/a/src/b.rs", &long(500)), [""; 0]);
        assert_eq!(rules("crates/a/src/b.rs", &long(501)), ["file_length"]);
        assert_eq!(rules("crates/a/testdata/b.rs", &long(501)), [""; 0]);
        assert_eq!(rules("web/src/b.ts", &long(501)), [""; 0]);
        assert_eq!(rules("web/src/b.ts", &long(901)), ["file_length"]);
    }

    #[test]
    fn a_line_over_100_characters_is_found_unless_it_cannot_be_broken() {
        let long = "x".repeat(101);
        assert_eq!(rules("crates/a/src/b.rs", &format!("//! B.\n// {long}\n")), ["line_length"]);
        let address = format!("//! B.\n// https://example.org/{long}\n");
        assert_eq!(rules("crates/a/src/b.rs", &address), [""; 0]);
        let commented = format!("//! B.\n// \"{long}\"\n");
        assert_eq!(rules("crates/a/src/b.rs", &commented), ["line_length"]);
        let literal = format!("//! B.\nlet a = \"{long}\";\nlet b = r#\"\n{long}\n\"#;\n");
        assert_eq!(rules("crates/a/src/b.rs", &literal), [""; 0]);
        let lines = format!("//! B.\nlet a = \"{long}\\\n{long}\n\";\n");
        assert_eq!(rules("crates/a/src/b.rs", &lines), [""; 0]);
        let after = format!("//! B.\nlet b = r#\"\n\"#;\nlet {long} = 1;\n");
        assert_eq!(rules("crates/a/src/b.rs", &after), ["line_length"]);
        let exact = format!("//! B.\n//{}\n", "é".repeat(98));
        assert_eq!(rules("crates/a/src/b.rs", &exact), [""; 0]);
    }

    #[test]
    fn a_source_file_without_header_is_found() {
        assert_eq!(rules("crates/a/src/b.rs", "fn b() {}\n"), ["header"]);
        assert_eq!(rules("xtask/src/b.rs", "fn b() {}\n"), ["header"]);
        assert_eq!(rules("crates/a/tests/b.rs", "fn b() {}\n"), [""; 0]);
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        for line in [
            "mod utils;",
            "pub struct SessionManager;",
            "pub(crate) async fn parse_helper() {}",
            "enum CommonThing {}",
            "pub(in crate::a) trait Helper {}",
        ] {
            assert_eq!(rules("crates/a/src/b.rs", &format!("//! B.\n{line}\n")), ["banned_name"]);
        }
        for line in ["fn common_prefix() {}", "let manager = 1;", "fn utility() {}"] {
            assert_eq!(rules("crates/a/src/b.rs", &format!("//! B.\n{line}\n")), [""; 0], "{line}");
        }
        assert_eq!(rules("crates/a/src/utils.rs", "//! B.\n"), ["banned_name"]);
    }

    #[test]
    fn a_marker_without_issue_is_found() {
        let later = ["TO", "DO"].concat();
        assert_eq!(rules("web/src/a.ts", &format!("// {later}: later\n")), ["marker"]);
        assert_eq!(rules("web/src/a.ts", &format!("// {later}(#): later\n")), ["marker"]);
        assert_eq!(rules("web/src/a.ts", &format!("// {later}(#12): later\n")), [""; 0]);
        let broken = ["FIX", "ME"].concat();
        assert_eq!(rules("web/src/a.ts", &format!("// {broken}(#12)\n")), ["marker"]);
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        // The slashes are put in later, or this file would break its own rule.
        let found = |text: &str| rules("README.md", &text.replace('~', "/"));
        for text in ["~root~x", "see ~home~ada~x", "`~work~main`", "'~Users~ada'"] {
            assert_eq!(found(text), ["machine_path"], "{text}");
        }
        for text in ["https:~~example.org~home~x", "$HOME~x", "crates~work~x", "~root~ is root's"] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_big_file_is_found_outside_testdata() {
        let mut out = Vec::new();
        size("docs/a.pdf", FILE_BYTES_MAX + 1, &mut out);
        size("crates/a/testdata/a.bin", FILE_BYTES_MAX + 1, &mut out);
        size("web/package-lock.json", FILE_BYTES_MAX + 1, &mut out);
        size("docs/images/a.png", FILE_BYTES_MAX + 1, &mut out);
        assert_eq!(out.len(), 1);
        assert_eq!(out.first().map(|finding| finding.path.as_str()), Some("docs/a.pdf"));
    }
}
