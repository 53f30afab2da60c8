//! Publish rules by tables: what becomes of an event, and which rules are refused when they are stored.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use sockeye_event::{DeviceEvent, Event, Origin, Party, Value};
use sockeye_limits as limits;
use sockeye_policy::{Policy, Verdict};

fn event() -> Event {
    let party = |name: &str| Party {
        name: name.into(),
        uid: None,
    };
    let event = DeviceEvent {
        origin: Origin {
            application: party("app"),
            device: party("d"),
            sender: party("d"),
            instance: "test".into(),
        },
        channel: "chan1".into(),
        id: Some("1".into()),
        time: Timestamp::UNIX_EPOCH,
        content_type: Some("text/plain".into()),
        data_schema: Some("urn:old".into()),
        extensions: vec![("site".into(), Value::Integer(7))],
        payload: Some(Bytes::from_static(b"{}")),
    };
    event.into_event().unwrap()
}

#[allow(clippy::needless_pass_by_value, reason = "callers write `json!` in place")]
fn policy(rules: Json) -> Result<Policy, String> {
    Policy::of(json!({"publish": {"rules": rules}}).as_object().unwrap()).map_err(|error| error.to_string())
}

/// What becomes of the event: `accepted` with what is different, `dropped`, or why it is rejected.
fn outcome(rules: Json) -> String {
    let (before, mut after) = (event(), event());
    match policy(rules).unwrap().publish.apply(&mut after) {
        Verdict::Dropped => return "dropped".to_owned(),
        Verdict::Rejected(reason) => return format!("rejected: {reason}"),
        Verdict::Accepted => {}
    }
    let mut changes = Vec::new();
    for (name, before, after) in [
        ("type", Some(&before.ty), Some(&after.ty)),
        (
            "datacontenttype",
            before.data_content_type.as_ref(),
            after.data_content_type.as_ref(),
        ),
        ("dataschema", before.data_schema.as_ref(), after.data_schema.as_ref()),
        ("subject", before.subject.as_ref(), after.subject.as_ref()),
    ] {
        if before != after {
            changes.push(format!("{name}={}", after.map_or("-", |text| text)));
        }
    }
    for (name, value) in &after.extensions {
        if !before.extensions.contains(&(name.clone(), value.clone())) {
            changes.push(format!("{name}={value:?}"));
        }
    }
    for (name, _) in &before.extensions {
        if !after.extensions.iter().any(|(known, _)| known == name) {
            changes.push(format!("{name}=-"));
        }
    }
    format!("accepted {}", changes.join(" ")).trim_end().to_owned()
}

#[test]
fn conditions() {
    let is = |channel: &str| json!({"isChannel": channel});
    for (when, holds) in [
        (json!("always"), true),
        (is("chan1"), true),
        (is("chan2"), false),
        (is("Chan1"), false),
        (is(""), false),
        (json!({"not": is("chan1")}), false),
        (json!({"not": {"not": "always"}}), true),
        (json!({"and": []}), false),
        (json!({"and": ["always", is("chan1")]}), true),
        (json!({"and": ["always", is("chan2")]}), false),
        (json!({"or": []}), false),
        (json!({"or": [is("chan2"), is("chan1")]}), true),
        (json!({"or": [is("chan2"), is("chan3")]}), false),
        (
            json!({"and": [is("chan1"), {"not": {"or": [is("chan2"), is("chan3")]}}]}),
            true,
        ),
    ] {
        let found = outcome(json!([{"when": when, "then": ["drop"]}]));
        assert_eq!(found, if holds { "dropped" } else { "accepted" }, "{when}");
    }
    assert_eq!(outcome(json!([{"then": ["drop"]}])), "dropped", "`always` if not said");
}

#[test]
fn steps() {
    let set = |name: &str, value: &str| json!({"setAttribute": {"name": name, "value": value}});
    let put = |name: &str, value: &str| json!({"setExtension": {"name": name, "value": value}});
    for (then, expected) in [
        (json!([]), "accepted"),
        (json!(["drop", {"reject": "x"}]), "dropped"),
        (json!(["break", "drop"]), "accepted"),
        (json!([{"reject": "not here"}, "drop"]), "rejected: not here"),
        (json!([{"reject": ""}]), "rejected: "),
        (json!([set("type", "my.type")]), "accepted type=my.type"),
        (
            json!([set("subject", "a/b"), set("subject", "c")]),
            "accepted subject=c",
        ),
        (
            json!([set("dataschema", "urn:my:schema")]),
            "accepted dataschema=urn:my:schema",
        ),
        (
            json!([set("datacontenttype", " Application/JSON; A=B ")]),
            "accepted datacontenttype=application/json; A=B",
        ),
        (json!([{"removeAttribute": "subject"}]), "accepted subject=-"),
        (json!([{"removeAttribute": "dataschema"}]), "accepted dataschema=-"),
        (
            json!([{"removeAttribute": "datacontenttype"}, set("subject", "x"), "break", "drop"]),
            "accepted datacontenttype=- subject=x",
        ),
        (json!([put("colour", "red")]), r#"accepted colour=String("red")"#),
        (json!([put("site", "8")]), r#"accepted site=String("8")"#),
        (
            json!([put("partitionkey", "one")]),
            r#"accepted partitionkey=String("one")"#,
        ),
        (
            json!([put("colour", "red"), {"removeExtension": "colour"}, {"removeExtension": "site"}]),
            "accepted site=-",
        ),
        (json!([{"removeExtension": "nobody"}]), "accepted"),
    ] {
        assert_eq!(outcome(json!([{"then": then}])), expected, "{then}");
    }
}

#[test]
fn rules_follow_each_other_and_see_what_those_before_them_did() {
    let on = |channel: &str, then: Json| json!({"when": {"isChannel": channel}, "then": then});
    let to = |channel: &str| json!([{"setAttribute": {"name": "subject", "value": channel}}]);
    for (rules, expected) in [
        (json!([]), "accepted"),
        (
            json!([on("chan1", to("chan2")), on("chan2", json!(["drop"]))]),
            "dropped",
        ),
        (
            json!([on("chan1", to("chan2")), on("chan1", json!(["drop"]))]),
            "accepted subject=chan2",
        ),
        (
            json!([on("chan1", json!(["break"])), {"then": [{"reject": "x"}]}]),
            "accepted",
        ),
        (
            json!([on("chan1", json!([{"removeAttribute": "subject"}])), {"when": {"not": {"isChannel": "chan1"}}, "then": ["drop"]}]),
            "dropped",
        ),
    ] {
        assert_eq!(outcome(rules.clone()), expected, "{rules}");
    }
}

#[test]
fn what_cannot_be_obeyed_is_refused_by_name() {
    let then = |step: Json| json!([{"then": ["break", step]}]);
    let set = |name: &str, value: &str| then(json!({"setAttribute": {"name": name, "value": value}}));
    let endpoint = json!({"endpoint": {"url": "https://example.com", "auth": {"bearer": {"token": "s3cret"}}}});
    let step = "`spec.publish.rules[0].then[1]";
    let nested = |levels: usize| (1..levels).fold(json!("always"), |inner, _| json!({"not": inner}));
    for (rules, at, problem) in [
        (json!({}), "`spec.publish.rules`", "must be an array"),
        (json!(["drop"]), "`spec.publish.rules[0]`", "must be an object"),
        (
            json!([{"if": "always"}]),
            "`spec.publish.rules[0].if`",
            "is not known: there is `when`, `then`",
        ),
        (
            json!([{}, {"then": "drop"}]),
            "`spec.publish.rules[1].then`",
            "must be an array",
        ),
        (
            json!([{"when": "never"}]),
            "`spec.publish.rules[0].when`",
            "must be `always`, or",
        ),
        (
            json!([{"when": {}}]),
            "`spec.publish.rules[0].when`",
            "exactly one member",
        ),
        (
            json!([{"when": {"not": "always", "or": []}}]),
            "`spec.publish.rules[0].when`",
            "exactly one member",
        ),
        (
            json!([{"when": {"isDevice": "d"}}]),
            "`spec.publish.rules[0].when.isDevice`",
            "is not known: there is `always`",
        ),
        (
            json!([{"when": {"always": {}}}]),
            "`spec.publish.rules[0].when.always`",
            "is not known",
        ),
        (
            json!([{"when": {"isChannel": 1}}]),
            "`spec.publish.rules[0].when.isChannel`",
            "must be a text",
        ),
        (
            json!([{"when": {"and": ["always", {"not": {"or": [7]}}]}}]),
            "`spec.publish.rules[0].when.and[1].not.or[0]`",
            "must be an object",
        ),
        (
            then(json!({"validate": endpoint})),
            &format!("{step}.validate`"),
            "is not supported: rules call no other service",
        ),
        (
            then(json!({"enrich": endpoint})),
            &format!("{step}.enrich`"),
            "is not supported: rules call no other service",
        ),
        (then(json!("stop")), &format!("{step}`"), "must be `drop`, `break`"),
        (
            then(json!({"drop": {}})),
            &format!("{step}.drop`"),
            "is not known: there is `drop`",
        ),
        (then(json!({"reject": 1})), &format!("{step}.reject`"), "must be a text"),
        (
            then(json!({"reject": "a\nb"})),
            &format!("{step}.reject`"),
            "must not contain control characters",
        ),
        (
            then(json!({"setAttribute": {"name": "type"}})),
            &format!("{step}.setAttribute.value`"),
            "is missing",
        ),
        (
            then(json!({"setAttribute": {"name": "type", "value": "x", "when": 1}})),
            &format!("{step}.setAttribute.when`"),
            "is not known: there is `name`, `value`",
        ),
        (
            set("id", "1"),
            &format!("{step}.setAttribute.name`"),
            "must be one of datacontenttype, dataschema, subject, type",
        ),
        (
            set("type", ""),
            &format!("{step}.setAttribute.value`"),
            "must not be empty",
        ),
        (
            set("dataschema", "foo"),
            &format!("{step}.setAttribute.value`"),
            "must be an absolute URI",
        ),
        (
            set("subject", ""),
            &format!("{step}.setAttribute.value`"),
            "is a channel: the name of a channel must have",
        ),
        (
            set("datacontenttype", " "),
            &format!("{step}.setAttribute.value`"),
            "must not be empty",
        ),
        (
            set("datacontenttype", "application/CloudEvents+json; x=y"),
            &format!("{step}.setAttribute.value`"),
            "must not be a CloudEvent",
        ),
        (
            then(json!({"removeAttribute": "type"})),
            &format!("{step}.removeAttribute`"),
            "must not be `type`",
        ),
        (
            then(json!({"removeAttribute": "time"})),
            &format!("{step}.removeAttribute`"),
            "must be one of",
        ),
        (
            then(json!({"setExtension": {"name": "my-ext", "value": "x"}})),
            &format!("{step}.setExtension.name`"),
            "must have a name of lower-case letters (a-z) and digits",
        ),
        (
            then(json!({"setExtension": {"name": "time", "value": "x"}})),
            &format!("{step}.setExtension.name`"),
            "cannot be an extension",
        ),
        (
            then(json!({"setExtension": {"name": "x", "value": "x".repeat(limits::ATTRIBUTE_VALUE + 1)}})),
            &format!("{step}.setExtension.value`"),
            "has 4097 bytes, 4096 are allowed",
        ),
        (
            then(json!({"removeExtension": "data"})),
            &format!("{step}.removeExtension`"),
            "cannot be an extension",
        ),
        (
            json!(vec![json!({}); limits::RULES + 1]),
            "`spec.publish.rules`",
            "has 101 rules, 100 are allowed",
        ),
        (
            json!([{"then": vec!["break"; limits::RULE_STEPS]}, {"then": ["drop"]}]),
            "`spec.publish.rules[1].then[0]`",
            "is one too many: 100 steps",
        ),
        (
            json!([{"when": {"or": vec!["always"; limits::RULE_CONDITIONS]}}]),
            "`spec.publish.rules[0].when.or[999]`",
            "is one too many: 1000 conditions",
        ),
        (
            json!([{"when": nested(limits::RULE_DEPTH + 1)}]),
            ".not`",
            "is nested too deep: 32 levels",
        ),
    ] {
        let said = policy(rules.clone()).unwrap_err();
        assert!(said.contains(at) && said.contains(problem), "{said}\nfor {rules}");
        assert!(!said.contains("s3cret"), "{said}");
    }
    assert!(policy(json!([{"when": nested(limits::RULE_DEPTH)}])).is_ok());
}

#[test]
fn a_document_without_rules_has_nothing_to_obey() {
    for spec in [
        json!({}),
        json!({"core": {"disabled": true}}),
        json!({"publish": {}}),
        json!({"publish": {"rules": []}}),
    ] {
        let policy = Policy::of(spec.as_object().unwrap()).unwrap();
        assert!(policy.is_empty() && policy.publish.is_empty(), "{spec}");
    }
    for (spec, said) in [
        (json!({"publish": []}), "`spec.publish` must be an object"),
        (
            json!({"publish": {"rule": []}}),
            "`spec.publish.rule` is not known: there is `rules`",
        ),
    ] {
        assert_eq!(Policy::of(spec.as_object().unwrap()).unwrap_err().to_string(), said);
    }
}

#[test]
fn an_event_with_all_its_extensions_and_all_steps_can_be_read() {
    let most: Vec<_> = (0..limits::RULE_STEPS)
        .map(|n| json!({"setExtension": {"name": format!("x{n}"), "value": "y"}}))
        .collect();
    let mut event = event();
    let own = (1..limits::EXTENSIONS).map(|n| (format!("own{n}").into(), Value::String("z".into())));
    event.extensions.extend(own);
    let rules = policy(json!([{"then": most}])).unwrap().publish;
    assert_eq!(rules.apply(&mut event), Verdict::Accepted);
    let (headers, payload) = sockeye_event::binary::encode(&event);
    let read = sockeye_event::binary::decode(&headers, payload.as_ref()).unwrap();
    assert_eq!(read.extensions.len(), event.extensions.len());
}
