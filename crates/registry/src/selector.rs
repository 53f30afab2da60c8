//! Label selectors (compat/drogue.md 4.2): `k`, `!k`, `k=v`, `k!=v`, `k in (a, b)`, `k notin (a, b)`, joined by commas.

use std::collections::BTreeMap;

/// What the labels of a resource must be like; all requirements must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    /// `k`
    Exists(String),
    /// `!k`
    Missing(String),
    /// `k=v`, `k in (..)`
    In(String, Vec<String>),
    /// `k!=v`, `k notin (..)`: the label must be there, with another value.
    NotIn(String, Vec<String>),
}

/// Why a text is no selector.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the selector is wrong {}: {problem}", place(at))]
pub struct SelectorError {
    at: String,
    problem: &'static str,
}

// ----------------------------------------------------------------------------------------------

impl Selector {
    /// Reads a selector; white space around its parts does not count. An empty one selects everything.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut rest = text.trim();
        let mut requirements = Vec::new();
        while !rest.is_empty() {
            let (requirement, behind) = requirement(rest)?;
            requirements.push(requirement);
            rest = behind.trim_start();
            if let Some(next) = rest.strip_prefix(',') {
                rest = next.trim_start();
                if rest.is_empty() {
                    return Err(error(",", "something must follow the comma"));
                }
            } else if !rest.is_empty() {
                return Err(error(rest, "a comma must stand between two requirements"));
            }
        }
        Ok(Self(requirements))
    }

    /// Whether everything is selected.
    pub fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// As [`Selector::selects`], of labels as JSON without white space, as engines store them. Most that are not selected are not
    /// parsed: keys and values of selectors are written as they are, so that what has them has them literally.
    pub fn selects_json(&self, labels: &str) -> bool {
        let may_hold = |requirement: &Requirement| match requirement {
            Requirement::Exists(key) | Requirement::NotIn(key, _) => labels.contains(key),
            Requirement::In(_, values) => values.iter().any(|value| labels.contains(value)),
            Requirement::Missing(_) => true,
        };
        let parsed = || serde_json::from_str(labels).unwrap_or_default();
        self.0.iter().all(may_hold) && (self.is_all() || self.selects(&parsed()))
    }

    /// Whether labels are what is asked for.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Missing(key) => !labels.contains_key(key),
            Requirement::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(key, values) => labels.get(key).is_some_and(|value| !values.contains(value)),
        })
    }
}

/// One requirement at the beginning of `text`, and what is behind it.
fn requirement(text: &str) -> Result<(Requirement, &str), SelectorError> {
    if let Some(rest) = text.strip_prefix('!') {
        let (key, rest) = word(rest)?;
        return Ok((Requirement::Missing(key), rest));
    }
    let (key, rest) = word(text)?;
    if let Some(rest) = rest.strip_prefix("!=") {
        let (value, rest) = word(rest)?;
        return Ok((Requirement::NotIn(key, vec![value]), rest));
    }
    if let Some(rest) = rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')) {
        let (value, rest) = word(rest)?;
        return Ok((Requirement::In(key, vec![value]), rest));
    }
    for (operator, make) in [
        ("in", Requirement::In as fn(String, Vec<String>) -> Requirement),
        ("notin", Requirement::NotIn),
    ] {
        if let Some(list) = rest
            .strip_prefix(operator)
            .and_then(|rest| rest.trim_start().strip_prefix('('))
        {
            let (inside, rest) = list.split_once(')').ok_or_else(|| error(list, "a `)` is missing"))?;
            let values = inside.split(',').map(whole_word).collect::<Result<_, _>>()?;
            return Ok((make(key, values), rest));
        }
    }
    Ok((Requirement::Exists(key), rest))
}

/// A key or a value at the beginning of `text`, and what is behind it and its white space.
fn word(text: &str) -> Result<(String, &str), SelectorError> {
    let text = text.trim_start();
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || "-_./".contains(c)))
        .unwrap_or(text.len());
    if end == 0 {
        return Err(error(
            text,
            "a key or a value must stand here: letters, digits, `-`, `_`, `.`, `/`",
        ));
    }
    Ok((text[..end].to_owned(), text[end..].trim_start()))
}

fn whole_word(text: &str) -> Result<String, SelectorError> {
    match word(text)? {
        (word, "") => Ok(word),
        (_, rest) => Err(error(rest, "values are separated by commas")),
    }
}

fn place(at: &str) -> String {
    if at.is_empty() {
        "at its end".to_owned()
    } else {
        format!("at `{at}`")
    }
}

fn error(at: &str, problem: &'static str) -> SelectorError {
    SelectorError {
        at: at.chars().take(40).collect(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(selector: &str, selected: &[&str]) {
        let resources = [
            ("bare", BTreeMap::new()),
            ("red", [("color", "red")].into()),
            ("blue", [("color", "blue"), ("example.com/site", "north-1")].into()),
        ];
        let found = Selector::parse(selector).unwrap();
        let names: Vec<&str> = resources
            .iter()
            .filter(|(_, labels)| {
                let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
                found.selects(&labels)
            })
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(names, selected, "{selector}");
        for (name, labels) in resources {
            let json = serde_json::to_string(&labels).unwrap();
            assert_eq!(found.selects_json(&json), selected.contains(&name), "{selector} {json}");
        }
    }

    #[test]
    fn the_grammar() {
        check("", &["bare", "red", "blue"]);
        check("color", &["red", "blue"]);
        check(" ! color ", &["bare"]);
        check("color=red", &["red"]);
        check("color == red", &["red"]);
        check("color != red", &["blue"]);
        check("color in (red, blue)", &["red", "blue"]);
        check("color in(red)", &["red"]);
        check("color notin (red,green)", &["blue"]);
        check("color,example.com/site=north-1", &["blue"]);
        check("in=red", &[]);
        check("color, color notin (blue) , color=red", &["red"]);
    }

    /// What looks like another label, as text.
    #[test]
    fn labels_are_not_taken_for_others() {
        let labels = [("a\"b", "c"), ("d", "\"e\":\"f\"")];
        let labels: BTreeMap<_, _> = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let json = serde_json::to_string(&labels).unwrap();
        for (selector, selects) in [
            ("b=c", false),
            ("e=f", false),
            ("e", false),
            ("!e", true),
            ("d", true),
            ("d!=f", true),
        ] {
            let found = Selector::parse(selector).unwrap();
            assert_eq!(found.selects(&labels), selects, "{selector}");
            assert_eq!(found.selects_json(&json), selects, "{selector}");
        }
    }

    #[test]
    fn errors_say_where() {
        for (selector, at) in [
            ("=red", "=red"),
            ("color=", ""),
            ("color=red,", ","),
            ("color red", "red"),
            ("color in (red", "red"),
            ("color in ()", ""),
            ("color in (red blue)", "blue"),
            ("a=b c=d", "c=d"),
            ("ä=b", "ä=b"),
        ] {
            assert_eq!(Selector::parse(selector).unwrap_err().at, at, "{selector}");
        }
    }
}
