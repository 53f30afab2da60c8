//! Lists: a JSON array sorted by name, streamed, so that a long one costs no memory.

use std::future::Future;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};
use sockeye_limits as limits;
use sockeye_registry::{Found, ReadError, Selector, Wanted};

use crate::error::ApiError;

/// `?labels=&limit=&offset=`, as it comes.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ListQuery {
    #[serde(default)]
    labels: String,
    limit: Option<usize>,
    #[serde(default)]
    offset: usize,
}

/// What of a list is asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Which labels.
    labels: Arc<Selector>,
    /// Entries to leave out, of those that are selected.
    skip: usize,
    /// Entries to give.
    take: usize,
}

/// A list on its way out.
struct Listing<F> {
    asked: Asked,
    /// The name behind which it goes on.
    after: String,
    fetch: F,
    begun: bool,
    ended: bool,
}

// ----------------------------------------------------------------------------------------------

impl Asked {
    pub(crate) fn of(query: Result<Query<ListQuery>, QueryRejection>) -> Result<Self, ApiError> {
        let Query(query) = query.map_err(|rejection| ApiError::BadRequest(rejection.body_text()))?;
        let labels = Selector::parse(&query.labels).map_err(|error| ApiError::InvalidRequest(error.to_string()))?;
        Ok(Self {
            labels: Arc::new(labels),
            skip: query.offset,
            take: query.limit.unwrap_or(usize::MAX),
        })
    }
}

/// Answers with the entries that `fetch` gives part by part; it leaves `None` where one is not for the caller. An error on
/// the first part is answered; one later breaks the body off, so that no client takes a part for the whole.
pub(crate) async fn answer<T, F, R>(asked: Asked, fetch: F) -> Result<Response, ApiError>
where
    T: Serialize + Send + 'static,
    F: FnMut(Wanted) -> R + Send + 'static,
    R: Future<Output = Result<Found<Option<T>>, ReadError>> + Send,
{
    let mut listing = Listing {
        asked,
        after: String::new(),
        fetch,
        begun: false,
        ended: false,
    };
    let first = listing.next().await?;
    let rest = stream::try_unfold(listing, |mut listing| async move {
        if listing.ended {
            return Ok::<_, ReadError>(None);
        }
        let text = listing.next().await?;
        Ok(Some((text, listing)))
    });
    let first = stream::iter([Ok(first)]);
    let mut response = Response::new(Body::from_stream(futures_util::StreamExt::chain(first, rest)));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Answers with a JSON array of what `show` makes of each entry, one at a time; errors as in [`answer`].
pub(crate) async fn stream<I, T, F, R>(entries: I, show: F) -> Result<Response, ApiError>
where
    I: Iterator + Send + 'static,
    T: Serialize,
    F: Fn(I::Item) -> R + Send + Sync + 'static,
    R: Future<Output = Result<T, ApiError>> + Send,
{
    let mut entries = entries;
    let first = element(&mut entries, &show, b'[').await?;
    let ended = first.is_none();
    let head = stream::iter([Ok(first.unwrap_or_else(|| Bytes::from_static(b"[]")))]);
    let rest = stream::try_unfold((entries, show, ended), |(mut entries, show, ended)| async move {
        if ended {
            return Ok::<_, ApiError>(None);
        }
        let next = element(&mut entries, &show, b',').await?;
        let ended = next.is_none();
        Ok(Some((
            next.unwrap_or_else(|| Bytes::from_static(b"]")),
            (entries, show, ended),
        )))
    });
    let mut response = Response::new(Body::from_stream(futures_util::StreamExt::chain(head, rest)));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The text of the next entry, behind this character.
async fn element<I, T, F, R>(entries: &mut I, show: &F, before: u8) -> Result<Option<Bytes>, ApiError>
where
    I: Iterator,
    T: Serialize,
    F: Fn(I::Item) -> R,
    R: Future<Output = Result<T, ApiError>>,
{
    let Some(entry) = entries.next() else {
        return Ok(None);
    };
    let shown = show(entry).await?;
    let mut text = vec![before];
    serde_json::to_writer(&mut text, &shown).expect("what is shown is JSON");
    Ok(Some(text.into()))
}

impl<T, F, R> Listing<F>
where
    T: Serialize,
    F: FnMut(Wanted) -> R,
    R: Future<Output = Result<Found<Option<T>>, ReadError>>,
{
    /// The text of one more part.
    async fn next(&mut self) -> Result<Bytes, ReadError> {
        let wanted = Wanted {
            after: std::mem::take(&mut self.after),
            labels: Arc::clone(&self.asked.labels),
            limit: limits::REGISTRY_LIST_STEP,
        };
        let found = (self.fetch)(wanted).await?;
        match found.next {
            Some(next) => self.after = next,
            None => self.ended = true,
        }
        let mut text = Vec::new();
        for entry in found.entries.into_iter().flatten() {
            if self.asked.skip > 0 {
                self.asked.skip -= 1;
            } else if self.asked.take > 0 {
                self.asked.take -= 1;
                text.push(if self.begun { b',' } else { b'[' });
                self.begun = true;
                serde_json::to_writer(&mut text, &entry).expect("a document that was stored is JSON");
            }
        }
        self.ended |= self.asked.take == 0;
        if self.ended {
            text.extend_from_slice(if self.begun { b"]" } else { b"[]" });
        }
        Ok(text.into())
    }
}
