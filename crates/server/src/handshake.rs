//! TLS handshakes: in a bounded time, so many at once, and never many key exchanges in a row on one core.

use std::io;
use std::sync::Arc;

use rustls::server::Acceptor;
use rustls::{ServerConfig, ServerConnection};
use sockeye_limits as limits;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// What a listener needs for handshakes.
pub(crate) struct Handshakes {
    config: Arc<ServerConfig>,
    under_way: Semaphore,
}

/// Key exchanges on one core, one after the other, with room for everything else in between.
#[derive(Clone)]
pub(crate) struct Exchanges(Arc<Semaphore>);

// ----------------------------------------------------------------------------------------------

impl Handshakes {
    pub(crate) fn new(config: Arc<ServerConfig>) -> Self {
        Self {
            config,
            under_way: Semaphore::new(limits::TLS_HANDSHAKES),
        }
    }

    /// Makes a TLS connection of a plain one.
    ///
    /// # Errors
    /// What the client sends is no TLS, or offers nothing that we have; it goes, or takes too long.
    pub(crate) async fn shake<S>(&self, stream: S, exchanges: &Exchanges) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = async {
            let _one_of_them = self.under_way.acquire().await.map_err(io::Error::other)?;
            let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
            let bound = |session: &mut ServerConnection| session.set_buffer_limit(Some(limits::TLS_BUFFER));
            let turn = exchanges.0.acquire().await.map_err(io::Error::other)?;
            // This is what costs: the key exchange and the signature.
            let rest = hello.into_stream_with(Arc::clone(&self.config), bound);
            yield_now().await;
            drop(turn);
            rest.await
        };
        timeout(limits::TLS_HANDSHAKE_TIME, handshake)
            .await
            .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Exchanges {
    /// For one core.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(limits::TLS_EXCHANGES_PER_TURN)))
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;
    use rustls::{CipherSuite, ClientConfig, RootCertStore};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::Instant;
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::TlsConfig;

    /// A server's handshakes, and a client that trusts it.
    fn world() -> (Arc<Handshakes>, TlsConnector) {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (folder.path().join("c"), folder.path().join("k"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let config = TlsConfig {
            certificates: vec![certificate],
            keys: vec![key],
        };
        let config = crate::tls::read(&config).unwrap().unwrap().config;
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        (Arc::new(Handshakes::new(config)), Arc::new(client).into())
    }

    fn connect(
        handshakes: &Arc<Handshakes>,
        exchanges: &Exchanges,
    ) -> (DuplexStream, tokio::task::JoinHandle<io::Error>) {
        let (client, server) = duplex(1 << 16);
        let (handshakes, exchanges) = (Arc::clone(handshakes), exchanges.clone());
        let failed = tokio::spawn(async move { handshakes.shake(server, &exchanges).await.unwrap_err() });
        (client, failed)
    }

    #[tokio::test]
    async fn a_client_gets_the_suite_that_we_prefer() {
        let (handshakes, client) = world();
        let (theirs, ours) = duplex(1 << 16);
        let exchanges = Exchanges::new();
        let name = ServerName::try_from("localhost").unwrap();
        let (server, client) = tokio::join!(handshakes.shake(ours, &exchanges), client.connect(name, theirs));
        let (mut server, mut client) = (server.unwrap(), client.unwrap());
        let suite = client.get_ref().1.negotiated_cipher_suite().unwrap().suite();
        assert_eq!(
            suite,
            CipherSuite::TLS13_AES_128_GCM_SHA256,
            "rustls itself offers AES-256 first"
        );
        client.write_all(b"ping").await.unwrap();
        let mut heard = [0; 4];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"ping");
    }

    /// Whoever says nothing, or only begins, loses the connection and gives the turn back.
    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_does_not_go_on_ends_in_time() {
        let (handshakes, _) = world();
        let exchanges = Exchanges::new();
        for said in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01"] {
            let start = Instant::now();
            let (mut client, failed) = connect(&handshakes, &exchanges);
            client.write_all(said).await.unwrap();
            assert_eq!(failed.await.unwrap().kind(), io::ErrorKind::TimedOut, "{said:?}");
            assert_eq!(start.elapsed(), limits::TLS_HANDSHAKE_TIME, "{said:?}");
        }
        assert_eq!(handshakes.under_way.available_permits(), limits::TLS_HANDSHAKES);
        assert_eq!(exchanges.0.available_permits(), limits::TLS_EXCHANGES_PER_TURN);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_tls_ends_at_once() {
        let (handshakes, _) = world();
        let exchanges = Exchanges::new();
        for said in [&b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"[..], &[0; 5], &vec![0xff; 70_000]] {
            let start = Instant::now();
            let (mut client, failed) = connect(&handshakes, &exchanges);
            // The server may go before it has read everything.
            let _ = client.write_all(said).await;
            failed.await.unwrap();
            assert_eq!(start.elapsed(), std::time::Duration::ZERO);
        }
    }

    /// However many come at once, no more are under way than there may be; the others have their turn.
    #[tokio::test(start_paused = true)]
    async fn more_than_may_be_under_way_wait() {
        let (handshakes, client) = world();
        let exchanges = Exchanges::new();
        let held = handshakes
            .under_way
            .acquire_many(limits::TLS_HANDSHAKES as u32)
            .await
            .unwrap();
        let (theirs, ours) = duplex(1 << 16);
        let name = ServerName::try_from("localhost").unwrap();
        let later = async {
            tokio::time::sleep(limits::TLS_HANDSHAKE_TIME / 2).await;
            drop(held);
        };
        let start = Instant::now();
        let (server, client, ()) =
            tokio::join!(handshakes.shake(ours, &exchanges), client.connect(name, theirs), later);
        server.unwrap();
        client.unwrap();
        assert_eq!(start.elapsed(), limits::TLS_HANDSHAKE_TIME / 2);
    }
}
