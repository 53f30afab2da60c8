//! Which certificate a client gets, and new files in the place of old ones.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::metrics::counter::Counter;
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sockeye_limits as limits;
use tokio_util::sync::CancellationToken;

use crate::config::TlsConfig;
use crate::tls::TlsErrors;
use crate::tls::files::{Files, Fingerprints};

/// The certificates of a server.
pub(crate) struct Certificates {
    current: RwLock<Arc<[Arc<CertifiedKey>]>>,
    config: TlsConfig,
    provider: Arc<CryptoProvider>,
    fingerprints: Fingerprints,
    /// Of the files that were read when the server started.
    first: u64,
}

/// How often new files were found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted {
    /// And are used from then on.
    pub(crate) taken: Counter,
    /// And cannot be used.
    pub(crate) refused: Counter,
}

// ----------------------------------------------------------------------------------------------

impl Certificates {
    /// Reads the files of a configuration that names some.
    pub(super) fn read(config: &TlsConfig, provider: Arc<CryptoProvider>) -> Result<Self, TlsErrors> {
        let files = Files::read(config);
        let fingerprints = Fingerprints::default();
        let first = fingerprints.of(&files);
        let certified = files.certify(config, &provider)?;
        Ok(Self {
            current: RwLock::new(certified.into()),
            config: config.clone(),
            provider,
            fingerprints,
            first,
        })
    }

    /// Reads the files again when they have changed, until `stop`. Connections that are open go on with what they have; if new files
    /// cannot be used, those that were read last stay.
    pub(crate) async fn watch(self: Arc<Self>, counted: Counted, stop: CancellationToken) {
        let (mut judged, mut last) = (self.first, self.first);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(limits::TLS_FILES_CHECK) => {}
            }
            let this = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || {
                let files = Files::read(&this.config);
                let now = this.fingerprints.of(&files);
                // Only what has not changed since the last look is whole: a certificate and its key are two files.
                let certified = (now == last && now != judged).then(|| files.certify(&this.config, &this.provider));
                (now, certified)
            });
            let Ok((now, certified)) = looked.await else { return };
            last = now;
            let Some(certified) = certified else { continue };
            judged = now;
            match certified {
                Ok(certified) => {
                    let number = certified.len();
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = certified.into();
                    counted.taken.inc();
                    tracing::info!(
                        number,
                        "the files of certificates have changed: new connections get the new ones"
                    );
                }
                Err(error) => {
                    counted.refused.inc();
                    tracing::warn!(%error, "the files of certificates have changed and cannot be used: those before them stay");
                }
            }
        }
    }

    fn current(&self) -> Arc<[Arc<CertifiedKey>]> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Certificates {
    /// The first certificate for the name that the client asks for, with a key whose signatures it knows; for other names, and
    /// clients that ask for none, the first of all.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current();
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let wanted = |certified: &&Arc<CertifiedKey>| {
            name.as_ref().is_some_and(|name| is_for(certified, name))
                && certified.key.choose_scheme(hello.signature_schemes()).is_some()
        };
        let found = match &*current {
            [_one] => None,
            several => several.iter().find(wanted),
        };
        found.or(current.first()).cloned()
    }
}

fn is_for(certified: &CertifiedKey, name: &ServerName<'_>) -> bool {
    certified
        .end_entity_cert()
        .and_then(ParsedCertificate::try_from)
        .is_ok_and(|certificate| verify_server_name(&certificate, name).is_ok())
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("files", &self.config.certificates)
            .finish_non_exhaustive()
    }
}
