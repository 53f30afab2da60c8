//! `login`, `whoami` and `version`.

use serde_json::json;

use crate::world::{Way, World};

pub async fn who_and_where(world: &World) {
    let url = &world.server.url;
    let said = world.run_ok(&["whoami"]);
    assert!(
        said.contains("Context name: default") && said.contains("No default app"),
        "{said}"
    );
    let expected = json!({"context_name": "default", "cluster": format!("{url}/")});
    assert_eq!(world.json(&["whoami"]), expected);

    let token = world.run_ok(&["whoami", "-t"]);
    match world.way {
        Way::AccessKey => assert!(token.starts_with("alice:drg_"), "{token}"),
        Way::SingleSignOn => assert_eq!(token.split('.').count(), 3, "{token}"),
    }
    // Either is taken as a bearer token (decision 2).
    let whoami = format!("{url}/api/admin/v1alpha1/user/whoami");
    let answer = crate::support::http().get(whoami).bearer_auth(token.trim());
    let answer = answer.send().await.unwrap().text().await.unwrap();
    assert_eq!(answer, r#"{"id":"alice"}"#);

    let endpoints = world.json(&["whoami", "endpoints"]);
    assert_eq!(endpoints["registry"]["url"], *url);
    assert_eq!(endpoints["http"]["url"], *url);
    assert_eq!(endpoints["websocket_integration"]["url"], url.replacen("http", "ws", 1));
    world.says(&["whoami", "endpoints", "registry"], url);
    let table = world.run_ok(&["whoami", "endpoints"]);
    for name in [
        "NAME",
        "api",
        "command_url",
        "http",
        "issuer_url",
        "registry",
        "websocket_integration",
    ] {
        assert!(table.lines().any(|line| line.starts_with(name)), "{name}: {table}");
    }

    let version = world.run_ok(&["version"]);
    assert!(version.contains("Drg Version: 0.11.0"), "{version}");
    assert!(version.contains("Connected drogue-cloud service: v0.11.0"), "{version}");
}

#[tokio::test]
async fn a_wrong_key_does_not_log_in() {
    let Some(world) = World::before_login(Way::AccessKey, 0).await else {
        return;
    };
    world.fails(&["get", "apps"], "Did you log in into a drogue-cloud instance?");
    let key = world.key("alice");
    for (wrong, says) in [
        (
            format!("bob:{}", key.split_once(':').unwrap().1),
            "Error from drogue cloud: ",
        ),
        ("alice:drg_nothing".to_owned(), "Error from drogue cloud: "),
        ("alice".to_owned(), "Format should be username:token"),
    ] {
        let ran = world.log_in_with(&wrong, &[]);
        assert_eq!(ran.code, Some(1), "{wrong}: {ran:?}");
        assert!(
            ran.out.starts_with("Invalid input: ") && ran.out.contains(says),
            "{wrong}: {ran:?}"
        );
    }
    let said = world.log_in_with(&key, &[]).out;
    assert!(said.contains("Successfully authenticated to drogue cloud"), "{said}");
}

/// Where there is no provider, `drg` is told what to do instead.
#[tokio::test]
async fn without_a_provider_there_is_no_single_sign_on() {
    let Some(world) = World::before_login(Way::AccessKey, 0).await else {
        return;
    };
    let ran = world.run(&["login", &world.server.url, "--token", "refresh"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("Refreshing token"), "{ran:?}");
}

/// `--token`, which `drg` itself calls deprecated.
#[tokio::test]
async fn a_refresh_token_logs_in() {
    let Some(world) = World::before_login(Way::SingleSignOn, 300).await else {
        return;
    };
    world.log_in_as("alice", &[]).await;
    let config = std::fs::read_to_string(world.folder().join("drg.yaml")).unwrap();
    let refresh = config
        .lines()
        .find_map(|line| line.trim().strip_prefix("refresh_token: "));
    let refresh = refresh.unwrap().trim_matches('"');
    world.run_ok(&["login", &world.server.url, "--token", refresh, "-c", "second"]);
    assert_eq!(world.json(&["whoami"])["context_name"], "second");
    world.run_ok(&["get", "apps"]);
}

/// `drg` renews a token that lives for less than 30 s more before each call.
#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let Some(world) = World::before_login(Way::SingleSignOn, 2).await else {
        return;
    };
    world.log_in_as("alice", &[]).await;
    world.says(&["create", "app", "mine"], "Application created");
    let tokens = [(); 2].map(|()| world.run_ok(&["whoami", "-t"]));
    assert_ne!(tokens[0], tokens[1]);
    assert_eq!(world.json(&["get", "apps"])[0]["metadata"]["name"], "mine");
}
