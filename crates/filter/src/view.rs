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

/// An event as a filter sees it. A JSON text alone is one too.
pub trait View {
    /// A JSON text; empty if the event has none, and then it has no members either. Asked for only if a filter needs it.
    fn document(&self) -> &[u8];

    /// The value of an attribute, as text; `None` if the event does not have it.
    fn attribute(&self, _name: &str) -> Option<Cow<'_, str>> {
        None
    }
}

// ----------------------------------------------------------------------------------------------

impl View for [u8] {
    fn document(&self) -> &[u8] {
        self
    }
}
