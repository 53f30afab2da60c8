//! Names and values of a record, in one buffer that is shared with the engine: a record read from the log costs no
//! allocation per attribute.
//!
//! Layout, repeated: `u16` name length, name, `u32` value length (`u32::MAX`: null), value; integers little-endian.

use bytes::{BufMut, Bytes, BytesMut};

/// The headers of one record, in the order in which they were written. Names may repeat (Kafka allows it): the last wins
/// where one is looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    block: Bytes,
}

/// Collects [`Headers`].
#[derive(Debug, Default)]
pub struct HeadersBuilder {
    block: BytesMut,
}

/// The bytes are no header block: an engine gave back something else than it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header block of a record is damaged")]
pub struct DamagedHeaders;

/// How a null value (which Kafka knows) is written.
const NULL: u32 = u32::MAX;

// ----------------------------------------------------------------------------------------------

impl Headers {
    /// Takes a block that [`Headers::as_block`] gave, after checking that every length in it holds.
    pub fn from_block(block: Bytes) -> Result<Self, DamagedHeaders> {
        let mut rest = &block[..];
        while !rest.is_empty() {
            (_, rest) = split_header(rest).ok_or(DamagedHeaders)?;
        }
        Ok(Self { block })
    }

    /// The block as an engine stores it.
    pub fn as_block(&self) -> &Bytes {
        &self.block
    }

    /// Name and value of each header; a value is `None` where Kafka had a null.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let mut rest = &self.block[..];
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (header, next) = split_header(rest).expect("checked when it was made");
            rest = next;
            Some(header)
        })
    }

    /// As [`Headers::iter`], values as slices that share the block.
    pub fn iter_shared(&self) -> impl Iterator<Item = (Bytes, Option<Bytes>)> {
        self.iter()
            .map(|(name, value)| (self.block.slice_ref(name), value.map(|v| self.block.slice_ref(v))))
    }

    /// The value of the last header of this name, if it is there and not null.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .filter(|(n, _)| *n == name.as_bytes())
            .last()
            .and_then(|(_, value)| value)
    }

    /// Bytes of the block.
    pub fn len(&self) -> usize {
        self.block.len()
    }

    /// Whether there is no header.
    pub fn is_empty(&self) -> bool {
        self.block.is_empty()
    }
}

type Header<'a> = (&'a [u8], Option<&'a [u8]>);

fn split_header(rest: &[u8]) -> Option<(Header<'_>, &[u8])> {
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (name, rest) = rest.split_at_checked(u16::from_le_bytes(*length) as usize)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    match u32::from_le_bytes(*length) {
        NULL => Some(((name, None), rest)),
        length => {
            let (value, rest) = rest.split_at_checked(length as usize)?;
            Some(((name, Some(value)), rest))
        }
    }
}

impl HeadersBuilder {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty one with room for a block of this many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            block: BytesMut::with_capacity(bytes),
        }
    }

    /// Adds a header; `None` is Kafka's null. A name longer than 64 KiB or a value longer than 4 GiB is cut: no transport
    /// that Sockeye reads carries them.
    pub fn push(&mut self, name: impl AsRef<[u8]>, value: Option<&[u8]>) {
        let name = name.as_ref();
        let name = &name[..name.len().min(u16::MAX as usize)];
        self.block.put_u16_le(name.len() as u16);
        self.block.put_slice(name);
        match value {
            None => self.block.put_u32_le(NULL),
            Some(value) => {
                let value = &value[..value.len().min(NULL as usize - 1)];
                self.block.put_u32_le(value.len() as u32);
                self.block.put_slice(value);
            }
        }
    }

    /// The finished headers.
    pub fn build(self) -> Headers {
        Headers {
            block: self.block.freeze(),
        }
    }

    /// The finished headers, and the record's payload behind them in the same buffer: one allocation for both.
    pub fn build_with(mut self, payload: &[u8]) -> (Headers, Bytes) {
        let headers = self.block.split();
        self.block.put_slice(payload);
        let block = headers.freeze();
        (Headers { block }, self.block.freeze())
    }
}

impl<'a> FromIterator<(&'a str, Option<&'a [u8]>)> for Headers {
    fn from_iter<T: IntoIterator<Item = (&'a str, Option<&'a [u8]>)>>(headers: T) -> Self {
        let mut builder = HeadersBuilder::new();
        for (name, value) in headers {
            builder.push(name, value);
        }
        builder.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let headers: Headers = [("ce_id", Some(&b"1"[..])), ("ce_x", None), ("empty", Some(b""))]
            .into_iter()
            .collect();
        let again = Headers::from_block(headers.as_block().clone()).unwrap();
        let all: Vec<_> = again.iter().collect();
        assert_eq!(
            all,
            [(&b"ce_id"[..], Some(&b"1"[..])), (b"ce_x", None), (b"empty", Some(b""))]
        );
        assert_eq!(again.get("ce_id"), Some(&b"1"[..]));
        assert_eq!(again.get("ce_x"), None);
    }

    #[test]
    fn a_payload_is_no_header() {
        for room in [0, 64] {
            let mut headers = HeadersBuilder::with_capacity(room);
            headers.push(b"not \xff UTF-8", Some(b"1"));
            let (headers, payload) = headers.build_with(b"payload");
            let all: Vec<_> = headers.iter().collect();
            assert_eq!(all, [(&b"not \xff UTF-8"[..], Some(&b"1"[..]))]);
            assert_eq!(payload, "payload");
        }
    }

    #[test]
    fn every_cut_of_a_block_is_recognised() {
        let headers: Headers = [("ce_id", Some(&b"12345"[..]))].into_iter().collect();
        for length in 1..headers.len() {
            assert_eq!(
                Headers::from_block(headers.as_block().slice(..length)),
                Err(DamagedHeaders),
                "cut at {length}"
            );
        }
    }
}
