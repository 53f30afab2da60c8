//! A `where`: conditions that all must hold.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::condition::Condition;
use crate::find::Finder;
use crate::look::{Field, Look, Scratch};
use crate::view::View;
use crate::{FilterError, Shape, parse};

/// Which events are wanted: those for which every condition holds. As text it is what parses to the same.
#[derive(Clone, Debug)]
pub struct Filter {
    shape: Shape,
    conditions: Vec<Condition>,
    /// Which condition looks where. What needs no look into the document comes first.
    attributes_first: Vec<(usize, Field)>,
    finder: Finder,
}

// ----------------------------------------------------------------------------------------------

impl Filter {
    /// Reads a `where`. An empty one demands nothing.
    ///
    /// # Errors
    /// The text is not in the language (compat/dojot.md, decisions 7 and 8), or beyond one of its limits. Errors against the
    /// grammar come before errors in values, and those in the order of the conditions (3.4).
    pub fn parse(text: &str, shape: Shape) -> Result<Self, FilterError> {
        Ok(Self::new(parse::conditions(text)?, shape))
    }

    fn new(conditions: Vec<Condition>, shape: Shape) -> Self {
        let mut finder = Finder::new();
        let field = |(at, condition)| (at, Field::of(condition, shape, &mut finder));
        let mut attributes_first: Vec<_> = conditions.iter().enumerate().map(field).collect();
        attributes_first.sort_by_key(|(_, field)| matches!(field, Field::Member(_)));
        Self {
            shape,
            conditions,
            attributes_first,
            finder,
        }
    }

    /// Whether the event is wanted.
    pub fn passes<V: View + ?Sized>(&self, view: &V, scratch: &mut Scratch) -> bool {
        let mut look = Look::new(view, &self.finder, scratch);
        self.attributes_first
            .iter()
            .all(|&(at, ref field)| look.holds(&self.conditions[at].test, field))
    }

    /// The conditions, in the order of the text.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// What its names mean.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether it demands nothing.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Whether it looks into the document, and not at attributes only.
    pub fn reads_document(&self) -> bool {
        !self.finder.is_empty()
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        (self.shape, &self.conditions) == (other.shape, &other.conditions)
    }
}

impl Eq for Filter {}

impl Hash for Filter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.shape, &self.conditions).hash(state);
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.conditions.iter().try_for_each(|condition| condition.fmt(f))
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::parse(text, Shape::Document)
    }
}
