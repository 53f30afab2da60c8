//! Applications and devices (compat/drogue.md 4.1, 4.2) on a real engine.

use crate::world::World;
use http::Request;
use serde_json::json;
use sockeye_event::Headers;
use sockeye_limits as limits;
use sockeye_log::{NewRecord, Retention, Topic};

const APPS: &str = "/api/registry/v1alpha1/apps";

const HASHED: &str = r#"{"pass":{"bcrypt":"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"}}"#;

/// One call in a world where `alice` owns the private application `mine` with a device `d`, in which `bob` reads, and the public
/// `open`: its status, and a part of what it says.
async fn check(world: &World, user: &str, call: &str, body: &str, status: u16, says: &str) {
    let answer = world.call(user, call, body).await;
    let about = format!("{user} {call} {body}: {} {}", answer.status, answer.text);
    assert_eq!(answer.status, status, "{about}");
    assert!(answer.text.contains(says), "{about}");
    if answer.status.is_client_error() {
        let error = answer.json();
        assert!(error["error"].is_string() && error["message"].is_string(), "{about}");
    }
    if status == 405 {
        assert!(answer.headers["allow"].to_str().unwrap().contains("GET"), "{about}");
    }
    if status == 401 {
        assert!(
            answer.headers["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Basic "),
            "{about}"
        );
    }
}

async fn furnished() -> World {
    let world = World::new().await;
    for app in ["mine", "open"] {
        world
            .ok(
                "alice",
                &format!("POST {APPS}"),
                &format!(r#"{{"metadata":{{"name":"{app}"}}}}"#),
                201,
            )
            .await;
        let secret = format!(
            r#"{{"metadata":{{"name":"d","application":"{app}"}},"spec":{{"credentials":{{"credentials":[{{"pass":"s3cret"}}]}}}}}}"#
        );
        world
            .ok("alice", &format!("POST {APPS}/{app}/devices"), &secret, 201)
            .await;
    }
    let members = "PUT /api/admin/v1alpha1/apps";
    world
        .ok(
            "alice",
            &format!("{members}/mine/members"),
            r#"{"members":{"bob":{"role":"reader"}}}"#,
            204,
        )
        .await;
    world
        .ok(
            "alice",
            &format!("{members}/open/members"),
            r#"{"members":{"":{"role":"reader"}}}"#,
            204,
        )
        .await;
    world
        .ok(
            "admin",
            &format!("POST {APPS}"),
            r#"{"metadata":{"name":"theirs"}}"#,
            201,
        )
        .await;
    world
}

#[tokio::test]
async fn statuses_of_applications() {
    let world = furnished().await;
    let long = format!(
        r#"{{"metadata":{{"name":"a","labels":{{"x":"{}"}}}}}}"#,
        "x".repeat(limits::REGISTRY_DOCUMENT)
    );
    let name = |name: &str| format!(r#"{{"metadata":{{"name":"{name}"}}}}"#);
    let uid = r#"{"metadata":{"name":"mine","uid":"6a2ba2d6-5e9d-4b25-8a4e-0d5f0a3c8b7e"}}"#;
    let version = r#"{"preconditions":{"resourceVersion":"6a2ba2d6-5e9d-4b25-8a4e-0d5f0a3c8b7e"}}"#;
    for (user, call, body, status, says) in [
        // who
        ("-", "GET ", String::new(), 401, "access key"),
        ("-", "POST ", name("a"), 401, "NotAuthorized"),
        ("-", "GET /open", String::new(), 401, "NotAuthorized"),
        ("bob", "GET /mine", String::new(), 200, r#""name":"mine""#),
        ("bob", "GET /open", String::new(), 200, r#""name":"open""#),
        (
            "bob",
            "GET /theirs",
            String::new(),
            404,
            r#""error":"NotFound","message":"there is no application `theirs`""#,
        ),
        ("bob", "GET /nowhere", String::new(), 404, "NotFound"),
        ("bob", "PUT /mine", name("mine"), 403, "AuthenticationError"),
        ("bob", "DELETE /mine", String::new(), 403, "AuthenticationError"),
        ("bob", "DELETE /nowhere", String::new(), 404, "NotFound"),
        ("admin", "GET /mine", String::new(), 200, r#""name":"mine""#),
        // names
        ("alice", "POST ", name(""), 400, "`metadata.name`"),
        ("alice", "POST ", name("Upper"), 400, "lower-case"),
        ("alice", "POST ", name("a.b"), 400, "`metadata.name`"),
        ("alice", "POST ", name("api"), 400, "path of the server"),
        ("alice", "POST ", name(&"x".repeat(64)), 400, "63"),
        ("alice", "POST ", name("theirs"), 409, "Conflict"),
        (
            "alice",
            "POST ",
            r#"{"metadata":{"name":"a","application":"b"}}"#.into(),
            400,
            "metadata.application",
        ),
        // bodies
        ("alice", "POST ", "{".into(), 400, "Json deserialize error"),
        (
            "alice",
            "POST ",
            r#"{"metadata":{"name":"a","colour":1}}"#.into(),
            400,
            "colour",
        ),
        ("alice", "POST ", r#"{"metadata":{}}"#.into(), 400, "name"),
        ("alice", "POST ", name("a") + " x", 400, "trailing characters"),
        (
            "alice",
            "POST ",
            r#"{"metadata":{"name":5}}"#.into(),
            400,
            "`metadata.name`: invalid type",
        ),
        (
            "alice",
            "POST ",
            r#"{"metadata":{"name":"a","labels":{"x":1}}}"#.into(),
            400,
            "`metadata.labels.x`: invalid type",
        ),
        (
            "alice",
            "POST ",
            r#"{"metadata":{"name":"a"},"spec":[]}"#.into(),
            400,
            "`spec`: invalid type",
        ),
        ("alice", "POST ", long, 413, "65536"),
        ("alice", "PUT /mine", name("other"), 400, "name in the path"),
        ("alice", "PUT /nowhere", name("nowhere"), 404, "NotFound"),
        ("alice", "PUT /mine", uid.into(), 409, "Conflict"),
        ("alice", "DELETE /mine", version.into(), 409, "Conflict"),
        (
            "alice",
            "DELETE /mine",
            r#"{"precondition":{}}"#.into(),
            400,
            "precondition",
        ),
        // lists
        ("alice", "GET ?limit=x", String::new(), 400, "limit"),
        ("alice", "GET ?labels=a=", String::new(), 400, "InvalidRequest"),
        ("alice", "GET ?labels=a=", String::new(), 400, "at its end"),
        // paths
        ("alice", "GET /%ff", String::new(), 400, "BadRequest"),
        ("alice", "PATCH /mine", String::new(), 405, "MethodNotAllowed"),
    ] {
        let (method, path) = call.split_once(' ').unwrap();
        check(&world, user, &format!("{method} {APPS}{path}"), &body, status, says).await;
    }
}

#[tokio::test]
async fn statuses_of_devices() {
    let world = furnished().await;
    let name = |name: &str| format!(r#"{{"metadata":{{"name":"{name}"}}}}"#);
    let spec = |spec: &str| format!(r#"{{"metadata":{{"name":"n","application":"mine"}},"spec":{spec}}}"#);
    for (user, call, body, status, says) in [
        ("-", "GET /mine/devices", String::new(), 401, "NotAuthorized"),
        (
            "bob",
            "GET /mine/devices/d",
            String::new(),
            200,
            r#""application":"mine","name":"d""#,
        ),
        ("bob", "GET /mine/devices/none", String::new(), 404, "NotFound"),
        ("bob", "GET /theirs/devices", String::new(), 404, "NotFound"),
        ("bob", "GET /theirs/devices/d", String::new(), 404, "NotFound"),
        ("bob", "GET /nowhere/devices", String::new(), 404, "NotFound"),
        ("bob", "POST /mine/devices", name("n"), 404, "ReferenceNotFound"),
        ("bob", "PUT /mine/devices/d", name("d"), 404, "NotFound"),
        ("bob", "DELETE /mine/devices/d", String::new(), 404, "NotFound"),
        ("alice", "POST /nowhere/devices", name("n"), 404, "ReferenceNotFound"),
        ("alice", "POST /mine/devices", name(""), 400, "`metadata.name`"),
        ("alice", "POST /mine/devices", name(&"x".repeat(256)), 400, "255"),
        ("alice", "POST /mine/devices", name("d"), 409, "Conflict"),
        (
            "alice",
            "POST /mine/devices",
            spec(r#"{"alias":["d"]}"#),
            409,
            "Conflict",
        ),
        (
            "alice",
            "POST /mine/devices",
            spec(r#"{"alias":"d"}"#),
            400,
            "`spec.alias`",
        ),
        ("alice", "POST /mine/devices", spec(r#"{"alias":[""]}"#), 400, "alias"),
        (
            "alice",
            "POST /mine/devices",
            spec(r#"{"credentials":{"credentials":[{"key":"x"}]}}"#),
            400,
            "entry 0",
        ),
        (
            "alice",
            "POST /mine/devices",
            spec(r#"{"authentication":{"credentials":[{"pass":"x"},{"pass":{"bcrypt":"x"}}]}}"#),
            400,
            "entry 1: the password must be a hash of the form",
        ),
        (
            "alice",
            "POST /mine/devices",
            spec(r#"{"authentication":{"credentials":[{"pass":""}]}}"#),
            400,
            "entry 0: the password must not be empty",
        ),
        (
            "alice",
            "POST /mine/devices",
            spec(&format!(
                r#"{{"authentication":{{"credentials":[{}]}}}}"#,
                [HASHED; 5].join(",")
            )),
            400,
            "5 hashed passwords",
        ),
        ("alice", "POST /open/devices", spec("{}"), 400, "metadata.application"),
        ("alice", "PUT /mine/devices/d", name("e"), 400, "name in the path"),
        ("alice", "PUT /mine/devices/e", name("e"), 404, "NotFound"),
        (
            "alice",
            "PUT /mine/devices/d",
            spec("{}").replace("\"n\"", "\"d\""),
            204,
            "",
        ),
        (
            "alice",
            "DELETE /mine/devices/e",
            String::new(),
            404,
            "there is no device `e`",
        ),
        ("alice", "DELETE /mine/devices/d", String::new(), 204, ""),
        ("alice", "DELETE /mine/devices/d", String::new(), 404, "NotFound"),
        ("alice", "PUT /mine/devices", String::new(), 405, "MethodNotAllowed"),
    ] {
        let (method, path) = call.split_once(' ').unwrap();
        check(&world, user, &format!("{method} {APPS}{path}"), &body, status, says).await;
    }
}

#[tokio::test]
async fn a_fresh_application_reads_back_with_the_documented_keys() {
    let world = World::new().await;
    // What drg sends.
    let body = r#"{"metadata":{"name":"fresh","creationTimestamp":"2023-05-17T12:46:34Z","generation":0}}"#;
    let created = world.ok("alice", &format!("POST {APPS}"), body, 201).await;
    assert_eq!(
        (&*created.text, created.headers["location"].to_str().unwrap()),
        ("", "/api/registry/v1alpha1/apps/fresh")
    );
    let read = world.ok("alice", &format!("GET {APPS}/fresh"), "", 200).await.json();
    let mut keys: Vec<_> = read["metadata"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        ["creationTimestamp", "generation", "name", "resourceVersion", "uid"]
    );
    assert_eq!(read.as_object().unwrap().len(), 2, "no spec: {read}");
    // What the operator of the original adds a moment later, and its tools wait for.
    let since = &read["metadata"]["creationTimestamp"];
    let is_true = |name: &str| json!({"type": name, "status": "True", "lastTransitionTime": since});
    assert_eq!(
        read["status"],
        json!({"conditions": [is_true("Ready"), is_true("KafkaReady")]})
    );
    assert_ne!(read["metadata"]["creationTimestamp"], "2023-05-17T12:46:34Z");
}

/// Defect 27: a PUT without `status` took `KafkaReady` away, and events were refused.
#[tokio::test]
async fn conditions_survive_a_put_without_them() {
    let world = furnished().await;
    let path = format!("{APPS}/mine");
    let before = world.ok("alice", &format!("GET {path}"), "", 200).await.json();
    for status in [
        json!(null),
        json!({}),
        json!({"conditions": [{"type": "Ready", "status": "False"}]}),
    ] {
        let mut wanted = json!({"metadata": {"name": "mine", "labels": {"a": "1"}}});
        if !status.is_null() {
            wanted["status"] = status;
        }
        world
            .ok("alice", &format!("PUT {path}"), &wanted.to_string(), 204)
            .await;
        let after = world.ok("alice", &format!("GET {path}"), "", 200).await.json();
        assert_eq!(after["status"], before["status"]);
        assert_eq!(after["metadata"]["labels"], json!({"a": "1"}));
    }
}

#[tokio::test]
async fn what_was_read_can_be_put_back_until_somebody_else_changes_it() {
    let world = furnished().await;
    for path in [format!("{APPS}/mine"), format!("{APPS}/mine/devices/d")] {
        let mut read = world.ok("alice", &format!("GET {path}"), "", 200).await.json();
        read["metadata"]["labels"] = json!({"color": "red"});
        world.ok("alice", &format!("PUT {path}"), &read.to_string(), 204).await;
        let again = world.ok("alice", &format!("GET {path}"), "", 200).await.json();
        assert_eq!(again["metadata"]["labels"], json!({"color": "red"}));
        assert_ne!(
            again["metadata"]["resourceVersion"],
            read["metadata"]["resourceVersion"]
        );
        world.ok("alice", &format!("PUT {path}"), &read.to_string(), 409).await;
    }
}

#[tokio::test]
async fn credentials_of_devices_are_for_those_who_may_change_them() {
    let world = furnished().await;
    for (user, app, shown) in [
        ("alice", "mine", true),
        ("admin", "mine", true),
        ("bob", "mine", false),
        ("bob", "open", false),
    ] {
        for path in ["devices/d", "devices"] {
            let text = world.ok(user, &format!("GET {APPS}/{app}/{path}"), "", 200).await.text;
            assert_eq!(text.contains("s3cret"), shown, "{user} {app} {path}: {text}");
        }
    }
}

#[tokio::test]
async fn lists_hold_what_the_caller_may_read() {
    let world = furnished().await;
    for (user, query, names) in [
        ("alice", "", vec!["mine", "open"]),
        ("bob", "", vec!["mine", "open"]),
        ("admin", "", vec!["mine", "open", "theirs"]),
        ("admin", "?limit=1&offset=1", vec!["open"]),
        ("admin", "?limit=0", vec![]),
        ("admin", "?offset=3", vec![]),
        ("bob", "?offset=1", vec!["open"]),
    ] {
        let answer = world.ok(user, &format!("GET {APPS}{query}"), "", 200).await;
        assert_eq!(answer.names(), names, "{user} {query}");
        assert_eq!(answer.headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn a_long_list_is_whole_and_sorted() {
    let world = furnished().await;
    let mut names: Vec<String> = (0..=2 * limits::REGISTRY_LIST_STEP)
        .map(|n| format!("device-{n}"))
        .collect();
    for (n, name) in names.iter().enumerate() {
        let body = json!({"metadata": {"name": name, "labels": {"third": (n % 3).to_string()}}});
        world
            .ok("admin", &format!("POST {APPS}/theirs/devices"), &body.to_string(), 201)
            .await;
    }
    let thirds = names
        .iter()
        .enumerate()
        .filter(|(n, _)| n % 3 == 1)
        .map(|(_, name)| name.clone());
    let mut thirds: Vec<String> = thirds.collect();
    names.sort();
    thirds.sort();
    let list = async |query: &str| {
        world
            .ok("admin", &format!("GET {APPS}/theirs/devices{query}"), "", 200)
            .await
            .names()
    };
    assert_eq!(list("").await, names);
    assert_eq!(list("?offset=99&limit=3").await, names[99..102]);
    assert_eq!(list("?labels=third%3D1").await, thirds);
    assert_eq!(list("?labels=third%20in%20(1)&offset=60").await, thirds[60..]);
}

#[tokio::test]
async fn a_new_application_never_sees_the_events_of_a_namesake() {
    let world = furnished().await;
    let topic = Topic::events_of("mine");
    let before = world.log.span(&topic).await.unwrap();
    let record = NewRecord {
        headers: Headers::default(),
        payload: None,
    };
    world.log.append(&topic, vec![record.clone()]).await.unwrap();
    let dead_letters = Topic::dead_letters_of("mine");
    world
        .log
        .create_topic(&dead_letters, Retention::default())
        .await
        .unwrap();
    world.log.append(&dead_letters, vec![record]).await.unwrap();
    let refused = r#"{"preconditions":{"uid":"6a2ba2d6-5e9d-4b25-8a4e-0d5f0a3c8b7e"}}"#;
    world.ok("alice", &format!("DELETE {APPS}/mine"), refused, 409).await;
    assert_ne!(
        world.log.span(&topic).await.unwrap().end,
        before.end,
        "a refused deletion costs no event"
    );

    world.ok("alice", &format!("DELETE {APPS}/mine"), "", 204).await;
    assert!(world.log.span(&topic).await.is_err());
    assert!(world.log.span(&dead_letters).await.is_err());
    world
        .ok("bob", &format!("POST {APPS}"), r#"{"metadata":{"name":"mine"}}"#, 201)
        .await;
    let after = world.log.span(&topic).await.unwrap();
    assert_eq!(after.oldest, after.end);
    assert_ne!(after.end.incarnation(), before.end.incarnation());
}

/// Whose events are there already, only an administrator can know.
#[tokio::test]
async fn only_an_administrator_adopts_events() {
    let world = World::new().await;
    let body = r#"{"metadata":{"name":"found"}}"#;
    for (user, query, status) in [
        ("alice", "adopt=true", 403),
        ("admin", "adopt=perhaps", 400),
        ("admin", "adopt=true", 201),
        ("admin", "adopt=true", 409),
    ] {
        world.ok(user, &format!("POST {APPS}?{query}"), body, status).await;
    }
}

#[tokio::test]
async fn documents_must_be_declared_as_json() {
    let world = World::new().await;
    for (content_type, status) in [
        (Some("application/json; charset=utf-8"), 201),
        (Some("text/plain"), 415),
        (Some("application/x-www-form-urlencoded"), 415),
        (None, 415),
    ] {
        let mut request = Request::post(APPS).header("authorization", world.authorization("alice"));
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let answer = world
            .send(request.body(r#"{"metadata":{"name":"a"}}"#.into()).unwrap())
            .await;
        assert_eq!(answer.status, status, "{content_type:?}: {}", answer.text);
    }
}
