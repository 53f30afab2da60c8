//! The providers of tokens, from the settings: checked before anything is served.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use sockeye_access::Oidc;
use sockeye_access::oidc::{Issuer, Shape};
use sockeye_limits as limits;

use crate::config::OidcConfig;

/// What is wrong with the settings of the providers as a whole: one setting, and what it needs.
#[derive(Debug)]
pub struct OidcError {
    setting: &'static str,
    message: String,
}

// ----------------------------------------------------------------------------------------------

/// The providers, or `None` if none is configured.
///
/// # Errors
/// Settings that do not go together, and a file of certificates that cannot be used.
pub(crate) fn read(config: &OidcConfig) -> Result<Option<Oidc>, OidcError> {
    if config.issuers.is_empty() {
        return Ok(None);
    }
    let http = client(config.ca.as_deref())?;
    let shape: Box<dyn Fn(usize) -> Shape> = match &*config.shapes {
        [one] => Box::new(|_| *one),
        shapes if shapes.len() == config.issuers.len() => Box::new(|at| shapes[at]),
        shapes => {
            let (shapes, issuers) = (shapes.len(), config.issuers.len());
            return Err(OidcError {
                setting: "oidc.shapes",
                message: format!("it has {shapes} words for {issuers} issuers: give one for all, or one for each"),
            });
        }
    };
    let issuers = config.issuers.iter().enumerate().map(|(at, url)| Issuer {
        audiences: config.audiences.iter().cloned().collect(),
        admin_role: config.admin_role.clone(),
        ..Issuer::new(url, shape(at))
    });
    Ok(Some(Oidc::new(issuers, &http)))
}

/// A client for documents of providers. It follows no redirects: an issuer is where it says to be.
fn client(ca: Option<&Path>) -> Result<reqwest::Client, OidcError> {
    let error = |setting, message| OidcError { setting, message };
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(limits::JWKS_FETCH)
        // Fetches are rare, and the core of one may be busy when the next is due.
        .pool_max_idle_per_host(0)
        .pool_idle_timeout(Duration::ZERO);
    if let Some(ca) = ca {
        let roots = roots(ca).map_err(|message| error("oidc.ca", format!("{}: {message}", ca.display())))?;
        let tls = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("the provider has suites of TLS 1.2 and 1.3");
        builder = builder.tls_backend_preconfigured(tls.with_root_certificates(roots).with_no_client_auth());
    } else if CryptoProvider::get_default().is_none() {
        // Another thread may be quicker, with the same.
        let _ = ring::default_provider().install_default();
    }
    builder
        .build()
        .map_err(|reason| error("oidc.issuers", format!("no client can be made to call them: {reason}")))
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let text = std::fs::read(path).map_err(|reason| format!("the file cannot be read: {reason}"))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|reason| format!("it is no PEM file: {reason}"))?;
        roots
            .add(certificate)
            .map_err(|reason| format!("a certificate cannot be used: {reason}"))?;
    }
    if roots.is_empty() {
        return Err("there is no `BEGIN CERTIFICATE` in it".to_owned());
    }
    Ok(roots)
}

impl fmt::Display for OidcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tokens of providers cannot be accepted: {}: {}",
            self.setting, self.message
        )
    }
}

impl std::error::Error for OidcError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut OidcConfig), expected: Option<&str>) {
        let mut config = crate::Config::default().oidc;
        config.issuers = vec!["https://id.example/a".to_owned(), "https://id.example/b".to_owned()];
        change(&mut config);
        let said = read(&config).err().map(|error| error.to_string());
        match expected {
            Some(part) => assert!(
                said.as_ref().is_some_and(|said| said.contains(part)),
                "{said:?}: {part}"
            ),
            None => assert_eq!(said, None),
        }
    }

    #[test]
    fn settings_have_to_go_together() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "").unwrap();
        check(|_| {}, None);
        check(|config| config.shapes.push(Shape::DEX), None);
        check(
            |config| config.shapes.extend([Shape::DEX, Shape::DEX]),
            Some("oidc.shapes: it has 3 words for 2 issuers"),
        );
        check(
            |config| config.ca = Some(empty),
            Some("empty.pem: there is no `BEGIN CERTIFICATE`"),
        );
        check(
            |config| config.ca = Some("/none".into()),
            Some("oidc.ca: /none: the file cannot be read"),
        );
    }
}
