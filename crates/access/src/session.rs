//! Sessions of Octave (compat/octave.md 2): who has shown an access key gets an id that admits several sockets for as long as one
//! of them is open, and a while longer.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rand::RngExt;
use sockeye_registry::{Application, Session, Unavailable, WriteError};

use crate::{Access, AuthenticateError, Caller, Secret, key};

/// Whom a session admits.
#[derive(Debug)]
pub struct Admitted {
    /// The session.
    pub session: Session,
    /// Who made it, as far as that still counts.
    pub caller: Caller,
}

/// Why there is no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The caller has shown no access key, or the application has gone meanwhile.
    #[error("token is not valid for this company")]
    Denied,
    /// So many count already.
    #[error("the company has {0} sessions, which is the most: use one of them for several sockets")]
    TooMany(usize),
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

// ----------------------------------------------------------------------------------------------

/// Bytes of the two parts of an id: 11 and 32 characters (compat/octave.md 2.1).
const PARTS: [usize; 2] = [8, 24];

impl Access {
    /// Makes a session for a caller who may read the application, or some of it; its id is known to nobody else. It counts for
    /// `time`, and there are at most so many of one application.
    pub async fn create_session(
        &self,
        caller: &Caller,
        application: &Application,
        company: &str,
        time: Duration,
        most: usize,
    ) -> Result<Secret, SessionError> {
        let id = generate();
        let created = Timestamp::now();
        let session = Session {
            hash: key::hash(id.expose()),
            key: caller.key().ok_or(SessionError::Denied)?.to_owned(),
            application: application.metadata.name.clone(),
            company: company.to_owned(),
            created,
            expires: until(created, time),
        };
        match self.registry.create_session(session, most).await {
            Ok(true) => Ok(id),
            Ok(false) => Err(SessionError::TooMany(most)),
            Err(WriteError::Unavailable(unavailable)) => Err(unavailable.into()),
            Err(_gone) => Err(SessionError::Denied),
        }
    }

    /// Whom this id admits; nobody, if it or the key of its maker does not count any more.
    ///
    /// # Errors
    /// The registry does not answer.
    pub async fn session(&self, id: &Secret) -> Result<Option<Admitted>, Unavailable> {
        let Some(session) = self.registry.session(&key::hash(id.expose())).await? else {
            return Ok(None);
        };
        if session.expires <= Timestamp::now() {
            return Ok(None);
        }
        let Some(stored) = self.known.key(&session.key).await? else {
            return Ok(None);
        };
        match self.of_key(&stored).await {
            Ok(caller) => Ok(Some(Admitted { session, caller })),
            Err(AuthenticateError::Unavailable(unavailable)) => Err(unavailable),
            Err(_ended) => Ok(None),
        }
    }

    /// Removes a session, by its hash.
    pub async fn end_session(&self, hash: &str) -> Result<bool, WriteError> {
        self.registry.delete_session(hash).await
    }

    /// Lets sessions count for another while, by their hashes.
    ///
    /// # Errors
    /// The registry does not answer.
    pub async fn extend_sessions(&self, hashes: &[String], time: Duration) -> Result<(), WriteError> {
        let expires = until(Timestamp::now(), time);
        self.registry.extend_sessions(hashes, expires).await
    }
}

fn until(from: Timestamp, time: Duration) -> Timestamp {
    from.checked_add(time).unwrap_or(Timestamp::MAX)
}

/// An id of the operating system's randomness.
fn generate() -> Secret {
    let mut rng = rand::rng();
    let parts = PARTS.map(|length| {
        let bytes: Vec<u8> = (0..length).map(|_| rng.random()).collect();
        URL_SAFE_NO_PAD.encode(bytes)
    });
    Secret::new(parts.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_the_shape_of_the_documentation() {
        let (one, two) = (generate(), generate());
        let (first, second) = one.expose().split_once('.').unwrap();
        assert_eq!((first.len(), second.len()), (11, 32));
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        assert!(first.bytes().chain(second.bytes()).all(allowed));
        assert_ne!(one.expose(), two.expose());
        assert!(!format!("{one:?}").contains(first));
    }
}
