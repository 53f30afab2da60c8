//! One connection of a member, as its client lives it.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use sockeye_delivery::{Cause, End, Receipts};
use sockeye_limits as limits;
use sockeye_seeds::Random;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::frame::take_frame;
use crate::pipe::ClientEnd;
use crate::truth::{Joined, Place};
use crate::world::World;

/// How a member reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// At once.
    Prompt,
    /// So many bytes, and then not for at most so many milliseconds.
    Slow { bytes: u64, pause: u64 },
    /// At once, but it answers no Pings.
    Mute,
}

/// Something that a client does once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It says that it closes.
    Leave,
    /// It is gone without a word.
    Vanish,
    /// It does nothing for a while.
    Dawdle,
}

/// How a member behaves.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    pub(crate) habit: Habit,
    pub(crate) turn: Option<(Instant, Turn)>,
    /// Under `ack=client`: so many events of a hundred are acknowledged, and of the others so many returned.
    pub(crate) acks: u64,
    pub(crate) nacks: u64,
    /// It sends Pongs that nobody asked for, and acknowledges what it was not given.
    pub(crate) lies: bool,
}

pub(crate) struct Visit {
    number: u64,
    world: Arc<World>,
    random: Random,
    io: ClientEnd,
    end: oneshot::Receiver<Option<End>>,
    joined: Joined,
    receipts: Receipts,
    manner: Manner,
    server_stops: CancellationToken,
    inbox: BytesMut,
    /// It has always read and answered, at its pace.
    steady: bool,
    /// It has always read at once.
    prompt: bool,
    said_close: bool,
    closed: Option<u16>,
}

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

// ----------------------------------------------------------------------------------------------

impl Habit {
    pub(crate) fn any(random: &mut Random) -> Self {
        match random.between(0, 9) {
            0..6 => Self::Prompt,
            6..9 => Self::Slow {
                bytes: random.pick(&[50, 500, 5_000]),
                pause: random.pick(&[20, 150]),
            },
            _ => Self::Mute,
        }
    }
}

impl Turn {
    pub(crate) fn any(random: &mut Random) -> Option<Self> {
        Some(match random.between(0, 9) {
            0..3 => Self::Leave,
            3..6 => Self::Vanish,
            6 => Self::Dawdle,
            _ => return None,
        })
    }
}

impl Manner {
    /// Reads at once and says what is true.
    pub(crate) fn faithful() -> Self {
        Self {
            habit: Habit::Prompt,
            turn: None,
            acks: 100,
            nacks: 0,
            lies: false,
        }
    }
}

impl Visit {
    #[allow(clippy::too_many_arguments, reason = "all that a connection is made of")]
    pub(crate) fn new(
        number: u64,
        world: &Arc<World>,
        random: Random,
        io: ClientEnd,
        end: oneshot::Receiver<Option<End>>,
        joined: Joined,
        receipts: Receipts,
        manner: Manner,
        server_stops: CancellationToken,
    ) -> Self {
        Self {
            number,
            world: Arc::clone(world),
            random,
            io,
            end,
            joined,
            receipts,
            server_stops,
            inbox: BytesMut::new(),
            steady: manner.habit != Habit::Mute,
            prompt: manner.habit == Habit::Prompt,
            manner,
            said_close: false,
            closed: None,
        }
    }

    /// Stays until the end of the connection, and checks everything that comes.
    pub(crate) async fn stay(mut self) {
        let finish = self.world.finish.clone();
        let mut calm = false;
        loop {
            let turn_at = self.manner.turn.map(|(at, _)| at);
            tokio::select! {
                biased;
                () = finish.cancelled(), if !calm => {
                    calm = true;
                    self.manner = Manner::faithful();
                }
                () = sleep_until(turn_at.unwrap_or_else(Instant::now)), if turn_at.is_some() => {
                    match self.manner.turn.take().unwrap().1 {
                        Turn::Leave => self.close(),
                        Turn::Dawdle => {
                            (self.prompt, self.steady) = (false, false);
                            let time = Duration::from_millis(self.random.between(0, 70_000));
                            let _ = timeout(time, finish.cancelled()).await;
                        }
                        Turn::Vanish => return self.vanish().await,
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
        let most = match self.manner.habit {
            Habit::Slow { bytes, .. } => self.random.between(1, bytes) as usize,
            Habit::Prompt | Habit::Mute => usize::MAX,
        };
        let Some(bytes) = self.io.take(most) else { return false };
        self.inbox.extend_from_slice(&bytes);
        while let Some((first, payload)) = take_frame(&mut self.inbox) {
            self.frame(first, &payload);
        }
        if self.manner.lies && self.random.percent(10) && !self.said_close {
            let number = self.random.between(1_000_000, 2_000_000);
            self.send(PONG, &number.to_be_bytes());
            self.send(PONG, b"");
            if self.receipts != Receipts::Pong {
                self.send(TEXT, b"ack:nothing");
            }
        }
        if let Habit::Slow { pause, .. } = self.manner.habit {
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
        self.world
            .digest(&[self.number, u64::from(first), payload.len() as u64]);
        match first {
            TEXT => self.event(payload),
            PING if self.manner.habit != Habit::Mute && !self.said_close => self.send(PONG, payload),
            PING => {}
            CLOSE => {
                self.closed = Some(u16::from_be_bytes([payload[0], payload[1]]));
                if !self.said_close {
                    self.close();
                }
            }
            other => panic!("client {}: {other:x}", self.number),
        }
    }

    fn event(&mut self, payload: &[u8]) {
        let payload = payload.strip_prefix(b"again:").unwrap_or(payload);
        let (incarnation, place) = read_place(payload);
        {
            let mut disk = self.world.positions.lock();
            disk.truth
                .receive(&self.world.log.lock(), &mut self.joined, incarnation, place);
        }
        if self.receipts == Receipts::Pong || self.said_close {
            return;
        }
        let id = format!("{}:{}", place.0, place.1);
        if self.random.percent(self.manner.acks) {
            self.send(TEXT, format!("ack:{id}").as_bytes());
            let mut disk = self.world.positions.lock();
            disk.truth.acknowledge(&self.joined, incarnation, place);
        } else if self.random.percent(self.manner.nacks) {
            self.send(TEXT, format!("nack:{id}").as_bytes());
        }
    }

    fn close(&mut self) {
        self.send(CLOSE, &1000_u16.to_be_bytes());
        self.said_close = true;
    }

    fn send(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![first, 0x80 | payload.len() as u8, 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        self.io.send(&frame);
    }

    async fn vanish(self) {
        drop(self.io);
        let end = timeout(Duration::from_secs(1), self.end).await;
        let end = end
            .expect("who is gone is forgotten")
            .expect("no task of the server panics");
        if let Some(end) = end {
            self.world.ended(end.cause);
        }
    }

    /// The server has ended the connection.
    async fn part(mut self) {
        // It may wait for the end of a client that sends on.
        self.io.shut();
        let end = timeout(2 * limits::WS_CLOSE_TIMEOUT, &mut self.end).await;
        let end = end.expect("the server lets go").expect("no task of the server panics");
        self.world.note(&(self.number, end));
        let Some(end) = end else { return };
        self.world.ended(end.cause);
        let good = match end.cause {
            Cause::Client => self.said_close,
            // Neither a slow link nor a pause of the group makes a member that answers a silent one.
            Cause::NoReceipt => !self.prompt && self.receipts == Receipts::Pong,
            Cause::Dead | Cause::Stalled => !self.prompt,
            Cause::Stopping => self.server_stops.is_cancelled(),
            Cause::Group | Cause::Gone | Cause::Outage => true,
            _ => false,
        };
        assert!(good, "client {}: {end:?} for no reason", self.number);
    }
}

/// What the payload of an event says: incarnation, partition, offset.
fn read_place(payload: &[u8]) -> (u64, Place) {
    let mut parts = payload.splitn(4, |byte| *byte == b':');
    let mut number = || str::from_utf8(parts.next().unwrap()).unwrap().parse::<u64>().unwrap();
    (number(), (number() as u32, number()))
}
