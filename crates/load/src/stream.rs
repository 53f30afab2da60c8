//! The connection of a client or publisher: plain, or TLS where the target has it.

use std::{
    fmt,
    io::{self, Read, Write},
    net::SocketAddr,
    sync::Arc,
};

use anyhow::{Context as _, Result};
use mio::{Interest, Registry, Token, net::TcpStream};
use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};

/// How to speak TLS with a server.
#[derive(Clone)]
pub struct Tls {
    /// Whom to trust, and how to encrypt.
    pub config: Arc<ClientConfig>,
    /// The name that the server's certificate has to have.
    pub name: ServerName<'static>,
}

/// A connection that does not block.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<Session>),
}

/// A TLS session and its socket.
pub(crate) struct Session {
    tls: ClientConnection,
    socket: TcpStream,
}

// ----------------------------------------------------------------------------------------------

impl Stream {
    /// Connects, and shakes hands where there is TLS; until then it blocks.
    pub(crate) fn connect(address: SocketAddr, tls: Option<&Tls>) -> Result<Self> {
        let mut socket =
            std::net::TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        socket.set_nodelay(true)?;
        let Some(Tls { config, name }) = tls else {
            socket.set_nonblocking(true)?;
            return Ok(Self::Plain(TcpStream::from_std(socket)));
        };
        let mut tls = ClientConnection::new(Arc::clone(config), name.clone())?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)
                .with_context(|| format!("no TLS handshake with {address}"))?;
        }
        socket.set_nonblocking(true)?;
        let socket = TcpStream::from_std(socket);
        Ok(Self::Tls(Box::new(Session { tls, socket })))
    }

    /// Lets a loop wait for it.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        registry.register(self.socket_mut(), token, interest)
    }

    /// Whether a read that fills no buffer has emptied the socket (epoll(7), questions and answers): one of TLS gives what
    /// a record holds.
    pub(crate) fn empties(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(session) => &session.socket,
        }
    }

    pub(crate) fn socket_mut(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(session) => &mut session.socket,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(session) => rustls::Stream::new(&mut session.tls, &mut session.socket).read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(session) => rustls::Stream::new(&mut session.tls, &mut session.socket).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(session) => rustls::Stream::new(&mut session.tls, &mut session.socket).flush(),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}
