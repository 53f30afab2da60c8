//! Tickets, and tokens of our own: who comes with one is who fetched it (compat/dojot.md, decisions 2 and 3).
//!
//! Both are random and stored hashed. A ticket counts once; a token has the form of a JSON Web Token, so that clients that look
//! into it find when it ends, and counts until then. What proves either is that its hash is known; what it is worth is looked up
//! again when it is shown, so that a key that was revoked meanwhile is worth nothing.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sockeye_limits as limits;
use sockeye_registry::{Ticket, TicketError, Unavailable, UserIdentity};

use crate::access::{Access, counts};
use crate::{AuthenticateError, Caller, Proof, Secret, key};

/// Somebody, and until when what was shown counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Who.
    pub caller: Caller,
    /// When the token expires that was shown, or with which the ticket was fetched; `None`: never.
    pub expires: Option<Timestamp>,
}

/// Why there is no ticket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketRefused {
    /// Nobody known asks for it.
    #[error("a ticket is for users")]
    Anonymous,
    /// It cannot be kept.
    #[error(transparent)]
    NotKept(#[from] TicketError),
}

/// What is kept of somebody, so that the caller can be made of it again.
#[derive(Serialize, Deserialize)]
struct Kept {
    who: Who,
    /// Microseconds since 1970.
    expires: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Who {
    Key {
        prefix: String,
        user: String,
    },
    Token {
        user: String,
        admin: bool,
        issuer: String,
        subject: String,
        until: i64,
    },
    Tenant {
        tenant: String,
        user: Option<String>,
        until: i64,
    },
}

// ----------------------------------------------------------------------------------------------

/// The claim `iss` of our own tokens.
pub(crate) const ISSUER: &str = "sockeye";
/// Random bytes of a ticket: 64 characters of hex.
const SECRET: usize = 32;

impl From<Caller> for Holder {
    fn from(caller: Caller) -> Self {
        Self {
            expires: caller.expires(),
            caller,
        }
    }
}

impl Access {
    /// Gives somebody a ticket that counts once, for so long.
    pub async fn issue_ticket(&self, admitted: &Holder, life: Duration) -> Result<Secret, TicketRefused> {
        let ticket = key::hex(&random());
        self.keep(&hash_of_ticket(&ticket), admitted, life).await?;
        Ok(Secret::new(ticket))
    }

    /// Takes a ticket: it counts no more, whoever it admits. `None`: nobody.
    pub async fn redeem_ticket(&self, ticket: &str) -> Result<Option<Holder>, Unavailable> {
        let now = Timestamp::now();
        let kept = self.registry.take_ticket(&hash_of_ticket(ticket), now).await?;
        self.admitted(kept).await
    }

    /// Gives somebody a token that counts for [`limits::OWN_TOKEN_LIFE`].
    pub async fn issue_token(&self, caller: &Caller) -> Result<Secret, TicketRefused> {
        let now = Timestamp::now();
        let life = limits::OWN_TOKEN_LIFE;
        let expires = now.checked_add(life).unwrap_or(Timestamp::MAX);
        // The whole second before: what is read in the token is never later than what counts.
        let expires = Timestamp::from_second(expires.as_second()).unwrap_or(expires);
        let claims = json!({
            "iss": ISSUER,
            "username": caller.user(),
            "iat": now.as_second(),
            "exp": expires.as_second(),
        });
        let header = json!({"alg": "HS256", "typ": "JWT"});
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let token = format!(
            "{}.{}.{}",
            part(header.to_string().as_bytes()),
            part(claims.to_string().as_bytes()),
            part(&random())
        );
        let admitted = Holder {
            caller: caller.clone(),
            expires: Some(expires),
        };
        self.keep(&hash_of_token(&token), &admitted, life).await?;
        Ok(Secret::new(token))
    }

    /// Whom a token of our own admits.
    pub(crate) async fn by_own_token(&self, token: &Secret) -> Result<Option<Holder>, Unavailable> {
        let now = Timestamp::now();
        let kept = self.registry.ticket(&hash_of_token(token.expose()), now).await?;
        let admitted = self.admitted(kept).await?;
        Ok(admitted.filter(|admitted| admitted.expires.is_none_or(|expires| expires > now)))
    }

    async fn keep(&self, hash: &str, admitted: &Holder, life: Duration) -> Result<(), TicketRefused> {
        let now = Timestamp::now();
        let kept = Kept {
            who: Who::of(&admitted.caller).ok_or(TicketRefused::Anonymous)?,
            expires: admitted.expires.map(Timestamp::as_microsecond),
        };
        let ticket = Ticket {
            hash: hash.to_owned(),
            owner: kept.who.owner(),
            admits: serde_json::to_string(&kept).expect("texts and numbers are JSON"),
            expires: now.checked_add(life).unwrap_or(Timestamp::MAX),
        };
        Ok(self.registry.keep_ticket(ticket, now).await?)
    }

    /// The caller again, as far as that one counts still.
    async fn admitted(&self, kept: Option<String>) -> Result<Option<Holder>, Unavailable> {
        let Some(kept) = kept.and_then(|kept| serde_json::from_str::<Kept>(&kept).ok()) else {
            return Ok(None);
        };
        let caller = match self.again(kept.who).await {
            Ok(caller) => caller,
            Err(AuthenticateError::Unavailable(unavailable)) => return Err(unavailable),
            Err(error) => {
                tracing::debug!(%error, "who fetched a ticket does not count any more");
                return Ok(None);
            }
        };
        let expires = kept.expires.map(time);
        Ok(Some(Holder { caller, expires }))
    }

    async fn again(&self, who: Who) -> Result<Caller, AuthenticateError> {
        match who {
            Who::Key { prefix, user } => {
                let stored = self.known.key(&prefix).await?;
                let stored = stored.filter(|stored| stored.user == user);
                let stored = stored.ok_or(AuthenticateError::Denied)?;
                self.of_key(&stored).await
            }
            Who::Token {
                user,
                admin,
                issuer,
                subject,
                until,
            } => {
                let identity = UserIdentity { issuer, subject };
                let user = self.known.user(&user).await?.ok_or(AuthenticateError::Denied)?;
                let user = counts(user)?;
                Ok(Caller::User {
                    admin: user.admin || admin,
                    name: user.name.clone(),
                    proof: Proof::Token {
                        identity,
                        expires: time(until),
                    },
                })
            }
            Who::Tenant { tenant, user, until } => {
                if let Some(user) = &user {
                    counts(self.known.user(user).await?.ok_or(AuthenticateError::Denied)?)?;
                }
                Ok(Caller::Tenant {
                    tenant,
                    user,
                    expires: time(until),
                })
            }
        }
    }
}

impl Who {
    fn of(caller: &Caller) -> Option<Self> {
        Some(match caller {
            Caller::Anonymous => return None,
            Caller::Tenant { tenant, user, expires } => Self::Tenant {
                tenant: tenant.clone(),
                user: user.clone(),
                until: expires.as_microsecond(),
            },
            Caller::User { name, admin, proof } => match proof {
                Proof::Key { prefix, .. } => Self::Key {
                    prefix: prefix.clone(),
                    user: name.clone(),
                },
                Proof::Token { identity, expires } => Self::Token {
                    user: name.clone(),
                    admin: *admin,
                    issuer: identity.issuer.clone(),
                    subject: identity.subject.clone(),
                    until: expires.as_microsecond(),
                },
            },
        })
    }

    /// Who shares the room for tickets.
    fn owner(&self) -> String {
        match self {
            Self::Key { user, .. } | Self::Token { user, .. } => format!("user {user}"),
            Self::Tenant { tenant, .. } => format!("tenant {tenant}"),
        }
    }
}

/// Out of what [`Timestamp::as_microsecond`] gave.
fn time(microseconds: i64) -> Timestamp {
    Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::MIN)
}

/// From the operating system.
fn random() -> [u8; SECRET] {
    let mut bytes = [0; SECRET];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// A ticket is no token, and the other way round.
fn hash_of_ticket(ticket: &str) -> String {
    key::hash(&format!("ticket {ticket}"))
}

fn hash_of_token(token: &str) -> String {
    key::hash(&format!("token {token}"))
}
