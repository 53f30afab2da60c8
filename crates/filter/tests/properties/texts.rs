//! Filters and selectors by chance.

use proptest::prelude::*;
use proptest::sample::select;

use crate::message::{NAMES, TEXTS};
use crate::obvious::Mask;

/// A filter in which every name and every value is in quotes.
pub fn filter() -> impl Strategy<Value = String> {
    prop::collection::vec(condition(), 0..4).prop_map(|conditions| conditions.concat())
}

fn condition() -> impl Strategy<Value = String> {
    let step = prop_oneof![
        4 => select(&NAMES[..]).prop_map(|name| format!(".{}", quoted(name))),
        1 => (0..2).prop_map(|index| format!("[{index}]")),
    ];
    let path = prop::collection::vec(step, 1..4).prop_map(|steps| steps.concat().trim_start_matches('.').to_owned());
    (path, test()).prop_map(|(path, test)| format!("{path}={test};"))
}

fn test() -> impl Strategy<Value = String> {
    let number = select(vec!["5", "5.0", "0", "0x5", "-1", "10.", " 1 "]);
    let texts = || {
        let values = prop::collection::vec(select(&TEXTS[..]).prop_map(quoted), 1..4);
        values.prop_map(|values| values.join(","))
    };
    prop_oneof![
        (select(vec!["", "eq:", "neq:", "gt:", "gte:", "lt:", "lte:"]), number)
            .prop_map(|(operator, number)| format!("{operator}{}", quoted(number))),
        (select(vec!["in", "nin", "is"]), texts()).prop_map(|(operator, texts)| format!("{operator}:{texts}")),
        (select(vec!["bool", "has"]), select(vec!["true", "0", " FALSE "]))
            .prop_map(|(operator, truth)| format!("{operator}:{}", quoted(truth))),
        select(vec!["^5", "a|b", r"^\s*$", "(?i)TRUE", "."]).prop_map(|pattern| format!("re:{}", quoted(pattern))),
    ]
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t");
    format!("\"{escaped}\"")
}

/// Text of the characters that mean something, and some more.
pub fn nearly_a_filter() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        select(vec![
            "=", ";", ",", ":", ".", "\"", "\\", "[", "]", " ", "\n", "\\n", "é", "\u{2028}"
        ]),
        select(vec![
            "a",
            "5",
            "in:",
            "eq:",
            "re:",
            "x:",
            "[0]",
            "\"b\"",
            "a=5;",
            "a.b=in:c,d;",
            "bool:true"
        ]),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

pub fn mask() -> impl Strategy<Value = Mask> {
    // Names without the characters that selectors need.
    let name = || select(vec!["a", "b", "0", "1", "a.b", "é", "x\"y", "a b", "*", "*"]).prop_map(str::to_owned);
    let leaf = prop::collection::vec(name(), 1..4)
        .prop_map(|names| Mask(names.into_iter().map(|name| (name, None)).collect()));
    leaf.prop_recursive(3, 12, 3, move |below| {
        prop::collection::vec((name(), prop::option::of(below)), 1..4).prop_map(Mask)
    })
}
