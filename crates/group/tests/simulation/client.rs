//! The other end of a member's connection: reads frames in order, some time later, and answers by its habit.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sockeye_group::{Item as _, Receipts, ping_payload};

use crate::log::Event;
use sockeye_seeds::Random;

/// What a client does with what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Reads and answers soon.
    Prompt,
    /// Takes its time for each frame.
    Slow,
    /// Reads nothing.
    Stalled,
    /// Reads and answers nothing.
    Mute,
    /// Answers, and sends much that nobody asked for.
    Rude,
}

/// From the server.
#[derive(Clone, Debug)]
pub(crate) enum Frame {
    Event(u64, Event),
    Ping(u64),
}

/// From the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Pong(Vec<u8>),
    Ack(String),
    Nack(String),
}

pub(crate) struct Client {
    pub(crate) habit: Habit,
    receipts: Receipts,
    frames: VecDeque<Frame>,
    /// When the next frame is read.
    reads_at: Instant,
    /// On their way to the server, by the time when they arrive.
    replies: VecDeque<(Instant, Reply)>,
    /// The number of the last delivery that was read.
    pub(crate) read: u64,
    /// Events that were read and not answered.
    unanswered: Vec<Event>,
}

// ----------------------------------------------------------------------------------------------

impl Client {
    pub(crate) fn new(habit: Habit, receipts: Receipts, now: Instant) -> Self {
        Self {
            habit,
            receipts,
            frames: VecDeque::new(),
            reads_at: now,
            replies: VecDeque::new(),
            read: 0,
            unanswered: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, frame: Frame) {
        self.frames.push_back(frame);
    }

    /// Reads what it has come to; what it sent and has arrived by now.
    pub(crate) fn run(&mut self, random: &mut Random, now: Instant) -> Vec<Reply> {
        while self.habit != Habit::Stalled && self.reads_at <= now {
            let Some(frame) = self.frames.pop_front() else {
                break;
            };
            self.read(frame, random);
            let pause = match self.habit {
                Habit::Slow => random.between(10, 3_000),
                _ => random.between(0, 3),
            };
            self.reads_at += Duration::from_millis(pause);
        }
        if self.frames.is_empty() {
            self.reads_at = self.reads_at.max(now);
        }
        if self.habit == Habit::Rude && random.percent(10) {
            let reply = self.nonsense(random);
            self.reply(reply, 0);
        }
        let arrived = self.replies.partition_point(|(at, _)| *at <= now);
        self.replies.drain(..arrived).map(|(_, reply)| reply).collect()
    }

    fn read(&mut self, frame: Frame, random: &mut Random) {
        match frame {
            Frame::Event(number, event) => {
                assert_eq!(number, self.read + 1, "deliveries are numbered without gap");
                self.read = number;
                if self.receipts != Receipts::Pong && self.habit != Habit::Mute {
                    self.unanswered.push(event);
                    self.answer(random);
                }
            }
            Frame::Ping(number) => {
                assert_eq!(self.receipts, Receipts::Pong, "nobody else is asked");
                assert_eq!(number, self.read, "a Ping comes behind what it asks for");
                if self.habit != Habit::Mute {
                    let delay = random.between(0, 50);
                    self.reply(Reply::Pong(ping_payload(number).to_vec()), delay);
                }
            }
        }
    }

    /// `ack=client`: mostly an Ack at once, sometimes later, in another order, a Nack, or nothing.
    fn answer(&mut self, random: &mut Random) {
        while !self.unanswered.is_empty() && !random.percent(15) {
            let at = if random.percent(80) {
                0
            } else {
                random.between(0, self.unanswered.len() as u64 - 1) as usize
            };
            let id = self.unanswered.remove(at).id().to_owned();
            let delay = random.between(0, 50);
            match random.between(0, 99) {
                0..80 => self.reply(Reply::Ack(id), delay),
                80..95 => self.reply(Reply::Nack(id), delay),
                _ => {}
            }
        }
    }

    fn nonsense(&mut self, random: &mut Random) -> Reply {
        match random.between(0, 5) {
            0 => Reply::Pong(b"PING".to_vec()),
            1 => Reply::Pong(Vec::new()),
            2 => Reply::Pong(ping_payload(u64::MAX).to_vec()),
            3 => Reply::Pong(ping_payload(self.read + random.between(1, 3)).to_vec()),
            4 => Reply::Ack("nobody".to_owned()),
            _ => Reply::Nack(random.between(1, 10).to_string()),
        }
    }

    /// What was sent first arrives first.
    fn reply(&mut self, reply: Reply, delay: u64) {
        let earliest = self.replies.back().map_or(self.reads_at, |(at, _)| *at);
        let at = earliest.max(self.reads_at + Duration::from_millis(delay));
        self.replies.push_back((at, reply));
    }
}
