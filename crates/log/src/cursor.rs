//! Positions as text that clients keep and give back (DESIGN.md, delivery contract 10).
//!
//! The bytes behind the Base64 (URL-safe, without padding): version; length and name of the application; incarnation, 8
//! bytes, the highest first; for each partition, in order, how far its number is behind the one before it and the next
//! offset, both as LEB128; CRC-32 of all before it. The checksum turns a typing error into no cursor instead of another.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytestring::ByteString;
use sockeye_limits as limits;

use crate::{Incarnation, Position};

/// A position as opaque, printable text. It holds on every node and across restarts.
#[derive(Clone, Copy, Debug)]
pub struct Cursor;

/// Why a text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// Longer than [`limits::CURSOR`].
    #[error("longer than {} bytes", limits::CURSOR)]
    TooLong,
    /// Not what [`Cursor::encode`] gives: mistyped, cut off, or something else.
    #[error("mistyped, cut off, or something else")]
    NoCursor,
    /// Of a version that is not known.
    #[error("of version {0}, which this server does not know")]
    Version(u8),
}

// ----------------------------------------------------------------------------------------------

const VERSION: u8 = 1;
/// Bytes of the checksum.
const CHECKSUM: usize = 4;

impl Cursor {
    /// The text of a position in the log of an application. A position in so many partitions that the text is longer than
    /// [`limits::CURSOR`] is not read back.
    ///
    /// # Panics
    /// The name of the application is longer than 255 bytes; none is ([`limits::APPLICATION_NAME`]).
    pub fn encode(application: &str, position: &Position) -> String {
        let mut bytes = Vec::with_capacity(32 + application.len() + 8 * position.offsets().len());
        bytes.push(VERSION);
        bytes.push(u8::try_from(application.len()).expect("an application's name has at most 63 bytes"));
        bytes.extend_from_slice(application.as_bytes());
        bytes.extend_from_slice(&position.incarnation().0.to_be_bytes());
        let mut before = 0;
        for (partition, next) in position.offsets() {
            put(&mut bytes, u64::from(partition - before));
            put(&mut bytes, *next);
            before = *partition;
        }
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The application and the position. That both are still there is not known here.
    ///
    /// # Errors
    /// The text is no cursor.
    pub fn decode(text: &str) -> Result<(ByteString, Position), CursorError> {
        if text.len() > limits::CURSOR {
            return Err(CursorError::TooLong);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError::NoCursor)?;
        let (content, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(CursorError::NoCursor)?;
        if crc32fast::hash(content).to_be_bytes() != *checksum {
            return Err(CursorError::NoCursor);
        }
        match content {
            [VERSION, rest @ ..] => read(rest).ok_or(CursorError::NoCursor),
            [version, ..] => Err(CursorError::Version(*version)),
            [] => Err(CursorError::NoCursor),
        }
    }
}

fn read(mut bytes: &[u8]) -> Option<(ByteString, Position)> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let application = ByteString::from(str::from_utf8(name).ok()?);
    let (incarnation, rest) = rest.split_first_chunk()?;
    bytes = rest;
    let mut offsets: Vec<(u32, u64)> = Vec::new();
    while !bytes.is_empty() {
        let step = u32::try_from(take(&mut bytes)?).ok()?;
        let partition = match offsets.last() {
            None => step,
            // In order, each once.
            Some((before, _)) => before.checked_add(step).filter(|_| step > 0)?,
        };
        offsets.push((partition, take(&mut bytes)?));
    }
    let incarnation = Incarnation(u64::from_be_bytes(*incarnation));
    Some((application, Position::new(incarnation, offsets)))
}

/// Appends a number in LEB128: seven bits a byte, the lowest first.
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes a number; `None` if it is cut off or too large.
fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if part << shift >> shift != part {
            return None;
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;

    fn position() -> impl Strategy<Value = Position> {
        let number = prop_oneof![0..300_u64, any::<u64>()];
        let partition = prop_oneof![0..40_u32, any::<u32>()];
        (any::<u64>(), btree_map(partition, number, 0..40))
            .prop_map(|(incarnation, offsets)| Position::new(Incarnation(incarnation), offsets))
    }

    proptest! {
        #[test]
        fn what_was_given_is_read_back(application in "[a-z0-9-]{1,63}", position in position()) {
            let text = Cursor::encode(&application, &position);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
            prop_assert_eq!(Cursor::decode(&text), Ok((application.into(), position)));
        }

        #[test]
        fn a_typing_error_is_no_cursor(position in position(), at in any::<prop::sample::Index>(), other in "[A-Za-z0-9_-]") {
            let text = Cursor::encode("app", &position);
            let at = at.index(text.len());
            let mut mistyped = text.clone();
            mistyped.replace_range(at..=at, &other);
            prop_assume!(mistyped != text);
            prop_assert_eq!(Cursor::decode(&mistyped), Err(CursorError::NoCursor));
            let mut swapped = text.clone().into_bytes();
            swapped.swap(at, (at + 1) % text.len());
            let swapped = String::from_utf8(swapped).unwrap();
            prop_assert!(swapped == text || Cursor::decode(&swapped).is_err());
            prop_assert!(Cursor::decode(&text[..at]).is_err());
        }

        #[test]
        fn anything_else_is_no_cursor(text in ".*", bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(Cursor::decode(&text).is_err());
            // Even with the right checksum nothing panics, and what is read is a position.
            if let Ok((application, position)) = Cursor::decode(&checked(bytes)) {
                prop_assert_eq!(Cursor::decode(&Cursor::encode(&application, &position)), Ok((application, position)));
            }
        }
    }

    /// The text of these bytes with their checksum.
    fn checked(mut bytes: Vec<u8>) -> String {
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    #[test]
    fn the_text_stays_what_it_is() {
        let position = Position::new(Incarnation(0x0123_4567_89ab_cdef), [(0, 5), (3, 300)]);
        assert_eq!(Cursor::encode("app", &position), "AQNhcHABI0VniavN7wAFA6wCKPnrjg");
    }

    #[test]
    fn other_versions_and_lengths_are_named() {
        assert_eq!(Cursor::decode(&checked(vec![2, 0])), Err(CursorError::Version(2)));
        assert_eq!(
            Cursor::decode(&"A".repeat(limits::CURSOR + 1)),
            Err(CursorError::TooLong)
        );
        let partitions = (0..1_000).map(|partition| (partition, u64::MAX));
        let text = Cursor::encode(&"a".repeat(63), &Position::new(Incarnation(1), partitions));
        assert!(Cursor::decode(&text).is_ok(), "{} bytes", text.len());
    }

    #[test]
    fn partitions_have_an_order_and_numbers_an_end() {
        let head = [&[VERSION, 1, b'a'][..], &[0; 8]].concat();
        for (rest, good) in [
            (&[][..], true),
            (&[0, 5, 1, 5], true),
            (&[0, 5, 0, 5], false),
            (&[0], false),
            (&[0, 0x80], false),
            (&[0xff, 0xff, 0xff, 0xff, 0x0f, 1], true),
            (&[0xff, 0xff, 0xff, 0xff, 0x1f, 1], false),
            (&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], true),
            (&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], false),
        ] {
            let text = checked([&head, rest].concat());
            assert_eq!(Cursor::decode(&text).is_ok(), good, "{rest:?}");
        }
    }
}
