//! Positions of groups.

use jiff::{SignedDuration, Timestamp};
use sockeye_log::{GroupError, GroupId, GroupMark, GroupPosition, Incarnation, Position};

use super::{ANY, Fixture, application};
use crate::Registry;

fn group(application: &str, group: &str, selection: &str) -> GroupId {
    GroupId {
        application: application.into(),
        group: group.into(),
        selection: selection.into(),
    }
}

fn position(next: u64) -> Position {
    Position::new(Incarnation(u64::MAX - 1), [(0, next), (7, u64::MAX)])
}

fn mark(next: u64, receipted: &[u8], trimmed: u64) -> GroupMark {
    GroupMark {
        position: position(next),
        receipted: receipted.to_vec(),
        trimmed,
    }
}

async fn stored(registry: &dyn Registry, group: &GroupId) -> Option<Position> {
    let stored = registry.group(group).await.unwrap();
    stored.map(|GroupPosition { mark, .. }| mark.position)
}

/// An application with this group in it.
async fn made(registry: &dyn Registry, group: &GroupId) {
    if registry.application(&group.application).await.unwrap().is_none() {
        registry
            .create_application(application(&group.application))
            .await
            .unwrap();
    }
    assert_eq!(registry.create_group(group, &position(0)).await, Ok(true));
}

pub async fn a_group_is_made_once(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let group = group("app", "g", "");
    let refused = registry.create_group(&group, &position(1)).await;
    assert_eq!(refused, Err(GroupError::NoApplication));
    registry.create_application(application("app")).await.unwrap();
    assert_eq!(registry.group(&group).await, Ok(None));
    let before = Timestamp::now().as_microsecond();
    assert_eq!(registry.create_group(&group, &position(1)).await, Ok(true));
    let made = registry.group(&group).await.unwrap().unwrap();
    assert_eq!(made.mark, mark(1, b"", 0));
    assert!(made.stored.as_microsecond() >= before && made.stored <= Timestamp::now());
    assert_eq!(made.used, made.stored);
    assert_eq!(registry.create_group(&group, &position(2)).await, Ok(false));
    assert_eq!(registry.group(&group).await, Ok(Some(made)));
}

pub async fn a_group_has_the_mark_that_was_stored_last(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let group = group("app", "g", "");
    made(registry, &group).await;
    let longest: Vec<u8> = (0..sockeye_limits::GROUP_RECEIPTED).map(|at| at as u8).collect();
    for mark in [
        mark(0, b"\0\xff'", 0),
        mark(5, b"", u64::MAX),
        mark(3, &longest, 7),
        GroupMark::at(Position::new(Incarnation(0), [])),
        mark(4, &longest, 8),
    ] {
        registry.set_group(&group, &mark).await.unwrap();
        assert_eq!(registry.group(&group).await.unwrap().unwrap().mark, mark);
    }
    fixture.restart().await;
    let listed = fixture.registry().groups("app").await.unwrap();
    assert_eq!(listed[0].1.mark, mark(4, &longest, 8));
}

pub async fn groups_differ_by_application_name_and_selection(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let sorted = [
        group("app", "", ""),
        group("app", "g", ""),
        group("app", "g", "x=1"),
        group("app", "h", ""),
    ];
    let elsewhere = group("other", "g", "");
    for (next, group) in sorted.iter().rev().chain([&elsewhere]).enumerate() {
        made(registry, group).await;
        registry.set_group(group, &mark(next as u64, b"", 0)).await.unwrap();
    }
    for (next, group) in sorted.iter().rev().chain([&elsewhere]).enumerate() {
        assert_eq!(stored(registry, group).await, Some(position(next as u64)), "{group:?}");
    }
    let listed = registry.groups("app").await.unwrap();
    assert_eq!(
        listed.iter().map(|(group, _)| group.clone()).collect::<Vec<_>>(),
        sorted
    );
    assert_eq!(listed[0].1.mark.position, position(3));
    assert_eq!(registry.groups("other").await.unwrap().len(), 1);
    assert!(registry.groups("none").await.unwrap().is_empty());
}

pub async fn a_group_that_is_not_there_stays_so(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let group = group("app", "g", "");
    let mark = mark(1, b"", 0);
    let refused = registry.set_group(&group, &mark).await;
    assert_eq!(refused, Err(GroupError::NoApplication));
    registry.create_application(application("app")).await.unwrap();
    assert_eq!(registry.set_group(&group, &mark).await, Err(GroupError::NoGroup));
    assert_eq!(registry.use_group(&group).await, Ok(None));
    assert_eq!(registry.delete_group(&group).await, Ok(false));
    assert_eq!(registry.group(&group).await, Ok(None));
}

pub async fn a_deleted_group_is_gone(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let (one, two) = (group("app", "g", ""), group("app", "g", "x"));
    for group in [&one, &two] {
        made(registry, group).await;
    }
    assert_eq!(registry.delete_group(&one).await, Ok(true));
    assert_eq!(registry.delete_group(&one).await, Ok(false));
    assert_eq!(registry.delete_group(&group("none", "g", "x")).await, Ok(false));
    assert_eq!(stored(registry, &one).await, None);
    assert_eq!(
        registry.set_group(&one, &mark(1, b"", 0)).await,
        Err(GroupError::NoGroup)
    );
    assert_eq!(stored(registry, &two).await, Some(position(0)));
    registry.set_dead_letters("app", &position(1), b"").await.unwrap();
    registry.delete_application("app", ANY).await.unwrap();
    registry.create_application(application("app")).await.unwrap();
    assert_eq!(stored(registry, &two).await, None);
    assert_eq!(registry.dead_letters("app").await, Ok(None));
}

pub async fn groups_expire_when_they_were_not_used_since(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let [idle, stored, used] = ["idle", "stored", "used"].map(|name| group("app", name, "x=1"));
    let elsewhere = group("other", "idle", "");
    for group in [&idle, &stored, &used, &elsewhere] {
        made(registry, group).await;
    }
    let long_ago = Timestamp::now() - SignedDuration::from_hours(1);
    assert_eq!(registry.expire_groups(long_ago).await, Ok(vec![]));
    // Times are told apart, even by a clock of milliseconds.
    let before = Timestamp::now() + SignedDuration::from_millis(5);
    while Timestamp::now() <= before {
        tokio::task::yield_now().await;
    }
    registry.set_group(&stored, &mark(1, b"", 0)).await.unwrap();
    let given = registry.use_group(&used).await.unwrap().unwrap();
    assert_eq!(registry.group(&used).await, Ok(Some(given.clone())));
    assert!(given.used > before && given.stored < before, "{given:?}");
    let expired = registry.expire_groups(before).await.unwrap();
    assert_eq!(expired, [idle, elsewhere]);
    for gone in &expired {
        assert_eq!(registry.group(gone).await, Ok(None));
    }
    let left = registry.groups("app").await.unwrap();
    assert_eq!(
        left.into_iter().map(|(group, _)| group).collect::<Vec<_>>(),
        [stored, used]
    );
    assert_eq!(registry.expire_groups(before).await, Ok(vec![]));
}

pub async fn what_is_done_with_of_dead_letters_is_kept(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    assert_eq!(registry.dead_letters("app").await, Ok(None));
    let refused = registry.set_dead_letters("app", &position(1), b"").await;
    assert_eq!(refused, Err(GroupError::NoApplication));
    for name in ["app", "other"] {
        registry.create_application(application(name)).await.unwrap();
    }
    assert_eq!(registry.dead_letters("app").await, Ok(None));
    for (next, settled) in [(5, &b"\0\xff"[..]), (6, b"")] {
        registry
            .set_dead_letters("app", &position(next), settled)
            .await
            .unwrap();
        let kept = registry.dead_letters("app").await.unwrap();
        assert_eq!(kept, Some((position(next), settled.to_vec())));
    }
    fixture.restart().await;
    let registry = fixture.registry();
    assert_eq!(registry.dead_letters("app").await, Ok(Some((position(6), vec![]))));
    assert_eq!(registry.dead_letters("other").await, Ok(None));
    assert_eq!(registry.groups("app").await, Ok(vec![]));
}

pub async fn positions_survive_a_restart(fixture: &mut impl Fixture) {
    let group = group("app", "g", "");
    made(fixture.registry(), &group).await;
    fixture.registry().set_group(&group, &mark(9, b"x", 3)).await.unwrap();
    let before = fixture.registry().group(&group).await.unwrap();
    fixture.restart().await;
    assert_eq!(fixture.registry().group(&group).await, Ok(before));
}
