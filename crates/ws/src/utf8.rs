//! Validation of UTF-8 that arrives in parts: an error is found in the part that makes it one (RFC 6455 section 8.1).

/// What is remembered between parts: the beginning of a character whose end has not come yet.
#[derive(Debug, Default)]
pub(crate) struct Utf8 {
    begun: [u8; 3],
    length: u8,
}

/// The text is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotUtf8;

// ----------------------------------------------------------------------------------------------

impl Utf8 {
    /// Takes the next part.
    pub(crate) fn feed(&mut self, mut part: &[u8]) -> Result<(), NotUtf8> {
        while self.length > 0 {
            let Some((next, rest)) = part.split_first() else {
                return Ok(());
            };
            let begun = usize::from(self.length);
            let mut character = [0; 4];
            character[..begun].copy_from_slice(&self.begun[..begun]);
            character[begun] = *next;
            part = rest;
            match std::str::from_utf8(&character[..=begun]) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_none() => self.remember(&character[..=begun]),
                Err(_) => return Err(NotUtf8),
            }
        }
        if simdutf8::basic::from_utf8(part).is_ok() {
            return Ok(());
        }
        match simdutf8::compat::from_utf8(part) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                self.remember(&part[error.valid_up_to()..]);
                Ok(())
            }
            Err(_) => Err(NotUtf8),
        }
    }

    /// The text has ended.
    pub(crate) fn finish(&self) -> Result<(), NotUtf8> {
        if self.length == 0 { Ok(()) } else { Err(NotUtf8) }
    }

    fn remember(&mut self, begun: &[u8]) {
        self.begun[..begun.len()].copy_from_slice(begun);
        self.length = begun.len() as u8;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_parts(bytes: &[u8], size: usize) -> Result<(), NotUtf8> {
        let mut utf8 = Utf8::default();
        bytes.chunks(size).try_for_each(|part| utf8.feed(part))?;
        utf8.finish()
    }

    proptest! {
        #[test]
        fn parts_are_judged_as_the_whole(bytes in prop_oneof![any::<Vec<u8>>(), ".*".prop_map(String::into_bytes)], size in 1_usize..9) {
            prop_assert_eq!(in_parts(&bytes, size).is_ok(), std::str::from_utf8(&bytes).is_ok());
        }
    }

    #[test]
    fn an_error_is_found_at_its_byte() {
        // A surrogate, an overlong form, a code point beyond the last: wrong with their second byte.
        for wrong in [&[0xED, 0xA0][..], &[0xE0, 0x80], &[0xF4, 0x90]] {
            let mut utf8 = Utf8::default();
            assert_eq!(utf8.feed(&wrong[..1]), Ok(()));
            assert_eq!(utf8.feed(&wrong[1..]), Err(NotUtf8), "{wrong:x?}");
        }
        assert_eq!(
            in_parts("€".as_bytes().split_last().unwrap().1, 1),
            Err(NotUtf8),
            "a text ends within a character"
        );
    }
}
