//! Callers, and what they may do with an application: the table of compat/drogue.md 3.5, with decision 7.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sockeye_registry::{Application, PathGrant, Role, Scope, UserIdentity};

/// Who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Someone without credentials.
    Anonymous,
    /// A user.
    User {
        /// The user's name.
        name: String,
        /// May do everything.
        admin: bool,
        /// What was shown.
        proof: Proof,
    },
    /// Whoever a provider says to be of a tenant (compat/dojot.md, decision 2): may read the application of this name, whoever its
    /// members are, and do nothing else.
    Tenant {
        /// Name of the application.
        tenant: String,
        /// The user's name, if the provider's users are known here.
        user: Option<String>,
        /// Until when what was shown counts.
        expires: Timestamp,
    },
}

/// What proved who a user is, as far as rights depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// An access key.
    Key {
        /// Its public id.
        prefix: String,
        /// For what it counts.
        scope: Scope,
        /// Until when.
        expires: Option<Timestamp>,
    },
    /// A token of a provider.
    Token {
        /// Who the user is there.
        identity: UserIdentity,
        /// Until when it counts.
        expires: Timestamp,
    },
}

/// What is to be done with an application (compat/drogue.md 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Read events and documents.
    Read,
    /// Change devices, send commands.
    Write,
    /// Change the application and its members.
    Admin,
    /// Give the application away.
    Owner,
}

// ----------------------------------------------------------------------------------------------

impl Caller {
    /// Whether the caller may do this with the application. Who shows a key may do no more than its scope says.
    pub fn may(&self, permission: Permission, application: &Application) -> bool {
        self.scope().is_none_or(|scope| scope.paths.is_none()) && self.may_in_part(permission, application)
    }

    /// Whether the caller may do this with a stream of Octave at this path, or at all paths below it: `/devices/d/c`, without the
    /// company before it (compat/octave.md 8).
    pub fn may_at(&self, path: &str, permission: Permission, application: &Application) -> bool {
        let granted = |paths: &BTreeMap<String, PathGrant>| {
            let covers = |(prefix, grant): (&String, &PathGrant)| {
                let granted = match permission {
                    Permission::Read => grant.event_read,
                    Permission::Write => grant.event_write,
                    Permission::Admin | Permission::Owner => false,
                };
                granted
                    && path
                        .strip_prefix(prefix.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            paths.iter().any(covers)
        };
        let paths = self.scope().and_then(|scope| scope.paths.as_ref());
        paths.is_none_or(granted) && self.may_in_part(permission, application)
    }

    /// Whether the caller may do this with the application, or with some paths of it.
    pub fn may_in_part(&self, permission: Permission, application: &Application) -> bool {
        if let Some(scope) = self.scope()
            && (!scope.has(&application.metadata.name) || (scope.read_only && permission != Permission::Read))
        {
            return false;
        }
        // As in the original: what belongs to nobody is everybody's. The API makes no such application.
        if application.owner.is_empty() {
            return true;
        }
        let member = |name: &str| {
            application
                .members
                .get(name)
                .is_some_and(|role| allows(*role, permission))
        };
        match self {
            Self::Anonymous => member(""),
            Self::Tenant { tenant, .. } => permission == Permission::Read && *tenant == application.metadata.name,
            Self::User { admin: true, .. } => true,
            Self::User { name, .. } => {
                *name == application.owner
                    || member(name)
                    || (permission == Permission::Read && application.is_public())
            }
        }
    }

    /// Whether nothing that was shown leaves out a part of what the user may do: only such a caller may make applications,
    /// and keys, which count for more.
    pub fn is_unlimited(&self) -> bool {
        self.scope().is_none_or(Scope::is_unlimited)
    }

    /// Whether a key was shown that counts for some applications only: a restricted token of Octave.
    pub fn is_restricted(&self) -> bool {
        self.scope().is_some_and(|scope| scope.applications.is_some())
    }

    /// The public id of the key that was shown.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::User {
                proof: Proof::Key { prefix, .. },
                ..
            } => Some(prefix),
            _ => None,
        }
    }

    /// From when on the caller does not count any more.
    pub fn expires(&self) -> Option<Timestamp> {
        match self {
            Self::Anonymous => None,
            Self::Tenant { expires, .. } => Some(*expires),
            Self::User { proof, .. } => match proof {
                Proof::Key { expires, .. } => *expires,
                Proof::Token { expires, .. } => Some(*expires),
            },
        }
    }

    /// Name of the user, where it is known.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::User { name, .. } => Some(name),
            Self::Tenant { user, .. } => user.as_deref(),
        }
    }

    fn scope(&self) -> Option<&Scope> {
        match self {
            Self::User {
                proof: Proof::Key { scope, .. },
                ..
            } => Some(scope),
            _ => None,
        }
    }
}

fn allows(role: Role, permission: Permission) -> bool {
    match permission {
        Permission::Read => role >= Role::Reader,
        Permission::Write => role >= Role::Manager,
        Permission::Admin => role >= Role::Admin,
        Permission::Owner => false,
    }
}
