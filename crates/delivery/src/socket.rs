//! Bytes in and out of one socket.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BytesMut};
use prometheus_client::metrics::gauge::Gauge;
use sockeye_limits as limits;
use tokio::io::ReadBuf;
use tokio::time::Instant;

use crate::end::Cause;
use crate::link::Link;
use crate::pulse::Pulse;

/// A socket with what is due to it. While nothing flows it owns no memory.
pub(crate) struct Socket<IO> {
    io: IO,
    /// What is to be written: whole frames, but for the one that is on its way.
    outbox: BytesMut,
    /// Whether everything that was written has been handed on (TLS keeps bytes back).
    flushed: bool,
    pulse: Pulse,
}

/// What went through the socket in one turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// Bytes that the socket took.
    pub(crate) sent: usize,
    /// Bytes appended to the inbox.
    pub(crate) received: usize,
    /// Everything is written and handed on.
    pub(crate) drained: bool,
    /// The peer sends no more.
    pub(crate) ended: bool,
}

// ----------------------------------------------------------------------------------------------

impl<IO: Link> Socket<IO> {
    /// A socket; `stalled` counts those that take nothing.
    pub(crate) fn new(io: IO, stalled: Gauge) -> Self {
        Self {
            io,
            outbox: BytesMut::new(),
            flushed: true,
            pulse: Pulse::new(Instant::now(), stalled),
        }
    }

    /// Where frames are appended.
    pub(crate) fn outbox(&mut self) -> &mut BytesMut {
        &mut self.outbox
    }

    /// Whether one more frame may be appended: what is due together goes out in one write.
    pub(crate) fn has_room(&self) -> bool {
        self.outbox.len() < limits::WS_WRITE_CHUNK
    }

    /// Whether everything is written and handed on.
    pub(crate) fn is_drained(&self) -> bool {
        self.outbox.is_empty() && self.flushed
    }

    /// Whether to wait on for a sign of life, and until when at most; or for what the peer is taken.
    pub(crate) fn judge(&mut self, now: Instant) -> Result<Instant, Cause> {
        self.pulse.judge(now, || self.io.acknowledged())
    }

    /// Whether it takes nothing although something waits.
    pub(crate) fn is_blocked(&self) -> bool {
        self.pulse.is_blocked()
    }

    /// Gives back the memory of an outbox that is empty.
    pub(crate) fn rest(&mut self) {
        if self.outbox.is_empty() && self.outbox.capacity() > 0 {
            self.outbox = BytesMut::new();
        }
    }

    /// Tells the peer that no more comes.
    pub(crate) fn poll_shut(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    /// Writes, without waiting, what a socket with nothing on its way takes; how many bytes it took.
    pub(crate) fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        debug_assert!(self.is_drained(), "what is on its way goes first");
        // Who finds the socket full hands it to its task, which asks again with a waker of its own.
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(&mut self.io).poll_write(&mut context, bytes)? {
            Poll::Ready(0) if !bytes.is_empty() => Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(written) => {
                self.flushed = false;
                let _waits = self.poll_flush(&mut context)?;
                Ok(written)
            }
            Poll::Pending => {
                self.pulse.block(Instant::now());
                Ok(0)
            }
        }
    }

    /// Writes and reads what can be, or waits until something could. What was not taken stays. Without an `inbox` nothing is
    /// read.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
        inbox: Option<&mut BytesMut>,
    ) -> Poll<io::Result<Traffic>> {
        let mut traffic = Traffic::default();
        if !self.is_drained()
            && let Poll::Ready(sent) = self.poll_send(context)?
        {
            traffic.sent = sent;
            traffic.drained = self.is_drained();
        }
        if let Some(inbox) = inbox
            && let Poll::Ready(received) = self.poll_receive(context, inbox)?
        {
            traffic.received = received;
            traffic.ended = received == 0;
        }
        if traffic == Traffic::default() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(traffic))
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // What was taken goes out before more is given: TLS would go on taking for a peer that reads nothing.
        if !self.flushed {
            ready!(self.poll_flush(context))?;
        }
        if self.outbox.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let Poll::Ready(sent) = Pin::new(&mut self.io).poll_write(context, &self.outbox)? else {
            self.pulse.block(Instant::now());
            return Poll::Pending;
        };
        if sent == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.outbox.advance(sent);
        self.took();
        self.flushed = false;
        let _waits = self.poll_flush(context)?;
        Poll::Ready(Ok(sent))
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if Pin::new(&mut self.io).poll_flush(context)?.is_pending() {
            self.pulse.block(Instant::now());
            return Poll::Pending;
        }
        self.flushed = true;
        self.took();
        Poll::Ready(Ok(()))
    }

    /// The socket has taken something.
    fn took(&mut self) {
        if self.pulse.is_blocked() {
            self.pulse.free(Instant::now());
        }
    }

    fn poll_receive(&mut self, context: &mut Context<'_>, inbox: &mut BytesMut) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::uninit(); limits::WS_READ_BUFFER];
        let mut space = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.io).poll_read(context, &mut space))?;
        let received = space.filled();
        if !received.is_empty() {
            inbox.extend_from_slice(received);
            self.pulse.heard(Instant::now());
        }
        Poll::Ready(Ok(received.len()))
    }
}
