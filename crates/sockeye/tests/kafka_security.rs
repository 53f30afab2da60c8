//! A Kafka that lets in who has a token of a provider, or a password: with what `--kafka-properties` says, and not without.
//!
//! Runs once: it brings its own Kafka.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sockeye_parts::{
    kafka::{Kafka, USER},
    keycloak::{self, Realm, SERVICE, SERVICE_SECRET},
};
use support::{APP, Server, next_event, numbered, sockeye};

/// How long a token lives, in seconds; every second librdkafka looks whether 80 % of that are over.
const LIFE: u32 = 6;
/// Between two events.
const PACE: Duration = Duration::from_millis(100);

/// Brokers, further properties, and what is said of them.
type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, &'a [&'a str]);

// ----------------------------------------------------------------------------------------------

/// The file for `--kafka-properties` of who gets tokens from this realm; what is given again counts.
fn properties(folder: &Path, kafka: &Kafka, realm: &Realm, more: &[(&str, &str)]) -> PathBuf {
    let authority = kafka.certificate().certificate;
    let endpoint = realm.token_endpoint();
    let mut lines = vec![
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.location", authority.to_str().unwrap()),
        ("sasl.mechanisms", "OAUTHBEARER"),
        ("sasl.oauthbearer.method", "oidc"),
        ("sasl.oauthbearer.token.endpoint.url", &endpoint),
        ("sasl.oauthbearer.client.id", SERVICE),
        ("sasl.oauthbearer.client.secret", SERVICE_SECRET),
    ];
    lines.extend(more);
    let lines: Vec<String> = lines.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    let file = folder.join("kafka.properties");
    fs::write(&file, lines.concat()).unwrap();
    file
}

/// The provider's certificate is one that the system trusts.
#[tokio::test]
async fn events_go_on_past_the_end_of_tokens_and_no_log_has_a_secret() {
    let Some(keycloak) = keycloak::shared().unwrap() else {
        return;
    };
    let realm = keycloak.realm("serves").await.unwrap();
    realm.set_service_token_life(LIFE).await.unwrap();
    realm.service_token(SERVICE_SECRET).await.unwrap();
    let Some(kafka) = Kafka::start_for_tokens(&realm).unwrap() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (data, log) = (folder.path().join("data"), folder.path().join("log"));
    let file = properties(folder.path(), &kafka, &realm, &[]);
    let start = || {
        Server::start_with(&data, |command| {
            command.args(["--kafka", &kafka.bootstrap_oidc(), "--log-level", "trace"]);
            command.arg("--kafka-properties").arg(&file);
            command.env("SSL_CERT_FILE", keycloak.certificate().certificate);
            let log = fs::OpenOptions::new().create(true).append(true).open(&log);
            command.stderr(log.unwrap());
        })
    };
    let mut server = start();
    server.make_device();
    let http = support::http();
    let mut socket = server.stream(APP).await;
    let mut group = server.stream(&format!("{APP}?group=workers")).await;
    let begun = Instant::now();
    let mut pace = tokio::time::interval(PACE);
    let mut number = 0;
    // Two tokens end meanwhile.
    while begun.elapsed() < 2 * Duration::from_secs(u64::from(LIFE)) {
        pace.tick().await;
        assert_eq!(server.publish(&http, "c", &numbered(number)).await.unwrap(), 202);
        assert_eq!(next_event(&mut socket).await["data"], numbered(number));
        assert_eq!(next_event(&mut group).await["data"], numbered(number));
        number += 1;
    }
    assert!(server.terminate().success());
    let mut server = start();
    let mut socket = server.stream(&format!("{APP}?from=earliest")).await;
    for number in 0..number {
        assert_eq!(next_event(&mut socket).await["data"], numbered(number));
    }
    assert!(server.terminate().success());

    let log = fs::read_to_string(&log).unwrap();
    assert!(log.contains("answered"), "it tells of requests:\n{log}");
    let header = STANDARD.encode(format!("{SERVICE}:{SERVICE_SECRET}"));
    // Tokens begin with `{"` in base64.
    for secret in [SERVICE_SECRET, &header, "eyJ"] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "`{secret}` is in the log");
    }
}

/// One line that names the setting and the properties, and no secret.
#[tokio::test]
async fn who_is_not_let_in_is_told_so_at_the_start() {
    let Some(keycloak) = keycloak::shared().unwrap() else {
        return;
    };
    let realm = keycloak.realm("refuses").await.unwrap();
    let Some(kafka) = Kafka::start_for_tokens(&realm).unwrap() else {
        return;
    };
    // The first answers take long on a machine that builds, and a start does not wait long.
    realm.service_token(SERVICE_SECRET).await.unwrap();
    realm.service_token("wrong-hush").await.unwrap_err();
    let provider = keycloak.certificate().certificate;
    let trusts = ("https.ca.location", provider.to_str().unwrap());
    let nowhere = "https://127.0.0.1:1/token";
    let password = [
        ("sasl.mechanisms", "PLAIN"),
        ("sasl.username", USER),
        ("sasl.password", "wrong-hush"),
    ];
    let (tokens, passwords) = (kafka.bootstrap_oidc(), kafka.bootstrap_sasl());
    let cases: [Case<'_>; 6] = [
        (
            &tokens,
            vec![trusts, ("sasl.oauthbearer.client.secret", "wrong-hush")],
            &["`sasl.oauthbearer.client.secret`", "Invalid client"],
        ),
        (
            &tokens,
            vec![trusts, ("sasl.oauthbearer.token.endpoint.url", nowhere)],
            &["`sasl.oauthbearer.token.endpoint.url`", "connect to 127.0.0.1"],
        ),
        (&tokens, vec![], &["`https.ca.location`", "certificate"]),
        (
            &tokens,
            vec![("sasl.oauthbearer.client.secret", "")],
            &["`sasl.oauthbearer.client.secret`"],
        ),
        (
            &passwords,
            password.to_vec(),
            &["`sasl.password`", "Invalid username or password"],
        ),
        (
            &passwords,
            [&password[..], &[("ssl.ca.location", trusts.1)]].concat(),
            &["`ssl.ca.location`"],
        ),
    ];
    // They wait for Kafka all at once.
    let started = cases.map(|(brokers, more, expected)| {
        let folder = tempfile::tempdir().unwrap();
        let mut command: Command = sockeye();
        command.args(["serve", "--http-bind", "127.0.0.1:0", "--metrics-bind", "off"]);
        command.args(["--log-level", "error", "--kafka", brokers]);
        command.arg("--data").arg(folder.path().join("data"));
        command
            .arg("--kafka-properties")
            .arg(properties(folder.path(), &kafka, &realm, &more));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        (folder, command.spawn().unwrap(), expected)
    });
    for (_folder, server, expected) in started {
        let ended = server.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(!ended.status.success(), "{said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        assert!(said.contains("kafka.properties: "), "{said}");
        for part in expected {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("hush") && !said.contains(SERVICE_SECRET), "{said}");
    }
}
