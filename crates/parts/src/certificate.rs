//! A certificate for this machine, signed by itself, as an operator makes one for a try.

use std::path::{Path, PathBuf};

/// Files of a certificate and its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate, which is also what clients have to trust.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

// ----------------------------------------------------------------------------------------------

impl Certificate {
    /// Makes a new one for `localhost` and 127.0.0.1, in files of this folder.
    pub fn make(folder: &Path) -> anyhow::Result<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        let files = Self::at(folder);
        std::fs::write(&files.certificate, made.cert.pem())?;
        std::fs::write(&files.key, made.signing_key.serialize_pem())?;
        Ok(files)
    }

    /// Where [`Certificate::make`] puts them.
    pub fn at(folder: &Path) -> Self {
        Self {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
        }
    }
}
