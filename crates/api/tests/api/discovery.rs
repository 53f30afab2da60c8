//! Where clients are told that everything is (compat/drogue.md 3.1).

use crate::world::World;
use http::Request;
use serde_json::{Value, json};

async fn get(world: &World, path: &str, host: Option<&str>) -> (u16, Value) {
    let mut request = Request::get(path);
    if let Some(host) = host {
        request = request.header("host", host);
    }
    let answer = world.send(request.body("".into()).unwrap()).await;
    let status = answer.status.as_u16();
    (status, answer.json())
}

#[tokio::test]
async fn clients_are_told_what_they_asked() {
    let world = World::new().await;
    let expected = json!({
        "api": "http://here:8080",
        "issuer_url": "http://here:8080",
        "command_url": "http://here:8080",
        "http": {"url": "http://here:8080"},
        "registry": {"url": "http://here:8080"},
        "websocket_integration": {"url": "ws://here:8080"},
    });
    for path in ["/.well-known/drogue-endpoints", "/api/console/v1alpha1/info"] {
        assert_eq!(
            get(&world, path, Some("here:8080")).await,
            (200, expected.clone()),
            "{path}"
        );
        for host in [None, Some("user@here"), Some("he re"), Some("here/there")] {
            let (status, said) = get(&world, path, host).await;
            assert_eq!(status, 400, "{host:?}: {said}");
            assert!(said["message"].as_str().unwrap().contains("`Host`"), "{said}");
        }
    }
    let version = get(&world, "/.well-known/drogue-version", None).await;
    assert_eq!(version, (200, json!({"version": "0.11.0"})));
}

/// `drg login` wants them, also with an access key.
#[tokio::test]
async fn without_a_provider_there_is_a_document_that_leads_to_an_explanation() {
    let world = World::new().await;
    let (status, document) = get(&world, "/.well-known/openid-configuration", Some("here")).await;
    assert_eq!((status, &document["issuer"]), (200, &json!("http://here")));
    for endpoint in ["authorization_endpoint", "token_endpoint"] {
        let url = document[endpoint].as_str().unwrap();
        let path = url.strip_prefix("http://here").unwrap();
        let (status, said) = get(&world, path, Some("here")).await;
        assert_eq!(status, 400);
        assert!(
            said["error_description"].as_str().unwrap().contains("--access-token"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn wrong_credentials_are_no_anonymous_ones() {
    let world = World::new().await;
    world.ok("alice", "GET /api/console/v1alpha1/info", "", 200).await;
    let request = Request::get("/api/console/v1alpha1/info").header("host", "here");
    let request = request
        .header("authorization", "Basic YWxpY2U6d3Jvbmc=")
        .body("".into())
        .unwrap();
    assert_eq!(world.send(request).await.status, 401);
}
