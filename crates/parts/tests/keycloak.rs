//! A Keycloak issues tokens, signs them as it is told, and comes back after a stop.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use sockeye_parts::keycloak::{self, Keycloak, Realm, SERVICE, SERVICE_SECRET};

/// Header and claims of a token, whose signature is not looked at.
async fn login(realm: &Realm, user: &str) -> (Value, Value) {
    read(&realm.login(user).await.unwrap().access)
}

fn read(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let mut next = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (next(), next())
}

#[tokio::test]
async fn tokens_are_issued() {
    let Some(keycloak) = keycloak::shared().unwrap() else {
        return;
    };
    let realm = keycloak.realm("tokens").await.unwrap();
    let (header, claims) = login(&realm, "alice").await;
    assert_eq!(header["alg"], "RS256");
    assert_eq!(claims["iss"], realm.issuer());
    assert_eq!(claims["azp"], "drogue");
    assert_eq!(claims["preferred_username"], "alice");
    assert!(
        claims["realm_access"]["roles"]
            .as_array()
            .unwrap()
            .contains(&"gardener".into())
    );
    let (old, life) = (header["kid"].clone(), |claims: &Value| {
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()
    });
    assert_eq!(life(&claims), 10);

    let (_, service) = read(&realm.service_token(SERVICE_SECRET).await.unwrap());
    assert_eq!(service["azp"], SERVICE);
    let refused = realm.service_token("wrong").await.unwrap_err().to_string();
    assert!(refused.contains("401"), "{refused}");

    realm.set_token_life(3).await.unwrap();
    realm.add_audience("sockeye").await.unwrap();
    realm.rotate().await.unwrap();
    let (header, claims) = login(&realm, "bob").await;
    assert_eq!(life(&claims), 3);
    // Text or array (RFC 7519 4.1.3): who has roles of the client `account` has it in there too.
    assert!(claims["aud"].to_string().contains("\"sockeye\""), "{claims}");
    assert_ne!(header["kid"], old);
    for algorithm in ["PS256", "ES256", "EdDSA"] {
        realm.sign_with(algorithm).await.unwrap();
        assert_eq!(login(&realm, "bob").await.0["alg"], algorithm);
    }
}

#[tokio::test]
async fn a_stopped_keycloak_comes_back_with_its_realms() {
    let Some(mut keycloak) = Keycloak::start_or_say().unwrap() else {
        return;
    };
    let realm = keycloak.realm("kept").await.unwrap();
    let tokens = realm.login("alice").await.unwrap();
    keycloak.stop().unwrap();
    assert!(realm.login("alice").await.is_err(), "it is gone");
    keycloak.start_again().unwrap();
    realm.login("alice").await.unwrap();
    assert_ne!(realm.refresh(&tokens).await.unwrap().access, tokens.access);
}
