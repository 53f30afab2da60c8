//! A provider of tokens: its two documents over HTTP on this machine, and an RSA key made for the run.

use std::{
    convert::Infallible,
    net::TcpListener,
    process::Command,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents},
};
use serde_json::{Value, json};

/// A provider, which answers until the program ends.
pub struct Provider {
    pub url: String,
    pair: RsaKeyPair,
}

const KID: &str = "bench";
/// Tokens outlive the run.
const LIFE: Duration = Duration::from_hours(1);
/// Signature checks that are measured.
const CHECKS: u32 = 2_000;

// ----------------------------------------------------------------------------------------------

impl Provider {
    pub fn start() -> Result<Self> {
        let made = Command::new("openssl")
            .args([
                "genpkey",
                "-algorithm",
                "RSA",
                "-pkeyopt",
                "rsa_keygen_bits:2048",
                "-outform",
                "DER",
            ])
            .output()
            .context("openssl is not there")?;
        ensure!(made.status.success(), "openssl makes no key");
        // Which of the two forms it writes depends on the version.
        let pair = RsaKeyPair::from_der(&made.stdout).or_else(|_| RsaKeyPair::from_pkcs8(&made.stdout));
        let pair = pair.map_err(|error| anyhow!("the key cannot be used: {error}"))?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let public = PublicKeyComponents::<Vec<u8>>::from(pair.public());
        let [n, e] = [public.n, public.e].map(|number| URL_SAFE_NO_PAD.encode(number));
        let discovery = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let keys = json!({"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KID, "n": n, "e": e}]});
        std::thread::spawn(move || serve(listener, &discovery, &keys));
        Ok(Self { url, pair })
    }

    /// A token of a user, like those of Keycloak in size; different for each number.
    pub fn token(&self, number: usize) -> String {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let claims = json!({
            "exp": (now + LIFE).as_secs(), "iat": now.as_secs(), "jti": format!("onrtro:{number:032}"),
            "iss": self.url, "typ": "Bearer", "azp": "drogue", "sub": "f7ab2f2c-8a1c-4f0e-9a37-6c6ad4d3f0f1",
            "sid": "p2mVEa7oXsZ1kqvYgJXbS3nL", "acr": "1", "allowed-origins": ["http://localhost"],
            "realm_access": {"roles": ["offline_access", "uma_authorization", "default-roles-sockeye", "gardener"]},
            "resource_access": {"account": {"roles": ["manage-account", "manage-account-links", "view-profile"]}},
            "scope": "email profile", "email_verified": true, "name": "Alice A", "preferred_username": "alice",
            "given_name": "Alice", "family_name": "A", "email": "alice@example.test",
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!(
            "{}.{}",
            part(&json!({"alg": "RS256", "typ": "JWT", "kid": KID})),
            part(&claims)
        );
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.sign(signed.as_bytes())))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .expect("the buffer has the length of the modulus");
        signature
    }

    /// Microseconds that the check of one signature takes, on this core.
    pub fn bare_check(&self) -> Result<f64> {
        let message = self.token(0);
        let signature = self.sign(message.as_bytes());
        let public = PublicKeyComponents::<Vec<u8>>::from(self.pair.public());
        let started = Instant::now();
        for _ in 0..CHECKS {
            let key = RsaPublicKeyComponents {
                n: &public.n,
                e: &public.e,
            };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature)
                .map_err(|_| anyhow!("a good signature is refused"))?;
        }
        Ok(started.elapsed().as_secs_f64() * 1e6 / f64::from(CHECKS))
    }
}

/// Answers for the documents.
#[tokio::main(flavor = "current_thread")]
async fn serve(listener: TcpListener, discovery: &Value, keys: &Value) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let [discovery, keys] = [discovery, keys].map(|document| Bytes::from(document.to_string()));
        let answer = service_fn(move |request: Request<Incoming>| {
            let document = if request.uri().path() == "/keys" {
                &keys
            } else {
                &discovery
            };
            let response = Response::new(Full::new(document.clone()));
            async move { Ok::<_, Infallible>(response) }
        });
        // Who breaks off asks again.
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), answer)
            .await;
    }
}
