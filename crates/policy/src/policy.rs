//! The sections of an application's document that the event path obeys.

use serde_json::{Map, Value};

use crate::field::Field;
use crate::{PolicyError, Rules};

/// What an application wants of its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `spec.publish.rules`: for what devices publish.
    pub publish: Rules,
}

// ----------------------------------------------------------------------------------------------

impl Policy {
    /// Reads the `spec` of an application. What is not known is an error: a rule that is misspelt, or that nobody obeys, must not
    /// look like one that holds.
    pub fn of(spec: &Map<String, Value>) -> Result<Self, PolicyError> {
        let publish = match spec.get("publish") {
            Some(section) => Rules::read(&Field::section("publish", section))?,
            None => Rules::default(),
        };
        Ok(Self { publish })
    }

    /// Whether there is nothing to obey.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// About how many bytes it holds.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.publish.weight()
    }
}
