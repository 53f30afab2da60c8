//! A server as a child process, on a core of its own.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use sockeye_load::Process;

/// A running child; killed when dropped.
pub struct Server {
    child: Child,
    /// Keeps the pipe open, so that the child can go on writing to it.
    _output: BufReader<ChildStdout>,
    /// The line that it wrote when it was ready.
    pub ready: String,
}

// ----------------------------------------------------------------------------------------------

impl Server {
    /// Starts a command and waits for the first line of output in which these words are. The server runs on the first
    /// core, this thread from then on on the others.
    pub fn start(command: &mut Command, words: &str) -> Result<Self> {
        let (server, load) = cores()?;
        sockeye_load::pin(&server)?;
        let child = command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {command:?}"));
        sockeye_load::pin(&load)?;
        let mut child = child?;
        let mut output = BufReader::new(child.stdout.take().context("the child has no output")?);
        let mut ready = String::new();
        loop {
            ready.clear();
            if output.read_line(&mut ready)? == 0 {
                bail!("{command:?} ended before it was ready: {}", child.wait()?);
            }
            if ready.contains(words) {
                return Ok(Self {
                    child,
                    _output: output,
                    ready: ready.trim().to_owned(),
                });
            }
        }
    }

    /// What it uses.
    pub fn process(&self) -> Result<Process> {
        Process::new(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The core of servers and those of the load; the same one where there is only one.
fn cores() -> Result<(Vec<usize>, Vec<usize>)> {
    static ALL: std::sync::OnceLock<Vec<usize>> = std::sync::OnceLock::new();
    // Asked before this thread was pinned.
    let all = if let Some(all) = ALL.get() {
        all
    } else {
        let all = sockeye_load::cores()?;
        ALL.get_or_init(|| all)
    };
    match all.as_slice() {
        [server, load @ ..] if !load.is_empty() => Ok((vec![*server], load.to_vec())),
        one => Ok((one.to_vec(), one.to_vec())),
    }
}
