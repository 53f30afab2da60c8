//! One look at one event: its document is searched when the first member of it is asked for.

use crate::Step;
use crate::condition::Condition;
use crate::find::{Finder, Found, NodeId};
use crate::test::Test;
use crate::value::Value;
use crate::view::{Shape, View};

/// What evaluation needs while it runs; kept by the caller, so that an event costs no allocation.
#[derive(Debug, Default)]
pub struct Scratch {
    found: Found,
    /// A text whose escape sequences were resolved.
    text: Vec<u8>,
    pub(crate) places: Vec<crate::fields::Place>,
}

/// Where a condition looks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    Attribute(Box<str>),
    Member(NodeId),
}

/// The look.
pub(crate) struct Look<'a, V: ?Sized> {
    view: &'a V,
    finder: &'a Finder,
    scratch: &'a mut Scratch,
    /// Once it was searched.
    document: Option<&'a [u8]>,
}

// ----------------------------------------------------------------------------------------------

impl Field {
    /// Where this condition looks. A member is added to what the finder looks for.
    pub(crate) fn of(condition: &Condition, shape: Shape, finder: &mut Finder) -> Self {
        match (shape, &*condition.path.0) {
            (Shape::Event, [Step::Name(prefix), Step::Name(name)]) if &**prefix == "ce" => {
                Self::Attribute(name.clone())
            }
            _ => Self::Member(finder.insert(&condition.path)),
        }
    }
}

impl<'a, V: View + ?Sized> Look<'a, V> {
    pub(crate) fn new(view: &'a V, finder: &'a Finder, scratch: &'a mut Scratch) -> Self {
        Self {
            view,
            finder,
            scratch,
            document: None,
        }
    }

    /// Whether the field fulfils the test.
    pub(crate) fn holds(&mut self, test: &Test, field: &Field) -> bool {
        self.with(field, |value, scratch| test.holds(value, scratch))
    }

    /// What becomes of the value of a field.
    pub(crate) fn with<R>(&mut self, field: &Field, become_of: impl FnOnce(Value<'_>, &mut Vec<u8>) -> R) -> R {
        match field {
            Field::Attribute(name) => {
                let text = self.view.attribute(name);
                become_of(
                    text.as_deref().map_or(Value::Missing, Value::Plain),
                    &mut self.scratch.text,
                )
            }
            Field::Member(node) => {
                let document = *self.document.get_or_insert_with(|| {
                    let document = self.view.document();
                    self.finder.find(document, &mut self.scratch.found);
                    document
                });
                become_of(self.scratch.found.value(*node, document), &mut self.scratch.text)
            }
        }
    }
}
