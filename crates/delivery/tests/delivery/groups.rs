//! Groups over pipes: each event goes to one member, and none is lost.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt};
use sockeye_delivery::{Balance, Cause, End, EnterError, JoinError, Joining, MemoryLimits, Receipts, Seat, Selection};
use sockeye_limits as limits;
use sockeye_log::{GroupError, GroupId, NewRecord, ReadError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Received;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::world::{
    CLOSE, Client, PING, PONG, Plain, PlainFrames, TEXT, World, closed, frame, frames, next, numbers, position, topic,
};

/// More than a group takes to store what was receipted.
const SETTLED: Duration = Duration::from_secs(3);

const CLIENT: Receipts = Receipts::Client {
    time: Duration::from_secs(30),
};

pub(crate) fn joining(group: &str) -> Joining {
    Joining {
        topic: topic(),
        group: group.into(),
        selection: Selection::default(),
        balance: Balance::Any,
        receipts: Receipts::Pong,
        deflate: false,
        name: None,
    }
}

fn acknowledging(group: &str) -> Joining {
    Joining {
        receipts: CLIENT,
        ..joining(group)
    }
}

fn identity(group: &str) -> GroupId {
    GroupId {
        application: "app".into(),
        group: group.into(),
        selection: String::new(),
    }
}

async fn enter(world: &World, joining: Joining) -> Result<Seat, EnterError> {
    world.delivery.join(joining, Arc::new(PlainFrames)).await
}

/// Serves a member over a pipe of this many bytes.
pub(crate) async fn open(world: &World, joining: Joining, pipe: usize) -> (tokio::io::DuplexStream, JoinHandle<End>) {
    let deflate = joining.deflate;
    let seat = enter(world, joining).await.unwrap();
    let (client, server) = tokio::io::duplex(pipe);
    let delivery = world.delivery.clone();
    let end = tokio::spawn(async move { delivery.serve(server, seat, Plain, deflate).await });
    (client, end)
}

async fn member_of(world: &World, joining: Joining) -> (Client, JoinHandle<End>) {
    let (client, end) = open(world, joining, 1 << 16).await;
    (WebSocketStream::from_raw_socket(client, Role::Client, None).await, end)
}

async fn member(world: &World, group: &str) -> Client {
    member_of(world, joining(group)).await.0
}

/// The next events of a member.
async fn take(client: &mut Client, count: usize) -> Vec<usize> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let message = next(client).await;
        taken.push(message.to_text().unwrap().parse().unwrap());
    }
    taken
}

/// What a member gets, answering Pings, until it gets nothing for a while.
async fn take_all(client: &mut Client) -> Vec<usize> {
    let mut taken = Vec::new();
    while let Ok(mut some) = timeout(SETTLED, take(client, 1)).await {
        taken.append(&mut some);
    }
    taken
}

async fn say(client: &mut Client, text: &str) {
    client.send(Received::text(text.to_owned())).await.unwrap();
}

/// Ends a connection as a client that crashes does.
async fn kill(client: Client, end: JoinHandle<End>) {
    drop(client);
    end.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn members_alternate_and_what_they_read_is_durable() {
    let world = World::new();
    world.log.append("a", ["before".into()]);
    let (mut one, mut two) = (member(&world, "g").await, member(&world, "g").await);
    assert_eq!(
        world.positions.low("g"),
        1,
        "a new group begins at the end, and that is durable"
    );
    world.log.append("a", numbers(20));
    assert_eq!(take(&mut one, 10).await, (0..20).step_by(2).collect::<Vec<_>>());
    assert_eq!(take(&mut two, 10).await, (1..20).step_by(2).collect::<Vec<_>>());
    let (rest, other) = tokio::join!(take_all(&mut one), take_all(&mut two));
    assert!(rest.is_empty() && other.is_empty());
    assert_eq!(world.positions.low("g"), 21);
    let groups = world.delivery.groups();
    assert_eq!((groups.len(), groups[0].members.len()), (1, 2));
    assert_eq!(
        (groups[0].lag(), groups[0].outstanding(), groups[0].counts.receipted),
        (0, 0, 20)
    );
    assert_eq!(groups[0].stored, position(21));
}

/// Other groups, other selections and readers without a group see every event.
#[tokio::test(start_paused = true)]
async fn each_group_and_selection_is_a_queue_of_its_own() {
    let world = World::new();
    let (mut one, mut other) = (member(&world, "g").await, member(&world, "h").await);
    let selection = Selection {
        channel: Some("a".into()),
        ..Selection::default()
    };
    let (mut channel, _end) = member_of(
        &world,
        Joining {
            selection,
            ..joining("g")
        },
    )
    .await;
    let (mut plain, _end) = world.client().await;
    world.log.append("a", numbers(3));
    world.log.append("b", ["3".into(), "4".into()]);
    let all: Vec<_> = (0..5).collect();
    assert_eq!(take(&mut one, 5).await, all);
    assert_eq!(take(&mut other, 5).await, all);
    assert_eq!(take(&mut plain, 5).await, all);
    assert_eq!(take_all(&mut channel).await, [0, 1, 2]);
    assert_eq!(world.delivery.groups().len(), 3);
    // What a group does not want is passed as well.
    let marks: Vec<_> = world
        .delivery
        .groups()
        .iter()
        .map(|group| (group.id.selection.clone(), group.lag()))
        .collect();
    assert!(marks.contains(&("channel=a".to_owned(), 0)), "{marks:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_member_had_not_read_goes_to_others() {
    let world = World::new();
    let (dead, end) = member_of(&world, joining("g")).await;
    let mut one = member(&world, "g").await;
    world.log.append("a", numbers(10));
    assert_eq!(take(&mut one, 5).await, [1, 3, 5, 7, 9]);
    kill(dead, end).await;
    assert_eq!(take(&mut one, 5).await, [0, 2, 4, 6, 8]);
    assert!(take_all(&mut one).await.is_empty());
    assert_eq!(world.positions.low("g"), 10);
}

/// Many groups are shown the end of the topic together; each leaves when it is full, and comes back without gap or double.
#[tokio::test(start_paused = true)]
async fn many_groups_of_one_topic() {
    let little = MemoryLimits {
        bytes: 2_000,
        bytes_per_topic: 1_000,
        segments: 2,
        group_bytes: 1_000,
        ..MemoryLimits::default()
    };
    for limits in [MemoryLimits::default(), little] {
        let world = World::with(limits);
        let mut members = Vec::new();
        for group in 0..20 {
            // Some take their time.
            let pipe = if group % 4 == 0 { 32 } else { 1 << 16 };
            let (client, _end) = open(&world, joining(&group.to_string()), pipe).await;
            let mut client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
            members.push(tokio::spawn(async move {
                let mut taken = Vec::new();
                while taken.len() < 1_000 {
                    taken.append(&mut take(&mut client, 1).await);
                    if group % 5 == 0 {
                        sleep(Duration::from_millis(10)).await;
                    }
                }
                taken.append(&mut take_all(&mut client).await);
                taken
            }));
        }
        for batch in 0..100 {
            world
                .log
                .append("a", (batch * 10..batch * 10 + 10).map(|number| number.to_string()));
            sleep(Duration::from_millis(batch as u64 % 30)).await;
        }
        for (group, member) in members.into_iter().enumerate() {
            assert_eq!(member.await.unwrap(), (0..1_000).collect::<Vec<_>>(), "group {group}");
            assert_eq!(world.positions.low(&group.to_string()), 1_000);
        }
    }
}

/// Without members, events wait in the log; the group is loaded where it was.
#[tokio::test(start_paused = true)]
async fn a_group_without_members_keeps_its_place() {
    let world = World::new();
    let (mut one, end) = member_of(&world, joining("g")).await;
    world.log.append("a", numbers(5));
    assert_eq!(take_all(&mut one).await, [0, 1, 2, 3, 4]);
    kill(one, end).await;
    sleep(SETTLED).await;
    assert!(world.delivery.groups().is_empty(), "nobody has it");
    assert_eq!(world.positions.low("g"), 5);
    world.log.append("a", ["5".into(), "6".into()]);
    assert_eq!(take_all(&mut member(&world, "g").await).await, [5, 6]);
}

/// What was not stored when the server died is delivered again, and nothing else.
#[tokio::test(start_paused = true)]
async fn a_new_server_goes_on_at_the_durable_mark() {
    let old = World::new();
    let mut one = member(&old, "g").await;
    old.log.append("a", numbers(5));
    assert_eq!(take_all(&mut one).await, [0, 1, 2, 3, 4]);
    old.positions.unavailable();
    old.log.append("a", ["5".into(), "6".into()]);
    assert_eq!(take_all(&mut one).await, [5, 6]);
    old.positions.fail(None);
    // The old one does nothing more: its time stands still with this copy.
    let positions = old.positions.copy();
    let new = World::over(old.log.clone(), positions, MemoryLimits::default());
    old.log.append("a", ["7".into()]);
    assert_eq!(take_all(&mut member(&new, "g").await).await, [5, 6, 7]);
    assert_eq!(new.positions.low("g"), 8);
}

/// Everything that was receipted is stored before the server is gone.
#[tokio::test(start_paused = true)]
async fn a_server_that_stops_stores_the_last_mark() {
    let world = World::new();
    let mut one = member(&world, "g").await;
    world.log.append("a", numbers(5));
    assert_eq!(take(&mut one, 5).await.len(), 5);
    // It answers the Ping.
    assert!(timeout(Duration::from_millis(100), next(&mut one)).await.is_err());
    assert_eq!(world.positions.low("g"), 0);
    world.positions.unavailable();
    world.stop.cancel();
    world.tasks.close();
    assert_eq!(closed(&mut one).await.0, 1001);
    assert!(
        timeout(SETTLED, world.tasks.wait()).await.is_err(),
        "it waits until it can"
    );
    world.positions.fail(None);
    world.tasks.wait().await;
    assert_eq!(world.positions.low("g"), 5);
}

#[tokio::test(start_paused = true)]
async fn without_a_store_of_positions_nothing_is_lost() {
    let world = World::new();
    world.positions.unavailable();
    let refused = enter(&world, joining("g")).await.unwrap_err();
    assert!(matches!(refused, EnterError::Unavailable(_)), "{refused:?}");
    world.positions.fail(None);
    let mut one = member(&world, "g").await;
    world.positions.unavailable();
    let count = limits::GROUP_WINDOW_EVENTS + 100;
    world.log.append("a", numbers(count));
    let first = take_all(&mut one).await;
    assert_eq!(
        first,
        (0..limits::GROUP_WINDOW_EVENTS).collect::<Vec<_>>(),
        "it reads no further"
    );
    assert_eq!(world.positions.low("g"), 0);
    world.positions.fail(None);
    assert_eq!(
        take_all(&mut one).await,
        (limits::GROUP_WINDOW_EVENTS..count).collect::<Vec<_>>()
    );
    assert_eq!(world.positions.low("g"), count as u64);
}

/// It holds what its credit is, and no more; its receipts come late, but it is not taken for dead.
#[tokio::test(start_paused = true)]
async fn a_slow_member_holds_up_nobody() {
    let world = World::new();
    let (mut slow, end) = open(&world, joining("g"), 64).await;
    let mut fast = member(&world, "g").await;
    world.log.append("a", numbers(1_000));
    let taken = take_all(&mut fast).await;
    assert!(taken.len() >= 1_000 - limits::GROUP_CREDIT_FIRST, "{}", taken.len());
    // It is pinged on.
    tokio::spawn(async move { while !matches!(next(&mut fast).await, Received::Close(_)) {} });
    let mut bytes = Vec::new();
    let mut rest = 0;
    while world.positions.low("g") < 1_000 {
        let mut some = [0; 8];
        let read = timeout(2 * limits::WS_PING_INTERVAL, slow.read(&mut some)).await;
        let count = read.expect("it is pinged at least").unwrap();
        bytes.extend_from_slice(&some[..count]);
        for (opcode, payload) in frames(&mut bytes) {
            match opcode {
                TEXT => rest += 1,
                PING => slow.write_all(&frame(PONG, &payload)).await.unwrap(),
                other => panic!("{other}"),
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert!(!end.is_finished());
    assert_eq!(rest, 1_000 - taken.len());
    assert_eq!(world.delivery.groups()[0].counts.redelivered, 0);
}

#[tokio::test(start_paused = true)]
async fn who_never_answers_pings_is_closed_with_the_remedy() {
    let world = World::new();
    let (mut mute, end) = open(&world, joining("g"), 1 << 16).await;
    world.log.append("a", numbers(3));
    let start = Instant::now();
    let mut bytes = Vec::new();
    let mut seen = Vec::new();
    while seen.last().is_none_or(|(opcode, _)| *opcode != CLOSE) {
        // Pongs that nobody asked for are signs of life, and no receipts.
        slow_read(&mut mute, &mut bytes).await;
        seen.append(&mut frames(&mut bytes));
        mute.write_all(&frame(PONG, b"PING")).await.unwrap();
    }
    let (_, close) = seen.pop().unwrap();
    assert_eq!(close[..2], 1008_u16.to_be_bytes());
    assert!(String::from_utf8_lossy(&close[2..]).contains("`ack=client`"));
    let took = start.elapsed();
    assert!(
        took >= limits::GROUP_RECEIPT_TIME && took < limits::GROUP_RECEIPT_TIME + SETTLED,
        "{took:?}"
    );
    assert_eq!(
        seen.iter().filter(|(opcode, _)| *opcode == PING).count(),
        1,
        "one number is outstanding"
    );
    mute.write_all(&frame(CLOSE, &close)).await.unwrap();
    assert_eq!(end.await.unwrap().cause, Cause::NoReceipt);
    assert_eq!(take_all(&mut member(&world, "g").await).await, [0, 1, 2]);
}

/// What comes within half a second.
async fn slow_read(io: &mut tokio::io::DuplexStream, bytes: &mut Vec<u8>) {
    sleep(Duration::from_millis(500)).await;
    if let Some(count) = io.read_buf(bytes).now_or_never() {
        count.unwrap();
    }
}

/// The usual Ping of an idle member carries a number too, so that at most one is outstanding.
#[tokio::test(start_paused = true)]
async fn an_idle_member_is_pinged_as_ever() {
    let world = World::new();
    let (mut idle, _end) = open(&world, joining("g"), 1 << 16).await;
    let (mut strict, _end) = open(&world, acknowledging("g"), 1 << 16).await;
    let (mut pings, mut bytes) = (Vec::new(), [Vec::new(), Vec::new()]);
    for _ in 0..44 {
        for (member, bytes) in [&mut idle, &mut strict].into_iter().zip(&mut bytes) {
            slow_read(member, bytes).await;
            for (opcode, payload) in frames(bytes) {
                assert_eq!(opcode, PING);
                member.write_all(&frame(PONG, &payload)).await.unwrap();
                pings.push(payload);
            }
        }
    }
    let numbered = pings
        .iter()
        .filter(|payload| payload[..] == 0_u64.to_be_bytes())
        .count();
    let plain = pings.iter().filter(|payload| payload[..] == b"PING"[..]).count();
    assert_eq!((numbered, plain), (8, 8), "every five seconds: {pings:?}");
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_are_receipts_and_pongs_are_not() {
    let world = World::new();
    let (mut one, end) = member_of(&world, acknowledging("g")).await;
    world.log.append("a", numbers(3));
    assert_eq!(take(&mut one, 3).await, [0, 1, 2]);
    say(&mut one, "ack 1").await;
    say(&mut one, "ack 7").await;
    say(&mut one, "nack 2").await;
    assert_eq!(take(&mut one, 1).await, [2], "returned at once");
    say(&mut one, "ack 2").await;
    sleep(SETTLED).await;
    let counts = world.delivery.groups()[0].counts;
    assert_eq!((counts.receipted, counts.unknown_acks, counts.nacks), (2, 1, 1));
    let mark = world.positions.of("g").unwrap();
    assert_eq!((mark.position, mark.receipted.is_empty()), (position(0), false));
    // What is stored beside the position holds for the next owner.
    kill(one, end).await;
    sleep(SETTLED).await;
    let (mut two, _end) = member_of(&world, acknowledging("g")).await;
    assert_eq!(take_all(&mut two).await[..1], [0]);
}

#[tokio::test(start_paused = true)]
async fn what_fails_too_often_goes_to_the_dead_letters() {
    let world = World::new();
    let (mut one, _end) = member_of(&world, acknowledging("g")).await;
    world.log.append("a", ["bad".into(), "good".into()]);
    assert_eq!(next(&mut one).await, Received::text("bad"));
    assert_eq!(next(&mut one).await, Received::text("good"));
    say(&mut one, "ack good").await;
    for _ in 1..limits::GROUP_FAILURES {
        say(&mut one, "nack bad").await;
        assert_eq!(next(&mut one).await, Received::text("bad"));
    }
    // The log is away: the event is offered once more.
    world.log.unavailable();
    say(&mut one, "nack bad").await;
    assert_eq!(next(&mut one).await, Received::text("bad"));
    world.log.fail(None);
    assert_eq!((world.log.dead().len(), world.positions.low("g")), (0, 0));
    say(&mut one, "nack bad").await;
    sleep(SETTLED).await;
    let dead = world.log.dead();
    let [NewRecord { headers, payload }] = &dead[..] else {
        panic!("{dead:?}")
    };
    assert_eq!(
        (headers.get("ce_id"), payload.as_deref()),
        (Some(&b"bad"[..]), Some(&b"bad"[..]))
    );
    assert_eq!(headers.get("sockeye-dead-group"), Some(&b"g"[..]));
    assert_eq!(world.positions.low("g"), 2);
    assert_eq!(world.delivery.groups()[0].counts.dead_letters, 1);
}

#[tokio::test(start_paused = true)]
async fn the_numbers_of_a_group_are_seen() {
    let world = World::new();
    let (mut one, _end) = member_of(&world, acknowledging("a\"b")).await;
    world.log.append("a", numbers(40));
    assert_eq!(take(&mut one, limits::GROUP_CREDIT_FIRST).await.len(), 32);
    for text in ["ack 0", "nack 1", "ack nothing"] {
        say(&mut one, text).await;
    }
    sleep(SETTLED).await;
    let labels = r#"{application="app",group="a\"b",selection=""}"#;
    for (name, expected) in [
        ("members", 1),
        ("lag", 39),
        ("outstanding", 33),
        ("waiting", 6),
        ("credit", 33),
        ("deliveries_total", 35),
        ("redeliveries_total", 1),
        ("receipts_total", 1),
        ("dead_letters_total", 0),
        ("no_receipts_total", 0),
        ("stray_receipts_total", 1),
        ("trimmed_total", 0),
    ] {
        assert_eq!(
            world.metric(&format!("delivery_group_{name}{labels}")),
            expected,
            "{name}"
        );
    }
    // The log is of 1970.
    assert!(world.metric(&format!("delivery_group_lag_seconds{labels}")) > 1_000_000_000);
    assert_eq!(world.metric("delivery_groups "), 1);
}

#[tokio::test(start_paused = true)]
async fn a_device_stays_with_one_member() {
    let world = World::new();
    let by_device = || Joining {
        balance: Balance::Device,
        ..joining("g")
    };
    let (mut one, end) = member_of(&world, by_device()).await;
    let (mut two, _end) = member_of(&world, by_device()).await;
    let refused = enter(&world, joining("g")).await.unwrap_err();
    assert_eq!(refused, JoinError::OtherBalance.into());
    for number in 0..30 {
        world.log.append_of(["x", "y", "z"][number % 3], &number.to_string());
    }
    let (first, second) = tokio::join!(take_all(&mut one), take_all(&mut two));
    let devices = |taken: &[usize]| {
        taken
            .iter()
            .map(|number| number % 3)
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert!(devices(&first).is_disjoint(&devices(&second)), "{first:?} {second:?}");
    assert_eq!(first.len() + second.len(), 30);
    assert!(first.is_sorted() && second.is_sorted());
    // Its successor has all of it, in order.
    kill(one, end).await;
    for number in 30..60 {
        world.log.append_of(["x", "y", "z"][number % 3], &number.to_string());
    }
    assert_eq!(take_all(&mut two).await, (30..60).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn retention_that_passes_a_group_is_counted() {
    let world = World::new();
    let (one, end) = member_of(&world, joining("g")).await;
    kill(one, end).await;
    world.log.append("a", numbers(100));
    world.log.trim(90);
    let mut one = member(&world, "g").await;
    assert_eq!(take_all(&mut one).await, (90..100).collect::<Vec<_>>());
    assert_eq!(world.delivery.groups()[0].trimmed, 90);
    assert_eq!(world.positions.of("g").unwrap().trimmed, 90);
    assert_eq!(world.positions.low("g"), 100);
}

#[tokio::test(start_paused = true)]
async fn a_group_goes_on_from_another_place() {
    let world = World::new();
    let mut one = member(&world, "g").await;
    world.log.append("a", numbers(10));
    assert_eq!(take(&mut one, 10).await.len(), 10);
    world.delivery.seek_group(&identity("g"), &position(7)).await.unwrap();
    let (code, reason) = closed(&mut one).await;
    assert_eq!((code, reason.contains("group seek")), (1012, true), "{reason}");
    assert_eq!(take_all(&mut member(&world, "g").await).await, [7, 8, 9]);
    let unknown = world.delivery.seek_group(&identity("other"), &position(7)).await;
    assert_eq!(unknown, Err(GroupError::NoGroup));
}

#[tokio::test(start_paused = true)]
async fn a_group_is_forgotten() {
    let world = World::new();
    let mut one = member(&world, "g").await;
    world.log.append("a", numbers(10));
    assert_eq!(take(&mut one, 10).await.len(), 10);
    assert_eq!(world.delivery.forget_group(&identity("g")).await, Ok(true));
    assert_eq!(closed(&mut one).await, (1008, "the group was deleted".to_owned()));
    sleep(SETTLED).await;
    assert_eq!(world.positions.of("g"), None, "nothing is stored behind its back");
    assert!(world.delivery.groups().is_empty());
    assert_eq!(world.delivery.forget_group(&identity("g")).await, Ok(false));
    assert!(
        take_all(&mut member(&world, "g").await).await.is_empty(),
        "a new one begins at the end"
    );
}

#[tokio::test(start_paused = true)]
async fn members_are_told_why_the_log_cannot_be_read() {
    for (error, code, part) in [
        (ReadError::NoTopic(topic()), 1008, "deleted"),
        (ReadError::OtherIncarnation { oldest: position(0) }, 1011, "replaced"),
    ] {
        let world = World::new();
        let mut one = member(&world, "g").await;
        world.log.fail(Some(error));
        let (found, reason) = closed(&mut one).await;
        assert!(found == code && reason.contains(part), "{found} {reason}");
        sleep(SETTLED).await;
        assert!(world.delivery.groups().is_empty());
        assert_eq!(
            world.positions.stored(),
            0,
            "the positions of a log that is gone say nothing"
        );
    }
}

/// A new log has nothing of the old one; what a restored backup lost is not waited for.
#[tokio::test(start_paused = true)]
async fn a_log_that_is_another_one_is_read_from_its_beginning() {
    let world = World::new();
    world.log.append("a", numbers(5));
    let other = sockeye_log::Position::new(sockeye_log::Incarnation(7), [(0, 99)]);
    for (stored, expected) in [(other, 0..5), (position(99), 5..5)] {
        world.positions.put(&identity("g"), stored);
        let (mut one, end) = member_of(&world, joining("g")).await;
        assert_eq!(take_all(&mut one).await, expected.collect::<Vec<_>>());
        kill(one, end).await;
        sleep(SETTLED).await;
        assert_eq!(world.positions.low("g"), 5);
    }
}

/// A client that never becomes a connection, because it goes before its 101 does.
#[tokio::test(start_paused = true)]
async fn who_goes_before_the_connection_is_open_leaves_nothing() {
    let world = World::new();
    let seat = enter(&world, joining("g")).await.unwrap();
    let mut one = member(&world, "g").await;
    world.log.append("a", numbers(4));
    assert_eq!(take(&mut one, 2).await, [1, 3]);
    drop(seat);
    assert_eq!(take(&mut one, 2).await, [0, 2]);
}
