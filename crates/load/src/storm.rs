//! Clients that come back all at once, each from its cursor.
//!
//! All are connected and see one event, which gives them their cursors. Then they go away, events are published that nobody
//! sees, and all come back in the same moment to read them. The event that gives the cursors for the next storm is also the
//! proof that the one before has lost and doubled nothing at its end.

use std::{
    io::ErrorKind,
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use mio::{Events, Interest, Poll, Token};
use sockeye_limits as limits;

use crate::{
    load::{SILENCE, TICK},
    outcome::Latencies,
    post::Post,
    process::Process,
    request::{BATCH, Template, payload},
    returning::Returning,
    stream::Stream,
    target::Target,
};

/// Clients that go away and come back, again and again.
pub struct Storms {
    /// What they open, without TLS; its path has no query.
    pub target: Target,
    /// How many they are.
    pub clients: usize,
    /// Events that each misses while it is away.
    pub missed: usize,
    /// Bytes of the payload of an event.
    pub payload: usize,
    /// Makes requests that publish.
    pub publish: Requests,
    /// The server, where it runs on this machine.
    pub server: Option<Process>,
}

/// Makes requests, each from a media type and a body.
pub type Requests = Box<dyn Fn(&str, &[u8]) -> Template + Send>;

/// What happened in all storms but the first one, which warms up.
#[derive(Clone, Debug, Default)]
pub struct Resumed {
    /// Storms.
    pub storms: u64,
    /// Clients that came back and read all that they had missed, without gap and without duplicate.
    pub resumes: u64,
    /// Missed events that they read.
    pub delivered: u64,
    /// Bytes that they received.
    pub received: u64,
    /// From the moment in which all were meant to come back until a client had all that it had missed.
    pub caught_up: Latencies,
    /// From that moment until the last client had all: once per storm.
    pub everybody: Latencies,
    /// CPU time that the server used between these moments, where it is known.
    pub cpu: Option<Duration>,
    /// Resident memory of the server at the end, in bytes, where it is known.
    pub resident: Option<u64>,
}

/// The clients, and one connection that publishes.
struct Crowd {
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    clients: Vec<Returning>,
    /// Number of the next event.
    number: u64,
    /// There while it publishes; its token is behind those of the clients.
    post: Option<Post>,
    /// Requests that were answered on it.
    answered: usize,
    /// Clients whose upgrade is done since they came.
    ready: usize,
    /// When a client had seen all that was published, once for each that has.
    complete: Vec<Instant>,
    received: u64,
}

/// Most events of one request that publishes what is missed.
const BATCH_EVENTS: u64 = 500;
/// Bytes that the envelope adds to a payload in a batch, at most.
const ENVELOPE: usize = 128;

// ----------------------------------------------------------------------------------------------

impl Storms {
    /// Runs storms for this time, and at least two; `progress` is told how much of the time is over, and how many resumes
    /// there were.
    ///
    /// # Errors
    /// A client misses an event or gets one twice, a connection ends, or nothing comes any more.
    pub fn run(&self, time: Duration, mut progress: impl FnMut(f64, u64)) -> Result<Resumed> {
        let mut crowd = Crowd::new(self.clients)?;
        let mut resumed = Resumed::default();
        crowd.come(&self.target)?;
        crowd.wait("is connected", |crowd| crowd.ready)?;
        self.give_cursors(&mut crowd)?;
        // What fills caches does not count.
        self.storm(&mut crowd, &mut Resumed::default())?;
        let start = Instant::now();
        loop {
            self.storm(&mut crowd, &mut resumed)?;
            let part = start.elapsed().as_secs_f64() / time.as_secs_f64().max(f64::MIN_POSITIVE);
            progress(part.min(1.0), resumed.resumes);
            if start.elapsed() >= time {
                break;
            }
        }
        resumed.resident = self
            .server
            .map(|server| server.usage())
            .transpose()?
            .map(|it| it.resident);
        Ok(resumed)
    }

    /// All go away, miss events, come back, and are live again.
    fn storm(&self, crowd: &mut Crowd, resumed: &mut Resumed) -> Result<()> {
        crowd.leave()?;
        crowd.publish(self, self.missed as u64)?;
        let cpu = || self.server.map(|server| anyhow::Ok(server.usage()?.cpu)).transpose();
        let (received, before) = (crowd.received, cpu()?);
        let intended = Instant::now();
        crowd.come(&self.target)?;
        crowd.wait("has caught up", |crowd| crowd.complete.len())?;
        let late = |at: &Instant| at.saturating_duration_since(intended);
        crowd
            .complete
            .iter()
            .map(late)
            .for_each(|late| resumed.caught_up.record(late));
        resumed
            .everybody
            .record(crowd.complete.last().map(late).unwrap_or_default());
        resumed.storms += 1;
        resumed.resumes += self.clients as u64;
        resumed.delivered += (self.clients * self.missed) as u64;
        resumed.received += crowd.received - received;
        let used = cpu()?.zip(before).map(|(after, before)| after.saturating_sub(before));
        resumed.cpu = used.map(|used| resumed.cpu.unwrap_or_default() + used);
        self.give_cursors(crowd)
    }

    /// One event that all see.
    fn give_cursors(&self, crowd: &mut Crowd) -> Result<()> {
        crowd.publish(self, 1)?;
        crowd.wait("has seen a live event", |crowd| crowd.complete.len())
    }

    /// A request with the events of these numbers.
    fn request(&self, numbers: Range<u64>) -> Template {
        let body = Template::batch(numbers.map(|number| payload(number, self.payload)));
        (self.publish)(BATCH, body.as_bytes())
    }
}

impl Resumed {
    /// CPU time of the server for each resume, in microseconds.
    pub fn cpu_per_resume(&self) -> Option<f64> {
        let cpu = self.cpu.filter(|_| self.resumes > 0)?;
        Some(cpu.as_secs_f64() * 1e6 / self.resumes as f64)
    }
}

impl Crowd {
    fn new(clients: usize) -> Result<Self> {
        Ok(Self {
            poll: Poll::new().context("cannot wait for sockets")?,
            events: Events::with_capacity(limits::KIB),
            buffer: vec![0; 4 * limits::WS_WRITE_CHUNK],
            clients: (0..clients).map(|_| Returning::new(0)).collect(),
            number: 0,
            post: None,
            answered: 0,
            ready: 0,
            complete: Vec::with_capacity(clients),
            received: 0,
        })
    }

    /// All connect, in one moment.
    fn come(&mut self, target: &Target) -> Result<()> {
        self.ready = 0;
        for (number, client) in self.clients.iter_mut().enumerate() {
            client.come(target, self.poll.registry(), Token(number))?;
        }
        Ok(())
    }

    fn leave(&mut self) -> Result<()> {
        self.clients.iter_mut().try_for_each(Returning::leave)
    }

    /// Publishes so many events, over one connection so that their order is that of their numbers. Returns when all are
    /// answered.
    fn publish(&mut self, storms: &Storms, events: u64) -> Result<()> {
        let address = storms.target.address;
        let mut stream = Stream::connect(address, None)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        stream.register(self.poll.registry(), Token(self.clients.len()), both)?;
        self.post = Some(Post::new(stream, &[], true));
        self.complete.clear();
        let last = self.number + events;
        let most = BATCH_EVENTS.min((limits::EVENT_BATCH / (storms.payload + ENVELOPE)) as u64);
        while self.number < last {
            let numbers = self.number..last.min(self.number + most.max(1));
            let request = storms.request(numbers.clone());
            self.answered = 0;
            if let Some(post) = &mut self.post {
                post.add(&request, numbers.start);
                post.flush()?;
            }
            // Before the first client can see the last event.
            self.number = numbers.end;
            let mut heard = Instant::now();
            while self.answered == 0 {
                if self.turn()? {
                    heard = Instant::now();
                } else if heard.elapsed() > SILENCE {
                    bail!(
                        "a request that publishes was not answered within {} s",
                        SILENCE.as_secs()
                    );
                }
            }
        }
        self.post = None;
        Ok(())
    }

    /// Waits until so many clients as there are have done something; who has not is named after a long silence.
    fn wait(&mut self, what: &str, done: impl Fn(&Self) -> usize) -> Result<()> {
        let mut heard = Instant::now();
        loop {
            let missing = self.clients.len() - done(self);
            if missing == 0 {
                return Ok(());
            } else if self.turn()? {
                heard = Instant::now();
            } else if heard.elapsed() > SILENCE {
                let next = self.clients.iter().map(Returning::next).min().unwrap_or_default();
                bail!(
                    "not every client {what}: {missing} of {} are missing, the last one waits for event {next} of {}, and \
                     nothing came for {} s",
                    self.clients.len(),
                    self.number,
                    SILENCE.as_secs()
                );
            }
        }
    }

    /// Waits for sockets and takes what they have; whether there was any.
    fn turn(&mut self) -> Result<bool> {
        match self.poll.poll(&mut self.events, Some(TICK)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(false),
            other => other.context("cannot wait for sockets")?,
        }
        for event in &self.events {
            let token = event.token().0;
            if let Some(client) = self.clients.get_mut(token) {
                let before = client.next();
                let step = client
                    .step(&mut self.buffer)
                    .with_context(|| format!("client {token}"))?;
                self.received += step.bytes as u64;
                self.ready += usize::from(step.ready);
                if before < self.number && client.next() == self.number {
                    self.complete.push(Instant::now());
                }
            } else if let Some(post) = &mut self.post {
                if event.is_writable() {
                    post.flush()?;
                }
                if event.is_readable() {
                    post.receive(&mut self.buffer)?;
                }
                while post.take_answered()?.is_some() {
                    self.answered += 1;
                }
            }
        }
        Ok(!self.events.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
        thread,
    };

    use super::*;

    /// The head of the next request; a body is left out by its length.
    fn head(stream: &mut TcpStream) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        stream
            .read_exact(&mut vec![0; length.map_or(0, |length| length.parse().unwrap())])
            .unwrap();
        head
    }

    fn upgrade(listener: &TcpListener, from: &str) -> TcpStream {
        let mut client = listener.accept().unwrap().0;
        let head = head(&mut client);
        assert!(head.starts_with(&format!("GET /app?cursor=true{from} HTTP")), "{head}");
        client.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").unwrap();
        client
    }

    /// A request that publishes; its connection stays open.
    fn accept(listener: &TcpListener) -> TcpStream {
        let mut post = listener.accept().unwrap().0;
        head(&mut post);
        post.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
        post
    }

    fn give(client: &mut TcpStream, number: u64) {
        let event = format!(r#"{{"cursor":"C{number}","data":{}}}"#, payload(number, 0));
        let head = [0x81, u8::try_from(event.len()).unwrap()];
        assert!(event.len() < 126);
        client.write_all(&[&head[..], event.as_bytes()].concat()).unwrap();
    }

    /// One client that misses two events of a server that gives it these when it comes back, and then this live one.
    fn storm(missed: &'static [u64], live: u64) -> Result<Resumed> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::new(listener.local_addr().unwrap(), "/app");
        let server = thread::spawn(move || {
            let mut client = upgrade(&listener, "");
            let _live = accept(&listener);
            give(&mut client, 0);
            let _missed = accept(&listener);
            let mut client = upgrade(&listener, "&from=C0");
            for number in missed {
                give(&mut client, *number);
            }
            let _live = accept(&listener);
            give(&mut client, live);
            // Keeps the connection until the load has read.
            let _ = client.read(&mut [0]);
        });
        let address = target.address;
        let storms = Storms {
            target,
            clients: 1,
            missed: 2,
            payload: 0,
            publish: Box::new(move |kind, body| Template::post(address, "/v1/c", None, kind, body)),
            server: None,
        };
        let mut crowd = Crowd::new(1)?;
        let mut resumed = Resumed::default();
        crowd.come(&storms.target)?;
        crowd.wait("is connected", |crowd| crowd.ready)?;
        storms.give_cursors(&mut crowd)?;
        storms.storm(&mut crowd, &mut resumed)?;
        crowd.leave()?;
        server.join().unwrap();
        Ok(resumed)
    }

    #[test]
    fn a_client_that_reads_all_that_it_missed_is_counted() {
        let resumed = storm(&[1, 2], 3).unwrap();
        assert_eq!((resumed.storms, resumed.resumes, resumed.delivered), (1, 1, 2));
        assert_eq!((resumed.caught_up.count(), resumed.everybody.count()), (1, 1));
        assert!(resumed.received > 100, "{resumed:?}");
    }

    #[test]
    fn a_server_that_loses_or_doubles_events_is_found_out() {
        for (missed, live, says) in [
            (&[2][..], 3, "a gap: event 2 came where 1 was due"),
            (&[1, 1], 3, "a duplicate: event 1 came where 2 was due"),
            (&[1, 2], 2, "a duplicate: event 2 came where 3 was due"),
            (&[0, 1, 2], 3, "a duplicate: event 0 came where 1 was due"),
        ] {
            let error = storm(missed, live).unwrap_err();
            assert!(format!("{error:#}").contains(says), "{error:#}");
        }
    }
}
