//! Where the events of a stream are in the log of its application (decision 8).
//!
//! A log knows times, not streams. So each node notes what it has looked at: parts of the log, and which streams each holds. A read of
//! a stream looks only at parts that hold it. What was appended since the last read is noted first, and what nobody has looked at yet
//! is gone through backwards, in stretches, each eight times as long as the one before, until enough was found, or one read has looked at
//! [`limits::OCTAVE_SCAN`]. That is the same over all engines, and costs them nothing while they append.

use std::hash::{DefaultHasher, Hash, Hasher};

use sockeye_delivery::{Place, Selection};
use sockeye_event::{Event, binary};
use sockeye_limits as limits;
use sockeye_log::{Log, Position, ReadError, ReadLimit, Span, Topic};
use tokio::sync::Mutex;

use super::known::{Known, Part};
use crate::name::StreamName;

/// What is known of the log of one application.
pub(crate) struct Places {
    known: Mutex<Option<Known>>,
    /// Bytes that one read looks at, about.
    most: usize,
}

/// An event of a stream.
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) event: Event,
}

/// The newest events of a stream.
pub(super) struct Newest {
    /// Newest first.
    pub(super) events: Vec<Found>,
    /// Whether there was no need to stop before.
    pub(super) is_all: bool,
    /// Bytes of the log that were looked at.
    pub(super) looked_at: usize,
}

/// One look at a log.
struct Look<'a> {
    log: &'a dyn Log,
    topic: &'a Topic,
    span: &'a Span,
    /// Bytes that were looked at, and records.
    looked_at: usize,
    records: usize,
    /// Bytes that may be looked at, about.
    most: usize,
}

// ----------------------------------------------------------------------------------------------

/// How much longer each next stretch is.
const LONGER: usize = 8;

impl Default for Places {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            most: limits::OCTAVE_SCAN,
        }
    }
}

impl Places {
    /// Up to so many of the newest events of a stream that a topic holds.
    pub(super) async fn newest(
        &self,
        (log, topic, span): (&dyn Log, &Topic, &Span),
        (stream, wanted): (&StreamName, &Selection),
        most: usize,
    ) -> Result<Newest, ReadError> {
        let mut look = Look {
            log,
            topic,
            span,
            looked_at: 0,
            records: 0,
            most: self.most,
        };
        let hash = hash_of(stream.device.as_deref(), &stream.channel);
        let mut events = Vec::new();
        let (mut below, mut stretch) = (span.end.clone(), limits::READ_RECORDS);
        while events.len() < most {
            let (parts, from) = {
                let mut known = self.known.lock().await;
                let known = look.follow(&mut known).await?;
                (known.holding(hash, &below), known.from.clone())
            };
            for part in parts.iter().rev() {
                events.append(&mut look.events(part, &below, wanted).await?);
                if events.len() >= most {
                    break;
                }
            }
            if events.len() >= most || span.oldest.is_at_or_behind(&from) {
                break;
            }
            if look.looked_at > look.most {
                return Ok(look.found(events, most, false));
            }
            if !from.is_at_or_behind(&below) {
                below = from.clone();
            }
            if let Some(known) = &mut *self.known.lock().await {
                look.reach_back(known, stretch).await?;
                if known.from == from {
                    // There is nothing, whatever the log says.
                    break;
                }
            }
            stretch = look.affordable(stretch.saturating_mul(LONGER));
        }
        Ok(look.found(events, most, true))
    }
}

impl Look<'_> {
    fn found(self, mut events: Vec<Found>, most: usize, is_all: bool) -> Newest {
        events.truncate(most);
        Newest {
            is_all: is_all || events.len() >= most,
            events,
            looked_at: self.looked_at,
        }
    }

    /// Notes what was appended since the last look; if that is too much, or another log, begins anew at its end.
    async fn follow<'k>(&mut self, known: &'k mut Option<Known>) -> Result<&'k mut Known, ReadError> {
        let Span { oldest, end } = self.span;
        let goes_on = |known: &Known| known.to.incarnation() == end.incarnation() && known.to.is_at_or_behind(oldest);
        let mut now = known.take().filter(goes_on).unwrap_or_else(|| Known::at(end));
        now.forget(oldest);
        let start = self.looked_at;
        while !now.to.is_at_or_behind(end) {
            let part = self.part(&now.to).await?;
            if part.records == 0 && part.next == now.to {
                break;
            }
            now.push(part);
            if self.looked_at - start > self.most {
                now = Known::at(end);
            }
        }
        Ok(known.insert(now))
    }

    /// How many of these records can be looked at yet, by the size of those that were.
    fn affordable(&self, records: usize) -> usize {
        let mean = self.looked_at / self.records.max(1) + 1;
        records
            .min(self.most.saturating_sub(self.looked_at) / mean)
            .max(limits::READ_RECORDS)
    }

    /// Notes about so many records before what is known, or all there are.
    async fn reach_back(&mut self, known: &mut Known, records: usize) -> Result<(), ReadError> {
        let (all, oldest) = (known.from.offsets(), &self.span.oldest);
        let each = (records / all.len().max(1)) as u64;
        let before =
            |(partition, next): &(u32, u64)| (*partition, next.saturating_sub(each).max(oldest.offset(*partition)));
        let mut at = Position::new(known.from.incarnation(), all.iter().map(before));
        let (from, mut parts) = (at.clone(), Vec::new());
        while !at.is_at_or_behind(&known.from) {
            let part = self.part(&at).await?;
            if part.records == 0 && part.next == at {
                break;
            }
            at = part.next.clone();
            // What is known already is not in two parts.
            parts.push(Part {
                from: first_of(&part.from, &known.from),
                next: first_of(&part.next, &known.from),
                ..part
            });
        }
        if !parts.is_empty() {
            known.push_before(from, parts);
        }
        Ok(())
    }

    /// The part that begins here.
    async fn part(&mut self, from: &Position) -> Result<Part, ReadError> {
        let batch = self.log.read(self.topic, from, ReadLimit::default()).await?;
        let mut streams = Vec::new();
        self.records += batch.records.len();
        for record in &batch.records {
            self.looked_at += record.size();
            if let Ok(event) = binary::decode(&record.headers, record.payload.as_ref()) {
                let channel = event.channel().map_or("", |channel| &**channel);
                streams.push(hash_of(event.device().map(|device| &**device), channel));
            }
        }
        streams.sort_unstable();
        streams.dedup();
        Ok(Part {
            from: from.clone(),
            records: batch.records.len(),
            next: batch.next,
            streams,
        })
    }

    /// What is wanted of a part, before a position; newest first.
    async fn events(&mut self, part: &Part, below: &Position, wanted: &Selection) -> Result<Vec<Found>, ReadError> {
        let (mut found, mut from) = (Vec::new(), part.from.clone());
        while !from.is_at_or_behind(&part.next) {
            let batch = self.log.read(self.topic, &from, ReadLimit::default()).await?;
            self.records += batch.records.len();
            for record in &batch.records {
                let (partition, offset) = (record.partition, record.offset);
                self.looked_at += record.size();
                if offset >= part.next.offset(partition) || offset >= below.offset(partition) {
                    continue;
                }
                let Ok(event) = binary::decode(&record.headers, record.payload.as_ref()) else {
                    continue;
                };
                if wanted.wants(&event) {
                    found.push(Found {
                        place: Place {
                            partition,
                            offset,
                            time: record.time,
                        },
                        event: event.detached(),
                    });
                }
            }
            if batch.records.is_empty() && batch.next == from {
                break;
            }
            from = batch.next;
        }
        found.sort_by_key(|found| std::cmp::Reverse((found.place.time, found.place.partition, found.place.offset)));
        Ok(found)
    }
}

/// Of each partition the first of two places.
fn first_of(one: &Position, other: &Position) -> Position {
    let offsets = one.offsets().iter();
    let offsets = offsets.map(|(partition, next)| (*partition, (*next).min(other.offset(*partition))));
    Position::new(one.incarnation(), offsets)
}

/// What two streams have in common by chance is looked at in vain.
fn hash_of(device: Option<&str>, channel: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    (device, channel).hash(&mut hasher);
    hasher.finish() as u32
}

#[cfg(test)]
mod tests {
    use sockeye_engine_sqlite::{Options, SqliteEngine};
    use sockeye_event::event::TYPE_EVENT;
    use sockeye_log::{NewRecord, Retention};
    use sockeye_registry::{Application, Registry as _};

    use super::*;
    use crate::pattern::Wish;

    struct World {
        engine: SqliteEngine,
        topic: Topic,
        places: Places,
        _folder: tempfile::TempDir,
    }

    impl World {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let engine = SqliteEngine::open(folder.path().join("sockeye.db"), Options::default()).unwrap();
            engine.ensure_user("alice", false).await.unwrap();
            engine
                .create_application(Application::named("app", "alice"))
                .await
                .unwrap();
            let topic = Topic::events_of("app");
            engine.create_topic(&topic, Retention::default()).await.unwrap();
            Self {
                engine,
                topic,
                places: Places::default(),
                _folder: folder,
            }
        }

        /// Appends events with these numbers, on the channel that is said for each.
        async fn append(&self, numbers: std::ops::Range<usize>, channel: impl Fn(usize) -> &'static str) {
            let record = |number: usize| {
                let event = Event {
                    id: number.to_string().into(),
                    source: "s".into(),
                    ty: TYPE_EVENT.into(),
                    data_content_type: None,
                    data_schema: None,
                    subject: Some(channel(number).into()),
                    time: None,
                    extensions: vec![("device".into(), "d".into())],
                    data: None,
                };
                let (headers, payload) = binary::encode(&event);
                NewRecord { headers, payload }
            };
            for start in numbers.clone().step_by(100) {
                let records = (start..numbers.end.min(start + 100)).map(record);
                self.engine.append(&self.topic, records.collect()).await.unwrap();
            }
        }

        /// The numbers of the newest events of a channel, and how many bytes were looked at.
        async fn newest(&self, channel: &'static str, most: usize) -> (Vec<usize>, usize) {
            let name = StreamName {
                device: Some("d".into()),
                channel: channel.into(),
            };
            let wanted = Wish::of(&name, None).unwrap().selection;
            let span = self.engine.span(&self.topic).await.unwrap();
            let log = (&self.engine as &dyn Log, &self.topic, &span);
            let newest = self.places.newest(log, (&name, &wanted), most).await.unwrap();
            assert!(newest.is_all || self.places.most < limits::OCTAVE_SCAN);
            let numbers = newest.events.iter().map(|found| found.event.id.parse().unwrap());
            (numbers.collect(), newest.looked_at)
        }
    }

    /// What was looked at once is not looked at again for streams that it does not hold.
    #[tokio::test]
    async fn a_read_looks_at_what_holds_the_stream() {
        let world = World::new().await;
        let rare = |number: usize| if number % 5_000 == 7 { "rare" } else { "often" };
        world.append(0..12_000, rare).await;
        let (found, whole) = world.newest("rare", 10).await;
        assert_eq!(found, [10_007, 5_007, 7]);
        let (found, again) = world.newest("rare", 10).await;
        assert_eq!(found, [10_007, 5_007, 7]);
        assert!(again * 3 < whole, "{again} of {whole} bytes");
        let (found, last) = world.newest("rare", 1).await;
        assert_eq!(found, [10_007]);
        assert!(last * 2 < again, "{last} of {again} bytes");
        assert_eq!(world.newest("never", 10).await, (vec![], 0));
        // What comes is noted as it comes, a little at a time.
        for number in 12_000..12_010 {
            world.append(number..number + 1, |_| "new").await;
            let (found, looked_at) = world.newest("new", 3).await;
            assert_eq!(found, (12_000..=number).rev().take(3).collect::<Vec<_>>());
            assert!(looked_at * 3 < whole, "{looked_at} of {whole} bytes");
        }
        let often: Vec<_> = (0..12_000).rev().filter(|number| number % 5_000 != 7).collect();
        assert_eq!(world.newest("often", 20_000).await.0, often);
        assert_eq!(world.newest("often", 1_500).await.0, often[..1_500]);
    }

    /// One read looks at so much, and the next one goes on where it stopped.
    #[tokio::test]
    async fn a_read_is_bounded() {
        let mut world = World::new().await;
        world
            .append(0..12_000, |number| if number == 7 { "rare" } else { "often" })
            .await;
        world.places.most = world.newest("often", 12_000).await.1 / 10;
        world.places.known = Mutex::default();
        let newest: Vec<_> = (11_990..12_000).rev().collect();
        assert_eq!(world.newest("often", 10).await.0, newest);
        let mut reads = 1;
        loop {
            let (found, looked_at) = world.newest("rare", 10).await;
            assert!(
                looked_at < 3 * world.places.most,
                "{looked_at} of {} bytes",
                world.places.most
            );
            if found == [7] {
                break;
            }
            reads += 1;
        }
        assert!((3..20).contains(&reads), "{reads}");
    }

    #[tokio::test]
    async fn what_is_gone_is_not_found() {
        let world = World::new().await;
        world
            .append(0..3_000, |number| if number % 2 == 0 { "even" } else { "odd" })
            .await;
        assert_eq!(world.newest("odd", 2).await.0, [2_999, 2_997]);
        let before = Position::new(
            world.engine.span(&world.topic).await.unwrap().end.incarnation(),
            [(0, 1_500)],
        );
        world.engine.trim(&world.topic, &before).await.unwrap();
        let oldest = world.engine.span(&world.topic).await.unwrap().oldest.offset(0) as usize;
        let left: Vec<_> = (oldest..3_000).rev().filter(|number| number % 2 == 1).collect();
        assert_eq!(world.newest("odd", 5_000).await.0, left);
        world.engine.delete_topic(&world.topic).await.unwrap();
        world
            .engine
            .create_topic(&world.topic, Retention::default())
            .await
            .unwrap();
        world.append(0..5, |_| "odd").await;
        assert_eq!(world.newest("odd", 5_000).await.0, [4, 3, 2, 1, 0]);
    }
}
