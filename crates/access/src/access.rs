//! Users, and what they may do with an application.

use std::sync::Arc;

use sockeye_registry::{Application, Registry, Role, Unavailable};

use crate::{Credentials, key};

/// Tells who a user is and what the user may do. Asks the registry each time, so that a right that ends has ended.
pub struct Access {
    registry: Arc<dyn Registry>,
}

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
        /// Prefix of the access key that was shown.
        key: Option<String>,
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

/// Why it is not known who is calling.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticateError {
    /// No such key, or not of this user.
    #[error("the user name or the access key is wrong")]
    Denied,
    /// A token of a provider, but there is none.
    #[error(
        "bearer tokens of a provider are not accepted by this server: use an access key, as Basic credentials or as the bearer token `<user>:drg_..`"
    )]
    NoProvider,
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why something may not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizeError {
    /// The application is not there, or not for this caller: which of the two is not told.
    #[error("there is no such application, or it is not yours")]
    NotFound,
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

// ----------------------------------------------------------------------------------------------

impl Access {
    /// Access by what is in the registry.
    pub fn new(registry: Arc<dyn Registry>) -> Self {
        Self { registry }
    }

    /// Tells who shows these credentials.
    pub async fn authenticate(&self, credentials: &Credentials) -> Result<Caller, AuthenticateError> {
        let (user, key) = match credentials {
            Credentials::Anonymous => return Ok(Caller::Anonymous),
            Credentials::Bearer(_) => return Err(AuthenticateError::NoProvider),
            Credentials::Key { user, key } => (user, key),
        };
        let prefix = key::prefix(key.expose()).map_err(|_| AuthenticateError::Denied)?;
        let stored = self.registry.key(prefix).await?.ok_or(AuthenticateError::Denied)?;
        if !key::matches(key, &stored.hash) || stored.user != *user {
            return Err(AuthenticateError::Denied);
        }
        let user = self
            .registry
            .user(&stored.user)
            .await?
            .ok_or(AuthenticateError::Denied)?;
        Ok(Caller::User {
            name: user.name,
            admin: user.admin,
            key: Some(stored.prefix),
        })
    }

    /// The application, if the caller may do this with it.
    pub async fn authorize(
        &self,
        caller: &Caller,
        application: &str,
        permission: Permission,
    ) -> Result<Application, AuthorizeError> {
        match self.registry.application(application).await? {
            Some(application) if caller.may(permission, &application) => Ok(application),
            _ => Err(AuthorizeError::NotFound),
        }
    }
}

impl Caller {
    /// Whether the caller may do this with the application: the table of compat/drogue.md 3.5, with decision 7.
    pub fn may(&self, permission: Permission, application: &Application) -> bool {
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
            Self::User { admin: true, .. } => true,
            Self::User { name, .. } => {
                *name == application.owner
                    || member(name)
                    || (permission == Permission::Read && application.is_public())
            }
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
