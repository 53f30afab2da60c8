//! Which event has reached whom, and when the next one is due. No clock: times are given.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// When events are published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// For each event that has reached all clients another one is sent (closed loop): as many are in flight as the
    /// connections that publish may have on their way.
    WhenArrived,
    /// So many a second, whatever becomes of the earlier ones (open loop).
    Rate(f64),
}

/// Events on their way.
pub(crate) struct Course {
    pace: Pace,
    clients: usize,
    /// Number of the first event that is on its way.
    first: u64,
    on_their_way: VecDeque<Event>,
    /// Who may send: once for each request that it may have on its way.
    idle_posts: Vec<usize>,
    /// For a rate: when the next one is due.
    due: Instant,
}

/// One event on its way.
struct Event {
    /// When it was meant to be sent.
    intended: Instant,
    /// Clients that it has not reached.
    missing: usize,
    answered: bool,
    post: usize,
}

// ----------------------------------------------------------------------------------------------

impl Course {
    /// The course of a run that begins now with this number.
    pub(crate) fn new(pace: Pace, clients: usize, idle_posts: Vec<usize>, first: u64, now: Instant) -> Self {
        Self {
            pace,
            clients,
            first,
            on_their_way: VecDeque::new(),
            idle_posts,
            due: now,
        }
    }

    /// The next event that is due: its number, and who sends it.
    pub(crate) fn next(&mut self, now: Instant) -> Option<(u64, usize)> {
        let intended = match self.pace {
            Pace::WhenArrived => now,
            Pace::Rate(_) if now < self.due => return None,
            Pace::Rate(_) => self.due,
        };
        let post = self.idle_posts.pop()?;
        if let Pace::Rate(rate) = self.pace {
            self.due += Duration::from_secs_f64(1.0 / rate);
        }
        let number = self.first + self.on_their_way.len() as u64;
        self.on_their_way.push_back(Event {
            intended,
            missing: self.clients,
            answered: false,
            post,
        });
        Some((number, post))
    }

    /// How long there is nothing to send, for a rate.
    pub(crate) fn pause(&self, now: Instant) -> Option<Duration> {
        let waiting = matches!(self.pace, Pace::Rate(_)) && !self.idle_posts.is_empty();
        waiting.then(|| self.due.saturating_duration_since(now))
    }

    /// A client has an event: when it was meant to be sent.
    ///
    /// # Errors
    /// It came more often than there are clients.
    pub(crate) fn arrived(&mut self, number: u64) -> Result<Instant, String> {
        let event = self.event(number).filter(|event| event.missing > 0);
        let event = event.ok_or_else(|| format!("event {number} arrived more often than there are clients"))?;
        event.missing -= 1;
        let intended = event.intended;
        self.go_on(number);
        Ok(intended)
    }

    /// The request of an event was answered: when it was meant to be sent.
    pub(crate) fn answered(&mut self, number: u64) -> Option<Instant> {
        let event = self.event(number)?;
        event.answered = true;
        let (intended, post) = (event.intended, event.post);
        if matches!(self.pace, Pace::Rate(_)) {
            self.idle_posts.push(post);
        }
        self.go_on(number);
        Some(intended)
    }

    /// The number of the next event.
    pub(crate) fn next_number(&self) -> u64 {
        self.first + self.on_their_way.len() as u64
    }

    /// The oldest event that is on its way, and how many clients do not have it.
    pub(crate) fn oldest(&self) -> Option<(u64, usize)> {
        self.on_their_way.front().map(|event| (self.first, event.missing))
    }

    fn event(&mut self, number: u64) -> Option<&mut Event> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.on_their_way.get_mut(at)
    }

    /// After an event has come further.
    fn go_on(&mut self, number: u64) {
        let closed = self.pace == Pace::WhenArrived;
        if let Some(event) = self.event(number).filter(|event| closed && event.is_over()) {
            let post = event.post;
            self.idle_posts.push(post);
        }
        while self.on_their_way.front().is_some_and(Event::is_over) {
            self.on_their_way.pop_front();
            self.first += 1;
        }
    }
}

impl Event {
    fn is_over(&self) -> bool {
        self.missing == 0 && self.answered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_loop_waits_for_all_clients_and_the_answer() {
        let now = Instant::now();
        let mut course = Course::new(Pace::WhenArrived, 2, vec![1, 0], 10, now);
        assert_eq!(course.next(now), Some((10, 0)));
        assert_eq!(course.next(now), Some((11, 1)));
        assert_eq!(course.next(now), None);
        course.arrived(11).unwrap();
        course.arrived(11).unwrap();
        assert_eq!(course.next(now), None, "not answered");
        course.answered(11).unwrap();
        assert_eq!(course.next(now), Some((12, 1)));
        assert_eq!(course.oldest(), Some((10, 2)));
        assert!(course.arrived(11).is_err(), "three times");
        for _ in 0..2 {
            course.arrived(10).unwrap();
        }
        course.answered(10).unwrap();
        assert_eq!(course.oldest(), Some((12, 2)), "both are over");
    }

    #[test]
    fn a_rate_counts_from_the_time_that_was_meant() {
        let start = Instant::now();
        let mut course = Course::new(Pace::Rate(10.0), 0, vec![0], 0, start);
        assert_eq!(course.next(start), Some((0, 0)));
        let late = start + Duration::from_secs(1);
        assert_eq!(course.next(late), None, "its connection waits for an answer");
        assert_eq!(course.pause(late), None);
        course.answered(0).unwrap();
        assert_eq!(course.next(late), Some((1, 0)));
        assert_eq!(course.answered(1), Some(start + Duration::from_millis(100)));
        assert_eq!(course.pause(start), Some(Duration::from_millis(200)));
    }
}
