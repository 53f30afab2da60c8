//! A Kafka of one node (KRaft), which can be killed and started again on the same ports and files.

use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

use crate::{part, process::Process};

/// The version that `scripts/parts` fetches.
const VERSION: &str = "4.3.1";
/// A start takes 2 to 3 s; a machine that builds at the same time needs more.
const START: Duration = Duration::from_mins(1);
/// A stop in order.
const STOP: Duration = Duration::from_secs(30);
/// Between two tries to connect, while the process is also watched for its end.
const RETRY: Duration = Duration::from_millis(20);
/// Ports are chosen free, but another process may be quicker.
const TRIES: usize = 3;
/// Small, and quick to start: one core of a small machine is enough.
const JAVA: &[&str] = &["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
/// Settings for one node that is quick; those with ports and folders are added. What users' brokers do by default (topics
/// made automatically) stays on.
const SETTINGS: &str = "\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=250
broker.session.timeout.ms=1500
";

/// A running Kafka. Dropped, it is killed and its folder removed.
pub struct Kafka {
    libraries: PathBuf,
    /// Before `folder`: it ends before its files go.
    process: Process,
    folder: TempDir,
    port: u16,
}

// ----------------------------------------------------------------------------------------------

/// The Kafka that the tests of this process share; started by the first that asks. Topics keep tests apart. A test that
/// kills its Kafka starts one of its own.
pub fn shared() -> anyhow::Result<Option<&'static Kafka>> {
    static SHARED: OnceLock<Kafka> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = STARTING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(kafka) = SHARED.get() {
        return Ok(Some(kafka));
    }
    Ok(Kafka::start_or_say()?.map(|kafka| SHARED.get_or_init(|| kafka)))
}

impl Kafka {
    /// Starts one of the test's own; an error where it cannot be had.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_or_say()?.context("Kafka cannot be had")
    }

    /// As [`Kafka::start`]; `Ok(None)`, said loudly, where it cannot be had and this is not CI.
    pub fn start_or_say() -> anyhow::Result<Option<Self>> {
        let Some(part) = part::folder("kafka", VERSION)? else {
            return Ok(None);
        };
        let Some(()) = part::or_not_tested("java", part::java())? else {
            return Ok(None);
        };
        let libraries = part.join("libs");
        let mut last = None;
        for _ in 0..TRIES {
            match Self::start_once(&libraries) {
                Ok(kafka) => return Ok(Some(kafka)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("there was a try"))
    }

    fn start_once(libraries: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("sockeye-kafka-").tempdir()?;
        let (port, controller) = free_ports()?;
        let mut settings = SETTINGS.to_owned();
        writeln!(
            settings,
            "listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}"
        )?;
        writeln!(settings, "advertised.listeners=PLAINTEXT://127.0.0.1:{port}")?;
        writeln!(settings, "controller.quorum.voters=1@127.0.0.1:{controller}")?;
        writeln!(settings, "log.dirs={}", folder.path().join("data").display())?;
        let file = folder.path().join("server.properties");
        fs::write(&file, settings)?;
        // Any 16 bytes in URL-safe base64 are a cluster id; each node here is a cluster of its own.
        let format = java(libraries)
            .args([
                "kafka.tools.StorageTool",
                "format",
                "-t",
                "c29ja2V5ZS1wYXJ0cy0tMQ",
                "-c",
            ])
            .arg(&file)
            .output()?;
        let said = String::from_utf8_lossy(&format.stderr);
        ensure!(format.status.success(), "Kafka's storage cannot be formatted: {said}");
        let process = spawn(libraries, folder.path())?;
        let kafka = Self {
            libraries: libraries.to_owned(),
            process,
            folder,
            port,
        };
        kafka.wait_ready()?;
        Ok(kafka)
    }

    /// `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A command that runs one of Kafka's own tools, for instance `org.apache.kafka.tools.TopicCommand`.
    pub fn tool(&self, class: &str) -> Command {
        let mut command = java(&self.libraries);
        command.arg(class);
        command
    }

    /// Ends it at once (SIGKILL); its files stay.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        Ok(())
    }

    /// Ends it in order (SIGTERM); its files stay.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.process.terminate(STOP)?;
        Ok(())
    }

    /// Starts it again after [`Kafka::kill`] or [`Kafka::stop`], on the same ports and files.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.process = spawn(&self.libraries, self.folder.path())?;
        self.wait_ready()
    }

    /// Waits until it answers with a living broker, or ends.
    fn wait_ready(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        loop {
            let missing = match brokers(address) {
                Ok(1..) => return Ok(()),
                Ok(_) => "it knows no broker yet".to_owned(),
                Err(error) => error.to_string(),
            };
            if self.process.wait_end(RETRY) {
                bail!("Kafka ended while it started: {}", self.process.last_lines());
            }
            ensure!(
                Instant::now() < deadline,
                "Kafka is not ready after {START:?}: {missing}"
            );
        }
    }
}

fn java(libraries: &Path) -> Command {
    let mut command = Command::new("java");
    command.args(JAVA).arg("-cp").arg(libraries.join("*"));
    command
}

fn spawn(libraries: &Path, folder: &Path) -> anyhow::Result<Process> {
    let mut command = java(libraries);
    command.arg("kafka.Kafka").arg(folder.join("server.properties"));
    Process::spawn_with_folder(&mut command, Some(folder))
}

/// Two ports that are free now.
fn free_ports() -> anyhow::Result<(u16, u16)> {
    let one = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let two = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok((one.local_addr()?.port(), two.local_addr()?.port()))
}

/// How many living brokers the node at this address knows: a Metadata request, version 5, without topics. An open port is
/// not enough: it opens before the broker may lead partitions.
fn brokers(address: SocketAddr) -> std::io::Result<i32> {
    const METADATA: [u8; 21] = [
        0, 0, 0, 17, // length of what follows
        0, 3, 0, 5, // Metadata, version 5
        0, 0, 0, 1, // correlation id
        0, 2, b'u', b'p', // client id
        0, 0, 0, 0, // topics: none
        0, // no topic is made automatically
    ];
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(START))?;
    stream.write_all(&METADATA)?;
    // Length, correlation id, throttle time, number of brokers.
    let mut answer = [0; 16];
    stream.read_exact(&mut answer)?;
    let [.., a, b, c, d] = answer;
    Ok(i32::from_be_bytes([a, b, c, d]))
}
