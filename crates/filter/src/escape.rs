//! Escape sequences: those of the language, and those of JSON strings.

/// Letter behind the backslash, and what is meant (compat/dojot.md, decision 7).
pub(crate) const ESCAPES: [(char, char); 7] = [
    ('"', '"'),
    ('\\', '\\'),
    ('b', '\u{8}'),
    ('f', '\u{c}'),
    ('n', '\n'),
    ('r', '\r'),
    ('t', '\t'),
];

/// The characters that the inside of a JSON string stands for, piece by piece.
pub(crate) struct Unescaped<'a> {
    rest: &'a [u8],
}

/// A piece: bytes that stand for themselves, or a character in place of an escape sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Plain(&'a [u8]),
    Character(char),
}

// ----------------------------------------------------------------------------------------------

/// The text that the inside of a JSON string stands for.
pub(crate) fn unescape_into(raw: &[u8], out: &mut Vec<u8>) {
    for piece in (Unescaped { rest: raw }) {
        match piece {
            Piece::Plain(bytes) => out.extend_from_slice(bytes),
            Piece::Character(character) => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Whether the inside of a JSON string stands for this text.
pub(crate) fn stands_for(raw: &[u8], text: &[u8]) -> bool {
    let mut left = text;
    for piece in (Unescaped { rest: raw }) {
        let rest = match piece {
            Piece::Plain(bytes) => left.strip_prefix(bytes),
            Piece::Character(character) => left.strip_prefix(character.encode_utf8(&mut [0; 4]).as_bytes()),
        };
        match rest {
            Some(rest) => left = rest,
            None => return false,
        }
    }
    left.is_empty()
}

impl<'a> Iterator for Unescaped<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        match memchr::memchr(b'\\', self.rest) {
            Some(0) => Some(Piece::Character(self.character())),
            end => {
                let (plain, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.rest = rest;
                Some(Piece::Plain(plain))
            }
        }
    }
}

impl Unescaped<'_> {
    /// The character of the escape sequence that stands here; of one that is none, the replacement character.
    fn character(&mut self) -> char {
        let letter = self.rest.get(1).copied().unwrap_or(b'?');
        if letter == b'u' {
            return self.unicode();
        }
        self.rest = self.rest.get(2..).unwrap_or_default();
        if letter == b'/' {
            return '/';
        }
        let meant = ESCAPES.iter().find(|(known, _)| *known == char::from(letter));
        meant.map_or(char::REPLACEMENT_CHARACTER, |(_, meant)| *meant)
    }

    fn unicode(&mut self) -> char {
        let unit = self.unit().unwrap_or(0xFFFD);
        if let 0xD800..=0xDBFF = unit {
            let after_first = self.rest;
            if let Some(second @ 0xDC00..=0xDFFF) = self.unit() {
                let code = 0x1_0000 + ((unit - 0xD800) << 10) + (second - 0xDC00);
                return char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            }
            self.rest = after_first;
        }
        char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    /// `\uXXXX`.
    fn unit(&mut self) -> Option<u32> {
        let found = self.rest.strip_prefix(b"\\u").and_then(|rest| rest.get(..4));
        let unit = found.and_then(|digits| {
            digits
                .iter()
                .try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
        });
        let taken = if found.is_some() { 6 } else { 2 };
        self.rest = self.rest.get(taken..).unwrap_or_default();
        unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_stand_for_what_serde_json_reads() {
        for raw in [
            r"",
            r"plain",
            r#"\"\\\/\b\f\n\r\t"#,
            r"a\u00e9b",
            r"\ud83d\ude00x",
            r"\\u0041",
            r"é\u0000",
        ] {
            let expected: String = serde_json::from_str(&format!("\"{raw}\"")).unwrap();
            let mut text = Vec::new();
            unescape_into(raw.as_bytes(), &mut text);
            assert_eq!(text, expected.as_bytes(), "{raw}");
            assert!(stands_for(raw.as_bytes(), expected.as_bytes()), "{raw}");
            assert!(!stands_for(raw.as_bytes(), format!("{expected}x").as_bytes()), "{raw}");
            assert!(raw.is_empty() || !stands_for(raw.as_bytes(), b""), "{raw}");
        }
    }

    #[test]
    fn what_is_no_escape_sequence_harms_nobody() {
        for raw in [
            r"\",
            r"\u",
            r"\u12",
            r"\uzzzz",
            r"\ud83d",
            r"\ud83d\u0041",
            r"\ude00",
            r"\x",
        ] {
            let mut text = Vec::new();
            unescape_into(raw.as_bytes(), &mut text);
            assert!(std::str::from_utf8(&text).unwrap().contains('\u{fffd}'), "{raw}");
        }
    }
}
