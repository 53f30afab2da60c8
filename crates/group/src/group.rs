//! The state of a group, and what happens to it. What members prove of what they have read, and in which time, is in
//! `group/receipts.rs`, what the group wants done in `group/next.rs`, what can be seen of it in `group/view.rs`.

mod next;
mod receipts;
mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use slab::Slab;
use sockeye_limits as limits;
use sockeye_log::Position;

use crate::counts::Counts;
use crate::item::Item;
use crate::ledger::Ledger;
use crate::mark::Mark;
use crate::member::{Balance, Member, MemberId, Receipts};
use crate::output::Ticket;
use crate::persist::Persist;
use crate::settings::Settings;
use crate::waiting::Waiting;

/// Place of an event in [`Group::entries`].
pub(crate) type Key = usize;

/// A group: shared reading of one topic, of which each event goes to one member. See [the crate's documentation](crate) for
/// who calls what.
#[derive(Debug)]
pub struct Group<T> {
    settings: Settings,
    ledger: Ledger,
    /// Events that are open: read and not receipted.
    pub(crate) entries: Slab<Entry<T>>,
    /// Bytes of them.
    bytes: usize,
    /// Those that no member has.
    waiting: Waiting,
    members: BTreeMap<MemberId, Member>,
    /// Members that there ever were.
    joined: u64,
    /// What all members together may have under way.
    credit: usize,
    /// Members that can be given something.
    ready: BTreeSet<MemberId>,
    /// Who was given something last.
    turn: Option<MemberId>,
    /// When members have to be asked for a receipt ([`Member::ask`]).
    asks: BTreeSet<(Instant, MemberId)>,
    /// Members that gave no receipt in time.
    silent: VecDeque<MemberId>,
    /// Events that failed too often.
    dead: VecDeque<Key>,
    /// How many are on their way to the dead letters.
    dying: usize,
    /// When a member's receipt may be overdue. An entry may be too early: receipts that came do not change it.
    timers: BTreeSet<(Instant, MemberId)>,
    persist: Persist,
    counts: Counts,
    /// Events that were ever read.
    read: u64,
}

/// An event that is open.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    pub(crate) item: T,
    /// Rises in the order in which events are read.
    pub(crate) order: u64,
    partition: u32,
    offset: u64,
    delivered: bool,
    /// Deliveries that failed under `ack=client`.
    failures: u32,
    /// The member where one failed last; it is offered to others first.
    pub(crate) avoid: Option<MemberId>,
    /// Failed too often: on its way to the dead letters.
    pub(crate) dying: bool,
}

/// Why somebody cannot be a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The others have chosen otherwise.
    #[error("the members of this group have chosen another `balance`: all have to give the same")]
    OtherBalance,
    /// [`sockeye_limits::GROUP_MEMBERS`].
    #[error("the group has {} members, which is the most", limits::GROUP_MEMBERS)]
    Full,
}

// ----------------------------------------------------------------------------------------------

impl<T: Item> Group<T> {
    /// The group at its durable mark, without members.
    pub fn load(mark: &Mark) -> Self {
        Self::with_settings(mark, Settings::default())
    }

    /// The same with other bounds.
    pub fn with_settings(mark: &Mark, settings: Settings) -> Self {
        Self {
            settings,
            ledger: Ledger::of(mark),
            entries: Slab::new(),
            bytes: 0,
            waiting: Waiting::new(Balance::Any),
            members: BTreeMap::new(),
            joined: 0,
            credit: 0,
            ready: BTreeSet::new(),
            turn: None,
            asks: BTreeSet::new(),
            silent: VecDeque::new(),
            dead: VecDeque::new(),
            dying: 0,
            timers: BTreeSet::new(),
            persist: Persist::default(),
            counts: Counts::default(),
            read: 0,
        }
    }

    // ------------------------------------------------------------------------------------------ members

    /// A new member. It has its turn before anyone who is there has two.
    pub fn join(&mut self, receipts: Receipts, balance: Balance) -> Result<MemberId, JoinError> {
        if self.members.len() >= limits::GROUP_MEMBERS {
            return Err(JoinError::Full);
        }
        if self.waiting.balance() != balance {
            if !self.members.is_empty() {
                return Err(JoinError::OtherBalance);
            }
            self.waiting = Waiting::of(balance, &self.entries);
        }
        self.joined += 1;
        let id = MemberId(self.joined);
        let member = Member::new(receipts);
        self.credit += member.credit();
        self.members.insert(id, member);
        self.rebalance();
        Ok(id)
    }

    /// A member is gone. What it had not receipted goes to others; under `ack=client` the oldest of that counts as failed,
    /// because an event that kills its client would go round for ever.
    pub fn leave(&mut self, id: MemberId) {
        let Some(mut member) = self.members.remove(&id) else {
            return;
        };
        self.credit -= member.credit();
        if let Some(ask) = member.ask {
            self.asks.remove(&(ask, id));
        }
        if let Some(timer) = member.timer {
            self.timers.remove(&(timer, id));
        }
        if member.receipts != Receipts::Pong
            && let Some(oldest) = member.withdraw(0)
        {
            self.fail(oldest.key, None);
        }
        for delivery in member.out.drain(..) {
            self.waiting.give_back(delivery.key, &self.entries);
        }
        self.rebalance();
    }

    // ------------------------------------------------------------------------------------------ the log

    /// Whether more events can be taken: the window has room, and members may soon want them.
    pub fn has_room(&self) -> bool {
        let held = self.entries.len() + self.persist.undurable();
        !self.members.is_empty()
            && held < self.settings.window_events
            && self.bytes < self.settings.window_bytes
            && (self.waiting.balance() == Balance::Device || self.waiting.len() < self.credit)
    }

    /// Where to read on.
    pub fn position(&self) -> Position {
        self.ledger.position()
    }

    /// An event that the group wants was read, by the order of its partition. One that was read or receipted before is
    /// dropped.
    pub fn push(&mut self, partition: u32, offset: u64, item: T) {
        if !self.ledger.open(partition, offset) {
            return;
        }
        self.read += 1;
        self.bytes += item.bytes();
        let key = self.entries.insert(Entry {
            item,
            order: self.read,
            partition,
            offset,
            delivered: false,
            failures: 0,
            avoid: None,
            dying: false,
        });
        if let Some(member) = self.waiting.push(key, &self.entries[key]) {
            self.refresh(member);
        }
    }

    /// All records before this position were read, and what the group wants of them was pushed.
    pub fn passed(&mut self, next: &Position, now: Instant) {
        if self.ledger.pass(next) {
            self.persist.moved(now);
        }
    }

    /// Retention has removed what is before `oldest`: the group goes on from there. How many events were lost by that, at
    /// most; those that were read are not among them.
    pub fn trimmed(&mut self, oldest: &Position, now: Instant) -> u64 {
        let lost = self.ledger.trim(oldest);
        self.counts.trimmed += lost;
        self.persist.moved(now);
        lost
    }

    // ------------------------------------------------------------------------------------------ what was done

    /// The mark that was given out is stored, or (`false`) could not be and is given out again after a time.
    pub fn persisted(&mut self, stored: bool, now: Instant) {
        if stored {
            self.persist.done();
        } else {
            self.persist.failed(self.settings.persist_time, now);
        }
    }

    /// A dead letter is stored, or (`false`) could not be: then the event is offered to the members once more.
    pub fn dead_lettered(&mut self, ticket: Ticket, stored: bool, now: Instant) {
        let Some(entry) = self.entries.get_mut(ticket.key) else {
            return;
        };
        if entry.order != ticket.order || !entry.dying {
            return;
        }
        entry.dying = false;
        self.dying -= 1;
        let member = self.waiting.died(ticket.key, &self.entries, !stored);
        if stored {
            self.counts.dead_letters += 1;
            self.close(ticket.key, now);
        }
        if let Some(member) = member {
            self.refresh(member);
        }
    }

    // ------------------------------------------------------------------------------------------ inside

    /// A delivery failed and is not under way any more. With a device's balance, what followed it comes back too, so that the
    /// order is kept.
    fn give_up(&mut self, id: MemberId, key: Key, at: usize) {
        let mut at = at;
        let device = self.entries[key].item.device().clone();
        if self.waiting.balance() == Balance::Device
            && let Some(member) = self.members.get_mut(&id)
        {
            while let Some(delivery) = member.out.get(at).copied() {
                if *self.entries[delivery.key].item.device() == device {
                    member.withdraw(at);
                    self.waiting.give_back(delivery.key, &self.entries);
                } else {
                    at += 1;
                }
            }
        }
        self.fail(key, Some(id));
        if let Some(member) = self.waiting.restart(&device, id) {
            self.refresh(member);
        }
        self.refresh(id);
    }

    /// Counts a failed delivery of an event that is not under way any more, and lets it wait or die.
    fn fail(&mut self, key: Key, avoid: Option<MemberId>) {
        let entry = &mut self.entries[key];
        entry.failures += 1;
        entry.avoid = avoid;
        if entry.failures >= self.settings.failures {
            entry.dying = true;
            self.waiting.die(&self.entries[key]);
            self.dead.push_back(key);
            self.dying += 1;
        } else {
            self.waiting.give_back(key, &self.entries);
        }
    }

    /// An event that was under way is receipted.
    fn settle(&mut self, key: Key, now: Instant) {
        let member = self.waiting.settle(&self.entries[key]);
        self.counts.receipted += 1;
        self.close(key, now);
        if let Some(member) = member {
            self.refresh(member);
        }
    }

    /// Nothing is left to do for an event.
    fn close(&mut self, key: Key, now: Instant) {
        let entry = self.entries.remove(key);
        self.bytes -= entry.item.bytes();
        self.ledger.close(entry.partition, entry.offset);
        self.persist.receipted(now);
    }

    /// Members have come or gone.
    fn rebalance(&mut self) {
        self.waiting.rebalance(self.members.keys().copied());
        self.ready.clear();
        let members: Vec<MemberId> = self.members.keys().copied().collect();
        for member in members {
            self.refresh(member);
        }
    }

    /// Something changed for a member: whether it can be given something now.
    fn refresh(&mut self, id: MemberId) {
        let ready = self.members.get_mut(&id).is_some_and(Member::has_credit) && self.waiting.has_work(id);
        if ready {
            self.ready.insert(id);
        } else {
            self.ready.remove(&id);
        }
    }

    /// Whether the mark is stored without waiting for more receipts.
    fn persists_at_once(&self) -> bool {
        let part = self.settings.window_events / limits::GROUP_PERSIST_PART;
        self.members.is_empty() || self.persist.undurable() >= part.max(1)
    }
}
