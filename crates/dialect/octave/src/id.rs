//! Ids of streams, events and people: one letter and 24 hexadecimal digits (compat/octave.md 6.1).

use std::fmt;

use sha2::{Digest, Sha256};
use sockeye_delivery::Place;
use sockeye_log::{Incarnation, Position};

/// `s..`: the id of a stream.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId([u8; BYTES]);

/// `e..`: the id of an event, which says where it is in its log (decision 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId {
    /// The partition.
    pub partition: u16,
    /// Its offset there, of 56 bits.
    pub offset: u64,
    /// The lowest 24 bits of the log's incarnation.
    incarnation: u32,
}

// ----------------------------------------------------------------------------------------------

const BYTES: usize = 12;
/// The creator of what devices made (compat/octave.md 6.1).
pub const DEVICES: &str = "i000000000000000000000001";

impl StreamId {
    /// The id that a stream has if nobody gave it another one: always the same.
    pub fn derived(application_uid: &str, device: Option<&str>, channel: &str) -> Self {
        Self(digest(&[application_uid, device.unwrap_or_default(), channel]))
    }

    /// Reads an id.
    pub fn parse(text: &str) -> Option<Self> {
        digits(text, b's').map(Self)
    }
}

impl EventId {
    /// Of the event at this place. (A log with more than 65,536 partitions, or 2^56 records in one, is not to be expected.)
    pub fn of(place: Place, incarnation: Incarnation) -> Self {
        Self {
            partition: place.partition as u16,
            offset: place.offset & 0x00ff_ffff_ffff_ffff,
            incarnation: (incarnation.0 & 0x00ff_ffff) as u32,
        }
    }

    /// Reads an id.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = digits(text, b'e')?;
        let number = bytes
            .iter()
            .fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        Some(Self {
            partition: (number >> 80) as u16,
            offset: (number >> 24) as u64 & 0x00ff_ffff_ffff_ffff,
            incarnation: number as u32 & 0x00ff_ffff,
        })
    }

    /// Whether it is of a log of this position.
    pub fn is_of(&self, position: &Position) -> bool {
        position.incarnation().0 & 0x00ff_ffff == u64::from(self.incarnation)
    }
}

/// `i..`: whoever is called so.
pub fn identity(user: &str) -> String {
    let mut text = String::from("i");
    for byte in digest(&[user]) {
        push(&mut text, byte);
    }
    text
}

fn digest(parts: &[&str]) -> [u8; BYTES] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; BYTES];
    bytes.copy_from_slice(&hash.finalize()[..BYTES]);
    bytes
}

fn push(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.push(char::from(DIGITS[usize::from(byte >> 4)]));
    text.push(char::from(DIGITS[usize::from(byte & 15)]));
}

fn digits(text: &str, letter: u8) -> Option<[u8; BYTES]> {
    let (first, rest) = text.as_bytes().split_first()?;
    if *first != letter || rest.len() != 2 * BYTES {
        return None;
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(rest.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(1 + 2 * BYTES);
        text.push('s');
        self.0.iter().for_each(|byte| push(&mut text, *byte));
        f.write_str(&text)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{:04x}{:014x}{:06x}", self.partition, self.offset, self.incarnation)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let stream = StreamId::derived("uid", Some("d"), "c");
        assert_eq!(StreamId::parse(&stream.to_string()), Some(stream));
        assert_eq!(stream.to_string().len(), 25);
        for other in [
            StreamId::derived("uid", None, "c"),
            StreamId::derived("uid", Some("d"), "cc"),
            StreamId::derived("uid", Some("dc"), ""),
            StreamId::derived("other", Some("d"), "c"),
        ] {
            assert_ne!(other, stream);
        }
        let place = Place {
            partition: 7,
            offset: 0x0012_3456_789a_bcde,
            time: Timestamp::UNIX_EPOCH,
        };
        let event = EventId::of(place, Incarnation(0xffff_ffff_ffab_cdef));
        assert_eq!(event.to_string(), "e0007123456789abcdeabcdef");
        assert_eq!(EventId::parse(&event.to_string()), Some(event));
        assert!(event.is_of(&Position::new(Incarnation(0xab_cdef), [])));
        assert!(!event.is_of(&Position::new(Incarnation(0xab_cdee), [])));
    }

    #[test]
    fn what_is_no_id() {
        let long = format!("s{}", "0".repeat(25));
        for text in [
            "",
            "s",
            "s64f0c1a2b3d4e5f60718293",
            "S64f0c1a2b3d4e5f60718293a",
            "s64F0c1a2b3d4e5f60718293a",
            "e64f0c1a2b3d4e5f60718293a",
            "s64f0c1a2b3d4e5f6071829ä",
            &long,
        ] {
            assert_eq!(StreamId::parse(text), None, "{text}");
        }
        assert!(StreamId::parse("s64f0c1a2b3d4e5f60718293a").is_some());
        assert_eq!(EventId::parse("s64f0c1a2b3d4e5f60718293a"), None);
    }
}
