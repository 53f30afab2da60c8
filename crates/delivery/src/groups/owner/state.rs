//! What an owner holds under its lock: the group, its members, and what was given out and not done yet.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant as StdInstant;

use jiff::Timestamp;
use sockeye_group::{Group, Mark, MemberId, NoReceipt, Output, Receipts, Ticket};
use sockeye_limits as limits;
use sockeye_log::Position;
use tokio::time::Instant;

use crate::end::Cause;
use crate::groups::item::{Form, Item};
use crate::groups::mailbox::{Mail, Mailbox};
use crate::groups::memory::Share;
use crate::metrics::Metrics;
use crate::session::Closing;

/// A group and its members, under the owner's lock.
pub(super) struct State {
    pub(super) group: Group<Item>,
    pub(super) members: BTreeMap<MemberId, Member>,
    /// What the task has to store.
    pub(super) mark: Option<Mark>,
    pub(super) dead: VecDeque<DeadLetter>,
    /// The mark that is durable.
    pub(super) stored: Position,
    /// Events that retention had taken before this owner began.
    trimmed_before: u64,
    /// The pump of its core shows it what is appended; otherwise its task reads.
    pub(super) live: bool,
    /// The task waits for room.
    pub(super) starved: bool,
    /// When the wheel comes.
    pub(super) armed: Option<Instant>,
    /// Nobody can be a member any more.
    pub(super) ended: bool,
    /// Nothing is stored any more.
    pub(super) abandoned: bool,
}

/// A member's end here.
pub(super) struct Member {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) form: Form,
    /// Given out in this round.
    pub(super) due: Vec<Mail>,
    pub(super) name: Option<String>,
    pub(super) since: Timestamp,
}

/// An event that has to go to the dead letters.
pub(crate) struct DeadLetter {
    pub(crate) ticket: Ticket,
    pub(crate) item: Item,
    pub(crate) failures: u32,
}

// ----------------------------------------------------------------------------------------------

impl State {
    /// The group at its durable mark. `trimmed`: events that retention has taken so far.
    pub(super) fn load(mark: &Mark, trimmed: u64) -> Self {
        Self {
            group: Group::load(mark),
            members: BTreeMap::new(),
            mark: None,
            dead: VecDeque::new(),
            stored: mark.position.clone(),
            trimmed_before: trimmed,
            live: false,
            starved: false,
            armed: None,
            ended: false,
            abandoned: false,
        }
    }

    /// Does what the group wants done, as far as that takes no time; the mailboxes that have something new.
    pub(super) fn give_out(&mut self, now: StdInstant, metrics: &Metrics) -> Vec<Arc<Mailbox>> {
        let mut touched: Vec<MemberId> = Vec::new();
        let mut changed = Vec::new();
        while let Some(output) = self.group.next(now) {
            let (to, mail) = match output {
                Output::Deliver {
                    member,
                    item,
                    redelivered,
                    ..
                } => {
                    let Some(to) = self.members.get_mut(&member) else {
                        continue;
                    };
                    let frame = item.frame(&to.form, redelivered, metrics);
                    (member, Mail::Event(frame))
                }
                Output::Ping { member, number } => (member, Mail::Ping(number)),
                Output::Close { member, reason } => {
                    if let Some(member) = self.members.remove(&member) {
                        let closing = Closing::new(NoReceipt::CODE, reason.to_string());
                        member.mailbox.close(Cause::NoReceipt, closing);
                        changed.push(member.mailbox);
                    }
                    continue;
                }
                Output::Persist(mark) => {
                    self.mark = Some(mark);
                    continue;
                }
                Output::DeadLetter { ticket, item, failures } => {
                    self.dead.push_back(DeadLetter { ticket, item, failures });
                    continue;
                }
            };
            if let Some(member) = self.members.get_mut(&to) {
                if member.due.is_empty() {
                    touched.push(to);
                }
                member.due.push(mail);
            }
        }
        for id in touched {
            if let Some(member) = self.members.get_mut(&id) {
                member.mailbox.post(&mut member.due);
                member.due.shrink_to(4);
                changed.push(Arc::clone(&member.mailbox));
            }
        }
        changed
    }

    /// Whether one more event can be taken.
    pub(super) fn has_room(&self, share: &Share) -> bool {
        self.group.has_room() && share.has_room(self.group.bytes())
    }

    /// Whether the task has something to do that it does not know of.
    pub(super) fn has_work(&mut self, share: &Share) -> bool {
        let can_read = self.starved && !self.live && self.has_room(share);
        self.starved &= !can_read;
        can_read || self.mark.is_some() || !self.dead.is_empty()
    }

    /// When the wheel has to come, if it would come later.
    pub(super) fn rearm(&mut self) -> Option<Instant> {
        let due = Instant::from_std(self.group.deadline()?);
        if self.armed.is_some_and(|armed| armed <= due + limits::WHEEL_TICK) {
            return None;
        }
        self.armed = Some(due);
        Some(due)
    }

    pub(super) fn gives_pongs(&self, id: MemberId) -> bool {
        self.group.receipts_of(id) == Some(Receipts::Pong)
    }

    pub(super) fn trimmed(&self) -> u64 {
        self.trimmed_before + self.group.counts().trimmed
    }
}
