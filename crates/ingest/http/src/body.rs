//! The body of a request: no more than a limit is held, no longer than a time waited for, and all bodies together have a
//! budget.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::refusal::Refusal;

/// A piece below this size is copied: it is a slice of the connection's read buffer, which it would keep from being used
/// again, and keep in memory for as long as the event is.
const COPY_BELOW: usize = 16 * 1024;

/// How bodies are read.
#[derive(Clone, Copy)]
pub(crate) struct BodyRules<'a> {
    /// Bytes at most.
    pub(crate) limit: usize,
    /// Time at most.
    pub(crate) time: Duration,
    /// Bytes that all requests may hold, one permit each.
    pub(crate) budget: &'a Semaphore,
}

// ----------------------------------------------------------------------------------------------

impl<'a> BodyRules<'a> {
    /// Reads a body, and gives with it its part of the budget. One that says by `Content-Length` that it is too long is
    /// refused before a byte of it is read.
    pub(crate) async fn read(self, headers: &HeaderMap, body: Body) -> Result<(Bytes, SemaphorePermit<'a>), Refusal> {
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|announced| announced > self.limit as u64) {
            return Err(self.too_large());
        }
        if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
            && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
        {
            return Err(Refusal::Encoded(
                String::from_utf8_lossy(encoding.as_bytes()).into_owned(),
            ));
        }
        match tokio::time::timeout(self.time, self.collect(body)).await {
            Ok(result) => result,
            Err(_elapsed) => Err(Refusal::BodyTime),
        }
    }

    async fn collect(self, mut body: Body) -> Result<(Bytes, SemaphorePermit<'a>), Refusal> {
        let mut permit = self.reserve(0)?;
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Refusal::BodyBroken(error.to_string()))?;
            let Ok(piece) = frame.into_data() else { continue }; // trailers
            if whole.len() + piece.len() > self.limit {
                return Err(self.too_large());
            }
            permit.merge(self.reserve(piece.len())?);
            if whole.is_empty() && piece.len() >= COPY_BELOW && http_body::Body::is_end_stream(&body) {
                return Ok((piece, permit));
            }
            whole.extend_from_slice(&piece);
        }
        Ok((whole.freeze(), permit))
    }

    fn reserve(self, bytes: usize) -> Result<SemaphorePermit<'a>, Refusal> {
        let bytes = u32::try_from(bytes).map_err(|_| self.too_large())?;
        self.budget
            .try_acquire_many(bytes)
            .map_err(|_| Refusal::Busy("too many large requests at once, try again shortly"))
    }

    fn too_large(self) -> Refusal {
        Refusal::TooLarge(format!("the body is longer than {} bytes", self.limit))
    }
}

#[cfg(test)]
mod tests {
    use sockeye_limits as limits;

    use super::*;

    #[tokio::test]
    async fn bodies_share_a_budget_and_give_it_back() {
        let budget = Semaphore::new(100);
        let rules = BodyRules {
            limit: 80,
            time: limits::HTTP_BODY_TIME,
            budget: &budget,
        };
        let read = async |length: usize| rules.read(&HeaderMap::new(), Body::from(vec![b'x'; length])).await;

        let (first, held) = read(60).await.unwrap();
        assert_eq!((first.len(), budget.available_permits()), (60, 40));
        assert!(matches!(read(41).await, Err(Refusal::Busy(_))));
        assert_eq!(budget.available_permits(), 40, "a refused body holds nothing");
        drop(held);
        assert_eq!(read(80).await.unwrap().0.len(), 80);
        assert!(matches!(read(81).await, Err(Refusal::TooLarge(_))));
        assert_eq!(budget.available_permits(), 100);
    }

    #[tokio::test]
    async fn a_large_body_in_one_piece_is_not_copied() {
        let budget = Semaphore::new(2 * COPY_BELOW);
        let rules = BodyRules {
            limit: COPY_BELOW,
            time: limits::HTTP_BODY_TIME,
            budget: &budget,
        };
        for (length, copied) in [(COPY_BELOW - 1, true), (COPY_BELOW, false)] {
            let sent = Bytes::from(vec![b'x'; length]);
            let (body, _held) = rules.read(&HeaderMap::new(), Body::from(sent.clone())).await.unwrap();
            assert_eq!(
                (body.as_ptr() != sent.as_ptr(), body == sent),
                (copied, true),
                "{length}"
            );
        }
    }
}
