//! The documented configuration file, made from the table of settings.

use std::fmt::Write as _;

use crate::settings::SETTINGS;

/// Width of the comments.
const WIDTH: usize = 100;

/// A file in which every setting stands with its meaning and its default, commented out.
pub fn template() -> String {
    let mut text = String::new();
    comment(
        &mut text,
        "Configuration of Sockeye. Each setting shows its default: remove the `#` before it to change it.",
    );
    comment(
        &mut text,
        "Settings can also be given as flags of `sockeye serve` and as environment variables.",
    );
    comment(
        &mut text,
        "Flags count more than the environment, and the environment more than this file.",
    );
    let mut open = "";
    for setting in SETTINGS {
        let (table, name) = setting.key.rsplit_once('.').unwrap_or(("", setting.key));
        if table != open {
            let _ = write!(text, "\n[{table}]\n");
            open = table;
        }
        text.push('\n');
        comment(&mut text, setting.doc);
        comment(&mut text, &format!("Value: {}.", setting.allowed));
        comment(
            &mut text,
            &format!("Flag --{}, variable {}.", setting.flag(), setting.variable()),
        );
        let quote = if setting.default.parse::<u64>().is_ok() {
            ""
        } else {
            "\""
        };
        let _ = writeln!(text, "#{name} = {quote}{}{quote}", setting.default);
    }
    text
}

/// Adds a text as comment lines, broken between words.
fn comment(text: &mut String, words: &str) {
    let mut width = 0;
    for word in words.split_whitespace() {
        if width == 0 || width + word.len() >= WIDTH {
            if width > 0 {
                text.push('\n');
            }
            text.push('#');
            width = 1;
        }
        let _ = write!(text, " {word}");
        width += word.len() + 1;
    }
    text.push('\n');
}
