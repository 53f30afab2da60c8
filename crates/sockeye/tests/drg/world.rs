//! A server, and `drg` with a configuration of its own, in which `alice` has logged in.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;
use sockeye_parts::{
    drg,
    keycloak::{self, Realm},
    process::Process,
};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::browser;
use crate::support::{self, PATIENCE, Server};

/// How `alice` shows who she is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    AccessKey,
    SingleSignOn,
}

pub struct World {
    pub server: Server,
    pub way: Way,
    drg: PathBuf,
    folder: TempDir,
}

/// What a run of `drg` came to.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Seconds that a token lives: `drg` renews one that has less than 30.
const LIFE: u32 = 600;

// ----------------------------------------------------------------------------------------------

impl World {
    /// `None` where something cannot be had, which was said.
    pub async fn new(way: Way) -> Option<Self> {
        let world = Self::before_login(way, LIFE).await?;
        match way {
            Way::AccessKey => {
                let ran = world.log_in_with(&world.key("alice"), &[]);
                assert_eq!(ran.code, Some(0), "{ran:?}");
            }
            Way::SingleSignOn => {
                let said = world.log_in_as("alice", &[]).await;
                assert!(said.contains("Switched active context to: default"), "{said}");
            }
        }
        Some(world)
    }

    /// From now on `bob` is known to the server.
    pub async fn make_bob_known(&self) {
        match self.way {
            Way::AccessKey => drop(self.key("bob")),
            Way::SingleSignOn => {
                // A user is known from the first call on.
                self.log_in_as("bob", &["-k", "-c", "bob"]).await;
                self.run_ok(&["-c", "bob", "get", "apps"]);
            }
        }
    }

    /// As [`World::new`], without a login; tokens of a provider live for so many seconds.
    pub async fn before_login(way: Way, life: u32) -> Option<Self> {
        let drg = drg::path().unwrap()?;
        let realm = match way {
            Way::AccessKey => None,
            Way::SingleSignOn => Some(realm(life).await?),
        };
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start_with(&folder.path().join("data"), |command| {
            if let Some(realm) = &realm {
                command.args(["--oidc-issuers", &realm.issuer()]);
            }
        });
        Some(Self {
            server,
            way,
            drg,
            folder,
        })
    }

    /// `drg` with these words. It finds no browser.
    pub fn drg(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.drg);
        command
            .env_clear()
            .env("DRGCFG", self.folder.path().join("drg.yaml"))
            .env("HOME", self.folder.path())
            .env("PATH", self.folder.path())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .args(words);
        command
    }

    /// Runs `drg` to its end.
    pub fn run(&self, words: &[&str]) -> Ran {
        Ran::of(&mut self.drg(words))
    }

    /// As [`World::run`], while something else goes on.
    pub async fn run_beside(&self, words: &[&str]) -> Ran {
        let mut command = self.drg(words);
        tokio::task::spawn_blocking(move || Ran::of(&mut command))
            .await
            .unwrap()
    }

    /// What it printed; it succeeds.
    pub fn run_ok(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, Some(0), "{words:?}: {ran:?}");
        ran.out
    }

    /// As [`World::run_ok`], as JSON.
    pub fn json(&self, words: &[&str]) -> Value {
        let said = self.run_ok(&[words, &["-o", "json"]].concat());
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{words:?}: {error}: {said}"))
    }

    /// It succeeds, and prints this line alone.
    pub fn says(&self, words: &[&str], line: &str) {
        assert_eq!(self.run_ok(words).trim(), line, "{words:?}");
    }

    /// It fails with code 1, and prints something with these words.
    pub fn fails(&self, words: &[&str], says: &str) {
        let ran = self.run(words);
        let said = format!("{}{}", ran.out, ran.err);
        assert_eq!(ran.code, Some(1), "{words:?}: {ran:?}");
        assert!(said.contains(says), "{words:?}: {ran:?}");
    }

    /// `drg` with these words, which goes on.
    pub fn spawn(&self, words: &[&str]) -> Process {
        Process::spawn(&mut self.drg(words)).unwrap()
    }

    /// A file in the folder in which `drg` runs.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    /// The folder in which `drg` runs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A new key of a user: `user:drg_..`.
    pub fn key(&self, user: &str) -> String {
        let made = self
            .server
            .cli_ok(&["key", "create", "--user", user, "--output", "json"]);
        let made: Value = serde_json::from_str(&made).unwrap();
        format!("{user}:{}", made["token"].as_str().unwrap())
    }

    /// `drg login` with an access key.
    pub fn log_in_with(&self, key: &str, more: &[&str]) -> Ran {
        self.run(&[&["login", &self.server.url, "--access-token", key], more].concat())
    }

    /// `drg login` with single sign-on; what it printed.
    pub async fn log_in_as(&self, user: &str, more: &[&str]) -> String {
        let mut login = self.spawn(&[&["login", &self.server.url], more].concat());
        let url = login.wait_line(PATIENCE, |line| line.starts_with("http")).unwrap();
        let answer = browser::log_in(&url, user).await;
        let mut said = String::new();
        while let Ok(line) = login.wait_line(PATIENCE, |_| true) {
            said.push_str(&line);
            said.push('\n');
        }
        assert!(answer.contains("Authentication success"), "{answer}: {said}");
        said
    }
}

impl Ran {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The realm that the tests share; one of its own for another life of tokens.
async fn realm(life: u32) -> Option<Realm> {
    static SHARED: OnceCell<Realm> = OnceCell::const_new();
    let make = async |name: &str| {
        let realm = keycloak::shared().unwrap().unwrap().realm(name).await.unwrap();
        realm.set_token_life(life).await.unwrap();
        realm
    };
    keycloak::shared().unwrap()?;
    if life == LIFE {
        return Some(SHARED.get_or_init(|| make("sockeye")).await.clone());
    }
    Some(make(&format!("life-{life}")).await)
}

/// Publishes as a device of an application with a password; status, head and body.
pub async fn publish(server: &Server, who: (&str, &str), path: &str, body: &Value) -> reqwest::Response {
    let (user, password) = who;
    let call = support::http().post(format!("{}/v1/{path}", server.url));
    call.basic_auth(user, Some(password)).json(body).send().await.unwrap()
}
