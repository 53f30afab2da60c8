//! Many filters, looked at at once: one search of the document for all of them, and of those that demand an equality only
//! those whose value the event has.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::find::Finder;
use crate::look::{Field, Look, Scratch};
use crate::test::Test;
use crate::value::Value;
use crate::view::View;
use crate::{Condition, Filter};

/// A set of filters, each under a name.
#[derive(Clone, Debug)]
pub struct Index<T> {
    filters: HashMap<T, Entry>,
    /// By the field of the equality that they are looked for by.
    by_value: HashMap<Field, ByValue<T>>,
    /// Those without an equality.
    others: Vec<T>,
    finder: Finder,
    /// How many have gone since the paths of all were collected.
    gone: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    filter: Arc<Filter>,
    /// Where each of its conditions looks.
    fields: Vec<Field>,
    /// The condition by which it is looked for.
    equality: Option<usize>,
}

/// Filters by the value that one field must have, as the language compares: `5`, `"5"` and `" 0x5"` are one number, `5` and `"5"`
/// one text.
#[derive(Clone, Debug)]
struct ByValue<T> {
    /// By the bits of the number; zero has no sign.
    numbers: HashMap<u64, Vec<T>>,
    texts: HashMap<Box<[u8]>, Vec<T>>,
}

// ----------------------------------------------------------------------------------------------

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self {
            filters: HashMap::new(),
            by_value: HashMap::new(),
            others: Vec::new(),
            finder: Finder::new(),
            gone: 0,
        }
    }
}

impl<T: Copy + Eq + Hash> Index<T> {
    /// Adds a filter, in place of one that has the same name.
    pub fn insert(&mut self, name: T, filter: Arc<Filter>) {
        self.remove(name);
        let shape = filter.shape();
        let conditions = filter.conditions().iter();
        let fields: Vec<_> = conditions
            .map(|condition| Field::of(condition, shape, &mut self.finder))
            .collect();
        let equality = equality(filter.conditions());
        match equality {
            None => self.others.push(name),
            Some(at) => {
                let by_value = self.by_value.entry(fields[at].clone()).or_default();
                by_value.each(&filter.conditions()[at].test, |names| {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                });
            }
        }
        let entry = Entry {
            filter,
            fields,
            equality,
        };
        self.filters.insert(name, entry);
    }

    /// Takes a filter out.
    pub fn remove(&mut self, name: T) {
        let Some(entry) = self.filters.remove(&name) else {
            return;
        };
        match entry.equality {
            None => self.others.retain(|other| *other != name),
            Some(at) => {
                let (field, test) = (&entry.fields[at], &entry.filter.conditions()[at].test);
                if let Some(by_value) = self.by_value.get_mut(field) {
                    by_value.each(test, |names| names.retain(|other| *other != name));
                    by_value.forget_empty(test);
                    if by_value.numbers.is_empty() && by_value.texts.is_empty() {
                        self.by_value.remove(field);
                    }
                }
            }
        }
        self.gone += 1;
        if self.gone > self.filters.len() {
            self.collect();
        }
    }

    /// Calls for every filter that the event passes, once.
    pub fn each_passed<V: View + ?Sized>(&self, view: &V, scratch: &mut Scratch, mut call: impl FnMut(T)) {
        let mut look = Look::new(view, &self.finder, scratch);
        let others = [self.others.as_slice(), &[]];
        for (field, by_value) in &self.by_value {
            let candidates = look.with(field, |value, scratch| by_value.candidates(value, scratch));
            self.passed(candidates, &mut look, &mut call);
        }
        self.passed(others, &mut look, &mut call);
    }

    /// Whether there is no filter.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    fn passed<V: View + ?Sized>(&self, candidates: [&[T]; 2], look: &mut Look<'_, V>, call: &mut impl FnMut(T)) {
        for name in candidates.into_iter().flatten() {
            if self.filters[name].passes(look) {
                call(*name);
            }
        }
    }

    /// Forgets the paths of filters that have gone.
    fn collect(&mut self) {
        let filters = std::mem::take(self).filters;
        for (name, entry) in filters {
            self.insert(name, entry.filter);
        }
    }
}

/// The condition by which a filter is looked for: a text has more values than a number.
fn equality(conditions: &[Condition]) -> Option<usize> {
    let find = |wanted: fn(&Test) -> bool| conditions.iter().position(|condition| wanted(&condition.test));
    find(|test| matches!(test, Test::Is(_))).or_else(|| find(|test| test.equal_number().is_some()))
}

impl Entry {
    fn passes<V: View + ?Sized>(&self, look: &mut Look<'_, V>) -> bool {
        let mut conditions = self.filter.conditions().iter().zip(&self.fields).enumerate();
        conditions.all(|(at, (condition, field))| Some(at) == self.equality || look.holds(&condition.test, field))
    }
}

impl<T> Default for ByValue<T> {
    fn default() -> Self {
        Self {
            numbers: HashMap::new(),
            texts: HashMap::new(),
        }
    }
}

impl<T> ByValue<T> {
    /// The filters whose equality holds for this value: as number, as text.
    fn candidates(&self, value: Value<'_>, scratch: &mut Vec<u8>) -> [&[T]; 2] {
        let mut number = || self.numbers.get(&bits(value.number(scratch)?));
        let numbers = if self.numbers.is_empty() { None } else { number() };
        let mut text = || self.texts.get(value.text(scratch)?);
        let texts = if self.texts.is_empty() { None } else { text() };
        [numbers, texts].map(|names| names.map_or(&[][..], Vec::as_slice))
    }

    /// Visits the filters of each value that fulfils an equality.
    fn each(&mut self, equality: &Test, mut visit: impl FnMut(&mut Vec<T>)) {
        if let Some(number) = equality.equal_number() {
            visit(self.numbers.entry(bits(number)).or_default());
        } else if let Test::Is(texts) = equality {
            for text in texts {
                visit(self.texts.entry(text.as_bytes().into()).or_default());
            }
        }
    }

    fn forget_empty(&mut self, equality: &Test) {
        if let Some(number) = equality.equal_number() {
            forget_empty(&mut self.numbers, &bits(number));
        } else if let Test::Is(texts) = equality {
            for text in texts {
                forget_empty(&mut self.texts, text.as_bytes());
            }
        }
    }
}

fn forget_empty<K: Eq + Hash + std::borrow::Borrow<Q>, Q: Eq + Hash + ?Sized, T>(
    map: &mut HashMap<K, Vec<T>>,
    key: &Q,
) {
    if map.get(key).is_some_and(Vec::is_empty) {
        map.remove(key);
    }
}

fn bits(number: f64) -> u64 {
    // The sum of the zeros is the one without sign.
    (number + 0.0).to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shape;

    fn passed(index: &Index<usize>, message: &str) -> Vec<usize> {
        let mut names = Vec::new();
        index.each_passed(message.as_bytes(), &mut Scratch::default(), |name| names.push(name));
        names.sort_unstable();
        names
    }

    fn index(filters: &[&str]) -> Index<usize> {
        let mut index = Index::default();
        for (name, text) in filters.iter().enumerate() {
            index.insert(name, Arc::new(Filter::parse(text, Shape::Document).unwrap()));
        }
        index
    }

    #[test]
    fn values_are_equal_as_the_language_compares() {
        let index = index(&[
            "a=5",
            "a=is:5",
            "a=0x5;b=1",
            "a=is:x,5,5,y",
            "a=0",
            "a=-0",
            "a=in:5",
            "a=is:true",
            "a=1",
        ]);
        for (message, expected) in [
            (r#"{"a":5}"#, &[0, 1, 3, 6][..]),
            (r#"{"a":"5","b":1}"#, &[0, 1, 2, 3, 6]),
            (r#"{"a":5.0}"#, &[0, 6]),
            (r#"{"a":" 5"}"#, &[0, 6]),
            (r#"{"a":"\u0035"}"#, &[0, 1, 3, 6]),
            (r#"{"a":-0.0}"#, &[4, 5]),
            (r#"{"a":[]}"#, &[4, 5]),
            (r#"{"a":true}"#, &[7, 8]),
            (r#"{"b":5}"#, &[]),
        ] {
            assert_eq!(passed(&index, message), expected, "{message}");
        }
    }

    #[test]
    fn what_has_gone_is_forgotten() {
        let texts: Vec<_> = (0..100).map(|n| format!("a{}=is:x{n},y;b=has:false", n % 10)).collect();
        let mut index = index(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(passed(&index, r#"{"a3":"y"}"#).len(), 10);
        for name in 1..100 {
            index.remove(name);
            index.remove(name);
        }
        assert_eq!(passed(&index, r#"{"a0":"y","a3":"y"}"#), [0]);
        assert_eq!(index.by_value.len(), 1);
        index.remove(0);
        assert!(index.is_empty() && index.finder.is_empty() && index.by_value.is_empty());
    }

    #[test]
    fn a_name_has_one_filter() {
        let mut index = index(&["a=1"]);
        index.insert(0, Arc::new(Filter::parse("b=has:true", Shape::Document).unwrap()));
        assert_eq!(passed(&index, r#"{"a":1}"#), [] as [usize; 0]);
        assert_eq!(passed(&index, r#"{"b":1}"#), [0]);
    }
}
