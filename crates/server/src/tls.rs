//! What TLS handshakes need: certificates, chosen by the name that a client asks for, and read again when their files change.
//!
//! | file | idea |
//! | --- | --- |
//! | `files.rs` | the files of certificates and keys |
//! | `certificates.rs` | which one a client gets; new files |

mod certificates;
mod files;

use std::fmt;
use std::sync::Arc;

use rustls::CipherSuite;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{NoServerSessionStorage, ServerConfig};

pub(crate) use certificates::{Certificates, Counted};

use crate::config::TlsConfig;

/// What a listener with TLS needs.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) certificates: Arc<Certificates>,
}

/// Everything that is wrong with the files of certificates, each by the setting that names it.
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
pub(crate) fn read(config: &TlsConfig) -> Result<Option<Tls>, TlsErrors> {
    match (config.certificates.len(), config.keys.len()) {
        (0, 0) => return Ok(None),
        (0, _) => return Err(missing(CERTIFICATE, KEY)),
        (_, 0) => return Err(missing(KEY, CERTIFICATE)),
        (certificates, keys) if certificates != keys => {
            let message =
                format!("it names {keys} files for {certificates} certificates: give the key of each, in their order");
            return Err(TlsErrors(vec![TlsError { setting: KEY, message }]));
        }
        _ => {}
    }
    let provider = Arc::new(provider());
    let certificates = Arc::new(Certificates::read(config, Arc::clone(&provider))?);
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has suites of TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&certificates) as _);
    // What a record costs is ours to bear, so our order counts.
    tls.ignore_client_order = true;
    // A client that comes back shows a ticket instead of making us sign; the server keeps nothing for it.
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    tls.ticketer = ring::Ticketer::new().expect("the system gives random bytes");
    tls.send_tls13_tickets = 1;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Tls {
        config: Arc::new(tls),
        certificates,
    }))
}

/// There is no certificate, and a setting needs one.
pub(crate) fn none_for(setting: &str) -> TlsErrors {
    missing(CERTIFICATE, setting)
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
