//! Whether a value fulfils a condition.

use aho_corasick::AhoCorasick;
use memchr::memmem::Finder;
use regex::bytes::Regex;

use crate::value::Value;

/// What a condition demands, made ready to be looked at often.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    /// A number that compares so with this one.
    Number(Comparison, f64),
    /// A text that contains one of these.
    Contains(Texts),
    /// No such text.
    ContainsNone(Texts),
    /// A truth value.
    Truth(bool),
    /// One of these texts.
    Is(Box<[Box<str>]>),
    /// A text in which the expression matches.
    Matches(Regex),
    /// That there is a value, or that there is none.
    Present(bool),
}

/// How two numbers compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Other,
    Greater,
    AtLeast,
    Less,
    AtMost,
}

/// Texts that are searched for at once.
#[derive(Clone, Debug)]
pub(crate) enum Texts {
    One(Box<Finder<'static>>),
    Many(AhoCorasick),
}

// ----------------------------------------------------------------------------------------------

impl Test {
    /// The number that a field must be, if nothing else is demanded.
    pub(crate) fn equal_number(&self) -> Option<f64> {
        match self {
            Self::Number(Comparison::Equal, number) => Some(*number),
            _ => None,
        }
    }

    /// Whether the value is such.
    pub(crate) fn holds(&self, value: Value<'_>, scratch: &mut Vec<u8>) -> bool {
        match self {
            Self::Number(comparison, operand) => value
                .number(scratch)
                .is_some_and(|number| comparison.holds(number, *operand)),
            Self::Contains(texts) => value.text(scratch).is_some_and(|text| texts.are_in(text)),
            Self::ContainsNone(texts) => !value.text(scratch).is_some_and(|text| texts.are_in(text)),
            Self::Truth(truth) => value.truth(scratch) == Some(*truth),
            Self::Is(texts) => value
                .text(scratch)
                .is_some_and(|text| texts.iter().any(|wanted| wanted.as_bytes() == text)),
            Self::Matches(pattern) => value.text(scratch).is_some_and(|text| pattern.is_match(text)),
            Self::Present(present) => (value != Value::Missing) == *present,
        }
    }
}

#[expect(
    clippy::float_cmp,
    reason = "the language compares doubles without tolerance (compat/dojot.md 4.5)"
)]
impl Comparison {
    fn holds(self, number: f64, operand: f64) -> bool {
        match self {
            Self::Equal => number == operand,
            Self::Other => number != operand,
            Self::Greater => number > operand,
            Self::AtLeast => number >= operand,
            Self::Less => number < operand,
            Self::AtMost => number <= operand,
        }
    }
}

impl Texts {
    /// `None` if there are more than can be searched for at once, which the length of a filter does not allow.
    pub(crate) fn new(texts: &[Box<str>]) -> Option<Self> {
        match texts {
            [one] => Some(Self::One(Box::new(Finder::new(one.as_bytes()).into_owned()))),
            many => AhoCorasick::new(many.iter().map(|text| text.as_bytes()))
                .ok()
                .map(Self::Many),
        }
    }

    /// Whether one of them is.
    fn are_in(&self, text: &[u8]) -> bool {
        match self {
            Self::One(finder) => finder.find(text).is_some(),
            Self::Many(automaton) => automaton.is_match(text),
        }
    }
}
