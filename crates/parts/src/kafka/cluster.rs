//! Three Kafkas that are one: each partition has three replicas, and its leader can die.

use std::{fmt::Write as _, fs, path::PathBuf, process::Command};

use anyhow::Context as _;
use tempfile::TempDir;

use super::{SETTINGS, VERSION, format, java, spawn, wait_for_brokers};
use crate::{part, ports::free_ports, process::Process};

/// Number of nodes. Each is broker and controller; one may be away.
const NODES: usize = 3;
/// What differs from one node that is alone. An acknowledged record is on two of them.
const TOGETHER: &str = "\
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
";

/// A running cluster. Dropped, all of it is killed.
pub struct Cluster {
    libraries: PathBuf,
    nodes: Vec<Node>,
}

struct Node {
    /// Before `folder`: it ends before its files go.
    process: Process,
    folder: TempDir,
    port: u16,
}

// ----------------------------------------------------------------------------------------------

impl Cluster {
    /// Starts one; `Ok(None)`, said loudly, where it cannot be had and this is not CI.
    pub fn start_or_say() -> anyhow::Result<Option<Self>> {
        let Some(part) = part::folder("kafka", VERSION)? else {
            return Ok(None);
        };
        let Some(()) = part::or_not_tested("java", part::java())? else {
            return Ok(None);
        };
        let libraries = part.join("libs");
        let ports: [u16; 2 * NODES] = free_ports()?;
        let (ports, controllers) = ports.split_at(NODES);
        let voters: Vec<String> = (1..)
            .zip(controllers)
            .map(|(id, port)| format!("{id}@127.0.0.1:{port}"))
            .collect();
        let mut nodes = Vec::new();
        for (number, port) in ports.iter().enumerate() {
            let folder = tempfile::Builder::new().prefix("sockeye-kafka-").tempdir()?;
            // The last one counts of a setting that is there twice.
            let mut settings = format!("{SETTINGS}{TOGETHER}node.id={}\n", number + 1);
            let controller = controllers[number];
            writeln!(
                settings,
                "listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}"
            )?;
            writeln!(settings, "advertised.listeners=PLAINTEXT://127.0.0.1:{port}")?;
            writeln!(settings, "controller.quorum.voters={}", voters.join(","))?;
            writeln!(settings, "log.dirs={}", folder.path().join("data").display())?;
            let file = folder.path().join("server.properties");
            fs::write(&file, settings)?;
            format(&libraries, &file)?;
            nodes.push(Node {
                process: spawn(&libraries, folder.path(), None)?,
                folder,
                port: *port,
            });
        }
        let cluster = Self { libraries, nodes };
        for node in &cluster.nodes {
            wait_for_brokers(NODES as i32, node.port, &node.process)?;
        }
        Ok(Some(cluster))
    }

    /// `bootstrap.servers`: all of them.
    pub fn bootstrap(&self) -> String {
        let nodes = self.nodes.iter();
        let addresses: Vec<String> = nodes.map(|node| format!("127.0.0.1:{}", node.port)).collect();
        addresses.join(",")
    }

    /// A command that runs one of Kafka's own tools.
    pub fn tool(&self, class: &str) -> Command {
        let mut command = java(&self.libraries);
        command.arg(class);
        command
    }

    /// Ends the node with this id (1 to 3) at once (SIGKILL); its files stay.
    pub fn kill(&mut self, id: usize) -> anyhow::Result<()> {
        self.node(id)?.process.kill()?;
        Ok(())
    }

    /// Starts it again, and waits until it knows the others.
    pub fn start_again(&mut self, id: usize) -> anyhow::Result<()> {
        let libraries = self.libraries.clone();
        let node = self.node(id)?;
        node.process = spawn(&libraries, node.folder.path(), None)?;
        wait_for_brokers(NODES as i32, node.port, &node.process)
    }

    fn node(&mut self, id: usize) -> anyhow::Result<&mut Node> {
        let node = id.checked_sub(1).and_then(|index| self.nodes.get_mut(index));
        node.with_context(|| format!("there is no node {id}"))
    }
}
