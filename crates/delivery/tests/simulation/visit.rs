//! One connection, as its client lives it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::BytesMut;
use sockeye_delivery::{Cause, End};
use sockeye_limits as limits;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::frame::take_frame;
use crate::log::LATENCY;
use crate::pipe::ClientEnd;
use crate::subscribed::Subscribed;
use crate::world::World;
use sockeye_seeds::Random;

/// How a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// At once.
    Prompt,
    /// So many bytes, and then not for at most so many milliseconds.
    Slow { bytes: usize, pause: u64 },
    /// At once, but it answers no Pings.
    Mute,
}

/// Something that a client does once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It says that it closes.
    Leave,
    /// It neither reads nor writes any more; its machine is gone, too, or acknowledges that it is asked.
    Freeze { is_gone: bool },
    /// It is gone without a word.
    Vanish,
    /// It sends no more, without having said so.
    Shut,
    /// It does nothing for up to a minute.
    Dawdle,
}

pub(crate) struct Visit {
    number: u64,
    world: Arc<World>,
    random: Random,
    io: ClientEnd,
    /// The server's system knows what is acknowledged.
    tells: bool,
    /// The client's machine is gone.
    is_gone: bool,
    end: oneshot::Receiver<Option<End>>,
    subscribed: Arc<Mutex<Subscribed>>,
    /// When it may ask for something, if it talks.
    talks: Option<Instant>,
    habit: Habit,
    turn: Option<(Instant, Turn)>,
    server_stops: CancellationToken,
    inbox: BytesMut,
    /// It has never waited before it read.
    prompt: bool,
    /// It has always read, if not at once, and answered.
    steady: bool,
    /// What Pongs have to bring back, at most; the server may skip some.
    pings: VecDeque<Vec<u8>>,
    said_close: bool,
    shut: bool,
    closed: Option<u16>,
    sent: Gaps,
    taken: Gaps,
}

/// How long something did not happen.
struct Gaps {
    last: Instant,
    longest: Duration,
}

/// A log that fails so soon after it was opened has not been seen to be there: the outage counts from when it was asked.
const UNPROVEN: Duration = limits::LOG_RETRY_MOST.saturating_add(LATENCY);

/// Bytes of a message that are told to people who look for the reason of a failure.
const TOLD: usize = 40;

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

// ----------------------------------------------------------------------------------------------

impl Visit {
    #[allow(clippy::too_many_arguments, reason = "all that a connection is made of")]
    pub(crate) fn new(
        number: u64,
        world: &Arc<World>,
        random: Random,
        (io, tells): (ClientEnd, bool),
        end: oneshot::Receiver<Option<End>>,
        subscribed: Arc<Mutex<Subscribed>>,
        talks: bool,
        habit: Habit,
        turn: Option<(Instant, Turn)>,
        server_stops: CancellationToken,
    ) -> Self {
        world.tally(|tally| tally.connections += 1);
        Self {
            number,
            world: Arc::clone(world),
            random,
            io,
            tells,
            is_gone: false,
            end,
            subscribed,
            talks: talks.then(Instant::now),
            habit,
            turn,
            server_stops,
            inbox: BytesMut::new(),
            prompt: habit == Habit::Prompt,
            steady: habit != Habit::Mute,
            pings: VecDeque::new(),
            said_close: false,
            shut: false,
            closed: None,
            sent: Gaps::new(),
            taken: Gaps::new(),
        }
    }

    /// Stays until the end of the connection, and checks everything that comes.
    pub(crate) async fn stay(mut self) {
        let (finish, settled) = (self.world.finish.clone(), self.world.settled.clone());
        let mut checked = false;
        loop {
            let turn_at = self.turn.map(|(at, _)| at);
            let talk_at = self
                .talks
                .filter(|_| !self.said_close && !self.shut && self.closed.is_none());
            tokio::select! {
                biased;
                () = settled.cancelled(), if !checked => {
                    checked = true;
                    self.check_complete();
                }
                () = finish.cancelled(), if self.talks.is_some() => self.talks = None,
                () = finish.cancelled(), if self.habit != Habit::Prompt || self.turn.is_some() => {
                    self.prompt &= self.habit == Habit::Prompt;
                    self.habit = Habit::Prompt;
                    self.turn = None;
                }
                () = sleep_until(turn_at.unwrap_or_else(Instant::now)), if turn_at.is_some() => {
                    match self.turn.take().unwrap().1 {
                        Turn::Leave => self.close(),
                        Turn::Shut => {
                            self.io.shut();
                            self.shut = true;
                        }
                        Turn::Dawdle => {
                            (self.prompt, self.steady) = (false, false);
                            let time = Duration::from_millis(self.random.between(0, 70_000));
                            let _ = timeout(time, finish.cancelled()).await;
                        }
                        Turn::Freeze { is_gone } => return self.freeze(is_gone).await,
                        Turn::Vanish => return self.vanish().await,
                    }
                }
                () = sleep_until(talk_at.unwrap_or_else(Instant::now)), if talk_at.is_some() => {
                    let most = self.random.pick(&[5, 100, 3_000]);
                    let pause = Duration::from_millis(self.random.between(0, most));
                    self.talks = Some(Instant::now() + pause);
                    let world = Arc::clone(&self.world);
                    let asks = self.subscribed.lock().unwrap().ask(&world, &mut self.random);
                    if asks {
                        self.send(TEXT, b"?");
                    }
                }
                () = self.io.readable() => {
                    if !self.read().await {
                        return self.part().await;
                    }
                }
            }
        }
    }

    /// Reads as its habit is; `false` at the end.
    async fn read(&mut self) -> bool {
        let most = match self.habit {
            Habit::Slow { bytes, .. } => self.random.between(1, bytes as u64) as usize,
            Habit::Prompt | Habit::Mute => usize::MAX,
        };
        let Some(bytes) = self.io.take(most) else { return false };
        self.taken.now();
        self.inbox.extend_from_slice(&bytes);
        while let Some((first, payload)) = take_frame(&mut self.inbox) {
            self.frame(first, &payload);
        }
        self.world.check_memory();
        if self.random.percent(3) && !self.said_close && self.habit != Habit::Mute {
            let payload = self.random.between(0, u64::MAX - 1).to_be_bytes();
            self.pings.push_back(payload.to_vec());
            self.send(PING, &payload);
        }
        if let Habit::Slow { pause, .. } = self.habit {
            sleep(Duration::from_millis(self.random.between(0, pause))).await;
        }
        true
    }

    fn frame(&mut self, first: u8, payload: &[u8]) {
        assert!(
            self.closed.is_none(),
            "client {}: something behind a Close",
            self.number
        );
        let now = self.world.began.elapsed().as_millis() as u64;
        self.world
            .tally(|tally| tally.digest(&[self.number, now, u64::from(first), payload.len() as u64]));
        match first {
            TEXT => {
                let text = String::from_utf8_lossy(&payload[..payload.len().min(TOLD)]);
                self.world.note(&(self.number, text));
                let prompt = self.prompt.then(|| self.world.prompt());
                let count = {
                    let mut subscribed = self.subscribed();
                    subscribed.receive(&self.world.log.lock(), payload, prompt);
                    subscribed.count()
                };
                self.world.tally(|tally| {
                    tally.events += 1;
                    tally.beside_others += u64::from(count > 1);
                });
            }
            PING if self.habit != Habit::Mute && !self.said_close => self.send(PONG, payload),
            PING => {}
            PONG => while self.pings.pop_front().expect("a Pong answers a Ping") != payload {},
            CLOSE => {
                self.closed = Some(u16::from_be_bytes([payload[0], payload[1]]));
                if !self.said_close {
                    self.close();
                }
            }
            other => panic!("client {}: {other:x}", self.number),
        }
    }

    fn close(&mut self) {
        self.send(CLOSE, &1000_u16.to_be_bytes());
        self.said_close = true;
    }

    fn send(&mut self, first: u8, payload: &[u8]) {
        if self.shut {
            return;
        }
        let mut frame = vec![first, 0x80 | payload.len() as u8, 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        self.io.send(&frame);
        self.sent.now();
    }

    /// The time for everything has passed.
    fn check_complete(&self) {
        let log = self.world.log.lock();
        if self.closed.is_none() && !self.said_close && !self.shut {
            let subscribed = self.subscribed();
            assert!(
                !subscribed.any(|expected| expected.is_gone(&log)),
                "client {}: was not told that the log is gone",
                self.number
            );
            subscribed.check_complete(&log);
            assert!(self.inbox.is_empty(), "a frame was begun and not ended");
            self.world.tally(|tally| tally.complete += 1);
        }
    }

    /// Neither reads nor writes, and is closed for that.
    async fn freeze(mut self, is_gone: bool) {
        self.is_gone = is_gone;
        if is_gone {
            self.io.lose();
        }
        (self.prompt, self.steady) = (false, false);
        let patience = 2 * limits::WS_STALL + limits::WS_CLIENT_TIMEOUT + 2 * limits::WS_CLOSE_TIMEOUT;
        let end = timeout(patience, &mut self.end).await;
        let end = end
            .expect("who does not read is closed")
            .expect("no task of the server panics");
        self.ended(end);
    }

    async fn vanish(self) {
        drop(self.io);
        let end = timeout(Duration::from_secs(1), self.end).await;
        let end = end
            .expect("who is gone is forgotten")
            .expect("no task of the server panics");
        if let Some(End { cause, .. }) = end {
            self.world
                .tally(|tally| *tally.ends.entry(cause.as_str()).or_default() += 1);
        }
    }

    /// The server has ended the connection.
    async fn part(mut self) {
        // It may wait for the end of a client that sends on.
        self.io.shut();
        let end = timeout(2 * limits::WS_CLOSE_TIMEOUT, &mut self.end).await;
        let end = end.expect("the server lets go").expect("no task of the server panics");
        self.ended(end);
        if end.is_some_and(|end| end.clean) {
            assert!(
                self.inbox.is_empty(),
                "client {}: the last frame is not whole",
                self.number
            );
            assert!(
                self.closed.is_some() && self.said_close,
                "client {}: clean without Close",
                self.number
            );
        }
        if let (Some(end), Some(code)) = (end, self.closed) {
            assert!(end.code == Some(code) || end.cause == Cause::Client, "{end:?}, {code}");
        }
        // Who reads hears why; a process that was killed tells nobody.
        if let Some(end) = end
            && self.steady
            && end.cause != Cause::Lost
        {
            assert!(
                self.closed.is_some() || !self.prompt,
                "client {}: {end:?} without a word",
                self.number
            );
        }
    }

    fn subscribed(&self) -> MutexGuard<'_, Subscribed> {
        self.subscribed.lock().unwrap()
    }

    /// Whether the cause of the end is a good one.
    fn ended(&self, end: Option<End>) {
        self.world.note(&(self.number, end));
        let Some(end) = end else { return };
        self.world
            .tally(|tally| *tally.ends.entry(end.cause.as_str()).or_default() += 1);
        let (subscribed, log) = (self.subscribed(), self.world.log.lock());
        let good = match end.cause {
            Cause::Client => self.said_close,
            Cause::Lost => self.shut,
            Cause::Dead => {
                // Who takes what is sent is known to live, if that is known of anybody.
                let taken = match (self.tells, self.is_gone) {
                    (false, _) => Duration::ZERO,
                    (true, true) => limits::WS_CLIENT_TIMEOUT,
                    (true, false) => limits::WS_STALL,
                };
                !self.steady && self.sent.longest() >= limits::WS_CLIENT_TIMEOUT && self.taken.longest() >= taken
            }
            Cause::Stalled => {
                let taken = self.taken.longest() >= limits::WS_STALL;
                let handed_on = !self.tells && self.io.longest_refusal() >= limits::WS_STALL;
                !self.steady && (taken || handed_on)
            }
            Cause::Protocol | Cause::Message | Cause::Complete | Cause::NoReceipt | Cause::Group => false,
            Cause::Unauthorized => subscribed.expires(),
            Cause::Trimmed => subscribed.any(|expected| expected.may_be_trimmed(&log, self.prompt)),
            Cause::Gone => subscribed.any(|expected| expected.is_gone(&log)),
            Cause::Outage => {
                subscribed.any(|expected| log.topics[&expected.topic].longest_outage() + UNPROVEN >= limits::LOG_OUTAGE)
            }
            Cause::Stopping => self.server_stops.is_cancelled(),
        };
        assert!(good, "client {}: {end:?} for no reason", self.number);
    }
}

impl Gaps {
    fn new() -> Self {
        Self {
            last: Instant::now(),
            longest: Duration::ZERO,
        }
    }

    /// It happens.
    fn now(&mut self) {
        self.longest = self.longest();
        self.last = Instant::now();
    }

    fn longest(&self) -> Duration {
        self.longest.max(self.last.elapsed())
    }
}
