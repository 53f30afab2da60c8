//! Bodies as clients send them: JSON whatever the `Content-Type` says, perhaps packed with gzip (compat/octave.md 7).

use std::io::Read as _;

use axum::body::Body;
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use sockeye_limits as limits;
use tokio::time::timeout;

use crate::Octave;
use crate::request::Problem;

// ----------------------------------------------------------------------------------------------

impl Octave {
    /// Reads a body within the limits, and unpacks it.
    pub(super) async fn read_body(&self, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
        let busy = |_| Problem::new(503, "too many large requests at once, try again shortly");
        // What a body can come to, packed and unpacked.
        let _held = self
            .bodies
            .try_acquire_many(2 * limits::OCTAVE_BODY as u32)
            .map_err(busy)?;
        let read = timeout(
            limits::HTTP_BODY_TIME,
            Limited::new(body, limits::OCTAVE_BODY).collect(),
        );
        let read = read
            .await
            .map_err(|_elapsed| Problem::new(408, "the body did not come in time"))?;
        let bytes = read.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => too_large(),
            None => Problem::bad("the body could not be read to its end"),
        })?;
        let bytes = bytes.to_bytes();
        let encoding = headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes);
        match encoding.map(<[u8]>::to_ascii_lowercase).as_deref() {
            None | Some(b"" | b"identity") => Ok(bytes.to_vec()),
            Some(b"gzip" | b"x-gzip") => unpacked(&bytes),
            Some(_) => Err(Problem::new(415, "`Content-Encoding` must be `gzip` or `identity`")),
        }
    }
}

fn too_large() -> Problem {
    Problem::new(413, format!("the body is longer than {} bytes", limits::OCTAVE_BODY))
}

fn unpacked(packed: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let most = limits::OCTAVE_BODY as u64 + 1;
    let read = MultiGzDecoder::new(packed).take(most).read_to_end(&mut bytes);
    read.map_err(|_| Problem::bad("the body is not what `Content-Encoding: gzip` says"))?;
    if bytes.len() > limits::OCTAVE_BODY {
        return Err(too_large());
    }
    Ok(bytes)
}

/// Reads a JSON object.
pub(super) fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::bad("the body must be a JSON object"));
    }
    serde_json::from_slice(body).map_err(|error| Problem::bad(format!("the body is wrong: {error}")))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_is_packed_is_bounded_too() {
        assert_eq!(unpacked(&packed(b"{}")), Ok(b"{}".to_vec()));
        let most = vec![b' '; limits::OCTAVE_BODY];
        assert_eq!(
            unpacked(&packed(&most)).map(|bytes| bytes.len()),
            Ok(limits::OCTAVE_BODY)
        );
        assert_eq!(
            unpacked(&packed(&[most, b" ".to_vec()].concat())).unwrap_err().status,
            413
        );
        assert_eq!(unpacked(b"{}").unwrap_err().status, 400);
    }
}
