//! A socket in memory: the server's end is an ordinary one, the client's end is moved by hand.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sockeye_delivery::{Acknowledged, Link};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The server's end. Dropped, it takes with it what was not flushed.
pub(crate) struct ServerEnd(Arc<Pipe>);

/// The client's end. Dropped, the connection is reset.
pub(crate) struct ClientEnd(Arc<Pipe>);

struct Pipe {
    state: Mutex<State>,
    /// Told when there is something for the client.
    news: Notify,
}

struct State {
    /// Written and not flushed, as TLS holds it back; at most `holds_back` bytes.
    staged: BytesMut,
    holds_back: usize,
    /// On its way to the client: at most `capacity` bytes.
    to_client: BytesMut,
    capacity: usize,
    to_server: Vec<u8>,
    /// Bytes that the client has taken, and when it last did. Its system acknowledges them, and no others.
    taken: u64,
    took: Instant,
    /// Whether the server's system knows what is acknowledged.
    tells: bool,
    /// Since when the server is told to wait: what it gave is not taken, or is taken and not all handed on.
    refused: Option<Instant>,
    /// The longest of such times that are over.
    refused_longest: Duration,
    /// Since when the client's machine is gone: nothing arrives there, nothing comes from there.
    gone: Option<Instant>,
    server: End,
    client: End,
    reading: Option<Waker>,
    writing: Option<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// Sends no more.
    Shut,
    /// Neither sends nor receives.
    Gone,
}

// ----------------------------------------------------------------------------------------------

/// A connection that holds at most `capacity` bytes for the client, and `holds_back` more that want to be flushed. Its system
/// `tells` what is acknowledged, or does not.
pub(crate) fn pipe(capacity: usize, holds_back: usize, tells: bool) -> (ServerEnd, ClientEnd) {
    let state = State {
        staged: BytesMut::new(),
        holds_back,
        to_client: BytesMut::new(),
        capacity,
        to_server: Vec::new(),
        taken: 0,
        took: Instant::now(),
        tells,
        refused: None,
        refused_longest: Duration::ZERO,
        gone: None,
        server: End::Open,
        client: End::Open,
        reading: None,
        writing: None,
    };
    let pipe = Arc::new(Pipe {
        state: Mutex::new(state),
        news: Notify::new(),
    });
    (ServerEnd(Arc::clone(&pipe)), ClientEnd(pipe))
}

impl ClientEnd {
    /// Waits until there are bytes, or there will be no more.
    pub(crate) async fn readable(&self) {
        loop {
            let news = self.0.news.notified();
            {
                let state = self.0.lock();
                if !state.to_client.is_empty() || state.server != End::Open {
                    return;
                }
            }
            news.await;
        }
    }

    /// Takes at most so many bytes, which makes room; `None` if there will be no more.
    pub(crate) fn take(&self, most: usize) -> Option<Bytes> {
        let mut state = self.0.lock();
        if state.to_client.is_empty() && state.server != End::Open {
            return None;
        }
        let most = most.min(state.to_client.len());
        let taken = state.to_client.split_to(most).freeze();
        // What was flushed in vain goes on by itself, as a kernel's buffer does.
        if !taken.is_empty() {
            state.taken += taken.len() as u64;
            state.took = Instant::now();
            wake(&mut state.writing);
        }
        Some(taken)
    }

    pub(crate) fn send(&self, bytes: &[u8]) {
        let mut state = self.0.lock();
        state.to_server.extend_from_slice(bytes);
        wake(&mut state.reading);
    }

    /// How long, at most, the server was told to wait. A server that does not know what is acknowledged cannot see that a
    /// part of what was held back has gone.
    pub(crate) fn longest_refusal(&self) -> Duration {
        let state = self.0.lock();
        let now = state.refused.map_or(Duration::ZERO, |since| since.elapsed());
        now.max(state.refused_longest)
    }

    /// Sends no more.
    pub(crate) fn shut(&self) {
        self.end(End::Shut);
    }

    /// The machine is gone from now on.
    pub(crate) fn lose(&self) {
        self.0.lock().gone = Some(Instant::now());
    }

    fn end(&self, end: End) {
        let mut state = self.0.lock();
        state.client = end;
        wake(&mut state.reading);
        wake(&mut state.writing);
    }
}

impl Drop for ClientEnd {
    fn drop(&mut self) {
        self.end(End::Gone);
    }
}

impl ServerEnd {
    fn poll_flushed(&self, context: &Context<'_>) -> Poll<io::Result<MutexGuard<'_, State>>> {
        let mut state = self.0.lock();
        if state.client == End::Gone {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = state.capacity - state.to_client.len();
        let moved = room.min(state.staged.len());
        let State { staged, to_client, .. } = &mut *state;
        to_client.extend_from_slice(&staged.split_to(moved));
        if moved > 0 {
            self.0.news.notify_one();
        }
        if state.staged.is_empty() {
            return Poll::Ready(Ok(state));
        }
        state.refuse(context);
        Poll::Pending
    }
}

impl State {
    fn refuse(&mut self, context: &Context<'_>) {
        self.writing = Some(context.waker().clone());
        self.refused.get_or_insert_with(Instant::now);
    }

    fn accept(&mut self) {
        if let Some(since) = self.refused.take() {
            self.refused_longest = self.refused_longest.max(since.elapsed());
        }
    }
}

impl Link for ServerEnd {
    fn acknowledged(&self) -> Option<Acknowledged> {
        let state = self.0.lock();
        let waits = !state.to_client.is_empty();
        let acknowledged = match state.gone {
            Some(since) => since,
            // What waits for a machine that is there waits for room in its window, which is probed.
            None if waits => Instant::now(),
            None => state.took,
        };
        state.tells.then(|| Acknowledged {
            bytes: state.taken,
            in_flight: waits && state.gone.is_some(),
            quiet: acknowledged.elapsed(),
        })
    }
}

impl AsyncWrite for ServerEnd {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let _ = self.poll_flushed(context)?;
        let mut state = self.0.lock();
        let held_back = state.holds_back > 0;
        let room = if held_back {
            state.holds_back - state.staged.len()
        } else {
            state.capacity - state.to_client.len()
        };
        if room == 0 {
            state.refuse(context);
            return Poll::Pending;
        }
        state.accept();
        let written = &bytes[..room.min(bytes.len())];
        if held_back {
            state.staged.extend_from_slice(written);
        } else {
            state.to_client.extend_from_slice(written);
            self.0.news.notify_one();
        }
        Poll::Ready(Ok(written.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flushed(context).map_ok(|mut state| state.accept())
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flushed(context).map_ok(|mut state| {
            state.server = End::Shut;
            self.0.news.notify_one();
        })
    }
}

impl AsyncRead for ServerEnd {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        if state.client == End::Gone {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if state.to_server.is_empty() && state.client == End::Open {
            state.reading = Some(context.waker().clone());
            return Poll::Pending;
        }
        let count = into.remaining().min(state.to_server.len());
        into.put_slice(&state.to_server[..count]);
        state.to_server.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl Drop for ServerEnd {
    fn drop(&mut self) {
        self.0.lock().server = End::Gone;
        self.0.news.notify_one();
    }
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
