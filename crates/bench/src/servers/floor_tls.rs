//! The floor with TLS: for each socket, rustls encrypts the ready frames, and what comes of it is written.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::TcpStream,
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, Result};
use rustls::{
    ServerConfig, ServerConnection,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use sockeye_parts::certificate::Certificate;

use super::floor::{self, Wire};
use crate::tls;

struct Tls {
    session: ServerConnection,
    stream: TcpStream,
}

// ----------------------------------------------------------------------------------------------

/// Serves with the certificate in this folder.
pub fn serve(folder: &str) -> Result<()> {
    let files = Certificate::at(Path::new(folder));
    let certificate = CertificateDer::from_pem_file(&files.certificate).context("no certificate")?;
    let key = PrivateKeyDer::from_pem_file(&files.key).context("no key")?;
    let config = ServerConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(tls::VERSIONS)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    let config = Arc::new(config);
    floor::serve_on(|stream| {
        let mut session = ServerConnection::new(Arc::clone(&config))?;
        session.set_buffer_limit(None);
        Ok(Tls { session, stream })
    })
}

impl Tls {
    /// Writes what is encrypted; whether something is left.
    fn flush(&mut self) -> bool {
        while self.session.wants_write() {
            if self.session.write_tls(&mut self.stream).is_err() {
                return true;
            }
        }
        false
    }
}

impl Wire for Tls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => return other,
            }
            if self.session.read_tls(&mut self.stream)? == 0 {
                return Ok(0);
            }
            self.session.process_new_packets().map_err(io::Error::other)?;
            self.flush();
        }
    }

    fn send(&mut self, bytes: &[u8]) -> bool {
        // Without a limit it takes everything.
        let _ = self.session.writer().write_all(bytes);
        self.flush()
    }
}

impl AsFd for Tls {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
