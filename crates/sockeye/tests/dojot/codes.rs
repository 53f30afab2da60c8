//! The table of close codes (compat/dojot.md, decision 4).

use std::time::Instant;

use sockeye_parts::postgres::Postgres;

use crate::support::{APP, Server, closed};
use crate::world::World;

#[tokio::test]
async fn every_documented_close_code_comes_with_its_symbol() {
    let world = World::new();
    let own = format!("{APP}.c");
    for (topic, query, code, reason) in [
        // The text ends half-way, begins wrongly, has nothing between.
        (&*own, "where=temp;", 4000, "INVALID_SYNTAX: "),
        (&own, "where==5;", 4000, "INVALID_SYNTAX: "),
        (&own, "where=a=5;;", 4000, "INVALID_SYNTAX: "),
        (&own, "where=a=\"b;", 4000, "INVALID_SYNTAX: "),
        (&own, "where=a[x]=5;", 4000, "INVALID_SYNTAX: "),
        (
            &own,
            "where=a=1;&where=b=1;",
            4000,
            "INVALID_SYNTAX: `where` is given more than once",
        ),
        (
            &own,
            "where[]=a=1;",
            4000,
            "INVALID_SYNTAX: `where` is given more than once",
        ),
        (
            &own,
            "fields=a&fields=b",
            4000,
            "INVALID_SYNTAX: `fields` is given more than once",
        ),
        (&own, "fields=a,,b", 4000, "INVALID_SYNTAX: ',' at 2"),
        (&own, "fields=a(b", 4000, "INVALID_SYNTAX: "),
        (&own, "fields=a/", 4000, "INVALID_SYNTAX: "),
        (&own, "where=temp=foo:5;", 4001, "INVALID_OPERATOR: 'foo' at 5"),
        (&own, "where=temp=in:\"\\q\";", 4002, "INVALID_ESCAPE_VALUE: "),
        (&own, "where=temp=gt:1,2;", 4003, "INVALID_OPERATOR_ARITY: "),
        (&own, "where=temp=gt:hot;", 4004, "INVALID_VALUE: "),
        (&own, "where=on=bool:maybe;", 4004, "INVALID_VALUE: "),
        ("other.c", "", 4403, "FORBIDDEN_TOPIC: "),
        (APP, "", 4403, "FORBIDDEN_TOPIC: "),
        // Of two that apply, the first of the order of checks.
        ("other.c", "where=temp;", 4403, "FORBIDDEN_TOPIC: "),
    ] {
        let (found, said) = world.closed(topic, query).await;
        assert_eq!(found, code, "{topic} {query}: {said}");
        assert!(said.starts_with(reason), "{topic} {query}: {said}");
        assert!(said.len() <= 123, "{said}");
    }
    for ticket in ["", "0", &"0".repeat(64)] {
        let mut socket = world.open_with(ticket, &own, "").await.unwrap();
        let (code, said) = closed(&mut socket).await;
        assert_eq!(code, 4401);
        assert!(said.starts_with("INVALID_TICKET: "), "{said}");
    }
}

/// Decision 6: the life of a connection, the token's expiry, and the later of the two; a token that has expired opens nothing.
#[tokio::test]
async fn a_connection_that_lived_long_enough_is_closed_with_4408() {
    let topic = format!("{APP}.c");
    let after = async |flags: &[&str], token_life| {
        let world = World::with(flags);
        let before = Instant::now();
        let ticket = world.ticket_of(&World::token(APP, World::in_seconds(token_life))).await;
        let mut socket = world.open_with(&ticket, &topic, "").await.unwrap();
        let (code, said) = closed(&mut socket).await;
        assert_eq!(code, 4408, "{said}");
        assert!(said.starts_with("EXPIRED_CONNECTION: "), "{said}");
        before.elapsed().as_millis()
    };
    // Not before its time; how late a loaded machine is does not matter here.
    assert!(after(&["--dojot-connection-life", "2s"], 600).await >= 2_000);
    let both = ["--dojot-connection-life", "3s", "--dojot-token-expiry", "on"];
    assert!(after(&both, 1 + 1).await >= 3_000);
    let token = ["--dojot-connection-life", "off", "--dojot-token-expiry", "on"];
    assert!(after(&token, 2).await >= 1_000);
    let world = World::with(&token);
    // It counts when the ticket is fetched, and not any more when that is used.
    let expires = World::in_seconds(2);
    let ticket = world.ticket_of(&World::token(APP, expires)).await;
    while World::in_seconds(0) < expires {
        tokio::task::yield_now().await;
    }
    let mut socket = world.open_with(&ticket, &topic, "").await.unwrap();
    assert_eq!(closed(&mut socket).await.0, 4408);
}

/// A right that ends, ends its sockets; an engine that does not answer is ours to answer for.
#[tokio::test]
async fn what_ends_a_right_or_fails_here_has_its_code() {
    let world = World::new();
    let mut socket = world.open(&format!("{APP}.c"), "").await;
    world.server.cli_ok(&["app", "delete", APP]);
    let (code, said) = closed(&mut socket).await;
    assert_eq!(code, 4403, "{said}");
    assert!(
        said.starts_with("FORBIDDEN_TOPIC: the application was deleted"),
        "{said}"
    );
    assert_eq!(world.closed(&format!("{APP}.c"), "").await.0, 4403);
}

/// 4999 is an error of the server, and nothing else: here the registry is away.
#[tokio::test]
async fn a_registry_that_is_away_is_an_internal_error() {
    let Some(postgres) = Postgres::start_or_say().unwrap() else {
        return;
    };
    let url = postgres.database().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(&folder.path().join("data"), |command| {
        command.env("SOCKEYE_POSTGRES", &url);
    });
    drop(postgres);
    let mut socket = server
        .connect("kafka-ws/v1/topics/app.c?ticket=x", None)
        .await
        .expect("the handshake is answered");
    let (code, said) = closed(&mut socket).await;
    assert_eq!(code, 4999, "{said}");
    assert!(said.starts_with("INTERNAL: "), "{said}");
}
