//! A Kafka of one node (KRaft), which can be killed and started again on the same ports and files; or of three, in `cluster.rs`.

mod cluster;

use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{certificate::Certificate, disk::Disk, keycloak::Realm, part, ports::free_ports, process::Process};

pub use cluster::Cluster;

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
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,TLS:SSL,MUTUAL:SSL,SASL:SASL_SSL,OIDC:SASL_SSL
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

/// Who may enter by SASL: this user with this password, by PLAIN and SCRAM.
pub const USER: &str = "sockeye";
/// See [`USER`].
pub const PASSWORD: &str = "sockeye-pw";
/// Settings of listeners that are not open to everybody; files are added.
const SECURED: &str = "\
ssl.keystore.type=PEM
ssl.truststore.type=PEM
listener.name.mutual.ssl.client.auth=required
listener.name.sasl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
";
/// Settings of the listener for tokens of a provider; the provider is added. A connection ends with its token, unless another is
/// shown before (KIP-368).
const TOKENS: &str = "\
listener.name.oidc.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.oidc.oauthbearer.connections.max.reauth.ms=3600000
listener.name.oidc.oauthbearer.sasl.server.callback.handler.class=\
org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler
listener.name.oidc.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
";

/// A running Kafka. Dropped, it is killed and its folder removed.
pub struct Kafka {
    libraries: PathBuf,
    /// Before `folder`: it ends before its files go.
    process: Process,
    disk: Option<Disk>,
    folder: TempDir,
    port: u16,
    secured: Secured,
    realm: Option<Realm>,
}

/// For whom it is.
#[derive(Clone, Copy)]
enum Kind<'a> {
    /// Everybody.
    Open,
    /// Also for those that come with certificates, passwords, and tokens of this realm.
    Secured(Option<&'a Realm>),
    /// Those that come through this port. Its files are on a small disk, where one may be had.
    Behind(u16),
}

/// The small disk: some segments, and indexes of which hardly anything is used.
const DISK: &str = "256m";

/// Ports of further listeners; 0 where there is none.
#[derive(Clone, Copy, Debug, Default)]
struct Secured {
    tls: u16,
    mutual: u16,
    sasl: u16,
    oidc: u16,
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
        Self::start_of_kind(Kind::Open)
    }

    /// As [`Kafka::start_or_say`], for clients that come through another port of this machine: it tells them to come there, also
    /// those that come to its own. Its [`Kafka::disk`] can be full.
    pub fn start_behind(port: u16) -> anyhow::Result<Option<Self>> {
        Self::start_of_kind(Kind::Behind(port))
    }

    /// As [`Kafka::start_or_say`], with listeners that want TLS, a certificate, or a password. They trust, and are trusted by, the
    /// certificate of [`Kafka::certificate`].
    pub fn start_secured() -> anyhow::Result<Option<Self>> {
        Self::start_of_kind(Kind::Secured(None))
    }

    /// As [`Kafka::start_secured`], and for who has a token that this realm gave for the audience `account`.
    pub fn start_for_tokens(realm: &Realm) -> anyhow::Result<Option<Self>> {
        Self::start_of_kind(Kind::Secured(Some(realm)))
    }

    fn start_of_kind(kind: Kind<'_>) -> anyhow::Result<Option<Self>> {
        let Some(part) = part::folder("kafka", VERSION)? else {
            return Ok(None);
        };
        let Some(()) = part::or_not_tested("java", part::java())? else {
            return Ok(None);
        };
        let libraries = part.join("libs");
        let mut last = None;
        for _ in 0..TRIES {
            match Self::start_once(&libraries, kind) {
                Ok(kafka) => return Ok(Some(kafka)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("there was a try"))
    }

    fn start_once(libraries: &Path, kind: Kind<'_>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("sockeye-kafka-").tempdir()?;
        let [port, controller, tls, mutual, sasl, oidc] = free_ports()?;
        let mut settings = SETTINGS.to_owned();
        let mut listeners = format!("PLAINTEXT://127.0.0.1:{port}");
        let mut secured = Secured::default();
        if let Kind::Secured(realm) = kind {
            write!(
                listeners,
                ",TLS://127.0.0.1:{tls},MUTUAL://127.0.0.1:{mutual},SASL://127.0.0.1:{sasl}"
            )?;
            let Certificate { certificate, key } = Certificate::make(folder.path())?;
            let both = folder.path().join("server.pem");
            fs::write(&both, fs::read_to_string(key)? + &fs::read_to_string(&certificate)?)?;
            settings.push_str(SECURED);
            writeln!(settings, "ssl.keystore.location={}", both.display())?;
            writeln!(settings, "ssl.truststore.location={}", certificate.display())?;
            writeln!(
                settings,
                "listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
                 user_{USER}=\"{PASSWORD}\";"
            )?;
            secured = Secured {
                tls,
                mutual,
                sasl,
                oidc,
            };
            if let Some(realm) = realm {
                write!(listeners, ",OIDC://127.0.0.1:{oidc}")?;
                settings.push_str(TOKENS);
                for (name, value) in [
                    ("jwks.endpoint.url", realm.keys()),
                    ("expected.issuer", realm.issuer()),
                    ("expected.audience", "account".to_owned()),
                ] {
                    writeln!(
                        settings,
                        "listener.name.oidc.oauthbearer.sasl.oauthbearer.{name}={value}"
                    )?;
                }
            }
        }
        writeln!(settings, "listeners={listeners},CONTROLLER://127.0.0.1:{controller}")?;
        match kind {
            Kind::Behind(other) => writeln!(settings, "advertised.listeners=PLAINTEXT://127.0.0.1:{other}")?,
            _ => writeln!(settings, "advertised.listeners={listeners}")?,
        }
        writeln!(settings, "controller.quorum.voters=1@127.0.0.1:{controller}")?;
        let data = folder.path().join("data");
        fs::create_dir(&data)?;
        let disk = match kind {
            Kind::Behind(_) => Disk::mount(&data, DISK)?,
            _ => None,
        };
        writeln!(settings, "log.dirs={}", data.display())?;
        let file = folder.path().join("server.properties");
        fs::write(&file, settings)?;
        format(libraries, &file)?;
        let realm = match kind {
            Kind::Secured(realm) => realm,
            Kind::Open | Kind::Behind(_) => None,
        };
        let process = spawn(libraries, folder.path(), realm)?;
        let kafka = Self {
            libraries: libraries.to_owned(),
            process,
            disk,
            folder,
            port,
            secured,
            realm: realm.cloned(),
        };
        kafka.wait_ready()?;
        Ok(kafka)
    }

    /// `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `bootstrap.servers` that speak TLS; of [`Kafka::start_secured`], as the next ones.
    pub fn bootstrap_tls(&self) -> String {
        format!("127.0.0.1:{}", self.secured.tls)
    }

    /// Those that want a certificate of the client.
    pub fn bootstrap_mutual(&self) -> String {
        format!("127.0.0.1:{}", self.secured.mutual)
    }

    /// Those that speak TLS and want a password.
    pub fn bootstrap_sasl(&self) -> String {
        format!("127.0.0.1:{}", self.secured.sasl)
    }

    /// Those that speak TLS and want a token of the provider; of [`Kafka::start_for_tokens`].
    pub fn bootstrap_oidc(&self) -> String {
        format!("127.0.0.1:{}", self.secured.oidc)
    }

    /// Its own port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its files are, if that is a disk of its own.
    pub fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref()
    }

    /// The certificate of its listeners, which is also one by which clients may show who they are.
    pub fn certificate(&self) -> Certificate {
        Certificate::at(self.folder.path())
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

    /// Lets it stand still (SIGSTOP): connections stay open, nobody answers.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.process.signal(Signal::STOP)
    }

    /// Lets it go on after [`Kafka::freeze`].
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.process.signal(Signal::CONT)
    }

    /// Starts it again after [`Kafka::kill`] or [`Kafka::stop`], on the same ports and files.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.process = spawn(&self.libraries, self.folder.path(), self.realm.as_ref())?;
        self.wait_ready()
    }

    /// Waits until it answers with a living broker, or ends.
    fn wait_ready(&self) -> anyhow::Result<()> {
        wait_for_brokers(1, self.port, &self.process)
    }
}

/// Waits until the node at this port knows so many living brokers, or ends.
fn wait_for_brokers(wanted: i32, port: u16, process: &Process) -> anyhow::Result<()> {
    let deadline = Instant::now() + START;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    loop {
        let missing = match brokers(address) {
            Ok(known) if known >= wanted => return Ok(()),
            Ok(known) => format!("it knows {known} brokers of {wanted}"),
            Err(error) => error.to_string(),
        };
        if process.wait_end(RETRY) {
            bail!("Kafka ended while it started: {}", process.last_lines());
        }
        ensure!(
            Instant::now() < deadline,
            "Kafka is not ready after {START:?}: {missing}"
        );
    }
}

/// Makes an empty storage for a node with these settings, and a user.
fn format(libraries: &Path, settings: &Path) -> anyhow::Result<()> {
    // Any 16 bytes in URL-safe base64 are a cluster id; who finds each other is told by the settings.
    const CLUSTER: &str = "c29ja2V5ZS1wYXJ0cy0tMQ";
    let mut command = java(libraries);
    command.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"]);
    command.arg(settings);
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let user = format!("{mechanism}=[name={USER},password={PASSWORD}]");
        command.args(["--add-scram", &user]);
    }
    let made = command.output()?;
    let said = String::from_utf8_lossy(&made.stderr);
    ensure!(made.status.success(), "Kafka's storage cannot be formatted: {said}");
    Ok(())
}

fn java(libraries: &Path) -> Command {
    let mut command = Command::new("java");
    command.args(JAVA).arg("-cp").arg(libraries.join("*"));
    command
}

/// It asks nobody but this realm for keys.
fn spawn(libraries: &Path, folder: &Path, realm: Option<&Realm>) -> anyhow::Result<Process> {
    let mut command = java(libraries);
    if let Some(realm) = realm {
        command.arg(format!(
            "-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={}",
            realm.keys()
        ));
    }
    command.arg("kafka.Kafka").arg(folder.join("server.properties"));
    Process::spawn_with_folder(&mut command, Some(folder))
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
