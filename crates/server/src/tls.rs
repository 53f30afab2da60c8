//! The server's certificate: read and checked before anything is served.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ServerConfig};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CipherSuite, Error, InconsistentKeys};
use sockeye_limits as limits;

use crate::config::TlsConfig;

/// Everything that is wrong with the files of a certificate, each by the setting that names it.
#[derive(Debug)]
pub struct TlsErrors(Vec<TlsError>);

/// One thing that is wrong with the file of a setting.
#[derive(Debug)]
struct TlsError {
    setting: &'static str,
    /// The file and what is wrong with it.
    message: String,
}

/// Names of the two settings.
const CERTIFICATE: &str = "tls.certificate";
const KEY: &str = "tls.key";

// ----------------------------------------------------------------------------------------------

/// What handshakes need, or `None` if no certificate is configured.
///
/// # Errors
/// Everything that is wrong, in one go.
pub(crate) fn read(config: &TlsConfig) -> Result<Option<Arc<ServerConfig>>, TlsErrors> {
    let (certificate, key) = match (&config.certificate, &config.key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(_), None) => return Err(missing(KEY, CERTIFICATE)),
        (None, Some(_)) => return Err(missing(CERTIFICATE, KEY)),
    };
    let (chain, private) = match (read_chain(certificate), read_key(key)) {
        (Ok(chain), Ok(private)) => (chain, private),
        (chain, private) => return Err(TlsErrors(chain.err().into_iter().chain(private.err()).collect())),
    };
    let provider = Arc::new(provider());
    let certified = CertifiedKey::from_der(chain, private, &provider).map_err(|error| {
        TlsErrors(vec![match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                let message = format!("{}: it is not the key of {}", key.display(), certificate.display());
                TlsError { setting: KEY, message }
            }
            Error::InvalidCertificate(reason) => {
                let message = format!(
                    "{}: the first certificate cannot be used: {reason}",
                    certificate.display()
                );
                TlsError {
                    setting: CERTIFICATE,
                    message,
                }
            }
            error => TlsError {
                setting: KEY,
                message: format!(
                    "{}: the key cannot be used: {error}; ECDSA (P-256), Ed25519 and RSA (2048 bits and more) can",
                    key.display()
                ),
            },
        }])
    })?;
    let mut tls = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider has suites of TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    // What a record costs is ours to bear, so our order counts.
    tls.ignore_client_order = true;
    // A client that comes back shows a ticket instead of making us sign; the server keeps nothing for it.
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    tls.ticketer = ring::Ticketer::new().expect("the system gives random bytes");
    tls.send_tls13_tickets = 1;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(tls)))
}

/// AES-GCM first, and of that the shorter key: processors have instructions for it, and each event is encrypted once per
/// socket. ChaCha20 stays for clients that have nothing else.
fn provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => 0,
        CipherSuite::TLS13_AES_256_GCM_SHA384 => 1,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => 2,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 3,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => 4,
        _ => 5,
    });
    provider
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |what: String| TlsError {
        setting: CERTIFICATE,
        message: format!("{}: {what}", path.display()),
    };
    let text = read_file(path).map_err(error)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(error("there is no `BEGIN CERTIFICATE` in it".to_owned())),
        Ok(chain) => Ok(chain),
        Err(reason) => Err(error(format!("it is no PEM file: {reason}"))),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let error = |what: String| TlsError {
        setting: KEY,
        message: format!("{}: {what}", path.display()),
    };
    let text = read_file(path).map_err(error)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|reason| {
        error(match reason {
            pem::Error::NoItemsFound if contains(&text, b"BEGIN ENCRYPTED PRIVATE KEY") => {
                "the key is encrypted; `openssl pkey -in FILE -out NEW` decrypts it".to_owned()
            }
            pem::Error::NoItemsFound => "there is no `BEGIN PRIVATE KEY` in it".to_owned(),
            // The reason may quote the file, which is secret.
            _ => "it is no PEM file".to_owned(),
        })
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(limits::TLS_FILE + 1).read_to_end(&mut text));
    match read {
        Err(reason) => Err(format!("the file cannot be read: {reason}")),
        Ok(length) if length as u64 > limits::TLS_FILE => {
            Err(format!("the file is longer than {} bytes", limits::TLS_FILE))
        }
        Ok(_) => Ok(text),
    }
}

fn contains(text: &[u8], words: &[u8]) -> bool {
    text.windows(words.len()).any(|part| part == words)
}

fn missing(setting: &'static str, other: &str) -> TlsErrors {
    let message = format!("there is none, and `{other}` needs it");
    TlsErrors(vec![TlsError { setting, message }])
}

impl fmt::Display for TlsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TLS cannot be served:")?;
        for TlsError { setting, message } in &self.0 {
            write!(f, "\n  {setting}: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for TlsErrors {}
