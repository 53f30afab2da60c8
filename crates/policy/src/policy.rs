//! The sections of an application's document that the event path obeys.

use serde_json::{Map, Value};

use crate::field::Field;
use crate::{Keep, PolicyError, Quota, Rules};

/// What an application wants of its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `spec.publish.rules`: for what devices publish.
    pub publish: Rules,
    /// `spec.command.rules`: for commands to devices.
    pub command: Rules,
    /// `spec.quota`: how much devices publish.
    pub quota: Quota,
    /// `spec.retention`: how long events are kept.
    pub keep: Keep,
}

// ----------------------------------------------------------------------------------------------

impl Policy {
    /// Reads the `spec` of an application. What is not known is an error: a rule that is misspelt, or that nobody obeys, must not
    /// look like one that holds.
    pub fn of(spec: &Map<String, Value>) -> Result<Self, PolicyError> {
        Ok(Self {
            publish: section(spec, "publish", Rules::read)?,
            command: section(spec, "command", Rules::read)?,
            quota: section(spec, "quota", Quota::read)?,
            keep: section(spec, "retention", Keep::read)?,
        })
    }

    /// Whether there is nothing to obey.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// About how many bytes it holds.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.publish.weight() + self.command.weight()
    }
}

/// What a section says; what it does if it is not there.
pub(crate) fn section<T: Default>(
    spec: &Map<String, Value>,
    name: &str,
    read: impl FnOnce(&Field<'_>) -> Result<T, PolicyError>,
) -> Result<T, PolicyError> {
    spec.get(name)
        .map_or_else(|| Ok(T::default()), |section| read(&Field::section(name, section)))
}
