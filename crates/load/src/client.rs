//! One WebSocket client: its upgrade, its frames, and a Pong for each Ping.

use std::io::{ErrorKind, Read as _, Write as _};

use anyhow::{Context as _, Result, anyhow, bail};
use memchr::memmem;

use crate::{
    frame::{self, Frame, Kind},
    stream::Stream,
    target::Target,
};

/// A client, which owns no buffer while nothing has come in part.
pub(crate) struct Client {
    pub(crate) stream: Stream,
    /// Received, and not yet a whole frame.
    rest: Vec<u8>,
    /// What the socket did not take of the hello: it goes on with what comes.
    unsent: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Upgrading,
    /// Said hello, and waits for what makes it ready.
    Waiting,
    Ready,
}

/// What one read brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) bytes: usize,
    /// It has become ready.
    pub(crate) ready: bool,
}

/// Longest answer to an upgrade.
const ANSWER: usize = 16 * 1024;

// ----------------------------------------------------------------------------------------------

impl Client {
    /// A connected client, which asks for its upgrade.
    pub(crate) fn new(stream: Stream, target: &Target) -> Result<Self> {
        let mut client = Self {
            stream,
            rest: Vec::new(),
            unsent: Vec::new(),
            state: State::Upgrading,
        };
        client.write(&target.upgrade())?;
        Ok(client)
    }

    /// Reads all that is there; `data` gets each frame of text or bytes.
    pub(crate) fn receive(
        &mut self,
        buffer: &mut [u8],
        target: &Target,
        mut data: impl FnMut(&Frame<'_>) -> Result<()>,
    ) -> Result<Received> {
        let mut received = Received::default();
        self.say()?;
        loop {
            let held = self.rest.len();
            let Some(room) = buffer.get_mut(held..).filter(|room| !room.is_empty()) else {
                bail!("a message is longer than {} bytes", buffer.len());
            };
            let room_size = room.len();
            let length = match self.stream.read(room) {
                Ok(0) => bail!("the server ended a connection"),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(received),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("a client's connection broke off"),
            };
            received.bytes += length;
            buffer[..held].copy_from_slice(&self.rest);
            let whole = self.take(&buffer[..held + length], target, &mut received, &mut data)?;
            self.rest.clear();
            self.rest.extend_from_slice(&buffer[whole..held + length]);
            if self.rest.is_empty() {
                self.rest = Vec::new();
            }
            if length < room_size && self.stream.empties() {
                return Ok(received);
            }
        }
    }

    /// Takes what is whole; gives its length.
    fn take(
        &mut self,
        bytes: &[u8],
        target: &Target,
        received: &mut Received,
        data: &mut impl FnMut(&Frame<'_>) -> Result<()>,
    ) -> Result<usize> {
        let mut at = 0;
        if self.state == State::Upgrading {
            let Some(head) = upgraded(bytes)? else { return Ok(0) };
            at = head;
            let hello = target.hello.iter().map(|message| frame::masked(frame::BINARY, message));
            self.unsent = hello.flatten().collect();
            self.say()?;
            self.state = if target.ready.is_some() {
                State::Waiting
            } else {
                State::Ready
            };
            received.ready = self.state == State::Ready;
        }
        while let Some(frame) = frame::first(&bytes[at..]).map_err(|error| anyhow!(error))? {
            match frame.kind {
                Kind::Data => {
                    let signal = target.ready.as_deref().filter(|_| self.state == State::Waiting);
                    if signal.is_some_and(|signal| memmem::find(frame.payload, signal).is_some()) {
                        self.state = State::Ready;
                        received.ready = true;
                    }
                    data(&frame)?;
                }
                // While the hello is on its way, the server hears from the client anyway.
                Kind::Ping if !self.unsent.is_empty() => {}
                Kind::Ping => self.write(&frame::masked(frame::PONG, frame.payload))?,
                Kind::Pong => {}
                Kind::Close => bail!("the server closed a socket: {}", closing(frame.payload)),
            }
            at += frame.length;
        }
        Ok(at)
    }

    /// Writes what the socket takes of the hello.
    fn say(&mut self) -> Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        match self.stream.write(&self.unsent) {
            Ok(sent) => drop(self.unsent.drain(..sent)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("a client's connection broke off"),
        }
        if self.unsent.is_empty() {
            self.unsent = Vec::new();
        }
        Ok(())
    }

    /// Writes a few bytes: a socket that never sends much takes them at once.
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let sent = self.stream.write(bytes).context("a client's connection broke off")?;
        if sent < bytes.len() {
            bail!("a client's socket takes no more bytes");
        }
        Ok(())
    }
}

/// The length of the answer to the upgrade, once it is whole.
fn upgraded(bytes: &[u8]) -> Result<Option<usize>> {
    let head = memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4);
    if head.is_some() && !bytes.starts_with(b"HTTP/1.1 101") {
        bail!("the server refused a socket: {}", String::from_utf8_lossy(bytes));
    }
    if head.is_none() && bytes.len() > ANSWER {
        bail!("the answer to an upgrade has no end");
    }
    Ok(head)
}

/// Code and reason of a Close (RFC 6455 section 5.5.1).
fn closing(payload: &[u8]) -> String {
    match payload.split_first_chunk::<2>() {
        Some((code, reason)) => format!("{} {}", u16::from_be_bytes(*code), String::from_utf8_lossy(reason)),
        None => "without a code".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const ANSWERED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";

    /// A client, and the server's end of it.
    fn pair(target: &mut Target) -> (Client, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        target.address = listener.local_addr().unwrap();
        let stream = std::net::TcpStream::connect(target.address).unwrap();
        // Blocking, so that each read waits for the bytes that the test sends.
        let stream = Stream::Plain(mio::net::TcpStream::from_std(stream));
        let client = Client::new(stream, target).unwrap();
        (client, listener.accept().unwrap().0)
    }

    fn target() -> Target {
        Target::new("127.0.0.1:1".parse().unwrap(), "/app")
    }

    #[test]
    fn frames_arrive_however_they_are_cut() {
        let bytes = [ANSWERED, b"\x81\x03abc", b"\x89\x02hi", b"\x82\x01d"].concat();
        for cut in 1..bytes.len() {
            let mut target = target();
            let (mut client, mut server) = pair(&mut target);
            let mut seen = Vec::new();
            let mut ready = 0;
            for part in [&bytes[..cut], &bytes[cut..]] {
                server.write_all(part).unwrap();
                let received = client.receive(&mut [0; 200], &target, |frame| {
                    seen.push(frame.payload.to_vec());
                    Ok(())
                });
                ready += usize::from(received.unwrap().ready);
            }
            assert_eq!((seen.concat().as_slice(), ready), (&b"abcd"[..], 1), "{cut}");
            assert!(client.rest.is_empty(), "{cut}");
            let mut answer = vec![0; target.upgrade().len() + 8];
            server.read_exact(&mut answer).unwrap();
            assert!(answer.ends_with(b"\x8a\x82\0\0\0\0hi"), "{cut}");
        }
    }

    #[test]
    fn a_client_that_waits_is_ready_at_the_signal() {
        let mut target = Target {
            hello: vec![b"SUB".to_vec()],
            ready: Some(b"PONG".to_vec()),
            ..target()
        };
        let (mut client, mut server) = pair(&mut target);
        for (bytes, ready) in [(ANSWERED, false), (b"\x82\x04INFO", false), (b"\x82\x06xPONGx", true)] {
            server.write_all(bytes).unwrap();
            assert_eq!(client.receive(&mut [0; 200], &target, |_| Ok(())).unwrap().ready, ready);
        }
    }

    #[test]
    fn what_ends_a_client_is_said() {
        for (bytes, says) in [
            (&b"HTTP/1.1 403 Forbidden\r\n\r\nno"[..], "403"),
            (&[ANSWERED, b"\x88\x05\x03\xf5why"].concat(), "1013 why"),
            (&[ANSWERED, b"\x81\xff"].concat(), "mask"),
        ] {
            let mut target = target();
            let (mut client, mut server) = pair(&mut target);
            server.write_all(bytes).unwrap();
            let error = client.receive(&mut [0; 200], &target, |_| Ok(())).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
