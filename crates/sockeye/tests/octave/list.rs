//! compat/octave.md 10, by its numbers.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::SinkExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::{APP, closed};
use crate::world::{PATH, World, refused, told};

#[expect(clippy::needless_pass_by_value, reason = "it is written where it is needed")]
fn subscribe(message: Value, path: &str) -> Value {
    json!({"msgId": message, "object": "event", "type": "subscribe", "path": path})
}

fn by_id(kind: &str, id: &Value) -> Value {
    json!({"msgId": 9, "object": "event", "type": kind, "streamId": id})
}

/// 1: three headers and no body; nothing arrives before a request.
#[tokio::test]
async fn n01_a_session_needs_three_headers_and_no_body() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let head = format!(
        "POST /session HTTP/1.1\r\nHost: x\r\nX-Auth-User: {}\r\nx-auth-token: {}\r\nX-AUTH-COMPANY: app\r\nConnection: close\r\n",
        world.user, world.key
    );
    let mut ids = Vec::new();
    for rest in [
        "\r\n",
        "Content-Length: 0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 4\r\nContent-Type: application/json; charset=UTF-8; none\r\n\r\nnull",
    ] {
        let address = world.server.url.strip_prefix("http://").unwrap();
        let mut io = TcpStream::connect(address).await.unwrap();
        io.write_all(format!("{head}{rest}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        io.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 201 "), "{rest:?}: {answer}");
        let body: Value = serde_json::from_str(answer.split("\r\n\r\n").last().unwrap()).unwrap();
        assert_eq!(
            (&body["head"]["ok"], &body["head"]["status"], &body["head"]["errors"]),
            (&json!(true), &json!(201), &json!([]))
        );
        ids.push(body["body"]["id"].as_str().unwrap().to_owned());
    }
    let mut client = world.open(&ids[0]).await;
    client.is_silent().await;
    ids.dedup();
    assert_eq!(ids.len(), 4);
    let id = &ids[0];
    assert_eq!((id.len(), id.find('.')), (44, Some(11)));
    // The predecessor's header names the company too; a key that is unlimited needs no user.
    let (status, _) = world
        .session_with(&[("X-Auth-Account", APP), ("X-Auth-Token", &world.key)])
        .await;
    assert_eq!(status, 201);
}

/// 2: exactly 201; with 403 there is an object as body.
#[tokio::test]
async fn n02_a_refused_session_is_read_by_old_clients() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let (user, key) = (world.user.as_str(), world.key.as_str());
    let wrong = format!("{}x", &key[..key.len() - 1]);
    for (headers, status, part) in [
        (
            &[("X-Auth-User", user), ("X-Auth-Token", &wrong), ("X-Auth-Company", APP)][..],
            403,
            "token is not valid",
        ),
        (
            &[
                ("X-Auth-User", user),
                ("X-Auth-Token", key),
                ("X-Auth-Company", "other"),
            ],
            403,
            "token is not valid",
        ),
        (
            &[("X-Auth-User", "eve"), ("X-Auth-Token", key), ("X-Auth-Company", APP)],
            403,
            "token is not valid",
        ),
        (&[("X-Auth-User", user), ("X-Auth-Company", APP)], 400, "`X-Auth-Token`"),
        (&[("X-Auth-User", user), ("X-Auth-Token", key)], 400, "`X-Auth-Company`"),
        (
            &[("X-Auth-User", user), ("X-Auth-Token", ""), ("X-Auth-Company", APP)],
            400,
            "`X-Auth-Token`",
        ),
    ] {
        let (found, answer) = world.session_with(headers).await;
        assert_eq!(found, status, "{answer}");
        assert_eq!(
            (&answer["head"]["status"], &answer["body"]),
            (&json!(status), &json!({}))
        );
        let text = answer["head"]["errors"][0].as_str().unwrap();
        assert!(text.contains(part) && !text.contains("drg_"), "{text}");
    }
    let answer = world
        .http
        .get(format!("{}/session", world.server.url))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 405);
    assert!(answer.headers()["allow"].to_str().unwrap().contains("POST"));
}

/// 3: two sockets, one session, different streams.
#[tokio::test]
async fn n03_a_session_has_several_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let session = world.session().await;
    let (mut one, mut two) = (world.open(&session).await, world.open(&session).await);
    one.subscribe("/app/devices/dev/a").await;
    two.subscribe("/app/devices/dev/b").await;
    world.publish("a", &json!({"n": 1})).await;
    world.publish("b", &json!({"n": 2})).await;
    assert_eq!(one.elements().await, json!({"n": 1}));
    assert_eq!(two.elements().await, json!({"n": 2}));
    one.is_silent().await;
    two.is_silent().await;
}

/// 4: `resource` is the id, `value.path` the path that was sent.
#[tokio::test]
async fn n04_a_frame_names_stream_and_path() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let mut client = world.client().await;
    client.subscribe(PATH).await;
    world.publish("temperature", &json!({"celsius": 21.5})).await;
    let frame = client.next().await;
    assert_eq!(
        (&frame["type"], frame.get("head"), frame.get("msgId")),
        (&json!("message"), None, None)
    );
    let value = &frame["value"];
    assert_eq!((&value["path"], &value["streamId"]), (&json!(PATH), &frame["resource"]));
    let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    let mut all = [
        "id",
        "streamId",
        "path",
        "creatorId",
        "lastEditorId",
        "creationDate",
        "lastEditDate",
        "generatedDate",
        "hash",
        "location",
        "metadata",
        "tags",
        "version",
        "elems",
    ];
    all.sort_unstable();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, all);
    assert_eq!(
        (&value["elems"], &value["tags"]),
        (&json!({"celsius": 21.5}), &json!({}))
    );
    assert_eq!(value["creatorId"], "i000000000000000000000001");
    assert!(value["creationDate"].is_i64() && value["generatedDate"].is_i64());
    // An id that was shown is the stream's for REST, and on another socket, whenever it is asked for.
    let id = frame["resource"].as_str().unwrap();
    let read = async || world.call(Method::GET, &format!("stream/{id}"), None).await;
    let mut noted = read().await;
    while noted.0 == 404 {
        tokio::task::yield_now().await;
        noted = read().await;
    }
    assert_eq!(noted.1["body"]["path"], PATH);
    let mut other = world.client().await;
    other.done(by_id("subscribe", &frame["resource"])).await;
    world.publish("temperature", &json!({})).await;
    assert_eq!(other.next().await, client.next().await, "all see the same bytes");
}

/// 5: a `msgId` comes back as it was, with its type; a missing one is null.
#[tokio::test]
async fn n05_message_ids_are_echoed_by_type() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let mut client = world.client().await;
    for id in [json!(0), json!(1), json!("-1203"), json!(""), json!("a-1"), json!(null)] {
        client.done(subscribe(id, PATH)).await;
    }
    let answer = client
        .ask(json!({"object": "event", "type": "subscribe", "path": PATH}))
        .await;
    assert_eq!(
        (&answer["head"]["ok"], answer["head"].get("msgId")),
        (&json!(true), Some(&json!(null)))
    );
    assert_eq!(
        answer["head"]["messages"],
        json!(["Your request has been processed successfully."])
    );
}

/// 6: heartbeats are not answered. (That nothing is closed for being idle is delivery's: it looks at Pongs alone.)
#[tokio::test]
async fn n06_heartbeats_are_not_answered() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let mut client = world.client().await;
    for _ in 0..100 {
        client.say(r#"{"type":"heartbeat"}"#).await;
    }
    client.is_silent().await;
    client.subscribe(PATH).await;
}

/// 7: subscribed once, however often and by whatever; unsubscribed when nothing names it any more.
#[tokio::test]
async fn n07_a_stream_is_delivered_once() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let stream = world
        .done(201, Method::POST, "stream", Some(json!({"path": PATH})))
        .await;
    let mut client = world.client().await;
    for _ in 0..2 {
        client.subscribe(PATH).await;
        client.done(by_id("subscribe", &stream["id"])).await;
    }
    let publish = async |number: u64| world.publish("temperature", &json!({"n": number})).await;
    publish(1).await;
    assert_eq!(client.elements().await, json!({"n": 1}));
    client.is_silent().await;
    client.unsubscribe(PATH).await;
    publish(2).await;
    assert_eq!(client.elements().await, json!({"n": 2}), "its id still names it");
    for _ in 0..2 {
        client.done(by_id("unsubscribe", &stream["id"])).await;
        client.unsubscribe(PATH).await;
    }
    publish(3).await;
    client.is_silent().await;
    let both = json!({"msgId": 5, "object": "event", "type": "subscribe", "path": PATH, "streamId": stream["id"]});
    client.done(both).await;
    publish(4).await;
    assert_eq!(client.elements().await, json!({"n": 4}));
    client.is_silent().await;
}

/// 8: what is not there is told with status and one sentence, and the socket lives.
#[tokio::test]
async fn n08_an_unknown_stream_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let mut client = world.client().await;
    let mut refused = async |status, request: Value| client.refused(status, request).await;
    let nope = refused(404, subscribe(json!("a"), "/app/nope")).await;
    assert_eq!(nope, "no stream with path /app/nope");
    refused(404, subscribe(json!(0), "/app/devices/none/temperature")).await;
    let unknown = json!("s64f0c1a2b3d4e5f60718293a");
    let text = refused(404, by_id("subscribe", &unknown)).await;
    assert!(text.contains("s64f0c1a2b3d4e5f60718293a"), "{text}");
    let text = refused(403, subscribe(json!(1), "/other/devices/dev/temperature")).await;
    assert!(text.contains("/app/"), "{text}");
    refused(400, subscribe(json!(1), "app")).await;
    refused(400, subscribe(json!(1), "/app/devices//x")).await;
    let stream = world
        .done(201, Method::POST, "stream", Some(json!({"path": PATH})))
        .await;
    let mut two = by_id("subscribe", &stream["id"]);
    two["path"] = json!("/app/devices/dev/other");
    let text = refused(400, two).await;
    assert!(text.contains("two streams"), "{text}");
    client.subscribe(PATH).await;
}

/// 9: what cannot be read is answered, and the socket lives; after 20 in a row it does not. A frame of 1 MB is too much.
#[tokio::test]
async fn n09_garbage_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let mut client = world.client().await;
    for garbage in [
        Message::text("{\"msgId\":1,\"obj"),
        Message::text("[1,2]"),
        Message::text("5"),
        Message::text("x"),
        Message::text(""),
        Message::binary(vec![0xff]),
        Message::binary(b"{".to_vec()),
    ] {
        client.say(garbage).await;
        let text = refused(&client.next().await, 400, &Value::Null);
        assert!(text.contains("JSON object"), "{text}");
    }
    // A binary frame that is a request is one.
    let request = subscribe(json!(1), PATH).to_string();
    client.say(Message::binary(request.into_bytes())).await;
    assert_eq!(client.next().await["head"]["ok"], true);
    for (request, part) in [
        (
            json!({"msgId": 1, "object": "flow", "type": "subscribe", "path": PATH}),
            "`object`",
        ),
        (
            json!({"msgId": 2, "object": "event", "type": "find", "path": PATH}),
            "`type`",
        ),
        (
            json!({"msgId": 3, "object": "event", "type": "subscribe"}),
            "`streamId` or `path`",
        ),
        (
            json!({"msgId": 4, "object": "event", "type": "subscribe", "path": 5}),
            "`path`",
        ),
        (
            json!({"msgId": 5, "object": "event", "type": "subscribe", "streamId": "x"}),
            "`streamId`",
        ),
    ] {
        let text = client.refused(400, request).await;
        assert!(text.contains(part), "{text}");
    }
    for _ in 1..20 {
        client.say("x").await;
        client.next().await;
    }
    client.say("x").await;
    let (code, reason) = closed(&mut client.socket).await;
    assert_eq!(code, 1008, "{reason}");
    let mut large = world.client().await;
    // The server may close before it has taken all of it.
    let _ = large.socket.send(Message::text("x".repeat(1 << 20))).await;
    assert_eq!(closed(&mut large.socket).await.0, 1009);
}

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

/// 13: browsers may send the headers from any page.
#[tokio::test]
async fn n13_preflights_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let wanted = "x-auth-user,x-auth-company,x-auth-token,x-auth-account,content-type,accept";
    for path in ["/session", "/v5.0/app/event"] {
        let answer = world
            .http
            .request(Method::OPTIONS, format!("{}{path}", world.server.url))
            .header("Origin", "https://dashboard.example")
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", wanted)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_ascii_lowercase();
        assert_eq!(header("access-control-allow-origin"), "*");
        assert!(header("access-control-allow-methods").contains(['*', 'p']));
        assert_eq!(header("access-control-allow-headers"), wanted);
    }
    let refused = world
        .http
        .post(format!("{}/session", world.server.url))
        .header("Origin", "https://x");
    let refused = refused.send().await.unwrap();
    assert_eq!(
        refused.headers()["access-control-allow-origin"],
        "*",
        "a page reads what went wrong"
    );
}

/// 14: a session that nobody uses is over after its time; one that is used lives on, and its time begins anew then.
#[tokio::test]
async fn n14_sessions_expire_without_a_connection() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::with(folder.path(), |command| {
        command.args(["--octave-session", "2s"]);
    });
    let (idle, used) = (world.session().await, world.session().await);
    let mut client = world.open(&used).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    for id in [&*idle, "", "no.session"] {
        let again = world.server.connect(&format!("session/{id}/ws"), None).await;
        let Err(Error::Http(response)) = again else {
            panic!("{id} is no session");
        };
        assert_eq!(response.status(), 404, "{id}");
        let answer: Value = serde_json::from_slice(response.body().as_deref().unwrap()).unwrap();
        assert_eq!((&answer["head"]["status"], &answer["body"]), (&json!(404), &json!({})));
    }
    client.subscribe(PATH).await;
    drop(client);
    let mut client = world.open(&used).await;
    client.subscribe(PATH).await;
    let plain = world
        .http
        .get(format!("{}/session/{used}/ws", world.server.url))
        .send()
        .await
        .unwrap();
    assert_eq!(plain.status(), 426);
}
