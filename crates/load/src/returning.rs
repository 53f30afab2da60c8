//! One client that goes away and comes back: its connection, its cursor, and the event that it must see next.

use std::{
    io::{self, ErrorKind},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use memchr::memmem;
use mio::{Interest, Registry, Token, net::TcpStream};
use rustix::net::sockopt::set_socket_linger;

use crate::{
    client::Client,
    request::{self, MARK},
    stream::Stream,
    target::Target,
};

/// A client that keeps its place while it is away.
pub(crate) struct Returning {
    link: Link,
    place: Place,
}

enum Link {
    Away,
    Connecting(TcpStream, Target),
    Open(Client, Target),
}

/// Where in the log a client is.
struct Place {
    /// Number of the event that must come next.
    next: u64,
    /// The cursor behind the last one.
    cursor: Option<String>,
}

/// What happened to a client in one turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) bytes: usize,
    /// Its upgrade is done.
    pub(crate) ready: bool,
}

/// What stands before the cursor in an event: an extension of the envelope.
const CURSOR: &[u8] = b"\"cursor\":\"";

// ----------------------------------------------------------------------------------------------

impl Returning {
    /// One that has seen nothing, and waits for the event with this number.
    pub(crate) fn new(next: u64) -> Self {
        Self {
            link: Link::Away,
            place: Place { next, cursor: None },
        }
    }

    /// Connects: live at first, later from the cursor. Nothing waits for it here.
    pub(crate) fn come(&mut self, target: &Target, registry: &Registry, token: Token) -> Result<()> {
        debug_assert!(target.tls.is_none(), "clients that come back speak plain HTTP only");
        let path = match &self.place.cursor {
            None => format!("{}?cursor=true", target.path),
            Some(cursor) => format!("{}?cursor=true&from={cursor}", target.path),
        };
        let target = Target { path, ..target.clone() };
        let mut stream =
            TcpStream::connect(target.address).with_context(|| format!("cannot connect to {}", target.address))?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        self.link = Link::Connecting(stream, target);
        Ok(())
    }

    /// Goes away without a word, as when the network fails: a reset, which also leaves no port behind that waits.
    pub(crate) fn leave(&mut self) -> Result<()> {
        if let Link::Open(client, _) = std::mem::replace(&mut self.link, Link::Away) {
            set_socket_linger(client.stream.socket(), Some(Duration::ZERO))?;
        }
        Ok(())
    }

    /// The number of the event that must come next.
    pub(crate) fn next(&self) -> u64 {
        self.place.next
    }

    /// The socket has something: goes on with the connection, and takes the events that are there.
    ///
    /// # Errors
    /// The connection failed or ended, or an event is missing or came again.
    pub(crate) fn step(&mut self, buffer: &mut [u8]) -> Result<Step> {
        self.link = match std::mem::replace(&mut self.link, Link::Away) {
            Link::Connecting(stream, target) => match connected(&stream) {
                Ok(true) => {
                    stream.set_nodelay(true)?;
                    Link::Open(Client::new(Stream::Plain(stream), &target)?, target)
                }
                Ok(false) => Link::Connecting(stream, target),
                Err(error) => return Err(error).with_context(|| format!("cannot connect to {}", target.address)),
            },
            other => other,
        };
        let Link::Open(client, target) = &mut self.link else {
            return Ok(Step::default());
        };
        let received = client.receive(buffer, target, |frame| self.place.take(frame.payload))?;
        Ok(Step {
            bytes: received.bytes,
            ready: received.ready,
        })
    }
}

impl Place {
    /// An event came: it must be the next one.
    fn take(&mut self, event: &[u8]) -> Result<()> {
        let mark = memmem::find(event, MARK.as_bytes()).map(|at| &event[at + MARK.len()..]);
        let Some(number) = mark.and_then(request::number) else {
            return Ok(());
        };
        let due = self.next;
        if number > due {
            bail!("a gap: event {number} came where {due} was due");
        } else if number < due {
            bail!("a duplicate: event {number} came where {due} was due");
        }
        let cursor = memmem::find(event, CURSOR).map(|at| &event[at + CURSOR.len()..]);
        let cursor = cursor.and_then(|cursor| cursor.split(|byte| *byte == b'"').next());
        let cursor = cursor.with_context(|| format!("event {number} has no cursor"))?;
        self.next += 1;
        self.cursor = Some(String::from_utf8(cursor.to_vec()).context("a cursor is not text")?);
        Ok(())
    }
}

/// Whether a connection that was begun is there (connect(2), `EINPROGRESS`).
fn connected(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::payload;

    #[test]
    fn each_event_comes_once_and_in_order() {
        let event = |number| format!(r#"{{"cursor":"AQ{number}","data":{}}}"#, payload(number, 0)).into_bytes();
        let mut place = Place { next: 4, cursor: None };
        place.take(b"{\"type\":\"of somebody else\"}").unwrap();
        place.take(&event(4)).unwrap();
        assert_eq!((place.next, place.cursor.as_deref()), (5, Some("AQ4")));
        for (number, says) in [(4, "a duplicate: event 4"), (6, "a gap: event 6")] {
            let error = place.take(&event(number)).unwrap_err().to_string();
            assert!(error.starts_with(says) && error.ends_with("5 was due"), "{error}");
        }
        assert!(place.take(payload(5, 0).as_bytes()).is_err(), "no cursor");
        assert_eq!(place.cursor.as_deref(), Some("AQ4"), "nothing was taken");
    }
}
