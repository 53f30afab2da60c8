//! The language, row by row: what the decisions of compat/dojot.md make of its sections 3.4, 4.1-4.5, and the marks "do not
//! copy".

mod errors;
mod limits;
mod names;
mod operators;
mod views;

use sockeye_filter::{Filter, Scratch, Shape};

fn check(filter: &str, message: &str, passes: bool) {
    let filter = Filter::parse(filter, Shape::Document).unwrap_or_else(|error| panic!("{filter}: {error}"));
    let passed = filter.passes(message.as_bytes(), &mut Scratch::default());
    assert_eq!(passed, passes, "{filter} of {message}");
}

fn check_all(filter: &str, messages: &[(&str, bool)]) {
    for (message, passes) in messages {
        check(filter, message, *passes);
    }
}
