//! A process that a test runs: its lines, its signals. It never outlives the tests.

use std::{
    collections::{BTreeSet, VecDeque},
    fs,
    io::{BufRead as _, BufReader, Read},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Lines that are kept for [`Process::wait_line`] and for error messages; older ones are dropped.
const LINES: usize = 2_000;
/// Longest line that is kept whole, in bytes; what follows is a line of its own.
const LINE: u64 = 64 * 1024;
/// A killed process is waited for this long.
const END: Duration = Duration::from_secs(10);

/// A running program and what it has printed, on standard output and standard error. Dropped, it is killed.
///
/// A guard (a small shell) kills it if the tests end in another way, killed themselves or with the process in a `static`.
pub struct Process {
    child: Child,
    guard: Child,
    printed: Arc<Printed>,
}

/// What the reading threads share with who waits.
#[derive(Default)]
struct Printed {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Default)]
struct Lines {
    /// Not yet looked at by `wait_line`.
    new: VecDeque<String>,
    /// Looked at.
    old: VecDeque<String>,
    /// Streams that have ended; of two.
    ended: usize,
}

// ----------------------------------------------------------------------------------------------

impl Process {
    /// Starts a program; its standard input is empty.
    pub fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        Self::spawn_with_folder(command, None)
    }

    /// As [`Process::spawn`]; if the tests end without dropping the process, the guard removes this folder after it.
    pub fn spawn_with_folder(command: &mut Command, folder: Option<&Path>) -> anyhow::Result<Self> {
        Self::spawn_to_end_by(command, folder, "KILL")
    }

    /// As [`Process::spawn_with_folder`]; the guard lets it end by this signal first, as it leaves something behind otherwise.
    pub fn spawn_to_end_by(command: &mut Command, folder: Option<&Path>, signal: &str) -> anyhow::Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        let guard = match guard(&child, folder, signal) {
            Ok(guard) => guard,
            Err(error) => {
                child.kill()?;
                child.wait()?;
                return Err(error);
            }
        };
        let printed = Arc::<Printed>::default();
        collect(child.stdout.take().expect("it is piped"), printed.clone());
        collect(child.stderr.take().expect("it is piped"), printed.clone());
        Ok(Self { child, guard, printed })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that `wanted` accepts; the lines before it are passed over. An error if the process ends first, or
    /// none comes within `patience`.
    pub fn wait_line(&mut self, patience: Duration, mut wanted: impl FnMut(&str) -> bool) -> anyhow::Result<String> {
        let deadline = Instant::now() + patience;
        let printed = self.printed.clone();
        let mut lines = printed.lock();
        loop {
            while let Some(line) = lines.new.pop_front() {
                let found = wanted(&line).then(|| line.clone());
                lines.keep_old(line);
                if let Some(line) = found {
                    return Ok(line);
                }
            }
            if lines.ended == 2 {
                bail!(
                    "the process ended before it printed that line; its last lines:\n{}",
                    lines.last()
                );
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("no such line within {patience:?}; the last lines:\n{}", lines.last());
            }
            lines = printed.more.wait_timeout(lines, left).expect("no reader panics").0;
        }
    }

    /// Waits until the process has closed its output, which it does when it ends; `false` if it goes on for `patience`.
    pub fn wait_end(&self, patience: Duration) -> bool {
        let lines = self.printed.lock();
        let (lines, _) = self
            .printed
            .more
            .wait_timeout_while(lines, patience, |lines| lines.ended < 2)
            .expect("no reader panics");
        lines.ended == 2
    }

    /// The last lines, for messages.
    pub fn last_lines(&self) -> String {
        self.printed.lock().last()
    }

    /// Asks it to end (SIGTERM) and waits.
    pub fn terminate(&mut self, patience: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        if !self.wait_end(patience) {
            bail!(
                "the process goes on {patience:?} after SIGTERM; the last lines:\n{}",
                self.last_lines()
            );
        }
        Ok(self.child.wait()?)
    }

    /// Ends it at once (SIGKILL) and waits.
    pub fn kill(&mut self) -> anyhow::Result<ExitStatus> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    /// Sends a signal; one that has ended takes none.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).with_context(|| format!("cannot signal process {pid}"))
    }
}

/// Connections of the process of this id to a port of this machine, as the system says (proc(5)).
pub fn connections(pid: u32, port: u16) -> anyhow::Result<usize> {
    let mut sockets = BTreeSet::new();
    for file in fs::read_dir(format!("/proc/{pid}/fd"))? {
        // It may be closed meanwhile.
        if let Ok(link) = fs::read_link(file?.path())
            && let Some(inode) = link.to_string_lossy().strip_prefix("socket:[")
        {
            sockets.insert(inode.trim_end_matches(']').to_owned());
        }
    }
    // Of each line: number, own and other address, state (01: established), ..., the inode in the tenth place.
    let port = format!(":{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp")?;
    let fields = table.lines().skip(1).map(|line| line.split_whitespace().collect());
    let is_one = |fields: &Vec<&str>| fields[2].ends_with(&port) && fields[3] == "01" && sockets.contains(fields[9]);
    Ok(fields.filter(is_one).count())
}

impl Drop for Process {
    fn drop(&mut self) {
        // The guard first: once the process is waited for, its id may become another's.
        self.guard.kill().ok();
        self.guard.wait().ok();
        self.child.kill().ok();
        self.child.wait().ok();
        self.wait_end(END);
    }
}

/// Waits for the end of its standard input, which this process holds, and then kills the child.
fn guard(child: &Child, folder: Option<&Path>, signal: &str) -> anyhow::Result<Child> {
    // What dies may still make files: the folder is removed until it is gone.
    const WATCH: &str = r#"trap "" INT TERM HUP; read -r _; kill -s "$3" "$1"
        for try in 1 2 3 4 5; do kill -0 "$1" || break; sleep 0.2; done; kill -9 "$1"; [ -n "$2" ] || exit 0
        for try in 1 2 3 4 5; do rm -rf "$2"; [ -e "$2" ] || exit 0; sleep 0.2; done"#;
    let mut guard = Command::new("sh");
    guard
        .args(["-c", WATCH, "guard", &child.id().to_string()])
        .arg(folder.unwrap_or(Path::new("")))
        .arg(signal);
    // The pipe stays in `Child::stdin`; no other child inherits it (std opens it with CLOEXEC).
    guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    guard.spawn().context("cannot start the guard of a process")
}

fn collect(stream: impl Read + Send + 'static, printed: Arc<Printed>) {
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        loop {
            let mut line = Vec::new();
            let end = !matches!((&mut stream).take(LINE).read_until(b'\n', &mut line), Ok(1..));
            let mut lines = printed.lock();
            if end {
                lines.ended += 1;
            } else {
                lines
                    .new
                    .push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
                if lines.new.len() > LINES {
                    let oldest = lines.new.pop_front().expect("there are many");
                    lines.keep_old(oldest);
                }
            }
            printed.more.notify_all();
            if end {
                return;
            }
        }
    });
}

impl Printed {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().expect("no reader panics")
    }
}

impl Lines {
    fn keep_old(&mut self, line: String) {
        self.old.push_back(line);
        if self.old.len() > LINES {
            self.old.pop_front();
        }
    }

    fn last(&self) -> String {
        const LAST: usize = 40;
        let all: Vec<&str> = self.old.iter().chain(&self.new).map(String::as_str).collect();
        all[all.len().saturating_sub(LAST)..].join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn lines_are_waited_for() {
        let mut process = Process::spawn(&mut shell("echo one; echo two >&2; echo three; exec sleep 1000")).unwrap();
        assert_eq!(
            process.wait_line(PATIENCE, |line| line.starts_with("th")).unwrap(),
            "three"
        );
        let error = process.wait_line(Duration::ZERO, |line| line == "four").unwrap_err();
        assert!(error.to_string().contains("three"), "{error}");
        process.kill().unwrap();
        let error = process.wait_line(PATIENCE, |line| line == "four").unwrap_err();
        assert!(error.to_string().contains("ended"), "{error}");
    }

    #[test]
    fn a_process_may_end_in_order() {
        let script = "trap 'echo ending; exit 3' TERM; echo ready; while true; do sleep 0.01; done";
        let mut process = Process::spawn(&mut shell(script)).unwrap();
        process.wait_line(PATIENCE, |line| line == "ready").unwrap();
        assert_eq!(process.terminate(PATIENCE).unwrap().code(), Some(3));
        assert!(process.last_lines().contains("ending"));
    }

    #[test]
    fn a_process_does_not_outlive_the_tests() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        fs::create_dir(&path).unwrap();
        let mut process = Process::spawn_with_folder(&mut shell("exec sleep 1000"), Some(&path)).unwrap();
        // What the end of this process would do: the guard's standard input ends.
        drop(process.guard.stdin.take());
        assert!(process.wait_end(PATIENCE), "the guard kills it");
        process.guard.wait().unwrap();
        assert!(!path.exists(), "the guard removes its folder");
    }
}
