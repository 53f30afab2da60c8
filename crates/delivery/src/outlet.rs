//! The socket of one connection, shared by its own task, lanes and a group that write to it and the wheel that pings.
//!
//! All live on one core, but for members of a group, and whoever ends a connection: so the lock is hardly ever waited for.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use sockeye_limits as limits;
use sockeye_log::{Position, ReadError};
use tokio::time::Instant;

use crate::end::{self, Cause};
use crate::frames::Frames;
use crate::groups::{KeepAlive, Mailboxes, Recipient, Seat};
use crate::lanes::LaneId;
use crate::link::Link;
use crate::metrics::Counters;
use crate::reached::Reached;
use crate::remote::{Command, Deadline, Directed, NewSubscription, RemoteError};
use crate::session::Closing;
use crate::socket::{Socket, Traffic};
use crate::subscription::SubscriptionId;
use crate::wheel::Visited;

/// One end of a socket that lanes write to.
pub(crate) struct Outlet<IO> {
    shared: Mutex<Shared<IO>>,
    counters: Arc<Counters>,
}

struct Shared<IO> {
    socket: Socket<IO>,
    /// What the task is to take over: from each of its lanes at most one.
    handed: Vec<Handover>,
    /// What others want of the task, in the order in which they asked.
    commands: VecDeque<Command>,
    /// Subscriptions, with those that are asked for.
    subscriptions: usize,
    newest: SubscriptionId,
    /// What groups have for it that it is a member of.
    mail: Mailboxes,
    /// Groups that it is a member of, with those that are asked for.
    groups: usize,
    deadline: Option<Box<Deadline>>,
    /// Neither lanes nor the wheel may write any more.
    left: bool,
    next_ping: Instant,
    /// When the wheel comes. A visit before that has been overtaken by another one.
    next_visit: Instant,
    /// The connection's task.
    waker: Option<Waker>,
}

/// What a lane, or the wheel, leaves to the task of a connection.
#[derive(Debug)]
pub(crate) enum Handover {
    /// The socket is full, or the task has something on its way: read on what this lane wrote, from here.
    Resume(LaneId, Reached),
    /// The topic of this lane cannot be read on from here.
    Ended(LaneId, ReadError, Position),
    /// The socket is broken.
    Broken(io::Error),
    /// The connection has to end.
    Close(Cause, Closing),
}

/// What a task finds when it is woken.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub(crate) traffic: Traffic,
    pub(crate) handed: Vec<Handover>,
}

/// What a shard knows of a connection.
pub(crate) trait Member: Send + Sync {
    /// Writes frames; whether the member stays. One that does not has been told to read on by itself.
    fn write(&self, frames: &Frames) -> bool;

    /// Gives the socket back to the task, which asked for that; all before this position was written.
    fn recall(&self, lane: LaneId, head: &Position);

    /// Tells the member that nothing more comes on this lane behind this position.
    fn end(&self, lane: LaneId, error: &ReadError, head: &Position);

    /// Whether it has left.
    fn has_left(&self) -> bool;
}

// ----------------------------------------------------------------------------------------------

/// The server's Ping: a frame whose payload is `PING` (compat/drogue.md 1.6).
const PING: &[u8] = b"\x89\x04PING";

impl<IO: Link> Outlet<IO> {
    /// An outlet; `subscribed`: the connection begins with a subscription.
    pub(crate) fn new(io: IO, subscribed: bool, counters: Arc<Counters>) -> Self {
        let next_ping = Instant::now() + limits::WS_PING_INTERVAL;
        Self {
            shared: Mutex::new(Shared {
                socket: Socket::new(io, counters.stalled.clone()),
                handed: Vec::new(),
                commands: VecDeque::new(),
                subscriptions: usize::from(subscribed),
                newest: SubscriptionId::FIRST,
                mail: Mailboxes::default(),
                groups: 0,
                deadline: None,
                left: false,
                next_ping,
                next_visit: next_ping,
                waker: None,
            }),
            counters,
        }
    }

    /// The socket, for the connection's task.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Socket<IO>) -> T) -> T {
        work(&mut self.lock().socket)
    }

    /// The next command, if what it may have to say has room.
    pub(crate) fn command(&self) -> Option<Command> {
        let mut shared = self.lock();
        if shared.socket.has_room() {
            shared.commands.pop_front()
        } else {
            None
        }
    }

    /// Writes and reads what can be, and waits until something could, or a lane has given the socket back, or there is a
    /// command to carry out, for one who `listens`. Without an `inbox` nothing is read.
    pub(crate) async fn traffic(&self, mut inbox: Option<&mut BytesMut>, listens: bool) -> io::Result<Turn> {
        std::future::poll_fn(|context| self.poll_traffic(context, inbox.as_deref_mut(), listens)).await
    }

    fn poll_traffic(
        &self,
        context: &mut Context<'_>,
        inbox: Option<&mut BytesMut>,
        listens: bool,
    ) -> Poll<io::Result<Turn>> {
        let mut shared = self.lock();
        if !shared.handed.is_empty() {
            let handed = std::mem::take(&mut shared.handed);
            let (broken, handed): (Vec<_>, Vec<_>) = handed
                .into_iter()
                .partition(|handed| matches!(handed, Handover::Broken(_)));
            if let Some(Handover::Broken(error)) = broken.into_iter().next() {
                return Poll::Ready(Err(error));
            }
            return Poll::Ready(Ok(Turn {
                traffic: Traffic::default(),
                handed,
            }));
        }
        if listens && !shared.commands.is_empty() && shared.socket.has_room() {
            return Poll::Ready(Ok(Turn::default()));
        }
        shared.take_mail(&self.counters);
        match shared.socket.poll(context, inbox) {
            Poll::Ready(traffic) => Poll::Ready(traffic.map(|traffic| Turn {
                traffic,
                handed: Vec::new(),
            })),
            Poll::Pending => {
                if !shared
                    .waker
                    .as_ref()
                    .is_some_and(|waker| waker.will_wake(context.waker()))
                {
                    shared.waker = Some(context.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    /// Tells the socket's end that no more comes.
    pub(crate) async fn shut(&self) -> io::Result<()> {
        std::future::poll_fn(|context| self.lock().socket.poll_shut(context)).await
    }
}

impl<IO> Outlet<IO> {
    /// A subscription has ended.
    pub(crate) fn unsubscribed(&self) {
        self.lock().subscriptions -= 1;
    }

    /// The connection is no member of this group any more.
    pub(crate) fn unseated(&self, number: u16) {
        let mut shared = self.lock();
        shared.mail.remove(number);
        shared.subscriptions -= 1;
        shared.groups -= 1;
    }

    /// Lets neither lanes nor the wheel write any more, and takes no more commands.
    pub(crate) fn leave(&self) {
        let mut shared = self.lock();
        shared.left = true;
        let commands = std::mem::take(&mut shared.commands);
        (shared.mail, shared.deadline) = (Mailboxes::default(), None);
        drop(shared);
        // A place in a group that nobody took is others' now, whose sockets are written to: not with this one in hand.
        drop(commands);
    }

    /// The connection is a member of a group, which has mail for it: the group's number here.
    pub(crate) fn attach(&self, seat: &Seat) -> u16 {
        self.lock().mail.add(Arc::clone(seat.mailbox()))
    }

    /// Which deliveries of which groups a Pong is a receipt for.
    pub(crate) fn answered(&self, pong: &[u8]) -> Vec<(u16, Vec<u8>)> {
        self.lock().mail.answered(pong)
    }

    fn lock(&self) -> MutexGuard<'_, Shared<IO>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<IO: Link> Shared<IO> {
    /// Does what is due now. When the next visit is wanted.
    fn visit(&mut self, now: Instant, counters: &Counters) -> Option<Instant> {
        if let Some(Deadline { cause, closing, .. }) =
            self.deadline.take_if(|deadline| deadline.at <= now).map(|due| *due)
        {
            self.hand(Handover::Close(cause, closing));
            return None;
        }
        if !self.handed.is_empty() {
            // The task is about to take over.
            return Some(now + limits::WHEEL_TICK);
        }
        let until = match self.socket.judge(now) {
            Ok(until) => until,
            Err(cause) => {
                self.hand(Handover::Close(cause, end::expired(cause)));
                return None;
            }
        };
        if now >= self.next_ping {
            let sent = match self.mail.keep_alive(now) {
                KeepAlive::Any => self.ping(),
                KeepAlive::Posted => self.write_mail(counters),
                KeepAlive::Asked => Ok(0),
            };
            match sent {
                Ok(sent) => drop(counters.sent.inc_by(sent as u64)),
                Err(error) => {
                    self.hand(Handover::Broken(error));
                    return None;
                }
            }
            self.next_ping = now + limits::WS_PING_INTERVAL;
        }
        let deadline = self.deadline.as_ref().map_or(until, |deadline| deadline.at);
        Some(self.next_ping.min(until).min(deadline))
    }

    /// Writes what the group has, without waiting; how many bytes the socket took. What is left is the task's.
    fn write_mail(&mut self, counters: &Counters) -> io::Result<usize> {
        let mut written = 0;
        // Who is about to take over, or has something on its way, takes the mail too.
        while self.handed.is_empty() && self.socket.is_drained() {
            let Some(parcel) = self.mail.take(limits::WS_WRITE_CHUNK) else {
                break;
            };
            let taken = self.socket.write_now(&parcel.bytes)?;
            counters.events.inc_by(parcel.events);
            written += taken;
            self.socket.outbox().extend_from_slice(&parcel.bytes[taken..]);
            if !self.socket.is_drained() {
                self.wake();
            }
        }
        Ok(written)
    }

    /// Appends what the group has to what is on its way, as far as there is room.
    fn take_mail(&mut self, counters: &Counters) {
        while self.socket.has_room()
            && let Some(parcel) = self.mail.take(limits::WS_WRITE_CHUNK)
        {
            self.socket.outbox().extend_from_slice(&parcel.bytes);
            counters.events.inc_by(parcel.events);
        }
    }

    /// Sends a Ping; how many bytes the socket took. A Ping is put behind what is on its way; where nothing can go out, it
    /// would prove nothing.
    fn ping(&mut self) -> io::Result<usize> {
        let mut written = 0;
        if self.socket.is_drained() {
            written = self.socket.write_now(PING)?;
            self.socket.outbox().extend_from_slice(&PING[written..]);
            if !self.socket.is_drained() {
                self.wake();
            }
        } else if !self.socket.is_blocked() && self.socket.has_room() {
            self.socket.outbox().extend_from_slice(PING);
        }
        Ok(written)
    }
}

impl<IO> Shared<IO> {
    fn direct(&mut self, command: Command) -> Result<(), RemoteError> {
        if self.is_over() {
            return Err(RemoteError::Gone);
        }
        if self.commands.len() >= limits::WS_COMMANDS {
            return Err(RemoteError::Full);
        }
        self.commands.push_back(command);
        self.wake();
        Ok(())
    }

    fn hand(&mut self, handover: Handover) {
        self.handed.push(handover);
        self.wake();
    }

    /// Whether the socket broke, or the connection has to end.
    fn is_over(&self) -> bool {
        let is_end = |handed: &Handover| matches!(handed, Handover::Broken(_) | Handover::Close(..));
        self.left || self.handed.iter().any(is_end)
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl<IO: Link> Member for Outlet<IO> {
    fn write(&self, frames: &Frames) -> bool {
        let mut shared = self.lock();
        if shared.is_over() {
            return false;
        }
        if !shared.socket.is_drained() {
            shared.hand(Handover::Resume(frames.lane, frames.from.clone()));
            return false;
        }
        let written = match shared.socket.write_now(&frames.bytes) {
            Ok(written) => written,
            Err(error) => {
                shared.hand(Handover::Broken(error));
                return false;
            }
        };
        self.counters.sent.inc_by(written as u64);
        if written == frames.bytes.len() && shared.socket.is_drained() {
            self.counters.events.inc_by(frames.ends.len() as u64);
            return true;
        }
        // The frame that is on its way goes out whole; those behind it are read again, so that a socket that takes nothing
        // holds no more than one frame.
        let whole = frames.ends.partition_point(|frame| frame.end <= written);
        let begun = whole.checked_sub(1).map_or(0, |last| frames.ends[last].end) < written;
        let given = whole + usize::from(begun);
        if begun {
            shared
                .socket
                .outbox()
                .extend_from_slice(&frames.bytes[written..frames.ends[whole].end]);
        }
        self.counters.events.inc_by(given as u64);
        shared.hand(Handover::Resume(frames.lane, frames.reached_after(given)));
        false
    }

    fn recall(&self, lane: LaneId, head: &Position) {
        let mut shared = self.lock();
        if !shared.is_over() {
            shared.hand(Handover::Resume(lane, head.clone().into()));
        }
    }

    fn end(&self, lane: LaneId, error: &ReadError, head: &Position) {
        let mut shared = self.lock();
        if !shared.is_over() {
            shared.hand(Handover::Ended(lane, error.clone(), head.clone()));
        }
    }

    fn has_left(&self) -> bool {
        self.lock().left
    }
}

impl<IO: Link> Recipient for Outlet<IO> {
    fn flush(&self) {
        let mut shared = self.lock();
        if shared.is_over() {
            return;
        }
        match shared.write_mail(&self.counters) {
            Ok(sent) => drop(self.counters.sent.inc_by(sent as u64)),
            Err(error) => shared.hand(Handover::Broken(error)),
        }
    }

    fn expel(&self, cause: Cause, closing: Closing) {
        self.close(cause, closing);
    }
}

impl<IO: Link> Directed for Outlet<IO> {
    fn direct(&self, command: Command) -> Result<(), RemoteError> {
        self.lock().direct(command)
    }

    fn subscribe(&self, new: Box<NewSubscription>) -> Result<SubscriptionId, RemoteError> {
        let mut shared = self.lock();
        if shared.subscriptions >= limits::WS_SUBSCRIPTIONS {
            return Err(RemoteError::TooMany);
        }
        let id = shared.newest.next();
        shared.direct(Command::Subscribe(id, new))?;
        shared.newest = id;
        shared.subscriptions += 1;
        Ok(id)
    }

    fn join(&self, seat: Seat, acknowledge: Option<Bytes>) -> Result<SubscriptionId, (RemoteError, Seat)> {
        let mut shared = self.lock();
        let refused = if shared.is_over() {
            Some(RemoteError::Gone)
        } else if shared.subscriptions >= limits::WS_SUBSCRIPTIONS {
            Some(RemoteError::TooMany)
        } else if shared.groups >= limits::WS_GROUPS {
            Some(RemoteError::TooManyGroups)
        } else if shared.commands.len() >= limits::WS_COMMANDS {
            Some(RemoteError::Full)
        } else {
            None
        };
        if let Some(error) = refused {
            // Whoever drops the seat tells its group, which may write to this socket.
            drop(shared);
            return Err((error, seat));
        }
        let id = shared.newest.next();
        shared.commands.push_back(Command::Join(id, seat, acknowledge));
        shared.wake();
        shared.newest = id;
        shared.subscriptions += 1;
        shared.groups += 1;
        Ok(id)
    }

    fn close(&self, cause: Cause, closing: Closing) {
        let mut shared = self.lock();
        if !shared.is_over() {
            shared.hand(Handover::Close(cause, closing));
        }
    }

    fn close_at(&self, deadline: Option<Deadline>) -> Option<Instant> {
        let mut shared = self.lock();
        if shared.is_over() {
            return None;
        }
        let at = deadline.as_ref().map(|deadline| deadline.at);
        shared.deadline = deadline.map(Box::new);
        let sooner = at.filter(|at| *at < shared.next_visit)?;
        shared.next_visit = sooner;
        Some(sooner)
    }
}

impl<IO: Link> Visited for Outlet<IO> {
    fn visit(&self, now: Instant) -> Option<Instant> {
        let mut shared = self.lock();
        if shared.is_over() || now < shared.next_visit {
            return None;
        }
        let next = shared.visit(now, &self.counters)?;
        shared.next_visit = next;
        Some(next)
    }
}
