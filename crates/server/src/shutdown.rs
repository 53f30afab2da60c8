//! The signals that stop a server.

use std::io;

use tokio::signal::unix::{self, SignalKind};

/// A signal that asks the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// What service managers send.
    Terminate,
}

/// The signals that come to this process, from now on.
pub struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
}

// ----------------------------------------------------------------------------------------------

impl Signals {
    /// Takes the signals over: without this each ends the process.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
        })
    }

    /// The next signal.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
        }
    }
}

impl Signal {
    /// The exit code of a process that the signal has ended, as shells give it: 128 and its number.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}
