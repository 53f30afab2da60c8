//! A filter in words.

use std::fmt::Write;

use crate::{Condition, Fields, Filter, Operator};

impl Filter {
    /// What it demands, in words: one line for each condition.
    pub fn explain(&self) -> String {
        if self.is_empty() {
            return "every event\n".to_owned();
        }
        let mut out = "events of which all of this is true:\n".to_owned();
        for condition in self.conditions() {
            writeln!(out, "  - {}", condition.explain()).expect("a String takes everything");
        }
        out
    }
}

impl Condition {
    fn explain(&self) -> String {
        let Self {
            path, operator, values, ..
        } = self;
        let value = values[0].trim();
        let truth = || value == "1" || value.eq_ignore_ascii_case("true");
        match operator {
            Operator::Eq => format!("`{path}` is the number {value}"),
            Operator::Neq => format!("`{path}` is a number, but not {value}"),
            Operator::Gt => format!("`{path}` is a number above {value}"),
            Operator::Gte => format!("`{path}` is a number of at least {value}"),
            Operator::Lt => format!("`{path}` is a number below {value}"),
            Operator::Lte => format!("`{path}` is a number of at most {value}"),
            Operator::In => format!("the text of `{path}` contains {}", list(values)),
            Operator::Nin => format!("there is no text of `{path}` that contains {}", list(values)),
            Operator::Bool => format!("`{path}` is {}", truth()),
            Operator::Is => format!("the text of `{path}` is {}", list(values)),
            Operator::Re => format!("the text of `{path}` matches the regular expression {}", values[0]),
            Operator::Has if truth() => format!("there is a `{path}`"),
            Operator::Has => format!("there is no `{path}`"),
        }
    }
}

impl Fields {
    /// What is sent, in words.
    pub fn explain(&self) -> String {
        let mut out = "of each, these fields are sent:\n".to_owned();
        self.each_path(|path| writeln!(out, "  - {path}").expect("a String takes everything"));
        out
    }
}

fn list(values: &[Box<str>]) -> String {
    let quoted: Vec<_> = values
        .iter()
        .map(|value| format!("\"{}\"", value.escape_debug()))
        .collect();
    quoted.join(" or ")
}
