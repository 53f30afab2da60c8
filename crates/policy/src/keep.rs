//! How long the events of an application are kept.

use std::time::Duration;

use serde_json::{Map, Value};
use sockeye_limits::RETAIN_BYTES_LEAST;
use sockeye_log::Retention;

use crate::PolicyError;
use crate::field::Field;
use crate::policy::section;
use crate::units::{retention_age, size};

/// `spec.retention`: what it does not say is as the server is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// `age`: a duration such as `30d`.
    pub age: Option<Duration>,
    /// `bytes`: a number, or a size such as `10GiB`.
    pub bytes: Option<u64>,
}

// ----------------------------------------------------------------------------------------------

/// The retention of an application with this `spec`; what it does not say, or says so that nobody can read it, is as configured.
pub fn retention_of(spec: &Map<String, Value>, configured: Retention) -> Retention {
    let keep = section(spec, "retention", Keep::read).unwrap_or_default();
    keep.retention(configured)
}

impl Keep {
    pub(crate) fn read(section: &Field<'_>) -> Result<Self, PolicyError> {
        section.only(&["age", "bytes"])?;
        let age = section.member("age").map(|age| {
            let text = age.value().as_str();
            let wrong = || age.wrong("must be a duration such as `12h` or `30d`, from one second to 100 years");
            text.and_then(retention_age).ok_or_else(wrong)
        });
        let bytes = section.member("bytes").map(|bytes| {
            let wrong = || bytes.wrong("must be a number or a size such as `512MiB` or `10GiB`, at least 1MiB");
            bytes
                .size()
                .filter(|bytes| *bytes >= RETAIN_BYTES_LEAST)
                .ok_or_else(wrong)
        });
        Ok(Self {
            age: age.transpose()?,
            bytes: bytes.transpose()?,
        })
    }

    /// With what the server is configured for.
    pub fn retention(self, configured: Retention) -> Retention {
        Retention {
            age: self.age.unwrap_or(configured.age),
            bytes: self.bytes.unwrap_or(configured.bytes),
        }
    }
}

impl Field<'_> {
    /// A number of bytes, or a size with a unit.
    pub(crate) fn size(&self) -> Option<u64> {
        self.value().as_u64().or_else(|| size(self.value().as_str()?))
    }
}
