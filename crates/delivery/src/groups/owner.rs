//! One group of this process: its state under a lock, and whatever happens to it.
//!
//! Whoever brings news (a receipt, a member, an event of the log, time) takes the lock, tells the group, puts what that gives
//! out into the mailboxes of members, and lets the lock go before sockets are written to. So deliveries to one member keep
//! their order, members may live on any core, and nobody waits for a socket with the group in hand. What takes time (reading
//! on from the past, storing) is left to the owner's task (`work.rs`). What the lock is about is in `owner/state.rs`.

mod state;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant as StdInstant;

use jiff::Timestamp;
use sockeye_group::{Balance, JoinError, Mark, MemberId, Receipts, Ticket};
use sockeye_log::{GroupId, Position};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

pub(crate) use self::state::DeadLetter;
use self::state::{Member, State};
use crate::end::Cause;
use crate::groups::item::{Form, Item};
use crate::groups::mailbox::{KeepAlive, Mail, Mailbox, deliver_all};
use crate::groups::memory::Share;
use crate::groups::seat::Seat;
use crate::groups::view::{GroupView, MemberEntry};
use crate::metrics::Metrics;
use crate::segment::Segment;
use crate::session::Closing;
use crate::subscription::Selection;
use crate::topic::Reading;
use crate::wheel::{Visited, Wheel};

/// A group that this process owns.
pub(crate) struct Owner {
    id: GroupId,
    selection: Selection,
    pub(crate) reading: Reading,
    means: Means,
    me: Weak<Self>,
    state: Mutex<State>,
    /// Tells the task that there is something to do.
    pub(crate) work: Notify,
    /// Whether the task has ended: nothing of this owner is on its way to storage any more.
    done: watch::Sender<bool>,
}

/// What an owner needs of its process.
pub(crate) struct Means {
    pub(crate) metrics: Metrics,
    pub(crate) share: Share,
    pub(crate) wheel: Wheel,
}

/// Who wants to be a member.
pub(crate) struct Candidate {
    pub(crate) balance: Balance,
    pub(crate) receipts: Receipts,
    pub(crate) form: Form,
    /// Who it is, for people.
    pub(crate) name: Option<String>,
}

/// Why somebody is no member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    By(JoinError),
    /// This owner has ended: load the group again.
    Ended,
}

/// What the task has to do.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) mark: Option<Mark>,
    /// Events that retention took, since the group was made.
    pub(crate) trimmed: u64,
    pub(crate) dead: VecDeque<DeadLetter>,
    /// There is nothing to do any more.
    pub(crate) over: bool,
}

// ----------------------------------------------------------------------------------------------

impl Owner {
    /// The group at its durable mark. `trimmed`: events that retention has taken so far.
    pub(crate) fn new(
        id: GroupId,
        selection: Selection,
        reading: Reading,
        mark: &Mark,
        trimmed: u64,
        means: Means,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            id,
            selection,
            reading,
            means,
            me: Weak::clone(me),
            state: Mutex::new(State::load(mark, trimmed)),
            work: Notify::new(),
            done: watch::Sender::new(false),
        })
    }

    pub(crate) fn id(&self) -> &GroupId {
        &self.id
    }

    // ------------------------------------------------------------------------------------------ members

    pub(crate) fn join(self: &Arc<Self>, candidate: Candidate) -> Result<Seat, Refused> {
        self.with(|state, _| {
            if state.ended {
                return Err(Refused::Ended);
            }
            let joined = state.group.join(candidate.receipts, candidate.balance);
            let id = joined.map_err(Refused::By)?;
            let mailbox = Arc::new(Mailbox::new(Weak::clone(&self.me), id));
            let member = Member {
                mailbox: Arc::clone(&mailbox),
                form: candidate.form,
                due: Vec::new(),
                name: candidate.name,
                since: Timestamp::now(),
            };
            state.members.insert(id, member);
            Ok(Seat::new(Arc::clone(self), id, mailbox))
        })
    }

    pub(crate) fn leave(&self, member: MemberId) {
        self.with(|state, _| {
            state.members.remove(&member);
            state.group.leave(member);
        });
        self.work.notify_one();
    }

    pub(crate) fn pong(&self, member: MemberId, payload: &[u8]) {
        self.with(|state, now| state.group.pong(member, payload, now));
    }

    pub(crate) fn ack(&self, member: MemberId, event: &str) {
        if !self.with(|state, now| state.group.ack(member, event, now)) {
            self.unknown(member, event);
        }
    }

    pub(crate) fn nack(&self, member: MemberId, event: &str) {
        if !self.with(|state, _| state.group.nack(member, event)) {
            self.unknown(member, event);
        }
    }

    fn unknown(&self, member: MemberId, event: &str) {
        tracing::debug!(group = %self.id.group, ?member, event, "an acknowledgement names no event that is under way");
    }

    /// See [`Mailbox::keep_alive`].
    pub(crate) fn keep_alive(&self, member: MemberId, mailbox: &Mailbox, now: Instant) -> KeepAlive {
        let mut state = self.lock();
        if !state.members.contains_key(&member) || !state.gives_pongs(member) {
            return KeepAlive::Any;
        }
        // Under the lock: everything up to the number is in the mailbox.
        let Some(number) = state.group.keep_alive(member, now.into_std()) else {
            return KeepAlive::Asked;
        };
        mailbox.post(&mut vec![Mail::Ping(number)]);
        let next = state.rearm();
        drop(state);
        self.arm(next);
        KeepAlive::Posted
    }

    // ------------------------------------------------------------------------------------------ reading

    /// Where the task is to read on; `None` while there is no room, and while the pump reads.
    pub(crate) fn wants(&self) -> Option<Position> {
        let mut state = self.lock();
        if state.live {
            return None;
        }
        let hungry = !state.ended && state.has_room(&self.means.share);
        state.starved = !hungry;
        hungry.then(|| state.group.position())
    }

    /// Reads on in a segment that holds the group's position, as far as there is room.
    pub(crate) fn read(&self, segment: &Segment) {
        self.with(|state, now| self.take(state, segment, now));
    }

    /// The pump shows it what follows its position. Whether it stays: without room its task reads on.
    pub(crate) fn show(&self, segments: &[Arc<Segment>]) -> bool {
        let stays = self.with(|state, now| {
            state.live = state.live && segments.iter().all(|segment| self.take(state, segment, now));
            state.live
        });
        if !stays {
            self.work.notify_one();
        }
        stays
    }

    /// From now on the pump reads.
    pub(crate) fn set_live(&self) {
        self.lock().live = true;
    }

    /// From now on the task reads.
    pub(crate) fn release(&self) {
        self.lock().live = false;
        self.work.notify_one();
    }

    /// Takes what it wants of a segment; whether there was room for all of that.
    fn take(&self, state: &mut State, segment: &Segment, now: StdInstant) -> bool {
        let position = state.group.position();
        let mut behind = segment.from.clone();
        for entry in &segment.entries {
            behind.advance(entry.partition, entry.offset + 1);
            if entry.offset < position.offset(entry.partition) {
                continue;
            }
            if !state.has_room(&self.means.share) {
                return false;
            }
            if self.selection.wants(&entry.event) {
                let item = Item::of(entry, &behind, &self.means.metrics);
                state.group.push(entry.partition, entry.offset, item);
            }
        }
        state.group.passed(&segment.next, now);
        true
    }

    /// Retention has passed the group.
    pub(crate) fn trimmed(&self, oldest: &Position) {
        let lost = self.with(|state, now| state.group.trimmed(oldest, now));
        let GroupId {
            application,
            group,
            selection,
        } = &self.id;
        tracing::warn!(%application, %group, %selection, lost, "retention has removed events that a group had not read: its members are too slow, or too few");
    }

    // ------------------------------------------------------------------------------------------ what takes time

    /// What the task has to do. When it is over, nobody can join any more.
    pub(crate) fn work(&self) -> Work {
        let mut state = self.lock();
        if state.abandoned || state.group.is_idle() {
            state.ended = true;
            return Work {
                over: true,
                ..Work::default()
            };
        }
        Work {
            mark: state.mark.take(),
            trimmed: state.trimmed(),
            dead: std::mem::take(&mut state.dead),
            over: false,
        }
    }

    /// The mark that the task was given is stored, or could not be.
    pub(crate) fn persisted(&self, stored: Option<Position>) {
        self.with(|state, now| {
            state.group.persisted(stored.is_some(), now);
            if let Some(position) = stored {
                state.stored = position;
            }
        });
    }

    pub(crate) fn dead_lettered(&self, ticket: Ticket, stored: bool) {
        self.with(|state, now| state.group.dead_lettered(ticket, stored, now));
    }

    /// When [`Visited::visit`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.lock().group.deadline().map(Instant::from_std)
    }

    // ------------------------------------------------------------------------------------------ the end

    /// Closes all members. Nobody can join any more; what they have receipted is still stored, unless the group is `abandoned`.
    pub(crate) fn end(&self, cause: Cause, closing: &Closing, abandoned: bool) {
        let mut state = self.lock();
        state.ended = true;
        state.abandoned |= abandoned;
        let members = std::mem::take(&mut state.members);
        let mut closed = Vec::with_capacity(members.len());
        for (id, member) in members {
            state.group.leave(id);
            member.mailbox.close(cause, closing.clone());
            closed.push(member.mailbox);
        }
        drop(state);
        deliver_all(closed);
        self.work.notify_one();
    }

    /// The task has ended.
    pub(crate) fn is_done(&self) {
        self.done.send_replace(true);
    }

    /// Waits until nothing of this owner is on its way to storage.
    pub(crate) async fn finished(&self) {
        // The owner is here, and with it the sender.
        let _ = self.done.subscribe().wait_for(|done| *done).await;
    }

    pub(crate) fn has_finished(&self) -> bool {
        *self.done.borrow()
    }

    // ------------------------------------------------------------------------------------------ what can be seen

    pub(crate) fn view(&self) -> GroupView {
        let head = self.reading.topic.head();
        let state = self.lock();
        let members = state.group.members().filter_map(|view| {
            let member = state.members.get(&view.id)?;
            Some(MemberEntry {
                view,
                name: member.name.clone(),
                since: member.since,
            })
        });
        GroupView {
            id: self.id.clone(),
            position: state.group.position(),
            stored: state.stored.clone(),
            head,
            open: state.group.open(),
            waiting: state.group.waiting(),
            bytes: state.group.bytes(),
            oldest: state.group.oldest().map(Item::time),
            trimmed: state.trimmed(),
            counts: state.group.counts(),
            members: members.collect(),
        }
    }

    // ------------------------------------------------------------------------------------------ inside

    /// Tells the group something, and does what comes of it.
    fn with<T>(&self, tell: impl FnOnce(&mut State, StdInstant) -> T) -> T {
        let (told, next) = self.tell(tell);
        self.arm(next);
        told
    }

    /// The same; when the wheel has to come, if it would come later.
    fn tell<T>(&self, tell: impl FnOnce(&mut State, StdInstant) -> T) -> (T, Option<Instant>) {
        let now = Instant::now().into_std();
        let mut state = self.lock();
        let told = tell(&mut state, now);
        let due = state.give_out(now, &self.means.metrics);
        if state.has_work(&self.means.share) {
            self.work.notify_one();
        }
        let next = state.rearm();
        drop(state);
        deliver_all(due);
        (told, next)
    }

    fn arm(&self, next: Option<Instant>) {
        if let Some(at) = next {
            let me: Weak<Self> = Weak::clone(&self.me);
            self.means.wheel.put(at, me);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Owner {
    /// Time has passed, and there is no wheel.
    pub(crate) fn tick(&self) {
        self.with(|state, now| state.group.tick(now));
    }
}

impl Visited for Owner {
    fn visit(&self, now: Instant) -> Option<Instant> {
        {
            let mut state = self.lock();
            if state.armed.is_some_and(|armed| now < armed) {
                // Another visit comes in time.
                return None;
            }
            state.armed = None;
        }
        let ((), next) = self.tell(|state, now| state.group.tick(now));
        next
    }
}
