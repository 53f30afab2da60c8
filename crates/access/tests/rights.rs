//! What ends the rights of open streams.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::Watched;
use sockeye_access::{Access, Caller, Ended, Permission, Proof, Right};
use sockeye_registry::{AccessKey, Application, Preconditions, Registry, Role, Scope, UserIdentity};
use tokio::sync::mpsc;

const ANY: Preconditions = Preconditions {
    uid: None,
    resource_version: None,
};
const PATIENCE: Duration = Duration::from_secs(30);

/// An application `app` of `owner` with the members `eve` and, if it is public, everybody; who holds rights there.
struct World {
    registry: Arc<Watched>,
    access: Arc<Access>,
    ends: mpsc::Receiver<(&'static str, Ended)>,
    tell: mpsc::Sender<(&'static str, Ended)>,
    held: Vec<Right>,
}

impl World {
    async fn new() -> Self {
        let registry = Watched::new();
        for user in ["owner", "eve", "bob"] {
            registry.ensure_user(user, false).await.unwrap();
            let key = AccessKey::new(format!("drg_{user}"), "", user, jiff::Timestamp::UNIX_EPOCH);
            registry.create_key(key).await.unwrap();
        }
        registry
            .create_application(Application::named("app", "owner"))
            .await
            .unwrap();
        registry
            .create_application(Application::named("other", "owner"))
            .await
            .unwrap();
        let access = Arc::new(Access::new(registry.clone()));
        tokio::spawn({
            let access = access.clone();
            async move { access.watch().await }
        });
        let (tell, ends) = mpsc::channel(100);
        let world = Self {
            registry,
            access,
            ends,
            tell,
            held: Vec::new(),
        };
        world.set_members(&["eve", ""]).await;
        world
    }

    async fn set_members(&self, members: &[&str]) {
        let members: BTreeMap<_, _> = members.iter().map(|name| ((*name).to_owned(), Role::Reader)).collect();
        self.registry.set_members("app", members, ANY).await.unwrap();
    }

    async fn hold(&mut self, who: &'static str, application: &str, caller: Caller) {
        let application = self.registry.application(application).await.unwrap().unwrap();
        let right = self.access.hold(caller, &application);
        let tell = self.tell.clone();
        right.on_end(move |ended| tell.try_send((who, ended)).unwrap());
        self.held.push(right);
    }

    /// Everybody reads `app`, and the owner also `other`, which nothing touches.
    async fn all(&mut self) {
        for who in ["owner", "eve", "bob"] {
            self.hold(who, "app", by_key(who)).await;
        }
        self.hold("eve's token", "app", by_token("eve")).await;
        self.hold("anonymous", "app", Caller::Anonymous).await;
        self.hold("owner of other", "other", by_key("owner")).await;
    }

    /// Exactly these are told, in any order.
    async fn expect(&mut self, expected: &[(&'static str, Ended)]) {
        let mut told = Vec::new();
        for _ in expected {
            told.push(tokio::time::timeout(PATIENCE, self.ends.recv()).await.unwrap().unwrap());
        }
        for one in expected {
            assert!(told.contains(one), "{one:?} is missing in {told:?}");
        }
        // What is told to one more shows that nobody else was told before.
        let mut last = Application::named("last", "owner");
        last.members.insert(String::new(), Role::Reader);
        self.registry.create_application(last).await.unwrap();
        self.hold("last", "last", Caller::Anonymous).await;
        self.registry.delete_application("last", ANY).await.unwrap();
        let told = tokio::time::timeout(PATIENCE, self.ends.recv()).await.unwrap();
        assert_eq!(told, Some(("last", Ended::Deleted)));
    }
}

fn by_key(user: &str) -> Caller {
    Caller::User {
        name: user.to_owned(),
        admin: false,
        proof: Proof::Key {
            prefix: format!("drg_{user}"),
            scope: Scope::default(),
            expires: None,
        },
    }
}

fn by_token(user: &str) -> Caller {
    let identity = UserIdentity {
        issuer: "https://id.example".to_owned(),
        subject: user.to_owned(),
    };
    Caller::User {
        name: user.to_owned(),
        admin: false,
        proof: Proof::Token {
            identity,
            expires: jiff::Timestamp::MAX,
        },
    }
}

/// What finalizers hold is read no more, although it is still there.
#[tokio::test]
async fn an_application_that_is_being_deleted() {
    let mut world = World::new().await;
    let mut held = Application::named("app", "owner");
    held.metadata.finalizers = vec!["mine".into()];
    world.registry.update_application(held, ANY).await.unwrap();
    world.all().await;
    let admitted = async || {
        let caller = by_key("owner");
        world.access.admit(&caller, "app", Permission::Read).await.is_ok()
            && world.access.company(&caller, "app", Permission::Read).await.is_ok()
    };
    assert!(admitted().await);
    world.registry.delete_application("app", ANY).await.unwrap();
    assert!(!admitted().await);
    let caller = by_key("owner");
    let shown = world.access.authorize(&caller, "app", Permission::Read).await;
    assert!(shown.is_ok(), "its document is shown");
    world
        .expect(&["owner", "eve", "bob", "eve's token", "anonymous"].map(|who| (who, Ended::Deleted)))
        .await;
}

#[tokio::test]
async fn a_key_that_is_revoked_or_disabled() {
    let mut world = World::new().await;
    world.all().await;
    world.registry.delete_key("drg_eve").await.unwrap();
    world.registry.set_key_disabled("drg_bob", true).await.unwrap();
    world
        .expect(&[("eve", Ended::KeyRevoked), ("bob", Ended::KeyDisabled)])
        .await;
}

#[tokio::test]
async fn a_user_who_is_disabled() {
    let mut world = World::new().await;
    world.all().await;
    world.registry.set_user_disabled("eve", true).await.unwrap();
    world
        .expect(&[("eve", Ended::UserDisabled), ("eve's token", Ended::UserDisabled)])
        .await;
}

#[tokio::test]
async fn an_application_that_is_private_now() {
    let mut world = World::new().await;
    world.all().await;
    world.set_members(&["eve"]).await;
    world
        .expect(&[("bob", Ended::NotAllowed), ("anonymous", Ended::NotPublic)])
        .await;
}

#[tokio::test]
async fn a_member_who_is_removed() {
    let mut world = World::new().await;
    world.set_members(&["eve"]).await;
    world.hold("eve", "app", by_key("eve")).await;
    world.hold("eve's token", "app", by_token("eve")).await;
    world.hold("owner", "app", by_key("owner")).await;
    world.set_members(&[]).await;
    world
        .expect(&[("eve", Ended::NotAllowed), ("eve's token", Ended::NotAllowed)])
        .await;
}

#[tokio::test]
async fn an_application_that_is_deleted_even_if_there_is_a_namesake() {
    for again in [false, true] {
        let mut world = World::new().await;
        world.all().await;
        world.registry.delete_application("app", ANY).await.unwrap();
        if again {
            world
                .registry
                .create_application(Application::named("app", "owner"))
                .await
                .unwrap();
        }
        let ended = ["owner", "eve", "bob", "eve's token", "anonymous"].map(|who| (who, Ended::Deleted));
        world.expect(&ended).await;
    }
}

#[tokio::test]
async fn who_has_gone_is_not_told() {
    let mut world = World::new().await;
    world.all().await;
    world.held.clear();
    world.registry.delete_application("app", ANY).await.unwrap();
    world.expect(&[]).await;
}

/// More changes than the queue holds: nothing is known of what they were.
#[tokio::test]
async fn changes_that_were_missed_are_made_up_for() {
    let mut world = World::new().await;
    world.all().await;
    let (reached, go) = world.registry.hold();
    world.registry.delete_key("drg_bob").await.unwrap();
    world.set_members(&["eve", "owner", ""]).await;
    // The watcher is held up in its look at the application meanwhile.
    reached.await.unwrap();
    for step in 0..=sockeye_limits::CHANGE_QUEUE {
        world.registry.set_user_disabled("eve", step % 2 == 0).await.unwrap();
    }
    world.registry.delete_key("drg_eve").await.unwrap();
    go.send(()).unwrap();
    world
        .expect(&[
            ("bob", Ended::KeyRevoked),
            ("eve", Ended::UserDisabled),
            ("eve's token", Ended::UserDisabled),
        ])
        .await;
}

#[test]
fn every_reason_fits_into_a_close_frame() {
    use Ended::{Deleted, KeyDisabled, KeyRevoked, NotAllowed, NotPublic, UserDisabled};
    for ended in [Deleted, KeyDisabled, KeyRevoked, NotAllowed, NotPublic, UserDisabled] {
        assert!(ended.to_string().len() <= sockeye_limits::WS_CLOSE_REASON);
    }
}
