//! Where a client is when a proxy stands before the server: only proxies that are trusted are believed, and only in the one way in
//! which they are said to tell it. Anybody can write a header.
//!
//! | file | idea |
//! | --- | --- |
//! | `network.rs` | [`Network`]: addresses that are meant together |
//! | `protocol.rs` | the PROXY protocol, before the first byte of a connection |

mod network;
mod protocol;

use std::io;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, header};
use sockeye_limits as limits;
use tokio::io::AsyncRead;
use tokio::time::timeout;

use crate::config::{ProxyConfig, ProxySpeaks};

pub use network::Network;

/// Who is believed.
#[derive(Debug, Default)]
pub(crate) struct Proxies(ProxyConfig);

// ----------------------------------------------------------------------------------------------

impl Proxies {
    pub(crate) fn new(config: ProxyConfig) -> Self {
        Self(config)
    }

    /// What a trusted proxy says before the bytes of its client: where that one is. Of all others nothing is read.
    ///
    /// # Errors
    /// It says nothing in time, or something else.
    pub(crate) async fn before(&self, peer: IpAddr, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<IpAddr> {
        if self.0.speaks != ProxySpeaks::ProxyProtocol || !self.trusts(peer) {
            return Ok(peer);
        }
        let told = timeout(limits::PROXY_HEADER_TIME, protocol::read(stream)).await;
        let told = told.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))?;
        // Without an address it speaks for itself: a probe.
        Ok(told.map_or(peer, |client| client.ip().to_canonical()))
    }

    /// Where the client of a request is, that came from `peer`: the last one on the way whom nobody trusted vouches for.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        let (name, read): (_, fn(&str) -> Option<IpAddr>) = match self.0.speaks {
            ProxySpeaks::ProxyProtocol => return peer,
            ProxySpeaks::XForwardedFor => ("x-forwarded-for", address),
            ProxySpeaks::Forwarded => (header::FORWARDED.as_str(), forwarded),
        };
        if !self.trusts(peer) {
            return peer;
        }
        // Each proxy adds whom it heard, at the end. What stands before the first one that is not trusted is its own invention.
        let lines = headers.get_all(name).iter().rev();
        let hops = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
        let mut client = peer;
        for hop in hops {
            let Some(hop) = read(hop.trim()) else { break };
            client = hop;
            if !self.trusts(client) {
                break;
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.trusted.iter().any(|network| network.has(address))
    }
}

/// An address as proxies write it: alone, or with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    bare.parse()
        .ok()
        .or_else(with_port)
        .map(|address: IpAddr| address.to_canonical())
}

/// `for=192.0.2.43;proto=https`, `For="[2001:db8::17]:4711"` (RFC 7239 section 4). Who is hidden (`_name`, `unknown`) has none.
fn forwarded(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("for").then(|| address(value))?
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn proxies(speaks: ProxySpeaks) -> Proxies {
        let trusted = ["10.0.0.0/8", "::1", "2001:db8::/32"].map(|text| text.parse().unwrap());
        Proxies::new(ProxyConfig {
            trusted: trusted.into(),
            speaks,
        })
    }

    fn check(speaks: ProxySpeaks, peer: &str, lines: &[(&'static str, &str)], expected: &str) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let found = proxies(speaks).client(peer.parse().unwrap(), &headers);
        assert_eq!(found.to_string(), expected, "{speaks:?} {peer} {lines:?}");
    }

    #[test]
    fn a_trusted_proxy_tells_where_its_client_is() {
        const X: &str = "x-forwarded-for";
        let speaks = ProxySpeaks::XForwardedFor;
        check(speaks, "10.1.2.3", &[(X, "192.0.2.1")], "192.0.2.1");
        check(speaks, "::1", &[(X, "192.0.2.1")], "192.0.2.1");
        check(speaks, "::ffff:10.1.2.3", &[(X, "192.0.2.1")], "192.0.2.1");
        check(speaks, "10.1.2.3", &[(X, "192.0.2.1:4711")], "192.0.2.1");
        check(speaks, "10.1.2.3", &[(X, "[2001:db9::1]:4711")], "2001:db9::1");
        check(speaks, "10.1.2.3", &[], "10.1.2.3");
        // A chain of trusted ones.
        check(
            speaks,
            "10.1.2.3",
            &[(X, "192.0.2.1, 10.9.9.9, 2001:db8::5")],
            "192.0.2.1",
        );
        check(speaks, "10.1.2.3", &[(X, "192.0.2.1"), (X, "10.9.9.9")], "192.0.2.1");
        check(speaks, "10.1.2.3", &[(X, "10.8.8.8, 10.9.9.9")], "10.8.8.8");
        // What the client itself wrote stands on the left.
        check(speaks, "10.1.2.3", &[(X, "127.0.0.1, 192.0.2.1")], "192.0.2.1");
        check(speaks, "10.1.2.3", &[(X, "127.0.0.1"), (X, "192.0.2.1")], "192.0.2.1");
        check(speaks, "10.1.2.3", &[(X, "127.0.0.1, nonsense")], "10.1.2.3");
        check(speaks, "10.1.2.3", &[(X, "")], "10.1.2.3");
        // Nobody else is believed, and no other header.
        check(speaks, "192.0.2.9", &[(X, "127.0.0.1")], "192.0.2.9");
        check(speaks, "10.1.2.3", &[("forwarded", "for=192.0.2.1")], "10.1.2.3");
    }

    #[test]
    fn the_header_of_rfc_7239() {
        const F: &str = "forwarded";
        let speaks = ProxySpeaks::Forwarded;
        check(speaks, "10.1.2.3", &[(F, "for=192.0.2.43")], "192.0.2.43");
        check(
            speaks,
            "10.1.2.3",
            &[(F, "proto=https;For=\"192.0.2.43:80\";by=_x")],
            "192.0.2.43",
        );
        check(
            speaks,
            "10.1.2.3",
            &[(F, "for=\"[2001:db9:cafe::17]:4711\"")],
            "2001:db9:cafe::17",
        );
        check(
            speaks,
            "10.1.2.3",
            &[(F, "for=6.6.6.6, for=192.0.2.43, for=10.2.2.2")],
            "192.0.2.43",
        );
        check(speaks, "10.1.2.3", &[(F, "for=192.0.2.43, for=_hidden")], "10.1.2.3");
        check(
            speaks,
            "10.1.2.3",
            &[(F, "for=\"6.6.6.6, for=192.0.2.43")],
            "192.0.2.43",
        );
        check(speaks, "10.1.2.3", &[(F, "proto=https")], "10.1.2.3");
        check(speaks, "10.1.2.3", &[("x-forwarded-for", "192.0.2.1")], "10.1.2.3");
        check(speaks, "192.0.2.9", &[(F, "for=127.0.0.1")], "192.0.2.9");
        // Who speaks the PROXY protocol has said it already.
        check(
            ProxySpeaks::ProxyProtocol,
            "10.1.2.3",
            &[(F, "for=6.6.6.6")],
            "10.1.2.3",
        );
    }

    #[tokio::test(start_paused = true)]
    async fn only_trusted_proxies_may_and_must_speak_before_their_clients() {
        let header = &b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n"[..];
        let before = async |speaks, peer: &str, mut stream: &[u8]| {
            let told = proxies(speaks).before(peer.parse().unwrap(), &mut stream).await;
            (
                told.map(|address| address.to_string()).map_err(|error| error.kind()),
                stream.len(),
            )
        };
        let (own, other) = (ProxySpeaks::ProxyProtocol, ProxySpeaks::XForwardedFor);
        assert_eq!(before(own, "10.1.2.3", header).await, (Ok("192.0.2.1".into()), 0));
        assert_eq!(
            before(own, "192.0.2.9", header).await,
            (Ok("192.0.2.9".into()), header.len()),
            "nothing was read"
        );
        assert_eq!(
            before(other, "10.1.2.3", header).await,
            (Ok("10.1.2.3".into()), header.len())
        );
        let request = b"GET / HTTP/1.1\r\n\r\n";
        assert_eq!(
            before(own, "10.1.2.3", request).await.0,
            Err(io::ErrorKind::InvalidData)
        );
        // Silence ends.
        let (_client, mut server) = tokio::io::duplex(1);
        let silent = proxies(own).before("10.1.2.3".parse().unwrap(), &mut server).await;
        assert_eq!(silent.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
