//! Users and their access keys.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
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
    /// May do nothing, whatever is shown.
    pub disabled: bool,
    /// Who this is for a provider; `None`: a user of this server alone, who has access keys and no tokens.
    pub identity: Option<UserIdentity>,
}

/// Who a user is for an OIDC provider (OpenID Connect Core 1.0, section 5.7: only these two claims together name an end user
/// for ever).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserIdentity {
    /// The claim `iss`.
    pub issuer: String,
    /// The claim `sub`.
    pub subject: String,
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
    /// From when on it does not count any more.
    pub expires: Option<Timestamp>,
    /// For what it counts.
    pub scope: Scope,
    /// Does not count for now.
    pub disabled: bool,
    /// When it was last used, as far as that was noted ([`sockeye_limits::KEY_USED_STEP`]).
    pub used: Option<Timestamp>,
}

/// For what a key counts: never more than its user may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only these applications; `None`: all.
    pub applications: Option<BTreeSet<String>>,
    /// Only to read.
    pub read_only: bool,
    /// Only streams at or below these paths of Octave, and what of them (compat/octave.md 8); `None`: everything. A key that is
    /// limited so counts nowhere else.
    pub paths: Option<BTreeMap<String, PathGrant>>,
}

/// What a key counts for at and below a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PathGrant {
    /// To subscribe and to read events.
    pub event_read: bool,
    /// To post events.
    pub event_write: bool,
}

// ----------------------------------------------------------------------------------------------

impl AccessKey {
    /// A key without limits.
    pub fn new(
        prefix: impl Into<String>,
        hash: impl Into<String>,
        user: impl Into<String>,
        created: Timestamp,
    ) -> Self {
        Self {
            prefix: prefix.into(),
            hash: hash.into(),
            user: user.into(),
            created,
            description: None,
            expires: None,
            scope: Scope::default(),
            disabled: false,
            used: None,
        }
    }
}

impl Scope {
    /// Whether there is nothing that it leaves out.
    pub fn is_unlimited(&self) -> bool {
        self.applications.is_none() && !self.read_only && self.paths.is_none()
    }

    /// Whether it has this application.
    pub fn has(&self, application: &str) -> bool {
        self.applications
            .as_ref()
            .is_none_or(|these| these.contains(application))
    }
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey")
            .field("prefix", &self.prefix)
            .field("user", &self.user)
            .field("expires", &self.expires)
            .field("scope", &self.scope)
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}
