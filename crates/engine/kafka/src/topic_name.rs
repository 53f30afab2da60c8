//! What the topics of an application are called in Kafka: that of its events as in Drogue Cloud (compat/drogue.md 2.6), that of
//! its dead letters by the same rule with other beginnings.

use std::fmt::Write as _;

use md5::{Digest as _, Md5};
use sockeye_log::{Content, Topic};

/// Longest name, in characters, and the length from which a plain application is not used as it is.
const LONGEST: usize = 63;

// ----------------------------------------------------------------------------------------------

/// `events-<application>` where that is a short plain name; else `evt-<md5>-<application>`, made plain and short. Dead letters
/// have `dead-letters-` and `dlt-` instead.
pub(crate) fn of(topic: &Topic) -> String {
    let application: &str = topic.application();
    let (plain, hashed) = match topic.content() {
        Content::Events => ("events-", "evt-"),
        Content::DeadLetters => ("dead-letters-", "dlt-"),
    };
    let name = format!("{plain}{application}");
    if name.len() < LONGEST && is_plain(application) {
        return name;
    }
    let mut name = hashed.to_owned();
    for byte in Md5::digest(application) {
        write!(name, "{byte:02x}").expect("a string takes it");
    }
    name.push('-');
    // Plain characters are one byte each, so that the cut is at a character.
    name.extend(
        application
            .to_lowercase()
            .chars()
            .map(|c| if is_plain_character(c) { c } else { '-' }),
    );
    name.truncate(LONGEST);
    name.truncate(name.trim_end_matches('-').len());
    name
}

/// `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
fn is_plain(application: &str) -> bool {
    !application.is_empty()
        && application.chars().all(is_plain_character)
        && !application.starts_with('-')
        && !application.ends_with('-')
}

fn is_plain_character(character: char) -> bool {
    matches!(character, 'a'..='z' | '0'..='9' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_drogue_cloud() {
        let digits = "0123456789".repeat(7);
        let check = |application: &str, expected: &str| {
            assert_eq!(of(&Topic::events_of(application.to_owned())), expected, "{application}");
        };
        // The vectors of the original's own test.
        check("foo", "events-foo");
        check("FOO", "evt-901890a8e9c8cf6d5a1a542b229febff-foo");
        check("foo-", "evt-03f19ca8da08c40c2d036c8915d383e2-foo");
        check(
            &digits,
            "evt-109eb12c10c45d94ddac8eca7b818bed-01234567890123456789012345",
        );
        // On both sides of the longest: `events-` and 55 characters are 62.
        check(&digits[..55], &format!("events-{}", &digits[..55]));
        check(
            &digits[..56],
            "evt-8af270b2847610e742b0791b53648c09-01234567890123456789012345",
        );
        check("ä/b", "evt-852810121f7e9de49c96c8fc20e0fcaf---b");
    }

    #[test]
    fn dead_letters_are_apart_from_events() {
        let check = |application: &str, expected: &str| {
            assert_eq!(of(&Topic::dead_letters_of(application.to_owned())), expected);
        };
        check("foo", "dead-letters-foo");
        check(&"a".repeat(49), &format!("dead-letters-{}", "a".repeat(49)));
        check(
            &"a".repeat(50),
            &format!("dlt-{}-{}", "6eb6a030bcce166534b95bc2ab45d9cf", "a".repeat(26)),
        );
        assert_eq!(of(&Topic::events_of("dead-letters-foo")), "events-dead-letters-foo");
    }
}
