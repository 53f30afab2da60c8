//! Positions of groups.

use sockeye_log::{Incarnation, Position};

use super::{ANY, Fixture, application};
use crate::{GroupId, Registry, WriteError};

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

async fn stored(registry: &dyn Registry, group: &GroupId) -> Option<Position> {
    registry.group(group).await.unwrap().map(|stored| stored.position)
}

pub async fn a_group_has_the_position_that_was_stored_last(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    registry.create_application(application("app")).await.unwrap();
    let group = group("app", "g", "");
    assert_eq!(registry.group(&group).await.unwrap(), None);
    let before = jiff::Timestamp::now().as_microsecond();
    for next in [0, 5, 3] {
        registry.set_group(&group, &position(next), b"").await.unwrap();
        assert_eq!(stored(registry, &group).await, Some(position(next)));
    }
    let empty = Position::new(Incarnation(0), []);
    registry.set_group(&group, &empty, b"").await.unwrap();
    let last = registry.group(&group).await.unwrap().unwrap();
    assert_eq!(last.position, empty);
    assert!(last.stored.as_microsecond() >= before && last.stored <= jiff::Timestamp::now());
}

pub async fn what_was_receipted_behind_a_position_is_stored_with_it(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    registry.create_application(application("app")).await.unwrap();
    let group = group("app", "g", "");
    let longest: Vec<u8> = (0..sockeye_limits::GROUP_RECEIPTED).map(|at| at as u8).collect();
    for (next, receipted) in [(0, &b"\0\xff'"[..]), (1, b""), (2, &longest)] {
        registry.set_group(&group, &position(next), receipted).await.unwrap();
        let stored = registry.group(&group).await.unwrap().unwrap();
        assert_eq!((stored.position, &*stored.receipted), (position(next), receipted));
    }
    fixture.restart().await;
    let listed = fixture.registry().groups("app").await.unwrap();
    assert_eq!(listed[0].1.receipted, longest);
}

pub async fn groups_differ_by_application_name_and_selection(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    for name in ["app", "other"] {
        registry.create_application(application(name)).await.unwrap();
    }
    let sorted = [
        group("app", "", ""),
        group("app", "g", ""),
        group("app", "g", "x=1"),
        group("app", "h", ""),
    ];
    let elsewhere = group("other", "g", "");
    for (next, group) in sorted.iter().rev().chain([&elsewhere]).enumerate() {
        registry.set_group(group, &position(next as u64), b"").await.unwrap();
    }
    for (next, group) in sorted.iter().rev().chain([&elsewhere]).enumerate() {
        assert_eq!(stored(registry, group).await, Some(position(next as u64)), "{group:?}");
    }
    let listed = registry.groups("app").await.unwrap();
    assert_eq!(
        listed.iter().map(|(group, _)| group.clone()).collect::<Vec<_>>(),
        sorted
    );
    assert_eq!(listed[0].1.position, position(3));
    assert_eq!(registry.groups("other").await.unwrap().len(), 1);
    assert!(registry.groups("none").await.unwrap().is_empty());
}

pub async fn a_group_needs_its_application(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let group = group("app", "g", "");
    let refused = registry.set_group(&group, &position(1), b"").await;
    assert_eq!(refused, Err(WriteError::NotFound("application")));
    registry.create_application(application("app")).await.unwrap();
    assert_eq!(registry.group(&group).await.unwrap(), None);
}

pub async fn a_deleted_group_is_gone(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    registry.create_application(application("app")).await.unwrap();
    let (one, two) = (group("app", "g", ""), group("app", "g", "x"));
    for group in [&one, &two] {
        registry.set_group(group, &position(1), b"").await.unwrap();
    }
    assert_eq!(registry.delete_group(&one).await, Ok(true));
    assert_eq!(registry.delete_group(&one).await, Ok(false));
    assert_eq!(registry.delete_group(&group("none", "g", "x")).await, Ok(false));
    assert_eq!(stored(registry, &one).await, None);
    assert_eq!(stored(registry, &two).await, Some(position(1)));
    registry.delete_application("app", ANY).await.unwrap();
    assert_eq!(stored(registry, &two).await, None);
}

pub async fn positions_survive_a_restart(fixture: &mut impl Fixture) {
    let group = group("app", "g", "");
    fixture.registry().create_application(application("app")).await.unwrap();
    fixture.registry().set_group(&group, &position(9), b"").await.unwrap();
    fixture.restart().await;
    assert_eq!(stored(fixture.registry(), &group).await, Some(position(9)));
}
