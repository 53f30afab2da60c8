//! Rules out of a document. All that can be wrong with a rule is found here, so that to obey it cannot fail.

use bytestring::ByteString;
use serde_json::Value;
use sockeye_event::attribute::{absolute_uri, extension_name, printable};
use sockeye_event::content_type::{self, CLOUDEVENT, CLOUDEVENTS_BATCH};
use sockeye_event::{EventError, name};
use sockeye_limits::{RULE_CONDITIONS, RULE_DEPTH, RULE_STEPS, RULES};

use super::{Attribute, Removable, Rule, Rules, Step, When};
use crate::PolicyError;
use crate::field::{Field, unknown};

const CONDITIONS: [&str; 5] = ["always", "isChannel", "not", "and", "or"];
const STEPS: [&str; 7] = [
    "drop",
    "break",
    "reject",
    "setAttribute",
    "removeAttribute",
    "setExtension",
    "removeExtension",
];
const ATTRIBUTES: [&str; 4] = ["datacontenttype", "dataschema", "subject", "type"];

/// What was read so far of all rules.
#[derive(Default)]
struct Count {
    conditions: usize,
    steps: usize,
}

// ----------------------------------------------------------------------------------------------

impl Rules {
    /// Reads a section with `rules`.
    pub(crate) fn read(section: &Field<'_>) -> Result<Self, PolicyError> {
        section.only(&["rules"])?;
        let Some(rules) = section.member("rules") else {
            return Ok(Self::default());
        };
        let entries = rules.entries()?;
        if entries.len() > RULES {
            return Err(rules.wrong(format!("has {} rules, {RULES} are allowed", entries.len())));
        }
        let mut count = Count::default();
        let read = entries.map(|rule| count.rule(&rule));
        Ok(Self(read.collect::<Result<_, _>>()?))
    }
}

impl Count {
    fn rule(&mut self, rule: &Field<'_>) -> Result<Rule, PolicyError> {
        rule.only(&["when", "then"])?;
        let when = match rule.member("when") {
            Some(when) => self.when(&when, 1)?,
            None => When::Always,
        };
        let then = match rule.member("then") {
            Some(steps) => steps
                .entries()?
                .map(|step| self.step(&step))
                .collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        Ok(Rule { when, then })
    }

    fn when(&mut self, when: &Field<'_>, depth: usize) -> Result<When, PolicyError> {
        self.conditions += 1;
        if self.conditions > RULE_CONDITIONS {
            return Err(when.wrong(format!("is one too many: {RULE_CONDITIONS} conditions are allowed")));
        }
        if depth > RULE_DEPTH {
            return Err(when.wrong(format!("is nested too deep: {RULE_DEPTH} levels are allowed")));
        }
        if let Value::String(name) = when.value() {
            return match name.as_str() {
                "always" => Ok(When::Always),
                _ => Err(when.wrong("must be `always`, or an object with `isChannel`, `not`, `and` or `or`")),
            };
        }
        let mut all =
            |of: &Field<'_>| -> Result<Vec<_>, _> { of.entries()?.map(|inner| self.when(&inner, depth + 1)).collect() };
        match when.tagged(&CONDITIONS)? {
            ("isChannel", channel) => Ok(When::IsChannel(channel.text()?.into())),
            ("not", inner) => Ok(When::Not(Box::new(self.when(&inner, depth + 1)?))),
            ("and", inner) => Ok(When::And(all(&inner)?)),
            ("or", inner) => Ok(When::Or(all(&inner)?)),
            (_, other) => Err(other.wrong(unknown(&CONDITIONS))),
        }
    }

    fn step(&mut self, step: &Field<'_>) -> Result<Step, PolicyError> {
        self.steps += 1;
        if self.steps > RULE_STEPS {
            return Err(step.wrong(format!("is one too many: {RULE_STEPS} steps are allowed")));
        }
        if let Value::String(name) = step.value() {
            return match name.as_str() {
                "drop" => Ok(Step::Drop),
                "break" => Ok(Step::Break),
                _ => Err(step.wrong("must be `drop`, `break`, or an object that says what else to do")),
            };
        }
        match step.tagged(&STEPS)? {
            ("reject", reason) => Ok(Step::Reject(reason.short_text()?)),
            ("setAttribute", set) => {
                let (attribute, value) = set.pair()?;
                let name = attribute.attribute()?;
                let value = name.checked(value.short_text()?).map_err(|error| value.not_allowed(&error))?;
                Ok(Step::SetAttribute(name, value))
            }
            ("removeAttribute", removed) => match removed.attribute()? {
                Attribute::Optional(name) => Ok(Step::RemoveAttribute(name)),
                Attribute::Type => Err(removed.wrong("must not be `type`: an event has one")),
            },
            ("setExtension", set) => {
                let (name, value) = set.pair()?;
                Ok(Step::SetExtension(name.extension()?, value.short_text()?))
            }
            ("removeExtension", removed) => Ok(Step::RemoveExtension(removed.extension()?)),
            ("validate" | "enrich", other) => Err(other.wrong(
                "is not supported: rules call no other service; let one read the stream and publish what it makes of it",
            )),
            (_, other) => Err(other.wrong(unknown(&STEPS))),
        }
    }
}

impl Attribute {
    /// The value, as it is stored.
    fn checked(self, value: ByteString) -> Result<ByteString, EventError> {
        match self {
            Self::Type if value.is_empty() => Err(EventError::invalid("type", "must not be empty")),
            Self::Type => Ok(value),
            Self::Optional(name) => name.checked(value),
        }
    }
}

impl Removable {
    fn checked(self, value: ByteString) -> Result<ByteString, EventError> {
        match self {
            Self::DataContentType => {
                let value = content_type::normalised(&value);
                let problem = if value.is_empty() {
                    "must not be empty: `removeAttribute` removes it"
                } else if content_type::is(&value, CLOUDEVENT) || content_type::is(&value, CLOUDEVENTS_BATCH) {
                    "must not be a CloudEvent: events hold no events"
                } else {
                    return Ok(value);
                };
                Err(EventError::invalid("datacontenttype", problem))
            }
            Self::DataSchema => absolute_uri("dataschema", &value).map(|()| value),
            Self::Subject => match name::channel(&value) {
                Ok(()) => Ok(value),
                Err(error) => Err(EventError::invalid("subject", format!("is a channel: {error}"))),
            },
        }
    }
}

impl Field<'_> {
    /// `name` and `value`.
    fn pair(&self) -> Result<(Self, Self), PolicyError> {
        self.only(&["name", "value"])?;
        Ok((self.required("name")?, self.required("value")?))
    }

    /// What may stand in an attribute.
    fn short_text(&self) -> Result<ByteString, PolicyError> {
        let text = self.text()?;
        printable("", text).map_err(|error| self.not_allowed(&error))?;
        Ok(text.into())
    }

    fn attribute(&self) -> Result<Attribute, PolicyError> {
        Ok(match self.text()? {
            "datacontenttype" => Attribute::Optional(Removable::DataContentType),
            "dataschema" => Attribute::Optional(Removable::DataSchema),
            "subject" => Attribute::Optional(Removable::Subject),
            "type" => Attribute::Type,
            _ => return Err(self.wrong(format!("must be one of {}", ATTRIBUTES.join(", ")))),
        })
    }

    fn extension(&self) -> Result<ByteString, PolicyError> {
        let name = self.text()?;
        extension_name(name.as_bytes()).map_err(|error| self.not_allowed(&error))?;
        printable("", name).map_err(|error| self.not_allowed(&error))?;
        Ok(name.into())
    }

    fn not_allowed(&self, error: &EventError) -> PolicyError {
        match error {
            EventError::Invalid { problem, .. } => self.wrong(problem),
            EventError::Missing(_) | EventError::Json(_) => self.wrong(error),
        }
    }
}
