//! What is wrong with a `where` or a `fields`, and where.

use std::fmt;

/// The text is not in the language. As text: `INVALID_OPERATOR: 'foo' at 5, expected one of ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// The kind of the error.
    pub code: Code,
    /// Bytes of the text before the offending place.
    pub at: usize,
    /// What stands there.
    pub found: String,
    /// What may stand there.
    pub expected: String,
}

/// Kinds of errors. The number is the close code of dojot's contract, the text its symbol (compat/dojot.md, decision 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Code {
    /// `INVALID_SYNTAX`: against the grammar, or beyond a limit.
    Syntax = 4000,
    /// `INVALID_OPERATOR`: no operator has this name.
    Operator = 4001,
    /// `INVALID_ESCAPE_VALUE`: an escape sequence that is none.
    Escape = 4002,
    /// `INVALID_OPERATOR_ARITY`: too many values for the operator.
    Arity = 4003,
    /// `INVALID_VALUE`: no number, no truth value, no regular expression.
    Value = 4004,
}

/// Characters of an offending text that an error repeats: with the rest it fits into a close reason.
const SHOWN: usize = 32;

// ----------------------------------------------------------------------------------------------

impl FilterError {
    pub(crate) fn new(code: Code, at: usize, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            code,
            at,
            found: found.into(),
            expected: expected.into(),
        }
    }

    /// An error at a place of the text, which names the character there.
    pub(crate) fn syntax(text: &str, at: usize, expected: impl Into<String>) -> Self {
        let found = match text[at..].chars().next() {
            None => "the end".to_owned(),
            Some(character) => format!("'{}'", character.escape_debug()),
        };
        Self::new(Code::Syntax, at, found, expected)
    }

    /// Two lines for people: the text, and a mark below the place.
    pub fn show(&self, text: &str) -> String {
        let before = text.get(..self.at).unwrap_or(text);
        let line: String = text.chars().map(printable).collect();
        format!("{line}\n{}^", " ".repeat(before.chars().count()))
    }
}

impl Code {
    /// The close code.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The documented symbol.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Syntax => "INVALID_SYNTAX",
            Self::Operator => "INVALID_OPERATOR",
            Self::Escape => "INVALID_ESCAPE_VALUE",
            Self::Arity => "INVALID_OPERATOR_ARITY",
            Self::Value => "INVALID_VALUE",
        }
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            at,
            found,
            expected,
        } = self;
        write!(f, "{}: {found} at {at}, expected {expected}", code.symbol())
    }
}

impl std::error::Error for FilterError {}

/// A text in quotes, its beginning if it is long.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => format!("'{}'", text.escape_debug()),
        Some((end, _)) => format!("'{}...'", text[..end].escape_debug()),
    }
}

/// A line end would move the mark.
fn printable(character: char) -> char {
    if character.is_control() { ' ' } else { character }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_below_the_place() {
        let text = "é\t=foo:5";
        let error = FilterError::new(Code::Operator, text.find("foo").unwrap(), "'foo'", "an operator");
        assert_eq!(error.show(text), "é =foo:5\n   ^");
        assert_eq!(error.to_string(), "INVALID_OPERATOR: 'foo' at 4, expected an operator");
        let end = FilterError::syntax("a", 1, "`=`");
        assert_eq!(end.show("a"), "a\n ^");
        assert_eq!(end.to_string(), "INVALID_SYNTAX: the end at 1, expected `=`");
    }
}
