//! Groups of which one connection is a member, beside its subscriptions.

use std::sync::Arc;
use std::time::Duration;

use sockeye_delivery::{Remote, RemoteError, Seat, Selection, SubscriptionId};
use sockeye_limits as limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{sleep, timeout};

use crate::groups::joining;
use crate::subscriptions::{Named, channel, client, connect, expect, live};
use crate::world::{PING, PONG, TEXT, World, frame, frames};

async fn seat(world: &World, name: &'static str, selection: Selection) -> Seat {
    let joining = sockeye_delivery::Joining {
        selection,
        ..joining(name)
    };
    world.delivery.join(joining, Arc::new(Named(name))).await.unwrap()
}

async fn join(world: &World, remote: &Remote, name: &'static str, of: &str) -> SubscriptionId {
    let seat = seat(world, name, channel(of)).await;
    remote.join(seat, Some(name)).unwrap()
}

/// What comes until nothing does: texts, and payloads of Pings.
async fn take(io: &mut DuplexStream) -> (Vec<String>, Vec<Vec<u8>>) {
    let (mut bytes, mut texts, mut pings) = (Vec::new(), Vec::new(), Vec::new());
    while let Ok(read) = timeout(Duration::from_secs(1), io.read_buf(&mut bytes)).await {
        assert_ne!(read.unwrap(), 0, "the connection is open");
        for (opcode, payload) in frames(&mut bytes) {
            match opcode {
                TEXT => texts.push(String::from_utf8(payload).unwrap()),
                PING if payload != b"PING" => pings.push(payload),
                _ => {}
            }
        }
    }
    (texts, pings)
}

#[tokio::test(start_paused = true)]
async fn groups_are_beside_subscriptions() {
    let world = World::new();
    let (io, remote) = connect::<true>(&world, 1 << 16, None).await;
    let mut client = client(io).await;
    remote.subscribe(live(&world, "live", channel("a"))).unwrap();
    expect(&mut client, &["live"]).await;
    let g = join(&world, &remote, "g", "a").await;
    expect(&mut client, &["g"]).await;
    world.log.append("a", ["1".to_owned()]);
    let mut both = [
        crate::world::next(&mut client).await,
        crate::world::next(&mut client).await,
    ]
    .map(|m| m.to_string());
    both.sort_unstable();
    assert_eq!(both, ["g 1", "live 1"]);
    remote.unsubscribe(g, None, Some("not g")).unwrap();
    expect(&mut client, &["not g"]).await;
    world.log.append("a", ["2".to_owned()]);
    expect(&mut client, &["live 2"]).await;
    // What it left, or has not seen, is there for who comes next.
    let other = connect::<true>(&world, 1 << 16, None).await;
    join(&world, &other.1, "g", "a").await;
    let mut other = crate::subscriptions::client(other.0).await;
    expect(&mut other, &["g"]).await;
    while crate::world::next(&mut other).await.to_string() != "g 2" {}
}

/// RFC 6455 section 5.5.3: a client that has several Pings to answer may answer the last one alone.
#[tokio::test(start_paused = true)]
async fn an_answer_is_a_receipt_for_all_groups_that_asked_before() {
    let world = World::new();
    let (mut io, remote) = connect::<true>(&world, 1 << 16, None).await;
    for (name, of) in [("g", "a"), ("h", "b"), ("i", "c")] {
        join(&world, &remote, name, of).await;
    }
    assert_eq!(take(&mut io).await.0, ["g", "h", "i"]);
    for of in ["a", "b", "c"] {
        world.log.append(of, [of.to_owned()]);
    }
    let (mut texts, pings) = take(&mut io).await;
    texts.sort_unstable();
    assert_eq!(texts, ["g a", "h b", "i c"]);
    assert_eq!(pings.len(), 3, "each group asks");
    let lows = || ["g", "h", "i"].map(|group| world.positions.low(group));
    let before = lows();
    // To the second Ping of three; and to one that nobody sent.
    for payload in [&pings[1][..], b"12345678"] {
        io.write_all(&frame(PONG, payload)).await.unwrap();
    }
    sleep(Duration::from_secs(3)).await;
    let moved = lows().iter().zip(before).filter(|(now, before)| *now > before).count();
    assert_eq!(moved, 2);
    io.write_all(&frame(PONG, &pings[2])).await.unwrap();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(lows(), [3; 3], "all of it is receipted");
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_a_member_of_a_bounded_number_of_groups() {
    let world = World::new();
    let (io, remote) = connect::<true>(&world, 1 << 16, None).await;
    let mut client = client(io).await;
    let mut last = SubscriptionId::FIRST;
    for _ in 0..limits::WS_GROUPS {
        last = join(&world, &remote, "g", "a").await;
        expect(&mut client, &["g"]).await;
    }
    let more = seat(&world, "g", channel("a")).await;
    let (error, more) = remote.join(more, None).unwrap_err();
    assert_eq!(error, RemoteError::TooManyGroups);
    remote.unsubscribe(last, None, Some("less")).unwrap();
    expect(&mut client, &["less"]).await;
    remote.join(more, Some("more")).unwrap();
    expect(&mut client, &["more"]).await;
    drop(client);
}
