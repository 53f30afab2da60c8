//! Says in the log that requests are refused for the server's own trouble: once when it begins, now and then how many it
//! cost, and when it is over. A line for each of them would fill the disk, which may be the trouble.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use sockeye_limits as limits;

/// One kind of trouble.
#[derive(Debug)]
pub(crate) struct Outage {
    /// What does not work.
    what: &'static str,
    /// Whether there is a course: who succeeds looks at no more than this.
    begun: AtomicBool,
    course: Mutex<Option<Course>>,
}

/// How it went so far.
#[derive(Debug)]
struct Course {
    said: Instant,
    failed: Instant,
    refused: u64,
}

/// What there is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Begins,
    GoesOn { refused: u64 },
    Over { refused: u64 },
}

// ----------------------------------------------------------------------------------------------

impl Outage {
    pub(crate) fn new(what: &'static str) -> Self {
        Self {
            what,
            begun: AtomicBool::new(false),
            course: Mutex::new(None),
        }
    }

    /// A request was refused.
    pub(crate) fn refused(&self, cause: &dyn Display) {
        let what = self.what;
        match self.failed(Instant::now()) {
            Some(News::GoesOn { refused }) => tracing::warn!(%cause, refused, "{what}: it goes on"),
            Some(_) => tracing::warn!(%cause, "{what}; requests are refused, their number follows"),
            None => tracing::debug!(%cause, "{what}"),
        }
    }

    /// A request got past it.
    pub(crate) fn passed(&self) {
        if self.begun.load(Ordering::Relaxed)
            && let Some(News::Over { refused }) = self.worked(Instant::now())
        {
            let what = self.what;
            tracing::info!(refused, "over: {what}");
        }
    }

    fn failed(&self, now: Instant) -> Option<News> {
        let mut course = self.course.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(course) = &mut *course else {
            *course = Some(Course {
                said: now,
                failed: now,
                refused: 1,
            });
            self.begun.store(true, Ordering::Relaxed);
            return Some(News::Begins);
        };
        course.failed = now;
        course.refused += 1;
        if now.duration_since(course.said) < limits::OUTAGE_SAID {
            return None;
        }
        course.said = now;
        Some(News::GoesOn {
            refused: course.refused,
        })
    }

    /// It is over only when none has failed for a while: where some fail and some do not, it is one outage and not many.
    fn worked(&self, now: Instant) -> Option<News> {
        let mut course = self.course.lock().unwrap_or_else(PoisonError::into_inner);
        let over = course.take_if(|course| now.duration_since(course.failed) >= limits::OUTAGE_SAID)?;
        self.begun.store(false, Ordering::Relaxed);
        Some(News::Over { refused: over.refused })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_said_once_then_now_and_then_and_when_it_is_over() {
        let (outage, start) = (Outage::new("nothing works"), Instant::now());
        // Milliseconds.
        let said = limits::OUTAGE_SAID.as_millis() as u64;
        for (after, works, news) in [
            (0, true, None),
            (0, false, Some(News::Begins)),
            (1, false, None),
            (said - 1, false, None),
            (said, false, Some(News::GoesOn { refused: 4 })),
            (said + 1, true, None),
            (said + 1, false, None),
            (2 * said, true, None),
            (2 * said, false, Some(News::GoesOn { refused: 6 })),
            (3 * said - 1, true, None),
            (3 * said, true, Some(News::Over { refused: 6 })),
            (4 * said, true, None),
            (4 * said, false, Some(News::Begins)),
        ] {
            let now = start + Duration::from_millis(after);
            let found = if works { outage.worked(now) } else { outage.failed(now) };
            assert_eq!(found, news, "{after}");
        }
    }
}
