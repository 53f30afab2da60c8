//! The syntax of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1).

/// An extension, as the client offers it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Extension<'a> {
    pub(crate) name: &'a str,
    /// Names with their values, in their order; a quoted value is unquoted.
    pub(crate) parameters: Vec<(&'a str, Option<String>)>,
}

/// What has not been read of a header's value.
struct Rest<'a>(&'a [u8]);

// ----------------------------------------------------------------------------------------------

/// The extensions that one header names; `None` if it does not follow the grammar.
pub(crate) fn extensions(header: &[u8]) -> Option<Vec<Extension<'_>>> {
    let mut rest = Rest(header);
    let mut found = Vec::new();
    loop {
        // Elements of a list may be empty (RFC 9110 section 5.6.1).
        while rest.eats(b',') {}
        if rest.0.is_empty() {
            return Some(found);
        }
        let name = rest.token()?;
        let mut parameters = Vec::new();
        while rest.eats(b';') {
            let name = rest.token()?;
            let value = if rest.eats(b'=') { Some(rest.value()?) } else { None };
            parameters.push((name, value));
        }
        found.push(Extension { name, parameters });
        if !rest.0.is_empty() && rest.0[0] != b',' {
            return None;
        }
    }
}

impl<'a> Rest<'a> {
    /// Takes this byte, if it is the next, and the white space on both sides of it.
    fn eats(&mut self, byte: u8) -> bool {
        self.0 = self.0.trim_ascii_start();
        let Some((_, rest)) = self.0.split_first().filter(|(first, _)| **first == byte) else {
            return false;
        };
        self.0 = rest.trim_ascii_start();
        true
    }

    fn token(&mut self) -> Option<&'a str> {
        let length = self.0.iter().take_while(|byte| is_token(**byte)).count();
        let (token, rest) = self.0.split_at(length);
        self.0 = rest;
        std::str::from_utf8(token).ok().filter(|token| !token.is_empty())
    }

    /// A token, or a quoted string that unquotes to one.
    fn value(&mut self) -> Option<String> {
        let Some((b'"', mut rest)) = self.0.split_first() else {
            return self.token().map(str::to_owned);
        };
        let mut value = String::new();
        loop {
            let (byte, after) = match rest {
                [b'"', after @ ..] => {
                    self.0 = after;
                    return Some(value).filter(|value| !value.is_empty());
                }
                [b'\\', byte, after @ ..] | [byte, after @ ..] => (*byte, after),
                [] => return None,
            };
            if !is_token(byte) {
                return None;
            }
            value.push(char::from(byte));
            rest = after;
        }
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Extensions written plainly: `name;parameter=value,name`.
    fn plain(header: &[u8]) -> Option<String> {
        let extensions = extensions(header)?.into_iter().map(|extension| {
            let parameters = extension.parameters.into_iter().map(|(name, value)| match value {
                Some(value) => format!(";{name}={value}"),
                None => format!(";{name}"),
            });
            extension.name.to_owned() + &parameters.collect::<String>()
        });
        Some(extensions.collect::<Vec<_>>().join(","))
    }

    #[test]
    fn headers_are_read_as_the_grammar_says() {
        for (header, expected) in [
            ("", Some("")),
            ("foo", Some("foo")),
            (" foo , bar;a;b=1 ;\tc = 2", Some("foo,bar;a;b=1;c=2")),
            (", foo,,bar,", Some("foo,bar")),
            (r#"foo; a="10"; b="1\0""#, Some("foo;a=10;b=10")),
            ("foo; a; a=1", Some("foo;a;a=1")),
            ("foo bar", None),
            ("foo;", None),
            ("foo; a=", None),
            ("foo; =1", None),
            (";a", None),
            ("foo; a=1 b", None),
            (r#"foo; a="""#, None),
            (r#"foo; a="1"#, None),
            (r#"foo; a="1\"#, None),
            (r#"foo; a="1"2"#, None),
            (r#"foo; a="1 0""#, None),
            (r#"foo; a="x,y""#, None),
            ("foo/bar", None),
            ("föö", None),
        ] {
            assert_eq!(plain(header.as_bytes()).as_deref(), expected, "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_a_panic_and_what_is_read_reads_the_same(header: Vec<u8>) {
            if let Some(read) = plain(&header) {
                prop_assert_eq!(plain(read.as_bytes()), Some(read));
            }
        }

        #[test]
        fn nearly_right_ones_too(header in r#"([a-c]{0,2}[;,= "\\1]){0,12}"#) {
            if let Some(read) = plain(header.as_bytes()) {
                prop_assert_eq!(plain(read.as_bytes()), Some(read));
            }
        }
    }
}
