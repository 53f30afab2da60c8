//! What clients may have at once (compat/octave.md 5.5), and what they are told who want more.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

use crate::world::World;

fn path(number: usize) -> String {
    format!("/app/devices/dev/c{number}")
}

/// Whoever has all that it may have keeps it, is told so, and may have more when it has given something back.
#[tokio::test]
async fn sessions_sockets_and_subscriptions_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::with(folder.path(), |command| {
        command.args([
            "--octave-sessions",
            "2",
            "--octave-sockets",
            "2",
            "--octave-subscriptions",
            "3",
        ]);
    });
    let session = world.session().await;
    let mut client = world.open(&session).await;
    for number in 0..3 {
        client.subscribe(&path(number)).await;
    }
    let more = json!({"msgId": 7, "object": "event", "type": "subscribe", "path": path(3)});
    let text = client.refused(429, more.clone()).await;
    assert!(text.contains("3 subscriptions"), "{text}");
    // One that is there already is no other.
    client.subscribe(&path(0)).await;
    client.unsubscribe(&path(1)).await;
    client.done(more).await;
    world.publish("c3", &json!({"n": 1})).await;
    assert_eq!(client.elements().await, json!({"n": 1}));

    let other = world.open(&session).await;
    let refused = world.server.connect(&format!("session/{session}/ws"), None).await;
    let Err(Error::Http(response)) = refused else {
        panic!("a third socket was opened");
    };
    let answer: Value = serde_json::from_slice(response.body().as_deref().unwrap()).unwrap();
    assert_eq!(
        (response.status().as_u16(), &answer["head"]["status"]),
        (429, &json!(429))
    );
    assert!(
        answer["head"]["errors"][0].as_str().unwrap().contains("2 connections"),
        "{answer}"
    );
    drop(other);

    world.session().await;
    let headers = [
        ("X-Auth-User", &*world.user),
        ("X-Auth-Token", &*world.key),
        ("X-Auth-Company", "app"),
    ];
    let (status, answer) = world.session_with(&headers).await;
    assert_eq!(status, 429, "{answer}");
    assert!(
        answer["head"]["errors"][0].as_str().unwrap().contains("2 sessions"),
        "{answer}"
    );
}
