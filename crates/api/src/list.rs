//! Lists: a JSON array sorted by name, streamed, so that a long one costs no memory.

use std::future::Future;

use axum::body::Body;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};
use sockeye_limits as limits;
use sockeye_registry::{Application, Device, Metadata, Page, ReadError};

use crate::error::ApiError;
use crate::selector::Selector;

/// `?labels=&limit=&offset=`, as it comes.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ListQuery {
    #[serde(default)]
    labels: String,
    limit: Option<usize>,
    #[serde(default)]
    offset: usize,
}

/// What of a list is wanted.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Which labels.
    selector: Selector,
    /// Entries to leave out, of those that are selected.
    skip: usize,
    /// Entries to give.
    take: usize,
}

/// What lists are made of.
pub(crate) trait Document: Serialize + Send + 'static {
    fn metadata(&self) -> &Metadata;
}

/// A list on its way out.
struct Listing<F> {
    wanted: Wanted,
    page: Page,
    fetch: F,
    begun: bool,
    ended: bool,
}

// ----------------------------------------------------------------------------------------------

impl Document for Application {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl Document for Device {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl Wanted {
    pub(crate) fn of(query: Result<Query<ListQuery>, QueryRejection>) -> Result<Self, ApiError> {
        let Query(query) = query.map_err(|rejection| ApiError::BadRequest(rejection.body_text()))?;
        let selector = Selector::parse(&query.labels).map_err(|error| ApiError::InvalidRequest(error.to_string()))?;
        Ok(Self {
            selector,
            skip: query.offset,
            take: query.limit.unwrap_or(usize::MAX),
        })
    }
}

/// Answers with the entries that `fetch` gives page by page; it leaves `None` where one is not for the caller. An error on
/// the first page is answered; one later breaks the body off, so that no client takes a part for the whole.
pub(crate) async fn answer<T, F, R>(wanted: Wanted, fetch: F) -> Result<Response, ApiError>
where
    T: Document,
    F: FnMut(Page) -> R + Send + 'static,
    R: Future<Output = Result<Vec<Option<T>>, ReadError>> + Send,
{
    let page = Page {
        offset: 0,
        limit: limits::REGISTRY_LIST_STEP,
    };
    let mut listing = Listing {
        wanted,
        page,
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
    T: Document,
    F: FnMut(Page) -> R,
    R: Future<Output = Result<Vec<Option<T>>, ReadError>>,
{
    /// The text of one more page.
    async fn next(&mut self) -> Result<Bytes, ReadError> {
        let found = (self.fetch)(self.page).await?;
        self.ended = found.len() < self.page.limit;
        self.page.offset += found.len();
        let mut text = Vec::new();
        let selector = &self.wanted.selector;
        for entry in found
            .into_iter()
            .flatten()
            .filter(|entry| selector.selects(&entry.metadata().labels))
        {
            if self.wanted.skip > 0 {
                self.wanted.skip -= 1;
            } else if self.wanted.take > 0 {
                self.wanted.take -= 1;
                text.push(if self.begun { b',' } else { b'[' });
                self.begun = true;
                serde_json::to_writer(&mut text, &entry).expect("a document that was stored is JSON");
            }
        }
        self.ended |= self.wanted.take == 0;
        if self.ended {
            text.extend_from_slice(if self.begun { b"]" } else { b"[]" });
        }
        Ok(text.into())
    }
}
