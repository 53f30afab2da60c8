//! A `where`: conditions that all must hold.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::condition::Condition;
use crate::find::{Finder, Found, NodeId};
use crate::value::Value;
use crate::{FilterError, Shape, Step, View, parse};

/// Which events are wanted: those for which every condition holds. As text it is what parses to the same.
#[derive(Clone, Debug)]
pub struct Filter {
    shape: Shape,
    conditions: Vec<Condition>,
    /// Where each condition looks.
    fields: Vec<Field>,
    finder: Finder,
}

/// What evaluation needs while it runs; kept by the caller, so that an event costs no allocation.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) found: Found,
    /// A text whose escape sequences were resolved.
    pub(crate) text: Vec<u8>,
    pub(crate) places: Vec<crate::fields::Place>,
}

/// Where a condition looks.
#[derive(Clone, Debug)]
pub(crate) enum Field {
    Attribute(Box<str>),
    Member(NodeId),
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
        let fields = conditions
            .iter()
            .map(|condition| Field::of(condition, shape, &mut finder));
        Self {
            fields: fields.collect(),
            shape,
            conditions,
            finder,
        }
    }

    /// Whether the event is wanted.
    pub fn passes(&self, view: View<'_>, scratch: &mut Scratch) -> bool {
        let Scratch { found, text, .. } = scratch;
        let mut tests = self.conditions.iter().zip(&self.fields);
        // What needs no look into the document comes first.
        let attributes = tests.clone().all(|(condition, field)| match field {
            Field::Attribute(_) => condition.test.holds_in(field, view, found, text),
            Field::Member(_) => true,
        });
        if !attributes || self.finder.is_empty() {
            return attributes;
        }
        self.finder.find(view.document, found);
        tests.all(|(condition, field)| match field {
            Field::Attribute(_) => true,
            Field::Member(_) => condition.test.holds_in(field, view, found, text),
        })
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

impl Field {
    pub(crate) fn of(condition: &Condition, shape: Shape, finder: &mut Finder) -> Self {
        match (shape, &*condition.path.0) {
            (Shape::Event, [Step::Name(prefix), Step::Name(name)]) if &**prefix == "ce" => {
                Self::Attribute(name.clone())
            }
            _ => Self::Member(finder.insert(&condition.path)),
        }
    }
}

impl crate::test::Test {
    /// Whether it holds for a field of the event whose document was looked through.
    pub(crate) fn holds_in(&self, field: &Field, view: View<'_>, found: &Found, scratch: &mut Vec<u8>) -> bool {
        match field {
            Field::Member(node) => self.holds(found.value(*node, view.document), scratch),
            Field::Attribute(name) => {
                let text = view.attributes.attribute(name);
                self.holds(text.as_deref().map_or(Value::Missing, Value::Plain), scratch)
            }
        }
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
