//! Events and tokens over REST, and what sockets see of them (10 to 12).

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::subscribe;
use crate::support::{APP, closed};
use crate::world::{PATH, World, told};

/// 10: JSON whatever the content type, packed too; numbers keep their text.
#[tokio::test]
async fn n10_bodies_as_clients_send_them() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let stream = world
        .done(201, Method::POST, "stream", Some(json!({"path": PATH})))
        .await;
    let id = stream["id"].as_str().unwrap();
    let mut client = world.client().await;
    client.subscribe(PATH).await;
    let elements = r#"{"a":{"b":[1,{"c":null}]},"big":12345678901234567890123,"text":"ü\u0000 ","number":1.50,"e":1E+40,"empty":{}}"#;
    let body = format!("{{\"elems\":{elements},\"hash\":\"h1\"}}");
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(body.as_bytes()).unwrap();
    let packed = packer.finish().unwrap();
    let post = |path: String| {
        let request = world.http.post(format!("{}/v5.0/app/{path}", world.server.url));
        request
            .header("X-Auth-User", &world.user)
            .header("X-Auth-Token", &world.key)
    };
    let answers = [
        post(format!("event/{id}"))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body.clone()),
        post(format!("event/{id}/"))
            .header("Content-Encoding", "gzip")
            .body(packed),
        post("event".to_owned()).body(body.replacen('{', &format!("{{\"path\":\"{PATH}\","), 1)),
    ];
    for request in answers {
        let text = request.send().await.unwrap().text().await.unwrap();
        assert!(text.contains(elements), "{text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["head"]["status"], 201, "{answer}");
        let made = &answer["body"];
        let Message::Text(frame) = crate::support::next_message(&mut client.socket).await else {
            panic!("an event was posted");
        };
        assert!(frame.contains(&format!("\"elems\":{elements}")), "{frame}");
        assert!(frame.contains(&format!("\"id\":{}", made["id"])), "{made} {frame}");
        assert!(frame.contains("\"hash\":\"h1\"") && frame.contains(&format!("\"streamId\":\"{id}\"")));
        assert_eq!((&made["path"], &made["version"]), (&json!(PATH), &json!(0)));
        assert_eq!(made["generatedDate"].as_i64().map(|time| time > 0), Some(true));
    }
    for (body, status, part) in [
        ("null", 400, "JSON object"),
        ("", 400, "JSON object"),
        ("{\"elems\":5}", 400, "`elems`"),
        ("{}", 400, "`elems`"),
        ("{\"elems\":{}", 400, "body is wrong"),
    ] {
        let (found, answer) = told(post(format!("event/{id}")).body(body).send().await.unwrap()).await;
        let text = answer["head"]["errors"][0].as_str().unwrap();
        assert!(found == status && text.contains(part), "{body}: {answer}");
    }
    let large = format!("{{\"elems\":{{\"a\":\"{}\"}}}}", "x".repeat(1 << 20));
    let (status, answer) = told(post(format!("event/{id}")).body(large).send().await.unwrap()).await;
    assert_eq!(status, 413, "{answer}");
    // As the documentation has it: the path is in the elements, and ends with the id.
    let inner = json!({"elems": {"path": format!("/app/{id}"), "x": 1}});
    let made = world.done(201, Method::POST, "event", Some(inner)).await;
    assert_eq!(made["streamId"], id);
    world.call(Method::POST, "event", Some(json!({"elems": {}}))).await;
}

/// 11: a stream of capacity 0 pushes and shows nothing; of capacity 1 it shows the last; the oldest go first.
#[tokio::test]
async fn n11_capacity_limits_what_reads_show() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let mut client = world.client().await;
    for (capacity, shown) in [(0, &[][..]), (1, &[4]), (3, &[4, 3, 2]), (1_000, &[4, 3, 2, 1, 0])] {
        let path = format!("/app/capacity-{capacity}");
        let stream = json!({"path": path, "capacity": capacity});
        let stream = world.done(201, Method::POST, "stream", Some(stream)).await;
        client.subscribe(&path).await;
        for number in 0..5 {
            world
                .done(
                    201,
                    Method::POST,
                    "event",
                    Some(json!({"path": path, "elems": {"n": number}})),
                )
                .await;
            assert_eq!(client.elements().await, json!({"n": number}));
        }
        let id = stream["id"].as_str().unwrap();
        let read = world.done(200, Method::GET, &format!("event/{id}"), None).await;
        let numbers: Vec<_> = read
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["elems"]["n"].as_i64().unwrap())
            .collect();
        assert_eq!(numbers, shown, "{capacity}");
    }
}

/// 12: a restricted token needs no user; a grant on a parent path counts, a sibling does not.
#[tokio::test]
async fn n12_restricted_tokens_read_what_they_are_granted() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    world.device("other");
    let paths = json!({"/app/devices/dev": {"eventRead": true, "eventWrite": false}});
    let token = json!({"paths": paths, "description": "dashboard", "duration": 3_600_000});
    let made = world.done(201, Method::POST, "token", Some(token)).await;
    assert_eq!(
        made["paths"],
        json!({"/app/devices/dev": {"eventRead": true, "eventWrite": false}})
    );
    let token = made["tokenString"].as_str().unwrap();
    let (status, answer) = world
        .session_with(&[
            ("X-Auth-Token", token),
            ("X-Auth-Company", APP),
            ("X-Auth-User", "whoever"),
        ])
        .await;
    assert_eq!(status, 201, "the user is passed over");
    let mut client = world.open(answer["body"]["id"].as_str().unwrap()).await;
    client.subscribe(PATH).await;
    client
        .refused(403, subscribe(json!(1), "/app/devices/other/temperature"))
        .await;
    client
        .refused(403, subscribe(json!(1), "/app/devices/device/temperature"))
        .await;
    for pattern in ["/app/#", "/app/devices/+/temperature"] {
        let request = json!({"msgId": 1, "object": "event", "type": "subscribe", "pathPattern": pattern});
        client.refused(403, request).await;
    }
    world.publish("temperature", &json!({"n": 1})).await;
    assert_eq!(client.elements().await, json!({"n": 1}));
    // It reads, it does not write; and it counts nowhere else.
    let as_token = |method: Method, path: &str| {
        let request = world.http.request(method, format!("{}{path}", world.server.url));
        request.header("X-Auth-Token", token)
    };
    let posted = as_token(Method::POST, "/v5.0/app/event").body(json!({"path": PATH, "elems": {}}).to_string());
    assert_eq!(told(posted.send().await.unwrap()).await.0, 403);
    let read = as_token(Method::GET, &format!("/v5.0/app/event?path={PATH}"));
    assert_eq!(told(read.send().await.unwrap()).await.0, 200);
    let more =
        as_token(Method::POST, "/v5.0/app/token").body(json!({"paths": {"/app": {"eventRead": true}}}).to_string());
    assert_eq!(told(more.send().await.unwrap()).await.0, 403);
    let drogue = world
        .server
        .connect(&format!("app?token={}:{token}", world.user), None)
        .await;
    assert!(matches!(drogue, Err(Error::Http(response)) if response.status() == 404));
    // A token that is withdrawn ends its sockets, and its sessions.
    let id = made["id"].as_str().unwrap();
    let listed = world.done(200, Method::GET, "token", None).await;
    assert_eq!((&listed[0]["id"], listed[0].get("tokenString")), (&json!(id), None));
    world.done(200, Method::DELETE, &format!("token/{id}"), None).await;
    assert_eq!(closed(&mut client.socket).await.0, 1008);
    let again = format!("session/{}/ws", answer["body"]["id"].as_str().unwrap());
    let again = world.server.connect(&again, None).await;
    assert!(matches!(again, Err(Error::Http(response)) if response.status() == 404));
}
