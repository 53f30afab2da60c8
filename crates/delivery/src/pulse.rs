//! Signs of life of one peer: what it sends, what its system acknowledges, and for what it is taken without them.

use prometheus_client::metrics::gauge::Gauge;
use sockeye_limits as limits;
use tokio::time::Instant;

use crate::acknowledged::Acknowledged;
use crate::end::Cause;
use crate::metrics::Open;

/// When a peer last gave a sign of life.
#[derive(Debug)]
pub(crate) struct Pulse {
    /// When it last sent a byte.
    heard: Instant,
    /// Since when its socket has taken nothing although there was something to take.
    blocked: Option<Blocked>,
    /// Counts peers whose socket is blocked.
    stalled: Gauge,
    /// When its socket last took something after it had been full.
    freed: Option<Instant>,
    /// Bytes that its system had acknowledged when it was last asked.
    acknowledged: u64,
    /// When it had last acknowledged more than before.
    took: Instant,
}

#[derive(Debug)]
struct Blocked {
    since: Instant,
    _counted: Open,
}

// ----------------------------------------------------------------------------------------------

impl Pulse {
    pub(crate) fn new(now: Instant, stalled: Gauge) -> Self {
        Self {
            heard: now,
            blocked: None,
            stalled,
            freed: None,
            acknowledged: 0,
            took: now,
        }
    }

    /// The peer has sent something.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// The socket takes nothing of what waits for the peer.
    pub(crate) fn block(&mut self, now: Instant) {
        self.blocked.get_or_insert_with(|| Blocked {
            since: now,
            _counted: Open::count(&self.stalled),
        });
    }

    /// The socket has taken something.
    pub(crate) fn free(&mut self, now: Instant) {
        if self.blocked.take().is_some() {
            self.freed = Some(now);
        }
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// Whether to wait on, and until when at most; or for what the peer is taken. `ask` tells what its system has
    /// acknowledged.
    ///
    /// Dead is who has sent no byte and acknowledged none for the time-out (DESIGN.md, delivery contract 5). While something
    /// is on its way, no acknowledgement for [`limits::WS_CLIENT_TIMEOUT`] means that the machine or the way to it is gone.
    /// A system that acknowledges probes and no bytes has a reader that takes nothing: it has [`limits::WS_STALL`], because
    /// a closed window opens late. (A reader of 10 KB/s on the same machine acknowledged nothing for 13 s, one of 2 KB/s for
    /// 50 s, and over packets of 1,460 bytes one of 5 KB/s for 24 s.)
    pub(crate) fn judge(&mut self, now: Instant, ask: impl FnOnce() -> Option<Acknowledged>) -> Result<Instant, Cause> {
        let silent = self.heard + limits::WS_CLIENT_TIMEOUT;
        if now < silent && self.blocked.is_none() {
            return Ok(silent);
        }
        let Some(told) = ask() else {
            return self.judge_unasked(now);
        };
        if told.bytes != self.acknowledged {
            self.acknowledged = told.bytes;
            self.took = now.checked_sub(told.quiet).map_or(now, |took| took.max(self.took));
        }
        let is_silent = now >= silent;
        let stalled = self.took + limits::WS_STALL;
        if now >= stalled {
            return Err(if is_silent { Cause::Dead } else { Cause::Stalled });
        }
        if !is_silent {
            return Ok(silent.min(stalled));
        }
        match limits::WS_CLIENT_TIMEOUT.checked_sub(told.quiet) {
            Some(rest) if told.in_flight && !rest.is_zero() => Ok(stalled.min(now + rest)),
            _ if told.in_flight => Err(Cause::Dead),
            _ => Ok(stalled),
        }
    }

    /// That a socket takes bytes is no sign of life: the kernel takes a Ping for a peer that is long gone. That a full one
    /// takes them again is, for only an acknowledgement of the peer makes room. What the kernel then still holds has to be
    /// read before the next Ping is: for that time silence proves nothing, nor does it while the socket is full. (What TLS holds
    /// back counts as taken when all of it has gone.)
    fn judge_unasked(&self, now: Instant) -> Result<Instant, Cause> {
        let silent = self.heard + limits::WS_CLIENT_TIMEOUT;
        let (until, cause) = match (&self.blocked, self.freed) {
            (Some(blocked), _) => (blocked.since + limits::WS_STALL, Cause::Stalled),
            (None, Some(freed)) => (silent.max(freed + limits::WS_STALL), Cause::Dead),
            (None, None) => (silent, Cause::Dead),
        };
        if now < until { Ok(until) } else { Err(cause) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A peer, and how late it is.
    struct Peer {
        pulse: Pulse,
        start: Instant,
    }

    impl Peer {
        fn new() -> Self {
            let start = Instant::now();
            Self {
                pulse: Pulse::new(start, Gauge::default()),
                start,
            }
        }

        /// The judgement so late; until when it holds is told in seconds.
        fn judge(&mut self, late: u64, told: Option<(u64, bool, u64)>) -> Result<u64, Cause> {
            let told = told.map(|(bytes, in_flight, quiet)| Acknowledged {
                bytes,
                in_flight,
                quiet: Duration::from_secs(quiet),
            });
            let until = self.pulse.judge(self.at(late), || told);
            until.map(|until| (until - self.start).as_secs())
        }

        fn at(&self, late: u64) -> Instant {
            self.start + Duration::from_secs(late)
        }
    }

    #[test]
    fn who_sends_is_not_asked_for() {
        let mut peer = Peer::new();
        for late in (0..1_000).step_by(9) {
            peer.pulse.heard(peer.at(late));
            let until = peer
                .pulse
                .judge(peer.at(late + 9), || panic!("a system call that is not needed"));
            assert_eq!(until, Ok(peer.at(late + 10)));
        }
    }

    #[test]
    fn who_answers_no_ping_and_acknowledges_lives() {
        let mut peer = Peer::new();
        for late in (10..10_000).step_by(5) {
            // Sometimes its last acknowledgement is of this moment, sometimes a Ping is under way.
            let quiet = late % 3;
            let until = peer.judge(late, Some((6 * late, late % 2 == 0, quiet)));
            assert!(until.is_ok_and(|until| until > late), "{late}: {until:?}");
        }
    }

    #[test]
    fn a_machine_that_is_gone_is_dead_after_the_time_out() {
        let mut peer = Peer::new();
        peer.pulse.heard(peer.at(3));
        assert_eq!(peer.judge(12, None), Ok(13), "it is not asked for yet");
        assert_eq!(peer.judge(13, Some((100, true, 9))), Ok(14));
        assert_eq!(peer.judge(14, Some((100, true, 10))), Err(Cause::Dead));
        // A full socket changes nothing.
        let mut peer = Peer::new();
        peer.pulse.block(peer.at(1));
        assert_eq!(peer.judge(10, Some((100, true, 10))), Err(Cause::Dead));
    }

    /// A closed window is probed, the probes are acknowledged, and no bytes are.
    #[test]
    fn a_reader_that_takes_nothing_is_closed_whatever_is_probed() {
        for talks in [false, true] {
            let mut peer = Peer::new();
            peer.pulse.block(peer.at(1));
            for late in (10..70).step_by(5) {
                if talks {
                    peer.pulse.heard(peer.at(late));
                }
                let until = peer.judge(late, Some((100, false, 0)));
                assert!(until.is_ok_and(|until| until > late && until <= 70), "{late}");
            }
            let cause = if talks { Cause::Stalled } else { Cause::Dead };
            assert_eq!(peer.judge(70, Some((100, false, 0))), Err(cause));
        }
    }

    #[test]
    fn a_reader_that_takes_a_little_now_and_then_lives() {
        for talks in [false, true] {
            let mut peer = Peer::new();
            peer.pulse.block(peer.at(1));
            for late in (10..1_000).step_by(5) {
                if talks {
                    peer.pulse.heard(peer.at(late));
                }
                let bytes = late / 50 * 32_000;
                let until = peer.judge(late, Some((bytes, false, 4)));
                assert!(until.is_ok(), "{late}: {until:?}");
            }
        }
    }

    /// Other systems: as long as nothing is known of acknowledgements, a socket that makes room stands for them.
    #[test]
    fn a_peer_that_is_not_asked_for_is_judged_by_what_it_sends() {
        let mut peer = Peer::new();
        assert_eq!(peer.judge(9, None), Ok(10));
        assert_eq!(peer.judge(10, None), Err(Cause::Dead));
        peer.pulse.block(peer.at(5));
        assert_eq!(peer.judge(10, None), Ok(65));
        peer.pulse.free(peer.at(20));
        assert_eq!(peer.judge(30, None), Ok(80));
        assert_eq!(peer.judge(80, None), Err(Cause::Dead));
        peer.pulse.block(peer.at(70));
        assert_eq!(peer.judge(130, None), Err(Cause::Stalled));
    }
}
