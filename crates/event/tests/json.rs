//! `json` against `serde_json`, with texts nobody thought of.

use bytes::BytesMut;
use proptest::prelude::*;
use serde_json::Value;
use sockeye_event::json::{compact, is_json};

fn compacted(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = BytesMut::new();
    compact(text, &mut out).ok().map(|()| out.to_vec())
}

/// Everything that must hold of any text at all.
fn check(text: &[u8]) -> Result<(), TestCaseError> {
    let oracle: Option<Value> = serde_json::from_slice(text).ok();
    let ours = compacted(text);
    prop_assert_eq!(
        ours.is_some(),
        oracle.is_some(),
        "accepted by one only: {}",
        String::from_utf8_lossy(text)
    );
    prop_assert_eq!(is_json(text), ours.is_some());
    if let Some(ours) = ours {
        prop_assert_eq!(serde_json::from_slice(&ours).ok(), oracle);
        prop_assert_eq!(without_space(text).into_bytes(), ours.clone());
        prop_assert_eq!(compacted(&ours), Some(ours));
    }
    Ok(())
}

/// The plainest possible way to the same end: every character outside strings that is no white space.
fn without_space(text: &[u8]) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let keep = |c: &char| {
        let keep = in_string || !c.is_ascii_whitespace();
        match *c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        keep
    };
    String::from_utf8_lossy(text).chars().filter(keep).collect()
}

/// A JSON text with white space, odd numbers, escapes and duplicate keys.
fn text() -> impl Strategy<Value = String> {
    let space = "[ \t\r\n]{0,3}";
    let string = r#""([ -!#-\[\]-~é\u{1f600}]|\\["\\/bfnrt]|\\u00[0-9a-fA-F]{2}|\\ud83d\\ude00){0,20}""#;
    let number = r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?";
    let leaf = prop_oneof![
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just("null".to_owned()),
        number.prop_map(|n| n),
        string.prop_map(|s| s)
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        let element = (space, inner.clone(), space).prop_map(|(a, value, b)| a + &value + &b);
        let member = (space, "\"[ab\\\\]?\"", space, space, inner, space)
            .prop_filter("a lone backslash ends no key", |m| !m.1.contains('\\'))
            .prop_map(|(a, key, b, c, value, d)| format!("{a}{key}{b}:{c}{value}{d}"));
        prop_oneof![
            prop::collection::vec(element, 1..6).prop_map(|all| format!("[{}]", all.join(","))),
            prop::collection::vec(member, 1..6).prop_map(|all| format!("{{{}}}", all.join(","))),
            space.prop_map(|s| format!("[{s}]")),
            space.prop_map(|s| format!("{{{s}}}")),
        ]
    })
    .prop_flat_map(move |value| (space, Just(value), space).prop_map(|(a, value, b)| a + &value + &b))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn json_is_accepted_and_keeps_its_meaning(text in text()) {
        prop_assert!(is_json(text.as_bytes()), "refused: {}", text);
        check(text.as_bytes())?;
    }

    #[test]
    fn a_damaged_text_is_judged_as_serde_json_judges_it(
        text in text(),
        at in any::<prop::sample::Index>(),
        by in prop_oneof![any::<u8>().boxed(), prop::sample::select(b"[]{}\",:0\\u.eE+- ".to_vec()).boxed()],
        how in 0..4,
    ) {
        let mut bytes = text.into_bytes();
        let place = at.index(bytes.len());
        match how {
            0 => bytes[place] = by,
            1 => bytes.insert(place, by),
            2 => drop(bytes.remove(place)),
            _ => bytes.truncate(place),
        }
        check(&bytes)?;
    }

    #[test]
    fn any_bytes_are_judged_as_serde_json_judges_them(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
        check(&bytes)?;
    }

    #[test]
    fn any_tokens_are_judged_as_serde_json_judges_them(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "[", "]", "{", "}", ",", ":", "\"a\"", "1", "-", "0", ".5", "e7", "e400", "true", "null", " ", "\n", "\\ud800",
            "\"\\ud800\"", "\"\\udc00\\ud800\"", "\"\\ud800\\udfff\"", "\"",
        ]), 0..9),
    ) {
        check(tokens.concat().as_bytes())?;
    }
}
