//! The language once more, slow and obvious: on a tree, in the words of compat/dojot.md.

use std::fmt;

use serde_json::Value;
use sockeye_filter::{Condition, Filter, Operator, Path, Step};

pub fn passes(filter: &Filter, message: &Value) -> bool {
    filter.conditions().iter().all(|condition| holds(condition, message))
}

#[expect(
    clippy::float_cmp,
    reason = "the language compares doubles without tolerance (compat/dojot.md 4.5)"
)]
fn holds(condition: &Condition, message: &Value) -> bool {
    let field = field(&condition.path, message);
    let (text, values) = (field.and_then(text), &condition.values);
    let contains = || {
        text.as_ref()
            .is_some_and(|text| values.iter().any(|value| text.contains(&**value)))
    };
    let compare = |holds: fn(f64, f64) -> bool| {
        let operand = to_number(&values[0]).expect("the parser has seen to it");
        field.and_then(number).is_some_and(|number| holds(number, operand))
    };
    let wanted = || matches!(values[0].trim().to_lowercase().as_str(), "1" | "true");
    match condition.operator {
        Operator::Eq => compare(|a, b| a == b),
        Operator::Neq => compare(|a, b| a != b),
        Operator::Gt => compare(|a, b| a > b),
        Operator::Gte => compare(|a, b| a >= b),
        Operator::Lt => compare(|a, b| a < b),
        Operator::Lte => compare(|a, b| a <= b),
        Operator::In => contains(),
        Operator::Nin => !contains(),
        Operator::Bool => text.is_some_and(|text| match text.trim().to_lowercase().as_str() {
            "true" | "1" => wanted(),
            "false" | "0" => !wanted(),
            _ => false,
        }),
        Operator::Is => text.is_some_and(|text| values.iter().any(|value| **value == *text)),
        Operator::Re => {
            let pattern = regex::Regex::new(&values[0]).expect("the parser has seen to it");
            text.is_some_and(|text| pattern.is_match(&text))
        }
        Operator::Has => field.is_some() == wanted(),
    }
}

fn field<'a>(path: &Path, message: &'a Value) -> Option<&'a Value> {
    path.0.iter().try_fold(message, |value, step| match (value, step) {
        (Value::Object(members), Step::Name(name)) => members.get(&**name),
        (Value::Array(elements), Step::Index(index)) => elements.get(*index as usize),
        (Value::Array(elements), Step::Name(name)) => (0..elements.len())
            .find(|index| index.to_string() == **name)
            .map(|index| &elements[index]),
        _ => None,
    })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Bool(truth) => Some(if *truth { 1.0 } else { 0.0 }),
        Value::String(text) => to_number(text),
        Value::Array(elements) if elements.is_empty() => Some(0.0),
        _ => None,
    }
}

/// JavaScript's `Number`, for the texts that occur here.
fn to_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let base = |digits, base| i64::from_str_radix(digits, base).ok().map(|number| number as f64);
    match text {
        "" => Some(0.0),
        _ if text.starts_with("0x") => base(&text[2..], 16),
        _ if text.starts_with("0b") => base(&text[2..], 2),
        _ if text.to_lowercase().contains("inf") || text.to_lowercase().contains("nan") => None,
        _ => text.parse().ok(),
    }
}

/// A selector: names and what is selected below them.
#[derive(Clone, Debug)]
pub struct Mask(pub Vec<(String, Option<Self>)>);

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, below)) in self.0.iter().enumerate() {
            f.write_str(if at > 0 { "," } else { "" })?;
            f.write_str(name)?;
            if let Some(below) = below {
                write!(f, "({below})")?;
            }
        }
        Ok(())
    }
}

/// What is sent, if anything is.
pub fn select(mask: &Mask, message: &Value) -> Option<Value> {
    selected(&[mask], message).filter(|value| match value {
        Value::Object(members) => !members.is_empty(),
        Value::Array(elements) => !elements.is_empty(),
        _ => false,
    })
}

/// What any of the masks selects.
fn selected(masks: &[&Mask], value: &Value) -> Option<Value> {
    match value {
        Value::Object(members) => Some(Value::Object(
            members
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), member(masks, name, value)?)))
                .collect(),
        )),
        Value::Array(elements) => {
            let left: Vec<_> = elements.iter().filter_map(|element| selected(masks, element)).collect();
            (elements.is_empty() || !left.is_empty()).then_some(Value::Array(left))
        }
        Value::Null | Value::Bool(false) => Some(value.clone()),
        Value::Number(number) => (number.as_f64() == Some(0.0)).then(|| value.clone()),
        Value::String(text) => text.is_empty().then(|| value.clone()),
        Value::Bool(true) => None,
    }
}

fn member(masks: &[&Mask], name: &str, value: &Value) -> Option<Value> {
    let items: Vec<_> = masks
        .iter()
        .flat_map(|mask| &mask.0)
        .filter(|(selected, _)| selected == name || selected == "*")
        .collect();
    if items.is_empty() {
        None
    } else if items.iter().any(|(_, below)| below.is_none()) {
        Some(value.clone())
    } else {
        let below: Vec<_> = items.iter().filter_map(|(_, below)| below.as_ref()).collect();
        selected(&below, value)
    }
}
