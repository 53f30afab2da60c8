//! The files of certificates and keys: read, and made into what handshakes use.

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use sockeye_limits as limits;

use crate::config::TlsConfig;
use crate::tls::{CERTIFICATE, KEY, TlsError, TlsErrors};

/// What is in the files: of each certificate and its key, by turns; or why a file cannot be read.
#[derive(Hash)]
pub(super) struct Files(Vec<[Result<Vec<u8>, String>; 2]>);

/// Tells whether files have changed, without keeping what is secret.
#[derive(Clone, Default)]
pub(super) struct Fingerprints(RandomState);

// ----------------------------------------------------------------------------------------------

impl Files {
    /// Reads all files; there are as many keys as certificates.
    pub(super) fn read(config: &TlsConfig) -> Self {
        let pairs = config.certificates.iter().zip(&config.keys);
        Self(
            pairs
                .map(|(certificate, key)| [read_file(certificate), read_file(key)])
                .collect(),
        )
    }

    /// Makes certificates of what was read from the files of this configuration.
    ///
    /// # Errors
    /// Everything that is wrong, in one go.
    pub(super) fn certify(
        self,
        config: &TlsConfig,
        provider: &CryptoProvider,
    ) -> Result<Vec<Arc<CertifiedKey>>, TlsErrors> {
        let (mut certified, mut errors) = (Vec::new(), Vec::new());
        let paths = config.certificates.iter().zip(&config.keys);
        for ([chain, private], (certificate, key)) in self.0.into_iter().zip(paths) {
            match (chain_of(certificate, chain), key_of(key, private)) {
                (Ok(chain), Ok(private)) => match pair(chain, private, provider, (certificate, key)) {
                    Ok(pair) => certified.push(Arc::new(pair)),
                    Err(error) => errors.push(error),
                },
                (chain, private) => errors.extend(chain.err().into_iter().chain(private.err())),
            }
        }
        if errors.is_empty() {
            Ok(certified)
        } else {
            Err(TlsErrors(errors))
        }
    }
}

impl Fingerprints {
    pub(super) fn of(&self, files: &Files) -> u64 {
        self.0.hash_one(files)
    }
}

fn pair(
    chain: Vec<CertificateDer<'static>>,
    private: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
    (certificate, key): (&Path, &Path),
) -> Result<CertifiedKey, TlsError> {
    CertifiedKey::from_der(chain, private, provider).map_err(|error| match error {
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
    })
}

fn chain_of(path: &Path, text: Result<Vec<u8>, String>) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |what: String| TlsError {
        setting: CERTIFICATE,
        message: format!("{}: {what}", path.display()),
    };
    let text = text.map_err(error)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(error("there is no `BEGIN CERTIFICATE` in it".to_owned())),
        Ok(chain) => Ok(chain),
        Err(reason) => Err(error(format!("it is no PEM file: {reason}"))),
    }
}

fn key_of(path: &Path, text: Result<Vec<u8>, String>) -> Result<PrivateKeyDer<'static>, TlsError> {
    let error = |what: String| TlsError {
        setting: KEY,
        message: format!("{}: {what}", path.display()),
    };
    let text = text.map_err(error)?;
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
