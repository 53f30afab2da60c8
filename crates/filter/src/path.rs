//! Where a field is.

use std::fmt;

use crate::condition::write_quoted;

/// The way to a field, from the top of the document: `attrs.list[0]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path(pub Vec<Step>);

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// To the member of this name; in an array, to the element if the name is a number (compat/dojot.md 4.5).
    Name(Box<str>),
    /// To an element of an array, counted from 0.
    Index(u32),
}

// ----------------------------------------------------------------------------------------------

impl Step {
    /// The element of an array to which this leads.
    pub(crate) fn index(&self) -> Option<u32> {
        match self {
            Self::Index(index) => Some(*index),
            Self::Name(name) => {
                let digits = name.bytes().all(|byte| byte.is_ascii_digit());
                let plain = digits && (name.len() == 1 || !name.starts_with('0'));
                plain.then(|| name.parse().ok()).flatten()
            }
        }
    }
}

/// Whether a character may stand in a name without quotes: the documented ones, and any letter (compat/dojot.md, decision 7).
pub(crate) fn is_plain(character: char) -> bool {
    match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | '_' | '-' => true,
        '\u{2028}' | '\u{2029}' => false,
        _ => !character.is_ascii() && !character.is_control(),
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Name(name) => {
                    if at > 0 {
                        f.write_str(".")?;
                    }
                    if !name.is_empty() && name.chars().all(is_plain) {
                        f.write_str(name)?;
                    } else {
                        write_quoted(f, name)?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_numbers_lead_into_arrays() {
        for (name, index) in [
            ("0", Some(0)),
            ("12", Some(12)),
            ("01", None),
            ("-1", None),
            ("1.0", None),
            ("", None),
            ("99999999999", None),
        ] {
            assert_eq!(Step::Name(name.into()).index(), index, "{name}");
        }
    }
}
