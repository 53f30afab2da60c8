//! The grammar of `where` (compat/dojot.md, decision 7; limits are ours):
//!
//! ```text
//! where     = [ condition *( ";" condition ) [ ";" ] ]
//! condition = path "=" [ operator ":" ] value *( "," value )
//! path      = ( name / index ) *( "." name / index )
//! name      = 1*( letter / digit / " " / "_" / "-" ) / quoted      letter: also any beyond ASCII
//! index     = "[" 1*digit "]"
//! operator  = 1*( "a" to "z" )
//! value     = quoted / bare            bare: no "," or ";", no quote as its first character
//! quoted    = %x22 *( any but %x22 and "\" / "\" any ) %x22
//! ```
//!
//! Blanks are part of names and values. There are no line ends. The first value is no bare one that begins like an operator.
//! What values have to be is looked at when the whole text is known to be of this form: see `condition.rs`.

mod condition;

use std::ops::Range;

use sockeye_limits as limits;

use crate::error::{Code, FilterError, quoted};
use crate::path::is_plain;
use crate::{Condition, Operator};

/// What ends a line, for a client that sends one (compat/dojot.md 4.1).
pub(crate) const LINE_ENDS: [char; 4] = ['\n', '\r', '\u{2028}', '\u{2029}'];

/// A condition of the right form.
struct RawCondition {
    path: Vec<RawStep>,
    operator: Operator,
    /// Where the operator stands, or would.
    at: usize,
    values: Vec<RawText>,
}

enum RawStep {
    Name(RawText),
    Index(u32),
}

/// A name or a value: a part of the text, for a quoted one that between the quotes.
struct RawText {
    span: Range<usize>,
    quoted: bool,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

// ----------------------------------------------------------------------------------------------

/// The conditions of a `where`.
pub(crate) fn conditions(text: &str) -> Result<Vec<Condition>, FilterError> {
    check_length(text)?;
    if let Some(at) = text.find(LINE_ENDS) {
        return Err(FilterError::syntax(
            text,
            at,
            "no line end: in quotes, `\\n` stands for one",
        ));
    }
    let mut reader = Reader { text, at: 0 };
    let mut raw = Vec::new();
    while reader.at < text.len() {
        if raw.len() == limits::FILTER_CONDITIONS {
            return Err(reader.expected(format!("the end: at most {} conditions", limits::FILTER_CONDITIONS)));
        }
        raw.push(reader.condition()?);
    }
    condition::check(text, raw)
}

/// Demands that a `where` or a `fields` is not too long. The last `;` may be left out, so it does not count: what is printed is
/// never longer than what was read.
pub(crate) fn check_length(text: &str) -> Result<(), FilterError> {
    let most = limits::FILTER_TEXT;
    if text.strip_suffix(';').unwrap_or(text).len() <= most {
        return Ok(());
    }
    let found = format!("{} bytes", text.len());
    Err(FilterError::new(Code::Syntax, 0, found, format!("at most {most}")))
}

/// The word at the beginning of a text that a `:` makes an operator, whether there is such an operator or not.
pub(crate) fn operator_word(text: &str) -> Option<&str> {
    let end = text.find(|character: char| !character.is_ascii_lowercase())?;
    (end > 0 && text[end..].starts_with(':')).then(|| &text[..end])
}

impl Reader<'_> {
    fn condition(&mut self) -> Result<RawCondition, FilterError> {
        let path = self.path()?;
        if !self.eat('=') {
            return Err(self.expected("`=`, `.` or `[`; other characters in a name need double quotes"));
        }
        let at = self.at;
        let operator = self.operator()?;
        let mut values = vec![self.value()?];
        while self.eat(',') {
            if values.len() == limits::FILTER_VALUES {
                return Err(self.expected(format!("`;`: at most {} values", limits::FILTER_VALUES)));
            }
            values.push(self.value()?);
        }
        if !self.eat(';') && self.at < self.text.len() {
            return Err(self.expected("`,` or `;` after a value in quotes"));
        }
        Ok(RawCondition {
            path,
            operator,
            at,
            values,
        })
    }

    fn path(&mut self) -> Result<Vec<RawStep>, FilterError> {
        let mut steps = Vec::new();
        loop {
            let index = self.eat('[');
            if !index && !steps.is_empty() && !self.eat('.') {
                return Ok(steps);
            }
            if steps.len() == limits::FILTER_STEPS {
                return Err(self.expected(format!("`=`: at most {} steps of a path", limits::FILTER_STEPS)));
            }
            steps.push(if index {
                self.index()?
            } else {
                RawStep::Name(self.name()?)
            });
        }
    }

    /// The number of an element, and what closes it.
    fn index(&mut self) -> Result<RawStep, FilterError> {
        let start = self.at;
        self.skip(|character| character.is_ascii_digit());
        match self.text[start..self.at].parse() {
            Ok(index) if self.eat(']') => Ok(RawStep::Index(index)),
            Ok(_) => Err(self.expected("`]`")),
            Err(_) => Err(FilterError::syntax(
                self.text,
                start,
                "the number of an element, such as `[0]`",
            )),
        }
    }

    fn name(&mut self) -> Result<RawText, FilterError> {
        if self.here() == Some('"') {
            return self.quoted();
        }
        let start = self.at;
        self.skip(is_plain);
        if self.at == start {
            return Err(self.expected("a name: letters, digits, blanks, `_`, `-`, or anything in double quotes"));
        }
        Ok(RawText {
            span: start..self.at,
            quoted: false,
        })
    }

    /// An operator and its `:`; without one it is `eq`.
    fn operator(&mut self) -> Result<Operator, FilterError> {
        let Some(operator) = self.known_operator()? else {
            return Ok(Operator::Eq);
        };
        let at = self.at;
        if self.known_operator()?.is_some() {
            let found = quoted(&self.text[at..self.at]);
            let expected = "a value: in double quotes if it begins like an operator";
            return Err(FilterError::new(Code::Syntax, at, found, expected));
        }
        Ok(operator)
    }

    fn known_operator(&mut self) -> Result<Option<Operator>, FilterError> {
        let Some(word) = operator_word(&self.text[self.at..]) else {
            return Ok(None);
        };
        let Some(operator) = Operator::of(word) else {
            let names = Operator::ALL.map(Operator::name).join(" ");
            let expected = format!("one of {names}; a value that begins so needs double quotes");
            return Err(FilterError::new(Code::Operator, self.at, quoted(word), expected));
        };
        self.at += word.len() + 1;
        Ok(Some(operator))
    }

    fn value(&mut self) -> Result<RawText, FilterError> {
        if self.here() == Some('"') {
            return self.quoted();
        }
        let start = self.at;
        self.skip(|character| !matches!(character, ',' | ';'));
        if self.at == start {
            return Err(self.expected("a value; `\"\"` is the empty text"));
        }
        Ok(RawText {
            span: start..self.at,
            quoted: false,
        })
    }

    /// From the quote that stands here to the one that closes it.
    fn quoted(&mut self) -> Result<RawText, FilterError> {
        let open = self.at;
        self.at += 1;
        loop {
            self.skip(|character| !matches!(character, '"' | '\\'));
            let end = self.at;
            if self.eat('"') {
                return Ok(RawText {
                    span: open + 1..end,
                    quoted: true,
                });
            }
            let backslash = self.eat('\\');
            let Some(escaped) = self.here().filter(|_| backslash) else {
                let error = FilterError::syntax(self.text, self.text.len(), "a closing `\"`");
                return Err(FilterError {
                    expected: format!("{} for that at {open}", error.expected),
                    ..error
                });
            };
            self.at += escaped.len_utf8();
        }
    }

    fn here(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn eat(&mut self, character: char) -> bool {
        let found = self.here() == Some(character);
        if found {
            self.at += character.len_utf8();
        }
        found
    }

    fn skip(&mut self, while_it: impl Fn(char) -> bool) {
        let rest = &self.text[self.at..];
        self.at += rest.find(|character| !while_it(character)).unwrap_or(rest.len());
    }

    #[cold]
    fn expected(&self, expected: impl Into<String>) -> FilterError {
        FilterError::syntax(self.text, self.at, expected)
    }
}
