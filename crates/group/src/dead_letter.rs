//! An event that failed too often, as it is kept in the dead letters of its application: the event's own record, with headers
//! behind its own that say what became of it. They are no attributes of the event: a reader of CloudEvents passes over them.

use jiff::Timestamp;
use sockeye_event::{Headers, HeadersBuilder};
use sockeye_log::{NewRecord, Record};

/// An event that a group could not get rid of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The `group_id`.
    pub group: String,
    /// The group's selection, as in [`sockeye_log::GroupId`].
    pub selection: String,
    /// Deliveries that failed.
    pub failures: u32,
    /// Partition of the event in the log of the application.
    pub partition: u32,
    /// Its offset there.
    pub offset: u64,
    /// When it was appended there.
    pub time: Timestamp,
    /// The event.
    pub event: NewRecord,
}

/// A record is no dead letter: this header is missing, or is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record is no dead letter: `{0}`")]
pub struct NoDeadLetter(&'static str);

// ----------------------------------------------------------------------------------------------

/// What the names of our headers begin with.
const PREFIX: &str = "sockeye-dead-";
const GROUP: &str = "sockeye-dead-group";
const SELECTION: &str = "sockeye-dead-selection";
const FAILURES: &str = "sockeye-dead-failures";
const PARTITION: &str = "sockeye-dead-partition";
const OFFSET: &str = "sockeye-dead-offset";
const TIME: &str = "sockeye-dead-time";

impl DeadLetter {
    /// What is appended to the dead letters.
    pub fn into_record(self) -> NewRecord {
        let mut headers = own(&self.event.headers);
        let mut push = |name, value: &str| headers.push(name, Some(value.as_bytes()));
        push(GROUP, &self.group);
        push(SELECTION, &self.selection);
        push(FAILURES, &self.failures.to_string());
        push(PARTITION, &self.partition.to_string());
        push(OFFSET, &self.offset.to_string());
        push(TIME, &self.time.to_string());
        NewRecord {
            headers: headers.build(),
            payload: self.event.payload,
        }
    }

    /// What was appended.
    ///
    /// # Errors
    /// Somebody else wrote the record.
    pub fn of(record: &Record) -> Result<Self, NoDeadLetter> {
        let headers = &record.headers;
        Ok(Self {
            group: read(headers, GROUP)?,
            selection: read(headers, SELECTION)?,
            failures: read(headers, FAILURES)?,
            partition: read(headers, PARTITION)?,
            offset: read(headers, OFFSET)?,
            time: read(headers, TIME)?,
            event: NewRecord {
                headers: own(headers).build(),
                payload: record.payload.clone(),
            },
        })
    }
}

/// The headers that are the event's own.
fn own(headers: &Headers) -> HeadersBuilder {
    let mut event = HeadersBuilder::with_capacity(headers.len() + 256);
    for (name, value) in headers.iter() {
        if !name.starts_with(PREFIX.as_bytes()) {
            event.push(name, value);
        }
    }
    event
}

fn read<T: std::str::FromStr>(headers: &Headers, name: &'static str) -> Result<T, NoDeadLetter> {
    let value = headers.get(name).and_then(|value| str::from_utf8(value).ok());
    value.and_then(|text| text.parse().ok()).ok_or(NoDeadLetter(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> DeadLetter {
        let headers = [("ce_id", Some(&b"1"[..])), ("ce_type", Some(b"t")), ("null", None)];
        DeadLetter {
            group: "Küche".into(),
            selection: "channel=a%26b".into(),
            failures: 5,
            partition: 3,
            offset: u64::MAX,
            time: "2024-05-01T10:00:00.123456789Z".parse().unwrap(),
            event: NewRecord {
                headers: headers.into_iter().collect(),
                payload: Some("x".into()),
            },
        }
    }

    fn stored(record: NewRecord) -> Record {
        Record {
            partition: 0,
            offset: 7,
            time: Timestamp::UNIX_EPOCH,
            headers: record.headers,
            payload: record.payload,
        }
    }

    #[test]
    fn a_letter_is_read_back_and_the_event_is_the_same() {
        let record = stored(letter().into_record());
        assert_eq!(record.headers.get("ce_id"), Some(&b"1"[..]));
        let read = DeadLetter::of(&record).unwrap();
        assert_eq!(read, letter());
        // One that was sent back and died again tells of its second death only.
        let again = DeadLetter { failures: 9, ..read }.into_record();
        assert_eq!(again.headers.iter().count(), record.headers.iter().count());
        assert_eq!(DeadLetter::of(&stored(again)).unwrap().failures, 9);
    }

    #[test]
    fn what_others_wrote_is_no_letter() {
        let plain = stored(letter().event);
        assert_eq!(DeadLetter::of(&plain), Err(NoDeadLetter(GROUP)));
        let mut record = letter();
        record.event.payload = None;
        let mut record = stored(record.into_record());
        assert_eq!(DeadLetter::of(&record).unwrap().event.payload, None);
        let mut headers = HeadersBuilder::new();
        for (name, value) in record.headers.iter() {
            let value = if name == OFFSET.as_bytes() {
                Some(&b"-1"[..])
            } else {
                value
            };
            headers.push(str::from_utf8(name).unwrap(), value);
        }
        record.headers = headers.build();
        assert_eq!(DeadLetter::of(&record), Err(NoDeadLetter(OFFSET)));
    }
}
