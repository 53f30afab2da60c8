//! A small provider: discovery and keys over HTTP on this machine, and who signs. What it may answer wrongly a real one does not;
//! tests with a real Keycloak are in `crates/sockeye`.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

/// A provider on a port of its own, until the test ends.
pub struct Provider {
    pub url: String,
    state: Arc<Answers>,
}

struct Answers {
    discovery: Mutex<Value>,
    keys: Mutex<Value>,
    fetches: AtomicUsize,
    down: AtomicBool,
}

/// A key that signs, with its `kid`.
pub struct Signer {
    kid: String,
    pair: Ed25519KeyPair,
}

// ----------------------------------------------------------------------------------------------

impl Provider {
    pub async fn start(signers: &[&Signer]) -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Answers {
            discovery: Mutex::new(json!({"issuer": url, "jwks_uri": format!("{url}/keys")})),
            keys: Mutex::default(),
            fetches: AtomicUsize::new(0),
            down: AtomicBool::new(false),
        });
        let discovery = async |State(state): State<Arc<Answers>>| {
            state.fetches.fetch_add(1, Ordering::Relaxed);
            if state.down.load(Ordering::Relaxed) {
                return Err(StatusCode::INTERNAL_SERVER_ERROR);
            }
            Ok(Json(state.discovery.lock().unwrap().clone()))
        };
        let keys = async |State(state): State<Arc<Answers>>| Json(state.keys.lock().unwrap().clone());
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let provider = Self { url, state };
        provider.publish(signers);
        provider
    }

    /// From now on these are its keys.
    pub fn publish(&self, signers: &[&Signer]) {
        let keys: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
        *self.state.keys.lock().unwrap() = json!({ "keys": keys });
    }

    /// From now on its documents say this.
    pub fn answer(&self, more: &Value) {
        for (document, names) in [(&self.state.discovery, "issuer"), (&self.state.keys, "keys")] {
            if let Some(value) = more.get(names) {
                document.lock().unwrap()[names] = value.clone();
            } else if names == "issuer" {
                document.lock().unwrap()[names] = self.url.clone().into();
            }
        }
    }

    pub fn set_down(&self, down: bool) {
        self.state.down.store(down, Ordering::Relaxed);
    }

    /// How often it was asked.
    pub fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::Relaxed)
    }
}

impl Signer {
    pub fn new(kid: &str) -> Self {
        let pair = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self {
            kid: kid.to_owned(),
            pair: Ed25519KeyPair::from_pkcs8(pair.as_ref()).unwrap(),
        }
    }

    pub fn sign(&self, claims: &Value) -> String {
        let signed = format!("{}.{}", part(&json!({"alg": "EdDSA", "kid": self.kid})), part(claims));
        let signature = self.pair.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "x": x, "kid": self.kid})
    }
}

/// What takes a public key for a shared secret.
pub fn hs256(signer: &Signer, claims: &Value) -> String {
    let signed = format!("{}.{}", part(&json!({"alg": "HS256", "kid": signer.kid})), part(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, signer.pair.public_key().as_ref());
    let signature = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A part of a token.
pub fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

pub fn http() -> reqwest::Client {
    // The tests of a process share it; whoever is first installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}
