//! "Did you mean": the closest known word.
//!
//! *Invariant:* a suggestion differs by at most a third of its letters, so nonsense gets none.

/// Longest word that is compared.
const WORD_CHARS_MAX: usize = 64;

/// Optimal string alignment distance (insert, delete, replace, swap of neighbours).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, right) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(left != right);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *left == b[j - 1] && a[i - 1] == *right {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// The closest of `known` to `word`, if any is close; the first of equals.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters: Vec<char> = word.to_lowercase().chars().take(WORD_CHARS_MAX).collect();
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let other: Vec<char> = candidate.to_lowercase().chars().take(WORD_CHARS_MAX).collect();
        let far = distance(&letters, &other);
        let allowed = (letters.len().max(other.len())).div_ceil(3);
        let close = far <= allowed && far < letters.len().max(other.len());
        if close && candidate != word && best.is_none_or(|(least, _)| far < least) {
            best = Some((far, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Letters of a word that one slip of the finger still leaves in no doubt.
const SLIP_CHARS_MIN: usize = 4;

/// The one word of `known` that was surely meant: `word` written with other capitals, spaces or
/// dashes, or with one letter too many, too few, wrong, or swapped with its neighbour. None when
/// two words are as near.
#[must_use]
pub fn slip<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| -> Vec<char> {
        text.to_lowercase().chars().filter(|c| !matches!(c, ' ' | '-' | '_')).collect()
    };
    let letters = plain(word);
    if letters.len() > WORD_CHARS_MAX {
        return None;
    }
    let mut near: Option<(usize, &str)> = None;
    let mut doubt = false;
    for candidate in known {
        let other = plain(candidate);
        let far = distance(&letters, &other);
        let long = letters.len().min(other.len()) >= SLIP_CHARS_MIN;
        if candidate == word || far > usize::from(long) {
            continue;
        }
        match near {
            Some((least, _)) if far > least => {}
            Some((least, _)) if far == least => doubt = true,
            Some(_) | None => (near, doubt) = (Some((far, candidate)), false),
        }
    }
    near.filter(|_| !doubt).map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::{nearest, slip};

    #[test]
    fn one_slip_is_certain_and_two_words_as_near_are_not() {
        let known = ["every", "unit", "min", "max", "lid_open"];
        assert_eq!(slip("evry", known), Some("every"));
        assert_eq!(slip("unti", known), Some("unit"));
        assert_eq!(slip("Lid-Open", known), Some("lid_open"));
        assert_eq!(slip("MIN", known), Some("min"));
        assert_eq!(slip("mix", known), None);
        assert_eq!(slip("evrry_", ["every", "evrra"]), None);
        assert_eq!(slip("temperatur_max", known), None);
    }

    #[test]
    fn a_slip_finds_its_word_and_nonsense_finds_none() {
        let known = ["temperature", "lid_open", "battery"];
        assert_eq!(nearest("temprature", known), Some("temperature"));
        assert_eq!(nearest("batetry", known), Some("battery"));
        assert_eq!(nearest("zzzz", known), None);
        assert_eq!(nearest("x", ["y"]), None);
    }
}
