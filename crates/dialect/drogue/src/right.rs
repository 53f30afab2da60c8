//! What an open socket depends on: the right that it was opened with, what ends it, and tokens that prolong it
//! (compat/drogue.md 1.7 and 1.10, decision 4).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use sockeye_access::{
    Access, AuthenticateError, AuthorizeError, Caller, Credentials, Ended, Permission, Proof, Right, Secret,
};
use sockeye_delivery::{Cause, Closing, Delivery, Remote};
use sockeye_registry::{Application, UserIdentity};
use tokio::time::Instant;

/// The right of one socket.
pub(crate) struct SocketRight {
    caller: Caller,
    shared: Arc<Shared>,
    delivery: Arc<Delivery>,
}

/// What a token that is being looked at needs.
struct Shared {
    access: Arc<Access>,
    application: String,
    right: Right,
    /// How long a socket lives on after its token has expired.
    grace: Duration,
    refreshing: Mutex<Refreshing>,
}

/// Tokens are looked at one after the other. Of those that come meanwhile the last one counts.
enum Refreshing {
    Idle,
    Busy { next: Option<Secret> },
}

/// Why a refresh ends the socket.
enum Refused {
    /// The token does not count.
    Token,
    /// It is of somebody else.
    Another,
    /// Its user may not read the application.
    NotAllowed,
}

// ----------------------------------------------------------------------------------------------

/// RFC 6455 section 7.4.1.
const POLICY: u16 = 1008;
const INTERNAL: u16 = 1011;

impl SocketRight {
    /// Of a caller who may read the application.
    pub(crate) fn new(
        access: &Arc<Access>,
        delivery: &Arc<Delivery>,
        caller: Caller,
        application: &Application,
        grace: Duration,
    ) -> Self {
        let shared = Shared {
            access: Arc::clone(access),
            application: application.metadata.name.clone(),
            right: access.hold(caller.clone(), application),
            grace,
            refreshing: Mutex::new(Refreshing::Idle),
        };
        Self {
            caller,
            shared: Arc::new(shared),
            delivery: Arc::clone(delivery),
        }
    }

    /// From now on the end of the right is the end of the connection.
    pub(crate) fn bind(&self, remote: &Remote) {
        self.shared.bound_by(&self.caller, remote);
        let remote = remote.clone();
        self.shared.right.on_end(move |ended| {
            let cause = match ended {
                Ended::Deleted => Cause::Gone,
                _ => Cause::Unauthorized,
            };
            remote.close(cause, Closing::new(POLICY, ended.to_string()));
        });
    }

    /// Looks at a token that is to prolong the right, in a task of its own. `false`: the socket was not opened with a token, and
    /// keeps its own right.
    pub(crate) fn refresh(&self, token: Secret, remote: &Remote) -> bool {
        let Some(identity) = token_of(&self.caller) else {
            return false;
        };
        match &mut *self.shared.refreshing() {
            Refreshing::Busy { next } => {
                *next = Some(token);
                return true;
            }
            idle @ Refreshing::Idle => *idle = Refreshing::Busy { next: None },
        }
        let (shared, identity, remote) = (Arc::clone(&self.shared), identity.clone(), remote.clone());
        self.delivery.spawn(async move {
            let mut token = Some(token);
            while let Some(this) = token {
                shared.refresh(this, &identity, &remote).await;
                token = shared.next();
            }
        });
        true
    }
}

impl Shared {
    /// What is bound to a time ends by itself.
    fn bound_by(&self, caller: &Caller, remote: &Remote) {
        let Some(expires) = caller.expires() else {
            return remote.keep();
        };
        let left = expires.duration_since(Timestamp::now()).try_into().unwrap_or_default();
        let (grace, reason) = match token_of(caller) {
            Some(_) => (self.grace, "JWT token expired"),
            None => (Duration::ZERO, "the access key has expired"),
        };
        // What is further away than a clock reaches does not end.
        match Instant::now().checked_add(grace.saturating_add(left)) {
            Some(at) => remote.close_at(at, Cause::Unauthorized, Closing::new(POLICY, reason)),
            None => remote.keep(),
        }
    }

    async fn refresh(&self, token: Secret, identity: &UserIdentity, remote: &Remote) {
        let refused = match self.renewed(token, identity).await {
            Ok(Some(caller)) => {
                self.bound_by(&caller, remote);
                self.right.renew(caller);
                return;
            }
            // Nothing is known of the token: the socket has its time still, and the client may send another.
            Ok(None) => return,
            Err(refused) => refused,
        };
        let (code, reason) = match refused {
            Refused::Token => (INTERNAL, "Failed to refresh token: Authentication failed"),
            Refused::Another => (POLICY, "Failed to refresh token: it is of another user"),
            Refused::NotAllowed => (POLICY, "Failed to refresh token"),
        };
        remote.close(Cause::Unauthorized, Closing::new(code, reason));
    }

    /// The same user, with another token; `None` if that cannot be found out now.
    async fn renewed(&self, token: Secret, identity: &UserIdentity) -> Result<Option<Caller>, Refused> {
        let caller = match self.access.authenticate(&Credentials::Bearer(token)).await {
            Ok(caller) => caller,
            Err(AuthenticateError::Unavailable(_) | AuthenticateError::ProviderUnavailable(_)) => return Ok(None),
            Err(error) => {
                tracing::debug!(%error, "a token that should prolong a stream does not count");
                return Err(Refused::Token);
            }
        };
        if token_of(&caller) != Some(identity) {
            return Err(Refused::Another);
        }
        match self
            .access
            .authorize(&caller, &self.application, Permission::Read)
            .await
        {
            Ok(_) => Ok(Some(caller)),
            Err(AuthorizeError::Unavailable(_)) => Ok(None),
            Err(AuthorizeError::NotFound) => Err(Refused::NotAllowed),
        }
    }

    /// The token that came meanwhile.
    fn next(&self) -> Option<Secret> {
        let mut refreshing = self.refreshing();
        let next = match &mut *refreshing {
            Refreshing::Busy { next } => next.take(),
            Refreshing::Idle => None,
        };
        if next.is_none() {
            *refreshing = Refreshing::Idle;
        }
        next
    }

    fn refreshing(&self) -> MutexGuard<'_, Refreshing> {
        self.refreshing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who the caller is for the provider whose token was shown.
fn token_of(caller: &Caller) -> Option<&UserIdentity> {
    match caller {
        Caller::User {
            proof: Proof::Token { identity, .. },
            ..
        } => Some(identity),
        _ => None,
    }
}
