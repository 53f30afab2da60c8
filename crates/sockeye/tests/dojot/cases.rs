//! The published cases of the language, each through a socket of its own.

use futures_util::{SinkExt as _, StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use sockeye_event::json::is_json;

use tokio_tungstenite::tungstenite::Message;

use crate::support::{APP, closed, next_event, next_message};
use crate::world::World;

#[derive(Deserialize)]
struct Case<'a> {
    id: &'a str,
    r#where: Option<String>,
    fields: Option<String>,
    #[serde(borrow)]
    message: &'a RawValue,
    expect: Value,
}

const CASES: &str = include_str!("../../../filter/tests/dojot_where.jsonl");

#[tokio::test]
async fn all_published_cases_through_a_real_socket() {
    // On one core, what was written for one event is written before what is written for the next.
    let world = World::with(&["--cores", "1"]);
    let cases: Vec<Case<'_>> = CASES.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(cases.len(), 220);
    let wrong: Vec<String> = stream::iter(cases.iter().enumerate())
        .map(|(number, case)| check(&world, number, case))
        .buffer_unordered(8)
        .filter_map(async |wrong| wrong)
        .collect()
        .await;
    assert!(wrong.is_empty(), "{} of 220:\n{}", wrong.len(), wrong.join("\n"));
}

/// What is wrong, if something is. Each case has a channel of its own.
async fn check(world: &World, number: usize, case: &Case<'_>) -> Option<String> {
    let parameter = |name: &str, value: &Option<String>| {
        let value = value.as_deref().unwrap_or_default();
        let encoded = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
        format!("&{name}={encoded}")
    };
    let query = parameter("where", &case.r#where) + &parameter("fields", &case.fields);
    let topic = format!("{APP}.case-{number}");
    let mut socket = world.open(&topic, &query).await;
    let id = case.id;
    if let Some(code) = case.expect.get("error_code").and_then(Value::as_u64) {
        let (found, reason) = closed(&mut socket).await;
        return (u64::from(found) != code).then(|| format!("{id}: {found} {reason}, not {code}"));
    }
    if !is_json(case.message.get().as_bytes()) {
        return Some(format!("{id}: the message cannot be published"));
    }
    let channel = format!("case-{number}");
    let mut witness = world.open(&topic, "").await;
    world.publish(&channel, case.message.get()).await;
    let expected = case.expect.get("deliver")?;
    if !expected.is_null() {
        let got = next_event(&mut socket).await;
        return (got != *expected).then(|| format!("{id}: {got}, not {expected}"));
    }
    // Nothing comes: when a later message was written, and a Ping is answered behind that, it would have come.
    assert!(world.until_end(&mut witness, &channel).await.len() <= 1);
    socket.send(Message::Ping("done".into())).await.unwrap();
    loop {
        match next_message(&mut socket).await {
            Message::Pong(payload) if payload == "done" => return None,
            Message::Ping(_) | Message::Pong(_) => {}
            // The later one, if the filter lets it pass.
            Message::Text(text) if text == r#"{"end":true}"# => {}
            other => return Some(format!("{id}: {other}, not nothing")),
        }
    }
}
