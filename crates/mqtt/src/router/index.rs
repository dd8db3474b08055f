//! Filters of one branch or tree: a short list, or a tree of levels once there are many.
//!
//! *Invariant:* a filter is stored once, with everybody who asks for it; empty leaves and nodes
//! are removed.

use rustc_hash::FxHashMap;

use super::{Group, Subscriber, Subscription};
use crate::topic;

/// Filters in a list; above it is faster to walk a tree.
const LIST_MAX: usize = 12;

/// Everybody who asks for one filter.
#[derive(Debug, Default)]
pub(super) struct Leaf {
    pub(super) plain: Vec<Subscription>,
    pub(super) groups: Vec<Members>,
}

/// Those who share one filter under one name.
#[derive(Debug)]
pub(super) struct Members {
    name: Box<str>,
    pub(super) members: Vec<Subscription>,
}

fn put(list: &mut Vec<Subscription>, subscription: Subscription) -> bool {
    let same = list
        .iter_mut()
        .find(|s| (s.subscriber, s.view) == (subscription.subscriber, subscription.view));
    if let Some(same) = same {
        *same = subscription;
        return true;
    }
    if list.is_empty() {
        // Most filters have one subscriber.
        list.reserve_exact(1);
    }
    list.push(subscription);
    false
}

fn take(list: &mut Vec<Subscription>, subscriber: Subscriber) -> bool {
    let before = list.len();
    list.retain(|s| s.subscriber != subscriber);
    list.len() < before
}

impl Leaf {
    fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.groups.is_empty()
    }

    fn insert(&mut self, group: Group<'_>, subscription: Subscription) -> bool {
        let Some(name) = group else { return put(&mut self.plain, subscription) };
        if let Some(group) = self.groups.iter_mut().find(|g| &*g.name == name) {
            return put(&mut group.members, subscription);
        }
        self.groups.push(Members { name: name.into(), members: vec![subscription] });
        false
    }

    fn remove(&mut self, group: Group<'_>, subscriber: Subscriber) -> bool {
        let Some(name) = group else { return take(&mut self.plain, subscriber) };
        let Some(found) = self.groups.iter_mut().find(|g| &*g.name == name) else { return false };
        let removed = take(&mut found.members, subscriber);
        self.groups.retain(|g| !g.members.is_empty());
        removed
    }
}

/// Whether wildcards at the first level see a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// As any other level.
    Seen,
    /// The whole topic begins with `$`.
    Hidden,
}

impl First {
    pub(super) fn of(name: &str) -> Self {
        if name.starts_with('$') { Self::Hidden } else { Self::Seen }
    }
}

/// Filters and who asks for them.
#[derive(Debug)]
pub(super) enum Index {
    List(Vec<(Box<str>, Leaf)>),
    Tree(Box<Node>),
}

impl Default for Index {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Index {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::List(list) => list.is_empty(),
            Self::Tree(node) => node.is_empty(),
        }
    }

    pub(super) fn insert(&mut self, filter: &str, group: Group<'_>, s: Subscription) -> bool {
        match self {
            Self::List(list) => {
                if let Some((_, leaf)) = list.iter_mut().find(|(f, _)| &**f == filter) {
                    return leaf.insert(group, s);
                }
                if list.len() < LIST_MAX {
                    let mut leaf = Leaf::default();
                    leaf.insert(group, s);
                    list.reserve_exact(1);
                    list.push((filter.into(), leaf));
                    return false;
                }
                let mut node = Box::<Node>::default();
                for (filter, leaf) in list.drain(..) {
                    *node.leaf(&filter) = leaf;
                }
                let replaced = node.leaf(filter).insert(group, s);
                *self = Self::Tree(node);
                replaced
            }
            Self::Tree(node) => node.leaf(filter).insert(group, s),
        }
    }

    pub(super) fn remove(&mut self, filter: &str, group: Group<'_>, who: Subscriber) -> bool {
        match self {
            Self::List(list) => {
                let Some(place) = list.iter().position(|(f, _)| &**f == filter) else {
                    return false;
                };
                let Some((_, leaf)) = list.get_mut(place) else { return false };
                let removed = leaf.remove(group, who);
                if leaf.is_empty() {
                    list.swap_remove(place);
                }
                removed
            }
            Self::Tree(node) => {
                let removed = node.remove(Some(filter), group, who);
                if node.is_empty() {
                    *self = Self::default();
                }
                removed
            }
        }
    }

    /// Calls `visit` for each leaf whose filter asks for `name`.
    #[inline]
    pub(super) fn visit(&self, name: &str, first: First, visit: &mut impl FnMut(&Leaf)) {
        match self {
            Self::List(list) => {
                for (filter, leaf) in list {
                    let hidden = first == First::Hidden && filter.starts_with(['+', '#']);
                    if **filter == *name || (!hidden && topic::levels_match(filter, name)) {
                        visit(leaf);
                    }
                }
            }
            Self::Tree(node) => node.visit(Some(name), first, visit),
        }
    }
}

/// One level.
#[derive(Debug, Default)]
pub(super) struct Node {
    children: FxHashMap<Box<str>, Node>,
    plus: Option<Box<Node>>,
    here: Leaf,
    /// Of `#` below this level.
    below: Leaf,
}

/// The first level and what follows; `None` after the last.
fn split(text: &str) -> (&str, Option<&str>) {
    match memchr::memchr(b'/', text.as_bytes()).and_then(|at| text.split_at_checked(at)) {
        Some((level, rest)) => (level, rest.get(1..)),
        None => (text, None),
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        self.children.is_empty()
            && self.plus.is_none()
            && self.here.is_empty()
            && self.below.is_empty()
    }

    /// The leaf of a filter, made if need be.
    fn leaf(&mut self, filter: &str) -> &mut Leaf {
        let mut node = self;
        let mut rest = Some(filter);
        while let Some(text) = rest {
            let (level, after) = split(text);
            if level == "#" {
                return &mut node.below;
            }
            node = if level == "+" {
                node.plus.get_or_insert_default()
            } else {
                node.children.entry(level.into()).or_default()
            };
            rest = after;
        }
        &mut node.here
    }

    fn remove(&mut self, rest: Option<&str>, group: Group<'_>, who: Subscriber) -> bool {
        let Some(text) = rest else { return self.here.remove(group, who) };
        let (level, after) = split(text);
        if level == "#" {
            return self.below.remove(group, who);
        }
        if level == "+" {
            let Some(node) = self.plus.as_deref_mut() else { return false };
            let removed = node.remove(after, group, who);
            if node.is_empty() {
                self.plus = None;
            }
            return removed;
        }
        let Some(node) = self.children.get_mut(level) else { return false };
        let removed = node.remove(after, group, who);
        if node.is_empty() {
            self.children.remove(level);
        }
        removed
    }

    fn visit(&self, rest: Option<&str>, first: First, visit: &mut impl FnMut(&Leaf)) {
        // `#` also stands for the level above it.
        if first == First::Seen && !self.below.is_empty() {
            visit(&self.below);
        }
        let Some(text) = rest else {
            if !self.here.is_empty() {
                visit(&self.here);
            }
            return;
        };
        let (level, after) = split(text);
        if let Some(node) = self.children.get(level) {
            node.visit(after, First::Seen, visit);
        }
        if let Some(node) = &self.plus
            && first == First::Seen
        {
            node.visit(after, First::Seen, visit);
        }
    }
}
