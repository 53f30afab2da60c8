//! A `fields`: which members of a message are sent (compat/dojot.md 5 and decision 10).
//!
//! ```text
//! selector = item *( "," item )
//! item     = name [ "/" item / "(" selector ")" ]
//! name     = "*" / 1*( any but "," "/" "(" ")" )
//! ```

mod project;

use std::fmt;
use std::str::FromStr;

use sockeye_limits as limits;

use crate::error::{Code, FilterError};
use crate::parse::check_length;

pub(crate) use project::Place;

/// Which members of a message are sent. As text it is what parses to the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fields {
    /// As it was read: for people, and for comparison.
    read: Selector,
    /// The same, but what `*` selects below is also selected below each name beside it.
    plan: Selector,
}

/// The items at one level, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Selector(Vec<Item>);

/// A member, and what of it; all of it if nothing is said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Item {
    name: Name,
    below: Option<Selector>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    /// `*`: every member.
    All,
    This(Box<str>),
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    names: usize,
}

// ----------------------------------------------------------------------------------------------

impl Fields {
    /// Reads a `fields`.
    ///
    /// # Errors
    /// [`Code::Syntax`]: the text is not a selector, or beyond a limit; an empty one is none.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        check_length(text)?;
        let mut reader = Reader { text, at: 0, names: 0 };
        let read = reader.selector(0)?;
        if reader.at < text.len() {
            return Err(reader.expected("`,`, `/`, `(` or the end"));
        }
        let mut plan = read.clone();
        let mut left = limits::FILTER_NAMES;
        plan.spread_all(&mut left).ok_or_else(|| {
            let expected = "fewer names: what is below `*` counts for each name beside it";
            FilterError::new(
                Code::Syntax,
                0,
                format!("more than {} names", limits::FILTER_NAMES),
                expected,
            )
        })?;
        Ok(Self { read, plan })
    }

    /// Every path that is selected, with `/` between its names.
    pub(crate) fn each_path(&self, mut visit: impl FnMut(&str)) {
        self.read.each_path("", &mut visit);
    }
}

impl FromStr for Fields {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::parse(text)
    }
}

impl Selector {
    /// Adds an item; what is given twice is merged.
    fn add(&mut self, item: Item) {
        let Some(known) = self.0.iter_mut().find(|known| known.name == item.name) else {
            self.0.push(item);
            return;
        };
        match (&mut known.below, item.below) {
            (Some(known), Some(below)) => below.0.into_iter().for_each(|item| known.add(item)),
            (below, _) => *below = None,
        }
    }

    /// `None` if there would be more names than are left.
    fn spread_all(&mut self, left: &mut usize) -> Option<()> {
        *left = left.checked_sub(self.0.len())?;
        if let Some(all) = self.0.iter().position(|item| item.name == Name::All) {
            let below = self.0[all].below.clone();
            for item in self.0.iter_mut().filter(|item| item.name != Name::All) {
                match (&mut item.below, &below) {
                    (Some(own), Some(below)) => below.0.iter().for_each(|item| own.add(item.clone())),
                    (own, _) => *own = None,
                }
            }
        }
        self.0
            .iter_mut()
            .filter_map(|item| item.below.as_mut())
            .try_for_each(|below| below.spread_all(left))
    }

    fn each_path(&self, before: &str, visit: &mut impl FnMut(&str)) {
        for Item { name, below } in &self.0 {
            let path = format!("{before}{name}");
            match below {
                None => visit(&path),
                Some(below) => below.each_path(&format!("{path}/"), visit),
            }
        }
    }
}

impl Reader<'_> {
    fn selector(&mut self, depth: usize) -> Result<Selector, FilterError> {
        let mut selector = Selector::default();
        loop {
            selector.add(self.item(depth)?);
            if !self.eat(b',') {
                return Ok(selector);
            }
        }
    }

    fn item(&mut self, depth: usize) -> Result<Item, FilterError> {
        if depth == limits::FILTER_STEPS {
            return Err(self.expected(format!("an end: at most {} levels", limits::FILTER_STEPS)));
        }
        let name = self.name()?;
        let below = if self.eat(b'/') {
            Some(Selector(vec![self.item(depth + 1)?]))
        } else if self.eat(b'(') {
            let below = self.selector(depth + 1)?;
            if !self.eat(b')') {
                return Err(self.expected("`)`, `,`, `/` or `(`"));
            }
            Some(below)
        } else {
            None
        };
        Ok(Item { name, below })
    }

    fn name(&mut self) -> Result<Name, FilterError> {
        let rest = &self.text[self.at..];
        let name = &rest[..rest.find([',', '/', '(', ')']).unwrap_or(rest.len())];
        if name.is_empty() {
            return Err(self.expected("a name or `*`"));
        }
        self.names += 1;
        if self.names > limits::FILTER_NAMES {
            return Err(self.expected(format!("the end: at most {} names", limits::FILTER_NAMES)));
        }
        self.at += name.len();
        Ok(if name == "*" {
            Name::All
        } else {
            Name::This(name.into())
        })
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.text.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    #[cold]
    fn expected(&self, expected: impl Into<String>) -> FilterError {
        FilterError::syntax(self.text, self.at, expected)
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read.fmt(f)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Item { name, below }) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            match below {
                None => write!(f, "{name}")?,
                Some(below) if below.0.len() == 1 => write!(f, "{name}/{below}")?,
                Some(below) => write!(f, "{name}({below})")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "*",
            Self::This(name) => name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, printed: &str) {
        let fields = Fields::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(fields.to_string(), printed, "{text}");
        assert_eq!(Fields::parse(printed), Ok(fields), "{text}");
    }

    #[test]
    fn a_selector_is_printed_in_its_shortest_form() {
        check("a", "a");
        check("a,b,c", "a,b,c");
        check("a/b/c,d", "a/b/c,d");
        check("a(b,c)", "a(b,c)");
        check("a(b)", "a/b");
        check("a(b/c,e),a/*/e", "a(b/c,e,*/e)");
        check("a b, c.d,\"x\",te*mp", "a b, c.d,\"x\",te*mp");
    }

    #[test]
    fn what_is_given_twice_is_merged() {
        check("attrs/temperature,attrs/rain", "attrs(temperature,rain)");
        check("a/b,a", "a");
        check("a,a/b", "a");
        check("a/b/c,x,a(b/d,e)", "a(b(c,d),e),x");
        check("*,*/a", "*");
    }

    fn check_error(text: &str, at: usize, expected: &str) {
        let error = Fields::parse(text).unwrap_err();
        assert_eq!((error.code, error.at), (Code::Syntax, at), "{text}: {error}");
        assert!(error.expected.starts_with(expected), "{text}: {error}");
    }

    /// The original guesses what these mean (compat/dojot.md 5).
    #[test]
    fn malformed_selectors_are_errors() {
        for (text, at) in [
            ("", 0),
            (",a", 0),
            ("a,,b", 2),
            ("a,", 2),
            ("a/", 2),
            ("/a", 0),
            ("a()", 2),
            ("a(", 2),
            ("(a,b)", 0),
        ] {
            check_error(text, at, "a name or `*`");
        }
        check_error("a(b)c", 4, "`,`, `/`, `(` or the end");
        check_error("a)", 1, "`,`, `/`, `(` or the end");
        check_error("a(b", 3, "`)`, `,`, `/` or `(`");
        check_error("a(b/c", 5, "`)`, `,`, `/` or `(`");
    }

    #[test]
    fn selectors_are_bounded() {
        let steps = limits::FILTER_STEPS;
        assert!(Fields::parse(&["a"; 32].join("/")).is_ok());
        check_error(&["a"; 33].join("/"), 2 * steps, "an end: at most 32 levels");
        check_error(&"a(".repeat(1000), 2 * steps, "an end: at most 32 levels");
        let names: Vec<_> = (0..=limits::FILTER_NAMES).map(|n| format!("a{n}")).collect();
        assert!(Fields::parse(&names[1..].join(",")).is_ok());
        check_error(
            &names.join(","),
            names.join(",").rfind('a').unwrap(),
            "the end: at most 256 names",
        );
        check_error(&"x".repeat(limits::FILTER_TEXT + 1), 0, "at most 8192");
        // Each level doubles what is below it.
        let bomb = (0..20).fold("z".to_owned(), |below, _| format!("a/x,*({below})"));
        check_error(&bomb, 0, "fewer names");
    }
}
