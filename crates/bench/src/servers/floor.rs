//! The floor of fan-out: one thread, one epoll, ready frames written to all sockets. The least that a server can do, without
//! TLS and with it.

use std::{
    io::{self, ErrorKind, Read as _},
    net::{TcpListener, TcpStream},
    os::fd::AsFd,
};

use anyhow::{Context as _, Result};
use rustix::{
    event::epoll::{self, CreateFlags, EventData, EventFlags},
    fd::OwnedFd,
    io::Errno,
    net::{SendFlags, send},
};
use sockeye_ws::frame;

use super::control::{self, ACCEPTED};

struct Floor<W, A> {
    epoll: OwnedFd,
    listener: TcpListener,
    /// Makes a wire of a socket.
    accepted: A,
    /// The token of a connection is its place.
    connections: Vec<Option<Connection<W>>>,
    free: Vec<usize>,
}

struct Connection<W> {
    wire: W,
    /// Upgraded: what it sends does not matter, and it gets what is published.
    is_socket: bool,
    /// Received, and not yet a whole request.
    inbox: Vec<u8>,
}

/// A socket that does not block, and what is between it and plain bytes.
pub(super) trait Wire: AsFd {
    /// Reads plain bytes. `WouldBlock` also if what came held none.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Sends what the kernel takes and keeps the rest; whether there is one. An error is noticed by the next read.
    fn send(&mut self, bytes: &[u8]) -> bool;
}

/// A socket, and what the kernel did not take.
struct Plain {
    stream: TcpStream,
    rest: Vec<u8>,
}

const LISTENER: u64 = u64::MAX;
/// Bytes of one read.
const READ: usize = 64 * 1024;
/// The answer to the one key that the load uses (the example of RFC 6455 section 1.3).
const UPGRADED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

// ----------------------------------------------------------------------------------------------

/// The floor without TLS.
pub fn serve() -> Result<()> {
    serve_on(|stream| {
        Ok(Plain {
            stream,
            rest: Vec::new(),
        })
    })
}

/// Serves with any kind of wire.
pub(super) fn serve_on<W: Wire>(accepted: impl Fn(TcpStream) -> Result<W>) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    Floor {
        epoll,
        listener,
        accepted,
        connections: Vec::new(),
        free: Vec::new(),
    }
    .run()
}

impl<W: Wire, A: Fn(TcpStream) -> Result<W>> Floor<W, A> {
    fn run(&mut self) -> Result<()> {
        let mut events = Vec::with_capacity(1024);
        let mut buffer = vec![0; READ];
        let mut frames = Vec::new();
        loop {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    token => self.ready(token as usize, &mut buffer, &mut frames),
                }
            }
            // All that was published meanwhile goes out in one write to each socket.
            if !frames.is_empty() {
                self.broadcast(&frames);
                frames.clear();
            }
        }
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("cannot accept"),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let wire = (self.accepted)(stream)?;
            let token = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            epoll::add(&self.epoll, &wire, EventData::new_u64(token as u64), EventFlags::IN)?;
            self.connections[token] = Some(Connection {
                wire,
                is_socket: false,
                inbox: Vec::new(),
            });
        }
    }

    fn ready(&mut self, token: usize, buffer: &mut [u8], frames: &mut Vec<u8>) {
        let Some(connection) = self.connections.get_mut(token).and_then(Option::as_mut) else {
            return;
        };
        let length = match connection.wire.read(buffer) {
            Ok(length @ 1..) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.send(token, &[]);
                return;
            }
            Ok(0) | Err(_) => {
                // Closing it removes it from the epoll.
                self.connections[token] = None;
                self.free.push(token);
                return;
            }
        };
        if connection.is_socket {
            return;
        }
        connection.inbox.extend_from_slice(&buffer[..length]);
        let mut answers = Vec::new();
        while let Some(request) = control::first(&connection.inbox) {
            if request.is_post {
                frames.extend_from_slice(&frame::text(&String::from_utf8_lossy(request.body)));
                answers.extend_from_slice(ACCEPTED);
            } else {
                connection.is_socket = true;
                answers.extend_from_slice(UPGRADED);
            }
            let length = request.length;
            connection.inbox.drain(..length);
        }
        if connection.is_socket {
            connection.inbox = Vec::new();
        }
        if !answers.is_empty() {
            self.send(token, &answers);
        }
    }

    fn broadcast(&mut self, frames: &[u8]) {
        for token in 0..self.connections.len() {
            if self.connections[token]
                .as_ref()
                .is_some_and(|connection| connection.is_socket)
            {
                self.send(token, frames);
            }
        }
    }

    fn send(&mut self, token: usize, bytes: &[u8]) {
        let Some(connection) = self.connections[token].as_mut() else {
            return;
        };
        let waits = connection.wire.send(bytes);
        // Only who waits is asked for, and told, more than once.
        if waits || bytes.is_empty() {
            let flags = if waits {
                EventFlags::IN | EventFlags::OUT
            } else {
                EventFlags::IN
            };
            let _ = epoll::modify(&self.epoll, &connection.wire, EventData::new_u64(token as u64), flags);
        }
    }
}

impl Wire for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }

    fn send(&mut self, bytes: &[u8]) -> bool {
        if self.rest.is_empty() {
            let sent = try_send(&self.stream, bytes);
            self.rest.extend_from_slice(&bytes[sent..]);
            return !self.rest.is_empty();
        }
        self.rest.extend_from_slice(bytes);
        let sent = try_send(&self.stream, &self.rest);
        self.rest.drain(..sent);
        if self.rest.is_empty() {
            self.rest = Vec::new();
        }
        !self.rest.is_empty()
    }
}

impl AsFd for Plain {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Bytes that the kernel took.
fn try_send(stream: &TcpStream, bytes: &[u8]) -> usize {
    send(stream, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).unwrap_or(0)
}
