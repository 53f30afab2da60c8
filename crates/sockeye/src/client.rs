//! What every command that talks to a server shares: where it is, who is calling, and errors one can act on.

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use sockeye_limits as limits;
use url::Url;

use crate::trust::{TRUST_IT, Trust, is_distrust};
use crate::value;

/// Where an administrator's key is looked for when none is given: what `sockeye serve` writes in its default data folder.
const DEFAULT_KEY_FILE: &str = "sockeye-data/admin-key";

/// Where the server is, and whom to trust there.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub struct AddressArgs {
    /// Address of the server.
    #[arg(
        long,
        global = true,
        env = "SOCKEYE_URL",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL",
        value_parser = value::address
    )]
    pub url: Url,
    /// PEM file with the certificates to trust where the server is called by https [default: those of this system].
    #[arg(long, global = true, env = "SOCKEYE_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// Options of every command that talks to a server as a user.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    #[command(flatten)]
    pub address: AddressArgs,
    /// Access key as `user:drg_...` [default: the content of the key file, if there is one].
    #[arg(
        long,
        global = true,
        env = "SOCKEYE_KEY",
        value_name = "USER:KEY",
        hide_env_values = true
    )]
    pub key: Option<String>,
    /// File that holds an access key as `user:drg_...` [default: sockeye-data/admin-key, if it is there].
    #[arg(
        long,
        global = true,
        env = "SOCKEYE_KEY_FILE",
        value_name = "FILE",
        conflicts_with = "key"
    )]
    pub key_file: Option<PathBuf>,
}

/// A user name and an access key.
#[derive(Clone)]
pub struct Login {
    pub user: String,
    pub key: String,
}

/// Calls to one server, as one user or device.
pub struct Client {
    http: reqwest::Client,
    url: Url,
    login: Option<Login>,
    caller: Caller,
}

/// Who is calling: what a refusal means depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A user with an access key.
    Key,
    /// A user without one.
    Nobody,
    /// A device.
    Device,
    /// Somebody who is not ours to advise: the server is another system's.
    Stranger,
}

// ----------------------------------------------------------------------------------------------

impl ServerArgs {
    /// The key that was given, or found in the default file. Without either the caller is anonymous.
    pub fn login(&self) -> Result<Option<Login>> {
        let (text, origin) = match (&self.key, &self.key_file) {
            (Some(key), _) => (key.clone(), "--key".to_owned()),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read the key file {}", file.display()))?;
                (text, file.display().to_string())
            }
            (None, None) => match std::fs::read_to_string(DEFAULT_KEY_FILE) {
                Ok(text) => (text, DEFAULT_KEY_FILE.to_owned()),
                Err(_) => return Ok(None),
            },
        };
        Login::parse(&text).map(Some).with_context(|| origin)
    }

    /// A client for calls to the API.
    pub fn client(&self) -> Result<Client> {
        Client::new(self.address.url.clone(), self.login()?, &self.address.trust()?)
    }
}

impl AddressArgs {
    /// Whom to trust over TLS.
    pub fn trust(&self) -> Result<Trust> {
        Trust::read(self.ca.as_deref())
    }
}

impl Caller {
    /// Who calls with this login.
    pub fn of(login: Option<&Login>) -> Self {
        login.map_or(Self::Nobody, |_| Self::Key)
    }
}

impl Login {
    /// Takes what stands in a key file.
    pub fn parse(text: &str) -> Result<Self> {
        match text.trim().split_once(':') {
            Some((user, key)) if !user.is_empty() && !key.is_empty() => Ok(Self {
                user: user.to_owned(),
                key: key.to_owned(),
            }),
            _ => bail!("an access key is written as `user:drg_...`"),
        }
    }
}

impl Client {
    /// Calls as a user.
    pub fn new(url: Url, login: Option<Login>, trust: &Trust) -> Result<Self> {
        let caller = Caller::of(login.as_ref());
        Self::open(url, login, caller, trust)
    }

    /// Calls as a device, whose credentials come with each.
    pub fn for_device(url: Url, trust: &Trust) -> Result<Self> {
        Self::open(url, None, Caller::Device, trust)
    }

    /// Calls to a server of another system; whoever calls shows who it is with each.
    pub fn of_another(url: Url, trust: &Trust) -> Result<Self> {
        Self::open(url, None, Caller::Stranger, trust)
    }

    fn open(url: Url, login: Option<Login>, caller: Caller, trust: &Trust) -> Result<Self> {
        if !matches!(url.scheme(), "http" | "https") {
            bail!("the address {url} must start with http:// or https://");
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("sockeye/", env!("CARGO_PKG_VERSION")))
            .timeout(limits::CALL_TIME);
        let http = trust
            .apply(http, &url)?
            .build()
            .context("cannot start the HTTP client")?;
        Ok(Self {
            http,
            url,
            login,
            caller,
        })
    }

    /// A call to the path made of these segments, each percent-encoded, with the caller's key.
    pub fn call(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        let request = self.bare(method, segments);
        match &self.login {
            Some(login) => request.basic_auth(&login.user, Some(&login.key)),
            None => request,
        }
    }

    /// As [`Client::call`], without credentials.
    pub fn bare(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        self.http.request(method, endpoint(&self.url, segments))
    }

    /// Sends a call and reads the JSON of its answer; `Null` where the answer has no body.
    pub async fn json(&self, request: RequestBuilder) -> Result<Value> {
        let body = self
            .send(request)
            .await?
            .bytes()
            .await
            .context("the answer of the server was cut off")?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).context("the answer of the server is not JSON: is --url a Sockeye server?")
    }

    /// Sends a call, whatever the answer is.
    pub async fn ask(&self, request: RequestBuilder) -> Result<Response> {
        request.send().await.map_err(|error| {
            let hint = if is_distrust(&error) {
                TRUST_IT
            } else if error.is_connect() {
                ": is it running? `sockeye serve` starts one"
            } else {
                ""
            };
            anyhow!(error.without_url()).context(format!("no answer from the server at {}{hint}", self.url))
        })
    }

    /// Sends a call; any status but 2xx is an error that says what to do.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = self.ask(request).await?;
        self.accepted(response).await
    }

    /// The answer to a call; any status but 2xx is an error that says what to do.
    pub async fn accepted(&self, response: Response) -> Result<Response> {
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.text().await.unwrap_or_default();
        Err(anyhow!(refusal(status, &body, self.caller)))
    }
}

/// `url` with these path segments, each percent-encoded.
pub fn endpoint(url: &Url, segments: &[&str]) -> Url {
    let mut url = url.clone();
    url.path_segments_mut()
        .expect("http and https URLs have paths")
        .pop_if_empty()
        .extend(segments);
    url
}

/// What a refusal means to the user: the server's own message, and the remedy where it is on our side.
pub fn refusal(status: StatusCode, body: &str, caller: Caller) -> String {
    let message = message(body);
    let hint = match (status, caller) {
        (StatusCode::UNAUTHORIZED, Caller::Key) => "\nThe access key was not accepted: check --key or --key-file.",
        (StatusCode::UNAUTHORIZED, Caller::Nobody) => {
            "\nGive an access key with --key user:drg_... or --key-file FILE."
        }
        (StatusCode::NOT_FOUND, Caller::Nobody) => {
            "\nIf it is not public, give an access key with --key or --key-file."
        }
        (StatusCode::FORBIDDEN, Caller::Device) => "\nCheck the application, --device and --password.",
        _ => "",
    };
    format!("{message} ({status}){hint}")
}

/// What the body of a refusal says.
pub fn message(body: &str) -> String {
    let message = serde_json::from_str::<Value>(body)
        .ok()
        .and_then(|json| json.get("message").and_then(Value::as_str).map(str::to_owned))
        .unwrap_or_else(|| body.trim().to_owned());
    if message.is_empty() {
        "the server gave no reason".to_owned()
    } else {
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_encoded() {
        let url = endpoint(&Url::parse("http://h:1/").unwrap(), &["v1", "a/b c"]);
        assert_eq!(url.as_str(), "http://h:1/v1/a%2Fb%20c");
    }

    #[test]
    fn a_refusal_gives_the_message_and_the_remedy() {
        let body = r#"{"error":"NotFound","message":"Resource not found: Application / x"}"#;
        let text = refusal(StatusCode::NOT_FOUND, body, Caller::Nobody);
        assert!(
            text.starts_with("Resource not found: Application / x (404 Not Found)\n"),
            "{text}"
        );
        assert!(text.contains("--key"), "{text}");
        assert_eq!(
            refusal(StatusCode::CONFLICT, "", Caller::Key),
            "the server gave no reason (409 Conflict)"
        );
    }
}
