//! Where in a JSON text the values of many paths are: one pass over the bytes, and no tree of the text.
//!
//! The paths are a tree instead. A member is looked at if a path leads through it, and skipped if none does. Of members with the
//! same name the last counts, as it does for a client that parses the text.

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
            let children = &self.nodes[node.0 as usize].children;
            node = match children.iter().find(|child| child.step == *step) {
                Some(child) => child.node,
                None => self.add(node, step),
            };
        }
        node
    }

    fn add(&mut self, parent: NodeId, step: &Step) -> NodeId {
        let node = NodeId(self.nodes.len() as u32);
        self.nodes.push(Node::default());
        self.nodes[parent.0 as usize].children.push(Child {
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
        let children = &self.nodes[id.0 as usize].children;
        if found.spans[id.0 as usize] != NOTHING {
            self.forget(children, found);
        }
        match scanner.here() {
            b'{' if !children.is_empty() => self.object(children, scanner, found),
            b'[' if !children.is_empty() => self.array(children, scanner, found),
            _ => {
                scanner.value();
            }
        }
        found.spans[id.0 as usize] = start..scanner.at();
    }

    #[inline]
    fn object(&self, children: &[Child], scanner: &mut Scanner<'_>, found: &mut Found) {
        scanner.enter();
        while let Some(key) = scanner.member() {
            match children.iter().find(|child| child.is_called(key)) {
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
