//! Every way to show something wrong, with the whole answer: that of streams and that of the API, in the shape of compat/drogue.md
//! 1.4 (its defect 18, section 9: 403 for what is malformed, and never 401).

use serde_json::{Value, json};
use sockeye_server::{Config, Server};

use crate::client::{basic, call};
use crate::config;
use crate::provider::{Provider, Signer, hs256, part};

const ALGORITHM: &str =
    "the token is not signed by an algorithm that is accepted: RS, PS, ES or EdDSA, as its key demands";
const WRONG_KEY: &str = "the user name or the access key is wrong";
const TWO: &str = "Invalid request: More than one way of authentication provided";

struct World {
    server: Server,
    provider: Provider,
    signer: Signer,
    _folder: tempfile::TempDir,
}

// ----------------------------------------------------------------------------------------------

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let signer = Signer::new("a");
        let provider = Provider::start(&[&signer]).await;
        let mut config: Config = config(folder.path());
        config.oidc.issuers = vec![provider.url.clone()];
        let server = Server::start(config).await.unwrap();
        let world = Self {
            server,
            provider,
            signer,
            _folder: folder,
        };
        let app = r#"{"metadata":{"name":"app"}}"#;
        world.administer("POST /api/registry/v1alpha1/apps", app).await;
        world
    }

    fn claims(&self, user: &str, name: &str, value: Value) -> Value {
        let now = jiff::Timestamp::now().as_second();
        let mut claims = json!({
            "iss": self.provider.url, "sub": user, "azp": "drogue", "exp": now + 60, "preferred_username": user,
        });
        claims[name] = value;
        claims
    }

    /// A call of the administrator.
    async fn administer(&self, line: &str, body: &str) -> Value {
        let headers = [&basic(&crate::admin(&self.server)), "content-type: application/json"];
        let answer = call(self.server.http_address(), line, &headers, body).await;
        assert!(answer.status < 300, "{line}: {answer:?}");
        serde_json::from_str(&answer.body).unwrap_or_default()
    }

    /// A new key of a user.
    async fn key(&self, user: &str) -> String {
        let made = self
            .administer(&format!("POST /api/tokens/v1alpha1?user={user}"), "")
            .await;
        made["token"].as_str().unwrap().to_owned()
    }

    async fn disable(&self, user: &str) {
        let line = format!("PUT /api/admin/v1alpha1/users/{user}");
        self.administer(&line, r#"{"disabled":true}"#).await;
    }

    /// What is answered to these headers, and to this query; the body as it is.
    async fn answer(&self, path: &str, headers: &[&str]) -> (u16, Value) {
        let answer = call(self.server.http_address(), &format!("GET {path}"), headers, "").await;
        if answer.status == 401 {
            let challenge = answer.header("www-authenticate").unwrap_or_default();
            assert!(challenge.starts_with("basic realm="), "{answer:?}");
        }
        (answer.status, answer.json())
    }
}

fn told(error: &str, message: &str) -> Value {
    json!({ "error": error, "message": message })
}

#[tokio::test]
async fn what_does_not_count_is_told_why() {
    let world = World::new().await;
    let now = jiff::Timestamp::now().as_second();
    let sign = |name: &str, value: Value| world.signer.sign(&world.claims("eve", name, value));
    let good = sign("x", json!(1));
    let [_, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        unreachable!()
    };
    let mallory = world.signer.sign(&world.claims("mallory", "x", json!(1)));
    let (status, _) = world
        .answer(
            "/api/admin/v1alpha1/user/whoami",
            &[&format!("authorization: Bearer {mallory}")],
        )
        .await;
    assert_eq!(status, 200);
    world.disable("mallory").await;
    let key = world.key("alice").await;
    let disabled = world.key("trudy").await;
    world.disable("trudy").await;

    let tokens = [
        ("expired", sign("exp", json!(now - 1)), "the token has expired"),
        (
            "not yet valid",
            sign("nbf", json!(now + 60)),
            "the token is not valid yet (`nbf`)",
        ),
        (
            "wrong issuer",
            sign("iss", json!("https://evil.example")),
            "the token is of an issuer (`iss`) that this server does not accept",
        ),
        (
            "wrong audience",
            sign("azp", json!("other")),
            "the token is not meant for this server: neither `aud` nor `azp` is one that it accepts",
        ),
        (
            "alg none",
            format!("{}.{claims}.", part(&json!({"alg": "none"}))),
            ALGORITHM,
        ),
        (
            "alg none, signed",
            format!("{}.{claims}.{signature}", part(&json!({"alg": "none"}))),
            ALGORITHM,
        ),
        (
            "HS256 with the public key",
            hs256(&world.signer, &world.claims("eve", "x", json!(1))),
            ALGORITHM,
        ),
        (
            "unknown kid",
            Signer::new("b").sign(&world.claims("eve", "x", json!(1))),
            "the token is signed with a key that its issuer does not have (`kid`)",
        ),
        (
            "another key of the same kid",
            Signer::new("a").sign(&world.claims("eve", "x", json!(1))),
            "the signature of the token is wrong",
        ),
        (
            "truncated",
            good[..good.len() - 2].to_owned(),
            "the signature of the token is wrong",
        ),
        (
            "truncated more",
            good[..good.len() / 2].to_owned(),
            "the token is no JSON Web Token: copy it whole",
        ),
        (
            "long",
            sign("much", json!("x".repeat(16_000))),
            "the token is longer than 16384 bytes",
        ),
        ("of a disabled user", mallory, "the user is disabled"),
        (
            "key, wrong checksum",
            format!(
                "alice:{}{}",
                &key[..key.len() - 1],
                if key.ends_with('x') { 'y' } else { 'x' }
            ),
            WRONG_KEY,
        ),
        ("key of another", format!("bob:{key}"), WRONG_KEY),
        (
            "key of a disabled user",
            format!("trudy:{disabled}"),
            "the user is disabled",
        ),
    ];
    for (what, token, message) in tokens {
        let header = format!("authorization: Bearer {token}");
        let stream = (401, told("Unauthorized", message));
        assert_eq!(world.answer("/app", &[&header]).await, stream, "{what}");
        assert_eq!(
            world.answer(&format!("/app?token={token}"), &[]).await,
            stream,
            "{what}"
        );
        // Whether there is such an application makes no difference.
        assert_eq!(world.answer("/unknown", &[&header]).await, stream, "{what}");
        let api = world.answer("/api/registry/v1alpha1/apps", &[&header]).await;
        assert_eq!(api, (401, told("NotAuthorized", message)), "{what}");
        if let Some((user, key)) = token.split_once(':') {
            assert_eq!(world.answer("/app", &[&basic(&token)]).await, stream, "{what}");
            let query = format!("/app?username={user}&api_key={key}");
            assert_eq!(world.answer(&query, &[]).await, stream, "{what}");
        }
    }
    world.server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_never_taken_for_nothing() {
    let world = World::new().await;
    let good = world.signer.sign(&world.claims("eve", "x", json!(1)));
    let key = world.key("alice").await;
    let (bearer, alice) = (format!("authorization: Bearer {good}"), basic(&format!("alice:{key}")));
    for path in [
        format!("/app?token={good}"),
        format!("/app?username=alice&api_key={key}"),
    ] {
        for header in [&bearer, &alice] {
            assert_eq!(
                world.answer(&path, &[header]).await,
                (400, told("BadRequest", TWO)),
                "{path}"
            );
        }
    }
    let both = format!("/app?token={good}&username=alice&api_key={key}");
    assert_eq!(world.answer(&both, &[]).await, (400, told("BadRequest", TWO)));
    for path in ["/app", "/api/registry/v1alpha1/apps"] {
        assert_eq!(
            world.answer(path, &[&bearer, &alice]).await,
            (400, told("BadRequest", TWO))
        );
    }
    // Scheme names are read in any case (the defect 18 again: `bearer` was nobody).
    let lower = bearer.replace("Bearer", "bEARER");
    let known = world.answer("/api/admin/v1alpha1/user/whoami", &[&lower]).await;
    assert_eq!(known, (200, json!({"id": "eve"})));
    for (header, message) in [
        (
            "Basic %%",
            "Invalid request: `Authorization: Basic` must be followed by base64 of `<user>:<password>`",
        ),
        (
            "Basic YWxpY2U=",
            "Invalid request: `Authorization: Basic` has no colon between user name and password",
        ),
        ("Basic YWxpY2U6", "Invalid request: No access token provided."),
        (
            "Digest x",
            "Invalid request: `Authorization` must be `Basic` or `Bearer`, a space, and the credentials",
        ),
        (
            "Bearer",
            "Invalid request: `Authorization` must be `Basic` or `Bearer`, a space, and the credentials",
        ),
    ] {
        let header = format!("authorization: {header}");
        assert_eq!(
            world.answer("/app", &[&header]).await,
            (401, told("Unauthorized", message))
        );
        let api = world.answer("/api/registry/v1alpha1/apps", &[&header]).await;
        assert_eq!(api, (401, told("NotAuthorized", message)));
    }
    // Nobody, and who is known, learn the same of what is not theirs.
    for (header, name) in [
        (None, "app"),
        (None, "unknown"),
        (Some(&bearer), "app"),
        (Some(&bearer), "unknown"),
    ] {
        let headers: Vec<_> = header.into_iter().map(String::as_str).collect();
        let message = format!("Resource not found: Application / {name}");
        assert_eq!(
            world.answer(&format!("/{name}"), &headers).await,
            (404, told("NotFound", &message))
        );
    }
    // More than a target may have, which HTTP refuses before anybody is asked.
    let target = "the target of the request is longer than 65534 bytes: send less in the query";
    for name in ["app", "unknown"] {
        let path = format!("/{name}?token={}", "x".repeat(100_000));
        assert_eq!(world.answer(&path, &[]).await, (414, told("UriTooLong", target)));
    }
    // More than the head of a request may have: whoever asks, for whatever.
    let huge = "x".repeat(100_000);
    let long = "request line and headers are longer than 32768 bytes: send less in the query and in headers";
    for (path, header) in [
        ("/app".to_owned(), format!("authorization: Bearer {huge}")),
        ("/unknown".to_owned(), format!("authorization: Basic {huge}")),
        (
            "/api/registry/v1alpha1/apps".to_owned(),
            format!("authorization: Bearer {huge}"),
        ),
    ] {
        assert_eq!(
            world.answer(&path, &[&header]).await,
            (431, told("RequestHeaderFieldsTooLarge", long))
        );
    }
    world.server.stop().await;
}
