//! A certificate that cannot be used keeps the server from starting, and the setting is named; what is no TLS breaks nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sockeye_server::{Config, Server, StartError, TlsConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
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

fn with(folder: &Path, certificate: Option<&PathBuf>, key: Option<&PathBuf>) -> Config {
    Config {
        tls: TlsConfig {
            certificate: certificate.cloned(),
            key: key.cloned(),
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
