//! Things that are looked for by the equality of a selection (a stream, a device, a channel, a type, or one that its filter demands),
//! so that an event costs what it matches, not what there is.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::Arc;

use sockeye_filter as filter;

use crate::document::Document;
use crate::seen::{Seen, with_scratch};
use crate::subscription::{Equality, Field, Selection};

/// Things, each with a selection.
#[derive(Debug)]
pub(crate) struct Index<T> {
    /// By the hash of the equality that an event must fulfil. What has the same by chance is looked at in vain.
    by: HashMap<u64, Few<T>, BuildHasherDefault<Taken>>,
    hashes: RandomState,
    /// Of each field in the order of [`Field::ALL`]: how many are looked for by it.
    used: [usize; Field::ALL.len()],
    /// Those that have a filter only, by a number that is never used twice.
    filtered: HashMap<u64, T>,
    /// By what they are about.
    filters: Vec<(Option<Document>, filter::Index<u64>)>,
    next: u64,
    /// Those that want every event.
    others: Vec<T>,
}

/// Mostly one.
#[derive(Debug)]
#[expect(
    clippy::box_collection,
    reason = "there are very many that are one, and they are smaller so"
)]
enum Few<T> {
    One(T),
    Many(Box<Vec<T>>),
}

/// The hash of what is a hash.
#[derive(Default)]
struct Taken(u64);

// ----------------------------------------------------------------------------------------------

impl<T> Index<T> {
    pub(crate) fn insert(&mut self, selection: &Selection, thing: T) {
        let Some(equality) = selection.equality() else {
            match &selection.filter {
                None => self.others.push(thing),
                Some(filter) => {
                    let about = selection.document.as_deref().copied();
                    let at = self.filters.iter().position(|(other, _)| *other == about);
                    let at = at.unwrap_or_else(|| {
                        self.filters.push((about, filter::Index::default()));
                        self.filters.len() - 1
                    });
                    self.filters[at].1.insert(self.next, Arc::clone(filter));
                    self.filtered.insert(self.next, thing);
                    self.next += 1;
                }
            }
            return;
        };
        self.used[equality.field as usize] += 1;
        let hash = self.hash(equality);
        let few = match self.by.remove(&hash) {
            None => Few::One(thing),
            Some(Few::One(other)) => Few::Many(Box::new(vec![other, thing])),
            Some(Few::Many(mut all)) => {
                all.push(thing);
                Few::Many(all)
            }
        };
        self.by.insert(hash, few);
    }

    /// Removes a thing that was inserted with this selection.
    pub(crate) fn remove(&mut self, selection: &Selection, is: impl Fn(&T) -> bool) {
        let Some(equality) = selection.equality() else {
            if selection.filter.is_none() {
                self.others.retain(|other| !is(other));
            } else {
                for (number, _) in self.filtered.extract_if(|_, other| is(other)) {
                    // The others do not know the number.
                    self.filters.iter_mut().for_each(|(_, filters)| filters.remove(number));
                }
                self.filters.retain(|(_, filters)| !filters.is_empty());
            }
            return;
        };
        let hash = self.hash(equality);
        let (removed, is_empty) = match self.by.get_mut(&hash) {
            None => (0, false),
            Some(Few::One(other)) => (usize::from(is(other)), is(other)),
            Some(Few::Many(all)) => {
                let before = all.len();
                all.retain(|other| !is(other));
                (before - all.len(), all.is_empty())
            }
        };
        self.used[equality.field as usize] -= removed;
        if is_empty {
            self.by.remove(&hash);
        }
    }

    fn hash(&self, equality: Equality<'_>) -> u64 {
        self.hashes.hash_one(equality)
    }

    /// All whose selection may want an event.
    pub(crate) fn candidates(&self, seen: &Seen<'_>) -> impl Iterator<Item = &T> {
        let used = Field::ALL.into_iter().zip(self.used).filter(|(_, used)| *used > 0);
        let found = used.filter_map(|(field, _)| self.by.get(&self.hash(field.of(seen.event)?)));
        let mut passed = Vec::new();
        for (about, filters) in &self.filters {
            let call = |number| passed.push(number);
            match about {
                None => with_scratch(|scratch| filters.each_passed(seen, scratch, call)),
                Some(document) => {
                    let text = seen.document(*document);
                    with_scratch(|scratch| filters.each_passed(&*text, scratch, call));
                }
            }
        }
        let filtered = passed.into_iter().filter_map(|number| self.filtered.get(&number));
        found.flat_map(Few::as_slice).chain(filtered).chain(&self.others)
    }
}

impl<T> Few<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(all) => all,
        }
    }
}

impl Hasher for Taken {
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are hashes");
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self {
            by: HashMap::default(),
            hashes: RandomState::new(),
            used: [0; Field::ALL.len()],
            filtered: HashMap::new(),
            filters: Vec::new(),
            next: 0,
            others: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use sockeye_event::Event;

    use super::*;

    fn event(device: &str, channel: &str) -> Event {
        Event {
            id: "1".into(),
            source: "s".into(),
            ty: "t".into(),
            data_content_type: None,
            data_schema: None,
            subject: Some(channel.into()),
            time: None,
            extensions: vec![("device".into(), device.into())],
            data: None,
        }
    }

    fn found(index: &Index<u32>, device: &str, channel: &str) -> Vec<u32> {
        let mut found: Vec<_> = index.candidates(&Seen::new(&event(device, channel))).copied().collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn what_is_there_is_found_and_what_is_gone_is_not() {
        let selection = |device: Option<&str>, channel: Option<&str>| Selection {
            device: device.map(Into::into),
            channel: channel.map(Into::into),
            ..Selection::default()
        };
        let filtered = |text: &str, device: Option<&str>| Selection {
            filter: Some(Arc::new(filter::Filter::parse(text, filter::Shape::Event).unwrap())),
            ..selection(device, None)
        };
        let named = Document::new("named", |event, out| {
            out.extend_from_slice(format!(r#"{{"name":"{}"}}"#, event.device().unwrap()).as_bytes());
        });
        let about = |text: &str| Selection {
            ty: Some("t".into()),
            document: Some(Box::new(named)),
            ..filtered(text, None)
        };
        let all = [
            (selection(None, None), 0),
            (selection(Some("d"), None), 1),
            (selection(Some("d"), Some("c")), 2),
            (selection(Some("d"), None), 3),
            (selection(None, Some("c")), 4),
            (selection(Some("e"), None), 5),
            (filtered("ce.subject=is:c,x", None), 6),
            (filtered("ce.subject=is:x", Some("d")), 7),
            (about("name=is:d"), 8),
            (about("name=is:e"), 9),
        ];
        let mut index = Index::default();
        for (selection, thing) in &all {
            index.insert(selection, *thing);
        }
        assert_eq!(found(&index, "d", "c"), [0, 1, 2, 3, 4, 6, 7, 8]);
        assert_eq!(
            found(&index, "d", "x"),
            [0, 1, 3, 6, 7, 8],
            "a stream is not tried for others of its device"
        );
        assert_eq!(found(&index, "e", "x"), [0, 5, 6, 9]);
        assert_eq!(found(&index, "x", "y"), [0]);
        index.remove(&all[1].0, |thing| *thing == 1);
        index.remove(&all[5].0, |thing| *thing == 4);
        index.remove(&all[6].0, |thing| *thing == 5);
        assert_eq!(found(&index, "d", "c"), [0, 2, 3, 4, 6, 7, 8]);
        assert_eq!(found(&index, "e", "x"), [0, 5, 6, 9]);
        for (selection, thing) in &all {
            index.remove(selection, |other| other == thing);
        }
        assert!(index.others.is_empty() && index.by.is_empty());
        assert_eq!(index.used, [0; Field::ALL.len()]);
        assert!(index.filters.is_empty() && index.filtered.is_empty());
    }
}
