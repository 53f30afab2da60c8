//! One run: a server that has the group and may die at any moment, a store, members, and what happens to all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use sockeye_group::{Balance, Group, Mark, MemberId, NoReceipt, Output, Receipts, Settings, Ticket};
use sockeye_log::Position;

use crate::client::{Client, Frame, Habit, Reply};
use crate::log::{Event, INCARNATION, SimLog};
use crate::model::Model;
use crate::tally::Tally;
use sockeye_seeds::Random;

struct World {
    random: Random,
    now: Instant,
    log: SimLog,
    group: Group<Event>,
    settings: Settings,
    model: Model,
    clients: BTreeMap<MemberId, Client>,
    /// Members that the group has closed.
    closed: BTreeSet<MemberId>,
    /// The stored mark: position and bytes.
    stored: (Position, Vec<u8>),
    /// A mark that is being stored.
    storing: Option<Mark>,
    /// Dead letters that are being stored.
    dying: Vec<(Ticket, Event)>,
    trace: bool,
    began: Instant,
}

// ----------------------------------------------------------------------------------------------

/// Runs one seed; panics where the group does what it must not.
pub(crate) fn run(seed: u64, trace: bool) -> Tally {
    let mut random = Random::new(seed);
    let log = SimLog::new(&mut random);
    let settings = Settings {
        window_events: random.pick(&[1, 5, 20, 60, 200]),
        window_bytes: random.pick(&[1_000, 30_000, 1_000_000]),
        failures: random.pick(&[1, 2, 5]),
        persist_time: Duration::from_millis(random.pick(&[0, 10, 1_000])),
    };
    let balance = random.pick(&[Balance::Any, Balance::Device]);
    let mark = Mark::at(Position::new(INCARNATION, []));
    let now = Instant::now();
    let mut world = World {
        group: Group::with_settings(&mark, settings),
        model: Model::new(settings, balance, &mark),
        stored: (mark.position, Vec::new()),
        random,
        now,
        log,
        settings,
        clients: BTreeMap::new(),
        closed: BTreeSet::new(),
        storing: None,
        dying: Vec::new(),
        trace,
        began: now,
    };
    for _ in 0..world.random.between(20, 300) {
        world.step();
        world.model.check(&world.group);
    }
    world.finish();
    world.model.tally
}

impl World {
    fn step(&mut self) {
        match self.random.between(0, 99) {
            0..20 => self.append(),
            20..45 => self.pass_time(),
            45..55 => self.join(),
            55..58 => self.vanish(),
            58..60 => self.crash(),
            60..61 if self.random.percent(30) => {
                self.note(&"trim");
                self.log.trim(&mut self.random);
            }
            61..70 => self.store(),
            70..72 => self.change_habit(),
            72..75 => self.keep_alive(),
            _ => self.run_clients(),
        }
        self.model.check(&self.group);
        // Sometimes the server is slower than what happens, and sometimes it dies in the middle.
        if self.random.percent(80) {
            self.read();
            let most = if self.random.percent(20) {
                self.random.between(0, 5)
            } else {
                u64::MAX
            };
            self.drain(most);
        }
    }

    /// Nothing bad happens any more, and who is there works: everything is delivered, receipted, and durable.
    fn finish(&mut self) {
        self.note(&"nothing more happens");
        for id in self.clients.keys().copied().collect::<Vec<_>>() {
            self.leave(id);
        }
        for _ in 0..2 {
            self.join_as(Habit::Prompt, Receipts::Pong);
        }
        let mut patience = 10_000;
        while !self.model.is_complete() {
            patience -= 1;
            assert!(patience > 0, "it does not come to an end");
            self.now += Duration::from_millis(20);
            self.run_clients();
            self.settle();
        }
        for id in self.clients.keys().copied().collect::<Vec<_>>() {
            self.leave(id);
        }
        self.settle();
        self.now += self.settings.persist_time;
        self.settle();
        assert!(self.group.is_idle(), "everything is done");
        assert!(self.storing.is_none());
        let mark = self.load();
        self.model.check_complete(&mark);
    }

    /// All stores answer, until there is nothing to do.
    fn settle(&mut self) {
        loop {
            self.tick();
            self.read();
            self.drain(u64::MAX);
            if let Some(mark) = self.storing.take() {
                self.persisted(&mark, true);
            } else if let Some((ticket, event)) = self.dying.pop() {
                self.dead_lettered(ticket, &event, true);
            } else {
                break;
            }
        }
        self.model.check(&self.group);
        self.model.check_rest(&self.group, self.now);
    }

    // ------------------------------------------------------------------------------------------ events

    fn append(&mut self) {
        let most = self.random.pick(&[1, 5, 40]);
        for _ in 0..self.random.between(1, most) {
            self.log.append(&mut self.random);
        }
        self.model.appended(&self.log);
    }

    /// Reads while the group has room; not always to the end of what is there.
    fn read(&mut self) {
        for _ in 0..self.random.between(1, 20) {
            if !self.group.has_room() {
                self.model.tally.full += u64::from(!self.clients.is_empty());
                return;
            }
            let (position, oldest) = (self.group.position(), self.log.oldest());
            if !position.is_at_or_behind(&oldest) {
                let said = self.group.trimmed(&oldest, self.now);
                self.note(&("trimmed", said));
                self.model.trimmed(&self.log, &position, said);
                continue;
            }
            let number = self.random.between(0, self.log.partitions.len() as u64 - 1) as u32;
            let partition = &self.log.partitions[number as usize];
            let from = position.offset(number);
            let first = partition.records.partition_point(|record| record.offset < from);
            let most = self.random.between(1, 30) as usize;
            let mut next = from;
            let mut whole = true;
            for record in partition.records[first..].iter().take(most) {
                if !self.group.has_room() {
                    whole = false;
                    break;
                }
                next = record.offset + 1;
                if let Some(event) = &record.event {
                    self.group.push(number, record.offset, event.clone());
                    self.model.pushed(event);
                }
            }
            if first + most >= partition.records.len() {
                next = partition.end;
            }
            if whole {
                self.group
                    .passed(&Position::new(INCARNATION, [(number, next)]), self.now);
            }
            self.model.check(&self.group);
        }
    }

    // ------------------------------------------------------------------------------------------ members

    fn join(&mut self) {
        if self.clients.len() >= 5 {
            return;
        }
        if self.clients.is_empty() && self.random.percent(20) {
            self.model.balance = self.random.pick(&[Balance::Any, Balance::Device]);
        }
        let habits = [
            Habit::Prompt,
            Habit::Prompt,
            Habit::Prompt,
            Habit::Slow,
            Habit::Stalled,
            Habit::Mute,
            Habit::Rude,
        ];
        let habit = self.random.pick(&habits);
        let receipts = if self.random.percent(60) {
            Receipts::Pong
        } else {
            let time = Duration::from_millis(self.random.pick(&[200, 5_000, 30_000]));
            Receipts::Client { time }
        };
        self.join_as(habit, receipts);
    }

    fn join_as(&mut self, habit: Habit, receipts: Receipts) {
        let id = self.group.join(receipts, self.model.balance).expect("it may");
        self.note(&("joins", id, habit, receipts));
        self.model.joined(id, receipts);
        self.clients.insert(id, Client::new(habit, receipts, self.now));
        self.model.check(&self.group);
    }

    fn leave(&mut self, id: MemberId) {
        self.note(&("leaves", id));
        self.clients.remove(&id);
        self.group.leave(id);
        self.model.left(id);
        self.model.check(&self.group);
    }

    fn vanish(&mut self) {
        if let Some(id) = self.anybody() {
            self.model.tally.vanished += 1;
            self.leave(id);
        }
    }

    fn change_habit(&mut self) {
        if let Some(id) = self.anybody() {
            let habit = self.random.pick(&[Habit::Prompt, Habit::Stalled, Habit::Slow]);
            self.note(&("becomes", id, habit));
            self.clients.get_mut(&id).unwrap().habit = habit;
        }
    }

    fn keep_alive(&mut self) {
        if let Some(id) = self.anybody()
            && let Some(number) = self.group.keep_alive(id, self.now)
        {
            self.model.pinged(id, number, self.now);
            self.clients.get_mut(&id).unwrap().send(Frame::Ping(number));
        }
    }

    fn anybody(&mut self) -> Option<MemberId> {
        let last = self.clients.len().checked_sub(1)?;
        let at = self.random.between(0, last as u64) as usize;
        self.clients.keys().nth(at).copied()
    }

    fn run_clients(&mut self) {
        for id in self.clients.keys().copied().collect::<Vec<_>>() {
            let replies = self.clients.get_mut(&id).unwrap().run(&mut self.random, self.now);
            for reply in replies {
                self.receive(id, &reply);
                self.model.check(&self.group);
            }
        }
    }

    fn receive(&mut self, id: MemberId, reply: &Reply) {
        self.note(&(id, reply));
        let now = self.now;
        let (said, expected) = match reply {
            Reply::Pong(payload) => {
                let ping = self.model.members.get(&id).and_then(|mirror| mirror.ping);
                let read = self.clients[&id].read;
                // Who guesses the number and answers before it has read lies; nobody can tell.
                if ping.is_some_and(|(number, _)| number > read && payload[..] == sockeye_group::ping_payload(number)) {
                    return;
                }
                (self.group.pong(id, payload, now), self.model.pong(id, payload))
            }
            Reply::Ack(event) => (self.group.ack(id, event, now), self.model.ack(id, event)),
            Reply::Nack(event) => (self.group.nack(id, event), self.model.nack(id, event)),
        };
        assert_eq!(said, expected, "{reply:?}");
    }

    // ------------------------------------------------------------------------------------------ time and server

    fn pass_time(&mut self) {
        let most = self.random.pick(&[1, 10, 100, 1_000, 10_000]);
        self.now += Duration::from_millis(self.random.between(0, most));
        if self.random.percent(20) {
            // To the very moment, or just before it.
            let mut members = self.model.members.values();
            if let Some(left) = members.find_map(|mirror| mirror.time_left(self.now)) {
                let early = Duration::from_nanos(self.random.between(0, 1));
                self.now += left.saturating_sub(early);
            }
        }
        self.note(&"time");
        self.tick();
    }

    fn tick(&mut self) {
        self.group.tick(self.now);
        self.model.tick(self.now);
        self.model.check(&self.group);
    }

    /// The server ends without a word; another one takes the group. What was being stored may be stored.
    fn crash(&mut self) {
        self.note(&"the server dies");
        self.model.tally.crashes += 1;
        self.clients.clear();
        self.closed.clear();
        if let Some(mark) = self.storing.take()
            && self.random.percent(50)
        {
            self.stored = (mark.position.clone(), mark.encode_receipted());
        }
        for (_, event) in std::mem::take(&mut self.dying) {
            if self.random.percent(50) {
                self.model.is_in_dead_letters(&event);
            }
        }
        let mark = self.load();
        self.group = Group::with_settings(&mark, self.settings);
        self.model.reload(&mark);
        self.model.check(&self.group);
    }

    fn load(&self) -> Mark {
        Mark::decode(self.stored.0.clone(), &self.stored.1).expect("it is what was stored")
    }

    /// Something that is being stored is, or cannot be.
    fn store(&mut self) {
        let stored = !self.random.percent(20);
        if let Some(mark) = self.storing.take() {
            self.persisted(&mark, stored);
        }
        if let Some((ticket, event)) = self.dying.pop() {
            self.dead_lettered(ticket, &event, stored);
        }
    }

    fn persisted(&mut self, mark: &Mark, stored: bool) {
        self.note(&("persisted", stored, mark));
        if stored {
            self.stored = (mark.position.clone(), mark.encode_receipted());
            self.model.persisted();
        } else {
            self.model.tally.store_failures += 1;
        }
        self.group.persisted(stored, self.now);
        self.model.check(&self.group);
    }

    fn dead_lettered(&mut self, ticket: Ticket, event: &Event, stored: bool) {
        self.note(&("dead letter", event, stored));
        self.group.dead_lettered(ticket, stored, self.now);
        self.model.dead_lettered(event, stored);
        self.model.check(&self.group);
        // Said twice, it changes nothing.
        self.group.dead_lettered(ticket, true, self.now);
        self.model.check(&self.group);
    }

    /// Does what the group says, at most so many times.
    fn drain(&mut self, most: u64) {
        for _ in 0..most {
            let Some(output) = self.group.next(self.now) else {
                self.model.check_rest(&self.group, self.now);
                return;
            };
            self.note(&output);
            match output {
                Output::Deliver {
                    member,
                    number,
                    item,
                    redelivered,
                } => {
                    self.model.delivered(member, number, &item, redelivered, self.now);
                    self.clients.get_mut(&member).unwrap().send(Frame::Event(number, item));
                }
                Output::Ping { member, number } => {
                    self.model.pinged(member, number, self.now);
                    self.clients.get_mut(&member).unwrap().send(Frame::Ping(number));
                }
                Output::Close { member, reason } => {
                    let NoReceipt = reason;
                    assert!(!self.model.members.contains_key(&member), "{member:?} is not overdue");
                    assert!(self.closed.insert(member), "{member:?} is closed twice");
                    // It may be gone by itself.
                    self.clients.remove(&member);
                }
                Output::Persist(mark) => {
                    assert!(self.storing.is_none(), "one at a time");
                    self.model.persists(&mark, &self.group.position());
                    self.storing = Some(mark);
                }
                Output::DeadLetter { ticket, item, failures } => {
                    self.model.dead(&item, failures);
                    self.dying.push((ticket, item));
                }
            }
            self.model.check(&self.group);
        }
    }

    /// Tells what happens, to people who look for the reason of a failure.
    #[allow(clippy::print_stderr, reason = "only when one seed is looked at")]
    fn note(&self, what: &dyn std::fmt::Debug) {
        if self.trace {
            eprintln!("{:?} {what:?}", self.now - self.began);
        }
    }
}
