//! What a group costs for each event, without sockets: `cargo run --release -p sockeye-group --example cost`.
#![allow(clippy::print_stdout, reason = "a program that shows its result")]

use std::time::Instant;

use bytestring::ByteString;
use sockeye_group::{Balance, Group, Item, Mark, MemberId, Output, Receipts, ping_payload};
use sockeye_limits as limits;
use sockeye_log::{Incarnation, Position};

#[derive(Clone)]
struct Event {
    id: ByteString,
    device: ByteString,
}

/// What was given to a member and is not answered.
#[derive(Default)]
struct Unanswered {
    ping: Option<u64>,
    ids: Vec<ByteString>,
}

const EVENTS: u64 = 2_000_000;
/// Events that come together, as from one batch of the log.
const BATCH: u64 = 100;
const CLIENT: Receipts = Receipts::Client {
    time: limits::GROUP_ACK_TIME,
};

// ----------------------------------------------------------------------------------------------

impl Item for Event {
    fn id(&self) -> &str {
        &self.id
    }
    fn device(&self) -> &ByteString {
        &self.device
    }
    fn bytes(&self) -> usize {
        500
    }
}

fn main() {
    println!("ns of CPU for each event, from its reading to its receipt:");
    for (name, receipts) in [("Pongs", Receipts::Pong), ("Acks", CLIENT)] {
        for balance in [Balance::Any, Balance::Device] {
            for members in [1, 4, 100] {
                let cost = run(members, receipts, balance);
                println!("  {members:>3} members, {name:>5}, {balance:?}: {cost:.0}");
            }
        }
    }
}

fn run(members: usize, receipts: Receipts, balance: Balance) -> f64 {
    let position = |next| Position::new(Incarnation(1), [(0, next)]);
    let mut group = Group::load(&Mark::at(position(0)));
    let ids: Vec<MemberId> = (0..members)
        .map(|_| group.join(receipts, balance).expect("there is room"))
        .collect();
    let mut unanswered: Vec<Unanswered> = ids.iter().map(|_| Unanswered::default()).collect();
    let at = |member: MemberId| ids.binary_search(&member).expect("a member");
    let events: Vec<Event> = (0..1_000)
        .map(|number| Event {
            id: format!("{number:036}").into(),
            device: format!("device-{number}").into(),
        })
        .collect();
    let start = cpu();
    let mut next = 0;
    while next < EVENTS {
        let now = Instant::now();
        let end = next + BATCH;
        while next < end && group.has_room() {
            group.push(0, next, events[(next % 1_000) as usize].clone());
            next += 1;
        }
        group.passed(&position(next), now);
        while let Some(output) = group.next(now) {
            match output {
                Output::Deliver { member, item, .. } if receipts != Receipts::Pong => {
                    unanswered[at(member)].ids.push(item.id);
                }
                Output::Ping { member, number } => unanswered[at(member)].ping = Some(number),
                Output::Persist(mark) => {
                    std::hint::black_box(mark.encode_receipted());
                    group.persisted(true, now);
                }
                _ => {}
            }
        }
        for (member, unanswered) in ids.iter().zip(&mut unanswered) {
            if let Some(number) = unanswered.ping.take() {
                group.pong(*member, &ping_payload(number), now);
            }
            for id in unanswered.ids.drain(..) {
                group.ack(*member, &id, now);
            }
        }
    }
    (cpu() - start) as f64 / EVENTS as f64
}

/// CPU time of this thread, in ns: what else runs on the machine is not measured.
fn cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("this is Linux");
    let used = stat.split(' ').next().and_then(|used| used.parse().ok());
    used.expect("the time on the CPU comes first")
}
