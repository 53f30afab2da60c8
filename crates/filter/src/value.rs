//! The value of a field, as the operators look at it.

use crate::escape::unescape_into;
use crate::number;

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// Nothing.
    Missing,
    /// `null`.
    Null,
    /// The inside of a JSON string.
    Text(&'a [u8]),
    /// A text that stands for itself: the value of an attribute.
    Plain(&'a str),
    /// A number, as written.
    Number(&'a [u8]),
    /// `true` or `false`.
    Truth(bool),
    /// `[]`, which is the number 0 (compat/dojot.md 4.5).
    EmptyArray,
    /// Any other array, or an object: neither text nor number.
    Container,
}

// ----------------------------------------------------------------------------------------------

impl<'a> Value<'a> {
    /// Of the bytes of a JSON value, without white space around.
    pub(crate) fn of(json: &'a [u8]) -> Self {
        match json {
            [] => Self::Missing,
            [b'n', ..] => Self::Null,
            [b't', ..] => Self::Truth(true),
            [b'f', ..] => Self::Truth(false),
            [b'"', inside @ .., b'"'] => Self::Text(inside),
            [b'[', inside @ .., b']'] if inside.trim_ascii().is_empty() => Self::EmptyArray,
            [b'-' | b'0'..=b'9', ..] => Self::Number(json),
            _ => Self::Container,
        }
    }

    /// The text: of a string what it stands for, of a number or a truth value its JSON text (decision 8).
    pub(crate) fn text<'s>(self, scratch: &'s mut Vec<u8>) -> Option<&'s [u8]>
    where
        'a: 's,
    {
        match self {
            Self::Text(raw) if memchr::memchr(b'\\', raw).is_some() => {
                scratch.clear();
                unescape_into(raw, scratch);
                Some(scratch)
            }
            Self::Text(plain) | Self::Number(plain) => Some(plain),
            Self::Plain(text) => Some(text.as_bytes()),
            Self::Truth(true) => Some(b"true"),
            Self::Truth(false) => Some(b"false"),
            Self::Missing | Self::Null | Self::EmptyArray | Self::Container => None,
        }
    }

    /// The number, as JavaScript's `Number` converts (compat/dojot.md 4.5).
    pub(crate) fn number(self, scratch: &mut Vec<u8>) -> Option<f64> {
        match self {
            Self::Number(text) => number::of_decimal(text),
            Self::Text(_) | Self::Plain(_) => number::of_text(self.text(scratch)?),
            Self::Truth(truth) => Some(f64::from(u8::from(truth))),
            Self::EmptyArray => Some(0.0),
            Self::Missing | Self::Null | Self::Container => None,
        }
    }

    /// The truth value: `true` and 1, `false` and 0, and texts that say so.
    pub(crate) fn truth(self, scratch: &mut Vec<u8>) -> Option<bool> {
        match self {
            Self::Truth(truth) => Some(truth),
            Self::Number(text) => match number::of_decimal(text)? {
                1.0 => Some(true),
                0.0 => Some(false),
                _ => None,
            },
            Self::Text(_) | Self::Plain(_) => truth_of_text(std::str::from_utf8(self.text(scratch)?).ok()?),
            Self::Missing | Self::Null | Self::EmptyArray | Self::Container => None,
        }
    }
}

/// `true`, `false`, `1`, `0`, whatever the case, with white space around (compat/dojot.md 4.4).
pub(crate) fn truth_of_text(text: &str) -> Option<bool> {
    let text = text.trim_matches(number::is_space);
    if text == "1" || text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text == "0" || text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}
