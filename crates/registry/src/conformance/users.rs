//! Users and access keys.

use jiff::Timestamp;

use super::Fixture;
use crate::{AccessKey, KeyError};

fn key(user: &str, prefix: &str, created: i64) -> AccessKey {
    AccessKey {
        prefix: prefix.into(),
        hash: format!("hash of {prefix}"),
        user: user.into(),
        created: Timestamp::from_microsecond(1_700_000_000_000_000 + created).unwrap(),
        description: (created % 2 == 0).then(|| "for tests".into()),
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

pub async fn users_and_keys_survive_a_restart(fixture: &mut impl Fixture) {
    let root = fixture.registry().ensure_user("root", true).await.unwrap();
    fixture.registry().create_key(key("root", "drg_1", 1)).await.unwrap();
    fixture.restart().await;
    assert_eq!(fixture.registry().user("root").await.unwrap(), Some(root));
    assert_eq!(
        fixture.registry().key("drg_1").await.unwrap(),
        Some(key("root", "drg_1", 1))
    );
}
