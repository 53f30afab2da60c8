//! Messages by chance: JSON texts in any spelling.

use std::fmt::Write;

use proptest::prelude::*;
use serde_json::Value;

/// Names of members, and of fields that filters look at.
pub const NAMES: [&str; 9] = ["a", "b", "", "0", "1", "a.b", "é", "x\"y", "a b"];

/// Texts that mean something to some operator.
pub const TEXTS: [&str; 22] = [
    "",
    " ",
    "5",
    " 5 ",
    "5.0",
    "0x5",
    "0b101",
    "5e0",
    "-1",
    "10",
    "abc",
    "true",
    " False ",
    "0",
    "1",
    "null",
    "Infinity",
    "a,b;c",
    "é",
    "a\"b\\",
    "tab\t",
    "\u{1F600}\u{feff}",
];

/// Numbers and literals that `serde_json` prints as they are.
const LITERALS: [&str; 10] = ["null", "true", "false", "0", "1", "5", "-1", "10", "5.0", "5.5"];

/// A JSON text.
#[derive(Clone, Debug)]
pub struct Message {
    pub text: String,
}

#[derive(Clone, Debug)]
enum Json {
    Literal(&'static str),
    Text(&'static str, Spelling),
    Array(Vec<Self>, Spelling),
    Object(Vec<(&'static str, Self)>, Spelling),
}

/// How something is written where JSON leaves a choice.
type Spelling = u8;

// ----------------------------------------------------------------------------------------------

/// With members that have the same name, or without.
pub fn message(same_names: bool) -> impl Strategy<Value = Message> {
    let leaf = prop_oneof![
        prop::sample::select(&LITERALS[..]).prop_map(Json::Literal),
        (prop::sample::select(&TEXTS[..]), any::<u8>()).prop_map(|(text, spelling)| Json::Text(text, spelling)),
    ];
    let json = leaf.prop_recursive(4, 40, 6, |json| {
        let member = (prop::sample::select(&NAMES[..]), json.clone());
        prop_oneof![
            (prop::collection::vec(json, 0..4), any::<u8>())
                .prop_map(|(elements, spelling)| Json::Array(elements, spelling)),
            (prop::collection::vec(member, 0..6), any::<u8>())
                .prop_map(|(members, spelling)| Json::Object(members, spelling)),
        ]
    });
    json.prop_map(move |json| {
        let mut text = String::new();
        json.write(same_names, &mut text);
        Message { text }
    })
}

impl Message {
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

impl Json {
    fn write(&self, same_names: bool, out: &mut String) {
        match self {
            Self::Literal(literal) => out.push_str(literal),
            Self::Text(text, spelling) => write_text(text, *spelling, out),
            Self::Array(elements, spelling) => {
                out.push('[');
                for (at, element) in elements.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    space(*spelling, out);
                    element.write(same_names, out);
                    space(spelling >> 2, out);
                }
                space(*spelling, out);
                out.push(']');
            }
            Self::Object(members, spelling) => {
                out.push('{');
                let mut written = Vec::new();
                for (name, value) in members {
                    if written.contains(name) && !same_names {
                        continue;
                    }
                    out.push_str(if written.is_empty() { "" } else { "," });
                    written.push(name);
                    space(*spelling, out);
                    write_text(name, spelling >> 4, out);
                    space(spelling >> 2, out);
                    out.push(':');
                    space(*spelling, out);
                    value.write(same_names, out);
                    space(spelling >> 4, out);
                }
                out.push('}');
            }
        }
    }
}

fn space(spelling: Spelling, out: &mut String) {
    out.push_str(["", "", " ", "\n\t\r "][usize::from(spelling % 4)]);
}

/// A JSON string, with escape sequences also where none is needed.
fn write_text(text: &str, spelling: Spelling, out: &mut String) {
    out.push('"');
    for (at, character) in text.chars().enumerate() {
        let needed = character < ' ' || character == '"' || character == '\\';
        if needed || (spelling >> (at % 8)) & 1 == 1 {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").expect("a String takes everything");
            }
        } else {
            out.push(character);
        }
    }
    out.push('"');
}
