//! A provider whose keys change, and one that is away.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use sockeye_limits as limits;
use sockeye_parts::keycloak::Keycloak;
use tokio_tungstenite::tungstenite;

use crate::support::{APP, Socket, next_event, numbered};
use crate::world::World;

/// The defect 13 of compat/drogue.md section 9: a rotation of the provider's keys locks everybody out.
#[tokio::test]
async fn rotations_under_load_refuse_no_valid_token() {
    let Some(world) = World::new("rotation", 60).await else {
        return;
    };
    let (over, opened) = (AtomicBool::new(false), AtomicUsize::new(0));
    let logins = async {
        while !over.load(Ordering::Relaxed) {
            let bearer = format!("Bearer {}", world.token("alice").await);
            world
                .server
                .connect(APP, Some(&bearer))
                .await
                .expect("a valid token is accepted");
            opened.fetch_add(1, Ordering::Relaxed);
        }
    };
    let rotations = async {
        for _ in 0..4 {
            let before = opened.load(Ordering::Relaxed);
            world.realm.sign_with("RS256").await.unwrap();
            while opened.load(Ordering::Relaxed) < before + 10 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(logins, rotations);
    // At once, with no time between: the old keys are gone.
    let old = format!("Bearer {}", world.token("alice").await);
    world.realm.rotate().await.unwrap();
    let new = format!("Bearer {}", world.token("alice").await);
    world
        .server
        .connect(APP, Some(&new))
        .await
        .expect("a token of the new key is accepted");
    assert!(
        world.server.connect(APP, Some(&old)).await.is_err(),
        "a key that is given up counts no longer"
    );
}

/// A stream that was opened; `None`: told to try again later.
fn away(outcome: tungstenite::Result<Socket>) -> Option<Socket> {
    match outcome {
        Ok(socket) => Some(socket),
        Err(tungstenite::Error::Http(answer)) => {
            assert_eq!(answer.status(), 503);
            assert!(answer.headers().contains_key("retry-after"));
            let body: Value = serde_json::from_slice(answer.body().as_deref().unwrap()).unwrap();
            assert_eq!(body["error"], "Unavailable", "{body}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Open streams go on; who logs in is told to try again, also with a token that was let in before; readiness names the provider.
#[tokio::test]
async fn a_provider_that_is_away_ends_no_stream() {
    let Some(mut keycloak) = Keycloak::start_or_say().unwrap() else {
        return;
    };
    let realm = keycloak.realm("away").await.unwrap();
    realm.set_token_life(600).await.unwrap();
    let world = World::of(realm, |_| {}).await;
    let bearer = format!("Bearer {}", world.token("alice").await);
    let ready = async || world.call(Method::GET, "/readyz", "", &Value::Null).await;
    let open = async || away(world.server.connect(APP, Some(&bearer)).await);

    keycloak.stop().unwrap();
    assert!(open().await.is_none());
    let (status, body) = ready().await;
    assert_eq!((status, &body["problems"][0]["what"]), (503, &"oidc".into()), "{body}");
    // Keys and those without credentials do not depend on it.
    world.server.stream(APP).await;

    keycloak.start_again().unwrap();
    let mut socket = open().await.expect("it is back");
    assert_eq!(ready().await.0, 200);
    keycloak.stop().unwrap();
    // The token that has just opened a stream opens none, as soon as the provider can be taken to answer no more.
    let stopped = Instant::now();
    while open().await.is_some() {
        assert!(stopped.elapsed() < limits::LOGIN_ANSWERED, "{:?}", stopped.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(open().await.is_none());
    let (status, body) = ready().await;
    assert_eq!((status, &body["problems"][0]["what"]), (503, &"oidc".into()), "{body}");
    let http = crate::support::http();
    for number in 0..10 {
        assert_eq!(world.server.publish(&http, "c", &numbered(number)).await.unwrap(), 202);
        assert_eq!(next_event(&mut socket).await["data"]["number"], number);
    }
}
