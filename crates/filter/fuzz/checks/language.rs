//! Any text is a filter, or refused at a place; what is printed parses to the same. The same of selectors.

use sockeye_filter::{Fields, Filter, Shape};

/// Panics if that does not hold for this text.
pub fn check(text: &str) {
    match Filter::parse(text, Shape::Document) {
        Ok(filter) => {
            let printed = filter.to_string();
            assert!(printed.len() <= text.len() + 1);
            assert_eq!(Filter::parse(&printed, Shape::Document).as_ref(), Ok(&filter));
            filter.explain();
        }
        Err(error) => assert!(text.is_char_boundary(error.at) && !error.show(text).is_empty()),
    }
    match Fields::parse(text) {
        Ok(fields) => {
            let printed = fields.to_string();
            assert!(printed.len() <= text.len());
            assert_eq!(Fields::parse(&printed).as_ref(), Ok(&fields));
            fields.explain();
        }
        Err(error) => assert!(text.is_char_boundary(error.at)),
    }
}
