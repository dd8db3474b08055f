//! What names mean where an expression stands.
//!
//! *Invariant:* a scope answers the same for the same path while one expression is compiled.

use crate::Unit;

/// The type of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    /// A number in a unit.
    Number(Unit),
    /// True or false.
    Boolean,
    /// Text.
    Text,
    /// A place on earth.
    Position,
    /// A number that is not known exactly, in a unit.
    Spread(Unit),
    /// Another device, reached by a link.
    Link,
}

impl Type {
    /// In words, for messages.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Number(unit) if unit.is_one() => "a plain number".to_owned(),
            Self::Number(unit) => format!("a number in {}", unit.shown()),
            Self::Boolean => "true or false".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Position => "a position".to_owned(),
            Self::Spread(unit) if unit.is_one() => "a range of plain numbers".to_owned(),
            Self::Spread(unit) => format!("a range in {}", unit.shown()),
            Self::Link => "a linked device".to_owned(),
        }
    }
}

/// Where names are looked up.
pub trait Scope {
    /// The type of `path`, if it is known here.
    fn resolve(&self, path: &[&str]) -> Option<Type>;
    /// Every name that could be meant, for suggestions.
    fn names(&self) -> Vec<String>;
}

/// No names at all.
impl Scope for () {
    fn resolve(&self, _path: &[&str]) -> Option<Type> {
        None
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}
