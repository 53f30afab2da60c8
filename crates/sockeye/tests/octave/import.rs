//! What orphaned clients carry in their code, and keys with paths of the command line.

use reqwest::Method;
use serde_json::json;

use crate::support::APP;
use crate::world::{PATH, World};

const TOKEN: &str = "f3Ab9Zk2Qw8Xn5Lt7Vc1Rj6Mh4Yd0PsG";
const RESTRICTED: &str = "Zk2Qw8Xn5Lt7Vc1Rj6Mh4Yd0PsGf3Ab9";
const STREAM: &str = "s64f0c1a2b3d4e5f60718293a";

#[tokio::test]
async fn a_client_of_the_original_changes_nothing_but_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(&folder.path().join("data"));
    let file = folder.path().join("octave.jsonl");
    let lines = [
        json!({"alias": "Acme_Pumps"}),
        json!({"stream": {"id": STREAM, "path": "/Acme_Pumps/devices/dev/temperature"}}),
        json!({"token": {"value": TOKEN, "user": "jane"}}),
        json!({"token": {"value": RESTRICTED, "paths": {"/Acme_Pumps/devices/dev": {"eventRead": true}}}}),
    ];
    std::fs::write(&file, lines.map(|line| line.to_string() + "\n").concat()).unwrap();
    let file = file.to_str().unwrap();
    for _ in 0..2 {
        world.server.cli_ok(&["import", "octave", file, "--application", APP]);
    }
    let jane = json!({"members": {"jane": {"role": "reader"}}}).to_string();
    let (user, key) = (world.user.clone(), world.key.clone());
    let members = format!("{}/api/admin/v1alpha1/apps/{APP}/members", world.server.url);
    let members = world.http.put(members).basic_auth(user, Some(key)).body(jane);
    let members = members.header("Content-Type", "application/json").send().await.unwrap();
    assert!(members.status().is_success(), "{}", members.text().await.unwrap());
    for headers in [
        &[
            ("X-Auth-User", "jane"),
            ("X-Auth-Token", TOKEN),
            ("X-Auth-Company", "Acme_Pumps"),
        ][..],
        &[("X-Auth-Token", RESTRICTED), ("X-Auth-Company", "Acme_Pumps")],
    ] {
        let (status, answer) = world.session_with(headers).await;
        assert_eq!(status, 201, "{answer}");
        let mut client = world.open(answer["body"]["id"].as_str().unwrap()).await;
        client
            .done(json!({"msgId": "1", "object": "event", "type": "subscribe", "streamId": STREAM}))
            .await;
        client.subscribe("/Acme_Pumps/devices/dev/temperature").await;
        world.publish("temperature", &json!({"n": 1})).await;
        let frame = client.next().await;
        assert_eq!(
            (&frame["resource"], &frame["value"]["streamId"]),
            (&json!(STREAM), &json!(STREAM))
        );
        assert_eq!(frame["value"]["path"], "/Acme_Pumps/devices/dev/temperature");
        client.is_silent().await;
    }
    // Who calls the application by its own name sees that, and the same id.
    let mut client = world.client().await;
    client
        .done(json!({"msgId": 1, "object": "event", "type": "subscribe", "pathPattern": "/app/devices/+/temperature"}))
        .await;
    world.publish("temperature", &json!({"n": 2})).await;
    let frame = client.next().await;
    assert_eq!(
        (&frame["resource"], &frame["value"]["path"]),
        (&json!(STREAM), &json!(PATH))
    );

    let refused = |line: serde_json::Value, part: &str| {
        std::fs::write(file, line.to_string()).unwrap();
        let output = world.server.cli(&["import", "octave", file, "--application", APP]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && told.contains("octave.jsonl:1") && told.contains(part),
            "{told}"
        );
    };
    refused(json!({"token": {"value": "secret"}}), "128 bits");
    refused(
        json!({"token": {"value": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}),
        "128 bits",
    );
    refused(json!({"alias": "app"}), "there is an application app");
    refused(json!({"alias": "a/b"}), "`alias`");
    refused(
        json!({"stream": {"id": STREAM, "path": "/app/devices/dev/other"}}),
        "taken",
    );
    refused(json!({"stream": {"id": "x", "path": "/app/x"}}), "`stream.id`");
    refused(json!({"colour": "red"}), "colour");
    let (status, _) = world.call(Method::POST, "import", Some(json!({}))).await;
    assert_eq!(status, 201);
}

#[tokio::test]
async fn a_key_of_the_command_line_may_be_limited_to_paths() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let made = world
        .server
        .cli_ok(&["key", "create", "--paths", "/app/devices/dev:read", "--output", "json"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let token = made["token"].as_str().unwrap();
    let (status, answer) = world
        .session_with(&[("X-Auth-Token", token), ("X-Auth-Company", APP)])
        .await;
    assert_eq!(status, 201, "{answer}");
    let mut client = world.open(answer["body"]["id"].as_str().unwrap()).await;
    client.subscribe(PATH).await;
    client
        .refused(
            403,
            json!({"msgId": 1, "object": "event", "type": "subscribe", "path": "/app/weather"}),
        )
        .await;
    let listed = world.server.cli_ok(&["key", "list", "--output", "json"]);
    assert!(listed.contains("\"/devices/dev\""), "{listed}");
    for wrong in [
        "x",
        "/app/devices/dev",
        "/app:all",
        "/app/a:read,/other/b:read",
        "/App:read",
    ] {
        let output = world.server.cli(&["key", "create", "--paths", wrong]);
        assert!(!output.status.success(), "{wrong}");
    }
}
