//! Users and their access keys.

use jiff::Timestamp;
use uuid::Uuid;

/// Someone who may own applications, be a member of them and have access keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Never used twice.
    pub id: Uuid,
    /// Unique.
    pub name: String,
    /// May do everything, on every application.
    pub admin: bool,
}

/// An access key, as it is stored: the key itself is known only to who was given it (compat/drogue.md 3.2).
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// The public id: its first ten characters, `drg_` and six more.
    pub prefix: String,
    /// SHA3-512 of the whole key, lower-case hex.
    pub hash: String,
    /// Name of the user whose key it is.
    pub user: String,
    /// When it was made.
    pub created: Timestamp,
    /// What the user said it is for.
    pub description: Option<String>,
}

// ----------------------------------------------------------------------------------------------

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey")
            .field("prefix", &self.prefix)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
