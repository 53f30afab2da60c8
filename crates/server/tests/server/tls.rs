//! A certificate that cannot be used keeps the server from starting, and the setting is named; what is no TLS breaks nothing; of
//! several certificates the right one is shown, and new files count without a restart.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sockeye_server::{Config, DojotConfig, Server, StartError, TlsConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::client::call;
use crate::config;

/// Writes a file; its path.
fn file(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// A certificate and its key, as PEM.
fn pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// A connection of TLS to a name; with which certificate.
async fn connect(
    server: SocketAddr,
    name: &str,
    trusted: &[&str],
) -> Result<(TlsStream<TcpStream>, String), io::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots
            .add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap())
            .unwrap();
    }
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TcpStream::connect(server).await?;
    let stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await?;
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    let is_it = |pem: &&&str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap() == shown;
    let shown = trusted.iter().find(is_it).unwrap().to_string();
    Ok((stream, shown))
}

/// Whether requests are answered on a connection.
async fn answers(stream: &mut TlsStream<TcpStream>) -> bool {
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    answer == *b"HTTP/1.1 200"
}

fn pair_for(names: &[&str]) -> (String, String) {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// A configuration with these certificates and keys, on all listeners.
fn with_pairs(folder: &Path, pairs: &[(&str, &str)]) -> Config {
    let path = |at: usize, what: &str| folder.join(format!("{what}-{at}.pem"));
    for (at, (certificate, key)) in pairs.iter().enumerate() {
        std::fs::write(path(at, "certificate"), certificate).unwrap();
        std::fs::write(path(at, "key"), key).unwrap();
    }
    Config {
        tls: TlsConfig {
            certificates: (0..pairs.len()).map(|at| path(at, "certificate")).collect(),
            keys: (0..pairs.len()).map(|at| path(at, "key")).collect(),
        },
        metrics_tls: true,
        dojot: DojotConfig {
            gateway: Some("127.0.0.1:0".parse().unwrap()),
            gateway_tls: true,
            ..config(folder).dojot
        },
        ..config(folder)
    }
}

#[tokio::test]
async fn a_client_gets_the_certificate_of_the_name_that_it_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    let (one, one_key) = pair_for(&["one.test", "127.0.0.1"]);
    let (two, two_key) = pair_for(&["two.test", "*.wild.test"]);
    let pairs = [(one.as_str(), one_key.as_str()), (two.as_str(), two_key.as_str())];
    let server = Server::start(with_pairs(folder.path(), &pairs)).await.unwrap();
    assert!(server.metrics_url().unwrap().starts_with("https://"));
    let gateway = server.gateway_url().unwrap();
    let gateway = gateway.strip_prefix("https://").unwrap().parse().unwrap();
    for address in [server.http_address(), server.metrics_address().unwrap(), gateway] {
        for (name, certificate) in [
            ("one.test", &one),
            ("two.test", &two),
            ("TWO.test", &two),
            ("a.wild.test", &two),
            // An address is no name that could be asked for: the first.
            ("127.0.0.1", &one),
        ] {
            let (mut stream, shown) = connect(address, name, &[&one, &two]).await.unwrap();
            assert!(shown == *certificate, "{name}");
            assert!(answers(&mut stream).await, "{name}");
        }
        // The first one too, which is not for it.
        assert!(connect(address, "three.test", &[&one, &two]).await.is_err());
    }
    server.stop().await;
}

/// New files are used without a restart, wrong ones are not; who is connected notices neither.
#[tokio::test]
async fn files_that_change_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let (old, old_key) = pair_for(&["one.test"]);
    let (new, new_key) = pair_for(&["one.test"]);
    let config = with_pairs(folder.path(), &[(&old, &old_key)]);
    let [certificate, key] = [&config.tls.certificates[0], &config.tls.keys[0]].map(Clone::clone);
    let server = Server::start(config).await.unwrap();
    let address = server.http_address();
    let trusted = [old.as_str(), new.as_str()];
    let (mut before, shown) = connect(address, "one.test", &trusted).await.unwrap();
    assert!(shown == old);
    let refused = async || {
        let (mut stream, _) = connect(server.metrics_address().unwrap(), "one.test", &trusted)
            .await
            .unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text.contains("sockeye_server_tls_files_refused_total 1")
    };
    // The new certificate with the old key: a mistake, or the time between two files.
    std::fs::write(&certificate, &new).unwrap();
    until(refused).await;
    assert!(connect(address, "one.test", &trusted).await.unwrap().1 == old);
    std::fs::write(&key, &new_key).unwrap();
    until(async || connect(address, "one.test", &trusted).await.unwrap().1 == new).await;
    assert!(answers(&mut before).await, "who was connected still is");
    server.stop().await;
}

/// Waits for what has to become true.
async fn until(mut is: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is().await {
        assert!(Instant::now() < deadline, "it never became true");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn with(folder: &Path, certificate: Option<&PathBuf>, key: Option<&PathBuf>) -> Config {
    Config {
        tls: TlsConfig {
            certificates: certificate.into_iter().cloned().collect(),
            keys: key.into_iter().cloned().collect(),
        },
        ..config(folder)
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_by_their_setting() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (certificate, key) = pair();
    let (_, other_key) = pair();
    let good = file(folder, "good.pem", &certificate);
    let good_key = file(folder, "good-key.pem", &key);
    let other_key = file(folder, "other-key.pem", other_key);
    let none = folder.join("none.pem");
    let text = file(folder, "text.pem", "no PEM at all");
    let large = file(folder, "large.pem", vec![b'x'; 2 << 20]);
    let broken = file(folder, "broken.pem", certificate.replace("-----END", "-----END OF"));
    let no_certificate = file(
        folder,
        "no-certificate.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let secret = "c2VjcmV0c2VjcmV0";
    let pem = |label: &str| format!("-----BEGIN {label}-----\n{secret}\n-----END {label}-----\n");
    let encrypted = file(folder, "encrypted.pem", pem("ENCRYPTED PRIVATE KEY"));
    let no_key = file(folder, "no-key.pem", pem("PRIVATE KEY"));
    let broken_key = file(
        folder,
        "broken-key.pem",
        format!("-----BEGIN PRIVATE KEY-----\n{secret}?\n"),
    );
    for (certificate, key, says) in [
        (Some(&good), None, &["tls.key: there is none", "`tls.certificate`"][..]),
        (None, Some(&good_key), &["tls.certificate: there is none", "`tls.key`"]),
        (
            Some(&none),
            Some(&good_key),
            &["tls.certificate: ", "none.pem", "cannot be read"],
        ),
        (Some(&good), Some(&none), &["tls.key: ", "none.pem", "cannot be read"]),
        // Both in one go.
        (
            Some(&none),
            Some(&text),
            &[
                "tls.certificate: ",
                "none.pem",
                "tls.key: ",
                "text.pem",
                "BEGIN PRIVATE KEY",
            ],
        ),
        (
            Some(&text),
            Some(&good_key),
            &["tls.certificate: ", "text.pem", "BEGIN CERTIFICATE"],
        ),
        (
            Some(&large),
            Some(&good_key),
            &["tls.certificate: ", "large.pem", "longer"],
        ),
        (Some(&broken), Some(&good_key), &["tls.certificate: ", "broken.pem"]),
        (
            Some(&no_certificate),
            Some(&good_key),
            &["tls.certificate: ", "no-certificate.pem"],
        ),
        (
            Some(&good),
            Some(&encrypted),
            &["tls.key: ", "encrypted.pem", "openssl pkey"],
        ),
        (Some(&good), Some(&no_key), &["tls.key: ", "no-key.pem"]),
        (Some(&good), Some(&broken_key), &["tls.key: ", "broken-key.pem"]),
        // The files were swapped.
        (
            Some(&good_key),
            Some(&good),
            &[
                "tls.certificate: ",
                "BEGIN CERTIFICATE",
                "tls.key: ",
                "BEGIN PRIVATE KEY",
            ],
        ),
        (
            Some(&good),
            Some(&other_key),
            &["tls.key: ", "other-key.pem", "not the key of", "good.pem"],
        ),
    ] {
        let error = Server::start(with(folder, certificate, key))
            .await
            .err()
            .expect("it cannot start");
        let said = error.to_string();
        assert!(matches!(error, StartError::Tls(_)), "{said}");
        for words in says {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert!(!said.contains(secret), "{said}");
        assert!(!folder.join("data").exists(), "nothing was touched");
    }
}

/// Plain HTTP, bytes without sense and a client that goes are closed; those with TLS are served before and after.
#[tokio::test]
async fn what_is_no_tls_is_closed_and_nothing_breaks() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = pair();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap())
        .unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = TlsConnector::from(Arc::new(client));
    let (certificate, key) = (
        file(folder.path(), "certificate.pem", certificate),
        file(folder.path(), "key.pem", key),
    );
    let server = Server::start(with(folder.path(), Some(&certificate), Some(&key)))
        .await
        .unwrap();
    let address = server.http_address();
    assert_eq!(server.http_url(), format!("https://{address}"));
    let mut failed = 0;
    for bytes in [
        &b"GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n"[..],
        b"\0\0\0\0\0\0\0\0",
        &[0x16, 3, 1, 0xff, 0xff],
        b"",
    ] {
        let mut plain = TcpStream::connect(address).await.unwrap();
        plain.write_all(bytes).await.unwrap();
        plain.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // Closed, or reset: with an alert at most.
        let _ = plain.read_to_end(&mut answer).await;
        assert!(
            answer.len() < 16 && !answer.starts_with(b"HTTP"),
            "{bytes:?}: {answer:?}"
        );
        failed += 1;

        let stream = TcpStream::connect(address).await.unwrap();
        let mut tls = client
            .connect(ServerName::try_from("127.0.0.1").unwrap(), stream)
            .await
            .unwrap();
        tls.write_all(b"GET /healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        tls.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    // Plain, for scrapers on this machine.
    let metrics = call(server.metrics_address().unwrap(), "GET /metrics", &[], "")
        .await
        .body;
    for (result, count) in [("done", failed), ("failed", failed)] {
        let line = format!("sockeye_server_tls_handshakes_total{{listener=\"http\",result=\"{result}\"}} {count}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    server.stop().await;
}
