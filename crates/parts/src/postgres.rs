//! A PostgreSQL, which can be killed, frozen, and started again on the same port and files; each test has a database of its own.
//!
//! It speaks TLS to whoever asks for it, with a certificate that is made for the run, and wants a password (SCRAM-SHA-256).

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{certificate::Certificate, part, ports::free_ports, process::Process};

/// Whatever Debian has.
const VERSION: &str = "debian";
/// A start takes less than a second; a machine that builds at the same time needs more.
const START: Duration = Duration::from_mins(1);
/// A stop at once, in which clients are cut off.
const STOP: Duration = Duration::from_secs(30);
/// Between two tries to connect, while the process is also watched for its end.
const RETRY: Duration = Duration::from_millis(20);
/// Ports are chosen free, but another process may be quicker.
const TRIES: usize = 3;
/// The user who owns everything there, and its password.
const USER: &str = "sockeye";
const PASSWORD: &str = "sockeye-pw";
/// `nobody` and `nogroup` of Debian: PostgreSQL does not run as root.
const NOBODY: u32 = 65_534;
/// A crash of the machine is not tested, so nothing is synced.
const SETTINGS: &[&str] = &[
    "fsync=off",
    "jit=off",
    "ssl=on",
    "max_connections=300",
    "shared_buffers=16MB",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    // Files of the folder, which go with it.
    "dynamic_shared_memory_type=mmap",
];

/// A running PostgreSQL. Dropped, it is killed and its folder removed.
pub struct Postgres {
    programs: PathBuf,
    /// Before `folder`: it ends before its files go.
    process: Process,
    folder: TempDir,
    port: u16,
    databases: AtomicUsize,
}

// ----------------------------------------------------------------------------------------------

/// The PostgreSQL that the tests of this process share; started by the first that asks. Databases keep tests apart. A test that
/// kills its PostgreSQL starts one of its own.
pub fn shared() -> anyhow::Result<Option<&'static Postgres>> {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = STARTING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(postgres) = SHARED.get() {
        return Ok(Some(postgres));
    }
    Ok(Postgres::start_or_say()?.map(|postgres| SHARED.get_or_init(|| postgres)))
}

impl Postgres {
    /// Starts one of the test's own; `Ok(None)`, said loudly, where it cannot be had and this is not CI.
    pub fn start_or_say() -> anyhow::Result<Option<Self>> {
        let Some(part) = part::folder("postgres", VERSION)? else {
            return Ok(None);
        };
        let mut last = None;
        for _ in 0..TRIES {
            match Self::start_once(&part) {
                Ok(postgres) => return Ok(Some(postgres)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("there was a try"))
    }

    fn start_once(part: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("sockeye-postgres-").tempdir()?;
        let mut part = part.to_owned();
        if rustix::process::geteuid().is_root() {
            // Another user than root may not be able to read root's cache folder.
            let copied = Command::new("cp").arg("-r").arg(&part).arg(folder.path()).output()?;
            ensure!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
            part = folder.path().join(part.file_name().context("a part has a name")?);
            chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
        }
        let programs = programs(&part)?;
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD)?;
        let mut initdb = command(&programs, "initdb");
        initdb
            .args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .arg(format!("--username={USER}"))
            .arg(format!("--pwfile={}", password.display()))
            .arg("-D")
            .arg(folder.path().join("data"));
        as_nobody(&mut initdb);
        let made = initdb.output().context("cannot run initdb")?;
        let said = String::from_utf8_lossy(&made.stderr);
        ensure!(made.status.success(), "a cluster cannot be made: {said}");
        let Certificate { certificate, key } = Certificate::make(folder.path())?;
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        for (from, to) in [(&certificate, "server.crt"), (&key, "server.key")] {
            let to = folder.path().join("data").join(to);
            fs::copy(from, &to)?;
            if rustix::process::geteuid().is_root() {
                chown(&to, Some(NOBODY), Some(NOBODY))?;
            }
        }
        let [port] = free_ports()?;
        let postgres = Self {
            process: spawn(&programs, folder.path(), port)?,
            programs,
            folder,
            port,
            databases: AtomicUsize::new(0),
        };
        postgres.wait_ready()?;
        Ok(postgres)
    }

    /// A new, empty database, as the URL that leads there, password included.
    pub fn database(&self) -> anyhow::Result<String> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.psql(&self.url("postgres"), &format!("CREATE DATABASE {name}"))?;
        Ok(self.url(&name))
    }

    /// Where a database of this name is.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://{USER}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// The port at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate that clients have to trust: of 127.0.0.1 and `localhost`.
    pub fn certificate(&self) -> PathBuf {
        Certificate::at(self.folder.path()).certificate
    }

    /// What `psql` prints for these statements, columns separated by `|`.
    pub fn psql(&self, url: &str, statements: &str) -> anyhow::Result<String> {
        let output = command(&self.programs, "psql")
            .args(["--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-Atc", statements, url])
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "psql failed: {}", said.trim());
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Ends it at once (SIGKILL); its files stay.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        // Its processes for each connection end when they see that it is gone.
        self.process.kill()?;
        ensure!(self.process.wait_end(STOP), "a process of PostgreSQL goes on");
        Ok(())
    }

    /// Lets it, and its processes for each connection, stand still (SIGSTOP): connections stay open, nobody answers.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.process.signal(Signal::STOP)?;
        self.signal_children(Signal::STOP)
    }

    /// Lets it go on after [`Postgres::freeze`].
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.signal_children(Signal::CONT)?;
        self.process.signal(Signal::CONT)
    }

    /// Starts it again after [`Postgres::kill`], on the same port and files.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.process = spawn(&self.programs, self.folder.path(), self.port)?;
        self.wait_ready()
    }

    fn signal_children(&self, signal: Signal) -> anyhow::Result<()> {
        let process = self.process.id();
        let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"))?;
        for child in children.split_whitespace() {
            let pid = Pid::from_raw(child.parse()?).context("0 is no child")?;
            // One that has ended meanwhile takes no signal.
            kill_process(pid, signal).ok();
        }
        Ok(())
    }

    /// Waits until it answers, or ends.
    fn wait_ready(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        loop {
            let Err(missing) = self.psql(&self.url("postgres"), "SELECT 1") else {
                return Ok(());
            };
            if self.process.wait_end(RETRY) {
                bail!("PostgreSQL ended while it started: {}", self.process.last_lines());
            }
            ensure!(
                Instant::now() < deadline,
                "PostgreSQL is not ready after {START:?}: {missing}"
            );
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Asked first, so that it frees what it has of the system's shared memory.
        if self.thaw().and_then(|()| self.process.signal(Signal::QUIT)).is_ok() {
            self.process.wait_end(STOP);
        }
    }
}

/// Where the programs are: Debian has a folder for each version.
fn programs(part: &Path) -> anyhow::Result<PathBuf> {
    let versions = fs::read_dir(part.join("usr/lib/postgresql"))?;
    let version = versions.into_iter().next().context("there is no PostgreSQL")??;
    Ok(version.path().join("bin"))
}

/// One of the programs, which finds its libraries where `scripts/parts` has put those that the system lacks.
fn command(programs: &Path, name: &str) -> Command {
    let mut command = Command::new(programs.join(name));
    let unpacked = programs.ancestors().nth(3).unwrap_or(programs);
    let machine = format!("{}-linux-gnu", std::env::consts::ARCH);
    command
        .env("LD_LIBRARY_PATH", unpacked.join(machine))
        .env("LC_ALL", "C")
        .env("TZ", "GMT")
        // What the user of the tests has set for other servers.
        .env_remove("PGSSLMODE")
        .env_remove("PGOPTIONS")
        .current_dir("/");
    command
}

fn as_nobody(command: &mut Command) {
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
}

fn spawn(programs: &Path, folder: &Path, port: u16) -> anyhow::Result<Process> {
    let mut postgres = command(programs, "postgres");
    postgres.arg("-D").arg(folder.join("data"));
    for setting in SETTINGS {
        postgres.args(["-c", setting]);
    }
    postgres.args(["-c", &format!("port={port}")]);
    as_nobody(&mut postgres);
    // Killed, it would leave a piece of the system's shared memory behind, of which there are few.
    Process::spawn_to_end_by(&mut postgres, Some(folder), "QUIT")
}
