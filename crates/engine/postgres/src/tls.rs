//! Certificates, as rustls takes them.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{OpenError, PostgresOptions};

// ----------------------------------------------------------------------------------------------

/// What connects with these options; the server's certificate is always checked.
pub(crate) fn connector(options: &PostgresOptions) -> Result<MakeRustlsConnect, OpenError> {
    let mut trusted = RootCertStore::empty();
    match &options.authority {
        Some(path) => {
            for certificate in certificates(path)? {
                trusted
                    .add(certificate)
                    .map_err(|error| OpenError::file(path, &error.to_string()))?;
            }
        }
        // Some of a system's may be broken; without any, no server is trusted.
        None => {
            trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| OpenError::Options(error.to_string()))?
        .with_root_certificates(trusted);
    let config = match (&options.certificate, &options.key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| OpenError::file(key, &error.to_string()))?;
            config
                .with_client_auth_cert(chain, secret)
                .map_err(|error| OpenError::file(certificate, &error.to_string()))?
        }
        (None, None) => config.with_no_client_auth(),
        _ => {
            return Err(OpenError::Options(
                "a certificate needs its key, and a key its certificate".to_owned(),
            ));
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if certificates.is_empty() => Err(OpenError::file(path, "there is no certificate in it")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(OpenError::file(path, &error.to_string())),
    }
}
