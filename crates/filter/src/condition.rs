//! One condition, and how it is printed.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::test::Test;
use crate::{Operator, Path};

/// A path, an operator, values: `status=in:failed,stopped;`. As text it is what parses to the same.
#[derive(Clone, Debug)]
pub struct Condition {
    /// The field.
    pub path: Path,
    /// How it is compared.
    pub operator: Operator,
    /// With what: one value, or several where the operator takes them.
    pub values: Vec<Box<str>>,
    pub(crate) test: Test,
}

// ----------------------------------------------------------------------------------------------

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, self.operator, &self.values) == (&other.path, other.operator, &other.values)
    }
}

impl Eq for Condition {}

impl Hash for Condition {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.path, self.operator, &self.values).hash(state);
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.path)?;
        if self.operator != Operator::Eq {
            write!(f, "{}:", self.operator.name())?;
        }
        for (at, value) in self.values.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            if is_bare(value, at == 0) {
                f.write_str(value)?;
            } else {
                write_quoted(f, value)?;
            }
        }
        f.write_str(";")
    }
}

/// Whether a value is read as itself without quotes.
fn is_bare(value: &str, first: bool) -> bool {
    let needs_quotes = value.is_empty()
        || value.starts_with('"')
        || value.contains([',', ';'])
        || value.contains(crate::parse::LINE_ENDS)
        || (first && crate::parse::operator_word(value).is_some());
    !needs_quotes
}

/// A text in double quotes, with the escapes of the language.
pub(crate) fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for character in text.chars() {
        match crate::escape::ESCAPES.iter().find(|(_, meant)| *meant == character) {
            Some((letter, _)) => write!(f, "\\{letter}")?,
            None => write!(f, "{character}")?,
        }
    }
    f.write_str("\"")
}
