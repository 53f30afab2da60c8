//! What is long, deep or meant to take for ever.

use sockeye_filter::{Code, Filter, Shape};
use sockeye_limits as limits;

use crate::check;

#[test]
fn filters_are_bounded() {
    let bounded = |text: &str| Filter::parse(text, Shape::Document).map_err(|error| (error.code, error.expected));
    let syntax = |expected: &str| Err((Code::Syntax, expected.to_owned()));
    let most = limits::FILTER_CONDITIONS;
    assert!(bounded(&"a=1;".repeat(most)).is_ok());
    assert_eq!(
        bounded(&"a=1;".repeat(most + 1)),
        syntax("the end: at most 100 conditions")
    );
    assert_eq!(bounded(&"a=1;".repeat(100_000)), syntax("at most 8192"));
    let values = format!("a=in:{}", vec!["x"; limits::FILTER_VALUES].join(","));
    assert!(bounded(&values).is_ok());
    assert_eq!(bounded(&format!("{values},x")), syntax("`;`: at most 1000 values"));
    let path = vec!["a"; limits::FILTER_STEPS].join(".");
    assert!(bounded(&format!("{path}=1")).is_ok());
    assert_eq!(
        bounded(&format!("{path}.a=1")),
        syntax("`=`: at most 32 steps of a path")
    );
    let longest = format!("a=is:{};", "x".repeat(limits::FILTER_TEXT - 5));
    assert!(bounded(&longest).is_ok());
    assert_eq!(bounded(&format!("{longest};")), syntax("at most 8192"));
    assert!(bounded(&"a=re:x;".repeat(limits::FILTER_PATTERNS)).is_ok());
    assert_eq!(
        bounded(&"a=re:x;".repeat(limits::FILTER_PATTERNS + 1)),
        syntax("at most 4 in one `where`")
    );
}

#[test]
fn regular_expressions_are_bounded() {
    let error = |pattern: &str| {
        Filter::parse(&format!("a=re:\"{pattern}\""), Shape::Document)
            .unwrap_err()
            .to_string()
    };
    assert!(error("((x{99}){99}){99}").contains("a smaller regular expression"));
    assert!(error(&"(".repeat(4_000)).contains("a regular expression"));
    assert!(error(&format!("{}x{}", "(".repeat(100), ")".repeat(100))).contains("nest"));
    // It takes a backtracking engine 2^60 steps to find that this does not match.
    let text = format!("{{\"a\":\"{}!\"}}", "a".repeat(60_000));
    check("a=re:^(a+)+$", &text, false);
    check("a=re:^(a|aa)+$", &text, false);
}

#[test]
fn nesting_of_a_message_harms_nobody() {
    let deep = format!("{{\"a\":{}{},\"b\":1}}", "[".repeat(100_000), "]".repeat(100_000));
    check("b=1", &deep, true);
    check("a.0.0.0.0=has:true;b=1", &deep, true);
    check("b=1", &deep[..100_000], false);
    let wide = format!("[{}{{\"a\":1}}]", "{\"a\":0},".repeat(100_000));
    check("[100000].a=1", &wide, true);
}
