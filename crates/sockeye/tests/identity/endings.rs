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
