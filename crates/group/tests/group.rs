//! Groups by examples: one for each sentence of the contract (DESIGN.md, contract points 3 and 4).

use std::time::{Duration, Instant};

use bytestring::ByteString;
use sockeye_group::{Balance, Group, Item, JoinError, Mark, MemberId, Output, Receipts, Settings, ping_payload};
use sockeye_limits as limits;
use sockeye_log::{Incarnation, Position};

/// `id` and device, and the offset.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event(&'static str, ByteString, u64);

struct World {
    group: Group<Event>,
    now: Instant,
    /// The next offset.
    end: u64,
}

const CLIENT: Receipts = Receipts::Client {
    time: Duration::from_secs(30),
};

// ----------------------------------------------------------------------------------------------

impl Item for Event {
    fn id(&self) -> &str {
        self.0
    }
    fn device(&self) -> &ByteString {
        &self.1
    }
    fn bytes(&self) -> usize {
        100
    }
}

impl World {
    fn new(settings: Settings) -> Self {
        Self {
            group: Group::with_settings(&Mark::at(position(0)), settings),
            now: Instant::now(),
            end: 0,
        }
    }

    fn push(&mut self, id: &'static str, device: &str) {
        self.group.push(0, self.end, Event(id, device.into(), self.end));
        self.end += 1;
        self.group.passed(&position(self.end), self.now);
    }

    fn pushes(&mut self, count: usize) {
        for _ in 0..count {
            self.push("1", "d");
        }
    }

    /// What is to be done, as text; marks are stored.
    fn outputs(&mut self) -> Vec<String> {
        let mut outputs = Vec::new();
        while let Some(output) = self.group.next(self.now) {
            outputs.push(match output {
                Output::Deliver {
                    member,
                    number,
                    item,
                    redelivered,
                } => {
                    let again = if redelivered { " again" } else { "" };
                    format!("{} to {member:?} as {number}{again}", item.2)
                }
                Output::Ping { member, number } => format!("ping {member:?} {number}"),
                Output::Close { member, reason } => format!("close {member:?}: {reason}"),
                Output::Persist(mark) => {
                    self.group.persisted(true, self.now);
                    format!("persist {}", mark.position.offset(0))
                }
                Output::DeadLetter { ticket, item, failures } => {
                    self.group.dead_lettered(ticket, true, self.now);
                    format!("dead {} after {failures}", item.2)
                }
            });
        }
        outputs
            .iter()
            .map(|output| output.replace("MemberId(", "m").replace(')', ""))
            .collect()
    }

    fn expect(&mut self, expected: &[&str]) {
        assert_eq!(self.outputs(), expected);
    }

    fn join(&mut self, receipts: Receipts) -> MemberId {
        self.group.join(receipts, Balance::Any).expect("it may")
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.group.tick(self.now);
    }
}

fn position(next: u64) -> Position {
    Position::new(Incarnation(1), [(0, next)])
}

#[test]
fn members_alternate_and_receipts_move_the_position() {
    let mut world = World::new(Settings::default());
    let (one, two) = (world.join(Receipts::Pong), world.join(Receipts::Pong));
    world.pushes(4);
    let deliveries = ["0 to m1 as 1", "1 to m2 as 1", "2 to m1 as 2", "3 to m2 as 2"];
    world.expect(&[&deliveries[..], &["ping m1 2", "ping m2 2"]].concat());
    assert!(world.group.pong(two, &ping_payload(2), world.now));
    world.now += limits::GROUP_PERSIST_TIME;
    world.expect(&["persist 0"]);
    world.pushes(1);
    world.expect(&["4 to m1 as 3"]);
    assert!(world.group.pong(one, &ping_payload(2), world.now));
    world.now += limits::GROUP_PERSIST_TIME;
    world.expect(&["persist 4", "ping m1 3"]);
}

#[test]
fn a_pong_that_nobody_asked_for_is_counted() {
    let mut world = World::new(Settings::default());
    let (one, two) = (world.join(Receipts::Pong), world.join(CLIENT));
    world.pushes(2);
    world.expect(&["0 to m1 as 1", "1 to m2 as 1", "ping m1 1"]);
    for payload in [&ping_payload(0)[..], &ping_payload(2), b"PING", b""] {
        assert!(!world.group.pong(one, payload, world.now), "{payload:?}");
    }
    assert!(!world.group.pong(two, &ping_payload(1), world.now));
    assert_eq!((world.group.counts().unasked_pongs, world.group.open()), (4, 2));
    assert!(world.group.pong(one, &ping_payload(1), world.now));
    assert!(!world.group.pong(one, &ping_payload(1), world.now));
    assert_eq!((world.group.counts().unasked_pongs, world.group.open()), (5, 1));
}

#[test]
fn who_gives_no_receipt_is_closed_and_others_get_what_it_had() {
    let mut world = World::new(Settings::default());
    let one = world.join(Receipts::Pong);
    world.pushes(2);
    world.expect(&["0 to m1 as 1", "1 to m1 as 2", "ping m1 2"]);
    assert_eq!(world.group.deadline(), Some(world.now + limits::GROUP_RECEIPT_TIME));
    let half = limits::GROUP_RECEIPT_TIME / 2;
    world.pass(half);
    world.expect(&[]);
    world.join(Receipts::Pong);
    world.pass(half);
    let close =
        "close m1: no receipt for 30 s: a group's Pings must be answered, or ask for `ack=client` and send Acks";
    world.expect(&[close, "0 to m2 as 1 again", "1 to m2 as 2 again", "ping m2 2"]);
    world.group.leave(one);
    world.expect(&[]);
}

#[test]
fn an_ack_is_for_the_oldest_delivery_with_its_id() {
    let mut world = World::new(Settings::default());
    let one = world.join(CLIENT);
    world.push("a", "d");
    world.push("b", "d");
    world.push("a", "d");
    world.expect(&["0 to m1 as 1", "1 to m1 as 2", "2 to m1 as 3"]);
    assert!(world.group.ack(one, "a", world.now));
    assert!(!world.group.ack(one, "c", world.now));
    world.now += limits::GROUP_PERSIST_TIME;
    world.expect(&["persist 1"]);
    assert!(world.group.ack(one, "a", world.now) && world.group.ack(one, "b", world.now));
    assert!(!world.group.ack(one, "a", world.now) && !world.group.nack(one, "b"));
    assert_eq!(world.group.counts().unknown_acks, 3);
    world.now += limits::GROUP_PERSIST_TIME;
    world.expect(&["persist 3"]);
}

#[test]
fn what_failed_is_offered_to_others_and_then_dead() {
    let settings = Settings {
        failures: 3,
        ..Settings::default()
    };
    let mut world = World::new(settings);
    let (one, two) = (world.join(CLIENT), world.join(CLIENT));
    world.push("a", "d");
    world.expect(&["0 to m1 as 1"]);
    assert!(world.group.nack(one, "a"));
    world.expect(&["0 to m2 as 1 again"]);
    world.pass(Duration::from_secs(30));
    world.expect(&["0 to m1 as 2 again"]);
    assert_eq!(world.group.members().count(), 2, "who is late stays");
    world.group.leave(one);
    world.expect(&["dead 0 after 3"]);
    world.group.leave(two);
    world.expect(&["persist 1"]);
    assert!(world.group.is_idle());
}

#[test]
fn a_device_stays_with_its_member_in_order() {
    let mut world = World::new(Settings::default());
    let one = world.group.join(CLIENT, Balance::Device).unwrap();
    assert_eq!(world.group.join(CLIENT, Balance::Any), Err(JoinError::OtherBalance));
    for id in ["a", "b", "c"] {
        world.push(id, "x");
    }
    world.expect(&["0 to m1 as 1", "1 to m1 as 2", "2 to m1 as 3"]);
    world.group.join(CLIENT, Balance::Device).unwrap();
    world.push("d", "x");
    world.expect(&["3 to m1 as 4"]);
    world.group.ack(one, "b", world.now);
    world.group.leave(one);
    world.expect(&["0 to m2 as 1 again", "2 to m2 as 2 again", "3 to m2 as 3 again"]);
}

#[test]
fn a_slow_member_does_not_hold_what_a_fast_one_could_take() {
    let mut world = World::new(Settings::default());
    let (_slow, fast) = (world.join(Receipts::Pong), world.join(Receipts::Pong));
    for _ in 0..20 {
        while world.group.has_room() {
            world.pushes(1);
        }
        while let Some(output) = world.group.next(world.now) {
            if let Output::Ping { member, number } = output
                && member == fast
            {
                world.group.pong(fast, &ping_payload(number), world.now);
            }
        }
    }
    let views: Vec<_> = world.group.members().collect();
    assert_eq!(views[0].outstanding, limits::GROUP_CREDIT_FIRST);
    assert_eq!(views[1].credit, limits::GROUP_CREDIT);
    assert!(views[1].delivered > 1_000, "{views:?}");
}

#[test]
fn reading_stops_while_receipts_cannot_be_stored() {
    let settings = Settings {
        window_events: 8,
        ..Settings::default()
    };
    let mut world = World::new(settings);
    let one = world.join(Receipts::Pong);
    for _ in 0..8 {
        assert!(world.group.has_room());
        world.pushes(1);
    }
    assert!(!world.group.has_room());
    while world.group.next(world.now).is_some() {}
    assert!(world.group.pong(one, &ping_payload(8), world.now));
    assert!(matches!(world.group.next(world.now), Some(Output::Persist(_))));
    assert!(world.group.next(world.now).is_none() && !world.group.has_room());
    world.group.persisted(false, world.now);
    assert!(world.group.next(world.now).is_none() && !world.group.has_room());
    world.now = world.group.deadline().unwrap();
    world.expect(&["persist 8"]);
    assert!(world.group.has_room());
}

#[test]
fn without_members_nothing_is_read_and_everything_is_kept() {
    let mut world = World::new(Settings::default());
    assert!(!world.group.has_room() && world.group.is_idle());
    let one = world.join(Receipts::Pong);
    world.pushes(2);
    world.expect(&["0 to m1 as 1", "1 to m1 as 2", "ping m1 2"]);
    world.group.leave(one);
    assert!(!world.group.has_room());
    world.expect(&[]);
    world.group.join(Receipts::Pong, Balance::Device).unwrap();
    world.expect(&["0 to m2 as 1 again", "1 to m2 as 2 again", "ping m2 2"]);
}

#[test]
fn a_usual_ping_is_a_receipt_too() {
    let mut world = World::new(Settings::default());
    let (one, two) = (world.join(Receipts::Pong), world.join(CLIENT));
    assert_eq!(world.group.keep_alive(one, world.now), Some(0));
    assert_eq!(world.group.keep_alive(one, world.now), None);
    assert_eq!(world.group.keep_alive(two, world.now), None);
    world.pushes(1);
    world.expect(&["0 to m1 as 1"]);
    assert!(world.group.pong(one, &ping_payload(0), world.now));
    world.expect(&[]);
    world.pass(limits::GROUP_ASK_TIME);
    world.expect(&["ping m1 1"]);
}

/// The answer to a Ping costs more than the event that it is for.
#[test]
fn a_member_is_asked_at_once_and_then_not_for_each_event() {
    let mut world = World::new(Settings::default());
    let one = world.join(Receipts::Pong);
    world.pushes(1);
    world.expect(&["0 to m1 as 1", "ping m1 1"]);
    let asked = world.now;
    assert!(world.group.pong(one, &ping_payload(1), world.now));
    let few = limits::GROUP_CREDIT_FIRST / limits::GROUP_ASK_PART - 1;
    world.pushes(few);
    assert_eq!(world.outputs().len(), few, "no Ping");
    assert_eq!(world.group.deadline(), Some(asked + limits::GROUP_ASK_TIME));
    world.pushes(1);
    assert_eq!(world.outputs(), ["16 to m1 as 17", "ping m1 17"], "half of the credit");
    assert!(world.group.pong(one, &ping_payload(17), world.now));
    world.pushes(1);
    world.expect(&["17 to m1 as 18"]);
    world.pass(limits::GROUP_ASK_TIME);
    world.expect(&["ping m1 18"]);
}
