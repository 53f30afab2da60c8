//! What is under a connection: its bytes, and what its system knows of the other end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;

use crate::acknowledged::Acknowledged;

/// A connection's bytes.
pub trait Link: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// What the peer's system has acknowledged; `None` where that is not known. Asked only when the peer has sent nothing for
    /// [`sockeye_limits::WS_CLIENT_TIMEOUT`], or takes nothing of what waits for it.
    fn acknowledged(&self) -> Option<Acknowledged>;
}

/// Bytes that come from somewhere: of the other end only what it sends is known.
#[derive(Debug)]
pub struct Opaque<IO>(pub IO);

// ----------------------------------------------------------------------------------------------

impl Link for TcpStream {
    fn acknowledged(&self) -> Option<Acknowledged> {
        Acknowledged::of(self)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin + Send + 'static> Link for Opaque<IO> {
    fn acknowledged(&self) -> Option<Acknowledged> {
        None
    }
}

/// A pipe in memory.
impl Link for DuplexStream {
    fn acknowledged(&self) -> Option<Acknowledged> {
        None
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Opaque<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Opaque<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
