//! JSON texts (RFC 8259): validated, and rid of the white space between tokens, in one pass over the bytes.
//!
//! Nothing else changes: numbers, key order, duplicate keys and escapes stay as they came (compat/drogue.md, decision 6).
//! A text is accepted exactly if `serde_json` reads it into a `Value`, which is what a client of the CloudEvents SDK does with
//! it. Beyond the grammar this excludes what no such client can represent: half a surrogate pair, and numbers beyond the
//! range of a double (RFC 7493 sections 2.1 and 2.2). One such payload inside an envelope would cost the client the whole event.

mod escape;
mod scan;

use bytes::BytesMut;
use sockeye_limits::JSON_DEPTH;

pub use escape::escape_into;

/// A text is not JSON, or JSON that not every client can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON at byte {offset}: expected {expected}")]
pub struct JsonError {
    /// Bytes before the offending place.
    pub offset: usize,
    /// What may stand there.
    pub expected: &'static str,
}

/// One pass over a text. Bytes go to the sink in runs that end where white space begins.
struct Walk<'a, S> {
    text: &'a [u8],
    at: usize,
    /// Start of the bytes not yet given to the sink.
    run: usize,
    /// One bit per open container, the innermost lowest: 1 is an object.
    open: u128,
    depth: u32,
    sink: S,
}

// ----------------------------------------------------------------------------------------------

/// Appends the text without the white space between its tokens. After an error the buffer is as it was.
///
/// # Errors
/// The text is not JSON, or nested deeper than [`JSON_DEPTH`].
pub fn compact(text: &[u8], out: &mut BytesMut) -> Result<(), JsonError> {
    let start = out.len();
    out.reserve(text.len());
    let result = walk(text, |run| out.extend_from_slice(run));
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Checks the text only.
///
/// # Errors
/// As [`compact`].
pub fn validate(text: &[u8]) -> Result<(), JsonError> {
    walk(text, |_| ())
}

/// Whether [`validate`] accepts the text.
pub fn is_json(text: &[u8]) -> bool {
    validate(text).is_ok()
}

fn walk(text: &[u8], sink: impl FnMut(&[u8])) -> Result<(), JsonError> {
    if simdutf8::basic::from_utf8(text).is_err() {
        // The quick check does not tell where.
        let offset = std::str::from_utf8(text).map_or_else(|error| error.valid_up_to(), |_| text.len());
        return Err(JsonError {
            offset,
            expected: "UTF-8",
        });
    }
    Walk {
        text,
        at: 0,
        run: 0,
        open: 0,
        depth: 0,
        sink,
    }
    .run()
}

impl<S: FnMut(&[u8])> Walk<'_, S> {
    fn run(mut self) -> Result<(), JsonError> {
        'value: loop {
            match self.token() {
                b'"' => self.string()?,
                b'0'..=b'9' | b'-' => self.number()?,
                b'{' => {
                    self.push(1)?;
                    if self.token() != b'}' {
                        self.key()?;
                        continue 'value;
                    }
                    self.pop();
                }
                b'[' => {
                    self.push(0)?;
                    if self.token() != b']' {
                        continue 'value;
                    }
                    self.pop();
                }
                b't' => self.literal(b"true", "`true`")?,
                b'f' => self.literal(b"false", "`false`")?,
                b'n' => self.literal(b"null", "`null`")?,
                _ => return self.fail("a value"),
            }
            // A value has ended: what follows depends on what it is in.
            loop {
                let token = self.token();
                if self.depth == 0 {
                    break 'value;
                }
                let in_object = self.open & 1 == 1;
                match token {
                    b',' => {
                        self.at += 1;
                        if in_object {
                            self.token();
                            self.key()?;
                        }
                        continue 'value;
                    }
                    b'}' if in_object => self.pop(),
                    b']' if !in_object => self.pop(),
                    _ if in_object => return self.fail("`,` or `}`"),
                    _ => return self.fail("`,` or `]`"),
                }
            }
        }
        if self.at < self.text.len() {
            return self.fail("the end of the text");
        }
        (self.sink)(&self.text[self.run..]);
        Ok(())
    }

    /// The byte here; 0, which starts no token, at the end.
    #[inline]
    fn here(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    /// The first byte of the next token; 0 at the end.
    #[inline]
    fn token(&mut self) -> u8 {
        let byte = self.here();
        if byte > b' ' { byte } else { self.skip_space() }
    }

    fn skip_space(&mut self) -> u8 {
        let from = self.at;
        while matches!(self.here(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
        if self.at > from {
            if from > self.run {
                (self.sink)(&self.text[self.run..from]);
            }
            self.run = self.at;
        }
        self.here()
    }

    #[inline]
    fn push(&mut self, kind: u128) -> Result<(), JsonError> {
        if self.depth == JSON_DEPTH {
            return self.fail("at most 120 levels of arrays and objects");
        }
        self.depth += 1;
        self.open = self.open << 1 | kind;
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn pop(&mut self) {
        self.depth -= 1;
        self.open >>= 1;
        self.at += 1;
    }

    /// A key and its colon.
    #[inline]
    fn key(&mut self) -> Result<(), JsonError> {
        if self.here() != b'"' {
            return self.fail("a key in double quotes");
        }
        self.string()?;
        if self.token() != b':' {
            return self.fail("`:`");
        }
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn string(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        loop {
            self.at = scan::plain_end(self.text, self.at);
            match self.here() {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.escape()?,
                _ if self.at == self.text.len() => return self.fail("a closing `\"`"),
                _ => return self.fail("an escape sequence instead of a control character"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        match self.here() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                self.at += 1;
                Ok(())
            }
            b'u' => match self.hex_escape()? {
                0xD800..=0xDBFF => {
                    let second = self.at;
                    if self.text[self.at..].starts_with(b"\\u") {
                        self.at += 1;
                        if let 0xDC00..=0xDFFF = self.hex_escape()? {
                            return Ok(());
                        }
                    }
                    self.at = second;
                    self.fail("the second half of a surrogate pair")
                }
                0xDC00..=0xDFFF => self.fail("the first half of a surrogate pair before this"),
                _ => Ok(()),
            },
            _ => self.fail("one of `\"\\/bfnrtu` after the backslash"),
        }
    }

    /// `uXXXX`, from the `u` on.
    fn hex_escape(&mut self) -> Result<u32, JsonError> {
        self.at += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = char::from(self.here()).to_digit(16) else {
                return self.fail("four hexadecimal digits");
            };
            unit = unit << 4 | digit;
            self.at += 1;
        }
        Ok(unit)
    }

    #[inline]
    fn number(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        self.at += usize::from(self.here() == b'-');
        match self.here() {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.here() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        let mut long_exponent = false;
        if let b'e' | b'E' = self.here() {
            self.at += 1;
            self.at += usize::from(matches!(self.here(), b'+' | b'-'));
            let exponent = self.at;
            self.digits()?;
            long_exponent = self.at - exponent > 2;
        }
        // 200 digits times 10^99 fit into a double; what may not is rare enough to be computed.
        if (long_exponent || self.at - start > 200) && !is_finite(&self.text[start..self.at]) {
            self.at = start;
            return self.fail("a number in the range of a double");
        }
        Ok(())
    }

    #[inline]
    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while self.here().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == start { self.fail("a digit") } else { Ok(()) }
    }

    fn literal(&mut self, literal: &[u8], expected: &'static str) -> Result<(), JsonError> {
        if !self.text[self.at..].starts_with(literal) {
            return self.fail(expected);
        }
        self.at += literal.len();
        Ok(())
    }

    #[cold]
    fn fail<T>(&self, expected: &'static str) -> Result<T, JsonError> {
        Err(JsonError {
            offset: self.at,
            expected,
        })
    }
}

#[cold]
fn is_finite(number: &[u8]) -> bool {
    std::str::from_utf8(number)
        .ok()
        .and_then(|text| text.parse::<f64>().ok())
        .is_some_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, (usize, &str)>) {
        let mut out = BytesMut::from("before ");
        let result = compact(text.as_bytes(), &mut out);
        assert_eq!(
            is_json(text.as_bytes()),
            result.is_ok(),
            "validate and compact differ on {text:?}"
        );
        let written = std::str::from_utf8(&out).unwrap().strip_prefix("before ").unwrap();
        match result {
            Ok(()) => assert_eq!(Ok(written), expected, "{text:?}"),
            Err(error) => {
                assert_eq!(written, "", "{text:?} left something behind");
                assert_eq!(Err((error.offset, error.expected)), expected, "{text:?}");
            }
        }
    }

    #[test]
    fn white_space_goes_and_all_else_stays() {
        for (text, expected) in [
            ("1", "1"),
            (
                " \t\r\n{ \"a b\" : [ 1 , 2.50 , -0 , 1E+3 ] , \"a b\" : null }\n",
                r#"{"a b":[1,2.50,-0,1E+3],"a b":null}"#,
            ),
            (r#""\u00e9 \ud83d\ude00 \/ \" \\""#, r#""\u00e9 \ud83d\ude00 \/ \" \\""#),
            ("[ ]", "[]"),
            ("{ }", "{}"),
            ("[[],{},[{}]]", "[[],{},[{}]]"),
            ("[true , false, null]", "[true,false,null]"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("1e308", "1e308"),
            ("0e999", "0e999"),
            ("\"é \u{7f} ü\"", "\"é \u{7f} ü\""),
        ] {
            check(text, Ok(expected));
        }
    }

    #[test]
    fn an_error_tells_where_and_what() {
        for (text, offset, expected) in [
            ("", 0, "a value"),
            ("  ", 2, "a value"),
            ("\u{feff}1", 0, "a value"),
            ("[1,]", 3, "a value"),
            ("[1 2]", 3, "`,` or `]`"),
            ("[1}", 2, "`,` or `]`"),
            ("{\"a\":1]", 6, "`,` or `}`"),
            ("{\"a\":1,}", 7, "a key in double quotes"),
            ("{a:1}", 1, "a key in double quotes"),
            ("{\"a\" 1}", 5, "`:`"),
            ("1 2", 2, "the end of the text"),
            ("\0", 0, "a value"),
            ("1\0", 1, "the end of the text"),
            ("01", 1, "the end of the text"),
            ("-", 1, "a digit"),
            ("1.", 2, "a digit"),
            ("1e+", 3, "a digit"),
            ("[1e309]", 1, "a number in the range of a double"),
            ("tru", 0, "`true`"),
            ("\"abc", 4, "a closing `\"`"),
            ("\"a\nb\"", 2, "an escape sequence instead of a control character"),
            ("\"\\x\"", 2, "one of `\"\\/bfnrtu` after the backslash"),
            ("\"\\u12g4\"", 5, "four hexadecimal digits"),
            ("\"\\ud83d\"", 7, "the second half of a surrogate pair"),
            ("\"\\ud83d\\u0041\"", 7, "the second half of a surrogate pair"),
            ("\"\\ude00\"", 7, "the first half of a surrogate pair before this"),
        ] {
            check(text, Err((offset, expected)));
        }
        assert_eq!(
            validate(b"\"a\xffb\""),
            Err(JsonError {
                offset: 2,
                expected: "UTF-8"
            })
        );
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let most = JSON_DEPTH as usize;
        check(&nested(most), Ok(&nested(most)));
        check(
            &nested(most + 1),
            Err((most, "at most 120 levels of arrays and objects")),
        );
        let mixed = format!("{}1{}", "{\"a\":[".repeat(most / 2), "]}".repeat(most / 2));
        check(&mixed, Ok(&mixed));
    }

    #[test]
    fn an_accepted_number_is_finite_to_every_client() {
        let digits = |n| "9".repeat(n);
        for (number, accepted) in [
            (digits(308), true),
            (digits(310), false),
            (format!("{}e99", digits(199)), true),
            (format!("{}e99", digits(250)), false),
        ] {
            assert_eq!(is_json(number.as_bytes()), accepted, "{number}");
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&number).is_ok(),
                accepted,
                "{number}"
            );
        }
    }
}
