//! Whom the command line trusts where a server is called by https.

use std::{error::Error, io, path::Path, sync::Arc};

use anyhow::{Context as _, Result, bail};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio_tungstenite::Connector;
use url::Url;

/// Certificates that lead to servers; without a file of them, those of the system, however a server is called.
#[derive(Clone, Debug, Default)]
pub struct Trust(Option<Arc<ClientConfig>>);

/// The remedy where a certificate is not trusted, behind what failed.
pub const TRUST_IT: &str = ": give its certificate, or that of its authority, with --ca";

// ----------------------------------------------------------------------------------------------

impl Trust {
    /// Trusts the certificates in this file, and no others: authorities, or a server's own.
    pub fn read(file: Option<&Path>) -> Result<Self> {
        let Some(file) = file else {
            return Ok(Self::default());
        };
        let name = || format!("--ca {}", file.display());
        let text = std::fs::read(file).with_context(|| format!("{}: the file cannot be read", name()))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&text) {
            let certificate = certificate.with_context(|| format!("{}: it is no PEM file", name()))?;
            roots
                .add(certificate)
                .with_context(|| format!("{}: a certificate cannot be used", name()))?;
        }
        if roots.is_empty() {
            bail!("{}: there is no `BEGIN CERTIFICATE` in it", name());
        }
        let config = ClientConfig::builder().with_root_certificates(roots);
        Ok(Self(Some(Arc::new(config.with_no_client_auth()))))
    }

    /// For calls over HTTP to this address.
    pub fn apply(&self, builder: reqwest::ClientBuilder, address: &Url) -> Result<reqwest::ClientBuilder> {
        Ok(match address.scheme() {
            "https" => builder.tls_backend_preconfigured(ClientConfig::clone(&*self.config()?)),
            _ => builder,
        })
    }

    /// For connections of every kind.
    pub fn config(&self) -> Result<Arc<ClientConfig>> {
        if let Some(config) = &self.0 {
            return Ok(Arc::clone(config));
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            bail!("this system has no certificates to trust{TRUST_IT}");
        }
        let config = ClientConfig::builder().with_root_certificates(roots);
        Ok(Arc::new(config.with_no_client_auth()))
    }

    /// For streams from this address.
    pub fn connector(&self, address: &Url) -> Result<Connector> {
        Ok(match address.scheme() {
            "wss" => Connector::Rustls(self.config()?),
            _ => Connector::Plain,
        })
    }
}

/// Whether something failed because a server's certificate is not trusted.
pub fn is_distrust(error: &(dyn Error + 'static)) -> bool {
    if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
        return true;
    }
    // An error of I/O does not name the one inside it as its source.
    match error.downcast_ref().and_then(io::Error::get_ref) {
        Some(inner) => is_distrust(inner),
        None => error.source().is_some_and(is_distrust),
    }
}

#[cfg(test)]
mod tests {
    use rustls::CertificateError::UnknownIssuer;

    use super::*;

    #[test]
    fn distrust_is_found_however_deep_it_is() {
        let distrust = || rustls::Error::InvalidCertificate(UnknownIssuer);
        assert!(is_distrust(&distrust()));
        assert!(is_distrust(&io::Error::other(io::Error::other(distrust()))));
        let outer = tokio_tungstenite::tungstenite::Error::Io(io::Error::other(distrust()));
        assert!(is_distrust(&outer));
        assert!(!is_distrust(&io::Error::other(rustls::Error::DecryptError)));
        assert!(!is_distrust(&io::Error::from(io::ErrorKind::ConnectionRefused)));
    }
}
