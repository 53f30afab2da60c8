//! The socket of one connection, shared by its own task, the lane that writes to it and the wheel that pings.
//!
//! All live on one core, so the lock is never waited for; it is there because tasks of a runtime may not share without.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use sockeye_limits as limits;
use sockeye_log::{Position, ReadError};
use tokio::time::Instant;

use crate::end::Cause;
use crate::lanes::Frames;
use crate::link::Link;
use crate::metrics::Counters;
use crate::socket::{Socket, Traffic};
use crate::wheel::Visited;

/// One end of a socket that a lane writes to.
pub(crate) struct Outlet<IO> {
    shared: Mutex<Shared<IO>>,
    counters: Arc<Counters>,
}

struct Shared<IO> {
    socket: Socket<IO>,
    /// Set when a lane can or may not write any more, until the task has taken over.
    handed: Option<Handover>,
    /// Neither lanes nor the wheel may write any more.
    left: bool,
    next_ping: Instant,
    /// The connection's task.
    waker: Option<Waker>,
}

/// Why a lane gave a socket back to its task.
#[derive(Debug)]
pub(crate) enum Handover {
    /// The socket is full, or the task has something on its way: read on from here.
    Resume(Position),
    /// The topic cannot be read on from here.
    Ended(ReadError, Position),
    /// The socket is broken.
    Broken(io::Error),
    /// The peer has had enough time to give a sign of life, or to take something.
    Expired(Cause),
}

/// What a shard knows of a connection.
pub(crate) trait Member: Send + Sync {
    /// Writes frames; whether the member stays. One that does not has been told to read on by itself.
    fn write(&self, frames: &Frames) -> bool;

    /// Tells the member that nothing more comes behind this position.
    fn end(&self, error: &ReadError, head: &Position);

    /// Whether it has left.
    fn has_left(&self) -> bool;
}

// ----------------------------------------------------------------------------------------------

/// The server's Ping: a frame whose payload is `PING` (compat/drogue.md 1.6).
const PING: &[u8] = b"\x89\x04PING";

impl<IO: Link> Outlet<IO> {
    pub(crate) fn new(io: IO, counters: Arc<Counters>) -> Self {
        Self {
            shared: Mutex::new(Shared {
                socket: Socket::new(io, counters.stalled.clone()),
                handed: None,
                left: false,
                next_ping: Instant::now() + limits::WS_PING_INTERVAL,
                waker: None,
            }),
            counters,
        }
    }

    /// The socket, for the connection's task.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Socket<IO>) -> T) -> T {
        work(&mut self.lock().socket)
    }

    /// Writes and reads what can be, and waits until something could, or the lane has given the socket back.
    pub(crate) async fn traffic(&self, inbox: &mut BytesMut) -> io::Result<(Traffic, Option<Handover>)> {
        std::future::poll_fn(|context| self.poll_traffic(context, inbox)).await
    }

    fn poll_traffic(
        &self,
        context: &mut Context<'_>,
        inbox: &mut BytesMut,
    ) -> Poll<io::Result<(Traffic, Option<Handover>)>> {
        let mut shared = self.lock();
        if let Some(handed) = shared.handed.take() {
            return Poll::Ready(match handed {
                Handover::Broken(error) => Err(error),
                handed => Ok((Traffic::default(), Some(handed))),
            });
        }
        match shared.socket.poll(context, inbox) {
            Poll::Ready(traffic) => Poll::Ready(traffic.map(|traffic| (traffic, None))),
            Poll::Pending => {
                if !shared
                    .waker
                    .as_ref()
                    .is_some_and(|waker| waker.will_wake(context.waker()))
                {
                    shared.waker = Some(context.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    /// Tells the socket's end that no more comes.
    pub(crate) async fn shut(&self) -> io::Result<()> {
        std::future::poll_fn(|context| self.lock().socket.poll_shut(context)).await
    }
}

impl<IO> Outlet<IO> {
    /// Lets neither lanes nor the wheel write any more.
    pub(crate) fn leave(&self) {
        self.lock().left = true;
    }

    fn lock(&self) -> MutexGuard<'_, Shared<IO>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<IO: Link> Shared<IO> {
    /// Sends a Ping; how many bytes the socket took. A Ping is put behind what is on its way; where nothing can go out, it
    /// would prove nothing.
    fn ping(&mut self) -> io::Result<usize> {
        let mut written = 0;
        if self.socket.is_drained() {
            written = self.socket.write_now(PING)?;
            self.socket.outbox().extend_from_slice(&PING[written..]);
            if !self.socket.is_drained() {
                self.wake();
            }
        } else if !self.socket.is_blocked() && self.socket.has_room() {
            self.socket.outbox().extend_from_slice(PING);
        }
        Ok(written)
    }
}

impl<IO> Shared<IO> {
    fn hand(&mut self, handover: Handover) {
        self.handed = Some(handover);
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl<IO: Link> Member for Outlet<IO> {
    fn write(&self, frames: &Frames) -> bool {
        let mut shared = self.lock();
        if shared.left || shared.handed.is_some() {
            return false;
        }
        if !shared.socket.is_drained() {
            shared.hand(Handover::Resume(frames.from.clone()));
            return false;
        }
        let written = match shared.socket.write_now(&frames.bytes) {
            Ok(written) => written,
            Err(error) => {
                shared.hand(Handover::Broken(error));
                return false;
            }
        };
        self.counters.sent.inc_by(written as u64);
        if written == frames.bytes.len() && shared.socket.is_drained() {
            self.counters.events.inc_by(frames.ends.len() as u64);
            return true;
        }
        // The frame that is on its way goes out whole; those behind it are read again, so that a socket that takes nothing
        // holds no more than one frame.
        let whole = frames.ends.partition_point(|frame| frame.end <= written);
        let begun = whole.checked_sub(1).map_or(0, |last| frames.ends[last].end) < written;
        let given = whole + usize::from(begun);
        if begun {
            shared
                .socket
                .outbox()
                .extend_from_slice(&frames.bytes[written..frames.ends[whole].end]);
        }
        self.counters.events.inc_by(given as u64);
        shared.hand(Handover::Resume(frames.position_after(given)));
        false
    }

    fn end(&self, error: &ReadError, head: &Position) {
        let mut shared = self.lock();
        if !shared.left && shared.handed.is_none() {
            shared.hand(Handover::Ended(error.clone(), head.clone()));
        }
    }

    fn has_left(&self) -> bool {
        self.lock().left
    }
}

impl<IO: Link> Visited for Outlet<IO> {
    fn visit(&self, now: Instant) -> Option<Instant> {
        let mut shared = self.lock();
        if shared.left {
            return None;
        }
        if shared.handed.is_some() {
            // The task is about to take over.
            return Some(now + limits::WHEEL_TICK);
        }
        let until = match shared.socket.judge(now) {
            Ok(until) => until,
            Err(cause) => {
                shared.hand(Handover::Expired(cause));
                return None;
            }
        };
        if now >= shared.next_ping {
            match shared.ping() {
                Ok(sent) => drop(self.counters.sent.inc_by(sent as u64)),
                Err(error) => {
                    shared.hand(Handover::Broken(error));
                    return None;
                }
            }
            shared.next_ping = now + limits::WS_PING_INTERVAL;
        }
        Some(shared.next_ping.min(until))
    }
}
