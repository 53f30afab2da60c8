//! The PROXY protocol, versions 1 and 2 (its specification is `doc/proxy-protocol.txt` of HAProxy): a header before the first byte
//! of a connection, which tells where it comes from. Exactly the header is read, so that what follows is TLS's or HTTP's.

use std::io;
use std::net::{IpAddr, SocketAddr};

use sockeye_limits as limits;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What version 2 begins with; no version 1 is shorter.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Longest line of version 1, its end included.
const LINE: usize = 107;

// ----------------------------------------------------------------------------------------------

/// Reads the header: where the client is, if the proxy knows and says so.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut first = [0; SIGNATURE.len()];
    stream.read_exact(&mut first).await?;
    if first == SIGNATURE {
        second_version(stream).await
    } else if first.starts_with(b"PROXY ") {
        first_version(stream, first.to_vec()).await
    } else {
        Err(wrong("it does not begin with a header of the PROXY protocol"))
    }
}

/// `PROXY TCP4 192.0.2.1 10.0.0.1 4711 443`
async fn first_version(stream: &mut (impl AsyncRead + Unpin), mut line: Vec<u8>) -> io::Result<Option<SocketAddr>> {
    // Byte by byte: its length is known only at its end, and what is behind that is not ours.
    while !line.ends_with(b"\r\n") {
        if line.len() == LINE {
            return Err(wrong("its first line is too long"));
        }
        line.push(stream.read_u8().await?);
    }
    let line = str::from_utf8(&line).map_err(|_| wrong("its first line is no text"))?;
    let words: Vec<_> = line.trim_end().split(' ').collect();
    match words[..] {
        ["PROXY", "UNKNOWN", ..] => Ok(None),
        ["PROXY", family @ ("TCP4" | "TCP6"), from, _to, port, _port] => {
            let address = from
                .parse()
                .ok()
                .filter(|address: &IpAddr| address.is_ipv4() == (family == "TCP4"));
            match (address, port.parse()) {
                (Some(address), Ok(port)) => Ok(Some(SocketAddr::new(address, port))),
                _ => Err(wrong(
                    "its first line has no address and port where the client's should be",
                )),
            }
        }
        _ => Err(wrong("its first line is none of the PROXY protocol")),
    }
}

async fn second_version(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let (command, family) = (stream.read_u8().await?, stream.read_u8().await?);
    let length = usize::from(stream.read_u16().await?);
    if length > limits::PROXY_HEADER {
        return Err(wrong("its header is too long"));
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    let told = match (command, family) {
        // Both addresses, then both ports.
        (0x21, 0x11) => rest.first_chunk::<12>().map(|bytes| {
            let [a, b, c, d, .., high, low, _, _] = *bytes;
            (IpAddr::from([a, b, c, d]), u16::from_be_bytes([high, low]))
        }),
        (0x21, 0x21) => rest.first_chunk::<36>().map(|bytes| {
            let [.., high, low, _, _] = *bytes;
            let address = bytes.first_chunk::<16>().expect("it is shorter");
            (IpAddr::from(*address), u16::from_be_bytes([high, low]))
        }),
        // The proxy itself, which looks whether we are there; datagrams, sockets of a file system: nothing with an address for us.
        (0x20 | 0x21, _) => return Ok(None),
        _ => return Err(wrong("its header has a version or a command that is not known")),
    };
    let (address, port) = told.ok_or_else(|| wrong("its header is shorter than its addresses"))?;
    Ok(Some(SocketAddr::new(address, port)))
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of a header with a request behind it, and that the request is left.
    async fn check(header: &[u8], expected: Result<Option<&str>, io::ErrorKind>) {
        let bytes = [header, b"GET / HTTP/1.1\r\n"].concat();
        let mut stream = &bytes[..];
        let found = read(&mut stream).await;
        let shown = String::from_utf8_lossy(header);
        if found.is_ok() {
            assert_eq!(stream, b"GET / HTTP/1.1\r\n", "{shown}");
        }
        let found = found.map(|told| told.map(|address| address.to_string()));
        assert_eq!(
            found.map_err(|error| error.kind()),
            expected.map(|told| told.map(str::to_owned)),
            "{shown}"
        );
    }

    fn second(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = (rest.len() as u16).to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    #[tokio::test]
    async fn lines_of_the_first_version() {
        let wrong = Err(io::ErrorKind::InvalidData);
        check(
            b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n",
            Ok(Some("192.0.2.1:4711")),
        )
        .await;
        check(
            b"PROXY TCP6 2001:db8::1 ::1 4711 443\r\n",
            Ok(Some("[2001:db8::1]:4711")),
        )
        .await;
        check(b"PROXY UNKNOWN\r\n", Ok(None)).await;
        check(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", Ok(None)).await;
        check(b"PROXY TCP4 2001:db8::1 ::1 4711 443\r\n", wrong).await;
        check(b"PROXY TCP4 192.0.2.1 10.0.0.1 4711\r\n", wrong).await;
        check(b"PROXY TCP4 192.0.2.1 10.0.0.1 99999 443\r\n", wrong).await;
        check(b"PROXY TCP4 somebody 10.0.0.1 4711 443\r\n", wrong).await;
        check(b"PROXY UDP4 192.0.2.1 10.0.0.1 4711 443\r\n", wrong).await;
        check(&[b"PROXY UNKNOWN ", &[b'x'; 200][..], b"\r\n"].concat(), wrong).await;
        check(b"PROXY \xff\xff\xff\xff\xff\xff\xff\xff\r\n", wrong).await;
        check(b"GET / HTTP/1.1\r\n", wrong).await;
    }

    #[tokio::test]
    async fn headers_of_the_second_version() {
        let wrong = Err(io::ErrorKind::InvalidData);
        let four = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x67, 1, 0xbb];
        check(&second(0x21, 0x11, &four), Ok(Some("192.0.2.1:4711"))).await;
        // With what a proxy adds behind the addresses.
        let more = [&four[..], &[0x04, 0, 3, 1, 2, 3]].concat();
        check(&second(0x21, 0x11, &more), Ok(Some("192.0.2.1:4711"))).await;
        let mut six = [0; 36];
        (six[0], six[1], six[15], six[32], six[33]) = (0x20, 0x01, 9, 0x12, 0x67);
        check(&second(0x21, 0x21, &six), Ok(Some("[2001::9]:4711"))).await;
        check(&second(0x20, 0, &[]), Ok(None)).await;
        check(&second(0x20, 0x11, &four), Ok(None)).await;
        check(&second(0x21, 0x31, &[0; 216]), Ok(None)).await;
        check(&second(0x21, 0x11, &four[..11]), wrong).await;
        check(&second(0x21, 0x21, &six[..33]), wrong).await;
        check(&second(0x31, 0x11, &four), wrong).await;
        check(&second(0x22, 0x11, &four), wrong).await;
        check(&second(0x20, 0, &vec![0; limits::PROXY_HEADER + 1]), wrong).await;
        let mut cut = &second(0x21, 0x11, &four)[..20];
        assert_eq!(read(&mut cut).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
