//! Who gets which event, and what is durable.

use std::time::Duration;

use sockeye_delivery::{Balance, JoinError, Joining, MemoryLimits, Selection};
use tokio::time::sleep;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{enter, joining, kill, member, member_of, open, take, take_all};
use crate::world::{World, numbers, position};

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
