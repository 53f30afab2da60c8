//! What a selector selects, cut out of the bytes of a message: nothing is printed anew.

use std::ops::Range;

use bytes::{BufMut, BytesMut};
use sockeye_limits::JSON_DEPTH;

use super::{Fields, Item, Name, Selector};
use crate::escape::stands_for;
use crate::scan::{Key, Scanner};
use crate::value::Value;

/// One projection under way.
struct Projection<'a> {
    text: &'a [u8],
    out: &'a mut BytesMut,
    /// Places of the named members, for each object that is open.
    places: &'a mut Vec<Place>,
}

/// A name with its quotes, and where its value begins. Empty: there is no such member.
pub(crate) type Place = (Range<usize>, usize);

// ----------------------------------------------------------------------------------------------

/// No member.
const NOWHERE: Place = (0..0, 0);

impl Fields {
    /// Appends what is selected of a JSON text. `false`, and nothing is appended, if that is no object and no array, or an empty
    /// one (compat/dojot.md, decision 11).
    ///
    /// Members stand in the order of the selector, those of `*` in that of the message. Of members with the same name the last
    /// counts; those that only `*` selects are each taken for themselves.
    pub fn project(&self, document: &[u8], scratch: &mut crate::Scratch, out: &mut BytesMut) -> bool {
        let start = out.len();
        out.reserve(document.len());
        scratch.places.clear();
        let mut scanner = Scanner::new(document);
        let container = matches!(scanner.here(), b'{' | b'[');
        let mut projection = Projection {
            text: document,
            out,
            places: &mut scratch.places,
        };
        let kept = container && projection.value(&self.plan, &mut scanner, 0);
        if !kept || out.len() - start == 2 {
            out.truncate(start);
            return false;
        }
        true
    }
}

impl Projection<'_> {
    /// Appends what is selected of the value that begins here; whether anything is. Afterwards the scanner is behind the value.
    fn value(&mut self, selector: &Selector, scanner: &mut Scanner<'_>, depth: u32) -> bool {
        match scanner.here() {
            b'{' => {
                self.object(selector, scanner, depth);
                true
            }
            b'[' => self.array(selector, scanner, depth),
            _ => {
                let value = scanner.value();
                let kept = is_falsy(Value::of(value));
                if kept {
                    self.out.put_slice(value);
                }
                kept
            }
        }
    }

    fn object(&mut self, selector: &Selector, scanner: &mut Scanner<'_>, depth: u32) {
        let inside = {
            scanner.enter();
            *scanner
        };
        self.out.put_u8(b'{');
        let start = self.out.len();
        let all = selector.0.iter().position(|item| item.name == Name::All);
        let (first, rest) = selector.0.split_at(all.unwrap_or(selector.0.len()));
        if all.is_none() || !first.is_empty() {
            self.named(first, scanner, start, depth);
        }
        if let Some(all) = rest.first() {
            *scanner = inside;
            self.all(first, rest, all, scanner, start, depth);
        }
        self.out.put_u8(b'}');
    }

    /// The members with these names, in this order.
    fn named(&mut self, items: &[Item], scanner: &mut Scanner<'_>, start: usize, depth: u32) {
        let base = self.places.len();
        self.places.resize(base + items.len(), NOWHERE);
        while let Some(key) = scanner.member() {
            if let Some(at) = items.iter().position(|item| item.is_called(key)) {
                self.places[base + at] = (scanner.quoted(key), scanner.at());
            }
            scanner.value();
        }
        for (at, item) in items.iter().enumerate() {
            let (key, value) = self.places[base + at].clone();
            if !key.is_empty() {
                let mut scanner = Scanner::at_value(self.text, value);
                self.member(key, item.below.as_ref(), &mut scanner, start, depth);
            }
        }
        self.places.truncate(base);
    }

    /// Every member but those of the names before `*`, in the order of the message.
    fn all(
        &mut self,
        before: &[Item],
        from_all: &[Item],
        all: &Item,
        scanner: &mut Scanner<'_>,
        start: usize,
        depth: u32,
    ) {
        while let Some(key) = scanner.member() {
            if before.iter().any(|item| item.is_called(key)) {
                scanner.value();
                continue;
            }
            let item = from_all.iter().find(|item| item.is_called(key)).unwrap_or(all);
            self.member(scanner.quoted(key), item.below.as_ref(), scanner, start, depth);
        }
    }

    fn member(
        &mut self,
        key: Range<usize>,
        below: Option<&Selector>,
        scanner: &mut Scanner<'_>,
        start: usize,
        depth: u32,
    ) {
        let before = self.out.len();
        if before > start {
            self.out.put_u8(b',');
        }
        self.out.put_slice(&self.text[key]);
        self.out.put_u8(b':');
        match below {
            None => self.out.put_slice(scanner.value()),
            Some(_) if depth == JSON_DEPTH => {
                scanner.value();
                self.out.truncate(before);
            }
            Some(below) => {
                if !self.value(below, scanner, depth + 1) {
                    self.out.truncate(before);
                }
            }
        }
    }

    /// The selector counts for each element. An array of which nothing is left is not kept, one that is empty is.
    fn array(&mut self, selector: &Selector, scanner: &mut Scanner<'_>, depth: u32) -> bool {
        if depth == JSON_DEPTH {
            scanner.value();
            return false;
        }
        scanner.enter();
        self.out.put_u8(b'[');
        let (start, mut empty) = (self.out.len(), true);
        while scanner.element() {
            empty = false;
            let before = self.out.len();
            if before > start {
                self.out.put_u8(b',');
            }
            if !self.value(selector, scanner, depth + 1) {
                self.out.truncate(before);
            }
        }
        if !empty && self.out.len() == start {
            self.out.truncate(start - 1);
            return false;
        }
        self.out.put_u8(b']');
        true
    }
}

impl Item {
    fn is_called(&self, key: Key<'_>) -> bool {
        match &self.name {
            Name::All => false,
            Name::This(name) if key.escaped => stands_for(key.raw, name.as_bytes()),
            Name::This(name) => name.as_bytes() == key.raw,
        }
    }
}

/// What stays where members of it are selected (compat/dojot.md 5).
fn is_falsy(value: Value<'_>) -> bool {
    match value {
        Value::Null | Value::Truth(false) | Value::Text([]) => true,
        Value::Number(_) => value.number(&mut Vec::new()) == Some(0.0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::{Fields, Scratch};
    use bytes::BytesMut;

    fn check(fields: &str, message: &str, expected: Option<&str>) {
        let fields = Fields::parse(fields).unwrap();
        let mut out = BytesMut::from("before");
        let sent = fields.project(message.as_bytes(), &mut Scratch::default(), &mut out);
        let written = std::str::from_utf8(&out).unwrap().strip_prefix("before").unwrap();
        assert_eq!(sent.then_some(written), expected, "{fields} of {message}");
        assert!(sent || written.is_empty(), "{fields} of {message}");
    }

    #[test]
    fn members_are_cut_out_as_they_came() {
        let message = r#" { "a" : 1.50 , "b":{"c":[1, 2],"d":"\u00e9"},"e\u0066":1e3 } "#;
        check("a", message, Some(r#"{"a":1.50}"#));
        check("b,a", message, Some(r#"{"b":{"c":[1, 2],"d":"\u00e9"},"a":1.50}"#));
        check("b/d", message, Some(r#"{"b":{"d":"\u00e9"}}"#));
        check("b(d,c)", message, Some(r#"{"b":{"d":"\u00e9","c":[1, 2]}}"#));
        check("ef", message, Some(r#"{"e\u0066":1e3}"#));
        check("b/x", message, Some(r#"{"b":{}}"#));
        check("x", message, None);
    }

    #[test]
    fn all_stands_for_those_that_are_not_named() {
        let message = r#"{"a":{"x":1,"y":2},"b":{"x":3},"c":4,"d":null}"#;
        check("*", message, Some(message));
        check(
            "b,*",
            message,
            Some(r#"{"b":{"x":3},"a":{"x":1,"y":2},"c":4,"d":null}"#),
        );
        check("*/x", message, Some(r#"{"a":{"x":1},"b":{"x":3},"d":null}"#));
        check("*/x,a/y", message, Some(r#"{"a":{"y":2,"x":1},"b":{"x":3},"d":null}"#));
        check("a/y,*/x", message, Some(r#"{"a":{"y":2,"x":1},"b":{"x":3},"d":null}"#));
    }

    #[test]
    fn a_selector_counts_for_each_element_of_an_array() {
        check("a/b", r#"{"a":[]}"#, Some(r#"{"a":[]}"#));
        check(
            "a/b",
            r#"{"a":[{"b":1},{"c":1},5,"t",true,0,-0.0,false,"",null,[{"b":2}]]}"#,
            Some(r#"{"a":[{"b":1},{},0,-0.0,false,"",null,[{"b":2}]]}"#),
        );
        check("a/b", r#"{"a":[5,"t"],"b":1}"#, None);
        check("a/b,c", r#"{"a":[[5]],"c":1}"#, Some(r#"{"c":1}"#));
        check("b", r#"[{"b":1},7]"#, Some(r#"[{"b":1}]"#));
        check("b", "[7]", None);
    }

    /// The original throws, and drops the message, if the name is an index, `length` or `*` (compat/dojot.md 5).
    #[test]
    fn members_of_a_text_are_dropped_and_the_message_is_not() {
        for below in ["0", "length", "*", "x"] {
            check(&format!("a/{below},c"), r#"{"a":"text","c":1}"#, Some(r#"{"c":1}"#));
        }
        check("a/x,c", r#"{"a":5,"c":1}"#, Some(r#"{"c":1}"#));
        check("a/x", r#"{"a":0}"#, Some(r#"{"a":0}"#));
    }

    /// The original sends `{}` for names that every JavaScript object has.
    #[test]
    fn inherited_names_are_no_members() {
        for name in ["constructor", "toString", "__proto__", "hasOwnProperty"] {
            check(name, r#"{"a":1}"#, None);
        }
    }

    #[test]
    fn only_objects_and_arrays_with_something_in_them_are_sent() {
        for message in ["{}", "[]", " { } ", "1", "null", "\"a\"", "true", "", "nonsense"] {
            check("*", message, None);
        }
    }

    #[test]
    fn of_members_with_the_same_name_the_last_counts() {
        check("a", r#"{"a":1,"b":2,"a":3}"#, Some(r#"{"a":3}"#));
        check("a/x,b", r#"{"a":{"x":1},"b":2,"a":5}"#, Some(r#"{"b":2}"#));
    }

    #[test]
    fn nesting_harms_nobody() {
        let deep = format!("{{\"a\":{}5{},\"b\":1}}", "[".repeat(100_000), "]".repeat(100_000));
        check("a/x,b", &deep, Some(r#"{"b":1}"#));
        check("a/x,b", &deep[..50_000], None);
    }
}
