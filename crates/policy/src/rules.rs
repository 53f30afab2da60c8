//! What becomes of an event before it is stored (compat/drogue.md 2.8).

mod read;

use bytestring::ByteString;
use sockeye_event::{Event, Value};

/// Rules of an application, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

/// What rules say of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It is stored, as it is now.
    Accepted,
    /// It is not stored, and who published it is told nothing.
    Dropped,
    /// It is not stored, for this reason.
    Rejected(ByteString),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    when: When,
    then: Vec<Step>,
}

/// Of which events a rule is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum When {
    Always,
    /// The channel as it is by then: rules may change it.
    IsChannel(ByteString),
    Not(Box<When>),
    /// None is false, as in the original.
    And(Vec<When>),
    Or(Vec<When>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Drop,
    /// Accepts the event: no further step, no further rule.
    Break,
    Reject(ByteString),
    SetAttribute(Attribute, ByteString),
    RemoveAttribute(Removable),
    SetExtension(ByteString, ByteString),
    RemoveExtension(ByteString),
}

/// An attribute that a rule may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attribute {
    Type,
    Optional(Removable),
}

/// An attribute that a rule may remove, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Removable {
    DataContentType,
    DataSchema,
    Subject,
}

// ----------------------------------------------------------------------------------------------

impl Rules {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Does to the event what the rules say.
    pub fn apply(&self, event: &mut Event) -> Verdict {
        for rule in &self.0 {
            if !rule.when.holds(event) {
                continue;
            }
            for step in &rule.then {
                match step {
                    Step::Drop => return Verdict::Dropped,
                    Step::Break => return Verdict::Accepted,
                    Step::Reject(reason) => return Verdict::Rejected(reason.clone()),
                    Step::SetAttribute(Attribute::Type, value) => event.ty = value.clone(),
                    Step::SetAttribute(Attribute::Optional(name), value) => *name.of(event) = Some(value.clone()),
                    Step::RemoveAttribute(name) => *name.of(event) = None,
                    Step::SetExtension(name, value) => set_extension(event, name, value),
                    Step::RemoveExtension(name) => event.extensions.retain(|(known, _)| known != name),
                }
            }
        }
        Verdict::Accepted
    }

    /// About how many bytes they hold.
    pub(crate) fn weight(&self) -> usize {
        let rule = |rule: &Rule| {
            let steps = rule.then.iter().map(|step| size_of::<Step>() + step.texts());
            size_of::<Rule>() + rule.when.weight() + steps.sum::<usize>()
        };
        self.0.iter().map(rule).sum()
    }
}

fn set_extension(event: &mut Event, name: &ByteString, value: &ByteString) {
    let value = Value::String(value.clone());
    match event.extensions.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => *known = value,
        None => event.extensions.push((name.clone(), value)),
    }
}

impl When {
    fn holds(&self, event: &Event) -> bool {
        match self {
            Self::Always => true,
            Self::IsChannel(channel) => event.channel() == Some(channel),
            Self::Not(inner) => !inner.holds(event),
            Self::And(all) => !all.is_empty() && all.iter().all(|inner| inner.holds(event)),
            Self::Or(any) => any.iter().any(|inner| inner.holds(event)),
        }
    }

    fn weight(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Always => 0,
                Self::IsChannel(channel) => channel.len(),
                Self::Not(inner) => inner.weight(),
                Self::And(inner) | Self::Or(inner) => inner.iter().map(Self::weight).sum(),
            }
    }
}

impl Step {
    /// Bytes of its texts.
    fn texts(&self) -> usize {
        match self {
            Self::Drop | Self::Break | Self::RemoveAttribute(_) => 0,
            Self::Reject(text) | Self::SetAttribute(_, text) | Self::RemoveExtension(text) => text.len(),
            Self::SetExtension(name, value) => name.len() + value.len(),
        }
    }
}

impl Removable {
    fn of(self, event: &mut Event) -> &mut Option<ByteString> {
        match self {
            Self::DataContentType => &mut event.data_content_type,
            Self::DataSchema => &mut event.data_schema,
            Self::Subject => &mut event.subject,
        }
    }
}
