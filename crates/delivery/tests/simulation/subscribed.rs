//! What a client has to see that has several subscriptions, which come and go.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::dialect::{Form, Request};
use crate::expected::{Expected, place_of};
use crate::history::State;
use crate::once::{Once, Share};
use crate::pick::Pick;
use crate::world::World;
use sockeye_log::Position;
use sockeye_seeds::Random;
use tokio::time::Instant;

/// Names of subscriptions, in front of their events.
pub(crate) const TAGS: [&str; 16] = [
    "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "aa", "ab", "ac", "ad", "ae", "af",
];

/// The subscriptions of one connection.
pub(crate) struct Subscribed {
    /// Said by the client, and not yet taken by the server.
    pub(crate) asked: VecDeque<Request>,
    /// By tag; the first of a connection that does not talk is `ONLY`.
    all: BTreeMap<u8, One>,
    /// What came, if an event comes once for all of them.
    once: Option<Once>,
    /// The last event of each partition that live subscriptions were given, by incarnation and partition.
    last: BTreeMap<(u64, u32), u64>,
    expires: bool,
}

struct One {
    expected: Expected,
    share: Share,
    /// The client knows that it has it.
    is_acknowledged: bool,
    /// The client has said that it does not want it any more.
    is_leaving: bool,
    /// The end of its topic when the server took that.
    until: Option<Until>,
}

struct Until {
    place: Position,
    since: Instant,
}

/// The subscription of a connection that has no other.
const ONLY: u8 = u8::MAX;

// ----------------------------------------------------------------------------------------------

impl Subscribed {
    pub(crate) fn new(first: Option<Expected>, once: bool) -> Self {
        let mut subscribed = Self {
            asked: VecDeque::new(),
            all: BTreeMap::new(),
            once: once.then(Once::default),
            last: BTreeMap::new(),
            expires: false,
        };
        if let Some(expected) = first {
            let tag = if let Form::Tagged(tag) = expected.form {
                tag
            } else {
                ONLY
            };
            subscribed.begin(tag, expected);
            subscribed.acknowledged(tag);
        }
        subscribed
    }

    /// The server has taken a request.
    pub(crate) fn begin(&mut self, tag: u8, expected: Expected) {
        let one = One {
            expected,
            share: Share::default(),
            is_acknowledged: false,
            is_leaving: false,
            until: None,
        };
        assert!(self.all.insert(tag, one).is_none());
    }

    fn acknowledged(&mut self, tag: u8) -> &mut Expected {
        let one = self.all.get_mut(&tag).expect("it was asked for");
        assert!(!std::mem::replace(&mut one.is_acknowledged, true));
        if let Some(once) = &self.once {
            one.share = once.share(&one.expected);
        }
        &mut one.expected
    }

    /// The server takes that a subscription is not wanted any more: what is there now still comes.
    pub(crate) fn leaves(&mut self, tag: u8, log: &State) -> Option<Position> {
        let one = self.all.get_mut(&tag).expect("it is there");
        let place = log.span(&one.expected.topic)?.end;
        let since = Instant::now();
        one.until = Some(Until {
            place: place.clone(),
            since,
        });
        Some(place)
    }

    /// The subscription with which the connection began, if it has no other.
    pub(crate) fn into_only(mut self) -> Option<Expected> {
        Some(self.all.remove(&ONLY)?.expected)
    }

    /// Something that the client says next, if it has a wish.
    pub(crate) fn ask(&mut self, world: &World, random: &mut Random) -> bool {
        let tags = TAGS.len() as u64 - 1;
        let tag = random.between(0, tags) as u8;
        let is_asked = |asked: &Request| match asked {
            Request::Subscribe { tag: other, .. } | Request::Unsubscribe(other) => *other == tag,
            Request::Tell | Request::Expire(_) => false,
        };
        let request = match (random.between(0, 99), self.all.get_mut(&tag)) {
            _ if self.asked.iter().any(is_asked) => return false,
            (0..3, _) => Request::Tell,
            (3..4, _) if random.percent(30) => {
                self.expires = true;
                Request::Expire(Duration::from_millis(random.between(0, 8_000)))
            }
            (_, None) => {
                let topic = random.between(0, world.topics.len() as u64 - 1) as usize;
                Request::Subscribe {
                    tag,
                    topic: world.topics[topic].clone(),
                    pick: Pick::any(random),
                    from: random.percent(30).then(|| random.pick(&[0, 0, 50, 90, 100])),
                }
            }
            (_, Some(one)) if one.is_acknowledged && !one.is_leaving && random.percent(60) => {
                one.is_leaving = true;
                Request::Unsubscribe(tag)
            }
            _ => return false,
        };
        self.asked.push_back(request);
        true
    }

    /// Takes a text message.
    pub(crate) fn receive(&mut self, log: &State, payload: &[u8], prompt: Option<Duration>) {
        if let Some(only) = self.all.get_mut(&ONLY) {
            return only.expected.receive(log, payload, prompt);
        }
        let number = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
        match payload {
            b"hello" => {}
            [b'0', ..] => assert!(payload.len() == 2, "refused"),
            [b'+', tag @ ..] => self.acknowledged(number(tag)).acknowledged(log),
            [b'=', tag @ ..] => {
                let one = self.all.get_mut(&number(tag)).expect("it is there");
                assert!(std::mem::replace(&mut one.is_leaving, false));
            }
            [b'-', tag @ ..] => {
                let one = self.all.remove(&number(tag)).expect("it was there");
                assert!(one.is_leaving);
                self.check_left(log, &one);
            }
            [b'a', tag, rest @ ..] => self.event(log, number(&[*tag]), rest, prompt),
            other => panic!("{}", String::from_utf8_lossy(other)),
        }
    }

    fn event(&mut self, log: &State, tag: u8, rest: &[u8], prompt: Option<Duration>) {
        let event = &rest[rest.iter().position(|byte| *byte == b'!').expect("a cursor") + 1..];
        let (incarnation, partition, offset) = place_of(event);
        let one = self.all.get_mut(&tag);
        let one = one.expect("nothing comes behind the acknowledgement of the end");
        assert!(one.is_acknowledged, "the acknowledgement comes first");
        if let Some(once) = &mut self.once {
            let place = (incarnation, partition, offset);
            let last = once.receive(log, (&mut one.share, &mut one.expected), place, prompt);
            return self.event_of_any(log, tag, event, last);
        }
        if one.expected.is_live {
            let last = self.last.insert((incarnation, partition), offset);
            assert!(
                last.is_none_or(|last| last <= offset),
                "{tag}: {partition}:{offset} behind {last:?}: out of order"
            );
        }
        one.expected.receive(log, rest, prompt);
    }

    /// An event that comes once for all subscriptions: what they want of its partition between the last one and this one has come.
    fn event_of_any(&self, log: &State, tag: u8, event: &[u8], last: Option<u64>) {
        let (incarnation, partition, offset) = place_of(event);
        let this = log.histories[&incarnation].partitions[partition as usize].part(offset..offset + 1);
        let one = &self.all[&tag];
        assert!(one.expected.pick.wants(&this[0]), "it is wanted");
        assert_eq!(this[0].payload.as_deref(), Some(event), "it is as it was appended");
        let Some(once) = self.once.as_ref().filter(|_| !one.share.is_apart()) else {
            return;
        };
        let between = last.map_or(0, |last| last + 1)..offset;
        for one in self.all.values().filter(|one| one.is_acknowledged && !one.is_leaving) {
            if one.expected.is_live && one.expected.seen.incarnation().0 == incarnation {
                once.check_any(log, &one.share, &one.expected, partition, between.clone());
            }
        }
    }

    /// Who leaves a log that is well has what was there when it said so.
    fn check_left(&self, log: &State, one: &One) {
        let (expected, Some(until)) = (&one.expected, &one.until) else {
            return;
        };
        let incarnation = until.place.incarnation();
        if !expected.is_live || incarnation != expected.seen.incarnation() || expected.is_troubled(log, until.since) {
            return;
        }
        let Some(once) = &self.once else {
            return expected.check_before(log, &until.place);
        };
        for partition in 0..log.histories[&incarnation.0].partitions.len() as u32 {
            once.check_any(log, &one.share, expected, partition, 0..until.place.offset(partition));
        }
    }

    /// Nothing is missed, and everything that was asked for was answered.
    pub(crate) fn check_complete(&self, log: &State) {
        assert!(self.asked.is_empty(), "every message was taken");
        for one in self.all.values() {
            assert!(one.is_acknowledged && !one.is_leaving, "every request was answered");
            match &self.once {
                None => one.expected.check_complete(log),
                Some(once) => once.check_complete(log, &one.share, &one.expected),
            }
        }
    }

    /// Whether one of the subscriptions is like this.
    pub(crate) fn any(&self, is: impl Fn(&Expected) -> bool) -> bool {
        self.all.values().any(|one| is(&one.expected))
    }

    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// Whether the client has asked to be closed.
    pub(crate) fn expires(&self) -> bool {
        self.expires
    }
}
