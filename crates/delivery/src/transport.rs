//! What is under a WebSocket: the raw socket, plain or TLS. While nothing flows it owns no buffer of HTTP.

use std::any::Any;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::acknowledged::Acknowledged;
use crate::first_line::FirstLine;
use crate::link::Link;
use crate::refusal;

/// A connection's bytes, from HTTP on.
pub struct Transport<S = TcpStream> {
    wire: Wire<S>,
    /// Came behind the head of the upgrade, and goes before what is read next.
    read: Bytes,
    first_line: FirstLine,
    /// Goes out in place of an answer that hyper gives by itself.
    refusal: Bytes,
    /// Free again when the connection has gone.
    _place: Arc<dyn Any + Send + Sync>,
}

enum Wire<S> {
    Plain(S),
    /// Boxed: a session is large, and most servers have none.
    Tls(Box<TlsStream<S>>),
}

// ----------------------------------------------------------------------------------------------

impl<S> Transport<S> {
    /// A connection without TLS. It holds the place until it is dropped.
    pub fn plain(stream: S, place: Arc<dyn Any + Send + Sync>) -> Self {
        Self::new(Wire::Plain(stream), place)
    }

    /// A connection whose handshake is done.
    pub fn tls(stream: TlsStream<S>, place: Arc<dyn Any + Send + Sync>) -> Self {
        Self::new(Wire::Tls(Box::new(stream)), place)
    }

    fn new(wire: Wire<S>, place: Arc<dyn Any + Send + Sync>) -> Self {
        Self {
            wire,
            read: Bytes::new(),
            first_line: FirstLine::Start,
            refusal: Bytes::new(),
            _place: place,
        }
    }

    /// With what HTTP read of it and did not need.
    #[must_use]
    pub fn behind(mut self, read: Bytes) -> Self {
        self.first_line = FirstLine::Never;
        // Nothing may still hold the buffer of HTTP.
        if !read.is_empty() {
            self.read = read;
        }
        self
    }
}

impl<S: Link> Link for Transport<S> {
    fn acknowledged(&self) -> Option<Acknowledged> {
        match &self.wire {
            Wire::Plain(stream) => stream.acknowledged(),
            Wire::Tls(stream) => stream.get_ref().0.acknowledged(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Transport<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read.has_remaining() {
            let length = self.read.len().min(buf.remaining());
            buf.put_slice(&self.read.split_to(length));
            if self.read.is_empty() {
                self.read = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        if self.first_line.is_over() {
            return self.wire.poll_read(cx, buf);
        }
        let before = buf.filled().len();
        ready!(self.wire.poll_read(cx, buf))?;
        if let Some(mut changed) = self.first_line.pass(&buf.filled()[before..]) {
            buf.set_filled(before);
            let room = changed.len().min(buf.remaining());
            buf.put_slice(&changed.split_to(room));
            self.read = changed.freeze();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    /// Writes all of a refusal.
    fn poll_refuse(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.refusal.is_empty() {
            match ready!(self.wire.poll_write(cx, &self.refusal))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.refusal.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Transport<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.first_line.is_http() {
            if self.refusal.is_empty()
                && let Some(refusal) = refusal::in_words(bytes)
            {
                self.refusal = refusal;
            }
            if !self.refusal.is_empty() {
                ready!(self.poll_refuse(cx))?;
                return Poll::Ready(Ok(bytes.len()));
            }
        }
        self.first_line.answer(bytes);
        self.wire.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.first_line.is_http() {
            let mut used = slices.iter().filter(|slice| !slice.is_empty());
            if let (Some(only), None) = (used.next(), used.next()) {
                return self.poll_write(cx, only);
            }
        }
        self.first_line.answer(slices.first().map_or(&[], |first| first));
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Wire::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// What HTTP read, and whether it is still held.
    fn read_by_http(bytes: &'static [u8]) -> (Bytes, Arc<()>) {
        struct Buffer {
            bytes: &'static [u8],
            _held: Arc<()>,
        }
        impl AsRef<[u8]> for Buffer {
            fn as_ref(&self) -> &[u8] {
                self.bytes
            }
        }
        let held = Arc::new(());
        let buffer = Buffer {
            bytes,
            _held: Arc::clone(&held),
        };
        (Bytes::from_owner(buffer), held)
    }

    #[tokio::test]
    async fn what_http_read_comes_first() {
        let (near, mut far) = duplex(100);
        let (read, held) = read_by_http(b"abc");
        let mut transport = Transport::plain(near, Arc::new(())).behind(read);
        far.write_all(b"def").await.unwrap();
        let mut bytes = [0; 6];
        transport.read_exact(&mut bytes[..2]).await.unwrap();
        assert_eq!(Arc::strong_count(&held), 2);
        transport.read_exact(&mut bytes[2..]).await.unwrap();
        assert_eq!(&bytes, b"abcdef");
        assert_eq!(Arc::strong_count(&held), 1, "its buffer is free");
    }

    #[tokio::test]
    async fn a_query_that_is_not_encoded_is_read_as_if_it_were() {
        let (near, mut far) = duplex(10_000);
        let mut transport = Transport::plain(near, Arc::new(()));
        let quotes = "\"".repeat(2_000);
        let sent = format!("GET /?{quotes} HTTP/1.1\r\n\r\n\"");
        far.write_all(sent.as_bytes()).await.unwrap();
        drop(far);
        let mut read = Vec::new();
        // Into as little room as there can be.
        let mut byte = [0; 1];
        while transport.read(&mut byte).await.unwrap() > 0 {
            read.push(byte[0]);
        }
        let expected = format!("GET /?{} HTTP/1.1\r\n\r\n\"", "%22".repeat(2_000));
        assert_eq!(String::from_utf8(read).unwrap(), expected);
    }

    /// A proxy that keeps its connections sends one request after the other.
    #[tokio::test]
    async fn so_is_that_of_a_later_request() {
        let (near, mut far) = duplex(10_000);
        let mut transport = Transport::plain(near, Arc::new(()));
        for _ in 0..3 {
            far.write_all(b"GET /?\" HTTP/1.1\r\n\r\n\"").await.unwrap();
            let mut read = [0; 23];
            transport.read_exact(&mut read).await.unwrap();
            assert_eq!(str::from_utf8(&read), Ok("GET /?%22 HTTP/1.1\r\n\r\n\""));
            transport.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        }
    }

    /// Regression: nothing that was read kept the 8 KiB into which HTTP reads, for each idle socket.
    #[tokio::test]
    async fn nothing_that_was_read_holds_no_buffer() {
        let (read, held) = read_by_http(b"");
        let _transport = Transport::plain(duplex(1).0, Arc::new(())).behind(read);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
