//! What the topics and groups of an application are called in Kafka: as in Drogue Cloud (compat/drogue.md 2.6 and 1.8), or by a
//! pattern of the operator, such as `{application}.device-data` for topics of dojot (compat/dojot.md 12). Topics of dead letters
//! follow the same rule with other beginnings.

use std::fmt::Write as _;

use md5::{Digest as _, Md5};
use sockeye_log::{Content, GroupId, Topic};

use crate::OptionsError;

/// How names are made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    /// What is before and behind the application, unless the rule is Drogue Cloud's.
    pattern: Option<(String, String)>,
}

/// Stands for the application in a pattern.
const APPLICATION: &str = "{application}";
/// Longest pattern: with an application and the beginning of dead letters in it, a name has at most the 249 characters of Kafka.
const PATTERN: usize = 160;
/// Before the names of dead letters, where there is a pattern.
const DEAD_LETTERS: &str = "dead-letters.";
/// Longest name that Kafka lets a topic have.
const LONGEST_OF_KAFKA: usize = 249;

/// Longest name, in characters, and the length from which a plain application is not used as it is.
const LONGEST: usize = 63;

// ----------------------------------------------------------------------------------------------

/// Whether topics can be called by this pattern: a name with `{application}` in it once.
pub fn is_pattern(text: &str) -> bool {
    Names::new(Some(text)).is_ok()
}

impl Names {
    /// Names by a pattern, or those of Drogue Cloud.
    pub(crate) fn new(pattern: Option<&str>) -> Result<Self, OptionsError> {
        let Some(pattern) = pattern else {
            return Ok(Self::default());
        };
        let legal = |part: &str| part.chars().all(is_character_of_kafka);
        match pattern.split_once(APPLICATION) {
            Some((before, behind)) if legal(before) && legal(behind) && pattern.len() <= PATTERN => Ok(Self {
                pattern: Some((before.to_owned(), behind.to_owned())),
            }),
            _ => Err(OptionsError(format!(
                "the pattern of topics must have `{APPLICATION}` in it once, and at most {PATTERN} letters, digits, dots, dashes and \
                 underscores"
            ))),
        }
    }

    /// The name of a topic. Others call theirs by the application, whatever the operator says of ours (compat/dojot.md 12).
    pub(crate) fn of(&self, topic: &Topic) -> String {
        if let Content::Others(name) = topic.content() {
            return format!("{}.{name}", topic.application());
        }
        let Some((before, behind)) = &self.pattern else {
            return of(topic);
        };
        let application: &str = topic.application();
        let application = if is_plain(application) && application.len() <= LONGEST {
            application.to_owned()
        } else {
            // Without the beginning, which is the pattern's.
            let hashed = of(&Topic::events_of(application.to_owned()));
            hashed.trim_start_matches("evt-").to_owned()
        };
        let beginning = match topic.content() {
            Content::DeadLetters => DEAD_LETTERS,
            _ => "",
        };
        format!("{beginning}{before}{application}{behind}")
    }

    /// Whether a topic can be one of others: Kafka can have the name, and by the pattern it is no topic of any application.
    pub(crate) fn may_be_others(&self, name: &str) -> bool {
        name.len() <= LONGEST_OF_KAFKA && name.chars().all(is_character_of_kafka) && !self.may_be_own(name)
    }

    /// Drogue Cloud's names have no dots, those of others have one.
    fn may_be_own(&self, name: &str) -> bool {
        let Some((before, behind)) = &self.pattern else {
            return false;
        };
        let is_by_pattern = |name: &str| {
            let rest = name.strip_prefix(before.as_str());
            let application = rest.and_then(|rest| rest.strip_suffix(behind.as_str()));
            application.is_some_and(is_plain)
        };
        is_by_pattern(name) || name.strip_prefix(DEAD_LETTERS).is_some_and(is_by_pattern)
    }

    /// The name of a group: `<application>.<group_id>`, and behind it `~` and a hash if it has a selection. With a pattern, the name
    /// of the topic instead of the application, so that installations that share a Kafka are apart. A `%` or `~` of the `group_id`
    /// is percent-encoded: no two groups meet.
    pub(crate) fn group(&self, group: &GroupId) -> String {
        let mut name = match self.pattern {
            None => group.application.clone(),
            Some(_) => self.of(&Topic::events_of(group.application.clone())),
        };
        name.push('.');
        for character in group.group.chars() {
            match character {
                '%' => name.push_str("%25"),
                '~' => name.push_str("%7E"),
                character => name.push(character),
            }
        }
        if !group.selection.is_empty() {
            name.push('~');
            for byte in &Md5::digest(&group.selection)[..8] {
                write!(name, "{byte:02x}").expect("a string takes it");
            }
        }
        name
    }
}

/// `events-<application>` where that is a short plain name; else `evt-<md5>-<application>`, made plain and short. Dead letters
/// have `dead-letters-` and `dlt-` instead.
fn of(topic: &Topic) -> String {
    let application: &str = topic.application();
    let (plain, hashed) = match topic.content() {
        Content::DeadLetters => ("dead-letters-", "dlt-"),
        _ => ("events-", "evt-"),
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

fn is_character_of_kafka(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
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

    #[test]
    fn names_by_a_pattern() {
        let names = Names::new(Some("{application}.device-data")).unwrap();
        assert_eq!(names.of(&Topic::events_of("admin")), "admin.device-data");
        assert_eq!(
            names.of(&Topic::dead_letters_of("admin")),
            "dead-letters.admin.device-data"
        );
        let strange = names.of(&Topic::events_of("FOO"));
        assert_eq!(strange, "901890a8e9c8cf6d5a1a542b229febff-foo.device-data");
        let longest = Names::new(Some(&format!(
            "{}{APPLICATION}",
            "x".repeat(PATTERN - APPLICATION.len())
        )))
        .unwrap();
        assert!(longest.of(&Topic::dead_letters_of("a".repeat(63))).len() <= 249);
        for wrong in [
            "",
            "events",
            "a b{application}",
            "{application}{application}",
            &"x".repeat(200),
        ] {
            let error = Names::new(Some(wrong)).unwrap_err().to_string();
            assert!(error.contains(APPLICATION), "{wrong}: {error}");
        }
    }

    /// Whoever owns an application called as a part of a pattern does not read what is others' by it.
    #[test]
    fn topics_of_others() {
        let names = |pattern| Names::new(pattern).unwrap();
        let check = |names: &Names, application: &str, name: &str, may_be: bool| {
            let called = names.of(&Topic::others_of(application.to_owned(), name.to_owned()));
            assert_eq!(called, format!("{application}.{name}"));
            assert_eq!(names.may_be_others(&called), may_be, "{called}");
        };
        let of_dojot = names(Some("{application}.device-data"));
        check(&of_dojot, "admin", "device-data", false);
        check(&of_dojot, "admin", "device-data2", true);
        check(&of_dojot, "admin", "sub.device-data", true);
        check(&of_dojot, "dead-letters", "admin.device-data", false);
        check(&names(Some("staging.{application}")), "staging", "garden", false);
        check(&names(Some("staging.{application}")), "staging", "garden.x", true);
        check(&names(None), "events-garden", "x", true);
        for impossible in ["a/b", "ä", "a b", "a\0", &"a".repeat(250)] {
            check(&names(None), "app", impossible, false);
        }
    }

    #[test]
    fn names_of_groups() {
        let check = |names: &Names, group: &str, selection: &str, expected: &str| {
            let group = GroupId {
                application: "app".to_owned(),
                group: group.to_owned(),
                selection: selection.to_owned(),
            };
            assert_eq!(names.group(&group), expected);
        };
        let drogue = Names::default();
        check(&drogue, "workers", "", "app.workers");
        check(&drogue, "a.b/c ä", "", "app.a.b/c ä");
        check(&drogue, "workers", "channel=c", "app.workers~ac686ff1bda48476");
        // No `group_id` is another with a selection.
        check(&drogue, "workers~100%", "", "app.workers%7E100%25");
        check(&Names::new(Some("test-{application}")).unwrap(), "g", "", "test-app.g");
    }
}
