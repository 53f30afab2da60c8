//! What holds for every filter and every message: the printer agrees with the parser, and the evaluation on bytes with a slow,
//! obvious one on `serde_json::Value`.

mod message;
mod obvious;
mod texts;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::BytesMut;
use message::{Message, message};
use obvious::Mask;
use proptest::prelude::*;
use sockeye_filter::{Fields, Filter, Index, Scratch, Shape};

fn parse(text: &str) -> Filter {
    Filter::parse(text, Shape::Document).unwrap_or_else(|error| panic!("{text}: {error}"))
}

proptest! {
    #[test]
    fn a_filter_is_printed_as_what_parses_to_the_same(text in texts::filter()) {
        let filter = parse(&text);
        let printed = filter.to_string();
        prop_assert_eq!(&parse(&printed), &filter, "{} from {}", printed, text);
        prop_assert_eq!(parse(&printed).to_string(), printed);
    }

    #[test]
    fn any_text_is_parsed_or_refused_at_a_place(text in texts::nearly_a_filter()) {
        match Filter::parse(&text, Shape::Document) {
            Ok(filter) => {
                prop_assert!(filter.to_string().len() <= text.len() + 1);
                prop_assert_eq!(parse(&filter.to_string()), filter);
            }
            Err(error) => prop_assert!(text.is_char_boundary(error.at), "{}", error),
        }
    }

    #[test]
    fn any_selector_is_parsed_or_refused_at_a_place(text in "[ab*,/()é]{0,20}") {
        match Fields::parse(&text) {
            Ok(fields) => {
                prop_assert!(fields.to_string().len() <= text.len());
                prop_assert_eq!(Fields::parse(&fields.to_string()), Ok(fields));
            }
            Err(error) => prop_assert!(text.is_char_boundary(error.at), "{}", error),
        }
    }

    #[test]
    fn a_filter_passes_what_the_obvious_evaluation_passes(text in texts::filter(), message in message(true)) {
        let filter = parse(&text);
        let passes = filter.passes(message.text.as_bytes(), &mut Scratch::default());
        prop_assert_eq!(passes, obvious::passes(&filter, &message.value()), "{} of {}", text, message.text);
    }

    #[test]
    fn an_index_finds_what_trying_each_filter_finds(
        texts in prop::collection::vec(texts::filter(), 0..30),
        gone in prop::collection::vec(0..30_usize, 0..20),
        message in message(true),
    ) {
        let mut filters: HashMap<usize, Arc<Filter>> = texts.iter().map(|text| Arc::new(parse(text))).enumerate().collect();
        let mut index = Index::default();
        for (name, filter) in &filters {
            index.insert(*name, Arc::clone(filter));
        }
        for name in &gone {
            index.remove(*name);
            filters.remove(name);
        }
        let (mut scratch, mut found) = (Scratch::default(), Vec::new());
        index.each_passed(message.text.as_bytes(), &mut scratch, |name| found.push(name));
        let passes = |filter: &Filter| filter.passes(message.text.as_bytes(), &mut Scratch::default());
        let mut expected: Vec<_> = filters.iter().filter(|(_, filter)| passes(filter)).map(|(name, _)| *name).collect();
        found.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(found, expected, "{:?} of {}", texts, message.text);
    }

    #[test]
    fn a_selector_selects_what_the_obvious_selection_selects(mask in texts::mask(), message in message(false)) {
        let fields = Fields::parse(&mask.to_string()).unwrap();
        let (selected, expected) = (select(&fields, &message), obvious::select(&mask, &message.value()));
        prop_assert_eq!(selected, expected, "{} of {}", mask, message.text);
    }

    #[test]
    fn bytes_that_are_no_json_harm_nobody(text in texts::filter(), mask in texts::mask(), message in message(true), cut in any::<prop::sample::Index>(), other in any::<u8>()) {
        let (mut bytes, filter) = (message.text.into_bytes(), parse(&text));
        let at = cut.index(bytes.len());
        let mut scratch = Scratch::default();
        let fields = Fields::parse(&mask.to_string()).unwrap();
        filter.passes(&bytes[..at], &mut scratch);
        fields.project(&bytes[..at], &mut scratch, &mut BytesMut::new());
        bytes[at] = other;
        filter.passes(&bytes[..], &mut scratch);
        fields.project(&bytes, &mut scratch, &mut BytesMut::new());
    }
}

fn select(fields: &Fields, message: &Message) -> Option<serde_json::Value> {
    let mut out = BytesMut::new();
    let sent = fields.project(message.text.as_bytes(), &mut Scratch::default(), &mut out);
    sent.then(|| serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{error}: {out:?}")))
}

/// The oracle of selectors is itself one of two: this is what the other says of some of them.
#[test]
fn masks_are_printed_as_selectors() {
    let below = Mask(vec![("x".into(), None), ("*".into(), None)]);
    let mask = Mask(vec![("a".into(), Some(below)), ("b".into(), None)]);
    assert_eq!(mask.to_string(), "a(x,*),b");
}
