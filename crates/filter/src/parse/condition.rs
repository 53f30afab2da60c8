//! What the values of a condition have to be: escapes, then their number, then their kind (compat/dojot.md 3.4).

use regex::bytes::RegexBuilder;
use sockeye_limits as limits;

use super::{RawCondition, RawStep, RawText};
use crate::error::{Code, FilterError, quoted};
use crate::escape::ESCAPES;
use crate::test::{Comparison, Test, Texts};
use crate::value::truth_of_text;
use crate::{Condition, Operator, Path, Step, number};

/// Makes conditions of what has the right form.
pub(super) fn check(text: &str, raw: Vec<RawCondition>) -> Result<Vec<Condition>, FilterError> {
    let mut patterns = 0;
    raw.into_iter()
        .map(|raw| {
            patterns += usize::from(raw.operator == Operator::Re);
            if patterns > limits::FILTER_PATTERNS {
                let expected = format!("at most {} in one `where`", limits::FILTER_PATTERNS);
                let found = "one more regular expression";
                return Err(FilterError::new(Code::Syntax, raw.at, found, expected));
            }
            condition(text, &raw)
        })
        .collect()
}

fn condition(text: &str, raw: &RawCondition) -> Result<Condition, FilterError> {
    let step = |step: &RawStep| match step {
        RawStep::Index(index) => Ok(Step::Index(*index)),
        RawStep::Name(name) => name.read(text).map(Step::Name),
    };
    let path = Path(raw.path.iter().map(step).collect::<Result<_, _>>()?);
    let values: Vec<_> = raw
        .values
        .iter()
        .map(|value| value.read(text))
        .collect::<Result<_, _>>()?;
    let operator = raw.operator;
    if values.len() > 1 && !operator.takes_many() {
        let found = format!("{} values for '{}'", values.len(), operator.name());
        let expected = "one; a `,` within a value needs double quotes around it";
        return Err(FilterError::new(Code::Arity, raw.at, found, expected));
    }
    let test = test(operator, &values).map_err(|expected| {
        let at = raw.values[0].span.start;
        FilterError::new(Code::Value, at, quoted(&values[0]), expected)
    })?;
    Ok(Condition {
        path,
        operator,
        values,
        test,
    })
}

/// What is to be looked for; else what was expected.
fn test(operator: Operator, values: &[Box<str>]) -> Result<Test, String> {
    let value = &*values[0];
    let number = |comparison| {
        // A text of blanks is 0, and one of nothing is no number (compat/dojot.md 4.4, and the cases).
        let number = number::of_text(value.as_bytes()).filter(|_| !value.is_empty());
        number
            .map(|number| Test::Number(comparison, number))
            .ok_or_else(|| format!("a number; `is:` compares texts, and `{}:` numbers", operator.name()))
    };
    let truth = || truth_of_text(value).ok_or("true or false");
    let texts = || Texts::new(values).ok_or("fewer texts");
    Ok(match operator {
        Operator::Eq => number(Comparison::Equal)?,
        Operator::Neq => number(Comparison::Other)?,
        Operator::Gt => number(Comparison::Greater)?,
        Operator::Gte => number(Comparison::AtLeast)?,
        Operator::Lt => number(Comparison::Less)?,
        Operator::Lte => number(Comparison::AtMost)?,
        Operator::Bool => Test::Truth(truth()?),
        Operator::Has => Test::Present(truth()?),
        Operator::In => Test::Contains(texts()?),
        Operator::Nin => Test::ContainsNone(texts()?),
        Operator::Is => Test::Is(values.into()),
        Operator::Re => Test::Matches(pattern(value)?),
    })
}

/// A regular expression that takes time in proportion to the text, and bounded memory.
fn pattern(text: &str) -> Result<regex::bytes::Regex, String> {
    RegexBuilder::new(text)
        .size_limit(limits::FILTER_PATTERN)
        .dfa_size_limit(limits::FILTER_PATTERN_CACHE)
        .nest_limit(limits::FILTER_PATTERN_DEPTH)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "a smaller regular expression: repetitions multiply".to_owned(),
            // Several lines: the last says what is wrong.
            error => {
                let error = error.to_string();
                let last = error.lines().last().unwrap_or_default();
                format!("a regular expression: {}", last.trim_start_matches("error: "))
            }
        })
}

impl RawText {
    /// What it stands for.
    fn read(&self, text: &str) -> Result<Box<str>, FilterError> {
        let raw = &text[self.span.clone()];
        if !self.quoted || !raw.contains('\\') {
            return Ok(raw.into());
        }
        let mut out = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(backslash) = rest.find('\\') {
            out.push_str(&rest[..backslash]);
            // The grammar has seen to it that a character follows.
            let letter = rest[backslash + 1..].chars().next().unwrap_or_default();
            let Some((_, meant)) = ESCAPES.iter().find(|(known, _)| *known == letter) else {
                let at = self.span.end - rest.len() + backslash;
                let found = format!("'\\{}'", letter.escape_debug());
                let expected = r#"one of \" \\ \b \f \n \r \t"#;
                return Err(FilterError::new(Code::Escape, at, found, expected));
            };
            out.push(*meant);
            rest = &rest[backslash + 1 + letter.len_utf8()..];
        }
        out.push_str(rest);
        Ok(out.into())
    }
}
