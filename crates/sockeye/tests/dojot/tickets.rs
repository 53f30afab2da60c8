//! Tickets and what they are fetched with (compat/dojot.md 2, decisions 1 to 3).

use futures_util::future::join;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message};

use sockeye_parts::postgres::Postgres;

use crate::support::{APP, Server, Socket, closed, next_message};
use crate::world::{ISSUER, SECRET, World};

async fn fetch(world: &World, method: Method, authorization: Option<&str>) -> (u16, Value) {
    let request = world
        .http
        .request(method, format!("{}/kafka-ws/v1/ticket", world.server.url));
    let request = match authorization {
        Some(value) => request.header("Authorization", value),
        None => request,
    };
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json; charset=utf-8");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
}

#[tokio::test]
async fn who_has_a_token_that_counts_gets_a_ticket() {
    let world = World::new();
    let good = World::token(APP, World::in_seconds(60));
    let bearer = format!("Bearer {good}");
    for method in [Method::GET, Method::POST] {
        let (status, body) = fetch(&world, method, Some(&bearer)).await;
        let ticket = body["ticket"].as_str().unwrap();
        assert_eq!(status, 200);
        assert!(
            ticket.len() == 64 && ticket.bytes().all(|byte| b"0123456789abcdef".contains(&byte)),
            "{ticket}"
        );
    }
    assert_eq!(fetch(&world, Method::HEAD, Some(&bearer)).await.0, 200);
    assert_eq!(fetch(&world, Method::DELETE, Some(&bearer)).await.0, 405);
    let key = world.server.admin();
    let (user, secret) = key.split_once(':').unwrap();
    let token = |claims: &Value, secret| format!("Bearer {}", World::signed(claims, secret));
    let claims = |change: &dyn Fn(&mut Value)| {
        let mut claims = json!({"iss": ISSUER, "service": APP, "exp": World::in_seconds(60)});
        change(&mut claims);
        claims
    };
    let without_signature = format!("Bearer {}.", good.rsplit_once('.').unwrap().0);
    for (authorization, status, message) in [
        (Some(format!("Bearer {key}")), 200, ""),
        (None, 401, "Missing JWT token"),
        (Some("Bearer".to_owned()), 401, "Invalid JWT token"),
        (Some(format!("Digest {good}")), 401, "Invalid JWT token"),
        // 500 at the original.
        (Some("Bearer x".to_owned()), 401, "Invalid JWT token"),
        (Some("Bearer a.b.c".to_owned()), 401, "Invalid JWT token"),
        (Some(format!("Bearer {user}:{secret}x")), 401, "Invalid JWT token"),
        // Accepted by the original, which verifies nothing.
        (Some(without_signature), 401, "Invalid JWT token"),
        (Some(token(&claims(&|_| {}), "another key")), 401, "Invalid JWT token"),
        (
            Some(token(&claims(&|c| c["iss"] = json!("other")), SECRET)),
            401,
            "Invalid JWT token",
        ),
        (
            Some(token(&claims(&|c| c["exp"] = json!(1)), SECRET)),
            401,
            "Invalid JWT token",
        ),
        (
            Some(token(&claims(&|c| c["exp"] = json!(null)), SECRET)),
            401,
            "Invalid JWT token",
        ),
        (
            Some(token(&claims(&|c| c["nbf"] = json!(World::in_seconds(60))), SECRET)),
            401,
            "Invalid JWT token",
        ),
        (
            Some(token(&claims(&|c| c["service"] = json!("")), SECRET)),
            401,
            "Invalid JWT token",
        ),
        // A tenant that is no text hangs the original for ever.
        (
            Some(token(&claims(&|c| c["service"] = json!(5)), SECRET)),
            401,
            "Invalid JWT token",
        ),
    ] {
        let (found, body) = fetch(&world, Method::GET, authorization.as_deref()).await;
        assert_eq!(found, status, "{authorization:?}: {body}");
        assert_eq!(
            body["message"].as_str().unwrap_or_default(),
            message,
            "{authorization:?}"
        );
    }
}

/// dojot's example clients: a user name and a password first, here with an access key (decision 2).
#[tokio::test]
async fn a_user_name_and_an_access_key_make_a_token() {
    let world = World::new();
    let auth = format!("{}/auth", world.server.url);
    let key = world.server.admin();
    let (user, secret) = key.split_once(':').unwrap();
    let good = json!({"username": user, "passwd": secret});
    let answer: Value = world
        .http
        .post(&auth)
        .json(&good)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let ticket = world.ticket_of(answer["jwt"].as_str().unwrap()).await;
    let mut socket = world.open_with(&ticket, &format!("{APP}.c"), "").await.unwrap();
    world.publish("c", r#"{"a":1}"#).await;
    assert_eq!(next_message(&mut socket).await, Message::Text(r#"{"a":1}"#.into()));
    for (body, status) in [
        (json!({"username": user, "passwd": format!("{secret}x")}), 401),
        (json!({"username": "nobody", "passwd": secret}), 401),
        (json!({"username": user}), 400),
        (json!([]), 400),
        (json!({"username": "x".repeat(10_000), "passwd": "x"}), 400),
    ] {
        assert_eq!(
            world.http.post(&auth).json(&body).send().await.unwrap().status(),
            status
        );
    }
    assert_eq!(world.http.get(&auth).send().await.unwrap().status(), 405);
    // A key that is revoked takes its tokens, tickets and sockets with it.
    let keys = format!("{}/api/tokens/v1alpha1", world.server.url);
    let made = world
        .http
        .post(&keys)
        .basic_auth(user, Some(secret))
        .send()
        .await
        .unwrap();
    let made: Value = made.json().await.unwrap();
    let bearer = json!({"username": user, "passwd": made["token"]});
    let answer: Value = world
        .http
        .post(&auth)
        .json(&bearer)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let token = answer["jwt"].as_str().unwrap();
    let (used, unused) = (world.ticket_of(token).await, world.ticket_of(token).await);
    let mut socket = world.open_with(&used, &format!("{APP}.c"), "").await.unwrap();
    world
        .server
        .cli_ok(&["key", "delete", made["prefix"].as_str().unwrap()]);
    assert_eq!(closed(&mut socket).await.0, 4403);
    let mut socket = world.open_with(&unused, &format!("{APP}.c"), "").await.unwrap();
    assert_eq!(closed(&mut socket).await.0, 4401);
    assert_eq!(
        fetch(&world, Method::GET, Some(&format!("Bearer {token}"))).await.0,
        401
    );
}

#[tokio::test]
async fn of_two_who_use_a_ticket_at_the_same_instant_one_wins_a_thousand_times() {
    let world = World::new();
    let topic = format!("{APP}.c");
    for round in 0..1_000 {
        let ticket = world.ticket().await;
        let open = || Box::pin(world.open_with(&ticket, &topic, ""));
        let (one, two) = join(open(), open()).await;
        let (mut one, mut two) = (one.unwrap(), two.unwrap());
        let outcome = [lost(&mut one).await, lost(&mut two).await];
        assert_eq!(
            outcome.iter().filter(|lost| **lost).count(),
            1,
            "round {round}: {outcome:?}"
        );
    }
}

/// Whether a socket lost its ticket to another: it is closed with 4401. One that is open answers.
async fn lost(socket: &mut Socket) -> bool {
    matches!(first(socket).await, Message::Close(Some(close)) if u16::from(close.code) == 4401)
}

/// What a socket says first when it is asked: the close, or the answer to a Ping.
async fn first(socket: &mut Socket) -> Message {
    use futures_util::SinkExt as _;
    // Who is closed already may not be able to ask.
    let _ = socket.send(Message::Ping("x".into())).await;
    next_message(socket).await
}

/// Decision 1: a plain request is told what to send, and its ticket is left to it.
#[tokio::test]
async fn a_plain_request_uses_up_no_ticket() {
    let world = World::new();
    let ticket = world.ticket().await;
    let topic = format!("{APP}.c");
    for method in [Method::GET, Method::HEAD, Method::POST] {
        let url = format!("{}/kafka-ws/v1/topics/{topic}?ticket={ticket}", world.server.url);
        let answer = world.http.request(method.clone(), url).send().await.unwrap();
        assert_eq!(answer.status(), 426);
        assert_eq!(answer.headers()["upgrade"], "websocket");
        if method != Method::HEAD {
            let body: Value = answer.json().await.unwrap();
            let documented = "Invalid request - non-WebSocket connection received in WS endpoint";
            assert_eq!(body, json!({ "message": documented }));
        }
    }
    let mut socket = world.open_with(&ticket, &topic, "").await.unwrap();
    world.publish("c", r#"{"a":1}"#).await;
    assert_eq!(next_message(&mut socket).await, Message::Text(r#"{"a":1}"#.into()));
    let mut again = world.open_with(&ticket, &topic, "").await.unwrap();
    assert_eq!(closed(&mut again).await.0, 4401);
}

/// Behind a gateway that has verified them, tokens are believed; there is nothing else there.
#[tokio::test]
async fn behind_a_gateway_tokens_are_believed() {
    let mut world = World::with(&["--dojot-gateway", "127.0.0.1:0"]);
    let gateway = world.server.said("gateway of dojot: ");
    let claims = json!({"service": APP, "exp": World::in_seconds(60)});
    let token = World::signed(&claims, "a key that is not known here");
    let ticket = async |base: &str| {
        let request = world.http.get(format!("{base}/kafka-ws/v1/ticket"));
        let answer = request.bearer_auth(&token).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    assert_eq!(ticket(&world.server.url).await.0, 401);
    let (status, body) = ticket(&gateway).await;
    assert_eq!(status, 200);
    let mut socket = world
        .open_with(body["ticket"].as_str().unwrap(), &format!("{APP}.c"), "")
        .await
        .unwrap();
    world.publish("c", r#"{"a":1}"#).await;
    assert_eq!(next_message(&mut socket).await, Message::Text(r#"{"a":1}"#.into()));
    let api = format!("{gateway}/api/registry/v1alpha1/apps");
    assert_eq!(world.http.get(api).send().await.unwrap().status(), 404);
}

/// Tickets count on all servers, and once on all of them together.
#[tokio::test]
async fn a_ticket_counts_once_on_all_servers() {
    let Some(postgres) = Postgres::start_or_say().unwrap() else {
        return;
    };
    let url = postgres.database().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let start = |name: &str| {
        Server::start_with(&folder.path().join(name), |command| {
            command.env("SOCKEYE_POSTGRES", &url);
        })
    };
    let servers = [start("one"), start("two")];
    servers[0].cli_ok(&["app", "create", APP]);
    let http = crate::support::http();
    let key = servers[0].admin();
    for round in 0..50 {
        let request = http.get(format!("{}/kafka-ws/v1/ticket", servers[round % 2].url));
        let answer: Value = request.bearer_auth(&key).send().await.unwrap().json().await.unwrap();
        let path = format!(
            "kafka-ws/v1/topics/{APP}.c?ticket={}",
            answer["ticket"].as_str().unwrap()
        );
        let [one, two] = [0, 1].map(|server: usize| Box::pin(servers[server].connect(&path, None)));
        let (one, two) = join(one, two).await;
        let outcome = [lost(&mut one.unwrap()).await, lost(&mut two.unwrap()).await];
        assert_eq!(
            outcome.iter().filter(|lost| **lost).count(),
            1,
            "round {round}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn tickets_expire_and_can_be_refused_by_http() {
    let world = World::with(&["--dojot-ticket-life", "1s", "--dojot-ticket-errors", "http"]);
    let topic = format!("{APP}.c");
    let ticket = world.ticket().await;
    let fetched = std::time::Instant::now();
    while fetched.elapsed().as_millis() <= 1_000 {
        tokio::task::yield_now().await;
    }
    for ticket in [&*ticket, "", "unknown"] {
        match world.open_with(ticket, &topic, "").await.unwrap_err() {
            Error::Http(answer) => {
                assert_eq!(answer.status(), 401);
                let body: Value = serde_json::from_slice(answer.body().as_deref().unwrap()).unwrap();
                assert!(
                    body["message"].as_str().unwrap().starts_with("INVALID_TICKET"),
                    "{body}"
                );
            }
            other => panic!("{other}"),
        }
    }
    let other = Server::start(&tempfile::tempdir().unwrap().path().join("data"));
    let gone = reqwest::get(format!("{}/kafka-ws/v1/public", other.url)).await.unwrap();
    assert_eq!(gone.status(), 404);
}
