//! What a peer's system has acknowledged, as the kernel tells it (tcp(7), `TCP_INFO`).
//!
//! `unsafe`: no crate in use asks for it in a safe way, and it is one call that fills a structure of integers.

use std::time::Duration;

/// How far a peer's system has come with what was sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Bytes that it has acknowledged so far. Only these tell that the peer takes something: a system whose reader has stopped
    /// still acknowledges the probes of its closed window.
    pub bytes: u64,
    /// Something is on its way to it and not acknowledged. What waits for room in its window is not on its way.
    pub in_flight: bool,
    /// Time since its last acknowledgement, of a probe for example.
    pub quiet: Duration,
}

// ----------------------------------------------------------------------------------------------

#[cfg(target_os = "linux")]
impl Acknowledged {
    /// Asks the kernel: one system call. `None` if the socket is none of TCP, or the kernel is older than 4.1.
    #[allow(unsafe_code, reason = "getsockopt(2) is asked directly")]
    pub(crate) fn of(socket: &impl std::os::fd::AsFd) -> Option<Self> {
        use std::mem::offset_of;
        use std::os::fd::AsRawFd as _;

        use libc::{IPPROTO_TCP, TCP_INFO, c_int, getsockopt, socklen_t, tcp_info};

        let file: c_int = socket.as_fd().as_raw_fd();
        // SAFETY: all members are integers, for which zero is a value.
        let mut info: tcp_info = unsafe { std::mem::zeroed() };
        let mut length = size_of::<tcp_info>() as socklen_t;
        // SAFETY: the kernel writes at most `length` bytes, and how many into `length`; both live until it returns.
        let result = unsafe { getsockopt(file, IPPROTO_TCP, TCP_INFO, (&raw mut info).cast(), &raw mut length) };
        let told = result == 0 && length as usize >= offset_of!(tcp_info, tcpi_bytes_acked) + size_of::<u64>();
        told.then(|| Self {
            bytes: info.tcpi_bytes_acked,
            in_flight: info.tcpi_unacked > 0,
            quiet: Duration::from_millis(info.tcpi_last_ack_recv.into()),
        })
    }
}

#[cfg(not(target_os = "linux"))]
impl Acknowledged {
    /// Other systems are not asked: of their peers only what they send is known.
    pub(crate) fn of<S>(_: &S) -> Option<Self> {
        None
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    use socket2::{Domain, SockFilter, SockRef, Socket, Type};

    use super::*;

    /// More than this nothing takes on one machine.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Both ends of a connection whose system holds little: the server's, which does not wait, and the client's.
    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        SockRef::from(&listener).set_send_buffer_size(16 * 1024).unwrap();
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        client.set_recv_buffer_size(16 * 1024).unwrap();
        client.connect(&listener.local_addr().unwrap().into()).unwrap();
        let (server, _) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        (server, client.into())
    }

    /// What the kernel says as soon as it says this.
    fn until(socket: &TcpStream, said: impl Fn(&Acknowledged) -> bool) -> Acknowledged {
        let start = Instant::now();
        loop {
            let told = Acknowledged::of(socket).expect("a socket of TCP");
            if said(&told) {
                return told;
            }
            assert!(start.elapsed() < PATIENCE, "{told:?}");
            std::thread::yield_now();
        }
    }

    fn fill(mut socket: &TcpStream) {
        while let Ok(written) = socket.write(&[0; 4096]) {
            assert!(written > 0);
        }
    }

    #[test]
    fn what_the_peer_takes_is_told() {
        let (mut server, _client) = pair();
        let before = until(&server, |told| !told.in_flight);
        server.write_all(&[0; 100]).unwrap();
        let after = until(&server, |told| !told.in_flight);
        assert_eq!(after.bytes, before.bytes + 100, "read or not");
    }

    /// Probes of a closed window are acknowledged, bytes are not, until the reader makes room.
    #[test]
    fn a_closed_window_acknowledges_probes_and_no_bytes() {
        let (server, mut client) = pair();
        fill(&server);
        let full = until(&server, |told| !told.in_flight);
        let rested = until(&server, |told| told.quiet >= Duration::from_millis(50));
        let probed = until(&server, |told| told.quiet < rested.quiet);
        assert_eq!((probed.bytes, probed.in_flight), (full.bytes, false));

        client.set_nonblocking(true).unwrap();
        let mut taken = [0; 4096];
        let end = loop {
            match client.read(&mut taken) {
                Ok(count) => assert!(count > 0),
                Err(error) => break error.kind(),
            }
        };
        assert_eq!(end, ErrorKind::WouldBlock);
        until(&server, |told| told.bytes > full.bytes);
    }

    #[test]
    fn what_nobody_receives_stays_in_flight() {
        const RETURN: u16 = 0x06;
        let (mut server, client) = pair();
        let before = until(&server, |told| !told.in_flight);
        let nothing = [SockFilter::new(RETURN, 0, 0, 0)];
        SockRef::from(&client).attach_filter(&nothing).unwrap();
        server.write_all(b"PING").unwrap();
        let gone = until(&server, |told| told.quiet >= Duration::from_secs(1));
        assert_eq!((gone.bytes, gone.in_flight), (before.bytes, true));
    }

    #[test]
    fn another_kind_of_socket_is_none_of_tcp() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(Acknowledged::of(&one), None);
    }
}
