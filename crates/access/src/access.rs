//! Who a user is, by what is shown.

use std::sync::Arc;

use jiff::Timestamp;
use moka::sync::Cache;
use sockeye_limits as limits;
use sockeye_registry::{AccessKey, Application, Change, Registry, Unavailable, User, WriteError};
use tokio::sync::broadcast;

use crate::caller::{Caller, Permission, Proof};
use crate::known::Known;
use crate::oidc::{Claims, Oidc, VerifyError};
use crate::rights::Rights;
use crate::{Credentials, ProviderUnavailable, Right, Secret, TokenError, audit, key};

/// Tells who a user is and what the user may do. What it remembers is forgotten with the change that makes it wrong, so that a right
/// that ends has ended.
pub struct Access {
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) known: Known,
    oidc: Option<Oidc>,
    rights: Arc<Rights>,
    /// Keys whose use was noted a moment ago.
    noted: Cache<String, ()>,
}

/// Why it is not known who is calling.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticateError {
    /// No such key, or not of this user.
    #[error("the user name or the access key is wrong")]
    Denied,
    /// The key was right, but its time is over.
    #[error("the access key has expired: make another one")]
    KeyExpired,
    /// The key was right, but does not count for now.
    #[error("the access key is disabled")]
    KeyDisabled,
    /// What was shown was right, but the user does not count for now.
    #[error("the user is disabled")]
    UserDisabled,
    /// A token of a provider, but there is none.
    #[error(
        "bearer tokens of a provider are not accepted by this server: use an access key, as Basic credentials or as the bearer token `<user>:drg_..`"
    )]
    NoProvider,
    /// A token that does not count.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A good token of somebody new, whose name is another's.
    #[error("the user name `{0}` of this token is taken by another user of this server: ask its administrator")]
    NameTaken(String),
    /// The registry does not answer: try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// A provider does not answer: try again later.
    #[error(transparent)]
    ProviderUnavailable(#[from] ProviderUnavailable),
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
        Self {
            rights: Rights::new(Arc::clone(&registry)),
            known: Known::new(Arc::clone(&registry)),
            registry,
            oidc: None,
            noted: Cache::builder()
                .max_capacity(limits::KEY_USED_CACHE)
                .time_to_live(limits::KEY_USED_STEP)
                .build(),
        }
    }

    /// Accepts tokens of these providers too.
    #[must_use]
    pub fn with_oidc(mut self, oidc: Oidc) -> Self {
        self.oidc = Some(oidc);
        self
    }

    /// The providers, if there are some.
    pub fn oidc(&self) -> Option<&Oidc> {
        self.oidc.as_ref()
    }

    /// Tells who shows these credentials.
    pub async fn authenticate(&self, credentials: &Credentials) -> Result<Caller, AuthenticateError> {
        match credentials {
            Credentials::Anonymous => Ok(Caller::Anonymous),
            Credentials::Key { user, key } => self.by_key(Some(user), key).await,
            Credentials::Bearer(token) => self.by_token(token).await,
        }
    }

    /// Tells who shows this key. Who says to be somebody has to be that, unless the key is limited to some applications: with
    /// such a key nobody needs to say (compat/octave.md 2.2).
    pub async fn authenticate_key(&self, user: Option<&str>, key: &Secret) -> Result<Caller, AuthenticateError> {
        let caller = self.by_key(None, key).await?;
        match (&caller, user) {
            (Caller::User { name, .. }, Some(user)) if name != user && !caller.is_restricted() => {
                Err(AuthenticateError::Denied)
            }
            _ => Ok(caller),
        }
    }

    async fn by_key(&self, user: Option<&str>, key: &Secret) -> Result<Caller, AuthenticateError> {
        let prefix = key::id(key).ok_or(AuthenticateError::Denied)?;
        let stored = self.known.key(&prefix).await?.ok_or(AuthenticateError::Denied)?;
        if !key::matches(key, &stored.hash) || user.is_some_and(|user| stored.user != *user) {
            return Err(AuthenticateError::Denied);
        }
        self.of_key(&stored).await
    }

    /// Whose a key is that was shown, as long as it counts.
    pub(crate) async fn of_key(&self, stored: &AccessKey) -> Result<Caller, AuthenticateError> {
        let now = Timestamp::now();
        if stored.expires.is_some_and(|expires| expires <= now) {
            return Err(AuthenticateError::KeyExpired);
        }
        if stored.disabled {
            return Err(AuthenticateError::KeyDisabled);
        }
        let user = self.known.user(&stored.user).await?;
        let user = counts(user.ok_or(AuthenticateError::Denied)?)?;
        self.note_use(&stored.prefix, now).await;
        Ok(Caller::User {
            name: user.name.clone(),
            admin: user.admin,
            proof: Proof::Key {
                prefix: stored.prefix.clone(),
                scope: stored.scope.clone(),
                expires: stored.expires,
            },
        })
    }

    async fn by_token(&self, token: &Secret) -> Result<Caller, AuthenticateError> {
        let oidc = self.oidc.as_ref().ok_or(AuthenticateError::NoProvider)?;
        let claims = oidc
            .verify(token, Timestamp::now())
            .await
            .map_err(|error| match error {
                VerifyError::Token(error) => AuthenticateError::Token(error),
                VerifyError::Unavailable(error) => AuthenticateError::ProviderUnavailable(error),
            })?;
        let user = counts(self.learned(&claims).await?)?;
        Ok(Caller::User {
            name: user.name.clone(),
            admin: user.admin || claims.admin,
            proof: Proof::Token {
                identity: claims.identity,
                expires: claims.expires,
            },
        })
    }

    /// The user of a token; learned, if it is the first.
    async fn learned(&self, claims: &Claims) -> Result<Arc<User>, AuthenticateError> {
        if let Some(user) = self.known.user_of(&claims.identity).await? {
            return Ok(user);
        }
        match self.registry.learn_user(&claims.identity, &claims.name).await {
            Ok(user) => {
                audit!("user.learned", user = user.name, issuer = claims.identity.issuer);
                Ok(Arc::new(user))
            }
            Err(WriteError::Unavailable(unavailable)) => Err(unavailable.into()),
            Err(_taken) => Err(AuthenticateError::NameTaken(claims.name.clone())),
        }
    }

    /// Notes the use of a key, for people. That it fails harms no login.
    async fn note_use(&self, prefix: &str, now: Timestamp) {
        if self.noted.contains_key(prefix) {
            return;
        }
        // Before the write, so that of many at the same time one writes.
        self.noted.insert(prefix.to_owned(), ());
        if let Err(error) = self.registry.note_key_used(prefix, now).await {
            tracing::debug!(%error, "the use of a key could not be noted");
        }
    }

    /// What will have changed since now. Who holds a right asks before it looks whether there is one, and looks again if something
    /// has changed when it is held: so that nothing ends a right between the two.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.registry.changes()
    }

    /// Holds the right to read an application for as long as somebody does; whoever runs [`Access::watch`] ends it.
    pub fn hold(&self, caller: Caller, application: &Application) -> Right {
        self.rights.hold(caller, application)
    }

    /// Ends rights that are held when they have ended, until the registry has stopped.
    pub async fn watch(&self) {
        self.rights.watch().await;
    }

    /// The application of this name or alias, if the caller may do this with it, or with some paths of it, and it is not being
    /// deleted.
    pub async fn company(
        &self,
        caller: &Caller,
        company: &str,
        permission: Permission,
    ) -> Result<Application, AuthorizeError> {
        let mut found = self.registry.application(company).await?;
        if found.is_none()
            && let Some(name) = self.registry.alias(company).await?
        {
            found = self.registry.application(&name).await?;
        }
        match found {
            Some(application) if caller.may_in_part(permission, &application) && !application.is_going() => {
                Ok(application)
            }
            _ => Err(AuthorizeError::NotFound),
        }
    }

    /// The application as it is remembered, if the caller may do this with it: for who only asks. A change that this node was told of
    /// counts.
    pub async fn remembered(
        &self,
        caller: &Caller,
        application: &str,
        permission: Permission,
    ) -> Result<Arc<Application>, AuthorizeError> {
        match self.known.application(application).await? {
            Some(application) if caller.may(permission, &application) => Ok(application),
            _ => Err(AuthorizeError::NotFound),
        }
    }

    /// As [`Access::remembered`], of an application that is not being deleted: for who opens streams.
    pub async fn admit(
        &self,
        caller: &Caller,
        application: &str,
        permission: Permission,
    ) -> Result<Arc<Application>, AuthorizeError> {
        let application = self.remembered(caller, application, permission).await?;
        if application.is_going() {
            return Err(AuthorizeError::NotFound);
        }
        Ok(application)
    }

    /// The application as it is stored, if the caller may do this with it: for who shows or changes it, or what belongs to it.
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

pub(crate) fn counts(user: Arc<User>) -> Result<Arc<User>, AuthenticateError> {
    if user.disabled {
        return Err(AuthenticateError::UserDisabled);
    }
    Ok(user)
}
