//! A cursor over the bytes of a JSON text: steps into objects and arrays, skips what nobody asked for.
//!
//! It takes the text to be JSON and checks nothing. In one that is not it finds something or nothing, but it always moves on.

use std::ops::Range;

/// A place in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

/// The name of a member, as it stands between the quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    /// Where its opening quote stands.
    pub(crate) at: usize,
    pub(crate) raw: &'a [u8],
    pub(crate) escaped: bool,
}

// ----------------------------------------------------------------------------------------------

/// Whether a JSON text is an object or array with something in it: nothing else is sent (compat/dojot.md, decision 11).
pub fn has_content(document: &[u8]) -> bool {
    let mut scanner = Scanner::new(document);
    let container = scanner.here();
    scanner.enter();
    match container {
        b'{' => scanner.member().is_some(),
        b'[' => scanner.element(),
        _ => false,
    }
}

impl<'a> Scanner<'a> {
    /// At the first token.
    pub(crate) fn new(text: &'a [u8]) -> Self {
        let mut scanner = Self { text, at: 0 };
        scanner.token();
        scanner
    }

    /// At this place of the text.
    pub(crate) fn at_value(text: &'a [u8], at: usize) -> Self {
        Self { text, at }
    }

    /// Where a key of this text stands, with its quotes.
    pub(crate) fn quoted(&self, key: Key<'_>) -> Range<usize> {
        key.at..(key.at + key.raw.len() + 2).min(self.text.len())
    }

    /// Bytes before this place.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The byte here; 0 at the end.
    #[inline]
    pub(crate) fn here(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    /// Into the object or array that begins here.
    pub(crate) fn enter(&mut self) {
        self.at += 1;
    }

    /// To the value of the next member; behind the object, and `None`, if there is no other.
    #[inline]
    pub(crate) fn member(&mut self) -> Option<Key<'a>> {
        if self.token() == b',' {
            self.at += 1;
            self.token();
        }
        match self.here() {
            b'"' => {}
            b'}' => {
                self.at += 1;
                return None;
            }
            _ => {
                self.at = self.text.len();
                return None;
            }
        }
        let key = self.string();
        if self.token() == b':' {
            self.at += 1;
            self.token();
        }
        Some(key)
    }

    /// To the next element; behind the array, and `false`, if there is no other.
    #[inline]
    pub(crate) fn element(&mut self) -> bool {
        if self.token() == b',' {
            self.at += 1;
            self.token();
        }
        match self.here() {
            b']' => {
                self.at += 1;
                false
            }
            _ => self.at < self.text.len(),
        }
    }

    /// Behind the value that begins here; its bytes.
    #[inline]
    pub(crate) fn value(&mut self) -> &'a [u8] {
        let start = self.at;
        match self.here() {
            b'"' => {
                self.string();
            }
            b'{' | b'[' => self.skip_container(),
            _ => self.skip_scalar(),
        }
        &self.text[start..self.at]
    }

    /// The first byte of the next token; 0 at the end.
    #[inline]
    fn token(&mut self) -> u8 {
        while matches!(self.here(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
        self.here()
    }

    /// Behind the string that begins here.
    #[inline]
    fn string(&mut self) -> Key<'a> {
        let start = self.at + 1;
        let mut escaped = false;
        let mut end = in_string(self.text, start);
        while self.text.get(end) == Some(&b'\\') {
            escaped = true;
            end = in_string(self.text, end + 2);
        }
        let end = end.min(self.text.len());
        self.at = (end + 1).min(self.text.len());
        Key {
            at: start - 1,
            raw: self.text.get(start..end).unwrap_or_default(),
            escaped,
        }
    }

    #[inline]
    fn skip_scalar(&mut self) {
        let start = self.at;
        while let Some(byte) = self.text.get(self.at)
            && !matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t')
        {
            self.at += 1;
        }
        if self.at == start {
            self.at = self.text.len();
        }
    }

    fn skip_container(&mut self) {
        let mut depth = 0_usize;
        loop {
            self.at = structural(self.text, self.at);
            match self.here() {
                b'"' => {
                    self.string();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => return,
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The first byte from `at` on that ends a string or begins an escape sequence; the length of the text, or more, if there is
/// none.
#[inline]
fn in_string(text: &[u8], at: usize) -> usize {
    first(
        text,
        at,
        |word| zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64)),
        |byte| matches!(byte, b'"' | b'\\'),
    )
}

/// The first quote, bracket or brace from `at` on; the length of the text if there is none.
#[inline]
fn structural(text: &[u8], at: usize) -> usize {
    first(
        text,
        at,
        |word| {
            // The bit that makes a brace of a bracket makes nothing else one.
            let braces = word | (ONES * 0x20);
            zeros(word ^ (ONES * b'"' as u64))
                | zeros(braces ^ (ONES * b'{' as u64))
                | zeros(braces ^ (ONES * b'}' as u64))
        },
        |byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']'),
    )
}

/// Eight bytes per step. `in_word` sets the high bit of each byte that is looked for.
#[inline]
fn first(text: &[u8], mut at: usize, in_word: impl Fn(u64) -> u64, is: impl Fn(u8) -> bool) -> usize {
    while let Some(chunk) = text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let found = in_word(u64::from_le_bytes(*chunk));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while at < text.len() && !is(text[at]) {
        at += 1;
    }
    at
}

/// The high bit of every byte that is zero. A borrow may also set it in a byte above one, never below: the lowest is right.
#[inline]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_is_judged_rightly() {
        for byte in 0..=u8::MAX {
            for place in 0..19 {
                let mut text = *b"abcdefgh\x7f\x80\xffijklmnopq";
                text[place] = byte;
                let end = |special: bool| if special { place } else { text.len() };
                assert_eq!(
                    in_string(&text, 0),
                    end(matches!(byte, b'"' | b'\\')),
                    "{byte:#x} at {place}"
                );
                assert_eq!(
                    structural(&text, 0),
                    end(matches!(byte, b'"' | b'{' | b'}' | b'[' | b']')),
                    "{byte:#x} at {place}"
                );
            }
        }
    }

    #[test]
    fn a_value_ends_where_it_ends() {
        for value in [
            r#""""#,
            r#""a\"b\\""#,
            r#""a long string with , } ] and \" in it""#,
            "-1.5e3",
            "true",
            "{}",
            "[]",
            r#"{"a":[1,{"b":"]}\"\\"}],"c":{}}"#,
        ] {
            for after in ["", ",1", "]", "}", " ", "\n}"] {
                let text = format!("{value}{after}");
                assert_eq!(Scanner::new(text.as_bytes()).value(), value.as_bytes(), "{text}");
            }
        }
    }

    /// Walks as the other files do, with a bound on the steps.
    fn walk(scanner: &mut Scanner<'_>, depth: usize, steps: &mut usize) {
        *steps += 1;
        assert!(*steps < 1_000, "no end");
        match scanner.here() {
            b'{' if depth > 0 => {
                scanner.enter();
                while scanner.member().is_some() {
                    walk(scanner, depth - 1, steps);
                }
            }
            b'[' if depth > 0 => {
                scanner.enter();
                while scanner.element() {
                    walk(scanner, depth - 1, steps);
                }
            }
            _ => {
                scanner.value();
            }
        }
    }

    #[test]
    fn what_is_no_json_has_an_end() {
        for text in [
            "",
            "{",
            "[",
            "\"",
            "\"\\",
            "{\"",
            "{\"a",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":}",
            "{\"a\"1}",
            "{,}",
            "{:}",
            "{a:1}",
            "[,]",
            "[,,",
            "[}",
            "{]",
            "[{]}",
            "]",
            "}",
            ",",
            "[1 2]",
            "{\"a\":1 \"b\":2}",
            "\\",
            "[\"\\\"]",
            "\0\0",
            "[\0]",
        ] {
            for depth in 0..4 {
                walk(&mut Scanner::new(text.as_bytes()), depth, &mut 0);
            }
        }
    }
}
