//! What the client says, and what becomes of it.

use bytes::BytesMut;
use sockeye_ws::frame;
use sockeye_ws::{Incoming, ProtocolError};

use super::Connection;
use crate::end::Cause;
use crate::groups::Seat;
use crate::link::Link;
use crate::session::{Closing, Message, Session, Verdict};

impl<IO, S> Connection<IO, S>
where
    IO: Link,
    S: Session,
{
    /// Takes what the client sent.
    pub(super) fn receive(&mut self) {
        if self.inbox.is_empty() {
            return;
        }
        while self.owed.is_none() && self.work.is_none() {
            match self.protocol.receive(&mut self.inbox) {
                Ok(None) => break,
                Ok(Some(incoming)) => self.incoming(incoming),
                Err(error) => self.misunderstood(error),
            }
        }
        if self.inbox.is_empty() {
            self.inbox = BytesMut::new();
        }
    }

    fn incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Text(text) => self.message(Message::Text(&text)),
            Incoming::Binary(bytes) => self.message(Message::Binary(&bytes)),
            Incoming::Ping(payload) => self.pong = Some(payload),
            Incoming::Pong(payload) => {
                for (number, receipt) in self.outlet.answered(&payload) {
                    let seat = self.seats.iter().find(|(_, other, _)| *other == number);
                    seat.inspect(|(.., seat)| seat.pong(&receipt));
                }
            }
            Incoming::Close(theirs) => {
                if let Some(frame) = self.protocol.close_back(theirs.as_ref()) {
                    self.leave(Cause::Client, theirs.map(|close| close.code), &frame);
                }
            }
        }
    }

    fn message(&mut self, message: Message<'_>) {
        if self.closing.is_some() {
            return;
        }
        let verdict = self.session.receive(message);
        self.judge(verdict);
    }

    /// Does what a message wants.
    pub(super) fn judge(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Later(work) => self.work = Some(work),
            Verdict::Ignore => drop(self.counters.ignored.inc()),
            Verdict::Taken => {}
            Verdict::Reply(text) => self.answer(frame::text(&text)),
            Verdict::Close(closing) => self.close(Cause::Message, &closing),
            Verdict::Ack(event) => self.acknowledge(|seat| seat.ack(&event)),
            Verdict::Nack(event) => self.acknowledge(|seat| seat.nack(&event)),
        }
    }

    fn acknowledge(&self, acknowledge: impl FnOnce(&Seat)) {
        match &*self.seats {
            [(.., seat), ..] => acknowledge(seat),
            [] => drop(self.counters.ignored.inc()),
        }
    }

    fn misunderstood(&mut self, error: ProtocolError) {
        self.close(Cause::Protocol, &Closing::new(error.close_code(), error.to_string()));
        if let Some(leave) = &mut self.closing {
            leave.deaf = true;
        }
    }
}
