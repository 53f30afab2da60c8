//! Tokens that are renewed in band (compat/drogue.md 1.10, decision 4; the defect 12 of section 9).

use std::time::Duration;

use futures_util::SinkExt as _;
use jiff::Timestamp;
use serde_json::json;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{APP, Socket, closed, next_event, next_message, numbered};
use crate::world::{World, expiry};

fn message(token: &str) -> String {
    json!({ "RefreshAccessToken": token }).to_string()
}

async fn open(world: &World, user: &str) -> (Socket, String) {
    let token = world.token(user).await;
    let bearer = format!("Bearer {token}");
    (world.server.connect(APP, Some(&bearer)).await.unwrap(), token)
}

/// Ten tokens expire under a socket that is kept by the next ones, in text and in binary frames; every event comes once.
#[tokio::test]
async fn refreshed_in_time_a_socket_lives_through_ten_expiries() {
    // Where there is much else to do, nobody is in time with tokens that live so short.
    for life in [4, 12] {
        let Some(world) = World::new(&format!("refresh-{life}"), life).await else {
            return;
        };
        if lives_through_ten_expiries(&world, life).await {
            return;
        }
    }
    panic!("no token came in time");
}

/// Whether each token came in time to be of use: half of its life before the end of the one before, and a quarter at least.
async fn lives_through_ten_expiries(world: &World, life: u32) -> bool {
    let (mut socket, first) = open(world, "alice").await;
    let mut expires = expiry(&first);
    let (mut expired, mut sent, mut read) = (0, 0, 0);
    let http = crate::support::http();
    let left = |expires: i64| expires * 1000 - Timestamp::now().as_millisecond();
    let (half, quarter) = (i64::from(life) * 500, i64::from(life) * 250);
    while expired < 10 {
        let refresh = Instant::now() + Duration::from_millis((left(expires) - half).max(0) as u64);
        loop {
            assert_eq!(world.server.publish(&http, "c", &numbered(sent)).await.unwrap(), 202);
            sent += 1;
            if Instant::now() >= refresh {
                break;
            }
            sleep_until(refresh.min(Instant::now() + Duration::from_millis(20))).await;
        }
        let token = world.token("alice").await;
        if left(expires) < quarter {
            return false;
        }
        assert!(expiry(&token) > expires);
        expires = expiry(&token);
        let message = message(&token);
        let message = if expired % 2 == 0 {
            Message::text(message)
        } else {
            Message::binary(message.into_bytes())
        };
        socket.send(message).await.unwrap();
        expired += 1;
        while read < sent {
            assert_eq!(next_event(&mut socket).await["data"]["number"], read);
            read += 1;
        }
    }
    // Without the next one it ends with the last. (How soon is looked at in `expiry.rs`.)
    let (code, reason) = closed(&mut socket).await;
    assert_eq!((code, &*reason), (1008, "JWT token expired"));
    assert!(left(expires) <= 0, "it lived no longer");
    true
}

#[tokio::test]
async fn a_refresh_is_by_the_same_user_with_a_good_token() {
    let Some(world) = World::new("refused", 60).await else {
        return;
    };
    let another = "Failed to refresh token: it is of another user";
    let failed = "Failed to refresh token: Authentication failed";
    // Carol may do everything, and is not alice.
    for (token, code, reason) in [
        (world.token("carol").await, 1008, another),
        ("x".to_owned(), 1011, failed),
        (world.eve.clone(), 1011, failed),
        (String::new(), 1011, failed),
    ] {
        let (mut socket, _) = open(&world, "alice").await;
        socket.send(Message::text(message(&token))).await.unwrap();
        assert_eq!(closed(&mut socket).await, (code, reason.to_owned()));
    }
}

/// A socket that was opened with a key keeps its own right, whatever tokens are sent: also one that expires.
#[tokio::test]
async fn a_socket_of_a_key_ignores_tokens() {
    let Some(world) = World::new("ignored", 2).await else {
        return;
    };
    let bearer = format!("Bearer {}", world.eve);
    let mut socket = world.server.connect(APP, Some(&bearer)).await.unwrap();
    let (mut witness, token) = open(&world, "alice").await;
    for token in [&*token, "x"] {
        socket.send(Message::text(message(token))).await.unwrap();
    }
    // The witness, with the same token, shows that its time has come.
    assert_eq!(closed(&mut witness).await.0, 1008);
    socket.send(Message::Ping("still there".into())).await.unwrap();
    loop {
        match next_message(&mut socket).await {
            Message::Pong(data) if data == "still there" => break,
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}
