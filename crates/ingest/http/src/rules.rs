//! What the application's rules make of the events of a request (compat/drogue.md 2.8).

use sockeye_event::Event;
use sockeye_policy::{Rules, Verdict};

use crate::content::Mode;
use crate::refusal::Refusal;

/// Does to the events what the rules say, and tells how many are dropped. If one is rejected, all are: of a batch, nothing is stored
/// by halves.
pub(crate) fn obey(rules: &Rules, events: &mut Vec<Event>, mode: Mode) -> Result<usize, Refusal> {
    if rules.is_empty() {
        return Ok(0);
    }
    let published = events.len();
    let (mut at, mut rejected) = (0, None);
    events.retain_mut(|event| {
        let verdict = rules.apply(event);
        at += 1;
        match verdict {
            Verdict::Accepted => true,
            Verdict::Dropped => false,
            Verdict::Rejected(reason) => {
                rejected.get_or_insert((at - 1, reason));
                true
            }
        }
    });
    let Some((at, reason)) = rejected else {
        return Ok(published - events.len());
    };
    let reason = if reason.is_empty() {
        "a rule of the application rejects the event"
    } else {
        &*reason
    };
    Err(Refusal::ByRule(match mode {
        Mode::Batch => format!("event {at} of the batch (counted from 0): {reason}"),
        Mode::Payload | Mode::Structured => reason.to_owned(),
    }))
}
