//! One connection from its upgrade to its end: events out, the client's messages in, and taking leave.
//!
//! While the connection is at the head of its topic, its lane writes to the socket, the wheel of its core pings and keeps
//! the time, and this task only listens. When the
//! socket is full, the task takes over: it reads on from memory or from the past at the client's own speed, and joins the
//! lane again when it has caught up. While the peer takes no bytes, its messages are still read and nothing is read for it:
//! what is held is one outbox, and a position. What the client says is in `connection/incoming.rs`.

mod incoming;

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};

use bytes::{Bytes, BytesMut};
use sockeye_limits as limits;
use sockeye_log::{Position, ReadError};
use sockeye_ws::frame;
use tokio::time::{Instant, Sleep, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::delivery::Delivery;
use crate::due::Due;
use crate::end::{self, Cause, End};
use crate::feed::Fed;
use crate::feeds::{Feeds, NotYet};
use crate::groups::{Recipient, Seat};
use crate::link::Link;
use crate::metrics::Counters;
use crate::outlet::{Handover, Member, Outlet};
use crate::remote::{Command, Directed, Remote};
use crate::session::{Closing, Later, Session};
use crate::socket::Socket;
use crate::subscription::{Subscription, SubscriptionId};
use crate::wheel::Wheel;

/// A connection: events of subscriptions on their way to one socket.
pub(crate) struct Connection<IO, S> {
    outlet: Arc<Outlet<IO>>,
    /// Received, and not yet a whole frame.
    inbox: BytesMut,
    protocol: sockeye_ws::Connection,
    session: S,
    feeds: Feeds,
    /// Its places in groups, with the numbers of these on it.
    seats: Vec<(SubscriptionId, u16, Seat)>,
    /// Batches taken since the socket had its turn.
    gathered: u32,
    /// The payload of the client's last Ping that is not answered (RFC 6455 section 5.5.3 allows to skip older ones).
    pong: Option<Bytes>,
    /// An answer that has no room yet. Until it has, nothing more is taken from the client.
    owed: Option<Bytes>,
    /// What is being done for a message. Until it is done, nothing more is taken from the client either.
    work: Option<Later>,
    /// A command that waits for a lane to give the socket back, or for events that it comes behind; others wait behind it.
    waiting: Option<Command>,
    closing: Option<Leave>,
    counters: Arc<Counters>,
}

/// A connection that ends.
struct Leave {
    cause: Cause,
    code: Option<u16>,
    /// Until the peer is dropped. Who does not take leave has no timer.
    patience: Pin<Box<Sleep>>,
    /// The peer is not understood any more, so that its end stands for its Close.
    deaf: bool,
}

// ----------------------------------------------------------------------------------------------

impl<IO, S> Connection<IO, S>
where
    IO: Link,
    S: Session,
{
    /// A connection that begins with one subscription, or none.
    pub(crate) fn new(
        io: IO,
        session: S,
        first: Option<Subscription>,
        deflate: bool,
        delivery: Arc<Delivery>,
        counters: Arc<Counters>,
    ) -> Self {
        let protocol = sockeye_ws::Connection::new(limits::WS_INBOUND_MESSAGE);
        let outlet = Outlet::new(io, first.is_some(), Arc::clone(&counters));
        let mut feeds = Feeds::new(delivery, Arc::clone(&counters), deflate, S::ONCE);
        if let Some(first) = first {
            feeds.begin(first, session.encoder());
        }
        Self {
            outlet: Arc::new(outlet),
            inbox: BytesMut::new(),
            protocol: if deflate { protocol.with_deflate() } else { protocol },
            session,
            feeds,
            seats: Vec::new(),
            gathered: 0,
            pong: None,
            owed: None,
            work: None,
            waiting: None,
            closing: None,
            counters,
        }
    }

    /// Lets a member of a group have what that gives out.
    pub(crate) fn take_seat(&mut self, id: SubscriptionId, seat: Seat) {
        let number = self.outlet.attach(&seat);
        let recipient: Weak<Outlet<IO>> = Arc::downgrade(&self.outlet);
        let recipient: Weak<dyn Recipient> = recipient;
        seat.attach(recipient, number);
        self.seats.push((id, number, seat));
    }

    /// Leaves a group; whether the connection was a member.
    fn leave_seat(&mut self, id: SubscriptionId) -> bool {
        let at = self.seats.iter().position(|(other, ..)| *other == id);
        let Some((_, number, seat)) = at.map(|at| self.seats.swap_remove(at)) else {
            return false;
        };
        self.outlet.unseated(number);
        // What it has not receipted is others' now.
        drop(seat);
        true
    }

    /// Serves the connection until it ends; after `stop` it is closed.
    pub(crate) async fn run(&mut self, wheel: &Wheel, stop: &CancellationToken) -> End {
        let visited: Weak<Outlet<IO>> = Arc::downgrade(&self.outlet);
        let directed: Weak<dyn Directed> = visited.clone();
        self.session.opened(Remote::new(directed, wheel.clone()));
        wheel.put(Instant::now() + limits::WS_PING_INTERVAL, visited);
        let mut stopped = pin!(stop.cancelled());
        loop {
            self.fill();
            let open = self.closing.is_none();
            let (room, drained) = self.outlet.with(|socket| (socket.has_room(), socket.is_drained()));
            let hungry = open && room && self.gathered < limits::BATCHES_PER_TURN;
            if drained && self.gathered == 0 {
                self.outlet.with(Socket::rest);
            }
            if !room {
                self.feeds.rest();
            }
            let member: Arc<dyn Member> = self.outlet.clone();
            let inbox = (self.owed.is_none() && self.work.is_none()).then_some(&mut self.inbox);
            // In this order, so that all that is due goes out in one write.
            tokio::select! {
                biased;
                () = &mut stopped, if open => self.close(Cause::Stopping, &end::stopping()),
                (at, fed) = self.feeds.next(&member, drained), if hungry => match fed {
                    Ok(Fed::Events(due)) => {
                        self.give(at, due);
                        self.gathered += 1;
                    }
                    Ok(Fed::Live) => {}
                    Ok(Fed::Late) => self.wait_no_longer(),
                    Ok(Fed::Head) => self.feeds.arrived(at),
                    Ok(Fed::Complete) => self.close(Cause::Complete, &end::complete()),
                    Err(error) => {
                        let position = self.feeds.at(at).position().cloned();
                        self.unreadable(&error, position.as_ref());
                    }
                },
                verdict = Later::done(&mut self.work), if open => {
                    self.work = None;
                    self.judge(verdict);
                    self.receive();
                },
                turn = self.outlet.traffic(inbox, self.waiting.is_none()) => {
                    self.gathered = 0;
                    let turn = turn.inspect_err(|error| tracing::debug!(%error, "a connection broke off"));
                    let Ok(turn) = turn else {
                        return self.lost();
                    };
                    self.counters.sent.inc_by(turn.traffic.sent as u64);
                    turn.handed.into_iter().for_each(|handed| self.take_over(handed));
                    self.receive();
                    if self.protocol.is_over() && self.outlet.with(|socket| socket.is_drained()) {
                        return self.part().await;
                    }
                    if turn.traffic.ended {
                        return self.lost();
                    }
                },
                () = Leave::over(&mut self.closing) => return self.lost(),
                () = tokio::task::yield_now(), if self.gathered == limits::BATCHES_PER_TURN => self.gathered = 0,
            }
        }
    }

    /// Takes over from a lane, or from the wheel.
    fn take_over(&mut self, handed: Handover) {
        match handed {
            Handover::Resume(lane, position) => self.feeds.resume(lane, position),
            Handover::Ended(lane, error, head) => {
                self.unreadable(&error, Some(&head));
                self.feeds.resume(lane, head.into());
            }
            Handover::Close(cause, closing) => self.close(cause, &closing),
            Handover::Broken(_) => {}
        }
    }

    /// Appends what is to be said and is no event, as far as there is room.
    fn fill(&mut self) {
        if self.closing.is_some() {
            return;
        }
        if let Some(frame) = self.owed.take() {
            self.answer(frame);
            if self.owed.is_none() {
                self.receive();
            }
        }
        if let Some(command) = self.waiting.take() {
            self.carry_out(command);
        }
        while self.waiting.is_none()
            && let Some(command) = self.outlet.command()
        {
            self.carry_out(command);
        }
        let pong = &mut self.pong;
        self.outlet.with(|socket| {
            if let Some(payload) = pong.take_if(|_| socket.has_room()) {
                socket.outbox().extend_from_slice(&frame::pong(&payload));
            }
        });
    }

    /// Carries out a command, or keeps it until a lane has given the socket back, and who goes has what was there.
    fn carry_out(&mut self, command: Command) {
        let command = match command {
            Command::Send(frame) => return self.say(Some(&frame)),
            Command::Join(id, seat, acknowledge) => {
                self.say(acknowledge.as_ref());
                return self.take_seat(id, seat);
            }
            Command::Unsubscribe(id, _, acknowledge) if self.leave_seat(id) => return self.say(acknowledge.as_ref()),
            subscription => subscription,
        };
        let said = match &command {
            Command::Send(_) | Command::Join(..) => Ok(None),
            Command::Subscribe(id, new) => {
                let subscribed = self.feeds.subscribe(*id, new);
                subscribed.map(|()| new.acknowledge.as_deref().map(frame::text))
            }
            Command::Unsubscribe(id, last, acknowledge) => {
                self.feeds.unsubscribe(*id, last.as_ref()).map(|was_there| {
                    if was_there {
                        self.outlet.unsubscribed();
                    }
                    acknowledge.clone()
                })
            }
        };
        match said {
            Ok(frame) => self.say(frame.as_ref()),
            Err(NotYet) => self.waiting = Some(command),
        }
    }

    /// The log does not show what was to come first: who goes reads it another time, by its place.
    fn wait_no_longer(&mut self) {
        if let Some(Command::Unsubscribe(_, last, _)) = &mut self.waiting {
            *last = None;
        }
    }

    /// Appends what a command has to say, for which there is room.
    fn say(&self, frame: Option<&Bytes>) {
        if let Some(frame) = frame {
            self.outlet.with(|socket| socket.outbox().extend_from_slice(frame));
        }
    }

    /// Appends an answer, or keeps it until there is room.
    fn answer(&mut self, frame: Bytes) {
        let fits = self.outlet.with(|socket| {
            let fits = socket.has_room();
            if fits {
                socket.outbox().extend_from_slice(&frame);
            }
            fits
        });
        if !fits {
            self.owed = Some(frame);
        }
    }

    /// Makes frames of events, as long as there is room; the others are read again.
    fn give(&mut self, at: usize, mut due: Due) {
        let (feed, counters) = (self.feeds.at(at), &self.counters);
        let given = self.outlet.with(|socket| {
            while socket.has_room() {
                let Some(frame) = due.frame(feed.wishes()) else {
                    return true;
                };
                socket.outbox().extend_from_slice(&frame);
                counters.events.inc();
            }
            due.is_done()
        });
        self.feeds.given(at, (!given).then_some(due));
    }

    /// A topic cannot be read on from here.
    fn unreadable(&mut self, error: &ReadError, position: Option<&Position>) {
        let (cause, closing) = end::unreadable(error, position);
        self.close(cause, &closing);
    }

    /// Takes leave, unless that has begun.
    fn close(&mut self, cause: Cause, closing: &Closing) {
        if let Some(frame) = self.protocol.close(closing.code, &closing.reason) {
            self.leave(cause, Some(closing.code), &frame);
        }
    }

    /// Appends the last frame and drops what was not sent.
    fn leave(&mut self, cause: Cause, code: Option<u16>, frame: &Bytes) {
        self.outlet.leave();
        // What it has not receipted is others' now.
        self.seats.clear();
        self.outlet.with(|socket| socket.outbox().extend_from_slice(frame));
        self.feeds.rest();
        (self.owed, self.work, self.waiting) = (None, None, None);
        self.closing = Some(Leave {
            cause,
            code,
            patience: Box::pin(sleep(limits::WS_CLOSE_TIMEOUT)),
            deaf: false,
        });
    }

    /// Both sides have said their last: the server ends the TCP connection (RFC 6455 section 7.1.1). A peer that was not
    /// understood may still be sending; dropped at once, its bytes would make the kernel take back our Close.
    async fn part(&mut self) -> End {
        let Some(leave) = self.closing.take() else {
            return self.lost();
        };
        let gone = timeout_at(leave.patience.deadline(), async {
            self.outlet.shut().await?;
            while leave.deaf && !self.outlet.traffic(Some(&mut self.inbox), false).await?.traffic.ended {
                self.inbox.clear();
            }
            io::Result::Ok(())
        });
        let gone = matches!(gone.await, Ok(Ok(())));
        leave.end(gone || !leave.deaf)
    }

    /// The peer is gone, or has to go.
    fn lost(&self) -> End {
        match &self.closing {
            Some(leave) => leave.end(false),
            None => End {
                cause: Cause::Lost,
                code: None,
                clean: false,
            },
        }
    }
}

impl Leave {
    /// Waits until the time for it is over, once it has begun.
    async fn over(closing: &mut Option<Self>) {
        match closing {
            Some(leave) => leave.patience.as_mut().await,
            None => std::future::pending().await,
        }
    }

    fn end(&self, clean: bool) -> End {
        End {
            cause: self.cause,
            code: self.code,
            clean,
        }
    }
}

impl<IO, S> Drop for Connection<IO, S> {
    fn drop(&mut self) {
        self.outlet.leave();
    }
}
