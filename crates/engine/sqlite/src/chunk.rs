//! How records are laid out in a row of `chunks`.
//!
//! Per record: `u32` length of the header block, the block, `u32` length of the payload (`u32::MAX`: none), the payload;
//! integers little-endian. What is read shares the row's one buffer.

use bytes::{Buf as _, BufMut as _, Bytes};
use sockeye_event::Headers;
use sockeye_log::NewRecord;

/// Length of a payload that is not there.
const NONE: u32 = u32::MAX;

/// The bytes are not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chunk of records is damaged")]
pub(crate) struct DamagedChunk;

// ----------------------------------------------------------------------------------------------

/// Adds a record to a chunk.
pub(crate) fn write(record: &NewRecord, chunk: &mut Vec<u8>) {
    chunk.put_u32_le(record.headers.len() as u32);
    chunk.put_slice(record.headers.as_block());
    match &record.payload {
        None => chunk.put_u32_le(NONE),
        Some(payload) => {
            chunk.put_u32_le(payload.len() as u32);
            chunk.put_slice(payload);
        }
    }
}

/// Takes the next record from a chunk.
pub(crate) fn read(chunk: &mut Bytes) -> Result<NewRecord, DamagedChunk> {
    let headers = read_part(chunk)?.ok_or(DamagedChunk)?;
    let headers = Headers::from_block(headers).map_err(|_| DamagedChunk)?;
    let payload = read_part(chunk)?;
    Ok(NewRecord { headers, payload })
}

/// Skips the next record of a chunk.
pub(crate) fn skip(chunk: &mut Bytes) -> Result<(), DamagedChunk> {
    read_part(chunk)?;
    read_part(chunk)?;
    Ok(())
}

fn read_part(chunk: &mut Bytes) -> Result<Option<Bytes>, DamagedChunk> {
    match chunk.try_get_u32_le().map_err(|_| DamagedChunk)? {
        NONE => Ok(None),
        length if length as usize <= chunk.len() => Ok(Some(chunk.split_to(length as usize))),
        _ => Err(DamagedChunk),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record() -> impl Strategy<Value = NewRecord> {
        let headers = prop::collection::vec(
            (
                "[a-z]{0,8}",
                prop::option::of(prop::collection::vec(any::<u8>(), 0..20)),
            ),
            0..5,
        );
        let payload = prop::option::of(prop::collection::vec(any::<u8>(), 0..50));
        (headers, payload).prop_map(|(headers, payload)| NewRecord {
            headers: headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_deref()))
                .collect(),
            payload: payload.map(Bytes::from),
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(records in prop::collection::vec(record(), 0..10)) {
            let mut chunk = Vec::new();
            for record in &records {
                write(record, &mut chunk);
            }
            let mut rest = Bytes::from(chunk);
            let mut skipped = rest.clone();
            for record in &records {
                prop_assert_eq!(&read(&mut rest)?, record);
                skip(&mut skipped)?;
                prop_assert_eq!(&skipped, &rest);
            }
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn a_cut_chunk_is_recognised(record in record()) {
            let mut chunk = Vec::new();
            write(&record, &mut chunk);
            let chunk = Bytes::from(chunk);
            for length in 0..chunk.len() {
                prop_assert_eq!(read(&mut chunk.slice(..length)), Err(DamagedChunk), "cut at {}", length);
            }
        }
    }
}
