//! What a group may and must do, kept beside it and compared after every step (`model/checks.rs`). What members give back is in
//! `model/receipts.rs`.

mod checks;
mod receipts;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use sockeye_group::{Balance, Counts, Mark, MemberId, Receipts, Settings};
use sockeye_limits as limits;
use sockeye_log::Position;

use crate::log::{Event, SimLog};
use crate::tally::Tally;

/// The group as it has to be.
pub(crate) struct Model {
    settings: Settings,
    pub(crate) balance: Balance,
    /// By number, over all lives of the server.
    states: Vec<State>,
    /// Those of them that are open.
    open: BTreeSet<usize>,
    pub(crate) members: BTreeMap<MemberId, Mirror>,
    counts: Counts,
    /// What this life began with.
    loaded: Mark,
    life: u64,
    /// Deliveries that were somebody's turn.
    turns: u64,
    /// Receipts of this life; when the mark was given out; that are durable.
    receipted: u64,
    asked: u64,
    durable: u64,
    /// Deliveries of this life that the one before had made too.
    doubled: usize,
    /// Reasons for a device to move, and moves.
    changes: u64,
    homes: BTreeMap<String, (MemberId, u64, u64)>,
    /// Where a device of which nothing was under way went, and after how many such reasons.
    starts: BTreeMap<String, (MemberId, u64)>,
    pub(crate) tally: Tally,
}

/// An event.
struct State {
    event: Event,
    /// In this life: read and not receipted.
    open: bool,
    /// In this life: nothing is left to do.
    done: bool,
    holder: Option<MemberId>,
    delivered: bool,
    failures: u32,
    avoid: Option<MemberId>,
    /// [`Model::changes`] when it failed, if it could go elsewhere.
    failed_at: u64,
    dying: bool,
    /// The last life in which it was delivered.
    last_life: u64,
    /// In any life, a member has given a receipt, or it is in the dead letters: it may be forgotten.
    proven: bool,
    /// Retention took it before it was read.
    lost: bool,
}

/// A member.
pub(crate) struct Mirror {
    receipts: Receipts,
    out: Vec<(u64, usize, Instant)>,
    last: u64,
    pub(crate) ping: Option<(u64, Instant)>,
    /// When it was asked last.
    asked: Option<Instant>,
    /// Since which turn it has always had credit.
    credit_since: Option<u64>,
    /// Its last turn; 0: it had none.
    served: u64,
}

// ----------------------------------------------------------------------------------------------

impl Model {
    pub(crate) fn new(settings: Settings, balance: Balance, mark: &Mark) -> Self {
        Self {
            settings,
            balance,
            states: Vec::new(),
            open: BTreeSet::new(),
            members: BTreeMap::new(),
            counts: Counts::default(),
            loaded: mark.clone(),
            life: 1,
            turns: 0,
            receipted: 0,
            asked: 0,
            durable: 0,
            doubled: 0,
            changes: 0,
            homes: BTreeMap::new(),
            starts: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    /// The next life of the server.
    pub(crate) fn reload(&mut self, mark: &Mark) {
        self.members.clear();
        self.open.clear();
        self.counts = Counts::default();
        self.loaded = mark.clone();
        self.life += 1;
        (self.turns, self.receipted, self.asked, self.durable, self.doubled) = (0, 0, 0, 0, 0);
        self.changes = 0;
        self.homes.clear();
        self.starts.clear();
        for state in &mut self.states {
            let covered = mark.covers(state.event.partition, state.event.offset);
            assert!(!covered || state.proven || state.lost, "{:?} is forgotten", state.event);
            state.done = covered;
            state.open = false;
            state.holder = None;
            state.delivered = false;
            state.failures = 0;
            state.avoid = None;
            state.dying = false;
        }
    }

    pub(crate) fn appended(&mut self, log: &SimLog) {
        for event in &log.events[self.states.len()..] {
            self.tally.appended += 1;
            self.states.push(State {
                event: event.clone(),
                open: false,
                done: false,
                holder: None,
                delivered: false,
                failures: 0,
                avoid: None,
                failed_at: 0,
                dying: false,
                last_life: 0,
                proven: false,
                lost: false,
            });
        }
    }

    pub(crate) fn joined(&mut self, id: MemberId, receipts: Receipts) {
        self.tally.joins += 1;
        self.changes += 1;
        let mirror = Mirror {
            receipts,
            out: Vec::new(),
            last: 0,
            ping: None,
            asked: None,
            credit_since: None,
            served: 0,
        };
        assert!(self.members.insert(id, mirror).is_none(), "{id:?} is used twice");
    }

    pub(crate) fn left(&mut self, id: MemberId) {
        self.changes += 1;
        let Some(mirror) = self.members.remove(&id) else {
            return;
        };
        for (place, (_, number, _)) in mirror.out.into_iter().enumerate() {
            self.states[number].holder = None;
            if place == 0 && mirror.receipts != Receipts::Pong {
                self.failed(number, None);
            }
        }
    }

    // ------------------------------------------------------------------------------------------ reading

    pub(crate) fn pushed(&mut self, event: &Event) {
        let state = &mut self.states[event.number];
        if !state.open && !state.done {
            state.open = true;
            self.open.insert(event.number);
        }
        let held = self.open.len() + (self.receipted - self.durable) as usize;
        assert!(held <= self.settings.window_events, "{held} events are in the window");
    }

    /// Retention has removed what is before `oldest`: as many as the group says, or fewer, are lost.
    pub(crate) fn trimmed(&mut self, log: &SimLog, before: &Position, said: u64) {
        let mut lost = 0;
        for state in &mut self.states {
            let (partition, offset) = (state.event.partition, state.event.offset);
            let gone = offset < log.partitions[partition as usize].trimmed && offset >= before.offset(partition);
            if gone && !state.open && !state.done {
                state.lost = true;
                state.done = true;
                lost += 1;
            }
        }
        assert!(said >= lost, "{lost} are lost, {said} are counted");
        self.tally.lost += lost;
        self.counts.trimmed += said;
    }

    // ------------------------------------------------------------------------------------------ outputs

    pub(crate) fn delivered(&mut self, id: MemberId, number: u64, event: &Event, redelivered: bool, now: Instant) {
        let had_credit: Vec<_> = self
            .members
            .iter()
            .map(|(id, m)| (*id, m.credit_since, m.served))
            .collect();
        let mirror = self.members.get_mut(&id).expect("a member");
        assert_eq!(number, mirror.last + 1, "deliveries are numbered");
        assert!(mirror.credit_since.is_some(), "{id:?} has no credit");
        mirror.last = number;
        mirror.out.push((number, event.number, now));
        let served = mirror.served;

        let state = &mut self.states[event.number];
        assert!(state.open, "{event:?} was not read");
        assert!(!state.done && !state.dying, "{event:?} is receipted or dead");
        assert_eq!(state.holder, None, "{event:?} is with two members");
        assert_eq!(state.delivered, redelivered);
        let covered = self.loaded.covers(event.partition, event.offset);
        assert!(!covered, "{event:?} was receipted, and that is durable");
        state.delivered = true;
        state.holder = Some(id);
        let (avoid, proven) = (state.avoid, state.proven);
        if state.last_life + 1 == self.life && self.life > 1 {
            self.doubled += 1;
            self.tally.doubled += u64::from(proven);
            assert!(
                self.doubled <= self.settings.window_events,
                "a crash doubles a window at most"
            );
        }
        state.last_life = self.life;
        self.counts.delivered += 1;
        self.counts.redelivered += u64::from(redelivered);
        self.tally.delivered += 1;
        self.tally.redelivered += u64::from(redelivered);

        match self.balance {
            Balance::Any if avoid.is_none() => {
                for (other, credit_since, served_other) in had_credit {
                    let always = served > 0 && credit_since.is_some_and(|since| since <= served);
                    assert!(
                        other == id || !always || served_other > served,
                        "{id:?} is served twice, {other:?} not at all"
                    );
                }
                self.turns += 1;
                self.tally.in_turn += 1;
                self.members.get_mut(&id).unwrap().served = self.turns;
            }
            Balance::Any => {
                let others = had_credit
                    .iter()
                    .any(|(other, since, _)| *other != id && since.is_some());
                assert!(
                    avoid != Some(id) || !others,
                    "{event:?} failed at {id:?}, others have credit"
                );
            }
            Balance::Device => self.check_order(id, event),
        }
    }

    /// All that is open of a device before an event is under way to the same member, and nothing of it is elsewhere.
    fn check_order(&mut self, id: MemberId, event: &Event) {
        for other in self.open().filter(|other| other.event.device == event.device) {
            let earlier = other.event.number < event.number;
            assert!(
                other.holder == Some(id) || (!earlier && other.holder.is_none() && !other.dying),
                "{event:?} goes to {id:?}, {:?} is with {:?}",
                other.event,
                other.holder
            );
        }
        let changes = self.changes;
        let alone = |other: &State| other.event.number == event.number || other.holder.is_none();
        let alone = self
            .open()
            .filter(|other| other.event.device == event.device)
            .all(alone);
        let state = &self.states[event.number];
        let elsewhere = state.avoid != Some(id) || state.failed_at != changes || self.members.len() == 1;
        assert!(elsewhere || !alone, "{event:?} failed at {id:?}, there are others");
        if state.avoid.is_none() && alone {
            let start = self.starts.insert(event.device.to_string(), (id, changes));
            let stays = start.is_none_or(|(last, then)| then != changes || last == id);
            assert!(
                stays,
                "{event:?} goes to {id:?}, others of its device went to {start:?}"
            );
        }
        let home = self.homes.entry(event.device.to_string()).or_insert((id, 0, changes));
        if home.0 != id {
            home.0 = id;
            home.1 += 1;
            self.tally.moved += 1;
            assert!(home.1 <= changes - home.2, "{} moves without reason", event.device);
        }
    }

    pub(crate) fn pinged(&mut self, id: MemberId, number: u64, now: Instant) {
        let mirror = self.members.get_mut(&id).expect("a member");
        assert_eq!(mirror.receipts, Receipts::Pong);
        assert_eq!(mirror.ping, None, "one number is outstanding at most");
        assert_eq!(number, mirror.last, "a Ping asks for everything");
        mirror.ping = Some((number, now));
        mirror.asked = Some(now);
    }

    /// A dead letter is given out.
    pub(crate) fn dead(&mut self, event: &Event, failures: u32) {
        let state = &self.states[event.number];
        assert!(state.dying && state.holder.is_none(), "{event:?} is no dead letter");
        assert_eq!(failures, state.failures);
        assert!(failures >= self.settings.failures);
    }

    pub(crate) fn dead_lettered(&mut self, event: &Event, stored: bool) {
        let state = &mut self.states[event.number];
        state.dying = false;
        // Offered once more, to anyone.
        state.failed_at = u64::MAX;
        if stored {
            state.proven = true;
            self.close(event.number);
            self.counts.dead_letters += 1;
            self.tally.dead_letters += 1;
        }
    }

    /// The server died before it knew that a dead letter was stored.
    pub(crate) fn is_in_dead_letters(&mut self, event: &Event) {
        self.states[event.number].proven = true;
    }

    /// A mark is given out: it says exactly what is done.
    pub(crate) fn persists(&mut self, mark: &Mark, read: &Position) {
        let bytes = mark.encode_receipted();
        assert!(bytes.len() <= limits::GROUP_RECEIPTED);
        self.tally.out_of_order += u64::from(!bytes.is_empty());
        assert_eq!(Mark::decode(mark.position.clone(), &bytes).as_ref(), Ok(mark));
        for state in &self.states {
            let (partition, offset) = (state.event.partition, state.event.offset);
            let covered = mark.covers(partition, offset);
            let expected = if offset < read.offset(partition) {
                state.done
            } else {
                self.loaded.covers(partition, offset)
            };
            assert_eq!(covered, expected, "{:?}", state.event);
            assert!(!covered || state.proven || state.lost, "{:?} is forgotten", state.event);
        }
        self.asked = self.receipted;
    }

    pub(crate) fn persisted(&mut self) {
        self.durable = self.asked;
    }

    fn open(&self) -> impl Iterator<Item = &State> {
        self.open.iter().map(|number| &self.states[*number])
    }
}

impl Mirror {
    fn deadline(&self) -> Option<Instant> {
        match self.receipts {
            Receipts::Pong => self.ping.map(|(_, sent)| sent + limits::GROUP_RECEIPT_TIME),
            Receipts::Client { time } => self.out.first().map(|(_, _, sent)| *sent + time),
        }
    }

    /// How long until the receipt that it owes is overdue.
    pub(crate) fn time_left(&self, now: Instant) -> Option<Duration> {
        self.deadline().map(|due| due.saturating_duration_since(now))
    }
}
