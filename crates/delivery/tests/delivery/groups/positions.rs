//! Where groups are: without members, after a server, in another log.

use std::time::Duration;

use sockeye_delivery::{EnterError, MemoryLimits};
use sockeye_limits as limits;
use sockeye_log::GroupError;
use tokio::time::{sleep, timeout};

use super::{SETTLED, enter, identity, joining, kill, member, member_of, take, take_all};
use crate::world::{World, closed, next, numbers, position};

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
