//! The servers of fan-out: the floor, Sockeye, and what others use. Each delivers the same messages to its sockets.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use sockeye_load::{Load, Pace, Plan, Publishing, Target, Template, Tls};
use sockeye_parts::certificate::Certificate;
use tempfile::TempDir;

use crate::{
    process::Server,
    sockeye::{APPLICATION, Sockeye},
};

/// A running server.
pub struct Peer {
    pub name: &'static str,
    pub server: Server,
    pub target: Target,
    publishing: Publishing,
    /// Events come over one connection, each without waiting for the one before; else each has a connection.
    pipelines: bool,
    /// What it needs while it runs.
    _folder: Option<TempDir>,
}

/// A server that could not be had.
pub struct Missing {
    pub name: &'static str,
    pub why: String,
}

pub const FLOOR: &str = "floor";
pub const SOCKEYE: &str = "Sockeye";
pub const UWEBSOCKETS: &str = "uWebSockets (Bun)";
const NATS: &str = "NATS";
const TUNGSTENITE: &str = "tokio-tungstenite";

/// Bytes of a message as it is delivered.
const MESSAGE: usize = 512;
/// Bytes of the header of its frame.
const FRAME_HEADER: usize = 4;

// ----------------------------------------------------------------------------------------------

/// Starts all: the floor and Sockeye must run, of the others it is said why they do not.
pub fn start(sockeye: &Path) -> Result<(Vec<Peer>, Vec<Missing>)> {
    let mut running = vec![own(FLOOR, "floor")?, start_sockeye(sockeye, None)?];
    let mut missing = Vec::new();
    for (name, peer) in [
        (UWEBSOCKETS, start_bun()),
        (NATS, start_nats()),
        (TUNGSTENITE, own(TUNGSTENITE, "tungstenite")),
    ] {
        match peer {
            Ok(peer) => running.push(peer),
            Err(error) => missing.push(Missing {
                name,
                why: format!("{error:#}"),
            }),
        }
    }
    Ok((running, missing))
}

impl Peer {
    /// With so many events in flight.
    pub fn publishing(&self, in_flight: usize) -> Publishing {
        let mut publishing = self.publishing.clone();
        if self.pipelines {
            publishing.pipelined = in_flight;
        } else {
            publishing.connections = in_flight;
        }
        publishing
    }

    /// With clients and publishers that speak TLS.
    pub fn with_tls(mut self, tls: &Tls) -> Self {
        self.target.tls = Some(tls.clone());
        self.publishing.tls = Some(tls.clone());
        self
    }

    /// A server of ours: it takes requests as all servers do that only broadcast.
    pub fn plain(name: &'static str, server: Server, pipelines: bool) -> Result<Self> {
        let address: SocketAddr = server.ready.parse()?;
        let payload = Template::payload(MESSAGE);
        let request = Template::post(address, "/", None, "text/plain", payload.as_bytes());
        let publishing = Publishing::http(address, 1, request);
        Ok(Self {
            name,
            server,
            target: Target::new(address, "/"),
            publishing,
            pipelines,
            _folder: None,
        })
    }
}

fn own(name: &'static str, word: &str) -> Result<Peer> {
    Peer::plain(
        name,
        Server::start(Command::new(std::env::current_exe()?).args(["serve", word]), ":")?,
        true,
    )
}

fn start_bun() -> Result<Peer> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("broadcast.js");
    std::fs::write(&script, include_str!("../peers/broadcast.js"))?;
    let server = Server::start(Command::new(sockeye_parts::peers::bun()?).arg(&script), ":")?;
    Ok(Peer {
        _folder: Some(folder),
        ..Peer::plain(UWEBSOCKETS, server, false)?
    })
}

/// Sockets speak NATS's own protocol within their frames; publishers over TCP, as its clients do.
fn start_nats() -> Result<Peer> {
    let folder = tempfile::tempdir()?;
    let [port, sockets] = free_ports()?;
    let file = folder.path().join("nats.conf");
    std::fs::write(
        &file,
        format!("listen: \"{port}\"\nwebsocket {{ listen: \"{sockets}\", no_tls: true }}\n"),
    )?;
    let program = sockeye_parts::peers::nats()?;
    // It logs to standard error.
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec \"$0\" -c \"$1\" 2>&1"])
        .arg(program)
        .arg(&file);
    let server = Server::start(&mut command, "Server is ready")?;
    let target = Target {
        hello: vec![b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB all 1\r\nPING\r\n".to_vec()],
        ready: Some(b"PONG\r\n".to_vec()),
        ..Target::new(sockets, "/")
    };
    let publishing = Publishing {
        address: port,
        tls: None,
        connections: 1,
        pipelined: 1,
        hello: b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n".to_vec(),
        request: Template::new(format!("PUB all {MESSAGE}\r\n{}\r\n", Template::payload(MESSAGE))),
        answered: false,
    };
    Ok(Peer {
        name: NATS,
        server,
        target,
        publishing,
        pipelines: true,
        _folder: Some(folder),
    })
}

/// Sockeye, over TLS with a certificate and clients that trust it.
pub fn start_sockeye(binary: &Path, tls: Option<(&Certificate, &Tls)>) -> Result<Peer> {
    let sockeye = Sockeye::start_with(binary, tls.map(|(certificate, _)| certificate))?;
    let tls = tls.map(|(_, tls)| tls.clone());
    let target = Target {
        tls: tls.clone(),
        ..Target::new(sockeye.address, format!("/{APPLICATION}"))
    };
    let publishing = |payload| {
        let body = Template::payload(payload);
        let request = sockeye.request("application/json", body.as_bytes());
        Publishing {
            tls: tls.clone(),
            ..Publishing::http(sockeye.address, 1, request)
        }
    };
    // The payload is what the envelope leaves of the message.
    let whole = delivered(&target, publishing(0))?;
    let payload = MESSAGE + Template::payload(0).len() - whole.min(MESSAGE);
    let publishing = publishing(payload);
    let whole = delivered(&target, publishing.clone())?;
    ensure!(whole.abs_diff(MESSAGE) <= 4, "a message of Sockeye has {whole} bytes");
    let (server, folder) = sockeye.into_parts();
    Ok(Peer {
        name: SOCKEYE,
        server,
        target,
        publishing,
        pipelines: false,
        _folder: Some(folder),
    })
}

/// Bytes of a message as it arrives.
fn delivered(target: &Target, publishing: Publishing) -> Result<usize> {
    let mut load = Load::new()?;
    load.open(target.clone(), 1, |_| {})?;
    load.publish(publishing)?;
    let time = Duration::from_millis(100);
    let plan = Plan {
        pace: Pace::WhenArrived,
        reaches: None,
        warm_up: Duration::ZERO,
        time,
        server: None,
    };
    let outcome = load.run(&plan, |_| {})?;
    let frames = usize::try_from(outcome.delivered)?;
    let bytes = usize::try_from(outcome.received)?;
    bytes
        .checked_div(frames)
        .map(|frame| frame - FRAME_HEADER)
        .context("nothing was delivered")
}

/// Addresses that nobody listens on.
fn free_ports() -> Result<[SocketAddr; 2]> {
    let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let [first, second] = &listeners;
    Ok([first.local_addr()?, second.local_addr()?])
}
