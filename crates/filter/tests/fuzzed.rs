//! What the fuzzer checks (`scripts/soak` lets it run for long), of texts and messages near to the published cases: so that its
//! targets are built, and hold, whenever tests are run.

#[path = "../fuzz/checks/language.rs"]
mod language;
#[path = "../fuzz/checks/message.rs"]
mod message;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Case<'a> {
    r#where: Option<String>,
    fields: Option<String>,
    #[serde(borrow)]
    message: &'a RawValue,
}

fn cases() -> Vec<Case<'static>> {
    let lines = include_str!("dojot_where.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// The beginning of one, something else, and the end of another.
fn grafted(seeds: Vec<Vec<u8>>, between: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let one = (select(seeds), any::<Index>());
    let between = prop_oneof![
        between.prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..4)
    ];
    (one.clone(), between, one).prop_map(|((before, cut), between, (behind, from))| {
        let cut = cut.index(before.len() + 1);
        let from = from.index(behind.len() + 1);
        [&before[..cut], &between, &behind[from..]].concat()
    })
}

fn texts() -> impl Strategy<Value = Vec<u8>> {
    let seeds = cases().into_iter().flat_map(|case| [case.r#where, case.fields]);
    let seeds = seeds.flatten().map(String::into_bytes).collect();
    grafted(seeds, r#"[a-z0-9.,;:="*/()\[\]\\ ]{0,4}"#)
}

fn messages() -> impl Strategy<Value = Vec<u8>> {
    let seeds = cases().into_iter().map(|case| case.message.get().as_bytes().to_vec());
    grafted(seeds.collect(), r#"[{}\[\]",:ab01e.\\-]{0,4}"#)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn texts_near_the_cases(text in texts()) {
        language::check(&String::from_utf8_lossy(&text));
    }

    #[test]
    fn messages_near_the_cases(message in messages()) {
        message::check(&message);
    }
}
