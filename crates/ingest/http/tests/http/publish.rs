//! The tables of compat/drogue.md 5.1 on a real engine.

use crate::world::{D, World};
use axum::body::Body;
use bytes::Bytes;
use http::Request;
use prometheus_client::registry::Registry as Metrics;
use serde_json::json;
use sockeye_event::Value;
use sockeye_limits as limits;
use sockeye_log::{AppendError, Log, Topic, Unavailable};

#[tokio::test]
async fn forms_of_credentials() {
    let world = World::new().await;
    for (query, who, device) in [
        // <device>@<app>:<pw>
        ("", "d@app:pw", Some("d")),
        ("", "old@app:pw", Some("old")),
        ("", "plain@app:pw", Some("plain")),
        ("", "also-alias@app:pw", Some("alias")),
        ("", "uniq@app:pw", Some("user")),
        ("", "with%20space%40home@app:pw", Some("with space@home")),
        ("", "foo@app:pw", None),
        ("", "d@app:wrong", None),
        ("", "d@nowhere:pw", None),
        ("", "nobody@app:pw", None),
        ("", "none@app:pw", None),
        ("", "d@off:pw", None),
        ("", "d:pw", None),
        // ?application=A + <device>:<pw>
        ("application=app", "d:pw", Some("d")),
        ("application=app", "with space@home:pw", Some("with space@home")),
        ("application=app", "d@app:pw", None),
        ("application=off", "d:pw", None),
        // ?application=A&device=D + <user>:<pw>
        ("application=app&device=user", "foo:pw", Some("user")),
        ("application=app&device=user", "foo:wrong", None),
        ("application=app&device=user", "d:pw", None),
        ("application=app&device=d", "d:wrong", None),
        // ?device=D + <user>@<app>:<pw>
        ("device=user", "foo@app:pw", Some("user")),
        ("device=user", "foo@nowhere:pw", None),
        // none
        ("application=app", "", None),
        ("application=app&device=d", "", None),
        // gateways
        ("application=app&as=behind", "gw:pw", Some("behind")),
        ("application=app&as=gw", "gw:pw", Some("gw")),
        ("application=app&as=behind", "d:pw", None),
        ("application=app&as=nobody", "gw:pw", None),
    ] {
        let before = world.events().await.len();
        let answer = world.publish("/v1/temp", (query, who), &[], "1").await;
        let about = format!("{query} {who}: {} {}", answer.status, answer.text);
        let events = world.events().await;
        if let Some(device) = device {
            assert_eq!((answer.status.as_u16(), &*answer.text), (202, ""), "{about}");
            assert_eq!(events.len(), before + 1, "{about}");
            assert_eq!(events[before].device().unwrap(), device, "{about}");
        } else {
            assert_eq!(answer.status, 403, "{about}");
            let error = answer.json();
            assert_eq!(
                (&error["code"], &error["error"]),
                (&json!(403), &json!("AuthenticationError")),
                "{about}"
            );
            assert!(
                error["message"].as_str().unwrap().starts_with("Authentication failed"),
                "{about}"
            );
            assert_eq!(events.len(), before, "{about}");
        }
    }
}

#[tokio::test]
async fn malformed_authorizations_are_refused() {
    let world = World::new().await;
    for authorization in ["Bearer abc", "Basic", "Basic !", "Basic ZA==", "Digest x", ""] {
        let request = Request::post("/v1/temp?application=app").header("authorization", authorization);
        let answer = world.send(request.body(Body::from("1")).unwrap()).await;
        assert_eq!(answer.status, 403, "{authorization}: {}", answer.text);
        assert_eq!(answer.json()["error"], "AuthenticationError");
    }
}

#[tokio::test]
async fn an_event_carries_what_is_known() {
    let world = World::new().await;
    let body = r#" {"b": 1.0, "b": 1e3}"#;
    let query = ("application=app&as=behind&data_schema=urn:x:y", "gw:pw");
    world
        .publish(
            "/v1/a%2Fb/suffix/of/it",
            query,
            &[("content-type", "application/json; charset=utf-8")],
            body,
        )
        .await;
    let event = world.event().await;
    assert_eq!(event.subject.as_deref(), Some("a/b"));
    assert_eq!(event.source, "drogue://app/behind");
    assert_eq!(event.ty, "io.drogue.event.v1");
    assert_eq!(
        event.data_content_type.as_deref(),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(event.data_schema.as_deref(), Some("urn:x:y"));
    assert_eq!(event.data.as_deref(), Some(body.as_bytes()), "as it came");
    assert_eq!(event.extension("device").unwrap(), "behind");
    assert_eq!(event.extension("sender").unwrap(), "gw");
    assert_eq!(event.extension("instance").unwrap(), "test");
    assert_eq!(event.extension("partitionkey").unwrap(), "app/gw");
    let uid = |device| async move {
        world
            .registry
            .device("app", device)
            .await
            .unwrap()
            .unwrap()
            .metadata
            .uid
            .to_string()
    };
    assert_eq!(*event.extension("deviceuid").unwrap(), *uid("behind").await);
}

/// Path, more query, headers, body; status, and a part of what is said.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, u16, &'a str);

#[tokio::test]
async fn statuses() {
    let world = World::new().await;
    let json_type = [("content-type", "application/json")];
    let too_long = "x".repeat(limits::EVENT_PAYLOAD + 1);
    let long_channel = format!("/v1/{}", "c".repeat(limits::CHANNEL_NAME + 1));
    let cases: &[Case<'_>] = &[
        ("/v1/temp", "", &json_type, "{\"a\":1}", 202, ""),
        ("/v1/temp", "", &[], "", 202, ""),
        ("/v1/temp/", "", &[], "x", 202, ""),
        ("/v1/temp", "&ct=0", &[], "x", 202, ""),
        ("/v1/temp", "&commandTimeout=0&more=1", &[], "x", 202, ""),
        ("/v1/temp", "", &json_type, "{\"a\":", 406, "application/json"),
        ("/v1/temp", "", &json_type, "", 406, "application/json"),
        (
            "/v1/temp",
            "",
            &[("content-type", "application/vnd.x+json")],
            "x",
            406,
            "vnd.x+json",
        ),
        (
            "/v1/temp",
            "",
            &[("content-type", "text/plain"), ("content-type", "text/html")],
            "x",
            400,
            "Content-Type",
        ),
        ("/v1/temp", "", &[("content-encoding", "gzip")], "x", 415, "gzip"),
        ("/v1/temp", "&ct=soon", &[], "x", 400, "`ct`"),
        ("/v1/temp", "&data_schema=foo", &[], "x", 400, "data_schema"),
        ("/v1/temp", "&data_schema=http://a%20b", &[], "x", 400, "data_schema"),
        ("/v1/temp", "&application=app", &[], "x", 400, "`application`"),
        (&long_channel, "", &[], "x", 400, "channel"),
        ("/v1/%00", "", &[], "x", 400, "channel"),
        ("/v1/%ff", "", &[], "x", 400, "channel"),
        ("/v1/", "", &[], "x", 404, "/v1/<channel>"),
        ("/v1", "", &[], "x", 404, "/v1/<channel>"),
        ("/v1/temp", "", &[], &too_long, 413, "65536"),
        ("/v1/temp", "", &[("content-length", "65537")], "", 413, "65536"),
    ];
    for (path, query, headers, body, status, says) in cases {
        let before = world.events().await.len();
        let answer = world
            .publish(path, (&format!("{}{query}", D.0), D.1), headers, (*body).to_owned())
            .await;
        let about = format!("{path} {query} {headers:?}: {} {}", answer.status, answer.text);
        assert_eq!(answer.status, *status, "{about}");
        assert!(answer.text.contains(says), "{about}");
        let stored = usize::from(*status == 202);
        assert_eq!(world.events().await.len(), before + stored, "{about}");
        if stored == 0 {
            assert_eq!(answer.json()["code"], json!(status), "{about}");
        }
    }
}

#[tokio::test]
async fn only_post_publishes() {
    let world = World::new().await;
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let request = Request::builder()
            .method(method)
            .uri("/v1/temp/x")
            .body(Body::empty())
            .unwrap();
        let answer = world.send(request).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["allow"]),
            (405, &"POST".parse().unwrap()),
            "{method}"
        );
        assert_eq!(answer.json()["error"], "MethodNotAllowed");
    }
}

#[tokio::test]
async fn a_body_in_pieces_is_bounded_too() {
    let world = World::new().await;
    let pieces = |count: usize| {
        let piece = || Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 1024]));
        Body::from_stream(futures_util::stream::iter((0..count).map(move |_| piece())))
    };
    assert_eq!(world.publish("/v1/temp", D, &[], pieces(64)).await.status, 202);
    assert_eq!(world.event().await.data.unwrap().len(), limits::EVENT_PAYLOAD);
    assert_eq!(world.publish("/v1/temp", D, &[], pieces(65)).await.status, 413);
    let broken = futures_util::stream::iter([Ok(Bytes::from("x")), Err(std::io::Error::other("reset"))]);
    assert_eq!(
        world
            .publish("/v1/temp", D, &[], Body::from_stream(broken))
            .await
            .status,
        400
    );
    assert_eq!(world.events().await.len(), 1);
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let world = World::new().await;
    assert_eq!(world.publish("/v1/temp", D, &[], "1").await.status, 202);
    tokio::time::pause();
    let body = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let answer = world.publish("/v1/temp", D, &[], body).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["error"]),
        (408, &json!("RequestTimeout"))
    );
}

#[tokio::test]
async fn a_body_is_not_read_for_who_is_not_known() {
    let world = World::new().await;
    let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    assert_eq!(
        world
            .publish("/v1/temp", ("application=app", "d:wrong"), &[], never)
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn a_log_that_cannot_take_the_event_is_told() {
    let world = World::new().await;
    for (error, code) in [
        (AppendError::Busy, "Busy"),
        (
            AppendError::Unavailable(Unavailable("/dev/secret is full".into())),
            "Unavailable",
        ),
    ] {
        world.log.fail(error);
        let answer = world.publish("/v1/temp", D, &[], "1").await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (503, &json!(code)));
        assert_eq!(answer.headers["retry-after"], limits::RETRY_AFTER_SECONDS.to_string());
        assert!(!answer.text.contains("secret"), "{}", answer.text);
    }
    assert_eq!(world.publish("/v1/temp", D, &[], "1").await.status, 202);
    assert_eq!(world.events().await.len(), 1);
}

#[tokio::test]
async fn a_deleted_application_gets_no_topic_again() {
    let world = World::new().await;
    let topic = Topic::events_of("app");
    assert!(world.log.span(&topic).await.is_err(), "nobody has made it yet");
    assert_eq!(world.publish("/v1/temp", D, &[], "1").await.status, 202);
    world.delete_application().await;
    world.log.delete_topic(&topic).await.unwrap();
    assert_eq!(world.publish("/v1/temp", D, &[], "1").await.status, 403);
    assert!(world.log.span(&topic).await.is_err());
}

#[tokio::test]
async fn what_happens_is_counted() {
    let world = World::new().await;
    world.publish("/v1/temp", D, &[], "12345").await;
    world
        .publish("/v1/temp", ("application=app", "d:wrong"), &[], "1")
        .await;
    world
        .publish("/v1/temp", D, &[("content-type", "application/json")], "{")
        .await;
    let mut registry = Metrics::default();
    world.metrics.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "ingest_http_events_total 1",
        "ingest_http_payload_bytes_total 5",
        "ingest_http_refusals_total{kind=\"authentication\"} 1",
        "ingest_http_refusals_total{kind=\"event\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn attributes_in_headers_count_if_the_request_is_a_cloud_event() {
    let world = World::new().await;
    let own = [
        ("ce-id", "my%20id"),
        ("ce-time", "2024-01-02T03:04:05Z"),
        ("ce-type", "mine"),
        ("ce-source", "mine"),
        ("ce-device", "other"),
        ("ce-color", "red"),
    ];
    world.publish("/v1/temp", D, &own, "1").await;
    assert_ne!(
        world.event().await.id,
        "my id",
        "without `ce-specversion` they are just headers"
    );

    let with_version: Vec<_> = own.into_iter().chain([("ce-specversion", "1.0")]).collect();
    assert_eq!(world.publish("/v1/temp", D, &with_version, "1").await.status, 202);
    let event = world.events().await.remove(1);
    assert_eq!(
        (&*event.id, &*event.ty, &*event.source),
        ("my id", "io.drogue.event.v1", "drogue://app/d")
    );
    assert_eq!(event.time, Some("2024-01-02T03:04:05Z".parse().unwrap()));
    assert_eq!(event.extension("device").unwrap(), "d");
    assert_eq!(
        event.extensions.iter().find(|(name, _)| name == "color").unwrap().1,
        Value::from("red")
    );

    for (name, value) in [
        ("ce-specversion", "0.3"),
        ("ce-time", "now"),
        ("ce-id", "%ff"),
        ("ce-co-lor", "x"),
        ("ce-id", ""),
    ] {
        let headers = [("ce-specversion", "1.0"), (name, value)];
        let headers = if name == "ce-specversion" {
            &headers[1..]
        } else {
            &headers
        };
        let answer = world.publish("/v1/temp", D, headers, "1").await;
        assert_eq!(answer.status, 400, "{name}: {value}: {}", answer.text);
    }
}
