//! The floor of fan-out: one thread, one epoll, ready frames written to all sockets. The least that a server can do.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{TcpListener, TcpStream},
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

struct Floor {
    epoll: OwnedFd,
    listener: TcpListener,
    /// The token of a connection is its place.
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
}

struct Connection {
    stream: TcpStream,
    /// Upgraded: what it sends does not matter, and it gets what is published.
    is_socket: bool,
    /// Received, and not yet a whole request.
    inbox: Vec<u8>,
    /// What the kernel did not take.
    rest: Vec<u8>,
}

const LISTENER: u64 = u64::MAX;
/// Bytes of one read.
const READ: usize = 64 * 1024;
/// The answer to the one key that the load uses (the example of RFC 6455 section 1.3).
const UPGRADED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

// ----------------------------------------------------------------------------------------------

pub fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    Floor {
        epoll,
        listener,
        connections: Vec::new(),
        free: Vec::new(),
    }
    .run()
}

impl Floor {
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
            let token = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            epoll::add(&self.epoll, &stream, EventData::new_u64(token as u64), EventFlags::IN)?;
            self.connections[token] = Some(Connection {
                stream,
                is_socket: false,
                inbox: Vec::new(),
                rest: Vec::new(),
            });
        }
    }

    fn ready(&mut self, token: usize, buffer: &mut [u8], frames: &mut Vec<u8>) {
        let Some(connection) = self.connections.get_mut(token).and_then(Option::as_mut) else {
            return;
        };
        let length = match connection.stream.read(buffer) {
            Ok(length @ 1..) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.send_rest(token);
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
        while let Some(request) = control::first(&connection.inbox) {
            let answer = if request.is_post {
                frames.extend_from_slice(&frame::text(&String::from_utf8_lossy(request.body)));
                ACCEPTED
            } else {
                connection.is_socket = true;
                UPGRADED
            };
            let length = request.length;
            connection.inbox.drain(..length);
            // A peer that is gone is noticed by the next read.
            let _ = connection.stream.write_all(answer);
        }
        if connection.is_socket {
            connection.inbox = Vec::new();
        }
    }

    fn broadcast(&mut self, frames: &[u8]) {
        for (token, connection) in self.connections.iter_mut().enumerate() {
            let Some(connection) = connection.as_mut().filter(|connection| connection.is_socket) else {
                continue;
            };
            let sent = if connection.rest.is_empty() {
                try_send(&connection.stream, frames)
            } else {
                0
            };
            if sent < frames.len() {
                connection.rest.extend_from_slice(&frames[sent..]);
                wait_for(&self.epoll, connection, token, EventFlags::IN | EventFlags::OUT);
            }
        }
    }

    fn send_rest(&mut self, token: usize) {
        let Some(connection) = self.connections[token].as_mut() else {
            return;
        };
        let sent = try_send(&connection.stream, &connection.rest);
        connection.rest.drain(..sent);
        if connection.rest.is_empty() {
            connection.rest = Vec::new();
            wait_for(&self.epoll, connection, token, EventFlags::IN);
        }
    }
}

/// Bytes that the kernel took. An error is noticed by the next read.
fn try_send(stream: &TcpStream, bytes: &[u8]) -> usize {
    send(stream, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).unwrap_or(0)
}

fn wait_for(epoll: &OwnedFd, connection: &Connection, token: usize, flags: EventFlags) {
    let _ = epoll::modify(epoll, &connection.stream, EventData::new_u64(token as u64), flags);
}
