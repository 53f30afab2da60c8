//! What a filter sees of an event.

use std::borrow::Cow;

/// What the names of a filter mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Every name is a member of the document.
    #[default]
    Document,
    /// `ce.device`, `ce.type` and so on are the attributes of the event, all other names members of its payload
    /// (compat/drogue.md, decision 9).
    Event,
}

/// An event as a filter sees it.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// A JSON text; empty if the event has none, and then it has no fields either.
    pub document: &'a [u8],
    /// For [`Shape::Event`].
    pub attributes: &'a dyn Attributes,
}

/// The attributes of an event.
pub trait Attributes {
    /// The value of an attribute, as text; `None` if the event does not have it.
    fn attribute(&self, name: &str) -> Option<Cow<'_, str>>;
}

// ----------------------------------------------------------------------------------------------

impl<'a> View<'a> {
    /// A document without attributes.
    pub fn of(document: &'a [u8]) -> Self {
        Self {
            document,
            attributes: &(),
        }
    }
}

impl Attributes for () {
    fn attribute(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}
