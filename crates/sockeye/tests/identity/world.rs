//! A server that accepts the tokens of a realm of its own. `alice` and `eve`, a user without a provider, may read `app`.

use std::process::Command;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};
use sockeye_parts::keycloak::{self, Realm};
use tempfile::TempDir;

use crate::support::{self, APP, Server};

pub struct World {
    pub realm: Realm,
    pub server: Server,
    /// `eve:drg_..`
    pub eve: String,
    _folder: TempDir,
}

// ----------------------------------------------------------------------------------------------

impl World {
    /// `None` where there is no Keycloak, which was said. The realm has the name of the test, tokens live for so many seconds.
    pub async fn new(test: &str, life: u32) -> Option<Self> {
        Self::with(test, life, |_| {}).await
    }

    /// As [`World::new`], with changes to the command of the server.
    pub async fn with(test: &str, life: u32, change: impl FnOnce(&mut Command)) -> Option<Self> {
        let realm = keycloak::shared().unwrap()?.realm(test).await.unwrap();
        realm.set_token_life(life).await.unwrap();
        Some(Self::of(realm, change).await)
    }

    pub async fn of(realm: Realm, change: impl FnOnce(&mut Command)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start_with(&folder.path().join("data"), |command| {
            command.args(["--oidc-issuers", &realm.issuer()]);
            change(command);
        });
        server.make_device();
        let made = server.cli_ok(&["key", "create", "--user", "eve", "--output", "json"]);
        let made: Value = serde_json::from_str(&made).unwrap();
        let world = Self {
            realm,
            server,
            eve: format!("eve:{}", made["token"].as_str().unwrap()),
            _folder: folder,
        };
        world.set_members(&["alice", "eve"]).await;
        world
    }

    /// A token of a user.
    pub async fn token(&self, user: &str) -> String {
        self.realm.login(user).await.unwrap().access
    }

    /// These read `app`; `""` is everybody.
    pub async fn set_members(&self, names: &[&str]) {
        let members: serde_json::Map<_, _> = names
            .iter()
            .map(|name| ((*name).to_owned(), json!({"role": "reader"})))
            .collect();
        let path = format!("/api/admin/v1alpha1/apps/{APP}/members");
        let (status, body) = self
            .call(Method::PUT, &path, &self.admin(), &json!({ "members": members }))
            .await;
        assert_eq!(status, 204, "{body}");
    }

    /// `Authorization` of the administrator.
    pub fn admin(&self) -> String {
        format!("Bearer {}", self.server.admin())
    }

    /// Calls the API.
    pub async fn call(&self, method: Method, path: &str, authorization: &str, body: &Value) -> (u16, Value) {
        let mut call = support::http().request(method, format!("{}{path}", self.server.url));
        if !authorization.is_empty() {
            call = call.header("Authorization", authorization);
        }
        if !body.is_null() {
            call = call.json(body);
        }
        let answer = call.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }
}

/// `exp` of a token.
pub fn expiry(token: &str) -> i64 {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    claims["exp"].as_i64().unwrap()
}
