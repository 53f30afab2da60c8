//! Random interleavings against a model.
//!
//! The model of a position is the set of records before it. So reading from a position is right if it gives none of those,
//! and all others in the end.

use std::collections::BTreeSet;

use super::Fixture;
use super::sample::{Case, assert_partitions_ordered, id, ids, record};
use crate::{Follow, Position, ReadError, ReadLimit};

const SEEDS: std::ops::Range<u64> = 1..4;
const STEPS: usize = 150;

/// A position, and the records before it.
#[derive(Clone)]
struct Place {
    position: Position,
    before: BTreeSet<usize>,
}

/// A follower, and what it has given so far with what was before its start.
struct Reader {
    follower: Box<dyn Follow>,
    seen: BTreeSet<usize>,
}

struct Model {
    case: Case,
    dice: Dice,
    /// Ids appended: 0 up to here.
    appended: usize,
    places: Vec<Place>,
    readers: Vec<Reader>,
}

/// Splitmix64: a seed gives the same steps everywhere.
struct Dice(u64);

// ----------------------------------------------------------------------------------------------

pub async fn any_interleaving_agrees_with_the_model(fixture: &mut dyn Fixture) {
    for seed in SEEDS {
        let case = Case::new(fixture).await;
        let start = Place {
            position: case.oldest().await,
            before: BTreeSet::new(),
        };
        let mut model = Model {
            case,
            dice: Dice(seed),
            appended: 0,
            places: vec![start],
            readers: Vec::new(),
        };
        for step in 0..STEPS {
            // Shown where a test fails.
            let context = format!("seed {seed}, step {step}");
            match model.dice.below(10) {
                0..4 => model.append().await,
                4..7 => model.read(&context).await,
                7 => model.trim(&context).await,
                8 => model.start_following(&context).await,
                _ => model.go_on_following(&context).await,
            }
        }
        model.finish(&format!("seed {seed}, at the end")).await;
    }
}

impl Model {
    async fn append(&mut self) {
        let count = [1, 1, 2, 5, 30][self.dice.below(5)];
        let batch = (self.appended..self.appended + count)
            .map(|id| record(&format!("key {}", self.dice.below(5)), id))
            .collect();
        self.case.append(batch).await;
        self.appended += count;
    }

    /// Reads on from a place that is known.
    async fn read(&mut self, context: &str) {
        let place = self.some_place();
        let limit = ReadLimit {
            records: 1 + self.dice.below(20),
            bytes: 1 + self.dice.below(3_000),
        };
        let Some(read) = self.read_from(&place, limit, context).await else {
            return;
        };
        self.places.push(read);
        if self.places.len() > 20 {
            self.places.swap_remove(self.dice.below(20));
        }
    }

    /// Where reading from a place leads; `None` where the place is trimmed.
    async fn read_from(&self, place: &Place, limit: ReadLimit, context: &str) -> Option<Place> {
        let oldest = self.case.oldest().await;
        let result = self.case.log.read(&self.case.topic, &place.position, limit).await;
        if !place.position.is_at_or_behind(&oldest) {
            assert_eq!(result.unwrap_err(), ReadError::Trimmed { oldest }, "{context}");
            return None;
        }
        let batch = result.unwrap_or_else(|error| panic!("{context}: {error}"));
        assert_partitions_ordered(&batch.records);
        let mut before = place.before.clone();
        for record in &batch.records {
            assert!(
                before.insert(id(&record.headers)),
                "{context}: {record:?} is before {}",
                place.position
            );
        }
        let position = batch.next;
        Some(Place { position, before })
    }

    async fn trim(&mut self, context: &str) {
        // Not always: most of the log should stay readable.
        if self.dice.below(3) > 0 {
            return;
        }
        let place = self.some_place();
        let before = self.case.oldest().await;
        let oldest = self.case.log.trim(&self.case.topic, &place.position).await.unwrap();
        assert!(
            oldest.is_at_or_behind(&before),
            "{context}: the oldest position went back"
        );
        // Of two places each may be ahead of the other in a partition: it depends on how partitions were read.
        let asked = |partition| place.position.offset(partition).max(before.offset(partition));
        assert!(
            oldest
                .offsets()
                .iter()
                .all(|(partition, next)| *next <= asked(*partition)),
            "{context}: more is gone than was asked for"
        );
    }

    async fn start_following(&mut self, context: &str) {
        let place = self.some_place();
        let oldest = self.case.oldest().await;
        match self.case.log.follow(&self.case.topic, &place.position).await {
            Ok(follower) => {
                assert!(place.position.is_at_or_behind(&oldest), "{context}: {}", place.position);
                let seen = place.before;
                self.readers.push(Reader { follower, seen });
            }
            Err(error) => {
                assert!(!place.position.is_at_or_behind(&oldest), "{context}: {error}");
                assert_eq!(error, ReadError::Trimmed { oldest }, "{context}");
            }
        }
    }

    /// Lets a follower take one batch, if there must be one.
    async fn go_on_following(&mut self, context: &str) {
        if self.readers.is_empty() {
            return;
        }
        let index = self.dice.below(self.readers.len());
        if self.readers[index].seen.len() < self.appended && !self.readers[index].step(context).await {
            self.readers.swap_remove(index);
        }
    }

    /// Every place and every follower gets to the end, with everything.
    async fn finish(&mut self, context: &str) {
        let all: BTreeSet<usize> = (0..self.appended).collect();
        let end = self.case.end().await;
        for mut place in std::mem::take(&mut self.places) {
            while !place.position.is_at_or_behind(&end) {
                match self.read_from(&place, ReadLimit::default(), context).await {
                    Some(next) => place = next,
                    None => break,
                }
            }
            assert!(
                place.before == all || !place.position.is_at_or_behind(&self.case.oldest().await),
                "{context}"
            );
        }
        for reader in &mut self.readers {
            while reader.seen != all && reader.step(context).await {}
        }
    }

    fn some_place(&mut self) -> Place {
        self.places[self.dice.below(self.places.len())].clone()
    }
}

impl Reader {
    /// Takes a batch; `false` if the follower was told that retention has passed it.
    async fn step(&mut self, context: &str) -> bool {
        match self.follower.next().await {
            Ok(batch) => {
                assert_partitions_ordered(&batch.records);
                let new = ids(&batch.records);
                assert!(self.seen.is_disjoint(&new), "{context}: {new:?} came again");
                self.seen.extend(new);
                true
            }
            Err(ReadError::Trimmed { .. }) => false,
            Err(error) => panic!("{context}: {error}"),
        }
    }
}

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}
