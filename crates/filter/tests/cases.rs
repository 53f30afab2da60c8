//! The published cases of dojot's language, as they are (compat/dojot_where.jsonl).

use bytes::BytesMut;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sockeye_filter::{Fields, Filter, FilterError, Scratch, Shape, has_content};

#[derive(Deserialize)]
struct Case<'a> {
    id: &'a str,
    r#where: Option<String>,
    fields: Option<String>,
    /// As it came.
    #[serde(borrow)]
    message: &'a RawValue,
    expect: Value,
}

/// What is sent of a message.
fn sent(filter: Option<&str>, fields: Option<&str>, message: &str) -> Result<Option<Value>, FilterError> {
    let filter = Filter::parse(filter.unwrap_or_default(), Shape::Document)?;
    let fields = fields.map(Fields::parse).transpose()?;
    let mut scratch = Scratch::default();
    if !filter.passes(message.as_bytes(), &mut scratch) {
        return Ok(None);
    }
    let mut out = BytesMut::new();
    let sent = match fields {
        None => has_content(message.as_bytes()).then_some(message.as_bytes()),
        Some(fields) => fields
            .project(message.as_bytes(), &mut scratch, &mut out)
            .then_some(&*out),
    };
    Ok(sent.map(|text| serde_json::from_slice(text).expect("what is sent is JSON")))
}

#[test]
fn all_published_cases() {
    let (mut count, mut wrong) = (0, Vec::new());
    for line in include_str!("dojot_where.jsonl").lines() {
        let case: Case<'_> = serde_json::from_str(line).expect("a case is of this form");
        let result = sent(case.r#where.as_deref(), case.fields.as_deref(), case.message.get());
        let right = match &result {
            Err(error) => case.expect["error_code"] == error.code.number(),
            Ok(sent) => case.expect.get("deliver") == Some(sent.as_ref().unwrap_or(&Value::Null)),
        };
        if !right {
            wrong.push(format!("{}: {result:?}\n  {line}", case.id));
        }
        count += 1;
    }
    assert_eq!(count, 220);
    assert!(wrong.is_empty(), "{} of 220:\n{}", wrong.len(), wrong.join("\n"));
}
