//! Reading a document so that an error names the field.

use std::fmt::Display;

use serde_json::{Map, Value};

/// A field of an application's document says something that cannot be obeyed. The text names the field and the remedy; it repeats
/// no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct PolicyError {
    /// Where, such as `spec.publish.rules[0].when`.
    pub field: String,
    /// What is wrong with it, to be read behind the field.
    pub problem: String,
}

/// A value of the document, and the way to it.
pub(crate) struct Field<'a> {
    path: String,
    value: &'a Value,
}

// ----------------------------------------------------------------------------------------------

impl<'a> Field<'a> {
    /// A section of `spec`.
    pub(crate) fn section(name: &str, value: &'a Value) -> Self {
        Self {
            path: format!("spec.{name}"),
            value,
        }
    }

    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    /// Says what is wrong here.
    pub(crate) fn wrong(&self, problem: impl Display) -> PolicyError {
        PolicyError {
            field: self.path.clone(),
            problem: problem.to_string(),
        }
    }

    /// Demands an object with these members only.
    pub(crate) fn only(&self, known: &[&str]) -> Result<&'a Map<String, Value>, PolicyError> {
        let members = self.object()?;
        match members.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(members),
            Some(name) => Err(self.at(name, self.value).wrong(unknown(known))),
        }
    }

    /// A member of the object, if it is there.
    pub(crate) fn member(&self, name: &str) -> Option<Self> {
        self.value.get(name).map(|value| self.at(name, value))
    }

    /// A member that has to be there.
    pub(crate) fn required(&self, name: &str) -> Result<Self, PolicyError> {
        self.member(name)
            .ok_or_else(|| self.at(name, self.value).wrong("is missing"))
    }

    /// The one member of an object that says by its name what it is.
    pub(crate) fn tagged(&self, known: &[&str]) -> Result<(&'a str, Self), PolicyError> {
        let mut members = self.object()?.iter();
        match (members.next(), members.next()) {
            (Some((name, value)), None) => Ok((name, self.at(name, value))),
            _ => Err(self.wrong(format!("must have exactly one member, one of {}", list(known)))),
        }
    }

    pub(crate) fn entries(&self) -> Result<impl ExactSizeIterator<Item = Self>, PolicyError> {
        let Value::Array(entries) = self.value else {
            return Err(self.wrong("must be an array"));
        };
        let entry = |(at, value)| Self {
            path: format!("{}[{at}]", self.path),
            value,
        };
        Ok(entries.iter().enumerate().map(entry))
    }

    pub(crate) fn text(&self) -> Result<&'a str, PolicyError> {
        self.value.as_str().ok_or_else(|| self.wrong("must be a text"))
    }

    fn object(&self) -> Result<&'a Map<String, Value>, PolicyError> {
        self.value.as_object().ok_or_else(|| self.wrong("must be an object"))
    }

    fn at(&self, name: &str, value: &'a Value) -> Self {
        Self {
            path: format!("{}.{name}", self.path),
            value,
        }
    }
}

/// To be said of a name that is none of these.
pub(crate) fn unknown(known: &[&str]) -> String {
    format!("is not known: there is {}", list(known))
}

fn list(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
