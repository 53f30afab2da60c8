//! One connection as the server sees it: what the client sent, message by message, and how both sides take leave.

use bytes::{Buf as _, Bytes, BytesMut};
use bytestring::ByteString;

use crate::{
    deflate::inflate::{inflate, most},
    error::ProtocolError,
    frame::{self, Opcode},
    header::Header,
    mask::unmask,
    utf8::Utf8,
};

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A text message.
    Text(ByteString),
    /// A binary message.
    Binary(Bytes),
    /// To be answered by [`frame::pong`] with the same payload (RFC 6455 section 5.5.2).
    Ping(Bytes),
    /// The answer to a Ping, or sent without being asked.
    Pong(Bytes),
    /// The client's last frame: to be answered by [`Connection::close_back`].
    Close(Option<CloseFrame>),
}

/// Code and reason of a close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// RFC 6455 section 7.4.
    pub code: u16,
    /// For people; at most 123 bytes.
    pub reason: ByteString,
}

/// The server's end of a connection. It holds no buffer but the parts of a message whose end has not come.
#[derive(Debug)]
pub struct Connection {
    /// Bytes of one message at most.
    limit: usize,
    /// permessage-deflate was agreed on.
    deflate: bool,
    /// The data frame whose payload is arriving.
    frame: Option<Payload>,
    /// The message that is arriving in parts.
    message: Option<Box<Message>>,
    /// The client will send nothing more that counts: it sent its Close, or broke the protocol.
    heard_all: bool,
    /// Our Close has been given out.
    said_all: bool,
}

/// The rest of a data frame.
#[derive(Clone, Copy, Debug)]
struct Payload {
    left: usize,
    mask: [u8; 4],
    /// Bytes of it that have come.
    done: usize,
    fin: bool,
}

/// A message whose end has not come.
#[derive(Debug)]
struct Message {
    content: Content,
    data: BytesMut,
}

/// What the data of a message are.
#[derive(Debug)]
enum Content {
    Text(Utf8),
    Binary,
    /// Compressed. What is not whole cannot be inflated, so nothing is known of it before.
    Deflated(Opcode),
}

// ----------------------------------------------------------------------------------------------

impl Connection {
    /// A connection after its upgrade. A message has at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            deflate: false,
            frame: None,
            message: None,
            heard_all: false,
            said_all: false,
        }
    }

    /// The same, if permessage-deflate was agreed on by [`agree`](crate::deflate::agree). A compressed message is held until
    /// it is whole, and inflated within the limit; between messages nothing is held.
    #[must_use]
    pub fn with_deflate(mut self) -> Self {
        self.deflate = true;
        self
    }

    /// Takes bytes from `input` and gives the next message; `None` when more have to come. What is left in `input` then
    /// is the beginning of a frame, at most 139 bytes. After an error, and after the client's Close, everything that
    /// comes is dropped.
    pub fn receive(&mut self, input: &mut BytesMut) -> Result<Option<Incoming>, ProtocolError> {
        let received = if self.heard_all { Ok(None) } else { self.next(input) };
        match &received {
            Err(_) | Ok(Some(Incoming::Close(_))) => {
                self.heard_all = true;
                self.frame = None;
                self.message = None;
            }
            Ok(_) => {}
        }
        if self.heard_all {
            input.clear();
        }
        received
    }

    /// The frame that closes the connection from our side; `None` if it was given out before. A reason longer than 123
    /// bytes is cut.
    pub fn close(&mut self, code: u16, reason: &str) -> Option<Bytes> {
        (!std::mem::replace(&mut self.said_all, true)).then(|| frame::close(code, reason))
    }

    /// The answer to the client's Close: the same code (RFC 6455 section 5.5.1).
    pub fn close_back(&mut self, theirs: Option<&CloseFrame>) -> Option<Bytes> {
        (!std::mem::replace(&mut self.said_all, true)).then(|| match theirs {
            Some(close) => frame::close(close.code, &close.reason),
            None => frame::close_empty(),
        })
    }

    /// Both sides have said their last: the TCP connection can be closed.
    pub fn is_over(&self) -> bool {
        self.heard_all && self.said_all
    }

    /// Our Close has been given out: nothing else may be sent.
    pub fn is_closing(&self) -> bool {
        self.said_all
    }

    /// Bytes that are held for a message whose end has not come.
    pub fn held(&self) -> usize {
        self.message.as_ref().map_or(0, |message| message.data.capacity())
    }

    fn next(&mut self, input: &mut BytesMut) -> Result<Option<Incoming>, ProtocolError> {
        loop {
            if self.frame.is_some() {
                return match self.payload(input)? {
                    Step::Message(message) => Ok(Some(message)),
                    Step::More => Ok(None),
                    Step::Next => continue,
                };
            }
            let Some((header, length)) = Header::parse(input, self.deflate)? else {
                return Ok(None);
            };
            if header.opcode.is_control() {
                return Self::control(header, length, input);
            }
            self.begin(&header)?;
            input.advance(length);
        }
    }

    /// A data frame begins.
    fn begin(&mut self, header: &Header) -> Result<(), ProtocolError> {
        match (header.opcode, &self.message) {
            (Opcode::Continuation, None) => return Err(ProtocolError::NothingToContinue),
            (Opcode::Continuation, Some(_)) => {}
            (_, Some(_)) => return Err(ProtocolError::MessageInMessage),
            (opcode, None) => {
                let content = match opcode {
                    _ if header.deflated => Content::Deflated(opcode),
                    Opcode::Text => Content::Text(Utf8::default()),
                    _ => Content::Binary,
                };
                self.message = Some(Box::new(Message {
                    content,
                    data: BytesMut::new(),
                }));
            }
        }
        // Judged by what is announced, before any of it is held.
        let room = self.message.as_ref().map_or(0, |message| message.room(self.limit));
        match usize::try_from(header.payload) {
            Ok(payload) if payload <= room => {
                self.frame = Some(Payload {
                    left: payload,
                    mask: header.mask,
                    done: 0,
                    fin: header.fin,
                });
                Ok(())
            }
            _ => Err(ProtocolError::TooLarge(self.limit)),
        }
    }

    /// Takes what has come of a data frame's payload.
    fn payload(&mut self, input: &mut BytesMut) -> Result<Step, ProtocolError> {
        let (Some(frame), Some(message)) = (&mut self.frame, &mut self.message) else {
            return Ok(Step::Next);
        };
        let mut part = input.split_to(frame.left.min(input.len()));
        unmask(&mut part, frame.mask, frame.done);
        if let Content::Text(utf8) = &mut message.content {
            utf8.feed(&part).map_err(|_| ProtocolError::NotUtf8)?;
        }
        frame.left -= part.len();
        frame.done += part.len();
        let (whole, fin) = (frame.left == 0, frame.fin);
        if whole && fin && message.data.is_empty() {
            // A message that came in one piece is not copied.
            message.data = part;
        } else {
            // What has to wait is copied: a byte of it must not keep the caller's whole read buffer alive.
            message.data.extend_from_slice(&part);
        }
        if !whole {
            return Ok(Step::More);
        }
        self.frame = None;
        if !fin {
            return Ok(Step::Next);
        }
        let Some(message) = self.message.take() else {
            return Ok(Step::Next);
        };
        message.whole(self.limit).map(Step::Message)
    }

    /// A control frame, once it is there whole: it has at most 125 bytes, so it waits in the input.
    fn control(header: Header, length: usize, input: &mut BytesMut) -> Result<Option<Incoming>, ProtocolError> {
        let payload = header.payload as usize;
        if input.len() < length + payload {
            return Ok(None);
        }
        input.advance(length);
        let mut payload = input.split_to(payload);
        unmask(&mut payload, header.mask, 0);
        let payload = payload.freeze();
        Ok(Some(match header.opcode {
            Opcode::Ping => Incoming::Ping(payload),
            Opcode::Pong => Incoming::Pong(payload),
            _ => Incoming::Close(close_frame(&payload)?),
        }))
    }
}

impl Message {
    /// Bytes that may still come, if the message has at most `limit`.
    fn room(&self, limit: usize) -> usize {
        let most = match self.content {
            Content::Deflated(_) => most(limit),
            Content::Text(_) | Content::Binary => limit,
        };
        most - self.data.len()
    }

    /// The message, now that its end has come.
    fn whole(self, limit: usize) -> Result<Incoming, ProtocolError> {
        match self.content {
            Content::Binary => Ok(Incoming::Binary(self.data.freeze())),
            Content::Text(utf8) => {
                utf8.finish().map_err(|_| ProtocolError::NotUtf8)?;
                text(self.data.freeze()).map(Incoming::Text)
            }
            Content::Deflated(opcode) => {
                let data = Bytes::from(inflate(&self.data, limit)?);
                if opcode == Opcode::Text {
                    text(data).map(Incoming::Text)
                } else {
                    Ok(Incoming::Binary(data))
                }
            }
        }
    }
}

/// What came of taking a part of a payload.
enum Step {
    Message(Incoming),
    /// The frame has not ended.
    More,
    /// The frame has ended, the message has not.
    Next,
}

fn close_frame(payload: &Bytes) -> Result<Option<CloseFrame>, ProtocolError> {
    let Some((code, _)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() {
            Ok(None)
        } else {
            Err(ProtocolError::CloseOfOneByte)
        };
    };
    let code = u16::from_be_bytes(*code);
    // RFC 6455 section 7.4, and the codes that IANA has registered since (1012 to 1014).
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(ProtocolError::CloseCode(code));
    }
    Ok(Some(CloseFrame {
        code,
        reason: text(payload.slice(2..))?,
    }))
}

fn text(data: Bytes) -> Result<ByteString, ProtocolError> {
    ByteString::try_from(data).map_err(|_| ProtocolError::NotUtf8)
}
