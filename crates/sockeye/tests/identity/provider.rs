//! A provider whose keys change, and one that is away.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use sockeye_parts::keycloak::Keycloak;

use crate::support::{APP, next_event, numbered};
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

/// Open streams go on; who has to be looked up is told to try again; readiness names the provider.
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

    keycloak.stop().unwrap();
    let refused = world.server.connect(APP, Some(&bearer)).await.unwrap_err();
    let tokio_tungstenite::tungstenite::Error::Http(answer) = refused else {
        panic!("{refused}")
    };
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    let (status, body) = ready().await;
    assert_eq!((status, &body["problems"][0]["what"]), (503, &"oidc".into()), "{body}");
    // Keys and those without credentials do not depend on it.
    world.server.stream(APP).await;

    keycloak.start_again().unwrap();
    let mut socket = world.server.connect(APP, Some(&bearer)).await.unwrap();
    assert_eq!(ready().await.0, 200);
    keycloak.stop().unwrap();
    let http = crate::support::http();
    for number in 0..10 {
        assert_eq!(world.server.publish(&http, "c", &numbered(number)).await.unwrap(), 202);
        assert_eq!(next_event(&mut socket).await["data"]["number"], number);
    }
}
