//! A right that ends, ends its sockets within a second (the defect 11 of compat/drogue.md section 9: never).

use std::time::{Duration, Instant};

use crate::support::{APP, Socket, closed};
use crate::world::World;

/// What a right that has ended may still do.
const SOON: Duration = Duration::from_secs(1);

async fn expect(socket: &mut Socket, ended: Instant, reason: &str) {
    assert_eq!(closed(socket).await, (1008, reason.to_owned()));
    assert!(ended.elapsed() < SOON, "{reason}: {:?}", ended.elapsed());
}

#[tokio::test]
async fn keys_members_and_applications_that_go_take_their_sockets_with_them() {
    let Some(world) = World::new("endings", 60).await else {
        return;
    };
    let server = &world.server;
    let (eve, alice) = (
        format!("Bearer {}", world.eve),
        format!("Bearer {}", world.token("alice").await),
    );
    world.set_members(&["alice", "eve", ""]).await;
    let mut of_eve = server.connect(APP, Some(&eve)).await.unwrap();
    let mut of_alice = server.connect(APP, Some(&alice)).await.unwrap();
    let mut of_nobody = server.connect(APP, None).await.unwrap();
    let mut of_admin = server.stream(APP).await;

    world.set_members(&["alice", "eve"]).await;
    expect(&mut of_nobody, Instant::now(), "the application is not public any more").await;

    let prefix = &world.eve["eve:".len()..][..10];
    server.cli_ok(&["key", "delete", prefix, "--user", "eve"]);
    expect(&mut of_eve, Instant::now(), "the access key was revoked").await;

    world.set_members(&[]).await;
    expect(
        &mut of_alice,
        Instant::now(),
        "you may not read the application any more",
    )
    .await;

    server.cli_ok(&["app", "delete", APP]);
    expect(&mut of_admin, Instant::now(), "the application was deleted").await;
}

#[tokio::test]
async fn disabled_keys_and_users_and_keys_whose_time_is_over() {
    let Some(world) = World::new("disabled", 60).await else {
        return;
    };
    let server = &world.server;
    let made = |more: &[&str]| {
        let words = [&["key", "create", "--user", "eve", "--output", "json"], more].concat();
        let made: serde_json::Value = serde_json::from_str(&server.cli_ok(&words)).unwrap();
        (
            made["prefix"].as_str().unwrap().to_owned(),
            format!("Bearer eve:{}", made["token"].as_str().unwrap()),
        )
    };
    let (prefix, limited) = made(&["--application", APP, "--read-only"]);
    let (_, short) = made(&["--expires", "3s"]);
    let (_, elsewhere) = made(&["--application", "elsewhere"]);
    let mut of_limited = server.connect(APP, Some(&limited)).await.unwrap();
    let mut of_short = server.connect(APP, Some(&short)).await.unwrap();
    let mut of_eve = server
        .connect(APP, Some(&format!("Bearer {}", world.eve)))
        .await
        .unwrap();
    let mut of_alice = server
        .connect(APP, Some(&format!("Bearer {}", world.token("alice").await)))
        .await
        .unwrap();
    assert!(
        server.connect(APP, Some(&elsewhere)).await.is_err(),
        "a key counts for its applications"
    );

    server.cli_ok(&["key", "disable", &prefix]);
    expect(&mut of_limited, Instant::now(), "the access key was disabled").await;
    assert!(server.connect(APP, Some(&limited)).await.is_err());
    server.cli_ok(&["key", "enable", &prefix]);
    server.connect(APP, Some(&limited)).await.unwrap();

    assert_eq!(
        closed(&mut of_short).await,
        (1008, "the access key has expired".to_owned())
    );
    assert!(server.connect(APP, Some(&short)).await.is_err());

    for (user, socket) in [("eve", &mut of_eve), ("alice", &mut of_alice)] {
        server.cli_ok(&["user", "disable", user]);
        expect(socket, Instant::now(), "the user was disabled").await;
    }
    let token = world.token("alice").await;
    assert!(server.connect(&format!("{APP}?token={token}"), None).await.is_err());
    let listed = server.cli_ok(&["user", "list", "--output", "json"]);
    let alice = listed
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .find(|user| user["name"] == "alice")
        .unwrap();
    assert_eq!(
        (&alice["disabled"], &alice["issuer"]),
        (&true.into(), &world.realm.issuer().into())
    );
    server.cli_ok(&["user", "enable", "alice"]);
    server.connect(&format!("{APP}?token={token}"), None).await.unwrap();
}
