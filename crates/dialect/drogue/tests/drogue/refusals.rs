//! The rows of compat/drogue.md 1.1 and 1.4, with the statuses of decision 2.

use std::sync::Arc;

use http::Method;
use serde_json::Value;

use crate::broken::Broken;
use crate::world::{Answer, HANDSHAKE, World};

/// Opens a stream and demands status, `error` and a part of `message`. `changes` replace headers of the handshake; an empty
/// value leaves one out.
async fn check(
    world: &World,
    (method, path): (Method, &str),
    changes: &[(&str, &str)],
    (status, error, message): (u16, &str, &str),
) -> Answer {
    let kept = HANDSHAKE
        .iter()
        .filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let headers: Vec<_> = kept
        .chain(changes.iter().filter(|(_, value)| !value.is_empty()))
        .copied()
        .collect();
    let case = format!("{method} {path} {changes:?}");
    let answer = world.call(method, path, &headers).await;
    assert_eq!(answer.status, status, "{case}: {}", answer.text);
    if status != 101 {
        let body: Value = serde_json::from_str(&answer.text).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(answer.headers["content-type"], "application/json", "{case}");
        assert_eq!(body["error"], error, "{case}: {body}");
        assert!(body["message"].as_str().unwrap().contains(message), "{case}: {body}");
        assert_eq!(body.as_object().unwrap().len(), 2, "{case}: {body}");
    }
    assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401, "{case}");
    assert_eq!(answer.headers.contains_key("allow"), status == 405, "{case}");
    assert_eq!(answer.headers.contains_key("retry-after"), status == 503, "{case}");
    answer
}

fn get(path: &str) -> (Method, &str) {
    (Method::GET, path)
}

const WRONG_KEY: &str = "alice:drg_012345_01234567890123456789012345678920BetF";

#[tokio::test]
async fn who_may_read_what() {
    let world = World::new().await;
    let (alice, bob) = (world.basic("alice"), world.basic("bob"));
    let not_found = |name: &str| format!("Resource not found: Application / {name}");
    for (path, authorization, application) in [
        ("/app", alice.as_str(), None),
        ("/app/channel", &alice, None),
        ("/open", "", None),
        ("/open", &alice, None),
        // Logged-in users who are no members read public applications too (decision 7).
        ("/open", &bob, None),
        ("/app", "", Some("app")),
        ("/app", &bob, Some("app")),
        ("/nobody", &alice, Some("nobody")),
        ("/a%22b%2Fc", &alice, Some("a\"b/c")),
    ] {
        let expected = application.map_or((101, "", String::new()), |name| (404, "NotFound", not_found(name)));
        let (status, error, message) = (expected.0, expected.1, expected.2.as_str());
        check(
            &world,
            get(path),
            &[("authorization", authorization)],
            (status, error, message),
        )
        .await;
    }
    // Names that no application can have.
    for path in ["/metrics", "/api/nothing"] {
        check(&world, get(path), &[], (404, "NotFound", "a path of the server itself")).await;
    }
}

#[tokio::test]
async fn every_form_of_credentials() {
    let world = World::new().await;
    let alice = world.login("alice");
    let (user, key) = alice.split_once(':').unwrap();
    for (path, authorization) in [
        ("/app".to_owned(), world.basic("alice").replace("Basic", "bAsIc")),
        ("/app".to_owned(), format!("Bearer {alice}")),
        ("/app".to_owned(), format!("bearer  {alice}")),
        (format!("/app?token={alice}"), String::new()),
        (format!("/app?username={user}&api_key={key}"), String::new()),
    ] {
        check(&world, get(&path), &[("authorization", &authorization)], (101, "", "")).await;
    }
    let denied = "the user name or the access key is wrong";
    for (path, authorization, message) in [
        (format!("/app?username=bob&api_key={key}"), "", denied),
        (format!("/app?token={WRONG_KEY}"), "", denied),
        ("/app?username=alice&api_key=x".to_owned(), "", denied),
        // Wrong credentials are no credentials nowhere, not even where none are needed.
        (format!("/open?token={WRONG_KEY}"), "", denied),
        ("/app?token=a.b.c".to_owned(), "", "not accepted by this server"),
        ("/app".to_owned(), "Basic !!", "base64"),
        (
            "/app".to_owned(),
            "Basic YWxpY2U6",
            "Invalid request: No access token provided.",
        ),
        ("/app".to_owned(), "Digest x", "`Basic` or `Bearer`"),
    ] {
        let changes = [("authorization", authorization)];
        let answer = check(&world, get(&path), &changes, (401, "Unauthorized", message)).await;
        assert!(!answer.text.contains("drg_0"), "{}", answer.text);
    }
    let two = "Invalid request: More than one way of authentication provided";
    for (path, authorization, message) in [
        (format!("/app?token={alice}"), world.basic("alice"), two),
        (
            format!("/open?token={alice}&username={user}&api_key={key}"),
            String::new(),
            two,
        ),
        (
            format!("/open?token={alice}&token={alice}"),
            String::new(),
            "`token` is given more than once",
        ),
        (
            "/open?username=alice".to_owned(),
            String::new(),
            "`username` needs `api_key`",
        ),
        (
            format!("/open?api_key={key}"),
            String::new(),
            "`api_key` needs `username`",
        ),
    ] {
        check(
            &world,
            get(&path),
            &[("authorization", &authorization)],
            (400, "BadRequest", message),
        )
        .await;
    }
}

#[tokio::test]
async fn checks_have_their_order() {
    let world = World::new().await;
    let alice = world.basic("alice");
    let login = ("authorization", alice.as_str());
    let plain = ("upgrade", "");
    // Who is not known learns nothing else, then who may not read, then the method, the query, the handshake.
    let post = |path| (Method::POST, path);
    let wrong = ("authorization", "Basic !!");
    check(
        &world,
        post("/nobody?group_id=g"),
        &[wrong, plain],
        (401, "Unauthorized", ""),
    )
    .await;
    check(&world, post("/app?group_id=g"), &[plain], (404, "NotFound", "")).await;
    for method in [Method::POST, Method::OPTIONS, Method::DELETE] {
        let expected = (405, "MethodNotAllowed", "GET");
        let answer = check(&world, (method, "/app?group_id=g"), &[login, plain], expected).await;
        assert_eq!(answer.headers["allow"], "GET");
    }
    let filter = (
        400,
        "BadRequest",
        "`where` is wrong: INVALID_SYNTAX: the end at 1, expected `=`",
    );
    check(&world, get("/app?where=x"), &[login, plain], filter).await;
    let group = (400, "BadRequest", "`sockeye group create --from`");
    check(&world, get("/app?group_id=g&from=earliest"), &[login, plain], group).await;
    check(
        &world,
        get("/app?group_id=g&group_id=g"),
        &[login],
        (400, "BadRequest", "`group_id` is given"),
    )
    .await;
    check(
        &world,
        get("/app?from=latest"),
        &[login, plain],
        (400, "BadRequest", "`from`"),
    )
    .await;
    check(
        &world,
        get("/app?x=1&x=2"),
        &[login, plain],
        (426, "UpgradeRequired", ""),
    )
    .await;

    assert!(
        world.metrics().contains("drogue_refusals_total{status=\"405\"} 3"),
        "{}",
        world.metrics()
    );
}

#[tokio::test]
async fn what_is_no_handshake() {
    let world = World::new().await;
    for (change, status, error, message) in [
        (("upgrade", ""), 426, "UpgradeRequired", "Upgrade: websocket"),
        (("upgrade", "h2c"), 426, "UpgradeRequired", "Upgrade: websocket"),
        (
            ("sec-websocket-version", ""),
            426,
            "UpgradeRequired",
            "Sec-WebSocket-Version: 13",
        ),
        (
            ("sec-websocket-version", "8"),
            426,
            "UpgradeRequired",
            "Sec-WebSocket-Version: 13",
        ),
        (("connection", "keep-alive"), 400, "BadRequest", "Connection: Upgrade"),
        (("sec-websocket-key", ""), 400, "BadRequest", "Sec-WebSocket-Key"),
        (("sec-websocket-key", "short"), 400, "BadRequest", "Sec-WebSocket-Key"),
    ] {
        let answer = check(&world, get("/open"), &[change], (status, error, message)).await;
        if status == 426 {
            assert_eq!(answer.headers["upgrade"], "websocket");
            assert_eq!(answer.headers["connection"], "upgrade");
            assert_eq!(answer.headers["sec-websocket-version"], "13");
        }
    }
}

#[tokio::test]
async fn paths_that_are_none() {
    let world = World::new().await;
    for path in ["/%ff", "/open/%ff"] {
        check(&world, get(path), &[], (404, "NotFound", "/<application>/<channel>")).await;
    }
    // The server's own 404 answers these.
    for path in ["/", "/open/", "/open/a/", "/open/a/b"] {
        let answer = world.call(Method::GET, path, HANDSHAKE).await;
        assert_eq!((answer.status.as_u16(), &*answer.text), (404, ""), "{path}");
    }
}

/// compat/drogue.md, decision 3: no 101 before the log has answered.
#[tokio::test]
async fn a_log_that_does_not_answer() {
    for broken in [Broken::Away, Broken::Silent] {
        let world = World::with_log(|_| Arc::new(broken)).await;
        let expected = (503, "Unavailable", "the event log is not available, try again later");
        let answer = check(&world, get("/open"), &[], expected).await;
        assert!(!answer.text.contains("secret"), "{}", answer.text);
    }
}
