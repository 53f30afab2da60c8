//! A Keycloak, whose tokens are real. It can be stopped and started again at the same address; each test has a realm of its own.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{certificate::Certificate, part, ports::free_ports, process::Process};

/// The version that `scripts/parts` fetches.
const VERSION: &str = "26.4.7";
/// A start takes 4 s; a machine that builds at the same time needs more.
const START: Duration = Duration::from_mins(2);
/// A stop in order.
const STOP: Duration = Duration::from_secs(30);
/// An answer takes some milliseconds, the first of each kind a second, and on a machine that builds at the same time a minute.
const ANSWER: Duration = Duration::from_mins(2);
/// Ports are chosen free, but another process may be quicker.
const TRIES: usize = 3;
/// The administrator whom `scripts/parts` has made.
const ADMINISTRATOR: &str = "admin";
/// What every realm begins with: users `alice` (with the realm role `gardener`), `bob` and `carol` (`drogue-admin`), whose passwords
/// are their names and `-pw`; the public client `drogue` and the confidential one `sockeye-svc`; tokens of 10 s.
const REALM: &str = include_str!("keycloak-realm.json");
/// Quick to start and small, as its own script does it otherwise.
const JAVA: &[&str] = &[
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Xms64m",
    "-Xmx256m",
    "-Dkc.config.built=true",
    "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
    "-Djava.util.concurrent.ForkJoinPool.common.threadFactory=io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory",
    "-Dpicocli.disable.closures=true",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-opens=java.base/java.security=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
];

/// A running Keycloak. Dropped, it is killed and its folder removed.
pub struct Keycloak {
    part: PathBuf,
    /// Before `folder`: it ends before its files go.
    process: Process,
    folder: TempDir,
    ports: Ports,
}

/// Where it listens.
#[derive(Clone, Copy, Debug)]
struct Ports {
    http: u16,
    https: u16,
}

/// A realm: an issuer with users, clients and keys of its own.
#[derive(Clone, Debug)]
pub struct Realm {
    base: String,
    /// The same place by TLS.
    https: String,
    name: String,
}

/// The confidential client of each realm.
pub const SERVICE: &str = "sockeye-svc";
/// Its secret.
pub const SERVICE_SECRET: &str = "svc-secret";

/// What a login gives.
#[derive(Clone)]
pub struct Tokens {
    /// The token that is shown to a server.
    pub access: String,
    /// What [`Realm::refresh`] takes.
    pub refresh: String,
}

// ----------------------------------------------------------------------------------------------

/// The Keycloak that the tests of this process share; started by the first that asks. Realms keep tests apart. A test that
/// stops its Keycloak starts one of its own.
pub fn shared() -> anyhow::Result<Option<&'static Keycloak>> {
    static SHARED: OnceLock<Keycloak> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = STARTING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(keycloak) = SHARED.get() {
        return Ok(Some(keycloak));
    }
    Ok(Keycloak::start_or_say()?.map(|keycloak| SHARED.get_or_init(|| keycloak)))
}

impl Keycloak {
    /// Starts one of the test's own; `Ok(None)`, said loudly, where it cannot be had and this is not CI.
    pub fn start_or_say() -> anyhow::Result<Option<Self>> {
        let Some(part) = part::folder("keycloak", VERSION)? else {
            return Ok(None);
        };
        let Some(()) = part::or_not_tested("java", part::java())? else {
            return Ok(None);
        };
        let mut last = None;
        for _ in 0..TRIES {
            match Self::start_once(&part) {
                Ok(keycloak) => return Ok(Some(keycloak)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("there was a try"))
    }

    fn start_once(part: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("sockeye-keycloak-").tempdir()?;
        for shared in ["bin", "lib", "conf", "providers", "themes"] {
            symlink(part.join(shared), folder.path().join(shared))?;
        }
        let database = folder.path().join("data/h2");
        fs::create_dir_all(&database)?;
        for file in fs::read_dir(part.join("data/h2"))? {
            let file = file?;
            fs::copy(file.path(), database.join(file.file_name()))?;
        }
        Certificate::make(folder.path())?;
        let [http, https] = free_ports()?;
        let ports = Ports { http, https };
        let process = spawn(part, folder.path(), ports)?;
        Ok(Self {
            part: part.to_owned(),
            process,
            folder,
            ports,
        })
    }

    /// What clients have to trust that come by TLS.
    pub fn certificate(&self) -> Certificate {
        Certificate::at(self.folder.path())
    }

    /// Ends it in order (SIGTERM); its files stay.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.process.terminate(STOP)?;
        Ok(())
    }

    /// Starts it again after [`Keycloak::stop`], at the same address and with the same realms.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.process = spawn(&self.part, self.folder.path(), self.ports)?;
        Ok(())
    }

    /// Makes a realm of this name.
    pub async fn realm(&self, name: &str) -> anyhow::Result<Realm> {
        let realm = Realm {
            base: format!("http://127.0.0.1:{}", self.ports.http),
            https: format!("https://127.0.0.1:{}", self.ports.https),
            name: name.to_owned(),
        };
        // What everybody may do (to log in for long, for one) is a role with the name of the realm.
        let roles = [
            "default-roles-sockeye".to_owned(),
            format!("default-roles-{name}").to_lowercase(),
        ];
        let mut document: Value = serde_json::from_str(&REALM.replace(&roles[0], &roles[1]))?;
        document["realm"] = name.into();
        realm.administer(Method::POST, "", &document).await?;
        Ok(realm)
    }
}

impl Realm {
    /// Its URL, which is `iss` of its tokens.
    pub fn issuer(&self) -> String {
        format!("{}/realms/{}", self.base, self.name)
    }

    /// Where its public keys are.
    pub fn keys(&self) -> String {
        format!("{}/protocol/openid-connect/certs", self.issuer())
    }

    /// Where clients get tokens by TLS.
    pub fn token_endpoint(&self) -> String {
        format!("{}/realms/{}/protocol/openid-connect/token", self.https, self.name)
    }

    /// Logs a user in, with the password that is the name and `-pw`, through the client `drogue`.
    pub async fn login(&self, user: &str) -> anyhow::Result<Tokens> {
        let password = format!("{user}-pw");
        let grant = [
            ("grant_type", "password"),
            ("client_id", "drogue"),
            ("username", user),
            ("password", &password),
        ];
        self.tokens(&grant).await
    }

    /// Gives new tokens for those of an earlier login.
    pub async fn refresh(&self, tokens: &Tokens) -> anyhow::Result<Tokens> {
        let grant = [
            ("grant_type", "refresh_token"),
            ("client_id", "drogue"),
            ("refresh_token", &tokens.refresh),
        ];
        self.tokens(&grant).await
    }

    /// A token for [`SERVICE`] itself, which comes with this secret.
    pub async fn service_token(&self, secret: &str) -> anyhow::Result<String> {
        let grant = [
            ("grant_type", "client_credentials"),
            ("client_id", SERVICE),
            ("client_secret", secret),
        ];
        text(&self.grant(&grant).await?, "access_token")
    }

    /// From now on tokens of users live this long, in seconds.
    pub async fn set_token_life(&self, seconds: u32) -> anyhow::Result<()> {
        self.change("drogue", |client| {
            client["attributes"]["access.token.lifespan"] = seconds.to_string().into();
        })
        .await
    }

    /// From now on those of [`SERVICE`] live this long, in seconds.
    pub async fn set_service_token_life(&self, seconds: u32) -> anyhow::Result<()> {
        self.change(SERVICE, |client| {
            client["attributes"]["access.token.lifespan"] = seconds.to_string().into();
        })
        .await
    }

    /// From now on [`SERVICE`] has this secret.
    pub async fn set_service_secret(&self, secret: &str) -> anyhow::Result<()> {
        self.change(SERVICE, |client| client["secret"] = secret.into()).await
    }

    /// From now on tokens are signed with a new key of this algorithm (`RS256`, `PS256`, `ES256`, `EdDSA`, ..); the keys before it
    /// stay published.
    pub async fn sign_with(&self, algorithm: &str) -> anyhow::Result<()> {
        // The key of the highest priority signs.
        static PRIORITY: AtomicU32 = AtomicU32::new(200);
        let priority = PRIORITY.fetch_add(1, Ordering::Relaxed).to_string();
        let (provider, config) = match algorithm.get(..2) {
            Some("ES") => (
                "ecdsa-generated",
                json!({"priority": [priority], "ecdsaEllipticCurveKey": [if algorithm == "ES384" { "P-384" } else { "P-256" }]}),
            ),
            Some("Ed") => (
                "eddsa-generated",
                json!({"priority": [priority], "eddsaEllipticCurveKey": ["Ed25519"]}),
            ),
            _ => (
                "rsa-generated",
                json!({"priority": [priority], "algorithm": [algorithm], "keySize": ["2048"]}),
            ),
        };
        self.add_keys(provider, &config).await?;
        self.change("drogue", |client| {
            client["attributes"]["access.token.signed.response.alg"] = algorithm.into();
        })
        .await
    }

    /// Replaces the keys for RS256: no other is published any more when this returns.
    pub async fn rotate(&self) -> anyhow::Result<()> {
        let path = "/components?type=org.keycloak.keys.KeyProvider";
        let old = self.administer(Method::GET, path, &Value::Null).await?;
        let config = json!({"priority": ["1000000"], "algorithm": ["RS256"], "keySize": ["2048"]});
        self.add_keys("rsa-generated", &config).await?;
        let of_rsa = |key: &&Value| key["providerId"] == "rsa-generated";
        for key in old.as_array().into_iter().flatten().filter(of_rsa) {
            let path = format!("/components/{}", key["id"].as_str().unwrap_or_default());
            self.administer(Method::DELETE, &path, &Value::Null).await?;
        }
        Ok(())
    }

    /// From now on tokens name this audience (`aud`), beside their client (`azp`).
    pub async fn add_audience(&self, audience: &str) -> anyhow::Result<()> {
        let (path, _) = self.client("drogue").await?;
        let mapper = json!({
            "name": audience, "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
            "config": {"included.custom.audience": audience, "access.token.claim": "true"},
        });
        self.administer(Method::POST, &format!("{path}/protocol-mappers/models"), &mapper)
            .await?;
        Ok(())
    }

    async fn add_keys(&self, provider: &str, config: &Value) -> anyhow::Result<()> {
        let component = json!({
            "name": provider, "providerId": provider, "providerType": "org.keycloak.keys.KeyProvider", "config": config,
        });
        self.administer(Method::POST, "/components", &component).await?;
        Ok(())
    }

    async fn change(&self, client: &str, change: impl FnOnce(&mut Value)) -> anyhow::Result<()> {
        let (path, mut client) = self.client(client).await?;
        change(&mut client);
        self.administer(Method::PUT, &path, &client).await?;
        Ok(())
    }

    /// A client by its name: its path, and what it is.
    async fn client(&self, name: &str) -> anyhow::Result<(String, Value)> {
        let path = format!("/clients?clientId={name}");
        let mut found = self.administer(Method::GET, &path, &Value::Null).await?;
        let id = found[0]["id"].as_str().context("there is no such client")?;
        Ok((format!("/clients/{id}"), found[0].take()))
    }

    async fn tokens(&self, grant: &[(&str, &str)]) -> anyhow::Result<Tokens> {
        let answer = self.grant(grant).await?;
        Ok(Tokens {
            access: text(&answer, "access_token")?,
            refresh: text(&answer, "refresh_token")?,
        })
    }

    async fn grant(&self, grant: &[(&str, &str)]) -> anyhow::Result<Value> {
        let url = format!("{}/protocol/openid-connect/token", self.issuer());
        let answer = http()?.post(url).form(grant).send().await?;
        let status = answer.status();
        let answer: Value = answer.json().await?;
        ensure!(status.is_success(), "no token is given: {status} {}", answer["error"]);
        Ok(answer)
    }

    /// A call of the administrator, below the realm; the empty path with POST makes it.
    async fn administer(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let master = Self {
            name: "master".to_owned(),
            ..self.clone()
        };
        let grant = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", ADMINISTRATOR),
            ("password", ADMINISTRATOR),
        ];
        let token = master.tokens(&grant).await?.access;
        let url = match (&method, path) {
            (&Method::POST, "") => format!("{}/admin/realms", self.base),
            _ => format!("{}/admin/realms/{}{path}", self.base, self.name),
        };
        let mut call = http()?.request(method, &url).bearer_auth(token);
        if !body.is_null() {
            call = call.json(body);
        }
        let answer = call.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{url}: {status} {text}");
        if status == StatusCode::OK {
            return Ok(serde_json::from_str(&text)?);
        }
        Ok(Value::Null)
    }
}

fn text(answer: &Value, name: &str) -> anyhow::Result<String> {
    let text = answer[name].as_str().map(str::to_owned);
    text.context("no token in the answer")
}

/// A client for a few calls: a pool of connections would be of the runtime of another test.
fn http() -> anyhow::Result<reqwest::Client> {
    // The tests of a process share it; whoever is first installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder()
        .timeout(ANSWER)
        .pool_max_idle_per_host(0)
        .build()?)
}

fn spawn(part: &Path, folder: &Path, ports: Ports) -> anyhow::Result<Process> {
    let Certificate { certificate, key } = Certificate::at(folder);
    let mut command = Command::new("java");
    command
        .args(JAVA)
        .arg(format!("-Dkc.home.dir={}", folder.display()))
        .arg("-cp")
        .arg(part.join("lib/quarkus-run.jar"))
        .args(["io.quarkus.bootstrap.runner.QuarkusEntryPoint", "start-dev"])
        .args(["--http-host", "127.0.0.1", "--http-port", &ports.http.to_string()])
        .args(["--https-port", &ports.https.to_string()])
        .arg("--https-certificate-file")
        .arg(certificate)
        .arg("--https-certificate-key-file")
        .arg(key)
        // The issuer, whichever way one comes.
        .args(["--hostname", &format!("http://127.0.0.1:{}", ports.http)]);
    let mut process = Process::spawn_with_folder(&mut command, Some(folder))?;
    process.wait_line(START, |line| line.contains("Listening on: "))?;
    Ok(process)
}
