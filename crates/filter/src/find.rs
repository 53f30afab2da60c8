//! Where in a JSON text the values of many paths are: one pass over the bytes, and no tree of the text.
//!
//! The paths are a tree instead. A member is looked at if a path leads through it, and skipped if none does. Of members with the
//! same name the last counts, as it does for a client that parses the text.

use std::collections::HashMap;
use std::ops::Range;

use crate::escape::stands_for;
use crate::scan::{Key, Scanner};
use crate::value::Value;
use crate::{Path, Step};

/// A set of paths.
#[derive(Clone, Debug)]
pub(crate) struct Finder {
    /// The first is the top of the document.
    nodes: Vec<Node>,
}

/// Where a path ends, or goes on.
#[derive(Clone, Debug, Default)]
struct Node {
    children: Vec<Child>,
    /// Places of the children that have names, once there are many.
    by_name: HashMap<Box<[u8]>, usize>,
}

#[derive(Clone, Debug)]
struct Child {
    step: Step,
    /// The element of an array to which the step leads.
    index: Option<u32>,
    node: NodeId,
}

/// The end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(u32);

/// The values that were found, by the ends of their paths.
#[derive(Debug, Default)]
pub(crate) struct Found {
    spans: Vec<Range<usize>>,
}

// ----------------------------------------------------------------------------------------------

/// So many names are compared one by one.
const FEW: usize = 8;

/// Nothing: no value is empty.
const NOTHING: Range<usize> = 0..0;

impl Finder {
    /// No path.
    pub(crate) fn new() -> Self {
        Self {
            nodes: vec![Node::default()],
        }
    }

    /// Whether there is no path.
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.len() == 1
    }

    /// One more path, or one that is there.
    pub(crate) fn insert(&mut self, path: &Path) -> NodeId {
        let mut node = NodeId(0);
        for step in &path.0 {
            node = match self.nodes[node.0 as usize].child(step) {
                Some(child) => child.node,
                None => self.add(node, step),
            };
        }
        node
    }

    fn add(&mut self, parent: NodeId, step: &Step) -> NodeId {
        let node = NodeId(self.nodes.len() as u32);
        self.nodes.push(Node::default());
        self.nodes[parent.0 as usize].push(Child {
            step: step.clone(),
            index: step.index(),
            node,
        });
        node
    }

    /// Looks for all paths.
    pub(crate) fn find(&self, text: &[u8], found: &mut Found) {
        found.spans.clear();
        found.spans.resize(self.nodes.len(), NOTHING);
        self.value(NodeId(0), &mut Scanner::new(text), found);
    }

    /// The value of a node begins here.
    fn value(&self, id: NodeId, scanner: &mut Scanner<'_>, found: &mut Found) {
        let start = scanner.at();
        let node = &self.nodes[id.0 as usize];
        if found.spans[id.0 as usize] != NOTHING {
            self.forget(&node.children, found);
        }
        match scanner.here() {
            b'{' if !node.children.is_empty() => self.object(node, scanner, found),
            b'[' if !node.children.is_empty() => self.array(&node.children, scanner, found),
            _ => {
                scanner.value();
            }
        }
        found.spans[id.0 as usize] = start..scanner.at();
    }

    #[inline]
    fn object(&self, node: &Node, scanner: &mut Scanner<'_>, found: &mut Found) {
        scanner.enter();
        while let Some(key) = scanner.member() {
            match node.called(key) {
                Some(child) => self.value(child.node, scanner, found),
                None => {
                    scanner.value();
                }
            }
        }
    }

    fn array(&self, children: &[Child], scanner: &mut Scanner<'_>, found: &mut Found) {
        scanner.enter();
        let mut index = 0;
        while scanner.element() {
            let here = *scanner;
            scanner.value();
            // Two steps may lead to one element: `a.0` and `a[0]`.
            for child in children.iter().filter(|child| child.index == Some(index)) {
                let mut element = here;
                self.value(child.node, &mut element, found);
            }
            index = index.saturating_add(1);
        }
    }

    /// What an earlier member of the same name held does not count.
    fn forget(&self, children: &[Child], found: &mut Found) {
        for child in children {
            found.spans[child.node.0 as usize] = NOTHING;
            self.forget(&self.nodes[child.node.0 as usize].children, found);
        }
    }
}

impl Node {
    fn push(&mut self, child: Child) {
        self.children.push(child);
        // Those that came before are entered together when there are too many of them.
        let from = match self.children.len() {
            ..=FEW => return,
            length if self.by_name.is_empty() => 0..length,
            length => length - 1..length,
        };
        for at in from {
            if let Step::Name(name) = &self.children[at].step {
                self.by_name.insert(name.as_bytes().into(), at);
            }
        }
    }

    fn child(&self, step: &Step) -> Option<&Child> {
        match step {
            Step::Name(name) if self.children.len() > FEW => {
                self.by_name.get(name.as_bytes()).map(|at| &self.children[*at])
            }
            _ => self.children.iter().find(|child| child.step == *step),
        }
    }

    #[inline]
    fn called(&self, key: Key<'_>) -> Option<&Child> {
        if self.children.len() <= FEW || key.escaped {
            self.children.iter().find(|child| child.is_called(key))
        } else {
            self.by_name.get(key.raw).map(|at| &self.children[*at])
        }
    }
}

impl Child {
    #[inline]
    fn is_called(&self, key: Key<'_>) -> bool {
        match &self.step {
            Step::Name(name) if key.escaped => stands_for(key.raw, name.as_bytes()),
            Step::Name(name) => name.as_bytes() == key.raw,
            Step::Index(_) => false,
        }
    }
}

impl Found {
    /// The value at the end of a path, in the text that was looked through.
    pub(crate) fn value<'a>(&self, node: NodeId, text: &'a [u8]) -> Value<'a> {
        let span = self.spans.get(node.0 as usize).cloned().unwrap_or(NOTHING);
        Value::of(text.get(span).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_found_as_few_are() {
        for count in [1, FEW - 1, FEW, FEW + 1, 3 * FEW] {
            let mut finder = Finder::new();
            let path = |name: String| Path(vec![Step::Name(name.into())]);
            let nodes: Vec<_> = (0..count).map(|n| finder.insert(&path(format!("a{n}")))).collect();
            let index = finder.insert(&Path(vec![Step::Index(0)]));
            let again: Vec<_> = (0..count).map(|n| finder.insert(&path(format!("a{n}")))).collect();
            assert_eq!(
                (&nodes, finder.insert(&Path(vec![Step::Index(0)]))),
                (&again, index),
                "{count}"
            );
            let members: Vec<_> = (0..count)
                .map(|n| format!("\"\\u0061{n}\":1{n},\"x\":0,\"a{n}\":2{n}"))
                .collect();
            let text = format!("{{{},\"\\u00610\":30}}", members.join(","));
            let mut found = Found::default();
            finder.find(text.as_bytes(), &mut found);
            for (n, node) in nodes.iter().enumerate() {
                let expected = if n == 0 { "30".to_owned() } else { format!("2{n}") };
                assert_eq!(
                    found.value(*node, text.as_bytes()),
                    Value::Number(expected.as_bytes()),
                    "{count}"
                );
            }
            assert_eq!(found.value(index, text.as_bytes()), Value::Missing);
        }
    }
}
