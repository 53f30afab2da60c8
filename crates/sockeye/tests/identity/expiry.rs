//! A socket ends with its token, to the second (the defect 10 of compat/drogue.md section 9: up to 90 s late).

use jiff::Timestamp;

use crate::support::{APP, closed};
use crate::world::{World, expiry};

/// How late sockets of tokens that live so many seconds are closed after `exp`, in milliseconds.
async fn lateness(world: &World) -> Vec<i64> {
    let mut late = Vec::new();
    let mut sockets = Vec::new();
    for round in 0..4 {
        let token = world.token("alice").await;
        let path = if round % 2 == 0 {
            APP.to_owned()
        } else {
            format!("{APP}?token={token}")
        };
        let bearer = format!("Bearer {token}");
        let authorization = (round % 2 == 0).then_some(&*bearer);
        sockets.push((
            expiry(&token),
            world.server.connect(&path, authorization).await.unwrap(),
        ));
    }
    for (expires, mut socket) in sockets {
        let (code, reason) = closed(&mut socket).await;
        let now = Timestamp::now().as_millisecond();
        assert_eq!((code, &*reason), (1008, "JWT token expired"));
        late.push(now - expires * 1000);
    }
    late
}

#[tokio::test]
async fn sockets_end_when_their_token_expires() {
    let Some(world) = World::new("expiry", 3).await else {
        return;
    };
    let late = lateness(&world).await;
    assert!(late.iter().all(|late| (0..1000).contains(late)), "{late:?}");
}

#[tokio::test]
async fn token_grace_lets_them_live_on() {
    let grace = |command: &mut std::process::Command| {
        command.args(["--oidc-token-grace", "2s"]);
    };
    let Some(world) = World::with("grace", 3, grace).await else {
        return;
    };
    let late = lateness(&world).await;
    assert!(late.iter().all(|late| (2000..3000).contains(late)), "{late:?}");
}
