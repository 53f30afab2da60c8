//! Subscriptions of one connection that come and go.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::world::{TEXT, World, frames, next, numbers, position, subscription};
use bytes::BytesMut;
use sockeye_delivery::{
    Begin, Encoder, Message, NewSubscription, Remote, RemoteError, Selection, Session, Subscription, SubscriptionId,
    Verdict,
};
use sockeye_event::Event;
use sockeye_limits as limits;
use sockeye_log::Position;
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Received;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Frames tell the subscription and the payload.
pub(crate) struct Named(pub(crate) &'static str);

/// A connection that is given away. `ONCE`: an event comes once for all subscriptions.
struct Given<const ONCE: bool>(mpsc::SyncSender<Remote>);

type Client = WebSocketStream<DuplexStream>;

// ----------------------------------------------------------------------------------------------

impl Encoder for Named {
    fn name(&self) -> &'static str {
        self.0
    }

    fn encode(&self, event: &Event, _: &Position, out: &mut BytesMut) {
        out.extend_from_slice(self.0.as_bytes());
        out.extend_from_slice(b" ");
        out.extend_from_slice(event.data.as_deref().unwrap_or_default());
    }
}

impl<const ONCE: bool> Session for Given<ONCE> {
    const DIALECT: &'static str = "given";
    const ONCE: bool = ONCE;

    fn encoder(&self) -> Arc<dyn Encoder> {
        Arc::new(Named("first"))
    }

    fn opened(&mut self, remote: Remote) {
        self.0.send(remote).unwrap();
    }

    fn receive(&mut self, _: Message<'_>) -> Verdict {
        Verdict::Ignore
    }
}

/// A connection over a pipe of this many bytes.
pub(crate) async fn connect<const ONCE: bool>(
    world: &World,
    pipe: usize,
    first: Option<Subscription>,
) -> (DuplexStream, Remote) {
    let (client, server) = tokio::io::duplex(pipe);
    let (tell, told) = mpsc::sync_channel(1);
    let delivery = Arc::clone(&world.delivery);
    let begin = first.map_or(Begin::Idle, Begin::from);
    tokio::spawn(async move { delivery.serve(server, begin, Given::<ONCE>(tell), false).await });
    tokio::task::yield_now().await;
    (client, told.recv().unwrap())
}

pub(crate) async fn client(io: DuplexStream) -> Client {
    WebSocketStream::from_raw_socket(io, Role::Client, None).await
}

pub(crate) fn channel(name: &str) -> Selection {
    Selection {
        channel: Some(name.into()),
        ..Selection::default()
    }
}

/// One of what comes from now on; acknowledged by its name.
pub(crate) fn live(world: &World, name: &'static str, selection: Selection) -> NewSubscription {
    let end = position(world.log.len());
    NewSubscription {
        what: Subscription {
            start: end.clone(),
            end,
            ..subscription(selection)
        },
        is_live: true,
        encoder: Arc::new(Named(name)),
        acknowledge: Some(name.to_owned()),
    }
}

/// One of everything from the beginning.
fn replay(world: &World, name: &'static str, selection: Selection) -> NewSubscription {
    let mut new = live(world, name, selection);
    new.what.start = position(0);
    new.is_live = false;
    new
}

pub(crate) async fn expect(client: &mut Client, texts: &[&str]) {
    for text in texts {
        assert_eq!(next(client).await, Received::text(*text));
    }
}

async fn nothing_comes(client: &mut Client) {
    let more = timeout(Duration::from_secs(1), next(client)).await;
    assert!(more.is_err(), "{more:?}");
}

/// Also a regression: a task span while a command waited for a lane and others waited behind it.
#[tokio::test(start_paused = true)]
async fn subscriptions_come_and_go_between_their_acknowledgements() {
    let world = World::new();
    let (io, remote) = connect::<false>(&world, 1 << 16, None).await;
    let mut client = client(io).await;
    world.log.append("a", ["before".to_owned()]);
    let a = remote.subscribe(live(&world, "a", channel("a"))).unwrap();
    expect(&mut client, &["a"]).await;
    world.log.append("a", ["1".to_owned()]);
    world.log.append("b", ["2".to_owned()]);
    expect(&mut client, &["a 1"]).await;

    let all = remote.subscribe(live(&world, "all", Selection::default())).unwrap();
    let b = remote.subscribe(live(&world, "b", channel("b"))).unwrap();
    expect(&mut client, &["all", "b"]).await;
    assert_eq!(world.metric("delivery_subscriptions{"), 3);
    assert_eq!(
        world.metric("delivery_lane_readers{selection=\"several\",frames=\"plain\"}"),
        1
    );
    world.log.append("a", ["3".to_owned()]);
    world.log.append("b", ["4".to_owned()]);
    expect(&mut client, &["a 3", "all 3", "all 4", "b 4"]).await;

    remote.unsubscribe(all, None, Some("not all")).unwrap();
    remote.unsubscribe(all, None, Some("not all, again")).unwrap();
    expect(&mut client, &["not all", "not all, again"]).await;
    world.log.append("a", ["5".to_owned()]);
    world.log.append("b", ["6".to_owned()]);
    expect(&mut client, &["a 5", "b 6"]).await;

    // Who has one subscription left shares a lane again with others that have the same.
    remote.unsubscribe(b, None, None).unwrap();
    sleep(Duration::from_millis(1)).await;
    world.log.append("b", ["7".to_owned()]);
    world.log.append("a", ["8".to_owned()]);
    expect(&mut client, &["a 8"]).await;
    assert_eq!(
        world.metric("delivery_lanes{selection=\"several\",frames=\"plain\"}"),
        0
    );
    assert_eq!(
        world.metric("delivery_lanes{selection=\"channel\",frames=\"plain\"}"),
        1
    );

    remote.unsubscribe(a, None, Some("nothing")).unwrap();
    expect(&mut client, &["nothing"]).await;
    world.log.append("a", ["9".to_owned()]);
    nothing_comes(&mut client).await;
    assert_eq!(world.metric("delivery_subscriptions{"), 0);
    assert_eq!(world.metric("delivery_lanes{"), 0);
    assert_eq!(world.metric("delivery_readers_behind{"), 0);
}

/// Regression: what was appended before a client said that it wanted no more, and not shown yet, did not come.
#[tokio::test(start_paused = true)]
async fn who_leaves_gets_what_was_there_first() {
    let world = World::new();
    let (io, remote) = connect::<false>(&world, 1 << 16, None).await;
    let mut client = client(io).await;
    let a = remote.subscribe(live(&world, "a", channel("a"))).unwrap();
    let b = remote.subscribe(live(&world, "b", channel("b"))).unwrap();
    expect(&mut client, &["a", "b"]).await;
    let append = || {
        world.log.append("a", ["1".to_owned()]);
        world.log.append("b", ["2".to_owned()]);
        Some(position(world.log.len()))
    };
    remote.unsubscribe(a, append(), Some("not a")).unwrap();
    expect(&mut client, &["a 1", "b 2", "not a"]).await;
    remote.unsubscribe(b, append(), Some("not b")).unwrap();
    expect(&mut client, &["b 2", "not b"]).await;
    append();
    nothing_comes(&mut client).await;

    // Who reads the past does not have to read all of it.
    world.log.append("a", (0..1_000).map(|_| "x".repeat(1_000)));
    sleep(Duration::from_millis(1)).await;
    let past = remote.subscribe(replay(&world, "past", channel("a"))).unwrap();
    expect(&mut client, &["past", "past 1"]).await;
    remote
        .unsubscribe(past, Some(position(world.log.len())), Some("enough"))
        .unwrap();
    let mut read = 1;
    while next(&mut client).await != Received::text("enough") {
        read += 1;
    }
    assert!(read < 1_000, "{read}");
}

/// Regression (seeds 21026 and 12990 of the simulation): one that waited while the last other one got what was still to come
/// began before that, and the client got events again, or older ones behind newer.
#[tokio::test(start_paused = true)]
async fn who_waits_for_the_end_of_another_begins_behind_it() {
    async fn check<const ONCE: bool>() {
        let world = World::new();
        let (io, remote) = connect::<ONCE>(&world, 1 << 16, None).await;
        let mut client = client(io).await;
        let a = remote.subscribe(live(&world, "a", channel("a"))).unwrap();
        expect(&mut client, &["a"]).await;
        let b = live(&world, "b", Selection::default());
        world.log.append("a", numbers(3));
        remote
            .unsubscribe(a, Some(position(world.log.len())), Some("not a"))
            .unwrap();
        remote.subscribe(b).unwrap();
        expect(&mut client, &["a 0", "a 1", "a 2", "not a", "b"]).await;
        world.log.append("a", ["3".to_owned()]);
        expect(&mut client, &["b 3"]).await;
        nothing_comes(&mut client).await;
    }
    check::<true>().await;
    check::<false>().await;
}

/// What the log has and does not show (Kafka, an open transaction) holds up nobody for long.
#[tokio::test(start_paused = true)]
async fn what_is_not_shown_in_time_is_not_waited_for() {
    let world = World::new();
    let (io, remote) = connect::<false>(&world, 1 << 16, None).await;
    let mut client = client(io).await;
    let a = remote.subscribe(live(&world, "a", channel("a"))).unwrap();
    expect(&mut client, &["a"]).await;
    let begun = Instant::now();
    let beyond = position(world.log.len() + 1);
    remote.unsubscribe(a, Some(beyond), Some("not a")).unwrap();
    expect(&mut client, &["not a"]).await;
    assert_eq!(begun.elapsed(), limits::LAST_EVENTS);
    world.log.append("a", ["1".to_owned()]);
    nothing_comes(&mut client).await;
}

/// DESIGN.md, delivery contract 9: or once per connection where the protocol says so.
#[tokio::test(start_paused = true)]
async fn an_event_may_come_once_for_all_subscriptions() {
    let world = World::new();
    let (io, remote) = connect::<true>(&world, 1 << 16, Some(subscription(channel("a")))).await;
    let mut client = client(io).await;
    remote.subscribe(live(&world, "all", Selection::default())).unwrap();
    expect(&mut client, &["all"]).await;
    world.log.append("a", ["0".to_owned()]);
    world.log.append("b", ["1".to_owned()]);
    expect(&mut client, &["first 0", "all 1"]).await;
    remote
        .unsubscribe(SubscriptionId::FIRST, None, Some("not first"))
        .unwrap();
    expect(&mut client, &["not first"]).await;
    world.log.append("a", ["2".to_owned()]);
    expect(&mut client, &["all 2"]).await;
    nothing_comes(&mut client).await;
}

/// Who reads the past is apart from those who are live, and with them when it has caught up.
#[tokio::test(start_paused = true)]
async fn the_past_of_one_subscription_does_not_hold_up_the_others() {
    let world = World::new();
    let (io, remote) = connect::<false>(&world, 1 << 16, None).await;
    let mut client = client(io).await;
    world.log.append("a", numbers(3));
    remote.subscribe(live(&world, "live", Selection::default())).unwrap();
    expect(&mut client, &["live"]).await;
    remote.subscribe(replay(&world, "past", Selection::default())).unwrap();
    expect(&mut client, &["past", "past 0", "past 1", "past 2"]).await;
    sleep(Duration::from_millis(1)).await;
    for number in 3..20 {
        world.log.append("a", [number.to_string()]);
        expect(&mut client, &[&format!("live {number}"), &format!("past {number}")]).await;
    }
    assert_eq!(
        world.metric("delivery_lane_readers{selection=\"several\",frames=\"plain\"}"),
        1
    );
    assert_eq!(world.metric("delivery_readers_behind{"), 0);
}

/// What a client asks for of the past comes also where an event comes once, and has come; what follows comes once.
#[tokio::test(start_paused = true)]
async fn who_has_caught_up_gets_nothing_that_others_of_the_connection_get() {
    let world = World::new();
    let (io, remote) = connect::<true>(&world, 1 << 16, None).await;
    let mut client = client(io).await;
    remote.subscribe(live(&world, "live", channel("a"))).unwrap();
    expect(&mut client, &["live"]).await;
    for number in 0..3 {
        world.log.append("a", [number.to_string()]);
        expect(&mut client, &[&format!("live {number}")]).await;
    }
    remote.subscribe(replay(&world, "past", Selection::default())).unwrap();
    expect(&mut client, &["past", "past 0", "past 1", "past 2"]).await;
    sleep(Duration::from_millis(1)).await;
    for number in 3..20 {
        world.log.append("a", [number.to_string()]);
        world.log.append("b", [number.to_string()]);
        expect(&mut client, &[&format!("live {number}"), &format!("past {number}")]).await;
    }
    nothing_comes(&mut client).await;
}

/// More than may catch up at the same time do so one after the other.
#[tokio::test(start_paused = true)]
async fn many_may_read_the_past() {
    let world = World::new();
    let (io, remote) = connect::<false>(&world, 1 << 16, None).await;
    let mut client = client(io).await;
    world.log.append("a", numbers(30));
    let count = 3 * limits::WS_CATCHING_UP;
    for _ in 0..count {
        remote.subscribe(replay(&world, "past", Selection::default())).unwrap();
    }
    for _ in 0..count * 31 {
        next(&mut client).await;
    }
    world.log.append("a", ["x".to_owned()]);
    for _ in 0..count {
        expect(&mut client, &["past x"]).await;
    }
    nothing_comes(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_has_a_bounded_number_of_subscriptions() {
    let world = World::new();
    let (io, remote) = connect::<false>(&world, 1 << 16, Some(subscription(Selection::default()))).await;
    let mut client = client(io).await;
    let mut last = SubscriptionId::FIRST;
    for number in 1..limits::WS_SUBSCRIPTIONS {
        let name = number.to_string();
        last = remote.subscribe(live(&world, "one", channel(&name))).unwrap();
        expect(&mut client, &["one"]).await;
    }
    let refused = remote.subscribe(live(&world, "more", Selection::default()));
    assert_eq!(refused, Err(RemoteError::TooMany));
    assert_eq!(
        RemoteError::TooMany.to_string(),
        "a connection has at most 1000 subscriptions"
    );
    world.log.append("999", ["0".to_owned()]);
    expect(&mut client, &["first 0", "one 0"]).await;
    remote.unsubscribe(last, None, Some("less")).unwrap();
    expect(&mut client, &["less"]).await;
    remote.subscribe(live(&world, "again", channel("999"))).unwrap();
    expect(&mut client, &["again"]).await;
    world.log.append("999", ["1".to_owned()]);
    expect(&mut client, &["first 1", "again 1"]).await;
}

/// A socket that takes nothing holds a part of what its subscriptions want of one event, and each gets it once in the end.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_with_many_subscriptions_of_the_same_holds_little() {
    const COUNT: usize = 60;
    let names: Vec<&'static str> = (0..COUNT).map(|number| &*number.to_string().leak()).collect();
    let world = World::new();
    let (mut io, remote) = connect::<false>(&world, 2_000, None).await;
    for name in &names {
        remote.subscribe(live(&world, name, Selection::default())).unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    let payload = "x".repeat(30_000);
    let before = world.metric("delivery_events_total{dialect=\"given\"}");
    world.log.append("a", [payload.clone(), payload.clone()]);
    sleep(Duration::from_secs(1)).await;
    let made = world.metric("delivery_events_total{dialect=\"given\"}") - before;
    assert!(made <= 4, "{made} frames are held for who reads nothing");
    assert!(
        world.metric("delivery_held_bytes") < 200_000,
        "frames are shared while they wait"
    );

    let (mut bytes, mut events, mut part) = (Vec::new(), Vec::new(), [0; 4_096]);
    while events.len() < 2 * COUNT {
        let length = timeout(Duration::from_secs(1), io.read(&mut part))
            .await
            .unwrap()
            .unwrap();
        bytes.extend_from_slice(&part[..length]);
        let texts = frames(&mut bytes).into_iter().filter(|(opcode, _)| *opcode == TEXT);
        events.extend(texts.filter_map(|(_, text)| {
            let text = String::from_utf8(text).unwrap();
            Some(text.split_once(' ')?.0.to_owned())
        }));
    }
    assert_eq!(
        events,
        [&names[..], &names[..]].concat(),
        "each once, in the order of their subscription"
    );
}
