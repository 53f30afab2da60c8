//! Things that are looked for by the equality of a selection (a device, a channel, a type, or one that its filter demands), so
//! that an event costs what it matches, not what there is.

use std::collections::HashMap;
use std::sync::Arc;

use bytestring::ByteString;
use sockeye_filter as filter;

use crate::document::Document;
use crate::seen::{Seen, with_scratch};
use crate::subscription::{Field, Selection};

/// Things, each with a selection.
#[derive(Debug)]
pub(crate) struct Index<T> {
    /// By the equality that an event must fulfil: a map for each field, in the order of [`Field::ALL`].
    by: [HashMap<ByteString, Few<T>>; Field::ALL.len()],
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
enum Few<T> {
    One(T),
    Many(Vec<T>),
}

// ----------------------------------------------------------------------------------------------

impl<T> Index<T> {
    pub(crate) fn insert(&mut self, selection: &Selection, thing: T) {
        let Some((field, value)) = selection.equality() else {
            match &selection.filter {
                None => self.others.push(thing),
                Some(filter) => {
                    let about = selection.document;
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
        let by = &mut self.by[field as usize];
        let few = match by.remove(value) {
            None => Few::One(thing),
            Some(Few::One(other)) => Few::Many(vec![other, thing]),
            Some(Few::Many(mut all)) => {
                all.push(thing);
                Few::Many(all)
            }
        };
        by.insert(value.clone(), few);
    }

    /// Removes a thing that was inserted with this selection.
    pub(crate) fn remove(&mut self, selection: &Selection, is: impl Fn(&T) -> bool) {
        let Some((field, value)) = selection.equality() else {
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
        let by = &mut self.by[field as usize];
        let is_empty = match by.get_mut(value) {
            None => false,
            Some(Few::One(other)) => is(other),
            Some(Few::Many(all)) => {
                all.retain(|other| !is(other));
                all.is_empty()
            }
        };
        if is_empty {
            by.remove(value);
        }
    }

    /// All whose selection may want an event.
    pub(crate) fn candidates(&self, seen: &Seen<'_>) -> impl Iterator<Item = &T> {
        let indexed = Field::ALL.into_iter().zip(&self.by).filter(|(_, by)| !by.is_empty());
        let found = indexed.filter_map(|(field, by)| by.get(field.of(seen.event)?));
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

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self {
            by: Default::default(),
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
            document: Some(named),
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
        assert!(index.others.is_empty() && index.by.iter().all(HashMap::is_empty));
        assert!(index.filters.is_empty() && index.filtered.is_empty());
    }
}
