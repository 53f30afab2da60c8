//! Filters and what they leave of messages (compat/dojot.md 0, 4, 5, 6).

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::C;
use crate::support::{next_event, next_message};
use crate::world::World;

/// What is sent of this message to who asks for that.
async fn sent(query: &str, message: &str) -> Message {
    let world = World::new();
    let mut socket = world.open(C, query).await;
    world.publish("c", message).await;
    next_message(&mut socket).await
}

/// Of two messages each of these filters lets the second pass.
async fn check(filters: &[(&str, &str, &str)]) {
    let world = World::new();
    for (filter, stays, passes) in filters {
        let mut socket = world.open(C, &format!("where={filter}")).await;
        world.publish("c", *stays).await;
        world.publish("c", *passes).await;
        assert_eq!(
            next_message(&mut socket).await,
            Message::Text((*passes).into()),
            "{filter}"
        );
    }
}

/// 4.5: names that every object of JavaScript has are taken for fields.
#[tokio::test]
async fn inherited_names_are_no_fields() {
    let message = r#"{"a":1}"#;
    for query in ["where=constructor=has:false;", "where=toString=nin:x;"] {
        assert_eq!(sent(query, message).await, Message::Text(message.into()), "{query}");
    }
    let world = World::new();
    let mut socket = world.open(C, "fields=constructor,b").await;
    world.publish("c", message).await;
    world.publish("c", r#"{"b":1}"#).await;
    assert_eq!(next_event(&mut socket).await, json!({"b": 1}));
}

/// 4.5: an invalid regular expression is found out at each message. Here `in` is no expression, and `re` is looked at first.
#[tokio::test]
async fn values_are_text_and_expressions_are_checked() {
    let world = World::new();
    assert_eq!(world.closed(C, "where=s=re:(;").await.0, 4004);
    let mut socket = world.open(C, "where=s=in:a.c,(;").await;
    world.publish("c", r#"{"s":"abc"}"#).await;
    world.publish("c", r#"{"s":"a.c"}"#).await;
    assert_eq!(next_event(&mut socket).await, json!({"s": "a.c"}));
}

/// 4.6: a condition rewrites the message: numbers as keys become arrays, dots objects, and `20000000` costs 8 s.
#[tokio::test]
async fn a_filter_never_changes_a_message() {
    for message in [
        r#"{"data":{"attrs":{"1":[{"id":1}],"20000000":{"x":1}}},"on":1}"#,
        r#"{"a.b":{"__proto__":1,"":2},"on":1,"n":1.00,"big":12345678901234567890,"on":1}"#,
    ] {
        assert_eq!(sent("where=on=1;", message).await, Message::Text(message.into()));
    }
    assert_eq!(
        sent("where=0.on=1;", r#"[{"on":1}]"#).await,
        Message::Text(r#"[{"on":1}]"#.into())
    );
}

/// 6: rules that differ share one, and the later client gets the earlier one's.
#[tokio::test]
async fn each_client_has_its_own_filter() {
    let world = World::new();
    let mut quoted = world.open(C, "where=status=in:\"a,b\";").await;
    let mut listed = world.open(C, "where=status=in:a,b;").await;
    let mut one = world.open(C, "fields=a(b,c),d(e,f)").await;
    let mut other = world.open(C, "fields=a(b,f),d(e,c)").await;
    world.publish("c", r#"{"status":"a"}"#).await;
    world.publish("c", r#"{"status":"a,b"}"#).await;
    assert_eq!(next_event(&mut listed).await, json!({"status": "a"}));
    assert_eq!(next_event(&mut listed).await, json!({"status": "a,b"}));
    assert_eq!(next_event(&mut quoted).await, json!({"status": "a,b"}));
    world
        .publish("c", r#"{"a":{"b":1,"c":2,"f":3},"d":{"e":4,"f":5,"c":6}}"#)
        .await;
    assert_eq!(
        next_event(&mut one).await,
        json!({"a": {"b": 1, "c": 2}, "d": {"e": 4, "f": 5}})
    );
    assert_eq!(
        next_event(&mut other).await,
        json!({"a": {"b": 1, "f": 3}, "d": {"e": 4, "c": 6}})
    );
}

/// 6: what is sent is printed anew: 1.0 becomes 1, large integers are rounded, of names that are there twice one is lost.
#[tokio::test]
async fn messages_are_sent_as_they_came() {
    let message = r#"{"a":1.0,"b":1e3,"2":9007199254740993,"1":"\u00e9","a":2}"#;
    assert_eq!(sent("", message).await, Message::Text(message.into()));
    let selected = r#"{"b":1e3,"2":9007199254740993}"#;
    assert_eq!(sent("fields=b,2", message).await, Message::Text(selected.into()));
}

/// 0 and 4.1: a name needs two characters, and every condition a `;`.
#[tokio::test]
async fn names_of_one_letter_and_no_last_semicolon() {
    check(&[
        ("a=in:foo;", r#"{"a":"bar"}"#, r#"{"a":"foo"}"#),
        ("a=1;b=2", r#"{"a":1,"b":1}"#, r#"{"a":1,"b":2}"#),
        ("gr%C3%B6%C3%9Fe=1", r#"{"grosse":1}"#, r#"{"größe":1}"#),
    ])
    .await;
}

/// 5 and decision 10: of a name that is there twice the last wins; a selector below a text may drop the message.
#[tokio::test]
async fn selectors_are_merged_and_drop_no_message() {
    let message = r#"{"attrs":{"t":1,"rain":2,"x":3},"s":"text","n":5}"#;
    let merged = r#"{"attrs":{"t":1,"rain":2}}"#;
    assert_eq!(
        sent("fields=attrs/t,attrs/rain", message).await,
        Message::Text(merged.into())
    );
    for query in ["fields=s/length,n", "fields=s/*,n", "fields=s/0,n"] {
        assert_eq!(
            sent(query, message).await,
            Message::Text(r#"{"n":5}"#.into()),
            "{query}"
        );
    }
}

/// 11, #1635, #1647 and #1727: numbers were taken for something else, and 0 for nothing.
#[tokio::test]
async fn numbers_are_numbers_and_zero_is_one() {
    check(&[
        ("t=0;", r#"{"t":1}"#, r#"{"t":0}"#),
        ("t=in:0;", r#"{"t":1}"#, r#"{"t":0}"#),
        ("t=nin:0;", r#"{"t":0}"#, r#"{"t":1}"#),
        ("t=gt:-1.5e0;", r#"{"t":-2}"#, r#"{"t":-1.25}"#),
        ("t=lte:.5;", r#"{"t":0.51}"#, r#"{"t":"0.5"}"#),
        ("t=neq:0x10;", r#"{"t":16}"#, r#"{"t":10}"#),
    ])
    .await;
}

/// 11, #1651 and #1658.
#[tokio::test]
async fn names_may_have_blanks() {
    check(&[
        (
            "outer%20sensor.a%20b=5;",
            r#"{"outer":{"a b":5}}"#,
            r#"{"outer sensor":{"a b":5}}"#,
        ),
        ("outer+sensor=5;", r#"{"outersensor":5}"#, r#"{"outer sensor":5}"#),
    ])
    .await;
}

/// 11, #1637 and #1668.
#[tokio::test]
async fn truth_values_can_be_asked_for() {
    check(&[
        ("on=bool:true;", r#"{"on":false}"#, r#"{"on":true}"#),
        ("on=bool:0;", r#"{"on":true}"#, r#"{"on":false}"#),
    ])
    .await;
}
