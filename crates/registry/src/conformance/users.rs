//! Users and access keys.

use jiff::Timestamp;

use super::Fixture;
use crate::{AccessKey, KeyError, Page, PathGrant, Scope, UserIdentity, WriteError};

const READ: PathGrant = PathGrant {
    event_read: true,
    event_write: false,
};

fn key(user: &str, prefix: &str, created: i64) -> AccessKey {
    let time = |micros| Timestamp::from_microsecond(1_700_000_000_000_000 + micros).unwrap();
    AccessKey {
        description: (created % 2 == 0).then(|| "for tests".into()),
        expires: (created % 2 == 0).then(|| time(1_000_000)),
        scope: Scope {
            applications: (created % 2 == 0).then(|| ["a".to_owned(), "b".to_owned()].into()),
            read_only: created % 2 == 0,
            paths: (created % 2 == 0).then(|| [("/a/devices/d".to_owned(), READ)].into()),
        },
        ..AccessKey::new(prefix, format!("hash of {prefix}"), user, time(created))
    }
}

fn identity(subject: &str) -> UserIdentity {
    UserIdentity {
        issuer: "https://id.example".into(),
        subject: subject.into(),
    }
}

pub async fn a_user_is_made_once(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    assert_eq!(registry.user("eve").await.unwrap(), None);
    let eve = registry.ensure_user("eve", false).await.unwrap();
    let root = registry.ensure_user("root", true).await.unwrap();
    assert_eq!((eve.name.as_str(), eve.admin, root.admin), ("eve", false, true));
    assert_ne!(eve.id, root.id);
    assert_eq!(
        registry.ensure_user("eve", true).await,
        Ok(eve.clone()),
        "an existing user keeps its rights"
    );
    assert_eq!(registry.ensure_user("root", false).await, Ok(root.clone()));
    assert_eq!(registry.user("eve").await.unwrap(), Some(eve));
    assert_eq!(registry.user("root").await.unwrap(), Some(root));
    assert_eq!(registry.user("Eve").await.unwrap(), None);
}

pub async fn a_key_is_stored_and_listed(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    for user in ["eve", "bob"] {
        registry.ensure_user(user, false).await.unwrap();
    }
    let (newer, older, other) = (key("eve", "drg_1", 2), key("eve", "drg_2", 1), key("bob", "drg_3", 3));
    for key in [&newer, &older, &other] {
        registry.create_key(key.clone()).await.unwrap();
    }
    assert_eq!(registry.key("drg_1").await.unwrap().as_ref(), Some(&newer));
    assert_eq!(registry.key("drg_3").await.unwrap().as_ref(), Some(&other));
    assert_eq!(registry.key("drg_").await.unwrap(), None);
    assert_eq!(registry.keys("eve").await.unwrap(), [older, newer]);
    assert!(registry.keys("none").await.unwrap().is_empty());
}

pub async fn a_key_needs_its_user_and_a_free_prefix(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    assert_eq!(
        registry.create_key(key("eve", "drg_1", 1)).await,
        Err(KeyError::NoUser("eve".into()))
    );
    for user in ["eve", "bob"] {
        registry.ensure_user(user, false).await.unwrap();
    }
    registry.create_key(key("eve", "drg_1", 1)).await.unwrap();
    assert_eq!(
        registry.create_key(key("bob", "drg_1", 2)).await,
        Err(KeyError::Taken("drg_1".into()))
    );
    assert_eq!(registry.key("drg_1").await.unwrap(), Some(key("eve", "drg_1", 1)));
}

pub async fn a_deleted_key_is_gone(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    registry.ensure_user("eve", false).await.unwrap();
    for prefix in ["drg_1", "drg_2"] {
        registry.create_key(key("eve", prefix, 1)).await.unwrap();
    }
    assert_eq!(registry.delete_key("drg_1").await, Ok(true));
    assert_eq!(registry.delete_key("drg_1").await, Ok(false));
    assert_eq!(registry.key("drg_1").await.unwrap(), None);
    assert_eq!(registry.keys("eve").await.unwrap(), [key("eve", "drg_2", 1)]);
    assert!(registry.user("eve").await.unwrap().is_some());
}

pub async fn a_user_of_a_provider_is_learned_once(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    assert_eq!(registry.user_of(&identity("1")).await.unwrap(), None);
    let eve = registry.learn_user(&identity("1"), "eve").await.unwrap();
    assert_eq!((eve.name.as_str(), eve.admin, eve.disabled), ("eve", false, false));
    assert_eq!(eve.identity, Some(identity("1")));
    assert_eq!(
        registry.learn_user(&identity("1"), "eva").await,
        Ok(eve.clone()),
        "who is known keeps the name"
    );
    assert_eq!(registry.user_of(&identity("1")).await.unwrap(), Some(eve.clone()));
    assert_eq!(registry.user("eve").await.unwrap(), Some(eve.clone()));
    assert_eq!(
        registry.ensure_user("eve", true).await,
        Ok(eve),
        "one that keeps its rights"
    );
    let elsewhere = UserIdentity {
        issuer: "https://other.example".into(),
        ..identity("1")
    };
    assert_eq!(registry.user_of(&elsewhere).await.unwrap(), None, "another issuer's");
}

/// Who logs in under the name of another user does not become that user.
pub async fn a_name_that_is_taken_is_not_given_to_another(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    registry.ensure_user("root", true).await.unwrap();
    registry.learn_user(&identity("1"), "eve").await.unwrap();
    for name in ["root", "eve"] {
        let refused = registry.learn_user(&identity("2"), name).await;
        assert_eq!(refused, Err(WriteError::Taken(name.into())));
    }
    assert_eq!(registry.user_of(&identity("2")).await.unwrap(), None);
}

pub async fn users_come_in_pages_by_name(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    for name in ["c", "a", "b"] {
        registry.ensure_user(name, false).await.unwrap();
    }
    let names = async |offset, limit| {
        let users = registry.users(Page { offset, limit }).await.unwrap();
        users.into_iter().map(|user| user.name).collect::<Vec<_>>()
    };
    assert_eq!(names(0, 2).await, ["a", "b"]);
    assert_eq!(names(2, 2).await, ["c"]);
    assert!(names(3, 2).await.is_empty());
}

pub async fn users_and_keys_can_be_disabled(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    registry.ensure_user("eve", false).await.unwrap();
    registry.create_key(key("eve", "drg_1", 1)).await.unwrap();
    for disabled in [true, true, false] {
        assert_eq!(registry.set_key_disabled("drg_1", disabled).await, Ok(true));
        assert_eq!(registry.key("drg_1").await.unwrap().unwrap().disabled, disabled);
        let stored = registry.set_user_disabled("eve", disabled).await.unwrap();
        assert_eq!(stored.disabled, disabled);
        assert_eq!(registry.user("eve").await.unwrap(), Some(stored));
    }
    assert_eq!(registry.set_key_disabled("drg_2", true).await, Ok(false));
    let none = registry.set_user_disabled("bob", true).await;
    assert_eq!(none, Err(WriteError::NotFound("user")));
}

pub async fn the_last_use_of_a_key_is_noted(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    registry.ensure_user("eve", false).await.unwrap();
    registry.create_key(key("eve", "drg_1", 1)).await.unwrap();
    let time = |second| Timestamp::from_second(second).unwrap();
    for (at, last) in [(50, 50), (70, 70), (60, 70)] {
        registry.note_key_used("drg_1", time(at)).await.unwrap();
        assert_eq!(registry.key("drg_1").await.unwrap().unwrap().used, Some(time(last)));
    }
    registry.note_key_used("drg_2", time(1)).await.unwrap();
}

pub async fn users_and_keys_survive_a_restart(fixture: &mut impl Fixture) {
    let root = fixture.registry().ensure_user("root", true).await.unwrap();
    fixture.registry().create_key(key("root", "drg_1", 1)).await.unwrap();
    let eve = fixture.registry().learn_user(&identity("1"), "eve").await.unwrap();
    fixture.restart().await;
    assert_eq!(fixture.registry().user_of(&identity("1")).await.unwrap(), Some(eve));
    assert_eq!(fixture.registry().user("root").await.unwrap(), Some(root));
    assert_eq!(
        fixture.registry().key("drg_1").await.unwrap(),
        Some(key("root", "drg_1", 1))
    );
}
