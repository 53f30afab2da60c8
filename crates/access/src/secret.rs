//! Text that must not be seen.

use std::fmt;

use subtle::ConstantTimeEq;

/// A password, a key or a token: never printed, compared in constant time.
#[derive(Clone)]
pub struct Secret(String);

// ----------------------------------------------------------------------------------------------

impl Secret {
    /// Keeps a text secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text. Where this is called, secrets can leak.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}
