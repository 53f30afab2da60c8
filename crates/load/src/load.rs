//! Clients and publishers in one loop.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use memchr::memmem::Finder;
use mio::{Events, Interest, Poll, Token};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use sockeye_limits as limits;

use crate::{
    client::Client,
    course::{Course, Pace},
    inflate::Inflate,
    outcome::{Latencies, Outcome},
    post::Post,
    process::Process,
    request::{self, MARK, Template},
    stream::{Stream, Tls},
    target::{Publishing, Target},
};

/// Clients of one server and the connections that publish to it.
pub struct Load {
    poll: Poll,
    events: Events,
    /// Read into by all; what is not whole is kept by its client.
    buffer: Vec<u8>,
    mark: Finder<'static>,
    inflate: Inflate,
    target: Option<Target>,
    clients: Vec<Client>,
    /// Those that do not read any more.
    stalled: Vec<Client>,
    /// Frames with messages that came before a run, or without one.
    frames: u64,
    request: Option<Template>,
    /// Requests that each of those that publish may have on their way.
    pipelined: usize,
    posts: Vec<Post>,
    /// Those of them that have something to send.
    sending: Vec<usize>,
    /// Number of the next event.
    number: u64,
}

/// What to do, and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// When events are published.
    pub pace: Pace,
    /// Clients that each event reaches; without it, all.
    pub reaches: Option<usize>,
    /// Time before what is measured.
    pub warm_up: Duration,
    /// Time that is measured.
    pub time: Duration,
    /// The server, where it runs on this machine.
    pub server: Option<Process>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// From 0 to 1.
    pub part: f64,
    /// Requests that were answered so far.
    pub answered: u64,
    /// Events that arrived so far, counted once per client.
    pub delivered: u64,
}

/// What is counted in one run.
struct Counters {
    /// Latencies count from here on.
    from: Instant,
    answered: u64,
    delivered: u64,
    received: u64,
    answers: Latencies,
    arrivals: Latencies,
}

/// Clients that wait for their upgrade at a time: fewer than any server's queue of connections.
const OPENING: usize = 128;
/// What those that publish wait for.
const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);
/// Bytes that the kernel takes for a client that does not read.
const STALLED_BUFFER: usize = 4 * limits::KIB;
/// Longest wait for anything to happen.
pub(crate) const TICK: Duration = Duration::from_millis(50);
/// A wait ends up to a millisecond late: before that, the loop looks at the clock.
const SPIN: Duration = Duration::from_millis(2);
/// Nothing has arrived for this long while something was on its way: it will not.
pub(crate) const SILENCE: Duration = Duration::from_secs(15);

// ----------------------------------------------------------------------------------------------

impl Load {
    /// A load without connections.
    pub fn new() -> Result<Self> {
        Ok(Self {
            poll: Poll::new().context("cannot wait for sockets")?,
            events: Events::with_capacity(limits::KIB),
            buffer: vec![0; 4 * limits::WS_WRITE_CHUNK],
            mark: Finder::new(MARK),
            inflate: Inflate::new(),
            target: None,
            clients: Vec::new(),
            stalled: Vec::new(),
            frames: 0,
            request: None,
            pipelined: 0,
            posts: Vec::new(),
            sending: Vec::new(),
            number: 0,
        })
    }

    /// Opens so many clients; `progress` is told how many are ready.
    ///
    /// # Errors
    /// One is refused, or not ready in time.
    pub fn open(&mut self, target: Target, count: usize, mut progress: impl FnMut(usize)) -> Result<()> {
        let target = self.target.insert(target).clone();
        let mut ready = self.clients.len();
        let goal = ready + count;
        let mut heard = Instant::now();
        while ready < goal {
            while self.clients.len() < goal && self.clients.len() - ready < OPENING {
                let token = Token(self.clients.len());
                let stream = self.connect(target.address, target.tls.as_ref(), token, Interest::READABLE)?;
                self.clients.push(Client::new(stream, &target)?);
            }
            self.poll.poll(&mut self.events, Some(TICK))?;
            for event in &self.events {
                if let Some(client) = self.clients.get_mut(event.token().0) {
                    let received = client.receive(&mut self.buffer, &target, |_| {
                        self.frames += 1;
                        Ok(())
                    });
                    ready += usize::from(received?.ready);
                    heard = Instant::now();
                }
            }
            if heard.elapsed() > SILENCE {
                bail!(
                    "{} of {goal} sockets were not ready within {} s",
                    goal - ready,
                    SILENCE.as_secs()
                );
            }
            progress(ready);
        }
        Ok(())
    }

    /// Waits until the clients have received so many frames with messages since they were opened: what was there before
    /// them, and is not counted by a run.
    ///
    /// # Errors
    /// A connection ends, or they do not come.
    pub fn receive(&mut self, frames: u64) -> Result<()> {
        let mut heard = Instant::now();
        while self.frames < frames {
            self.poll.poll(&mut self.events, Some(TICK))?;
            let before = self.frames;
            for event in &self.events {
                if let (Some(client), Some(target)) = (self.clients.get_mut(event.token().0), &self.target) {
                    client.receive(&mut self.buffer, target, |_| {
                        self.frames += 1;
                        Ok(())
                    })?;
                }
            }
            if self.frames > before {
                heard = Instant::now();
            } else if heard.elapsed() > SILENCE {
                bail!(
                    "{} of {frames} messages came, and no more for {} s",
                    self.frames,
                    SILENCE.as_secs()
                );
            }
        }
        Ok(())
    }

    /// Lets so many of the clients read no more. They stay connected, and are not counted in runs.
    pub fn stall(&mut self, count: usize) -> Result<()> {
        let keep = self.clients.len().saturating_sub(count);
        for mut client in self.clients.drain(keep..) {
            self.poll.registry().deregister(client.stream.socket_mut())?;
            // What the kernel would take for it takes long to fill.
            set_socket_recv_buffer_size(client.stream.socket(), STALLED_BUFFER)?;
            self.stalled.push(client);
        }
        Ok(())
    }

    /// Connects those that publish. Their tokens are behind those of the clients, which must be open.
    pub fn publish(&mut self, publishing: Publishing) -> Result<()> {
        self.posts.clear();
        for number in 0..publishing.connections {
            let token = Token(self.clients.len() + number);
            let stream = self.connect(publishing.address, publishing.tls.as_ref(), token, BOTH)?;
            let mut post = Post::new(stream, &publishing.hello, publishing.answered);
            post.flush()?;
            self.posts.push(post);
        }
        self.pipelined = publishing.pipelined;
        self.request = Some(publishing.request);
        Ok(())
    }

    /// Publishes and counts. Without connections that publish, clients are kept alive.
    ///
    /// # Errors
    /// A connection ends, a request is refused, or an event does not reach all clients.
    pub fn run(&mut self, plan: &Plan, mut progress: impl FnMut(Progress)) -> Result<Outcome> {
        let start = Instant::now();
        let mut counters = Counters {
            from: start + plan.warm_up,
            answered: 0,
            delivered: 0,
            received: 0,
            answers: Latencies::default(),
            arrivals: Latencies::default(),
        };
        let idle_posts = (0..self.posts.len())
            .flat_map(|post| std::iter::repeat_n(post, self.pipelined))
            .rev()
            .collect();
        let reaches = plan.reaches.unwrap_or(self.clients.len());
        let mut course = Course::new(plan.pace, reaches, idle_posts, self.number, start);
        self.turn(
            &mut course,
            &mut counters,
            start + plan.warm_up,
            plan,
            start,
            &mut progress,
        )?;
        let usage = || plan.server.as_ref().map(Process::usage).transpose();
        let (from, before) = (Instant::now(), usage()?);
        let (answered, delivered, received) = (counters.answered, counters.delivered, counters.received);
        self.turn(&mut course, &mut counters, from + plan.time, plan, start, &mut progress)?;
        let (time, after) = (from.elapsed(), usage()?);
        let outcome = Outcome {
            time,
            answered: counters.answered - answered,
            delivered: counters.delivered - delivered,
            received: counters.received - received,
            answers: Latencies::default(),
            arrivals: Latencies::default(),
            cpu: after
                .zip(before)
                .map(|(after, before)| after.cpu.saturating_sub(before.cpu)),
            resident: after.map(|usage| usage.resident),
        };
        self.number = course.next_number();
        self.drain(&mut course, &mut counters)?;
        Ok(Outcome {
            answers: counters.answers,
            arrivals: counters.arrivals,
            ..outcome
        })
    }

    /// Publishes until a time.
    fn turn(
        &mut self,
        course: &mut Course,
        counters: &mut Counters,
        until: Instant,
        plan: &Plan,
        start: Instant,
        progress: &mut impl FnMut(Progress),
    ) -> Result<()> {
        let whole = (plan.warm_up + plan.time).as_secs_f64();
        let mut heard = Instant::now();
        let mut shown = start;
        loop {
            let now = Instant::now();
            if now >= until {
                return Ok(());
            }
            self.send(course, counters, now)?;
            let pause = course.pause(now).map(|pause| pause.saturating_sub(SPIN));
            if self.wait(course, counters, pause.unwrap_or(TICK).min(until - now).min(TICK))? {
                heard = now;
            } else {
                silence(course, heard, self.clients.len())?;
            }
            if now.duration_since(shown) >= TICK {
                shown = now;
                let part = (now.duration_since(start).as_secs_f64() / whole).min(1.0);
                progress(Progress {
                    part,
                    answered: counters.answered,
                    delivered: counters.delivered,
                });
            }
        }
    }

    /// Sends what is due: what goes over one connection, in one write.
    fn send(&mut self, course: &mut Course, counters: &mut Counters, now: Instant) -> Result<()> {
        while let (Some(request), Some((number, post))) = (&self.request, course.next(now)) {
            self.posts[post].add(request, number);
            self.sending.push(post);
        }
        for post in self.sending.drain(..) {
            let post = &mut self.posts[post];
            post.flush()?;
            while let Some(number) = post.take_sent() {
                counters.answer(course, number);
            }
        }
        Ok(())
    }

    /// Waits for all that is on its way.
    fn drain(&mut self, course: &mut Course, counters: &mut Counters) -> Result<()> {
        let mut heard = Instant::now();
        while course.oldest().is_some() {
            if self.wait(course, counters, TICK)? {
                heard = Instant::now();
            } else {
                silence(course, heard, self.clients.len())?;
            }
        }
        Ok(())
    }

    /// Waits for sockets and takes what they have; whether there was any.
    fn wait(&mut self, course: &mut Course, counters: &mut Counters, time: Duration) -> Result<bool> {
        match self.poll.poll(&mut self.events, Some(time)) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(false),
            other => other.context("cannot wait for sockets")?,
        }
        let mut heard = false;
        for event in &self.events {
            let token = event.token().0;
            if let (Some(client), Some(target)) = (self.clients.get_mut(token), &self.target) {
                let received = client.receive(&mut self.buffer, target, |frame| {
                    heard = true;
                    counters.data(course, &self.mark, self.inflate.payload(frame)?)
                })?;
                counters.received += received.bytes as u64;
            } else if let Some(post) = self.posts.get_mut(token - self.clients.len()) {
                if event.is_writable() {
                    post.flush()?;
                }
                if event.is_readable() {
                    post.receive(&mut self.buffer)?;
                }
                while let Some(number) = post.take_answered()?.or_else(|| post.take_sent()) {
                    heard = true;
                    counters.answer(course, number);
                }
            }
        }
        Ok(heard)
    }

    fn connect(&self, address: SocketAddr, tls: Option<&Tls>, token: Token, interest: Interest) -> Result<Stream> {
        let mut stream = Stream::connect(address, tls)?;
        stream.register(self.poll.registry(), token, interest)?;
        Ok(stream)
    }
}

/// An error once nothing has come for too long.
fn silence(course: &Course, heard: Instant, clients: usize) -> Result<()> {
    let seconds = SILENCE.as_secs();
    match course.oldest() {
        Some((number, missing)) if heard.elapsed() > SILENCE => match missing {
            0 => bail!("the request of event {number} was not answered within {seconds} s"),
            _ => {
                bail!("event {number} has not reached {missing} of {clients} clients, and nothing came for {seconds} s")
            }
        },
        _ => Ok(()),
    }
}

impl Counters {
    /// A payload arrived: each mark in it is an event.
    fn data(&mut self, course: &mut Course, mark: &Finder<'_>, data: &[u8]) -> Result<()> {
        let now = Instant::now();
        for at in mark.find_iter(data) {
            let Some(number) = request::number(&data[at + MARK.len()..]) else {
                continue;
            };
            let intended = course.arrived(number).map_err(anyhow::Error::msg)?;
            self.delivered += 1;
            if intended >= self.from {
                self.arrivals.record(now.saturating_duration_since(intended));
            }
        }
        Ok(())
    }

    fn answer(&mut self, course: &mut Course, number: u64) {
        if let Some(intended) = course.answered(number) {
            self.answered += 1;
            if intended >= self.from {
                self.answers.record(intended.elapsed());
            }
        }
    }
}
