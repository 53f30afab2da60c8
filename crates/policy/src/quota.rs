//! How much may be published a second.

use std::num::NonZeroU64;

use crate::PolicyError;
use crate::field::Field;

/// `spec.quota`: of the application, and of each of its devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Of all its devices together.
    pub application: Rates,
    /// `device`: of each, whoever delivers for it.
    pub device: Rates,
}

/// What may be published a second; `None` is as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Events.
    pub events: Option<NonZeroU64>,
    /// Bytes of payloads.
    pub bytes: Option<NonZeroU64>,
}

// ----------------------------------------------------------------------------------------------

impl Quota {
    pub(crate) fn read(section: &Field<'_>) -> Result<Self, PolicyError> {
        section.only(&["events", "bytes", "device"])?;
        let device = match section.member("device") {
            Some(device) => {
                device.only(&["events", "bytes"])?;
                Rates::read(&device)?
            }
            None => Rates::default(),
        };
        Ok(Self {
            application: Rates::read(section)?,
            device,
        })
    }

    /// Whether nothing is bounded.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Rates {
    fn read(of: &Field<'_>) -> Result<Self, PolicyError> {
        let events = of.member("events").map(|events| {
            let number = events.value().as_u64().and_then(NonZeroU64::new);
            number.ok_or_else(|| events.wrong("must be how many a second: a whole number, at least 1"))
        });
        let bytes = of.member("bytes").map(|bytes| {
            let size = bytes.size().and_then(NonZeroU64::new);
            size.ok_or_else(|| bytes.wrong("must be how many a second: a number or a size such as `100kB` or `1MiB`"))
        });
        Ok(Self {
            events: events.transpose()?,
            bytes: bytes.transpose()?,
        })
    }
}
