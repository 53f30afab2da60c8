//! Users: who they are (compat/drogue.md 3.2), and what they may do (3.5 with decision 7).

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod common;

use std::collections::BTreeMap;

use common::{Watched, later};
use jiff::Timestamp;
use sockeye_access::{Access, AuthenticateError, AuthorizeError, Caller, Credentials, Permission, Proof, Secret, key};
use sockeye_limits as limits;
use sockeye_registry::{AccessKey, Application, Preconditions, Registry, Role, Scope};

/// A user with a key.
async fn user(registry: &dyn Registry, name: &str, admin: bool) -> Credentials {
    let key = key::generate();
    registry.ensure_user(name, admin).await.unwrap();
    let stored = AccessKey::new(key.prefix, key.hash, name, Timestamp::now());
    registry.create_key(stored).await.unwrap();
    Credentials::Key {
        user: name.into(),
        key: key.key,
    }
}

/// Rows: caller; columns: read, write, admin, owner.
async fn check(application: &str, callers: &[(&str, &str)]) {
    let registry = Watched::new();
    let access = Access::new(registry.clone());
    let mut stored = Application::named("app", if application == "without an owner" { "" } else { "owner" });
    let mut members = BTreeMap::from([
        ("admin".to_owned(), Role::Admin),
        ("manager".to_owned(), Role::Manager),
        ("reader".to_owned(), Role::Reader),
    ]);
    let public = match application {
        "public" => Some(Role::Reader),
        "public for managers" => Some(Role::Manager),
        _ => None,
    };
    members.extend(public.map(|role| (String::new(), role)));
    stored.members = members;
    registry.create_application(stored.clone()).await.unwrap();

    for (caller, rights) in callers {
        let credentials = match *caller {
            "anonymous" => Credentials::Anonymous,
            name => user(registry.as_ref(), name, name == "root").await,
        };
        let caller = access.authenticate(&credentials).await.unwrap();
        let columns = [
            (Permission::Read, 'r'),
            (Permission::Write, 'w'),
            (Permission::Admin, 'a'),
            (Permission::Owner, 'o'),
        ];
        for (permission, letter) in columns {
            let outcome = access
                .authorize(&caller, "app", permission)
                .await
                .map(|found| found.metadata.name);
            let expected = if rights.contains(letter) {
                Ok("app".to_owned())
            } else {
                Err(AuthorizeError::NotFound)
            };
            assert_eq!(
                outcome, expected,
                "{caller:?}, {permission:?}, an application that is {application}"
            );
            let unknown = access.authorize(&caller, "unknown", permission).await;
            assert_eq!(unknown.unwrap_err(), AuthorizeError::NotFound, "{caller:?}");
        }
    }
}

#[tokio::test]
async fn rights_on_a_private_application() {
    let callers = [
        ("root", "rwao"),
        ("owner", "rwao"),
        ("admin", "rwa"),
        ("manager", "rw"),
        ("reader", "r"),
        ("stranger", ""),
        ("anonymous", ""),
    ];
    check("private", &callers).await;
}

#[tokio::test]
async fn rights_on_a_public_application() {
    let callers = [
        ("root", "rwao"),
        ("owner", "rwao"),
        ("manager", "rw"),
        ("reader", "r"),
        ("stranger", "r"),
        ("anonymous", "r"),
    ];
    check("public", &callers).await;
    check(
        "public for managers",
        &[("anonymous", "rw"), ("reader", "r"), ("stranger", "r")],
    )
    .await;
}

#[tokio::test]
async fn rights_on_an_application_without_an_owner() {
    check("without an owner", &[("stranger", "rwao"), ("anonymous", "rwao")]).await;
}

#[tokio::test]
async fn a_user_is_known_by_a_key() {
    let registry = Watched::new();
    let access = Access::new(registry.clone());
    let Credentials::Key { user: name, key } = user(registry.as_ref(), "eve", false).await else {
        unreachable!()
    };
    registry.ensure_user("bob", true).await.unwrap();
    let login = async |user: &str, key: &Secret| {
        access
            .authenticate(&Credentials::Key {
                user: user.into(),
                key: key.clone(),
            })
            .await
    };
    let prefix = key::prefix(key.expose()).unwrap().to_owned();
    let known = Caller::User {
        name: "eve".into(),
        admin: false,
        proof: Proof::Key {
            prefix: prefix.clone(),
            scope: Scope::default(),
            expires: None,
        },
    };
    assert_eq!(login(&name, &key).await, Ok(known));

    let denied = Err(AuthenticateError::Denied);
    assert_eq!(login("bob", &key).await, denied, "another's key");
    assert_eq!(login("nobody", &key).await, denied);
    assert_eq!(
        login("eve", &key::generate().key).await,
        denied,
        "a key that was never stored"
    );
    assert_eq!(login("eve", &Secret::new("drg_")).await, denied);
    assert_eq!(
        login("eve", &Secret::new(&key.expose()[..key.expose().len() - 1])).await,
        denied
    );
    assert_eq!(
        access.authenticate(&Credentials::Bearer(key.clone())).await,
        Err(AuthenticateError::NoProvider)
    );
    assert_eq!(
        access.authenticate(&Credentials::Anonymous).await,
        Ok(Caller::Anonymous)
    );

    registry.delete_key(&prefix).await.unwrap();
    assert_eq!(login("eve", &key).await, denied, "revoked");
}

#[tokio::test]
async fn a_key_with_the_prefix_of_another_is_no_key() {
    let registry = Watched::new();
    let access = Access::new(registry.clone());
    let Credentials::Key { key, .. } = user(registry.as_ref(), "eve", false).await else {
        unreachable!()
    };
    // The stored hash is that of another key, as if two had the same prefix.
    let prefix = key::prefix(key.expose()).unwrap();
    let stored = registry.key(prefix).await.unwrap().unwrap();
    registry.delete_key(prefix).await.unwrap();
    registry
        .create_key(AccessKey {
            hash: key::generate().hash,
            ..stored
        })
        .await
        .unwrap();
    let outcome = access
        .authenticate(&Credentials::Key {
            user: "eve".into(),
            key,
        })
        .await;
    assert_eq!(outcome, Err(AuthenticateError::Denied));
}

/// Who comes back costs no read of the registry, and what takes a right counts with the answer to whoever took it.
#[tokio::test]
async fn what_is_known_is_not_read_again_until_it_changes() {
    let registry = Watched::new();
    let access = Access::new(registry.clone());
    let eve = user(registry.as_ref(), "eve", false).await;
    let Credentials::Key { key, .. } = &eve else {
        unreachable!()
    };
    let prefix = key::prefix(key.expose()).unwrap();
    let mut app = Application::named("app", "owner");
    app.members.insert("eve".into(), Role::Reader);
    registry.create_application(app).await.unwrap();
    let enter = async || {
        let caller = access.authenticate(&eve).await?;
        let admitted = access.admit(&caller, "app", Permission::Read).await;
        Ok::<_, AuthenticateError>(admitted.map(|application| application.members.len()))
    };
    assert_eq!(enter().await, Ok(Ok(1)));
    assert_eq!(registry.reads(), 3, "key, user, application");
    assert_eq!(enter().await, Ok(Ok(1)));
    assert_eq!(registry.reads(), 0);

    registry.set_key_disabled(prefix, true).await.unwrap();
    assert_eq!(enter().await, Err(AuthenticateError::KeyDisabled));
    registry.set_key_disabled(prefix, false).await.unwrap();
    registry.set_user_disabled("eve", true).await.unwrap();
    assert_eq!(enter().await, Err(AuthenticateError::UserDisabled));
    registry.set_user_disabled("eve", false).await.unwrap();
    assert_eq!(enter().await, Ok(Ok(1)));
    let none = BTreeMap::new();
    registry
        .set_members("app", none, Preconditions::default())
        .await
        .unwrap();
    assert_eq!(enter().await, Ok(Err(AuthorizeError::NotFound)));
    registry.delete_key(prefix).await.unwrap();
    assert_eq!(enter().await, Err(AuthenticateError::Denied));
}

/// A registry that cannot be asked lets nobody in by what is remembered, once it was not asked for a while.
#[tokio::test]
async fn what_is_known_counts_while_the_registry_answers() {
    let registry = Watched::new();
    let access = Access::new(registry.clone());
    let eve = user(registry.as_ref(), "eve", false).await;
    let enter = async || access.authenticate(&eve).await;
    enter().await.unwrap();
    assert_eq!(registry.reads(), 2, "key, user");
    later(limits::LOGIN_ANSWERED).await;
    // The first answer counts for the rest.
    enter().await.unwrap();
    assert_eq!(registry.reads(), 1);
    enter().await.unwrap();
    assert_eq!(registry.reads(), 0);

    registry.set_away(true);
    enter().await.unwrap();
    later(limits::LOGIN_ANSWERED).await;
    let refused = enter().await;
    assert!(matches!(refused, Err(AuthenticateError::Unavailable(_))), "{refused:?}");
    registry.set_away(false);
    enter().await.unwrap();
}

/// What was read before a change is not remembered behind it.
#[tokio::test]
async fn a_change_while_something_is_read_counts() {
    let registry = Watched::new();
    let access = Access::new(registry.clone());
    let eve = user(registry.as_ref(), "eve", false).await;
    let Credentials::Key { key, .. } = &eve else {
        unreachable!()
    };
    let (reached, go) = registry.hold();
    let change = async {
        reached.await.unwrap();
        let prefix = key::prefix(key.expose()).unwrap();
        registry.delete_key(prefix).await.unwrap();
        go.send(()).unwrap();
    };
    let (first, ()) = tokio::join!(access.authenticate(&eve), change);
    assert!(first.is_ok(), "it was read before");
    assert_eq!(access.authenticate(&eve).await, Err(AuthenticateError::Denied));
}
