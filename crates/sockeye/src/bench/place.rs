//! The server that is measured, and an application in it for this run only.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use reqwest::Method;
use rustls::pki_types::ServerName;
use sockeye_load::{Process, Publishing, Requests, Target, Template, Tls};
use sockeye_server::KEY_FILE;
use tempfile::TempDir;
use url::Url;

use super::{BenchArgs, Work};
use crate::{
    app,
    client::{AddressArgs, Client, ServerArgs, endpoint},
    device,
    trust::Trust,
};

/// A server, with an application and a device for this run.
pub struct Place {
    pub address: SocketAddr,
    pub process: Option<Process>,
    tls: Option<Tls>,
    url: Url,
    client: Client,
    application: String,
    password: String,
    /// Ends when dropped.
    started: Option<Started>,
}

/// A server that was started for this run.
struct Started {
    child: Child,
    /// Open, so that the server can write.
    output: BufReader<ChildStdout>,
    /// Removed behind the server.
    folder: TempDir,
}

const DEVICE: &str = "bench";
const CHANNEL: &str = "bench";

// ----------------------------------------------------------------------------------------------

impl Place {
    pub async fn open(args: &BenchArgs) -> Result<Self> {
        let (started, server) = if let Some(url) = &args.url {
            let (key, key_file) = (args.key.clone(), args.key_file.clone());
            (
                None,
                ServerArgs {
                    address: AddressArgs {
                        url: url.clone(),
                        ca: args.ca.clone(),
                    },
                    key,
                    key_file,
                },
            )
        } else {
            let (started, url) = Started::start()?;
            let key_file = Some(started.folder.path().join("data").join(KEY_FILE));
            (
                Some(started),
                ServerArgs {
                    address: AddressArgs { url, ca: None },
                    key: None,
                    key_file,
                },
            )
        };
        let url = server.address.url.clone();
        let host = url.host_str().context("--url has no host")?.trim_matches(['[', ']']);
        let tls = match (url.scheme(), &args.work) {
            ("http", _) => None,
            ("https", Work::Resume { .. }) => {
                bail!("clients that come back speak plain HTTP only: --url must start with http://")
            }
            ("https", _) => Some(Tls {
                config: Trust::read(args.ca.as_deref())?.config()?,
                name: ServerName::try_from(host.to_owned())
                    .with_context(|| format!("{host} is no name of a server"))?,
            }),
            (other, _) => bail!("--url must start with http:// or https://, not {other}:"),
        };
        let port = url.port_or_known_default().context("--url has no port")?;
        let address = tokio::net::lookup_host((host, port))
            .await
            .with_context(|| format!("cannot find {host}"))?
            .next()
            .with_context(|| format!("{host} has no address"))?;
        let pid = started.as_ref().map(|started| started.child.id()).or(args.pid);
        let process = pid.map(Process::new).transpose()?;
        let suffix = device::new_password()[..8].to_lowercase();
        let place = Self {
            address,
            process,
            tls,
            url,
            client: server.client()?,
            application: format!("bench-{suffix}"),
            password: device::new_password(),
            started,
        };
        app::create(&place.client, &place.application).await?;
        if let Err(error) = place.prepare().await {
            place.leave().await?;
            return Err(error);
        }
        Ok(place)
    }

    async fn prepare(&self) -> Result<()> {
        app::make_public(&self.client, &self.application).await?;
        device::create(&self.client, &self.application, DEVICE, &self.password, &[]).await
    }

    /// What a client opens.
    pub fn target(&self) -> Target {
        Target {
            host: self.host(),
            tls: self.tls.clone(),
            ..Target::new(self.address, endpoint(&self.url, &[&self.application]).path())
        }
    }

    /// So many connections that publish.
    pub fn publishing(&self, connections: usize, request: Template) -> Publishing {
        Publishing {
            tls: self.tls.clone(),
            ..Publishing::http(self.address, connections, request)
        }
    }

    /// As requests name it.
    fn host(&self) -> String {
        self.url.authority().rsplit('@').next().unwrap_or_default().to_owned()
    }

    /// A request of the device.
    pub fn request(&self, content_type: &str, body: &str) -> Template {
        self.requests()(content_type, body.as_bytes())
    }

    /// Makes requests of the device, also in another thread: from media type and body.
    pub fn requests(&self) -> Requests {
        let (host, password) = (self.host(), self.password.clone());
        let user = format!("{DEVICE}@{}", self.application);
        let path = endpoint(&self.url, &["v1", CHANNEL]).path().to_owned();
        Box::new(move |content_type, body| Template::post(&host, &path, Some((&user, &password)), content_type, body))
    }

    /// Removes what was made for this run.
    pub async fn leave(&self) -> Result<()> {
        if self.started.is_some() {
            return Ok(());
        }
        let path = ["api", "registry", "v1alpha1", "apps", &self.application];
        let removed = self.client.send(self.client.call(Method::DELETE, &path)).await;
        removed.with_context(|| format!("cannot remove application {}", self.application))?;
        Ok(())
    }
}

impl Started {
    /// This program, as a server on a free port with a folder of its own.
    fn start() -> Result<(Self, Url)> {
        let folder =
            tempfile::tempdir().context("cannot make a temporary folder: set TMPDIR to one that can be written")?;
        let mut child = Command::new(std::env::current_exe()?)
            .args([
                "serve",
                "--http-bind",
                "127.0.0.1:0",
                "--metrics-bind",
                "off",
                "--log-level",
                "warn",
                "--data",
            ])
            .arg(folder.path().join("data"))
            // Away from a configuration file that may be here.
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a server")?;
        let output = child.stdout.take().context("the server has no output")?;
        let mut started = Self {
            child,
            output: BufReader::new(output),
            folder,
        };
        let mut line = String::new();
        started.output.read_line(&mut line)?;
        let Some(url) = line.split_whitespace().find(|word| word.starts_with("http://")) else {
            bail!("the server did not start: {}", started.child.wait()?);
        };
        let url = Url::parse(url)?;
        Ok((started, url))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Its data goes with it: there is nothing to end in order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
