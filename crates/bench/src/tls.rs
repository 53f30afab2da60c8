//! One event to many sockets over TLS (AES-GCM): Sockeye beside the floor that encrypts with rustls.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
    process::Command,
    sync::Arc,
};

use anyhow::{Context as _, Result};
use rustls::{
    CipherSuite, ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    version::TLS13,
};
use sockeye_load::Tls;
use sockeye_parts::certificate::Certificate;
use tempfile::TempDir;

use crate::{
    fan_out::{self, Bars},
    peers::{self, FLOOR, Peer},
    process::Server,
    report::Table,
};

/// What all three ends speak, so that the same work is compared.
pub const VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13];
/// What Sockeye over TLS may cost as a multiple of the floor, however many events are in flight.
const BAR: f64 = 1.15;
const SOCKETS: usize = 1_000;

// ----------------------------------------------------------------------------------------------

pub fn run(rounds: usize, sockeye: &Path) -> Result<Table> {
    let (peers, _folder) = start(sockeye)?;
    let bars = Bars {
        each: [BAR; 3],
        peer: None,
    };
    fan_out::run(rounds, ", TLS", SOCKETS, &peers, &[], &bars)
}

/// The two servers, with one certificate.
fn start(sockeye: &Path) -> Result<(Vec<Peer>, TempDir)> {
    let folder = tempfile::tempdir()?;
    let files = Certificate::make(folder.path())?;
    let tls = client(&files)?;
    let mut floor = Command::new(std::env::current_exe()?);
    floor.args(["serve", "floor-tls"]).arg(folder.path());
    let floor = Peer::plain(FLOOR, Server::start(&mut floor, ":")?, true)?.with_tls(&tls);
    let sockeye = peers::start_sockeye(sockeye, Some((&files, &tls)))?;
    Ok((vec![floor, sockeye], folder))
}

/// AES-GCM with 128 bits, and nothing else.
pub fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    provider
        .cipher_suites
        .retain(|suite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}

/// Clients that trust this certificate.
fn client(files: &Certificate) -> Result<Tls> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&files.certificate).context("no certificate")?)?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Tls {
        config: Arc::new(config),
        name: ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST)),
    })
}
