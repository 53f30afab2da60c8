//! What is counted is seen in the metrics.

use std::time::Duration;

use bytes::Bytes;
use sockeye_delivery::{Selection, Subscription};
use sockeye_event::{Event, Headers, binary};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use crate::groups;
use crate::world::{CLOSE, TEXT, World, frame, position, subscription};

/// Large enough to be compressed.
const PAYLOAD: usize = 500;
const EVENTS: usize = 100;

fn event() -> (Headers, Option<Bytes>) {
    binary::encode(&Event {
        id: "1".into(),
        source: "test".into(),
        ty: "a-type".into(),
        data_content_type: None,
        data_schema: None,
        subject: Some("a-channel".into()),
        time: None,
        extensions: vec![("device".into(), "a-device".into())],
        data: Some("x".repeat(PAYLOAD).into()),
    })
}

/// What lanes are looked for by, with a selection that is.
fn kinds() -> [(&'static str, Selection); 4] {
    let one = |change: fn(&mut Selection)| {
        let mut selection = Selection::default();
        change(&mut selection);
        selection
    };
    [
        ("whole", Selection::default()),
        ("device", one(|selection| selection.device = Some("a-device".into()))),
        ("channel", one(|selection| selection.channel = Some("a-channel".into()))),
        ("type", one(|selection| selection.ty = Some("a-type".into()))),
    ]
}

/// The sum of all samples of a family whose labels hold this part, as a whole number that is 0 only if the sum is.
fn sum(text: &str, family: &str, part: &str) -> usize {
    let samples = text.lines().filter_map(|line| {
        let (name, value) = line.strip_prefix(family)?.rsplit_once(' ')?;
        let (suffix, labels) = name.split_once('{').unwrap_or((name, ""));
        let known = matches!(suffix, "" | "_total" | "_sum" | "_count");
        (known && labels.contains(part)).then(|| value.parse::<f64>().unwrap())
    });
    samples.sum::<f64>().ceil() as usize
}

#[tokio::test(start_paused = true)]
async fn no_number_stays_0_when_everything_happens() {
    let world = World::new();
    // One reads the past, and goes.
    world.log.append_raw([event()]);
    let from_the_past = Subscription {
        end: position(1),
        ..subscription(Selection::default())
    };
    let (mut past, gone) = world.open(1000, from_the_past, |io| io);
    past.read_exact(&mut [0; PAYLOAD]).await.unwrap();
    drop(past);
    gone.await.unwrap();
    let mut open = Vec::new();
    for (_, selection) in kinds() {
        for deflate in [false, true] {
            let (client, server) = tokio::io::duplex(EVENTS * PAYLOAD * 2);
            let live = Subscription {
                start: position(1),
                end: position(1),
                ..subscription(selection.clone())
            };
            world.serve_with(server, live, deflate);
            open.push(client);
        }
    }
    let (member, _end) = groups::open(&world, groups::joining("g"), EVENTS * PAYLOAD * 2).await;
    let (stalled, _end) = world.connect(1000);
    let (mut leaving, left) = world.connect(1000);
    leaving.write_all(&frame(TEXT, b"of no effect")).await.unwrap();
    leaving.write_all(&frame(CLOSE, &1000_u16.to_be_bytes())).await.unwrap();
    left.await.unwrap();
    world.log.append_raw((0..EVENTS).map(|_| event()));
    world
        .log
        .append_raw([(Headers::default(), Some(Bytes::from_static(b"nonsense")))]);
    sleep(Duration::from_secs(1)).await;

    let text = world.metrics();
    let families: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        // Those of one group have a test of their own.
        .filter(|family| !family.starts_with("delivery_group_"))
        .collect();
    assert!(families.len() >= 15, "{families:?}");
    for family in families {
        assert!(sum(&text, family, "") > 0, "{family} stays 0:\n{text}");
    }
    for (selection, _) in kinds() {
        for frames in ["plain", "deflated"] {
            let kind = format!("selection=\"{selection}\",frames=\"{frames}\"");
            let count = |family| sum(&text, family, &kind);
            // The stalled one is behind, and no member.
            assert_eq!(
                (count("delivery_lanes"), count("delivery_lane_readers")),
                (1, 1),
                "{kind}"
            );
            for family in [
                "delivery_lane_write_bytes",
                "delivery_lane_write_frames",
                "delivery_lane_latency_seconds",
            ] {
                assert!(count(family) > 0, "{family} of {kind} stays 0:\n{text}");
            }
            let written = sum(&text, "delivery_lane_write_bytes_sum", &kind);
            assert_eq!(written < EVENTS * PAYLOAD, frames == "deflated", "{kind}: {written}");
            assert_eq!(sum(&text, "delivery_lane_write_frames_sum", &kind), EVENTS, "{kind}");
            for socket in ["first", "last"] {
                let samples = sum(
                    &text,
                    "delivery_lane_latency_seconds_count",
                    &format!("{kind},socket=\"{socket}\""),
                );
                assert!(samples > 0, "{kind}, {socket}");
            }
        }
    }
    for family in ["delivery_readers_stalled", "delivery_readers_behind"] {
        assert_eq!(sum(&text, family, ""), 1, "{family}");
    }

    drop((open, stalled, member));
    sleep(Duration::from_secs(1)).await;
    let text = world.metrics();
    for family in [
        "delivery_connections",
        "delivery_subscriptions",
        "delivery_lanes",
        "delivery_lane_readers",
        "delivery_readers_stalled",
        "delivery_readers_behind",
        "delivery_groups",
    ] {
        assert_eq!(sum(&text, family, ""), 0, "{family} after everybody has left");
    }
}
